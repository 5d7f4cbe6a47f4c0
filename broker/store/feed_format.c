/* SPDX-License-Identifier: Apache-2.0 */
/* feed_format.c - reading headers and records of feed files. Layer: L3 (broker/store). See feed.h. */
#include "feed.h"
#include "feed_inside.h"

#define HEADER_MAGIC "PLXFEED1"
#define RECORD_MAGIC 0x50584645u /* "PXFE" */
#define HEADER_CRC_AT 60
#define RECORD_CRC_AT 28

bool feed_get_header(struct px_slice bytes, struct feed_file *ret_file, uint32_t *ret_crc)
{
        const uint8_t *at = bytes.data;

        if (bytes.length < FEED_HEADER_BYTES || memcmp(at, HEADER_MAGIC, 8) != 0)
                return false;
        if (px_get_be32(at + HEADER_CRC_AT) != px_crc32c(0, at, HEADER_CRC_AT) ||
            px_get_be32(at + 8) != FEED_VERSION)
                return false;
        *ret_file = (struct feed_file){
                .number = px_get_be64(at + 16),
                .previous = {.index = px_get_be64(at + 24), .position = px_get_be32(at + 32)},
                .events_before = px_get_be64(at + 40),
                .bytes = FEED_HEADER_BYTES,
        };
        *ret_crc = px_get_be32(at + HEADER_CRC_AT);
        return true;
}

uint32_t feed_put_header(uint8_t ret_bytes[FEED_HEADER_BYTES], const struct feed_file *file)
{
        uint32_t crc;

        memset(ret_bytes, 0, FEED_HEADER_BYTES);
        memcpy(ret_bytes, HEADER_MAGIC, 8);
        px_put_be32(ret_bytes + 8, FEED_VERSION);
        px_put_be64(ret_bytes + 16, file->number);
        px_put_be64(ret_bytes + 24, file->previous.index);
        px_put_be32(ret_bytes + 32, file->previous.position);
        px_put_be64(ret_bytes + 40, file->events_before);
        crc = px_crc32c(0, ret_bytes, HEADER_CRC_AT);
        px_put_be32(ret_bytes + HEADER_CRC_AT, crc);
        return crc;
}

static size_t record_bytes(size_t body)
{
        return (FEED_RECORD_HEADER_BYTES + body + FEED_ALIGN - 1) / FEED_ALIGN * FEED_ALIGN;
}

bool feed_peek_record(struct px_slice bytes, size_t offset, struct feed_record *ret_record)
{
        const uint8_t *at;
        size_t body;

        if (offset > bytes.length || bytes.length - offset < FEED_RECORD_HEADER_BYTES)
                return false;
        at = bytes.data + offset;
        body = px_get_be32(at + 4);
        if (px_get_be32(at) != RECORD_MAGIC || body > FEED_BODY_BYTES_MAX)
                return false;
        *ret_record = (struct feed_record){
                .index = px_get_be64(at + 8),
                .events_count = px_get_be32(at + 16),
                .previous_crc = px_get_be32(at + 20),
                .crc = px_get_be32(at + RECORD_CRC_AT),
                .bytes = record_bytes(body),
        };
        return ret_record->events_count > 0;
}

bool feed_get_record(struct px_slice bytes, size_t offset, struct feed_record *ret_record)
{
        struct feed_record record;
        const uint8_t *at;
        size_t body;
        uint32_t crc;

        if (!feed_peek_record(bytes, offset, &record) || record.bytes > bytes.length - offset)
                return false;
        at = bytes.data + offset;
        body = px_get_be32(at + 4);
        crc = px_crc32c(0, at, RECORD_CRC_AT);
        if (px_crc32c(crc, at + FEED_RECORD_HEADER_BYTES, body) != record.crc)
                return false;
        record.events = px_slice_of(at + FEED_RECORD_HEADER_BYTES, body);
        *ret_record = record;
        return true;
}

uint32_t feed_put_record(struct px_buf *out, uint64_t index, uint32_t events_count,
                         struct px_slice events, uint32_t previous_crc)
{
        size_t bytes = record_bytes(events.length);
        uint8_t *at = px_buf_grow(out, bytes);
        uint32_t crc;

        PX_ASSERT(events_count > 0);
        PX_ASSERT(events.length <= FEED_BODY_BYTES_MAX);
        memset(at, 0, FEED_RECORD_HEADER_BYTES);
        px_put_be32(at, RECORD_MAGIC);
        px_put_be32(at + 4, (uint32_t)events.length);
        px_put_be64(at + 8, index);
        px_put_be32(at + 16, events_count);
        px_put_be32(at + 20, previous_crc);
        memcpy(at + FEED_RECORD_HEADER_BYTES, events.data, events.length);
        memset(at + FEED_RECORD_HEADER_BYTES + events.length, 0,
               bytes - FEED_RECORD_HEADER_BYTES - events.length);
        crc = px_crc32c(0, at, RECORD_CRC_AT);
        crc = px_crc32c(crc, events.data, events.length);
        px_put_be32(at + RECORD_CRC_AT, crc);
        return crc;
}
