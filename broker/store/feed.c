/* SPDX-License-Identifier: Apache-2.0 */
/* feed.c - opening, appending to and pruning the event feed. Layer: L3 (broker/store). See feed.h;
 * reading: feed_read.c. */
#include "feed.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "disk.h"
#include "feed_inside.h"

int feed_open_file(const struct feed *feed, uint64_t number, int flags, int *ret_fd)
{
        char name[DISK_NAME_BYTES];

        return disk_open_file(feed->dir_fd, disk_numbered_name(name, number, FEED_SUFFIX), flags,
                              ret_fd);
}

bool feed_number_before(struct px_event_number a, struct px_event_number b)
{
        return a.index < b.index || (a.index == b.index && a.position < b.position);
}

void feed_give_up(struct feed *feed, size_t at, uint64_t offset)
{
        struct px_event_number floor;

        if (at + 1 < feed->files_count) {
                floor = feed->files[at + 1].previous;
        } else {
                floor = feed->last;
                feed->begin_new = true;
        }
        if (feed_number_before(feed->floor, floor))
                feed->floor = floor;
        fprintf(stderr,
                FEED_DIR "/%020" PRIu64 FEED_SUFFIX ": damaged at offset %" PRIu64
                         "; events up to %" PRIu64 ".%" PRIu32 " are no longer kept\n",
                feed->files[at].number, offset, feed->floor.index, feed->floor.position);
}

/* ---- opening --------------------------------------------------------------------------------------------- */

static int file_read_header(struct feed *feed, uint64_t number, struct feed_file *ret_file,
                            bool *ret_sound)
{
        uint8_t bytes[FEED_HEADER_BYTES];
        uint64_t file_bytes = 0;
        size_t length = 0;
        uint32_t crc;
        int fd;
        int result = feed_open_file(feed, number, 0, &fd);

        if (result < 0)
                return result;
        result = disk_read_at(fd, bytes, sizeof(bytes), 0, &length);
        if (result == 0)
                result = disk_size(fd, &file_bytes);
        close(fd);
        *ret_sound = feed_get_header(px_slice_of(bytes, length), ret_file, &crc) &&
                     ret_file->number == number;
        if (*ret_sound)
                ret_file->bytes = file_bytes;
        return result;
}

/* Walk the last file up to the first record that does not continue the chain; returns its offset. */
static uint64_t file_walk(struct feed *feed, struct px_slice bytes)
{
        struct feed_file header;
        struct feed_record record;
        uint64_t offset = FEED_HEADER_BYTES;

        PX_ASSERT(feed_get_header(bytes, &header, &feed->crc));
        feed->last = header.previous;
        feed->events = header.events_before;
        while (feed_get_record(bytes, offset, &record) && record.previous_crc == feed->crc &&
               record.index > feed->last.index) {
                feed_mark_record(&feed->files[feed->files_count - 1], record.index, offset);
                feed->crc = record.crc;
                feed->last = (struct px_event_number){record.index, record.events_count - 1};
                feed->events += record.events_count;
                offset += record.bytes;
        }
        return offset;
}

static int open_last(struct feed *feed)
{
        struct feed_file *file = &feed->files[feed->files_count - 1];
        struct px_buf bytes = {0};
        char name[DISK_NAME_BYTES];
        int result;

        disk_numbered_name(name, file->number, FEED_SUFFIX);
        result = disk_read_file(feed->dir_fd, name, &bytes);
        if (result == 0)
                result = feed_open_file(feed, file->number, 0, &feed->fd);
        if (result == 0) {
                file->bytes = file_walk(feed, px_buf_slice(&bytes));
                feed->dirty = true; /* a process that was killed need not have flushed */
        }
        px_buf_fini(&bytes);
        return result;
}

/* Does the journal have what is missing behind the last sound event? Then what stands there is cut off
 * and written again. If not, nothing older is kept; the damaged file stays as it is. */
