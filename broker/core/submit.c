/* SPDX-License-Identifier: Apache-2.0 */
/* submit.c - SUBMIT: each job is accepted or refused by itself. Layer: L2 (broker/core).
 * Source: RELIABILITY 4.1, 4.2.
 *
 * A user's key is remembered as a row (owner, hash of the key) -> (job, hash of the submission): the
 * same content gives the same job again, other content is a conflict.
 *
 * A large standard input was uploaded before and is named by its content. The shell says as a fact
 * whether the file is here; a row (owner, content, job) keeps it while the job is remembered. */
#include "state.h"

/* What became of one item. */
struct fate {
        uint64_t job; /* 0 = refused */
        int code;
        struct px_slice text;
};

/* ---- answers ------------------------------------------------------------------------------------------ */

/* Consecutive items with one fate are one run. */
static bool run_goes_on(const struct px_answer_run *run, const struct fate *fate)
{
        if (run->code != fate->code)
                return false;
        if (fate->code == 0)
                return run->job.value + run->count == fate->job;
        return px_slice_equal(run->text, fate->text);
}

static size_t run_add(struct px_answer_run *runs, size_t count, const struct fate *fate)
{
        if (count > 0 && run_goes_on(&runs[count - 1], fate)) {
                runs[count - 1].count++;
                return count;
        }
        runs[count] = (struct px_answer_run){
                .job = {fate->job},
                .count = 1,
                .code = (uint16_t)fate->code,
                .text = fate->text,
        };
        return count + 1;
}

static struct fate refused(int code, const char *text)
{
        PX_ASSERT(code > 0);
        return (struct fate){.code = code, .text = px_slice_text(text)};
}

static struct fate accepted(uint64_t job)
{
        PX_ASSERT(job != 0);
        return (struct fate){.job = job};
}

/* ---- checks --------------------------------------------------------------------------------------------- */

static struct fate check_policy(const struct px_submit_job *item)
{
        if (item->priority < -PX_LIMIT_PRIORITY || item->priority > PX_LIMIT_PRIORITY)
                return refused(PX_E_LIMIT, "a priority lies between -1000 and 1000");
        if (item->backoff_ms > (uint64_t)CORE_POLICY_MS_MAX ||
            item->lost_after_ms > (uint64_t)CORE_POLICY_MS_MAX)
                return refused(PX_E_LIMIT, "a backoff or lost-after is at most 366 days");
        if (item->on_lost == 0)
                return refused(PX_E_INVALID, "on_lost is rerun or fail");
        if (item->start_wall_ms < 0 || item->start_wall_ms > INT64_MAX / 2)
                return refused(PX_E_INVALID, "a start time lies after 1970");
        if (item->node.length > 0 && !name_is_valid(item->node))
                return refused(PX_E_INVALID, "this is no name of a node");
        return (struct fate){0};
}

/* Name and labels are one row. */
static struct fate check_name(const struct px_submit_job *item)
{
        size_t bytes = item->name.length + 16;

        for (size_t i = 0; i < item->labels_count; i++)
                bytes += item->labels[i].key.length + item->labels[i].value.length + 8;
        if (bytes > ROWS_VALUE_BYTES_MAX)
                return refused(PX_E_LIMIT, "name and labels together take at most 1800 bytes");
        return (struct fate){0};
}

static struct fate check_command(const struct core *core, const struct px_submit_job *item,
                                    const struct px_spec *spec)
{
        if (spec->argv_count == 0 || spec->argv[0].length == 0)
                return refused(PX_E_INVALID, "a command needs a program");
        if (item->task_type.length > 0)
                return refused(PX_E_INVALID, "a command has no task type");
        if (item->cpus_milli == 0)
                return refused(PX_E_INVALID, "a command needs at least 0.001 cpus");
        if (spec->as_root && core->principal->role != PX_ROLE_ADMIN)
                return refused(PX_E_DENIED, "only an administrator may ask for the root account");
        return (struct fate){0};
}

static struct fate check_task(const struct px_submit_job *item, const struct px_spec *spec)
{
        if (item->task_type.length == 0)
                return refused(PX_E_INVALID, "a task needs a type");
        if (spec->argv_count > 0)
                return refused(PX_E_INVALID, "a task has a payload, not arguments");
        return (struct fate){0};
}

