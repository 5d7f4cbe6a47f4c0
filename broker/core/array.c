/* SPDX-License-Identifier: Apache-2.0 */
/* array.c - arrays: one specification, run once for each of a range of numbers. Layer: L2 (broker/core).
 * Source: DESIGN 2.8.
 *
 * An array is one job, its head, that stands in line like any other and never runs itself. When its
 * turn comes it makes a task: a job with a number of its own (px_task_id) and the head's owner, shape
 * and policy, whose specification and name are the head's. So a million tasks cost one row at submit
 * and a task costs a row only from its first start on. The head keeps the books (struct px_array in
 * its row), waits without line while nothing more may be made, and ends behind its last task. */
#include "state.h"

/* Tasks that count as at once: those that were made and have not ended. */
static uint32_t array_limit(const struct array *array)
{
        return array->set.limit == 0 ? PX_LIMIT_ARRAY_ACTIVE
                                     : PX_MIN(array->set.limit, (uint32_t)PX_LIMIT_ARRAY_ACTIVE);
}

static uint32_t array_ended(const struct px_array *set)
{
        return set->ok + set->failed + set->cancelled + set->timeout + set->lost;
}

uint32_t array_active(const struct px_array *set)
{
        return set->made - array_ended(set);
}

bool array_may_make(const struct array *array)
{
        return !array->set.stopped && array->set.made < array->set.count &&
               array_active(&array->set) < array_limit(array);
}

static bool array_is_over(const struct array *array)
{
        return array_active(&array->set) == 0 &&
               (array->set.stopped || array->set.made == array->set.count);
}

bool job_is_array(const struct job *job)
{
        return job->more != NULL && job->more->array != NULL;
}

/* ---- submit ---------------------------------------------------------------------------------------- */

int array_check(const struct px_submit_job *item, struct px_slice *ret_text)
{
        const struct px_array *set = &item->array[0];

        if (item->array_count == 0)
                return PX_OK;
        *ret_text = px_slice_text("an array's numbers lie between 0 and 8388607");
        if (set->count == 0 || set->step == 0 ||
            set->first + (uint64_t)set->step * (set->count - 1) > PX_TASK_NUMBER_MAX)
                return PX_E_LIMIT;
        *ret_text = px_slice_text("a new array has made no tasks yet");
        if (set->made != 0 || set->stopped || array_ended(set) != 0)
                return PX_E_INVALID;
        *ret_text = px_slice_text("an array waits without a limit: wait_ms and expiry are for single jobs");
        if (item->wait_ms != 0 || item->expires_wall_ms != 0)
                return PX_E_INVALID;
        return PX_OK;
}

void array_open(struct core *core, struct job *head, const struct px_array *set)
{
        struct job_more *more = job_more(core, head);

        PX_ASSERT(more->array == NULL);
        more->array = px_alloc(sizeof(*more->array));
        more->array->set = *set;
        px_list_init(&more->array->tasks);
        more->array->head = head;
        px_list_append(&core->arrays, &more->array->link);
}

void array_close(struct job_more *more)
{
        if (more->array != NULL) {
                PX_ASSERT(px_list_empty(&more->array->tasks));
                px_list_remove(&more->array->link);
        }
        px_free(more->array);
        more->array = NULL;
        if (more->head == NULL)
                return;
        px_list_remove(&more->of_head);
        more->head->more->array->tasks_count--;
        more->head = NULL;
}

bool array_row_is_sound(uint64_t id, const struct px_job_row *row)
{
        const struct px_array *set = row->array;

        if (row->array_count == 0)
                return true;
        return !px_id_is_task(id) && row->fence.attempt == 0 && set->count > 0 && set->step > 0 &&
               set->made <= set->count && array_ended(set) <= set->made &&
               set->first + (uint64_t)set->step * (set->count - 1) <= PX_TASK_NUMBER_MAX;
}

/* ---- tasks ----------------------------------------------------------------------------------------- */

