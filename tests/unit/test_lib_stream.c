/* SPDX-License-Identifier: Apache-2.0 */
/* test_lib_stream.c - logs and events over resets, gaps and repetitions: each once, in order. */
#include "fake_broker.h"

static struct fake fake;
static plexus_stream *stream;

static void close_stream(void *unused)
{
        (void)unused;
        plexus_stream_close(stream);
        stream = NULL;
}

static struct px_m_stream_open take_open(void)
{
        struct px_m_stream_open open;

        fake_take(&fake, &fake.data, PX_M_STREAM_OPEN);
        FAKE_READ(&fake, &fake.data, stream_open, &open);
        return open;
}

/* Open the log of job 5 without progress beside it. */
static uint32_t start_log(struct plexus_log_options options)
{
        struct px_m_stream_open open;

        fake_start(&fake);
        test_cleanup(close_stream, NULL);
        EXPECT_INT(plexus_logs(fake.px, 5, &options, &stream), PLEXUS_OK);
        open = take_open();
        EXPECT_U64(open.job.value, 5);
        EXPECT_INT(open.kind, PX_STREAM_KIND_LOG);
        if (options.follow)
                EXPECT_INT(take_open().kind, PX_STREAM_KIND_PROGRESS);
        return open.stream;
}

static void say_log(uint32_t number, uint32_t attempt, int log, uint64_t offset, uint64_t dropped,
                    const char *bytes)
{
        struct px_m_stream_log message = {.stream = number, .job = {5}, .attempt = attempt,
                                          .log = log, .offset = offset, .dropped_bytes = dropped};
        struct px_buf frame = {0};

        px_m_stream_log_frame(&message, 0, PX_WIRE_FLAG_PAYLOAD, &frame);
        fake_send(&fake.data, &frame, px_slice_text(bytes));
        px_buf_fini(&frame);
}

static void say_attempt(uint32_t number, uint32_t attempt)
{
        FAKE_SAY(&fake.data, stream_attempt, 0, .stream = number, .job = {5}, .attempt = attempt,
                 .node = px_slice_text("n1"));
}

static void say_end(uint32_t number, uint32_t attempt, int state, uint64_t out_bytes)
{
        FAKE_SAY(&fake.data, stream_end, 0, .stream = number, .job = {5}, .attempt = attempt,
                 .state = state, .out_bytes = out_bytes);
}

static void expect_kind(int kind)
{
        struct plexus_log_item item;

        EXPECT_INT(plexus_log_next(stream, FAKE_MS, &item), PLEXUS_OK);
        EXPECT_INT(item.kind, kind);
}

static void expect_bytes(int log, uint32_t attempt, uint64_t offset, const char *bytes)
{
        struct plexus_log_item item;

        EXPECT_INT(plexus_log_next(stream, FAKE_MS, &item), PLEXUS_OK);
        EXPECT_INT(item.kind, log == 1 ? PLEXUS_LOG_OUT : PLEXUS_LOG_ERR);
        EXPECT_INT(item.attempt, attempt);
        EXPECT_U64(item.offset, offset);
        EXPECT_BYTES(px_slice_of(item.bytes, item.length), px_slice_text(bytes));
}

TEST(a_log_is_given_in_order_and_ends)
{
        struct plexus_log_item item;
        uint32_t number = start_log((struct plexus_log_options){.follow = true});

        say_attempt(number, 1);
        say_log(number, 1, 1, 0, 0, "one");
        say_log(number, 1, 2, 0, 0, "problem");
        say_log(number, 1, 1, 3, 0, "two");
        say_end(number, 1, PX_JOB_STATE_OK, 6);
        expect_kind(PLEXUS_LOG_ATTEMPT);
        expect_bytes(1, 1, 0, "one");
        expect_bytes(2, 1, 0, "problem");
        expect_bytes(1, 1, 3, "two");
        EXPECT_INT(plexus_log_next(stream, FAKE_MS, &item), PLEXUS_OK);
        EXPECT_INT(item.kind, PLEXUS_LOG_END);
        EXPECT_INT(item.state, PLEXUS_JOB_OK);
        EXPECT_INT(plexus_log_next(stream, FAKE_MS, &item), PLEXUS_CANCELLED);
}

