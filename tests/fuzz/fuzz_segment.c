/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_segment.c - any bytes as a log segment: the walk ends, finds nothing outside of them, and what it
 * calls a record is what would be written.
 * Input: offset 0  u8  1 = checksums are put right first
 *               1      the segment */
#include "fuzz.h"
#include "segment_record.h"

#include <sys/mman.h>
#include <unistd.h>

static void put_right(uint8_t *bytes, size_t length)
{
        size_t at = SEGMENT_HEADER_BYTES;

        while (at <= length && length - at >= RECORD_HEADER_BYTES) {
                uint8_t *header = bytes + at;
                size_t body = px_get_be32(header);

                if (body > length - at - RECORD_HEADER_BYTES)
                        return;
                px_put_be32(header + 8, px_crc32c(0, header + RECORD_HEADER_BYTES, body));
                px_put_be32(header + 4, px_crc32c(px_crc32c(0, header, 4), header + 8,
                                                  RECORD_HEADER_BYTES - 8));
                at += RECORD_HEADER_BYTES + body;
        }
}

static void walk_all(int fd, struct px_slice bytes)
{
        static struct segment_walk walk;
        uint8_t header[RECORD_HEADER_BYTES];
        struct segment_record record, again;
        int found;

        walk = (struct segment_walk){.fd = fd, .at = SEGMENT_HEADER_BYTES};
        for (;;) {
                uint64_t before = walk.at;

                found = segment_walk_next(&walk, &record);
                PX_ASSERT(found >= 0);
                if (found == SEGMENT_END)
                        return;
                PX_ASSERT(walk.at > before && walk.at <= bytes.length);
                if (found == SEGMENT_FOREIGN)
                        continue;
                PX_ASSERT(walk.from + RECORD_HEADER_BYTES + record.entry.length == walk.at);
                segment_record_format(&record, header);
                PX_ASSERT(segment_record_parse(header, &again));
                PX_ASSERT(again.entry.offset == record.entry.offset &&
                          again.entry.key.job.value == record.entry.key.job.value);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
        static int fd = -1;
        struct px_buf copy = {0};

        if (length < 1 + SEGMENT_HEADER_BYTES)
                return 0;
        if (fd < 0)
                fd = memfd_create("segment", MFD_CLOEXEC);
        PX_ASSERT(fd >= 0);
        px_buf_append(&copy, data + 1, length - 1);
        if (data[0] == 1)
                put_right(copy.data, copy.length);
        PX_ASSERT(ftruncate(fd, 0) == 0);
        PX_ASSERT(pwrite(fd, copy.data, copy.length, 0) == (ssize_t)copy.length);
        walk_all(fd, px_buf_slice(&copy));
        px_buf_fini(&copy);
        return 0;
}
