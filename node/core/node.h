/* SPDX-License-Identifier: Apache-2.0 */
/* node.h - the node as a function of (state, inputs, time): which attempts it holds, what it tells the
 * broker, which log bytes go next. Layer: L2 (node/core): pure; the link (node/link) reads sockets,
 * keepers and clocks, feeds node_step() and carries its effects out. The simulator runs the same code.
 *
 * Rules (DESIGN 5, 7): an attempt's entry is durable in the spool before ACCEPT; an attempt is in the
 * inventory from then until RESULT_OK; results are repeated until RESULT_OK; a stale fence is killed
 * before a newer attempt of the same job starts; nothing is killed for silence.
 *
 * Greetings (why they are safe): an inventory is true of the moment it was written. So a node follows
 * only the WELCOME that answers its latest HELLO (HELLO's correlation is a time, WELCOME repeats it);
 * what arrives between HELLO and WELCOME is dropped; an attempt whose entry wasn't durable at HELLO
 * is not in the inventory, and starts only if it is assigned again. */
#ifndef PX_NODE_H
#define PX_NODE_H

#include "px_base.h"
#include "px_codec.h"
#include "px_schema.h"

struct node; /* opaque */

struct node_options {
        const char *name;
        struct px_slice boot;  /* 16 bytes: this boot of the machine */
        struct px_slice spool; /* 16 bytes: this spool directory */
        struct px_slice cluster; /* 16 bytes, or empty before the first WELCOME */
        uint64_t epoch_seen;   /* highest broker epoch seen, from the spool's identity file */
        uint32_t cpus_milli;
        uint64_t memory_bytes;
        const char *version;
        const char *kill_mode;
        const char *enforces;
        const char *accounts;
        uint64_t log_credit_bytes; /* unacknowledged log bytes in flight of all attempts; 4 MiB */
        uint64_t log_wait_ms;      /* how long an ended attempt waits for its log to be stored; 10000 */
        uint64_t seed;
        int kind;                      /* enum px_node_kind; 0 = node */
        const struct px_slice *types;  /* task types of a worker; copied */
        size_t types_count;
        uint32_t slots; /* attempts at once; 0 = by cpus */
        uint32_t gpus;
        const struct px_label *labels; /* these two: borrowed as long as the node lives */
        size_t labels_count;
        const struct px_resource *resources;
        size_t resources_count;
};

struct node *node_new(const struct node_options *options, int64_t now_ms);
void node_free(struct node *node);

/* Before the first step: an attempt directory found in the spool. `ended` non-NULL = it has an exit
 * record. Lengths are what lies in the spool; stored is what the broker had confirmed (0 = unknown).
 * Neither running nor ended = it never ran: it is left out of the inventory and removed by the first
 * step, and the broker assigns it again if it still wants it (its fence may be stale by now). */
struct node_found {
        struct px_job_id job;
        struct px_fence fence;
        bool running; /* its keeper lives */
        uint32_t cpus_milli;
        uint64_t memory_bytes;
        int64_t started_wall_ms;
        uint64_t length[3]; /* by enum px_stream: [1] out, [2] err */
        uint64_t stored[3];
        int on_lost;
        uint64_t lost_after_ms;
        const struct px_result *ended;
};
void node_adopt(struct node *node, const struct node_found *found);

/* ---- inputs ------------------------------------------------------------------------------------------ */

enum node_input_kind {
        NODE_IN_TIME = 1,  /* nothing but time passed */
        NODE_IN_CTL,       /* a message on the node socket: frame */
        NODE_IN_DATA,      /* a message on the data socket: frame */
        NODE_IN_ENTERED,   /* the attempt's entry is durable in the spool */
        NODE_IN_STARTED,   /* its process runs: wall_ms */
        NODE_IN_REFUSED,   /* it can't be started here: code (PX_E_*), text */
        NODE_IN_GREW,      /* the spool of stream now holds length bytes */
        NODE_IN_PROGRESS,  /* permille, text */
        NODE_IN_ENDED,     /* nothing of it is alive: result (lengths and drops in result.use) */
        NODE_IN_SHUTDOWN,  /* the link stops; kill = end all attempts first */
};

struct node_input {
        enum node_input_kind kind;
        struct px_slice frame;    /* NODE_IN_CTL, NODE_IN_DATA: whole body frame */
        struct px_job_id job;     /* the others: which attempt */
        struct px_fence fence;
        int stream;               /* enum px_stream */
        uint64_t length;
        int64_t wall_ms;
        int code;
        struct px_slice text;
        int32_t permille;
        const struct px_result *result;
        bool kill;
        uint32_t load_milli;        /* NODE_IN_TIME, if known: for the next ping */
        uint64_t memory_free_bytes;
};

/* ---- effects -------------------------------------------------------------------------------------------- */

enum node_effect_kind {
        NODE_EFFECT_SEND_CTL = 1, /* frame on the node socket */
        NODE_EFFECT_SEND_DATA,    /* frame on the data socket */
        NODE_EFFECT_SHIP,         /* read [offset, offset + length) of stream from the spool and send it
                                   * as LOG_DATA (sync as given) on the data socket */
        NODE_EFFECT_ENTER,        /* make the attempt's entry from assign (spec included), then
                                   * NODE_IN_ENTERED or NODE_IN_REFUSED */
        NODE_EFFECT_START,        /* start its keeper (which counts from its start until the first
                                   * CONTACT), then STARTED or REFUSED */
        NODE_EFFECT_KILL,         /* TERM, grace_ms, KILL; then ENDED */
        NODE_EFFECT_SIGNAL,       /* send signal */
        NODE_EFFECT_TRIM,         /* bytes of stream below offset are stored at the broker */
        NODE_EFFECT_REMOVE,       /* forget the attempt's directory */
        NODE_EFFECT_CONTACT,      /* the broker had heard us ago_ms ago: tell the keepers of
                                   * on_lost=fail attempts, who count from then */
        NODE_EFFECT_IDENTITY,     /* remember cluster and epoch in the spool's identity file */
        NODE_EFFECT_RENEW,        /* close and reopen both sockets */
        NODE_EFFECT_EXIT,         /* all said: the link may end */
        NODE_EFFECT_DENIED,       /* the broker refused our greeting: code, text; we go on greeting */
};

struct node_effect {
        enum node_effect_kind kind;
        struct px_slice frame;
        struct px_job_id job;
        struct px_fence fence;
        int stream;
        uint64_t offset;
        uint64_t length;
        bool sync;
        uint64_t grace_ms; /* 0 = as specified */
        uint32_t signal;
        int why;           /* enum px_kill_why */
        struct px_assign assign; /* NODE_EFFECT_ENTER; slices live until the next step */
        struct px_slice cluster; /* NODE_EFFECT_IDENTITY */
        uint64_t epoch;
        uint64_t ago_ms; /* NODE_EFFECT_CONTACT */
        int code;        /* NODE_EFFECT_DENIED */
        struct px_slice text;
};

struct node_effects {
        struct node_effect *items;
        size_t count;
        size_t capacity;
        struct px_arena arena; /* what slices point into; reset by the next step */
};
void node_effects_fini(struct node_effects *effects);

/* One input, then all that is due at now_ms (monotonic of this boot, > 0, never going back).
 * effects is reset first. */
void node_step(struct node *node, int64_t now_ms, const struct node_input *input,
               struct node_effects *effects);
int64_t node_deadline_ms(const struct node *node);
size_t node_attempts_count(const struct node *node);
bool node_connected(const struct node *node);
void node_check(const struct node *node); /* asserts its invariants */

#endif
