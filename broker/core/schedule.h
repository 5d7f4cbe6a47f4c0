/* SPDX-License-Identifier: Apache-2.0 */
/* schedule.h - which job goes where next: shapes, lines, shares, gates, room. Layer: L2 (broker/core),
 * private to this folder; part of state.h. Source: DESIGN 8.
 *
 *   shape   equal requests of active jobs (shape.c)
 *   line    the ready jobs of one shape and one principal, best first (line.c). It is open (worth
 *           trying), waits for room (what no node has now), or is parked at a gate that is shut
 *   share   of a principal: its open lines, and what it used lately (fair.c). Among equal priorities
 *           the share that used least, by its weight, goes first
 *   gate    a limit for all nodes together: of a user, queue or module, or a resource of the mesh
 *           (gate.c)
 *   room    what a node has, and what of it is free (room.c)
 *
 * A node that gained room is offered to the lines that wait, the best of those that fit first; an
 * open line looks for a node (place.c). claim_next() merges both, strictly by rank (claim.c). All of
 * it is RAM only, but for the rows of shapes and gates. */
#ifndef PX_CORE_SCHEDULE_H
#define PX_CORE_SCHEDULE_H

struct core;
struct job;
struct node;
struct attempt;
struct principal;
struct gate;

/* ---- shapes (shape.c) ---------------------------------------------------------------------------- */

struct shape_gate {
        struct gate *gate;
        uint64_t amount; /* of a resource; 1 else */
};

/* Held by active jobs: an ended one carries its request in its row. */
struct shape {
        uint32_t id;
        uint64_t jobs_count;  /* active jobs that need it */
        struct px_link link;  /* in core->shapes_unused while there are none */
        struct px_link lines;
        struct px_slice bytes;    /* the request, encoded; owned */
        struct px_shape_row need; /* decoded: texts stand in bytes, lists in `lists` */
        void *lists;
        struct shape_gate *gates; /* of its queue, its module, its resources of the mesh */
        size_t gates_count;
        struct px_resource *resources; /* the rest of need.resources: of the node */
        size_t resources_count;
        bool plain;           /* it needs cpus and memory only: any node with room will do */
        bool able;            /* a node could run it, as of able_version */
        uint64_t able_version;
        uint64_t warm;        /* hash of what warms a node for it; 0 = nothing */
        uint64_t running;     /* attempts on nodes */
        uint64_t run_ms;      /* lately, between assignment and end; 0 = none ended yet */
        uint64_t gap_ms;      /* lately, between two assignments; 0 = unknown */
        int64_t assigned_ms;  /* core time of the last one; 0 = none since the start */
        struct shape *next;   /* same hash */
};

struct shape *shape_find(const struct core *core, uint32_t id);
/* The shape of a request, made (with its row) if new. NULL: PX_LIMIT_SHAPES. */
struct shape *shape_intern(struct core *core, const struct px_shape_row *request);
bool shape_has_room(struct core *core, const struct px_shape_row *request);
bool shape_load(struct core *core, uint32_t id, const struct px_shape_row *row);
/* An active job needs it, and no more: what no job needs is forgotten, the longest unused first. */
void shape_hold(struct core *core, const struct job *job);
void shape_release(struct core *core, const struct job *job);
/* A shape that stands for itself, for questions: in no map, without a row. */
struct shape *shape_alone(struct core *core, const struct px_shape_row *request);
void shape_free(struct shape *shape);
const struct shape *shape_known(const struct core *core, const struct shape *alone); /* or NULL */
/* One that may be interned if its request is new; NULL when it is. */
struct shape *shape_of_request(struct core *core, const struct px_shape_row *request);
struct px_slice shape_module(const struct px_shape_row *need);
struct px_slice shape_queue(const struct px_shape_row *need);
void shapes_init(struct core *core);
void shapes_fini(struct core *core);

/* ---- shares (fair.c) ---------------------------------------------------------------------------- */

struct share {
        struct px_heap open;      /* its open lines, best first */
        struct px_heap_item turn; /* in core->turns while it has any */
        uint64_t used;            /* cpu time by weight, halved every hour */
        uint64_t running;         /* attempts on nodes */
        struct gate *gate;        /* its limits; NULL = none */
};

