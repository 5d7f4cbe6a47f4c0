/* SPDX-License-Identifier: Apache-2.0 */
/* connect.h - how a call reaches its broker. Layer: L4 (client/cli). */
#ifndef CLI_CONNECT_H
#define CLI_CONNECT_H

#include <sys/types.h>

#include "command.h"

/* Read a token from a file that is ours alone. Returns 0, or an exit code after saying why not. */
int connect_read_token(const struct cli *cli, const char *path, char *ret_token, size_t room);
/* The same of a file that `owner` alone can read and write. */
int connect_read_token_of(const struct cli *cli, const char *path, uid_t owner, char *ret_token, size_t room);
/* What the global options say of the connection; token is room for that of --token-file. */
int connect_options(const struct cli *cli, char *token, size_t room, struct plexus_options *ret_options);

#endif
