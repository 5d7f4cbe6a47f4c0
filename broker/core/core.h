/* SPDX-License-Identifier: Apache-2.0 */
/* core.h - the broker as a function of (state, commands, time). Layer: L2 (broker/core): no clock,
 * socket, file, thread, randomness or environment inside; all of that arrives in the batch.
 *
 * core_step() takes a batch of commands (messages as they came from the wire, with the principal the
 * shell authenticated) and gives a write-set, events and effects. The shell hands rows and events to
 * the log and carries the effects out only after the log says that the batch is durable. Equal
 * states and equal batches give equal outputs, byte for byte. */
#ifndef PX_CORE_H
#define PX_CORE_H

#include "px_base.h"
#include "px_codec.h"
#include "px_schema.h"
#include "rows.h"

struct core; /* opaque; one per broker */

#define CORE_KEY_KEEP_MS (7LL * 24 * 3600 * 1000)

struct core_options {
        uint64_t epoch;            /* of this broker start; larger than every earlier one */
        uint64_t heartbeat_ms;     /* told to peers; 2000 */
        uint64_t lease_ms;         /* node silent this long = unreachable; 14000 */
        uint64_t session_ms;       /* client session silent this long is forgotten; 25 h */
        uint64_t assign_repeat_ms; /* ASSIGN or KILL not answered this long is sent again; 3000 */
        uint32_t node_port;        /* told in WELCOME; 0 over local sockets */
        uint32_t data_port;
        uint32_t events_port;
        uint64_t jobs_max;         /* PX_LIMIT_JOBS unless a test says otherwise */
        uint64_t key_keep_ms;      /* idempotency keys live at least so long; 0 = CORE_KEY_KEEP_MS */
        uint32_t shapes_kept;      /* shapes that no job needs and that are kept; 0 = 1024 */
        uint32_t prefetch_tasks;   /* task attempts a worker may hold beyond its slots; 0 */
        struct px_slice broker_public; /* told in WELCOME, for tokens; 32 bytes that outlive the core,
                                        * or none */
};

struct core *core_new(const struct core_options *options); /* Owns: free with core_free() */
void core_free(struct core *core);

/* ---- loading: once, before the first step ------------------------------------------------------ */

/* Tables whose rows core_load_row() wants, in this order: meta (row "core"), principal, node, shape,
 * session, answer, job. A table never spans two calls out of order.
 * Refuses: PX_E_DAMAGED the row does not decode or contradicts another; nothing has changed, and the
 * caller sets the row aside by name. */
extern const uint8_t core_load_tables[];
extern const size_t core_load_tables_count;
int core_load_row(struct core *core, uint8_t table, struct px_slice key, struct px_slice value);
/* All rows are in. Time continues from the stored core time plus the wall time passed (0 to 30 days);
 * every node's lease begins anew in full when the first batch is stepped. */
void core_load_end(struct core *core, int64_t wall_ms);

/* The ports told in WELCOME from now on; they are known only after binding, which follows the load. */
void core_set_ports(struct core *core, uint32_t node_port, uint32_t data_port,
                    uint32_t events_port);

/* ---- commands ------------------------------------------------------------------------------------ */

enum core_origin {
        CORE_FROM_CLIENT = 1, /* socket cmd */
        CORE_FROM_NODE = 2,   /* socket node */
        CORE_FROM_SHELL = 3,  /* TICK, PEER_GONE, STORAGE, RETENTION, BOOTSTRAP */
};

/* A row that a command needs and RAM doesn't hold, read by the shell just before the step. */
struct core_fact {
        uint8_t table;
        struct px_slice key;
        bool found;
        struct px_slice value;
};

struct core_command {
        uint8_t origin;
        uint64_t peer; /* the shell's handle of the connection; never reused; 0 = the shell itself */
        struct px_principal_id principal;
        struct px_wire_header header;
        struct px_slice body; /* behind the 16-byte header */
        const struct core_fact *facts;
        size_t facts_count;
};

struct core_batch {
        uint64_t epoch;
        uint64_t index;  /* 1 more than that of the last batch that changed something persistent (a
                          * batch without rows and events gives its number to the next one, so that
                          * pings need no flush); continues over restarts */
        int64_t core_ms; /* monotonic; never goes back */
        int64_t wall_ms; /* UTC, for display and start times only */
        uint64_t seed;   /* randomness for jitter */
        const struct core_command *commands;
        size_t commands_count;
};

