/* SPDX-License-Identifier: Apache-2.0 */
/* journal_format.c - see journal_format.h. Layer: L3 (broker/store). */
#include "journal_format.h"

#define HEADER_MAGIC "PLXJRNL1"
#define RECORD_MAGIC 0x50584a52u /* "PXJR" */
#define SEAL_MAGIC 0x50584a53u /* "PXJS" */
#define HEADER_CRC_AT 60
#define RECORD_CRC_AT 44

void journal_put_header(uint8_t ret_bytes[JOURNAL_HEADER_BYTES],
                        const struct journal_header *header)
{
        memset(ret_bytes, 0, JOURNAL_HEADER_BYTES);
        memcpy(ret_bytes, HEADER_MAGIC, 8);
        px_put_be32(ret_bytes + 8, JOURNAL_VERSION);
        px_put_be64(ret_bytes + 16, header->number);
        px_put_be64(ret_bytes + 24, header->epoch);
        px_put_be64(ret_bytes + 32, header->previous.index);
        px_put_be32(ret_bytes + 40, header->previous.crc);
        px_put_be64(ret_bytes + 48, header->file_bytes);
        px_put_be32(ret_bytes + HEADER_CRC_AT, px_crc32c(0, ret_bytes, HEADER_CRC_AT));
}

enum journal_read journal_get_header(struct px_slice bytes, struct journal_header *ret_header)
{
        const uint8_t *at = bytes.data;

        if (bytes.length < JOURNAL_HEADER_BYTES || memcmp(at, HEADER_MAGIC, 8) != 0)
                return JOURNAL_NONE;
        if (px_get_be32(at + HEADER_CRC_AT) != px_crc32c(0, at, HEADER_CRC_AT))
                return JOURNAL_NONE;
        if (px_get_be32(at + 8) != JOURNAL_VERSION)
                return JOURNAL_NEWER;
        ret_header->number = px_get_be64(at + 16);
        ret_header->epoch = px_get_be64(at + 24);
        ret_header->file_bytes = px_get_be64(at + 48);
        ret_header->previous.index = px_get_be64(at + 32);
        ret_header->previous.crc = px_get_be32(at + 40);
        return JOURNAL_GOOD;
}

static size_t record_bytes(size_t body)
{
        size_t bytes = JOURNAL_RECORD_HEADER_BYTES + body;

        return (bytes + JOURNAL_ALIGN - 1) / JOURNAL_ALIGN * JOURNAL_ALIGN;
}

void journal_put_record(struct px_buf *buf, const struct journal_record *record)
{
        size_t body = record->rows.length + record->events.length;
        size_t bytes = record_bytes(body);
        uint8_t *at;

        PX_ASSERT(body <= JOURNAL_BODY_BYTES_MAX);
        PX_ASSERT(buf->length % JOURNAL_ALIGN == 0);
        at = px_buf_grow(buf, bytes);
        px_put_be32(at, RECORD_MAGIC);
        px_put_be32(at + 4, (uint32_t)body);
        px_put_be64(at + 8, record->epoch);
        px_put_be64(at + 16, record->index);
        memset(at + 24, 0, JOURNAL_RECORD_HEADER_BYTES - 24);
        px_put_be32(at + 32, (uint32_t)record->rows.length);
        px_put_be32(at + 36, record->events_count);
        if (record->rows.length > 0)
                memcpy(at + JOURNAL_RECORD_HEADER_BYTES, record->rows.data, record->rows.length);
        if (record->events.length > 0)
                memcpy(at + JOURNAL_RECORD_HEADER_BYTES + record->rows.length,
                       record->events.data, record->events.length);
        memset(at + JOURNAL_RECORD_HEADER_BYTES + body, 0,
               bytes - JOURNAL_RECORD_HEADER_BYTES - body);
}

static uint32_t record_crc(const uint8_t *at, size_t body)
{
        uint32_t crc = px_crc32c(0, at, RECORD_CRC_AT);

        return px_crc32c(crc, at + JOURNAL_RECORD_HEADER_BYTES, body);
}

size_t journal_seal_record(uint8_t *at, uint64_t flushed, struct journal_chain *chain)
{
        size_t body = px_get_be32(at + 4);
        uint64_t index = px_get_be64(at + 16);

        PX_ASSERT(px_get_be32(at) == RECORD_MAGIC);
        PX_ASSERT(index > chain->index);
        PX_ASSERT(flushed < index);
        px_put_be64(at + 24, flushed);
        px_put_be32(at + 40, chain->crc);
        chain->index = index;
        chain->crc = record_crc(at, body);
        px_put_be32(at + RECORD_CRC_AT, chain->crc);
        return record_bytes(body);
}

