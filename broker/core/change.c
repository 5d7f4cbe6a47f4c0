/* SPDX-License-Identifier: Apache-2.0 */
/* change.c - CHANGE: cancel, retry, hold, release, rename, purge, signal, priority; RETENTION.
 * Layer: L2 (broker/core). Each job is answered by itself; the shell resolved selectors to ids, the
 * core checks each again. Ended jobs come as facts. */
#include "state.h"

/* What a change says of one job. */
struct fate {
        int code;
        int state;
        const char *text;
};

static struct fate done(int state)
{
        return (struct fate){.state = state, .text = ""};
}

static struct fate refused(int code, int state, const char *text)
{
        PX_ASSERT(code > 0);
        return (struct fate){code, state, text};
}

/* ---- names ---------------------------------------------------------------------------------------------- */

/* Labels stay; the row goes when nothing is left in it. Returns 0 or a refusal. */
static int rename_row(struct core *core, uint64_t id, bool has_name, struct px_slice name,
                      bool *ret_has_name)
{
        struct row_key key = row_key_u64(id);
        struct px_name_row row = {0};
        struct px_slice value;

        if (has_name && (!fact_find(core, PX_TABLE_NAME, &key, &value) ||
                         px_name_row_decode(value, &core->item, &row) != PX_WIRE_OK))
                return PX_E_DAMAGED;
        row.name = name;
        *ret_has_name = name.length > 0 || row.labels_count > 0;
        px_buf_reset(&core->bytes);
        px_name_row_encode(&row, &core->bytes);
        if (core->bytes.length > ROWS_VALUE_BYTES_MAX)
                return PX_E_LIMIT;
        if (*ret_has_name)
                put_row(core, PX_TABLE_NAME, &key, px_buf_slice(&core->bytes));
        else if (has_name)
                delete_row(core, PX_TABLE_NAME, &key);
        return PX_OK;
}

static struct fate rename_active(struct core *core, struct job *job,
                                 const struct px_m_change *change)
{
        bool has_name;
        int code = rename_row(core, job->id, (job->flags & JOB_HAS_NAME) != 0, change->text,
                              &has_name);

        if (code != 0)
                return refused(code, job->state, "name and labels take too many bytes");
        job->flags = (uint16_t)(has_name ? job->flags | JOB_HAS_NAME : job->flags & ~JOB_HAS_NAME);
        job_changed(core, job, job->reason,
                    &(struct note){.event = PX_EV_JOB_RENAMED,
                                   .exit_code = -1,
                                   .text = change->text});
        return done(job->state);
}

/* ---- active jobs ------------------------------------------------------------------------------------------ */

static void cancel_on_node(struct core *core, struct job *job, const struct px_m_change *change)
{
        struct attempt *attempt = job->attempt;
        bool away = !attempt->node->alive;
        int64_t deadline_ms = job->more == NULL ? 0 : job->more->deadline_ms;

        if (job->state != PX_JOB_STATE_CANCELLING) {
                job->flags |= JOB_CANCEL_ASKED;
                job_set_state(core, job, PX_JOB_STATE_CANCELLING, PX_REASON_STOPPING,
                              &(struct note){.exit_code = -1, .text = change->text});
        }
        if (change->force)
                attempt->grace_ms = CORE_GRACE_FORCED_MS;
        attempt->assigning = false;
        attempt->killing = true;
        if (attempt->node->connected)
                node_kill(core, attempt, PX_KILL_WHY_CANCEL, 0);
        if (!away || job->reason == PX_REASON_UNREACHABLE)
                return;
        /* It was given up at a time already, or is from now on. */
        if (deadline_ms == 0)
                deadline_ms = core->core_ms + (int64_t)job_lost_after_ms(job);
        job_deadline(core, job, deadline_ms);
        job_changed(core, job, PX_REASON_UNREACHABLE, NOTE_NONE);
}

void job_cancel(struct core *core, struct job *job, const struct px_m_change *change)
{
        if (job_on_node(job->state))
                cancel_on_node(core, job, change);
        else
                job_set_state(core, job, PX_JOB_STATE_CANCELLED, PX_REASON_CANCELLED,
                              &(struct note){.exit_code = -1, .text = change->text});
}

static struct fate cancel_active(struct core *core, struct job *job,
                                 const struct px_m_change *change)
{
        uint64_t id = job->id;

        if (job_is_array(job))
                array_stop(core, job, change);
        else
                job_cancel(core, job, change);
        return done(job_find(core, id) == NULL ? PX_JOB_STATE_CANCELLED : PX_JOB_STATE_CANCELLING);
}

