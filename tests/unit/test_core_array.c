/* SPDX-License-Identifier: Apache-2.0 */
/* test_core_array.c - arrays: tasks made as there is room, limits, ends, cancel, retry, restarts. */
#include "core_driver.h"
#include "test.h"

static uint64_t submit_array(struct client *client, struct px_array set)
{
        struct px_submit_job wish = driver_true(client->driver);
        int code;

        set.step = set.step == 0 ? 1 : set.step;
        wish.array = &set;
        wish.array_count = 1;
        return client_submit(client, wish, &code);
}

static struct px_array books(struct driver *driver, uint64_t array)
{
        return driver_job(driver, array).array[0];
}

TEST(tasks_are_made_as_there_is_room_and_the_array_ends_behind_the_last)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1"); /* 2 cpus */
        struct client ana = driver_client(driver, ANA);
        uint64_t array = submit_array(&ana, (struct px_array){.count = 3, .first = 1});
        struct px_end end;

        EXPECT_TEXT(driver_state(driver, array), "queued");
        EXPECT_TEXT(driver_state(driver, px_task_id(array, 1)), "assigned");
        EXPECT_TEXT(driver_state(driver, px_task_id(array, 2)), "assigned");
        EXPECT_TEXT(driver_state(driver, px_task_id(array, 3)), "absent");
        EXPECT(!client_watch(&ana, array, &end));
        player_result(&n1, px_task_id(array, 1), PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, px_task_id(array, 3)), "assigned");
        EXPECT_TEXT(driver_state(driver, array), "blocked");
        EXPECT_TEXT(client_why(&ana, array, NULL), "1 of 3 tasks ended, 2 at work\n");
        player_result(&n1, px_task_id(array, 2), PX_OUTCOME_OK, 0);
        player_result(&n1, px_task_id(array, 3), PX_OUTCOME_OK, 0);
        EXPECT(client_end(&ana, array, &end));
        EXPECT_INT(end.state, PX_JOB_STATE_OK);
        EXPECT_TEXT(driver_state(driver, array), "ok");
        EXPECT_U64(books(driver, array).ok, 3);
}

TEST(a_million_tasks_are_a_few_rows_at_submit_and_at_cancel)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        uint64_t array = submit_array(&ana, (struct px_array){.count = 1000000, .first = 1});

        EXPECT_U64(driver_rows_count(driver, PX_TABLE_JOB), 1);
        EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, array, (struct change_args){0}), 0);
        EXPECT_TEXT(driver_state(driver, array), "cancelled");
        EXPECT_U64(driver_rows_count(driver, PX_TABLE_DONE), 1);
}

TEST(numbers_begin_and_step_as_asked)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t array = submit_array(&ana, (struct px_array){.count = 2, .first = 0, .step = 5});

        EXPECT_INT(player_assigned(&n1, px_task_id(array, 0)), 1);
        EXPECT_INT(player_assigned(&n1, px_task_id(array, 5)), 1);
}

TEST(no_more_tasks_than_the_limit_are_at_work)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t array = submit_array(&ana, (struct px_array){.count = 3, .first = 1, .limit = 1});

        EXPECT_TEXT(driver_state(driver, px_task_id(array, 2)), "absent");
        EXPECT_TEXT(driver_reason(driver, array), "tasks");
        player_result(&n1, px_task_id(array, 1), PX_OUTCOME_FAILED, 1);
        EXPECT_TEXT(driver_state(driver, px_task_id(array, 2)), "assigned");
        EXPECT_TEXT(driver_state(driver, px_task_id(array, 3)), "absent");
}

TEST(a_failed_task_makes_the_array_fail_and_can_be_retried_alone)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t array = submit_array(&ana, (struct px_array){.count = 2, .first = 1});
        struct change_args none = {0};

        player_result(&n1, px_task_id(array, 1), PX_OUTCOME_FAILED, 3);
        player_result(&n1, px_task_id(array, 2), PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, array), "failed");
        EXPECT_TEXT(driver_reason(driver, array), "tasks_failed");
        EXPECT_INT(client_change(&ana, PX_CHANGE_RETRY, array, none), PX_E_CONFLICT);
        EXPECT_INT(client_change(&ana, PX_CHANGE_RETRY, px_task_id(array, 1), none), 0);
        EXPECT_TEXT(driver_state(driver, array), "blocked");
        EXPECT_INT(player_assigned(&n1, px_task_id(array, 1)), 1);
        player_result(&n1, px_task_id(array, 1), PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, array), "ok");
        EXPECT_U64(books(driver, array).ok, 2);
        EXPECT_U64(books(driver, array).failed, 0);
}

