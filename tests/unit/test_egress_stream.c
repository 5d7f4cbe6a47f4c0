/* SPDX-License-Identifier: Apache-2.0 */
/* test_egress_stream.c - live streams: order, credit, ends, events with their numbers, who sees what. */
#include <stdio.h>

#include "egress_rig.h"

#define OUT PX_STREAM_OUT

static struct px_m_stream_events events_of(struct rig_peer *client)
{
        struct px_m_stream_events events;

        EXPECT_INT(px_m_stream_events_decode(rig_expect(client, PX_M_STREAM_EVENTS)->body,
                                             rig_arena(), &events),
                   PX_WIRE_OK);
        return events;
}

static void follow_events(struct rig_peer *client, uint64_t index, uint64_t credit_bytes)
{
        rig_open_stream(client, &(struct px_m_stream_open){.stream = 9,
                                                           .kind = PX_STREAM_KIND_EVENTS,
                                                           .follow = true,
                                                           .index = index,
                                                           .credit_bytes = credit_bytes});
}

TEST(a_follower_waits_for_the_job_and_ends_with_it)
{
        struct rig_peer *node;
        struct rig_peer *user;
        struct px_m_stream_end end;

        rig_start();
        node = rig_connect(RIG_NODE);
        user = rig_connect(RIG_USER);
        rig_job(1, RIG_USER, PX_JOB_STATE_QUEUED, 0);
        rig_follow(user, 1, 1, 1000);
        rig_expect_silence(user);
        rig_open(1, RIG_USER, 1);
        rig_expect(user, PX_M_STREAM_ATTEMPT);
        rig_log(node, 1, 1, OUT, 0, "one", true);
        EXPECT_TEXT(rig_log_text(user, 0), "one");
        rig_log(node, 1, 1, OUT, 3, "two", true);
        EXPECT_TEXT(rig_log_text(user, 3), "two");
        rig_close(1, RIG_USER, 1, 6, 0, PX_JOB_STATE_FAILED);
        end = rig_end(user);
        EXPECT_INT(end.code, 0);
        EXPECT_INT(end.state, PX_JOB_STATE_FAILED);
        EXPECT_U64(end.out_bytes, 6);
}

TEST(a_follower_goes_on_with_the_next_attempt)
{
        struct rig_peer *node;
        struct rig_peer *user;
        struct px_m_stream_attempt attempt;

        rig_running(&node, &user);
        rig_log(node, 1, 1, OUT, 0, "first", true);
        rig_stored(node, 5);
        rig_follow(user, 1, 1, 1000);
        rig_expect(user, PX_M_STREAM_ATTEMPT);
        EXPECT_TEXT(rig_log_text(user, 0), "first");
        rig_close(1, RIG_USER, 1, 5, 0, PX_JOB_STATE_QUEUED);
        rig_expect_silence(user);
        rig_open(1, RIG_USER, 2);
        EXPECT_INT(px_m_stream_attempt_decode(rig_expect(user, PX_M_STREAM_ATTEMPT)->body,
                                              rig_arena(), &attempt),
                   PX_WIRE_OK);
        EXPECT_U64(attempt.attempt, 2);
        EXPECT_BYTES(attempt.node, px_slice_text("alpha"));
        rig_log(node, 1, 2, OUT, 0, "second", true);
        EXPECT_TEXT(rig_log_text(user, 0), "second");
        rig_close(1, RIG_USER, 2, 6, 0, PX_JOB_STATE_OK);
        EXPECT_U64(rig_end(user).attempt, 2);
}

/* Opened again after a reconnect, a stream is for one attempt: its end says that another one follows. */
TEST(the_end_of_a_fenced_attempt_names_the_last_one)
{
        const struct px_m_stream_open again = {.stream = 2,
                                               .kind = PX_STREAM_KIND_LOG,
                                               .job = {1},
                                               .attempt = 1,
                                               .follow = true,
                                               .out_offset = 5,
                                               .credit_bytes = 1000};
        struct rig_peer *node;
        struct rig_peer *user;
        struct px_m_stream_end end;

        rig_running(&node, &user);
        rig_log(node, 1, 1, OUT, 0, "first", true);
        rig_stored(node, 5);
        rig_open_stream(user, &again);
        rig_expect(user, PX_M_STREAM_ATTEMPT);
        rig_fence_off(1, RIG_USER, 1);
        end = rig_end(user);
        EXPECT_U64(end.attempt, 1);
        EXPECT(end.state < PX_JOB_STATE_OK);
        rig_open(1, RIG_USER, 2);
        rig_open_stream(user, &again);
        rig_expect(user, PX_M_STREAM_ATTEMPT);
        end = rig_end(user);
        EXPECT_U64(end.attempt, 2);
        EXPECT_U64(end.out_bytes, 5);
}

