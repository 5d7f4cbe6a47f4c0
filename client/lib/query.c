/* SPDX-License-Identifier: Apache-2.0 */
/* query.c - questions on the socket `data`. They change nothing and have no session: each is asked
 * again until its answer comes. Layer: L4 (client/lib). */
#include "lib_request.h"

#define QUERY_REPEAT_MS 5000
#define QUERY_PING_MS 2000
#define QUERY_BUSY_MS 200

void query_want(struct plexus *px)
{
        px->data_wanted = true;
}

void query_up(struct plexus *px, int64_t now_ms)
{
        px->data_heard_ms = now_ms;
        px->data_ping_ms = now_ms;
        PX_LIST_EACH(&px->queries, link)
        {
                PX_CONTAINER_OF(link, struct request, link)->due_ms = now_ms;
        }
        stream_reopen_all(px);
        worker_data_up(px);
}

static void send_ping(struct plexus *px)
{
        struct px_buf frame = {0};
        struct px_m_ping ping = {.session = {px_outbox_session(px->outbox)},
                                 .done_below = px_outbox_done_below(px->outbox)};

        px_m_ping_frame(&ping, 0, 0, &frame);
        loop_send(px, &px->data, px_buf_slice(&frame), PX_SLICE_NONE);
        px_buf_fini(&frame);
}

void query_step(struct plexus *px, int64_t now_ms)
{
        if (px->data.state != LINK_UP)
                return;
        if (now_ms - px->data_heard_ms > (int64_t)px->welcome.silence_ms) {
                link_renew(&px->data, "is connected but silent", now_ms);
                return;
        }
        if (now_ms >= px->data_ping_ms) {
                send_ping(px);
                px->data_ping_ms = now_ms + QUERY_PING_MS;
        }
        PX_LIST_EACH(&px->queries, link)
        {
                struct request *query = PX_CONTAINER_OF(link, struct request, link);

                if (query->done || now_ms < query->due_ms)
                        continue;
                loop_send(px, &px->data, px_buf_slice(&query->frame), PX_SLICE_NONE);
                query->due_ms = now_ms + QUERY_REPEAT_MS;
        }
}

int64_t query_deadline_ms(const struct plexus *px)
{
        int64_t deadline_ms = px->data_ping_ms;

        if (px->data.state != LINK_UP)
                return INT64_MAX;
        PX_LIST_EACH(&px->queries, link)
        {
                const struct request *query = PX_CONTAINER_OF(link, struct request, link);

                if (!query->done)
                        deadline_ms = PX_MIN(deadline_ms, query->due_ms);
        }
        return deadline_ms;
}

static struct request *find_query(struct plexus *px, uint64_t number)
{
        PX_LIST_EACH(&px->queries, link)
        {
                struct request *query = PX_CONTAINER_OF(link, struct request, link);

                if (query->token == number && !query->done)
                        return query;
        }
        return NULL;
}

/* A busy broker is asked again, as long as the caller waits: a question changes nothing. */
static void on_refused(struct plexus *px, struct request *query, struct px_slice body, int64_t now_ms)
{
        struct px_m_refused refused;
        struct px_arena arena = {0};

        if (px_m_refused_decode(body, &arena, &refused) == PX_WIRE_OK && refused.code != 0) {
                if (query != NULL && refused.code == PX_E_BUSY)
                        query->due_ms = now_ms + QUERY_BUSY_MS;
                else if (query != NULL)
                        request_finish(px, query, refused.code, refused.text, PX_SLICE_NONE,
                                       PX_SLICE_NONE);
                if (refused.code == PX_E_REVOKED)
                        session_die(px, refused.code, refused.text);
        }
        px_arena_fini(&arena);
}

void query_receive(struct plexus *px, struct px_slice frame, struct px_slice payload, int64_t now_ms)
{
        struct px_wire_header header;
        struct px_slice body;
        struct request *query;

        if (px_wire_get_header(frame, &header, &body) != PX_WIRE_OK)
                return;
        px->data_heard_ms = now_ms;
        if (stream_receive(px, &header, body, payload, now_ms) || header.correlation == 0)
                return;
        query = find_query(px, header.correlation);
        if (header.type == PX_M_REFUSED)
                on_refused(px, query, body, now_ms);
        else if (query != NULL && header.type == query->expect)
                request_finish(px, query, PX_OK, PX_SLICE_NONE, body, payload);
}
