/* SPDX-License-Identifier: Apache-2.0 */
/* stream_events.c - events after a number, for those who may see them. Layer: L4 (broker/shell).
 * Source: RELIABILITY 4.11. A stream's number moves over events that it may not see too: they leave
 * no gap and no trace. */
#include "egress_inside.h"

#define READ_MAX 1024           /* events looked at in one go */
#define SEND_BYTES (256u << 10) /* of one message */

struct gather {
        struct egress *egress;
        const struct stream *stream;
        struct px_event *events;
        size_t count;
        size_t bytes;
        size_t bytes_max;
        struct px_event_number last;
};

static bool may_see(const struct stream *stream, const struct px_event *event)
{
        const struct egress_peer *peer = stream->peer;

        if (stream->job.value != 0 && event->job.value != stream->job.value)
                return false;
        return access_read(peer->role, peer->principal, event->owner) == PX_OK;
}

static bool visit(void *context, struct px_event_number number, struct px_slice encoded)
{
        struct gather *gather = context;
        struct px_event *event = &gather->events[gather->count];

        if (gather->count == READ_MAX ||
            (gather->count > 0 && gather->bytes + encoded.length > gather->bytes_max))
                return false;
        gather->last = number;
        if (px_event_decode(px_arena_copy(&gather->egress->arena, encoded), &gather->egress->arena,
                            event) != PX_WIRE_OK ||
            !may_see(gather->stream, event))
                return true;
        gather->count++;
        gather->bytes += encoded.length;
        return true;
}

static bool send_events(struct egress *egress, struct stream *stream, const struct gather *gather)
{
        struct px_m_stream_events message = {.stream = stream->number,
                                             .previous_index = stream->after.index,
                                             .previous_position = stream->after.position,
                                             .last_index = gather->last.index,
                                             .last_position = gather->last.position,
                                             .events = gather->events,
                                             .events_count = gather->count};

        px_buf_reset(&egress->frame);
        px_m_stream_events_frame(&message, 0, 0, &egress->frame);
        if (!stream_send(egress, stream, PX_SLICE_NONE,
                         egress->frame.length - PX_WIRE_HEADER_BYTES))
                return false;
        stream->after = gather->last;
        return true;
}

void stream_events_go(struct egress *egress, struct stream *stream)
{
        struct gather gather = {.egress = egress, .stream = stream, .last = stream->seen};
        int result;

        if (stream->credit_bytes == 0)
                return;
        gather.bytes_max = (size_t)PX_MIN(stream->credit_bytes, (uint64_t)SEND_BYTES);
        gather.events = px_arena_alloc(&egress->arena, READ_MAX * sizeof *gather.events);
        result = publish_read(egress, stream->seen, READ_MAX, visit, &gather);
        if (result != PX_OK) {
                stream_end(egress, stream, result < 0 ? PX_E_BUSY : result, NULL);
        } else if (publish_after(gather.last, stream->seen) &&
                   (gather.count == 0 || send_events(egress, stream, &gather))) {
                stream->seen = gather.last;
                stream_ready(egress, stream);
        }
        px_arena_reset(&egress->arena);
}

void stream_events_wake(struct egress *egress)
{
        PX_LIST_EACH(&egress->event_streams, link)
        {
                stream_ready(egress, PX_CONTAINER_OF(link, struct stream, follow));
        }
}

/* Silent streams say where they stand, so that a lost tail shows. */
void stream_events_tick(struct egress *egress)
{
        struct px_link *next;

        for (struct px_link *link = egress->event_streams.next; link != &egress->event_streams;
             link = next) {
                struct stream *stream = PX_CONTAINER_OF(link, struct stream, follow);
                struct gather gather = {.last = stream->seen};

                next = link->next;
                if (stream->credit_bytes > 0 && egress->now_ms - stream->told_ms >= EGRESS_TICK_MS)
                        (void)send_events(egress, stream, &gather);
        }
}
