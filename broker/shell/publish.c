/* SPDX-License-Identifier: Apache-2.0 */
/* publish.c - PUB for those who see everything, and the events of the last moments in RAM for streams
 * that are nearly up to date. Layer: L4 (broker/shell). Source: DESIGN 1, 4; RELIABILITY 4.11.
 *
 * XPUB is used only to count subscribers. The first message after a start names {0, 0} as the number
 * before it: whoever has seen an event asks `data` for what lies between. */
#include "egress_inside.h"

#include <stdio.h>

#define RING_BATCHES 4096
#define RING_BYTES (8u << 20)
#define PUB_BYTES PX_LIMIT_LOG_CHUNK_BYTES /* of the events in one message */

static const char topic_names[3] = {'e', 'p', 'l'};

bool publish_after(struct px_event_number a, struct px_event_number b)
{
        return a.index != b.index ? a.index > b.index : a.position > b.position;
}

static bool is_known(struct px_event_number number)
{
        return number.index != 0;
}

/* ---- the ring ------------------------------------------------------------------------------------- */

static struct publish_batch *ring_at(const struct publish *publish, size_t i)
{
        return &publish->ring[(publish->first + i) % RING_BATCHES];
}

static void ring_drop_oldest(struct publish *publish)
{
        struct publish_batch *oldest = ring_at(publish, 0);

        publish->bytes -= oldest->encoded.length;
        px_buf_fini(&oldest->encoded);
        publish->first = (publish->first + 1) % RING_BATCHES;
        publish->count--;
}

static void ring_add(struct publish *publish, const struct publish_batch *batch,
                     struct px_slice encoded)
{
        struct publish_batch *added;

        if (publish->ring == NULL)
                publish->ring = px_alloc(RING_BATCHES * sizeof *publish->ring);
        while (publish->count == RING_BATCHES ||
               (publish->count > 0 && publish->bytes + encoded.length > RING_BYTES))
                ring_drop_oldest(publish);
        added = ring_at(publish, publish->count++);
        *added = *batch;
        px_buf_append_slice(&added->encoded, encoded);
        publish->bytes += encoded.length;
}

/* Does the ring hold everything after this number? */
static bool ring_reaches(const struct publish *publish, struct px_event_number after)
{
        const struct publish_batch *oldest = ring_at(publish, 0);

        if (publish->count == 0)
                return false;
        return !publish_after(is_known(oldest->previous) ? oldest->previous : oldest->last, after);
}

static bool event_next(struct px_slice encoded, size_t *offset, struct px_slice *ret_event)
{
        size_t length;

        if (encoded.length - *offset < 4)
                return false;
        length = px_get_be32(encoded.data + *offset);
        PX_ASSERT(length <= encoded.length - *offset - 4);
        *ret_event = px_slice_of(encoded.data + *offset + 4, length);
        *offset += 4 + length;
        return true;
}

static size_t ring_find(const struct publish *publish, struct px_event_number after)
{
        size_t low = 0;
        size_t high = publish->count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (publish_after(ring_at(publish, middle)->last, after))
                        high = middle;
                else
                        low = middle + 1;
        }
        return low;
}

int publish_read(struct egress *egress, struct px_event_number after, uint32_t count_max,
                 bool (*visit)(void *context, struct px_event_number number, struct px_slice event),
                 void *context)
{
        const struct publish *publish = &egress->publish;
        uint32_t visited = 0;

        if (!ring_reaches(publish, after))
                return px_feed_read(egress->options.log, after, count_max, visit, context);
        for (size_t i = ring_find(publish, after); i < publish->count; i++) {
                const struct publish_batch *batch = ring_at(publish, i);
                struct px_event_number number = {.index = batch->index};
                struct px_slice event;

                for (size_t at = 0; event_next(px_buf_slice(&batch->encoded), &at, &event);
                     number.position++) {
                        if (!publish_after(number, after))
                                continue;
                        if (visited++ == count_max || !visit(context, number, event))
                                return PX_OK;
                }
        }
        return PX_OK;
}

struct px_event_number publish_newest(const struct egress *egress)
{
        struct px_event_number stored = px_feed_last(egress->options.log);

        return publish_after(egress->publish.last, stored) ? egress->publish.last : stored;
}

/* ---- sockets ----------------------------------------------------------------------------------------- */

bool publish_wanted(const struct egress *egress, char topic)
{
        for (size_t i = 0; i < PX_COUNT_OF(topic_names); i++)
                if (topic_names[i] == topic)
                        return egress->publish.topics[i] > 0;
        PX_UNREACHABLE();
}

static void count_topic(struct publish *publish, struct px_slice topic, bool on)
{
        for (size_t i = 0; i < PX_COUNT_OF(topic_names); i++) {
                if (topic.length > 0 && topic.data[0] != (uint8_t)topic_names[i])
                        continue;
                if (on)
                        publish->topics[i]++;
                else if (publish->topics[i] > 0)
                        publish->topics[i]--;
        }
}

void publish_subscriptions(struct egress *egress, size_t socket)
{
        for (;;) {
                zmq_msg_t part;
                const uint8_t *bytes;

                zmq_msg_init(&part);
                if (zmq_msg_recv(&part, egress->events[socket], ZMQ_DONTWAIT) < 0) {
                        zmq_msg_close(&part);
                        return;
                }
                bytes = zmq_msg_data(&part);
                if (zmq_msg_size(&part) > 0 && bytes[0] <= 1)
                        count_topic(&egress->publish,
                                    px_slice_of(bytes + 1, zmq_msg_size(&part) - 1),
                                    bytes[0] == 1);
                zmq_msg_close(&part);
        }
}

