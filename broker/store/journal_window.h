/* SPDX-License-Identifier: Apache-2.0 */
/* journal_window.h - reading a journal segment through a small window, so that a start touches little
 * memory. Layer: L3 (broker/store). Format: journal_format.h. */
#ifndef PX_JOURNAL_WINDOW_H
#define PX_JOURNAL_WINDOW_H

#include "journal_format.h"
#include "px_base.h"

struct journal_window {
        int fd; /* -1 = none */
        uint64_t file_bytes;
        struct px_buf bytes; /* of the file from `begin` on */
        uint64_t begin;
        int fault; /* of the last read, sticky: nothing more is found */
};

void journal_window_init(struct journal_window *window);
void journal_window_fini(struct journal_window *window);
/* Look at another file. Faults: -errno. */
int journal_window_open(struct journal_window *window, int dir_fd, uint64_t number);
/* At least `wanted` bytes from `offset` on, or what the file has. */
struct px_slice journal_window_at(struct journal_window *window, uint64_t offset, size_t wanted);
/* The record at `offset`; ret_record borrows from the window until the next call. */
bool journal_window_record(struct journal_window *window, uint64_t offset,
                           struct journal_record *ret_record);
/* The next place from `offset` on, at a record's alignment, that is not zero; file_bytes at the end. */
uint64_t journal_window_skip(struct journal_window *window, uint64_t offset);

#endif
