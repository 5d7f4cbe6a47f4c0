/* SPDX-License-Identifier: Apache-2.0 */
/* service.h - install our programs as services of systemd, where there is one. Layer: L4 (client/cli). */
#ifndef CLI_SERVICE_H
#define CLI_SERVICE_H

#include <stdio.h>
#include <sys/types.h>

#include "command.h"

/* Say whether this call may install a service. *ret_why is why not, in a few words ("no systemd here"). */
bool service_possible(const struct cli *cli, const char **ret_why);
/* Find the account of the broker; make it if need be. Returns 0, or an exit code after saying why not. */
int service_account(const struct cli *cli, uid_t *ret_uid, gid_t *ret_gid);
/* Write the unit that `print` prints, start it now (anew, if it runs) and at every boot. Returns when it
 * says that it is ready: 0, or an exit code after saying why not.
 * Shape:   name without ".service". */
int service_install(const struct cli *cli, const char *name, void (*print)(FILE *out, const void *unit),
                    const void *unit);
/* What the service says of itself (its STATUS=), "" when it says nothing. */
void service_status(const char *name, char *ret_text, size_t room);

#endif
