/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_memory.c - the log in memory: durable when flushed, forgetful when crashed. */
#include "px_log.h"
#include "px_read.h"
#include "px_schema.h"
#include "rows.h"
#include "store_tool.h"
#include "test.h"

static struct px_log *log_new(void)
{
        struct px_log *log = px_log_open_memory();

        test_cleanup((void (*)(void *))px_log_close, log);
        return log;
}

TEST(a_submitted_row_is_read_at_once_and_viewed_when_durable)
{
        struct px_log *log = log_new();
        struct px_view *view;

        tool_submit(log, 1, 10, "ten");
        EXPECT_TEXT(tool_get(log, 10), "ten");
        EXPECT_U64(px_log_durable(log), 0);
        EXPECT_INT(px_view_open(log, 1, 0, &view), PX_E_BUSY);
        EXPECT_INT(px_view_open(log, 0, 0, &view), PX_OK);
        EXPECT_TEXT(tool_view_get(view, 10), NULL);
        px_view_close(view);
        px_log_memory_flush(log, 1);
        EXPECT_U64(px_log_durable(log), 1);
        EXPECT_INT(px_view_open(log, 1, 0, &view), PX_OK);
        EXPECT_U64(px_view_index(view), 1);
        EXPECT_TEXT(tool_view_get(view, 10), "ten");
        px_view_close(view);
}

TEST(a_crash_forgets_puts_and_deletes_that_were_not_flushed)
{
        struct px_log *log = log_new();

        tool_submit(log, 1, 10, "ten");
        tool_submit(log, 2, 11, "eleven");
        px_log_memory_flush(log, 2);
        tool_submit(log, 3, 10, NULL);
        tool_submit(log, 4, 11, "changed");
        tool_submit(log, 5, 12, "new");
        EXPECT_TEXT(tool_get(log, 10), NULL);
        px_log_memory_crash(log);
        EXPECT_TEXT(tool_get(log, 10), "ten");
        EXPECT_TEXT(tool_get(log, 11), "eleven");
        EXPECT_TEXT(tool_get(log, 12), NULL);
        tool_submit(log, 3, 12, "again");
        EXPECT_TEXT(tool_get(log, 12), "again");
}

TEST(rows_of_one_table_are_visited_in_key_order)
{
        struct px_log *log = log_new();

        for (uint64_t i = 1; i <= 500; i++)
                tool_submit(log, i, i * 7919 % 500, "x");
        tool_expect_ordered(log, 500);
}

TEST(a_view_walks_both_ways_and_stays_in_its_table)
{
        struct px_log *log = log_new();
        struct px_view *view;

        tool_submit_table(log, 1, PX_TABLE_JOB, 5, "other table");
        for (uint64_t i = 2; i <= 10; i++)
                tool_submit(log, i, i * 10, "x");
        tool_submit_table(log, 11, PX_TABLE_ATTEMPT, 500, "other table");
        px_log_memory_flush(log, 11);
        EXPECT_INT(px_view_open(log, 11, 0, &view), PX_OK);
        EXPECT_TEXT(tool_walk(view, 45, false), "50 60 70 80 90 100");
        EXPECT_TEXT(tool_walk(view, 45, true), "40 30 20");
        EXPECT_TEXT(tool_walk(view, 101, false), "");
        EXPECT_TEXT(tool_walk(view, 19, true), "");
        px_view_close(view);
}

TEST(events_are_read_after_a_number)
{
        struct px_log *log = log_new();

        EXPECT_U64(px_feed_last(log).index, 0);
        tool_submit_events(log, 1, 3);
        tool_submit(log, 2, 1, "no event");
        tool_submit_events(log, 3, 2);
        px_log_memory_flush(log, 2);
        EXPECT_TEXT(tool_events(log, 0, 0, 100), "1.0 1.1 1.2");
        px_log_memory_flush(log, 3);
        EXPECT_U64(px_feed_last(log).index, 3);
        EXPECT_U64(px_feed_last(log).position, 1);
        EXPECT_TEXT(tool_events(log, 0, 0, 100), "1.0 1.1 1.2 3.0 3.1");
        EXPECT_TEXT(tool_events(log, 1, 1, 100), "1.2 3.0 3.1");
        EXPECT_TEXT(tool_events(log, 1, 1, 2), "1.2 3.0");
        EXPECT_TEXT(tool_events(log, 3, 1, 2), "");
}
