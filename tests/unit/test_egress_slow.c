/* SPDX-License-Identifier: Apache-2.0 */
/* test_egress_slow.c - readers that don't read, credit that isn't meant, and what is no longer kept:
 * nobody else waits, and what is missing is stated. RELIABILITY 2 (slow subscriber), 4.10, 4.11. */
#include <stdio.h>
#include <stdlib.h>

#include "egress_rig.h"

#define OUT PX_STREAM_OUT
#define CHUNK 60000

/* `count` pieces of output of job 1, one letter each; stored when this returns. */
static void print_much(struct rig_peer *node, uint64_t count, size_t bytes)
{
        char *text = calloc(1, bytes + 1);

        for (uint64_t i = 0; i < count; i++) {
                memset(text, 'a' + (int)(i % 26), bytes);
                rig_log(node, 1, 1, OUT, i * bytes, text, i + 1 == count);
        }
        free(text);
        rig_stored(node, count * bytes);
}

/* The next piece of output: where it begins and what is missing before it. */
static struct px_m_stream_log next_log(struct rig_peer *client, size_t *ret_bytes)
{
        struct rig_message *message = rig_expect(client, PX_M_STREAM_LOG);
        struct px_m_stream_log log;

        EXPECT_INT(px_m_stream_log_decode(message->body, rig_arena(), &log), PX_WIRE_OK);
        for (size_t i = 0; i < message->payload.length; i++)
                EXPECT_INT(message->payload.data[i], 'a' + (int)((log.offset + i) / CHUNK % 26));
        *ret_bytes = message->payload.length;
        return log;
}

static uint64_t take_logs(struct rig_peer *client, uint64_t from, uint64_t to)
{
        while (from < to) {
                size_t bytes;

                EXPECT_U64(next_log(client, &bytes).offset, from);
                from += bytes;
        }
        return from;
}

TEST(credit_is_capped_however_much_is_given)
{
        struct rig_peer *node;
        struct rig_peer *user;
        uint64_t at;

        rig_start();
        node = rig_connect(RIG_NODE);
        user = rig_connect(RIG_USER);
        rig_open(1, RIG_USER, 1);
        print_much(node, 80, CHUNK);
        rig_follow(user, 1, 1, UINT64_MAX);
        rig_expect(user, PX_M_STREAM_ATTEMPT);
        at = take_logs(user, 0, 2u << 20);
        EXPECT_U64(at, 2u << 20);
        rig_expect_silence(user);
        for (int i = 0; i < 100; i++)
                rig_credit(user, 1, UINT64_MAX);
        EXPECT(take_logs(user, at, 4u << 20) >= 4u << 20);
}

TEST(a_client_that_gives_credit_without_reading_holds_up_nobody_but_itself)
{
        struct rig_peer *node;
        struct rig_peer *deaf;
        struct rig_peer *user;
        const uint64_t length = 400 * CHUNK; /* more than may wait for one peer */

        rig_start();
        node = rig_connect(RIG_NODE);
        deaf = rig_connect_slow(RIG_USER);
        user = rig_connect(RIG_USER);
        rig_open(1, RIG_USER, 1);
        rig_follow(deaf, 1, 1, UINT64_MAX);
        print_much(node, 400, CHUNK);
        for (int i = 0; i < 30; i++)
                rig_credit(deaf, 1, UINT64_MAX);
        rig_follow(user, 1, 1, UINT64_MAX);
        rig_expect(user, PX_M_STREAM_ATTEMPT);
        for (uint64_t at = 0; at < length;) {
                at = take_logs(user, at, PX_MIN(at + (1u << 20), length));
                rig_credit(user, 1, 2u << 20);
        }
        rig_expect(deaf, PX_M_STREAM_ATTEMPT);
        for (uint64_t at = 0; at < length;) { /* and when it reads it has every byte once */
                at = take_logs(deaf, at, PX_MIN(at + (1u << 20), length));
                rig_credit(deaf, 1, 2u << 20);
        }
        rig_close(1, RIG_USER, 1, length, 0, PX_JOB_STATE_OK);
        EXPECT_U64(rig_end(deaf).out_bytes, length);
        EXPECT_U64(rig_end(user).out_bytes, length);
}

