/* SPDX-License-Identifier: Apache-2.0 */
/* journal_format.h - the bytes of the journal. Layer: L3 (broker/store). This file owns the format.
 *
 * The journal is a sequence of segment files, journal/NUMBER.journal, NUMBER rising by one. Each has
 * its final size from the start; what was not written yet is zero (or, in a recycled file, records
 * of long ago). Integers are big endian. A segment:
 *
 *   header, 64 bytes, flushed before the first record is written
 *   offset 0  8 bytes "PLXJRNL1"
 *          8  u32  format version (1)
 *         12  u32  zero
 *         16  u64  number of the segment, as in its name
 *         24  u64  epoch: of the broker start that made it
 *         32  u64  index of the last record before this segment, 0 = none
 *         40  u32  crc of that record, 0 = none
 *         44  u32  zero
 *         48  u64  size of the file
 *         56  u32  zero
 *         60  u32  crc32c of bytes 0..59
 *   records, one after the other, each beginning at a multiple of 8
 *   offset 0  u32  magic "PXJR"
 *          4  u32  length of the body
 *          8  u64  epoch
 *         16  u64  index of the batch; larger than the record's before, not always by one: batches
 *                  without rows and events are not written
 *         24  u64  index of the last record that was known to be flushed when this one was written
 *         32  u32  length of the rows; the events fill the rest of the body
 *         36  u32  number of events
 *         40  u32  crc of the record before: the chain
 *         44  u32  crc32c of bytes 0..43 and the body
 *         48  body, then zeros up to a multiple of 8
 *
 *   seal, 48 bytes, where the next record will go: written after a flush, itself not flushed
 *   offset 0  u32  magic "PXJS"
 *          4  u32  zero
 *          8  u64  epoch
 *         16  u64  index of the last record that was flushed
 *         24  16 bytes zero
 *         40  u32  crc of that record
 *         44  u32  crc32c of bytes 0..43
 *
 * Records written together share one flush. After a power cut any part of those that were not
 * flushed may be missing, so a chain that ends early is normal; but a record that says at 24, or a
 * seal that says at 16, that something behind the chain's end had been flushed proves that
 * acknowledged data is damaged. A seal outlives a process that is killed; a power cut within the
 * moments until the kernel writes it may take it along, and then damage of the very last group, if the
 * database has not applied it either, looks like a group that was never flushed. */
#ifndef PX_JOURNAL_FORMAT_H
#define PX_JOURNAL_FORMAT_H

#include "px_base.h"

#define JOURNAL_SUFFIX ".journal"
#define JOURNAL_VERSION 1
#define JOURNAL_HEADER_BYTES 64
#define JOURNAL_RECORD_HEADER_BYTES 48
#define JOURNAL_SEAL_BYTES 48 /* a record that takes its place covers it whole */
#define JOURNAL_ALIGN 8
#define JOURNAL_BODY_BYTES_MAX (1u << 30)

/* Where a chain stands: its last record. */
struct journal_chain {
        uint64_t index;
        uint32_t crc;
};

struct journal_header {
        uint64_t number;
        uint64_t epoch;
        uint64_t file_bytes;
        struct journal_chain previous;
};

struct journal_record {
        uint64_t epoch;
        uint64_t index;
        uint64_t flushed;
        struct px_slice rows;   /* borrowed */
        struct px_slice events; /* borrowed */
        uint32_t events_count;
        uint32_t previous_crc;
        uint32_t crc;
        size_t bytes; /* the whole record with its padding */
};

enum journal_read {
        JOURNAL_GOOD = 0,
        JOURNAL_NONE = 1,  /* no record or header stands here, or it is cut short or damaged */
        JOURNAL_NEWER = 2, /* a header of a newer format */
};

void journal_put_header(uint8_t ret_bytes[JOURNAL_HEADER_BYTES],
                        const struct journal_header *header);
enum journal_read journal_get_header(struct px_slice bytes, struct journal_header *ret_header);

/* Append a record without chain, flushed index and crc to `buf`, which begins at a multiple of 8. */
void journal_put_record(struct px_buf *buf, const struct journal_record *record);
/* Fill in what journal_put_record() left out; returns the record's bytes. Shape: `at` is its begin. */
size_t journal_seal_record(uint8_t *at, uint64_t flushed, struct journal_chain *chain);
/* Read the record at `offset`: length, crc and shape are checked, the chain is not. */
enum journal_read journal_get_record(struct px_slice bytes, size_t offset,
                                     struct journal_record *ret_record);
/* Fill in the seal that says that the chain is flushed. */
void journal_put_seal(uint8_t ret_bytes[JOURNAL_SEAL_BYTES], uint64_t epoch,
                      const struct journal_chain *chain);
/* The seal that begins here; false = none, or a damaged one. */
bool journal_get_seal(struct px_slice bytes, uint64_t *ret_flushed);
/* The size that the record says it has; 0 when none begins here. Nothing else is checked. */
size_t journal_peek_bytes(struct px_slice bytes);
/* The same for a record of one's own, not sealed yet perhaps: no crc is checked. */
void journal_own_record(struct px_slice bytes, size_t offset, struct journal_record *ret_record);
/* Only the rows of such a record, and its size: what sealing does not touch. */
struct px_slice journal_own_rows(struct px_slice bytes, size_t offset, size_t *ret_bytes);

#endif
