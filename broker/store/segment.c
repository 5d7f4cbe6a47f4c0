/* SPDX-License-Identifier: Apache-2.0 */
/* segment.c - the store of log segments: append, sync, read, seal, recover, retain. Format and promises
 * in segment.h. Layer: L3 (broker/store). */
#include "disk.h"
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

#include "segment_record.h"

#define SEGMENT_MAGIC "PXLOG001"
#define SEGMENT_BYTES_DEFAULT (64u << 20)
#define ENTRIES_DEFAULT 200000
#define NAME_BYTES 32
#define OPEN_MAX 64 /* sealed segments whose files are kept open */

struct segment {
        uint64_t number;
        uint64_t length;
        int64_t last_wall_ms; /* of its newest record */
        uint64_t used;        /* when its files were last wanted, by segments->uses */
        int fd;               /* -1 = closed, see segment_use() */
        bool is_sealed;
        struct segment_sealed sealed;
};

struct segments {
        int dir_fd;
        struct segments_options options;
        struct segment *items; /* ascending numbers; the last one is active */
        size_t count;
        size_t capacity;
        uint64_t uses;
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
        struct segment segment = {
                .number = number, .length = SEGMENT_HEADER_BYTES, .sealed = {.fd = -1}};
        uint8_t header[SEGMENT_HEADER_BYTES];
        char name[NAME_BYTES];

