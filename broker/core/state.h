/* SPDX-License-Identifier: Apache-2.0 */
/* state.h - what the broker's core holds in RAM, and how its files call each other.
 * Layer: L2 (broker/core), private to this folder.
 *
 * Rows are the truth, RAM is the index: everything here is either a copy of a row (and then written
 * whole at each change) or rebuilt at start (queues, seats, timers, leases, peers, watches).
 * One file per verb; see the section titles below for who owns what. */
#ifndef PX_CORE_STATE_H
#define PX_CORE_STATE_H

#include "access.h"
#include "core.h"
#include "environment.h"
#include "px_session.h"

#define CORE_ID_BYTES 16 /* cluster, boot and spool ids */
#define CORE_PUBLIC_KEY_BYTES 32
#define CORE_KEY_HASH_BYTES 16
#define CORE_BLOB_BYTES 32
#define CORE_BACKOFF_MAX_MS 3600000
#define CORE_LOST_AFTER_MS 3600000
#define CORE_POLICY_MS_MAX (366LL * 24 * 3600 * 1000) /* largest backoff, lost_after */
#define CORE_REFUSED_BACKOFF_MS 1000 /* before a job that a node refused is tried again */
#define CORE_GRACE_FORCED_MS 1       /* of a cancel by force */

/* Flags of a job beside those in its row (rows.h). */
enum {
        JOB_WATCHED = 1024,
};

enum timer_kind {
        TIMER_JOB = 1,
        TIMER_LEASE = 2,
        TIMER_REPEAT = 3,
        TIMER_SESSION = 4,
        TIMER_GATE = 5,
        TIMER_RESERVE = 6,
        TIMER_EXPIRY = 7,
};

/* A time at which something is due; ordered by (due, kind, id), so that runs repeat. */
struct timer {
        struct px_heap_item item;
        int64_t due_ms;
        uint64_t id; /* of the owner: job, node or session */
        uint8_t kind;
};

/* ---- jobs (job.c) ------------------------------------------------------------------------------ */

/* An active job. Everything but ready, more, attempt and JOB_WATCHED is in its row. */
struct job {
        uint64_t id;
        struct px_heap_item ready; /* in its line while it stands there */
        struct job_more *more;     /* NULL while all of it is zero */
        struct attempt *attempt;   /* while assigned, running or cancelling; else NULL */
        struct px_fence fence;     /* of the current or last attempt */
        uint32_t node;             /* of that attempt */
        uint32_t owner;
        uint32_t shape;
        int16_t priority;
        uint16_t failures;
        uint16_t retries;
        uint16_t flags;
        uint16_t spec_chunks;
        uint16_t result_chunks;
        uint8_t state;
        uint8_t reason;
        uint8_t on_lost;
        uint8_t losses; /* in a row */
        int64_t submitted_wall_ms;
        int64_t started_wall_ms;
};
_Static_assert(sizeof(struct job) <= 96, "a hot job is small");

/* What few jobs have. */
struct job_more {
        struct timer timer; /* backoff, start time, or the end of waiting for its node */
        int64_t deadline_ms;
        int64_t start_wall_ms;
        uint64_t backoff_ms;
        uint64_t lost_after_ms;
        uint64_t content;
        uint8_t key[CORE_KEY_HASH_BYTES];
        uint8_t blob[CORE_BLOB_BYTES];
        struct array *array;    /* of an array's head */
        struct job *head;       /* of a task, as the next two: its array */
        struct job *task;
        struct px_link of_head; /* in array->tasks */
        struct timer expiry; /* the end of waiting */
        uint64_t gpus;       /* bit per gpu that the attempt was given */
        uint64_t wait_ms;    /* longest in line; 0 = no limit */
        int64_t wait_until_ms; /* core time, while in line */
        int64_t expires_wall_ms;
};

/* An attempt that a node holds, as far as the core knows. job == NULL: a ghost, an attempt of the
 * node's inventory that is of no interest any more and is being killed. */
