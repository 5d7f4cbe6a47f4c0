/* SPDX-License-Identifier: Apache-2.0 */
/* why.c - WHY: every condition that keeps a job from running, with numbers, and its position.
 * Layer: L2 (broker/core). Recomputed at each question, bounded. Source: DESIGN 8. */
#include "state.h"
#include "reason.h"

#define LINES_MAX 16
#define POSITION_WALK_MAX 200000 /* jobs looked at for a position; beyond, it is not told */

struct lines {
        struct px_slice items[LINES_MAX];
        size_t count;
};

static void line_add(struct lines *lines, struct px_slice line)
{
        if (line.length > 0 && lines->count < LINES_MAX)
                lines->items[lines->count++] = line;
}

/* How many nodes fail which condition; a node is counted at the first that it fails. */
struct tally {
        uint32_t nodes; /* of the right kind */
        uint32_t not_serving;
        uint32_t too_small; /* or another type, or not the pinned one */
        uint32_t away;
        uint32_t draining;
        uint32_t no_room;
        uint32_t fit;
        uint64_t free_cpus_milli; /* most, of nodes that could take it */
};

static void tally_node(const struct core *core, const struct node *node, const struct shape *shape,
                       uint32_t owner, struct tally *tally)
{
        tally->nodes++;
        if (!node_serves(core, node, owner)) {
                tally->not_serving++;
        } else if (node->connected && !node_could_fit(node, shape)) {
                tally->too_small++;
        } else if (!node->connected) {
                tally->away++;
        } else if (node->draining || node->stopping) {
                tally->draining++;
        } else if (!node_fits(core, node, shape)) {
                uint64_t free = node->cpus_milli > node->cpus_used_milli
                                        ? node->cpus_milli - node->cpus_used_milli
                                        : 0;

                tally->no_room++;
                tally->free_cpus_milli = PX_MAX(tally->free_cpus_milli, free);
        } else {
                tally->fit++;
        }
}

static struct tally tally_nodes(const struct core *core, const struct shape *shape, uint32_t owner)
{
        int kind = shape->kind == PX_JOB_KIND_TASK ? PX_NODE_KIND_WORKER : PX_NODE_KIND_NODE;
        struct tally tally = {0};

        PX_LIST_EACH(&core->node_list, at)
        {
                const struct node *node = PX_CONTAINER_OF(at, struct node, link);

                if (node->kind == kind)
                        tally_node(core, node, shape, owner, &tally);
        }
        return tally;
}

static void lines_of_pin(struct core *core, const struct shape *shape, struct lines *lines)
{
        const struct node *node = node_named(core, shape->node);

        if (shape->node.length == 0)
                return;
        if (node == NULL)
                line_add(lines, output_text(core, "it may only run on node %.*s, which is not known",
                                            (int)shape->node.length,
                                            (const char *)shape->node.data));
        else
                line_add(lines, output_text(core, "it may only run on node %.*s, which is %s",
                                            (int)shape->node.length,
                                            (const char *)shape->node.data,
                                            px_node_state_name(node_state(node))));
}

static void lines_of_counts(struct core *core, const struct tally *tally, const char *noun,
                            struct lines *lines)
{
        if (tally->not_serving > 0)
                line_add(lines, output_text(core, "%u of %u %s do not serve its owner",
                                            tally->not_serving, tally->nodes, noun));
        if (tally->away > 0)
                line_add(lines, output_text(core, "%u of %u %s are not connected", tally->away,
                                            tally->nodes, noun));
        if (tally->draining > 0)
                line_add(lines, output_text(core, "%u of %u %s are draining", tally->draining,
                                            tally->nodes, noun));
}

static void lines_of_tally(struct core *core, const struct shape *shape, const struct tally *tally,
                           struct lines *lines)
{
        bool task = shape->kind == PX_JOB_KIND_TASK;
        const char *noun = task ? "workers" : "nodes";

