/* SPDX-License-Identifier: Apache-2.0 */
/* test_core_run.c - a job's way through the broker's core, and its retries. */
#include "core_driver.h"
#include "test.h"

TEST(a_job_runs_on_a_node_and_ends_ok)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t job;

        driver_trace_reset(driver);
        job = client_submit(&ana, driver_true(driver), NULL);
        EXPECT_U64(job, 1);
        EXPECT_INT(player_assigned(&n1, job), 1);
        EXPECT_INT(driver_effects(driver, CORE_EFFECT_LOG_OPEN), 1);
        driver_run_ms(driver, 10);
        player_runs(&n1, job);
        driver_run_ms(driver, 10);
        player_result(&n1, job, PX_OUTCOME_OK, 0);
        EXPECT_INT(player_confirmed(&n1, job), 1);
        EXPECT_INT(driver_effects(driver, CORE_EFFECT_LOG_CLOSE), 1);
        EXPECT_INT(driver_effects(driver, CORE_EFFECT_JOB_END), 1);
        EXPECT_TEXT(driver_trace(driver), "[     0] job.submitted j1\n"
                                          "[     0] job.assigned j1 a1 n1 (given to node n1)\n"
                                          "[    10] job.started j1 a1 n1 (running on n1)\n"
                                          "[    20] job.ok j1 a1 n1 (finished on n1)\n");
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_JOB), 0);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_DONE), 1);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_ATTEMPT), 1);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_SPEC), 1);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_OWNER), 1);
        EXPECT_U64(core_jobs_count(driver_core(driver)), 0);
}

TEST(a_result_that_is_repeated_is_confirmed_and_changes_nothing)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t job = client_submit(&ana, driver_true(driver), NULL);

        player_runs(&n1, job);
        player_result(&n1, job, PX_OUTCOME_OK, 0);
        driver_trace_reset(driver);
        player_result(&n1, job, PX_OUTCOME_FAILED, 1);
        EXPECT_INT(player_confirmed(&n1, job), 1);
        EXPECT_TEXT(driver_trace(driver), "");
        EXPECT_TEXT(driver_state(driver, job), "ok");
}

TEST(a_result_that_comes_before_started_ends_the_job)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t ok = client_submit(&ana, driver_true(driver), NULL);
        uint64_t failed, timeout;

        player_result(&n1, ok, PX_OUTCOME_OK, 0);
        failed = client_submit(&ana, driver_true(driver), NULL);
        player_result(&n1, failed, PX_OUTCOME_FAILED, 1);
        timeout = client_submit(&ana, driver_true(driver), NULL);
        player_result(&n1, timeout, PX_OUTCOME_TIMEOUT, -1);
        EXPECT_TEXT(driver_state(driver, ok), "ok");
        EXPECT_TEXT(driver_state(driver, failed), "failed");
        EXPECT_TEXT(driver_state(driver, timeout), "timeout");
}

TEST(a_failed_job_is_retried_after_its_backoff_and_fails_when_retries_are_used)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        uint64_t job;

        wish.retries = 1;
        wish.backoff_ms = 100;
        job = client_submit(&ana, wish, NULL);
        player_runs(&n1, job);
        player_result(&n1, job, PX_OUTCOME_FAILED, 3);
        EXPECT_TEXT(driver_state(driver, job), "blocked");
        EXPECT_TEXT(driver_reason(driver, job), "backoff");
        driver_run_ms(driver, 49);
        EXPECT_TEXT(driver_state(driver, job), "blocked");
        driver_run_ms(driver, 51);
        EXPECT_TEXT(driver_state(driver, job), "assigned");
        EXPECT_INT(driver_fence(driver, job).attempt, 2);
        player_runs(&n1, job);
        player_result(&n1, job, PX_OUTCOME_FAILED, 4);
        EXPECT_TEXT(driver_state(driver, job), "failed");
        EXPECT_INT(driver_job(driver, job).exit_code, 4);
        EXPECT_INT(driver_job(driver, job).failures, 2);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_ATTEMPT), 2);
}