struct attempt {
        struct px_link link; /* in node->held */
        struct node *node;
        struct job *job;
        struct shape *shape; /* of the job, as the next; NULL for a ghost */
        struct share *share;
        uint64_t job_id;
        struct px_fence fence;
        uint32_t cpus_milli; /* taken from the node */
        uint64_t memory_bytes;
        uint64_t charged;  /* to the share of its owner */
        int64_t begun_ms;  /* core time of the assignment, or of the load */
        int64_t sent_ms;   /* when ASSIGN or KILL went out last */
        uint64_t grace_ms; /* for KILL */
        bool assigning;    /* ASSIGN repeats until ACCEPT, STARTED or RESULT */
        bool killing;      /* KILL repeats until RESULT */
        uint8_t inventory; /* while a HELLO is read: what it says of this attempt, 0 = nothing */
};

/* Detail of a change of state, for row, event and watchers. {0} = none. */
struct note {
        int event; /* PX_EV_*; 0 = the usual one of the new state; EVENT_NONE */
        int32_t exit_code;
        uint32_t signal;
        struct px_slice node_name;
        struct px_slice text; /* detail in the words of a node or person */
        bool has_result;
        struct px_slice result;
};
#define NOTE_NONE (&(const struct note){.exit_code = -1})
#define EVENT_NONE (-1)
#define NOTE_QUIET (&(const struct note){.event = EVENT_NONE, .exit_code = -1})

struct job *job_find(const struct core *core, uint64_t id);
struct job *job_new(struct core *core, uint64_t id);
struct job_more *job_more(struct core *core, struct job *job); /* made if need be */
void job_free(struct core *core, struct job *job);
/* A new or retried job enters its first state: row, event, queue. */
void job_begin(struct core *core, struct job *job, int state, int reason, const struct note *note);
/* The only way to another state: asserts the edge, writes row and event. Into an ended state the
 * job leaves RAM, its watchers are told, and `job` is dead. */
void job_set_state(struct core *core, struct job *job, int to, int reason, const struct note *note);
/* Same state, other fields: writes the row, and the event unless it is 0. */
void job_changed(struct core *core, struct job *job, int reason, const struct note *note);
/* Where a job that nothing runs belongs now: held, start time, backoff, or queued. */
int job_waits_for(const struct core *core, const struct job *job); /* PX_REASON_NONE = nothing */
/* As what a job joins its line: behind a resource that is used up it is blocked (PX_REASON_SLOT). */
int job_line_reason(const struct core *core, const struct job *job);
/* Nothing but its turn keeps a blocked job any more: it joins its line. Returns its state. */
int job_ready(struct core *core, struct job *job);
/* A task leaves its array: in line in RAM only, the assignment that follows writes its row. */
void job_spring(struct core *core, struct job *task);
void job_put_owner(struct core *core, const struct job *job); /* the index of owners */
void job_deadline(struct core *core, struct job *job, int64_t deadline_ms); /* 0 = none; arms */
void job_timer_fired(struct core *core, uint64_t id);
void job_arm_loaded(struct core *core, struct job *job);
void job_row_of(const struct job *job, struct px_job_row *ret_row);
bool job_of_row(struct core *core, uint64_t id, const struct px_job_row *row, struct job *job);
bool job_row_is_sound(const struct core *core, uint64_t id, const struct px_job_row *row);
bool job_ended(int state);
bool job_on_node(int state); /* assigned, running, cancelling */
uint64_t job_lost_after_ms(const struct job *job);

/* ---- arrays (array.c) ------------------------------------------------------------------------------- */

struct array {
        struct px_array set;  /* in the row of its head */
        struct px_link link;  /* in core->arrays */
        struct job *head;
        struct px_link tasks; /* those that have not ended */
        uint32_t tasks_count;
        bool stopping;        /* its tasks are being cancelled right now */
};

