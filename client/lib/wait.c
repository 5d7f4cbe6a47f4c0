/* SPDX-License-Identifier: Apache-2.0 */
/* wait.c - plexus_wait, plexus_watch, plexus_next_end. Layer: L4 (client/lib). */
#include "lib_request.h"
#include "lib_watch.h"

#include <stdlib.h>

void plexus_end_fini(struct plexus_end *end)
{
        if (end == NULL)
                return;
        px_free(end->result);
        end->result = NULL;
        end->result_bytes = 0;
}

/* A result too large to be pushed stands behind SHOW. */
static int fetch_result(struct plexus *px, struct plexus_end *end, int64_t timeout_ms)
{
        struct request request = {.expect = PX_M_JOB};
        struct px_m_show show = {.job = {end->job}};
        struct px_buf frame = {0};
        int code;

        if (!end->has_result || end->result != NULL)
                return PX_OK;
        px_m_show_frame(&show, 0, 0, &frame);
        code = query_call(px, &request, px_buf_slice(&frame), timeout_ms);
        if (code == PX_OK && request.payload.length > 0) {
                struct px_buf payload = px_buf_take(&request.payload);

                end->result = payload.data;
                end->result_bytes = payload.length;
        }
        request_fini(&request);
        px_buf_fini(&frame);
        return code;
}

/* What the caller learns: the end, or why the job cannot be waited for. */
static int give(struct plexus *px, struct plexus_end *end, int64_t timeout_ms,
                struct plexus_end *ret_end)
{
        int code = end->error;

        if (code != PX_OK) {
                detail_refuse(code, "job %llu: %s", (unsigned long long)end->job,
                              end->reason[0] != '\0' ? end->reason : plexus_error_text(code));
        } else {
                code = fetch_result(px, end, timeout_ms);
        }
        if (code == PX_OK)
                *ret_end = *end;
        else
                plexus_end_fini(end);
        return code;
}

int plexus_wait(struct plexus *px, uint64_t job, int64_t timeout_ms, struct plexus_end *ret_end)
{
        struct waiter waiter = {0};
        struct watch *watch;
        int64_t deadline_ms;
        int code = lib_enter(px);

        if (code != PX_OK)
                return code;
        deadline_ms = lib_deadline_ms(px, timeout_ms);
        lib_condition_init(&waiter.changed);
        watch = watch_get(px, job);
        px_list_append(&watch->waiters, &waiter.link);
        lib_wake(px);
        while (!waiter.done && code == PX_OK) {
                if (!lib_wait(px, &waiter.changed, deadline_ms) && !waiter.done)
                        code = px->greeter.up
                                       ? detail_refuse(PX_E_TIMED_OUT,
                                                       "job %llu has not ended yet; it goes on",
                                                       (unsigned long long)job)
                                       : lib_refuse_late(px, timeout_ms);
        }
        if (!waiter.done) {
                px_list_remove(&waiter.link);
                watch_release(px, px_map_find(&px->watches, job));
        }
        lib_leave(px);
        pthread_cond_destroy(&waiter.changed);
        return code != PX_OK ? code : give(px, &waiter.end, timeout_ms, ret_end);
}

int plexus_watch(struct plexus *px, const uint64_t *jobs, size_t count)
{
        int code = lib_enter(px);

        if (code != PX_OK)
                return code;
        if (px->watches.count + count > PX_LIMIT_WATCHES)
                code = detail_refuse(PX_E_LIMIT, "%zu jobs are watched already; with these %zu there "
                                                 "would be more than %d (WATCHES)",
                                     px->watches.count, count, PX_LIMIT_WATCHES);
        for (size_t i = 0; i < count && code == PX_OK; i++) {
                struct watch *watch = watch_get(px, jobs[i]);

                px->watched_count += watch->queued ? 0 : 1;
                watch->queued = true;
        }
        lib_wake(px);
        lib_leave(px);
        return code;
}

int plexus_next_end(struct plexus *px, int64_t timeout_ms, struct plexus_end *ret_end)
{
        struct ended *ended;
        struct plexus_end end;
        int64_t deadline_ms;
        int code = lib_enter(px);

        *ret_end = (struct plexus_end){0};
        if (code != PX_OK)
                return code;
        deadline_ms = lib_deadline_ms(px, timeout_ms);
        while (px_list_empty(&px->ends) && code == PX_OK) {
                if (px->watched_count == 0)
                        code = detail_refuse(PX_E_ABSENT, "no job is watched");
                else if (!lib_wait(px, &px->ended, deadline_ms) && px_list_empty(&px->ends))
                        code = px->greeter.up ? detail_refuse(PX_E_TIMED_OUT,
                                                              "none of %zu watched jobs ended yet",
                                                              px->watched_count)
                                              : lib_refuse_late(px, timeout_ms);
        }
        if (code != PX_OK) {
                lib_leave(px);
                return code;
        }
        ended = PX_CONTAINER_OF(px->ends.next, struct ended, link);
        px_list_remove(&ended->link);
        px->watched_count--;
        lib_ready(px, -1);
        lib_leave(px);
        end = ended->end;
        px_free(ended);
        *ret_end = (struct plexus_end){.job = end.job, .error = end.error};
        return give(px, &end, timeout_ms, ret_end);
}
