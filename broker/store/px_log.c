/* SPDX-License-Identifier: Apache-2.0 */
/* px_log.c - forwards the calls of px_log.h and px_read.h to the maker of the log.
 * Layer: L3 (broker/store). */
#include "log_inside.h"

#define EVENT_LENGTH_BYTES 4

void px_log_submit(struct px_log *log, const struct px_log_batch *batch)
{
        log->calls->submit(log, batch);
}

uint64_t px_log_durable(struct px_log *log)
{
        return log->calls->durable(log);
}

bool px_log_behind(struct px_log *log)
{
        return log->calls->behind(log);
}

int px_log_fault(struct px_log *log)
{
        return log->calls->fault(log);
}

int px_log_fd(struct px_log *log)
{
        return log->calls->fd(log);
}

bool px_log_room(struct px_log *log)
{
        return log->calls->room(log);
}

void px_log_close(struct px_log *log)
{
        if (log != NULL)
                log->calls->close(log);
}

int px_read_get(struct px_log *log, uint8_t table, struct px_slice key, struct px_buf *ret_value)
{
        return log->calls->read_get(log, table, key, ret_value);
}

int px_read_each(struct px_log *log, uint8_t table, struct px_slice prefix,
                 bool (*visit)(void *context, struct px_slice key, struct px_slice value),
                 void *context, uint64_t *ret_damaged)
{
        return log->calls->read_each(log, table, prefix, visit, context, ret_damaged);
}

int px_view_open(struct px_log *log, uint64_t index, uint32_t timeout_ms, struct px_view **ret_view)
{
        return log->calls->view_open(log, index, timeout_ms, ret_view);
}

void px_view_close(struct px_view *view)
{
        if (view != NULL)
                view->calls->view_close(view);
}

uint64_t px_view_index(const struct px_view *view)
{
        return view->calls->view_index(view);
}

int px_view_get(struct px_view *view, uint8_t table, struct px_slice key,
                struct px_slice *ret_value)
{
        return view->calls->view_get(view, table, key, ret_value);
}

int px_view_seek(struct px_view *view, uint8_t table, struct px_slice from, bool reverse,
                 struct px_slice *ret_key, struct px_slice *ret_value)
{
        return view->calls->view_seek(view, table, from, reverse, ret_key, ret_value);
}

int px_view_next(struct px_view *view, struct px_slice *ret_key, struct px_slice *ret_value)
{
        return view->calls->view_next(view, ret_key, ret_value);
}

struct px_event_number px_feed_last(struct px_log *log)
{
        return log->calls->feed_last(log);
}

int px_feed_read(struct px_log *log, struct px_event_number after, uint32_t count_max,
                 bool (*visit)(void *context, struct px_event_number number, struct px_slice event),
                 void *context)
{
        return log->calls->feed_read(log, after, count_max, visit, context);
}

bool log_key_has_prefix(struct px_slice key, struct px_slice prefix)
{
        return key.length >= prefix.length &&
               (prefix.length == 0 || memcmp(key.data, prefix.data, prefix.length) == 0);
}

bool log_event_next(struct px_slice events, size_t *offset, struct px_slice *ret_event)
{
        size_t left = events.length - *offset;
        size_t length;

        PX_ASSERT(*offset <= events.length);
        if (left < EVENT_LENGTH_BYTES)
                return false;
        length = px_get_be32(events.data + *offset);
        if (left - EVENT_LENGTH_BYTES < length)
                return false;
        *ret_event = px_slice_of(events.data + *offset + EVENT_LENGTH_BYTES, length);
        *offset += EVENT_LENGTH_BYTES + length;
        return true;
}
