/* SPDX-License-Identifier: Apache-2.0 */
/* claim.c - the next decision: which job goes to which node. Layer: L2 (broker/core). Source: DESIGN 8.
 *
 * Two streams are merged by rank. An open line looks for a node. A node that gained room is offered to
 * the lines that wait: those that fit are found in one pass over a compact table, and the best of them
 * is taken as long as any fits. A line of which the best job cannot go is put aside as a whole. */
#include "state.h"

#define BLOCKED_AT_ONCE 256 /* jobs of a line that are told at once that they wait for a resource */

/* ---- a node that gained room ---------------------------------------------------------------------------- */

void node_grew(struct core *core, struct node *node)
{
        if (node->grown || core->waiting_count == 0)
                return;
        node->grown = true;
        px_list_append(&core->nodes_grown, &node->grown_link);
}

static bool line_takes(const struct core *core, const struct line *line, const struct node *node)
{
        return reserve_allows(node, line) &&
               room_fits(core, node, line->shape, line->owner) &&
               node_serves(core, node, line->owner);
}

/* What tells most nodes apart at a glance. */
struct glance {
        uint32_t cpus_milli;
        uint32_t gpus_milli;
        uint64_t memory_bytes;
};

static struct glance glance_at(const struct core *core, const struct node *node)
{
        if (!node_open(core, node))
                return (struct glance){0};
        return (struct glance){
                .cpus_milli = room_free_cpus_milli(node),
                .gpus_milli = node->gpus * 1000,
                .memory_bytes = node->memory_bytes == 0 ? UINT64_MAX
                                : node->memory_bytes > node->memory_used_bytes
                                        ? node->memory_bytes - node->memory_used_bytes
                                        : 0,
        };
}

static bool glance_fits(const struct glance *glance, const struct waiting *waiting)
{
        return waiting->cpus_milli <= glance->cpus_milli &&
               waiting->gpus_milli <= glance->gpus_milli &&
               waiting->memory_bytes <= glance->memory_bytes;
}

static void candidates_find(struct core *core, const struct node *node)
{
        struct glance glance = glance_at(core, node);

        core->candidates_count = 0;
        if (!node_open(core, node))
                return;
        if (core->candidates_capacity < core->waiting_count) {
                core->candidates_capacity = core->waiting_capacity;
                core->candidates = px_realloc(core->candidates, core->candidates_capacity *
                                                                        sizeof(*core->candidates));
        }
        for (size_t i = 0; i < core->waiting_count; i++)
                if (glance_fits(&glance, &core->waiting[i]))
                        core->candidates[core->candidates_count++] = core->waiting[i].line;
}

/* The entry of a line that still waits and may fit; NULL = it leaves the list. */
static const struct waiting *candidate_at(const struct core *core, const struct line *line,
                                          const struct glance *glance)
{
        const struct waiting *waiting;

        if (line == NULL || line->place != LINE_WAITING)
                return NULL;
        waiting = &core->waiting[line->waiting_at];
        return glance_fits(glance, waiting) ? waiting : NULL;
}

/* The best of those that may fit; *ret_index = where it stands. */
static struct line *candidate_best(struct core *core, const struct glance *glance,
                                   size_t *ret_index)
{
        const struct waiting *best = NULL;
        size_t kept = 0;

        for (size_t i = 0; i < core->candidates_count; i++) {
                struct line *line = core->candidates[i];
                const struct waiting *waiting = candidate_at(core, line, glance);

                if (waiting == NULL)
                        continue;
                if (best == NULL || waiting_before(waiting, best)) {
                        best = waiting;
                        *ret_index = kept;
                }
                core->candidates[kept++] = line;
        }
        core->candidates_count = kept;
        return best == NULL ? NULL : best->line;
}

/* The best line that fits the node; what only seemed to fit leaves the list. */
static struct line *candidate_fitting(struct core *core, const struct node *node)
{
        struct glance glance = glance_at(core, node);
        struct line *line;
        size_t index = 0;

        if (!node_open(core, node))
                return NULL;
        while ((line = candidate_best(core, &glance, &index)) != NULL) {
                if (line_takes(core, line, node))
                        return line;
                core->candidates[index] = NULL;
        }
        return NULL;
}

/* The node that is being offered, and the best line for it. */
static struct line *grown_best(struct core *core, struct node **ret_node)
{
        while (!px_list_empty(&core->nodes_grown)) {
                struct node *node =
                        PX_CONTAINER_OF(core->nodes_grown.next, struct node, grown_link);
                struct line *best;

                if (core->offered != node) {
                        candidates_find(core, node);
                        core->offered = node;
                }
                best = candidate_fitting(core, node);
                *ret_node = node;
                if (best != NULL)
                        return best;
                node_ungrow(core, node);
        }
        return NULL;
}

