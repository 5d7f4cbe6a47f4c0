/* SPDX-License-Identifier: Apache-2.0 */
/* test_codec.c - the typed codecs on chosen messages: bytes, fields, maps, refusals, printing. */
#include "test.h"
#include "px_codec.h"
#include "px_tables.h"

static struct px_arena arena;
static struct px_buf bytes;
static struct px_buf line;

static void codec_end(void *context)
{
        (void)context;
        px_arena_fini(&arena);
        px_buf_fini(&bytes);
        px_buf_fini(&line);
}

static void codec_start(void)
{
        test_cleanup(codec_end, NULL);
}

static const struct px_label labels[] = {
        {.key = {(const uint8_t *)"k", 1}, .value = {(const uint8_t *)"v", 1}},
};

static struct px_submit_job job_named(const char *name)
{
        return (struct px_submit_job){
                .kind = PX_JOB_KIND_COMMAND,
                .name = px_slice_text(name),
                .labels = labels,
                .labels_count = 1,
                .priority = -5,
                .on_lost = PX_ON_LOST_FAIL,
                .notify = true,
        };
}

TEST(a_message_has_the_bytes_that_the_protocol_says)
{
        struct px_m_kill kill = {.session = 3};
        struct px_kill item = {
                .job = {258}, .fence = {5, 2}, .why = PX_KILL_WHY_SIGNAL, .signal = 10};
        static const uint8_t expected[] = {
                0x50, 1, 0,    70,   0,    0, 0, 1,    0, 0, 0, 0,  0, 0, 0, 9, /* header */
                0x92, 3, 0x91, 0x95, 0xCD, 1, 2, 0x92, 5, 2, 3, 10, 0,
        };

        codec_start();
        kill.items = &item;
        kill.items_count = 1;
        px_m_kill_frame(&kill, 9, 0, &bytes);
        EXPECT_BYTES(px_buf_slice(&bytes), px_slice_of(expected, sizeof(expected)));
}

TEST(the_header_counts_the_items_of_a_batch)
{
        struct px_submit_job jobs[] = {job_named("a"), job_named("b"), job_named("c")};
        struct px_m_submit submit = {.session = {1}, .jobs = jobs, .jobs_count = 3};
        struct px_wire_header header;
        struct px_slice body;

        codec_start();
        px_m_submit_frame(&submit, 77, PX_WIRE_FLAG_PAYLOAD, &bytes);
        EXPECT_INT(px_wire_get_header(px_buf_slice(&bytes), &header, &body), PX_WIRE_OK);
        EXPECT_INT(header.type, PX_M_SUBMIT);
        EXPECT_INT(header.count, 3);
        EXPECT_INT(header.flags, PX_WIRE_FLAG_PAYLOAD);
        EXPECT_U64(header.correlation, 77);
}

TEST(a_decoded_message_has_the_fields_that_were_sent)
{
        struct px_submit_job jobs[] = {job_named("first"), job_named("second")};
        struct px_m_submit submit = {
                .session = {9}, .done_below = 4, .jobs = jobs, .jobs_count = 2};
        struct px_m_submit got;

        codec_start();
        px_m_submit_encode(&submit, &bytes);
        EXPECT_INT(px_m_submit_decode(px_buf_slice(&bytes), &arena, &got), PX_WIRE_OK);
        EXPECT_U64(got.session.value, 9);
        EXPECT_U64(got.done_below, 4);
        EXPECT_INT(got.jobs_count, 2);
        EXPECT_BYTES(got.jobs[1].name, px_slice_text("second"));
        EXPECT_INT(got.jobs[1].kind, PX_JOB_KIND_COMMAND);
        EXPECT_INT(got.jobs[1].priority, -5);
        EXPECT_INT(got.jobs[1].on_lost, PX_ON_LOST_FAIL);
        EXPECT(got.jobs[1].notify);
        EXPECT(!got.jobs[1].hold);
        EXPECT_INT(got.jobs[1].labels_count, 1);
        EXPECT_BYTES(got.jobs[1].labels[0].value, px_slice_text("v"));
        EXPECT(got.jobs[1].name.data > bytes.data);
        EXPECT(got.jobs[1].name.data < bytes.data + bytes.length);
}

