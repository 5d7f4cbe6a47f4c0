/* SPDX-License-Identifier: Apache-2.0 */
/* check_schedule.c - invariants of scheduling: lines hold what is ready, counters equal a recount, no
 * limit is exceeded. Layer: L2 (broker/core). O(state). */
#include "state.h"

/* ---- lines -------------------------------------------------------------------------------------------- */

static void check_place(const struct core *core, const struct line *line)
{
        PX_ASSERT((line->ready.count > 0) == (line->place != LINE_EMPTY));
        PX_ASSERT((line->item.position != 0) == (line->place == LINE_OPEN));
        PX_ASSERT(px_list_linked(&line->parked) == (line->place == LINE_PARKED));
        PX_ASSERT((line->gate != NULL) == (line->place == LINE_PARKED));
        if (line->place == LINE_WAITING)
                PX_ASSERT(line->waiting_at < core->waiting_count &&
                          core->waiting[line->waiting_at].line == line && line->waiting_ms != 0);
}

static uint64_t check_line(const struct core *core, uint64_t key, const struct line *line)
{
        PX_ASSERT(key == ((uint64_t)line->shape->id << 32 | line->owner));
        PX_ASSERT(line->shape == shape_find(core, line->shape->id));
        PX_ASSERT(line->share == &principal_find(core, line->owner)->share);
        check_place(core, line);
        for (size_t i = 1; i <= line->ready.count; i++) {
                const struct job *job = PX_CONTAINER_OF(line->ready.items[i], struct job, ready);

                PX_ASSERT(job->ready.position == i && job_in_line(job));
                PX_ASSERT(job->shape == line->shape->id && job->owner == line->owner);
                PX_ASSERT(i == 1 || !job_before(job, line_first(line)));
        }
        return line->ready.count;
}

static void check_waiting(const struct core *core, const struct job *job)
{
        const struct job_more *more = job->more;

        if (!job_in_line(job) || more == NULL || !core->begun)
                return;
        PX_ASSERT((more->wait_until_ms != 0) == (more->wait_ms != 0));
        PX_ASSERT((more->expiry.item.position != 0) ==
                  (more->wait_ms != 0 || more->expires_wall_ms != 0));
}

static void check_lines(const struct core *core)
{
        uint64_t ready = 0;
        uint64_t queued = 0;
        size_t waiting = 0;
        size_t cursor = 0;
        struct job_cursor jobs = {0};
        const struct job *job;
        uint64_t key;
        void *value;

        while (px_map_next(&core->lines, &cursor, &key, &value)) {
                ready += check_line(core, key, value);
                waiting += ((struct line *)value)->place == LINE_WAITING;
        }
        while ((job = job_table_next(&core->jobs, &jobs)) != NULL) {
                queued += job_in_line(job);
                check_waiting(core, job);
        }
        PX_ASSERT(ready == queued);
        PX_ASSERT(waiting == core->waiting_count);
}

/* ---- counters ------------------------------------------------------------------------------------------- */

static void check_shares(const struct core *core)
{
        uint64_t running = 0;

        PX_LIST_EACH(&core->principal_list, at)
        {
                const struct principal *principal = PX_CONTAINER_OF(at, struct principal, link);
                const struct share *share = &principal->share;

                running += share->running;
                PX_ASSERT(share->running <= principal->jobs_count);
                PX_ASSERT((share->open.count > 0) == (share->turn.position != 0));
                PX_ASSERT(share->gate ==
                          gate_find(core, PX_GATE_KIND_USER, principal->name));
        }
        PX_ASSERT(running == core->state_counts[PX_JOB_STATE_ASSIGNED] +
                                     core->state_counts[PX_JOB_STATE_RUNNING] +
                                     core->state_counts[PX_JOB_STATE_CANCELLING]);
}

static uint64_t shape_running(const struct core *core, const struct shape *shape)
{
        uint64_t running = 0;

        PX_LIST_EACH(&core->node_list, at)
        {
                const struct node *node = PX_CONTAINER_OF(at, struct node, link);

                PX_LIST_EACH(&node->held, held)
                {
                        const struct job *job = PX_CONTAINER_OF(held, struct attempt, link)->job;

                        running += job != NULL && job->shape == shape->id;
                }
        }
        return running;
}

static void check_gate(const struct core *core, const struct gate *gate)
{
        uint64_t running = 0;
        uint64_t jobs = 0;
        uint64_t used = 0;
        size_t cursor = 0;
        uint64_t id;
        void *value;

        while (px_map_next(&core->shapes, &cursor, &id, &value)) {
                const struct shape *shape = value;

                for (size_t i = 0; i < shape->gates_count; i++) {
                        if (shape->gates[i].gate != gate)
                                continue;
                        running += shape->running;
                        jobs += shape->jobs_count;
                        used += shape->running * shape->gates[i].amount;
                }
        }
        PX_ASSERT(gate->running == running && gate->jobs == jobs && gate->used == used);
        PX_LIST_EACH(&gate->parked, at)
        {
                const struct line *line = PX_CONTAINER_OF(at, struct line, parked);

                PX_ASSERT(line->gate == gate && line->place == LINE_PARKED);
        }
}

static void check_gates(const struct core *core)
{
        size_t cursor = 0;
        uint64_t id;
        void *value;

        while (px_map_next(&core->shapes, &cursor, &id, &value))
                PX_ASSERT(((struct shape *)value)->running ==
                          shape_running(core, value));
        PX_LIST_EACH(&core->gate_list, at)
        check_gate(core, PX_CONTAINER_OF(at, struct gate, link));
}

/* ---- nodes ------------------------------------------------------------------------------------------------ */

/* What jobs hold of a node's gpus and resources, against its counters. */
static void check_node_room(const struct core *core, const struct node *node)
{
        uint32_t gpus_milli[PX_LIMIT_GPUS] = {0};
        uint64_t used[PX_LIMIT_RESOURCES] = {0};

        PX_LIST_EACH(&node->held, at)
        {
                const struct job *job = PX_CONTAINER_OF(at, struct attempt, link)->job;
                const struct shape *shape = job == NULL ? NULL : shape_find(core, job->shape);

                if (job == NULL)
                        continue;
                for (uint32_t i = 0; i < PX_LIMIT_GPUS && job->more != NULL; i++)
                        if (job->more->gpus >> i & 1)
                                gpus_milli[i] += PX_MIN(shape->need.gpus_milli, 1000u);
                for (size_t i = 0; i < node->resources_count; i++)
                        for (size_t j = 0; j < shape->resources_count; j++)
                                if (px_slice_equal(node->resources[i].name,
                                                   shape->resources[j].name))
                                        used[i] += shape->resources[j].amount;
        }
        for (uint32_t i = 0; i < PX_LIMIT_GPUS; i++)
                PX_ASSERT(gpus_milli[i] == node->gpu_used_milli[i] && gpus_milli[i] <= 1000);
        for (size_t i = 0; i < node->resources_count; i++)
                PX_ASSERT(used[i] == node->resources_used[i]);
}

void check_schedule(const struct core *core)
{
        size_t reserved = 0;

        check_lines(core);
        check_shares(core);
        check_gates(core);
        PX_LIST_EACH(&core->node_list, at)
        {
                const struct node *node = PX_CONTAINER_OF(at, struct node, link);

                reserved += node->reserved_for != 0;
                /* What it has is not known before its HELLO. */
                check_node_room(core, node);
        }
        PX_ASSERT(reserved == core->reserved_count);
}
