/* SPDX-License-Identifier: Apache-2.0 */
/* session.c - the talk on the socket `cmd`: greeting, requests, answers, ends.
 * Layer: L4 (client/lib). Source: DESIGN 5. */
#include "lib_request.h"

#include <stdio.h>

#define SESSION_BACKOFF_MAX_MS 3500
#define SESSION_SILENCE_LEAST_MS 6000

static void send_hello(struct plexus *px)
{
        struct px_buf frame = {0};
        uint64_t session = px_outbox_session(px->outbox);
        struct px_m_client_hello hello = {
                .session = {session},
                .version = px_slice_text(PX_PRODUCT_VERSION),
                .program = px_slice_text(px->program),
        };

        px_m_client_hello_frame(&hello, session, 0, &frame);
        loop_send(px, &px->cmd, px_buf_slice(&frame), PX_SLICE_NONE);
        px_buf_fini(&frame);
}

static void send_ping(struct plexus *px)
{
        struct px_buf frame = {0};
        struct px_m_ping ping = {.session = {px_outbox_session(px->outbox)},
                                 .done_below = px_outbox_done_below(px->outbox)};

        px_m_ping_frame(&ping, 0, 0, &frame);
        loop_send(px, &px->cmd, px_buf_slice(&frame), PX_SLICE_NONE);
        px_buf_fini(&frame);
}

void session_leave(struct plexus *px)
{
        if (px->greeter.up)
                send_ping(px);
}

void session_up(struct plexus *px, int64_t now_ms)
{
        px_greeter_init(&px->greeter, now_ms, SESSION_BACKOFF_MAX_MS, lib_random());
        px->enrol_due_ms = now_ms;
}

static void send_requests(struct plexus *px, int64_t now_ms)
{
        struct px_slice frame;

        while (px_outbox_next(px->outbox, now_ms, &frame))
                loop_send(px, &px->cmd, frame, PX_SLICE_NONE);
}

static void step_greeter(struct plexus *px, int64_t now_ms)
{
        for (;;) {
                switch (px_greeter_step(&px->greeter, now_ms)) {
                case PX_GREETER_NOTHING:
                        return;
                case PX_GREETER_HELLO:
                        send_hello(px);
                        break;
                case PX_GREETER_PING:
                        send_ping(px);
                        break;
                case PX_GREETER_RENEW:
                        link_renew(&px->cmd, "is connected but silent", now_ms);
                        px->greeter.up = false;
                        return;
                }
        }
}

void session_step(struct plexus *px, int64_t now_ms)
{
        if (px->cmd.state != LINK_UP)
                return;
        if (px->enrols) {
                enrol_step(px, now_ms);
                return;
        }
        step_greeter(px, now_ms);
        if (!px->greeter.up || px->cmd.state != LINK_UP)
                return;
        submit_step(px);
        watch_step(px);
        send_requests(px, now_ms);
}

int64_t session_deadline_ms(const struct plexus *px)
{
        int64_t outbox_ms = px_outbox_deadline_ms(px->outbox);

        if (px->cmd.state != LINK_UP)
                return INT64_MAX;
        if (px->enrols)
                return px->enrol_due_ms;
        return px->greeter.up ? PX_MIN(outbox_ms, px_greeter_deadline_ms(&px->greeter))
                              : px_greeter_deadline_ms(&px->greeter);
}

/* ---- what arrives ------------------------------------------------------------------------------- */

void session_die(struct plexus *px, int code, struct px_slice text)
{
        size_t cursor = 0;
        uint64_t token;
        void *value;

        if (px->dead_code != 0)
                return;
        px->dead_code = code;
        px_slice_to_text(text.length > 0 ? text : px_slice_text(plexus_error_text(code)),
                         px->dead_text, sizeof(px->dead_text));
        while (px_map_next(&px->requests, &cursor, &token, &value)) {
                px_map_take(&px->requests, token);
                cursor = 0;
                request_finish(px, value, code, px_slice_text(px->dead_text), PX_SLICE_NONE,
                               PX_SLICE_NONE);
        }
        for (struct px_link *link = px->queries.next; link != &px->queries;) {
                struct request *query = PX_CONTAINER_OF(link, struct request, link);

                link = link->next; /* a query whose end is awaited by a function may be freed by it */
                if (!query->done)
                        request_finish(px, query, code, px_slice_text(px->dead_text), PX_SLICE_NONE,
                                       PX_SLICE_NONE);
        }
        submit_fail_all(px, code, px->dead_text);
        watch_fail_all(px, code, px->dead_text);
        stream_fail_all(px, code, px->dead_text);
        pthread_cond_broadcast(&px->changed);
}

static void take_welcome(struct plexus *px, const struct px_m_client_welcome *welcome)
{
        px->welcome.epoch = welcome->epoch;
        px->welcome.role = welcome->role;
        px->welcome.sees_all = welcome->sees_all;
        px->welcome.node_port = welcome->node_port;
        px->welcome.data_port = welcome->data_port;
        px->welcome.events_port = welcome->events_port;
        px->welcome.clock_ahead_ms = welcome->wall_ms == 0 ? 0 : welcome->wall_ms - lib_wall_ms();
        px->welcome.has_broker_public = welcome->broker_public.length == PX_TOKEN_KEY_BYTES;
        if (px->welcome.has_broker_public)
                memcpy(px->welcome.broker_public, welcome->broker_public.data, PX_TOKEN_KEY_BYTES);
        px_slice_to_text(welcome->version, px->welcome.version, sizeof(px->welcome.version));
        px_slice_to_text(welcome->principal, px->welcome.principal, sizeof(px->welcome.principal));
        px->welcome.silence_ms = PX_MAX(3 * welcome->heartbeat_ms, SESSION_SILENCE_LEAST_MS);
}

