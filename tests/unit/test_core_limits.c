/* SPDX-License-Identifier: Apache-2.0 */
/* test_core_limits.c - limits of users, queues, modules; resources of the mesh; how long a job may
 * wait; what a dry run says. */
#include "core_driver.h"
#include "test.h"

#define SAY(client, message, m)                                                                    \
        do {                                                                                       \
                struct px_buf frame_ = {0};                                                        \
                                                                                                   \
                px_m_##message##_frame(m, ++(client)->number, 0, &frame_);                         \
                driver_say((client)->driver, CORE_FROM_CLIENT, (client)->peer,                     \
                           (client)->principal, px_buf_slice(&frame_));                            \
                px_buf_fini(&frame_);                                                              \
        } while (0)

static struct player big_node(struct driver *driver)
{
        struct player player = driver_player(driver, KEY1, "n1");

        player.cpus_milli = 64000;
        EXPECT_INT(player_hello(&player), 0);
        return player;
}

static int limit_resource(struct client *root, const char *name, uint64_t capacity)
{
        return client_limit(root, (struct px_gate){.kind = PX_GATE_KIND_RESOURCE,
                                                   .name = px_slice_text(name),
                                                   .capacity = capacity});
}

static int limit_queue(struct client *root, struct px_gate limit)
{
        limit.kind = PX_GATE_KIND_QUEUE;
        if (limit.name.length == 0)
                limit.name = px_slice_text("default");
        return client_limit(root, limit);
}

TEST(a_job_that_waits_for_a_slot_is_blocked_and_says_who_holds_it)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = big_node(driver);
        struct client ana = driver_client(driver, ANA);
        struct client root = driver_client(driver, ROOT);
        struct px_submit_job wish = driver_true(driver);
        struct px_resource slot = {px_slice_text("model-slot"), 1};
        struct px_m_why_is why;
        uint64_t jobs[4];

        EXPECT_INT(limit_resource(&root, "model-slot", 2), 0);
        wish.resources = &slot;
        wish.resources_count = 1;
        for (size_t i = 0; i < 4; i++)
                jobs[i] = client_submit(&ana, wish, NULL);
        EXPECT_TEXT(driver_state(driver, jobs[1]), "assigned");
        EXPECT_TEXT(driver_state(driver, jobs[2]), "blocked");
        EXPECT_TEXT(driver_state(driver, jobs[3]), "blocked");
        EXPECT_TEXT(client_why(&ana, jobs[2], &why),
                    "waiting for slot model-slot (2 of 2 held by 1, 2)\n");
        EXPECT_INT(why.waits[0].reason, PX_REASON_SLOT);
        player_result(&n1, jobs[0], PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, jobs[2]), "assigned");
        EXPECT_TEXT(driver_state(driver, jobs[3]), "blocked");
        EXPECT_INT(limit_resource(&root, "model-slot", 3), 0);
        EXPECT_TEXT(driver_state(driver, jobs[3]), "assigned");
        EXPECT_INT(limit_resource(&root, "model-slot", 1), 0); /* what runs goes on */
        driver_restart(driver, 10);
        client_hello(&ana);
        slot.amount = 2;
        EXPECT_INT(client_submit(&ana, wish, &(int){0}), 0); /* more than there will be */
}

TEST(blocked_for_a_slot_it_can_be_held_released_and_cancelled)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = big_node(driver);
        struct client ana = driver_client(driver, ANA);
        struct client root = driver_client(driver, ROOT);
        struct px_submit_job wish = driver_true(driver);
        struct px_resource slot = {px_slice_text("s"), 1};
        uint64_t first, second, third;

        EXPECT_INT(limit_resource(&root, "s", 1), 0);
        wish.resources = &slot;
        wish.resources_count = 1;
        first = client_submit(&ana, wish, NULL);
        second = client_submit(&ana, wish, NULL);
        third = client_submit(&ana, wish, NULL);
        EXPECT_INT(client_change(&ana, PX_CHANGE_HOLD, second, (struct change_args){0}), 0);
        EXPECT_INT(client_change(&ana, PX_CHANGE_RELEASE, second, (struct change_args){0}), 0);
        EXPECT_TEXT(driver_state(driver, second), "blocked");
        EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, second, (struct change_args){0}), 0);
        EXPECT_TEXT(driver_state(driver, second), "cancelled");
        player_result(&n1, first, PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, third), "assigned");
}