static struct fate hold_active(struct core *core, struct job *job)
{
        if (job_on_node(job->state))
                return refused(PX_E_CONFLICT, job->state, "it was given to a node already");
        if (job->flags & JOB_HELD)
                return done(job->state);
        job->flags |= JOB_HELD;
        if (job->state == PX_JOB_STATE_QUEUED)
                job_set_state(core, job, PX_JOB_STATE_BLOCKED, PX_REASON_HELD, NOTE_NONE);
        else
                job_changed(core, job, PX_REASON_HELD,
                            &(struct note){.event = PX_EV_JOB_BLOCKED, .exit_code = -1});
        return done(PX_JOB_STATE_BLOCKED);
}

static struct fate release_active(struct core *core, struct job *job)
{
        int reason;

        if (!(job->flags & JOB_HELD))
                return refused(PX_E_CONFLICT, job->state, "it is not held");
        PX_ASSERT(job->state == PX_JOB_STATE_BLOCKED);
        job->flags &= (uint16_t)~JOB_HELD;
        reason = job_waits_for(core, job);
        if (reason == PX_REASON_NONE)
                return done(job_ready(core, job));
        job_changed(core, job, reason,
                    &(struct note){.event = PX_EV_JOB_BLOCKED, .exit_code = -1});
        job_deadline(core, job, job->more->deadline_ms);
        return done(PX_JOB_STATE_BLOCKED);
}

static struct fate signal_active(struct core *core, struct job *job,
                                 const struct px_m_change *change)
{
        if (change->number < 1 || change->number > 64)
                return refused(PX_E_INVALID, job->state, "a signal is a number from 1 to 64");
        if (job->state != PX_JOB_STATE_RUNNING && job->state != PX_JOB_STATE_CANCELLING)
                return refused(PX_E_CONFLICT, job->state, "it does not run");
        if (!job->attempt->node->connected)
                return refused(PX_E_UNREACHABLE, job->state, "its node is unreachable");
        node_kill(core, job->attempt, PX_KILL_WHY_SIGNAL, (uint32_t)change->number);
        return done(job->state);
}

static struct fate priority_active(struct core *core, struct job *job,
                                   const struct px_m_change *change)
{
        if (change->number < -PX_LIMIT_PRIORITY || change->number > PX_LIMIT_PRIORITY)
                return refused(PX_E_LIMIT, job->state, "a priority lies between -1000 and 1000");
        if (change->number > share_priority_max(&principal_find(core, job->owner)->share) &&
            core->principal->role != PX_ROLE_ADMIN)
                return refused(PX_E_LIMIT, job->state, "above the largest priority of its user");
        line_reorder(core, job, (int16_t)change->number);
        job_changed(core, job, job->reason,
                    &(struct note){.event = PX_EV_JOB_PRIORITY, .exit_code = -1});
        return done(job->state);
}

static struct fate change_active(struct core *core, struct job *job,
                                 const struct px_m_change *change)
{
        switch (change->change) {
        case PX_CHANGE_CANCEL:
                return cancel_active(core, job, change);
        case PX_CHANGE_HOLD:
                return hold_active(core, job);
        case PX_CHANGE_RELEASE:
                return release_active(core, job);
        case PX_CHANGE_RENAME:
                return rename_active(core, job, change);
        case PX_CHANGE_SIGNAL:
                return signal_active(core, job, change);
        case PX_CHANGE_PRIORITY:
                return priority_active(core, job, change);
        case PX_CHANGE_RETRY:
                return refused(PX_E_CONFLICT, job->state, "it has not ended");
        case PX_CHANGE_PURGE:
                return refused(PX_E_CONFLICT, job->state, "it has not ended; cancel it first");
        default:
                return refused(PX_E_INVALID, job->state, "no such change");
        }
}

/* ---- ended jobs ------------------------------------------------------------------------------------------- */

static void ended_event(struct core *core, uint64_t id, const struct px_job_row *row, int kind,
                        struct px_slice text)
{
        struct px_event event = {
                .kind = (uint16_t)kind,
                .owner = row->owner,
                .job = {id},
                .attempt = row->fence.attempt,
                .state = row->state,
                .reason = row->reason,
                .exit_code = row->exit_code,
                .signal = row->signal,
                .text = px_slice_of(text.data,
                                    PX_MIN(text.length, (size_t)PX_LIMIT_NAME_BYTES)),
        };

        put_event(core, &event);
}