void share_init(struct share *share);
void share_fini(struct share *share);
/* An attempt begins (what it may take is charged) and ends (what it took is). */
void share_enter(struct core *core, struct attempt *attempt);
void share_leave(struct core *core, const struct attempt *attempt);
void shares_decay(struct core *core);
int share_priority_max(const struct share *share);
void shares_init(struct core *core);
uint32_t share_permille(const struct core *core, const struct share *share);

/* ---- lines (line.c) ------------------------------------------------------------------------------ */

enum line_place {
        LINE_EMPTY = 0,
        LINE_OPEN,    /* in share->open */
        LINE_WAITING, /* in core->waiting: no node has room for it */
        LINE_PARKED,  /* in gate->parked */
};

struct line {
        struct px_heap_item item; /* in share->open */
        struct px_link parked;    /* in gate->parked */
        struct px_link of_shape;  /* in shape->lines */
        struct shape *shape;
        struct share *share;
        struct gate *gate; /* at which it is parked */
        uint32_t owner;
        uint8_t place;       /* enum line_place */
        size_t waiting_at;   /* index in core->waiting */
        int64_t waiting_ms;  /* core time since when its best job found no room; 0 = not waiting */
        struct px_heap ready;
};

/* A line that waits, and what tells most nodes apart at a glance. */
struct waiting {
        uint32_t cpus_milli;
        uint32_t gpus_milli;
        uint64_t memory_bytes;
        struct line *line;
        const struct share *share;
        const struct job *best; /* the first of the line */
};

/* May stand in a line: queued, or blocked for a resource of the mesh only. */
bool job_in_line(const struct job *job);
void line_add(struct core *core, struct job *job);
void line_remove(struct core *core, struct job *job);
void line_take(struct core *core, struct line *line, struct job *job); /* the same, of this line */
void line_reorder(struct core *core, struct job *job, int16_t priority);
struct line *line_find(const struct core *core, uint32_t shape, uint32_t owner);
struct job *line_first(const struct line *line); /* not empty */
bool job_before(const struct job *a, const struct job *b); /* of one owner */
bool line_before(const struct line *a, const struct line *b); /* of any owners */
bool waiting_before(const struct waiting *a, const struct waiting *b); /* the same order */
struct line *line_open_first(const struct core *core); /* the best open line, or NULL */
void line_open(struct core *core, struct line *line);
void line_wait(struct core *core, struct line *line);
void line_park(struct core *core, struct line *line, struct gate *gate);
void line_drop(struct core *core, struct line *line); /* empty */
void lines_fini(struct core *core);

/* ---- gates (gate.c, limits.c) -------------------------------------------------------------------- */

struct gate {
        struct px_link link; /* in core->gate_list, ids rising */
        uint32_t id;
        struct px_gate set; /* as stored; its name is owned */
        uint64_t running;   /* attempts of its shapes on nodes; of a user see its share */
        uint64_t jobs;      /* active jobs of its shapes */
        uint64_t used;      /* units */
        uint64_t starts_milli; /* thousandths of a start that the rate has saved */
        int64_t starts_ms;     /* as of this core time */
        struct timer timer;    /* when the rate allows the next one */
        struct px_link parked; /* lines */
};

struct gate *gate_find(const struct core *core, int kind, struct px_slice name);
/* Why a gate lets no further job through; 0 = it does. Units: amount of a resource. */
int gate_shut(const struct core *core, const struct gate *gate, const struct share *share,
              uint64_t amount);
/* The first gate that keeps a job of this shape and share waiting, or NULL. */
struct gate *gates_shut(const struct core *core, const struct shape *shape,
                        const struct share *share, int *ret_reason);
/* A job's attempt goes through all its gates; and comes back. */
void gates_enter(struct core *core, struct shape *shape, struct share *share);
void gates_leave(struct core *core, struct shape *shape, struct share *share);
void gate_timer_fired(struct core *core, uint64_t id);
void gate_rate_arm(struct core *core, struct gate *gate);
void gate_wake(struct core *core, struct gate *gate);
uint64_t gate_running(const struct gate *gate, const struct share *share);
struct gate *gate_new(struct core *core, const struct px_gate *set);
void gate_remove(struct core *core, struct gate *gate);
/* Jobs that hold it; returns their number, at most `room`. */
size_t gate_holders(const struct core *core, const struct gate *gate, struct px_job_id *ret_ids,
                    size_t room);