void node_ungrow(struct core *core, struct node *node)
{
        if (!node->grown)
                return;
        px_list_remove(&node->grown_link);
        node->grown = false;
        if (core->offered == node)
                core->offered = NULL;
}

void candidate_forget(struct core *core, const struct line *line)
{
        for (size_t i = 0; i < core->candidates_count; i++)
                if (core->candidates[i] == line)
                        core->candidates[i] = NULL;
}

/* ---- gates ------------------------------------------------------------------------------------------------ */

/* Jobs behind a resource that is used up are blocked, and say so; a few at a time, best or not. */
static void line_say_slot(struct core *core, const struct line *line)
{
        size_t count = PX_MIN(line->ready.count, (size_t)BLOCKED_AT_ONCE);

        for (size_t i = 1; i <= count; i++) {
                struct job *job = PX_CONTAINER_OF(line->ready.items[i], struct job, ready);

                if (job->state == PX_JOB_STATE_QUEUED)
                        job_set_state(core, job, PX_JOB_STATE_BLOCKED, PX_REASON_SLOT, NOTE_NONE);
        }
}

/* true: a gate is shut, the line stands before it now. */
static bool line_parked(struct core *core, struct line *line)
{
        int reason;
        struct gate *gate = gates_shut(core, line->shape, line->share, &reason);

        if (gate == NULL)
                return false;
        line_park(core, line, gate);
        if (reason == PX_REASON_RATE)
                gate_rate_arm(core, gate);
        if (reason == PX_REASON_SLOT)
                line_say_slot(core, line);
        return true;
}

/* The resource is there, room is not: the best job is queued again. */
static void line_waits(struct core *core, struct line *line)
{
        struct job *job = line_first(line);

        line_wait(core, line);
        if (job->state == PX_JOB_STATE_BLOCKED)
                job_set_state(core, job, PX_JOB_STATE_QUEUED, PX_REASON_NONE, NOTE_NONE);
}

/* ---- claims ------------------------------------------------------------------------------------------------ */

static bool claim_of(struct core *core, struct line *line, struct node *node,
                     struct claim *ret_claim)
{
        if (line_parked(core, line))
                return false;
        if (node == NULL)
                node = place_find(core, line, line_first(line));
        if (node == NULL) {
                line_waits(core, line);
                return false;
        }
        *ret_claim = (struct claim){line_first(line), node, line};
        return true;
}

bool claim_next(struct core *core, struct claim *ret_claim)
{
        for (;;) {
                struct node *node = NULL;
                struct line *waits = grown_best(core, &node);
                struct line *open = line_open_first(core);

                if (waits == NULL && open == NULL)
                        return false;
                if (open == NULL || (waits != NULL && line_before(waits, open)))
                        open = waits;
                else
                        node = NULL;
                if (claim_of(core, open, node, ret_claim))
                        return true;
        }
}

static void shape_started(struct core *core, struct shape *shape)
{
        if (shape->assigned_ms != 0) {
                uint64_t gap_ms =
                        (uint64_t)PX_MAX(core->core_ms - shape->assigned_ms, (int64_t)0);

                shape->gap_ms = shape->gap_ms == 0 ? gap_ms : (shape->gap_ms * 7 + gap_ms) / 8;
        }
        shape->assigned_ms = PX_MAX(core->core_ms, (int64_t)1);
}

struct attempt *claim_take(struct core *core, const struct claim *claim)
{
        struct job *job = claim->job;
        struct node *node = claim->node;
        struct line *line = claim->line;
        struct shape *shape = line->shape;
        struct share *share = line->share;
        struct attempt *attempt;
        int reason;

        PX_ASSERT(job->attempt == NULL && node->connected);
        PX_ASSERT(gates_shut(core, shape, share, &reason) == NULL); /* no cap is exceeded */
        reserve_drop(core, line);
        /* Its next job begins to wait now. */
        line->waiting_ms = line->place == LINE_WAITING ? PX_MAX(core->core_ms, (int64_t)1) : 0;
        line_take(core, line, job);
        if (shape->need.gpus_milli > 0)
                job_more(core, job)->gpus = room_gpus_pick(node, shape->need.gpus_milli);
        job->node = node->id;
        attempt = attempt_new(core, node, job, job->id, job->fence);
        attempt->begun_ms = core->core_ms;
        room_take(attempt);
        gates_enter(core, shape, share);
        share_enter(core, attempt);
        shape_started(core, shape);
        seats_update(core, node);
        return attempt;
}
