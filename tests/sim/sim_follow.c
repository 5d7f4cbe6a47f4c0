/* SPDX-License-Identifier: Apache-2.0 */
/* sim_follow.c - followers of events: the library's reader over a wire that drops, repeats, reorders
 * and breaks. The broker's side is a model: it reads the feed of the log and says each second where it
 * stands. From the first event that it sees on, a follower must see every committed one once, in order.
 * (Where a stream begins is told by its first message alone. A connection loses a tail, never a message
 * before others, so that one can't be missed in earnest; here it can.) */
#include "sim_inside.h"

#include "sim_reader.h"

#include <stdio.h>

#define PUSH_EVENTS 16     /* in one message */
#define REPEAT_MS 1000     /* a silent stream says its last number */
#define FOLLOW_SILENCE_MS 5000

/* ---- the broker's side ------------------------------------------------------------------------
 */

struct pushing {
        struct px_event events[PUSH_EVENTS];
        size_t count;
        struct px_arena arena;
};

static bool push_event(void *context, struct px_event_number number, struct px_slice bytes)
{
        struct pushing *pushing = context;
        struct px_event *event = &pushing->events[pushing->count++];
        int result = px_event_decode(bytes, &pushing->arena, event);

        PX_ASSERT(result == PX_WIRE_OK);
        PX_ASSERT(event->index == number.index && event->position == number.position);
        return true;
}

/* One message with what comes next, empty when nothing does. */
static void push(struct sim *sim, struct follower *follower)
{
        struct pushing pushing = {.count = 0};
        struct px_m_stream_events message = {
                .stream = follower->served,
                .previous_index = follower->pushed.index,
                .previous_position = follower->pushed.position,
                .events = pushing.events,
        };
        int result = px_feed_read(sim->broker.log, follower->pushed, PUSH_EVENTS, push_event,
                                  &pushing);

        SIM_CHECK(sim, result == PX_OK, "the feed cannot be read: %d", result);
        if (pushing.count > 0)
                follower->pushed = (struct px_event_number){
                        pushing.events[pushing.count - 1].index,
                        pushing.events[pushing.count - 1].position};
        message.events_count = pushing.count;
        message.last_index = follower->pushed.index;
        message.last_position = follower->pushed.position;
        px_buf_reset(&sim->frame);
        px_m_stream_events_frame(&message, 0, 0, &sim->frame);
        wire_down(sim, &follower->wire, px_buf_slice(&sim->frame));
        px_arena_fini(&pushing.arena);
}

static bool behind(struct sim *sim, const struct follower *follower)
{
        struct px_event_number last = px_feed_last(sim->broker.log);

        return last.index != follower->pushed.index || last.position != follower->pushed.position;
}

static void push_all(struct sim *sim, struct follower *follower)
{
        if (follower->served == 0 || follower->wire.peer == 0)
                return;
        while (behind(sim, follower))
                push(sim, follower);
}

void follow_events(struct sim *sim)
{
        for (size_t i = 0; i < sim->followers_count; i++)
                push_all(sim, &sim->followers[i]);
}

void follow_crash(struct sim *sim)
{
        for (size_t i = 0; i < sim->followers_count; i++) {
                sim->followers[i].served = 0;
                wire_reset(sim, &sim->followers[i].wire);
        }
}

void follow_open(struct sim *sim, struct wire *wire, const struct px_m_stream_open *open)
{
        struct follower *follower = wire->host;

        if (open->stream <= follower->served)
                return; /* an older word that was overtaken */
        follower->served = open->stream;
        follower->pushed = (struct px_event_number){open->index, open->position};
        push(sim, follower);
        push_all(sim, follower);
}

/* ---- the follower -----------------------------------------------------------------------------
 */