static void give_up_expired(struct plexus *px, struct px_slice expired)
{
        for (size_t at = 0; at + 8 <= expired.length; at += 8) {
                struct request *request = px_map_take(&px->requests, px_get_be64(expired.data + at));

                if (request != NULL)
                        request_finish(px, request, PX_E_EXPIRED, PX_SLICE_NONE, PX_SLICE_NONE,
                                       PX_SLICE_NONE);
        }
}

static void on_welcome(struct plexus *px, uint64_t asked, struct px_slice body,
                       struct px_arena *arena, int64_t now_ms)
{
        struct px_m_client_welcome welcome;
        struct px_buf expired = {0};

        if (px_m_client_welcome_decode(body, arena, &welcome) != PX_WIRE_OK ||
            welcome.session.value == 0 || welcome.heartbeat_ms == 0)
                return;
        if (px_outbox_welcomed(px->outbox, asked, welcome.session.value, now_ms, &expired)) {
                take_welcome(px, &welcome);
                px_greeter_welcomed(&px->greeter, now_ms, welcome.heartbeat_ms,
                                    px->welcome.silence_ms);
                give_up_expired(px, px_buf_slice(&expired));
                px->welcomed = true;
                px->goodbye = false;
                px->hello_text[0] = '\0';
                watch_welcomed(px);
                pthread_cond_broadcast(&px->changed);
        }
        px_buf_fini(&expired);
}

static void on_end(struct plexus *px, struct px_slice body, struct px_arena *arena)
{
        struct px_m_end end;

        if (px_m_end_decode(body, arena, &end) != PX_WIRE_OK)
                return;
        for (size_t i = 0; i < end.items_count; i++)
                watch_ended(px, &end.items[i]);
}

static struct request *answered(struct plexus *px, uint64_t number)
{
        uint64_t token = px_outbox_answered(px->outbox, number);

        return token != 0 ? px_map_take(&px->requests, token) : NULL;
}

/* A HELLO carries the session as its correlation, requests their number. */
static bool of_greeting(const struct plexus *px, uint64_t correlation)
{
        return correlation == 0 || correlation == px_outbox_session(px->outbox);
}

static void on_refused(struct plexus *px, uint64_t correlation, struct px_slice body,
                       struct px_arena *arena)
{
        struct px_m_refused refused;
        const struct px_error_info *info;
        struct request *request;

        if (px_m_refused_decode(body, arena, &refused) != PX_WIRE_OK || refused.code == 0)
                return;
        info = px_error_find(refused.code);
        request = correlation != 0 ? answered(px, correlation) : NULL;
        if (request != NULL)
                request_finish(px, request, refused.code, refused.text, PX_SLICE_NONE,
                               PX_SLICE_NONE);
        if (refused.code == PX_E_REVOKED) {
                session_die(px, refused.code, refused.text);
        } else if (request == NULL && of_greeting(px, correlation) && !px->greeter.up) {
                if (info != NULL && !info->retry)
                        session_die(px, refused.code, refused.text);
                else
                        px_slice_to_text(refused.text, px->hello_text, sizeof(px->hello_text));
        }
}

static void on_answer(struct plexus *px, const struct px_wire_header *header, struct px_slice body)
{
        struct request *request = answered(px, header->correlation);

        if (request == NULL)
                return;
        if (header->type == request->expect)
                request_finish(px, request, PX_OK, PX_SLICE_NONE, body, PX_SLICE_NONE);
        else
                request_finish(px, request, PX_E_PROTO,
                               px_slice_text("the broker answered with another kind of message"),
                               PX_SLICE_NONE, PX_SLICE_NONE);
}

static void dispatch(struct plexus *px, const struct px_wire_header *header, struct px_slice body,
                     struct px_arena *arena, int64_t now_ms)
{
        switch (header->type) {
        case PX_M_AGAIN:
                px_greeter_again(&px->greeter, now_ms);
                break;
        case PX_M_BYE:
                px->goodbye = true;
                px_greeter_again(&px->greeter, now_ms);
                break;
        case PX_M_CLIENT_WELCOME:
                on_welcome(px, header->correlation, body, arena, now_ms);
                break;
        case PX_M_PONG:
                break;
        case PX_M_REFUSED:
                on_refused(px, header->correlation, body, arena);
                break;
        case PX_M_END:
                on_end(px, body, arena);
                if (header->correlation != 0)
                        on_answer(px, header, body);
                break;
        default:
                on_answer(px, header, body);
                break;
        }
}

void session_receive(struct plexus *px, struct px_slice frame, int64_t now_ms)
{
        struct px_wire_header header;
        struct px_slice body;
        struct px_arena arena = {0};
        int result = px_wire_get_header(frame, &header, &body);

        if (result == PX_WIRE_NEWER)
                session_die(px, PX_E_VERSION,
                            px_slice_text("the broker speaks another version of the wire format; "
                                          "use a library of its release"));
        if (result != PX_WIRE_OK)
                return;
        px_greeter_heard(&px->greeter, now_ms);
        if (px->enrols)
                enrol_receive(px, &header, body, &arena);
        else
                dispatch(px, &header, body, &arena, now_ms);
        px_arena_fini(&arena);
}