static struct fate retry_ended(struct core *core, uint64_t id, const struct px_job_row *row,
                               const struct px_m_change *change)
{
        struct row_key key = row_key_u64(id);
        struct px_shape_row request;
        struct job decoded, *job;
        const char *text;

        if (row->state == PX_JOB_STATE_OK && !change->force)
                return refused(PX_E_CONFLICT, row->state, "it ended ok; --force runs it again");
        if (core->jobs.count >= core->options.jobs_max)
                return refused(PX_E_LIMIT, row->state, "too many active jobs");
        if (core->storage_full)
                return refused(PX_E_STORAGE_FULL, row->state, "storage is full");
        if (row->array_count == 1 && row->array[0].made == row->array[0].count)
                return refused(PX_E_CONFLICT, row->state,
                               "all its tasks have run; retry those that failed");
        if (px_id_is_task(id) && array_may_revive(core, id, &text) != PX_OK)
                return refused(PX_E_CONFLICT, row->state, text);
        PX_ASSERT(px_job_edge(row->state, PX_JOB_STATE_QUEUED));
        if (px_shape_row_decode(row->request, &core->item, &request) != PX_WIRE_OK ||
            request.kind == 0)
                return refused(PX_E_DAMAGED, row->state, "its record is damaged");
        if (!shape_has_room(core, &request))
                return refused(PX_E_LIMIT, row->state, "too many different resource requests");
        if (!job_of_row(core, id, row, &decoded))
                return refused(PX_E_DAMAGED, row->state, "its record is damaged");
        job = job_new(core, id);
        *job = decoded;
        job->shape = shape_intern(core, &request)->id;
        shape_hold(core, job);
        job->failures = 0;
        job->losses = 0;
        if (job->more != NULL)
                job->more->expires_wall_ms = 0; /* it is wanted now */
        job->flags &= (uint16_t)~(JOB_CANCEL_ASKED | JOB_HELD);
        if (job_is_array(job)) {
                job->more->array->head = job;
                job->more->array->set.stopped = false;
        }
        if (px_id_is_task(id))
                array_revive(core, job, row->state);
        delete_row(core, PX_TABLE_DONE, &key);
        job_begin(core, job, PX_JOB_STATE_QUEUED, PX_REASON_NONE,
                  &(struct note){.event = PX_EV_JOB_RETRYING,
                                 .exit_code = -1,
                                 .text = px_slice_text("retried by hand")});
        return done(PX_JOB_STATE_QUEUED);
}

static struct fate rename_ended(struct core *core, uint64_t id, struct px_job_row *row,
                                const struct px_m_change *change)
{
        struct row_key key = row_key_u64(id);
        bool has_name;
        int code = rename_row(core, id, (row->flags & JOB_HAS_NAME) != 0, change->text, &has_name);

        if (code != 0)
                return refused(code, row->state, "name and labels take too many bytes");
        row->flags = has_name ? row->flags | JOB_HAS_NAME : row->flags & ~(uint32_t)JOB_HAS_NAME;
        px_buf_reset(&core->bytes);
        px_job_row_encode(row, &core->bytes);
        put_row(core, PX_TABLE_DONE, &key, px_buf_slice(&core->bytes));
        ended_event(core, id, row, PX_EV_JOB_RENAMED, change->text);
        return done(row->state);
}

static void delete_chunks(struct core *core, uint8_t table, uint64_t id, uint32_t chunks)
{
        for (uint32_t i = 0; i < chunks && i <= UINT16_MAX; i++) {
                struct row_key key = row_key_u64(id);

                row_key_add_u16(&key, (uint16_t)i);
                delete_row(core, table, &key);
        }
}

/* A key made then has been remembered for long enough. */
static bool key_is_over(const struct core *core, int64_t wall_ms)
{
        return wall_ms + (int64_t)core->options.key_keep_ms <= core->wall_ms;
}

/* Everything that is stored of it, but for a young key: that outlives its job. */
static void purge_rows(struct core *core, uint64_t id, const struct px_job_row *row)
{
        struct row_key key = row_key_u64(id);
        struct row_key owner = row_key_u32(row->owner.value);

        row_key_add_u64(&owner, id);
        if (row->flags & JOB_HAS_ENVIRONMENT)
                share_release(core, id);
        delete_row(core, PX_TABLE_DONE, &key);
        delete_row(core, PX_TABLE_OWNER, &owner);
        delete_chunks(core, PX_TABLE_SPEC, id, row->spec_chunks);
        delete_chunks(core, PX_TABLE_RESULT, id, row->result_chunks);
        if (row->flags & JOB_HAS_NAME)
                delete_row(core, PX_TABLE_NAME, &key);
        for (uint32_t i = 1; i <= row->fence.attempt; i++) {
                struct row_key attempt = row_key_u64(id);

                row_key_add_u32(&attempt, i);
                delete_row(core, PX_TABLE_ATTEMPT, &attempt);
        }
        if ((row->flags & JOB_HAS_KEY) && key_is_over(core, row->submitted_wall_ms)) {
                struct row_key user = row_key_u32(row->owner.value);

                row_key_add_bytes(&user, row->key);
                delete_row(core, PX_TABLE_KEY, &user);
        }
        if (row->flags & JOB_HAS_BLOB) {
                struct row_key use = submit_blob_use_key(row->owner.value, row->blob, id);

                delete_row(core, PX_TABLE_BLOB_USE, &use);
        }
}

