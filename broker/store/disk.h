/* SPDX-License-Identifier: Apache-2.0 */
/* disk.h - files and directories of the store: whole reads and writes, flushes, atomic replacement.
 * Layer: L3 (broker/store). Every result is 0 or -errno. Names are relative to an open directory. */
#ifndef PX_DISK_H
#define PX_DISK_H

#include <sys/types.h>

#include "px_base.h"

/* openat() that waits a while when descriptors have run out. Returns the descriptor or -errno. */
int disk_openat(int dir_fd, const char *name, int flags, mode_t mode);
/* Open `name` in `parent_fd`, made (0700) and flushed into the parent when absent. */
int disk_open_dir(int parent_fd, const char *name, int *ret_fd);
int disk_sync_dir(int dir_fd);
/* Open for reading and writing, close on exec; mode 0600 when created. flags: O_CREAT, O_EXCL ... */
int disk_open_file(int dir_fd, const char *name, int flags, int *ret_fd);
int disk_write_at(int fd, const void *data, size_t length, uint64_t offset);
/* Read up to `room` bytes; *ret_length is smaller only at the end of the file. */
int disk_read_at(int fd, void *data, size_t room, uint64_t offset, size_t *ret_length);
int disk_flush(int fd); /* fdatasync */
int disk_size(int fd, uint64_t *ret_bytes);
/* Append the whole file to ret_bytes. */
int disk_read_file(int dir_fd, const char *name, struct px_buf *ret_bytes);
/* Write `bytes` as `name`: temporary file, flush, rename, flush of the directory. */
int disk_replace_file(int dir_fd, const char *name, struct px_slice bytes);
int disk_remove(int dir_fd, const char *name); /* absent is fine */

/* Numbers of the files named NUMBER (20 decimal digits) and `suffix`, rising; px_free() them.
 * Others are ignored. Refuses nothing; at most files_max are read (-EFBIG beyond). */
int disk_list_numbered(int dir_fd, const char *suffix, size_t files_max, uint64_t **ret_numbers,
                       size_t *ret_count);
#define DISK_NAME_BYTES 48
/* "00000000000000000007.journal" */
const char *disk_numbered_name(char ret_name[DISK_NAME_BYTES], uint64_t number, const char *suffix);

int64_t disk_now_ms(void); /* monotonic clock */

#endif
