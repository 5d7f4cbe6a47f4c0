/* SPDX-License-Identifier: Apache-2.0 */
/* submit.c - submit one, many, or without waiting. Layer: L4 (client/lib).
 *
 * Single submits queue up under the lock and leave together: as many in a message as arrived while
 * the thread was busy. Many at once are packed into messages by the caller's own thread, of which
 * SUBMIT_MESSAGES_MAX are under way at a time. A large standard input goes to the broker's store of
 * files first (upload.c), and the job joins the queue when it is there. */
#include "lib_request.h"
#include "lib_spec.h"
#include "lib_upload.h"

#define SUBMIT_MESSAGES_MAX 32
#define SUBMIT_HEAD_BYTES 64 /* header, session, done_below, array heads: at most */
#define SUBMIT_QUEUE_MAX 262144
#define SUBMIT_QUEUE_BYTES_MAX (64u << 20)

/* One queued job. */
struct item {
        struct px_link link; /* in px->submits, then in its message */
        struct px_buf job;   /* encoded */
        struct upload *upload; /* in px->submits_uploading until it is done; NULL = none */
        struct px_buf input;   /* what it uploads */
        pthread_cond_t *changed; /* the caller waits; NULL = asynchronous, or it gave up */
        struct item_result *result;
        void (*done)(void *context, int error, uint64_t job);
        void *context;
};

struct item_result { /* on the caller's stack */
        bool done;
        int code;
        uint64_t job;
        char text[1025];
};

/* A message of queued jobs. */
struct message {
        struct request request;
        struct px_link items;
};

static void put_head(struct px_buf *frame, size_t jobs)
{
        px_wire_put_header(frame, (struct px_wire_header){.type = PX_M_SUBMIT,
                                                          .count = (uint16_t)jobs});
        px_write_array(frame, 3);
        px_write_u64(frame, 0); /* session and done_below: the outbox fills them in */
        px_write_u64(frame, 0);
        px_write_array(frame, (uint32_t)jobs);
}

/* ---- queued ----------------------------------------------------------------------------------------- */

static void item_end_upload(struct item *item)
{
        if (item->upload != NULL)
                upload_fini(item->upload);
        px_free(item->upload);
        item->upload = NULL;
        px_buf_fini(&item->input);
}

static void item_free(struct item *item)
{
        item_end_upload(item);
        px_list_remove(&item->link);
        px_buf_fini(&item->job);
        px_free(item);
}

static void item_finish(struct plexus *px, struct item *item, int code, uint64_t job,
                        struct px_slice text)
{
        if (item->result != NULL) {
                item->result->done = true;
                item->result->code = code;
                item->result->job = job;
                px_slice_to_text(text, item->result->text, sizeof(item->result->text));
                pthread_cond_signal(item->changed);
        }
        if (item->done != NULL)
                lib_call_later(px, item->done, item->context, code, job);
        item_free(item);
}

static void finish_items(struct plexus *px, struct px_link *items, int code, struct px_slice text)
{
        while (!px_list_empty(items))
                item_finish(px, PX_CONTAINER_OF(items->next, struct item, link), code, 0, text);
}

static void finish_run(struct plexus *px, struct px_link *items, const struct px_answer_run *run)
{
        for (uint32_t i = 0; i < run->count && !px_list_empty(items); i++)
                item_finish(px, PX_CONTAINER_OF(items->next, struct item, link), run->code,
                            run->code == 0 ? run->job.value + i : 0, run->text);
}

static void message_answered(struct plexus *px, struct request *request)
{
        struct message *message = PX_CONTAINER_OF(request, struct message, request);
        struct px_arena arena = {0};
        struct px_m_submitted submitted;

        if (request->code != PX_OK) {
                finish_items(px, &message->items, request->code, px_slice_text(request->text));
        } else if (px_m_submitted_decode(px_buf_slice(&request->body), &arena, &submitted) ==
                   PX_WIRE_OK) {
                for (size_t i = 0; i < submitted.runs_count; i++)
                        finish_run(px, &message->items, &submitted.runs[i]);
        }
        finish_items(px, &message->items, PX_E_PROTO,
                     px_slice_text("the broker's answer (SUBMITTED) cannot be read"));
        px_arena_fini(&arena);
        request_fini(request);
        px_free(message);
}

