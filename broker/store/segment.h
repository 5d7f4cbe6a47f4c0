/* SPDX-License-Identifier: Apache-2.0 */
/* segment.h - the output of jobs in shared append-only segment files. Layer: L3 (broker/store).
 * One thread owns a store of segments; nothing here is locked.
 *
 * Segment file `NUMBER.log` (number in 16 hexadecimal digits), integers big endian:
 *   header, 16 bytes: "PXLOG001", u64 number
 *   then records: header of 48 bytes and `length` bytes of data
 *     u32 length · u32 header crc (CRC-32C of the 44 bytes of the header without itself) ·
 *     u32 data crc · u32 attempt · u64 job · u64 offset · i64 wall_ms · u8 stream · 3 zero bytes ·
 *     u32 synced
 *   offset is the position of the data in the stream (enum px_stream) of that attempt; synced says how
 *   many bytes of the file had been flushed when the record was written.
 * Sidecar `NUMBER.idx`, made when a segment is sealed, rebuilt by a scan when it is missing:
 *   header, 32 bytes: "PXLIX001", u64 number, u64 entries, u32 CRC-32C of the entries, 4 zero bytes
 *   entries of 40 bytes, sorted by (job, attempt, stream, offset):
 *     u64 job · u32 attempt · u32 stream · u64 offset · u32 length · u32 position in the segment ·
 *     i64 wall_ms
 * In the last segment everything from the first bad byte behind `synced` on was never reported as stored
 * and is removed at the next start: nodes send it again. A bad byte elsewhere is damage: it is named on
 * standard error and never served, what stands behind it is. A purged record keeps its header; its
 * data is a hole of zeros. */
#ifndef PX_SEGMENT_H
#define PX_SEGMENT_H

#include "px_base.h"
#include "px_schema.h"

#define SEGMENT_ATTEMPT_MAX ((1u << 20) - 1)

struct segments; /* opaque */

struct segments_options {
        const char *dir;        /* existing */
        uint64_t segment_bytes; /* seal at this size; 0 = 64 MiB */
        uint32_t entries_max;   /* or at this many records; 0 = 200,000 */
};

/* Open, remove a torn tail, rebuild sidecars that are missing or damaged. *ret_text names the file on
 * a fault. Faults: -errno. */
int segments_open(const struct segments_options *options, struct segments **ret_segments, char *ret_text,
                  size_t text_room);
/* Sync and close. NULL is accepted. */
void segments_close(struct segments *segments);

/* Which stream of which attempt. */
struct segment_key {
        struct px_job_id job;
        uint32_t attempt;
        int stream; /* enum px_stream */
};

/* Append data at `offset` of a stream; offsets of a stream only grow. Not yet on disk: segments_sync().
 * Units:  data of 1 to PX_LIMIT_LOG_CHUNK_BYTES bytes.
 * Faults: -ENOSPC, -EDQUOT: nothing was appended, try again later. Any other -errno is final: nothing
 *         more can be appended or synced. */
int segments_append(struct segments *segments, struct segment_key key, uint64_t offset, int64_t wall_ms,
                    struct px_slice data);
/* Flush what was appended. Faults: -errno, final. */
int segments_sync(struct segments *segments);
uint64_t segments_unsynced_bytes(const struct segments *segments);

/* One stored run of bytes. */
struct segment_run {
        uint64_t offset; /* in the stream: the first byte read */
        size_t length;
        int64_t wall_ms;
};
/* Read from the first stored byte at or after `offset` to the end of its record, at most `room` bytes.
 * Refuses: PX_E_ABSENT nothing is stored there or later; PX_E_DAMAGED the record's checksum fails
 *          (ret_run says which range; reading goes on behind it).
 * Faults:  -errno. */
int segments_read(struct segments *segments, struct segment_key key, uint64_t offset, uint8_t *ret_data,
                  size_t room, struct segment_run *ret_run);
/* End of the last stored run of a stream; 0 = nothing. */
uint64_t segments_length(struct segments *segments, struct segment_key key);
/* First stored offset whose run was written at or after wall_ms; the length when none was. */
uint64_t segments_offset_since(struct segments *segments, struct segment_key key, int64_t wall_ms);

/* Forget the data of a job: holes in sealed segments now, in the active one when it is sealed (a crash
 * before that leaves it to retention). */
void segments_purge(struct segments *segments, struct px_job_id job);
/* Remove whole sealed segments, oldest first, that were sealed before wall_ms or while all of them hold
 * more than bytes_max. Returns how many. */
size_t segments_retain(struct segments *segments, int64_t before_wall_ms, uint64_t bytes_max);
uint64_t segments_bytes(const struct segments *segments);

#endif
