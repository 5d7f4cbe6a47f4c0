/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - every invariant of the whole state. Layer: L2 (broker/core). O(state): for tests, the
 * simulator, and after a load. */
#include "state.h"

static void check_job_place(const struct core *core, const struct job *job)
{
        const struct attempt *attempt = job->attempt;

        PX_ASSERT((job->ready.position != 0) == job_in_line(job));
        PX_ASSERT((attempt != NULL) == job_on_node(job->state));
        if (attempt == NULL)
                return;
        PX_ASSERT(attempt->job == job);
        PX_ASSERT(attempt->job_id == job->id);
        PX_ASSERT(px_fence_equal(attempt->fence, job->fence));
        PX_ASSERT(job->fence.attempt > 0);
        PX_ASSERT(attempt->node == node_find(core, job->node));
        PX_ASSERT(!attempt->killing || job->state == PX_JOB_STATE_CANCELLING);
        PX_ASSERT(!attempt->assigning || job->state == PX_JOB_STATE_ASSIGNED);
}

static void check_job_reason(const struct core *core, const struct job *job)
{
        int waits = job_waits_for(core, job);

        PX_ASSERT(job->reason != 0);
        if (job->state == PX_JOB_STATE_QUEUED)
                PX_ASSERT(!(job->flags & JOB_HELD));
        if (job->state == PX_JOB_STATE_BLOCKED && (job->flags & JOB_HELD))
                PX_ASSERT(job->reason == PX_REASON_HELD);
        else if (job->state == PX_JOB_STATE_BLOCKED && !job_in_line(job) && core->begun) {
                /* A wall clock that jumped past the start time is seen when the timer fires. */
                PX_ASSERT(waits != PX_REASON_NONE || job->reason == PX_REASON_START_TIME);
                PX_ASSERT(waits == PX_REASON_TASKS || job->more->timer.item.position != 0);
        }
        if (job->reason == PX_REASON_UNREACHABLE && job_on_node(job->state) && core->begun) {
                PX_ASSERT(job->more != NULL && job->more->deadline_ms != 0);
                PX_ASSERT(job->more->timer.item.position != 0);
        }
        if (job->state == PX_JOB_STATE_CANCELLING)
                PX_ASSERT(job->flags & JOB_CANCEL_ASKED);
}

static void check_array(const struct core *core, const struct job *head)
{
        const struct array *array = head->more->array;
        uint32_t active = 0;

        PX_ASSERT(!job_on_node(head->state) && head->fence.attempt == 0 && !array->stopping);
        PX_ASSERT(array->set.made <= array->set.count);
        PX_LIST_EACH(&array->tasks, at)
        {
                const struct job_more *more = PX_CONTAINER_OF(at, struct job_more, of_head);

                PX_ASSERT(more->head == head && more->task->more == more);
                PX_ASSERT(px_id_is_task(more->task->id) && px_id_job(more->task->id) == head->id);
                PX_ASSERT(job_find(core, more->task->id) == more->task);
                active++;
        }
        PX_ASSERT(active == array->tasks_count);
        PX_ASSERT(active == array_active(&array->set) || !core->begun);
        PX_ASSERT(active > 0 || (array->set.made < array->set.count && !array->set.stopped));
        PX_ASSERT(job_in_line(head) ? array_may_make(array) : true);
}

static void check_jobs(const struct core *core)
{
        uint64_t counts[CORE_STATES] = {0};
        struct job_cursor cursor = {0};
        const struct job *job;

        while ((job = job_table_next(&core->jobs, &cursor)) != NULL) {
                PX_ASSERT(job == job_find(core, job->id) && px_id_job(job->id) < core->next_job);
                PX_ASSERT(!job_ended(job->state));
                PX_ASSERT(job->losses < PX_LIMIT_LOST_ATTEMPTS);
                PX_ASSERT(shape_find(core, job->shape) != NULL);
                PX_ASSERT(principal_find(core, job->owner) != NULL);
                PX_ASSERT(((job->flags & JOB_WATCHED) != 0) ==
                          (px_map_find(&core->watches, job->id) != NULL));
                check_job_place(core, job);
                check_job_reason(core, job);
                PX_ASSERT(px_id_is_task(job->id) == (job->more != NULL && job->more->head != NULL));
                if (job_is_array(job))
                        check_array(core, job);
                counts[job->state]++;
        }
        for (size_t i = 0; i < CORE_STATES; i++)
                PX_ASSERT(counts[i] == core->state_counts[i]);
        PX_ASSERT(core->job_slab.used == core->jobs.count);
}

static void check_shapes(const struct core *core)
{
        uint64_t jobs = 0;
        size_t unused = 0;
        size_t cursor = 0;
        uint64_t id;
        void *value;

        while (px_map_next(&core->shapes, &cursor, &id, &value)) {
                const struct shape *shape = value;

                PX_ASSERT(shape->id == id && id < core->next_shape);
                PX_ASSERT((shape->jobs_count == 0) == px_list_linked(&shape->link));
                jobs += shape->jobs_count;
                unused += shape->jobs_count == 0;
        }
        PX_ASSERT(jobs == core->jobs.count);
        PX_ASSERT(unused == core->shapes_unused_count);
        PX_ASSERT(core->shapes.count <= PX_LIMIT_SHAPES);
}