static void send_message(struct plexus *px)
{
        struct message *message = px_alloc(sizeof(*message));
        struct px_buf frame = {0};
        size_t bytes = SUBMIT_HEAD_BYTES, count = 0;

        px_list_init(&message->items);
        while (!px_list_empty(&px->submits) && count < PX_LIMIT_BATCH_ITEMS) {
                struct item *item = PX_CONTAINER_OF(px->submits.next, struct item, link);

                if (bytes + item->job.length > PX_LIMIT_MESSAGE_BYTES)
                        break;
                bytes += item->job.length;
                count++;
                px_list_remove(&item->link);
                px_list_append(&message->items, &item->link);
        }
        PX_ASSERT(count > 0); /* SPEC_BYTES is below MESSAGE_BYTES */
        put_head(&frame, count);
        PX_LIST_EACH(&message->items, link)
        {
                struct item *item = PX_CONTAINER_OF(link, struct item, link);

                px_buf_append_slice(&frame, px_buf_slice(&item->job));
                px->submits_bytes -= item->job.length;
                px_buf_fini(&item->job);
        }
        px->submits_count -= count;
        message->request.expect = PX_M_SUBMITTED;
        message->request.finished = message_answered;
        request_send(px, &message->request, true, px_buf_slice(&frame));
        px_buf_fini(&frame);
}

void submit_step(struct plexus *px)
{
        while (!px_list_empty(&px->submits))
                send_message(px);
}

void submit_fail_all(struct plexus *px, int code, const char *text)
{
        finish_items(px, &px->submits_uploading, code, px_slice_text(text));
        finish_items(px, &px->submits, code, px_slice_text(text));
        px->submits_count = 0;
        px->submits_bytes = 0;
}

static void enqueue(struct plexus *px, struct item *item)
{
        px->submits_count++;
        px->submits_bytes += item->job.length;
        px_list_append(&px->submits, &item->link);
        lib_wake(px);
}

static void item_uploaded(struct plexus *px, struct upload *upload)
{
        struct item *item = upload->context;
        int code = upload->code;
        char text[sizeof(upload->text)];

        memcpy(text, upload->text, sizeof(text));
        px->submits_count--;
        px->submits_bytes -= item->input.length;
        item_end_upload(item);
        if (code != PX_OK) {
                item_finish(px, item, code, 0, px_slice_text(text));
                return;
        }
        px_list_remove(&item->link);
        enqueue(px, item);
}

/* Lock held. Owns: takes the bytes of `job`; the input of a job that has one to upload is copied. */
static struct item *queue(struct plexus *px, struct px_buf *job, const struct spec_blob *blob,
                          const struct plexus_job_spec *spec)
{
        struct item *item = px_alloc(sizeof(*item));

        item->job = px_buf_take(job);
        if (!blob->used) {
                enqueue(px, item);
                return item;
        }
        px_buf_append(&item->input, spec->input, spec->input_bytes);
        item->upload = px_alloc(sizeof(*item->upload));
        memcpy(item->upload->hash, blob->hash, sizeof(blob->hash));
        item->upload->data = px_buf_slice(&item->input);
        item->upload->finished = item_uploaded;
        item->upload->context = item;
        px->submits_count++;
        px->submits_bytes += item->input.length;
        px_list_append(&px->submits_uploading, &item->link);
        upload_begin(px, item->upload);
        return item;
}

static int refuse_full(struct plexus *px)
{
        if (px->submits_count < SUBMIT_QUEUE_MAX && px->submits_bytes < SUBMIT_QUEUE_BYTES_MAX)
                return PX_OK;
        return detail_refuse(PX_E_BUSY, "%zu submits of %zu bytes wait for the broker already",
                             px->submits_count, px->submits_bytes);
}

static bool is_among(struct px_link *items, const struct item *item)
{
        PX_LIST_EACH(items, link)
        {
                if (link == &item->link)
                        return true;
        }
        return false;
}

/* The caller gives up: a job that was not sent is taken back. Lock held. */
static void abandon(struct plexus *px, struct item *item)
{
        item->result = NULL;
        item->changed = NULL;
        if (!is_among(&px->submits, item) && !is_among(&px->submits_uploading, item))
                return;
        px->submits_count--;
        px->submits_bytes -= item->upload != NULL ? item->input.length : item->job.length;
        item_free(item);
}

int plexus_submit(struct plexus *px, const struct plexus_job_spec *spec, uint64_t *ret_job)
{
        struct px_buf job = {0};
        struct item_result result = {0};
        struct spec_blob blob = {0};
        struct item *item;
        pthread_cond_t changed;
        int64_t deadline_ms;
        int code = spec_encode(spec, &job, &blob);

        if (code == PX_OK)
                code = lib_enter(px);
        if (code != PX_OK) {
                px_buf_fini(&job);
                return code;
        }
        lib_condition_init(&changed);
        item = queue(px, &job, &blob, spec);
        item->result = &result;
        item->changed = &changed;
        deadline_ms = lib_deadline_ms(px, 0);
        while (!result.done && code == PX_OK) {
                if (!lib_wait(px, &changed, deadline_ms) && !result.done)
                        code = lib_refuse_late(px, 0);
        }
        if (!result.done)
                abandon(px, item);
        lib_leave(px);
        pthread_cond_destroy(&changed);
        if (code == PX_OK && result.code != PX_OK)
                code = detail_refuse(result.code, "%s",
                                     result.text[0] != '\0' ? result.text
                                                            : plexus_error_text(result.code));
        if (code == PX_OK)
                *ret_job = result.job;
        return code;
}

