/* SPDX-License-Identifier: Apache-2.0 */
/* events.c - events after a number, each once, in order. Layer: L4 (client/lib). */
#include "lib_stream.h"

#define FROM_NOW UINT64_MAX

void events_open(const struct plexus_stream *stream, struct px_m_stream_open *open)
{
        open->follow = true;
        open->index = stream->index;
        open->position = stream->position;
}

static bool later(uint64_t index, uint32_t position, uint64_t than_index, uint32_t than_position)
{
        return index != than_index ? index > than_index : position > than_position;
}

static struct stream_item *item_of(const struct px_event *event)
{
        struct stream_item *item = stream_item_new(0);

        item->event = (struct plexus_event){
                .index = event->index,
                .position = event->position,
                .type = px_event_name(event->kind),
                .wall_ms = event->wall_ms,
                .job = event->job.value,
                .attempt = event->attempt,
                .state = event->state,
                .exit_code = event->exit_code,
                .signal = (int)event->signal,
        };
        px_slice_to_text(event->text, item->text, sizeof(item->text));
        px_slice_to_text(event->node, item->node, sizeof(item->node));
        return item;
}

void events_take(struct plexus_stream *stream, const struct px_m_stream_events *events,
                 size_t cost_bytes)
{
        bool anywhere = stream->index == FROM_NOW || (stream->index == 0 && stream->position == 0);

        if (stream->kind != PX_STREAM_KIND_EVENTS)
                return;
        if (anywhere) {
                stream->index = events->previous_index;
                stream->position = events->previous_position;
        } else if (later(events->previous_index, events->previous_position, stream->index,
                         stream->position)) {
                stream_reopen(stream, 0); /* a gap: ask from the last one seen */
                return;
        }
        for (size_t i = 0; i < events->events_count; i++) {
                const struct px_event *event = &events->events[i];

                if (!later(event->index, event->position, stream->index, stream->position))
                        continue;
                stream->index = event->index;
                stream->position = event->position;
                stream_push(stream, item_of(event), cost_bytes);
                cost_bytes = 0;
        }
        stream->credit_due_bytes += cost_bytes;
        if (later(events->last_index, events->last_position, stream->index, stream->position)) {
                stream->index = events->last_index;
                stream->position = events->last_position;
        }
}

int plexus_events(struct plexus *px, uint64_t index, uint32_t position, uint64_t job,
                  struct plexus_stream **ret_stream)
{
        struct plexus_stream *stream;
        int code = stream_new(px, PX_STREAM_KIND_EVENTS, job, &stream);

        if (code != PX_OK)
                return code;
        stream->index = index;
        stream->position = position;
        pthread_mutex_lock(&px->lock);
        px_list_append(&px->streams, &stream->link);
        query_want(px);
        stream_reopen(stream, 0);
        lib_wake(px);
        pthread_mutex_unlock(&px->lock);
        *ret_stream = stream;
        return PX_OK;
}

int plexus_event_next(struct plexus_stream *stream, int64_t timeout_ms,
                      struct plexus_event *ret_event)
{
        int code;

        PX_ASSERT(stream == NULL || stream->kind == PX_STREAM_KIND_EVENTS);
        code = stream_next(stream, timeout_ms);
        if (code != PX_OK)
                return code;
        *ret_event = stream->current->event;
        ret_event->text = stream->current->text;
        ret_event->node = stream->current->node;
        return PX_OK;
}
