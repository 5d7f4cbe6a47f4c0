/* SPDX-License-Identifier: Apache-2.0 */
/* store_tool.c - see store_tool.h. */
#include "store_tool.h"

#include <inttypes.h>
#include <stdio.h>

#include "px_schema.h"
#include "rows.h"
#include "test.h"

#define TOOL_EPOCH 7

void tool_submit_table(struct px_log *log, uint64_t index, uint8_t table, uint64_t key,
                       const char *value)
{
        struct px_buf rows = {0};
        struct row_key row_key = row_key_u64(key);
        struct px_log_batch batch = {.epoch = TOOL_EPOCH, .index = index};

        if (value != NULL)
                rows_put(&rows, table, &row_key, px_slice_text(value));
        else
                rows_delete(&rows, table, &row_key);
        batch.rows = px_buf_slice(&rows);
        px_log_submit(log, &batch);
        px_buf_fini(&rows);
}

void tool_submit(struct px_log *log, uint64_t index, uint64_t key, const char *value)
{
        tool_submit_table(log, index, PX_TABLE_DONE, key, value);
}

void tool_submit_events(struct px_log *log, uint64_t index, uint32_t count)
{
        struct px_buf events = {0};
        struct px_log_batch batch = {.epoch = TOOL_EPOCH, .index = index, .events_count = count};

        for (uint32_t i = 0; i < count; i++) {
                char text[40];
                int length = snprintf(text, sizeof(text), "%" PRIu64 ".%" PRIu32, index, i);

                px_put_be32(px_buf_grow(&events, 4), (uint32_t)length);
                px_buf_append(&events, text, (size_t)length);
        }
        batch.events = px_buf_slice(&events);
        px_log_submit(log, &batch);
        px_buf_fini(&events);
}

const char *tool_get(struct px_log *log, uint64_t key)
{
        static char text[2000];
        struct row_key row_key = row_key_u64(key);
        struct px_buf value = {0};
        int result = px_read_get(log, PX_TABLE_DONE, row_key_slice(&row_key), &value);

        px_slice_to_text(px_buf_slice(&value), text, sizeof(text));
        px_buf_fini(&value);
        if (result == PX_E_ABSENT)
                return NULL;
        EXPECT_INT(result, PX_OK);
        return text;
}

const char *tool_view_get(struct px_view *view, uint64_t key)
{
        static char text[2000];
        struct row_key row_key = row_key_u64(key);
        struct px_slice value;
        int result = px_view_get(view, PX_TABLE_DONE, row_key_slice(&row_key), &value);

        if (result == PX_E_ABSENT)
                return NULL;
        EXPECT_INT(result, PX_OK);
        return px_slice_to_text(value, text, sizeof(text));
}

struct ordered {
        uint64_t count;
        uint64_t last;
        bool wrong;
};

static bool ordered_visit(void *context, struct px_slice key, struct px_slice value)
{
        struct ordered *ordered = context;
        uint64_t number = key.length == 8 ? px_get_be64(key.data) : 0;

        if (key.length != 8 || value.length == 0 || (ordered->count > 0 && number <= ordered->last))
                ordered->wrong = true;
        ordered->last = number;
        ordered->count++;
        return true;
}

void tool_expect_ordered(struct px_log *log, uint64_t count)
{
        struct ordered ordered = {0};
        uint64_t damaged = 1;

        EXPECT_INT(px_read_each(log, PX_TABLE_DONE, PX_SLICE_NONE, ordered_visit, &ordered,
                                &damaged),
                   PX_OK);
        EXPECT_U64(damaged, 0);
        EXPECT(!ordered.wrong);
        EXPECT_U64(ordered.count, count);
}

const char *tool_walk(struct px_view *view, uint64_t from, bool reverse)
{
        static char text[4000];
        struct row_key row_key = row_key_u64(from);
        struct px_slice key, value;
        size_t length = 0;
        int result = px_view_seek(view, PX_TABLE_DONE, row_key_slice(&row_key), reverse, &key,
                                  &value);

        text[0] = 0;
        while (result == PX_OK) {
                length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%" PRIu64,
                                           length == 0 ? "" : " ", px_get_be64(key.data));
                EXPECT(length < sizeof(text));
                result = px_view_next(view, &key, &value);
        }
        EXPECT_INT(result, PX_E_ABSENT);
        return text;
}

struct events_text {
        char text[8000];
        size_t length;
        bool wrong;
};

static bool events_visit(void *context, struct px_event_number number, struct px_slice event)
{
        struct events_text *events = context;
        char *at = events->text + events->length;
        size_t room = sizeof(events->text) - events->length;
        int length = snprintf(at, room, "%s%" PRIu64 ".%" PRIu32, events->length == 0 ? "" : " ",
                              number.index, number.position);
        size_t blank = events->length == 0 ? 0 : 1;

        if (length < 0 || (size_t)length >= room ||
            !px_slice_equal(px_slice_text(at + blank), event)) {
                events->wrong = true;
                return false;
        }
        events->length += (size_t)length;
        return true;
}

const char *tool_events(struct px_log *log, uint64_t index, uint32_t position, uint32_t count_max)
{
        static struct events_text events;
        struct px_event_number after = {index, position};

        events = (struct events_text){0};
        EXPECT_INT(px_feed_read(log, after, count_max, events_visit, &events), PX_OK);
        EXPECT(!events.wrong);
        return events.text;
}
