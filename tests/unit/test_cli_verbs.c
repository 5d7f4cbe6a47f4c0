/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_verbs.c - logs, wait, run and retry against a played library: what they print, their codes. */
#include <string.h>

#include "cli_played.h"

static void begin(void)
{
        memset(&played, 0, sizeof played);
}

static const struct played_chunk three_lines[] = {
        {PLEXUS_LOG_ATTEMPT, "node1", 1},      {PLEXUS_LOG_OUT, "one\ntw", 1000},
        {PLEXUS_LOG_ERR, "bad\n", 2000},       {PLEXUS_LOG_OUT, "o\nthree\n", 3000},
        {0, NULL, 0},
};

TEST(logs_of_one_job_keep_the_streams_apart)
{
        begin();
        played_add(7, PLEXUS_JOB_OK, three_lines);
        EXPECT_INT(played_run("logs", "7", NULL), 0);
        EXPECT_TEXT(played_out(), "one\ntwo\nthree\n");
        EXPECT_TEXT(played_err(), "bad\n");
        EXPECT_INT(played.streams_open, 0);
}

TEST(a_stream_may_be_chosen)
{
        begin();
        played_add(7, PLEXUS_JOB_OK, three_lines);
        EXPECT_INT(played_run("logs", "-p", "err", "7", NULL), 0);
        EXPECT_TEXT(played_out(), "");
        EXPECT_TEXT(played_err(), "bad\n");
}

TEST(since_leaves_out_what_is_older)
{
        begin();
        played_add(7, PLEXUS_JOB_OK, three_lines);
        EXPECT_INT(played_run("logs", "--since", "1970-01-01T00:00:02Z", "7", NULL), 0);
        EXPECT_TEXT(played_out(), "o\nthree\n");
}

TEST(tail_counts_lines_of_both_streams_from_the_end)
{
        begin();
        played_add(7, PLEXUS_JOB_OK, three_lines);
        EXPECT_INT(played_run("logs", "--tail", "1", "7", NULL), 0);
        EXPECT_TEXT(played_out(), "three\n");
        EXPECT_TEXT(played_err(), "");
        EXPECT_INT(played_run("logs", "--tail", "2", "7", NULL), 0);
        EXPECT_TEXT(played_out(), "three\n");
        EXPECT_TEXT(played_err(), "bad\n");
        EXPECT_INT(played_run("logs", "--tail", "9", "7", NULL), 0);
        EXPECT_TEXT(played_out(), "one\ntwo\nthree\n");
        EXPECT_TEXT(played_err(), "bad\n");
}

TEST(no_lines_of_a_tail_are_none)
{
        begin();
        played_add(7, PLEXUS_JOB_OK, three_lines);
        EXPECT_INT(played_run("logs", "--tail", "0", "7", NULL), 0);
        EXPECT_TEXT(played_out(), "");
        EXPECT_TEXT(played_err(), "");
}

TEST(a_tail_of_long_lines_reads_more_of_the_end)
{
        static char text[300001];
        struct played_chunk chunks[] = {{PLEXUS_LOG_OUT, text, 1000}, {0, NULL, 0}};

        begin();
        memset(text, 'x', sizeof text - 1);
        for (size_t i = 0; i < 3; i++)
                text[(i + 1) * 100000 - 1] = '\n';
        played_add(7, PLEXUS_JOB_OK, chunks);
        EXPECT_INT(played_run("logs", "--tail", "1", "--raw", "7", NULL), 0);
        EXPECT_INT(strspn(played_out(), "x"), PX_MIN((size_t)99999, strlen(played_out())));
        EXPECT(played.log_openings > 2);
}

TEST(logs_of_several_jobs_are_prefixed_whether_followed_or_not)
{
        static const struct played_chunk bar[] = {{PLEXUS_LOG_OUT, "\r10%\r90%", 1000}, {0, NULL, 0}};

        begin();
        played_add(7, PLEXUS_JOB_OK, three_lines);
        played_add(8, PLEXUS_JOB_OK, bar);
        EXPECT_INT(played_run("logs", "7", "8", NULL), 0);
        EXPECT_TEXT(played_out(), "7 │ one\n7 │ two\n7 │ three\n8 │ 90%\n");
        EXPECT_TEXT(played_err(), "7 │ bad\n");
        EXPECT_INT(played_run("logs", "-f", "7", "8", NULL), 0);
        EXPECT_TEXT(played_out(), "7 │ one\n7 │ two\n7 │ three\n8 │ 90%\n");
        EXPECT_INT(played.streams_open, 0);
}