/* Refuses: PX_E_LIMIT, PX_E_INVALID with a text. */
int array_check(const struct px_submit_job *item, struct px_slice *ret_text);
void array_open(struct core *core, struct job *head, const struct px_array *set);
void array_close(struct job_more *more); /* head or task leaves RAM */
bool array_row_is_sound(uint64_t id, const struct px_job_row *row);
bool job_is_array(const struct job *job);
uint32_t array_active(const struct px_array *set);
bool array_may_make(const struct array *array);
/* The next task, in line for the assignment that follows at once. The caller then says array_changed(). */
struct job *array_make(struct core *core, struct job *head);
void array_changed(struct core *core, struct job *head); /* `head` may be dead afterwards */
void arrays_fini(struct core *core);
/* First step after a load: tasks whose rows were damaged are lost. */
void arrays_recount(struct core *core);
bool array_takes(const struct core *core, uint64_t task); /* its array is active and lacks a task */
void array_adopt(struct core *core, struct job *task);
void array_task_ended(struct core *core, struct job *head, int state);
/* No more tasks; those that are there are cancelled. `head` may be dead afterwards. */
void array_stop(struct core *core, struct job *head, const struct px_m_change *change);
/* May an ended task run again? Refuses: PX_E_CONFLICT with a text. */
int array_may_revive(struct core *core, uint64_t id, const char **ret_text);
void array_revive(struct core *core, struct job *task, int ended_state);

/* ---- scheduling --------------------------------------------------------------------------------- */

#include "schedule.h"

struct row_key submit_key(uint32_t owner, struct px_slice key); /* of table key */
struct row_key submit_blob_key(uint32_t owner, struct px_slice blob); /* of table blob */
/* That a job uses a file of the blob store: the file stays while there is such a row. */
struct row_key submit_blob_use_key(uint32_t owner, struct px_slice blob, uint64_t job);

/* ---- nodes (node.c, hello.c), seats (place.c) ------------------------------------------------------ */

/* Nodes that serve the same jobs: commands or one task type, of one principal or of all. */
struct pool {
        int kind; /* enum px_job_kind */
        struct px_slice task_type;
        uint32_t scope; /* principal served; POOL_ALL; POOL_ADMINS */
        struct px_heap seats; /* most free first */
        struct pool *next; /* same hash */
};
#define POOL_ALL 0
#define POOL_ADMINS UINT32_MAX

struct seat {
        struct px_heap_item item;
        struct node *node;
        struct pool *pool;
};

#define NODE_WARM 8

struct node {
        struct px_link link; /* in core->node_list, ids rising */
        uint32_t id;
        uint32_t principal;
        int kind;
        struct px_slice name; /* owned, as all slices here */
        uint8_t boot[CORE_ID_BYTES];
        uint8_t spool[CORE_ID_BYTES];
        bool draining;
        bool stopped; /* said BYE */
        uint64_t session;
        int64_t first_wall_ms;
        int64_t seen_wall_ms;
        uint32_t cpus_milli; /* what it said in its last HELLO, as the next five */
        uint64_t memory_bytes;
        struct px_slice version;
        struct px_slice kill_mode;
        struct px_slice enforces;
        struct px_slice accounts;
        /* from here on RAM only */
        bool connected; /* its session holds: HELLO came, and neither BYE nor a lapse since */
        bool alive;     /* its lease has not lapsed */
        bool stopping;  /* told to stop: gets nothing new until its next HELLO */
        bool dirty;     /* in core->nodes_dirty */
        uint64_t peer;
        uint64_t hello_number; /* correlation of its last HELLO; rises within a boot */
        int64_t word_ms;
        struct timer lease;
        struct timer repeat;
        struct px_link held; /* attempts */
        uint32_t held_count;
        uint32_t cpus_used_milli;
        uint64_t memory_used_bytes;
        uint32_t slots;
        struct px_slice *types;
        size_t types_count;
        struct seat *seats;
        size_t seats_count;
        bool described; /* said what it has since the broker's start: HELLO */
        uint32_t gpus;
        uint16_t gpu_used_milli[PX_LIMIT_GPUS];
        struct px_arena about; /* labels and resources */
        const struct px_label *labels;
        size_t labels_count;
        const struct px_resource *resources;
        uint64_t *resources_used; /* by its jobs; same order */
        size_t resources_count;
        uint64_t warm[NODE_WARM]; /* what it ran lately, latest first */
        bool grown;               /* in core->nodes_grown */
        uint64_t reserved_for;    /* key of a line that waits long; 0 = none */
        struct px_link grown_link;
        struct px_link dirty_link;
        struct px_buf oks;   /* struct px_attempt_key to confirm in this step */
        struct px_buf kills; /* struct px_kill to send in this step */
};

