/* SPDX-License-Identifier: Apache-2.0 */
/* blobs.h - files that are named by their content, beside the database: standard input of jobs.
 * Layer: L3 (broker/store). Source: DESIGN 4 (Artifacts).
 *
 * Layout, below the directory given: OWNER/HASH, where OWNER is a principal's number in decimal and HASH
 * the SHA-256 of the content in 64 hexadecimal digits; OWNER/HASH.part while it is being uploaded. A
 * file has its name from the moment on when it is whole, checked and flushed. Each principal has
 * files of its own: knowing the hash of another's file gives nothing.
 *
 * What keeps a file: that a row of the database says so (the caller asks it, see blobs_sweep()), or
 * that somebody took interest in it within the last hour, which its modification time tells. Who
 * accepts a job makes sure by blobs_find() first; so no file is counted, and none goes that a row
 * still under way will name.
 *
 * blobs_find() may be called by any thread, the rest by one. */
#ifndef PX_BLOBS_H
#define PX_BLOBS_H

#include "px_base.h"

#define BLOB_HASH_BYTES 32

struct blobs; /* opaque */

struct blob_name {
        uint32_t owner;
        uint8_t hash[BLOB_HASH_BYTES];
};

/* Open the directory, made if absent. keep_ms: how long a file that nothing uses stays; 0 = an hour. */
int blobs_open(const char *dir, uint64_t keep_ms, struct blobs **ret_blobs);
void blobs_close(struct blobs *blobs);

/* Begin or go on with an upload; *ret_offset is the next byte wanted, `bytes` once it is complete.
 * Refuses: PX_E_STORAGE_FULL no room for the whole; PX_E_BUSY PX_LIMIT_BLOB_PARTS uploads of this
 *          owner under way. Faults: -errno. */
int blobs_begin(struct blobs *blobs, const struct blob_name *name, uint64_t bytes,
                uint64_t *ret_offset, bool *ret_complete);
/* Add the bytes at `offset`; bytes that are not the next ones change nothing.
 * Refuses: as blobs_begin(); PX_E_LIMIT more than `bytes`; PX_E_INVALID the whole is not what its
 *          name says: it was thrown away. Faults: -errno. */
int blobs_add(struct blobs *blobs, const struct blob_name *name, uint64_t bytes, uint64_t offset,
              struct px_slice data, uint64_t *ret_offset, bool *ret_complete);
/* Whether the file is here, complete; then it is kept for a while from now on. */
bool blobs_find(struct blobs *blobs, const struct blob_name *name, uint64_t *ret_bytes);
/* Append at most `room` bytes from `offset` on.
 * Refuses: PX_E_ABSENT. Faults: -errno. */
int blobs_read(struct blobs *blobs, const struct blob_name *name, uint64_t offset, size_t room,
               struct px_buf *ret_data, uint64_t *ret_bytes);
/* Remove what nothing uses and nobody took interest in for long, in two looks a while apart: the
 * first marks, the second removes what was marked and not touched. Returns how many went. */
size_t blobs_sweep(struct blobs *blobs, bool (*used)(void *context, const struct blob_name *name),
                   void *context);

#endif
