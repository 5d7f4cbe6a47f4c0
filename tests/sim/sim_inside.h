/* SPDX-License-Identifier: Apache-2.0 */
/* sim_inside.h - the simulated cluster: the product's broker core, node core and session code in
 * one thread, over a wire, a log, machines and people made of one seed. Private to tests/sim; tests
 * use sim.h.
 *
 *   sim.c             time, events, what is counted, the trace
 *   sim_wire.c        connections: delay, loss, repetition, overtaking, partitions, resets
 *   sim_broker.c      shell of the broker core over px_log_memory; crash and restart
 *   sim_egress.c      log bytes at the broker
 *   sim_node.c        link of the node core, its crashes; workers
 *   sim_spool.c       what outlives the link: entries, keepers, processes
 *   sim_client.c      a client: greeter and outbox over real frames
 *   sim_population.c  what clients ask, and what they make of the answers
 *   sim_follow.c      followers of events
 *   sim_reader.c      the library's part of a follower
 *   sim_faults.c      what goes wrong when
 *   sim_oracle.c      what must hold, from what clients saw and processes did
 *   sim_rows.c        the write-sets, row by row
 *   sim_whole.c       the whole state, counted anew */
#ifndef SIM_INSIDE_H
#define SIM_INSIDE_H

#include "core.h"
#include "node.h"
#include "px_log.h"
#include "px_read.h"
#include "px_session.h"
#include "sim.h"

#define SIM_WALL_START_MS 1700000000000
#define SIM_NEVER INT64_MAX
#define SIM_PRINCIPALS 5 /* 1 admin, 2 and 3 users, 4 nodes, 5 workers' user */
#define SIM_ADMIN 1
#define SIM_NODES_KEY 4
#define TOKENS_KEPT 8

/* ---- sim.c: events ------------------------------------------------------------------------------
 */

struct event;
typedef void event_run(struct sim *sim, struct event *event);

struct event {
        struct px_heap_item item;
        int64_t at_ms;
        int64_t due_ms; /* as it was planned; at_ms is later when its actor was frozen */
        uint64_t sequence;
        const int64_t *frozen_ms; /* who sees to it is frozen until then; NULL = nobody is */
        event_run *run;
        void *owner;
        uint64_t generation; /* of the owner when it was planned */
        uint64_t a;
        uint64_t b;
        int socket;
        struct px_buf frame;
};

/* Plan `run` at now + delay_ms. Owns: the event is the simulator's; fill in its fields now. */
struct event *sim_plan(struct sim *sim, uint64_t delay_ms, event_run *run, void *owner);
uint64_t sim_below(struct sim *sim, uint64_t bound);
/* Chance in a million, never while faults are off. */
bool sim_fault(struct sim *sim, uint32_t ppm);
void sim_count(struct sim *sim, int kind);
int64_t sim_wall_ms(const struct sim *sim);

/* A line of the trace: at most four numbers in a format of their own; cheap until printed. */
#define TRACE_LINES 4096
struct trace_line {
        int64_t ms;
        uint64_t job; /* it is about; 0 = none */
        const char *format;
        unsigned long long number[4];
};
void sim_trace_add(struct sim *sim, uint64_t job, const char *format, uint64_t a, uint64_t b,
                   uint64_t c, uint64_t d);
#define SIM_TRACE(sim, format, a, b, c, d)                                                         \
        sim_trace_add(sim, 0, format, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d))
#define SIM_TRACE_JOB(sim, job, format, a, b, c, d)                                                \
        sim_trace_add(sim, job, format, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d))

