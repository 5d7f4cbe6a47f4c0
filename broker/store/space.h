/* SPDX-License-Identifier: Apache-2.0 */
/* space.h - admission: is there room for submits in map and on disk; and the ballast.
 * Layer: L3 (broker/store). Any thread.
 *
 * Submits stop early, so that applying, cancelling, completing and purging can go on: at 85 % of the
 * map, or when the disk has less than a journal segment and four times what is not applied yet.
 * If the disk fills up all the same, the file `ballast` is removed; it is made again when there is
 * room for it twice over. */
#ifndef PX_SPACE_H
#define PX_SPACE_H

#include <pthread.h>

#include "lmdb_store.h"

#define SPACE_MAP_PERMILLE 850
#define SPACE_BALLAST "ballast"

struct space {
        pthread_mutex_t mutex;
        int dir_fd;
        uint64_t ballast_bytes;
        uint64_t segment_bytes;
        bool ballast; /* the file is there */
        int64_t measured_ms; /* 0 = never */
        uint64_t measured_bytes; /* submitted in all when it was measured */
        uint64_t budget_bytes;   /* that might be submitted after it */
};

/* Make the ballast if there is room for it. dir_fd is borrowed. Faults: -errno. */
int space_init(struct space *space, int dir_fd, uint64_t ballast_bytes, uint64_t segment_bytes);
void space_fini(struct space *space);
/* Map and disk are measured again when the last measurement is 100 ms old; between, what was submitted
 * counts against it. submitted_bytes: in all, since the start. */
bool space_room(struct space *space, const struct lmdb_store *store, uint64_t unapplied_bytes,
                uint64_t submitted_bytes);
bool space_has_ballast(struct space *space);
/* The disk is full: remove the ballast. False when it was gone already. */
bool space_give_up_ballast(struct space *space);
/* Before a transaction of the store that may write `bytes`: does the disk take it, if need be without
 * ballast? */
bool space_takes(struct space *space, uint64_t bytes);
/* Make the ballast again when there is room for it twice over. */
void space_restore_ballast(struct space *space);

#endif
