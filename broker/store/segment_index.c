/* SPDX-License-Identifier: Apache-2.0 */
/* segment_index.c - see segment_index.h. Layer: L3 (broker/store). */
#include "disk.h"
#include "segment_index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SIDECAR_MAGIC "PXLIX001"
#define SIDECAR_HEADER_BYTES 32
#define SIDECAR_ENTRY_BYTES 40

static int compare_u64(uint64_t a, uint64_t b)
{
        return (a > b) - (a < b);
}

static int compare_key(struct segment_key a, struct segment_key b)
{
        int order = compare_u64(a.job.value, b.job.value);

        if (order == 0)
                order = compare_u64(a.attempt, b.attempt);
        return order != 0 ? order : compare_u64((uint64_t)a.stream, (uint64_t)b.stream);
}

int segment_entry_compare(const struct segment_entry *a, const struct segment_entry *b)
{
        int order = compare_key(a->key, b->key);

        return order != 0 ? order : compare_u64(a->offset, b->offset);
}

/* ---- growing ------------------------------------------------------------------------------------------- */

struct growing_stream {
        struct segment_key key;
        struct growing_stream *next; /* same hash */
        uint32_t *indices; /* of its entries, offsets rising */
        size_t count;
        size_t capacity;
};

static uint64_t key_hash(struct segment_key key)
{
        return px_hash64((uint64_t)key.attempt << 2 | (uint64_t)key.stream, &key.job.value,
                         sizeof key.job.value);
}

static struct growing_stream *stream_find(const struct segment_growing *growing,
                                          struct segment_key key)
{
        struct growing_stream *stream = px_map_find(&growing->streams, key_hash(key));

        while (stream != NULL && compare_key(stream->key, key) != 0)
                stream = stream->next;
        return stream;
}

static struct growing_stream *stream_new(struct segment_growing *growing, struct segment_key key)
{
        struct growing_stream *stream = px_alloc(sizeof *stream);

        stream->key = key;
        stream->next = px_map_find(&growing->streams, key_hash(key));
        px_map_put(&growing->streams, key_hash(key), stream);
        return stream;
}

static uint64_t end_of(const struct segment_entry *entry)
{
        return entry->offset + entry->length;
}

void segment_growing_reset(struct segment_growing *growing)
{
        size_t cursor = 0;
        uint64_t key;
        void *value;

        while (px_map_next(&growing->streams, &cursor, &key, &value)) {
                while (value != NULL) {
                        struct growing_stream *stream = value;

                        value = stream->next;
                        px_free(stream->indices);
                        px_free(stream);
                }
        }
        px_map_fini(&growing->streams);
        growing->streams = (struct px_map){0};
        growing->count = 0;
}

void segment_growing_fini(struct segment_growing *growing)
{
        segment_growing_reset(growing);
        px_free(growing->entries);
        *growing = (struct segment_growing){0};
}

static void stream_add(struct growing_stream *stream, uint32_t index)
{
        if (stream->count == stream->capacity) {
                stream->capacity = stream->capacity == 0 ? 8 : stream->capacity * 2;
                stream->indices =
                        px_realloc(stream->indices, stream->capacity * sizeof *stream->indices);
        }
        stream->indices[stream->count++] = index;
}

bool segment_growing_add(struct segment_growing *growing, const struct segment_entry *entry)
{
        struct growing_stream *stream;

        PX_ASSERT(entry->key.attempt <= SEGMENT_ATTEMPT_MAX);
        PX_ASSERT(entry->key.stream > 0 && entry->key.stream < 4);
        stream = stream_find(growing, entry->key);
        if (stream != NULL &&
            end_of(&growing->entries[stream->indices[stream->count - 1]]) > entry->offset)
                return false;
        if (stream == NULL)
                stream = stream_new(growing, entry->key);
        if (growing->count == growing->capacity) {
                growing->capacity = growing->capacity == 0 ? 1024 : growing->capacity * 2;
                growing->entries =
                        px_realloc(growing->entries, growing->capacity * sizeof *growing->entries);
        }
        stream_add(stream, (uint32_t)growing->count);
        growing->entries[growing->count++] = *entry;
        return true;
}

const struct segment_entry *segment_growing_find(const struct segment_growing *growing,
                                                 struct segment_key key, uint64_t offset)
{
        const struct growing_stream *stream = stream_find(growing, key);
        size_t low = 0;
        size_t high;

        if (stream == NULL)
                return NULL;
        high = stream->count;
        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (end_of(&growing->entries[stream->indices[middle]]) <= offset)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low == stream->count ? NULL : &growing->entries[stream->indices[low]];
}

const struct segment_entry *segment_growing_last(const struct segment_growing *growing,
                                                 struct segment_key key)
{
        const struct growing_stream *stream = stream_find(growing, key);

        return stream == NULL ? NULL : &growing->entries[stream->indices[stream->count - 1]];
}

/* ---- sealed ---------------------------------------------------------------------------------------------- */

