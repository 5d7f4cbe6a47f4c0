/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_local.c - the log on disk: submitted, durable, applied, recovered, refused. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "px_log.h"
#include "px_read.h"
#include "px_schema.h"
#include "rows.h"
#include "store_tool.h"
#include "test.h"

#define MIB (1u << 20)

static struct px_log_options options_small(const char *dir)
{
        return (struct px_log_options){.dir = dir,
                                       .map_bytes = 256u * MIB,
                                       .segment_bytes = 1u * MIB,
                                       .ballast_bytes = 65536};
}

static void log_end(void *at)
{
        struct px_log **log = at;

        px_log_close(*log);
        *log = NULL;
}

static struct px_log *opened; /* closed by the test's end */

static struct px_log *log_open(const char *dir, struct px_log_start *ret_start)
{
        struct px_log_options options = options_small(dir);
        int result = px_log_open_local(&options, 1000, &opened, ret_start);

        EXPECT_TEXT(ret_start->refusal, "");
        EXPECT_INT(result, PX_OK);
        test_cleanup(log_end, &opened);
        return opened;
}

static void expect_durable(struct px_log *log, uint64_t index)
{
        while (px_log_durable(log) < index) {
                struct pollfd wait = {.fd = px_log_fd(log), .events = POLLIN};

                EXPECT_INT(px_log_fault(log), 0);
                EXPECT_INT(poll(&wait, 1, 10000), 1);
        }
}

TEST(a_new_directory_becomes_a_store_and_opens_again)
{
        const char *dir = test_temp_dir();
        struct px_log_start start;
        struct px_log *log = log_open(dir, &start);

        EXPECT(start.created);
        EXPECT_U64(start.index, 0);
        EXPECT_U64(start.epoch, 1);
        tool_submit(log, 1, 10, "ten");
        tool_submit_events(log, 2, 3);
        EXPECT_TEXT(tool_get(log, 10), "ten");
        log_end(&opened);

        log = log_open(dir, &start);
        EXPECT(!start.created);
        EXPECT_U64(start.index, 2);
        EXPECT_U64(start.epoch, 2);
        EXPECT_U64(start.replayed, 0);
        EXPECT_U64(px_log_durable(log), 2);
        EXPECT_TEXT(tool_get(log, 10), "ten");
        EXPECT_TEXT(tool_events(log, 0, 0, 10), "2.0 2.1 2.2");
        tool_submit(log, 3, 11, "eleven");
        expect_durable(log, 3);
}

TEST(the_epoch_is_the_wall_clock_unless_that_went_back)
{
        const char *dir = test_temp_dir();
        struct px_log_options options = options_small(dir);
        struct px_log_start start;
        static const struct {
                int64_t wall_ms;
                uint64_t epoch;
        } starts[] = {{5000000, 5000}, {4000000, 5001}, {-1, 5002}, {9000000, 9000}};

        for (size_t i = 0; i < PX_COUNT_OF(starts); i++) {
                struct px_log *log;

                EXPECT_INT(px_log_open_local(&options, starts[i].wall_ms, &log, &start), PX_OK);
                px_log_close(log);
                EXPECT_U64(start.epoch, starts[i].epoch);
        }
}

TEST(the_descriptor_wakes_when_a_batch_is_durable)
{
        struct px_log_start start;
        struct px_log *log = log_open(test_temp_dir(), &start);

        for (uint64_t i = 1; i <= 200; i++) {
                tool_submit(log, i, i, "x");
                expect_durable(log, i);
        }
}

TEST(batches_without_rows_and_events_are_durable_in_their_turn)
{
        const char *dir = test_temp_dir();
        struct px_log_start start;
        struct px_log *log = log_open(dir, &start);
        struct px_log_batch empty = {.epoch = 1};
        struct px_view *view;

        for (empty.index = 1; empty.index <= 3; empty.index++)
                px_log_submit(log, &empty);
        expect_durable(log, 3);
        tool_submit(log, 4, 1, "x");
        empty.index = 5;
        px_log_submit(log, &empty);
        expect_durable(log, 5);
        EXPECT_INT(px_view_open(log, 5, 10000, &view), PX_OK);
        EXPECT_U64(px_view_index(view), 5);
        EXPECT_TEXT(tool_view_get(view, 1), "x");
        px_view_close(view);
        log_end(&opened);
        log_open(dir, &start);
        EXPECT_U64(start.index, 4); /* numbers that left no trace are given out again */
}

