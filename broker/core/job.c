/* SPDX-License-Identifier: Apache-2.0 */
/* job.c - the hot record of an active job, its row, and the one way to change its state.
 * Layer: L2 (broker/core). */
#include "state.h"
#include "reason.h"

#define START_CHECK_MS 300000 /* a start time is looked at anew so often: wall clocks are set */

bool job_ended(int state)
{
        return state >= PX_JOB_STATE_OK;
}

bool job_on_node(int state)
{
        return state == PX_JOB_STATE_ASSIGNED || state == PX_JOB_STATE_RUNNING ||
               state == PX_JOB_STATE_CANCELLING;
}

struct job *job_find(const struct core *core, uint64_t id)
{
        return job_table_find(&core->jobs, id);
}

struct job *job_new(struct core *core, uint64_t id)
{
        struct job *job = slab_take(&core->job_slab);

        PX_ASSERT(id != 0);
        job->id = id;
        job_table_put(&core->jobs, job);
        return job;
}

struct job_more *job_more(struct core *core, struct job *job)
{
        if (job->more == NULL)
                job->more = slab_take(&core->more_slab);
        return job->more;
}

void job_free(struct core *core, struct job *job)
{
        PX_ASSERT(job->ready.position == 0);
        PX_ASSERT(job->attempt == NULL);
        if (job->more != NULL) {
                timer_disarm(core, &job->more->timer);
                timer_disarm(core, &job->more->expiry);
                array_close(job->more);
                slab_give(&core->more_slab, job->more);
        }
        shape_release(core, job);
        job_table_take(&core->jobs, job);
        slab_give(&core->job_slab, job);
}

uint64_t job_lost_after_ms(const struct job *job)
{
        uint64_t lost_after_ms = job->more == NULL ? 0 : job->more->lost_after_ms;

        return lost_after_ms == 0 ? CORE_LOST_AFTER_MS : lost_after_ms;
}

/* ---- rows ---------------------------------------------------------------------------------------- */

void job_row_of(const struct job *job, struct px_job_row *ret_row)
{
        *ret_row = (struct px_job_row){
                .state = job->state,
                .reason = job->reason,
                .owner = {job->owner},
                .shape = job->shape,
                .priority = job->priority,
                .fence = job->fence,
                .node = {job->node},
                .failures = job->failures,
                .losses = job->losses,
                .retries = job->retries,
                .on_lost = job->on_lost,
                .submitted_wall_ms = job->submitted_wall_ms,
                .started_wall_ms = job->started_wall_ms,
                .exit_code = -1,
                .flags = job->flags & JOB_STORED_FLAGS,
                .spec_chunks = job->spec_chunks,
                .result_chunks = job->result_chunks,
        };
        if (job->more == NULL)
                return;
        ret_row->lost_after_ms = job->more->lost_after_ms;
        ret_row->backoff_ms = job->more->backoff_ms;
        ret_row->deadline_ms = job->more->deadline_ms;
        ret_row->start_wall_ms = job->more->start_wall_ms;
        ret_row->content = job->more->content;
        ret_row->gpus = job->more->gpus;
        ret_row->wait_ms = job->more->wait_ms;
        ret_row->wait_until_ms = job->more->wait_until_ms;
        ret_row->expires_wall_ms = job->more->expires_wall_ms;
        if (job->flags & JOB_HAS_KEY)
                ret_row->key = px_slice_of(job->more->key, CORE_KEY_HASH_BYTES);
        if (job->flags & JOB_HAS_BLOB)
                ret_row->blob = px_slice_of(job->more->blob, CORE_BLOB_BYTES);
        if (job->more->array != NULL) {
                ret_row->array = &job->more->array->set;
                ret_row->array_count = 1;
        }
}

