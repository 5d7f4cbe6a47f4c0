/* SPDX-License-Identifier: Apache-2.0 */
/* rows.h - the write-set: an ordered list of whole rows to put or delete. Physical, so that applying
 * it twice is the same as once. Layer: L2 (broker/core).
 *
 * Byte format, one entry after the other, integers big endian:
 *   u8 operation (1 put, 2 delete) · u8 table (PX_TABLE_*) · u16 key length · u32 value length ·
 *   key · value (empty for delete)
 * Keys are the table's key fields in order, integers big endian, so that they sort as numbers. */
#ifndef PX_ROWS_H
#define PX_ROWS_H

#include "px_base.h"

#define ROWS_PUT 1
#define ROWS_DELETE 2
#define ROWS_KEY_BYTES_MAX 64
#define ROWS_VALUE_BYTES_MAX 1900 /* larger values are cut in chunks by the core */
#define ROWS_HEADER_BYTES 8

/* `flags` of the rows of jobs. */
enum {
        JOB_HELD = 1,
        JOB_CANCEL_ASKED = 2,
        JOB_NOTIFY = 4,
        JOB_HAS_NAME = 8,
        JOB_HAS_RESULT = 16,
        JOB_HAS_KEY = 32,
        JOB_HAS_BLOB = 64,
        JOB_HAS_PROGRESS = 128,
        JOB_HAS_ENVIRONMENT = 256,
        JOB_STORED_FLAGS = 511,
};

struct row {
        uint8_t operation;
        uint8_t table;
        struct px_slice key;   /* borrowed from the write-set */
        struct px_slice value;
};

/* A key under construction: {0}, then the fields in order. */
struct row_key {
        uint8_t bytes[ROWS_KEY_BYTES_MAX];
        size_t length;
};
struct row_key row_key_u32(uint32_t first);
struct row_key row_key_u64(uint64_t first);
struct row_key row_key_text(const char *text);
void row_key_add_u16(struct row_key *key, uint16_t value);
void row_key_add_u32(struct row_key *key, uint32_t value);
void row_key_add_u64(struct row_key *key, uint64_t value);
void row_key_add_bytes(struct row_key *key, struct px_slice bytes);
struct px_slice row_key_slice(const struct row_key *key);

void rows_put(struct px_buf *rows, uint8_t table, const struct row_key *key, struct px_slice value);
void rows_delete(struct px_buf *rows, uint8_t table, const struct row_key *key);

/* Walk: *offset = 0 to begin; true while a row was read; ret_row borrows from `rows`.
 * A malformed set ends the walk with *offset < rows.length; the caller treats that as damage. */
bool rows_next(struct px_slice rows, size_t *offset, struct row *ret_row);

#endif