/* Which rows should be handed in as facts with this command: (table, key) pairs, appended to keys
 * in the format of rows.h (operation ROWS_PUT, empty value). A malformed command wants nothing.
 * Ask again with the facts filled in until nothing is appended: an ended job's row says which
 * attempt and result rows END needs (at most three rounds). */
void core_wants(const struct core *core, const struct core_command *command, struct px_buf *keys);

/* ---- output ---------------------------------------------------------------------------------------- */

enum core_effect_kind {
        CORE_EFFECT_SEND = 1,       /* frame (and payload) to peer */
        CORE_EFFECT_ASSIGN = 2,     /* assign to peer; the shell reads the spec rows of assign.job, joins
                                     * the chunks into assign.spec, takes assign.name from its name row
                                     * if there is one, and may put assigns of one peer and node_session
                                     * into one ASSIGN message */
        CORE_EFFECT_LOG_OPEN = 3,   /* log of this attempt may come in now: open; said again when a node
                                     * comes back, then it changes nothing for what is open */
        CORE_EFFECT_LOG_CLOSE = 4,  /* attempt ended (or was fenced off): close */
        CORE_EFFECT_JOB_END = 5,    /* the job ended: followers may end when its log is complete */
        CORE_EFFECT_JOB_PURGED = 6, /* forget its logs */
        CORE_EFFECT_PRINCIPALS = 7, /* keys changed: rebuild the table of keys */
        CORE_EFFECT_PEER_DROP = 8,  /* forget this peer; its next word is answered AGAIN */
};

struct core_log_open {
        struct px_job_id job;
        struct px_fence fence;
        struct px_principal_id owner;
        struct px_principal_id node_principal; /* who may send its log */
        struct px_node_id node;
        struct px_slice node_name;
};

struct core_log_close {
        struct px_job_id job;
        struct px_fence fence;
        struct px_use use;           /* final lengths and what was dropped */
        uint64_t log_pending_bytes;  /* not stored when the node gave up waiting */
        bool known;                  /* false = lost or fenced: lengths are what arrived */
};

struct core_job_end {
        struct px_job_id job;
        struct px_fence fence; /* of the last attempt; attempt 0 = none ran */
        int state;
};

struct core_effect {
        uint8_t kind; /* enum core_effect_kind */
        uint64_t peer;
        union {
                struct {
                        struct px_slice frame;
                        struct px_slice payload;
                } send;
                struct {
                        uint64_t node_session;
                        struct px_assign item; /* without spec and name */
                } assign;
                struct core_log_open log_open;
                struct core_log_close log_close;
                struct core_job_end job_end;
                struct px_job_id job_purged;
        };
};

/* Owned by the caller, who may reuse it; slices inside live until the next core_output_reset(). */
struct core_output {
        uint64_t index;
        struct px_buf rows;   /* write-set, rows.h */
        struct px_buf events; /* each: u32 big endian length, then an encoded struct px_event */
        uint32_t events_count;
        struct core_effect *effects;
        size_t effects_count;
        size_t effects_capacity;
        struct px_arena arena;
};
void core_output_fini(struct core_output *output);
void core_output_reset(struct core_output *output);

/* Step. output is reset first. A batch without rows and events changed nothing persistent; its
 * effects still wait for the batches before it. */
void core_step(struct core *core, const struct core_batch *batch, struct core_output *output);

/* When core_step() should be called next even if no command arrives; INT64_MAX = never.
 * Units: core_ms. */
int64_t core_deadline_ms(const struct core *core);

/* ---- questions, never changing anything ----------------------------------------------------------- */

/* The stored key table, for the shell's snapshot. Walk: *cursor = 0 to begin. */
struct core_principal {
        struct px_principal_id id;
        struct px_slice name; /* borrowed until the next step */
        struct px_slice public_key;
        int role; /* PX_ROLE_DEAD when revoked or expired at wall_ms */
};
bool core_principal_next(const struct core *core, size_t *cursor, int64_t wall_ms,
                         struct core_principal *ret_principal);

uint64_t core_jobs_count(const struct core *core);   /* active */
int64_t core_now_ms(const struct core *core);        /* of the last step, or of the load */
uint64_t core_index(const struct core *core);        /* of the last step that changed something */

/* Verify every invariant of the whole state; asserts with words on a breach. */
void core_check(const struct core *core);
/* Hash of the persistent part: equal for a live core and one loaded from its rows. */
uint64_t core_digest(const struct core *core);

#endif