TEST(too_many_failures_stop_the_array)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t array =
                submit_array(&ana, (struct px_array){.count = 100, .first = 1, .max_fails = 1});

        player_result(&n1, px_task_id(array, 1), PX_OUTCOME_FAILED, 1);
        EXPECT_TEXT(driver_state(driver, px_task_id(array, 2)), "cancelling");
        EXPECT_TEXT(driver_state(driver, px_task_id(array, 3)), "absent");
        player_result(&n1, px_task_id(array, 2), PX_OUTCOME_CANCELLED, -1);
        EXPECT_TEXT(driver_state(driver, array), "failed");
}

TEST(a_cancelled_array_waits_for_its_tasks_and_goes_on_where_it_stopped_when_retried)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t array = submit_array(&ana, (struct px_array){.count = 4, .first = 1});
        struct change_args none = {0};

        player_runs(&n1, px_task_id(array, 1));
        EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, array, none), 0);
        EXPECT_TEXT(driver_state(driver, array), "blocked");
        player_result(&n1, px_task_id(array, 1), PX_OUTCOME_CANCELLED, -1);
        player_result(&n1, px_task_id(array, 2), PX_OUTCOME_CANCELLED, -1);
        EXPECT_TEXT(driver_state(driver, array), "cancelled");
        EXPECT_INT(client_change(&ana, PX_CHANGE_RETRY, array, none), 0);
        EXPECT_TEXT(driver_state(driver, px_task_id(array, 3)), "assigned");
        player_result(&n1, px_task_id(array, 3), PX_OUTCOME_OK, 0);
        player_result(&n1, px_task_id(array, 4), PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, array), "cancelled"); /* two of its tasks are */
}

TEST(a_held_array_makes_no_tasks)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t array = submit_array(&ana, (struct px_array){.count = 3, .first = 1});
        struct change_args none = {0};

        EXPECT_INT(client_change(&ana, PX_CHANGE_HOLD, array, none), 0);
        player_result(&n1, px_task_id(array, 1), PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, px_task_id(array, 3)), "absent");
        EXPECT_TEXT(driver_reason(driver, array), "held");
        EXPECT_INT(client_change(&ana, PX_CHANGE_RELEASE, array, none), 0);
        EXPECT_TEXT(driver_state(driver, px_task_id(array, 3)), "assigned");
}

TEST(an_array_survives_a_restart_with_its_books)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t array = submit_array(&ana, (struct px_array){.count = 3, .first = 1});

        player_runs(&n1, px_task_id(array, 1));
        player_holds(&n1, px_task_id(array, 1), driver_fence(driver, px_task_id(array, 1)),
                     PX_ATTEMPT_STATE_RUNNING);
        player_holds(&n1, px_task_id(array, 2), driver_fence(driver, px_task_id(array, 2)),
                     PX_ATTEMPT_STATE_ACCEPTED);
        driver_restart(driver, 10);
        EXPECT_INT(player_hello(&n1), 0);
        player_result(&n1, px_task_id(array, 1), PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, px_task_id(array, 3)), "assigned");
        player_result(&n1, px_task_id(array, 2), PX_OUTCOME_OK, 0);
        player_result(&n1, px_task_id(array, 3), PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, array), "ok");
}

TEST(a_task_that_runs_again_goes_before_those_that_were_not_made)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        struct px_array set = {.count = 5, .first = 1, .step = 1};
        uint64_t array;

        wish.array = &set;
        wish.array_count = 1;
        wish.retries = 1;
        array = client_submit(&ana, wish, NULL);
        player_result(&n1, px_task_id(array, 1), PX_OUTCOME_FAILED, 1);
        EXPECT_TEXT(driver_state(driver, px_task_id(array, 1)), "assigned");
        EXPECT_TEXT(driver_state(driver, px_task_id(array, 3)), "absent");
}

TEST(impossible_arrays_are_refused)
{
        static const struct px_array wrong[] = {
                {.count = 0, .first = 1},
                {.count = 2, .first = PX_TASK_NUMBER_MAX},
                {.count = 3, .first = 1, .step = PX_TASK_NUMBER_MAX},
                {.count = 3, .first = 1, .made = 1},
        };
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);

        for (size_t i = 0; i < PX_COUNT_OF(wrong); i++)
                EXPECT_U64(submit_array(&ana, wrong[i]), 0);
}
