/* SPDX-License-Identifier: Apache-2.0 */
/* background.h - start a supervisor that outlives the command. Layer: L4 (client/cli). */
#ifndef CLI_BACKGROUND_H
#define CLI_BACKGROUND_H

#include "mesh.h"

/* Lock DIR/lock for the supervisor's life. Returns its descriptor; -1 = another supervisor holds it. */
int background_lock(const char *dir);
/* Read what a supervisor says of its start on `fd`. Returns 0 when all is up, else an exit code after
 * saying why not. */
int background_await(const struct cli *cli, int fd);
/* Start a supervisor of `mesh` and wait until all is up; its words go to DIR/up.log.
 * Owns:    takes lock_fd, which the supervisor keeps.
 * Returns 0, or an exit code after saying why. */
int background_start(struct cli *cli, struct mesh *mesh, int lock_fd);

#endif
