/* SPDX-License-Identifier: Apache-2.0 */
/* test_core_lost.c - nodes that fall silent, come back, restart: leases, fences, on_lost. */
#include "core_driver.h"
#include "test.h"

static uint64_t submit_fail(struct client *client, uint64_t lost_after_ms)
{
        struct px_submit_job wish = driver_true(client->driver);

        wish.on_lost = PX_ON_LOST_FAIL;
        wish.lost_after_ms = lost_after_ms;
        return client_submit(client, wish, NULL);
}

TEST(a_job_of_a_silent_node_runs_again_elsewhere)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct player n2;
        struct client ana = driver_client(driver, ANA);
        uint64_t job = client_submit(&ana, driver_true(driver), NULL);

        player_runs(&n1, job);
        n2 = driver_node(driver, KEY2, "n2");
        driver_run_ms(driver, 600);
        player_ping(&n2);
        driver_trace_reset(driver);
        driver_run_ms(driver, 399);
        EXPECT_TEXT(driver_trace(driver), "");
        driver_run_ms(driver, 1);
        EXPECT_TEXT(driver_trace(driver),
                    "[  1000] node.lost n1 (silent for its lease)\n"
                    "[  1000] job.retrying j1 a1 n1 (node n1 became unreachable)\n"
                    "[  1000] job.assigned j1 a2 n2 (given to node n2)\n");
        EXPECT_INT(player_assigned(&n2, job), 1);
        EXPECT(!driver_effect(driver, CORE_EFFECT_LOG_CLOSE)->log_close.known);
}

TEST(a_node_that_comes_back_kills_what_was_given_to_another)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct player n2;
        struct client ana = driver_client(driver, ANA);
        uint64_t job = client_submit(&ana, driver_true(driver), NULL);
        struct px_fence old = driver_fence(driver, job);
        struct px_kill kill;

        player_runs(&n1, job);
        n2 = driver_node(driver, KEY2, "n2");
        driver_run_ms(driver, 600);
        player_ping(&n2);
        driver_run_ms(driver, 400);
        player_ping(&n1);
        EXPECT_INT(driver_mail_count(driver, n1.peer, PX_M_AGAIN), 1);
        player_holds(&n1, job, old, PX_ATTEMPT_STATE_RUNNING);
        EXPECT_INT(player_hello(&n1), 0);
        EXPECT_INT(player_killed(&n1, job, &kill), 1);
        EXPECT_INT(kill.why, PX_KILL_WHY_FENCED);
        EXPECT(px_fence_equal(kill.fence, old));
        /* What it takes up is not given out twice, and the kill is said again. */
        driver_run_ms(driver, 300);
        EXPECT_INT(player_killed(&n1, job, NULL), 1);
        /* Its result is confirmed and changes nothing. */
        player_result_of(&n1, &(struct px_result){.job = {job}, .fence = old,
                                                  .outcome = PX_OUTCOME_OK,
                                                  .progress_permille = -1});
        EXPECT_INT(player_confirmed(&n1, job), 1);
        EXPECT_TEXT(driver_state(driver, job), "assigned");
        EXPECT_INT(driver_fence(driver, job).attempt, 2);
        driver_run_ms(driver, 300);
        EXPECT_INT(player_killed(&n1, job, NULL), 0);
}

TEST(a_stale_result_of_an_ended_attempt_is_confirmed_at_hello)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000});
        struct player n1 = driver_node(driver, KEY1, "n1");

        player_holds(&n1, 77, (struct px_fence){1, 1}, PX_ATTEMPT_STATE_ENDED);
        player_holds(&n1, 78, (struct px_fence){1, 1}, PX_ATTEMPT_STATE_ACCEPTED);
        EXPECT_INT(player_hello(&n1), 0);
        EXPECT_INT(player_confirmed(&n1, 77), 1);
        EXPECT_INT(player_killed(&n1, 77, NULL), 0);
        EXPECT_INT(player_killed(&n1, 78, NULL), 1);
        EXPECT_INT(player_confirmed(&n1, 78), 0);
}

TEST(a_job_lost_five_times_in_a_row_ends_lost)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t job = client_submit(&ana, driver_true(driver), NULL);

        for (int i = 1; i <= 5; i++) {
                EXPECT_TEXT(driver_state(driver, job), "assigned");
                EXPECT_INT(driver_fence(driver, job).attempt, i);
                player_runs(&n1, job);
                player_result(&n1, job, PX_OUTCOME_KEEPER_DIED, -1);
        }
        EXPECT_TEXT(driver_state(driver, job), "lost");
        EXPECT_TEXT(driver_reason(driver, job), "lost_limit");
}

