/* SPDX-License-Identifier: Apache-2.0 */
/* test_node_log.c - log bytes: turns, credit, loss, and results that wait for them. */
#include "node_rig.h"

#define CHUNK PX_LIMIT_LOG_CHUNK_BYTES /* 61440 */

TEST(a_result_waits_until_its_log_is_stored)
{
        rig_start();
        rig_up(4);
        rig_run(4, 7, 1);
        rig_grew(7, 1, PX_STREAM_OUT, 100);
        rig_ended(7, 1, PX_OUTCOME_OK, 150);
        RIG_EXPECT("[1000] ship 7.1 out 0+100\n"
                   "[1000] ship 7.1 out 100+50 sync\n"
                   "[1000] LOG_FINAL 7.1 out 150 err 0\n");
        rig_log_ack(7, 1, PX_STREAM_OUT, 150, 100, false);
        RIG_EXPECT("[1000] trim 7.1 out 100\n");
        rig_log_ack(7, 1, PX_STREAM_OUT, 150, 150, false);
        RIG_EXPECT("[1000] trim 7.1 out 150\n"
                   "[1000] RESULT 7.1 ok\n");
        rig_result_ok(7, 1);
        RIG_EXPECT("[1000] remove 7.1\n");
}

TEST(a_result_states_what_could_not_be_stored_in_time_and_the_log_still_follows)
{
        rig_start();
        rig_up(4);
        rig_run(4, 7, 1);
        rig_ended(7, 1, PX_OUTCOME_OK, 150);
        rig_log_ack(7, 1, PX_STREAM_OUT, 150, 100, false);
        for (int64_t now_ms = 2000; now_ms <= 10000; now_ms += 1000) {
                rig_until(now_ms);
                rig_ctl_pong(0);
                rig_data_pong(RIG_EPOCH);
        }
        rig_forget();
        rig_until(11000);
        RIG_EXPECT("[11000] PING\n"
                   "[11000] DATA_HELLO\n"
                   "[11000] LOG_FINAL 7.1 out 150 err 0\n"
                   "[11000] RESULT 7.1 ok pending 50\n");
        rig_result_ok(7, 1);
        EXPECT_U64(node_attempts_count(rig_node()), 0);
        rig_log_ack(7, 1, PX_STREAM_OUT, 150, 150, false);
        RIG_EXPECT("[11000] trim 7.1 out 150\n"
                   "[11000] remove 7.1\n");
}

static void end_with_dropped_middle(void)
{
        struct px_result result = {.job = {7},
                                   .fence = rig_fence(1),
                                   .outcome = PX_OUTCOME_OK,
                                   .reason = PX_REASON_FINISHED,
                                   .progress_permille = -1,
                                   .use = {.out_bytes = UINT64_C(1) << 40,
                                           .out_dropped_at = 100,
                                           .out_dropped_bytes = (UINT64_C(1) << 40) - 150}};

        rig_input((struct node_input){.kind = NODE_IN_ENDED,
                                      .job = result.job,
                                      .fence = result.fence,
                                      .result = &result});
}

TEST(a_dropped_middle_is_named_and_not_shipped)
{
        rig_start();
        rig_up(4);
        rig_run(4, 7, 1);
        rig_grew(7, 1, PX_STREAM_OUT, 100);
        RIG_EXPECT("[1000] ship 7.1 out 0+100\n");
        end_with_dropped_middle();
        RIG_EXPECT("[1000] LOG_FINAL 7.1 out 1099511627776 err 0\n");
        rig_log_ack(7, 1, PX_STREAM_OUT, 100, 0, false);
        RIG_EXPECT("[1000] LOG_FINAL 7.1 out 1099511627776 err 0\n"
                   "[1000] ship 7.1 out 1099511627726+50 sync\n");
        node_check(rig_node());
        rig_log_ack(7, 1, PX_STREAM_OUT, UINT64_C(1) << 40, UINT64_C(1) << 40, false);
        RIG_EXPECT("[1000] trim 7.1 out 1099511627776\n"
                   "[1000] RESULT 7.1 ok\n");
}

TEST(what_was_lost_before_a_dropped_middle_is_shipped_again_first)
{
        rig_start();
        rig_up(4);
        rig_run(4, 7, 1);
        rig_grew(7, 1, PX_STREAM_OUT, 100);
        rig_log_ack(7, 1, PX_STREAM_OUT, 100, 60, false);
        end_with_dropped_middle();
        rig_forget();
        rig_data_pong(RIG_EPOCH + 1);
        RIG_EXPECT("[1000] ship 7.1 out 60+40\n"
                   "[1000] LOG_FINAL 7.1 out 1099511627776 err 0\n");
        rig_log_ack(7, 1, PX_STREAM_OUT, 100, 60, false);
        RIG_EXPECT("[1000] LOG_FINAL 7.1 out 1099511627776 err 0\n"
                   "[1000] ship 7.1 out 1099511627726+50 sync\n");
        node_check(rig_node());
}

