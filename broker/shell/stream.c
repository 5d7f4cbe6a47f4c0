/* SPDX-License-Identifier: Apache-2.0 */
/* stream.c - live streams of clients: opening, credit, turns, ending. Layer: L4 (broker/shell).
 * Source: DESIGN 1, 4; RELIABILITY 2 (slow subscriber).
 *
 * Credit is in bytes, counted as the client counts: the payload of STREAM_LOG, the body behind the
 * header of STREAM_EVENTS and STREAM_PROGRESS; the rest is free. Nothing is kept for a stream without
 * credit but its position, so a stopped client costs what it cost when it opened. */
#include "egress_inside.h"

/* More is forgotten: what the library may hold for a client that stopped reading is at most this
 * for each of its streams. */
#define CREDIT_BYTES_MAX (2u << 20)
#define TURN_STREAMS 64             /* streams served in one turn */

/* ---- end ------------------------------------------------------------------------------------------- */

void stream_drop(struct egress *egress, struct stream *stream)
{
        if (stream->over)
                return;
        stream->over = true;
        px_list_remove(&stream->link);
        stream->peer->streams_count--;
        if (px_list_linked(&stream->ready))
                px_list_remove(&stream->ready);
        if (px_list_linked(&stream->follow))
                px_list_remove(&stream->follow);
        if (stream->kind == PX_STREAM_KIND_LOG)
                stream_log_leave(egress, stream);
        px_list_append(&egress->ended, &stream->ready);
}

void stream_free_ended(struct egress *egress)
{
        while (!px_list_empty(&egress->ended)) {
                struct stream *stream =
                        PX_CONTAINER_OF(egress->ended.next, struct stream, ready);

                px_list_remove(&stream->ready);
                px_free(stream);
        }
}

void stream_drop_all(struct egress *egress, struct egress_peer *peer)
{
        while (!px_list_empty(&peer->streams))
                stream_drop(egress, PX_CONTAINER_OF(peer->streams.next, struct stream, link));
}

static void send_end(struct egress *egress, struct egress_peer *peer, uint32_t number,
                     struct px_job_id job, int code, const char *text)
{
        const struct px_error_info *info = px_error_find(code);
        struct px_m_stream_end end = {
                .stream = number,
                .code = (uint16_t)code,
                .job = job,
                .text = px_slice_text(text != NULL ? text : info == NULL ? "" : info->text)};

        px_buf_reset(&egress->frame);
        px_m_stream_end_frame(&end, 0, 0, &egress->frame);
        (void)peer_send_frame(egress, peer);
}

void stream_end(struct egress *egress, struct stream *stream, int code, const char *text)
{
        send_end(egress, stream->peer, stream->number, stream->job, code, text);
        stream_drop(egress, stream);
}

/* ---- open -------------------------------------------------------------------------------------------- */

static struct stream *stream_find(const struct egress_peer *peer, uint32_t number)
{
        PX_LIST_EACH(&peer->streams, link)
        {
                struct stream *stream = PX_CONTAINER_OF(link, struct stream, link);

                if (stream->number == number)
                        return stream;
        }
        return NULL;
}

/* May this peer follow what belongs to this job? Any job when it is 0. */
static int check_job(struct egress *egress, const struct egress_peer *peer, struct px_job_id job)
{
        struct px_job_row row;
        struct px_view *view;
        int code;

        if (job.value == 0)
                return access_read(peer->role, peer->principal, peer->principal);
        code = attempt_view(egress, &view);
        if (code != PX_OK)
                return code;
        code = attempt_job_row(egress, view, job, &row);
        px_view_close(view);
        return code == PX_OK ? access_read(peer->role, peer->principal, row.owner) : code;
}

static int open_kind(struct egress *egress, struct stream *stream,
                     const struct px_m_stream_open *open)
{
        int code = check_job(egress, stream->peer, open->job);

        if (code != PX_OK)
                return code;
        switch (open->kind) {
        case PX_STREAM_KIND_LOG:
                return stream_log_open(egress, stream, open);
        case PX_STREAM_KIND_EVENTS:
                stream->after = (struct px_event_number){open->index, open->position};
                if (open->index == UINT64_MAX)
                        stream->after = publish_newest(egress);
                stream->seen = stream->after;
                px_list_append(&egress->event_streams, &stream->follow);
                return PX_OK;
        case PX_STREAM_KIND_PROGRESS:
                stream->stale = true;
                px_list_append(&egress->progress_streams, &stream->follow);
                return PX_OK;
        default:
                return PX_E_INVALID;
        }
}

