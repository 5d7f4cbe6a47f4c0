/* SPDX-License-Identifier: Apache-2.0 */
/* test_core_change.c - cancel, retry, hold, release, rename, purge, signal, priority, retention. */
#include "core_driver.h"
#include "test.h"

#define NO_ARGS ((struct change_args){0})

TEST(a_waiting_job_is_cancelled_at_once)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        uint64_t queued = client_submit(&ana, wish, NULL);
        uint64_t held;

        wish.hold = true;
        held = client_submit(&ana, wish, NULL);
        EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, queued, NO_ARGS), 0);
        EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, held, NO_ARGS), 0);
        EXPECT_TEXT(driver_state(driver, queued), "cancelled");
        EXPECT_TEXT(driver_state(driver, held), "cancelled");
        EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, queued, NO_ARGS), 0); /* again */
}

TEST(a_running_job_is_cancelled_when_its_node_proves_it)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 100000});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t job = client_submit(&ana, driver_true(driver), NULL);
        struct px_kill kill;

        player_runs(&n1, job);
        driver_trace_reset(driver);
        EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, job,
                                 (struct change_args){.text = "wrong input"}),
                   0);
        EXPECT_TEXT(driver_state(driver, job), "cancelling");
        EXPECT_INT(player_killed(&n1, job, &kill), 1);
        EXPECT_INT(kill.why, PX_KILL_WHY_CANCEL);
        EXPECT_U64(kill.grace_ms, 0);
        driver_run_ms(driver, 300);
        EXPECT_INT(player_killed(&n1, job, NULL), 1); /* said again */
        EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, job, (struct change_args){.force = true}),
                   0);
        EXPECT_INT(player_killed(&n1, job, &kill), 1);
        EXPECT_U64(kill.grace_ms, 1);
        player_result(&n1, job, PX_OUTCOME_CANCELLED, -1);
        EXPECT_TEXT(driver_trace(driver),
                    "[     0] job.cancelling j1 a1 n1 (being ended on n1: wrong input)\n"
                    "[   300] job.cancelled j1 a1 n1 (cancelled)\n");
        driver_run_ms(driver, 600);
        EXPECT_INT(player_killed(&n1, job, NULL), 0);
}

TEST(an_end_before_the_cancel_arrived_stands)
{
        static const struct {
                int outcome;
                const char *state;
        } cases[] = {
                {PX_OUTCOME_OK, "ok"},
                {PX_OUTCOME_FAILED, "failed"},
                {PX_OUTCOME_TIMEOUT, "timeout"},
                {PX_OUTCOME_CANCELLED, "cancelled"},
                {PX_OUTCOME_GONE, "cancelled"},
                {PX_OUTCOME_KEEPER_DIED, "cancelled"},
                {PX_OUTCOME_GAVE_UP, "cancelled"},
                {PX_OUTCOME_REFUSED, "cancelled"},
        };
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);

        wish.retries = 3;
        for (size_t i = 0; i < PX_COUNT_OF(cases); i++) {
                uint64_t job = client_submit(&ana, wish, NULL);

                EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, job, NO_ARGS), 0);
                EXPECT_TEXT(driver_state(driver, job), "cancelling");
                player_result(&n1, job, cases[i].outcome, 1);
                EXPECT_TEXT(driver_state(driver, job), cases[i].state);
        }
}

TEST(a_cancel_waits_for_an_unreachable_node_until_the_job_is_given_up)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        uint64_t first, second;

        wish.lost_after_ms = 5000;
        first = client_submit(&ana, wish, NULL);
        second = client_submit(&ana, wish, NULL);
        player_runs(&n1, first);
        player_runs(&n1, second);
        EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, first, NO_ARGS), 0);
        EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, second, NO_ARGS), 0);
        driver_run_ms(driver, 3000);
        EXPECT_TEXT(driver_state(driver, first), "cancelling");
        EXPECT_TEXT(driver_reason(driver, first), "unreachable");
        player_holds(&n1, first, driver_fence(driver, first), PX_ATTEMPT_STATE_RUNNING);
        EXPECT_INT(player_hello(&n1), 0);
        EXPECT_INT(player_killed(&n1, first, NULL), 1);
        EXPECT_TEXT(driver_state(driver, second), "cancelled"); /* the node has nothing of it */
        driver_run_ms(driver, 1000 + 4999);
        EXPECT_TEXT(driver_state(driver, first), "cancelling");
        driver_run_ms(driver, 1);
        EXPECT_TEXT(driver_state(driver, first), "lost");
}

