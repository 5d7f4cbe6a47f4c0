/* SPDX-License-Identifier: Apache-2.0 */
/* lmdb_check.h - is db/data.mdb fit to be opened? Layer: L3 (broker/store).
 *
 * LMDB trusts its file: damage in it ends the process, or shows wrong data. Hence the file is read by
 * a child process before this one maps it; should the child die of it, the file is damaged.
 * When              what is checked
 * every start       both meta pages, the page size, the numbers of their transactions, the file's size
 * a store up to     the whole file: every page is in one place only, every tree is in order and has the
 * 256 MB, or one    pages and rows it says, every row fits its seal. Damaged rows are named on
 * after a crash of  standard error and left in place (reading refuses them); anything else damaged
 * the machine       refuses the start.
 * A larger store that was stopped in good order, or whose broker was killed while the machine went on
 * (state_mark.h), skips the second part, so that a start takes a fraction of a second. */
#ifndef PX_LMDB_CHECK_H
#define PX_LMDB_CHECK_H

#include "px_base.h"
#include "state_mark.h"

#define LMDB_CHECK_WHOLE_BYTES (256ull << 20)
#define LMDB_CHECK_TEXT_BYTES 256

struct lmdb_check_result {
        uint64_t rows;
        uint64_t rows_damaged;
        uint64_t page; /* being looked at: where a child died */
        int code;      /* PX_OK, PX_E_DAMAGED, PX_E_VERSION or -errno */
        char text[LMDB_CHECK_TEXT_BYTES];
};

/* Check in a child process. Refuses: PX_E_DAMAGED, PX_E_VERSION with ret_result->text. Faults: -errno. */
int lmdb_check(int dir_fd, const struct state_mark *mark, struct lmdb_check_result *ret_result);

/* The same in this process, for the child: `bytes` is the file. */
void lmdb_check_bytes(struct px_slice bytes, const struct state_mark *mark,
                      struct lmdb_check_result *result);

#endif