static bool row_needs_more(const struct px_job_row *row)
{
        return row->lost_after_ms != 0 || row->backoff_ms != 0 || row->deadline_ms != 0 ||
               row->start_wall_ms != 0 || (row->flags & (JOB_HAS_KEY | JOB_HAS_BLOB)) != 0 ||
               row->gpus != 0 || row->wait_ms != 0 || row->wait_until_ms != 0 ||
               row->expires_wall_ms != 0 || row->array_count != 0;
}

bool job_row_is_sound(const struct core *core, uint64_t id, const struct px_job_row *row)
{
        bool has_key = (row->flags & JOB_HAS_KEY) != 0;
        bool has_blob = (row->flags & JOB_HAS_BLOB) != 0;

        return row->state != 0 && row->on_lost != 0 && row->reason != 0 &&
               row->failures <= UINT16_MAX && row->losses <= UINT8_MAX &&
               row->retries <= PX_LIMIT_RETRIES && row->priority >= -PX_LIMIT_PRIORITY &&
               row->priority <= PX_LIMIT_PRIORITY && row->spec_chunks <= UINT16_MAX &&
               row->result_chunks <= UINT16_MAX && row->flags <= JOB_STORED_FLAGS &&
               row->key.length == (has_key ? CORE_KEY_HASH_BYTES : 0) &&
               row->blob.length == (has_blob ? CORE_BLOB_BYTES : 0) &&
               principal_find(core, row->owner.value) != NULL && array_row_is_sound(id, row);
}

bool job_of_row(struct core *core, uint64_t id, const struct px_job_row *row, struct job *job)
{
        if (!job_row_is_sound(core, id, row))
                return false;
        *job = (struct job){
                .id = id,
                .fence = row->fence,
                .node = row->node.value,
                .owner = row->owner.value,
                .shape = row->shape,
                .priority = (int16_t)row->priority,
                .failures = (uint16_t)row->failures,
                .retries = (uint16_t)row->retries,
                .flags = (uint16_t)row->flags,
                .spec_chunks = (uint16_t)row->spec_chunks,
                .result_chunks = (uint16_t)row->result_chunks,
                .state = (uint8_t)row->state,
                .reason = (uint8_t)row->reason,
                .on_lost = (uint8_t)row->on_lost,
                .losses = (uint8_t)row->losses,
                .submitted_wall_ms = row->submitted_wall_ms,
                .started_wall_ms = row->started_wall_ms,
        };
        if (!row_needs_more(row))
                return true;
        job->more = slab_take(&core->more_slab);
        job->more->lost_after_ms = row->lost_after_ms;
        job->more->backoff_ms = row->backoff_ms;
        job->more->deadline_ms = row->deadline_ms;
        job->more->start_wall_ms = row->start_wall_ms;
        job->more->content = row->content;
        job->more->gpus = row->gpus;
        job->more->wait_ms = row->wait_ms;
        job->more->wait_until_ms = row->wait_until_ms;
        job->more->expires_wall_ms = row->expires_wall_ms;
        if (row->key.length > 0)
                memcpy(job->more->key, row->key.data, CORE_KEY_HASH_BYTES);
        if (row->blob.length > 0)
                memcpy(job->more->blob, row->blob.data, CORE_BLOB_BYTES);
        if (row->array_count != 0)
                array_open(core, job, &row->array[0]);
        return true;
}

static void job_put(struct core *core, uint8_t table, uint64_t id, const struct px_job_row *row)
{
        struct row_key key = row_key_u64(id);

        px_buf_reset(&core->bytes);
        px_job_row_encode(row, &core->bytes);
        put_row(core, table, &key, px_buf_slice(&core->bytes));
}

/* ---- events ---------------------------------------------------------------------------------------- */

