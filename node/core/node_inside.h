/* SPDX-License-Identifier: Apache-2.0 */
/* node_inside.h - what a node holds in RAM and how its files call each other. Layer: L2 (node/core),
 * private to this folder.
 *
 *   node.c           making, adopting, stepping, timers, invariants
 *   node_session.c   HELLO, WELCOME, pings, both sockets' greeters
 *   node_assign.c    ASSIGN to STARTED
 *   node_kill.c      KILL, stopping the node
 *   node_result.c    the end of an attempt until RESULT_OK
 *   node_log.c       which log bytes go next, what the broker stored
 *   node_progress.c  progress, conflated
 *   node_out.c       effects and batches of one step */
#ifndef NODE_INSIDE_H
#define NODE_INSIDE_H

#include "node.h"
#include "px_session.h"

#define NODE_ID_BYTES 16
#define NODE_HEARTBEAT_FIRST_MS 2000
#define NODE_BACKOFF_MAX_MS 3500    /* between greetings; DESIGN 5.5 */
#define NODE_RESULT_REPEAT_MS 3000  /* doubling to NODE_RESULT_REPEAT_MAX_MS */
#define NODE_RESULT_REPEAT_MAX_MS 15000
#define NODE_FINAL_REPEAT_MS 2000
#define NODE_RESHIP_MS 5000         /* shipped, but not received for so long: ship again */
#define NODE_PROGRESS_PAUSE_MS 250
#define NODE_ACCEPT_WAIT_MS 20      /* for STARTED or a result, which say it too */
#define NODE_LOST_AFTER_MS 3600000  /* where an assignment says 0 */
#define NODE_GONE_KEPT 1024         /* attempts known to be gone in this session */
#define NODE_BATCH_BYTES 786432     /* of results in one message; one may be larger */
#define NODE_NEVER INT64_MAX

enum phase {
        PHASE_ENTERING = 1, /* ENTER told; not in the inventory yet */
        PHASE_ABANDONED,    /* ENTER told, but not wanted any more: removed once it is entered */
        PHASE_ACCEPTED,     /* entered; waits for an older attempt of the job to be gone */
        PHASE_STARTING,     /* START told */
        PHASE_RUNNING,
        PHASE_ENDED,    /* its result is repeated until RESULT_OK */
        PHASE_SHIPPING, /* RESULT_OK came; its log is not stored yet */
};

enum attempt_timer {
        TIMER_RESULT, /* say the result (again) */
        TIMER_FINAL,  /* say the final lengths (again) */
        TIMER_RESHIP,
        TIMER_PROGRESS,
        TIMER_ACCEPT, /* say that it is accepted */
        TIMER_COUNT,
};

struct attempt;

/* Offsets of one stream: stored <= received <= shipped <= length. */
struct log_stream {
        struct px_link ready; /* in node->ready while shipped < length */
        struct attempt *attempt;
        int stream; /* enum px_stream */
        uint64_t length;
        uint64_t shipped;
        uint64_t received;
        uint64_t stored;
};

struct attempt {
        struct px_link link;  /* in node->attempts */
        struct attempt *next; /* of the same job, older */
        struct px_heap_item due;
        int64_t due_ms; /* earliest of at_ms */
        int64_t at_ms[TIMER_COUNT];
        struct px_job_id job;
        struct px_fence fence;
        enum phase phase;
        uint32_t cpus_milli;
        uint64_t memory_bytes;
        int on_lost;
        uint64_t lost_after_ms;
        bool start_said; /* STARTED was said, or the inventory said running, in this session */
        int64_t started_wall_ms;
        struct log_stream log[3]; /* by enum px_stream */
        bool log_closed;          /* the broker takes no more of it */
        int32_t progress_permille;
        struct px_buf progress_text;
        int64_t progress_wall_ms; /* 0 = none yet */
        bool progress_new;
        bool result_said;
        uint64_t result_repeat_ms;
        struct px_result result; /* slices point into result_bytes */
        struct px_buf result_bytes;
};

/* An attempt that is not here and shall not begin in this session: an ASSIGN of it was overtaken. */
struct gone {
        struct px_job_id job;
        struct px_fence fence;
        int code; /* it was refused with this code; 0 = it is gone */
};

enum leaving {
        LEAVING_NOT = 0,
        LEAVING_NOW,   /* attempts go on without the link */
        LEAVING_EMPTY, /* when no attempt is left */
        LEAVING_KILL,  /* end all attempts, then leave */
        LEAVING_LEFT,
};

