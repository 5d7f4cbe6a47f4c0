/* SPDX-License-Identifier: Apache-2.0 */
/* sim.h - the simulated cluster for tests: one seed, virtual time, no sleeping.
 *
 *      struct sim *sim = sim_new(&(struct sim_options){.seed = 7, .nodes = 2});
 *      sim_submit(sim, &(struct sim_job){.run_ms = 10000});
 *      sim_run_until_ms(sim, 1500);
 *      sim_expect_trace(sim, "[   0] submit j1\n" ...);
 *
 * The trace of decisions is made of the committed events. Promises (RELIABILITY 2, I1 to I10) are
 * checked all the time; a breach prints the seed and the last lines, and aborts. */
#ifndef SIM_H
#define SIM_H

#include "px_base.h"
#include "px_schema.h"

struct sim; /* opaque */

/* What is counted, over all seeds: how often each thing was met. */
enum sim_met {
        MET_DROP,
        MET_REPEAT,
        MET_OVERTAKE,
        MET_DELAY,
        MET_RESET,
        MET_CUT_UP,
        MET_CUT_DOWN,
        MET_CUT_BOTH,
        MET_SLOW_PEER,
        MET_BROKER_FROZEN,
        MET_NODE_FROZEN,
        MET_NODE_FROZEN_LONG,
        MET_CLIENT_FROZEN,
        MET_STORE_FAILURE,
        MET_BROKER_CRASH,
        MET_BROKER_CRASH_LOSES,
        MET_DIGEST_COMPARED,
        MET_LINK_CRASH,
        MET_MACHINE_CRASH,
        MET_SPOOL_LOST,
        MET_WORKER_CRASH,
        MET_KEEPER_DIES,
        MET_CLIENT_CRASH,
        MET_CLOCK_JUMP,
        MET_FLUSH_SLOW,
        MET_STORAGE_FULL,
        MET_RETENTION,
        MET_TOKEN_CHANGED,
        MET_TOKEN_USED,
        MET_MALFORMED,
        MET_STRANGE_NODE,
        MET_PROGRESS,
        MET_FOLLOW_OPENED,
        MET_FOLLOW_GAP,
        MET_FOLLOW_SEEN,
        MET_WHOLE_CHECKED,
        MET_LIMIT_SET,
        MET_START_REFUSED,
        MET_ENTRY_REFUSED,
        MET_SELF_KILL,
        MET_NODE_STOPPED,
        MET_NODE_EXPIRED,
        MET_COUNT,
};
extern const char *const sim_met_names[MET_COUNT];

struct sim_stats {
        uint64_t seeds;
        uint64_t events;
        uint64_t virtual_ms;
        uint64_t met[MET_COUNT];
        uint64_t edges[PX_JOB_STATE_COUNT][PX_JOB_STATE_COUNT];
        uint64_t refusals[PX_ERRORS_COUNT + 1];
        uint64_t commits;
        uint64_t processes;
};

struct sim_options {
        uint64_t seed;
        uint32_t nodes;
        uint32_t workers;
        uint32_t clients;        /* at least 1; the first is the administrator */
        uint64_t node_lease_ms;  /* 0 = 14000 */
        uint64_t events;         /* of a random run, before it is brought to its end */
        bool random;             /* faults and a population; otherwise nothing happens by itself */
        uint64_t faults_off;     /* bit per kind of fault (sim_faults.c) that shall not happen */
        bool print;              /* the trace, as it grows */
        struct sim_stats *stats; /* NULL = not wanted */
};

#define SIM_FAULT_KINDS 21

struct sim *sim_new(const struct sim_options *options);
void sim_free(struct sim *sim);

/* Random run: faults until options.events have happened, then all heals, and everything that was
 * promised must come true. Returns the hash of the whole trace. */
uint64_t sim_run_random(struct sim *sim);

/* ---- for tests that tell a story
 * -------------------------------------------------------------------- */

struct sim_job {
        uint32_t run_ms;
        int outcome; /* enum px_outcome; 0 = ok */
        int on_lost; /* 0 = rerun */
        uint64_t lost_after_ms;
        uint32_t retries;
        uint64_t backoff_ms;
        bool hold;
        const char *node;      /* only on this one; NULL = any */
        const char *task_type; /* NULL = a command */
        uint32_t out_bytes;
};

void sim_run_until_ms(struct sim *sim, int64_t ms);
/* Submit by the first client; the answer is waited for. Returns the job. */
uint64_t sim_submit(struct sim *sim, const struct sim_job *job);
/* Ask for a change (PX_CHANGE_*); not waited for. */
void sim_change(struct sim *sim, int change, uint64_t job);
void sim_cut(struct sim *sim, uint32_t node); /* nodes count from 1 */
void sim_heal(struct sim *sim, uint32_t node);
void sim_crash_broker(struct sim *sim, bool lose_unflushed);
void sim_start_broker(struct sim *sim);
void sim_crash_link(struct sim *sim, uint32_t node);
void sim_start_link(struct sim *sim, uint32_t node);
void sim_crash_machine(struct sim *sim, uint32_t node);     /* and starts it again */
void sim_keeper_dies(struct sim *sim, uint32_t node);       /* of one running attempt */
size_t sim_processes(const struct sim *sim, uint32_t node); /* alive */
const char *sim_trace(struct sim *sim);                     /* and forgets it */

#endif
