/* SPDX-License-Identifier: Apache-2.0 */
/* log_inside.h - what the two makers of a log (local, memory) give to px_log.c, which forwards the
 * calls of px_log.h and px_read.h to them. Layer: L3 (broker/store), not for other folders. */
#ifndef PX_LOG_INSIDE_H
#define PX_LOG_INSIDE_H

#include "px_log.h"
#include "px_read.h"

/* Each function as the one of its name in px_log.h or px_read.h. */
struct log_calls {
        void (*submit)(struct px_log *log, const struct px_log_batch *batch);
        uint64_t (*durable)(struct px_log *log);
        bool (*behind)(struct px_log *log);
        int (*fault)(struct px_log *log);
        int (*fd)(struct px_log *log);
        bool (*room)(struct px_log *log);
        void (*close)(struct px_log *log);
        int (*read_get)(struct px_log *log, uint8_t table, struct px_slice key,
                        struct px_buf *ret_value);
        int (*read_each)(struct px_log *log, uint8_t table, struct px_slice prefix,
                         bool (*visit)(void *context, struct px_slice key, struct px_slice value),
                         void *context, uint64_t *ret_damaged);
        int (*view_open)(struct px_log *log, uint64_t index, uint32_t timeout_ms,
                         struct px_view **ret_view);
        struct px_event_number (*feed_last)(struct px_log *log);
        int (*feed_read)(struct px_log *log, struct px_event_number after, uint32_t count_max,
                         bool (*visit)(void *context, struct px_event_number number,
                                       struct px_slice event),
                         void *context);
        void (*view_close)(struct px_view *view);
        uint64_t (*view_index)(const struct px_view *view);
        int (*view_get)(struct px_view *view, uint8_t table, struct px_slice key,
                        struct px_slice *ret_value);
        int (*view_seek)(struct px_view *view, uint8_t table, struct px_slice from, bool reverse,
                         struct px_slice *ret_key, struct px_slice *ret_value);
        int (*view_next)(struct px_view *view, struct px_slice *ret_key,
                         struct px_slice *ret_value);
};

/* First member of each maker's own struct. */
struct px_log {
        const struct log_calls *calls;
};
struct px_view {
        const struct log_calls *calls;
};

/* Does `key` begin with `prefix`? */
bool log_key_has_prefix(struct px_slice key, struct px_slice prefix);

/* Walk a batch's events: *offset = 0 to begin; true while one was read. A malformed list ends the
 * walk with *offset < events.length. */
bool log_event_next(struct px_slice events, size_t *offset, struct px_slice *ret_event);

#endif