TEST(credit_stops_a_stream_and_lets_it_go_on)
{
        struct rig_peer *node;
        struct rig_peer *user;

        rig_running(&node, &user);
        rig_log(node, 1, 1, OUT, 0, "abcdefghij", true);
        rig_stored(node, 10);
        rig_follow(user, 1, 1, 4);
        rig_expect(user, PX_M_STREAM_ATTEMPT);
        EXPECT_TEXT(rig_log_text(user, 0), "abcd");
        rig_expect_silence(user);
        rig_credit(user, 1, 3);
        EXPECT_TEXT(rig_log_text(user, 4), "efg");
        rig_expect_silence(user);
        rig_credit(user, 1, 100);
        EXPECT_TEXT(rig_log_text(user, 7), "hij");
}

TEST(a_follower_that_opens_again_at_its_offset_gets_each_byte_once)
{
        struct rig_peer *node;
        struct rig_peer *user;
        struct px_m_stream_open open = {.stream = 2,
                                        .kind = PX_STREAM_KIND_LOG,
                                        .job = {1},
                                        .attempt = 1,
                                        .streams = 1u << OUT,
                                        .follow = true,
                                        .credit_bytes = 1000};

        rig_running(&node, &user);
        rig_log(node, 1, 1, OUT, 0, "abcdef", true);
        rig_stored(node, 6);
        rig_follow(user, 1, 1, 3);
        rig_expect(user, PX_M_STREAM_ATTEMPT);
        EXPECT_TEXT(rig_log_text(user, 0), "abc");
        rig_restart();
        user = rig_connect(RIG_USER);
        node = rig_connect(RIG_NODE);
        open.out_offset = 3;
        rig_open_stream(user, &open);
        rig_expect(user, PX_M_STREAM_ATTEMPT);
        EXPECT_TEXT(rig_log_text(user, 3), "def");
        rig_log(node, 1, 1, OUT, 6, "ghi", true);
        EXPECT_TEXT(rig_log_text(user, 6), "ghi");
        rig_close(1, RIG_USER, 1, 9, 0, PX_JOB_STATE_OK);
        EXPECT_INT(rig_end(user).state, PX_JOB_STATE_OK);
}

TEST(a_tail_begins_before_the_end)
{
        struct rig_peer *node;
        struct rig_peer *user;

        rig_running(&node, &user);
        rig_log(node, 1, 1, OUT, 0, "abcdef", true);
        rig_stored(node, 6);
        rig_open_stream(user, &(struct px_m_stream_open){.stream = 1,
                                                         .kind = PX_STREAM_KIND_LOG,
                                                         .job = {1},
                                                         .tail_bytes = 2,
                                                         .credit_bytes = 100});
        rig_expect(user, PX_M_STREAM_ATTEMPT);
        EXPECT_TEXT(rig_log_text(user, 4), "ef");
        EXPECT_INT(rig_end(user).code, 0);
}

TEST(streams_of_a_connection_have_a_limit)
{
        struct rig_peer *user;

        rig_start();
        user = rig_connect(RIG_USER);
        rig_job(1, RIG_USER, PX_JOB_STATE_QUEUED, 0);
        for (uint32_t i = 1; i <= PX_LIMIT_STREAMS_OF_PEER; i++)
                rig_follow(user, i, 1, 1);
        rig_expect_silence(user);
        rig_follow(user, 1000, 1, 1);
        EXPECT_INT(rig_end(user).code, PX_E_LIMIT);
        rig_follow(user, 1, 1, 1);
        rig_expect_silence(user);
}

TEST(output_of_others_is_called_absent)
{
        struct rig_peer *other;
        struct rig_peer *node;
        struct px_m_stream_end end;

        rig_start();
        other = rig_connect(RIG_OTHER);
        node = rig_connect(RIG_NODE);
        rig_open(1, RIG_USER, 1);
        rig_follow(other, 1, 1, 1000);
        end = rig_end(other);
        EXPECT_INT(end.code, PX_E_ABSENT);
        EXPECT_INT(end.state, 0);
        rig_follow(other, 2, 77, 1000);
        EXPECT_INT(rig_end(other).code, PX_E_ABSENT);
        rig_follow(node, 1, 1, 1000);
        EXPECT_INT(rig_end(node).code, PX_E_DENIED);
}

TEST(a_revoked_key_ends_its_streams)
{
        struct rig_peer *user;

        rig_start();
        user = rig_connect(RIG_USER);
        rig_open(1, RIG_USER, 1);
        rig_follow(user, 1, 1, 1000);
        rig_expect(user, PX_M_STREAM_ATTEMPT);
        rig_revoke(RIG_USER);
        EXPECT_INT(rig_end(user).code, PX_E_REVOKED);
}

TEST(a_purged_job_ends_its_streams)
{
        struct rig_peer *user;

        rig_start();
        user = rig_connect(RIG_USER);
        rig_job(1, RIG_USER, PX_JOB_STATE_QUEUED, 0);
        rig_follow(user, 1, 1, 1000);
        rig_follow(user, 2, 1, 1000);
        rig_expect_silence(user);
        egress_job_purged(rig_egress(), (struct px_job_id){1});
        EXPECT_INT(rig_end(user).code, PX_E_ABSENT);
        EXPECT_INT(rig_end(user).code, PX_E_ABSENT);
}

/* ---- events ---------------------------------------------------------------------------------------- */

