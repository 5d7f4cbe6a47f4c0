/* SPDX-License-Identifier: Apache-2.0 */
/* px_outbox.c - who asks: requests kept until answered, repeated with the same number, moved to a
 * new session under new numbers. Layer: L1 (schema/session). Source: DESIGN 5.1, 5.4.
 *
 * Numbers are never used twice, not even over sessions: an answer that was under way while the
 * session changed cannot be taken for the answer to another request. */
#include "px_session.h"

#define OUTBOX_REPEAT_MAX_MS 15000
#define OUTBOX_AT_ONCE_MS 0 /* before every real time */

struct outbox_request {
        struct px_link link;     /* in outbox.requests, by number */
        struct px_heap_item due; /* in outbox.due, when within the window */
        uint64_t number;
        uint64_t token;
        bool recorded;
        bool forgotten; /* nobody waits for its answer */
        bool sent;
        int64_t first_ms; /* first sent */
        int64_t due_ms;   /* to be sent (again) */
        uint64_t repeat_ms;
        uint16_t type;
        uint16_t flags;
        uint16_t count;
        uint32_t fields;    /* of the body's array */
        struct px_buf tail; /* what follows session and done_below */
};

struct px_outbox {
        struct px_outbox_options options;
        uint64_t session; /* 0 = none yet: nothing is sent */
        uint64_t next_number;
        uint64_t next_admitted; /* the first number that is not in `due` yet */
        struct px_link requests;
        struct px_map by_number;
        struct px_map by_token;
        struct px_heap due;
        struct px_buf frame; /* given out by px_outbox_next() */
};

static bool request_before(const struct px_heap_item *a, const struct px_heap_item *b)
{
        const struct outbox_request *left = PX_CONTAINER_OF(a, struct outbox_request, due);
        const struct outbox_request *right = PX_CONTAINER_OF(b, struct outbox_request, due);

        if (left->due_ms != right->due_ms)
                return left->due_ms < right->due_ms;
        return left->number < right->number;
}

struct px_outbox *px_outbox_new(const struct px_outbox_options *options)
{
        struct px_outbox *outbox = px_alloc(sizeof(*outbox));

        PX_ASSERT(options->window > 0);
        PX_ASSERT(options->repeat_ms > 0);
        outbox->options = *options;
        outbox->next_number = 1;
        outbox->next_admitted = 1;
        px_list_init(&outbox->requests);
        px_heap_init(&outbox->due, request_before);
        return outbox;
}

static void request_free(struct px_outbox *outbox, struct outbox_request *request)
{
        if (request->due.position != 0)
                px_heap_remove(&outbox->due, &request->due);
        px_list_remove(&request->link);
        px_map_take(&outbox->by_number, request->number);
        px_map_take(&outbox->by_token, request->token);
        px_buf_fini(&request->tail);
        px_free(request);
}

static struct outbox_request *request_of_link(struct px_link *link)
{
        return PX_CONTAINER_OF(link, struct outbox_request, link);
}

void px_outbox_free(struct px_outbox *outbox)
{
        if (outbox == NULL)
                return;
        while (!px_list_empty(&outbox->requests))
                request_free(outbox, request_of_link(outbox->requests.next));
        px_map_fini(&outbox->by_number);
        px_map_fini(&outbox->by_token);
        px_heap_fini(&outbox->due);
        px_buf_fini(&outbox->frame);
        px_free(outbox);
}

uint64_t px_outbox_done_below(const struct px_outbox *outbox)
{
        if (px_list_empty(&outbox->requests))
                return outbox->next_number;
        return request_of_link(outbox->requests.next)->number;
}

/* Requests that the window has come to include are due at once. */
static void outbox_admit(struct px_outbox *outbox)
{
        uint64_t end = px_outbox_done_below(outbox) + outbox->options.window;

        for (; outbox->next_admitted < PX_MIN(end, outbox->next_number); outbox->next_admitted++) {
                struct outbox_request *request =
                        px_map_find(&outbox->by_number, outbox->next_admitted);

                if (request == NULL) /* forgotten before its turn */
                        continue;
                request->due_ms = OUTBOX_AT_ONCE_MS;
                px_heap_push(&outbox->due, &request->due);
        }
}

/* Keep the parts of a frame that stay the same at each sending. */
static void request_take_frame(struct outbox_request *request, struct px_slice frame)
{
        struct px_wire_header header;
        struct px_slice body;
        struct px_reader reader;
        int result = px_wire_get_header(frame, &header, &body);

        PX_ASSERT(result == PX_WIRE_OK);
        px_reader_init(&reader, body);
        request->fields = px_read_array(&reader, UINT32_MAX);
        px_read_u64(&reader, UINT64_MAX);
        px_read_u64(&reader, UINT64_MAX);
        PX_ASSERT(reader.error == PX_WIRE_OK);
        request->type = header.type;
        request->flags = header.flags;
        request->count = header.count;
        px_buf_append(&request->tail, reader.at, (size_t)(reader.end - reader.at));
}

uint64_t px_outbox_add(struct px_outbox *outbox, uint64_t token, bool recorded,
                       struct px_slice frame)
{
        struct outbox_request *request = px_alloc(sizeof(*request));

        PX_ASSERT(token != 0);
        PX_ASSERT(px_map_find(&outbox->by_token, token) == NULL);
        request->number = outbox->next_number++;
        request->token = token;
        request->recorded = recorded;
        request_take_frame(request, frame);
        px_list_append(&outbox->requests, &request->link);
        px_map_put(&outbox->by_number, request->number, request);
        px_map_put(&outbox->by_token, token, request);
        outbox_admit(outbox);
        return request->number;
}

