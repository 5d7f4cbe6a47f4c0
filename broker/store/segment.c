/* SPDX-License-Identifier: Apache-2.0 */
/* segment.c - the store of log segments: append, sync, read, seal, recover, retain. Format and promises
 * in segment.h. Layer: L3 (broker/store). */
#include "segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "segment_index.h"

#define SEGMENT_MAGIC "PXLOG001"
#define FILE_HEADER_BYTES 16
#define RECORD_HEADER_BYTES 48
#define SEGMENT_BYTES_DEFAULT (64u << 20)
#define ENTRIES_DEFAULT 200000
#define NAME_BYTES 32

struct segment {
        uint64_t number;
        uint64_t length;
        int64_t last_wall_ms; /* of its newest record */
        int fd;
        struct segment_sealed sealed; /* fd == -1 for the active one */
};

struct segments {
        int dir_fd;
        struct segments_options options;
        struct segment *items; /* ascending numbers; the last one is active */
        size_t count;
        size_t capacity;
        struct segment_growing growing; /* of the active one */
        uint64_t unsynced_bytes;
        uint64_t *purged; /* jobs to punch out of the active segment when it is sealed */
        size_t purged_count;
        size_t purged_capacity;
        int fault;
};

static void name_of(uint64_t number, const char *suffix, char ret_name[NAME_BYTES])
{
        snprintf(ret_name, NAME_BYTES, "%016" PRIx64 ".%s", number, suffix);
}

static struct segment *active_of(struct segments *segments)
{
        PX_ASSERT(segments->count > 0);
        return &segments->items[segments->count - 1];
}

static struct segment *segments_add(struct segments *segments, struct segment segment)
{
        if (segments->count == segments->capacity) {
                segments->capacity = segments->capacity == 0 ? 16 : segments->capacity * 2;
                segments->items = px_realloc(segments->items,
                                             segments->capacity * sizeof *segments->items);
        }
        segments->items[segments->count] = segment;
        return &segments->items[segments->count++];
}

