/* SPDX-License-Identifier: Apache-2.0 */
/* state_mark.h - two small files that tell a start whether LMDB's file can have been damaged since it was
 * last known to be whole. Layer: L3 (broker/store). Formats, integers big endian:
 *   clean  how the file looked when the broker was stopped in good order: 8 bytes "PLXCLEAN" · u64 number
 *          of LMDB's last transaction · u64 size of db/data.mdb · u32 crc32c of the bytes before. It is
 *          removed before anything is written.
 *   boot   which boot of the machine opened the file whole: 8 bytes "PLXBOOT1" · the 36 characters of the
 *          kernel's boot id · u64 device · u64 inode of db/data.mdb · u32 crc32c of the bytes before.
 *          While the machine goes on, a broker that was killed leaves what it wrote in the page cache, in
 *          the order in which it wrote it; only a new boot can find less on the disk. It is removed at the
 *          first fault in writing.
 * A mark that does not fit what it finds counts as none. */
#ifndef PX_STATE_MARK_H
#define PX_STATE_MARK_H

#include "lmdb_store.h"

struct state_mark {
        bool clean;
        uint64_t transaction;
        uint64_t bytes;
        bool same_boot;
};

/* Read the marks and remove `clean` durably. Faults: -errno. */
int state_mark_take(int dir_fd, struct state_mark *ret_mark);
/* Leave `clean`. A fault only costs the next start a whole check, as in the next one. */
void state_mark_put(int dir_fd, const struct lmdb_store *store);
/* The file was opened and is whole: leave `boot`. */
void state_mark_boot(int dir_fd);
/* Writing failed: what the page cache holds says nothing about the disk any more. */
void state_mark_spoil(int dir_fd);

#endif