static int event_of_state(int state)
{
        static const uint8_t kinds[CORE_STATES] = {
                [PX_JOB_STATE_BLOCKED] = PX_EV_JOB_BLOCKED,
                [PX_JOB_STATE_QUEUED] = PX_EV_JOB_QUEUED,
                [PX_JOB_STATE_ASSIGNED] = PX_EV_JOB_ASSIGNED,
                [PX_JOB_STATE_RUNNING] = PX_EV_JOB_STARTED,
                [PX_JOB_STATE_CANCELLING] = PX_EV_JOB_CANCELLING,
                [PX_JOB_STATE_OK] = PX_EV_JOB_OK,
                [PX_JOB_STATE_FAILED] = PX_EV_JOB_FAILED,
                [PX_JOB_STATE_CANCELLED] = PX_EV_JOB_CANCELLED,
                [PX_JOB_STATE_TIMEOUT] = PX_EV_JOB_TIMEOUT,
                [PX_JOB_STATE_LOST] = PX_EV_JOB_LOST,
                [PX_JOB_STATE_SKIPPED] = PX_EV_JOB_SKIPPED,
        };

        PX_ASSERT(state > 0 && state < CORE_STATES);
        return kinds[state];
}

static struct px_slice node_name_of(const struct core *core, uint32_t id,
                                    const struct note *note)
{
        const struct node *node;

        if (note->node_name.length > 0)
                return note->node_name;
        node = node_find(core, id);
        return node == NULL ? PX_SLICE_NONE : node->name;
}

/* The reason in words; borrowed until the next call. */
static struct px_slice job_words(struct core *core, const struct px_job_row *row,
                                 const struct note *note)
{
        struct reason_facts facts =
                reason_facts_of(row, node_name_of(core, row->node.value, note), note->text,
                                core->core_ms);

        if (note->signal != 0 || note->exit_code != -1) {
                facts.exit_code = note->exit_code;
                facts.signal = note->signal;
        }
        px_buf_reset(&core->words);
        reason_words(&facts, &core->words);
        return px_buf_slice(&core->words);
}

static void job_event(struct core *core, uint64_t id, const struct px_job_row *row,
                      const struct note *note)
{
        struct px_event event = {
                .kind = (uint16_t)(note->event != 0 ? note->event : event_of_state(row->state)),
                .owner = row->owner,
                .job = {id},
                .attempt = row->fence.attempt,
                .state = row->state,
                .reason = row->reason,
                .exit_code = note->exit_code,
                .signal = note->signal,
        };

        if (note->event == EVENT_NONE)
                return;
        if (event.kind != PX_EV_JOB_SUBMITTED || row->reason != PX_REASON_NONE)
                event.text = job_words(core, row, note);
        if (row->fence.attempt != 0)
                event.node = node_name_of(core, row->node.value, note);
        put_event(core, &event);
}

/* ---- changes ---------------------------------------------------------------------------------------- */

/* After a change of state or reason: it joins its line or leaves it, and waits from now or no more. */
static void job_line_up(struct core *core, struct job *job)
{
        bool in_line = job_in_line(job);
        struct job_more *more = job->more;

        if (in_line && job->ready.position == 0)
                line_add(core, job);
        else if (!in_line && job->ready.position != 0)
                line_remove(core, job);
        if (more == NULL)
                return;
        if (in_line && more->wait_ms > 0 && more->wait_until_ms == 0)
                more->wait_until_ms = core->core_ms + (int64_t)more->wait_ms;
        else if (!in_line)
                more->wait_until_ms = 0;
        expiry_arm(core, job);
}

void job_begin(struct core *core, struct job *job, int state, int reason, const struct note *note)
{
        struct px_job_row row;

        PX_ASSERT(state == PX_JOB_STATE_QUEUED || state == PX_JOB_STATE_BLOCKED);
        job->state = (uint8_t)state;
        job->reason = (uint8_t)reason;
        core->state_counts[state]++;
        principal_find(core, job->owner)->jobs_count++;
        job_line_up(core, job);
        job_row_of(job, &row);
        job_put(core, PX_TABLE_JOB, job->id, &row);
        job_event(core, job->id, &row, note);
}