static void record_decode(const uint8_t *at, size_t body, struct journal_record *ret_record)
{
        size_t rows = px_get_be32(at + 32);

        *ret_record = (struct journal_record){
                .epoch = px_get_be64(at + 8),
                .index = px_get_be64(at + 16),
                .flushed = px_get_be64(at + 24),
                .rows = px_slice_of(at + JOURNAL_RECORD_HEADER_BYTES, rows),
                .events = px_slice_of(at + JOURNAL_RECORD_HEADER_BYTES + rows, body - rows),
                .events_count = px_get_be32(at + 36),
                .previous_crc = px_get_be32(at + 40),
                .crc = px_get_be32(at + RECORD_CRC_AT),
                .bytes = record_bytes(body),
        };
}

void journal_put_seal(uint8_t ret_bytes[JOURNAL_SEAL_BYTES], uint64_t epoch,
                      const struct journal_chain *chain)
{
        _Static_assert(JOURNAL_SEAL_BYTES <= JOURNAL_RECORD_HEADER_BYTES, "a record covers it");
        memset(ret_bytes, 0, JOURNAL_SEAL_BYTES);
        px_put_be32(ret_bytes, SEAL_MAGIC);
        px_put_be64(ret_bytes + 8, epoch);
        px_put_be64(ret_bytes + 16, chain->index);
        px_put_be32(ret_bytes + 40, chain->crc);
        px_put_be32(ret_bytes + RECORD_CRC_AT, px_crc32c(0, ret_bytes, RECORD_CRC_AT));
}

bool journal_get_seal(struct px_slice bytes, uint64_t *ret_flushed)
{
        if (bytes.length < JOURNAL_SEAL_BYTES || px_get_be32(bytes.data) != SEAL_MAGIC ||
            px_get_be32(bytes.data + RECORD_CRC_AT) != px_crc32c(0, bytes.data, RECORD_CRC_AT))
                return false;
        *ret_flushed = px_get_be64(bytes.data + 16);
        return true;
}

size_t journal_peek_bytes(struct px_slice bytes)
{
        if (bytes.length < JOURNAL_RECORD_HEADER_BYTES ||
            px_get_be32(bytes.data) != RECORD_MAGIC ||
            px_get_be32(bytes.data + 4) > JOURNAL_BODY_BYTES_MAX)
                return 0;
        return record_bytes(px_get_be32(bytes.data + 4));
}

enum journal_read journal_get_record(struct px_slice bytes, size_t offset,
                                     struct journal_record *ret_record)
{
        const uint8_t *at;
        size_t body;

        if (offset > bytes.length || bytes.length - offset < JOURNAL_RECORD_HEADER_BYTES)
                return JOURNAL_NONE;
        at = bytes.data + offset;
        if (px_get_be32(at) != RECORD_MAGIC)
                return JOURNAL_NONE;
        body = px_get_be32(at + 4);
        if (body > JOURNAL_BODY_BYTES_MAX || record_bytes(body) > bytes.length - offset)
                return JOURNAL_NONE;
        if (px_get_be32(at + 32) > body || px_get_be32(at + RECORD_CRC_AT) != record_crc(at, body))
                return JOURNAL_NONE;
        record_decode(at, body, ret_record);
        return JOURNAL_GOOD;
}

void journal_own_record(struct px_slice bytes, size_t offset, struct journal_record *ret_record)
{
        const uint8_t *at = bytes.data + offset;

        PX_ASSERT(bytes.length - offset >= JOURNAL_RECORD_HEADER_BYTES);
        PX_ASSERT(px_get_be32(at) == RECORD_MAGIC);
        record_decode(at, px_get_be32(at + 4), ret_record);
        PX_ASSERT(ret_record->bytes <= bytes.length - offset);
}

struct px_slice journal_own_rows(struct px_slice bytes, size_t offset, size_t *ret_bytes)
{
        const uint8_t *at = bytes.data + offset;

        PX_ASSERT(bytes.length - offset >= JOURNAL_RECORD_HEADER_BYTES);
        PX_ASSERT(px_get_be32(at) == RECORD_MAGIC);
        *ret_bytes = record_bytes(px_get_be32(at + 4));
        PX_ASSERT(*ret_bytes <= bytes.length - offset);
        return px_slice_of(at + JOURNAL_RECORD_HEADER_BYTES, px_get_be32(at + 32));
}
