/* SPDX-License-Identifier: Apache-2.0 */
/* sim_whole.c - the whole state, every 64 steps while nothing is on its way to the disk: what the core
 * holds in RAM is counted anew from the rows that were committed. Reads the core's memory by a walk of
 * its own; the core's own check runs beside it.
 *
 *   I1  what the log has is what was committed, job by job
 *   I4  a job is held once, by the node its row names, under the fence of its row
 *   I8  each ready job stands in the line of its shape and owner, once, and no other does; lines are
 *       heaps by priority, then by deadline, then by age; nodes are as busy as what they hold
 *   I10 a core loaded from the log has the digest of the living one */
#include "sim_inside.h"

/* The two cores have functions of the same names; none of them is called here. */
#define node_new broker_node_new
#include "state.h"

#define ID(number) ((unsigned long long)(number))

/* Ready, or blocked by nothing but a resource of the mesh. */
static bool in_line(const struct row_job *job)
{
        return job->state == PX_JOB_STATE_QUEUED ||
               (job->state == PX_JOB_STATE_BLOCKED && job->reason == PX_REASON_SLOT);
}

static int64_t expires_ms(const struct row_job *job)
{
        return job->expires_wall_ms == 0 ? INT64_MAX : job->expires_wall_ms;
}

static bool line_goes_before(const struct row_job *a, const struct row_job *b)
{
        if (a->priority != b->priority)
                return a->priority > b->priority;
        if (expires_ms(a) != expires_ms(b))
                return expires_ms(a) < expires_ms(b);
        if (px_id_job(a->id) != px_id_job(b->id))
                return px_id_job(a->id) < px_id_job(b->id);
        return px_id_is_task(a->id) != px_id_is_task(b->id) ? px_id_is_task(a->id) : a->id < b->id;
}

static const struct row_job *lined_job(struct sim *sim, const struct line *line, size_t at)
{
        const struct job *job = PX_CONTAINER_OF(line->ready.items[at], struct job, ready);
        const struct row_job *row = rows_job(sim, job->id);

        SIM_CHECK(sim, row != NULL && row->stored[0] && in_line(row),
                  "job %llu stands in a line and is not ready", ID(job->id));
        SIM_CHECK(sim, row->shape == line->shape->id && row->owner == line->owner,
                  "job %llu stands in the line of another shape or owner", ID(job->id));
        return row;
}

static uint64_t recount_line(struct sim *sim, const struct line *line)
{
        for (size_t i = 1; i <= line->ready.count; i++) {
                const struct row_job *job = lined_job(sim, line, i);

                SIM_CHECK(sim, i == 1 || !line_goes_before(job, lined_job(sim, line, i / 2)),
                          "job %llu stands in its line behind what should follow it", ID(job->id));
        }
        return line->ready.count;
}

static void recount_lines(struct sim *sim, const struct core *core, uint64_t ready)
{
        uint64_t count = 0;
        size_t cursor = 0;
        uint64_t key;
        void *value;

        while (px_map_next(&core->lines, &cursor, &key, &value))
                count += recount_line(sim, value);
        SIM_CHECK(sim, count == ready, "%llu jobs are ready, %llu stand in lines", ID(ready),
                  ID(count));
}

static uint64_t recount_node(struct sim *sim, const struct node *node)
{
        uint64_t cpus_milli = 0;
        uint64_t held = 0;

        PX_LIST_EACH(&node->held, link)
        {
                const struct attempt *attempt = PX_CONTAINER_OF(link, struct attempt, link);
                const struct row_job *job = rows_job(sim, attempt->job_id);
                const struct row_shape *needs;

                if (attempt->job == NULL) {
                        cpus_milli += attempt->cpus_milli; /* being killed there */
                        continue;
                }
                SIM_CHECK(sim,
                          job != NULL && job->node == node->id &&
                                  px_fence_equal(job->fence, attempt->fence),
                          "node %u holds attempt %u of job %llu, which is not its claim", node->id,
                          attempt->fence.attempt, ID(attempt->job_id));
                SIM_CHECK(sim, job->state == attempt->job->state, "job %llu is %s in RAM, %s on disk",
                          ID(job->id), px_job_state_name(attempt->job->state),
                          px_job_state_name(job->state));
                needs = px_map_find(&sim->judge.shapes, job->shape);
                SIM_CHECK(sim, needs != NULL, "job %llu is held and has no shape", ID(job->id));
                cpus_milli += needs->cpus_milli;
                held++;
        }
        /* A node's room is known from its HELLO on. */
        SIM_CHECK(sim, !node->connected || cpus_milli == node->cpus_used_milli,
                  "node %u uses %u thousandths of cpus, what it holds needs %llu", node->id,
                  node->cpus_used_milli, ID(cpus_milli));
        return held;
}

static void recount_nodes(struct sim *sim, const struct core *core, uint64_t held)
{
        uint64_t count = 0;

        PX_LIST_EACH(&core->node_list, link)
        count += recount_node(sim, PX_CONTAINER_OF(link, struct node, link));
        SIM_CHECK(sim, count == held, "%llu jobs are held, nodes hold %llu", ID(held), ID(count));
}

static void recount(struct sim *sim)
{
        uint64_t counts[PX_JOB_STATE_COUNT] = {0};
        uint64_t active = 0;
        uint64_t ready = 0;
        size_t cursor = 0;
        uint64_t key;
        void *value;

        while (px_map_next(&sim->judge.jobs, &cursor, &key, &value)) {
                const struct row_job *job = value;

                if (!job->stored[0])
                        continue;
                counts[job->state]++;
                ready += in_line(job);
                active++;
        }
        SIM_CHECK(sim, core_jobs_count(sim->broker.core) == active,
                  "%llu jobs are active, the core has %llu", ID(active),
                  ID(core_jobs_count(sim->broker.core)));
        recount_lines(sim, sim->broker.core, ready);
        recount_nodes(sim, sim->broker.core,
                      counts[PX_JOB_STATE_ASSIGNED] + counts[PX_JOB_STATE_RUNNING] +
                              counts[PX_JOB_STATE_CANCELLING]);
}

void whole_check(struct sim *sim)
{
        struct core *loaded;

        sim_count(sim, MET_WHOLE_CHECKED);
        core_check(sim->broker.core);
        recount(sim);
        oracle_loaded(sim);
        loaded = broker_load(sim, sim->broker.epoch);
        SIM_CHECK(sim, core_digest(loaded) == core_digest(sim->broker.core),
                  "the core loaded from batch %llu has another digest than the living one",
                  ID(sim->broker.index));
        core_free(loaded);
}

/* The name of a living node whose lease has long to run, for a double to take; NULL = none. */
const char *whole_living_node(struct sim *sim)
{
        for (size_t i = 0; i < sim->options.nodes; i++) {
                const char *name = sim->hosts[i].name;

                PX_LIST_EACH(&sim->broker.core->node_list, link)
                {
                        const struct node *node = PX_CONTAINER_OF(link, struct node, link);

                        if (node->connected && node->alive && node->peer != 0 &&
                            px_slice_equal(node->name, px_slice_text(name)) &&
                            node->lease.due_ms > core_now_ms(sim->broker.core) + 5000)
                                return name;
                }
        }
        return NULL;
}
