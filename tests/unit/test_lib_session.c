/* SPDX-License-Identifier: Apache-2.0 */
/* test_lib_session.c - the library's requests against a broker that forgets, repeats and refuses. */
#include "fake_broker.h"

#include <stdio.h>

static struct fake fake;

static void submit(struct fake *context)
{
        static const char *const argv[] = {"/bin/true", NULL};
        struct plexus_job_spec spec = {.argv = argv, .cwd = "/"};

        context->code = plexus_submit(context->px, &spec, &context->job);
}

static void wait_5(struct fake *context)
{
        context->code = plexus_wait(context->px, 5, FAKE_MS, &context->end);
}

static void say_submitted(uint64_t number, uint64_t job)
{
        FAKE_SAY(&fake.cmd, submitted, number,
                 .runs = &(struct px_answer_run){.job = {job}, .count = 1}, .runs_count = 1);
}

TEST(a_submit_carries_the_session_and_returns_the_job)
{
        struct px_m_submit message;
        struct px_spec spec;

        fake_start(&fake);
        fake_call(&fake, submit);
        fake_take(&fake, &fake.cmd, PX_M_SUBMIT);
        FAKE_READ(&fake, &fake.cmd, submit, &message);
        EXPECT_U64(message.session.value, FAKE_SESSION);
        EXPECT_INT(message.jobs_count, 1);
        EXPECT_INT(message.jobs[0].cpus_milli, 1000);
        EXPECT_INT(px_spec_decode(message.jobs[0].spec, &fake.arena, &spec), PX_WIRE_OK);
        EXPECT_BYTES(spec.argv[0], px_slice_text("/bin/true"));
        EXPECT_BYTES(spec.cwd, px_slice_text("/"));
        say_submitted(fake.cmd.correlation, 42);
        EXPECT_INT(fake_join(&fake), PLEXUS_OK);
        EXPECT_U64(fake.job, 42);
}

TEST(after_AGAIN_a_request_is_repeated_under_its_number)
{
        uint64_t number;

        fake_start(&fake);
        fake_call(&fake, submit);
        fake_take(&fake, &fake.cmd, PX_M_SUBMIT);
        number = fake.cmd.correlation;
        FAKE_SAY(&fake.cmd, again, 0, .epoch = 8);
        fake_take(&fake, &fake.cmd, PX_M_CLIENT_HELLO);
        fake_welcome(&fake, FAKE_SESSION);
        fake_take(&fake, &fake.cmd, PX_M_SUBMIT);
        EXPECT_U64(fake.cmd.correlation, number);
        say_submitted(number, 3);
        say_submitted(number, 4); /* said twice: of no effect */
        EXPECT_INT(fake_join(&fake), PLEXUS_OK);
        EXPECT_U64(fake.job, 3);
}

TEST(after_BYE_a_request_is_repeated_to_the_next_broker)
{
        uint64_t number;

        fake_start(&fake);
        fake_call(&fake, submit);
        fake_take(&fake, &fake.cmd, PX_M_SUBMIT);
        number = fake.cmd.correlation;
        FAKE_SAY(&fake.cmd, bye, 0, .epoch = 7);
        fake_take(&fake, &fake.cmd, PX_M_CLIENT_HELLO);
        fake_welcome(&fake, FAKE_SESSION);
        fake_take(&fake, &fake.cmd, PX_M_SUBMIT);
        EXPECT_U64(fake.cmd.correlation, number);
        say_submitted(number, 3);
        EXPECT_INT(fake_join(&fake), PLEXUS_OK);
}

TEST(a_broken_connection_is_greeted_anew_and_the_request_repeated)
{
        uint64_t number;

        fake_start(&fake);
        fake_call(&fake, submit);
        fake_take(&fake, &fake.cmd, PX_M_SUBMIT);
        number = fake.cmd.correlation;
        fake_reset(&fake, &fake.cmd);
        fake_take(&fake, &fake.cmd, PX_M_CLIENT_HELLO);
        EXPECT_U64(fake.cmd.correlation, FAKE_SESSION);
        fake_welcome(&fake, FAKE_SESSION);
        fake_take(&fake, &fake.cmd, PX_M_SUBMIT);
        EXPECT_U64(fake.cmd.correlation, number);
        say_submitted(number, 9);
        EXPECT_INT(fake_join(&fake), PLEXUS_OK);
        EXPECT_U64(fake.job, 9);
}

TEST(a_new_session_gives_the_request_a_new_number)
{
        struct px_m_submit message;
        uint64_t number;

        fake_start(&fake);
        fake_call(&fake, submit);
        fake_take(&fake, &fake.cmd, PX_M_SUBMIT);
        number = fake.cmd.correlation;
        FAKE_SAY(&fake.cmd, again, 0, .epoch = 8);
        fake_take(&fake, &fake.cmd, PX_M_CLIENT_HELLO);
        fake_welcome(&fake, FAKE_SESSION + 1);
        fake_take(&fake, &fake.cmd, PX_M_SUBMIT);
        FAKE_READ(&fake, &fake.cmd, submit, &message);
        EXPECT_U64(message.session.value, FAKE_SESSION + 1);
        EXPECT(fake.cmd.correlation != number);
        say_submitted(number, 1); /* an answer of the old session */
        say_submitted(fake.cmd.correlation, 2);
        EXPECT_INT(fake_join(&fake), PLEXUS_OK);
        EXPECT_U64(fake.job, 2);
}

