/* SPDX-License-Identifier: Apache-2.0 */
/* request.c - ask, wait, take the answer. Layer: L4 (client/lib). */
#include "lib_request.h"

void request_fini(struct request *request)
{
        px_buf_fini(&request->body);
        px_buf_fini(&request->payload);
        px_buf_fini(&request->frame);
}

void request_send(struct plexus *px, struct request *request, bool recorded, struct px_slice frame)
{
        request->token = ++px->next_token;
        px_outbox_add(px->outbox, request->token, recorded, frame);
        px_map_put(&px->requests, request->token, request);
        lib_wake(px);
}

void request_drop(struct plexus *px, struct request *request)
{
        if (px_map_take(&px->requests, request->token) != NULL)
                px_outbox_forget(px->outbox, request->token);
}

void request_finish(struct plexus *px, struct request *request, int code, struct px_slice text,
                    struct px_slice body, struct px_slice payload)
{
        PX_ASSERT(!request->done);
        request->done = true;
        request->code = code;
        px_slice_to_text(text, request->text, sizeof(request->text));
        px_buf_append_slice(&request->body, body);
        px_buf_append_slice(&request->payload, payload);
        if (request->changed != NULL)
                pthread_cond_signal(request->changed);
        if (request->finished != NULL)
                request->finished(px, request);
}

int request_malformed(const char *what)
{
        return detail_refuse(PX_E_PROTO, "the broker's answer (%s) cannot be read", what);
}

/* Of a question on `data`, while `cmd` works: name that hop, not the other. */
static int refuse_late_question(struct plexus *px, int64_t timeout_ms)
{
        long long waited_ms = timeout_ms == 0 ? px->timeout_ms : timeout_ms;
        const char *trouble = link_trouble(&px->data);

        if (px->data.state == LINK_UP)
                return detail_refuse(PX_E_TIMED_OUT, "no answer of %s within %lld ms",
                                     px->data.current.words, waited_ms);
        if (trouble[0] == '\0')
                return detail_refuse(PX_E_UNREACHABLE,
                                     "no connection to the data socket within %lld ms", waited_ms);
        return detail_refuse(PX_E_UNREACHABLE, "no connection to the data socket: %s", trouble);
}

/* Wait until the request is done; the refusal with its detail. Lock held. */
static int wait_done(struct plexus *px, struct request *request, int64_t timeout_ms)
{
        int64_t deadline_ms = lib_deadline_ms(px, timeout_ms);

        while (!request->done) {
                if (lib_wait(px, request->changed, deadline_ms) || request->done)
                        continue;
                if (request->frame.length > 0 && px->greeter.up)
                        return refuse_late_question(px, timeout_ms);
                return lib_refuse_late(px, timeout_ms);
        }
        if (request->code == PX_OK)
                return PX_OK;
        return detail_refuse(request->code, "%s",
                             request->text[0] != '\0' ? request->text
                                                      : plexus_error_text(request->code));
}

int request_call(struct plexus *px, struct request *request, bool recorded, struct px_slice frame,
                 int64_t timeout_ms)
{
        pthread_cond_t changed;
        int code = lib_enter(px);

        if (code != PX_OK)
                return code;
        lib_condition_init(&changed);
        request->changed = &changed;
        request_send(px, request, recorded, frame);
        code = wait_done(px, request, timeout_ms);
        request_drop(px, request);
        request->changed = NULL;
        lib_leave(px);
        pthread_cond_destroy(&changed);
        return code;
}

int query_call(struct plexus *px, struct request *request, struct px_slice frame, int64_t timeout_ms)
{
        pthread_cond_t changed;
        int code = lib_enter(px);

        if (code != PX_OK)
                return code;
        lib_condition_init(&changed);
        request->changed = &changed;
        request->token = ++px->next_number;
        px_buf_append_slice(&request->frame, frame);
        px_put_be64(request->frame.data + 8, request->token);
        px_list_append(&px->queries, &request->link);
        query_want(px);
        lib_wake(px);
        code = wait_done(px, request, timeout_ms);
        if (px_list_linked(&request->link))
                px_list_remove(&request->link);
        request->changed = NULL;
        lib_leave(px);
        pthread_cond_destroy(&changed);
        return code;
}
