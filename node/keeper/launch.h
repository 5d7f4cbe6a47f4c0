/* SPDX-License-Identifier: Apache-2.0 */
/* launch.h - the link's end of a keeper: start the process, hand it an attempt.
 * Layer: L4 (node/keeper). */
#ifndef LAUNCH_H
#define LAUNCH_H

#include "ctl.h"

/* Start a keeper process, in its own session, its standard streams on /dev/null but for errors.
 * Whoever starts it never copies its own memory for that (posix_spawn).
 * Owns: ret_ctl_fd is the caller's; the process is the caller's child. Faults: -errno. */
int keeper_spawn(const char *program, pid_t *ret_pid, int *ret_ctl_fd);

/* Hand over an attempt: its directory and its taken lock. The caller closes its own copies. */
int keeper_hand_over(int ctl_fd, const struct keeper_start *start, int dir_fd, int lock_fd);

/* Connect to the keeper that listens in an attempt's directory. Faults: -ECONNREFUSED or -ENOENT
 * when there is none. */
int keeper_connect(int dir_fd, int *ret_ctl_fd);

#endif
