/* SPDX-License-Identifier: Apache-2.0 */
/* test_core_found.c - what the simulator found in the core, each held by a small test. */
#include "core_driver.h"
#include "test.h"

#define DAY_MS (24LL * 3600 * 1000)

TEST(a_refused_submit_stays_refused_when_it_is_repeated)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        struct px_slice frame;

        driver_storage(driver, true);
        frame = client_submit_frame(&ana, &wish, 1);
        driver_say(driver, CORE_FROM_CLIENT, ana.peer, ANA, frame);
        EXPECT_INT(driver_refused(driver, ana.peer), PX_E_STORAGE_FULL);
        driver_storage(driver, false);
        driver_restart(driver, 1000);
        client_hello(&ana);
        /* The answer was under way when the client sent it once more. */
        driver_say(driver, CORE_FROM_CLIENT, ana.peer, ANA, frame);
        EXPECT_INT(driver_refused(driver, ana.peer), PX_E_STORAGE_FULL);
        EXPECT_U64(core_jobs_count(driver_core(driver)), 0);
}

TEST(an_inventory_that_a_later_one_overtook_is_dropped)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct px_m_node_hello hello = {
                .name = px_slice_text("n1"),
                .kind = PX_NODE_KIND_NODE,
                .boot = px_slice_of(n1.boot, sizeof(n1.boot)),
                .spool = px_slice_of(n1.spool, sizeof(n1.spool)),
                .cpus_milli = n1.cpus_milli,
                .accounts = px_slice_text(n1.accounts),
        };
        struct px_submit_job wish = driver_true(driver);
        struct px_buf frame = {0};
        uint64_t job;

        px_m_node_hello_frame(&hello, 5000, 0, &frame);
        driver_say(driver, CORE_FROM_NODE, n1.peer, KEY1, px_buf_slice(&frame));
        n1.session++;
        wish.on_lost = PX_ON_LOST_FAIL;
        job = client_submit(&ana, wish, NULL);
        player_runs(&n1, job);
        driver_say(driver, CORE_FROM_NODE, n1.peer, KEY1, px_buf_slice(&frame));
        px_buf_fini(&frame);
        EXPECT_TEXT(driver_state(driver, job), "running");
}

TEST(a_session_outlives_a_wall_clock_that_jumped_while_no_broker_ran)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        struct px_slice frame = client_submit_frame(&ana, &wish, 1);

        driver_say(driver, CORE_FROM_CLIENT, ana.peer, ANA, frame);
        EXPECT_U64(core_jobs_count(driver_core(driver)), 1);
        driver_restart(driver, 20 * DAY_MS);
        driver_run_ms(driver, 1000);
        driver_say(driver, CORE_FROM_CLIENT, ana.peer, ANA, frame);
        EXPECT_U64(core_jobs_count(driver_core(driver)), 1);
        EXPECT_U64(driver_mail_count(driver, ana.peer, PX_M_SUBMITTED), 1);
}

TEST(a_start_time_that_passed_while_no_broker_ran_is_seen)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        uint64_t job;

        wish.start_wall_ms = driver_wall_ms(driver) + 5000;
        job = client_submit(&ana, wish, NULL);
        EXPECT_TEXT(driver_state(driver, job), "blocked");
        driver_restart(driver, 10000);
        driver_run_ms(driver, 1);
        EXPECT_TEXT(driver_state(driver, job), "queued");
}

TEST(a_cancel_on_a_node_that_is_removed_ends_lost_because_nobody_knows)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct client root = driver_client(driver, ROOT);
        uint64_t job = client_submit(&ana, driver_true(driver), NULL);

        player_runs(&n1, job);
        EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, job, (struct change_args){0}), 0);
        driver_run_ms(driver, 1000);
        EXPECT_INT(client_node_change(&root, PX_NODE_CHANGE_REMOVE, "n1"), 0);
        EXPECT_TEXT(driver_state(driver, job), "lost");
}

TEST(sessions_of_clients_that_left_make_room_for_others)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct px_m_client_hello hello = {.program = px_slice_text("test")};
        struct px_buf frame = {0};
        uint64_t peer = 1000000;

        px_m_client_hello_frame(&hello, 0, 0, &frame);
        driver_batch(driver);
        for (size_t i = 0; i < PX_LIMIT_SESSIONS; i++)
                driver_say(driver, CORE_FROM_CLIENT, ++peer, ANA, px_buf_slice(&frame));
        driver_go(driver);
        driver_say(driver, CORE_FROM_CLIENT, ++peer, ANA, px_buf_slice(&frame));
        EXPECT_INT(driver_refused(driver, peer), PX_E_BUSY);
        driver_run_ms(driver, 60000);
        driver_say(driver, CORE_FROM_CLIENT, ++peer, ANA, px_buf_slice(&frame));
        EXPECT_U64(driver_mail_count(driver, peer, PX_M_CLIENT_WELCOME), 1);
        px_buf_fini(&frame);
}