static int open_end(struct feed *feed, struct px_event_number known, uint64_t kept_from)
{
        if (feed_number_before(feed->last, known) && feed->last.index < kept_from) {
                fprintf(stderr,
                        FEED_DIR "/: damaged behind event %" PRIu64 ".%" PRIu32
                                 "; events up to batch %" PRIu64 " are no longer kept\n",
                        feed->last.index, feed->last.position, kept_from);
                feed->last = (struct px_event_number){kept_from, UINT32_MAX};
                feed->floor = feed->last;
                feed->begin_new = feed->files_count > 0;
                return 0;
        }
        if (feed->fd >= 0 &&
            ftruncate(feed->fd, (off_t)feed->files[feed->files_count - 1].bytes) != 0)
                return -errno;
        return 0;
}

/* A header that is not sound: of the last file it mostly means that the file was being begun. If not,
 * the events that it had are missed below. */
static int open_unsound(struct feed *feed, uint64_t number, bool last)
{
        char name[DISK_NAME_BYTES], aside[DISK_NAME_BYTES + sizeof(".unsound")];

        if (!last) {
                fprintf(stderr,
                        FEED_DIR "/%020" PRIu64 FEED_SUFFIX
                                 ": damaged at offset 0; older events are no longer kept\n",
                        number);
                feed->files_count = 0;
                return 0;
        }
        disk_numbered_name(name, number, FEED_SUFFIX);
        snprintf(aside, sizeof(aside), "%s.unsound", name);
        return renameat(feed->dir_fd, name, feed->dir_fd, aside) == 0 ? 0 : -errno;
}

static int open_files(struct feed *feed, const uint64_t *numbers, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                struct feed_file file;
                bool sound;
                int result = file_read_header(feed, numbers[i], &file, &sound);

                if (result == 0 && !sound)
                        result = open_unsound(feed, numbers[i], i + 1 == count);
                if (result < 0)
                        return result;
                if (sound)
                        feed->files[feed->files_count++] = file;
        }
        return 0;
}

int feed_open(struct feed *feed, int dir_fd, const struct feed_limits *limits,
              struct px_event_number known, uint64_t kept_from)
{
        uint64_t *numbers = NULL;
        size_t count = 0;
        int result;

        *feed = (struct feed){.dir_fd = dir_fd, .fd = -1, .limits = *limits};
        PX_ASSERT(pthread_mutex_init(&feed->mutex, NULL) == 0);
        if (feed->limits.file_bytes == 0)
                feed->limits.file_bytes = FEED_FILE_BYTES;
        result = disk_list_numbered(dir_fd, FEED_SUFFIX, FEED_FILES_MAX, &numbers, &count);
        if (result == 0) {
                feed->files = px_alloc((count + 1) * sizeof(*feed->files));
                result = open_files(feed, numbers, count);
        }
        px_free(numbers);
        if (result == 0 && feed->files_count > 0) {
                feed->floor = feed->files[0].previous;
                result = open_last(feed);
        }
        if (result == 0)
                result = open_end(feed, known, kept_from);
        if (result < 0)
                feed_close(feed);
        return result;
}

void feed_close(struct feed *feed)
{
        if (feed->fd >= 0)
                close(feed->fd);
        for (size_t i = 0; i < feed->files_count; i++)
                px_free(feed->files[i].marks);
        px_free(feed->files);
        px_buf_fini(&feed->out);
        pthread_mutex_destroy(&feed->mutex);
}

void feed_lock(struct feed *feed)
{
        pthread_mutex_lock(&feed->mutex);
}

void feed_unlock(struct feed *feed)
{
        pthread_mutex_unlock(&feed->mutex);
}

/* ---- appending ---------------------------------------------------------------------------------------------- */

static int feed_sync(struct feed *feed)
{
        int result = 0;

        if (feed->dirty)
                result = disk_flush(feed->fd);
        if (result == 0)
                feed->dirty = false;
        return result;
}

static int file_begin(struct feed *feed)
{
        uint8_t bytes[FEED_HEADER_BYTES];
        struct feed_file file = {.number = 1,
                                 .previous = feed->last,
                                 .events_before = feed->events,
                                 .bytes = FEED_HEADER_BYTES};
        int fd;
        int result = feed_sync(feed);

        if (feed->files_count > 0)
                file.number = feed->files[feed->files_count - 1].number + 1;
        if (result == 0)
                result = feed_open_file(feed, file.number, O_CREAT | O_TRUNC, &fd);
        if (result < 0)
                return result;
        if (feed->fd >= 0)
                close(feed->fd);
        feed->fd = fd;
        feed->crc = feed_put_header(bytes, &file);
        feed->files = px_realloc(feed->files, (feed->files_count + 1) * sizeof(*feed->files));
        feed->files[feed->files_count++] = file;
        feed->begin_new = false;
        feed->dirty = true;
        result = disk_write_at(fd, bytes, sizeof(bytes), 0);
        if (result == 0)
                result = disk_sync_dir(feed->dir_fd);
        return result;
}