        if (tally->nodes == 0)
                line_add(lines, output_text(core, "no %s was ever connected",
                                            task ? "worker" : "node"));
        lines_of_counts(core, tally, noun, lines);
        if (tally->too_small > 0 && task)
                line_add(lines, output_text(core, "%u of %u workers do not take type %.*s",
                                            tally->too_small, tally->nodes,
                                            (int)shape->task_type.length,
                                            (const char *)shape->task_type.data));
        else if (tally->too_small > 0)
                line_add(lines,
                         output_text(core,
                                     "%u of %u nodes are too small or not the one asked for: it "
                                     "needs %u.%03u cpus and %llu MiB",
                                     tally->too_small, tally->nodes, shape->cpus_milli / 1000,
                                     shape->cpus_milli % 1000,
                                     (unsigned long long)(shape->memory_bytes >> 20)));
        if (tally->no_room > 0 && task)
                line_add(lines, output_text(core, "%u of %u workers are busy", tally->no_room,
                                            tally->nodes));
        else if (tally->no_room > 0)
                line_add(lines,
                         output_text(core,
                                     "%u of %u nodes have no room now: it needs %u.%03u cpus, most "
                                     "free are %u.%03u",
                                     tally->no_room, tally->nodes, shape->cpus_milli / 1000,
                                     shape->cpus_milli % 1000,
                                     (uint32_t)(tally->free_cpus_milli / 1000),
                                     (uint32_t)(tally->free_cpus_milli % 1000)));
        if (tally->fit > 0)
                line_add(lines, output_text(core, "%u of %u %s have room: it goes next",
                                            tally->fit, tally->nodes, noun));
}

/* ---- position ------------------------------------------------------------------------------------------- */

static bool goes_before(const struct job *a, const struct job *b)
{
        return a->priority != b->priority ? a->priority > b->priority : a->id < b->id;
}

/* Ready jobs of its queue that go before it; 0 also when there are too many to count. */
static uint64_t position_of(const struct core *core, const struct job *job)
{
        const struct queue *queue = queue_find(core, job->shape, job->owner);
        uint64_t before = 0;

        if (job->state != PX_JOB_STATE_QUEUED || queue->ready.count > POSITION_WALK_MAX)
                return 0;
        for (size_t i = 1; i <= queue->ready.count; i++)
                if (goes_before(PX_CONTAINER_OF(queue->ready.items[i], struct job, ready), job))
                        before++;
        return before;
}

/* ---- answers -------------------------------------------------------------------------------------------- */

static void line_of_row(struct core *core, const struct px_job_row *row, struct px_slice node,
                        struct px_slice detail, struct lines *lines)
{
        struct reason_facts facts = reason_facts_of(row, node, detail, core->core_ms);

        px_buf_reset(&core->words);
        reason_words(&facts, &core->words);
        line_add(lines, px_arena_copy(&core->output->arena, px_buf_slice(&core->words)));
}

static void why_active(struct core *core, const struct job *job, struct lines *lines)
{
        const struct node *node = node_find(core, job->node);
        struct px_job_row row;

        job_row_of(job, &row);
        if (job->state != PX_JOB_STATE_QUEUED || job->reason != PX_REASON_NONE)
                line_of_row(core, &row, node == NULL ? PX_SLICE_NONE : node->name, PX_SLICE_NONE,
                            lines);
        if (job->state == PX_JOB_STATE_QUEUED) {
                const struct shape *shape = shape_find(core, job->shape);
                struct tally tally = tally_nodes(core, shape, job->owner);

                lines_of_pin(core, shape, lines);
                lines_of_tally(core, shape, &tally, lines);
        }
}

static bool why_ended(struct core *core, uint64_t id, struct px_m_why_is *answer,
                      struct lines *lines)
{
        struct px_job_row row;
        struct px_end end;

        if (!ended_find(core, id, &row) ||
            access_check(core, core->principal, VERB_READ, row.owner.value) != 0)
                return false;
        ended_end(core, id, &row, &end);
        answer->state = row.state;
        line_add(lines, end.text);
        return true;
}

void why_take(struct core *core, const struct px_m_why *why)
{
        struct px_m_why_is answer = {.job = why->job};
        const struct job *job = job_find(core, why->job.value);
        struct lines lines = {0};

        if (session_begin(core, why->session, why->done_below, false) == NULL)
                return;
        if (access_check(core, core->principal, VERB_READ, job == NULL ? 0 : job->owner) != 0 ||
            (job == NULL && !why_ended(core, why->job.value, &answer, &lines))) {
                refuse(core, PX_E_ABSENT, "no job %llu, or it is not yours",
                       (unsigned long long)why->job.value);
                return;
        }
        if (job != NULL) {
                why_active(core, job, &lines);
                answer.state = job->state;
                answer.position = position_of(core, job);
        }
        answer.lines = lines.items;
        answer.lines_count = lines.count;
        FRAME(core, why_is, &answer, core->command->header.correlation);
        put_frame(core, core->command->peer);
}
