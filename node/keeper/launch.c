/* SPDX-License-Identifier: Apache-2.0 */
/* launch.c - the link's end of a keeper. Layer: L4 (node/keeper). */
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CTL_FD 3

static int spawn_on(const char *program, int far_fd, pid_t *ret_pid)
{
        static char *const nothing[] = {NULL};
        char *const argv[] = {(char *)(uintptr_t)"plexus-keeper", NULL};
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t how;
        sigset_t none;
        int error;

        sigemptyset(&none);
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, far_fd, CTL_FD);
        posix_spawnattr_init(&how);
        posix_spawnattr_setsigmask(&how, &none);
        posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
        error = posix_spawn(ret_pid, program, &actions, &how, argv, nothing);
        posix_spawnattr_destroy(&how);
        posix_spawn_file_actions_destroy(&actions);
        return -error;
}

int keeper_spawn(const char *program, pid_t *ret_pid, int *ret_ctl_fd)
{
        int ends[2];
        int far_fd;
        int fault;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
                return -errno;
        /* dup2 onto itself would leave close-on-exec set: keep the far end off its target. */
        far_fd = fcntl(ends[1], F_DUPFD_CLOEXEC, CTL_FD + 1);
        close(ends[1]);
        fault = far_fd < 0 ? -errno : spawn_on(program, far_fd, ret_pid);
        if (far_fd >= 0)
                close(far_fd);
        if (fault != 0) {
                close(ends[0]);
                return fault;
        }
        *ret_ctl_fd = ends[0];
        return 0;
}

int keeper_hand_over(int ctl_fd, const struct keeper_start *start, int dir_fd, int lock_fd)
{
        struct ctl_message message = {
                .kind = CTL_START, .fds = {dir_fd, lock_fd}, .fds_count = 2};
        struct px_buf encoded = {0};
        int fault = -E2BIG;

        keeper_start_encode(start, &encoded);
        message.payload = px_buf_slice(&encoded);
        if (encoded.length <= CTL_PAYLOAD_BYTES_MAX)
                fault = ctl_send(ctl_fd, &message);
        px_buf_fini(&encoded);
        return fault;
}

int keeper_connect(int dir_fd, int *ret_ctl_fd)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                return -errno;
        /* However long the way to it: the name the kernel looks up is short. */
        snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/ctl", dir_fd);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
                int error = errno;

                close(fd);
                return -error;
        }
        *ret_ctl_fd = fd;
        return 0;
}
