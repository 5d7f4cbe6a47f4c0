/* SPDX-License-Identifier: Apache-2.0 */
/* test_node_session.c - greetings, inventories and words of other sessions. */
#include "node_rig.h"

TEST(a_node_greets_and_then_pings_on_both_sockets)
{
        rig_start();
        rig_until(1000);
        RIG_EXPECT("[1000] HELLO\n");
        rig_welcome(rig_hello_number(), 4, RIG_EPOCH);
        RIG_EXPECT("[1000] identity\n"
                   "[1000] DATA_HELLO\n");
        rig_data_pong(RIG_EPOCH);
        rig_until(3000);
        RIG_EXPECT("[3000] PING\n"
                   "[3000] DATA_HELLO\n");
}

TEST(only_the_answer_to_the_latest_hello_begins_a_session)
{
        uint64_t first;

        rig_start();
        rig_until(1000);
        first = rig_hello_number();
        rig_until(1200);
        EXPECT(rig_hello_number() > first);
        rig_forget();
        rig_welcome(first, 4, RIG_EPOCH);
        EXPECT(!node_connected(rig_node()));
        rig_welcome(rig_hello_number(), 5, RIG_EPOCH);
        EXPECT(node_connected(rig_node()));
}

TEST(a_welcome_of_an_older_epoch_or_another_cluster_is_not_followed)
{
        rig_start();
        rig_up(4);
        rig_again();
        rig_welcome(rig_hello_number(), 5, RIG_EPOCH - 1);
        EXPECT(!node_connected(rig_node()));
        rig_welcome(rig_hello_number(), 5, RIG_EPOCH);
        EXPECT(node_connected(rig_node()));
}

TEST(words_of_another_session_are_dropped)
{
        rig_start();
        rig_up(4);
        rig_assign(3, 7, 1);
        rig_kill(3, 7, 1, PX_KILL_WHY_CANCEL);
        rig_stop(3, true);
        RIG_EXPECT("");
}

TEST(the_inventory_holds_what_was_accepted_runs_or_has_ended)
{
        rig_start();
        rig_up(4);
        rig_run(4, 1, 1);
        rig_run(4, 2, 1);
        rig_ended(2, 1, PX_OUTCOME_OK, 0);
        rig_assign(4, 3, 1);
        rig_entered(3, 1);
        rig_assign(4, 4, 1);
        rig_forget();
        rig_again();
        RIG_EXPECT("[1000] HELLO 1.1 running 2.1 ended 3.1 accepted\n");
        EXPECT_U64(node_attempts_count(rig_node()), 3);
}

TEST(a_broker_that_says_goodbye_is_greeted_anew_and_its_jobs_go_on)
{
        rig_start();
        rig_up(4);
        rig_run(4, 1, 1);
        rig_forget();
        rig_bye();
        RIG_EXPECT("[1000] HELLO 1.1 running\n");
        EXPECT(!node_connected(rig_node()));
        rig_forget();
        rig_ended(1, 1, PX_OUTCOME_OK, 0);
        RIG_EXPECT("");
        rig_welcome(rig_hello_number(), 5, RIG_EPOCH);
        RIG_EXPECT("[1000] DATA_HELLO\n"
                   "[1000] RESULT 1.1 ok\n");
}

TEST(what_happened_between_hello_and_welcome_is_said_after_it)
{
        rig_start();
        rig_up(4);
        rig_assign(4, 1, 1);
        rig_entered(1, 1);
        rig_run(4, 2, 1);
        rig_again();
        rig_forget();
        rig_started(1, 1);
        rig_ended(2, 1, PX_OUTCOME_OK, 0);
        RIG_EXPECT("");
        rig_welcome(rig_hello_number(), 5, RIG_EPOCH);
        RIG_EXPECT("[1000] DATA_HELLO\n"
                   "[1000] STARTED 1.1\n"
                   "[1000] RESULT 2.1 ok\n");
}

TEST(an_attempt_that_a_hello_left_out_starts_only_if_assigned_again)
{
        rig_start();
        rig_up(4);
        rig_assign(4, 1, 1);
        rig_assign(4, 2, 1);
        rig_again();
        rig_welcome(rig_hello_number(), 5, RIG_EPOCH);
        rig_forget();
        rig_assign(5, 2, 1);
        rig_entered(1, 1);
        rig_entered(2, 1);
        RIG_EXPECT("[1000] remove 1.1\n"
                   "[1000] start 2.1\n");
}

TEST(a_silent_broker_is_greeted_over_new_connections)
{
        uint64_t first;

        rig_start();
        rig_up(4);
        first = rig_hello_number();
        rig_until(14999);
        EXPECT(node_connected(rig_node()));
        rig_forget();
        rig_until(15000);
        EXPECT(!node_connected(rig_node()));
        RIG_EXPECT("[15000] renew\n");
        rig_until(15100);
        EXPECT(rig_hello_number() > first);
}

TEST(the_broker_is_in_touch_since_the_word_it_answered)
{
        rig_start();
        rig_up(4);
        rig_assign_fail(4, 1, 1, 0);
        rig_entered(1, 1);
        rig_started(1, 1);
        rig_until(3100);
        rig_forget();
        rig_ctl_pong(rig_ping_number());
        RIG_EXPECT("[3100] contact 100 ms ago\n");
        rig_ctl_pong(rig_ping_number());
        rig_ctl_pong(99999);
        RIG_EXPECT("");
}

TEST(what_the_spool_held_is_in_the_first_inventory)
{
        struct px_result ended = {
                .outcome = PX_OUTCOME_OK, .reason = PX_REASON_EXIT, .progress_permille = -1};

        rig_start();
        rig_adopt(&(struct node_found){.job = {1}, .fence = rig_fence(1), .running = true});
        rig_adopt(&(struct node_found){.job = {2}, .fence = rig_fence(3), .ended = &ended});
        rig_adopt(&(struct node_found){.job = {3}, .fence = rig_fence(1)});
        rig_until(1000);
        RIG_EXPECT("[1000] remove 3.1\n"
                   "[1000] HELLO 1.1 running 2.3 ended\n");
        rig_welcome(rig_hello_number(), 4, RIG_EPOCH);
        RIG_EXPECT("[1000] identity\n"
                   "[1000] DATA_HELLO\n"
                   "[1000] RESULT 2.3 ok\n");
}
