/* SPDX-License-Identifier: Apache-2.0 */
/* test_core_schedule.c - which job goes to which node: room, spread, pins, scopes, workers, drains. */
#include "core_driver.h"
#include "test.h"

static struct player node_of(struct driver *driver, uint32_t principal, const char *name,
                             uint32_t cpus_milli, uint64_t memory_bytes)
{
        struct player player = driver_player(driver, principal, name);

        player.cpus_milli = cpus_milli;
        player.memory_bytes = memory_bytes;
        EXPECT_INT(player_hello(&player), 0);
        return player;
}

static uint64_t submit_need(struct client *client, uint32_t cpus_milli, uint64_t memory_bytes)
{
        struct px_submit_job wish = driver_true(client->driver);

        wish.cpus_milli = cpus_milli;
        wish.memory_bytes = memory_bytes;
        return client_submit(client, wish, NULL);
}

TEST(jobs_spread_to_the_node_with_most_free_cpus)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = node_of(driver, KEY1, "n1", 2000, 0);
        struct player n2 = node_of(driver, KEY2, "n2", 4000, 0);
        struct client ana = driver_client(driver, ANA);

        EXPECT_INT(player_assigned(&n2, submit_need(&ana, 1000, 0)), 1);
        EXPECT_INT(player_assigned(&n2, submit_need(&ana, 1000, 0)), 1);
        EXPECT_INT(player_assigned(&n1, submit_need(&ana, 1000, 0)), 1); /* a tie */
        EXPECT_INT(player_assigned(&n2, submit_need(&ana, 1000, 0)), 1);
        EXPECT_INT(player_assigned(&n1, submit_need(&ana, 1000, 0)), 1);
        EXPECT_INT(player_assigned(&n2, submit_need(&ana, 1000, 0)), 1);
        EXPECT_TEXT(driver_state(driver, submit_need(&ana, 1000, 0)), "queued");
}

TEST(a_job_waits_for_room_and_smaller_ones_pass_it)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = node_of(driver, KEY1, "n1", 2000, 0);
        struct client ana = driver_client(driver, ANA);
        uint64_t first = submit_need(&ana, 1000, 0);
        uint64_t big = submit_need(&ana, 2000, 0);
        uint64_t small = submit_need(&ana, 1000, 0);

        EXPECT_TEXT(driver_state(driver, big), "queued");
        EXPECT_TEXT(driver_state(driver, small), "assigned");
        player_result(&n1, first, PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, big), "queued");
        player_result(&n1, small, PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, big), "assigned");
}

TEST(memory_is_not_given_out_twice)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = node_of(driver, KEY1, "n1", 8000, 1000);
        struct player n2 = node_of(driver, KEY2, "n2", 2000, 4000);
        struct client ana = driver_client(driver, ANA);
        uint64_t job = submit_need(&ana, 1000, 2000);

        EXPECT_INT(player_assigned(&n2, job), 1); /* n1 has more cpus and too little memory */
        EXPECT_INT(player_assigned(&n1, submit_need(&ana, 1000, 600)), 1);
        EXPECT_INT(player_assigned(&n2, submit_need(&ana, 1000, 600)), 1);
        EXPECT_TEXT(driver_state(driver, submit_need(&ana, 1000, 600)), "queued");
        EXPECT_INT(player_assigned(&n1, submit_need(&ana, 1000, 400)), 1);
}

TEST(a_pinned_job_goes_nowhere_else)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = node_of(driver, KEY1, "n1", 8000, 0);
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        struct player n2;
        uint64_t job;
        int code;

        wish.node = px_slice_text("n2");
        EXPECT_INT(client_submit(&ana, wish, &code), 0);
        EXPECT_INT(code, PX_E_INVALID); /* nobody knows such a node */
        wish.wait_for_node = true;
        job = client_submit(&ana, wish, NULL);
        EXPECT_TEXT(driver_state(driver, job), "queued");
        n2 = node_of(driver, KEY2, "n2", 1000, 0);
        EXPECT_INT(player_assigned(&n2, job), 1);
        EXPECT_INT(player_assigned(&n1, job), 0);
}