TEST(a_job_that_is_not_there_does_not_hide_the_others)
{
        begin();
        played_add(7, PLEXUS_JOB_OK, three_lines);
        EXPECT_INT(played_run("logs", "7", "9", NULL), CLI_NO_MATCH);
        EXPECT_TEXT(played_out(), "7 │ one\n7 │ two\n7 │ three\n");
        EXPECT(strstr(played_err(), "plexus logs: there is no job 9") != NULL);
}

TEST(truncation_and_another_attempt_are_stated)
{
        static const struct played_chunk chunks[] = {
                {PLEXUS_LOG_ATTEMPT, "node1", 1}, {PLEXUS_LOG_OUT, "a\n", 1000},
                {PLEXUS_LOG_DROPPED, "", 512},    {PLEXUS_LOG_ATTEMPT, "node2", 2},
                {PLEXUS_LOG_OUT, "b\n", 1000},    {0, NULL, 0},
        };

        begin();
        played_add(7, PLEXUS_JOB_OK, chunks);
        EXPECT_INT(played_run("logs", "7", NULL), 0);
        EXPECT_TEXT(played_out(), "a\nb\n");
        EXPECT_TEXT(played_err(), "plexus logs: job 7: 512 bytes of stdout are missing here: above its log limit\n"
                                  "plexus logs: job 7: attempt 2 begins on node2\n");
}

/* ---- wait ------------------------------------------------------------------------------------------ */

TEST(wait_is_silent_when_one_job_ended_ok)
{
        begin();
        played_add(7, PLEXUS_JOB_OK, NULL);
        EXPECT_INT(played_run("wait", "7", NULL), 0);
        EXPECT_TEXT(played_out(), "");
        EXPECT_TEXT(played_err(), "");
}

TEST(wait_names_what_failed_its_last_words_and_what_is_next)
{
        static const struct played_chunk words[] = {
                {PLEXUS_LOG_OUT, "fine\n", 1}, {PLEXUS_LOG_ERR, "first\nValueError: NaN\n", 1}, {0, NULL, 0}};

        begin();
        played_add(7, PLEXUS_JOB_OK, NULL);
        played_add(8, PLEXUS_FAILED, words);
        EXPECT_INT(played_run("wait", "7-8", NULL), CLI_JOB_NOT_OK);
        EXPECT_TEXT(played_err(), "  8  failed: exit 1 on node1 after 2 s: ValueError: NaN   plexus logs 8\n"
                                  "1 of 2 jobs ended ok, 1 not, after 0.0s\nnext: plexus retry 8\n");
}

TEST(wait_for_any_ends_with_the_first)
{
        begin();
        played_add(7, PLEXUS_JOB_OK, NULL);
        played_add(8, PLEXUS_FAILED, NULL);
        EXPECT_INT(played_run("wait", "--any", "-q", "7", "8", NULL), 0);
        EXPECT_INT(played.ends_given, 1);
}

TEST(wait_gives_up_when_its_time_is_over)
{
        begin();
        played_add(7, PLEXUS_JOB_OK, NULL);
        played.ends_given = 1;
        EXPECT_INT(played_run("wait", "7", "--timeout", "30ms", NULL), CLI_UNREACHABLE);
        EXPECT_TEXT(played_err(), "plexus wait: the time is over: 0 of 1 jobs have ended\n");
}

/* ---- run ------------------------------------------------------------------------------------------- */

TEST(run_gives_the_output_as_it_is_and_the_jobs_code)
{
        static const struct played_chunk chunks[] = {
                {PLEXUS_LOG_OUT, "10%\r20%", 1}, {PLEXUS_LOG_ERR, "warn", 1}, {0, NULL, 0}};

        begin();
        played_add(7, PLEXUS_FAILED, chunks)->end.exit_code = 42;
        EXPECT_INT(played_run("run", "true", NULL), 42);
        EXPECT_TEXT(played_out(), "10%\r20%");
        EXPECT_TEXT(played_err(), "warn");
}

