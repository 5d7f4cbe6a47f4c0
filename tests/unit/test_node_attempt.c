/* SPDX-License-Identifier: Apache-2.0 */
/* test_node_attempt.c - an attempt's way from ASSIGN to RESULT_OK, and what repeats do to it. */
#include "node_rig.h"

TEST(an_attempt_is_entered_starts_and_ends_with_a_result)
{
        rig_start();
        rig_up(4);
        rig_assign(4, 7, 1);
        rig_entered(7, 1);
        rig_started(7, 1);
        rig_ended(7, 1, PX_OUTCOME_OK, 0);
        rig_result_ok(7, 1);
        RIG_EXPECT("[1000] enter 7.1\n"
                   "[1000] start 7.1\n"
                   "[1000] STARTED 7.1\n"
                   "[1000] RESULT 7.1 ok\n"
                   "[1000] remove 7.1\n");
        EXPECT_U64(node_attempts_count(rig_node()), 0);
}

TEST(of_a_short_job_only_its_result_is_said)
{
        rig_start();
        rig_up(4);
        rig_assign(4, 7, 1);
        rig_entered(7, 1);
        rig_ended(7, 1, PX_OUTCOME_OK, 0);
        rig_until(1500);
        RIG_EXPECT("[1000] enter 7.1\n"
                   "[1000] start 7.1\n"
                   "[1000] RESULT 7.1 ok\n");
}

TEST(an_attempt_that_is_slow_to_start_is_accepted_after_a_moment)
{
        rig_start();
        rig_up(4);
        rig_assign(4, 7, 1);
        rig_entered(7, 1);
        rig_until(1500);
        rig_started(7, 1);
        RIG_EXPECT("[1000] enter 7.1\n"
                   "[1000] start 7.1\n"
                   "[1020] ACCEPT 7.1\n"
                   "[1500] STARTED 7.1\n");
}

TEST(a_repeated_assignment_is_accepted_again_and_starts_nothing)
{
        rig_start();
        rig_up(4);
        rig_assign(4, 7, 1);
        rig_assign(4, 7, 1);
        rig_entered(7, 1);
        rig_assign(4, 7, 1);
        rig_started(7, 1);
        rig_assign(4, 7, 1);
        RIG_EXPECT("[1000] enter 7.1\n"
                   "[1000] start 7.1\n"
                   "[1000] ACCEPT 7.1\n"
                   "[1000] STARTED 7.1\n"
                   "[1000] ACCEPT 7.1\n");
}

TEST(a_newer_attempt_starts_when_the_older_one_is_dead)
{
        rig_start();
        rig_up(4);
        rig_run(4, 7, 1);
        rig_assign(4, 7, 2);
        rig_entered(7, 2);
        RIG_EXPECT("[1000] enter 7.2\n"
                   "[1000] kill 7.1 fenced\n");
        rig_ended(7, 1, PX_OUTCOME_CANCELLED, 0);
        RIG_EXPECT("[1000] start 7.2\n"
                   "[1000] RESULT 7.1 cancelled\n");
}

TEST(a_newer_attempt_takes_the_place_of_one_that_never_ran)
{
        rig_start();
        rig_up(4);
        rig_run(4, 7, 1);
        rig_assign(4, 7, 2);
        rig_entered(7, 2);
        rig_forget();
        rig_assign(4, 7, 3);
        rig_entered(7, 3);
        rig_ended(7, 1, PX_OUTCOME_CANCELLED, 0);
        RIG_EXPECT("[1000] enter 7.3\n"
                   "[1000] remove 7.2\n"
                   "[1000] kill 7.1 fenced\n"
                   "[1000] RESULT 7.2 gone\n"
                   "[1000] start 7.3\n"
                   "[1000] RESULT 7.1 cancelled\n");
}

TEST(an_older_assignment_that_was_overtaken_starts_nothing)
{
        rig_start();
        rig_up(4);
        rig_run(4, 7, 2);
        rig_assign(4, 7, 1);
        RIG_EXPECT("");
}

TEST(a_refused_entry_is_refused_again_when_repeated)
{
        rig_start();
        rig_up(4);
        rig_assign(4, 7, 1);
        rig_refused(7, 1, PX_E_NO_ACCOUNT);
        rig_assign(4, 7, 1);
        rig_assign(4, 7, 2);
        RIG_EXPECT("[1000] enter 7.1\n"
                   "[1000] ACCEPT 7.1 NO_ACCOUNT\n"
                   "[1000] ACCEPT 7.1 NO_ACCOUNT\n"
                   "[1000] enter 7.2\n");
}