static uint64_t check_node_held(const struct core *core, const struct node *node)
{
        uint64_t cpus_milli = 0;
        uint64_t memory_bytes = 0;
        uint64_t count = 0;
        uint64_t jobs = 0;

        PX_LIST_EACH(&node->held, at)
        {
                const struct attempt *attempt = PX_CONTAINER_OF(at, struct attempt, link);

                PX_ASSERT(attempt->node == node);
                PX_ASSERT(attempt->job == NULL ||
                          attempt->job == job_find(core, attempt->job_id));
                PX_ASSERT(attempt->job != NULL || (attempt->killing && node->connected));
                cpus_milli += attempt->cpus_milli;
                memory_bytes += attempt->memory_bytes;
                count++;
                jobs += attempt->job != NULL;
        }
        PX_ASSERT(count == node->held_count);
        PX_ASSERT(cpus_milli == node->cpus_used_milli);
        PX_ASSERT(memory_bytes == node->memory_used_bytes);
        return jobs;
}

static void check_node(const struct core *core, const struct node *node)
{
        PX_ASSERT(node == node_find(core, node->id) && node == node_named(core, node->name));
        PX_ASSERT(node->id < core->next_node);
        PX_ASSERT(!node->dirty && node->oks.length == 0 && node->kills.length == 0);
        PX_ASSERT((node->peer != 0) == node->connected);
        PX_ASSERT(node->peer == 0 || px_map_find(&core->nodes_by_peer, node->peer) == node);
        PX_ASSERT(!node->connected || (node->alive && !node->stopped));
        PX_ASSERT(node->alive == (node->lease.item.position != 0));
        PX_ASSERT(node->connected || node->repeat.item.position == 0);
        PX_ASSERT(node->connected || node->reserved_for == 0);
        for (size_t i = 0; i < node->seats_count; i++) {
                PX_ASSERT((node->seats[i].item.position != 0) == node_open(core, node));
                PX_ASSERT(node->seats[i].node == node);
        }
}

static void check_nodes(const struct core *core)
{
        uint64_t held = 0;
        size_t count = 0;
        uint32_t last = 0;

        PX_LIST_EACH(&core->node_list, at)
        {
                const struct node *node = PX_CONTAINER_OF(at, struct node, link);

                check_node(core, node);
                held += check_node_held(core, node);
                PX_ASSERT(node->id > last);
                last = node->id;
                count++;
        }
        PX_ASSERT(count == core->nodes.count);
        PX_ASSERT(held == core->state_counts[PX_JOB_STATE_ASSIGNED] +
                                  core->state_counts[PX_JOB_STATE_RUNNING] +
                                  core->state_counts[PX_JOB_STATE_CANCELLING]);
}

static void check_principals(const struct core *core)
{
        uint64_t jobs = 0;
        size_t count = 0;

        PX_LIST_EACH(&core->principal_list, at)
        {
                const struct principal *principal = PX_CONTAINER_OF(at, struct principal, link);

                PX_ASSERT(principal == principal_find(core, principal->id));
                PX_ASSERT(principal->revoked ||
                          principal == principal_named(core, principal->name));
                PX_ASSERT(principal->id < core->next_principal);
                jobs += principal->jobs_count;
                count++;
        }
        PX_ASSERT(count == core->principals.count);
        PX_ASSERT(jobs == core->jobs.count);
}

static void check_session(const struct core *core, const struct session *session)
{
        uint32_t watches = 0;
        size_t bytes = 0;
        size_t cursor = 0;
        uint64_t number;
        void *answer;

        PX_ASSERT(session == px_map_find(&core->sessions, session->id));
        PX_ASSERT(!session->dirty && session->ends.length == 0);
        PX_ASSERT(session->timer.item.position != 0);
        PX_ASSERT(session->stored || session->answers.kept.count == 0);
        PX_LIST_EACH(&session->watches, at)
        {
                PX_ASSERT(job_find(core, PX_CONTAINER_OF(at, struct watch, link)->job) != NULL);
                watches++;
        }
        PX_ASSERT(watches == session->watches_count);
        while (px_map_next(&session->answers.kept, &cursor, &number, &answer)) {
                struct px_slice frame = PX_SLICE_NONE;
                uint16_t type;

                PX_ASSERT(number >= session->answers.done_below);
                PX_ASSERT(px_answers_find(&session->answers, number, PX_LIMIT_SESSION_WINDOW,
                                          &type, &frame) == PX_ANSWERS_KNOWN);
                bytes += frame.length;
        }
        PX_ASSERT(bytes == session->answers_bytes);
}

void core_check(const struct core *core)
{
        PX_ASSERT(!core->loading);
        PX_ASSERT(px_list_empty(&core->nodes_dirty) && px_list_empty(&core->sessions_dirty));
        check_jobs(core);
        check_shapes(core);
        check_schedule(core);
        /* Leases and timers begin with the first step. */
        if (!core->begun)
                return;
        check_nodes(core);
        check_principals(core);
        PX_LIST_EACH(&core->session_list, at)
        check_session(core, PX_CONTAINER_OF(at, struct session, link));
}
