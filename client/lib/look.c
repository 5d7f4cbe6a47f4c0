/* SPDX-License-Identifier: Apache-2.0 */
/* look.c - list and show jobs, why, status, who am I. Layer: L4 (client/lib). */
#include "lib_request.h"
#include "lib_view.h"

#include <stdio.h>

#define TEXT(slice, place) px_slice_to_text((slice), (place), sizeof(place))

/* Memory behind a list or a shown job: one arena, freed by its fini. */
static struct px_arena *arena_new(void)
{
        return px_alloc(sizeof(struct px_arena));
}

static void arena_free(struct px_arena *arena)
{
        if (arena == NULL)
                return;
        px_arena_fini(arena);
        px_free(arena);
}

/* ---- list ----------------------------------------------------------------------------------------- */

static int filter_text(const char *what, const char *text, size_t bytes_max,
                       struct px_slice *ret_slice)
{
        struct px_slice slice = px_slice_text(text != NULL ? text : "");

        if (slice.length > bytes_max)
                return detail_refuse(PX_E_LIMIT, "the filter's %s has %zu bytes; the limit is %zu",
                                     what, slice.length, bytes_max);
        if (!px_slice_is_text(slice))
                return detail_refuse(PX_E_INVALID, "the filter's %s is not UTF-8", what);
        *ret_slice = slice;
        return PX_OK;
}

static int filter_labels(const struct plexus_filter *in, struct px_arena *arena,
                         struct px_filter *filter)
{
        struct px_label *labels;
        int code = PX_OK;

        if (in->labels_count == 0)
                return PX_OK;
        if (in->labels_count > PX_LIMIT_LABEL_ITEMS)
                return detail_refuse(PX_E_LIMIT, "%zu labels to filter by; the limit is %d "
                                                 "(LABEL_ITEMS)", in->labels_count,
                                     PX_LIMIT_LABEL_ITEMS);
        labels = px_arena_alloc(arena, in->labels_count * sizeof(*labels));
        for (size_t i = 0; i < in->labels_count && code == PX_OK; i++) {
                code = filter_text("label", in->labels[i].key, PX_LIMIT_LABEL_BYTES,
                                   &labels[i].key);
                if (code == PX_OK)
                        code = filter_text("label's value", in->labels[i].value,
                                           PX_LIMIT_LABEL_BYTES, &labels[i].value);
        }
        filter->labels = labels;
        filter->labels_count = in->labels_count;
        return code;
}

static int make_filter(struct plexus *px, const struct plexus_filter *in, struct px_arena *arena,
                       struct px_filter *ret_filter)
{
        const char *owner = in->owner;
        int code;

        if (owner != NULL && strcmp(owner, "me") == 0)
                owner = px->welcome.principal;
        *ret_filter = (struct px_filter){
                .states = in->states,
                .name_part = in->name_part,
                .since_wall_ms = in->since_ms,
                .until_wall_ms = in->until_ms,
                .first = {in->first},
                .last = {in->last},
                .step = in->step,
        };
        code = filter_text("owner", owner, PX_LIMIT_PRINCIPAL_BYTES, &ret_filter->owner);
        if (code == PX_OK)
                code = filter_text("name", in->name, PX_LIMIT_NAME_BYTES, &ret_filter->name);
        if (code == PX_OK)
                code = filter_text("node", in->node, PX_LIMIT_NODE_NAME_BYTES, &ret_filter->node);
        return code != PX_OK ? code : filter_labels(in, arena, ret_filter);
}

static int take_list(struct px_slice body, struct plexus_list *ret_list)
{
        struct px_arena *arena = arena_new();
        struct px_m_jobs answer;

        if (px_m_jobs_decode(body, arena, &answer) != PX_WIRE_OK) {
                arena_free(arena);
                return request_malformed("JOBS");
        }
        *ret_list = (struct plexus_list){.count = answer.jobs_count, .cursor = answer.cursor,
                                         .memory = arena};
        if (answer.jobs_count == 0)
                return PX_OK;
        ret_list->jobs = px_arena_alloc(arena, answer.jobs_count * sizeof(*ret_list->jobs));
        for (size_t i = 0; i < answer.jobs_count; i++)
                view_job(&answer.jobs[i], arena, &ret_list->jobs[i]);
        return PX_OK;
}

