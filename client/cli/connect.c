/* SPDX-License-Identifier: Apache-2.0 */
/* connect.c - the connection of one call: --url, --token-file, --context, --timeout.
 * Layer: L4 (client/cli). */
#include "connect.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A secret that others may read is none. */
static int check_token_file(const struct cli *cli, int fd, const char *path, uid_t owner)
{
        struct stat status;

        if (fstat(fd, &status) != 0)
                return cli_fail(cli, CLI_USAGE, "%s: %s", path, strerror(errno));
        if (!S_ISREG(status.st_mode))
                return cli_fail(cli, CLI_USAGE, "%s is not a regular file", path);
        if (status.st_uid != owner)
                return cli_fail(cli, CLI_USAGE, "%s belongs to another account", path);
        if ((status.st_mode & 077) != 0)
                return cli_fail(cli, CLI_USAGE, "%s can be read by others; chmod 600 %s", path, path);
        return 0;
}

int connect_read_token(const struct cli *cli, const char *path, char *ret_token, size_t room)
{
        return connect_read_token_of(cli, path, geteuid(), ret_token, room);
}

int connect_read_token_of(const struct cli *cli, const char *path, uid_t owner, char *ret_token, size_t room)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        ssize_t length;
        int code;

        if (fd < 0)
                return cli_fail(cli, CLI_USAGE, "%s: %s", path,
                                errno == ELOOP ? "is a symbolic link" : strerror(errno));
        code = check_token_file(cli, fd, path, owner);
        length = code == 0 ? read(fd, ret_token, room - 1) : 0;
        close(fd);
        if (code != 0)
                return code;
        ret_token[length > 0 ? length : 0] = '\0';
        ret_token[strcspn(ret_token, " \t\r\n")] = '\0';
        if (ret_token[0] == '\0')
                return cli_fail(cli, CLI_USAGE, "%s is empty", path);
        return 0;
}

int connect_options(const struct cli *cli, char *token, size_t room, struct plexus_options *ret_options)
{
        const char *path = cli_value(cli, "token-file");
        const char *timeout = cli_value(cli, "timeout");
        uint64_t timeout_ms = 0;
        int code = 0;

        *ret_options = (struct plexus_options){.url = cli_value(cli, "url"),
                                               .context = cli_value(cli, "context"),
                                               .program = "plexus"};
        if (timeout != NULL && (!cli_parse_duration(timeout, &timeout_ms) || timeout_ms == 0))
                return cli_fail(cli, CLI_USAGE, "--timeout %s is not a duration (like 5s, 2m)", timeout);
        ret_options->timeout_ms = (int64_t)timeout_ms;
        if (path != NULL) {
                code = connect_read_token(cli, path, token, room);
                ret_options->token = token;
        }
        return code;
}

int cli_connect(struct cli *cli)
{
        struct plexus_options options;
        char token[256];
        int error;
        int code;

        if (cli->px != NULL)
                return 0;
        code = connect_options(cli, token, sizeof token, &options);
        if (code != 0)
                return code;
        error = plexus_connect(&options, &cli->px);
        explicit_bzero(token, sizeof token);
        if (error == PLEXUS_OK)
                return 0;
        code = cli_refused(cli, error, "");
        plexus_close(cli->px);
        cli->px = NULL;
        return code;
}

bool cli_still_waits(int error)
{
        return error == PLEXUS_TIMED_OUT || error == PLEXUS_UNREACHABLE;
}
