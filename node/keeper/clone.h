/* SPDX-License-Identifier: Apache-2.0 */
/* clone.h - making the process that becomes a job. Layer: L4 (node/keeper), private to the keeper.
 * Source: clone(2). */
#ifndef CLONE_H
#define CLONE_H

#include "px_base.h"

#include <sys/types.h>

#define CLONE_NO_GROUP (-1)

/* Make a child in the v2 group open as group_fd, let it call run(argument), and go on when it has
 * executed a program or ended. It works in our memory, on a stack of its own: nothing is copied, and
 * what it writes we see. run never returns, allocates nothing and leaves shared state as it was.
 * Where that can't be (another processor, a sanitizer) the child has a copy of our memory: what it
 * has to tell goes through memory mapped as shared.
 * Faults: -errno of clone3(), -EBADF for a group where the kernel knows no clone3(). */
pid_t clone_run(int group_fd, void (*run)(const void *argument), const void *argument);

#endif