/* Found by the nemesis: the 65th log that a connection followed was refused, LIMIT. */
TEST(the_progress_beside_a_log_is_closed_when_the_log_ends)
{
        struct px_m_stream_open progress;
        struct px_m_stream_close close;
        uint32_t number;

        fake_start(&fake);
        test_cleanup(close_stream, NULL);
        EXPECT_INT(plexus_logs(fake.px, 5, &(struct plexus_log_options){.follow = true}, &stream),
                   PLEXUS_OK);
        number = take_open().stream;
        progress = take_open();
        EXPECT_INT(progress.kind, PX_STREAM_KIND_PROGRESS);
        say_attempt(number, 1);
        say_end(number, 1, PX_JOB_STATE_OK, 0);
        fake_take(&fake, &fake.data, PX_M_STREAM_CLOSE);
        FAKE_READ(&fake, &fake.data, stream_close, &close);
        EXPECT_U64(close.stream, progress.stream);
        expect_kind(PLEXUS_LOG_ATTEMPT);
        expect_kind(PLEXUS_LOG_END);
        /* What was under way is for nobody now. */
        close_stream(NULL);
        FAKE_SAY(&fake.data, stream_progress, 0, .stream = progress.stream);
        say_end(number, 1, PX_JOB_STATE_OK, 0);
        EXPECT_INT(plexus_logs(fake.px, 5, &(struct plexus_log_options){0}, &stream), PLEXUS_OK);
        EXPECT(take_open().stream != progress.stream);
}

TEST(after_a_reset_the_log_goes_on_where_it_was)
{
        struct px_m_stream_open open;
        uint32_t number = start_log((struct plexus_log_options){0});

        say_attempt(number, 2);
        say_log(number, 2, 1, 0, 0, "abc");
        expect_kind(PLEXUS_LOG_ATTEMPT);
        expect_bytes(1, 2, 0, "abc");
        fake_reset(&fake, &fake.data);
        open = take_open();
        EXPECT_INT(open.attempt, 2);
        EXPECT_U64(open.out_offset, 3);
        EXPECT_U64(open.err_offset, 0);
        EXPECT(open.stream != number);
        say_log(number, 2, 1, 3, 0, "old");          /* of the stream that is gone */
        say_attempt(open.stream, 2);                 /* known */
        say_log(open.stream, 2, 1, 1, 0, "bc");      /* known */
        say_log(open.stream, 2, 1, 2, 0, "cdef");    /* partly known */
        expect_bytes(1, 2, 3, "def");
}

TEST(a_gap_that_nobody_states_is_asked_for)
{
        struct px_m_stream_open open;
        uint32_t number = start_log((struct plexus_log_options){0});

        say_log(number, 1, 1, 0, 0, "abc");
        say_log(number, 1, 1, 5, 0, "fgh");
        fake_take(&fake, &fake.data, PX_M_STREAM_CLOSE);
        open = take_open();
        EXPECT_U64(open.out_offset, 3);
        say_log(open.stream, 1, 1, 3, 0, "defgh");
        expect_kind(PLEXUS_LOG_ATTEMPT);
        expect_bytes(1, 1, 0, "abc");
        expect_bytes(1, 1, 3, "defgh");
}

TEST(what_the_cap_dropped_is_stated)
{
        struct plexus_log_item item;
        uint32_t number = start_log((struct plexus_log_options){0});

        say_log(number, 1, 1, 0, 0, "head");
        say_log(number, 1, 1, 1004, 1000, "tail");
        expect_kind(PLEXUS_LOG_ATTEMPT);
        expect_bytes(1, 1, 0, "head");
        EXPECT_INT(plexus_log_next(stream, FAKE_MS, &item), PLEXUS_OK);
        EXPECT_INT(item.kind, PLEXUS_LOG_DROPPED);
        EXPECT_U64(item.dropped_bytes, 1000);
        expect_bytes(1, 1, 1004, "tail");
}

TEST(the_next_attempt_begins_at_its_first_byte)
{
        uint32_t number = start_log((struct plexus_log_options){.follow = true});

        say_log(number, 1, 1, 0, 0, "first try");
        say_attempt(number, 2);
        say_log(number, 1, 1, 9, 0, "late");
        say_log(number, 2, 1, 0, 0, "second");
        expect_kind(PLEXUS_LOG_ATTEMPT);
        expect_bytes(1, 1, 0, "first try");
        expect_kind(PLEXUS_LOG_ATTEMPT);
        expect_bytes(1, 2, 0, "second");
}