TEST(streams_take_turns_within_the_credit)
{
        rig_start();
        rig_up(4);
        rig_run(4, 1, 1);
        rig_run(4, 2, 1);
        rig_grew(1, 1, PX_STREAM_OUT, 10 * CHUNK);
        RIG_EXPECT("[1000] ship 1.1 out 0+61440\n"
                   "[1000] ship 1.1 out 61440+61440\n"
                   "[1000] ship 1.1 out 122880+61440\n"
                   "[1000] ship 1.1 out 184320+61440\n");
        rig_grew(2, 1, PX_STREAM_ERR, 10 * CHUNK);
        RIG_EXPECT("");
        rig_log_ack(1, 1, PX_STREAM_OUT, 3 * CHUNK, 0, false);
        RIG_EXPECT("[1000] ship 1.1 out 245760+61440\n"
                   "[1000] ship 2.1 err 0+61440\n"
                   "[1000] ship 1.1 out 307200+61440\n");
}

TEST(a_broker_that_lost_bytes_gets_them_again)
{
        rig_start();
        rig_up(4);
        rig_run(4, 1, 1);
        rig_grew(1, 1, PX_STREAM_OUT, 300);
        rig_log_ack(1, 1, PX_STREAM_OUT, 300, 100, false);
        rig_forget();
        rig_log_ack(1, 1, PX_STREAM_OUT, 200, 100, false);
        RIG_EXPECT("[1000] ship 1.1 out 200+100\n");
        rig_data_pong(RIG_EPOCH + 1);
        RIG_EXPECT("[1000] ship 1.1 out 100+200\n");
        rig_log_ack(1, 1, PX_STREAM_OUT, 50, 50, false); /* overtaken: 100 were stored */
        RIG_EXPECT("");
}

TEST(bytes_that_nobody_confirms_are_shipped_again)
{
        rig_start();
        rig_up(4);
        rig_run(4, 1, 1);
        rig_grew(1, 1, PX_STREAM_OUT, 300);
        rig_forget();
        rig_until(5999);
        rig_forget();
        rig_until(6000);
        RIG_EXPECT("[6000] ship 1.1 out 0+300\n");
}

TEST(words_about_one_stream_dont_postpone_what_the_other_lost)
{
        rig_start();
        rig_up(4);
        rig_run(4, 1, 1);
        rig_grew(1, 1, PX_STREAM_OUT, 100);
        rig_grew(1, 1, PX_STREAM_ERR, 300);
        rig_log_ack(1, 1, PX_STREAM_OUT, 100, 100, false);
        for (int64_t now_ms = 2000; now_ms < 6000; now_ms += 1000) {
                rig_until(now_ms);
                rig_log_ack(1, 1, PX_STREAM_OUT, 100, 100, false);
                rig_log_ack(1, 1, PX_STREAM_ERR, 0, 0, false);
        }
        rig_forget();
        rig_until(6000);
        RIG_EXPECT("[6000] ship 1.1 err 0+300\n");
}

TEST(a_closed_log_is_let_go_and_holds_up_nothing)
{
        rig_start();
        rig_up(4);
        rig_run(4, 1, 1);
        rig_grew(1, 1, PX_STREAM_OUT, 300);
        rig_forget();
        rig_log_ack(1, 1, PX_STREAM_OUT, 0, 0, true);
        rig_grew(1, 1, PX_STREAM_OUT, 400);
        rig_ended(1, 1, PX_OUTCOME_OK, 500);
        RIG_EXPECT("[1000] trim 1.1 out 300\n"
                   "[1000] trim 1.1 err 0\n"
                   "[1000] trim 1.1 out 400\n"
                   "[1000] trim 1.1 out 500\n"
                   "[1000] RESULT 1.1 ok\n");
}

TEST(nothing_is_shipped_before_the_data_socket_answers)
{
        rig_start();
        rig_until(1000);
        rig_welcome(rig_hello_number(), 4, RIG_EPOCH);
        rig_run(4, 1, 1);
        rig_grew(1, 1, PX_STREAM_OUT, 300);
        RIG_EXPECT("");
        rig_data_pong(RIG_EPOCH);
        RIG_EXPECT("[1000] ship 1.1 out 0+300\n");
}

TEST(an_adopted_log_goes_on_where_the_broker_had_stored_it)
{
        rig_start();
        rig_adopt(&(struct node_found){.job = {1},
                                       .fence = rig_fence(1),
                                       .running = true,
                                       .length = {0, 500, 20},
                                       .stored = {0, 400, 20}});
        rig_up(4);
        rig_data_pong(RIG_EPOCH + 1);
        RIG_EXPECT("[1000] ship 1.1 out 400+100\n");
}
