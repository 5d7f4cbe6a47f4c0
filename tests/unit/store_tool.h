/* SPDX-License-Identifier: Apache-2.0 */
/* store_tool.h - short words for tests of logs: rows with a number as key and a text as value.
 * Texts that are returned live until the next call of the same function. */
#ifndef STORE_TOOL_H
#define STORE_TOOL_H

#include "px_log.h"
#include "px_read.h"

/* A batch with one row of table `done`: put, or delete when value is NULL; and no event. */
void tool_submit(struct px_log *log, uint64_t index, uint64_t key, const char *value);
void tool_submit_table(struct px_log *log, uint64_t index, uint8_t table, uint64_t key,
                       const char *value);
/* A batch without rows, with `count` events "INDEX.POSITION". */
void tool_submit_events(struct px_log *log, uint64_t index, uint32_t count);

/* The row's text; NULL when absent. Anything else fails the test. */
const char *tool_get(struct px_log *log, uint64_t key);
const char *tool_view_get(struct px_view *view, uint64_t key);

/* Visit the whole table `done`: `count` rows in rising key order, or the test fails. */
void tool_expect_ordered(struct px_log *log, uint64_t count);
/* Keys of table `done` from `from` on, separated by blanks. */
const char *tool_walk(struct px_view *view, uint64_t from, bool reverse);
/* Numbers of the events after (index, position), separated by blanks; the test fails if a number
 * and its event's text differ. */
const char *tool_events(struct px_log *log, uint64_t index, uint32_t position, uint32_t count_max);

#endif
