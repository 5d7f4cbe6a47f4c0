/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - plexus, one command for people and scripts. Layer: L4 (client/cli). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

/* A caller may have closed a standard stream; a file of ours must never take its number. */
static void fill_streams(void)
{
        int fd;

        do
                fd = open("/dev/null", O_RDWR);
        while (fd >= 0 && fd <= STDERR_FILENO);
        if (fd >= 0)
                close(fd);
}

/* What could not be written was not done; a reader that has left is no failure. */
static int close_output(const struct cli *cli, int code)
{
        if (fflush(stdout) == 0 && !ferror(stdout))
                return code;
        if (errno == EPIPE)
                return code;
        return cli_fail(cli, CLI_FAULT, "standard output: %s", strerror(errno));
}

int main(int argc, char **argv)
{
        struct cli cli;
        int code;

        fill_streams();
        signal(SIGPIPE, SIG_IGN);
        code = cli_parse(argc, argv, &cli);
        if (cli.command == NULL)
                return code;
        if (code == 0 && cli_has(&cli, "help"))
                cli_print_help(stdout, cli.command);
        else if (code == 0)
                code = cli.command->run(&cli);
        code = close_output(&cli, code);
        cli_fini(&cli);
        return code;
}