TEST(the_core_sees_each_state_at_once_while_the_store_applies)
{
        struct px_log_start start;
        struct px_log *log = log_open(test_temp_dir(), &start);
        char text[32];

        for (uint64_t i = 1; i <= 3000; i++) {
                snprintf(text, sizeof(text), "%" PRIu64, i);
                tool_submit(log, i, i % 7, i % 5 == 0 ? NULL : text);
                EXPECT_TEXT(tool_get(log, i % 7), i % 5 == 0 ? NULL : text);
        }
        expect_durable(log, 3000);
}

TEST(rows_applied_and_not_applied_are_visited_as_one_table)
{
        struct px_log_start start;
        struct px_log *log = log_open(test_temp_dir(), &start);
        struct px_view *view;
        uint64_t index = 0;

        for (uint64_t i = 0; i < 100; i++)
                tool_submit(log, ++index, 2 * i, "even");
        EXPECT_INT(px_view_open(log, index, 10000, &view), PX_OK);
        px_view_close(view);
        for (uint64_t i = 0; i < 100; i++)
                tool_submit(log, ++index, 2 * i + 1, "odd");
        tool_submit(log, ++index, 50, NULL);
        tool_submit(log, ++index, 51, NULL);
        tool_submit(log, ++index, 52, "replaced");
        tool_expect_ordered(log, 198);
}

static bool count_visit(void *context, struct px_slice key, struct px_slice value)
{
        struct px_buf *seen = context;

        PX_ASSERT(key.length == 10);
        px_buf_format(seen, "%u:%.*s ", px_get_be16(key.data + 8), (int)value.length,
                      (const char *)value.data);
        return true;
}

TEST(the_chunks_of_one_job_are_joined_from_both_places)
{
        struct px_log_start start;
        struct px_log *log = log_open(test_temp_dir(), &start);
        struct px_buf seen = {0};
        struct row_key prefix = row_key_u64(7);
        struct px_view *view;
        uint64_t index = 0;

        for (uint64_t job = 6; job <= 8; job++)
                for (uint16_t chunk = 0; chunk < 4; chunk++) {
                        struct px_buf rows = {0};
                        struct row_key key = row_key_u64(job);
                        struct px_log_batch batch = {.epoch = 1, .index = ++index};

                        row_key_add_u16(&key, chunk);
                        rows_put(&rows, PX_TABLE_SPEC, &key, px_slice_of(&"abcd"[chunk], 1));
                        batch.rows = px_buf_slice(&rows);
                        px_log_submit(log, &batch);
                        px_buf_fini(&rows);
                        if (job == 7 && chunk == 1) {
                                EXPECT_INT(px_view_open(log, index, 10000, &view), PX_OK);
                                px_view_close(view);
                        }
                }
        EXPECT_INT(px_read_each(log, PX_TABLE_SPEC, row_key_slice(&prefix), count_visit, &seen,
                                NULL),
                   PX_OK);
        EXPECT_BYTES(px_buf_slice(&seen), px_slice_text("0:a 1:b 2:c 3:d "));
        px_buf_fini(&seen);
}

