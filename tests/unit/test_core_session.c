/* SPDX-License-Identifier: Apache-2.0 */
/* test_core_session.c - exactly once: repeats, windows, restarts, forgetting. */
#include "core_driver.h"
#include "test.h"

static void say(struct client *client, struct px_slice frame)
{
        driver_say(client->driver, CORE_FROM_CLIENT, client->peer, client->principal, frame);
}

static uint64_t submitted_job(struct client *client)
{
        struct px_m_submitted submitted;

        EXPECT(DRIVER_READ(client->driver, client->peer, SUBMITTED, submitted, &submitted));
        return submitted.runs[0].job.value;
}

static void ping(struct client *client)
{
        struct px_m_ping message = {.session = client->session, .done_below = client->done_below};
        struct px_buf frame = {0};

        px_m_ping_frame(&message, 0, 0, &frame);
        say(client, px_buf_slice(&frame));
        px_buf_fini(&frame);
}

TEST(a_repeated_submit_gets_the_same_answer_and_runs_once)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        struct px_slice frame = client_submit_frame(&ana, &wish, 1);

        say(&ana, frame);
        EXPECT_U64(submitted_job(&ana), 1);
        say(&ana, frame);
        EXPECT_U64(submitted_job(&ana), 1);
        driver_restart(driver, 1000);
        say(&ana, frame);
        EXPECT_U64(submitted_job(&ana), 1);
        client_hello(&ana);
        say(&ana, frame);
        EXPECT_U64(submitted_job(&ana), 1);
        EXPECT_U64(core_jobs_count(driver_core(driver)), 1);
}

TEST(both_copies_of_a_submit_in_one_batch_are_one)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        struct px_slice frame = client_submit_frame(&ana, &wish, 1);

        driver_batch(driver);
        say(&ana, frame);
        say(&ana, frame);
        driver_go(driver);
        EXPECT_INT(driver_mail_count(driver, ana.peer, PX_M_SUBMITTED), 2);
        EXPECT_U64(core_jobs_count(driver_core(driver)), 1);
}

TEST(answers_are_kept_until_the_client_has_them)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);

        for (int i = 0; i < 3; i++)
                say(&ana, client_submit_frame(&ana, &wish, 1));
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_ANSWER), 3);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_SESSION), 1);
        ana.done_below = 3;
        ping(&ana);
        EXPECT_INT(driver_mail_count(driver, ana.peer, PX_M_PONG), 1);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_ANSWER), 1);
        ana.number = 1;
        say(&ana, client_submit_frame(&ana, &wish, 1));
        EXPECT_INT(driver_refused(driver, ana.peer), PX_E_EXPIRED);
        driver_restart(driver, 0);
        ana.number = 1;
        say(&ana, client_submit_frame(&ana, &wish, 1));
        EXPECT_INT(driver_refused(driver, ana.peer), PX_E_EXPIRED);
        ana.number = 2;
        say(&ana, client_submit_frame(&ana, &wish, 1));
        EXPECT_U64(submitted_job(&ana), 3);
}

TEST(requests_may_arrive_out_of_order)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);

        ana.number = 1;
        say(&ana, client_submit_frame(&ana, &wish, 1));
        EXPECT_U64(submitted_job(&ana), 1);
        ana.number = 0;
        say(&ana, client_submit_frame(&ana, &wish, 1));
        EXPECT_U64(submitted_job(&ana), 2);
        ana.number = 1;
        say(&ana, client_submit_frame(&ana, &wish, 1));
        EXPECT_U64(submitted_job(&ana), 1);
}

TEST(requests_beyond_the_window_are_refused)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);

        ana.number = PX_LIMIT_SESSION_WINDOW;
        say(&ana, client_submit_frame(&ana, &wish, 1));
        EXPECT_INT(driver_refused(driver, ana.peer), PX_E_LIMIT);
        ana.number = PX_LIMIT_SESSION_WINDOW - 1;
        say(&ana, client_submit_frame(&ana, &wish, 1));
        EXPECT_U64(submitted_job(&ana), 1);
        ana.number = UINT64_MAX;
        say(&ana, client_submit_frame(&ana, &wish, 1)); /* number 0 */
        EXPECT_INT(driver_refused(driver, ana.peer), PX_E_PROTO);
}