struct node *node_find(const struct core *core, uint32_t id);
struct node *node_named(const struct core *core, struct px_slice name);
int node_state(const struct node *node);
void node_row_put(struct core *core, const struct node *node);
void node_row_of(const struct node *node, struct px_node_row *ret_row);
struct node *node_new(struct core *core, uint32_t id, const struct px_node_row *row);
void node_remove(struct core *core, struct node *node);
void node_event(struct core *core, const struct node *node, int kind, const char *text);
void node_peer(struct core *core, struct node *node, uint64_t peer); /* 0 = none */
void node_word(struct core *core, struct node *node);
void node_peer_gone(struct core *core, struct node *node); /* its lease runs on */
void node_confirm(struct core *core, struct node *node, uint64_t job, struct px_fence fence);
void node_kill(struct core *core, struct attempt *attempt, int why, uint32_t signal);
void node_assign(struct core *core, struct attempt *attempt);
void node_log_open(struct core *core, const struct attempt *attempt);
void node_repeat_arm(struct core *core, struct node *node);
void node_dirty(struct core *core, struct node *node);
void nodes_flush(struct core *core);
void nodes_fini(struct core *core);
void node_lease_fired(struct core *core, uint64_t id);
void node_repeat_fired(struct core *core, uint64_t id);
void node_ghosts_drop(struct core *core, struct node *node);
/* Its attempts are gone for good; proven = the node said that nothing of them is alive. */
void node_attempts_gone(struct core *core, struct node *node, int reason, bool proven);
struct node *node_of_command(struct core *core, uint64_t session); /* NULL = dropped or AGAIN said */
void nodes_lease_anew(struct core *core);

void hello_take(struct core *core, const struct px_m_node_hello *hello);

struct attempt *attempt_new(struct core *core, struct node *node, struct job *job, uint64_t job_id,
                            struct px_fence fence);
void attempt_free(struct core *core, struct attempt *attempt);

void seats_build(struct core *core, struct node *node);
void seats_drop(struct core *core, struct node *node);
void seats_update(struct core *core, struct node *node); /* its room or openness changed */
bool node_serves(const struct core *core, const struct node *node, uint32_t owner);
bool node_open(const struct core *core, const struct node *node);
bool node_has_places(const struct core *core, const struct node *node);
/* A node with room for this job now, or NULL. */
struct node *place_find(struct core *core, const struct line *line, const struct job *job);
void pools_fini(struct core *core);
void schedule(struct core *core); /* assign.c */

/* ---- ends of attempts (result.c) ---------------------------------------------------------------------- */

struct ending {
        int outcome; /* enum px_outcome */
        int reason;
        int32_t exit_code;
        uint32_t signal;
        struct px_slice text;
        struct px_use use;
        uint64_t log_pending_bytes;
        int32_t progress_permille;
        struct px_slice progress_text;
        bool has_result;
        struct px_slice result;
        bool known; /* the node said it; false = the broker concluded it */
        bool final; /* a loss that nothing repeats */
};
/* The current attempt of `job` ended: rows, log, room, next state. `job` may be dead afterwards. */
void attempt_end(struct core *core, struct job *job, const struct ending *ending);
/* Concluded by the broker. */
void attempt_gone(struct core *core, struct job *job, int reason, bool final);
void attempt_unreachable(struct core *core, struct job *job);

/* ---- client sessions and watches (session.c, watch.c) ----------------------------------------------------- */

struct session {
        struct px_link link; /* in core->session_list, in order of their making */
        uint64_t id;
        uint32_t principal;
        bool stored;     /* has a row */
        bool dirty;      /* has ENDs to push in this step */
        uint64_t peer;   /* of its last word; 0 = gone */
        int64_t word_ms; /* core time of its last word */
        int64_t stored_word_ms;
        struct timer timer;
        struct px_answers answers;
        size_t answers_bytes;
        struct px_link watches;
        uint32_t watches_count;
        struct px_link dirty_link;
        struct px_buf ends; /* struct px_end to push in this step */
};

