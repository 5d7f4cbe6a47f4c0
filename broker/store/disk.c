/* SPDX-License-Identifier: Apache-2.0 */
/* disk.c - see disk.h. Layer: L3 (broker/store). */
#include "disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NUMBER_DIGITS 20

int disk_sync_dir(int dir_fd)
{
        return fsync(dir_fd) == 0 ? 0 : -errno;
}

/* Connections may use up the descriptors for a while; silent ones are closed after a second. */
#define OPEN_PATIENCE_MS 10000
#define OPEN_RETRY_MS 20

int disk_openat(int dir_fd, const char *name, int flags, mode_t mode)
{
        int64_t until_ms = disk_now_ms() + OPEN_PATIENCE_MS;

        for (;;) {
                int fd = openat(dir_fd, name, flags | O_CLOEXEC, mode);

                if (fd >= 0)
                        return fd;
                if ((errno != EMFILE && errno != ENFILE) || disk_now_ms() >= until_ms)
                        return -errno;
                nanosleep(&(struct timespec){.tv_nsec = OPEN_RETRY_MS * 1000000}, NULL);
        }
}

int disk_open_dir(int parent_fd, const char *name, int *ret_fd)
{
        int fd, result;

        if (mkdirat(parent_fd, name, 0700) == 0) {
                result = disk_sync_dir(parent_fd);
                if (result < 0)
                        return result;
        } else if (errno != EEXIST) {
                return -errno;
        }
        fd = disk_openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
        if (fd < 0)
                return fd;
        *ret_fd = fd;
        return 0;
}

int disk_open_file(int dir_fd, const char *name, int flags, int *ret_fd)
{
        int fd = disk_openat(dir_fd, name, O_RDWR | O_NOFOLLOW | flags, 0600);

        if (fd < 0)
                return fd;
        *ret_fd = fd;
        return 0;
}

int disk_write_at(int fd, const void *data, size_t length, uint64_t offset)
{
        const uint8_t *at = data;

        while (length > 0) {
                ssize_t done = pwrite(fd, at, length, (off_t)offset);

                if (done < 0 && errno == EINTR)
                        continue;
                if (done < 0)
                        return -errno;
                if (done == 0)
                        return -EIO;
                at += done;
                offset += (uint64_t)done;
                length -= (size_t)done;
        }
        return 0;
}

int disk_read_at(int fd, void *data, size_t room, uint64_t offset, size_t *ret_length)
{
        uint8_t *at = data;
        size_t length = 0;

        while (length < room) {
                ssize_t done = pread(fd, at + length, room - length, (off_t)(offset + length));

                if (done < 0 && errno == EINTR)
                        continue;
                if (done < 0)
                        return -errno;
                if (done == 0)
                        break;
                length += (size_t)done;
        }
        *ret_length = length;
        return 0;
}

int disk_flush(int fd)
{
        return fdatasync(fd) == 0 ? 0 : -errno;
}

int disk_size(int fd, uint64_t *ret_bytes)
{
        struct stat status;

        if (fstat(fd, &status) != 0)
                return -errno;
        *ret_bytes = (uint64_t)status.st_size;
        return 0;
}

int disk_read_file(int dir_fd, const char *name, struct px_buf *ret_bytes)
{
        int fd = disk_openat(dir_fd, name, O_RDONLY | O_NOFOLLOW, 0);
        size_t length = 0;
        uint64_t bytes = 0;
        int result;

        if (fd < 0)
                return -errno;
        result = disk_size(fd, &bytes);
        if (result == 0) {
                px_buf_reserve(ret_bytes, bytes);
                result = disk_read_at(fd, ret_bytes->data + ret_bytes->length, bytes, 0, &length);
        }
        if (result == 0)
                ret_bytes->length += length;
        close(fd);
        return result;
}

static int disk_write_file(int dir_fd, const char *name, struct px_slice bytes)
{
        int fd = -1;
        int result = disk_open_file(dir_fd, name, O_CREAT | O_TRUNC, &fd);

        if (result < 0)
                return result;
        result = disk_write_at(fd, bytes.data, bytes.length, 0);
        if (result == 0 && fsync(fd) != 0)
                result = -errno;
        close(fd);
        return result;
}

int disk_replace_file(int dir_fd, const char *name, struct px_slice bytes)
{
        char temporary[DISK_NAME_BYTES];
        int result;

        PX_ASSERT(strlen(name) + sizeof(".new") <= sizeof(temporary));
        snprintf(temporary, sizeof(temporary), "%s.new", name);
        result = disk_write_file(dir_fd, temporary, bytes);
        if (result < 0)
                return result;
        if (renameat(dir_fd, temporary, dir_fd, name) != 0)
                return -errno;
        return disk_sync_dir(dir_fd);
}

int disk_remove(int dir_fd, const char *name)
{
        if (unlinkat(dir_fd, name, 0) != 0 && errno != ENOENT)
                return -errno;
        return 0;
}

static bool name_is_numbered(const char *name, const char *suffix, uint64_t *ret_number)
{
        for (size_t i = 0; i < NUMBER_DIGITS; i++)
                if (name[i] < '0' || name[i] > '9')
                        return false;
        if (strcmp(name + NUMBER_DIGITS, suffix) != 0)
                return false;
        errno = 0;
        *ret_number = strtoull(name, NULL, 10);
        return errno == 0;
}

static int number_order(const void *a, const void *b)
{
        uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

        return left < right ? -1 : left > right;
}

static int list_read(DIR *dir, const char *suffix, size_t files_max, struct px_buf *numbers)
{
        const struct dirent *entry;
        uint64_t number;

        errno = 0;
        while ((entry = readdir(dir)) != NULL) {
                if (name_is_numbered(entry->d_name, suffix, &number)) {
                        if (numbers->length / sizeof(number) == files_max)
                                return -EFBIG;
                        px_buf_append(numbers, &number, sizeof(number));
                }
                errno = 0;
        }
        return -errno;
}

int disk_list_numbered(int dir_fd, const char *suffix, size_t files_max, uint64_t **ret_numbers,
                       size_t *ret_count)
{
        struct px_buf numbers = {0};
        int fd = disk_openat(dir_fd, ".", O_RDONLY | O_DIRECTORY, 0);
        DIR *dir;
        int result;

        if (fd < 0)
                return fd;
        dir = fdopendir(fd);
        if (dir == NULL) {
                result = -errno;
                close(fd);
                return result;
        }
        result = list_read(dir, suffix, files_max, &numbers);
        closedir(dir);
        if (result < 0) {
                px_buf_fini(&numbers);
                return result;
        }
        *ret_count = numbers.length / sizeof(uint64_t);
        if (*ret_count > 1)
                qsort(numbers.data, *ret_count, sizeof(uint64_t), number_order);
        *ret_numbers = (uint64_t *)(void *)px_buf_take(&numbers).data;
        return 0;
}

const char *disk_numbered_name(char ret_name[DISK_NAME_BYTES], uint64_t number, const char *suffix)
{
        int length = snprintf(ret_name, DISK_NAME_BYTES, "%020" PRIu64 "%s", number, suffix);

        PX_ASSERT(length > 0 && length < DISK_NAME_BYTES);
        return ret_name;
}

int64_t disk_now_ms(void)
{
        struct timespec now;

        PX_ASSERT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