TEST(backoffs_double)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        uint64_t job;

        wish.retries = 5;
        wish.backoff_ms = 100;
        job = client_submit(&ana, wish, NULL);
        for (int64_t backoff_ms = 100; backoff_ms <= 1600; backoff_ms *= 2) {
                int64_t wait_ms;

                player_runs(&n1, job);
                player_result(&n1, job, PX_OUTCOME_TIMEOUT, -1);
                wait_ms = driver_job(driver, job).deadline_ms - driver_now_ms(driver);
                EXPECT(wait_ms >= backoff_ms / 2 && wait_ms <= backoff_ms);
                for (int64_t t = 0; t < wait_ms; t += 100) {
                        player_ping(&n1);
                        driver_run_ms(driver, 100);
                }
                EXPECT_TEXT(driver_state(driver, job), "assigned");
        }
        player_result(&n1, job, PX_OUTCOME_TIMEOUT, -1);
        EXPECT_TEXT(driver_state(driver, job), "timeout");
}

TEST(a_retry_without_backoff_goes_at_once)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        uint64_t job;

        wish.retries = 1;
        job = client_submit(&ana, wish, NULL);
        player_runs(&n1, job);
        driver_trace_reset(driver);
        player_result(&n1, job, PX_OUTCOME_FAILED, 3);
        EXPECT_INT(player_assigned(&n1, job), 1);
        EXPECT_TEXT(driver_trace(driver), "[     0] job.retrying j1 a1 n1 (exit 3 on n1)\n"
                                          "[     0] job.assigned j1 a2 n1 (given to node n1)\n");
}

TEST(a_program_that_is_not_there_fails_the_job_at_once_in_spite_of_retries)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        uint64_t job;

        wish.retries = 5;
        job = client_submit(&ana, wish, NULL);
        player_accept(&n1, job, PX_E_NO_PROGRAM);
        EXPECT_TEXT(driver_state(driver, job), "failed");
        EXPECT_TEXT(driver_reason(driver, job), "no_program");
        EXPECT_INT(driver_job(driver, job).exit_code, 127);
}

TEST(a_node_that_cannot_start_a_job_leaves_it_to_another)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct player n2 = driver_node(driver, KEY2, "n2");
        struct client ana = driver_client(driver, ANA);
        uint64_t job = client_submit(&ana, driver_true(driver), NULL);

        EXPECT_INT(player_assigned(&n1, job), 1);
        player_accept(&n1, job, PX_E_NODE_FAULT);
        EXPECT_TEXT(driver_state(driver, job), "blocked");
        driver_run_ms(driver, 500);
        player_ping(&n1);
        player_ping(&n2);
        driver_run_ms(driver, 500);
        EXPECT_INT(player_assigned(&n2, job), 1);
        player_runs(&n2, job);
        player_result(&n2, job, PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, job), "ok");
}

TEST(a_job_that_no_node_can_start_fails_after_five)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 100000});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t job = client_submit(&ana, driver_true(driver), NULL);

        for (int i = 1; i <= 5; i++) {
                EXPECT_INT(driver_fence(driver, job).attempt, i);
                player_accept(&n1, job, PX_E_NODE_FAULT);
                driver_run_ms(driver, 1000);
        }
        EXPECT_TEXT(driver_state(driver, job), "failed");
        EXPECT_TEXT(driver_reason(driver, job), "node_fault");
}

TEST(an_assignment_is_repeated_until_it_is_accepted)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 100000});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t job = client_submit(&ana, driver_true(driver), NULL);

        driver_run_ms(driver, 299);
        EXPECT_INT(player_assigned(&n1, job), 1); /* the first one */
        driver_run_ms(driver, 1);
        EXPECT_INT(player_assigned(&n1, job), 1);
        EXPECT_INT(driver_effects(driver, CORE_EFFECT_LOG_OPEN), 0);
        driver_run_ms(driver, 300);
        EXPECT_INT(player_assigned(&n1, job), 1);
        EXPECT_INT(driver_fence(driver, job).attempt, 1);
        player_accept(&n1, job, 0);
        driver_run_ms(driver, 400);
        EXPECT_INT(player_assigned(&n1, job), 0);
}

TEST(a_job_with_a_start_time_waits_for_it)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 10000000});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        uint64_t job;

        wish.start_wall_ms = driver_wall_ms(driver) + 1000000;
        job = client_submit(&ana, wish, NULL);
        EXPECT_TEXT(driver_state(driver, job), "blocked");
        EXPECT_TEXT(driver_reason(driver, job), "start_time");
        driver_run_ms(driver, 999999);
        EXPECT_TEXT(driver_state(driver, job), "blocked");
        driver_restart(driver, 0);
        driver_run_ms(driver, 1);
        EXPECT_TEXT(driver_state(driver, job), "queued");
        EXPECT_INT(player_hello(&n1), 0);
        EXPECT_INT(player_assigned(&n1, job), 1);
}