/* The file is here, and as long as the specification says. */
static struct fate check_blob(struct core *core, const struct px_submit_job *item,
                              const struct px_spec *spec)
{
        struct px_blob_row row;
        struct px_slice value;
        struct row_key key;

        if (!px_slice_equal(item->blob, spec->blob) || item->blob.length != CORE_BLOB_BYTES ||
            item->kind != PX_JOB_KIND_COMMAND || !spec->has_stdin || spec->input.length > 0)
                return refused(PX_E_INVALID, "a stored file is the standard input of a command");
        if (spec->blob_bytes > PX_LIMIT_STDIN_BYTES)
                return refused(PX_E_LIMIT, "standard input is above STDIN_BYTES (8388608)");
        key = submit_blob_key(core->principal->id, item->blob);
        if (!fact_find(core, PX_TABLE_BLOB, &key, &value) ||
            px_blob_row_decode(value, &core->item, &row) != PX_WIRE_OK)
                return refused(PX_E_ABSENT, "its standard input is not stored here; upload it again");
        if (row.bytes != spec->blob_bytes)
                return refused(PX_E_INVALID, "the stored file has another length");
        return (struct fate){0};
}

static struct fate check_spec(struct core *core, const struct px_submit_job *item)
{
        struct px_spec spec;
        struct fate fate;

        switch (px_spec_decode(item->spec, &core->item, &spec)) {
        case PX_WIRE_OK:
                break;
        case PX_WIRE_LIMIT:
                return refused(PX_E_LIMIT, "an argument, variable or input is above its limit");
        default:
                return refused(PX_E_PROTO, "the specification is malformed");
        }
        if (item->kind == PX_JOB_KIND_COMMAND)
                fate = check_command(core, item, &spec);
        else if (item->kind == PX_JOB_KIND_TASK)
                fate = check_task(item, &spec);
        else
                fate = refused(PX_E_INVALID, "a job is a command or a task");
        if (fate.code == 0 && (item->blob.length > 0 || spec.blob.length > 0))
                fate = check_blob(core, item, &spec);
        return fate;
}

static struct fate check_room(const struct core *core)
{
        if (core->jobs.count >= core->options.jobs_max)
                return refused(PX_E_LIMIT, "too many active jobs");
        if (core->principal->jobs_count >= PX_LIMIT_JOBS_OF_PRINCIPAL)
                return refused(PX_E_LIMIT, "too many active jobs of yours");
        return (struct fate){0};
}

/* ---- keys -------------------------------------------------------------------------------------------------- */

static void key_hash(uint32_t owner, struct px_slice key, uint8_t *ret_hash)
{
        px_put_be64(ret_hash, px_hash64(owner, key.data, key.length));
        px_put_be64(ret_hash + 8, px_hash64(~(uint64_t)owner, key.data, key.length));
}

struct row_key submit_key(uint32_t owner, struct px_slice key)
{
        struct row_key row = row_key_u32(owner);
        uint8_t hash[CORE_KEY_HASH_BYTES];

        key_hash(owner, key, hash);
        row_key_add_bytes(&row, px_slice_of(hash, sizeof(hash)));
        return row;
}

struct row_key submit_blob_key(uint32_t owner, struct px_slice blob)
{
        struct row_key key = row_key_u32(owner);

        row_key_add_bytes(&key, blob);
        return key;
}

struct row_key submit_blob_use_key(uint32_t owner, struct px_slice blob, uint64_t job)
{
        struct row_key key = submit_blob_key(owner, blob);

        row_key_add_u64(&key, job);
        return key;
}

static uint64_t submit_content(struct core *core, const struct px_submit_job *item)
{
        px_buf_reset(&core->bytes);
        px_submit_job_encode(item, &core->bytes);
        return px_hash64(0, core->bytes.data, core->bytes.length);
}

/* true: the key was used before, ret_fate says for what. */
static bool key_known(struct core *core, const struct px_submit_job *item, uint64_t content,
                      struct fate *ret_fate)
{
        struct row_key key = submit_key(core->principal->id, item->key);
        struct px_key_row row;
        struct px_slice value;

        if (!fact_find(core, PX_TABLE_KEY, &key, &value) ||
            px_key_row_decode(value, &core->item, &row) != PX_WIRE_OK)
                return false;
        *ret_fate = row.content == content
                               ? accepted(row.job.value)
                               : refused(PX_E_KEY_CONFLICT,
                                         "this key was used for a job with other content");
        return true;
}

