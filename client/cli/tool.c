/* SPDX-License-Identifier: Apache-2.0 */
/* tool.c - see tool.h. Layer: L4 (client/cli). */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A descriptor that reads `input`, or -1: a pipe holds that much before anybody reads. */
static int open_input(const char *input)
{
        int ends[2];
        bool whole;

        if (input == NULL)
                return open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (pipe2(ends, O_CLOEXEC) != 0)
                return -1;
        whole = write(ends[1], input, strlen(input)) == (ssize_t)strlen(input);
        close(ends[1]);
        if (whole)
                return ends[0];
        close(ends[0]);
        return -1;
}

static int spawn_between(const char *const *words, int read_fd, int write_fd, pid_t *ret_pid)
{
        posix_spawn_file_actions_t actions;
        int error;

        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, read_fd, 0);
        posix_spawn_file_actions_adddup2(&actions, write_fd, 1);
        posix_spawn_file_actions_adddup2(&actions, write_fd, 2);
        error = posix_spawnp(ret_pid, words[0], &actions, NULL, (char *const *)(uintptr_t)words, environ);
        posix_spawn_file_actions_destroy(&actions);
        return error;
}

/* Read until the end; what doesn't fit is lost. */
static void take_output(int fd, char *ret_output, size_t room)
{
        size_t length = 0;

        for (;;) {
                char rest[512];
                bool full = length + 1 >= room;
                ssize_t got = read(fd, full ? rest : ret_output + length,
                                   full ? sizeof rest : room - 1 - length);

                if (got == 0 || (got < 0 && errno != EINTR))
                        break;
                if (got > 0 && !full)
                        length += (size_t)got;
        }
        ret_output[length] = '\0';
        if (length > 0 && ret_output[length - 1] == '\n')
                ret_output[length - 1] = '\0';
}

int tool_run(const char *const *words, const char *input, char *ret_output, size_t room)
{
        int status = 0;
        pid_t pid;
        int ends[2];
        int input_fd;
        int error;

        ret_output[0] = '\0';
        if (pipe2(ends, O_CLOEXEC) != 0)
                return 127;
        input_fd = open_input(input);
        error = input_fd < 0 ? errno : spawn_between(words, input_fd, ends[1], &pid);
        close(ends[1]);
        if (input_fd >= 0)
                close(input_fd);
        if (error == 0)
                take_output(ends[0], ret_output, room);
        close(ends[0]);
        if (error != 0) {
                snprintf(ret_output, room, "%s", strerror(error));
                return 127;
        }
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return 127;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool tool_remote_word(const char *text)
{
        static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:,/_-@[]";

        return *text != '\0' && *text != '-' && strspn(text, plain) == strlen(text);
}
