/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_inputs.c - any bytes as a file of recorded inputs of the broker.
 * Input: offset 0  u8  1 = checksums are put right first
 *               1      the file */
#include "fuzz.h"
#include "record.h"

#define MAGIC_BYTES 8
#define ENTRY_HEADER_BYTES 5
#define CRC_BYTES 4

static void put_right(uint8_t *bytes, size_t length)
{
        size_t at = MAGIC_BYTES;

        while (at <= length && length - at >= ENTRY_HEADER_BYTES + CRC_BYTES) {
                size_t payload = px_get_be32(bytes + at + 1);

                if (payload > length - at - ENTRY_HEADER_BYTES - CRC_BYTES)
                        return;
                px_put_be32(bytes + at + ENTRY_HEADER_BYTES + payload,
                            px_crc32c(0, bytes + at, ENTRY_HEADER_BYTES + payload));
                at += ENTRY_HEADER_BYTES + payload + CRC_BYTES;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
        struct px_arena arena = {0};
        struct record_entry entry;
        struct px_buf copy = {0};
        size_t offset = 0, before = 0;

        if (length < 1)
                return 0;
        px_buf_append(&copy, data + 1, length - 1);
        if (data[0] == 1)
                put_right(copy.data, copy.length);
        while (record_next(px_buf_slice(&copy), &offset, &arena, &entry)) {
                PX_ASSERT(offset > before && offset <= copy.length);
                before = offset;
                px_arena_reset(&arena);
        }
        px_arena_fini(&arena);
        px_buf_fini(&copy);
        return 0;
}