static int begin_active(struct segments *segments, uint64_t number)
{
        struct segment segment = {.number = number, .length = FILE_HEADER_BYTES, .sealed = {.fd = -1}};
        uint8_t header[FILE_HEADER_BYTES];
        char name[NAME_BYTES];

        name_of(number, "log", name);
        segment.fd = openat(segments->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (segment.fd < 0)
                return -errno;
        memcpy(header, SEGMENT_MAGIC, 8);
        px_put_be64(header + 8, number);
        if (pwrite(segment.fd, header, sizeof header, 0) != (ssize_t)sizeof header ||
            fsync(segments->dir_fd) != 0) {
                int fault = errno != 0 ? -errno : -EIO;

                close(segment.fd);
                return fault;
        }
        segments_add(segments, segment);
        return PX_OK;
}

/* ---- records ----------------------------------------------------------------------------------------------- */

static void record_header(uint8_t *at, const struct segment_entry *entry, uint32_t data_crc)
{
        memset(at, 0, RECORD_HEADER_BYTES);
        px_put_be32(at, entry->length);
        px_put_be32(at + 8, data_crc);
        px_put_be32(at + 12, entry->key.attempt);
        px_put_be64(at + 16, entry->key.job.value);
        px_put_be64(at + 24, entry->offset);
        px_put_be64(at + 32, (uint64_t)entry->wall_ms);
        at[40] = (uint8_t)entry->key.stream;
        px_put_be32(at + 4, px_crc32c(px_crc32c(0, at, 4), at + 8, RECORD_HEADER_BYTES - 8));
}

/* Read a record's header; false when it isn't one. */
static bool record_parse(const uint8_t *at, struct segment_entry *ret_entry, uint32_t *ret_data_crc)
{
        if (px_get_be32(at + 4) != px_crc32c(px_crc32c(0, at, 4), at + 8, RECORD_HEADER_BYTES - 8))
                return false;
        *ret_entry = (struct segment_entry){
                .key = {.job = {px_get_be64(at + 16)},
                        .attempt = px_get_be32(at + 12),
                        .stream = at[40]},
                .offset = px_get_be64(at + 24),
                .length = px_get_be32(at),
                .wall_ms = (int64_t)px_get_be64(at + 32),
        };
        *ret_data_crc = px_get_be32(at + 8);
        return ret_entry->length > 0 && ret_entry->length <= PX_LIMIT_LOG_CHUNK_BYTES;
}

static bool all_zero(const uint8_t *bytes, size_t length)
{
        for (size_t i = 0; i < length; i++)
                if (bytes[i] != 0)
                        return false;
        return true;
}

static ssize_t read_fully(int fd, uint8_t *ret_bytes, size_t length, uint64_t position)
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

/* Index every whole record of a segment into segments->growing. *ret_end = where the last one ends. */
static int scan_records(struct segments *segments, struct segment *segment, uint64_t *ret_end)
{
        uint8_t *buffer = px_alloc(RECORD_HEADER_BYTES + PX_LIMIT_LOG_CHUNK_BYTES);
        uint64_t at = FILE_HEADER_BYTES;
        int result = PX_OK;

        for (;;) {
                ssize_t got = read_fully(segment->fd, buffer, RECORD_HEADER_BYTES + PX_LIMIT_LOG_CHUNK_BYTES,
                                         at);
                struct segment_entry entry;
                const uint8_t *data = buffer + RECORD_HEADER_BYTES;
                uint32_t crc;

                if (got < 0)
                        result = (int)got;
                if (got < RECORD_HEADER_BYTES || !record_parse(buffer, &entry, &crc) ||
                    (size_t)got < RECORD_HEADER_BYTES + entry.length)
                        break;
                entry.position = (uint32_t)at;
                if (px_crc32c(0, data, entry.length) == crc)
                        segment_growing_add(&segments->growing, &entry);
                else if (!all_zero(data, entry.length))
                        break;
                segment->last_wall_ms = PX_MAX(segment->last_wall_ms, entry.wall_ms);
                at += RECORD_HEADER_BYTES + entry.length;
        }
        px_free(buffer);
        *ret_end = at;
        return result;
}

/* ---- seal, purge ----------------------------------------------------------------------------------------------- */

static void punch_job(struct segment *segment, struct px_job_id job)
{
        struct segment_entry entry;
        uint64_t index = 0;

        while (segment_sealed_next(&segment->sealed, job, &index, &entry) == PX_OK)
                (void)fallocate(segment->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                (off_t)entry.position + RECORD_HEADER_BYTES, entry.length);
}

/* Write the sidecar of the last segment; it takes no more records. */
static int seal_active(struct segments *segments)
{
        struct segment *segment = active_of(segments);
        char name[NAME_BYTES];
        int result;

        name_of(segment->number, "idx", name);
        result = segment_sealed_write(segments->dir_fd, name, segment->number, &segments->growing);
        if (result == PX_OK)
                result = segment_sealed_open(segments->dir_fd, name, segment->number, &segment->sealed);
        if (result != PX_OK)
                return result;
        segment_growing_reset(&segments->growing);
        for (size_t i = 0; i < segments->purged_count; i++)
                punch_job(segment, (struct px_job_id){segments->purged[i]});
        segments->purged_count = 0;
        return PX_OK;
}

void segments_purge(struct segments *segments, struct px_job_id job)
{
        for (size_t i = 0; i + 1 < segments->count; i++)
                punch_job(&segments->items[i], job);
        if (segments->growing.count == 0)
                return;
        if (segments->purged_count == segments->purged_capacity) {
                segments->purged_capacity = PX_MAX(segments->purged_capacity * 2, (size_t)64);
                segments->purged = px_realloc(segments->purged,
                                              segments->purged_capacity * sizeof *segments->purged);
        }
        segments->purged[segments->purged_count++] = job.value;
}

/* ---- open ----------------------------------------------------------------------------------------------------------- */

static int compare_numbers(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a;
        uint64_t y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

/* Numbers of all segment files, ascending. */
static int list_numbers(int dir_fd, uint64_t **ret_numbers, size_t *ret_count)
{
        int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        uint64_t *numbers = NULL;
        size_t count = 0;
        struct dirent *entry;

        if (dir == NULL) {
                if (fd >= 0)
                        close(fd);
                return -errno;
        }
        while ((entry = readdir(dir)) != NULL) {
                char *end;
                uint64_t number = strtoull(entry->d_name, &end, 16);

                if (end != entry->d_name + 16 || strcmp(end, ".log") != 0)
                        continue;
                numbers = px_realloc(numbers, (count + 1) * sizeof *numbers);
                numbers[count++] = number;
        }
        closedir(dir);
        if (count > 0)
                qsort(numbers, count, sizeof *numbers, compare_numbers);
        *ret_numbers = numbers;
        *ret_count = count;
        return PX_OK;
}

static int check_file_header(const struct segment *segment)
{
        uint8_t header[FILE_HEADER_BYTES];
        ssize_t got = read_fully(segment->fd, header, sizeof header, 0);

        if (got < 0)
                return (int)got;
        if (got != FILE_HEADER_BYTES || memcmp(header, SEGMENT_MAGIC, 8) != 0 ||
            px_get_be64(header + 8) != segment->number)
                return PX_E_DAMAGED;
        return PX_OK;
}

/* A segment without a usable sidecar: index it by a scan. The last one loses its torn tail. */
static int recover_segment(struct segments *segments, struct segment *segment, bool last)
{
        uint64_t end = 0;
        int result = scan_records(segments, segment, &end);

        if (result != PX_OK)
                return result;
        if (last && end < segment->length && ftruncate(segment->fd, (off_t)end) != 0)
                return -errno;
        if (last)
                segment->length = end;
        return last ? PX_OK : seal_active(segments);
}

static int open_one(struct segments *segments, uint64_t number, bool last)
{
        struct segment segment = {.number = number, .sealed = {.fd = -1}};
        struct segment *added;
        struct stat status;
        char name[NAME_BYTES];
        int result;

        name_of(number, "log", name);
        segment.fd = openat(segments->dir_fd, name, O_RDWR | O_CLOEXEC);
        if (segment.fd < 0 || fstat(segment.fd, &status) != 0)
                return -errno;
        segment.length = (uint64_t)status.st_size;
        segment.last_wall_ms = (int64_t)status.st_mtim.tv_sec * 1000;
        added = segments_add(segments, segment);
        if (last && segment.length < FILE_HEADER_BYTES)
                return PX_E_ABSENT; /* cut off while it was made */
        result = check_file_header(added);
        if (result != PX_OK)
                return result;
        name_of(number, "idx", name);
        result = segment_sealed_open(segments->dir_fd, name, number, &added->sealed);
        if (result == PX_E_ABSENT || result == PX_E_DAMAGED)
                result = recover_segment(segments, added, last);
        return result;
}

static void drop_last(struct segments *segments)
{
        struct segment *segment = active_of(segments);
        char name[NAME_BYTES];

        name_of(segment->number, "log", name);
        unlinkat(segments->dir_fd, name, 0);
        close(segment->fd);
        segments->count--;
}

/* Open what is there; leave an active segment at the end. */
static int open_all(struct segments *segments, uint64_t *ret_number)
{
        uint64_t *numbers = NULL;
        size_t count = 0;
        int result = list_numbers(segments->dir_fd, &numbers, &count);

        for (size_t i = 0; i < count && result == PX_OK; i++) {
                *ret_number = numbers[i];
                result = open_one(segments, numbers[i], i + 1 == count);
                if (result == PX_E_ABSENT) {
                        drop_last(segments);
                        result = PX_OK;
                }
        }
        px_free(numbers);
        if (result == PX_OK && (segments->count == 0 || active_of(segments)->sealed.fd >= 0)) {
                *ret_number = count == 0 ? 1 : *ret_number + 1;
                result = begin_active(segments, *ret_number);
        }
        return result;
}

int segments_open(const struct segments_options *options, struct segments **ret_segments, char *ret_text,
                  size_t text_room)
{
        struct segments *segments = px_alloc(sizeof *segments);
        uint64_t number = 0;
        int result;

        segments->options = *options;
        if (segments->options.segment_bytes == 0)
                segments->options.segment_bytes = SEGMENT_BYTES_DEFAULT;
        if (segments->options.entries_max == 0)
                segments->options.entries_max = ENTRIES_DEFAULT;
        PX_ASSERT(segments->options.segment_bytes < UINT32_MAX);
        segments->dir_fd = open(options->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        result = segments->dir_fd < 0 ? -errno : open_all(segments, &number);
        if (result != PX_OK) {
                snprintf(ret_text, text_room, "%s: log segment %016" PRIx64 ": %s", options->dir, number,
                         result < 0 ? strerror(-result) : "is damaged");
                segments_close(segments);
                return result;
        }
        *ret_segments = segments;
        return PX_OK;
}

void segments_close(struct segments *segments)
{
        if (segments == NULL)
                return;
        if (segments->count > 0)
                (void)segments_sync(segments);
        for (size_t i = 0; i < segments->count; i++) {
                close(segments->items[i].fd);
                segment_sealed_close(&segments->items[i].sealed);
        }
        if (segments->dir_fd >= 0)
                close(segments->dir_fd);
        segment_growing_fini(&segments->growing);
        px_free(segments->purged);
        px_free(segments->items);
        px_free(segments);
}

/* ---- append, sync ---------------------------------------------------------------------------------------------------- */

int segments_sync(struct segments *segments)
{
        if (segments->fault != PX_OK || segments->unsynced_bytes == 0)
                return segments->fault;
        if (fdatasync(active_of(segments)->fd) != 0)
                segments->fault = -errno;
        segments->unsynced_bytes = 0;
        return segments->fault;
}

static int rotate(struct segments *segments)
{
        uint64_t number = active_of(segments)->number;
        int result = segments_sync(segments);

        if (result == PX_OK)
                result = seal_active(segments);
        if (result == PX_OK)
                result = begin_active(segments, number + 1);
        return result;
}

static int write_record(struct segment *segment, const struct segment_entry *entry, struct px_slice data)
{
        uint8_t header[RECORD_HEADER_BYTES];
        struct iovec parts[2] = {
                {.iov_base = header, .iov_len = sizeof header},
                {.iov_base = (void *)(uintptr_t)data.data, .iov_len = data.length},
        };
        size_t total = sizeof header + data.length;
        ssize_t written;

        record_header(header, entry, px_crc32c(0, data.data, data.length));
        do
                written = pwritev(segment->fd, parts, 2, (off_t)segment->length);
        while (written < 0 && errno == EINTR);
        if (written < 0)
                return -errno;
        return (size_t)written == total ? PX_OK : -ENOSPC;
}

int segments_append(struct segments *segments, struct segment_key key, uint64_t offset, int64_t wall_ms,
                    struct px_slice data)
{
        struct segment_entry entry = {
                .key = key, .offset = offset, .length = (uint32_t)data.length, .wall_ms = wall_ms};
        struct segment *segment = active_of(segments);

        PX_ASSERT(data.length > 0 && data.length <= PX_LIMIT_LOG_CHUNK_BYTES);
        if (segments->fault != PX_OK)
                return segments->fault;
        if (segment->length + RECORD_HEADER_BYTES + data.length > segments->options.segment_bytes ||
            segments->growing.count == segments->options.entries_max) {
                segments->fault = rotate(segments);
                segment = active_of(segments);
        }
        if (segments->fault == PX_OK) {
                entry.position = (uint32_t)segment->length;
                segments->fault = write_record(segment, &entry, data);
        }
        if (segments->fault != PX_OK)
                return segments->fault;
        segment_growing_add(&segments->growing, &entry);
        segment->length += RECORD_HEADER_BYTES + data.length;
        segment->last_wall_ms = PX_MAX(segment->last_wall_ms, wall_ms);
        segments->unsynced_bytes += RECORD_HEADER_BYTES + data.length;
        return PX_OK;
}

uint64_t segments_unsynced_bytes(const struct segments *segments)
{
        return segments->unsynced_bytes;
}

/* ---- read ------------------------------------------------------------------------------------------------------------- */

/* The record that holds the first stored byte at or after offset, and its segment. */
static int find_entry(struct segments *segments, struct segment_key key, uint64_t offset,
                      struct segment **ret_segment, struct segment_entry *ret_entry)
{
        const struct segment_entry *grown = segment_growing_find(&segments->growing, key, offset);

        *ret_segment = active_of(segments);
        if (grown != NULL && grown->offset <= offset) {
                *ret_entry = *grown;
                return PX_OK;
        }
        for (size_t i = 0; i + 1 < segments->count; i++) {
                int result = segment_sealed_find(&segments->items[i].sealed, key, offset, ret_entry);

                *ret_segment = &segments->items[i];
                if (result != PX_E_ABSENT)
                        return result;
        }
        *ret_segment = active_of(segments);
        if (grown == NULL)
                return PX_E_ABSENT;
        *ret_entry = *grown;
        return PX_OK;
}

int segments_read(struct segments *segments, struct segment_key key, uint64_t offset, uint8_t *ret_data,
                  size_t room, struct segment_run *ret_run)
{
        uint8_t buffer[RECORD_HEADER_BYTES + PX_LIMIT_LOG_CHUNK_BYTES];
        struct segment_entry entry;
        struct segment_entry stored;
        struct segment *segment;
        uint32_t crc = 0;
        uint64_t skip;
        ssize_t got;
        int result = find_entry(segments, key, offset, &segment, &entry);

        if (result != PX_OK)
                return result;
        got = read_fully(segment->fd, buffer, RECORD_HEADER_BYTES + entry.length, entry.position);
        if (got < 0)
                return (int)got;
        skip = offset > entry.offset ? offset - entry.offset : 0;
        *ret_run = (struct segment_run){entry.offset + skip, PX_MIN(entry.length - skip, room),
                                        entry.wall_ms};
        if ((size_t)got < RECORD_HEADER_BYTES + entry.length || !record_parse(buffer, &stored, &crc) ||
            segment_entry_compare(&stored, &entry) != 0 ||
            px_crc32c(0, buffer + RECORD_HEADER_BYTES, entry.length) != crc) {
                ret_run->length = entry.length - skip;
                return PX_E_DAMAGED;
        }
        memcpy(ret_data, buffer + RECORD_HEADER_BYTES + skip, ret_run->length);
        return PX_OK;
}

uint64_t segments_length(struct segments *segments, struct segment_key key)
{
        const struct segment_entry *grown = segment_growing_last(&segments->growing, key);
        struct segment_entry entry;

        if (grown != NULL)
                return grown->offset + grown->length;
        for (size_t i = segments->count - 1; i-- > 0;)
                if (segment_sealed_last(&segments->items[i].sealed, key, &entry) == PX_OK)
                        return entry.offset + entry.length;
        return 0;
}

uint64_t segments_offset_since(struct segments *segments, struct segment_key key, int64_t wall_ms)
{
        struct segment_entry entry;
        struct segment *segment;
        uint64_t offset = 0;

        while (find_entry(segments, key, offset, &segment, &entry) == PX_OK) {
                if (entry.wall_ms >= wall_ms)
                        return PX_MAX(offset, entry.offset);
                offset = entry.offset + entry.length;
        }
        return offset;
}

/* ---- retention ------------------------------------------------------------------------------------------------------------- */

uint64_t segments_bytes(const struct segments *segments)
{
        uint64_t bytes = 0;

        for (size_t i = 0; i < segments->count; i++)
                bytes += segments->items[i].length;
        return bytes;
}

static void remove_oldest(struct segments *segments)
{
        struct segment *oldest = &segments->items[0];
        char name[NAME_BYTES];

        /* The sidecar last: a segment without one would be scanned, a sidecar alone is ignored. */
        name_of(oldest->number, "log", name);
        unlinkat(segments->dir_fd, name, 0);
        name_of(oldest->number, "idx", name);
        unlinkat(segments->dir_fd, name, 0);
        close(oldest->fd);
        segment_sealed_close(&oldest->sealed);
        segments->count--;
        memmove(segments->items, segments->items + 1, segments->count * sizeof *segments->items);
}

size_t segments_retain(struct segments *segments, int64_t before_wall_ms, uint64_t bytes_max)
{
        size_t removed = 0;

        while (segments->count > 1 && (segments->items[0].last_wall_ms < before_wall_ms ||
                                       segments_bytes(segments) > bytes_max)) {
                remove_oldest(segments);
                removed++;
        }
        return removed;
}
