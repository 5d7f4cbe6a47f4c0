/* SPDX-License-Identifier: Apache-2.0 */
/* test_node_leave.c - how a node stops: attempts go on, are waited for, or are ended. */
#include "node_rig.h"

static void shutdown(bool kill)
{
        rig_input((struct node_input){.kind = NODE_IN_SHUTDOWN, .kill = kill});
}

TEST(a_link_that_stops_leaves_its_attempts_running)
{
        rig_start();
        rig_up(4);
        rig_run(4, 1, 1);
        shutdown(false);
        RIG_EXPECT("[1000] BYE keeping 1\n"
                   "[1000] exit\n");
        rig_until(100000);
        RIG_EXPECT("");
}

TEST(a_stop_that_kills_waits_for_the_ends_and_says_them)
{
        rig_start();
        rig_up(4);
        rig_run(4, 1, 1);
        shutdown(true);
        rig_assign(4, 2, 1);
        rig_ended(1, 1, PX_OUTCOME_CANCELLED, 0);
        rig_result_ok(1, 1);
        RIG_EXPECT("[1000] kill 1.1 cancel\n"
                   "[1000] ACCEPT 2.1 BUSY\n"
                   "[1000] RESULT 1.1 cancelled\n"
                   "[1000] remove 1.1\n"
                   "[1000] BYE keeping 0, gone\n"
                   "[1000] exit\n");
}

TEST(a_drain_leaves_when_the_last_attempt_is_confirmed)
{
        rig_start();
        rig_up(4);
        rig_run(4, 1, 1);
        rig_stop(4, false);
        RIG_EXPECT("");
        rig_ended(1, 1, PX_OUTCOME_OK, 0);
        rig_result_ok(1, 1);
        RIG_EXPECT("[1000] RESULT 1.1 ok\n"
                   "[1000] remove 1.1\n"
                   "[1000] BYE keeping 0, gone\n"
                   "[1000] exit\n");
}

TEST(results_that_nobody_confirms_hold_up_a_stop_for_ten_seconds)
{
        rig_start();
        rig_up(4);
        rig_run(4, 1, 1);
        shutdown(true);
        rig_ended(1, 1, PX_OUTCOME_CANCELLED, 0);
        rig_until(10999);
        rig_forget();
        rig_until(11000);
        RIG_EXPECT("[11000] PING\n"
                   "[11000] DATA_HELLO\n"
                   "[11000] BYE keeping 1\n"
                   "[11000] exit\n");
}