int plexus_jobs(struct plexus *px, const struct plexus_filter *filter, uint64_t cursor,
                size_t count_max, struct plexus_list *ret_list)
{
        static const struct plexus_filter everything;
        struct request request = {.expect = PX_M_JOBS};
        struct px_m_list list = {0};
        struct px_arena arena = {0};
        struct px_buf frame = {0};
        int code;

        filter = filter != NULL ? filter : &everything;
        code = lib_enter(px);
        if (code != PX_OK)
                return code;
        code = make_filter(px, filter, &arena, &list.filter);
        lib_leave(px);
        if (code == PX_OK && (count_max == 0 || count_max > PX_LIMIT_LIST_ITEMS))
                code = detail_refuse(PX_E_LIMIT, "a page has 1 to %d jobs (LIST_ITEMS), not %zu",
                                     PX_LIMIT_LIST_ITEMS, count_max);
        if (code == PX_OK) {
                list.active = filter->active || !filter->done;
                list.done = filter->done;
                list.cursor = cursor;
                list.count = (uint32_t)count_max;
                list.newest_first = filter->newest_first;
                px_m_list_frame(&list, 0, 0, &frame);
                code = query_call(px, &request, px_buf_slice(&frame), 0);
        }
        if (code == PX_OK)
                code = take_list(px_buf_slice(&request.body), ret_list);
        request_fini(&request);
        px_buf_fini(&frame);
        px_arena_fini(&arena);
        return code;
}

void plexus_list_fini(struct plexus_list *list)
{
        if (list == NULL)
                return;
        arena_free(list->memory);
        *list = (struct plexus_list){0};
}

/* ---- show ------------------------------------------------------------------------------------------- */

static void show_argv(const struct px_spec *spec, struct px_arena *arena, struct plexus_shown *shown)
{
        if (spec->argv_count == 0)
                return;
        shown->argv = px_arena_alloc(arena, (spec->argv_count + 1) * sizeof(*shown->argv));
        for (size_t i = 0; i < spec->argv_count; i++)
                shown->argv[i] = px_arena_text(arena, spec->argv[i]);
}

static void show_env(const struct px_spec *spec, struct px_arena *arena, struct plexus_shown *shown)
{
        if (spec->env_count == 0)
                return;
        shown->env = px_arena_alloc(arena, spec->env_count * sizeof(*shown->env));
        shown->env_count = spec->env_count;
        for (size_t i = 0; i < spec->env_count; i++) {
                shown->env[i].key = px_arena_text(arena, spec->env[i].name);
                shown->env[i].value = px_arena_text(arena, spec->env[i].value);
        }
}

static void show_spec(const struct px_spec *spec, struct px_arena *arena, struct plexus_shown *shown)
{
        show_argv(spec, arena, shown);
        show_env(spec, arena, shown);
        shown->cwd = px_arena_text(arena, spec->cwd);
        shown->scratch = spec->scratch;
        shown->has_input = spec->has_stdin;
        shown->input_bytes = spec->blob.length > 0 ? spec->blob_bytes : spec->input.length;
        shown->time_limit_ms = spec->time_limit_ms;
        shown->grace_ms = spec->grace_ms;
        shown->log_bytes = spec->log_bytes != 0 ? spec->log_bytes : PX_LIMIT_LOG_ATTEMPT_BYTES;
}

static void show_attempts(const struct px_m_job *job, struct px_arena *arena,
                          struct plexus_shown *shown)
{
        if (job->attempts_count == 0)
                return;
        shown->attempts = px_arena_alloc(arena, job->attempts_count * sizeof(*shown->attempts));
        shown->attempts_count = job->attempts_count;
        for (size_t i = 0; i < job->attempts_count; i++)
                view_attempt(&job->attempts[i], &shown->attempts[i]);
}

static int take_shown(struct px_slice body, struct px_slice payload, struct plexus_shown *ret_shown)
{
        struct px_arena *arena = arena_new();
        struct plexus_shown shown = {.memory = arena};
        struct px_m_job job;
        struct px_spec spec = {0};

        if (px_m_job_decode(body, arena, &job) != PX_WIRE_OK ||
            (job.spec.length > 0 && px_spec_decode(job.spec, arena, &spec) != PX_WIRE_OK)) {
                arena_free(arena);
                return request_malformed("JOB");
        }
        view_job(&job.view, arena, &shown.job);
        show_spec(&spec, arena, &shown);
        show_attempts(&job, arena, &shown);
        shown.out_bytes = job.out_bytes;
        shown.err_bytes = job.err_bytes;
        if (payload.length > 0) {
                shown.result = px_arena_alloc(arena, payload.length);
                memcpy(shown.result, payload.data, payload.length);
                shown.result_bytes = payload.length;
        }
        *ret_shown = shown;
        return PX_OK;
}