TEST(after_a_fenced_attempt_the_next_one_is_opened_at_its_first_byte)
{
        struct plexus_log_item item;
        struct px_m_stream_open open;
        uint32_t number = start_log((struct plexus_log_options){.follow = true});

        say_attempt(number, 1);
        say_log(number, 1, 1, 0, 0, "first");
        say_end(number, 2, PX_JOB_STATE_RUNNING, 5);
        for (int i = 0; i < 2; i++)
                fake_take(&fake, &fake.data, PX_M_STREAM_CLOSE);
        open = take_open();
        EXPECT_INT(open.attempt, 2);
        EXPECT_U64(open.out_offset, 0);
        say_attempt(open.stream, 2);
        say_log(open.stream, 2, 1, 0, 0, "second");
        say_end(open.stream, 2, PX_JOB_STATE_OK, 6);
        expect_kind(PLEXUS_LOG_ATTEMPT);
        expect_bytes(1, 1, 0, "first");
        EXPECT_INT(plexus_log_next(stream, FAKE_MS, &item), PLEXUS_OK);
        EXPECT_INT(item.kind, PLEXUS_LOG_ATTEMPT);
        EXPECT_INT(item.attempt, 2);
        EXPECT_TEXT(item.text, "n1");
        expect_bytes(1, 2, 0, "second");
        expect_kind(PLEXUS_LOG_END);
}

TEST(a_tail_begins_where_the_broker_says)
{
        uint32_t number = start_log((struct plexus_log_options){.tail_bytes = 4});

        say_log(number, 1, 1, 96, 0, "last");
        expect_kind(PLEXUS_LOG_ATTEMPT);
        expect_bytes(1, 1, 96, "last");
}

TEST(an_end_before_the_last_byte_is_not_believed)
{
        struct px_m_stream_open open;
        uint32_t number = start_log((struct plexus_log_options){0});

        say_log(number, 1, 1, 0, 0, "abc");
        say_end(number, 1, PX_JOB_STATE_OK, 5);
        fake_take(&fake, &fake.data, PX_M_STREAM_CLOSE);
        open = take_open();
        EXPECT_U64(open.out_offset, 3);
        say_log(open.stream, 1, 1, 3, 0, "de");
        say_end(open.stream, 1, PX_JOB_STATE_OK, 5);
        expect_kind(PLEXUS_LOG_ATTEMPT);
        expect_bytes(1, 1, 0, "abc");
        expect_bytes(1, 1, 3, "de");
        expect_kind(PLEXUS_LOG_END);
}

TEST(credit_goes_back_as_bytes_are_taken)
{
        static char chunk[32769];
        struct px_m_stream_credit credit;
        uint32_t number = start_log((struct plexus_log_options){0});

        memset(chunk, 'x', sizeof(chunk) - 1);
        for (uint64_t i = 0; i < 8; i++)
                say_log(number, 1, 1, i * 32768, 0, chunk);
        expect_kind(PLEXUS_LOG_ATTEMPT);
        for (int i = 0; i < 7; i++)
                expect_kind(PLEXUS_LOG_OUT);
        EXPECT(!fake_hears(&fake, &fake.data, 50));
        expect_kind(PLEXUS_LOG_OUT);
        fake_take(&fake, &fake.data, PX_M_STREAM_CREDIT);
        FAKE_READ(&fake, &fake.data, stream_credit, &credit);
        EXPECT_INT(credit.stream, number);
        EXPECT_U64(credit.bytes, 8 * 32768);
}

TEST(a_stream_that_is_refused_says_why)
{
        struct plexus_log_item item;
        uint32_t number = start_log((struct plexus_log_options){0});

        FAKE_SAY(&fake.data, refused, number, .code = PX_E_ABSENT,
                 .text = px_slice_text("no job 5"));
        EXPECT_INT(plexus_log_next(stream, FAKE_MS, &item), PLEXUS_ABSENT);
        EXPECT_TEXT(plexus_detail(fake.px), "no job 5");
}