void job_spring(struct core *core, struct job *task)
{
        PX_ASSERT(px_id_is_task(task->id) && task->fence.attempt == 0);
        task->state = PX_JOB_STATE_QUEUED;
        task->reason = PX_REASON_NONE;
        core->state_counts[PX_JOB_STATE_QUEUED]++;
        principal_find(core, task->owner)->jobs_count++;
        job_line_up(core, task);
}

/* The encoded row of a shape; lives as long as the output. */
static struct px_slice shape_bytes(struct core *core, const struct shape *shape)
{
        return px_arena_copy(&core->output->arena, shape->bytes);
}

/* The job leaves RAM: its row moves to `done`, followers and watchers are told. */
static void job_leave(struct core *core, struct job *job, const struct note *note)
{
        struct row_key key = row_key_u64(job->id);
        struct px_job_row row;
        struct px_end end;
        struct core_job_end *effect;
        struct job *head = job->more == NULL ? NULL : job->more->head;
        int state = job->state;

        job_row_of(job, &row);
        row.shape = 0;
        row.request = shape_bytes(core, shape_find(core, job->shape));
        row.deadline_ms = 0;
        row.wait_until_ms = 0;
        row.ended_wall_ms = core->wall_ms;
        row.exit_code = note->exit_code;
        row.signal = note->signal;
        delete_row(core, PX_TABLE_JOB, &key);
        job_put(core, PX_TABLE_DONE, job->id, &row);
        job_event(core, job->id, &row, note);
        effect = &put_effect(core, CORE_EFFECT_JOB_END, 0)->job_end;
        *effect = (struct core_job_end){{job->id}, job->fence, job->state};
        if (job->flags & JOB_WATCHED) {
                end = (struct px_end){
                        .job = {job->id},
                        .state = job->state,
                        .reason = job->reason,
                        .attempt = job->fence.attempt,
                        .exit_code = note->exit_code,
                        .signal = note->signal,
                        .node = node_name_of(core, job->node, note),
                        .text = job_words(core, &row, note),
                        .has_result = (job->flags & JOB_HAS_RESULT) != 0,
                };
                if (note->has_result && note->result.length <= PX_LIMIT_RESULT_PUSH_BYTES)
                        end.result = note->result;
                watch_end(core, job, &end);
        }
        core->ended_count++;
        principal_find(core, job->owner)->jobs_count--;
        job_free(core, job);
        if (head != NULL)
                array_task_ended(core, head, state);
}

void job_set_state(struct core *core, struct job *job, int to, int reason, const struct note *note)
{
        int from = job->state;
        struct px_job_row row;

        PX_ASSERT(px_job_edge(from, to));
        PX_ASSERT(reason > 0);
        PX_ASSERT(job_on_node(to) == (job->attempt != NULL));
        core->state_counts[from]--;
        job->state = (uint8_t)to;
        job->reason = (uint8_t)reason;
        job_line_up(core, job);
        if (to != PX_JOB_STATE_BLOCKED)
                job_deadline(core, job, 0);
        if (job_ended(to)) {
                job_leave(core, job, note);
                return;
        }
        core->state_counts[to]++;
        job_row_of(job, &row);
        job_put(core, PX_TABLE_JOB, job->id, &row);
        job_event(core, job->id, &row, note);
}

void job_changed(struct core *core, struct job *job, int reason, const struct note *note)
{
        struct px_job_row row;

        PX_ASSERT(!job_ended(job->state));
        PX_ASSERT(reason > 0);
        job->reason = (uint8_t)reason;
        job_line_up(core, job);
        job_row_of(job, &row);
        job_put(core, PX_TABLE_JOB, job->id, &row);
        if (note->event != 0)
                job_event(core, job->id, &row, note);
}

/* ---- waiting ---------------------------------------------------------------------------------------- */

/* Then a wall clock that goes back doesn't make it wait again. */
static bool job_has_begun(const struct job *job)
{
        return job->fence.attempt > 0 || (job_is_array(job) && job->more->array->set.made > 0);
}