struct watch {
        struct px_link link; /* in session->watches */
        struct session *session;
        uint64_t job;
        struct watch *next; /* of the same job */
};

/* Begin a request of a client: its session, or NULL when it has been answered already. A request
 * that changes something runs once: a repeat gets the remembered answer here. */
struct session *session_begin(struct core *core, struct px_session_id id, uint64_t done_below,
                              bool changes);
/* core->frame is the answer to the current request: remember it, send it. */
void session_answer(struct core *core, struct session *session);
void session_hello(struct core *core, const struct px_m_client_hello *hello);
void session_fired(struct core *core, uint64_t id);
void session_free(struct core *core, struct session *session);
void session_row_of(const struct session *session, struct px_session_row *ret_row);
void sessions_peer_gone(struct core *core, uint64_t peer);
int session_load(struct core *core, uint64_t id, const struct px_session_row *row);
int session_load_answer(struct core *core, struct px_slice key, const struct px_answer_row *row);
void session_loads_end(struct core *core);
void sessions_word_anew(struct core *core);

bool watch_add(struct core *core, struct session *session, struct job *job); /* false: limit */
void watch_end(struct core *core, struct job *job, const struct px_end *end);
void watches_drop(struct core *core, struct session *session);
void watch_flush(struct core *core);
void watch_take(struct core *core, const struct px_m_watch *watch);

/* ---- principals and access (principal.c, token.c, access.c) ------------------------------------------------- */

struct principal {
        struct px_link link; /* in core->principal_list, ids rising */
        uint32_t id;
        int role;
        struct px_slice name; /* owned; kept as long as the core lives */
        uint8_t public_key[CORE_PUBLIC_KEY_BYTES];
        int64_t created_wall_ms;
        int64_t expires_wall_ms;
        uint32_t uses_left;
        bool revoked;
        int enrol_role;
        uint32_t parent;
        uint64_t jobs_count; /* active; RAM only, as the next */
        struct share share;
};

enum verb {
        VERB_READ = 1,    /* a job, or the lists of nodes and figures */
        VERB_CHANGE,      /* a job */
        VERB_SUBMIT,
        VERB_NODES,       /* drain, stop, remove */
        VERB_TOKENS,
};

struct principal *principal_find(const struct core *core, uint32_t id);
struct principal *principal_named(const struct core *core, struct px_slice name);
struct principal *principal_with_key(const struct core *core, struct px_slice public_key);
int principal_role(const struct principal *principal, int64_t wall_ms);
struct px_slice principal_name(const struct core *core, uint32_t id);
void principal_row_of(const struct principal *principal, struct px_principal_row *ret_row);
int principal_load(struct core *core, uint32_t id, const struct px_principal_row *row);
struct principal *principal_make(struct core *core, const struct px_principal_row *row);
void principal_put(struct core *core, const struct principal *principal); /* row and effect */
void principals_fini(struct core *core);
void principal_unname(struct core *core, struct principal *principal);
void principal_event(struct core *core, const struct principal *principal, int kind);
bool name_is_valid(struct px_slice name);

/* The one access function. owner: of the job, 0 = no job. Refuses: PX_E_ABSENT another's job;
 * PX_E_DENIED the role may not. */
int access_check(const struct core *core, const struct principal *principal, enum verb verb,
                 uint32_t owner);

void token_bootstrap(struct core *core, const struct px_m_bootstrap *bootstrap);
void token_make(struct core *core, const struct px_m_token_make *make);
void token_revoke(struct core *core, const struct px_m_token_revoke *revoke);
void token_enrol(struct core *core, const struct px_m_enrol *enrol);

void command_take(struct core *core, const struct core_command *command); /* command.c */

/* ---- requests ------------------------------------------------------------------------------------------------ */

void submit_take(struct core *core, const struct px_m_submit *submit);   /* submit.c */
/* The environment that the jobs of a SUBMIT name (share.c): {0}, share_add() for each job that is
 * accepted, share_flush() at the end. */
