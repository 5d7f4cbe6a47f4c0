/* SPDX-License-Identifier: Apache-2.0 */
/* record.h - small checked files of the spool, written beside and renamed. Layer: L4 (node/keeper).
 * The format stands in spool.h. */
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

/* Write `name` in the directory; sync = flush the file and the directory. Faults: -errno. */
int record_write(int dir_fd, const char *name, enum record_kind kind, struct px_slice body,
                 bool sync);

/* Read it whole. Owns: the bytes live in the arena.
 * Faults: -ENOENT; -EBADMSG cut short, of another kind, or its checksum fails; other -errno. */
int record_read(int dir_fd, const char *name, enum record_kind kind, struct px_arena *arena,
                struct px_slice *ret_body);

#endif