static void entry_encode(const struct segment_entry *entry, uint8_t *at)
{
        px_put_be64(at, entry->key.job.value);
        px_put_be32(at + 8, entry->key.attempt);
        px_put_be32(at + 12, (uint32_t)entry->key.stream);
        px_put_be64(at + 16, entry->offset);
        px_put_be32(at + 24, entry->length);
        px_put_be32(at + 28, entry->position);
        px_put_be64(at + 32, (uint64_t)entry->wall_ms);
}

static struct segment_entry entry_decode(const uint8_t *at)
{
        return (struct segment_entry){
                .key = {.job = {px_get_be64(at)},
                        .attempt = px_get_be32(at + 8),
                        .stream = (int)px_get_be32(at + 12)},
                .offset = px_get_be64(at + 16),
                .length = px_get_be32(at + 24),
                .position = px_get_be32(at + 28),
                .wall_ms = (int64_t)px_get_be64(at + 32),
        };
}

static int compare_pointers(const void *a, const void *b)
{
        return segment_entry_compare(*(const struct segment_entry *const *)a,
                                     *(const struct segment_entry *const *)b);
}

/* The whole sidecar of the growing entries. */
static struct px_buf sidecar_of(uint64_t number, const struct segment_growing *growing)
{
        const struct segment_entry **order = px_alloc((growing->count + 1) * sizeof *order);
        struct px_buf file = {0};
        uint8_t *header = px_buf_grow(&file, SIDECAR_HEADER_BYTES);
        uint8_t *entries;

        memset(header, 0, SIDECAR_HEADER_BYTES);
        memcpy(header, SIDECAR_MAGIC, 8);
        px_put_be64(header + 8, number);
        px_put_be64(header + 16, growing->count);
        for (size_t i = 0; i < growing->count; i++)
                order[i] = &growing->entries[i];
        qsort(order, growing->count, sizeof *order, compare_pointers);
        if (growing->count > 0) {
                entries = px_buf_grow(&file, growing->count * SIDECAR_ENTRY_BYTES);
                for (size_t i = 0; i < growing->count; i++)
                        entry_encode(order[i], entries + i * SIDECAR_ENTRY_BYTES);
        }
        px_put_be32(file.data + 24, px_crc32c(0, file.data + SIDECAR_HEADER_BYTES,
                                              file.length - SIDECAR_HEADER_BYTES));
        px_free(order);
        return file;
}

static int write_whole(int fd, struct px_slice bytes)
{
        while (bytes.length > 0) {
                ssize_t written = write(fd, bytes.data, bytes.length);

                if (written < 0 && errno == EINTR)
                        continue;
                if (written < 0)
                        return -errno;
                bytes.data += written;
                bytes.length -= (size_t)written;
        }
        return fsync(fd) == 0 ? PX_OK : -errno;
}

int segment_sealed_write(int dir_fd, const char *name, uint64_t number,
                         const struct segment_growing *growing)
{
        char temporary[64];
        struct px_buf file;
        int result;
        int fd;

        snprintf(temporary, sizeof temporary, "%s.new", name);
        fd = disk_openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (fd < 0)
                return -errno;
        file = sidecar_of(number, growing);
        result = write_whole(fd, px_buf_slice(&file));
        px_buf_fini(&file);
        if (close(fd) != 0 && result == PX_OK)
                result = -errno;
        if (result == PX_OK && renameat(dir_fd, temporary, dir_fd, name) != 0)
                result = -errno;
        return result;
}

static int read_at(int fd, uint8_t *ret_bytes, size_t length, uint64_t position)
{
        ssize_t got;

        do
                got = pread(fd, ret_bytes, length, (off_t)position);
        while (got < 0 && errno == EINTR);
        if (got < 0)
                return -errno;
        return (size_t)got == length ? PX_OK : PX_E_DAMAGED;
}

static int entry_read(const struct segment_sealed *sealed, uint64_t index,
                      struct segment_entry *ret_entry)
{
        uint8_t bytes[SIDECAR_ENTRY_BYTES];
        int result = read_at(sealed->fd, bytes, sizeof bytes,
                             SIDECAR_HEADER_BYTES + index * SIDECAR_ENTRY_BYTES);

        if (result == PX_OK)
                *ret_entry = entry_decode(bytes);
        return result;
}

/* Does the file's content match its header? */
static int sidecar_check(int fd, uint64_t number, uint64_t *ret_count)
{
        uint8_t header[SIDECAR_HEADER_BYTES];
        uint8_t entries[SIDECAR_ENTRY_BYTES * 512];
        int result = read_at(fd, header, sizeof header, 0);
        uint64_t left;
        uint32_t crc = 0;

        if (result != PX_OK)
                return result;
        if (memcmp(header, SIDECAR_MAGIC, 8) != 0 || px_get_be64(header + 8) != number ||
            px_get_be64(header + 16) > UINT32_MAX)
                return PX_E_DAMAGED;
        left = px_get_be64(header + 16) * SIDECAR_ENTRY_BYTES;
        for (uint64_t at = SIDECAR_HEADER_BYTES; left > 0 && result == PX_OK;) {
                size_t length = PX_MIN(left, sizeof entries);

                result = read_at(fd, entries, length, at);
                crc = px_crc32c(crc, entries, length);
                at += length;
                left -= length;
        }
        if (result == PX_OK && crc != px_get_be32(header + 24))
                result = PX_E_DAMAGED;
        *ret_count = px_get_be64(header + 16);
        return result;
}