TEST(a_subscriber_that_stops_reading_sees_by_the_offset_what_it_missed)
{
        struct rig_peer *subscriber;
        struct rig_peer *node;
        struct px_m_pub_events first;
        struct px_m_pub_log log;
        uint64_t expected = 0;
        uint64_t missed = 0;
        const uint64_t length = 4000 * 1000;

        rig_start();
        node = rig_connect(RIG_NODE);
        rig_open(1, RIG_USER, 1);
        subscriber = rig_subscribe(&first);
        print_much(node, 4000, 1000);
        while (rig_hears(subscriber) && rig_next_log(subscriber, &log)) {
                missed += log.offset - expected;
                expected = log.offset + 1000;
        }
        missed += length - expected;
        EXPECT(missed > 0);
        rig_log(node, 1, 1, OUT, length, "the last", true);
        while (!rig_next_log(subscriber, &log))
                continue;
        EXPECT_U64(log.offset, length);
}

/* ---- what is no longer kept ---------------------------------------------------------------------- */

TEST(output_that_retention_removed_is_stated_as_dropped)
{
        struct rig_peer *node;
        struct rig_peer *user;
        struct px_m_stream_log log;
        size_t bytes;

        rig_limits((struct rig_limits){.segment_bytes = 3 * CHUNK, .log_keep_bytes = 6 * CHUNK});
        rig_start();
        node = rig_connect(RIG_NODE);
        rig_open(1, RIG_USER, 1);
        print_much(node, 20, CHUNK);
        rig_close(1, RIG_USER, 1, 20 * CHUNK, 0, PX_JOB_STATE_OK);
        rig_restart(); /* old segments are removed at the start, and each minute */
        user = rig_connect(RIG_USER);
        rig_follow(user, 1, 1, UINT64_MAX);
        rig_expect(user, PX_M_STREAM_ATTEMPT);
        log = next_log(user, &bytes);
        EXPECT(log.offset > 0);
        EXPECT_U64(log.offset, log.dropped_bytes);
        take_logs(user, log.offset + bytes, 20 * CHUNK);
        EXPECT_U64(rig_end(user).out_bytes, 20 * CHUNK);
}

TEST(events_that_are_no_longer_kept_ask_for_a_new_snapshot)
{
        struct rig_peer *admin;
        struct px_m_stream_open open = {.stream = 1,
                                        .kind = PX_STREAM_KIND_EVENTS,
                                        .follow = true,
                                        .credit_bytes = 1000000};
        struct px_m_stream_events events;
        struct px_m_stream_end end;
        uint64_t first;
        uint64_t last;

        rig_limits((struct rig_limits){.feed_file_bytes = 4096, .feed_keep_events = 100});
        rig_start();
        first = rig_events(1, RIG_USER, 1);
        for (int i = 0; i < 9; i++)
                rig_events(1, RIG_USER, 100);
        last = rig_events(1, RIG_USER, 1);
        rig_forget_events();
        admin = rig_connect(RIG_ADMIN);
        open.index = first;
        rig_open_stream(admin, &open);
        end = rig_end(admin);
        EXPECT_INT(end.code, PX_E_SNAPSHOT);
        EXPECT(end.text.length > 0);
        open.index = last - 1;
        open.position = 99;
        rig_open_stream(admin, &open);
        EXPECT_INT(px_m_stream_events_decode(rig_expect(admin, PX_M_STREAM_EVENTS)->body,
                                             rig_arena(), &events),
                   PX_WIRE_OK);
        EXPECT_U64(events.last_index, last);
        EXPECT_INT(events.events_count, 1);
}
