/* SPDX-License-Identifier: Apache-2.0 */
/* sim_reader.c - see sim_reader.h. Stands in for the rest of the library around client/lib/events.c. */
#include "sim_reader.h"

#include "lib_request.h"
#include "lib_stream.h"

struct reader {
        struct plexus_stream stream;
        reader_seen *seen;
        void *context;
};

struct reader *reader_new(reader_seen *seen, void *context)
{
        struct reader *reader = px_alloc(sizeof(*reader));

        reader->stream.kind = PX_STREAM_KIND_EVENTS;
        reader->seen = seen;
        reader->context = context;
        return reader;
}

void reader_free(struct reader *reader)
{
        px_free(reader);
}

void reader_open(const struct reader *reader, struct px_m_stream_open *open)
{
        events_open(&reader->stream, open);
}

bool reader_take(struct reader *reader, const struct px_m_stream_events *events)
{
        reader->stream.open_due = false;
        events_take(&reader->stream, events, 1);
        return reader->stream.open_due;
}

/* ---- the rest of the library ------------------------------------------------------------------
 */

struct stream_item *stream_item_new(size_t bytes)
{
        return px_alloc(sizeof(struct stream_item) + bytes);
}

void stream_push(struct plexus_stream *stream, struct stream_item *item, size_t cost_bytes)
{
        struct reader *reader = PX_CONTAINER_OF(stream, struct reader, stream);

        (void)cost_bytes;
        reader->seen(reader->context, item->event.index, item->event.position);
        px_free(item);
}

void stream_reopen(struct plexus_stream *stream, int64_t delay_ms)
{
        (void)delay_ms;
        stream->open_due = true;
}

/* Only its blocking calls, which nobody makes here, want these. */
int stream_new(struct plexus *px, int kind, uint64_t job, struct plexus_stream **ret_stream)
{
        (void)px;
        (void)kind;
        (void)job;
        (void)ret_stream;
        PX_UNREACHABLE();
}

int stream_next(struct plexus_stream *stream, int64_t timeout_ms)
{
        (void)stream;
        (void)timeout_ms;
        PX_UNREACHABLE();
}

void query_want(struct plexus *px)
{
        (void)px;
        PX_UNREACHABLE();
}

void lib_wake(struct plexus *px)
{
        (void)px;
        PX_UNREACHABLE();
}