/* Write out what feed_take() has gathered for the last file. */
int feed_write_out(struct feed *feed)
{
        struct feed_file *file;
        int result;

        if (feed->out.length == 0)
                return 0;
        file = &feed->files[feed->files_count - 1];
        result = disk_write_at(feed->fd, feed->out.data, feed->out.length, file->bytes);
        file->bytes += feed->out.length;
        feed->dirty = true;
        px_buf_reset(&feed->out);
        return result;
}

static bool feed_wants_file(const struct feed *feed)
{
        if (feed->files_count == 0 || feed->begin_new)
                return true;
        return feed->files[feed->files_count - 1].bytes + feed->out.length >=
               feed->limits.file_bytes;
}

int feed_take_record(struct feed *feed, const struct journal_record *record)
{
        struct feed_file *file;
        int result;

        if (record->events_count == 0 || record->index <= feed->last.index)
                return 0;
        if (feed_wants_file(feed)) {
                result = feed_write_out(feed);
                if (result == 0)
                        result = file_begin(feed);
                if (result < 0)
                        return result;
        }
        file = &feed->files[feed->files_count - 1];
        feed_mark_record(file, record->index, file->bytes + feed->out.length);
        feed->crc = feed_put_record(&feed->out, record->index, record->events_count,
                                    record->events, feed->crc);
        feed->last = (struct px_event_number){record->index, record->events_count - 1};
        feed->events += record->events_count;
        return 0;
}

int feed_take(struct feed *feed, struct px_slice records)
{
        size_t offset = 0;
        int result = 0;

        while (offset < records.length && result == 0) {
                struct journal_record record;

                journal_own_record(records, offset, &record);
                result = feed_take_record(feed, &record);
                offset += record.bytes;
        }
        if (result == 0)
                result = feed_write_out(feed);
        return result;
}

int feed_flush(struct feed *feed)
{
        int result;

        feed_lock(feed);
        result = feed_sync(feed);
        feed_unlock(feed);
        return result;
}

/* ---- retention ------------------------------------------------------------------------------------------------ */

/* Milliseconds since the file was written last: the age of its newest event. */
static uint64_t file_age_ms(const struct feed *feed, uint64_t number)
{
        char name[DISK_NAME_BYTES];
        struct stat status;
        time_t now = time(NULL);

        if (fstatat(feed->dir_fd, disk_numbered_name(name, number, FEED_SUFFIX), &status, 0) != 0 ||
            status.st_mtime >= now)
                return 0;
        return (uint64_t)(now - status.st_mtime) * 1000;
}

static bool first_is_due(const struct feed *feed, uint64_t bytes)
{
        if (feed->files_count < 2)
                return false; /* the last one is being written */
        return bytes > feed->limits.bytes ||
               feed->events - feed->files[0].events_before > feed->limits.events ||
               file_age_ms(feed, feed->files[0].number) > feed->limits.age_ms;
}

static int first_drop(struct feed *feed)
{
        char name[DISK_NAME_BYTES];

        disk_numbered_name(name, feed->files[0].number, FEED_SUFFIX);
        if (feed_number_before(feed->floor, feed->files[1].previous))
                feed->floor = feed->files[1].previous;
        px_free(feed->files[0].marks);
        feed->files_count--;
        memmove(feed->files, feed->files + 1, feed->files_count * sizeof(*feed->files));
        return disk_remove(feed->dir_fd, name);
}

int feed_retain(struct feed *feed)
{
        uint64_t bytes = 0;
        int result = 0;

        feed_lock(feed);
        for (size_t i = 0; i < feed->files_count; i++)
                bytes += feed->files[i].bytes;
        while (result == 0 && first_is_due(feed, bytes)) {
                bytes -= feed->files[0].bytes;
                result = first_drop(feed);
        }
        feed_unlock(feed);
        return result;
}
