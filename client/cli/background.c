/* SPDX-License-Identifier: Apache-2.0 */
/* background.c - see background.h. Layer: L4 (client/cli). */
#include "background.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "starter.h"

int background_lock(const char *dir)
{
        char path[MESH_PATH_MAX + 8];
        int fd;

        snprintf(path, sizeof path, "%s/lock", dir);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
                close(fd);
                return -1;
        }
        return fd;
}

/* The supervisor as a daemon: session of its own, nothing of the terminal. */
static void become_daemon(struct mesh *mesh, int ready_fd)
{
        char path[MESH_PATH_MAX + 8];
        int log_fd;
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        snprintf(path, sizeof path, "%s/up.log", mesh->dir);
        log_fd = open_log(path);
        setsid();
        dup2(null_fd, STDIN_FILENO);
        dup2(log_fd, STDOUT_FILENO);
        dup2(log_fd, STDERR_FILENO);
        _exit(chdir("/") == 0 ? mesh_supervise(mesh, ready_fd, log_fd) : CLI_FAULT);
}

int background_await(const struct cli *cli, int fd)
{
        char line[MESH_PATH_MAX + 704];
        size_t length = 0;
        ssize_t got;

        while (length + 1 < sizeof line && (got = read(fd, line + length, sizeof line - 1 - length)) != 0) {
                if (got < 0 && errno != EINTR)
                        break;
                length += got > 0 ? (size_t)got : 0;
                if (memchr(line, '\n', length) != NULL)
                        break;
        }
        line[length] = '\0';
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, "READY") == 0)
                return 0;
        return cli_fail(cli, CLI_FAULT, "%s", strncmp(line, "FAILED ", 7) == 0 ? line + 7
                                                                               : "the supervisor ended");
}

int background_start(struct cli *cli, struct mesh *mesh, int lock_fd)
{
        int ends[2];
        pid_t child;
        int code;

        if (pipe2(ends, O_CLOEXEC) != 0)
                return cli_fail(cli, CLI_FAULT, "%s", strerror(errno));
        fflush(NULL);
        child = fork();
        if (child == 0) {
                close(ends[0]);
                become_daemon(mesh, ends[1]);
        }
        close(ends[1]);
        close(lock_fd);
        if (child < 0)
                return cli_fail(cli, CLI_FAULT, "%s", strerror(errno));
        code = background_await(cli, ends[0]);
        close(ends[0]);
        return code;
}