TEST(a_refused_body_leaves_the_result_untouched)
{
        struct px_m_node_ping got = {.session = 1234, .running = 5};

        codec_start();
        px_write_array(&bytes, 2);
        px_write_u64(&bytes, 7);
        px_write_text(&bytes, px_slice_text("no number"));
        EXPECT_INT(px_m_node_ping_decode(px_buf_slice(&bytes), &arena, &got), PX_WIRE_BAD);
        EXPECT_U64(got.session, 1234);
        EXPECT_U64(got.running, 5);
}

TEST(a_fence_of_another_shape_is_refused)
{
        struct px_attempt_key got;

        codec_start();
        px_write_array(&bytes, 2);
        px_write_u64(&bytes, 1);
        px_write_array(&bytes, 1);
        px_write_u64(&bytes, 1);
        px_write_u64(&bytes, 2); /* would be the attempt, but stands outside */
        EXPECT_INT(px_attempt_key_decode(px_buf_slice(&bytes), &arena, &got), PX_WIRE_BAD);
}

static void write_entry(const char *key, uint64_t value)
{
        px_write_text(&bytes, px_slice_text(key));
        px_write_u64(&bytes, value);
}

TEST(a_map_skips_unknown_keys_and_reads_missing_ones_as_zero)
{
        struct px_m_node_welcome got;

        codec_start();
        px_write_map(&bytes, 2);
        write_entry("colour", 5);
        write_entry("epoch", 6);
        EXPECT_INT(px_m_node_welcome_decode(px_buf_slice(&bytes), &arena, &got), PX_WIRE_OK);
        EXPECT_U64(got.epoch, 6);
        EXPECT_U64(got.session, 0);
}

TEST(a_map_with_a_key_twice_is_refused)
{
        struct px_m_node_welcome got;

        codec_start();
        px_write_map(&bytes, 2);
        write_entry("epoch", 6);
        write_entry("epoch", 6);
        EXPECT_INT(px_m_node_welcome_decode(px_buf_slice(&bytes), &arena, &got), PX_WIRE_BAD);
}

TEST(a_map_with_an_unknown_key_twice_is_refused)
{
        struct px_m_node_welcome got;

        codec_start();
        px_write_map(&bytes, 4);
        write_entry("colour", 5);
        write_entry("epoch", 6);
        write_entry("size", 5);
        write_entry("colour", 5);
        EXPECT_INT(px_m_node_welcome_decode(px_buf_slice(&bytes), &arena, &got), PX_WIRE_BAD);
        px_buf_reset(&bytes);
        px_write_map(&bytes, 3);
        write_entry("colour", 5);
        write_entry("epoch", 6);
        write_entry("size", 5);
        EXPECT_INT(px_m_node_welcome_decode(px_buf_slice(&bytes), &arena, &got), PX_WIRE_OK);
}

TEST(an_encoder_refuses_what_a_peer_would_refuse)
{
        struct px_submit_job job = job_named("");
        struct px_label many[PX_LIMIT_LABEL_ITEMS + 1] = {0};
        struct px_m_pong pong = {0};
        char name[PX_LIMIT_NAME_BYTES + 1];

        codec_start();
        memset(name, 'n', sizeof(name));
        job.name = px_slice_of(name, PX_LIMIT_NAME_BYTES);
        px_submit_job_encode(&job, &bytes);
        job.name = px_slice_of(name, PX_LIMIT_NAME_BYTES + 1);
        EXPECT_ABORT(px_submit_job_encode(&job, &bytes));
        job = job_named("\xFF");
        EXPECT_ABORT(px_submit_job_encode(&job, &bytes));
        job = job_named("");
        job.retries = PX_LIMIT_RETRIES + 1;
        EXPECT_ABORT(px_submit_job_encode(&job, &bytes));
        job = job_named("");
        job.kind = PX_JOB_KIND_COUNT;
        EXPECT_ABORT(px_submit_job_encode(&job, &bytes));
        job = job_named("");
        job.labels = many;
        job.labels_count = PX_LIMIT_LABEL_ITEMS;
        px_submit_job_encode(&job, &bytes);
        job.labels_count = PX_LIMIT_LABEL_ITEMS + 1;
        EXPECT_ABORT(px_submit_job_encode(&job, &bytes));
        EXPECT_ABORT(px_m_pong_frame(&pong, 0, 0, &bytes)); /* the frame is not empty */
}