/* A broken promise: says it with the lines about the job at hand and the last ones, and aborts. */
_Noreturn void sim_broken(struct sim *sim, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
#define SIM_CHECK(sim, condition, ...) ((condition) ? (void)0 : sim_broken(sim, __VA_ARGS__))

/* ---- sim_wire.c ---------------------------------------------------------------------------------
 */

enum sim_socket {
        SOCKET_CMD = 1,
        SOCKET_NODE,
        SOCKET_DATA,
};

/* One connection of a host to the broker. */
struct wire {
        char name[16];
        void *host;
        void (*take)(struct sim *sim, void *host, int socket, struct px_slice frame);
        int socket;
        uint32_t principal;
        uint64_t generation; /* connection; what belongs to an older one never arrives */
        uint64_t peer;       /* the broker's handle; 0 = it has none yet */
        int64_t last_ms[2];  /* when the last word up and down arrives */
        int64_t cut_ms[2];   /* words up, down are lost until then */
        int64_t slow_ms;     /* slow until then */
        const int64_t *frozen_ms; /* its host is frozen until then */
};

void wire_init(struct wire *wire, void *host, const int64_t *frozen_ms, const char *name, int socket,
               uint32_t principal, void (*take)(struct sim *, void *, int, struct px_slice));
void wire_up(struct sim *sim, struct wire *wire, struct px_slice frame, uint64_t payload_bytes);
void wire_down(struct sim *sim, struct wire *wire, struct px_slice frame);
/* The connection breaks: what is under way is lost, the broker sees another peer. */
void wire_reset(struct sim *sim, struct wire *wire);
void sim_count_refusal(struct sim *sim, int code);
struct wire *wire_of_peer(struct sim *sim, uint64_t peer);

/* ---- sim_egress.c -------------------------------------------------------------------------------
 */

struct egress_log {
        struct px_job_id job;
        struct px_fence fence;
        bool open; /* in this life of the broker */
        bool closed;
        bool purged;
        bool final;
        bool lost;          /* its spool is gone: no more of it can come */
        uint64_t length[3]; /* final ones */
        uint64_t received[3];
        uint64_t stored[3];
        bool sync_planned;
        uint64_t peer;
};

void egress_take(struct sim *sim, struct wire *wire, struct px_slice frame, uint64_t payload_bytes);
void egress_effect(struct sim *sim, const struct core_effect *effect);
void egress_crash(struct sim *sim);
struct egress_log *egress_find(struct sim *sim, struct px_job_id job, struct px_fence fence);
void egress_fini(struct sim *sim);

/* ---- sim_broker.c -------------------------------------------------------------------------------
 */

struct broker_command {
        uint8_t origin;
        uint64_t peer;
        uint32_t principal;
        struct px_buf frame;
};

struct broker_batch {
        struct px_link link; /* in broker.waiting, by index */
        uint64_t index;
        uint64_t digest; /* after the batch; 0 = not taken */
        struct core_output output;
};

struct broker {
        bool up;
        uint64_t generation; /* life */
        struct core *core;
        struct px_log *log;
        uint64_t epoch;
        uint64_t index;
        int64_t core_base_ms; /* core_ms - now_ms */
        struct broker_command *commands;
        size_t commands_count;
        size_t commands_capacity;
        bool batch_planned;
        bool flushing;
        bool fails;        /* the next flush */
        int64_t frozen_ms; /* until then */
        int64_t wake_ms;   /* of the planned tick */
        struct px_link waiting;
        struct px_link spare;
        struct px_map peers; /* handle -> wire */
        uint64_t next_peer;
        uint32_t digests; /* batches whose digest is to be taken */
        uint64_t digest;  /* after the last batch, if it was taken */
        bool storage_full;
        uint64_t steps;
        bool whole_due; /* the whole state is to be checked when nothing waits for the disk */
        struct px_map logs; /* egress: hash of (job, fence) -> egress_log */
        /* of one batch */
        struct px_arena arena;
        struct px_buf keys;
        struct px_buf values;
        struct core_command *inputs;
        struct core_fact *facts;
        size_t facts_capacity;
};

void broker_start(struct sim *sim);
/* A core loaded from the log as it stands. Owns: free with core_free(). */
struct core *broker_load(struct sim *sim, uint64_t epoch);
void broker_crash(struct sim *sim);
void broker_freeze(struct sim *sim, uint64_t span_ms);
void broker_take(struct sim *sim, struct wire *wire, struct px_slice frame, uint64_t payload_bytes);
void broker_shell(struct sim *sim, uint64_t peer, struct px_slice frame);
void broker_fini(struct sim *sim);

/* ---- sim_spool.c --------------------------------------------------------------------------------
 */

/* What a job does, carried in its specification. */
#define SIM_ENVIRONMENT_BYTES 200

struct plan {
        uint32_t run_ms;
        uint32_t out_bytes;
        uint32_t err_bytes;
        uint8_t outcome; /* enum px_outcome */
        uint8_t progress;
        uint8_t refuse;        /* in how many of 8 starts its program isn't found */
        uint8_t environment;   /* one of a few; 0 = none. No padding: equal plans are equal bytes */
        uint32_t result_bytes; /* of a task; at most UINT16_MAX */
};

struct entry {
        struct px_link link; /* in host->entries */
        uint32_t host;       /* its number */
        struct px_job_id job;
        struct px_fence fence;
        struct plan plan;
        int on_lost;
        uint64_t lost_after_ms;
        uint32_t cpus_milli;
        uint64_t memory_bytes;
        uint64_t boot; /* in which it was entered */
        uint64_t life; /* of planned events; never reused */
        bool spawning; /* its keeper is about to start the process */
        bool kept;     /* a keeper holds the lock */
        bool alive;    /* the process lives */
        bool killed;   /* TERM was sent */
        bool ended;    /* there is an exit record */
        bool synced;   /* the exit record outlives a power cut */
        bool untold;   /* the link was frozen when something happened */
        int outcome;
        int32_t exit_code;
        uint32_t signal;
        int64_t started_ms;
        int64_t contact_ms; /* broker heard of us, as the keeper knows */
        uint64_t length[3];
        uint64_t trimmed[3];
};

struct host;
struct entry *spool_find(struct host *host, struct px_job_id job, struct px_fence fence);
void spool_enter(struct sim *sim, struct host *host, const struct node_effect *effect);
void spool_start(struct sim *sim, struct host *host, const struct node_effect *effect);
void spool_kill(struct sim *sim, struct host *host, const struct node_effect *effect);
void spool_remove(struct sim *sim, struct host *host, const struct node_effect *effect);
void spool_contact(struct sim *sim, struct host *host, uint64_t ago_ms);
void spool_result(const struct entry *entry, struct px_result *ret_result);
void spool_link_died(struct sim *sim, struct host *host);
void spool_scan(struct sim *sim, struct host *host); /* a link starts: tells the node core */
void spool_link_thaws(struct sim *sim, struct host *host); /* it learns what happened meanwhile */
void spool_machine_died(struct sim *sim, struct host *host);
void spool_keeper_dies(struct sim *sim, struct host *host);
void spool_clear(struct sim *sim, struct host *host);
size_t spool_alive(const struct host *host);

/* ---- sim_node.c ---------------------------------------------------------------------------------
 */

struct host {
        uint32_t number;
        char name[16];
        bool worker;
        bool link_up;
        uint64_t link_life;
        uint64_t boot;  /* counts machine starts (process starts of a worker) */
        uint64_t spool; /* counts spool directories */
        uint8_t boot_id[16];
        uint8_t spool_id[16];
        uint8_t cluster[16];
        bool has_cluster;
        uint64_t epoch;
        struct node *node;
        struct node_effects effects;
        struct wire ctl;
        struct wire data;
        int64_t wake_ms;
        int64_t frozen_ms; /* the link is, until then; keepers go on */
        struct px_link entries;
        struct px_label labels[1]; /* as its node says */
        struct px_resource resources[1];
};

void host_init(struct sim *sim, struct host *host, uint32_t number, bool worker);
void host_start_link(struct sim *sim, struct host *host);
void host_link_crash(struct sim *sim, struct host *host);
void host_machine_crash(struct sim *sim, struct host *host, bool new_spool);
void host_input(struct sim *sim, struct host *host, const struct node_input *input);
void host_fini(struct host *host);

/* ---- sim_client.c, sim_population.c -------------------------------------------------------------
 */

enum ask_kind {
        ASK_SUBMIT = 1,
        ASK_CHANGE,
        ASK_WATCH,
        ASK_NODE,
        ASK_QUESTION,
        ASK_TOKEN,
        ASK_LIMIT,
};

#define ASK_ITEMS 4
struct ask {
        enum ask_kind kind;
        int change; /* enum px_change */
        uint64_t job;
        uint64_t tags[ASK_ITEMS]; /* of a submit */
        size_t tags_count;
};

struct client {
        uint32_t number;
        uint32_t principal;
        uint32_t first_principal;
        bool up;
        uint64_t life;
        struct wire wire;
        struct px_greeter greeter;
        struct px_outbox *outbox;
        struct px_map asks; /* token -> struct ask */
        uint64_t next_token;
        int64_t wake_ms;
        int64_t frozen_ms;
        struct px_buf frame;
        struct px_arena arena;
        uint64_t keyed_tag; /* the last submission under a key, and its bytes */
        struct px_buf keyed;
};

void client_init(struct sim *sim, struct client *client, uint32_t number, uint32_t principal);
void client_start(struct sim *sim, struct client *client);
void client_crash(struct sim *sim, struct client *client);
/* It comes back as somebody else, or (0) as who it was at first. While it is down. */
void client_become(struct client *client, uint32_t principal);
void client_step(struct sim *sim, struct client *client);
void client_fini(struct client *client);
/* Send client->frame as a request. Owns: takes ask. */
void client_ask(struct sim *sim, struct client *client, struct ask *ask, bool recorded);

void population_begin(struct sim *sim, struct client *client);
void population_answer(struct sim *sim, struct client *client, struct ask *ask,
                       struct px_wire_header header, struct px_slice body);
void population_ends(struct sim *sim, struct px_slice body); /* END was pushed */
void population_expired(struct sim *sim, struct client *client, struct ask *ask);
/* One round of the administrator bringing all to its end. */
void population_finish(struct sim *sim);
/* Submit one job; its tag is returned. */
struct px_slice population_spec(struct client *client); /* of a command that ends at once */

/* sim_limits.c: needs beyond cpus, and what administrators limit. */
void limits_item(struct sim *sim, struct client *client, struct px_submit_job *item);
void limits_wish(struct sim *sim, struct client *client);
void limits_question(struct sim *sim, struct client *client, uint64_t job);
void limits_lift(struct sim *sim, struct client *admin); /* so that all may end */
uint64_t population_submit_one(struct sim *sim, struct client *client,
                               const struct px_submit_job *item, const struct plan *plan);
void population_change(struct sim *sim, struct client *client, int change, uint64_t job,
                       int64_t number, bool force);

/* ---- sim_follow.c -------------------------------------------------------------------------------
 */

#define FOLLOWERS 2

struct reader;
struct follower {
        struct sim *sim;
        struct wire wire;
        struct reader *reader;
        uint32_t number; /* of its opening */
        int64_t heard_ms;
        bool began;  /* it has seen an event */
        size_t seen; /* events that were committed up to what it saw last */
        /* at the broker */
        uint32_t served; /* opening; 0 = none */
        struct px_event_number pushed;
};

void follow_begin(struct sim *sim);
void follow_fini(struct sim *sim);
void follow_events(struct sim *sim); /* more are durable */
void follow_crash(struct sim *sim);
void follow_open(struct sim *sim, struct wire *wire, const struct px_m_stream_open *open);
const char *follow_unquiet(struct sim *sim);

/* ---- sim_faults.c -------------------------------------------------------------------------------
 */

void faults_begin(struct sim *sim);
void faults_end(struct sim *sim);
void faults_broker_died(struct sim *sim); /* somebody starts it again */

/* ---- sim_oracle.c -------------------------------------------------------------------------------
 */

/* A submission as a client made it. */
struct oracle_tag {
        uint64_t tag;
        uint64_t job; /* 0 = none known */
        uint32_t client;
        uint32_t principal;
        int on_lost;
        uint32_t repeats;      /* sent again on purpose, under its key */
        uint32_t result_bytes; /* what it returns when it ends ok */
        uint64_t spec;         /* hash of its specification */
        bool array;            /* it makes tasks */
        bool acked;
        bool refused;
};

#define ALIVE_MAX 16
struct alive_process {
        struct px_fence fence;
        uint32_t host;
        bool orphan; /* its keeper died while no link was there to end it, or a person said that
                      * its node is gone for good */
};

struct oracle_job {
        uint64_t id;
        uint64_t tag;
        uint32_t principal;
        int state; /* by committed events */
        int on_lost;
        uint32_t attempt;
        uint32_t attempt_ended; /* the last one with an accepted end */
        uint32_t ends;          /* bit per end state reached */
        bool purged;
        bool purge_asked;
        bool end_seen;         /* END of its present state */
        bool ran_to_no_result; /* ran, and nothing but a person may run it again */
        uint32_t retries_asked;
        uint32_t losses; /* attempts lost in a row */
        bool array;      /* its moves in and out of line have no events */
        struct alive_process alive[ALIVE_MAX];
        size_t alive_count;
};

struct oracle {
        struct px_map tags;
        struct px_map jobs;
        struct px_map started; /* hash of (job, fence) */
        uint64_t next_tag;
        uint64_t *job_ids; /* in the order of their commits */
        size_t job_ids_count;
        size_t job_ids_capacity;
        size_t alive_count;
        uint64_t index; /* of the last batch */
        struct px_event_number *events; /* committed */
        size_t events_count;
        size_t events_capacity;
};

void oracle_fini(struct sim *sim);
struct oracle_tag *oracle_tag_new(struct sim *sim, const struct client *client);
struct oracle_tag *oracle_tag(struct sim *sim, uint64_t tag);
struct oracle_job *oracle_job(struct sim *sim, uint64_t job); /* NULL when unknown */
struct oracle_job *oracle_any(struct sim *sim);               /* NULL when there is none */
void oracle_acked(struct sim *sim, uint64_t tag, uint64_t job);
void oracle_refused(struct sim *sim, uint64_t tag);
void oracle_events(struct sim *sim, uint64_t index, struct px_slice events, uint32_t count);
void oracle_assigned(struct sim *sim, const struct px_assign *assign);
void oracle_started(struct sim *sim, const struct entry *entry);
void oracle_ended(struct sim *sim, const struct entry *entry, int outcome); /* 0 = died silently */
/* Some machine has, or had, this very attempt. */
bool oracle_entered(struct sim *sim, struct px_job_id job, struct px_fence fence);
void oracle_orphaned(struct sim *sim, const struct entry *entry);
void oracle_end_seen(struct sim *sim, const struct px_end *end);
void oracle_loaded(struct sim *sim);         /* the broker has just started from its log */
void oracle_final(struct sim *sim);          /* all is quiet */
const char *oracle_unquiet(struct sim *sim); /* what hasn't ended yet; NULL = all has */
void oracle_spool_lost(struct sim *sim, const struct entry *entry);
/* Committed events as lines of decisions, for tests that tell a story (sim_story.c). */
void decision_trace(struct sim *sim, const struct px_event *event);

/* ---- sim_rows.c, sim_whole.c --------------------------------------------------------------------
 */

/* A job as its rows say. */
struct row_job {
        uint64_t id;
        bool stored[2]; /* in table job, in table done */
        int state;
        int reason;
        int64_t expires_wall_ms;
        struct px_fence fence;
        uint32_t node;
        uint32_t owner;
        uint32_t shape;   /* of an active job */
        uint64_t request; /* hash of what it needs */
        int32_t priority;
        int on_lost;
        uint32_t failures;
        uint32_t retries;
        int64_t submitted_wall_ms;
        uint32_t attempts_ended; /* have a row */
        int outcome;             /* of the attempt whose row came just now; 0 = none */
        uint64_t touched;        /* the last batch with a row of it */
        struct px_array array;   /* its books; count 0 = it is no array */
};

struct row_shape {
        uint32_t cpus_milli;
        uint64_t request; /* hash of its row */
};

struct row_principal {
        int role;
        uint64_t revoked_index; /* batch; 0 = not revoked */
        int64_t expires_wall_ms;
};

struct judge {
        uint64_t index; /* of the batch being judged */
        struct px_map jobs;
        struct px_map truths; /* hash of (job, fence) -> struct px_result: how the process ended */
        struct px_map once;   /* hash of a key -> it is there (of a key row: its struct row_job) */
        struct px_map principals;
        struct px_map counters; /* hash -> uint64_t */
        struct px_map shapes;   /* -> struct row_shape */
        uint64_t key_of_job;    /* a key came before its job */
        uint64_t key_hash;
        uint64_t *touched; /* jobs of this batch */
        size_t touched_count;
        size_t touched_capacity;
        struct px_arena arena;
};

void rows_judge(struct sim *sim, uint64_t index, struct px_slice rows);
void rows_compare(struct sim *sim);
void rows_fini(struct sim *sim);
void rows_truth(struct sim *sim, const struct entry *entry); /* an exit record was written */
struct row_job *rows_job(struct sim *sim, uint64_t id);      /* NULL = there was none */
struct row_principal *rows_principal(struct sim *sim, uint32_t id);
void whole_check(struct sim *sim);
const char *whole_living_node(struct sim *sim);

/* ---- the whole ----------------------------------------------------------------------------------
 */

struct sim {
        struct sim_options options;
        struct sim_stats *stats;
        struct px_rand rand;
        int64_t now_ms;
        int64_t wall_ms; /* added to now_ms and SIM_WALL_START_MS: jumps */
        struct px_heap events;
        struct px_link unused; /* events to be used again */
        struct event *spare;
        uint64_t sequence;
        uint64_t events_done;
        bool faults; /* now */
        uint32_t drop_ppm;
        uint32_t repeat_ppm;
        uint32_t overtake_ppm;
        uint32_t delay_ppm;
        uint32_t flush_ppm;
        bool ending; /* nobody asks for more */
        uint64_t hash;
        struct trace_line lines[TRACE_LINES];
        uint64_t lines_count;
        struct px_buf decisions; /* what trace tests compare */
        struct broker broker;
        struct host *hosts;
        size_t hosts_count;
        struct client *clients;
        size_t clients_count;
        struct follower followers[FOLLOWERS];
        size_t followers_count;
        struct wire stranger; /* of nodes that shouldn't be */
        uint32_t tokens[TOKENS_KEPT]; /* principals made lately, some of them revoked by now */
        size_t tokens_count;
        struct oracle oracle;
        struct judge judge;
        uint64_t about; /* the job that is being judged; 0 = none */
        struct px_buf frame;
        struct px_buf why;
        struct px_arena arena;
};

#endif
