/* SPDX-License-Identifier: Apache-2.0 */
/* wraps.c - see wraps.h. */
#include "wraps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trace.h"

static struct {
        _Atomic uint64_t writes;
        uint64_t writes_nth;
        int writes_error;
        bool writes_for_ever;
        _Atomic uint64_t reads;
        uint64_t reads_nth;
        int reads_error;
        bool reads_for_ever;
        _Atomic uint64_t allocations;
        uint64_t allocations_nth;
} plan;

void wraps_fail_writes(uint64_t nth, int error, bool for_ever)
{
        plan.writes_nth = nth;
        plan.writes_error = error;
        plan.writes_for_ever = for_ever;
        atomic_store(&plan.writes, 0);
}

uint64_t wraps_writes(void)
{
        return atomic_load(&plan.writes);
}

void wraps_fail_reads(uint64_t nth, int error, bool for_ever)
{
        plan.reads_nth = nth;
        plan.reads_error = error;
        plan.reads_for_ever = for_ever;
        atomic_store(&plan.reads, 0);
}

uint64_t wraps_reads(void)
{
        return atomic_load(&plan.reads);
}

void wraps_fail_memory(uint64_t nth)
{
        plan.allocations_nth = nth;
        atomic_store(&plan.allocations, 0);
}

uint64_t wraps_allocations(void)
{
        return atomic_load(&plan.allocations);
}

/* Count a call; true when it shall fail, errno set. */
static bool write_fails(void)
{
        uint64_t call = atomic_fetch_add(&plan.writes, 1) + 1;

        if (plan.writes_error == 0 ||
            (call != plan.writes_nth && !(plan.writes_for_ever && call > plan.writes_nth)))
                return false;
        errno = plan.writes_error;
        return true;
}

static bool read_fails(void)
{
        uint64_t call = atomic_fetch_add(&plan.reads, 1) + 1;

        if (plan.reads_error == 0 ||
            (call != plan.reads_nth && !(plan.reads_for_ever && call > plan.reads_nth)))
                return false;
        errno = plan.reads_error;
        return true;
}

/* ---- files -------------------------------------------------------------------------------------------- */

#define WRAP(result, name, ...)                                                                  \
        result __real_##name(__VA_ARGS__);                                                       \
        result __wrap_##name(__VA_ARGS__);                                                       \
        result __wrap_##name(__VA_ARGS__)

int __real_openat64(int dir_fd, const char *path, int flags, ...);

static int wrapped_open(int dir_fd, const char *path, int flags, mode_t mode)
{
        bool existed = faccessat(dir_fd, path, F_OK, 0) == 0;
        int fd;

        if (((flags & O_CREAT && !existed) || flags & O_TRUNC) && write_fails())
                return -1;
        fd = __real_openat64(dir_fd, path, flags, mode);
        if (fd >= 0)
                trace_opened(fd, dir_fd, path, flags, existed);
        return fd;
}

#define WRAP_OPEN(name, dir_fd, ...)                                                             \
        int __wrap_##name(__VA_ARGS__, ...);                                                     \
        int __wrap_##name(__VA_ARGS__, ...)                                                      \
        {                                                                                        \
                va_list rest;                                                                    \
                mode_t mode;                                                                     \
                                                                                                 \
                va_start(rest, flags);                                                           \
                mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;                               \
                va_end(rest);                                                                    \
                return wrapped_open(dir_fd, path, flags, mode);                                  \
        }

WRAP_OPEN(open, AT_FDCWD, const char *path, int flags)
WRAP_OPEN(open64, AT_FDCWD, const char *path, int flags)
WRAP_OPEN(openat, dir_fd, int dir_fd, const char *path, int flags)
WRAP_OPEN(openat64, dir_fd, int dir_fd, const char *path, int flags)

WRAP(int, close, int fd)
{
        trace_closed(fd);
        return __real_close(fd);
}

static ssize_t told(int fd, ssize_t result)
{
        if (result >= 0)
                trace_written(fd);
        return result;
}

