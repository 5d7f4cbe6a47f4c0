/* SPDX-License-Identifier: Apache-2.0 */
/* private.c - private directories and files: owner, mode and kind are checked, links never
 * followed. Layer: L4 (broker/shell). */
#include "private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int say(char *ret_text, int fault, const char *path, const char *words)
{
        PX_ASSERT(fault < 0);
        snprintf(ret_text, PRIVATE_TEXT_ROOM, "%s: %s", path, words);
        return fault;
}

static int say_errno(char *ret_text, const char *path, const char *deed)
{
        int fault = -errno;

        snprintf(ret_text, PRIVATE_TEXT_ROOM, "%s: %s: %s", path, deed, strerror(-fault));
        return fault;
}

int private_directory(const char *path, char *ret_text)
{
        struct stat about;
        int fault = 0;
        int fd;

        if (mkdir(path, 0700) != 0 && errno != EEXIST)
                return say_errno(ret_text, path, "cannot be made");
        fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return say_errno(ret_text, path, "cannot be opened as a directory");
        if (fstat(fd, &about) != 0)
                fault = say_errno(ret_text, path, "cannot be examined");
        else if (about.st_uid != geteuid())
                fault = say(ret_text, -EPERM, path, "belongs to another account");
        else if ((about.st_mode & 0777) != 0700)
                fault = say(ret_text, -EPERM, path,
                            "is open to other accounts or closed to us; chmod 700 helps");
        close(fd);
        return fault;
}

static int check_secret(int fd, const char *path, size_t bytes_max, char *ret_text)
{
        struct stat about;

        if (fstat(fd, &about) != 0)
                return say_errno(ret_text, path, "cannot be examined");
        if (!S_ISREG(about.st_mode))
                return say(ret_text, -EPERM, path, "is not a regular file");
        if (about.st_uid != geteuid())
                return say(ret_text, -EPERM, path, "belongs to another account");
        if ((about.st_mode & 0177) != 0)
                return say(ret_text, -EPERM, path, "is open to others; chmod 600 helps");
        if (about.st_size < 1 || (size_t)about.st_size > bytes_max)
                return say(ret_text, -EINVAL, path, "has a wrong size for a secret");
        return 0;
}

int private_read(const char *path, size_t bytes_max, struct px_buf *ret_bytes, char *ret_text)
{
        size_t before = ret_bytes->length;
        ssize_t got;
        int fault;
        int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

        if (fd < 0 && errno == ENOENT)
                return -ENOENT;
        if (fd < 0)
                return say_errno(ret_text, path, "cannot be opened");
        fault = check_secret(fd, path, bytes_max, ret_text);
        while (fault == 0) {
                px_buf_reserve(ret_bytes, bytes_max + 1);
                got = read(fd, ret_bytes->data + ret_bytes->length, bytes_max + 1);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        fault = say_errno(ret_text, path, "cannot be read");
                if (got <= 0)
                        break;
                ret_bytes->length += (size_t)got;
                if (ret_bytes->length - before > bytes_max)
                        fault = say(ret_text, -EINVAL, path, "grew while it was read");
        }
        if (fault != 0)
                ret_bytes->length = before;
        close(fd);
        return fault;
}

static int write_all(int fd, struct px_slice bytes)
{
        size_t done = 0;

        while (done < bytes.length) {
                ssize_t put = write(fd, bytes.data + done, bytes.length - done);
                if (put < 0 && errno == EINTR)
                        continue;
                if (put < 0)
                        return -errno;
                done += (size_t)put;
        }
        return fsync(fd) == 0 ? 0 : -errno;
}

/* Flush the directory that holds `path`, so that the rename lasts. */
static int flush_parent(const char *path)
{
        char parent[PATH_MAX];
        char *slash;
        int fault;
        int fd;

        snprintf(parent, sizeof(parent), "%s", path);
        slash = strrchr(parent, '/');
        if (slash == NULL)
                snprintf(parent, sizeof(parent), ".");
        else
                *slash = '\0';
        fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        fault = fsync(fd) == 0 ? 0 : -errno;
        close(fd);
        return fault;
}

int private_write(const char *path, struct px_slice bytes, char *ret_text)
{
        char beside[PATH_MAX];
        int fault;
        int fd;

        if (snprintf(beside, sizeof(beside), "%s.new", path) >= (int)sizeof(beside))
                return say(ret_text, -ENAMETOOLONG, path, "is too long a path");
        if (unlink(beside) != 0 && errno != ENOENT)
                return say_errno(ret_text, beside, "cannot be replaced");
        fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return say_errno(ret_text, beside, "cannot be made");
        fault = write_all(fd, bytes);
        close(fd);
        if (fault == 0 && rename(beside, path) != 0)
                fault = -errno;
        if (fault == 0)
                fault = flush_parent(path);
        if (fault == 0)
                return 0;
        unlink(beside);
        errno = -fault;
        return say_errno(ret_text, path, "cannot be written");
}
