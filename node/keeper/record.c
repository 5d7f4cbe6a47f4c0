/* SPDX-License-Identifier: Apache-2.0 */
/* record.c - small checked files of the spool. Layer: L4 (node/keeper). */
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define RECORD_VERSION 1
#define RECORD_HEADER_BYTES 16

static uint32_t record_crc(uint8_t kind, struct px_slice body)
{
        return px_crc32c(px_crc32c(0, &kind, 1), body.data, body.length);
}

static void record_header(uint8_t header[RECORD_HEADER_BYTES], enum record_kind kind,
                          struct px_slice body)
{
        memset(header, 0, RECORD_HEADER_BYTES);
        header[0] = 'P';
        header[1] = 'X';
        header[2] = 'N';
        header[3] = (uint8_t)kind;
        header[4] = RECORD_VERSION;
        px_put_be32(header + 8, (uint32_t)body.length);
        px_put_be32(header + 12, record_crc((uint8_t)kind, body));
}

static int record_put(int fd, enum record_kind kind, struct px_slice body)
{
        uint8_t header[RECORD_HEADER_BYTES];
        struct iovec parts[2] = {
                {.iov_base = header, .iov_len = sizeof(header)},
                {.iov_base = (void *)(uintptr_t)body.data, .iov_len = body.length},
        };
        ssize_t written;

        PX_ASSERT(body.length <= RECORD_BYTES_MAX);
        record_header(header, kind, body);
        written = writev(fd, parts, 2);
        if (written < 0)
                return -errno;
        return (size_t)written == sizeof(header) + body.length ? 0 : -ENOSPC;
}

int record_replace(int dir_fd, const char *name, enum record_kind kind, struct px_slice body)
{
        char beside[32];
        int fd;
        int result;

        snprintf(beside, sizeof(beside), "%s.new", name);
        fd = openat(dir_fd, beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        result = record_put(fd, kind, body);
        if (result == 0 && fsync(fd) != 0)
                result = -errno;
        close(fd);
        if (result == 0 && renameat(dir_fd, beside, dir_fd, name) != 0)
                result = -errno;
        if (result == 0 && fsync(dir_fd) != 0)
                result = -errno;
        if (result != 0)
                unlinkat(dir_fd, beside, 0);
        return result;
}

int record_overwrite(int dir_fd, const char *name, enum record_kind kind, struct px_slice body,
                     bool sync)
{
        struct stat status;
        int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        int result;

        if (fd < 0)
                return -errno;
        result = record_put(fd, kind, body);
        /* What an earlier, longer record left behind. */
        if (result == 0 && fstat(fd, &status) == 0 &&
            status.st_size > (off_t)(RECORD_HEADER_BYTES + body.length) &&
            ftruncate(fd, (off_t)(RECORD_HEADER_BYTES + body.length)) != 0)
                result = -errno;
        if (result == 0 && sync && (fsync(fd) != 0 || fsync(dir_fd) != 0))
                result = -errno;
        close(fd);
        return result;
}

static int record_check(const uint8_t *bytes, size_t length, enum record_kind kind,
                        struct px_slice *ret_body)
{
        struct px_slice body;

        if (length < RECORD_HEADER_BYTES || memcmp(bytes, "PXN", 3) != 0)
                return -EBADMSG;
        if (bytes[3] != (uint8_t)kind || bytes[4] != RECORD_VERSION)
                return -EBADMSG;
        /* Behind it may stand the end of a longer one that was written over. */
        if (px_get_be32(bytes + 8) > length - RECORD_HEADER_BYTES)
                return -EBADMSG;
        body = px_slice_of(bytes + RECORD_HEADER_BYTES, px_get_be32(bytes + 8));
        if (px_get_be32(bytes + 12) != record_crc((uint8_t)kind, body))
                return -EBADMSG;
        *ret_body = body;
        return 0;
}

/* Read what the file holds, at most `length` bytes: it may be shorter than it was a moment ago. */
static ssize_t record_fill(int fd, uint8_t *bytes, size_t length)
{
        size_t filled = 0;

        while (filled < length) {
                ssize_t got = read(fd, bytes + filled, length - filled);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return -errno;
                if (got == 0)
                        break;
                filled += (size_t)got;
        }
        return (ssize_t)filled;
}

int record_read(int dir_fd, const char *name, enum record_kind kind, struct px_arena *arena,
                struct px_slice *ret_body)
{
        struct stat status;
        int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        int result = 0;

        if (fd < 0)
                return -errno;
        if (fstat(fd, &status) != 0)
                result = -errno;
        else if (!S_ISREG(status.st_mode) || status.st_size < RECORD_HEADER_BYTES ||
                 status.st_size > (off_t)RECORD_BYTES_MAX + RECORD_HEADER_BYTES)
                result = -EBADMSG;
        if (result == 0) {
                uint8_t *bytes = px_arena_alloc(arena, (size_t)status.st_size);
                ssize_t filled = record_fill(fd, bytes, (size_t)status.st_size);

                result = filled < 0 ? (int)filled
                                    : record_check(bytes, (size_t)filled, kind, ret_body);
        }
        close(fd);
        return result;
}