bool array_takes(const struct core *core, uint64_t task)
{
        const struct job *head = job_find(core, px_id_job(task));

        return head != NULL && job_is_array(head) &&
               head->more->array->tasks_count < array_active(&head->more->array->set);
}

void array_adopt(struct core *core, struct job *task)
{
        struct job *head = job_find(core, px_id_job(task->id));
        struct job_more *more = job_more(core, task);

        PX_ASSERT(px_id_is_task(task->id) && head != NULL && job_is_array(head));
        more->head = head;
        more->task = task;
        px_list_append(&head->more->array->tasks, &more->of_head);
        head->more->array->tasks_count++;
}

static void task_copy(struct core *core, struct job *task, const struct job *head)
{
        const struct job_more *from = head->more;
        struct job_more *more = job_more(core, task);

        task->owner = head->owner;
        task->shape = head->shape;
        task->priority = head->priority;
        task->retries = head->retries;
        task->on_lost = head->on_lost;
        task->spec_chunks = head->spec_chunks;
        task->submitted_wall_ms = head->submitted_wall_ms;
        more->backoff_ms = from->backoff_ms;
        more->lost_after_ms = from->lost_after_ms;
}

struct job *array_make(struct core *core, struct job *head)
{
        struct array *array = head->more->array;
        uint32_t number = array->set.first + array->set.step * array->set.made;
        struct job *task;

        PX_ASSERT(array_may_make(array));
        task = job_new(core, px_task_id(head->id, number));
        task_copy(core, task, head);
        shape_hold(core, task);
        array_adopt(core, task);
        array->set.made++;
        job_put_owner(core, task);
        job_spring(core, task);
        return task;
}

/* ---- the head's books ------------------------------------------------------------------------------ */

/* In line while it may make tasks, else blocked without one; both without an event of its own. */
static void head_settle(struct core *core, struct job *head)
{
        int waits = job_waits_for(core, head);

        if (waits == PX_REASON_NONE && !job_in_line(head))
                waits = job_line_reason(core, head);
        if (waits == PX_REASON_NONE && head->state == PX_JOB_STATE_BLOCKED && !job_in_line(head))
                job_set_state(core, head, PX_JOB_STATE_QUEUED, PX_REASON_NONE, NOTE_QUIET);
        else if (waits != PX_REASON_NONE && head->state == PX_JOB_STATE_QUEUED)
                job_set_state(core, head, PX_JOB_STATE_BLOCKED, waits, NOTE_QUIET);
        else
                job_changed(core, head, waits == PX_REASON_NONE ? head->reason : waits, NOTE_NONE);
}

static void head_end(struct core *core, struct job *head)
{
        const struct px_array *set = &head->more->array->set;
        int state = PX_JOB_STATE_OK;
        int reason = PX_REASON_FINISHED;

        if (set->failed + set->timeout + set->lost > 0) {
                state = PX_JOB_STATE_FAILED;
                reason = PX_REASON_TASKS_FAILED;
        } else if (set->stopped || set->cancelled > 0) {
                state = PX_JOB_STATE_CANCELLED;
                reason = PX_REASON_CANCELLED;
        }
        job_set_state(core, head, state, reason, NOTE_NONE);
}

void array_changed(struct core *core, struct job *head)
{
        if (array_is_over(head->more->array))
                head_end(core, head);
        else
                head_settle(core, head);
}

static bool too_many_failed(const struct px_array *set)
{
        return !set->stopped && set->max_fails > 0 &&
               set->failed + set->timeout + set->lost >= set->max_fails;
}

static uint32_t *array_count(struct px_array *set, int state)
{
        switch (state) {
        case PX_JOB_STATE_OK:
                return &set->ok;
        case PX_JOB_STATE_FAILED:
                return &set->failed;
        case PX_JOB_STATE_CANCELLED:
                return &set->cancelled;
        case PX_JOB_STATE_TIMEOUT:
                return &set->timeout;
        default:
                PX_ASSERT(state == PX_JOB_STATE_LOST);
                return &set->lost;
        }
}