TEST(a_fail_job_of_an_unreachable_node_can_be_cancelled)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        uint64_t job;

        wish.on_lost = PX_ON_LOST_FAIL;
        wish.lost_after_ms = 5000;
        job = client_submit(&ana, wish, NULL);
        player_runs(&n1, job);
        driver_run_ms(driver, 2000);
        EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, job, NO_ARGS), 0);
        EXPECT_TEXT(driver_state(driver, job), "cancelling");
        EXPECT_TEXT(driver_reason(driver, job), "unreachable");
        driver_run_ms(driver, 3999);
        EXPECT_TEXT(driver_state(driver, job), "cancelling");
        driver_run_ms(driver, 1);
        EXPECT_TEXT(driver_state(driver, job), "lost");
}

TEST(a_cancel_survives_a_restart_of_the_broker)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t job = client_submit(&ana, driver_true(driver), NULL);

        player_runs(&n1, job);
        EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, job, NO_ARGS), 0);
        driver_restart(driver, 100);
        player_holds(&n1, job, driver_fence(driver, job), PX_ATTEMPT_STATE_RUNNING);
        EXPECT_INT(player_hello(&n1), 0);
        EXPECT_INT(player_killed(&n1, job, NULL), 1);
}

TEST(an_ended_job_cannot_be_cancelled)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t job = client_submit(&ana, driver_true(driver), NULL);

        player_result(&n1, job, PX_OUTCOME_OK, 0);
        EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, job, NO_ARGS), PX_E_CONFLICT);
        EXPECT_INT(client_change(&ana, PX_CHANGE_HOLD, job, NO_ARGS), PX_E_CONFLICT);
        EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, 4711, NO_ARGS), PX_E_ABSENT);
}

TEST(ended_jobs_are_retried_under_the_same_id_with_the_next_attempt)
{
        static const int outcomes[] = {PX_OUTCOME_FAILED, PX_OUTCOME_TIMEOUT,
                                       PX_OUTCOME_CANCELLED, PX_OUTCOME_OK};
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t job = client_submit(&ana, driver_true(driver), NULL);

        for (size_t i = 0; i < PX_COUNT_OF(outcomes); i++) {
                EXPECT_INT(driver_fence(driver, job).attempt, i + 1);
                player_runs(&n1, job);
                EXPECT_INT(client_change(&ana, PX_CHANGE_RETRY, job, NO_ARGS), PX_E_CONFLICT);
                player_result(&n1, job, outcomes[i], 1);
                if (outcomes[i] == PX_OUTCOME_OK)
                        EXPECT_INT(client_change(&ana, PX_CHANGE_RETRY, job, NO_ARGS),
                                   PX_E_CONFLICT);
                EXPECT_INT(client_change(&ana, PX_CHANGE_RETRY, job,
                                         (struct change_args){.force = true}),
                           0);
                EXPECT_TEXT(driver_state(driver, job), "assigned");
                EXPECT_INT(driver_job(driver, job).failures, 0);
        }
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_DONE), 0);
}

TEST(a_lost_job_can_be_retried)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        uint64_t job;

        wish.on_lost = PX_ON_LOST_FAIL;
        job = client_submit(&ana, wish, NULL);
        player_result(&n1, job, PX_OUTCOME_GONE, -1);
        EXPECT_TEXT(driver_state(driver, job), "lost");
        EXPECT_INT(client_change(&ana, PX_CHANGE_RETRY, job, NO_ARGS), 0);
        EXPECT_TEXT(driver_state(driver, job), "assigned");
}