struct node {
        struct node_options options; /* texts and slices are owned */
        uint8_t boot[NODE_ID_BYTES];
        uint8_t spool[NODE_ID_BYTES];
        uint8_t cluster[NODE_ID_BYTES];
        int64_t now_ms;
        /* session */
        struct px_greeter ctl;
        struct px_greeter data;
        uint64_t session; /* 0 while there is none */
        uint64_t session_last;
        uint64_t epoch;
        uint64_t data_epoch;
        struct px_node_id id;
        uint64_t hello_number; /* correlation of the latest HELLO */
        int64_t contact_ms;    /* when we said the latest word that the broker answered */
        uint64_t heartbeat_ms;
        uint64_t lease_ms;
        uint32_t load_milli;
        uint64_t memory_free_bytes;
        /* attempts */
        struct px_link attempts;
        size_t attempts_count;
        size_t inventory_count;
        size_t running_count;
        struct px_map by_job; /* newest attempt of each job */
        struct px_heap due;
        struct px_map gone_by_job;
        struct gone *gone; /* NODE_GONE_KEPT, a ring */
        size_t gone_next;
        /* log */
        struct px_link ready;
        uint64_t in_flight_bytes;
        /* leaving */
        enum leaving leaving;
        int64_t leave_by_ms;
        /* of one step */
        struct node_effects *effects;
        struct px_buf frame;
        struct px_buf accepts;  /* struct px_accept */
        struct px_buf starteds; /* struct px_started */
        struct px_buf results;  /* struct px_result */
        size_t results_bytes;
        struct px_buf progresses; /* struct px_progress */
};

/* ---- node.c ---- */
struct attempt *attempt_new(struct node *node, struct px_job_id job, struct px_fence fence);
void attempt_free(struct node *node, struct attempt *attempt);
struct attempt *attempt_find(const struct node *node, struct px_job_id job, struct px_fence fence);
struct attempt *attempt_newest(const struct node *node, struct px_job_id job);
void attempt_set_phase(struct node *node, struct attempt *attempt, enum phase phase);
void attempt_timer(struct node *node, struct attempt *attempt, enum attempt_timer timer,
                   int64_t at_ms);
bool phase_in_inventory(enum phase phase);
bool phase_alive(enum phase phase); /* a process of it may live */
struct attempt *attempt_of_link(struct px_link *link);

/* ---- node_session.c ---- */
void session_take_ctl(struct node *node, struct px_slice frame);
void session_take_data(struct node *node, struct px_slice frame);
void session_step(struct node *node);

/* ---- node_assign.c ---- */
void assign_take(struct node *node, const struct px_m_assign *message);
void assign_entered(struct node *node, struct attempt *attempt);
void assign_started(struct node *node, struct attempt *attempt, int64_t wall_ms);
void assign_accept_fired(struct node *node, struct attempt *attempt);
void assign_refused(struct node *node, struct attempt *attempt, int code, struct px_slice text);
void assign_abandon_entering(struct node *node);
void assign_start_next(struct node *node, struct px_job_id job);
void gone_remember(struct node *node, struct px_job_id job, struct px_fence fence, int code);
void gone_forget(struct node *node);

/* ---- node_kill.c ---- */
void kill_take(struct node *node, const struct px_m_kill *message);
void kill_attempt(struct node *node, struct attempt *attempt, int why, uint64_t grace_ms);
void leave_begin(struct node *node, enum leaving leaving);
void leave_step(struct node *node);

/* ---- node_result.c ---- */
void result_set(struct node *node, struct attempt *attempt, const struct px_result *result);
void result_make(struct node *node, struct attempt *attempt, int outcome, int reason,
                 struct px_slice text);
void result_welcomed(struct node *node, struct attempt *attempt);
void result_log_stored(struct node *node, struct attempt *attempt);
void result_fired(struct node *node, struct attempt *attempt);
void result_ok(struct node *node, const struct px_m_result_ok *message);
void result_gone(struct node *node, struct px_job_id job, struct px_fence fence);

/* ---- node_log.c ---- */
void log_init(struct attempt *attempt);
void log_grew(struct node *node, struct attempt *attempt, int stream, uint64_t length);
void log_ended(struct node *node, struct attempt *attempt);
bool log_wanted(const struct log_stream *log); /* there is something to ship now */
bool log_complete(const struct attempt *attempt); /* stored, empty, or not wanted */
uint64_t log_pending_bytes(const struct attempt *attempt);
void log_ack(struct node *node, const struct px_m_log_ack *message);
void log_rewind_all(struct node *node);
void log_final_fired(struct node *node, struct attempt *attempt);
void log_reship_fired(struct node *node, struct attempt *attempt);
void log_ship(struct node *node);
void log_forget(struct node *node, struct attempt *attempt);

/* ---- node_progress.c ---- */
void progress_take(struct node *node, struct attempt *attempt, int32_t permille,
                   struct px_slice text, int64_t wall_ms);
void progress_repeat(struct node *node, struct attempt *attempt);
void progress_fired(struct node *node, struct attempt *attempt);

/* ---- node_out.c ---- */
struct node_effect *out_effect(struct node *node, enum node_effect_kind kind);
struct node_effect *out_attempt(struct node *node, enum node_effect_kind kind,
                                const struct attempt *attempt);
void out_ctl(struct node *node);  /* node->frame to the node socket */
void out_data(struct node *node); /* node->frame to the data socket */
void out_accept(struct node *node, struct px_job_id job, struct px_fence fence, int code,
                struct px_slice text);
void out_started(struct node *node, const struct attempt *attempt);
void out_result(struct node *node, const struct px_result *result);
void out_progress(struct node *node, const struct px_progress *progress);
void out_flush(struct node *node);

#endif