TEST(a_failure_between_losses_starts_their_count_anew)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        uint64_t job;

        wish.retries = 1;
        job = client_submit(&ana, wish, NULL);
        for (int i = 0; i < 4; i++)
                player_result(&n1, job, PX_OUTCOME_GONE, -1);
        EXPECT_INT(driver_job(driver, job).losses, 4);
        player_result(&n1, job, PX_OUTCOME_FAILED, 1);
        EXPECT_INT(driver_job(driver, job).losses, 0);
        for (int i = 0; i < 4; i++)
                player_result(&n1, job, PX_OUTCOME_GONE, -1);
        EXPECT_TEXT(driver_state(driver, job), "assigned");
}

TEST(a_fail_job_of_a_silent_node_waits_and_goes_on_when_the_node_returns)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t job = submit_fail(&ana, 5000);

        player_runs(&n1, job);
        driver_trace_reset(driver);
        driver_run_ms(driver, 1000);
        EXPECT_TEXT(driver_state(driver, job), "running");
        EXPECT_TEXT(driver_reason(driver, job), "unreachable");
        driver_run_ms(driver, 4000);
        player_holds(&n1, job, driver_fence(driver, job), PX_ATTEMPT_STATE_RUNNING);
        EXPECT_INT(player_hello(&n1), 0);
        EXPECT_TEXT(driver_reason(driver, job), "running");
        EXPECT_INT(driver_effects(driver, CORE_EFFECT_LOG_OPEN), 1);
        EXPECT_TEXT(driver_trace(driver),
                    "[  1000] node.lost n1 (silent for its lease)\n"
                    "[  1000] job.unreachable j1 a1 n1 (node n1 is unreachable; given up in 5.0 "
                    "s)\n"
                    "[  5000] node.up n1\n"
                    "[  5000] job.adopted j1 a1 n1 (running on n1)\n");
        player_result(&n1, job, PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, job), "ok");
}

TEST(a_fail_job_of_a_silent_node_ends_lost_after_its_time)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t job = submit_fail(&ana, 5000);
        struct px_fence fence = driver_fence(driver, job);

        player_runs(&n1, job);
        driver_run_ms(driver, 5999);
        EXPECT_TEXT(driver_state(driver, job), "running");
        driver_run_ms(driver, 1);
        EXPECT_TEXT(driver_state(driver, job), "lost");
        EXPECT_TEXT(driver_reason(driver, job), "node_lost");
        /* Late: it never runs again, and what is left is killed. */
        player_holds(&n1, job, fence, PX_ATTEMPT_STATE_RUNNING);
        EXPECT_INT(player_hello(&n1), 0);
        EXPECT_INT(player_killed(&n1, job, NULL), 1);
        EXPECT_TEXT(driver_state(driver, job), "lost");
}

TEST(a_restart_waits_for_an_unreachable_attempt_in_full_again)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t job = submit_fail(&ana, 5000);

        player_runs(&n1, job);
        driver_run_ms(driver, 5900);
        /* Its wall clock says that a day passed, but the attempt counts by its own. */
        driver_restart(driver, 24 * 3600 * 1000);
        driver_run_ms(driver, 4999);
        EXPECT_TEXT(driver_state(driver, job), "running");
        driver_run_ms(driver, 1);
        EXPECT_TEXT(driver_state(driver, job), "lost");
}

TEST(a_fail_job_whose_keeper_died_ends_lost)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t first = submit_fail(&ana, 0);
        uint64_t second;

        player_runs(&n1, first);
        player_result(&n1, first, PX_OUTCOME_KEEPER_DIED, -1);
        EXPECT_TEXT(driver_state(driver, first), "lost");
        EXPECT_TEXT(driver_reason(driver, first), "keeper_died");
        second = submit_fail(&ana, 0);
        player_result(&n1, second, PX_OUTCOME_GAVE_UP, -1);
        EXPECT_TEXT(driver_state(driver, second), "lost");
        EXPECT_TEXT(driver_reason(driver, second), "gave_up");
}

TEST(a_broker_restart_is_a_non_event_for_a_running_job)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t job = client_submit(&ana, driver_true(driver), NULL);

        player_runs(&n1, job);
        driver_restart(driver, 60000);
        driver_run_ms(driver, 900);
        EXPECT_TEXT(driver_state(driver, job), "running");
        player_holds(&n1, job, driver_fence(driver, job), PX_ATTEMPT_STATE_RUNNING);
        driver_trace_reset(driver);
        EXPECT_INT(player_hello(&n1), 0);
        EXPECT_TEXT(driver_trace(driver), "[ 60900] node.up n1\n");
        EXPECT_INT(driver_effects(driver, CORE_EFFECT_LOG_OPEN), 1);
        player_result(&n1, job, PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, job), "ok");
        EXPECT_INT(driver_fence(driver, job).attempt, 1);
}

