/* SPDX-License-Identifier: Apache-2.0 */
/* test_session_outbox.c - requests over a wire that loses them: what is sent when, under which
 * number. A request's frame is [session, done_below, text]; a trace line is one frame sent. */
#include "test.h"

#include "px_session.h"

#define TYPE_ASK 34

static struct px_outbox *outbox;
static struct px_buf trace;

static void outbox_end(void *context)
{
        (void)context;
        px_outbox_free(outbox);
        px_buf_fini(&trace);
}

static void outbox_start(uint32_t window)
{
        struct px_outbox_options options = {
                .window = window, .repeat_ms = 3000, .expire_ms = 100000};

        outbox = px_outbox_new(&options);
        px_buf_reset(&trace);
        test_cleanup(outbox_end, NULL);
}

static uint64_t ask(uint64_t token, bool recorded, const char *text)
{
        struct px_buf frame = {0};
        uint64_t number;

        px_wire_put_header(&frame, (struct px_wire_header){.type = TYPE_ASK, .count = 1});
        px_write_array(&frame, 3);
        px_write_u64(&frame, 0);
        px_write_u64(&frame, 0);
        px_write_text(&frame, px_slice_text(text));
        number = px_outbox_add(outbox, token, recorded, px_buf_slice(&frame));
        px_buf_fini(&frame);
        return number;
}

static bool welcome(uint64_t asked, uint64_t session, int64_t now_ms)
{
        struct px_buf expired = {0};
        bool followed = px_outbox_welcomed(outbox, asked, session, now_ms, &expired);

        for (size_t at = 0; at < expired.length; at += 8)
                px_buf_format(&trace, "[%lld] expired %llu\n", (long long)now_ms,
                              (unsigned long long)px_get_be64(expired.data + at));
        px_buf_fini(&expired);
        return followed;
}

/* Append what is sent until `end_ms` and compare with the whole trace. */
static void run_until(int64_t now_ms, int64_t end_ms)
{
        struct px_slice frame;

        while (now_ms <= end_ms) {
                while (px_outbox_next(outbox, now_ms, &frame)) {
                        struct px_wire_header header;
                        struct px_slice body;
                        struct px_reader reader;
                        uint64_t session;
                        uint64_t done_below;
                        char text[32];

                        EXPECT_INT(px_wire_get_header(frame, &header, &body), PX_WIRE_OK);
                        EXPECT_INT(header.type, TYPE_ASK);
                        px_reader_init(&reader, body);
                        EXPECT_INT(px_read_array(&reader, 3), 3);
                        session = px_read_u64(&reader, UINT64_MAX);
                        done_below = px_read_u64(&reader, UINT64_MAX);
                        px_slice_to_text(px_read_text(&reader, 31), text, sizeof(text));
                        px_read_end(&reader);
                        EXPECT_INT(reader.error, PX_WIRE_OK);
                        px_buf_format(&trace, "[%lld] %llu:%llu %s, done below %llu\n",
                                      (long long)now_ms, (unsigned long long)session,
                                      (unsigned long long)header.correlation, text,
                                      (unsigned long long)done_below);
                }
                now_ms = PX_MAX(px_outbox_deadline_ms(outbox), now_ms + 1);
        }
}

static void expect_trace(const char *expected)
{
        px_buf_append(&trace, "", 1);
        EXPECT_TEXT((const char *)trace.data, expected);
        px_buf_reset(&trace);
}

TEST(nothing_is_sent_before_a_welcome)
{
        outbox_start(4);
        ask(11, true, "a");
        run_until(0, 100000);
        expect_trace("");
        EXPECT_INT(px_outbox_deadline_ms(outbox), INT64_MAX);
        EXPECT(welcome(0, 70, 10));
        run_until(10, 20);
        expect_trace("[10] 70:1 a, done below 1\n");
}

TEST(an_unanswered_request_is_repeated_with_its_number_at_growing_intervals)
{
        outbox_start(4);
        EXPECT(welcome(0, 70, 10));
        ask(11, true, "a");
        run_until(10, 55000);
        expect_trace("[10] 70:1 a, done below 1\n"
                     "[3010] 70:1 a, done below 1\n"
                     "[9010] 70:1 a, done below 1\n"
                     "[21010] 70:1 a, done below 1\n"
                     "[36010] 70:1 a, done below 1\n"
                     "[51010] 70:1 a, done below 1\n");
}

TEST(an_answer_ends_a_request_and_its_repetition_is_unknown)
{
        outbox_start(4);
        EXPECT(welcome(0, 70, 0));
        ask(11, true, "a");
        ask(12, true, "b");
        run_until(1, 1);
        expect_trace("[1] 70:1 a, done below 1\n"
                     "[1] 70:2 b, done below 1\n");
        EXPECT_U64(px_outbox_answered(outbox, 1), 11);
        EXPECT_U64(px_outbox_answered(outbox, 1), 0);
        EXPECT_U64(px_outbox_answered(outbox, 99), 0);
        run_until(2, 3002);
        expect_trace("[3001] 70:2 b, done below 2\n");
        EXPECT_U64(px_outbox_answered(outbox, 2), 12);
        EXPECT_U64(px_outbox_count(outbox), 0);
        EXPECT_U64(px_outbox_done_below(outbox), 3);
}

TEST(requests_beyond_the_window_wait_for_the_oldest_answer)
{
        outbox_start(2);
        EXPECT(welcome(0, 70, 0));
        for (uint64_t token = 11; token < 15; token++)
                ask(token, true, "x");
        run_until(1, 1);
        EXPECT_U64(px_outbox_answered(outbox, 2), 12);
        run_until(2, 2);
        expect_trace("[1] 70:1 x, done below 1\n"
                     "[1] 70:2 x, done below 1\n");
        EXPECT_U64(px_outbox_answered(outbox, 1), 11);
        run_until(3, 3);
        expect_trace("[3] 70:3 x, done below 3\n"
                     "[3] 70:4 x, done below 3\n");
}

