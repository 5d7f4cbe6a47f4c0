/* SPDX-License-Identifier: Apache-2.0 */
/* starter.c - see starter.h. Layer: L4 (client/cli). */
#include "starter.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
        sigset_t none;
        sigset_t defaults;

        sigemptyset(&none);
        sigemptyset(&defaults);
        sigaddset(&defaults, SIGPIPE);
        posix_spawnattr_setsigmask(attributes, &none);
        posix_spawnattr_setsigdefault(attributes, &defaults);
        return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                                            POSIX_SPAWN_SETSIGDEF);
}

static int spawn(const char *program, const char *const *words, int log_fd, int write_fd, pid_t *ret_pid)
{
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        int error;

        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
        error = set_attributes(&attributes);
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, log_fd, 1);
        posix_spawn_file_actions_adddup2(&actions, log_fd, 2);
        if (write_fd >= 0)
                posix_spawn_file_actions_adddup2(&actions, write_fd, 3);
        if (error == 0)
                error = posix_spawn(ret_pid, program, &actions, &attributes,
                                    (char *const *)(uintptr_t)words, environ);
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
        return -error;
}

int launch(const char *program, const char *const *words, int log_fd, pid_t *ret_pid, int *ret_ready_fd)
{
        int ends[2];
        int result;

        if (ret_ready_fd == NULL)
                return spawn(program, words, log_fd, -1, ret_pid);
        if (pipe2(ends, O_CLOEXEC) != 0)
                return -errno;
        result = spawn(program, words, log_fd, ends[1], ret_pid);
        close(ends[1]);
        if (result == 0)
                *ret_ready_fd = ends[0];
        else
                close(ends[0]);
        return result;
}

bool launch_ready(int fd, char *ret_line, size_t room)
{
        int64_t deadline = now_ms() + LAUNCH_READY_MS;
        size_t length = 0;
        bool ready = false;

        while (!ready && length + 1 < room) {
                struct pollfd item = {.fd = fd, .events = POLLIN};
                int64_t left = deadline - now_ms();
                ssize_t got;

                if (left <= 0 || (poll(&item, 1, (int)left) < 0 && errno != EINTR))
                        break;
                if ((item.revents & (POLLIN | POLLHUP)) == 0)
                        continue;
                got = read(fd, ret_line + length, room - 1 - length);
                if (got <= 0)
                        break;
                length += (size_t)got;
                ready = ret_line[length - 1] == '\n';
        }
        ret_line[ready ? length - 1 : length] = '\0';
        close(fd);
        return ready;
}

int make_dirs(const char *path)
{
        char part[4096];

        if ((size_t)snprintf(part, sizeof part, "%s", path) >= sizeof part)
                return -ENAMETOOLONG;
        for (char *slash = strchr(part + 1, '/');; slash = strchr(slash + 1, '/')) {
                if (slash != NULL)
                        *slash = '\0';
                if (mkdir(part, 0700) != 0 && errno != EEXIST)
                        return -errno;
                if (slash == NULL)
                        return 0;
                *slash = '/';
        }
}

void make_absolute(char *path, size_t room)
{
        char absolute[PATH_MAX];

        if (realpath(path, absolute) != NULL && strlen(absolute) < room)
                memcpy(path, absolute, strlen(absolute) + 1);
}

int open_log(const char *path)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

        return fd < 0 ? -errno : fd;
}
