/* SPDX-License-Identifier: Apache-2.0 */
/* memory_log.c - a log in RAM for simulation: durable when told, forgetful when told.
 * Layer: L3 (broker/store). One thread only. Rows stand in two trees: `newest` has every submitted
 * batch (px_read_*), `durable` the flushed ones (views). A view reads the tree itself, so none may
 * be open during a flush; simulated queries are answered within one step, and an assert says so. */
#include "log_inside.h"
#include "px_schema.h"
#include "row_tree.h"
#include "rows.h"

struct memory_batch {
        struct px_link link; /* in memory_log.waiting, by index */
        uint64_t index;
        struct px_buf rows;
        struct px_buf events;
        uint32_t events_count;
};

/* The events of one durable batch. */
struct memory_feed_item {
        uint64_t index;
        uint32_t events_count;
        struct px_buf events;
};

struct memory_log {
        struct px_log log;
        struct row_tree newest;
        struct row_tree durable;
        struct px_link waiting; /* batches that are not durable */
        uint64_t index_submitted;
        uint64_t index_durable;
        struct memory_feed_item *feed;
        size_t feed_count;
        size_t feed_capacity;
        uint32_t views_open;
        int fault;
        bool full;
};

struct memory_view {
        struct px_view view;
        struct memory_log *log;
        uint8_t table; /* where view_next goes on */
        bool reverse;
        struct px_slice key;
};

static struct memory_log *memory_of(struct px_log *log)
{
        PX_ASSERT(log != NULL);
        return PX_CONTAINER_OF(log, struct memory_log, log);
}

static void batch_free(struct memory_batch *batch)
{
        px_buf_fini(&batch->rows);
        px_buf_fini(&batch->events);
        px_free(batch);
}

static void tree_apply(struct row_tree *tree, struct px_slice rows)
{
        size_t offset = 0;
        struct row row;

        while (rows_next(rows, &offset, &row)) {
                if (row.operation == ROWS_PUT)
                        row_tree_put(tree, row.table, row.key, row.value);
                else
                        row_tree_delete(tree, row.table, row.key);
        }
        PX_ASSERT(offset == rows.length);
}

static void memory_submit(struct px_log *log, const struct px_log_batch *batch)
{
        struct memory_log *memory = memory_of(log);
        struct memory_batch *copy;

        PX_ASSERT(batch->index == memory->index_submitted + 1);
        PX_ASSERT((batch->events_count == 0) == (batch->events.length == 0));
        copy = px_alloc(sizeof(*copy));
        copy->index = batch->index;
        copy->events_count = batch->events_count;
        px_buf_append_slice(&copy->rows, batch->rows);
        px_buf_append_slice(&copy->events, batch->events);
        px_list_append(&memory->waiting, &copy->link);
        tree_apply(&memory->newest, batch->rows);
        memory->index_submitted = batch->index;
}

static uint64_t memory_durable(struct px_log *log)
{
        return memory_of(log)->index_durable;
}

static bool memory_behind(struct px_log *log)
{
        (void)log;
        return false;
}

static int memory_fault(struct px_log *log)
{
        return memory_of(log)->fault;
}

static int memory_fd(struct px_log *log)
{
        (void)log;
        return -1;
}

static bool memory_room(struct px_log *log)
{
        return !memory_of(log)->full;
}

/* ---- durability ------------------------------------------------------------------------------------ */

static void feed_append(struct memory_log *memory, struct memory_batch *batch)
{
        if (batch->events_count == 0)
                return;
        if (memory->feed_count == memory->feed_capacity) {
                memory->feed_capacity = PX_MAX(64, memory->feed_capacity * 2);
                memory->feed = px_realloc(memory->feed,
                                          memory->feed_capacity * sizeof(*memory->feed));
        }
        memory->feed[memory->feed_count++] =
                (struct memory_feed_item){.index = batch->index,
                                          .events_count = batch->events_count,
                                          .events = px_buf_take(&batch->events)};
}

static struct memory_batch *waiting_first(struct memory_log *memory)
{
        if (px_list_empty(&memory->waiting))
                return NULL;
        return PX_CONTAINER_OF(memory->waiting.next, struct memory_batch, link);
}