TEST(a_slot_without_room_on_a_node_leaves_the_job_queued)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct client root = driver_client(driver, ROOT);
        struct px_submit_job wish = driver_true(driver);
        struct px_resource slot = {px_slice_text("s"), 1};
        uint64_t first, other, second;

        EXPECT_INT(limit_resource(&root, "s", 1), 0);
        other = client_submit(&ana, wish, NULL);
        wish.resources = &slot;
        wish.resources_count = 1;
        first = client_submit(&ana, wish, NULL);
        wish.cpus_milli = 2000;
        second = client_submit(&ana, wish, NULL);
        EXPECT_TEXT(driver_state(driver, second), "blocked");
        player_result(&n1, first, PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, second), "queued");
        player_result(&n1, other, PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, second), "assigned");
}

TEST(what_waited_longer_than_it_may_ends_as_timeout)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000000});
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        struct px_end end;
        uint64_t waits, expires, held;

        wish.wait_ms = 2000;
        waits = client_submit(&ana, wish, NULL);
        wish.hold = true;
        held = client_submit(&ana, wish, NULL);
        wish.hold = false;
        wish.wait_ms = 0;
        wish.expires_wall_ms = driver_wall_ms(driver) + 3000;
        expires = client_submit(&ana, wish, NULL);
        driver_run_ms(driver, 1999);
        EXPECT_TEXT(driver_state(driver, waits), "queued");
        driver_restart(driver, 0);
        client_hello(&ana);
        driver_run_ms(driver, 1);
        EXPECT_TEXT(driver_state(driver, waits), "timeout");
        EXPECT(client_watch(&ana, waits, &end));
        EXPECT_BYTES(end.text, px_slice_text("waited longer than it may"));
        driver_run_ms(driver, 1000);
        EXPECT_TEXT(driver_state(driver, expires), "timeout");
        EXPECT_TEXT(driver_state(driver, held), "blocked"); /* it doesn't stand in line */
        EXPECT_INT(client_submit(&ana, wish, &(int){0}), 0); /* too late already */
        driver_node(driver, KEY1, "n1");
        EXPECT_INT(client_change(&ana, PX_CHANGE_RETRY, expires, (struct change_args){0}), 0);
        EXPECT_TEXT(driver_state(driver, expires), "assigned");
}

TEST(a_user_runs_and_queues_as_many_as_allowed)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = big_node(driver);
        struct client ana = driver_client(driver, ANA);
        struct client bob = driver_client(driver, BOB);
        struct client root = driver_client(driver, ROOT);
        struct px_gate limit = {.kind = PX_GATE_KIND_USER,
                                .name = px_slice_text("ana"),
                                .running_max = 2,
                                .queued_max = 1,
                                .priority_max = 5};
        struct px_submit_job wish = driver_true(driver);
        uint64_t jobs[3];
        int code;

        EXPECT_INT(client_limit(&ana, limit), PX_E_DENIED);
        limit.name = px_slice_text("anna");
        EXPECT_INT(client_limit(&root, limit), PX_E_ABSENT);
        limit.name = px_slice_text("ana");
        EXPECT_INT(client_limit(&root, limit), 0);
        for (size_t i = 0; i < 3; i++)
                jobs[i] = client_submit(&ana, wish, NULL);
        EXPECT_TEXT(client_why(&ana, jobs[2], NULL), "user ana: 2 of 2 jobs run\n");
        EXPECT_INT(client_submit(&ana, wish, &code), 0);
        EXPECT_INT(code, PX_E_LIMIT);
        EXPECT_TEXT(driver_state(driver, client_submit(&bob, wish, NULL)), "assigned");
        EXPECT_INT(client_change(&ana, PX_CHANGE_PRIORITY, jobs[2],
                                 (struct change_args){.number = 6}),
                   PX_E_LIMIT);
        driver_restart(driver, 1); /* limits last */
        client_hello(&ana);
        player_holds(&n1, jobs[0], driver_fence(driver, jobs[0]), PX_ATTEMPT_STATE_RUNNING);
        player_holds(&n1, jobs[1], driver_fence(driver, jobs[1]), PX_ATTEMPT_STATE_RUNNING);
        EXPECT_INT(player_hello(&n1), 0);
        EXPECT_TEXT(driver_state(driver, jobs[2]), "queued");
        player_result(&n1, jobs[0], PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, jobs[2]), "assigned");
        wish.priority = 6;
        EXPECT_INT(client_submit(&ana, wish, &code), 0);
        EXPECT_INT(code, PX_E_LIMIT);
}

