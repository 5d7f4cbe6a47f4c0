/* SPDX-License-Identifier: Apache-2.0 */
/* segment_index.h - where the records of one segment lie: in RAM while it grows, in a sorted sidecar
 * file once it is sealed (format in segment.h). Layer: L3 (broker/store). */
#ifndef PX_SEGMENT_INDEX_H
#define PX_SEGMENT_INDEX_H

#include "segment.h"

struct segment_entry {
        struct segment_key key;
        uint64_t offset;
        uint32_t length;
        uint32_t position; /* of the record's header in the segment */
        int64_t wall_ms;
};

/* Order of the sidecar: job, attempt, stream, offset. */
int segment_entry_compare(const struct segment_entry *a, const struct segment_entry *b);

/* ---- growing: in RAM --------------------------------------------------------------------------------- */

struct segment_growing {
        struct segment_entry *entries; /* in order of appending */
        size_t count;
        size_t capacity;
        struct px_map streams; /* packed key -> struct growing_stream */
};
void segment_growing_fini(struct segment_growing *growing);
void segment_growing_reset(struct segment_growing *growing);
/* false: it begins before the end of what its stream holds; not added. */
bool segment_growing_add(struct segment_growing *growing, const struct segment_entry *entry);
/* First entry of the stream that ends behind `offset`, or NULL. */
const struct segment_entry *segment_growing_find(const struct segment_growing *growing,
                                                 struct segment_key key, uint64_t offset);
const struct segment_entry *segment_growing_last(const struct segment_growing *growing,
                                                 struct segment_key key);

/* ---- sealed: a sidecar file ------------------------------------------------------------------------------ */

struct segment_sealed {
        int fd; /* of the sidecar; -1 = closed, see segment_sealed_reopen() */
        uint64_t count;
        uint64_t first_job; /* jobs of the entries lie between */
        uint64_t last_job;
};
/* Sort the growing entries and write them as `path` (temporary file, fsync, rename). Faults: -errno. */
int segment_sealed_write(int dir_fd, const char *name, uint64_t number,
                         const struct segment_growing *growing);
/* Open and check the sidecar. Refuses: PX_E_ABSENT none; PX_E_DAMAGED does not match. Faults: -errno. */
int segment_sealed_open(int dir_fd, const char *name, uint64_t number, struct segment_sealed *ret_sealed);
void segment_sealed_close(struct segment_sealed *sealed);
/* Open the file of a sidecar that was checked before. Faults: -errno. */
int segment_sealed_reopen(int dir_fd, const char *name, struct segment_sealed *sealed);
/* The first entry whose stream is `key` and that ends behind `offset`; PX_E_ABSENT; -errno. */
int segment_sealed_find(const struct segment_sealed *sealed, struct segment_key key, uint64_t offset,
                        struct segment_entry *ret_entry);
int segment_sealed_last(const struct segment_sealed *sealed, struct segment_key key,
                        struct segment_entry *ret_entry);
/* Walk the entries of a job from *index on (0 to begin); PX_E_ABSENT at the end. */
int segment_sealed_next(const struct segment_sealed *sealed, struct px_job_id job, uint64_t *index,
                        struct segment_entry *ret_entry);

#endif
