/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_feed.c - any bytes as a file of the event feed.
 * Input: offset 0  u8  1 = checksums are put right first
 *               1      the file */
#include "feed_inside.h"
#include "fuzz.h"
#include "log_inside.h"

#define HEADER_CRC_AT 60
#define RECORD_CRC_AT 28
#define ALIGN 8

static void put_right(uint8_t *bytes, size_t length)
{
        size_t at = FEED_HEADER_BYTES;

        if (length < FEED_HEADER_BYTES)
                return;
        px_put_be32(bytes + HEADER_CRC_AT, px_crc32c(0, bytes, HEADER_CRC_AT));
        while (at <= length && length - at >= FEED_RECORD_HEADER_BYTES) {
                size_t body = px_get_be32(bytes + at + 4);
                uint32_t crc = px_crc32c(0, bytes + at, RECORD_CRC_AT);

                if (body > length - at - FEED_RECORD_HEADER_BYTES)
                        return;
                crc = px_crc32c(crc, bytes + at + FEED_RECORD_HEADER_BYTES, body);
                px_put_be32(bytes + at + RECORD_CRC_AT, crc);
                at += (FEED_RECORD_HEADER_BYTES + body + ALIGN - 1) / ALIGN * ALIGN;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
        uint8_t again[FEED_HEADER_BYTES];
        struct feed_record record;
        struct feed_file file = {0};
        struct px_buf copy = {0};
        struct px_buf out = {0};
        struct px_slice bytes, event;
        uint32_t crc;

        if (length < 1)
                return 0;
        px_buf_append(&copy, data + 1, length - 1);
        if (data[0] == 1)
                put_right(copy.data, copy.length);
        bytes = px_buf_slice(&copy);
        if (feed_get_header(bytes, &file, &crc)) {
                feed_put_header(again, &file);
                PX_ASSERT(feed_get_header(px_slice_of(again, sizeof(again)), &file, &crc));
        }
        for (size_t at = FEED_HEADER_BYTES; feed_get_record(bytes, at, &record); at += record.bytes) {
                PX_ASSERT(record.bytes >= FEED_RECORD_HEADER_BYTES + record.events.length);
                PX_ASSERT(record.events.data + record.events.length <= bytes.data + bytes.length);
                for (size_t in = 0; log_event_next(record.events, &in, &event);)
                        PX_ASSERT(event.data + event.length <=
                                  record.events.data + record.events.length);
                px_buf_reset(&out);
                feed_put_record(&out, record.index, record.events_count, record.events,
                                record.previous_crc);
                PX_ASSERT(out.length == record.bytes);
                PX_ASSERT(feed_get_record(px_buf_slice(&out), 0, &record));
        }
        px_buf_fini(&copy);
        px_buf_fini(&out);
        return 0;
}
