/* SPDX-License-Identifier: Apache-2.0 */
/* stream.c - see lib_stream.h. Layer: L4 (client/lib). */
#include "lib_stream.h"

#include "lib_request.h"

#include <stdio.h>

#define STREAM_CREDIT_STEP (STREAM_WINDOW_BYTES / 4)
#define STREAM_CREDIT_LEAST (64u << 10)
#define STREAM_LOG_SILENCE_MS 15000 /* a quiet job is asked for again: it costs two messages */
#define STREAM_BUSY_MS 1000

/* ---- queue ------------------------------------------------------------------------------------------ */

struct stream_item *stream_item_new(size_t bytes)
{
        return px_alloc(sizeof(struct stream_item) + bytes);
}

static void update_ready(struct plexus_stream *stream)
{
        bool readable = !px_list_empty(&stream->items) || stream->over;

        if (readable == stream->readable)
                return;
        stream->readable = readable;
        lib_ready(stream->px, readable ? 1 : -1);
}

void stream_push(struct plexus_stream *stream, struct stream_item *item, size_t cost_bytes)
{
        item->cost_bytes = cost_bytes;
        stream->queued_bytes += cost_bytes;
        px_list_append(&stream->items, &item->link);
        update_ready(stream);
        pthread_cond_signal(&stream->changed);
}

/* Forget an opening that is over or whose connection is gone. */
static void forget(struct plexus *px, uint32_t *number)
{
        if (*number != 0)
                px_map_take(&px->streams_by_number, *number);
        *number = 0;
}

/* The broker ended the log itself; the progress beside it goes on until somebody closes it. */
void stream_fail(struct plexus_stream *stream, int code, struct px_slice text)
{
        if (stream->over)
                return;
        stream->over = true;
        stream->open_due = false;
        px_buf_append(&stream->px->closes, &stream->progress_number,
                      sizeof(stream->progress_number));
        forget(stream->px, &stream->number);
        forget(stream->px, &stream->progress_number);
        stream->code = code;
        px_slice_to_text(text, stream->why, sizeof(stream->why));
        update_ready(stream);
        pthread_cond_broadcast(&stream->changed);
}

/* ---- open, credit, close -------------------------------------------------------------------------------- */

void stream_reopen(struct plexus_stream *stream, int64_t delay_ms)
{
        if (stream->over)
                return;
        stream->open_due = true;
        stream->open_ms = lib_now_ms() + delay_ms;
}

static void send_close(struct plexus *px, uint32_t *number)
{
        struct px_m_stream_close close = {.stream = *number};
        struct px_buf frame = {0};

        if (*number == 0)
                return;
        px_map_take(&px->streams_by_number, *number);
        *number = 0;
        if (px->data.state != LINK_UP)
                return;
        px_m_stream_close_frame(&close, 0, 0, &frame);
        loop_send(px, &px->data, px_buf_slice(&frame), PX_SLICE_NONE);
        px_buf_fini(&frame);
}

static void send_opening(struct plexus_stream *stream, struct px_m_stream_open *open,
                         uint32_t *ret_number)
{
        struct plexus *px = stream->px;
        struct px_buf frame = {0};

        open->stream = (uint32_t)++px->next_number;
        open->job.value = stream->job;
        px_map_put(&px->streams_by_number, open->stream, stream);
        *ret_number = open->stream;
        px_m_stream_open_frame(open, open->stream, 0, &frame);
        loop_send(px, &px->data, px_buf_slice(&frame), PX_SLICE_NONE);
        px_buf_fini(&frame);
}

