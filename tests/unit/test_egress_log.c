/* SPDX-License-Identifier: Apache-2.0 */
/* test_egress_log.c - output of nodes: every byte once, in order, acknowledged, from the right node. */
#include "egress_rig.h"

#define OUT PX_STREAM_OUT
#define ERR PX_STREAM_ERR

TEST(output_is_acknowledged_and_stored)
{
        struct rig_peer *node;
        struct px_log_ack ack;

        rig_running(&node, NULL);
        rig_log(node, 1, 1, OUT, 0, "hello", false);
        ack = rig_ack(node);
        EXPECT_U64(ack.job.value, 1);
        EXPECT_U64(ack.received, 5);
        EXPECT(!ack.closed);
        EXPECT_U64(rig_stored(node, 5).received, 5);
}

TEST(a_flush_that_was_asked_for_comes_at_once)
{
        struct rig_peer *node;

        rig_running(&node, NULL);
        rig_log(node, 1, 1, OUT, 0, "hello", true);
        EXPECT_U64(rig_ack(node).stored, 5);
}

TEST(duplicates_overlaps_and_gaps_leave_each_byte_once)
{
        struct rig_peer *node;
        struct rig_peer *user;

        rig_running(&node, NULL);
        rig_log(node, 1, 1, OUT, 0, "abcd", false);
        EXPECT_U64(rig_ack(node).received, 4);
        rig_log(node, 1, 1, OUT, 0, "abcd", false);
        EXPECT_U64(rig_ack(node).received, 4);
        rig_log(node, 1, 1, OUT, 8, "ijkl", false);
        EXPECT_U64(rig_ack(node).received, 4);
        rig_log(node, 1, 1, OUT, 2, "cdefgh", false);
        EXPECT_U64(rig_ack(node).received, 8);
        rig_log(node, 1, 1, OUT, 8, "ijkl", true);
        EXPECT_U64(rig_stored(node, 12).received, 12);
        rig_close(1, RIG_USER, 1, 12, 0, PX_JOB_STATE_OK);
        user = rig_connect(RIG_USER);
        rig_follow(user, 1, 1, 1000);
        rig_expect(user, PX_M_STREAM_ATTEMPT);
        EXPECT_TEXT(rig_log_text(user, 0), "abcdefghijkl");
        EXPECT_U64(rig_end(user).out_bytes, 12);
}

TEST(only_the_node_of_the_attempt_is_heard)
{
        struct rig_peer *node;
        struct rig_peer *other;

        rig_start();
        node = rig_connect(RIG_NODE);
        other = rig_connect(RIG_OTHER_NODE);
        rig_open(1, RIG_USER, 1);
        rig_log(other, 1, 1, OUT, 0, "forged", true);
        rig_expect_silence(other);
        rig_log(node, 1, 1, OUT, 0, "true", true);
        EXPECT_U64(rig_ack(node).received, 4);
}

TEST(what_is_fenced_off_or_unknown_is_closed)
{
        struct rig_peer *node;

        rig_start();
        node = rig_connect(RIG_NODE);
        rig_open(1, RIG_USER, 2);
        rig_log(node, 99, 1, OUT, 0, "unknown job", false);
        EXPECT(rig_ack(node).closed);
        rig_attempt(1, 1, PX_OUTCOME_GONE, 0, 0);
        rig_log(node, 1, 1, OUT, 0, "lost attempt", false);
        EXPECT(rig_ack(node).closed);
        rig_log(node, 1, 3, OUT, 0, "future attempt", false);
        EXPECT(rig_ack(node).closed);
}

TEST(the_end_of_output_is_confirmed_when_all_is_stored)
{
        struct rig_peer *node;

        rig_running(&node, NULL);
        rig_log(node, 1, 1, OUT, 0, "abcd", false);
        EXPECT(!rig_ack(node).closed);
        rig_final(node, 1, 1, 8, 0, 0);
        EXPECT(!rig_ack(node).closed);
        rig_log(node, 1, 1, OUT, 4, "efgh", true);
        EXPECT(rig_stored(node, 8).closed);
        rig_final(node, 1, 1, 8, 0, 0);
        EXPECT(rig_ack(node).closed);
}

TEST(a_restart_goes_on_where_the_output_stood)
{
        struct rig_peer *node;
        struct rig_peer *user;

        rig_running(&node, NULL);
        rig_log(node, 1, 1, OUT, 0, "before ", true);
        rig_stored(node, 7);
        rig_restart();
        node = rig_connect(RIG_NODE);
        rig_log(node, 1, 1, OUT, 9, "gap", false);
        EXPECT_U64(rig_ack(node).received, 7);
        rig_log(node, 1, 1, OUT, 0, "before after", true);
        EXPECT_U64(rig_stored(node, 12).received, 12);
        rig_close(1, RIG_USER, 1, 12, 0, PX_JOB_STATE_OK);
        user = rig_connect(RIG_USER);
        rig_follow(user, 1, 1, 1000);
        rig_expect(user, PX_M_STREAM_ATTEMPT);
        EXPECT_TEXT(rig_log_text(user, 0), "before after");
}

TEST(output_that_was_pending_at_the_end_is_taken_later)
{
        struct rig_peer *node;
        struct px_m_stream_end end;
        struct rig_peer *user;

        rig_start();
        rig_job(1, RIG_USER, PX_JOB_STATE_OK, 1);
        rig_attempt(1, 1, PX_OUTCOME_OK, 8, 8);
        user = rig_connect(RIG_USER);
        rig_follow(user, 1, 1, 1000);
        rig_expect(user, PX_M_STREAM_ATTEMPT);
        end = rig_end(user);
        EXPECT_U64(end.log_pending_bytes, 8);
        EXPECT_INT(end.state, PX_JOB_STATE_OK);
        node = rig_connect(RIG_NODE);
        rig_log(node, 1, 1, OUT, 0, "late out", true);
        EXPECT(rig_stored(node, 8).closed);
        rig_follow(user, 2, 1, 1000);
        rig_expect(user, PX_M_STREAM_ATTEMPT);
        EXPECT_TEXT(rig_log_text(user, 0), "late out");
        EXPECT_U64(rig_end(user).log_pending_bytes, 0);
}

TEST(a_dropped_middle_is_skipped_and_stated)
{
        struct rig_peer *node;
        struct rig_peer *user;

        rig_running(&node, NULL);
        rig_log(node, 1, 1, OUT, 0, "head", false);
        EXPECT_U64(rig_ack(node).received, 4);
        rig_final(node, 1, 1, 108, 4, 100);
        EXPECT_U64(rig_ack(node).received, 104);
        rig_log(node, 1, 1, OUT, 104, "tail", true);
        EXPECT(rig_stored(node, 108).closed);
        rig_close(1, RIG_USER, 1, 108, 0, PX_JOB_STATE_OK);
        user = rig_connect(RIG_USER);
        rig_follow(user, 1, 1, 1000);
        rig_expect(user, PX_M_STREAM_ATTEMPT);
        EXPECT_TEXT(rig_log_text(user, 0), "head");
        EXPECT_TEXT(rig_log_text(user, 104), "<100>tail");
        EXPECT_U64(rig_end(user).out_bytes, 108);
}

TEST(streams_of_one_attempt_are_apart)
{
        struct rig_peer *node;

        rig_running(&node, NULL);
        rig_log(node, 1, 1, OUT, 0, "abc", true);
        EXPECT_INT(rig_ack(node).stream, OUT);
        rig_log(node, 1, 1, ERR, 0, "e", true);
        EXPECT_INT(rig_ack(node).stream, ERR);
}