/* Send egress->frame; whoever can't take it sees the gap by the numbers. */
static void send_all(struct egress *egress, const char *topic, struct px_slice payload)
{
        for (size_t i = 0; i < EGRESS_SOCKETS_MAX && egress->events[i] != NULL; i++) {
                bool has_payload = payload.length > 0;

                if (zmq_send(egress->events[i], topic, strlen(topic),
                             ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
                        continue;
                (void)zmq_send(egress->events[i], egress->frame.data, egress->frame.length,
                               ZMQ_DONTWAIT | (has_payload ? ZMQ_SNDMORE : 0));
                if (has_payload)
                        (void)zmq_send(egress->events[i], payload.data, payload.length,
                                       ZMQ_DONTWAIT);
        }
}

static void send_events(struct egress *egress, struct px_event_number previous,
                        struct px_event_number last, const struct px_event *events, size_t count)
{
        struct px_m_pub_events message = {.previous_index = previous.index,
                                          .previous_position = previous.position,
                                          .last_index = last.index,
                                          .last_position = last.position,
                                          .events = events,
                                          .events_count = count};

        px_buf_reset(&egress->frame);
        px_m_pub_events_frame(&message, 0, 0, &egress->frame);
        send_all(egress, "e", PX_SLICE_NONE);
        egress->publish.told_ms = egress->now_ms;
}

/* ---- events -------------------------------------------------------------------------------------------- */

/* Publish a batch in as many messages as its size asks for. */
static void send_batch(struct egress *egress, const struct publish_batch *batch,
                       struct px_slice encoded)
{
        struct px_event *events =
                px_arena_alloc(&egress->arena, PX_LIMIT_EVENT_ITEMS * sizeof *events);
        struct px_event_number previous = batch->previous;
        struct px_event_number number = {.index = batch->index};
        struct px_slice event;
        size_t count = 0;
        size_t bytes = 0;

        for (size_t at = 0; event_next(encoded, &at, &event); number.position++) {
                if (px_event_decode(event, &egress->arena, &events[count]) == PX_WIRE_OK)
                        count++;
                bytes += event.length;
                if (count < PX_LIMIT_EVENT_ITEMS && bytes < PUB_BYTES &&
                    number.position + 1 < batch->count)
                        continue;
                send_events(egress, previous, number, events, count);
                previous = number;
                count = 0;
                bytes = 0;
        }
        px_arena_reset(&egress->arena);
}

void publish_post(struct egress *egress, uint64_t index, struct px_slice encoded, uint32_t count)
{
        struct publish *publish = &egress->publish;
        struct publish_batch batch = {.previous = publish->last,
                                      .last = {index, count - 1},
                                      .index = index,
                                      .count = count};

        PX_ASSERT(count > 0);
        publish->last = batch.last;
        if (encoded.length == 0) { /* too much was waiting: readers go to the feed */
                while (publish->count > 0)
                        ring_drop_oldest(publish);
        } else {
                ring_add(publish, &batch, encoded);
                if (publish_wanted(egress, 'e'))
                        send_batch(egress, &batch, encoded);
        }
        stream_events_wake(egress);
}

void publish_tick(struct egress *egress)
{
        struct px_event_number last;

        if (!publish_wanted(egress, 'e') || egress->now_ms - egress->publish.told_ms < EGRESS_TICK_MS)
                return;
        last = is_known(egress->publish.last) ? egress->publish.last : publish_newest(egress);
        send_events(egress, last, last, NULL, 0);
}

/* ---- output and progress ------------------------------------------------------------------------------ */

void publish_log(struct egress *egress, const struct egress_attempt *attempt, int stream,
                 uint64_t offset, int64_t wall_ms, struct px_slice bytes)
{
        struct px_m_pub_log message = {.job = attempt->job->id,
                                       .attempt = attempt->fence.attempt,
                                       .log = stream,
                                       .offset = offset,
                                       .wall_ms = wall_ms};
        char topic[32];

        if (!publish_wanted(egress, 'l'))
                return;
        snprintf(topic, sizeof topic, "l%llu.", (unsigned long long)attempt->job->id.value);
        px_buf_reset(&egress->frame);
        px_m_pub_log_frame(&message, 0, PX_WIRE_FLAG_PAYLOAD, &egress->frame);
        send_all(egress, topic, bytes);
}

void publish_progress(struct egress *egress, const struct px_progress *items, size_t count)
{
        struct px_m_pub_progress message = {.number = egress->publish.progress_number + 1,
                                            .previous = egress->publish.progress_number,
                                            .items = items,
                                            .items_count = count};

        egress->publish.progress_number++;
        if (!publish_wanted(egress, 'p'))
                return;
        px_buf_reset(&egress->frame);
        px_m_pub_progress_frame(&message, 0, 0, &egress->frame);
        send_all(egress, "p", PX_SLICE_NONE);
}

void publish_fini(struct egress *egress)
{
        while (egress->publish.count > 0)
                ring_drop_oldest(&egress->publish);
        px_free(egress->publish.ring);
}
