/* SPDX-License-Identifier: Apache-2.0 */
/* state_mark.h - the file `clean`: how LMDB's file looked when the broker was stopped in good order.
 * Layer: L3 (broker/store). Format, integers big endian: 8 bytes "PLXCLEAN" · u64 number of LMDB's last
 * transaction · u64 size of db/data.mdb · u32 crc32c of the bytes before. It is removed before
 * anything is written; a mark that does not fit the file it finds counts as none. */
#ifndef PX_STATE_MARK_H
#define PX_STATE_MARK_H

#include "lmdb_store.h"

struct state_mark {
        bool clean;
        uint64_t transaction;
        uint64_t bytes;
};

/* Read the mark and remove it durably. Faults: -errno. */
int state_mark_take(int dir_fd, struct state_mark *ret_mark);
/* Leave the mark. A fault only costs the next start a whole check. */
void state_mark_put(int dir_fd, const struct lmdb_store *store);

#endif