TEST(every_end_has_its_code)
{
        static const struct {
                int state, exit_code, signal, code;
        } ends[] = {
                {PLEXUS_JOB_OK, 0, 0, 0},          {PLEXUS_FAILED, 3, 0, 3},
                {PLEXUS_FAILED, -1, 9, 137},       {PLEXUS_FAILED, 127, 0, 127},
                {PLEXUS_TIMEOUT, -1, 15, 124},     {PLEXUS_LOST, -1, 0, 125},
                {PLEXUS_JOB_CANCELLED, -1, 15, 130}, {PLEXUS_FAILED, -1, 0, 125},
        };

        for (size_t i = 0; i < PX_COUNT_OF(ends); i++) {
                struct played_job *job;

                begin();
                job = played_add(7, ends[i].state, NULL);
                job->end.exit_code = ends[i].exit_code;
                job->end.signal = ends[i].signal;
                EXPECT_INT(played_run("run", "-q", "true", NULL), ends[i].code);
        }
}

TEST(a_submit_without_an_answer_prints_the_command_that_repeats_it)
{
        begin();
        EXPECT_INT(played_run("submit", "--name", "x", "--", "echo", "a b", NULL), CLI_UNREACHABLE);
        EXPECT_TEXT(played_out(), "");
        EXPECT(strstr(played_err(), "  plexus submit --name=x --idempotency-key=submit-") != NULL);
        EXPECT(strstr(played_err(), " -- echo 'a b'\n") != NULL);
        EXPECT_INT(played_run("run", "true", NULL), CLI_FAULT);
}

/* ---- selecting --------------------------------------------------------------------------------------- */

TEST(selectors_are_numbers_ranges_and_filters_each_job_once)
{
        begin();
        for (uint64_t id = 1; id <= 5; id++)
                played_add(id, id == 3 ? PLEXUS_FAILED : PLEXUS_JOB_OK, NULL);
        EXPECT_INT(played_run("retry", "-o", "id", "2,4", "1-5:2", "-q", NULL), 0);
        EXPECT_TEXT(played_out(), "1\n2\n3\n4\n5\n");
        EXPECT_INT(played_run("retry", "-o", "id", "state=failed", NULL), 0);
        EXPECT_TEXT(played_out(), "3\n");
        EXPECT_INT(played_run("retry", "-o", "id", "1-5", "--failed", NULL), 0);
        EXPECT_TEXT(played_out(), "3\n");
        EXPECT_INT(played_run("retry", "state=lost", NULL), CLI_NO_MATCH);
        EXPECT_TEXT(played_err(), "plexus retry: nothing matches\n");
        EXPECT_INT(played_run("retry", "5-1", NULL), CLI_USAGE);
        EXPECT_TEXT(played_err(), "plexus retry: \"5-1\" names no job; see \"plexus help selectors\"\n");
}

TEST(ps_turns_pages_and_stops_at_its_limit)
{
        begin();
        for (uint64_t id = 1; id <= 5; id++)
                played_add(id, PLEXUS_JOB_OK, NULL);
        EXPECT_INT(played_run("ps", "-a", "-o", "id", NULL), 0);
        EXPECT_TEXT(played_out(), "1\n2\n3\n4\n5\n");
        EXPECT_INT(played_run("ps", "-a", "-l", "3", "-o", "id", NULL), 0);
        EXPECT_TEXT(played_out(), "1\n2\n3\n");
}

TEST(why_a_broker_is_out_of_reach_is_said)
{
        begin();
        played.connect_error = PLEXUS_UNREACHABLE;
        played.detail = "no answer of host:7539";
        EXPECT_INT(played_run("ps", NULL), CLI_UNREACHABLE);
        EXPECT_TEXT(played_err(), "plexus ps: no answer of host:7539\n");
        EXPECT_INT(played_run("run", "true", NULL), CLI_FAULT);
}