/* Find the gates of a shape anew, and what of its resources is of the node. */
void shape_link_gates(const struct core *core, struct shape *shape);
void gates_init(struct core *core);
void gates_fini(struct core *core);
int gate_load(struct core *core, uint32_t id, const struct px_gate_row *row);
void limits_set(struct core *core, const struct px_m_gate_set *set); /* messages: limits.c */
void limits_list(struct core *core, const struct px_m_gates *query);

/* ---- room (room.c) ------------------------------------------------------------------------------- */

/* Could the node run it when empty? Says nothing about whether it is there. */
bool node_takes_type(const struct node *node, struct px_slice type);
bool room_could_fit(const struct node *node, const struct shape *shape);
/* Has it room now? */
bool room_fits(const struct core *core, const struct node *node, const struct shape *shape,
               uint32_t owner);
/* The gpus to give: a bit each; 0 = there are none free. */
uint64_t room_gpus_pick(const struct node *node, uint32_t gpus_milli);
void room_take(struct attempt *attempt);
void room_take_ghost(struct attempt *ghost, uint32_t cpus_milli, uint64_t memory_bytes);
void room_give(struct attempt *attempt);
/* Count anew what is taken: the node or the gates changed. */
void room_recount(struct node *node);
const struct px_label *room_label(const struct node *node, struct px_slice key);
bool room_constraint_holds(const struct node *node, const struct px_constraint *constraint);
bool room_labels_fit(const struct node *node, const struct shape *shape);
uint64_t room_resource_total(const struct node *node, struct px_slice name);
uint64_t room_resource_used(const struct node *node, struct px_slice name);
uint32_t room_free_cpus_milli(const struct node *node);
bool room_apart_taken(const struct node *node, const struct shape *shape, uint32_t owner);
void room_warm_add(struct node *node, uint64_t warm);
bool room_is_warm(const struct node *node, const struct shape *shape);

/* ---- claims (claim.c), reservations (reserve.c), limits of waiting (expiry.c) -------------------- */

struct claim {
        struct job *job;
        struct node *node;
        struct line *line;
};

/* The next decision: who goes where. Lines that cannot go are put aside on the way. False: nobody. */
bool claim_next(struct core *core, struct claim *ret_claim);
/* The job leaves its line and takes room, gates and share; it has an attempt then. */
struct attempt *claim_take(struct core *core, const struct claim *claim);
void node_grew(struct core *core, struct node *node);
void node_ungrow(struct core *core, struct node *node);
void candidate_forget(struct core *core, const struct line *line);

/* May this line have the node, as far as reservations say? */
bool reserve_allows(const struct node *node, const struct line *line);
void reserve_fired(struct core *core);
void reserve_drop(struct core *core, const struct line *line);
void reserve_forget(struct core *core, struct node *node); /* it goes */
void reserve_arm(struct core *core);

/* The name nearest to one that isn't there, as "; did you mean X?", or nothing (nearest.c). */
struct px_slice nearest_user(struct core *core, struct px_slice name);
struct px_slice nearest_queue(struct core *core, struct px_slice name);
struct px_slice nearest_resource(struct core *core, struct px_slice name);
struct px_slice nearest_label(struct core *core, struct px_slice key);

/* What a submission asks of nodes and limits (request.c): its shape, or why it is refused, with a text
 * that lives as long as the output. Refuses: PX_E_INVALID, PX_E_LIMIT, PX_E_ABSENT a queue. */
int request_check(struct core *core, const struct px_submit_job *item,
                  struct px_shape_row *ret_request, struct px_slice *ret_text);
/* What depends on now: its deadline, its priority, its queue. */
int request_now(struct core *core, const struct px_submit_job *item, struct px_slice *ret_text);
/* Is there a node that could ever run it? A refusal names the best offer. */
int request_able(struct core *core, struct shape *shape, struct px_slice *ret_text);
/* Do the limits let its owner have one more wait? */
int request_waits(struct core *core, const struct shape *shape, const struct principal *owner,
                  struct px_slice *ret_text);

void expiry_arm(struct core *core, struct job *job);
void expiry_fired(struct core *core, uint64_t id);

#endif
