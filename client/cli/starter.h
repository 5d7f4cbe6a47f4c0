/* SPDX-License-Identifier: Apache-2.0 */
/* starter.h - start one of our programs in the background and hear that it is ready.
 * Layer: L4 (client/cli). */
#ifndef CLI_STARTER_H
#define CLI_STARTER_H

#include <sys/types.h>

#include "command.h"

#define LAUNCH_READY_FD "3" /* value of --ready-fd in the words */
#define LAUNCH_READY_MS 20000

/* Spawn `program` with the words (up to NULL, the first is its name): standard input empty, output to
 * log_fd, a session of its own, no signal blocked or ignored. Returns 0 or -errno; *ret_ready_fd
 * reads what it writes to --ready-fd; with ret_ready_fd NULL it gets no such descriptor. */
int launch(const char *program, const char *const *words, int log_fd, pid_t *ret_pid, int *ret_ready_fd);
/* Wait for its line; false when it ended or was silent for LAUNCH_READY_MS. Closes fd. */
bool launch_ready(int fd, char *ret_line, size_t room);
/* mkdir -p, every new part with mode 0700. Returns 0 or -errno. */
int make_dirs(const char *path);
/* Replace the path of a folder by its absolute one, for what runs in the background and has no directory
 * of its own to be relative to. One that doesn't fit `room` stays as it is. */
void make_absolute(char *path, size_t room);
/* Open a log for appending, 0600. Returns a descriptor or -errno. */
int open_log(const char *path);

#endif