static void send_open(struct plexus_stream *stream, int64_t now_ms)
{
        size_t used = PX_MIN(stream->queued_bytes, STREAM_WINDOW_BYTES - STREAM_CREDIT_LEAST);
        struct px_m_stream_open open = {.kind = stream->kind,
                                        .credit_bytes = STREAM_WINDOW_BYTES - used};

        send_close(stream->px, &stream->number);
        send_close(stream->px, &stream->progress_number);
        if (stream->kind == PX_STREAM_KIND_LOG)
                logs_open(stream, &open);
        else
                events_open(stream, &open);
        send_opening(stream, &open, &stream->number);
        if (stream->kind == PX_STREAM_KIND_LOG && stream->options.follow) {
                open = (struct px_m_stream_open){.kind = PX_STREAM_KIND_PROGRESS, .follow = true,
                                                 .credit_bytes = STREAM_WINDOW_BYTES};
                send_opening(stream, &open, &stream->progress_number);
        }
        stream->open_due = false;
        stream->credit_due_bytes = 0;
        stream->heard_ms = now_ms;
}

static void send_credit(struct plexus_stream *stream)
{
        struct px_m_stream_credit credit = {.stream = stream->number,
                                            .bytes = stream->credit_due_bytes};
        struct px_buf frame = {0};

        px_m_stream_credit_frame(&credit, 0, 0, &frame);
        if (loop_send(stream->px, &stream->px->data, px_buf_slice(&frame), PX_SLICE_NONE))
                stream->credit_due_bytes = 0;
        px_buf_fini(&frame);
}

/* A word comes each second on events; a log is silent as long as its job is. */
static int64_t silence_ms(const struct plexus_stream *stream)
{
        return stream->kind == PX_STREAM_KIND_EVENTS ? (int64_t)stream->px->welcome.silence_ms
                                                     : STREAM_LOG_SILENCE_MS;
}

/* Whether the broker may send: otherwise silence is our own doing. */
static bool has_credit(const struct plexus_stream *stream)
{
        return stream->queued_bytes + stream->credit_due_bytes < STREAM_WINDOW_BYTES / 2;
}

static void step(struct plexus_stream *stream, int64_t now_ms)
{
        if (stream->over)
                return;
        if (!stream->open_due && has_credit(stream) &&
            now_ms - stream->heard_ms > silence_ms(stream))
                stream_reopen(stream, 0);
        if (stream->open_due && now_ms >= stream->open_ms)
                send_open(stream, now_ms);
        else if (!stream->open_due && stream->credit_due_bytes >= STREAM_CREDIT_STEP)
                send_credit(stream);
}

/* Streams that their owners closed. */
static void send_closes(struct plexus *px)
{
        for (size_t at = 0; at < px->closes.length; at += sizeof(uint32_t)) {
                uint32_t number;

                memcpy(&number, px->closes.data + at, sizeof(number));
                send_close(px, &number);
        }
        px_buf_reset(&px->closes);
}

void stream_step(struct plexus *px, int64_t now_ms)
{
        send_closes(px);
        if (px->data.state != LINK_UP)
                return;
        PX_LIST_EACH(&px->streams, link)
        {
                step(PX_CONTAINER_OF(link, struct plexus_stream, link), now_ms);
        }
}

int64_t stream_deadline_ms(const struct plexus *px)
{
        int64_t deadline_ms = INT64_MAX;

        if (px->data.state != LINK_UP)
                return deadline_ms;
        PX_LIST_EACH(&px->streams, link)
        {
                const struct plexus_stream *stream =
                        PX_CONTAINER_OF(link, struct plexus_stream, link);

                if (stream->over)
                        continue;
                if (stream->open_due)
                        deadline_ms = PX_MIN(deadline_ms, stream->open_ms);
                else if (has_credit(stream))
                        deadline_ms = PX_MIN(deadline_ms,
                                             stream->heard_ms + silence_ms(stream) + 1);
        }
        return deadline_ms;
}

void stream_reopen_all(struct plexus *px)
{
        PX_LIST_EACH(&px->streams, link)
        {
                struct plexus_stream *stream = PX_CONTAINER_OF(link, struct plexus_stream, link);

                forget(px, &stream->number);
                forget(px, &stream->progress_number);
                stream_reopen(stream, 0);
        }
}

void stream_fail_all(struct plexus *px, int code, const char *text)
{
        PX_LIST_EACH(&px->streams, link)
        {
                stream_fail(PX_CONTAINER_OF(link, struct plexus_stream, link), code,
                            px_slice_text(text));
        }
}