TEST(priority_then_submit_order_across_users_and_shapes)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct client bob = driver_client(driver, BOB);
        struct px_submit_job wish = driver_true(driver);
        uint64_t jobs[4];
        struct player n1;

        wish.priority = 1;
        jobs[1] = client_submit(&ana, wish, NULL);
        wish.cpus_milli = 500;
        jobs[2] = client_submit(&bob, wish, NULL);
        wish.priority = 2;
        jobs[0] = client_submit(&bob, wish, NULL);
        wish.priority = 0;
        jobs[3] = client_submit(&ana, wish, NULL);
        n1 = driver_player(driver, KEY1, "n1");
        n1.slots = 1;
        EXPECT_INT(player_hello(&n1), 0);
        for (size_t i = 0; i < 4; i++) {
                EXPECT_TEXT(driver_state(driver, jobs[i]), "assigned");
                player_result(&n1, jobs[i], PX_OUTCOME_OK, 0);
        }
}

TEST(slots_bound_the_attempts_of_a_node)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct player n1 = driver_player(driver, KEY1, "n1");
        uint64_t first, second;

        n1.slots = 1;
        EXPECT_INT(player_hello(&n1), 0);
        first = submit_need(&ana, 100, 0);
        second = submit_need(&ana, 100, 0);
        EXPECT_TEXT(driver_state(driver, second), "queued");
        player_result(&n1, first, PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, second), "assigned");
}

TEST(a_private_node_runs_the_jobs_of_its_owner_and_of_administrators)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player own = driver_player(driver, ROOT, "own");
        struct client ana = driver_client(driver, ANA);
        struct client root = driver_client(driver, ROOT);
        uint64_t job;

        own.accounts = "self";
        EXPECT_INT(player_hello(&own), 0);
        job = submit_need(&ana, 1000, 0);
        EXPECT_TEXT(driver_state(driver, job), "queued");
        EXPECT_INT(player_assigned(&own, submit_need(&root, 1000, 0)), 1);
        own.accounts = "map";
        EXPECT_INT(player_hello(&own), 0);
        EXPECT_TEXT(driver_state(driver, job), "assigned");
}

TEST(a_draining_node_gets_nothing_new)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct client root = driver_client(driver, ROOT);
        uint64_t first = client_submit(&ana, driver_true(driver), NULL);
        uint64_t second;

        player_runs(&n1, first);
        EXPECT_INT(client_node_change(&root, PX_NODE_CHANGE_DRAIN, "n1"), 0);
        second = client_submit(&ana, driver_true(driver), NULL);
        EXPECT_TEXT(driver_state(driver, second), "queued");
        player_holds(&n1, first, driver_fence(driver, first), PX_ATTEMPT_STATE_RUNNING);
        driver_restart(driver, 10);
        EXPECT_INT(player_hello(&n1), 0); /* a drain lasts */
        EXPECT_TEXT(driver_state(driver, first), "running");
        EXPECT_TEXT(driver_state(driver, second), "queued");
        client_hello(&root);
        EXPECT_INT(client_node_change(&root, PX_NODE_CHANGE_RESUME, "n1"), 0);
        EXPECT_TEXT(driver_state(driver, second), "assigned");
}

TEST(a_node_is_stopped_and_removed_in_this_order)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct client root = driver_client(driver, ROOT);
        struct px_m_node_stop stop;
        struct px_submit_job wish = driver_true(driver);
        uint64_t job;

        wish.on_lost = PX_ON_LOST_FAIL;
        job = client_submit(&ana, wish, NULL);
        player_runs(&n1, job);
        EXPECT_INT(client_node_change(&root, PX_NODE_CHANGE_REMOVE, "n1"), PX_E_CONFLICT);
        EXPECT_INT(client_node_change(&root, PX_NODE_CHANGE_DRAIN, "n3"), PX_E_ABSENT);
        EXPECT_INT(client_node_change(&root, PX_NODE_CHANGE_STOP_KILL, "n1"), 0);
        EXPECT(DRIVER_READ(driver, n1.peer, NODE_STOP, node_stop, &stop));
        EXPECT(stop.kill);
        player_bye(&n1, false);
        EXPECT_INT(client_node_change(&root, PX_NODE_CHANGE_STOP_DRAIN, "n1"), PX_E_CONFLICT);
        driver_run_ms(driver, 1000);
        EXPECT_INT(client_node_change(&root, PX_NODE_CHANGE_REMOVE, "n1"), 0);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_NODE), 0);
        EXPECT_TEXT(driver_state(driver, job), "lost");
}

