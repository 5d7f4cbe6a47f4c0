/* SPDX-License-Identifier: Apache-2.0 */
/* segment_record.h - one record of a log segment, and a walk over all of a file that tells damage from
 * data. Format in segment.h. Layer: L3 (broker/store), not for other folders. */
#ifndef PX_SEGMENT_RECORD_H
#define PX_SEGMENT_RECORD_H

#include <sys/types.h>

#include "segment_index.h"

#define SEGMENT_HEADER_BYTES 16
#define RECORD_HEADER_BYTES 48
#define RECORD_BYTES_MAX (RECORD_HEADER_BYTES + PX_LIMIT_LOG_CHUNK_BYTES)

struct segment_record {
        struct segment_entry entry; /* without its position when it was parsed by itself */
        uint32_t data_crc;
        uint32_t synced; /* bytes of the segment that were flushed when it was written */
};

/* Write the 48 bytes of a record's header. */
void segment_record_format(const struct segment_record *record, uint8_t *ret_header);
/* Read a record's header; false when it isn't one. */
bool segment_record_parse(const uint8_t *header, struct segment_record *ret_record);
/* Read `length` bytes at `position`. Returns how many there were; Faults: -errno. */
ssize_t segment_read_at(int fd, uint8_t *ret_bytes, size_t length, uint64_t position);

enum segment_found {
        SEGMENT_END = 0,     /* nothing but an incomplete record, or none, from walk->at on */
        SEGMENT_RECORD = 1,  /* whole, its data as it was written */
        SEGMENT_PURGED = 2,  /* whole, its data is zeros */
        SEGMENT_DAMAGED = 3, /* a record whose data is not what was written */
        SEGMENT_FOREIGN = 4, /* bytes that are no record, before one that is */
};

/* {.fd, .at = SEGMENT_HEADER_BYTES} begins a walk. */
struct segment_walk {
        int fd;
        uint64_t at;   /* where the next one is looked for */
        uint64_t from; /* where the last one found begins */
        uint8_t bytes[RECORD_BYTES_MAX];
};
/* Find the next one; *ret_record is set for RECORD, PURGED and DAMAGED. Faults: -errno. */
int segment_walk_next(struct segment_walk *walk, struct segment_record *ret_record);

#endif