TEST(a_view_walks_both_ways_in_lmdb_too)
{
        struct px_log_start start;
        struct px_log *log = log_open(test_temp_dir(), &start);
        struct px_view *view;

        tool_submit_table(log, 1, PX_TABLE_JOB, 5, "other table");
        for (uint64_t i = 2; i <= 10; i++)
                tool_submit(log, i, i * 10, "x");
        tool_submit_table(log, 11, PX_TABLE_ATTEMPT, 500, "other table");
        EXPECT_INT(px_view_open(log, 11, 10000, &view), PX_OK);
        EXPECT_TEXT(tool_walk(view, 45, false), "50 60 70 80 90 100");
        EXPECT_TEXT(tool_walk(view, 45, true), "40 30 20");
        EXPECT_TEXT(tool_walk(view, 50, true), "50 40 30 20");
        EXPECT_TEXT(tool_walk(view, 101, false), "");
        EXPECT_TEXT(tool_walk(view, 19, true), "");
        EXPECT_TEXT(tool_walk(view, 1000, true), "100 90 80 70 60 50 40 30 20");
        px_view_close(view);
}

TEST(a_view_of_a_batch_that_was_not_submitted_is_busy)
{
        struct px_log_start start;
        struct px_log *log = log_open(test_temp_dir(), &start);
        struct px_view *view;

        tool_submit(log, 1, 1, "x");
        EXPECT_INT(px_view_open(log, 2, 10, &view), PX_E_BUSY);
}

TEST(a_second_broker_is_refused)
{
        const char *dir = test_temp_dir();
        struct px_log_options options = options_small(dir);
        struct px_log_start start;
        struct px_log *second;

        log_open(dir, &start);
        EXPECT_INT(px_log_open_local(&options, 0, &second, &start), PX_E_CONFLICT);
        EXPECT(strstr(start.refusal, "another broker") != NULL);
}

/* Leave the store as a kill would: the child never closes it. */
static void run_and_die(const char *dir, uint64_t batches)
{
        struct px_log_options options = options_small(dir);
        struct px_log_start start;
        struct px_log *log;

        if (px_log_open_local(&options, 1000, &log, &start) != PX_OK)
                _exit(1);
        for (uint64_t i = start.index + 1; i <= start.index + batches; i++) {
                char text[32];

                snprintf(text, sizeof(text), "%" PRIu64, i);
                tool_submit(log, i, i % 1000, text);
        }
        while (px_log_durable(log) < start.index + batches) {
                struct pollfd wait = {.fd = px_log_fd(log), .events = POLLIN};

                poll(&wait, 1, 1000);
        }
        _exit(0);
}

static void kill_run(const char *dir, uint64_t batches)
{
        pid_t pid = fork();
        int status;

        EXPECT(pid >= 0);
        if (pid == 0)
                run_and_die(dir, batches);
        test_kill_at_end(pid);
        EXPECT(waitpid(pid, &status, 0) == pid);
        test_spare(pid);
        EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(what_was_durable_when_the_process_died_is_there_again)
{
        const char *dir = test_temp_dir();
        struct px_log_start start;
        struct px_log *log;
        char text[32];

        for (uint64_t run = 1; run <= 5; run++) {
                kill_run(dir, 3000);
                log = log_open(dir, &start);
                EXPECT_U64(start.index, run * 3000);
                EXPECT_U64(start.epoch, 2 * run);
                for (uint64_t key = 0; key < 1000; key++) {
                        uint64_t last = run * 3000 - 1000 + key;

                        snprintf(text, sizeof(text), "%" PRIu64,
                                 last % 1000 == key && key != 0 ? last : last + 1000);
                        EXPECT_TEXT(tool_get(log, key), text);
                }
                log_end(&opened);
        }
}

TEST(segments_that_are_no_longer_needed_are_reused)
{
        const char *dir = test_temp_dir();
        struct px_log_start start;
        struct px_log *log = log_open(dir, &start);
        char big[1800];
        struct px_view *view;

        memset(big, 'x', sizeof(big) - 1);
        big[sizeof(big) - 1] = 0;
        for (uint64_t i = 1; i <= 20000; i++)
                tool_submit(log, i, i % 100, big);
        EXPECT_INT(px_view_open(log, 20000, 20000, &view), PX_OK);
        px_view_close(view);
        log_end(&opened);
        log = log_open(dir, &start);
        EXPECT_U64(start.index, 20000);
        EXPECT_U64(start.replayed, 0);
        EXPECT_TEXT(tool_get(log, 50), big);
}