TEST(a_queue_is_paused_capped_and_resumed)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = big_node(driver);
        struct client ana = driver_client(driver, ANA);
        struct client root = driver_client(driver, ROOT);
        struct px_submit_job wish = driver_true(driver);
        uint64_t first, second;

        EXPECT_INT(limit_queue(&root, (struct px_gate){.name = px_slice_text("night"),
                                                       .paused = true,
                                                       .running_max = 1}),
                   0);
        wish.queue = px_slice_text("night");
        first = client_submit(&ana, wish, NULL);
        second = client_submit(&ana, wish, NULL);
        EXPECT_TEXT(client_why(&ana, first, NULL), "queue night is paused\n");
        EXPECT_INT(limit_queue(&root, (struct px_gate){.name = px_slice_text("night"),
                                                       .running_max = 1}),
                   0);
        EXPECT_TEXT(driver_state(driver, first), "assigned");
        EXPECT_TEXT(client_why(&ana, second, NULL), "queue night: 1 of 1 jobs run\n");
        player_result(&n1, first, PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, second), "assigned");
}

TEST(a_queue_starts_no_more_than_its_rate)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000000});
        struct client ana = driver_client(driver, ANA);
        struct client root = driver_client(driver, ROOT);
        struct px_submit_job wish = driver_true(driver);
        uint64_t jobs[4];

        big_node(driver);
        EXPECT_INT(limit_queue(&root, (struct px_gate){.rate_count = 2, .rate_ms = 10000}), 0);
        driver_run_ms(driver, 10000); /* two are saved by now */
        for (size_t i = 0; i < 4; i++)
                jobs[i] = client_submit(&ana, wish, NULL);
        EXPECT_TEXT(driver_state(driver, jobs[1]), "assigned");
        EXPECT_TEXT(driver_state(driver, jobs[2]), "queued");
        EXPECT_TEXT(client_why(&ana, jobs[2], NULL),
                    "queue default: 2 starts in 10.000 s are used up\n");
        driver_run_ms(driver, 5001);
        EXPECT_TEXT(driver_state(driver, jobs[2]), "assigned");
        EXPECT_TEXT(driver_state(driver, jobs[3]), "queued");
        driver_run_ms(driver, 5001);
        EXPECT_TEXT(driver_state(driver, jobs[3]), "assigned");
}

TEST(a_module_is_capped_and_a_task_type_is_its_module)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player worker = driver_player(driver, HELPER, "w");
        struct client ana = driver_client(driver, ANA);
        struct client root = driver_client(driver, ROOT);
        uint64_t first, second;

        worker.kind = PX_NODE_KIND_WORKER;
        worker.type = "resize";
        worker.slots = 8;
        EXPECT_INT(player_hello(&worker), 0);
        EXPECT_INT(client_limit(&root, (struct px_gate){.kind = PX_GATE_KIND_MODULE,
                                                        .name = px_slice_text("resize"),
                                                        .running_max = 1}),
                   0);
        first = client_submit(&ana, driver_task(driver, "resize"), NULL);
        second = client_submit(&ana, driver_task(driver, "resize"), NULL);
        EXPECT_TEXT(client_why(&ana, second, NULL), "module resize: 1 of 1 jobs run\n");
        player_result(&worker, first, PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, second), "assigned");
}