TEST(fences_name_the_epoch_that_gave_them_out)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t job = client_submit(&ana, driver_true(driver), NULL);

        EXPECT_U64(driver_fence(driver, job).epoch, 1);
        driver_restart(driver, 0);
        EXPECT_INT(player_hello(&n1), 0);
        player_result(&n1, job, PX_OUTCOME_GONE, -1);
        EXPECT_U64(driver_fence(driver, job).epoch, 2);
        EXPECT_INT(driver_fence(driver, job).attempt, 2);
}

/* ---- the table of DESIGN 5.2 ------------------------------------------------------------------------- */

TEST(same_boot_same_spool_an_assigned_job_that_is_not_held_is_sent_again)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t job = submit_fail(&ana, 0);

        EXPECT_INT(player_hello(&n1), 0);
        EXPECT_INT(player_assigned(&n1, job), 1);
        EXPECT_INT(driver_effects(driver, CORE_EFFECT_LOG_OPEN), 1);
        EXPECT_INT(driver_fence(driver, job).attempt, 1);
}

TEST(same_boot_same_spool_a_running_job_that_is_not_held_is_gone)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t rerun = client_submit(&ana, driver_true(driver), NULL);
        uint64_t fail = submit_fail(&ana, 0);

        player_runs(&n1, rerun);
        player_runs(&n1, fail);
        EXPECT_INT(player_hello(&n1), 0);
        EXPECT_TEXT(driver_state(driver, fail), "lost");
        EXPECT_INT(driver_fence(driver, rerun).attempt, 2);
        EXPECT_INT(player_assigned(&n1, rerun), 1);
}

TEST(same_boot_same_spool_a_held_attempt_that_started_is_running)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t job = client_submit(&ana, driver_true(driver), NULL);

        player_holds(&n1, job, driver_fence(driver, job), PX_ATTEMPT_STATE_RUNNING);
        EXPECT_INT(player_hello(&n1), 0);
        EXPECT_INT(player_assigned(&n1, job), 0);
        EXPECT_TEXT(driver_state(driver, job), "running");
}

TEST(other_boot_ended_attempts_report_and_the_rest_is_gone)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_player(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t ended, running, missing;

        n1.cpus_milli = 8000;
        EXPECT_INT(player_hello(&n1), 0);
        ended = submit_fail(&ana, 0);
        running = submit_fail(&ana, 0);
        missing = submit_fail(&ana, 0);
        player_runs(&n1, ended);
        player_runs(&n1, running);
        player_holds(&n1, ended, driver_fence(driver, ended), PX_ATTEMPT_STATE_ENDED);
        player_holds(&n1, running, driver_fence(driver, running), PX_ATTEMPT_STATE_RUNNING);
        n1.boot[0] ^= 1;
        EXPECT_INT(player_hello(&n1), 0);
        EXPECT_TEXT(driver_state(driver, ended), "running");
        EXPECT_TEXT(driver_state(driver, running), "lost");
        EXPECT_TEXT(driver_reason(driver, running), "node_restarted");
        EXPECT_TEXT(driver_state(driver, missing), "lost");
        EXPECT_INT(player_killed(&n1, running, NULL), 1);
        player_result(&n1, ended, PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, ended), "ok");
}

TEST(other_spool_all_is_unknown)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t fail = submit_fail(&ana, 0);
        uint64_t rerun = client_submit(&ana, driver_true(driver), NULL);

        player_runs(&n1, fail);
        player_runs(&n1, rerun);
        driver_peer_gone(driver, n1.peer);
        n1.spool[0] ^= 1;
        EXPECT_INT(player_hello(&n1), 0);
        EXPECT_TEXT(driver_state(driver, fail), "lost");
        EXPECT_TEXT(driver_reason(driver, fail), "node_lost");
        EXPECT_INT(driver_fence(driver, rerun).attempt, 2);
}

TEST(another_cluster_is_refused)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct px_m_node_hello hello = {
                .cluster = px_slice_text("another  cluster"),
                .name = px_slice_text("n1"),
                .kind = PX_NODE_KIND_NODE,
                .boot = px_slice_text("0123456789abcdef"),
                .spool = px_slice_text("0123456789abcdef"),
        };
        struct px_buf frame = {0};

        px_m_node_hello_frame(&hello, 0, 0, &frame);
        driver_say(driver, CORE_FROM_NODE, 99, KEY1, px_buf_slice(&frame));
        px_buf_fini(&frame);
        EXPECT_INT(driver_refused(driver, 99), PX_E_CLUSTER);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_NODE), 0);
}