struct sharing {
        bool open;
        struct row_key key;
        struct px_slice bytes;
        struct px_environment_row row;
};
void share_add(struct core *core, struct sharing *sharing, struct px_slice environment);
void share_flush(struct core *core, struct sharing *sharing);
void share_release(struct core *core, uint64_t job); /* it is purged; its rows are still there */
void change_take(struct core *core, const struct px_m_change *change);   /* change.c */
void job_cancel(struct core *core, struct job *job, const struct px_m_change *change); /* not a head */
void retention_take(struct core *core, const struct px_m_retention *retention);
void node_change_take(struct core *core, const struct px_m_node_change *change); /* drain.c */
void query_nodes(struct core *core, const struct px_m_nodes *query);     /* query.c */
void query_status(struct core *core, const struct px_m_status *query);
void query_tokens(struct core *core, const struct px_m_tokens *query);
/* Would this submission be accepted, but for its key? Refuses with a text that lives as long as the
 * output. Changes nothing. */
int submit_check(struct core *core, const struct px_submit_job *item,
                 struct px_shape_row *ret_request, struct px_slice *ret_text);
void why_take(struct core *core, const struct px_m_why *why);            /* why.c */
void progress_keep_take(struct core *core, const struct px_m_progress_keep *keep); /* progress.c */
void progress_drop(struct core *core, struct job *job); /* its attempt ends */
void try_take(struct core *core, const struct px_m_try *asked);
void reasons_take(struct core *core, const struct px_m_reasons *asked);
void accept_take(struct core *core, const struct px_m_accept *accept);   /* accept.c */
void started_take(struct core *core, const struct px_m_started *started);
void result_take(struct core *core, const struct px_m_result *result);   /* result.c */
void bye_take(struct core *core, const struct px_m_node_bye *bye);       /* node.c */

/* An ended job, from the facts of the command. */
bool ended_find(struct core *core, uint64_t id, struct px_job_row *ret_row);
void ended_end(struct core *core, uint64_t id, const struct px_job_row *row, struct px_end *ret_end);

/* ---- timers (timer.c) ------------------------------------------------------------------------------------------- */

void timer_arm(struct core *core, struct timer *timer, uint8_t kind, uint64_t id, int64_t due_ms);
void timer_disarm(struct core *core, struct timer *timer);
void timers_fire(struct core *core);
void timers_init(struct core *core);

/* ---- output (output.c) and facts (fact.c) ------------------------------------------------------------------------- */