TEST(a_task_result_reaches_the_watcher)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player hand = driver_worker(driver, ANA, "w", "resize");
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_task(driver, "resize");
        static uint8_t bytes[5000];
        struct px_end end;
        uint64_t job;

        memset(bytes, 'r', sizeof(bytes));
        wish.notify = true;
        job = client_submit(&ana, wish, NULL);
        EXPECT_INT(player_assigned(&hand, job), 1);
        player_result_of(&hand, &(struct px_result){.job = {job},
                                                    .fence = driver_fence(driver, job),
                                                    .outcome = PX_OUTCOME_OK,
                                                    .progress_permille = -1,
                                                    .has_result = true,
                                                    .result = px_slice_of(bytes, sizeof(bytes))});
        EXPECT(client_end(&ana, job, &end));
        EXPECT_INT(end.state, PX_JOB_STATE_OK);
        EXPECT(end.has_result);
        EXPECT_BYTES(end.result, px_slice_of(bytes, sizeof(bytes)));
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_RESULT), 3);
        /* And whoever asks later. */
        EXPECT(client_watch(&ana, job, &end));
        EXPECT_BYTES(end.result, px_slice_of(bytes, sizeof(bytes)));
}

TEST(a_watch_is_answered_when_the_job_ends)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct px_end end;
        uint64_t job = client_submit(&ana, driver_true(driver), NULL);

        EXPECT(!client_watch(&ana, job, &end));
        player_runs(&n1, job);
        player_result_of(&n1, &(struct px_result){.job = {job},
                                                  .fence = driver_fence(driver, job),
                                                  .outcome = PX_OUTCOME_FAILED,
                                                  .exit_code = -1,
                                                  .signal = 9,
                                                  .text = px_slice_text("out of luck"),
                                                  .progress_permille = -1});
        EXPECT(client_end(&ana, job, &end));
        EXPECT_INT(end.state, PX_JOB_STATE_FAILED);
        EXPECT_INT(end.signal, 9);
        EXPECT_BYTES(end.text, px_slice_text("killed by SIGKILL on n1: out of luck"));
        /* The same words come from the rows. */
        EXPECT(client_watch(&ana, job, &end));
        EXPECT_BYTES(end.text, px_slice_text("killed by SIGKILL on n1: out of luck"));
        EXPECT_BYTES(end.node, px_slice_text("n1"));
}

/* ---- progress ---------------------------------------------------------------------------------- */

static void keep_progress(struct driver *driver, uint64_t job, struct px_fence fence)
{
        struct px_progress item = {.job = {job},
                                   .fence = fence,
                                   .permille = 420,
                                   .text = px_slice_text("slice 42"),
                                   .wall_ms = 7};
        struct px_m_progress_keep keep = {.items = &item, .items_count = 1};
        struct px_buf frame = {0};

        px_m_progress_keep_frame(&keep, 0, 0, &frame);
        driver_shell(driver, px_buf_slice(&frame));
        px_buf_fini(&frame);
}

TEST(progress_is_kept_over_a_restart_until_the_attempt_ends)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 100000});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        struct px_progress_row row = {0};
        struct px_slice value = PX_SLICE_NONE;
        struct row_key key;
        struct px_fence stale;
        uint64_t job;

        wish.retries = 1;
        job = client_submit(&ana, wish, NULL);
        key = row_key_u64(job);
        keep_progress(driver, job + 1, (struct px_fence){1, 1});
        EXPECT_U64(driver_rows_count(driver, PX_TABLE_PROGRESS), 0);
        player_runs(&n1, job);
        stale = driver_fence(driver, job);
        keep_progress(driver, job, driver_fence(driver, job));
        driver_restart(driver, 100);
        EXPECT(driver_row(driver, PX_TABLE_PROGRESS, &key, &value));
        EXPECT_INT(px_progress_row_decode(value, driver_arena(driver), &row), PX_WIRE_OK);
        EXPECT_INT(row.permille, 420);
        EXPECT(px_slice_equal(row.text, px_slice_text("slice 42")));
        player_holds(&n1, job, driver_fence(driver, job), PX_ATTEMPT_STATE_RUNNING);
        EXPECT_INT(player_hello(&n1), 0);
        player_result(&n1, job, PX_OUTCOME_FAILED, 1);
        EXPECT_U64(driver_rows_count(driver, PX_TABLE_PROGRESS), 0);
        keep_progress(driver, job, stale); /* of the attempt before */
        EXPECT_U64(driver_rows_count(driver, PX_TABLE_PROGRESS), 0);
}
