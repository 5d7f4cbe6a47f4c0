/* SPDX-License-Identifier: Apache-2.0 */
/* journal.c - writing the journal. Layer: L3 (broker/store). See journal.h; replay: journal_replay.c.
 *
 * A segment that is no longer needed is reused under the next number: its blocks are written
 * already, so that a flush has no allocation to record. Old records in it can't be mistaken: they
 * don't continue the chain, and what they say was flushed lies before its end. */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "disk.h"

#define SEGMENT_BYTES_MIN 65536
#define FILL_BYTES (1u << 20)
#define FILL_RECORDS_BYTES_MAX (128u << 10) /* larger groups pay for their blocks themselves */

static struct journal_segment *segment_last(struct journal *journal)
{
        PX_ASSERT(journal->segments_count > 0);
        return &journal->segments[journal->segments_count - 1];
}

static void segments_drop_first(struct journal *journal, size_t count)
{
        journal->segments_count -= count;
        memmove(journal->segments, journal->segments + count,
                journal->segments_count * sizeof(*journal->segments));
}

int journal_trim(struct journal *journal, uint64_t passed)
{
        char name[DISK_NAME_BYTES];
        size_t count = 0;
        int result = 0;

        while (count + 1 < journal->segments_count &&
               journal->segments[count].index_last <= passed) {
                result = disk_remove(journal->dir_fd,
                                     disk_numbered_name(name, journal->segments[count].number,
                                                        JOURNAL_SUFFIX));
                if (result < 0)
                        break;
                count++;
        }
        if (count == 0)
                return result;
        segments_drop_first(journal, count);
        return result < 0 ? result : disk_sync_dir(journal->dir_fd);
}

/* Take the oldest segment, if it was passed and is large enough, as `number`. */
static int segment_recycle(struct journal *journal, uint64_t number, uint64_t passed, int *ret_fd)
{
        char old_name[DISK_NAME_BYTES], new_name[DISK_NAME_BYTES];
        struct journal_segment *oldest = &journal->segments[0];
        int result;

        if (journal->segments_count < 2 || oldest->index_last > passed ||
            oldest->bytes < journal->segment_bytes)
                return -ENOENT;
        disk_numbered_name(old_name, oldest->number, JOURNAL_SUFFIX);
        disk_numbered_name(new_name, number, JOURNAL_SUFFIX);
        if (renameat(journal->dir_fd, old_name, journal->dir_fd, new_name) != 0)
                return -errno;
        segments_drop_first(journal, 1);
        result = disk_open_file(journal->dir_fd, new_name, 0, ret_fd);
        PX_ASSERT(result != -ENOENT);
        return result;
}

/* Make a segment file of `bytes`; on a full disk a smaller one that still holds `room`. */
static int segment_create(struct journal *journal, uint64_t number, uint64_t bytes, uint64_t room,
                          int *ret_fd)
{
        char name[DISK_NAME_BYTES];
        int fd, result;

        disk_numbered_name(name, number, JOURNAL_SUFFIX);
        result = disk_open_file(journal->dir_fd, name, O_CREAT | O_TRUNC, &fd);
        if (result < 0)
                return result;
        bytes = PX_MAX(bytes, room);
        while ((result = -posix_fallocate(fd, 0, (off_t)bytes)) == -ENOSPC) {
                if (ftruncate(fd, 0) != 0 || bytes / 2 < PX_MAX(room, SEGMENT_BYTES_MIN))
                        break;
                bytes /= 2;
        }
        if (result == 0 && fsync(fd) != 0)
                result = -errno;
        if (result < 0) {
                close(fd);
                return result;
        }
        *ret_fd = fd;
        return 0;
}

static void segment_push(struct journal *journal, uint64_t number, uint64_t bytes)
{
        journal->segments = px_realloc(journal->segments, (journal->segments_count + 1) *
                                                                  sizeof(*journal->segments));
        journal->segments[journal->segments_count++] = (struct journal_segment){
                .number = number,
                .previous = journal->chain,
                .index_last = journal->chain.index,
                .bytes = bytes,
        };
}

/* Make a segment file one that continues the chain: header, file and name are flushed. */
static int segment_write_header(struct journal *journal, int fd, uint64_t number,
                                uint64_t file_bytes)
{
        uint8_t bytes[JOURNAL_HEADER_BYTES];
        struct journal_header header = {
                .number = number,
                .epoch = journal->epoch,
                .file_bytes = file_bytes,
                .previous = journal->chain,
        };
        int result;

        journal_put_header(bytes, &header);
        result = disk_write_at(fd, bytes, sizeof(bytes), 0);
        if (result == 0)
                result = disk_flush(fd);
        if (result == 0)
                result = disk_sync_dir(journal->dir_fd);
        return result;
}

/* Begin the next segment, in which `room` bytes of records will fit. On a fault the one before stays
 * the last. */