TEST(a_watch_is_asked_again_in_each_new_session)
{
        struct px_m_watch watch;

        fake_start(&fake);
        fake_call(&fake, wait_5);
        fake_take(&fake, &fake.cmd, PX_M_WATCH);
        FAKE_SAY(&fake.cmd, end, fake.cmd.correlation, .items_count = 0);
        fake_reset(&fake, &fake.cmd);
        fake_take(&fake, &fake.cmd, PX_M_CLIENT_HELLO);
        fake_welcome(&fake, FAKE_SESSION);
        fake_take(&fake, &fake.cmd, PX_M_WATCH);
        FAKE_READ(&fake, &fake.cmd, watch, &watch);
        EXPECT_INT(watch.jobs_count, 1);
        EXPECT_U64(watch.jobs[0].value, 5);
        FAKE_SAY(&fake.cmd, end, 0,
                 .items = &(struct px_end){.job = {5}, .state = PX_JOB_STATE_FAILED,
                                           .exit_code = 3, .attempt = 2,
                                           .text = px_slice_text("exit 3 on n1")},
                 .items_count = 1);
        EXPECT_INT(fake_join(&fake), PLEXUS_OK);
        EXPECT_INT(fake.end.state, PLEXUS_FAILED);
        EXPECT_INT(fake.end.exit_code, 3);
        EXPECT_TEXT(fake.end.reason, "exit 3 on n1");
}

static void wait_briefly(struct fake *context)
{
        context->code = plexus_wait(context->px, 5, 1, &context->end);
        snprintf(context->end.reason, sizeof(context->end.reason), "%s",
                 plexus_detail(context->px));
}

TEST(a_wait_that_ends_too_early_says_that_the_job_goes_on)
{
        fake_start(&fake);
        fake_call(&fake, wait_briefly); /* its WATCH may be withdrawn before it was sent */
        EXPECT_INT(fake_join(&fake), PLEXUS_TIMED_OUT);
        EXPECT_TEXT(fake.end.reason, "job 5 has not ended yet; it goes on");
}

static void submit_and_read_detail(struct fake *context)
{
        submit(context);
        snprintf(context->end.reason, sizeof(context->end.reason), "%s",
                 plexus_detail(context->px));
}

TEST(a_refusal_reaches_the_caller_in_words)
{
        fake_start(&fake);
        fake_call(&fake, submit_and_read_detail);
        fake_take(&fake, &fake.cmd, PX_M_SUBMIT);
        FAKE_SAY(&fake.cmd, refused, fake.cmd.correlation, .code = PX_E_STORAGE_FULL,
                 .text = px_slice_text("3 MB are left"));
        EXPECT_INT(fake_join(&fake), PLEXUS_STORAGE_FULL);
        EXPECT_TEXT(fake.end.reason, "3 MB are left");
}

TEST(a_revoked_token_ends_every_call_now_and_later)
{
        struct plexus_status status;

        fake_start(&fake);
        fake_call(&fake, wait_5);
        fake_take(&fake, &fake.cmd, PX_M_WATCH);
        FAKE_SAY(&fake.cmd, refused, 0, .code = PX_E_REVOKED,
                 .text = px_slice_text("revoked by root"));
        EXPECT_INT(fake_join(&fake), PLEXUS_REVOKED);
        EXPECT_INT(plexus_status(fake.px, &status), PLEXUS_REVOKED);
        EXPECT_TEXT(plexus_detail(fake.px), "revoked by root");
}

TEST(a_question_without_an_answer_names_the_hop_that_was_silent)
{
        struct plexus_shown shown;
        struct plexus_status status;

        fake_start_timeout(&fake, 1000);
        EXPECT_INT(plexus_show(fake.px, 5, &shown), PLEXUS_TIMED_OUT);
        EXPECT(strstr(plexus_detail(fake.px), "/data within 1000 ms") != NULL);
        EXPECT_INT(plexus_status(fake.px, &status), PLEXUS_TIMED_OUT);
        EXPECT(strstr(plexus_detail(fake.px), "/cmd within 1000 ms") != NULL);
}

TEST(an_answer_that_cannot_be_read_is_a_refusal)
{
        fake_start(&fake);
        fake_call(&fake, submit);
        fake_take(&fake, &fake.cmd, PX_M_SUBMIT);
        FAKE_SAY(&fake.cmd, pong, fake.cmd.correlation, .epoch = 1); /* heard, no answer */
        FAKE_SAY(&fake.cmd, why_is, fake.cmd.correlation, .position = 1);
        EXPECT_INT(fake_join(&fake), PLEXUS_PROTO);
}

static void list_all(struct fake *context)
{
        struct plexus_list list;

        context->code = plexus_jobs(context->px, NULL, 0, 10, &list);
        if (context->code == PLEXUS_OK)
                plexus_list_fini(&list);
}

/* Found by the nemesis: the state is behind the journal for a moment when much is submitted. */
TEST(a_question_to_a_busy_broker_is_asked_again)
{
        fake_start(&fake);
        fake_call(&fake, list_all);
        fake_take(&fake, &fake.data, PX_M_LIST);
        FAKE_SAY(&fake.data, refused, fake.data.correlation, .code = PX_E_BUSY);
        fake_take(&fake, &fake.data, PX_M_LIST);
        FAKE_SAY(&fake.data, jobs, fake.data.correlation, .cursor = 0);
        EXPECT_INT(fake_join(&fake), PLEXUS_OK);
}
