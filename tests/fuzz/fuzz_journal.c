/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_journal.c - any bytes as a segment of the journal: its header, its records, their rows and events.
 * Checksums keep chance away from what stands behind them, so they may be put right first.
 * Input: offset 0  u8  1 = checksums are put right
 *               1      the segment */
#include "fuzz.h"
#include "journal_format.h"
#include "log_inside.h"
#include "rows.h"

#define HEADER_CRC_AT 60
#define RECORD_CRC_AT 44
#define RECORD_LENGTH_AT 4

static void put_right(uint8_t *bytes, size_t length)
{
        size_t at = JOURNAL_HEADER_BYTES;

        if (length < JOURNAL_HEADER_BYTES)
                return;
        px_put_be32(bytes + HEADER_CRC_AT, px_crc32c(0, bytes, HEADER_CRC_AT));
        while (length - at >= JOURNAL_RECORD_HEADER_BYTES) {
                size_t room = length - at - JOURNAL_RECORD_HEADER_BYTES;
                size_t body = px_get_be32(bytes + at + RECORD_LENGTH_AT);
                uint32_t crc = px_crc32c(0, bytes + at, RECORD_CRC_AT);

                if (body > room)
                        return;
                crc = px_crc32c(crc, bytes + at + JOURNAL_RECORD_HEADER_BYTES, body);
                px_put_be32(bytes + at + RECORD_CRC_AT, crc);
                at += (JOURNAL_RECORD_HEADER_BYTES + body + JOURNAL_ALIGN - 1) / JOURNAL_ALIGN *
                      JOURNAL_ALIGN;
                if (at > length)
                        return;
        }
}

static void check_within(struct px_slice part, struct px_slice whole)
{
        if (part.length == 0)
                return;
        PX_ASSERT(part.data >= whole.data && part.length <= whole.length);
        PX_ASSERT(part.data + part.length <= whole.data + whole.length);
}

/* What was read is what would be written. */
static void check_record(struct px_slice bytes, size_t offset, const struct journal_record *record)
{
        struct journal_chain chain = {.crc = record->previous_crc};
        struct px_buf again = {0};
        struct px_slice event;
        struct row row;
        size_t at = 0;

        check_within(record->rows, bytes);
        check_within(record->events, bytes);
        PX_ASSERT(record->bytes == journal_peek_bytes(px_slice_of(bytes.data + offset,
                                                                  bytes.length - offset)));
        while (rows_next(record->rows, &at, &row)) {
                check_within(row.key, record->rows);
                check_within(row.value, record->rows);
        }
        for (at = 0; log_event_next(record->events, &at, &event);)
                check_within(event, record->events);
        if (record->index == 0 || record->flushed >= record->index)
                return; /* never written so; the replay takes it for damage */
        journal_put_record(&again, record);
        journal_seal_record(again.data, record->flushed, &chain);
        PX_ASSERT(chain.crc == record->crc);
        px_buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
        uint8_t again[JOURNAL_HEADER_BYTES];
        struct journal_header header;
        struct journal_record record;
        struct px_buf copy = {0};
        struct px_slice bytes;

        if (length < 1)
                return 0;
        px_buf_append(&copy, data + 1, length - 1);
        if (data[0] == 1)
                put_right(copy.data, copy.length);
        bytes = px_buf_slice(&copy);
        if (journal_get_header(bytes, &header) == JOURNAL_GOOD) {
                journal_put_header(again, &header);
                PX_ASSERT(journal_get_header(px_slice_of(again, sizeof(again)), &header) ==
                          JOURNAL_GOOD);
        }
        for (size_t at = JOURNAL_HEADER_BYTES; journal_get_record(bytes, at, &record) == JOURNAL_GOOD;
             at += record.bytes)
                check_record(bytes, at, &record);
        px_buf_fini(&copy);
        return 0;
}