void array_task_ended(struct core *core, struct job *head, int state)
{
        struct px_array *set = &head->more->array->set;

        ++*array_count(set, state);
        if (head->more->array->stopping)
                return;
        if (too_many_failed(set))
                array_stop(core, head, &(struct px_m_change){.text = px_slice_text("too many tasks failed")});
        else
                array_changed(core, head);
}

void array_stop(struct core *core, struct job *head, const struct px_m_change *change)
{
        struct array *array = head->more->array;
        struct px_link *next;

        array->set.stopped = true;
        head->flags |= JOB_CANCEL_ASKED;
        array->stopping = true; /* tasks that end at once leave the head to us */
        for (struct px_link *at = array->tasks.next; at != &array->tasks; at = next) {
                struct job_more *more = PX_CONTAINER_OF(at, struct job_more, of_head);

                next = at->next;
                job_cancel(core, more->task, change);
        }
        array->stopping = false;
        array_changed(core, head);
}

/* ---- again ------------------------------------------------------------------------------------------ */

int array_may_revive(struct core *core, uint64_t id, const char **ret_text)
{
        const struct job *head = job_find(core, px_id_job(id));
        struct px_job_row row;

        *ret_text = "its array is gone";
        if (head == NULL && (!ended_find(core, px_id_job(id), &row) || row.array_count == 0 ||
                             !job_row_is_sound(core, px_id_job(id), &row)))
                return PX_E_CONFLICT;
        *ret_text = "its array is being stopped; retry it when that has ended";
        return head != NULL && (head->flags & JOB_CANCEL_ASKED) ? PX_E_CONFLICT : PX_OK;
}

/* The head of an ended array is active again for the sake of a task; it makes no others. */
static struct job *head_revive(struct core *core, uint64_t id, uint32_t shape)
{
        struct row_key key = row_key_u64(id);
        struct px_job_row row;
        struct job decoded, *head;
        struct array *array;

        PX_ASSERT(ended_find(core, id, &row));
        PX_ASSERT(job_of_row(core, id, &row, &decoded));
        head = job_new(core, id);
        *head = decoded;
        head->more->array->head = head;
        head->shape = shape;
        shape_hold(core, head);
        head->flags &= (uint16_t)~(JOB_CANCEL_ASKED | JOB_HELD);
        array = head->more->array;
        array->set.stopped = array->set.made < array->set.count;
        delete_row(core, PX_TABLE_DONE, &key);
        job_begin(core, head, PX_JOB_STATE_BLOCKED, PX_REASON_TASKS,
                  &(struct note){.event = PX_EV_JOB_RETRYING, .exit_code = -1});
        return head;
}

void array_revive(struct core *core, struct job *task, int ended_state)
{
        struct job *head = job_find(core, px_id_job(task->id));

        if (head == NULL)
                head = head_revive(core, px_id_job(task->id), task->shape);
        --*array_count(&head->more->array->set, ended_state);
        array_adopt(core, task);
        head_settle(core, head);
}

/* ---- the whole -------------------------------------------------------------------------------------- */

void arrays_recount(struct core *core)
{
        struct px_link *next;

        for (struct px_link *at = core->arrays.next; at != &core->arrays; at = next) {
                struct array *array = PX_CONTAINER_OF(at, struct array, link);
                uint32_t active = array_active(&array->set);

                next = at->next;
                PX_ASSERT(array->tasks_count <= active);
                if (array->tasks_count == active)
                        continue;
                array->set.lost += active - array->tasks_count;
                array_changed(core, array->head);
        }
}

void arrays_fini(struct core *core)
{
        while (!px_list_empty(&core->arrays)) {
                struct array *array = PX_CONTAINER_OF(core->arrays.next, struct array, link);

                px_list_remove(&array->link);
                px_free(array);
        }
}