int plexus_show(struct plexus *px, uint64_t job, struct plexus_shown *ret_shown)
{
        struct request request = {.expect = PX_M_JOB};
        struct px_m_show show = {.job = {job}};
        struct px_buf frame = {0};
        int code;

        px_m_show_frame(&show, 0, 0, &frame);
        code = query_call(px, &request, px_buf_slice(&frame), 0);
        if (code == PX_OK)
                code = take_shown(px_buf_slice(&request.body), px_buf_slice(&request.payload),
                                  ret_shown);
        request_fini(&request);
        px_buf_fini(&frame);
        return code;
}

void plexus_shown_fini(struct plexus_shown *shown)
{
        if (shown == NULL)
                return;
        arena_free(shown->memory);
        *shown = (struct plexus_shown){0};
}

/* ---- why, status, who am I ------------------------------------------------------------------------------ */

static char **copy_lines(const struct px_m_why_is *answer)
{
        char **lines = px_alloc((answer->lines_count + 1) * sizeof(*lines));

        for (size_t i = 0; i < answer->lines_count; i++) {
                lines[i] = px_alloc(answer->lines[i].length + 1);
                px_slice_to_text(answer->lines[i], lines[i], answer->lines[i].length + 1);
        }
        return lines;
}

int plexus_why(struct plexus *px, uint64_t job, char ***ret_lines, uint64_t *ret_position)
{
        struct request request = {.expect = PX_M_WHY_IS};
        struct px_m_why why = {.job = {job}};
        struct px_m_why_is answer;
        struct px_arena arena = {0};
        struct px_buf frame = {0};
        int code;

        px_m_why_frame(&why, 0, 0, &frame);
        code = request_call(px, &request, false, px_buf_slice(&frame), 0);
        if (code == PX_OK &&
            px_m_why_is_decode(px_buf_slice(&request.body), &arena, &answer) != PX_WIRE_OK)
                code = request_malformed("WHY_IS");
        if (code == PX_OK) {
                *ret_lines = copy_lines(&answer);
                if (ret_position != NULL)
                        *ret_position = answer.position;
        }
        request_fini(&request);
        px_buf_fini(&frame);
        px_arena_fini(&arena);
        return code;
}

void plexus_lines_free(char **lines)
{
        if (lines == NULL)
                return;
        for (size_t i = 0; lines[i] != NULL; i++)
                px_free(lines[i]);
        px_free(lines);
}

static void copy_status(const struct px_m_status_is *is, struct plexus_status *ret_status)
{
        *ret_status = (struct plexus_status){
                .epoch = is->epoch,
                .uptime_ms = is->uptime_ms,
                .blocked = is->blocked,
                .queued = is->queued,
                .assigned = is->assigned,
                .running = is->running,
                .cancelling = is->cancelling,
                .ended = is->ended,
                .commit_index = is->commit_index,
                .nodes_up = is->nodes_up,
                .nodes_draining = is->nodes_draining,
                .nodes_unreachable = is->nodes_unreachable,
                .nodes_reconnecting = is->nodes_reconnecting,
                .cpus = (double)is->cpus_milli / 1000.0,
                .cpus_used = (double)is->cpus_used_milli / 1000.0,
                .storage_full = is->storage_full,
        };
}

int plexus_status(struct plexus *px, struct plexus_status *ret_status)
{
        struct request request = {.expect = PX_M_STATUS_IS};
        struct px_m_status status = {0};
        struct px_m_status_is answer;
        struct px_arena arena = {0};
        struct px_buf frame = {0};
        int code;

        px_m_status_frame(&status, 0, 0, &frame);
        code = request_call(px, &request, false, px_buf_slice(&frame), 0);
        if (code == PX_OK &&
            px_m_status_is_decode(px_buf_slice(&request.body), &arena, &answer) != PX_WIRE_OK)
                code = request_malformed("STATUS_IS");
        if (code == PX_OK)
                copy_status(&answer, ret_status);
        request_fini(&request);
        px_buf_fini(&frame);
        px_arena_fini(&arena);
        return code;
}

int plexus_whoami(struct plexus *px, struct plexus_who *ret_who)
{
        int code = lib_enter(px);

        if (code != PX_OK)
                return code;
        *ret_who = (struct plexus_who){.sees_all = px->welcome.sees_all,
                                       .epoch = px->welcome.epoch,
                                       .clock_ahead_ms = px->welcome.clock_ahead_ms,
                                       .node_port = px->welcome.node_port,
                                       .data_port = px->welcome.data_port,
                                       .events_port = px->welcome.events_port};
        TEXT(px_slice_text(px->welcome.principal), ret_who->principal);
        TEXT(px_slice_text(px_role_name(px->welcome.role)), ret_who->role);
        TEXT(px_slice_text(px->welcome.version), ret_who->broker_version);
        TEXT(px_slice_text(px->url.text), ret_who->url);
        lib_leave(px);
        return PX_OK;
}