static void open_stream(struct sim *sim, struct follower *follower)
{
        struct px_m_stream_open open = {.kind = PX_STREAM_KIND_EVENTS};

        sim_count(sim, MET_FOLLOW_OPENED);
        open.stream = ++follower->number;
        reader_open(follower->reader, &open);
        follower->heard_ms = sim->now_ms;
        px_buf_reset(&sim->frame);
        px_m_stream_open_frame(&open, open.stream, 0, &sim->frame);
        wire_up(sim, &follower->wire, px_buf_slice(&sim->frame), 0);
}

static bool comes_before(struct px_event_number number, uint64_t index, uint32_t position)
{
        return number.index != index ? number.index < index : number.position < position;
}

static void follower_seen(void *context, uint64_t index, uint32_t position)
{
        struct follower *follower = context;
        struct sim *sim = follower->sim;
        struct px_event_number expected = {0, 0};

        while (!follower->began && follower->seen < sim->oracle.events_count &&
               comes_before(sim->oracle.events[follower->seen], index, position))
                follower->seen++;
        follower->began = true;
        if (follower->seen < sim->oracle.events_count)
                expected = sim->oracle.events[follower->seen];
        SIM_CHECK(sim, expected.index == index && expected.position == position,
                  "follower %s sees event %llu:%u, not %llu:%u", follower->wire.name,
                  (unsigned long long)index, position, (unsigned long long)expected.index,
                  expected.position);
        follower->seen++;
        sim->stats->met[MET_FOLLOW_SEEN]++;
}

static void follower_take(struct sim *sim, void *host, int socket, struct px_slice frame)
{
        struct follower *follower = host;
        struct px_m_stream_events events;
        struct px_wire_header header;
        struct px_slice body;

        (void)socket;
        SIM_CHECK(sim,
                  px_wire_get_header(frame, &header, &body) == PX_WIRE_OK &&
                          header.type == PX_M_STREAM_EVENTS,
                  "a follower hears what it didn't ask for");
        px_arena_reset(&sim->arena);
        SIM_CHECK(sim, px_m_stream_events_decode(body, &sim->arena, &events) == PX_WIRE_OK,
                  "malformed STREAM_EVENTS");
        if (events.stream != follower->number)
                return; /* of an opening that was given up */
        follower->heard_ms = sim->now_ms;
        if (!reader_take(follower->reader, &events))
                return;
        sim_count(sim, MET_FOLLOW_GAP);
        open_stream(sim, follower);
}

/* Each second: the broker repeats where it stands, the follower notices a silence. */
static void follower_second(struct sim *sim, struct event *event)
{
        struct follower *follower = event->owner;

        sim_plan(sim, REPEAT_MS, follower_second, follower);
        if (sim->broker.up && sim->broker.frozen_ms <= sim->now_ms && follower->served != 0 &&
            follower->wire.peer != 0)
                push(sim, follower);
        if (sim->now_ms - follower->heard_ms < FOLLOW_SILENCE_MS)
                return;
        wire_reset(sim, &follower->wire);
        open_stream(sim, follower);
}

void follow_begin(struct sim *sim)
{
        sim->followers_count = FOLLOWERS;
        for (size_t i = 0; i < FOLLOWERS; i++) {
                struct follower *follower = &sim->followers[i];
                char name[16];

                snprintf(name, sizeof(name), "f%zu", i);
                follower->sim = sim;
                follower->reader = reader_new(follower_seen, follower);
                wire_init(&follower->wire, follower, NULL, name, SOCKET_DATA, SIM_ADMIN,
                          follower_take);
                sim_plan(sim, 1 + sim_below(sim, REPEAT_MS), follower_second, follower);
                open_stream(sim, follower);
        }
}

const char *follow_unquiet(struct sim *sim)
{
        for (size_t i = 0; i < sim->followers_count; i++)
                if (sim->followers[i].seen < sim->oracle.events_count)
                        return "a follower has not seen every event";
        return NULL;
}

void follow_fini(struct sim *sim)
{
        for (size_t i = 0; i < sim->followers_count; i++)
                reader_free(sim->followers[i].reader);
}
