/* SPDX-License-Identifier: Apache-2.0 */
/* segment_record.c - see segment_record.h. Layer: L3 (broker/store). */
#include "segment_record.h"

#include <errno.h>
#include <unistd.h>

void segment_record_format(const struct segment_record *record, uint8_t *ret_header)
{
        const struct segment_entry *entry = &record->entry;

        memset(ret_header, 0, RECORD_HEADER_BYTES);
        px_put_be32(ret_header, entry->length);
        px_put_be32(ret_header + 8, record->data_crc);
        px_put_be32(ret_header + 12, entry->key.attempt);
        px_put_be64(ret_header + 16, entry->key.job.value);
        px_put_be64(ret_header + 24, entry->offset);
        px_put_be64(ret_header + 32, (uint64_t)entry->wall_ms);
        ret_header[40] = (uint8_t)entry->key.stream;
        px_put_be32(ret_header + 44, record->synced);
        px_put_be32(ret_header + 4, px_crc32c(px_crc32c(0, ret_header, 4), ret_header + 8,
                                              RECORD_HEADER_BYTES - 8));
}

bool segment_record_parse(const uint8_t *header, struct segment_record *ret_record)
{
        uint32_t length = px_get_be32(header);

        /* Cheap tests first: a walk over foreign bytes tries every position. */
        if (length == 0 || length > PX_LIMIT_LOG_CHUNK_BYTES || header[40] == 0 || header[40] > 3)
                return false;
        if (px_get_be32(header + 4) !=
            px_crc32c(px_crc32c(0, header, 4), header + 8, RECORD_HEADER_BYTES - 8))
                return false;
        *ret_record = (struct segment_record){
                .entry = {.key = {.job = {px_get_be64(header + 16)},
                                  .attempt = px_get_be32(header + 12),
                                  .stream = header[40]},
                          .offset = px_get_be64(header + 24),
                          .length = length,
                          .wall_ms = (int64_t)px_get_be64(header + 32)},
                .data_crc = px_get_be32(header + 8),
                .synced = px_get_be32(header + 44),
        };
        return ret_record->entry.key.attempt <= SEGMENT_ATTEMPT_MAX;
}

ssize_t segment_read_at(int fd, uint8_t *ret_bytes, size_t length, uint64_t position)
{
        size_t done = 0;

        while (done < length) {
                ssize_t got = pread(fd, ret_bytes + done, length - done, (off_t)(position + done));

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return -errno;
                if (got == 0)
                        break;
                done += (size_t)got;
        }
        return (ssize_t)done;
}

static bool all_zero(const uint8_t *bytes, size_t length)
{
        for (size_t i = 0; i < length; i++)
                if (bytes[i] != 0)
                        return false;
        return true;
}

/* No record stands at walk->at: look for one further on. */
static int skip_foreign(struct segment_walk *walk)
{
        struct segment_record record;

        for (uint64_t at = walk->at;;) {
                ssize_t got = segment_read_at(walk->fd, walk->bytes, sizeof walk->bytes, at);
                size_t tried = 0;

                if (got < 0)
                        return (int)got;
                if (got < RECORD_HEADER_BYTES)
                        return SEGMENT_END;
                for (; tried + RECORD_HEADER_BYTES <= (size_t)got; tried++) {
                        if (at + tried == walk->at ||
                            !segment_record_parse(walk->bytes + tried, &record))
                                continue;
                        walk->at = at + tried;
                        return SEGMENT_FOREIGN;
                }
                at += tried;
        }
}

int segment_walk_next(struct segment_walk *walk, struct segment_record *ret_record)
{
        const uint8_t *data = walk->bytes + RECORD_HEADER_BYTES;
        ssize_t got = segment_read_at(walk->fd, walk->bytes, sizeof walk->bytes, walk->at);
        struct segment_record record;

        walk->from = walk->at;
        if (got < 0)
                return (int)got;
        if (got < RECORD_HEADER_BYTES)
                return SEGMENT_END;
        if (!segment_record_parse(walk->bytes, &record))
                return skip_foreign(walk);
        if ((size_t)got < RECORD_HEADER_BYTES + record.entry.length)
                return SEGMENT_END;
        record.entry.position = (uint32_t)walk->at;
        walk->at += RECORD_HEADER_BYTES + record.entry.length;
        *ret_record = record;
        if (px_crc32c(0, data, record.entry.length) == record.data_crc)
                return SEGMENT_RECORD;
        return all_zero(data, record.entry.length) ? SEGMENT_PURGED : SEGMENT_DAMAGED;
}
