/* SPDX-License-Identifier: Apache-2.0 */
/* retention.h - finds ended jobs that are old enough, or too many, to be forgotten, and idempotency
 * keys that outlived their jobs; the core forgets them. Layer: L4 (broker/shell). Source: DESIGN 4, retention from the first day. */
#ifndef PX_RETENTION_H
#define PX_RETENTION_H

#include "px_base.h"
#include "px_read.h"
#include "rows.h"

#define RETENTION_EVERY_MS 60000  /* between scans */
#define RETENTION_AGAIN_MS 1000   /* after a scan that found too many */
#define RETENTION_PIECE_MS 20     /* between the pieces of a scan */
#define RETENTION_PIECE_ROWS 1000 /* rows looked at in one piece */
#define RETENTION_PIECE_JOBS 256  /* jobs given up in one piece */

struct retention {
        uint64_t keep_ms;
        uint64_t keep_count;
        int64_t due_ms;  /* steady time of the next piece */
        uint64_t cursor; /* last job looked at; 0 = a scan begins */
        uint64_t kept;   /* rows of this scan that stay */
        bool on_keys;    /* jobs are done: now the keys that outlived theirs */
        struct row_key key; /* the last one looked at */
        uint64_t excess; /* how many of the oldest are too many, by the last scan's count */
};

void retention_init(struct retention *retention, uint64_t keep_ms, uint64_t keep_count,
                    int64_t now_ms);
/* Look at the next piece if it is due. true = ret_frame is a RETENTION command for the core.
 * Units: now_ms steady, wall_ms UTC. */
bool retention_piece(struct retention *retention, struct px_log *log, int64_t now_ms,
                     int64_t wall_ms, struct px_buf *ret_frame);

#endif