/* ---- receive ---------------------------------------------------------------------------------------------- */

/* Which stream a body is for: its first field. */
static struct plexus_stream *find_stream(struct plexus *px, struct px_slice body)
{
        struct px_reader reader;
        uint64_t number;

        px_reader_init(&reader, body);
        px_read_array(&reader, UINT32_MAX);
        number = px_read_u64(&reader, UINT32_MAX);
        return reader.error == PX_WIRE_OK ? px_map_find(&px->streams_by_number, number) : NULL;
}

static void take_end(struct plexus_stream *stream, const struct px_m_stream_end *end)
{
        const struct px_error_info *info = px_error_find(end->code);

        if (end->stream != stream->number) /* of the progress beside */
                return;
        if (end->code != 0 && info != NULL && info->retry)
                stream_reopen(stream, STREAM_BUSY_MS);
        else if (end->code != 0)
                stream_fail(stream, end->code, end->text);
        else if (stream->kind == PX_STREAM_KIND_LOG)
                logs_take_end(stream, end);
        else
                stream_reopen(stream, STREAM_BUSY_MS); /* events have no end */
}

static bool take(struct plexus_stream *stream, uint16_t type, struct px_slice body,
                 struct px_slice payload, struct px_arena *arena)
{
        union {
                struct px_m_stream_log log;
                struct px_m_stream_attempt attempt;
                struct px_m_stream_progress progress;
                struct px_m_stream_events events;
                struct px_m_stream_end end;
        } in;

        if (type == PX_M_STREAM_LOG && px_m_stream_log_decode(body, arena, &in.log) == PX_WIRE_OK)
                logs_take_log(stream, &in.log, payload);
        else if (type == PX_M_STREAM_ATTEMPT &&
                 px_m_stream_attempt_decode(body, arena, &in.attempt) == PX_WIRE_OK)
                logs_take_attempt(stream, &in.attempt);
        else if (type == PX_M_STREAM_PROGRESS &&
                 px_m_stream_progress_decode(body, arena, &in.progress) == PX_WIRE_OK)
                logs_take_progress(stream, &in.progress, body.length);
        else if (type == PX_M_STREAM_EVENTS &&
                 px_m_stream_events_decode(body, arena, &in.events) == PX_WIRE_OK)
                events_take(stream, &in.events, body.length);
        else if (type == PX_M_STREAM_END &&
                 px_m_stream_end_decode(body, arena, &in.end) == PX_WIRE_OK)
                take_end(stream, &in.end);
        else
                return false;
        return true;
}

static bool take_refusal(struct plexus *px, uint64_t number, struct px_slice body,
                         struct px_arena *arena)
{
        struct plexus_stream *stream = px_map_find(&px->streams_by_number, number);
        struct px_m_refused refused;

        if (stream == NULL)
                return false;
        if (number == stream->number &&
            px_m_refused_decode(body, arena, &refused) == PX_WIRE_OK && refused.code != 0)
                take_end(stream, &(struct px_m_stream_end){.stream = stream->number,
                                                           .code = refused.code,
                                                           .text = refused.text});
        return true;
}

bool stream_receive(struct plexus *px, const struct px_wire_header *header, struct px_slice body,
                    struct px_slice payload, int64_t now_ms)
{
        bool of_streams = header->type >= PX_M_STREAM_LOG && header->type <= PX_M_STREAM_END;
        struct px_arena arena = {0};
        struct plexus_stream *stream;

        if (header->type == PX_M_REFUSED) {
                of_streams = header->correlation != 0 &&
                             take_refusal(px, header->correlation, body, &arena);
        } else if (of_streams) {
                stream = find_stream(px, body);
                if (stream != NULL && !stream->over) {
                        stream->heard_ms = now_ms;
                        if (!take(stream, header->type, body, payload, &arena))
                                stream_reopen(stream, STREAM_BUSY_MS);
                }
        }
        px_arena_fini(&arena);
        return of_streams;
}

/* ---- callers ------------------------------------------------------------------------------------------------- */