void stream_open(struct egress *egress, struct egress_peer *peer, const struct px_m_stream_open *open)
{
        struct stream *stream = stream_find(peer, open->stream);
        int code = PX_OK;

        if (stream != NULL)
                stream_drop(egress, stream);
        if (peer->streams_count == PX_LIMIT_STREAMS_OF_PEER) {
                send_end(egress, peer, open->stream, open->job, PX_E_LIMIT, NULL);
                return;
        }
        stream = px_alloc(sizeof *stream);
        stream->peer = peer;
        stream->number = open->stream;
        stream->kind = open->kind;
        stream->job = open->job;
        stream->told_ms = egress->now_ms;
        stream->credit_bytes = PX_MIN(open->credit_bytes, (uint64_t)CREDIT_BYTES_MAX);
        code = open_kind(egress, stream, open);
        if (code != PX_OK) {
                send_end(egress, peer, open->stream, open->job, code < 0 ? PX_E_BUSY : code, NULL);
                px_free(stream);
                return;
        }
        px_list_append(&peer->streams, &stream->link);
        peer->streams_count++;
        stream_ready(egress, stream);
}

void stream_credit(struct egress *egress, struct egress_peer *peer,
                   const struct px_m_stream_credit *credit)
{
        struct stream *stream = stream_find(peer, credit->stream);

        if (stream == NULL)
                return;
        stream->credit_bytes = PX_MIN(stream->credit_bytes +
                                              PX_MIN(credit->bytes, (uint64_t)CREDIT_BYTES_MAX),
                                      (uint64_t)CREDIT_BYTES_MAX);
        stream_ready(egress, stream);
}

void stream_close_number(struct egress *egress, struct egress_peer *peer, uint32_t number)
{
        struct stream *stream = stream_find(peer, number);

        if (stream != NULL)
                stream_drop(egress, stream);
}

/* ---- send -------------------------------------------------------------------------------------------- */

void stream_ready(struct egress *egress, struct stream *stream)
{
        if (!stream->over && !px_list_linked(&stream->ready))
                px_list_append(&egress->ready, &stream->ready);
}

void stream_wake_job(struct egress *egress, const struct egress_job *job,
                     const struct egress_attempt *attempt)
{
        PX_LIST_EACH(&job->followers, link)
        {
                struct stream *stream = PX_CONTAINER_OF(link, struct stream, follow);

                if (attempt == NULL || stream->attempt == attempt)
                        stream_ready(egress, stream);
        }
}

bool stream_send(struct egress *egress, struct stream *stream, struct px_slice payload,
                 size_t cost_bytes)
{
        if (!peer_send(egress, stream->peer, px_buf_slice(&egress->frame), payload))
                return false;
        stream->credit_bytes -= PX_MIN(stream->credit_bytes, cost_bytes);
        stream->told_ms = egress->now_ms;
        return true;
}

static void go(struct egress *egress, struct stream *stream)
{
        if (stream->kind == PX_STREAM_KIND_LOG)
                stream_log_go(egress, stream);
        else if (stream->kind == PX_STREAM_KIND_EVENTS)
                stream_events_go(egress, stream);
        else
                progress_go(egress, stream);
}

bool stream_turn(struct egress *egress)
{
        struct px_link waiting; /* for a peer that takes nothing now */
        bool more;

        px_list_init(&waiting);
        for (size_t i = 0; i < TURN_STREAMS && !px_list_empty(&egress->ready); i++) {
                struct stream *stream = PX_CONTAINER_OF(egress->ready.next, struct stream, ready);

                px_list_remove(&stream->ready);
                go(egress, stream);
                if (stream->over || stream->peer->blocked_ms == 0)
                        continue;
                if (px_list_linked(&stream->ready))
                        px_list_remove(&stream->ready);
                if (!stream->peer->gone)
                        px_list_append(&waiting, &stream->ready);
        }
        more = !px_list_empty(&egress->ready);
        while (!px_list_empty(&waiting)) {
                struct px_link *link = waiting.next;

                px_list_remove(link);
                px_list_append(&egress->ready, link);
        }
        stream_free_ended(egress);
        return more;
}