/* ---- workers ------------------------------------------------------------------------------------------ */

TEST(a_task_goes_to_a_worker_of_its_type_and_user)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player bobs = driver_worker(driver, BOB, "b", "resize");
        struct player other = driver_worker(driver, ANA, "o", "rotate");
        struct client ana = driver_client(driver, ANA);
        uint64_t job = client_submit(&ana, driver_task(driver, "resize"), NULL);
        struct player right;

        EXPECT_TEXT(driver_state(driver, job), "queued");
        right = driver_worker(driver, ANA, "a", "resize");
        EXPECT_INT(player_assigned(&right, job), 1);
        EXPECT_INT(player_assigned(&bobs, job) + player_assigned(&other, job), 0);
        EXPECT_TEXT(driver_state(driver, client_submit(&ana, driver_true(driver), NULL)),
                    "queued"); /* workers take no commands */
}

TEST(a_worker_of_a_service_takes_everyones_tasks_within_its_slots)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player worker = driver_player(driver, HELPER, "w");
        struct client ana = driver_client(driver, ANA);
        struct client bob = driver_client(driver, BOB);
        uint64_t first, second, third;

        worker.kind = PX_NODE_KIND_WORKER;
        worker.type = "resize";
        worker.slots = 2;
        EXPECT_INT(player_hello(&worker), 0);
        first = client_submit(&ana, driver_task(driver, "resize"), NULL);
        EXPECT_INT(player_assigned(&worker, first), 1);
        second = client_submit(&bob, driver_task(driver, "resize"), NULL);
        EXPECT_INT(player_assigned(&worker, second), 1);
        third = client_submit(&bob, driver_task(driver, "resize"), NULL);
        EXPECT_TEXT(driver_state(driver, third), "queued");
        player_result(&worker, first, PX_OUTCOME_OK, 0);
        EXPECT_INT(player_assigned(&worker, third), 1);
}

TEST(a_worker_that_reconnects_is_the_same_worker)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player worker = driver_worker(driver, ANA, "w", "resize");
        struct client ana = driver_client(driver, ANA);
        uint64_t job = client_submit(&ana, driver_task(driver, "resize"), NULL);

        player_runs(&worker, job);
        player_holds(&worker, job, driver_fence(driver, job), PX_ATTEMPT_STATE_RUNNING);
        EXPECT_INT(player_hello(&worker), 0);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_NODE), 1);
        player_result(&worker, job, PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, job), "ok");
}

TEST(an_assignment_says_whose_job_it_is_and_what_it_takes)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        const struct core_effect *effect;
        uint64_t job = submit_need(&ana, 1500, 1 << 20);

        effect = driver_effect(driver, CORE_EFFECT_ASSIGN);
        EXPECT(effect != NULL);
        EXPECT_U64(effect->peer, n1.peer);
        EXPECT_U64(effect->assign.node_session, n1.session);
        EXPECT_U64(effect->assign.item.job.value, job);
        EXPECT_BYTES(effect->assign.item.principal, px_slice_text("ana"));
        EXPECT(!effect->assign.item.principal_admin);
        EXPECT_INT(effect->assign.item.cpus_milli, 1500);
        EXPECT_U64(effect->assign.item.memory_bytes, 1 << 20);
        EXPECT_U64(effect->assign.item.lost_after_ms, 3600000);
        effect = driver_effect(driver, CORE_EFFECT_LOG_OPEN);
        EXPECT_INT(effect->log_open.owner.value, ANA);
        EXPECT_INT(effect->log_open.node_principal.value, KEY1);
        EXPECT_BYTES(effect->log_open.node_name, px_slice_text("n1"));
}
