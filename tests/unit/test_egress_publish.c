/* SPDX-License-Identifier: Apache-2.0 */
/* test_egress_publish.c - publications: numbers that show gaps, topics, output and progress. */
#include <zmq.h>

#include "egress_rig.h"

static struct px_m_pub_events events_of(struct rig_peer *subscriber)
{
        struct px_m_pub_events events;

        EXPECT_INT(px_m_pub_events_decode(
                           rig_published(subscriber, "e", PX_M_PUB_EVENTS)->body, rig_arena(),
                           &events),
                   PX_WIRE_OK);
        return events;
}

/* The next one that has events. */
static struct px_m_pub_events next_events(struct rig_peer *subscriber)
{
        struct px_m_pub_events events;

        do
                events = events_of(subscriber);
        while (events.events_count == 0);
        return events;
}

TEST(published_events_join_by_their_numbers)
{
        struct rig_peer *subscriber;
        struct px_m_pub_events events;
        uint64_t first;

        rig_start();
        first = rig_events(1, RIG_USER, 2);
        subscriber = rig_subscribe(&events);
        EXPECT_INT(events.events_count, 0);
        EXPECT_U64(events.last_index, first);
        EXPECT_U64(events.last_position, 1);
        rig_events(1, RIG_USER, 3);
        events = next_events(subscriber);
        EXPECT_U64(events.previous_index, first);
        EXPECT_U64(events.previous_position, 1);
        EXPECT_U64(events.last_index, first + 1);
        EXPECT_INT(events.events_count, 3);
}

TEST(a_large_batch_is_published_in_messages_that_join)
{
        struct rig_peer *subscriber;
        struct px_m_pub_events events;
        struct px_event_number at;
        size_t count = 0;

        rig_start();
        rig_events(1, RIG_USER, 1);
        subscriber = rig_subscribe(&events);
        at = (struct px_event_number){events.last_index, events.last_position};
        rig_events(1, RIG_USER, 3000);
        while (count < 3000) {
                events = next_events(subscriber);
                EXPECT_U64(events.previous_index, at.index);
                EXPECT_U64(events.previous_position, at.position);
                EXPECT(events.events_count <= PX_LIMIT_EVENT_ITEMS);
                count += events.events_count;
                at = (struct px_event_number){events.last_index, events.last_position};
        }
        EXPECT_INT(count, 3000);
        EXPECT_U64(at.position, 2999);
}

TEST(the_first_message_after_a_start_shows_a_gap)
{
        struct rig_peer *subscriber;
        struct px_m_pub_events events;

        rig_start();
        rig_events(1, RIG_USER, 1);
        rig_restart();
        subscriber = rig_subscribe(&events);
        rig_events(1, RIG_USER, 1);
        EXPECT_U64(next_events(subscriber).previous_index, 0);
}

TEST(output_is_published_under_its_job)
{
        struct rig_peer *subscriber;
        struct rig_peer *node;
        struct rig_message *message;
        struct px_m_pub_events events;
        struct px_m_pub_log log;

        rig_start();
        node = rig_connect(RIG_NODE);
        rig_open(42, RIG_USER, 1);
        subscriber = rig_subscribe(&events);
        rig_log(node, 42, 1, PX_STREAM_OUT, 0, "hello", true);
        message = rig_published(subscriber, "l42.", PX_M_PUB_LOG);
        EXPECT_INT(px_m_pub_log_decode(message->body, rig_arena(), &log), PX_WIRE_OK);
        EXPECT_U64(log.job.value, 42);
        EXPECT_U64(log.offset, 0);
        EXPECT_BYTES(message->payload, px_slice_text("hello"));
}

/* ---- who listens --------------------------------------------------------------------------------- */

/* RELIABILITY 5: a revoked key hears nothing more, publications included. */
TEST(a_revoked_subscriber_is_cut_off_and_not_let_in_again)
{
        struct rig_peer *subscriber;
        struct px_m_pub_events events;

        rig_start();
        rig_events(1, RIG_USER, 1);
        subscriber = rig_subscribe(&events);
        rig_watch(subscriber);
        rig_revoke(RIG_ADMIN);
        rig_expect_event(subscriber, ZMQ_EVENT_DISCONNECTED);
        while (rig_hears(subscriber)) /* from before */
                rig_published(subscriber, "e", PX_M_PUB_EVENTS);
        rig_events(1, RIG_USER, 1);
        rig_expect_event(subscriber, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH);
        EXPECT(!rig_hears(subscriber));
}

TEST(the_others_are_let_in_again_and_see_by_the_numbers_what_they_missed)
{
        struct rig_peer *subscriber;
        struct px_m_pub_events events;
        uint64_t seen;

        rig_start();
        rig_events(1, RIG_USER, 1);
        subscriber = rig_subscribe(&events);
        seen = events.last_index;
        rig_watch(subscriber);
        rig_revoke(RIG_MONITOR);
        rig_expect_event(subscriber, ZMQ_EVENT_DISCONNECTED);
        rig_events(1, RIG_USER, 1); /* while it is away */
        rig_expect_event(subscriber, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
        do
                events = events_of(subscriber);
        while (events.last_index == seen);
        EXPECT_U64(events.last_index, seen + 1);
        EXPECT(events.previous_index > seen || events.events_count == 1);
        rig_revoke(RIG_USER); /* who never listened: nobody is cut off */
        rig_events(1, RIG_USER, 1);
        EXPECT_U64(next_events(subscriber).previous_index, seen + 1);
}