void put_row(struct core *core, uint8_t table, const struct row_key *key, struct px_slice value);
void put_row_chunks(struct core *core, uint8_t table, uint64_t job, struct px_slice bytes);
void delete_row(struct core *core, uint8_t table, const struct row_key *key);
void put_event(struct core *core, struct px_event *event); /* number and time are filled in */
struct core_effect *put_effect(struct core *core, uint8_t kind, uint64_t peer);
void put_frame(struct core *core, uint64_t peer); /* sends core->frame */
void refuse(struct core *core, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4))); /* the current command, as a whole */
void say_again(struct core *core);
/* Text that lives as long as the output. */
struct px_slice output_text(struct core *core, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
/* Format m into core->frame. */
#define FRAME(core, message, m, correlation)                                                       \
        (px_buf_reset(&(core)->frame), px_m_##message##_frame(m, correlation, 0, &(core)->frame))

/* The newest value of a row that RAM doesn't hold: written in this step, else the command's facts. */
bool fact_find(struct core *core, uint8_t table, const struct row_key *key,
               struct px_slice *ret_value);
struct overlay {
        struct px_map rows;
        size_t offset; /* rows of the output up to here are in */
};
void overlay_reset(struct core *core);

/* ---- memory (slab.c) -------------------------------------------------------------------------------------------------- */

struct slab {
        size_t bytes; /* of an item */
        void *free;
        void *blocks;
        size_t used;
};
void slab_init(struct slab *slab, size_t bytes);
void slab_fini(struct slab *slab);
void *slab_take(struct slab *slab); /* zeroed */
void slab_give(struct slab *slab, void *item);
struct px_slice slice_own(struct px_slice slice); /* a copy; free with slice_drop() */
void slice_drop(struct px_slice *slice);

/* ---- active jobs by id (job_table.c) ------------------------------------------------------------------------------------ */

struct job_page;
struct job_table {
        struct px_map pages; /* -> struct job_page */
        struct slab slab;    /* of pages */
        size_t count;
};
struct job_cursor { /* {0} to begin */
        size_t pages;
        const struct job_page *page;
        size_t slot;
};
void job_table_init(struct job_table *table);
void job_table_fini(struct job_table *table);
struct job *job_table_find(const struct job_table *table, uint64_t id); /* NULL = none */
void job_table_put(struct job_table *table, struct job *job);
void job_table_take(struct job_table *table, const struct job *job);
/* The next job, in an order of its own; NULL after the last. Nothing may be put or taken meanwhile. */
struct job *job_table_next(const struct job_table *table, struct job_cursor *cursor);
void check_schedule(const struct core *core); /* check_schedule.c */

/* ---- the whole ---------------------------------------------------------------------------------------------------------- */

#define CORE_STATES (PX_JOB_STATE_SKIPPED + 1)

struct core {
        struct core_options options;
        int64_t core_ms; /* of the current or last batch, as the next two */
        int64_t wall_ms;
        uint64_t index;
        int64_t begun_ms; /* core time of the first step */
        bool begun;
        bool loading;
        bool storage_full;
        struct px_rand rand; /* seeded by each batch */

        struct px_core_row stored; /* as written last */
        bool has_stored;
        uint64_t next_job;
        uint32_t next_principal;
        uint32_t next_node;
        uint32_t next_shape;
        uint8_t cluster[CORE_ID_BYTES];
        bool has_cluster;
        uint64_t next_session; /* counter of this epoch */

        uint64_t loading_session; /* of the answer being joined from its rows */
        uint64_t loading_number;
        uint16_t loading_type;

        struct slab job_slab;
        struct slab more_slab;
        struct slab attempt_slab;
        struct slab watch_slab;
        struct job_table jobs;
        uint64_t state_counts[CORE_STATES];
        struct px_link arrays;
        uint64_t ended_count; /* since the start */

        struct px_map shapes;         /* id -> struct shape */
        struct px_map shapes_by_hash; /* -> struct shape, chained */
        struct px_link shapes_unused; /* longest unused first */
        size_t shapes_unused_count;
        struct px_map lines;          /* shape << 32 | owner -> struct line */
        struct px_heap turns;         /* shares with open lines */
        struct waiting *waiting;      /* lines that no node has room for */
        size_t waiting_count;
        size_t waiting_capacity;
        struct line **candidates;     /* of those, what fits the node that is offered */
        size_t candidates_count;
        size_t candidates_capacity;
        struct node *offered;
        struct px_link nodes_grown;
        int64_t shares_period;
        struct timer reserve_timer;
        size_t reserved_count;        /* nodes */
        uint64_t nodes_version;       /* rises when what nodes could run changes */
        struct px_map gates;          /* id -> struct gate */
        struct px_map gates_by_name;
        struct px_link gate_list;
        uint32_t next_gate;
        struct px_map pools; /* hash -> struct pool, chained */

        struct px_map nodes; /* id -> struct node */
        struct px_map nodes_by_name;
        struct px_map nodes_by_peer;
        struct px_link node_list;
        struct px_link nodes_dirty;

        struct px_map principals; /* id -> struct principal */
        struct px_map principals_by_name; /* not revoked */
        struct px_map principals_by_key;
        struct px_link principal_list;

        struct px_map sessions; /* id -> struct session */
        struct px_map sessions_by_peer;
        struct px_link session_list;
        struct px_link sessions_dirty;
        struct px_map watches; /* job -> first struct watch */

        struct px_heap timers;

        /* of the current step */
        struct core_output *output;
        const struct core_command *command;
        struct principal *principal; /* who sent it */
        struct session *request; /* a request that runs once is under way: its session */
        size_t fact_hint;
        struct overlay overlay;
        struct px_arena scratch; /* decoded message; reset for each command */
        struct px_arena item;    /* of one item of a batch */
        struct px_buf frame;
        struct px_buf bytes; /* a row or event being encoded */
        struct px_buf words; /* a reason being worded */
};

#endif