TEST(progress_beside_a_log_is_given_once)
{
        struct plexus_log_item item;
        struct px_progress progress = {.job = {5}, .fence = {7, 1}, .permille = 250,
                                       .text = px_slice_text("slice 3")};
        struct px_m_stream_open open;

        fake_start(&fake);
        test_cleanup(close_stream, NULL);
        EXPECT_INT(plexus_logs(fake.px, 5, &(struct plexus_log_options){.follow = true}, &stream),
                   PLEXUS_OK);
        take_open();
        open = take_open();
        EXPECT_INT(open.kind, PX_STREAM_KIND_PROGRESS);
        for (int i = 0; i < 2; i++)
                FAKE_SAY(&fake.data, stream_progress, 0, .stream = open.stream, .items = &progress,
                         .items_count = 1);
        EXPECT_INT(plexus_log_next(stream, FAKE_MS, &item), PLEXUS_OK);
        EXPECT_INT(item.kind, PLEXUS_LOG_PROGRESS);
        EXPECT(item.progress == 0.25);
        EXPECT_TEXT(item.text, "slice 3");
        EXPECT_INT(plexus_log_next(stream, 1, &item), PLEXUS_TIMED_OUT);
}

/* ---- events ------------------------------------------------------------------------------------------ */

static void say_events(uint32_t number, uint64_t previous, uint64_t from, uint64_t to)
{
        struct px_event events[16] = {0};
        struct px_m_stream_events message = {.stream = number, .previous_index = previous,
                                             .last_index = to > previous ? to : previous,
                                             .events = events};
        struct px_buf frame = {0};

        for (uint64_t index = from; index <= to; index++)
                events[message.events_count++] = (struct px_event){
                        .index = index, .kind = PX_EV_JOB_OK, .job = {5}};
        px_m_stream_events_frame(&message, 0, 0, &frame);
        fake_send(&fake.data, &frame, PX_SLICE_NONE);
        px_buf_fini(&frame);
}

static void expect_event(uint64_t index)
{
        struct plexus_event event;

        EXPECT_INT(plexus_event_next(stream, FAKE_MS, &event), PLEXUS_OK);
        EXPECT_U64(event.index, index);
        EXPECT_TEXT(event.type, "job.ok");
}

TEST(events_are_given_once_and_a_gap_is_asked_for)
{
        struct px_m_stream_open open;

        fake_start(&fake);
        test_cleanup(close_stream, NULL);
        EXPECT_INT(plexus_events(fake.px, 10, 0, 0, &stream), PLEXUS_OK);
        open = take_open();
        EXPECT_U64(open.index, 10);
        say_events(open.stream, 10, 11, 12);
        say_events(open.stream, 11, 12, 13); /* 12 again */
        say_events(open.stream, 15, 16, 16); /* 14 and 15 are missing */
        fake_take(&fake, &fake.data, PX_M_STREAM_CLOSE);
        open = take_open();
        EXPECT_U64(open.index, 13);
        say_events(open.stream, 13, 14, 16);
        for (uint64_t index = 11; index <= 16; index++)
                expect_event(index);
}

TEST(a_lost_tail_of_events_shows_by_the_idle_word)
{
        struct px_m_stream_open open;

        fake_start(&fake);
        test_cleanup(close_stream, NULL);
        EXPECT_INT(plexus_events(fake.px, UINT64_MAX, 0, 0, &stream), PLEXUS_OK);
        open = take_open();
        say_events(open.stream, 20, 21, 21);
        say_events(open.stream, 22, 1, 0); /* nothing newer than 22: so one was missed */
        fake_take(&fake, &fake.data, PX_M_STREAM_CLOSE);
        open = take_open();
        EXPECT_U64(open.index, 21);
        expect_event(21);
}

TEST(events_older_than_what_is_kept_are_a_refusal)
{
        struct plexus_event event;
        struct px_m_stream_open open;

        fake_start(&fake);
        test_cleanup(close_stream, NULL);
        EXPECT_INT(plexus_events(fake.px, 1, 0, 0, &stream), PLEXUS_OK);
        open = take_open();
        FAKE_SAY(&fake.data, stream_end, 0, .stream = open.stream, .code = PX_E_SNAPSHOT,
                 .text = px_slice_text("kept from 900 on"));
        EXPECT_INT(plexus_event_next(stream, FAKE_MS, &event), PLEXUS_SNAPSHOT);
        EXPECT_TEXT(plexus_detail(fake.px), "kept from 900 on");
}