static void key_put(struct core *core, struct job *job, const struct px_submit_job *item,
                    uint64_t content)
{
        struct row_key key = submit_key(job->owner, item->key);
        struct px_key_row row = {.job = {job->id}, .content = content, .wall_ms = core->wall_ms};
        struct job_more *more = job_more(core, job);

        key_hash(job->owner, item->key, more->key);
        more->content = content;
        job->flags |= JOB_HAS_KEY;
        px_buf_reset(&core->bytes);
        px_key_row_encode(&row, &core->bytes);
        put_row(core, PX_TABLE_KEY, &key, px_buf_slice(&core->bytes));
}

/* ---- apply -------------------------------------------------------------------------------------------------- */

static void put_name(struct core *core, struct job *job, const struct px_submit_job *item)
{
        struct row_key key = row_key_u64(job->id);
        struct px_name_row row = {
                .name = item->name, .labels = item->labels, .labels_count = item->labels_count};

        if (item->name.length == 0 && item->labels_count == 0)
                return;
        job->flags |= JOB_HAS_NAME;
        px_buf_reset(&core->bytes);
        px_name_row_encode(&row, &core->bytes);
        put_row(core, PX_TABLE_NAME, &key, px_buf_slice(&core->bytes));
}

static void put_blob(struct core *core, struct job *job, const struct px_submit_job *item)
{
        struct row_key key;

        if (item->blob.length == 0)
                return;
        PX_ASSERT(item->blob.length == CORE_BLOB_BYTES);
        memcpy(job_more(core, job)->blob, item->blob.data, CORE_BLOB_BYTES);
        job->flags |= JOB_HAS_BLOB;
        key = submit_blob_use_key(job->owner, item->blob, job->id);
        put_row(core, PX_TABLE_BLOB_USE, &key, PX_SLICE_NONE);
}

/* What has no effect is not kept: most jobs need no record of it. */
static void set_policy(struct core *core, struct job *job, const struct px_submit_job *item)
{
        job->retries = (uint16_t)item->retries;
        job->on_lost = (uint8_t)item->on_lost;
        job->priority = (int16_t)item->priority;
        if (item->retries > 0 && item->backoff_ms > 0)
                job_more(core, job)->backoff_ms = item->backoff_ms;
        if (item->lost_after_ms > 0)
                job_more(core, job)->lost_after_ms = item->lost_after_ms;
        if (item->start_wall_ms > core->wall_ms)
                job_more(core, job)->start_wall_ms = item->start_wall_ms;
        if (item->wait_ms > 0)
                job_more(core, job)->wait_ms = item->wait_ms;
        if (item->expires_wall_ms > 0)
                job_more(core, job)->expires_wall_ms = item->expires_wall_ms;
        if (item->hold)
                job->flags |= JOB_HELD;
        if (item->notify)
                job->flags |= JOB_NOTIFY;
}

void job_put_owner(struct core *core, const struct job *job)
{
        struct row_key key = row_key_u32(job->owner);

        row_key_add_u64(&key, job->id);
        put_row(core, PX_TABLE_OWNER, &key, PX_SLICE_NONE);
}

/* The specification, its environment shared if that is worth it. */
static void put_spec(struct core *core, struct job *job, struct sharing *sharing,
                     struct px_slice spec)
{
        struct px_slice environment;

        if (environment_cut(spec, &environment)) {
                share_add(core, sharing, environment);
                job->flags |= JOB_HAS_ENVIRONMENT;
                px_buf_reset(&core->frame);
                environment_store(&sharing->key, spec, environment, &core->frame);
                spec = px_buf_slice(&core->frame);
        }
        job->spec_chunks =
                (uint16_t)((spec.length + ROWS_VALUE_BYTES_MAX - 1) / ROWS_VALUE_BYTES_MAX);
        put_row_chunks(core, PX_TABLE_SPEC, job->id, spec);
}