static void outbox_encode(struct px_outbox *outbox, const struct outbox_request *request)
{
        px_buf_reset(&outbox->frame);
        px_wire_put_header(&outbox->frame, (struct px_wire_header){.type = request->type,
                                                                   .flags = request->flags,
                                                                   .count = request->count,
                                                                   .correlation = request->number});
        px_write_array(&outbox->frame, request->fields);
        px_write_u64(&outbox->frame, outbox->session);
        px_write_u64(&outbox->frame, px_outbox_done_below(outbox));
        px_buf_append_slice(&outbox->frame, px_buf_slice(&request->tail));
}

bool px_outbox_next(struct px_outbox *outbox, int64_t now_ms, struct px_slice *ret_frame)
{
        struct px_heap_item *first = px_heap_first(&outbox->due);
        struct outbox_request *request;

        if (outbox->session == 0 || first == NULL)
                return false;
        request = PX_CONTAINER_OF(first, struct outbox_request, due);
        if (request->due_ms > now_ms)
                return false;
        if (!request->sent)
                request->first_ms = now_ms;
        /* The first sending after a WELCOME begins the intervals anew. */
        request->repeat_ms = request->due_ms == OUTBOX_AT_ONCE_MS
                                     ? outbox->options.repeat_ms
                                     : PX_MIN(request->repeat_ms * 2, OUTBOX_REPEAT_MAX_MS);
        request->sent = true;
        request->due_ms = now_ms + (int64_t)request->repeat_ms;
        px_heap_update(&outbox->due, &request->due);
        outbox_encode(outbox, request);
        *ret_frame = px_buf_slice(&outbox->frame);
        return true;
}

uint64_t px_outbox_answered(struct px_outbox *outbox, uint64_t number)
{
        struct outbox_request *request = px_map_find(&outbox->by_number, number);
        uint64_t token;

        if (request == NULL)
                return 0;
        token = request->forgotten ? 0 : request->token;
        request_free(outbox, request);
        outbox_admit(outbox);
        return token;
}

/* A request that may have run in a session that the broker has forgotten can't be told from one
 * that hasn't: the broker keeps sessions longer than expire_ms, so a younger one has not. */
static bool request_expired(const struct px_outbox *outbox, const struct outbox_request *request,
                            int64_t now_ms)
{
        return request->recorded && request->sent &&
               now_ms - request->first_ms > (int64_t)outbox->options.expire_ms;
}

static void request_expire(struct px_outbox *outbox, struct outbox_request *request,
                           struct px_buf *ret_expired)
{
        if (!request->forgotten)
                px_put_be64(px_buf_grow(ret_expired, 8), request->token);
        request_free(outbox, request);
}

/* Give every kept request a new number, in the same order. */
static void outbox_renumber(struct px_outbox *outbox, int64_t now_ms, struct px_buf *ret_expired)
{
        struct px_link *link = outbox->requests.next;

        outbox->next_admitted = outbox->next_number;
        while (link != &outbox->requests) {
                struct outbox_request *request = request_of_link(link);

                link = link->next;
                if (request_expired(outbox, request, now_ms)) {
                        request_expire(outbox, request, ret_expired);
                        continue;
                }
                if (request->due.position != 0)
                        px_heap_remove(&outbox->due, &request->due);
                px_map_take(&outbox->by_number, request->number);
                request->number = outbox->next_number++;
                px_map_put(&outbox->by_number, request->number, request);
        }
        PX_ASSERT(outbox->due.count == 0);
        outbox_admit(outbox);
}

bool px_outbox_welcomed(struct px_outbox *outbox, uint64_t asked, uint64_t session, int64_t now_ms,
                        struct px_buf *ret_expired)
{
        PX_ASSERT(session != 0);
        if (session != outbox->session) {
                /* A second answer to a greeting from before there was a session: following it
                 * would run in `session` what runs in the one we have. */
                if (asked != outbox->session)
                        return false;
                if (outbox->session != 0)
                        outbox_renumber(outbox, now_ms, ret_expired);
                outbox->session = session;
                return true;
        }
        PX_LIST_EACH(&outbox->requests, link)
        {
                struct outbox_request *request = request_of_link(link);

                if (request->number >= outbox->next_admitted)
                        break;
                request->due_ms = OUTBOX_AT_ONCE_MS;
                px_heap_update(&outbox->due, &request->due);
        }
        return true;
}

uint64_t px_outbox_session(const struct px_outbox *outbox)
{
        return outbox->session;
}

void px_outbox_forget(struct px_outbox *outbox, uint64_t token)
{
        struct outbox_request *request = px_map_find(&outbox->by_token, token);

        if (request == NULL)
                return;
        if (request->recorded) {
                request->forgotten = true;
                return;
        }
        request_free(outbox, request);
        outbox_admit(outbox);
}

size_t px_outbox_count(const struct px_outbox *outbox)
{
        return outbox->by_number.count;
}

int64_t px_outbox_deadline_ms(const struct px_outbox *outbox)
{
        struct px_heap_item *first = px_heap_first(&outbox->due);

        if (outbox->session == 0 || first == NULL)
                return INT64_MAX;
        return PX_CONTAINER_OF(first, struct outbox_request, due)->due_ms;
}
