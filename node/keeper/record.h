/* SPDX-License-Identifier: Apache-2.0 */
/* record.h - small checked files of the spool. Layer: L4 (node/keeper). The format stands in spool.h. */
#ifndef RECORD_H
#define RECORD_H

#include "px_base.h"

#define RECORD_BYTES_MAX (2u * 1024 * 1024)

enum record_kind {
        RECORD_IDENTITY = 'I',
        RECORD_ENTRY = 'E',
        RECORD_STARTED = 'S',
        RECORD_EXIT = 'X',
};

/* Write `name` beside and rename it, flushed: the old or the new record, whatever happens.
 * Faults: -errno. */
int record_replace(int dir_fd, const char *name, enum record_kind kind, struct px_slice body);

/* Write over `name` where it stands, or make it; sync = flush. Cut short it is damaged, so only for
 * records whose loss is told apart. Faults: -errno. */
int record_overwrite(int dir_fd, const char *name, enum record_kind kind, struct px_slice body,
                     bool sync);

/* Read it whole. Owns: the bytes live in the arena.
 * Faults: -ENOENT; -EBADMSG cut short, of another kind, or its checksum fails; other -errno. */
int record_read(int dir_fd, const char *name, enum record_kind kind, struct px_arena *arena,
                struct px_slice *ret_body);

#endif