int plexus_submit_async(struct plexus *px, const struct plexus_job_spec *spec,
                        void (*done)(void *context, int error, uint64_t job), void *context)
{
        struct px_buf job = {0};
        struct spec_blob blob = {0};
        struct item *item;
        int code = spec_encode(spec, &job, &blob);

        if (code == PX_OK)
                code = lib_enter(px);
        if (code == PX_OK) {
                code = refuse_full(px);
                if (code == PX_OK) {
                        item = queue(px, &job, &blob, spec);
                        item->done = done;
                        item->context = context;
                }
                lib_leave(px);
        }
        px_buf_fini(&job);
        return code;
}

/* ---- many ---------------------------------------------------------------------------------------------- */

struct many {
        struct plexus *px;
        const struct plexus_job_spec *specs;
        size_t count;
        uint64_t *jobs;
        int *errors;
        int first; /* refusal in the order of specs as far as known */
        char text[1025];
        size_t first_at;
        size_t under_way; /* messages */
        pthread_cond_t changed;
        int64_t timeout_ms, deadline_ms;
        struct spec_blob uploaded; /* the last one: jobs in a row often share their input */
};

/* One message under way: the specs at `at[0..count)`; refused ones in between are left out. */
struct many_message {
        struct request request;
        size_t *at;
        size_t count;
};

static void many_set(struct many *many, size_t at, int code, uint64_t job, struct px_slice text)
{
        many->jobs[at] = job;
        if (many->errors != NULL)
                many->errors[at] = code;
        if (code == PX_OK || (many->first != PX_OK && at > many->first_at))
                return;
        many->first = code;
        many->first_at = at;
        px_slice_to_text(text, many->text, sizeof(many->text));
}

/* The job's standard input goes first. Refuses: as upload_begin(), and when the time is over. */
static int many_upload(struct many *many, const struct plexus_job_spec *spec,
                       const struct spec_blob *blob)
{
        struct upload upload = {.data = px_slice_of(spec->input, spec->input_bytes),
                                .changed = &many->changed};
        int code;

        if (!blob->used || (many->uploaded.used && memcmp(many->uploaded.hash, blob->hash,
                                                          sizeof(blob->hash)) == 0))
                return PX_OK;
        memcpy(upload.hash, blob->hash, sizeof(blob->hash));
        code = lib_enter(many->px);
        if (code != PX_OK)
                return code;
        upload_begin(many->px, &upload);
        while (!upload.done && code == PX_OK)
                if (!lib_wait(many->px, &many->changed, many->deadline_ms) && !upload.done)
                        code = lib_refuse_late(many->px, many->timeout_ms);
        upload_fini(&upload);
        lib_leave(many->px);
        if (code == PX_OK && upload.code != PX_OK)
                code = detail_refuse(upload.code, "%s",
                                     upload.text[0] != '\0' ? upload.text
                                                            : plexus_error_text(upload.code));
        if (code == PX_OK)
                many->uploaded = *blob;
        return code;
}

/* Pack jobs from *next on. Returns false when none was left (all refused here). */
static bool many_pack(struct many *many, size_t *next, struct many_message *message,
                      struct px_buf *frame)
{
        struct px_buf jobs = {0}, job = {0};
        size_t room = PX_MIN(many->count - *next, (size_t)PX_LIMIT_BATCH_ITEMS);

        message->at = px_alloc(room * sizeof(*message->at));
        while (*next < many->count && message->count < room) {
                struct spec_blob blob = {0};
                int code;

                px_buf_reset(&job);
                code = spec_encode(&many->specs[*next], &job, &blob);
                if (code == PX_OK)
                        code = many_upload(many, &many->specs[*next], &blob);
                if (code == PX_OK &&
                    SUBMIT_HEAD_BYTES + jobs.length + job.length > PX_LIMIT_MESSAGE_BYTES)
                        break;
                if (code == PX_OK) {
                        px_buf_append_slice(&jobs, px_buf_slice(&job));
                        message->at[message->count++] = *next;
                } else {
                        many_set(many, *next, code, 0, px_slice_text(detail_text()));
                }
                (*next)++;
        }
        put_head(frame, message->count);
        px_buf_append_slice(frame, px_buf_slice(&jobs));
        px_buf_fini(&jobs);
        px_buf_fini(&job);
        return message->count > 0;
}