TEST(a_limit_that_is_set_later_counts_what_runs_already)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = big_node(driver);
        struct client ana = driver_client(driver, ANA);
        struct client root = driver_client(driver, ROOT);
        struct px_submit_job wish = driver_true(driver);
        struct px_m_gates query = {.session = root.session, .done_below = 1};
        struct px_m_gate_list list;
        uint64_t first, second;

        first = client_submit(&ana, wish, NULL);
        EXPECT_INT(limit_queue(&root, (struct px_gate){.running_max = 1}), 0);
        second = client_submit(&ana, wish, NULL);
        EXPECT_TEXT(driver_state(driver, second), "queued");
        SAY(&root, gates, &query);
        EXPECT(DRIVER_READ(driver, root.peer, GATE_LIST, gate_list, &list));
        EXPECT_INT(list.gates_count, 1);
        EXPECT_U64(list.gates[0].running, 1);
        EXPECT_U64(list.gates[0].queued, 1);
        player_result(&n1, first, PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, second), "assigned");
}

/* ---- dry runs and reasons ------------------------------------------------------------------------------ */

static struct px_m_tried try(struct client *client, struct px_submit_job wish)
{
        struct px_m_try message = {.session = client->session, .done_below = 1, .job = wish};
        struct px_m_tried tried;

        SAY(client, try, &message);
        EXPECT(DRIVER_READ(client->driver, client->peer, TRIED, tried, &tried));
        return tried;
}

TEST(a_dry_run_says_where_it_would_run_and_what_it_would_wait_for)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        struct px_m_tried tried;

        tried = try(&ana, wish);
        EXPECT_INT(tried.waits_count, 1);
        EXPECT_BYTES(tried.waits[0].text, px_slice_text("no node was ever connected"));
        driver_node(driver, KEY1, "n1");
        tried = try(&ana, wish);
        EXPECT_INT(tried.code, 0);
        EXPECT_BYTES(tried.node, px_slice_text("n1"));
        EXPECT_INT(tried.nodes_able, 1);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_JOB), 0);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_SHAPE), 0);
        (void)client_submit(&ana, wish, NULL);
        (void)client_submit(&ana, wish, NULL);
        (void)client_submit(&ana, wish, NULL);
        tried = try(&ana, wish);
        EXPECT_INT(tried.node.length, 0);
        EXPECT_INT(tried.waits_count, 2);
        EXPECT_BYTES(tried.waits[0].text,
                     px_slice_text("it needs 1.000 cpus; most free are 0.000 on n1"));
        EXPECT_U64(tried.position, 1);
        wish.cpus_milli = 0;
        EXPECT_INT(try(&ana, wish).code, PX_E_INVALID);
}

TEST(lists_get_the_first_reason_of_each_job)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct client bob = driver_client(driver, BOB);
        struct px_submit_job wish = driver_true(driver);
        struct px_job_id ids[3];
        struct px_m_reasons message = {.session = ana.session, .done_below = 1, .jobs = ids,
                                       .jobs_count = 3};
        struct px_m_reasons_are are;

        ids[0].value = client_submit(&ana, wish, NULL);
        wish.hold = true;
        ids[1].value = client_submit(&ana, wish, NULL);
        ids[2].value = client_submit(&bob, wish, NULL); /* not hers */
        SAY(&ana, reasons, &message);
        EXPECT(DRIVER_READ(driver, ana.peer, REASONS_ARE, reasons_are, &are));
        EXPECT_INT(are.waits_count, 3);
        EXPECT_BYTES(are.waits[0].text, px_slice_text("no node was ever connected"));
        EXPECT_INT(are.waits[1].reason, PX_REASON_HELD);
        EXPECT_INT(are.waits[2].reason, PX_REASON_NONE);
}