int stream_new(struct plexus *px, int kind, uint64_t job, struct plexus_stream **ret_stream)
{
        struct plexus_stream *stream;
        int code = lib_enter(px);

        if (code != PX_OK)
                return code;
        stream = px_alloc(sizeof(*stream));
        stream->px = px;
        stream->kind = kind;
        stream->job = job;
        px_list_init(&stream->items);
        lib_condition_init(&stream->changed);
        *ret_stream = stream;
        lib_leave(px);
        return PX_OK;
}

static void return_credit(struct plexus_stream *stream, size_t bytes)
{
        bool was_due = stream->credit_due_bytes >= STREAM_CREDIT_STEP;

        stream->queued_bytes -= bytes;
        stream->credit_due_bytes += bytes;
        if (!was_due && stream->credit_due_bytes >= STREAM_CREDIT_STEP)
                lib_wake(stream->px);
}

/* Lock held; a stream still says what it has after its session died. */
static int wait_item(struct plexus_stream *stream, int64_t timeout_ms)
{
        struct plexus *px = stream->px;
        int64_t deadline_ms = lib_deadline_ms(px, timeout_ms);

        while (px_list_empty(&stream->items) && !stream->over) {
                if (lib_wait(px, &stream->changed, deadline_ms) ||
                    !px_list_empty(&stream->items) || stream->over)
                        continue;
                if (px->data.state != LINK_UP && px->greeter.up)
                        return detail_refuse(PX_E_TIMED_OUT, "no connection to the data socket: %s",
                                             link_trouble(&px->data));
                return px->greeter.up ? detail_refuse(PX_E_TIMED_OUT, "nothing new in time")
                                      : lib_refuse_late(px, timeout_ms);
        }
        if (!px_list_empty(&stream->items))
                return PX_OK;
        if (stream->code == PX_OK)
                return detail_refuse(PX_E_CANCELLED, "the stream is over");
        return detail_refuse(stream->code, "%s",
                             stream->why[0] != '\0' ? stream->why
                                                    : plexus_error_text(stream->code));
}

int stream_next(struct plexus_stream *stream, int64_t timeout_ms)
{
        struct plexus *px;
        int code;

        if (stream == NULL)
                return detail_refuse(PX_E_INVALID, "no stream was given");
        px = stream->px;
        if (lib_forked(px))
                return detail_refuse(PX_E_INVALID, "this stream was opened before fork()");
        detail_clear();
        px_free(stream->current);
        stream->current = NULL;
        pthread_mutex_lock(&px->lock);
        code = wait_item(stream, timeout_ms);
        if (code == PX_OK) {
                stream->current = PX_CONTAINER_OF(stream->items.next, struct stream_item, link);
                px_list_remove(&stream->current->link);
                return_credit(stream, stream->current->cost_bytes);
                update_ready(stream);
        }
        pthread_mutex_unlock(&px->lock);
        return code;
}

static void free_items(struct plexus_stream *stream)
{
        while (!px_list_empty(&stream->items)) {
                struct stream_item *item =
                        PX_CONTAINER_OF(stream->items.next, struct stream_item, link);

                px_list_remove(&item->link);
                px_free(item);
        }
        px_free(stream->current);
}

void plexus_stream_close(struct plexus_stream *stream)
{
        struct plexus *px;

        if (stream == NULL || lib_forked(stream->px))
                return;
        px = stream->px;
        pthread_mutex_lock(&px->lock);
        if (px_list_linked(&stream->link))
                px_list_remove(&stream->link);
        stream->over = false;
        free_items(stream);
        update_ready(stream);
        /* The thread says so: it alone sends. */
        px_buf_append(&px->closes, &stream->number, sizeof(stream->number));
        px_buf_append(&px->closes, &stream->progress_number, sizeof(stream->progress_number));
        forget(px, &stream->number);
        forget(px, &stream->progress_number);
        lib_wake(px);
        pthread_mutex_unlock(&px->lock);
        pthread_cond_destroy(&stream->changed);
        px_free(stream);
}