TEST(an_unknown_session_is_told_to_say_hello)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct client bob = driver_client(driver, BOB);
        struct px_submit_job wish = driver_true(driver);
        struct px_session_id old = ana.session;

        driver_restart(driver, 0); /* it never changed anything: it has no row */
        say(&ana, client_submit_frame(&ana, &wish, 1));
        EXPECT_INT(driver_mail_count(driver, ana.peer, PX_M_AGAIN), 1);
        client_hello(&ana);
        EXPECT(ana.session.value != old.value);
        client_hello(&bob);
        bob.session = ana.session; /* another's */
        say(&bob, client_submit_frame(&bob, &wish, 1));
        EXPECT_INT(driver_mail_count(driver, bob.peer, PX_M_AGAIN), 1);
        client_hello(&bob);
        EXPECT(bob.session.value != ana.session.value);
        EXPECT_U64(core_jobs_count(driver_core(driver)), 0);
}

TEST(a_session_that_changed_something_lives_through_a_restart)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct px_session_id old = ana.session;

        (void)client_submit(&ana, driver_true(driver), NULL);
        driver_restart(driver, 1000);
        client_hello(&ana);
        EXPECT_U64(ana.session.value, old.value);
}

TEST(a_silent_session_is_forgotten_with_its_answers)
{
        struct driver *driver = driver_start((struct driver_options){.session_ms = 5000});
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);

        say(&ana, client_submit_frame(&ana, &wish, 1));
        driver_run_ms(driver, 4999);
        ping(&ana);
        driver_run_ms(driver, 4999);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_SESSION), 1);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_ANSWER), 1);
        driver_run_ms(driver, 1);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_SESSION), 0);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_ANSWER), 0);
        ping(&ana);
        EXPECT_INT(driver_mail_count(driver, ana.peer, PX_M_AGAIN), 1);
}

TEST(a_long_answer_is_cut_into_rows_and_joined_at_a_load)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct px_job_id *ids = px_arena_alloc(driver_arena(driver), 1000 * sizeof(*ids));
        struct px_m_change change = {.session = ana.session,
                                     .done_below = 1,
                                     .change = PX_CHANGE_CANCEL,
                                     .jobs = ids,
                                     .jobs_count = 1000};
        struct px_m_changed changed;
        struct px_buf frame = {0};

        for (uint64_t i = 0; i < 1000; i++)
                ids[i].value = 5000000 + i;
        px_m_change_frame(&change, 1, 0, &frame);
        say(&ana, px_buf_slice(&frame));
        EXPECT(driver_rows_count(driver, PX_TABLE_ANSWER) > 1);
        driver_restart(driver, 0);
        say(&ana, px_buf_slice(&frame));
        EXPECT(DRIVER_READ(driver, ana.peer, CHANGED, changed, &changed));
        EXPECT_INT(changed.items_count, 1000);
        EXPECT_U64(changed.items[999].job.value, 5000999);
        px_buf_fini(&frame);
}

TEST(ends_go_to_the_peer_that_spoke_last)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        struct px_end end;
        uint64_t first, second;

        wish.notify = true;
        first = client_submit(&ana, wish, NULL);
        second = client_submit(&ana, wish, NULL);
        driver_peer_gone(driver, ana.peer);
        player_result(&n1, first, PX_OUTCOME_OK, 0);
        EXPECT(!client_end(&ana, first, &end));
        client_hello(&ana);
        player_result(&n1, second, PX_OUTCOME_OK, 0);
        EXPECT(client_end(&ana, second, &end));
        EXPECT(client_watch(&ana, first, &end)); /* what it missed */
        EXPECT_INT(end.state, PX_JOB_STATE_OK);
}

TEST(many_ends_of_one_step_are_one_message)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        struct px_m_change change = {.session = ana.session,
                                     .done_below = 1,
                                     .change = PX_CHANGE_CANCEL,
                                     .jobs = (struct px_job_id[]){{1}, {2}, {3}},
                                     .jobs_count = 3};
        struct px_buf frame = {0};
        struct px_m_end end;

        wish.notify = true;
        for (int i = 0; i < 3; i++)
                (void)client_submit(&ana, wish, NULL);
        px_m_change_frame(&change, ++ana.number, 0, &frame);
        say(&ana, px_buf_slice(&frame));
        EXPECT_INT(driver_mail_count(driver, ana.peer, PX_M_END), 1);
        EXPECT(DRIVER_READ(driver, ana.peer, END, end, &end));
        EXPECT_INT(end.items_count, 3);
        px_buf_fini(&frame);
}
