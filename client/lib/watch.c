/* SPDX-License-Identifier: Apache-2.0 */
/* watch.c - WATCH for each job, again after every greeting; ENDs to those who wait.
 * Layer: L4 (client/lib). */
#include "lib_watch.h"

#include "lib_request.h"

#define WATCH_JOBS_MAX PX_LIMIT_BATCH_ITEMS

struct watch *watch_get(struct plexus *px, uint64_t job)
{
        struct watch *watch = px_map_find(&px->watches, job);

        if (watch != NULL)
                return watch;
        watch = px_alloc(sizeof(*watch));
        watch->job = job;
        px_list_init(&watch->waiters);
        px_list_append(&px->watches_due, &watch->due);
        px_map_put(&px->watches, job, watch);
        return watch;
}

static void watch_free(struct plexus *px, struct watch *watch)
{
        if (px_list_linked(&watch->due))
                px_list_remove(&watch->due);
        px_map_take(&px->watches, watch->job);
        px_free(watch);
}

void watch_release(struct plexus *px, struct watch *watch)
{
        if (!watch->queued && px_list_empty(&watch->waiters))
                watch_free(px, watch);
}

/* A new connection: the broker may have forgotten what it pushes, or pushed into the old one. */
void watch_welcomed(struct plexus *px)
{
        size_t cursor = 0;
        uint64_t job;
        void *value;

        while (px_map_next(&px->watches, &cursor, &job, &value)) {
                struct watch *watch = value;

                if (!px_list_linked(&watch->due))
                        px_list_append(&px->watches_due, &watch->due);
        }
}

/* WATCH was answered: its ends came with the answer. When it was refused, so are its jobs. */
static void watch_answered(struct plexus *px, struct request *request)
{
        struct px_arena arena = {0};
        struct px_m_watch asked;
        struct px_slice body;
        struct px_wire_header header;

        if (request->code != PX_OK &&
            px_wire_get_header(px_buf_slice(&request->frame), &header, &body) == PX_WIRE_OK &&
            px_m_watch_decode(body, &arena, &asked) == PX_WIRE_OK) {
                for (size_t i = 0; i < asked.jobs_count; i++)
                        watch_ended(px, &(struct px_end){.job = asked.jobs[i],
                                                         .code = (uint16_t)request->code,
                                                         .text = px_slice_text(request->text)});
        }
        px_arena_fini(&arena);
        request_fini(request);
        px_free(request);
}

static void send_some(struct plexus *px)
{
        struct px_job_id *jobs = px_alloc(WATCH_JOBS_MAX * sizeof(*jobs));
        struct request *request = px_alloc(sizeof(*request));
        struct px_m_watch body = {.jobs = jobs};

        while (!px_list_empty(&px->watches_due) && body.jobs_count < WATCH_JOBS_MAX) {
                struct watch *watch = PX_CONTAINER_OF(px->watches_due.next, struct watch, due);

                px_list_remove(&watch->due);
                jobs[body.jobs_count++].value = watch->job;
        }
        request->expect = PX_M_END;
        request->finished = watch_answered;
        px_m_watch_frame(&body, 0, 0, &request->frame);
        request_send(px, request, false, px_buf_slice(&request->frame));
        px_free(jobs);
}

void watch_step(struct plexus *px)
{
        while (!px_list_empty(&px->watches_due))
                send_some(px);
}

/* ---- ends ------------------------------------------------------------------------------------------ */

static void end_copy(const struct px_end *in, struct plexus_end *ret_end)
{
        *ret_end = (struct plexus_end){
                .job = in->job.value,
                .state = in->state,
                .attempt = in->attempt,
                .exit_code = in->exit_code,
                .signal = (int)in->signal,
                .error = in->code,
                .has_result = in->has_result,
        };
        px_slice_to_text(in->text, ret_end->reason, sizeof(ret_end->reason));
        px_slice_to_text(in->node, ret_end->node, sizeof(ret_end->node));
        if (in->has_result && in->result.length > 0) {
                ret_end->result = px_alloc(in->result.length);
                ret_end->result_bytes = in->result.length;
                memcpy(ret_end->result, in->result.data, in->result.length);
        }
}

static void queue_end(struct plexus *px, const struct px_end *end)
{
        struct ended *ended = px_alloc(sizeof(*ended));

        end_copy(end, &ended->end);
        px_list_append(&px->ends, &ended->link);
        lib_ready(px, 1);
        pthread_cond_signal(&px->ended);
}

void watch_ended(struct plexus *px, const struct px_end *end)
{
        struct watch *watch = px_map_find(&px->watches, end->job.value);

        if (watch == NULL)
                return;
        while (!px_list_empty(&watch->waiters)) {
                struct waiter *waiter =
                        PX_CONTAINER_OF(watch->waiters.next, struct waiter, link);

                px_list_remove(&waiter->link);
                end_copy(end, &waiter->end);
                waiter->done = true;
                pthread_cond_signal(&waiter->changed);
        }
        if (watch->queued)
                queue_end(px, end);
        watch_free(px, watch);
}

void watch_fail_all(struct plexus *px, int code, const char *text)
{
        size_t cursor = 0;
        uint64_t job;
        void *value;

        while (px_map_next(&px->watches, &cursor, &job, &value)) {
                cursor = 0; /* the map changes */
                watch_ended(px, &(struct px_end){.job = {job}, .code = (uint16_t)code,
                                                 .text = px_slice_text(text)});
        }
}

void watch_fini(struct plexus *px)
{
        size_t cursor = 0;
        uint64_t job;
        void *value;

        while (px_map_next(&px->watches, &cursor, &job, &value)) {
                cursor = 0;
                watch_free(px, value);
        }
        px_map_fini(&px->watches);
        while (!px_list_empty(&px->ends)) {
                struct ended *ended = PX_CONTAINER_OF(px->ends.next, struct ended, link);

                px_list_remove(&ended->link);
                plexus_end_fini(&ended->end);
                px_free(ended);
        }
}
