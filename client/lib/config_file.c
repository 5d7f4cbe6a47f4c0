/* SPDX-License-Identifier: Apache-2.0 */
/* config_file.c - see lib_config_file.h. Layer: L4 (client/lib). */
#include "lib_config_file.h"

#include "lib_detail.h"
#include "px_schema.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX (1024 * 1024)

bool config_name_valid(struct px_slice name)
{
        if (name.length == 0 || name.length > 64)
                return false;
        for (size_t i = 0; i < name.length; i++) {
                uint8_t c = name.data[i];

                if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      c == '-' || c == '_'))
                        return false;
        }
        return true;
}

static int home(char *ret_path, size_t room)
{
        const char *xdg = secure_getenv("XDG_CONFIG_HOME");
        const char *dir = secure_getenv("HOME");
        struct passwd entry, *found = NULL;
        char memory[4096];

        if (xdg != NULL && xdg[0] == '/')
                return snprintf(ret_path, room, "%s/plexus", xdg);
        if ((dir == NULL || dir[0] != '/') &&
            getpwuid_r(getuid(), &entry, memory, sizeof(memory), &found) == 0 && found != NULL)
                dir = found->pw_dir;
        if (dir == NULL || dir[0] != '/')
                return -1;
        return snprintf(ret_path, room, "%s/.config/plexus", dir);
}

int config_file_path(const char *name, char *ret_path)
{
        char dir[CONFIG_PATH_ROOM];
        int length = home(dir, sizeof(dir));

        if (length < 0)
                return detail_refuse(PX_E_INVALID, "neither XDG_CONFIG_HOME nor HOME names a "
                                                   "directory");
        if (length < (int)sizeof(dir))
                length = snprintf(ret_path, CONFIG_PATH_ROOM, "%s%s%s", dir,
                                  name[0] != '\0' ? "/" : "", name);
        if (length >= CONFIG_PATH_ROOM)
                return detail_refuse(PX_E_INVALID, "the path of the configuration folder has more "
                                                   "than %d bytes", CONFIG_PATH_ROOM - 1);
        return PX_OK;
}

static int read_all(const char *path, int fd, struct px_buf *ret_text)
{
        for (;;) {
                uint8_t piece[4096];
                ssize_t count = read(fd, piece, sizeof(piece));

                if (count < 0 && errno == EINTR)
                        continue;
                if (count < 0)
                        return detail_refuse(PX_E_INVALID, "%s: %s", path, strerror(errno));
                if (count == 0)
                        return PX_OK;
                if (ret_text->length + (size_t)count > FILE_BYTES_MAX)
                        return detail_refuse(PX_E_INVALID, "%s is larger than %d bytes", path,
                                             FILE_BYTES_MAX);
                px_buf_append(ret_text, piece, (size_t)count);
        }
}

int config_file_load(const char *path, struct px_buf *ret_text)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        int code;

        if (fd < 0 && errno == ENOENT)
                return PX_OK;
        if (fd < 0)
                return detail_refuse(PX_E_INVALID, "%s: %s", path, strerror(errno));
        code = read_all(path, fd, ret_text);
        close(fd);
        return code;
}

int config_file_load_secret(const char *path, struct px_buf *ret_text)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        struct stat about;
        int code;

        if (fd < 0)
                return detail_refuse(PX_E_INVALID, "token file %s: %s", path, strerror(errno));
        if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode))
                code = detail_refuse(PX_E_INVALID, "token file %s is no ordinary file", path);
        else if (about.st_uid != geteuid())
                code = detail_refuse(PX_E_INVALID, "token file %s belongs to another user", path);
        else if ((about.st_mode & 077) != 0)
                code = detail_refuse(PX_E_INVALID, "token file %s is open to others (mode %04o); "
                                                   "chmod 600 helps", path, about.st_mode & 07777);
        else
                code = read_all(path, fd, ret_text);
        close(fd);
        return code;
}

static bool write_all(int fd, struct px_slice text)
{
        while (text.length > 0) {
                ssize_t count = write(fd, text.data, text.length);

                if (count < 0 && errno == EINTR)
                        continue;
                if (count < 0)
                        return false;
                text = px_slice_of(text.data + count, text.length - (size_t)count);
        }
        return fsync(fd) == 0;
}

int config_file_store(const char *path, struct px_slice text)
{
        char temporary[CONFIG_PATH_ROOM + 8];
        bool done;
        int fd, fault;

        snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
        fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
        if (fd < 0)
                return detail_refuse(PX_E_INVALID, "%s: %s", temporary, strerror(errno));
        done = write_all(fd, text) && rename(temporary, path) == 0;
        fault = errno;
        close(fd);
        if (done)
                return PX_OK;
        unlink(temporary);
        return detail_refuse(PX_E_INVALID, "%s cannot be written: %s", path, strerror(fault));
}

/* Make `path` and what is missing above it, mode 0700. */
static bool make_path(char *path)
{
        for (char *at = path + 1; *at != '\0'; at++) {
                if (*at != '/')
                        continue;
                *at = '\0';
                if (mkdir(path, 0700) != 0 && errno != EEXIST)
                        return false;
                *at = '/';
        }
        return mkdir(path, 0700) == 0 || errno == EEXIST;
}

int config_file_lock(int *ret_fd)
{
        char path[CONFIG_PATH_ROOM];
        int code = config_file_path("", path);
        int fd;

        if (code != PX_OK)
                return code;
        if (!make_path(path))
                return detail_refuse(PX_E_INVALID, "%s cannot be made: %s", path, strerror(errno));
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || flock(fd, LOCK_EX) != 0) {
                code = detail_refuse(PX_E_INVALID, "%s cannot be locked: %s", path, strerror(errno));
                if (fd >= 0)
                        close(fd);
                return code;
        }
        *ret_fd = fd;
        return PX_OK;
}
