/* SPDX-License-Identifier: Apache-2.0 */
/* private.h - directories and files that only the broker's own account may touch.
 * Layer: L4 (broker/shell). Source: RELIABILITY 5, secrets at rest. */
#ifndef PX_PRIVATE_H
#define PX_PRIVATE_H

#include "px_base.h"

/* Words for a person about what is wrong and what helps. */
#define PRIVATE_TEXT_ROOM 4608 /* a path and words */

/* See to it that `path` is a directory of ours with mode 0700; make it (not its parents) if absent.
 * Faults: -errno; ret_text says what is wrong. */
int private_directory(const char *path, char *ret_text);

/* Read a secret: a regular file of ours, not a link, mode 0600 or 0400, 1 to bytes_max bytes.
 * Appends to ret_bytes. Faults: -ENOENT absent (ret_text untouched); -errno. */
int private_read(const char *path, size_t bytes_max, struct px_buf *ret_bytes, char *ret_text);

/* Write a secret whole or not at all: beside, flushed, renamed, directory flushed.
 * Faults: -errno. */
int private_write(const char *path, struct px_slice bytes, char *ret_text);

#endif