void px_log_memory_flush(struct px_log *log, uint64_t index)
{
        struct memory_log *memory = memory_of(log);
        struct memory_batch *batch;

        PX_ASSERT(index <= memory->index_submitted);
        PX_ASSERT(memory->views_open == 0);
        PX_ASSERT(memory->fault == 0);
        while ((batch = waiting_first(memory)) != NULL && batch->index <= index) {
                PX_ASSERT(batch->index == memory->index_durable + 1);
                tree_apply(&memory->durable, px_buf_slice(&batch->rows));
                feed_append(memory, batch);
                memory->index_durable = batch->index;
                px_list_remove(&batch->link);
                batch_free(batch);
        }
}

/* Give the rows that `batch` changed their durable state again. */
static void memory_undo(struct memory_log *memory, const struct memory_batch *batch)
{
        size_t offset = 0;
        struct row row;
        struct row_tree_row kept;

        while (rows_next(px_buf_slice(&batch->rows), &offset, &row)) {
                if (row_tree_find(&memory->durable, row.table, row.key, &kept))
                        row_tree_put(&memory->newest, row.table, row.key, kept.value);
                else
                        row_tree_delete(&memory->newest, row.table, row.key);
        }
}

void px_log_memory_crash(struct px_log *log)
{
        struct memory_log *memory = memory_of(log);
        struct memory_batch *batch;

        while ((batch = waiting_first(memory)) != NULL) {
                memory_undo(memory, batch);
                px_list_remove(&batch->link);
                batch_free(batch);
        }
        memory->index_submitted = memory->index_durable;
        memory->fault = 0;
        PX_ASSERT(memory->newest.count == memory->durable.count);
}

void px_log_memory_fail(struct px_log *log, int fault)
{
        PX_ASSERT(fault < 0);
        memory_of(log)->fault = fault;
}

void px_log_memory_full(struct px_log *log, bool full)
{
        memory_of(log)->full = full;
}

static void memory_close(struct px_log *log)
{
        struct memory_log *memory = memory_of(log);

        PX_ASSERT(memory->views_open == 0);
        px_log_memory_crash(log);
        row_tree_fini(&memory->newest);
        row_tree_fini(&memory->durable);
        for (size_t i = 0; i < memory->feed_count; i++)
                px_buf_fini(&memory->feed[i].events);
        px_free(memory->feed);
        px_free(memory);
}

/* ---- reading ------------------------------------------------------------------------------------------ */

static int memory_read_get(struct px_log *log, uint8_t table, struct px_slice key,
                           struct px_buf *ret_value)
{
        struct row_tree_row row;

        if (!row_tree_find(&memory_of(log)->newest, table, key, &row))
                return PX_E_ABSENT;
        px_buf_append_slice(ret_value, row.value);
        return PX_OK;
}

static int memory_read_each(struct px_log *log, uint8_t table, struct px_slice prefix,
                            bool (*visit)(void *context, struct px_slice key,
                                          struct px_slice value),
                            void *context, uint64_t *ret_damaged)
{
        const struct row_tree *tree = &memory_of(log)->newest;
        struct row_tree_row row;
        bool found = row_tree_after(tree, table, prefix, false, &row);

        while (found && row.table == table && log_key_has_prefix(row.key, prefix)) {
                if (!visit(context, row.key, row.value))
                        break;
                found = row_tree_after(tree, table, row.key, true, &row);
        }
        if (ret_damaged != NULL)
                *ret_damaged = 0;
        return PX_OK;
}

static struct memory_view *memory_view_of(struct px_view *view)
{
        return PX_CONTAINER_OF(view, struct memory_view, view);
}

static int memory_view_open(struct px_log *log, uint64_t index, uint32_t timeout_ms,
                            struct px_view **ret_view)
{
        struct memory_log *memory = memory_of(log);
        struct memory_view *view;

        (void)timeout_ms; /* nothing can happen while this thread waits */
        if (index > memory->index_durable)
                return PX_E_BUSY;
        view = px_alloc(sizeof(*view));
        view->view.calls = log->calls;
        view->log = memory;
        memory->views_open++;
        *ret_view = &view->view;
        return PX_OK;
}