WRAP(ssize_t, pwrite64, int fd, const void *data, size_t length, off_t offset)
{
        struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = length};

        if (write_fails())
                return -1;
        trace_write(fd, &part, 1, offset);
        return told(fd, __real_pwrite64(fd, data, length, offset));
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t length, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *data, size_t length, off_t offset)
{
        return __wrap_pwrite64(fd, data, length, offset);
}

WRAP(ssize_t, pread64, int fd, void *data, size_t length, off_t offset)
{
        return read_fails() ? -1 : __real_pread64(fd, data, length, offset);
}

ssize_t __wrap_pread(int fd, void *data, size_t length, off_t offset);
ssize_t __wrap_pread(int fd, void *data, size_t length, off_t offset)
{
        return __wrap_pread64(fd, data, length, offset);
}

WRAP(ssize_t, writev, int fd, const struct iovec *parts, int count)
{
        if (write_fails())
                return -1;
        trace_write(fd, parts, count, lseek(fd, 0, SEEK_CUR));
        return told(fd, __real_writev(fd, parts, count));
}

WRAP(ssize_t, write, int fd, const void *data, size_t length)
{
        struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = length};
        struct stat status;

        if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
                return __real_write(fd, data, length);
        if (write_fails())
                return -1;
        trace_write(fd, &part, 1, lseek(fd, 0, SEEK_CUR));
        return told(fd, __real_write(fd, data, length));
}

WRAP(int, fdatasync, int fd)
{
        int result;

        if (write_fails())
                return -1;
        result = __real_fdatasync(fd);
        if (result == 0)
                trace_sync(fd);
        return result;
}

WRAP(int, fsync, int fd)
{
        int result;

        if (write_fails())
                return -1;
        result = __real_fsync(fd);
        if (result == 0)
                trace_sync(fd);
        return result;
}

WRAP(int, ftruncate64, int fd, off_t bytes)
{
        if (write_fails())
                return -1;
        trace_resize(fd, bytes, false);
        return __real_ftruncate64(fd, bytes);
}

int __wrap_ftruncate(int fd, off_t bytes);
int __wrap_ftruncate(int fd, off_t bytes)
{
        return __wrap_ftruncate64(fd, bytes);
}

WRAP(int, posix_fallocate64, int fd, off_t offset, off_t bytes)
{
        if (write_fails())
                return errno;
        trace_resize(fd, offset + bytes, true);
        return __real_posix_fallocate64(fd, offset, bytes);
}

/* ---- names -------------------------------------------------------------------------------------------------- */

WRAP(int, mkdirat, int dir_fd, const char *path, mode_t mode)
{
        int result;

        if (write_fails())
                return -1;
        result = __real_mkdirat(dir_fd, path, mode);
        if (result == 0)
                trace_make_dir(dir_fd, path);
        return result;
}

WRAP(int, renameat, int from_fd, const char *from, int to_fd, const char *to)
{
        int result;

        PX_ASSERT(from_fd == to_fd || !trace_is_on()); /* the store's are; the spool's not always */
        if (write_fails())
                return -1;
        result = __real_renameat(from_fd, from, to_fd, to);
        if (result == 0 && from_fd == to_fd)
                trace_rename(from_fd, from, to);
        return result;
}

WRAP(int, unlinkat, int dir_fd, const char *path, int flags)
{
        int result;

        if (write_fails())
                return -1;
        result = __real_unlinkat(dir_fd, path, flags);
        if (result == 0)
                trace_unlink(dir_fd, path);
        return result;
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static bool memory_fails(void)
{
        if (atomic_fetch_add(&plan.allocations, 1) + 1 != plan.allocations_nth)
                return false;
        errno = ENOMEM;
        return true;
}

WRAP(void *, malloc, size_t bytes)
{
        return memory_fails() ? NULL : __real_malloc(bytes);
}

WRAP(void *, calloc, size_t count, size_t bytes)
{
        return memory_fails() ? NULL : __real_calloc(count, bytes);
}

WRAP(void *, realloc, void *pointer, size_t bytes)
{
        return memory_fails() ? NULL : __real_realloc(pointer, bytes);
}

WRAP(int, posix_memalign, void **ret_pointer, size_t align, size_t bytes)
{
        return memory_fails() ? ENOMEM : __real_posix_memalign(ret_pointer, align, bytes);
}