static struct job *submit_apply(struct core *core, struct sharing *sharing,
                                const struct px_submit_job *item, const struct shape *shape,
                                uint64_t content)
{
        struct job *job = job_new(core, core->next_job++);
        int reason;

        job->owner = core->principal->id;
        job->shape = shape->id;
        shape_hold(core, job);
        job->submitted_wall_ms = core->wall_ms;
        set_policy(core, job, item);
        put_spec(core, job, sharing, item->spec);
        put_name(core, job, item);
        job_put_owner(core, job);
        put_blob(core, job, item);
        if (item->array_count > 0)
                array_open(core, job, &item->array[0]);
        if (item->key.length > 0)
                key_put(core, job, item, content);
        reason = job_waits_for(core, job);
        if (reason == PX_REASON_NONE)
                reason = job_line_reason(core, job);
        job_begin(core, job,
                  reason == PX_REASON_NONE ? PX_JOB_STATE_QUEUED : PX_JOB_STATE_BLOCKED, reason,
                  &(struct note){.event = PX_EV_JOB_SUBMITTED, .exit_code = -1});
        job_deadline(core, job, 0);
        return job;
}

/* All but the key: what one submission by itself must be, then what there is room for. */
static struct fate submit_fate(struct core *core, const struct px_submit_job *item,
                               struct px_shape_row *ret_request)
{
        struct fate fate = check_policy(item);

        if (fate.code == 0)
                fate = check_name(item);
        if (fate.code == 0)
                fate = check_spec(core, item);
        if (fate.code == 0)
                fate.code = array_check(item, &fate.text);
        if (fate.code == 0)
                fate.code = request_check(core, item, ret_request, &fate.text);
        return fate;
}

static struct fate submit_room(struct core *core, const struct px_submit_job *item,
                               const struct px_shape_row *request)
{
        struct fate fate = check_room(core);
        struct shape *known = shape_of_request(core, request);
        struct shape *shape = known == NULL ? shape_alone(core, request) : known;

        if (fate.code == 0)
                fate.code = request_now(core, item, &fate.text);
        if (fate.code == 0 && !item->wait_for_node)
                fate.code = request_able(core, shape, &fate.text);
        if (fate.code == 0)
                fate.code = request_waits(core, shape, core->principal, &fate.text);
        if (fate.code == 0 && known == NULL && !shape_has_room(core, request))
                fate = refused(PX_E_LIMIT, "too many different resource requests");
        if (known == NULL)
                shape_free(shape);
        return fate;
}

int submit_check(struct core *core, const struct px_submit_job *item,
                 struct px_shape_row *ret_request, struct px_slice *ret_text)
{
        struct fate fate = submit_fate(core, item, ret_request);

        if (fate.code == 0)
                fate = submit_room(core, item, ret_request);
        *ret_text = fate.text;
        return fate.code;
}

static struct fate submit_one(struct core *core, struct session *session,
                              struct sharing *sharing, const struct px_submit_job *item)
{
        struct px_shape_row request;
        struct fate fate = submit_fate(core, item, &request);
        uint64_t content = item->key.length > 0 ? submit_content(core, item) : 0;
        struct job *job;

        if (fate.code != 0)
                return fate;
        if (item->key.length > 0 && key_known(core, item, content, &fate))
                return fate;
        fate = submit_room(core, item, &request);
        if (fate.code != 0)
                return fate;
        job = submit_apply(core, sharing, item, shape_intern(core, &request), content);
        if (item->notify)
                (void)watch_add(core, session, job);
        return accepted(job->id);
}

void submit_take(struct core *core, const struct px_m_submit *submit)
{
        struct session *session = session_begin(core, submit->session, submit->done_below, true);
        struct px_m_submitted answer = {0};
        struct px_answer_run *runs;
        struct sharing sharing = {0};
        size_t count = 0;

        if (session == NULL)
                return;
        if (access_check(core, core->principal, VERB_SUBMIT, 0) != 0) {
                refuse(core, PX_E_DENIED, "role %s may not submit",
                       px_role_name(core->principal->role));
                return;
        }
        if (core->storage_full) {
                refuse(core, PX_E_STORAGE_FULL, "storage is full; nothing was stored");
                return;
        }
        runs = px_arena_alloc(&core->scratch, (submit->jobs_count + 1) * sizeof(*runs));
        for (size_t i = 0; i < submit->jobs_count; i++) {
                struct fate fate = submit_one(core, session, &sharing, &submit->jobs[i]);

                count = run_add(runs, count, &fate);
                px_arena_reset(&core->item);
        }
        share_flush(core, &sharing);
        answer.runs = runs;
        answer.runs_count = count;
        FRAME(core, submitted, &answer, core->command->header.correlation);
        session_answer(core, session);
}