static void memory_view_close(struct px_view *view)
{
        struct memory_view *memory_view = memory_view_of(view);

        PX_ASSERT(memory_view->log->views_open > 0);
        memory_view->log->views_open--;
        px_free(memory_view);
}

static uint64_t memory_view_index(const struct px_view *view)
{
        return PX_CONTAINER_OF(view, const struct memory_view, view)->log->index_durable;
}

static int memory_view_get(struct px_view *view, uint8_t table, struct px_slice key,
                           struct px_slice *ret_value)
{
        struct row_tree_row row;

        if (!row_tree_find(&memory_view_of(view)->log->durable, table, key, &row))
                return PX_E_ABSENT;
        *ret_value = row.value;
        return PX_OK;
}

static int memory_view_go(struct memory_view *view, struct px_slice from, bool beyond,
                          struct px_slice *ret_key, struct px_slice *ret_value)
{
        const struct row_tree *tree = &view->log->durable;
        struct row_tree_row row;
        bool found = view->reverse ? row_tree_before(tree, view->table, from, beyond, &row)
                                   : row_tree_after(tree, view->table, from, beyond, &row);

        if (!found || row.table != view->table)
                return PX_E_ABSENT;
        view->key = row.key;
        *ret_key = row.key;
        *ret_value = row.value;
        return PX_OK;
}

static int memory_view_seek(struct px_view *view, uint8_t table, struct px_slice from,
                            bool reverse, struct px_slice *ret_key, struct px_slice *ret_value)
{
        struct memory_view *memory_view = memory_view_of(view);

        memory_view->table = table;
        memory_view->reverse = reverse;
        memory_view->key = PX_SLICE_NONE;
        return memory_view_go(memory_view, from, false, ret_key, ret_value);
}

static int memory_view_next(struct px_view *view, struct px_slice *ret_key,
                            struct px_slice *ret_value)
{
        struct memory_view *memory_view = memory_view_of(view);

        if (memory_view->key.length == 0)
                return PX_E_ABSENT; /* seek found nothing */
        return memory_view_go(memory_view, memory_view->key, true, ret_key, ret_value);
}

static struct px_event_number memory_feed_last(struct px_log *log)
{
        struct memory_log *memory = memory_of(log);
        const struct memory_feed_item *item;

        if (memory->feed_count == 0)
                return (struct px_event_number){0};
        item = &memory->feed[memory->feed_count - 1];
        return (struct px_event_number){item->index, item->events_count - 1};
}

/* The first item that holds an event after `after`, or one that could. */
static size_t feed_find(const struct memory_log *memory, struct px_event_number after)
{
        size_t low = 0, high = memory->feed_count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (memory->feed[middle].index < after.index)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static int memory_feed_read(struct px_log *log, struct px_event_number after, uint32_t count_max,
                            bool (*visit)(void *context, struct px_event_number number,
                                          struct px_slice event),
                            void *context)
{
        struct memory_log *memory = memory_of(log);

        for (size_t i = feed_find(memory, after); i < memory->feed_count; i++) {
                struct px_slice events = px_buf_slice(&memory->feed[i].events);
                struct px_event_number number = {.index = memory->feed[i].index};
                struct px_slice event;
                size_t offset = 0;

                for (; log_event_next(events, &offset, &event); number.position++) {
                        if (number.index == after.index && number.position <= after.position)
                                continue;
                        if (count_max == 0 || !visit(context, number, event))
                                return PX_OK;
                        count_max--;
                }
        }
        return PX_OK;
}

static const struct log_calls memory_calls = {
        .submit = memory_submit,
        .durable = memory_durable,
        .behind = memory_behind,
        .fault = memory_fault,
        .fd = memory_fd,
        .room = memory_room,
        .close = memory_close,
        .read_get = memory_read_get,
        .read_each = memory_read_each,
        .view_open = memory_view_open,
        .view_close = memory_view_close,
        .view_index = memory_view_index,
        .view_get = memory_view_get,
        .view_seek = memory_view_seek,
        .view_next = memory_view_next,
        .feed_last = memory_feed_last,
        .feed_read = memory_feed_read,
};

struct px_log *px_log_open_memory(void)
{
        struct memory_log *memory = px_alloc(sizeof(*memory));

        memory->log.calls = &memory_calls;
        px_list_init(&memory->waiting);
        return &memory->log;
}