TEST(a_held_job_waits_for_its_release)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        uint64_t job = client_submit(&ana, driver_true(driver), NULL);
        struct player n1;

        EXPECT_INT(client_change(&ana, PX_CHANGE_HOLD, job, NO_ARGS), 0);
        EXPECT_INT(client_change(&ana, PX_CHANGE_HOLD, job, NO_ARGS), 0);
        n1 = driver_node(driver, KEY1, "n1");
        EXPECT_TEXT(driver_state(driver, job), "blocked");
        EXPECT_INT(client_change(&ana, PX_CHANGE_RELEASE, job, NO_ARGS), 0);
        EXPECT_INT(player_assigned(&n1, job), 1);
        EXPECT_INT(client_change(&ana, PX_CHANGE_HOLD, job, NO_ARGS), PX_E_CONFLICT);
        EXPECT_INT(client_change(&ana, PX_CHANGE_RELEASE, job, NO_ARGS), PX_E_CONFLICT);
}

TEST(a_job_held_over_its_start_time_is_free_when_released)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000000});
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        uint64_t job;

        wish.start_wall_ms = driver_wall_ms(driver) + 1000;
        job = client_submit(&ana, wish, NULL);
        EXPECT_INT(client_change(&ana, PX_CHANGE_HOLD, job, NO_ARGS), 0);
        EXPECT_TEXT(driver_reason(driver, job), "held");
        EXPECT_INT(client_change(&ana, PX_CHANGE_RELEASE, job, NO_ARGS), 0);
        EXPECT_TEXT(driver_reason(driver, job), "start_time");
        EXPECT_INT(client_change(&ana, PX_CHANGE_HOLD, job, NO_ARGS), 0);
        driver_run_ms(driver, 1000);
        EXPECT_TEXT(driver_state(driver, job), "blocked");
        EXPECT_INT(client_change(&ana, PX_CHANGE_RELEASE, job, NO_ARGS), 0);
        EXPECT_TEXT(driver_state(driver, job), "queued");
}

static void expect_name(struct driver *driver, uint64_t job, const char *name, size_t labels)
{
        struct row_key key = row_key_u64(job);
        struct px_slice value;
        struct px_name_row row;

        EXPECT(driver_row(driver, PX_TABLE_NAME, &key, &value));
        EXPECT_INT(px_name_row_decode(value, driver_arena(driver), &row), PX_WIRE_OK);
        EXPECT_BYTES(row.name, px_slice_text(name));
        EXPECT_INT(row.labels_count, labels);
}

TEST(a_rename_keeps_the_labels)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        struct px_label label = {px_slice_text("k"), px_slice_text("v")};
        uint64_t job, bare;

        wish.name = px_slice_text("first");
        wish.labels = &label;
        wish.labels_count = 1;
        job = client_submit(&ana, wish, NULL);
        expect_name(driver, job, "first", 1);
        EXPECT_INT(client_change(&ana, PX_CHANGE_RENAME, job, (struct change_args){.text = "second"}),
                   0);
        expect_name(driver, job, "second", 1);
        player_result(&n1, job, PX_OUTCOME_OK, 0);
        EXPECT_INT(client_change(&ana, PX_CHANGE_RENAME, job, (struct change_args){.text = "third"}),
                   0);
        expect_name(driver, job, "third", 1);
        bare = client_submit(&ana, driver_true(driver), NULL);
        EXPECT_INT(client_change(&ana, PX_CHANGE_RENAME, bare, (struct change_args){.text = "x"}),
                   0);
        expect_name(driver, bare, "x", 0);
        EXPECT_INT(client_change(&ana, PX_CHANGE_RENAME, bare, NO_ARGS), 0);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_NAME), 1);
}

