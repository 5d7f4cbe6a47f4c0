/* SPDX-License-Identifier: Apache-2.0 */
/* px_read.h - reading rows, snapshots and events. Layer: L3 (broker/store).
 * Two kinds of readers: the core thread's px_read_get() sees every submitted batch at once; a view
 * (any thread) is an LMDB read transaction of at most 100 ms. */
#ifndef PX_READ_H
#define PX_READ_H

#include "px_base.h"
#include "px_log.h"

/* The newest value of a row, from the rows not yet applied first and LMDB after. Core thread only.
 * Appends to ret_value. Refuses: PX_E_ABSENT; PX_E_DAMAGED (set aside by name, reported once). */
int px_read_get(struct px_log *log, uint8_t table, struct px_slice key, struct px_buf *ret_value);

/* Every row of a table whose key begins with `prefix`, in key order, newest state; for loading and for
 * joining chunks. Core thread only. visit returns false to stop. Refuses: PX_E_DAMAGED rows are
 * skipped, counted in *ret_damaged (may be NULL) and named on standard error. */
int px_read_each(struct px_log *log, uint8_t table, struct px_slice prefix,
                 bool (*visit)(void *context, struct px_slice key, struct px_slice value),
                 void *context, uint64_t *ret_damaged);

/* ---- views: any thread ------------------------------------------------------------------------------- */

struct px_view; /* one read transaction; opaque; close within 100 ms */

/* Open a view that has applied at least batch `index` (wakes the store and waits for it).
 * Refuses: PX_E_BUSY not applied within timeout_ms. Faults: -errno. */
int px_view_open(struct px_log *log, uint64_t index, uint32_t timeout_ms, struct px_view **ret_view);
void px_view_close(struct px_view *view);
uint64_t px_view_index(const struct px_view *view); /* last batch it contains */
/* Borrowed until px_view_close(). Refuses: PX_E_ABSENT; PX_E_DAMAGED. */
int px_view_get(struct px_view *view, uint8_t table, struct px_slice key, struct px_slice *ret_value);
/* Position at the first row with key >= from (reverse: <= from), inside the table; then walk.
 * PX_E_ABSENT at the end of the table. Damaged rows are skipped and counted. */
int px_view_seek(struct px_view *view, uint8_t table, struct px_slice from, bool reverse,
                 struct px_slice *ret_key, struct px_slice *ret_value);
int px_view_next(struct px_view *view, struct px_slice *ret_key, struct px_slice *ret_value);

/* ---- the event feed: any thread ------------------------------------------------------------------------- */

struct px_event_number {
        uint64_t index;    /* of its batch */
        uint32_t position; /* in its batch: 0, 1, 2, ... */
};
/* Number of the newest durable event; {0, 0} when there is none. */
struct px_event_number px_feed_last(struct px_log *log);
/* Encoded events after `after`, oldest first, until count_max were visited or visit returns false.
 * {0, 0} = from the oldest that is kept.
 * Refuses: PX_E_SNAPSHOT the event after `after` is no longer kept. Faults: -errno. */
int px_feed_read(struct px_log *log, struct px_event_number after, uint32_t count_max,
                 bool (*visit)(void *context, struct px_event_number number, struct px_slice event),
                 void *context);

#endif