        name_of(number, "log", name);
        segment.fd = disk_openat(segments->dir_fd, name, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (segment.fd < 0)
                return -errno;
        memcpy(header, SEGMENT_MAGIC, 8);
        px_put_be64(header + 8, number);
        errno = 0;
        if (pwrite(segment.fd, header, sizeof header, 0) != (ssize_t)sizeof header ||
            fsync(segments->dir_fd) != 0) {
                int fault = errno != 0 ? -errno : -ENOSPC;

                unlinkat(segments->dir_fd, name, 0);
                close(segment.fd);
                return fault;
        }
        segments_add(segments, segment);
        return PX_OK;
}

/* ---- files kept open --------------------------------------------------------------------------- */

static void segment_shut(struct segment *segment)
{
        if (segment->fd >= 0)
                close(segment->fd);
        segment->fd = -1;
        segment_sealed_close(&segment->sealed);
}

/* Close the file used longest ago when too many are open. */
static void shut_oldest(struct segments *segments)
{
        struct segment *oldest = NULL;
        size_t open = 0;

        for (size_t i = 0; i < segments->count; i++) {
                struct segment *segment = &segments->items[i];

                if (!segment->is_sealed || segment->fd < 0)
                        continue;
                open++;
                if (oldest == NULL || segment->used < oldest->used)
                        oldest = segment;
        }
        if (open >= OPEN_MAX)
                segment_shut(oldest);
}

/* Open the files of a segment if they are not. Faults: -errno. */
static int segment_use(struct segments *segments, struct segment *segment)
{
        char name[NAME_BYTES];

        segment->used = ++segments->uses;
        if (segment->fd >= 0)
                return PX_OK;
        shut_oldest(segments);
        name_of(segment->number, "log", name);
        segment->fd = disk_openat(segments->dir_fd, name, O_RDWR, 0);
        if (segment->fd < 0)
                return -errno;
        name_of(segment->number, "idx", name);
        return segment->is_sealed && segment->sealed.fd < 0
                       ? segment_sealed_reopen(segments->dir_fd, name, &segment->sealed)
                       : PX_OK;
}

/* ---- recover ------------------------------------------------------------------------------------- */

static void name_damage(const struct segment *segment, uint64_t from, uint64_t to, const char *what)
{
        fprintf(stderr,
                "log segment %016" PRIx64 ": bytes %" PRIu64 " to %" PRIu64 " %s\n",
                segment->number, from, to, what);
}

/* How many bytes of a segment were flushed, as its records say. */
static int scan_synced(const struct segment *segment, struct segment_walk *walk, uint64_t *ret_synced)
{
        struct segment_record record;
        int found;

        walk->fd = segment->fd;
        walk->at = SEGMENT_HEADER_BYTES;
        *ret_synced = SEGMENT_HEADER_BYTES;
        while ((found = segment_walk_next(walk, &record)) > SEGMENT_END)
                if (found != SEGMENT_FOREIGN)
                        *ret_synced = PX_MAX(*ret_synced, record.synced);
        return found;
}

/* Index every record of a segment into segments->growing, up to the first bad byte behind `synced`.
 * *ret_end = where the last one ends. */
static int scan_records(struct segments *segments, struct segment *segment, struct segment_walk *walk,
                        uint64_t synced, uint64_t *ret_end)
{
        struct segment_record record;
        int found;

        walk->fd = segment->fd;
        walk->at = SEGMENT_HEADER_BYTES;
        while ((found = segment_walk_next(walk, &record)) > SEGMENT_END) {
                bool whole = found == SEGMENT_RECORD || found == SEGMENT_PURGED;

                if (!whole && walk->from >= synced)
                        break;
                if (!whole)
                        name_damage(segment, walk->from, walk->at, "are damaged");
                if (found == SEGMENT_FOREIGN || found == SEGMENT_PURGED)
                        continue;
                /* Damaged data stays in the index, so that whoever reads it is told. */
                if (!segment_growing_add(&segments->growing, &record.entry))
                        name_damage(segment, walk->from, walk->at, "repeat an offset");
                segment->last_wall_ms = PX_MAX(segment->last_wall_ms, record.entry.wall_ms);
        }
        *ret_end = walk->from;
        return found < 0 ? found : PX_OK;
}

/* ---- seal, purge ----------------------------------------------------------------------------------------------- */

static void punch_job(struct segments *segments, struct segment *segment, struct px_job_id job)
{
        struct segment_entry entry;
        uint64_t index = 0;

        if (job.value < segment->sealed.first_job || job.value > segment->sealed.last_job ||
            segment_use(segments, segment) != PX_OK)
                return;
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
                return result < 0 ? result : -EIO;
        segment->is_sealed = true;
        segment_growing_reset(&segments->growing);
        for (size_t i = 0; i < segments->purged_count; i++)
                punch_job(segments, segment, (struct px_job_id){segments->purged[i]});
        segments->purged_count = 0;
        return PX_OK;
}

void segments_purge(struct segments *segments, struct px_job_id job)
{
        for (size_t i = 0; i < segments->count; i++)
                if (segments->items[i].is_sealed)
                        punch_job(segments, &segments->items[i], job);
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
        int fd = disk_openat(dir_fd, ".", O_RDONLY | O_DIRECTORY, 0);
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

static bool header_is_good(const struct segment *segment)
{
        uint8_t header[SEGMENT_HEADER_BYTES];

        return segment_read_at(segment->fd, header, sizeof header, 0) == SEGMENT_HEADER_BYTES &&
               memcmp(header, SEGMENT_MAGIC, 8) == 0 && px_get_be64(header + 8) == segment->number;
}

/* A segment without a usable sidecar: index it by a scan. The last one loses its torn tail; the others
 * were flushed before the next one was begun. */
static int recover_segment(struct segments *segments, struct segment *segment, bool last)
{
        struct segment_walk *walk = px_alloc(sizeof *walk);
        uint64_t synced = segment->length;
        uint64_t end = 0;
        int result = last ? scan_synced(segment, walk, &synced) : PX_OK;

        if (result == PX_OK)
                result = scan_records(segments, segment, walk, synced, &end);
        px_free(walk);
        if (result != PX_OK || !last)
                return result != PX_OK ? result : seal_active(segments);
        if (end < segment->length) {
                name_damage(segment, end, segment->length, "are not known to be whole and are removed; nodes send them again");
                if (ftruncate(segment->fd, (off_t)end) != 0)
                        return -errno;
        }
        segment->length = end;
        segments->unsynced_bytes = end - SEGMENT_HEADER_BYTES;
        return PX_OK;
}

/* Age by the sidecar: purges touch the segment itself. */
static int64_t sealed_wall_ms(const struct segment *segment)
{
        struct stat status;

        if (fstat(segment->sealed.fd, &status) != 0)
                return INT64_MAX; /* never too old */
        return (int64_t)status.st_mtim.tv_sec * 1000;
}

/* Add the segment and its index. PX_E_ABSENT: it was cut off while it was made. */
static int open_one(struct segments *segments, uint64_t number, bool last)
{
        struct segment segment = {.number = number, .fd = -1, .sealed = {.fd = -1}};
        struct segment *added = segments_add(segments, segment);
        struct stat status;
        char name[NAME_BYTES];
        int result = segment_use(segments, added);

        if (result != PX_OK)
                return result;
        if (fstat(added->fd, &status) != 0)
                return -errno;
        added->length = (uint64_t)status.st_size;
        if (last && added->length < SEGMENT_HEADER_BYTES)
                return PX_E_ABSENT;
        name_of(number, "idx", name);
        result = segment_sealed_open(segments->dir_fd, name, number, &added->sealed);
        if (result < 0)
                return result;
        added->is_sealed = result == PX_OK;
        if (!header_is_good(added))
                name_damage(added, 0, SEGMENT_HEADER_BYTES, "are not the header of a log segment");
        if (!added->is_sealed)
                return recover_segment(segments, added, last);
        added->last_wall_ms = sealed_wall_ms(added);
        return PX_OK;
}

static void drop_last(struct segments *segments)
{
        struct segment *segment = active_of(segments);
        char name[NAME_BYTES];

        name_of(segment->number, "log", name);
        unlinkat(segments->dir_fd, name, 0);
        segment_shut(segment);
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
        if (result == PX_OK && (segments->count == 0 || active_of(segments)->is_sealed)) {
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
                         strerror(-result));
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
        for (size_t i = 0; i < segments->count; i++)
                segment_shut(&segments->items[i]);
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
        /* After a failed flush nobody knows what is on the disk: there is no second try. */
        if (fdatasync(active_of(segments)->fd) != 0)
                segments->fault = -errno;
        segments->unsynced_bytes = 0;
        return segments->fault;
}

/* Seal the last segment and begin the next; where it fails half-way it goes on there the next time. */
static int rotate(struct segments *segments)
{
        uint64_t number = active_of(segments)->number;
        int result = segments_sync(segments);

        if (result == PX_OK && !active_of(segments)->is_sealed)
                result = seal_active(segments);
        if (result == PX_OK)
                result = begin_active(segments, number + 1);
        return result;
}

static int write_record(struct segment *segment, const struct segment_record *record,
                        struct px_slice data)
{
        uint8_t header[RECORD_HEADER_BYTES];
        struct iovec parts[2] = {
                {.iov_base = header, .iov_len = sizeof header},
                {.iov_base = (void *)(uintptr_t)data.data, .iov_len = data.length},
        };
        ssize_t written;

        segment_record_format(record, header);
        do
                written = pwritev(segment->fd, parts, 2, (off_t)segment->length);
        while (written < 0 && errno == EINTR);
        if (written < 0)
                return -errno;
        return (size_t)written == sizeof header + data.length ? PX_OK : -ENOSPC;
}

/* A lack of space may end; anything else is final. */
static int append_failed(struct segments *segments, int fault)
{
        if (fault != -ENOSPC && fault != -EDQUOT)
                segments->fault = fault;
        return fault;
}

int segments_append(struct segments *segments, struct segment_key key, uint64_t offset, int64_t wall_ms,
                    struct px_slice data)
{
        size_t bytes = RECORD_HEADER_BYTES + data.length;
        struct segment_record record = {
                .entry = {.key = key, .offset = offset, .length = (uint32_t)data.length, .wall_ms = wall_ms},
                .data_crc = px_crc32c(0, data.data, data.length)};
        struct segment *segment = active_of(segments);
        int result = segments->fault;

        PX_ASSERT(data.length > 0 && data.length <= PX_LIMIT_LOG_CHUNK_BYTES);
        if (result == PX_OK &&
            (segment->is_sealed || segment->length + bytes > segments->options.segment_bytes ||
             segments->growing.count == segments->options.entries_max))
                result = rotate(segments);
        segment = active_of(segments);
        record.entry.position = (uint32_t)segment->length;
        record.synced = (uint32_t)(segment->length - segments->unsynced_bytes);
        if (result == PX_OK)
                result = write_record(segment, &record, data);
        if (result != PX_OK)
                return append_failed(segments, result);
        PX_ASSERT(segment_growing_add(&segments->growing, &record.entry));
        segment->length += bytes;
        segment->last_wall_ms = PX_MAX(segment->last_wall_ms, wall_ms);
        segments->unsynced_bytes += bytes;
        return PX_OK;
}

uint64_t segments_unsynced_bytes(const struct segments *segments)
{
        return segments->unsynced_bytes;
}

/* ---- read ------------------------------------------------------------------------------------------------------------- */

static bool may_hold(const struct segment *segment, struct px_job_id job)
{
        return segment->is_sealed && segment->sealed.count > 0 &&
               job.value >= segment->sealed.first_job && job.value <= segment->sealed.last_job;
}

static int sealed_find(struct segments *segments, struct segment *segment, struct segment_key key,
                       uint64_t offset, struct segment_entry *ret_entry)
{
        int result = may_hold(segment, key.job) ? segment_use(segments, segment) : PX_E_ABSENT;

        return result != PX_OK ? result
                               : segment_sealed_find(&segment->sealed, key, offset, ret_entry);
}

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
        for (size_t i = 0; i < segments->count; i++) {
                int result = sealed_find(segments, &segments->items[i], key, offset, ret_entry);

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
        uint8_t buffer[RECORD_BYTES_MAX];
        struct segment_entry entry;
        struct segment_record stored;
        struct segment *segment;
        uint64_t skip;
        ssize_t got;
        int result = find_entry(segments, key, offset, &segment, &entry);

        if (result != PX_OK)
                return result;
        got = segment_read_at(segment->fd, buffer, RECORD_HEADER_BYTES + entry.length, entry.position);
        if (got < 0)
                return (int)got;
        skip = offset > entry.offset ? offset - entry.offset : 0;
        *ret_run = (struct segment_run){entry.offset + skip, PX_MIN(entry.length - skip, room),
                                        entry.wall_ms};
        if ((size_t)got < RECORD_HEADER_BYTES + entry.length ||
            !segment_record_parse(buffer, &stored) ||
            segment_entry_compare(&stored.entry, &entry) != 0 || stored.entry.length != entry.length ||
            px_crc32c(0, buffer + RECORD_HEADER_BYTES, entry.length) != stored.data_crc) {
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
        for (size_t i = segments->count; i-- > 0;) {
                struct segment *segment = &segments->items[i];

                if (may_hold(segment, key.job) && segment_use(segments, segment) == PX_OK &&
                    segment_sealed_last(&segment->sealed, key, &entry) == PX_OK)
                        return entry.offset + entry.length;
        }
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
        segment_shut(oldest);
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