TEST(a_purge_leaves_nothing_but_a_young_key)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player hand = driver_worker(driver, ANA, "w", "resize");
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_task(driver, "resize");
        uint64_t job;

        wish.name = px_slice_text("thing");
        wish.key = px_slice_text("key");
        wish.retries = 1;
        job = client_submit(&ana, wish, NULL);
        EXPECT_INT(client_change(&ana, PX_CHANGE_PURGE, job, NO_ARGS), PX_E_CONFLICT);
        player_result(&hand, job, PX_OUTCOME_FAILED, 1);
        player_result_of(&hand, &(struct px_result){.job = {job},
                                                    .fence = driver_fence(driver, job),
                                                    .outcome = PX_OUTCOME_OK,
                                                    .progress_permille = -1,
                                                    .has_result = true,
                                                    .result = px_slice_text("fine")});
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_ATTEMPT), 2);
        EXPECT_INT(client_change(&ana, PX_CHANGE_PURGE, job, NO_ARGS), 0);
        EXPECT_INT(driver_effects(driver, CORE_EFFECT_JOB_PURGED), 1);
        EXPECT_TEXT(driver_state(driver, job), "absent");
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_ATTEMPT), 0);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_SPEC), 0);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_RESULT), 0);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_NAME), 0);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_KEY), 1);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_OWNER), 0);
        EXPECT_INT(client_change(&ana, PX_CHANGE_PURGE, job, NO_ARGS), PX_E_ABSENT);
}

static void retention(struct driver *driver, uint64_t job)
{
        struct px_job_id id = {job};
        struct px_m_retention message = {.jobs = &id, .jobs_count = 1};
        struct px_buf frame = {0};

        px_m_retention_frame(&message, 0, 0, &frame);
        driver_shell(driver, px_buf_slice(&frame));
        px_buf_fini(&frame);
}

static void retention_of_key(struct driver *driver, const struct row_key *key)
{
        struct px_slice bytes = row_key_slice(key);
        struct px_m_retention retention = {.keys = &bytes, .keys_count = 1};
        struct px_buf frame = {0};

        px_m_retention_frame(&retention, 0, 0, &frame);
        driver_shell(driver, px_buf_slice(&frame));
        px_buf_fini(&frame);
}

/* The row's key of the only idempotency key there is. */
static struct row_key only_key(struct driver *driver, uint64_t job)
{
        struct row_key key = row_key_u32(ANA);

        row_key_add_bytes(&key, driver_job(driver, job).key);
        EXPECT_U64(driver_rows_count(driver, PX_TABLE_KEY), 1);
        return key;
}

TEST(retention_forgets_ended_jobs)
{
        struct driver *driver = driver_start((struct driver_options){.session_ms = 1ULL << 40});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t plain = client_submit(&ana, driver_true(driver), NULL);

        retention(driver, plain);
        EXPECT_TEXT(driver_state(driver, plain), "assigned");
        player_result(&n1, plain, PX_OUTCOME_OK, 0);
        retention(driver, plain);
        EXPECT_TEXT(driver_state(driver, plain), "absent");
}

/* RELIABILITY 4.2: as long as the job's record, and at least seven days. */
TEST(a_key_outlives_its_purged_job_until_it_is_seven_days_old)
{
        struct driver *driver = driver_start((struct driver_options){.session_ms = 1ULL << 40});
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        struct row_key key;
        uint64_t job;
        int code = 0;

        wish.key = px_slice_text("key");
        job = client_submit(&ana, wish, NULL);
        key = only_key(driver, job);
        EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, job, NO_ARGS), 0);
        EXPECT_INT(client_change(&ana, PX_CHANGE_PURGE, job, NO_ARGS), 0);
        EXPECT_TEXT(driver_state(driver, job), "absent");
        EXPECT_U64(client_submit(&ana, wish, NULL), job); /* and nothing runs twice */
        EXPECT_TEXT(driver_state(driver, job), "absent");
        wish.retries = 3;
        EXPECT_U64(client_submit(&ana, wish, &code), 0);
        EXPECT_INT(code, PX_E_KEY_CONFLICT);
        driver_run_ms(driver, 7LL * 24 * 3600 * 1000 - 1);
        retention_of_key(driver, &key);
        EXPECT_U64(driver_rows_count(driver, PX_TABLE_KEY), 1);
        driver_run_ms(driver, 1);
        retention_of_key(driver, &key);
        EXPECT_U64(driver_rows_count(driver, PX_TABLE_KEY), 0);
        EXPECT(client_submit(&ana, wish, NULL) > job);
}