TEST(a_frame_above_the_limit_of_a_message_is_a_bug_of_its_sender)
{
        static uint8_t spec[PX_LIMIT_SPEC_BYTES];
        struct px_submit_job jobs[] = {job_named("a"), job_named("b")};
        struct px_m_submit submit = {.jobs = jobs, .jobs_count = 2};

        codec_start();
        jobs[0].spec = jobs[1].spec = px_slice_of(spec, sizeof(spec));
        EXPECT_ABORT(px_m_submit_frame(&submit, 1, 0, &bytes));
        submit.jobs_count = 1;
        px_m_submit_frame(&submit, 1, 0, &bytes);
        EXPECT(bytes.length <= PX_LIMIT_MESSAGE_BYTES);
}

static const char *printed(struct px_slice frame)
{
        px_buf_reset(&line);
        px_message_print(&line, frame);
        px_buf_append(&line, "", 1);
        return (const char *)line.data;
}

TEST(a_frame_is_printed_with_names_and_without_what_is_zero)
{
        struct px_submit_job jobs[] = {job_named("x\"y\n")};
        struct px_m_submit submit = {.session = {1}, .jobs = jobs, .jobs_count = 1};

        codec_start();
        jobs[0].spec = px_slice_of("\x01\x02\xFF", 3);
        px_m_submit_frame(&submit, 7, 0, &bytes);
        EXPECT_TEXT(printed(px_buf_slice(&bytes)),
                    "SUBMIT #7 {session:1, jobs:[{kind:command, name:\"x\\\"y\\x0a\", "
                    "labels:[{key:\"k\", value:\"v\"}], priority:-5, on_lost:fail, notify:true, "
                    "spec:3 bytes 0102ff}]}");
}

TEST(malformed_frames_are_printed_as_such)
{
        codec_start();
        EXPECT_TEXT(printed(px_slice_text("hello")), "frame malformed, 5 bytes 68656c6c6f");
        EXPECT_TEXT(printed(PX_SLICE_NONE), "frame malformed, 0 bytes");
        px_wire_put_header(&bytes, (struct px_wire_header){.type = 9999, .correlation = 2});
        EXPECT_TEXT(printed(px_buf_slice(&bytes)), "message 9999 #2 0 bytes");
        px_buf_reset(&bytes);
        px_wire_put_header(&bytes, (struct px_wire_header){.type = PX_M_PONG, .flags = 1});
        px_write_text(&bytes, px_slice_text("a"));
        EXPECT_TEXT(printed(px_buf_slice(&bytes)), "PONG #0 +payload malformed, 2 bytes a161");
}

TEST(a_long_frame_is_printed_in_part)
{
        static struct px_job_id jobs[PX_LIMIT_BATCH_ITEMS];
        struct px_m_watch watch = {.jobs = jobs, .jobs_count = PX_LIMIT_BATCH_ITEMS};

        codec_start();
        px_m_watch_frame(&watch, 1, 0, &bytes);
        px_buf_append_text(&line, "before ");
        px_message_print(&line, px_buf_slice(&bytes));
        EXPECT_INT(line.length, PX_PRINT_BYTES_MAX + 7);
        EXPECT_BYTES(px_slice_of(line.data + line.length - 3, 3), px_slice_text("..."));
}

TEST(a_stored_row_is_printed_by_its_table)
{
        struct px_job_row row = {.state = PX_JOB_STATE_OK, .owner = {1}, .fence = {2, 3}};

        codec_start();
        px_job_row_encode(&row, &bytes);
        px_row_print(&line, PX_TABLE_DONE, px_buf_slice(&bytes));
        px_buf_append(&line, "", 1);
        EXPECT_TEXT((const char *)line.data, "done {state:ok, owner:1, fence:2/3}");
        px_buf_reset(&line);
        px_row_print(&line, PX_TABLE_SPEC, px_slice_text("ab"));
        px_buf_append(&line, "", 1);
        EXPECT_TEXT((const char *)line.data, "spec 2 bytes 6162");
}