TEST(a_welcome_to_the_same_session_sends_all_again_under_the_same_numbers)
{
        outbox_start(4);
        EXPECT(welcome(0, 70, 0));
        ask(11, true, "a");
        ask(12, false, "b");
        run_until(1, 1);
        px_buf_reset(&trace);
        EXPECT(welcome(70, 70, 500));
        run_until(500, 3500);
        expect_trace("[500] 70:1 a, done below 1\n"
                     "[500] 70:2 b, done below 1\n"
                     "[3500] 70:1 a, done below 1\n"
                     "[3500] 70:2 b, done below 1\n");
}

TEST(a_new_session_renumbers_without_using_a_number_twice)
{
        outbox_start(2);
        EXPECT(welcome(0, 70, 0));
        ask(11, true, "a");
        ask(12, true, "b");
        ask(13, true, "c");
        run_until(1, 1);
        px_buf_reset(&trace);
        EXPECT_U64(px_outbox_answered(outbox, 1), 11);
        EXPECT(welcome(70, 71, 500));
        run_until(500, 500);
        expect_trace("[500] 71:4 b, done below 4\n"
                     "[500] 71:5 c, done below 4\n");
        /* An answer from the old session can't be mistaken. */
        EXPECT_U64(px_outbox_answered(outbox, 2), 0);
        EXPECT_U64(px_outbox_answered(outbox, 4), 12);
}

TEST(only_an_answer_to_a_greeting_that_named_our_session_may_replace_it)
{
        outbox_start(2);
        EXPECT(welcome(0, 70, 0));
        ask(11, true, "a");
        run_until(1, 1);
        EXPECT(!welcome(0, 71, 2)); /* the second of two first greetings */
        EXPECT_U64(px_outbox_session(outbox), 70);
        EXPECT(welcome(70, 71, 3));
        EXPECT_U64(px_outbox_session(outbox), 71);
}

TEST(a_recorded_request_first_sent_too_long_ago_is_not_run_in_a_new_session)
{
        outbox_start(4);
        EXPECT(welcome(0, 70, 0));
        ask(11, true, "recorded");
        ask(12, false, "question");
        run_until(1, 1);
        ask(13, true, "unsent");
        px_buf_reset(&trace);
        EXPECT(welcome(70, 71, 100002));
        run_until(100002, 100002);
        expect_trace("[100002] expired 11\n"
                     "[100002] 71:4 question, done below 4\n"
                     "[100002] 71:5 unsent, done below 4\n");
}

TEST(a_forgotten_question_is_gone_and_a_forgotten_command_still_runs)
{
        outbox_start(2);
        EXPECT(welcome(0, 70, 0));
        ask(11, false, "question");
        ask(12, true, "command");
        ask(13, true, "later");
        px_outbox_forget(outbox, 11);
        px_outbox_forget(outbox, 12);
        run_until(1, 1);
        expect_trace("[1] 70:2 command, done below 2\n"
                     "[1] 70:3 later, done below 2\n");
        EXPECT_U64(px_outbox_answered(outbox, 2), 0);
        EXPECT_U64(px_outbox_done_below(outbox), 3);
}

TEST(a_question_forgotten_beyond_the_window_leaves_no_gap)
{
        outbox_start(1);
        EXPECT(welcome(0, 70, 0));
        ask(11, true, "a");
        ask(12, false, "question");
        ask(13, true, "c");
        px_outbox_forget(outbox, 12);
        run_until(1, 1);
        EXPECT_U64(px_outbox_answered(outbox, 1), 11);
        run_until(2, 2);
        expect_trace("[1] 70:1 a, done below 1\n"
                     "[2] 70:3 c, done below 3\n");
}

/* The whole conversation over a wire that loses half of everything, both ways. */
TEST(each_request_runs_once_over_a_wire_that_loses_half)
{
        struct px_answers answers;
        struct px_buf forgotten = {0};
        struct px_rand rand;
        struct px_slice frame;
        int64_t now_ms = 0;
        int runs[200] = {0};
        int answered = 0;

        px_rand_init(&rand, 3);
        px_answers_init(&answers);
        outbox_start(16);
        EXPECT(welcome(0, 70, 0));
        for (uint64_t i = 0; i < 200; i++)
                ask(i + 1, true, "x");
        while (answered < 200) {
                EXPECT(now_ms < 10000000);
                now_ms = PX_MAX(now_ms, px_outbox_deadline_ms(outbox));
                while (px_outbox_next(outbox, now_ms, &frame)) {
                        uint64_t number = px_get_be64(frame.data + 8);
                        struct px_slice body = px_slice_text("yes");
                        uint16_t type = 0;
                        int result;

                        if (px_rand_chance(&rand, 500))
                                continue;
                        px_answers_done(&answers, px_outbox_done_below(outbox), &forgotten);
                        result = px_answers_find(&answers, number, 16, &type, &body);
                        EXPECT(result == PX_ANSWERS_NEW || result == PX_ANSWERS_KNOWN);
                        if (result == PX_ANSWERS_NEW) {
                                runs[number - 1]++;
                                px_answers_put(&answers, number, 35, body);
                        }
                        if (px_rand_chance(&rand, 500) && px_outbox_answered(outbox, number) != 0)
                                answered++;
                }
        }
        for (int i = 0; i < 200; i++)
                EXPECT_INT(runs[i], 1);
        px_answers_fini(&answers);
        px_buf_fini(&forgotten);
}