static void many_take(struct many *many, struct many_message *message)
{
        struct px_arena arena = {0};
        struct px_m_submitted submitted = {0};
        struct px_slice text = px_slice_text(message->request.text);
        int code = message->request.code;
        size_t at = 0;

        if (code == PX_OK && px_m_submitted_decode(px_buf_slice(&message->request.body), &arena,
                                                   &submitted) != PX_WIRE_OK)
                code = PX_E_PROTO;
        for (size_t i = 0; i < submitted.runs_count; i++) {
                const struct px_answer_run *run = &submitted.runs[i];

                for (uint32_t k = 0; k < run->count && at < message->count; k++, at++)
                        many_set(many, message->at[at], run->code,
                                 run->code == 0 ? run->job.value + k : 0, run->text);
        }
        for (; at < message->count; at++)
                many_set(many, message->at[at], code != PX_OK ? code : PX_E_PROTO, 0, text);
        px_arena_fini(&arena);
}

static void many_free(struct many_message *message)
{
        request_fini(&message->request);
        px_free(message->at);
        px_free(message);
}

/* Wait for the oldest message and take its answer. Lock held. */
static int many_wait(struct many *many, struct px_link *sent)
{
        struct many_message *oldest =
                PX_CONTAINER_OF(sent->next, struct many_message, request.link);
        int code = PX_OK;

        while (!oldest->request.done && code == PX_OK) {
                if (!lib_wait(many->px, &many->changed, many->deadline_ms) && !oldest->request.done)
                        code = lib_refuse_late(many->px, many->timeout_ms);
        }
        px_list_remove(&oldest->request.link);
        many->under_way--;
        if (code != PX_OK) {
                request_drop(many->px, &oldest->request);
                oldest->request.code = code;
                px_slice_to_text(px_slice_text(detail_text()), oldest->request.text,
                                 sizeof(oldest->request.text));
        }
        many_take(many, oldest);
        many_free(oldest);
        return code;
}

/* Pack the next message and put it into the outbox. */
static int many_send(struct many *many, size_t *next, struct px_link *sent)
{
        struct many_message *message = px_alloc(sizeof(*message));
        struct px_buf frame = {0};
        int code = PX_OK;

        if (many_pack(many, next, message, &frame))
                code = lib_enter(many->px);
        else
                code = -1; /* nothing to send */
        if (code == PX_OK) {
                message->request.expect = PX_M_SUBMITTED;
                message->request.changed = &many->changed;
                request_send(many->px, &message->request, true, px_buf_slice(&frame));
                px_list_append(sent, &message->request.link);
                many->under_way++;
                lib_leave(many->px);
        } else {
                if (code > 0) {
                        message->request.code = code;
                        px_slice_to_text(px_slice_text(detail_text()), message->request.text,
                                         sizeof(message->request.text));
                        many_take(many, message);
                }
                many_free(message);
        }
        px_buf_fini(&frame);
        return PX_MAX(code, 0);
}

static void many_run(struct many *many)
{
        struct px_link sent;
        size_t next = 0;
        int code = PX_OK;
        int waited;

        px_list_init(&sent);
        while (next < many->count || !px_list_empty(&sent)) {
                if (next < many->count && many->under_way < SUBMIT_MESSAGES_MAX &&
                    code == PX_OK) {
                        code = many_send(many, &next, &sent);
                        continue;
                }
                if (px_list_empty(&sent))
                        break;
                pthread_mutex_lock(&many->px->lock);
                waited = many_wait(many, &sent);
                pthread_mutex_unlock(&many->px->lock);
                code = code != PX_OK ? code : waited;
        }
        for (; next < many->count; next++)
                many_set(many, next, code, 0, px_slice_text(detail_text()));
}

int plexus_submit_many(struct plexus *px, const struct plexus_job_spec *specs, size_t count,
                       uint64_t *ret_jobs, int *ret_errors, int64_t timeout_ms)
{
        struct many many = {.px = px, .specs = specs, .count = count, .jobs = ret_jobs,
                            .errors = ret_errors, .timeout_ms = timeout_ms};
        int code = lib_enter(px);

        if (code != PX_OK)
                return code;
        many.deadline_ms = lib_deadline_ms(px, timeout_ms);
        lib_leave(px);
        lib_condition_init(&many.changed);
        many_run(&many);
        pthread_cond_destroy(&many.changed);
        if (many.first == PX_OK)
                return PX_OK;
        return detail_refuse(many.first, "job %zu of %zu: %s", many.first_at + 1, count,
                             many.text[0] != '\0' ? many.text : plexus_error_text(many.first));
}