static int segment_begin(struct journal *journal, uint64_t passed, uint64_t room)
{
        uint64_t number =
                journal->segments_count == 0 ? 1 : segment_last(journal)->number + 1;
        uint64_t bytes = 0;
        int fd = -1;
        int result = -ENOENT;
        bool recycled;

        room += JOURNAL_HEADER_BYTES;
        if (room <= journal->segment_bytes)
                result = segment_recycle(journal, number, passed, &fd);
        recycled = result == 0;
        if (result == -ENOENT)
                result = segment_create(journal, number,
                                        journal->scarce ? SEGMENT_BYTES_MIN
                                                        : journal->segment_bytes,
                                        room, &fd);
        if (result < 0)
                return result;
        result = disk_size(fd, &bytes);
        if (result == 0)
                result = segment_write_header(journal, fd, number, bytes);
        if (result < 0) {
                close(fd);
                return result;
        }
        if (journal->fd >= 0)
                close(journal->fd);
        journal->fd = fd;
        journal->offset = JOURNAL_HEADER_BYTES;
        journal->filled = recycled ? bytes : 0;
        segment_push(journal, number, bytes);
        return 0;
}

/* A process that was killed may have left records written but not flushed. */
static int segment_flush_found(struct journal *journal)
{
        char name[DISK_NAME_BYTES];
        int fd, result;

        if (journal->segments_count == 0)
                return 0;
        disk_numbered_name(name, segment_last(journal)->number, JOURNAL_SUFFIX);
        result = disk_open_file(journal->dir_fd, name, 0, &fd);
        if (result < 0)
                return result;
        result = disk_flush(fd);
        close(fd);
        return result;
}

int journal_begin(struct journal *journal, uint64_t epoch, uint64_t segment_bytes)
{
        int result;

        PX_ASSERT(journal->fd < 0);
        PX_ASSERT(epoch > journal->epoch);
        journal->epoch = epoch;
        journal->segment_bytes = PX_MAX(segment_bytes, SEGMENT_BYTES_MIN);
        result = segment_flush_found(journal);
        if (result < 0)
                return result;
        journal->flushed = journal->chain.index;
        return segment_begin(journal, 0, 0);
}

static void records_seal(struct journal *journal, struct px_buf *records)
{
        size_t offset = 0;

        while (offset < records->length)
                offset += journal_seal_record(records->data + offset, journal->flushed,
                                              &journal->chain);
        PX_ASSERT(offset == records->length);
}

int journal_make_room(struct journal *journal, size_t bytes, uint64_t passed)
{
        int result;

        PX_ASSERT(journal->fd >= 0);
        if (bytes <= segment_last(journal)->bytes - journal->offset)
                return 0;
        result = segment_begin(journal, passed, bytes);
        return result == 0 ? journal_trim(journal, passed) : result;
}

/* Have the blocks up to `end` written; if they are not, many more at once. The zeros are flushed with
 * the records that follow. */
static int segment_fill(struct journal *journal, uint64_t end)
{
        static const uint8_t zeros[FILL_BYTES];
        uint64_t size = segment_last(journal)->bytes;
        int result;

        if (end <= journal->filled)
                return 0;
        journal->filled = PX_MAX(journal->filled, journal->offset);
        result = disk_write_at(journal->fd, zeros, PX_MIN(size - journal->filled, FILL_BYTES),
                               journal->filled);
        journal->filled = PX_MIN(size, journal->filled + FILL_BYTES);
        return result;
}

/* Say behind the chain that it is flushed, where that costs no block. */
static int journal_seal(struct journal *journal)
{
        uint8_t seal[JOURNAL_SEAL_BYTES];

        if (journal->offset + sizeof(seal) > journal->filled)
                return 0;
        journal_put_seal(seal, journal->epoch, &journal->chain);
        return disk_write_at(journal->fd, seal, sizeof(seal), journal->offset);
}

int journal_write(struct journal *journal, struct px_buf *records)
{
        int result;

        PX_ASSERT(records->length > 0);
        PX_ASSERT(records->length <= segment_last(journal)->bytes - journal->offset);
        records_seal(journal, records);
        if (records->length <= FILL_RECORDS_BYTES_MAX) {
                result = segment_fill(journal, journal->offset + records->length);
                if (result < 0)
                        return result;
        }
        result = disk_write_at(journal->fd, records->data, records->length, journal->offset);
        if (result == 0)
                result = disk_flush(journal->fd);
        if (result < 0)
                return result;
        journal->offset += records->length;
        journal->filled = PX_MAX(journal->filled, journal->offset);
        journal->flushed = journal->chain.index;
        segment_last(journal)->index_last = journal->chain.index;
        return journal_seal(journal);
}

void journal_close(struct journal *journal)
{
        if (journal->fd >= 0)
                close(journal->fd);
        px_free(journal->segments);
        *journal = (struct journal){.fd = -1};
}