int job_waits_for(const struct core *core, const struct job *job)
{
        if (job->flags & JOB_HELD)
                return PX_REASON_HELD;
        if (job->more == NULL)
                return PX_REASON_NONE;
        if (job->more->array != NULL && !array_may_make(job->more->array))
                return PX_REASON_TASKS;
        if (job->more->deadline_ms > core->core_ms)
                return PX_REASON_BACKOFF;
        if (job->more->start_wall_ms > core->wall_ms && !job_has_begun(job))
                return PX_REASON_START_TIME;
        return PX_REASON_NONE;
}

int job_line_reason(const struct core *core, const struct job *job)
{
        const struct line *line = line_find(core, job->shape, job->owner);

        return line != NULL && line->place == LINE_PARKED &&
                               line->gate->set.kind == PX_GATE_KIND_RESOURCE
                       ? PX_REASON_SLOT
                       : PX_REASON_NONE;
}

int job_ready(struct core *core, struct job *job)
{
        int reason = job_line_reason(core, job);

        PX_ASSERT(job->state == PX_JOB_STATE_BLOCKED && !job_in_line(job));
        if (reason == PX_REASON_NONE) {
                job_set_state(core, job, PX_JOB_STATE_QUEUED, PX_REASON_NONE, NOTE_NONE);
        } else {
                if (job->more != NULL)
                        job->more->deadline_ms = 0; /* in its row, too */
                job_changed(core, job, reason,
                            &(struct note){.event = PX_EV_JOB_BLOCKED, .exit_code = -1});
                job_deadline(core, job, 0);
        }
        return job->state;
}

static void job_arm(struct core *core, struct job *job)
{
        struct job_more *more = job->more;

        if (more == NULL)
                return;
        if (more->deadline_ms != 0) {
                timer_arm(core, &more->timer, TIMER_JOB, job->id, more->deadline_ms);
        } else if (job->state == PX_JOB_STATE_BLOCKED && !job_in_line(job) &&
                   !job_has_begun(job) && more->start_wall_ms != 0) {
                /* It may have passed already, while no broker ran. */
                int64_t wait_ms = PX_MAX(more->start_wall_ms - core->wall_ms, (int64_t)0);

                timer_arm(core, &more->timer, TIMER_JOB, job->id,
                          core->core_ms + PX_MIN(wait_ms, (int64_t)START_CHECK_MS));
        }
}

void job_deadline(struct core *core, struct job *job, int64_t deadline_ms)
{
        if (deadline_ms == 0 && job->more == NULL)
                return;
        job_more(core, job)->deadline_ms = deadline_ms;
        timer_disarm(core, &job->more->timer);
        job_arm(core, job);
}

/* An unreachable attempt is waited for in full again, as leases are: core time passed with the wall
 * clock while no broker ran, and that may have jumped. */
void job_arm_loaded(struct core *core, struct job *job)
{
        int64_t full_ms = core->core_ms + (int64_t)job_lost_after_ms(job);

        job_arm(core, job);
        expiry_arm(core, job);
        if (job->more == NULL || job->more->deadline_ms == 0 || !job_on_node(job->state))
                return;
        timer_arm(core, &job->more->timer, TIMER_JOB, job->id,
                  PX_MAX(job->more->deadline_ms, full_ms));
}

void job_timer_fired(struct core *core, uint64_t id)
{
        struct job *job = job_find(core, id);
        int reason;

        PX_ASSERT(job != NULL);
        if (job_on_node(job->state)) {
                PX_ASSERT(job->reason == PX_REASON_UNREACHABLE);
                attempt_gone(core, job, PX_REASON_NODE_LOST, true);
                return;
        }
        PX_ASSERT(job->state == PX_JOB_STATE_BLOCKED);
        reason = job_waits_for(core, job);
        if (reason == PX_REASON_NONE)
                (void)job_ready(core, job);
        else if (reason == PX_REASON_START_TIME)
                job_arm(core, job);
        else
                PX_ASSERT(reason == PX_REASON_HELD || reason == PX_REASON_TASKS);
}