TEST(a_key_goes_with_a_job_that_is_older_than_seven_days)
{
        struct driver *driver = driver_start((struct driver_options){.session_ms = 1ULL << 40});
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        struct row_key key;
        uint64_t job;

        wish.key = px_slice_text("key");
        wish.hold = true;
        job = client_submit(&ana, wish, NULL);
        key = only_key(driver, job);
        driver_run_ms(driver, 8LL * 24 * 3600 * 1000);
        retention_of_key(driver, &key); /* of an active job */
        EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, job, NO_ARGS), 0);
        retention_of_key(driver, &key); /* of an ended job */
        EXPECT_U64(driver_rows_count(driver, PX_TABLE_KEY), 1);
        EXPECT_INT(client_change(&ana, PX_CHANGE_PURGE, job, NO_ARGS), 0);
        EXPECT_U64(driver_rows_count(driver, PX_TABLE_KEY), 0);
}

TEST(a_signal_reaches_a_running_job_only)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t job = client_submit(&ana, driver_true(driver), NULL);
        struct px_kill kill;

        EXPECT_INT(client_change(&ana, PX_CHANGE_SIGNAL, job, (struct change_args){.number = 10}),
                   PX_E_CONFLICT);
        player_runs(&n1, job);
        EXPECT_INT(client_change(&ana, PX_CHANGE_SIGNAL, job, (struct change_args){.number = 65}),
                   PX_E_INVALID);
        EXPECT_INT(client_change(&ana, PX_CHANGE_SIGNAL, job, (struct change_args){.number = 10}),
                   0);
        EXPECT_INT(player_killed(&n1, job, &kill), 1);
        EXPECT_INT(kill.why, PX_KILL_WHY_SIGNAL);
        EXPECT_INT(kill.signal, 10);
        EXPECT_TEXT(driver_state(driver, job), "running");
}

TEST(a_higher_priority_goes_first)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        uint64_t first = client_submit(&ana, driver_true(driver), NULL);
        uint64_t second = client_submit(&ana, driver_true(driver), NULL);
        uint64_t third = client_submit(&ana, driver_true(driver), NULL);
        struct player n1 = driver_player(driver, KEY1, "n1");

        EXPECT_INT(client_change(&ana, PX_CHANGE_PRIORITY, third, (struct change_args){.number = 5}),
                   0);
        EXPECT_INT(client_change(&ana, PX_CHANGE_PRIORITY, first,
                                 (struct change_args){.number = -5}),
                   0);
        EXPECT_INT(client_change(&ana, PX_CHANGE_PRIORITY, first,
                                 (struct change_args){.number = 1001}),
                   PX_E_LIMIT);
        n1.cpus_milli = 1000;
        EXPECT_INT(player_hello(&n1), 0);
        EXPECT_TEXT(driver_state(driver, third), "assigned");
        player_result(&n1, third, PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, second), "assigned");
        player_result(&n1, second, PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, first), "assigned");
}

TEST(a_job_that_ends_in_the_same_batch_is_known_to_the_change_behind_it)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t job = client_submit(&ana, driver_true(driver), NULL);
        struct px_m_changed changed;

        driver_batch(driver);
        player_result(&n1, job, PX_OUTCOME_FAILED, 1);
        (void)client_change(&ana, PX_CHANGE_RETRY, job, NO_ARGS);
        driver_go(driver);
        EXPECT(DRIVER_READ(driver, ana.peer, CHANGED, changed, &changed));
        EXPECT_INT(changed.items[0].code, 0);
        EXPECT_INT(changed.items[0].state, PX_JOB_STATE_QUEUED);
        EXPECT_INT(driver_fence(driver, job).attempt, 2);
}