TEST(a_refused_start_is_a_result)
{
        rig_start();
        rig_up(4);
        rig_assign(4, 7, 1);
        rig_entered(7, 1);
        rig_forget();
        rig_refused(7, 1, PX_E_NO_PROGRAM);
        RIG_EXPECT("[1000] RESULT 7.1 refused\n");
}

TEST(a_kill_ends_a_running_attempt)
{
        rig_start();
        rig_up(4);
        rig_run(4, 7, 1);
        rig_kill(4, 7, 1, PX_KILL_WHY_SIGNAL);
        rig_kill(4, 7, 1, PX_KILL_WHY_CANCEL);
        rig_kill(4, 7, 1, PX_KILL_WHY_CANCEL);
        RIG_EXPECT("[1000] signal 7.1 10\n"
                   "[1000] kill 7.1 cancel\n"
                   "[1000] kill 7.1 cancel\n");
        rig_ended(7, 1, PX_OUTCOME_CANCELLED, 0);
        rig_kill(4, 7, 1, PX_KILL_WHY_CANCEL);
        RIG_EXPECT("[1000] RESULT 7.1 cancelled\n"
                   "[1000] RESULT 7.1 cancelled\n");
}

TEST(a_kill_of_what_is_not_held_is_answered_gone_and_its_assignment_comes_too_late)
{
        rig_start();
        rig_up(4);
        rig_kill(4, 7, 1, PX_KILL_WHY_CANCEL);
        rig_assign(4, 7, 1);
        RIG_EXPECT("[1000] RESULT 7.1 gone\n"
                   "[1000] RESULT 7.1 gone\n");
        rig_assign(4, 7, 2);
        RIG_EXPECT("[1000] enter 7.2\n");
}

TEST(a_kill_before_the_entry_is_durable_leaves_nothing)
{
        rig_start();
        rig_up(4);
        rig_assign(4, 7, 1);
        rig_kill(4, 7, 1, PX_KILL_WHY_CANCEL);
        rig_entered(7, 1);
        RIG_EXPECT("[1000] enter 7.1\n"
                   "[1000] RESULT 7.1 gone\n"
                   "[1000] remove 7.1\n");
}

TEST(a_result_is_repeated_until_it_is_confirmed)
{
        rig_start();
        rig_up(4);
        rig_run(4, 7, 1);
        rig_ended(7, 1, PX_OUTCOME_FAILED, 0);
        rig_until(2500);
        rig_ctl_pong(0);
        rig_until(5000);
        RIG_EXPECT("[1000] RESULT 7.1 failed\n"
                   "[3000] PING\n"
                   "[3000] DATA_HELLO\n"
                   "[4000] RESULT 7.1 failed\n"
                   "[5000] PING\n"
                   "[5000] DATA_HELLO\n");
        rig_result_ok(7, 1);
        rig_until(14000);
        EXPECT_U64(node_attempts_count(rig_node()), 0);
}

TEST(an_at_most_once_attempt_does_not_start_after_a_long_silence)
{
        rig_start();
        rig_up(4);
        rig_run(4, 7, 1);
        rig_assign_fail(4, 7, 2, 10000);
        rig_entered(7, 2);
        rig_forget();
        rig_until(10000); /* 9000 ms without an answer: half a lease and a fifth of 10 s */
        rig_forget();
        rig_ended(7, 1, PX_OUTCOME_CANCELLED, 0);
        RIG_EXPECT("[10000] RESULT 7.1 cancelled 7.2 gave_up\n");
}

TEST(progress_is_said_four_times_a_second_and_with_the_result)
{
        rig_start();
        rig_up(4);
        rig_run(4, 7, 1);
        rig_progress(7, 1, 10);
        rig_progress(7, 1, 20);
        rig_until(1100);
        rig_progress(7, 1, 30);
        rig_until(1400);
        rig_until(2000);
        rig_progress(7, 1, 40);
        rig_progress(7, 1, 50);
        rig_ended(7, 1, PX_OUTCOME_OK, 0);
        RIG_EXPECT("[1000] PROGRESS 7.1 10\n"
                   "[1250] PROGRESS 7.1 30\n"
                   "[2000] PROGRESS 7.1 40\n"
                   "[2000] RESULT 7.1 ok progress 50\n");
}

TEST(progress_is_repeated_to_a_new_broker)
{
        rig_start();
        rig_up(4);
        rig_run(4, 7, 1);
        rig_progress(7, 1, 10);
        rig_until(2000);
        rig_forget();
        rig_data_pong(RIG_EPOCH + 1);
        RIG_EXPECT("[2000] PROGRESS 7.1 10\n");
}