TEST(a_second_live_node_of_a_name_is_refused_by_name_of_the_first)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000});
        struct player first = driver_node(driver, KEY1, "n1");
        struct player second = driver_player(driver, KEY1, "n1");
        struct player third = driver_player(driver, KEY1, "n7");

        second.boot[0] ^= 1;
        second.spool[0] ^= 1;
        EXPECT_INT(player_hello(&second), PX_E_DUPLICATE);
        EXPECT_INT(player_hello(&third), PX_E_CONFLICT); /* a node key has one name */
        player_ping(&first);
        EXPECT_INT(driver_mail_count(driver, first.peer, PX_M_PONG), 1);
        driver_run_ms(driver, 1000);
        EXPECT_INT(player_hello(&second), 0); /* the first is gone */
}

TEST(a_node_that_restarted_within_its_lease_is_welcome)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000});
        struct player n1 = driver_node(driver, KEY1, "n1");

        n1.boot[0] ^= 1;
        EXPECT_INT(player_hello(&n1), 0);
}

TEST(an_admin_key_starts_nodes_of_several_names)
{
        struct driver *driver = driver_start((struct driver_options){0});

        (void)driver_node(driver, ROOT, "a1");
        (void)driver_node(driver, ROOT, "a2");
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_NODE), 2);
}

TEST(words_of_an_older_node_session_are_dropped)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t job = client_submit(&ana, driver_true(driver), NULL);

        n1.session--;
        player_started(&n1, job);
        EXPECT_TEXT(driver_state(driver, job), "assigned");
        n1.session++;
        player_started(&n1, job);
        EXPECT_TEXT(driver_state(driver, job), "running");
}

TEST(a_result_from_a_node_that_does_not_hold_the_job_changes_nothing)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t job = client_submit(&ana, driver_true(driver), NULL);
        struct player n2 = driver_node(driver, KEY2, "n2");

        player_runs(&n1, job);
        player_result(&n2, job, PX_OUTCOME_OK, 0);
        EXPECT_INT(player_confirmed(&n2, job), 1);
        EXPECT_TEXT(driver_state(driver, job), "running");
        player_accept(&n2, job, PX_E_NO_PROGRAM);
        EXPECT_TEXT(driver_state(driver, job), "running");
}

TEST(a_node_that_says_bye_and_keeps_its_jobs_has_its_lease_to_come_back)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t job = client_submit(&ana, driver_true(driver), NULL);

        player_runs(&n1, job);
        player_bye(&n1, false);
        driver_run_ms(driver, 999);
        EXPECT_TEXT(driver_state(driver, job), "running");
        player_holds(&n1, job, driver_fence(driver, job), PX_ATTEMPT_STATE_RUNNING);
        EXPECT_INT(player_hello(&n1), 0);
        EXPECT_TEXT(driver_state(driver, job), "running");
        player_bye(&n1, false);
        driver_run_ms(driver, 1000);
        EXPECT_TEXT(driver_state(driver, job), "queued");
}

TEST(a_node_that_says_bye_and_gone_gives_its_jobs_back)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t rerun = client_submit(&ana, driver_true(driver), NULL);
        uint64_t fail = submit_fail(&ana, 0);

        player_runs(&n1, rerun);
        player_runs(&n1, fail);
        driver_trace_reset(driver);
        player_bye(&n1, true);
        EXPECT_TEXT(driver_trace(driver), "[     0] node.stopped n1 (its attempts were ended)\n"
                                          "[     0] job.retrying j1 a1 n1 (node n1 was stopped)\n"
                                          "[     0] job.lost j2 a1 n1 (node n1 was stopped)\n");
        EXPECT_TEXT(driver_state(driver, rerun), "queued");
        EXPECT_TEXT(driver_state(driver, fail), "lost");
}

TEST(a_worker_that_is_gone_is_forgotten)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000});
        struct player w1 = driver_worker(driver, ANA, "w", "resize");
        struct player w2 = driver_worker(driver, ANA, "w", "resize");
        struct client ana = driver_client(driver, ANA);
        uint64_t job;

        EXPECT_INT(driver_rows_count(driver, PX_TABLE_NODE), 2); /* w and w-2 */
        job = client_submit(&ana, driver_task(driver, "resize"), NULL);
        player_runs(&w1, job);
        player_bye(&w2, false);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_NODE), 1);
        driver_run_ms(driver, 1000);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_NODE), 0);
        EXPECT_TEXT(driver_state(driver, job), "queued");
        (void)w1;
}