int segment_sealed_open(int dir_fd, const char *name, uint64_t number, struct segment_sealed *ret_sealed)
{
        struct segment_sealed sealed = {.fd = disk_openat(dir_fd, name, O_RDONLY, 0)};
        struct segment_entry first = {0};
        struct segment_entry last = {0};
        int result;

        if (sealed.fd < 0)
                return errno == ENOENT ? PX_E_ABSENT : -errno;
        result = sidecar_check(sealed.fd, number, &sealed.count);
        if (result == PX_OK && sealed.count > 0) {
                result = entry_read(&sealed, 0, &first);
                if (result == PX_OK)
                        result = entry_read(&sealed, sealed.count - 1, &last);
        }
        if (result != PX_OK) {
                close(sealed.fd);
                return result;
        }
        sealed.first_job = first.key.job.value;
        sealed.last_job = last.key.job.value;
        *ret_sealed = sealed;
        return PX_OK;
}

int segment_sealed_reopen(int dir_fd, const char *name, struct segment_sealed *sealed)
{
        PX_ASSERT(sealed->fd < 0);
        sealed->fd = disk_openat(dir_fd, name, O_RDONLY, 0);
        return sealed->fd < 0 ? -errno : PX_OK;
}

void segment_sealed_close(struct segment_sealed *sealed)
{
        if (sealed->fd >= 0)
                close(sealed->fd);
        sealed->fd = -1;
}

/* Index of the first entry that isn't before (key, offset); sealed->count when all are. */
static int lower_bound(const struct segment_sealed *sealed, struct segment_key key, uint64_t offset,
                       uint64_t *ret_index)
{
        const struct segment_entry wanted = {.key = key, .offset = offset};
        uint64_t low = 0;
        uint64_t high = sealed->count;

        while (low < high) {
                uint64_t middle = low + (high - low) / 2;
                struct segment_entry entry;
                int result = entry_read(sealed, middle, &entry);

                if (result != PX_OK)
                        return result;
                if (segment_entry_compare(&entry, &wanted) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        *ret_index = low;
        return PX_OK;
}

static bool holds_job(const struct segment_sealed *sealed, struct px_job_id job)
{
        return sealed->count > 0 && job.value >= sealed->first_job && job.value <= sealed->last_job;
}

int segment_sealed_find(const struct segment_sealed *sealed, struct segment_key key, uint64_t offset,
                        struct segment_entry *ret_entry)
{
        struct segment_entry entry;
        uint64_t index;
        int result;

        if (!holds_job(sealed, key.job))
                return PX_E_ABSENT;
        result = lower_bound(sealed, key, offset, &index);
        if (result != PX_OK)
                return result;
        /* The one before may begin earlier and still reach behind offset. */
        for (uint64_t i = index > 0 ? index - 1 : 0; i < sealed->count && i <= index; i++) {
                result = entry_read(sealed, i, &entry);
                if (result != PX_OK)
                        return result;
                if (compare_key(entry.key, key) == 0 && entry.offset + entry.length > offset) {
                        *ret_entry = entry;
                        return PX_OK;
                }
        }
        return PX_E_ABSENT;
}

int segment_sealed_last(const struct segment_sealed *sealed, struct segment_key key,
                        struct segment_entry *ret_entry)
{
        struct segment_entry entry;
        uint64_t index;
        int result;

        if (!holds_job(sealed, key.job))
                return PX_E_ABSENT;
        result = lower_bound(sealed, key, UINT64_MAX, &index);
        if (result != PX_OK)
                return result;
        if (index == 0)
                return PX_E_ABSENT;
        result = entry_read(sealed, index - 1, &entry);
        if (result != PX_OK)
                return result;
        if (compare_key(entry.key, key) != 0)
                return PX_E_ABSENT;
        *ret_entry = entry;
        return PX_OK;
}

int segment_sealed_next(const struct segment_sealed *sealed, struct px_job_id job, uint64_t *index,
                        struct segment_entry *ret_entry)
{
        struct segment_entry entry;
        int result = PX_OK;

        if (!holds_job(sealed, job))
                return PX_E_ABSENT;
        if (*index == 0)
                result = lower_bound(sealed, (struct segment_key){.job = job}, 0, index);
        if (result == PX_OK && *index >= sealed->count)
                result = PX_E_ABSENT;
        if (result == PX_OK)
                result = entry_read(sealed, *index, &entry);
        if (result == PX_OK && entry.key.job.value != job.value)
                result = PX_E_ABSENT;
        if (result != PX_OK)
                return result;
        *index += 1;
        *ret_entry = entry;
        return PX_OK;
}
