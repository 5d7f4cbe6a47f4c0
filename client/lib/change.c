/* SPDX-License-Identifier: Apache-2.0 */
/* change.c - one verb over many jobs. Layer: L4 (client/lib). */
#include "lib_request.h"

struct changing {
        struct plexus *px;
        int verb; /* enum px_change */
        const uint64_t *jobs;
        size_t count;
        struct px_slice text;
        int64_t number;
        bool force;
        struct plexus_change_answer *answers;
        int first; /* refusal */
        uint64_t first_job;
        char first_text[1025];
};

static void note(struct changing *changing, uint64_t job, int code, struct px_slice text)
{
        if (changing->first != PX_OK || code == PX_OK)
                return;
        changing->first = code;
        changing->first_job = job;
        px_slice_to_text(text.length > 0 ? text : px_slice_text(plexus_error_text(code)),
                         changing->first_text, sizeof(changing->first_text));
}

static int take(struct changing *changing, size_t from, struct px_slice body, size_t expected)
{
        struct px_m_changed changed;
        struct px_arena arena = {0};
        bool valid = px_m_changed_decode(body, &arena, &changed) == PX_WIRE_OK &&
                     changed.items_count == expected;

        for (size_t i = 0; valid && i < expected; i++) {
                const struct px_change_answer *item = &changed.items[i];

                note(changing, item->job.value, item->code, item->text);
                if (changing->answers == NULL)
                        continue;
                changing->answers[from + i] = (struct plexus_change_answer){
                        .job = item->job.value, .error = item->code, .state = item->state};
                px_slice_to_text(item->text, changing->answers[from + i].text,
                                 sizeof(changing->answers[from + i].text));
        }
        px_arena_fini(&arena);
        return valid ? PX_OK : request_malformed("CHANGED");
}

/* The jobs [from, from + count) in one message. */
static int change_some(struct changing *changing, size_t from, size_t count)
{
        struct px_job_id *jobs = px_alloc(count * sizeof(*jobs));
        struct request request = {.expect = PX_M_CHANGED};
        struct px_m_change body = {.change = changing->verb, .jobs = jobs, .jobs_count = count,
                                   .text = changing->text, .number = changing->number,
                                   .force = changing->force};
        struct px_buf frame = {0};
        int code;

        for (size_t i = 0; i < count; i++)
                jobs[i].value = changing->jobs[from + i];
        px_m_change_frame(&body, 0, 0, &frame);
        code = request_call(changing->px, &request, true, px_buf_slice(&frame), 0);
        if (code == PX_OK)
                code = take(changing, from, px_buf_slice(&request.body), count);
        request_fini(&request);
        px_buf_fini(&frame);
        px_free(jobs);
        return code;
}

/* Jobs that were not reached get the refusal of the whole. */
static void refuse_rest(struct changing *changing, size_t from, int code)
{
        for (size_t i = from; i < changing->count && changing->answers != NULL; i++) {
                changing->answers[i] =
                        (struct plexus_change_answer){.job = changing->jobs[i], .error = code};
                px_slice_to_text(px_slice_text(detail_text()), changing->answers[i].text,
                                 sizeof(changing->answers[i].text));
        }
}

static int change(struct changing *changing)
{
        for (size_t from = 0; from < changing->count;) {
                size_t count = PX_MIN(changing->count - from, (size_t)PX_LIMIT_BATCH_ITEMS);
                int code = change_some(changing, from, count);

                if (code != PX_OK) {
                        refuse_rest(changing, from, code);
                        return code;
                }
                from += count;
        }
        if (changing->first == PX_OK)
                return PX_OK;
        return detail_refuse(changing->first, "job %llu: %s",
                             (unsigned long long)changing->first_job, changing->first_text);
}

static int check_text(const char *what, const char *text, size_t bytes_max, const char *limit,
                      struct px_slice *ret_text)
{
        struct px_slice slice = px_slice_text(text != NULL ? text : "");

        if (slice.length > bytes_max)
                return detail_refuse(PX_E_LIMIT, "%s has %zu bytes; the limit is %zu (%s)", what,
                                     slice.length, bytes_max, limit);
        if (!px_slice_is_text(slice))
                return detail_refuse(PX_E_INVALID, "%s is not UTF-8", what);
        *ret_text = slice;
        return PX_OK;
}

int plexus_cancel(struct plexus *px, const uint64_t *jobs, size_t count, const char *reason,
                  bool force, struct plexus_change_answer *answers)
{
        struct changing changing = {.px = px, .verb = PX_CHANGE_CANCEL, .jobs = jobs,
                                    .count = count, .force = force, .answers = answers};
        int code = check_text("the reason", reason, PX_LIMIT_REASON_BYTES, "REASON_BYTES",
                              &changing.text);

        return code != PX_OK ? code : change(&changing);
}

int plexus_retry(struct plexus *px, const uint64_t *jobs, size_t count, bool force,
                 struct plexus_change_answer *answers)
{
        return change(&(struct changing){.px = px, .verb = PX_CHANGE_RETRY, .jobs = jobs,
                                         .count = count, .force = force, .answers = answers});
}

int plexus_hold(struct plexus *px, const uint64_t *jobs, size_t count,
                struct plexus_change_answer *answers)
{
        return change(&(struct changing){.px = px, .verb = PX_CHANGE_HOLD, .jobs = jobs,
                                         .count = count, .answers = answers});
}

int plexus_release(struct plexus *px, const uint64_t *jobs, size_t count,
                   struct plexus_change_answer *answers)
{
        return change(&(struct changing){.px = px, .verb = PX_CHANGE_RELEASE, .jobs = jobs,
                                         .count = count, .answers = answers});
}

int plexus_rename(struct plexus *px, uint64_t job, const char *name)
{
        struct changing changing = {.px = px, .verb = PX_CHANGE_RENAME, .jobs = &job, .count = 1};
        int code = check_text("the name", name, PX_LIMIT_NAME_BYTES, "NAME_BYTES", &changing.text);

        return code != PX_OK ? code : change(&changing);
}

int plexus_priority(struct plexus *px, const uint64_t *jobs, size_t count, int32_t priority,
                    struct plexus_change_answer *answers)
{
        if (priority > PX_LIMIT_PRIORITY || priority < -PX_LIMIT_PRIORITY)
                return detail_refuse(PX_E_LIMIT, "priority %d is not within +-%d (PRIORITY)",
                                     priority, PX_LIMIT_PRIORITY);
        return change(&(struct changing){.px = px, .verb = PX_CHANGE_PRIORITY, .jobs = jobs,
                                         .count = count, .number = priority, .answers = answers});
}

int plexus_purge(struct plexus *px, const uint64_t *jobs, size_t count,
                 struct plexus_change_answer *answers)
{
        return change(&(struct changing){.px = px, .verb = PX_CHANGE_PURGE, .jobs = jobs,
                                         .count = count, .answers = answers});
}

int plexus_signal(struct plexus *px, const uint64_t *jobs, size_t count, int signal,
                  struct plexus_change_answer *answers)
{
        if (signal < 1 || signal > 64)
                return detail_refuse(PX_E_INVALID, "%d is no signal", signal);
        return change(&(struct changing){.px = px, .verb = PX_CHANGE_SIGNAL, .jobs = jobs,
                                         .count = count, .number = signal, .answers = answers});
}