TEST(each_message_of_events_names_the_number_before_it)
{
        struct rig_peer *admin;
        struct px_m_stream_events events;
        uint64_t last;

        rig_start();
        admin = rig_connect(RIG_ADMIN);
        last = rig_events(1, RIG_USER, 3);
        follow_events(admin, UINT64_MAX, 100000);
        rig_expect_silence(admin); /* it is open */
        rig_events(1, RIG_USER, 2);
        events = events_of(admin);
        EXPECT_U64(events.previous_index, last);
        EXPECT_U64(events.previous_position, 2);
        EXPECT_INT(events.events_count, 2);
        EXPECT_U64(events.last_index, last + 1);
        EXPECT_U64(events.last_position, 1);
        rig_events(1, RIG_USER, 1);
        EXPECT_U64(events_of(admin).previous_index, last + 1);
}

TEST(a_silent_stream_of_events_repeats_its_number)
{
        struct rig_peer *admin;
        struct px_m_stream_events events;
        uint64_t last;

        rig_start();
        admin = rig_connect(RIG_ADMIN);
        last = rig_events(1, RIG_USER, 1);
        follow_events(admin, UINT64_MAX, 100000);
        for (int i = 0; i < 2; i++) {
                events = events_of(admin);
                EXPECT_INT(events.events_count, 0);
                EXPECT_U64(events.last_index, last);
                EXPECT_U64(events.previous_index, last);
        }
}

TEST(events_are_read_from_the_feed_and_then_live_without_a_gap)
{
        struct rig_peer *admin;
        struct px_event_number at = {0};
        size_t count = 0;

        rig_start();
        for (int i = 0; i < 300; i++)
                rig_events(1, RIG_USER, 5);
        rig_restart();
        admin = rig_connect(RIG_ADMIN);
        follow_events(admin, 0, 10000000);
        for (int i = 0; i < 300; i++)
                rig_events(1, RIG_USER, 5);
        while (count < 3000) {
                struct px_m_stream_events events = events_of(admin);

                EXPECT_U64(events.previous_index, at.index);
                EXPECT_U64(events.previous_position, at.position);
                count += events.events_count;
                at = (struct px_event_number){events.last_index, events.last_position};
        }
        EXPECT_INT(count, 3000);
}

TEST(events_of_others_are_not_seen)
{
        struct rig_peer *other;
        struct px_m_stream_events events;
        uint64_t mine;

        rig_start();
        other = rig_connect(RIG_OTHER);
        follow_events(other, UINT64_MAX, 100000);
        rig_expect_silence(other);
        for (int i = 0; i < 50; i++)
                rig_events(1, RIG_USER, 20);
        mine = rig_events(2, RIG_OTHER, 1);
        do {
                events = events_of(other);
                for (size_t i = 0; i < events.events_count; i++)
                        EXPECT_U64(events.events[i].job.value, 2);
        } while (events.last_index < mine);
        EXPECT_INT(events.events_count, 1);
}

TEST(events_wait_for_credit)
{
        struct rig_peer *admin;
        struct px_m_stream_events events;

        rig_start();
        admin = rig_connect(RIG_ADMIN);
        rig_events(1, RIG_USER, 100);
        follow_events(admin, 0, 1);
        events = events_of(admin);
        EXPECT_INT(events.events_count, 1);
        rig_expect_silence(admin);
        rig_credit(admin, 9, 100000);
        EXPECT_INT(events_of(admin).events_count, 99);
}

/* ---- progress --------------------------------------------------------------------------------------- */

static void say_progress(struct rig_peer *node, uint64_t job, int32_t permille, const char *text)
{
        struct px_progress item = {.job = {job},
                                   .fence = rig_fence(1),
                                   .permille = permille,
                                   .text = px_slice_text(text),
                                   .wall_ms = 5};
        struct px_m_progress message = {.items = &item, .items_count = 1};
        struct px_buf frame = {0};

        px_m_progress_frame(&message, 0, 0, &frame);
        rig_send(node, &frame, PX_SLICE_NONE);
        px_buf_fini(&frame);
}

TEST(progress_is_told_now_and_to_those_who_come_later)
{
        struct rig_peer *node;
        struct rig_peer *user;
        struct px_m_stream_progress progress;

        rig_running(&node, &user);
        say_progress(node, 1, 500, "half");
        rig_expect_silence(node);
        for (uint32_t stream = 1; stream <= 2; stream++) {
                rig_open_stream(user,
                                &(struct px_m_stream_open){.stream = stream,
                                                           .kind = PX_STREAM_KIND_PROGRESS,
                                                           .job = {1},
                                                           .credit_bytes = 10000});
                EXPECT_INT(px_m_stream_progress_decode(
                                   rig_expect(user, PX_M_STREAM_PROGRESS)->body, rig_arena(),
                                   &progress),
                           PX_WIRE_OK);
                EXPECT_INT(progress.items_count, 1);
                EXPECT_INT(progress.items[0].permille, 500);
                EXPECT_BYTES(progress.items[0].text, px_slice_text("half"));
        }
}