static void purge(struct core *core, uint64_t id, const struct px_job_row *row)
{
        purge_rows(core, id, row);
        ended_event(core, id, row, PX_EV_JOB_PURGED, PX_SLICE_NONE);
        put_effect(core, CORE_EFFECT_JOB_PURGED, 0)->job_purged = (struct px_job_id){id};
}

static struct fate change_ended(struct core *core, uint64_t id, struct px_job_row *row,
                                const struct px_m_change *change)
{
        switch (change->change) {
        case PX_CHANGE_CANCEL:
                if (row->state == PX_JOB_STATE_CANCELLED)
                        return done(row->state);
                return refused(PX_E_CONFLICT, row->state, "it has ended");
        case PX_CHANGE_RETRY:
                return retry_ended(core, id, row, change);
        case PX_CHANGE_RENAME:
                return rename_ended(core, id, row, change);
        case PX_CHANGE_PURGE:
                purge(core, id, row);
                return done(row->state);
        default:
                return refused(PX_E_CONFLICT, row->state, "it has ended");
        }
}

/* ---- messages ---------------------------------------------------------------------------------------------- */

static struct fate change_one(struct core *core, uint64_t id, const struct px_m_change *change)
{
        struct job *job = job_find(core, id);
        struct px_job_row row;

        if (change->change == PX_CHANGE_RENAME && px_id_is_task(id))
                return refused(PX_E_INVALID, 0, "a task has the name of its array");

        if (job != NULL) {
                if (access_check(core, core->principal, VERB_CHANGE, job->owner) != 0)
                        return refused(PX_E_ABSENT, 0, "");
                return change_active(core, job, change);
        }
        if (!ended_find(core, id, &row) ||
            access_check(core, core->principal, VERB_CHANGE, row.owner.value) != 0)
                return refused(PX_E_ABSENT, 0, "");
        return change_ended(core, id, &row, change);
}

void change_take(struct core *core, const struct px_m_change *change)
{
        struct session *session = session_begin(core, change->session, change->done_below, true);
        struct px_m_changed answer = {0};
        struct px_change_answer *items;

        if (session == NULL)
                return;
        if (access_check(core, core->principal, VERB_CHANGE, 0) != 0) {
                refuse(core, PX_E_DENIED, "role %s may not change jobs",
                       px_role_name(core->principal->role));
                return;
        }
        if (change->text.length > PX_LIMIT_NAME_BYTES) {
                refuse(core, PX_E_LIMIT, "a name or reason has at most %d bytes",
                       PX_LIMIT_NAME_BYTES);
                return;
        }
        items = px_arena_alloc(&core->scratch, (change->jobs_count + 1) * sizeof(*items));
        for (size_t i = 0; i < change->jobs_count; i++) {
                uint64_t id = change->jobs[i].value;
                struct fate fate = change_one(core, id, change);

                items[i] = (struct px_change_answer){
                        .job = {id},
                        .code = (uint16_t)fate.code,
                        .state = fate.state,
                        .text = px_slice_text(fate.text),
                };
                px_arena_reset(&core->item);
        }
        answer.items = items;
        answer.items_count = change->jobs_count;
        FRAME(core, changed, &answer, core->command->header.correlation);
        session_answer(core, session);
}

/* A key that outlived its job, until its time was over. Source: RELIABILITY 4.2. */
static void retain_key(struct core *core, struct px_slice bytes)
{
        struct px_job_row job;
        struct px_key_row row;
        struct px_slice value;
        struct row_key key = {0};

        if (bytes.length != sizeof(uint32_t) + CORE_KEY_HASH_BYTES)
                return;
        row_key_add_bytes(&key, bytes);
        if (!fact_find(core, PX_TABLE_KEY, &key, &value) ||
            px_key_row_decode(value, &core->item, &row) != PX_WIRE_OK ||
            !key_is_over(core, row.wall_ms) || job_find(core, row.job.value) != NULL ||
            ended_find(core, row.job.value, &job))
                return;
        delete_row(core, PX_TABLE_KEY, &key);
}

void retention_take(struct core *core, const struct px_m_retention *retention)
{
        for (size_t i = 0; i < retention->jobs_count; i++) {
                uint64_t id = retention->jobs[i].value;
                struct px_job_row row;

                if (job_find(core, id) == NULL && ended_find(core, id, &row))
                        purge(core, id, &row);
                px_arena_reset(&core->item);
        }
        for (size_t i = 0; i < retention->keys_count; i++) {
                retain_key(core, retention->keys[i]);
                px_arena_reset(&core->item);
        }
}
