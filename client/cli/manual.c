/* SPDX-License-Identifier: Apache-2.0 */
/* manual.c - a program of the build: turns the table of commands into man pages. Layer: L4 (client/cli).
 * usage: manual SCDOC FOLDER     writes FOLDER/plexus.1, FOLDER/plexus-run.1, ... through scdoc
 *        manual [COMMAND]        prints one page in scdoc's language */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"

/* Run scdoc with its output in `path`; its input is the stream returned. */
static FILE *open_scdoc(const char *scdoc, const char *path, pid_t *ret_pid)
{
        FILE *page = fopen(path, "w");
        int ends[2];

        if (page == NULL || pipe(ends) != 0)
                return NULL;
        *ret_pid = fork();
        if (*ret_pid == 0) {
                dup2(ends[0], STDIN_FILENO);
                dup2(fileno(page), STDOUT_FILENO);
                close(ends[0]);
                close(ends[1]);
                execl(scdoc, scdoc, (char *)NULL);
                _exit(127);
        }
        fclose(page);
        close(ends[0]);
        return *ret_pid > 0 ? fdopen(ends[1], "w") : NULL;
}

static int write_page(const char *scdoc, const char *folder, const struct cli_command *command)
{
        const char *name = command != NULL ? command->name : "";
        char path[4096];
        FILE *input;
        pid_t pid;
        int status;
        int length;

        length = snprintf(path, sizeof path, "%s/plexus%s%s.1", folder, *name != '\0' ? "-" : "", name);
        for (int i = (int)strlen(folder); i < length && i < (int)sizeof path - 1; i++)
                if (path[i] == ' ')
                        path[i] = '-';
        input = open_scdoc(scdoc, path, &pid);
        if (input == NULL) {
                fprintf(stderr, "manual: %s: %s\n", path, strerror(errno));
                return CLI_FAULT;
        }
        cli_print_man(input, command);
        fclose(input);
        if (waitpid(pid, &status, 0) != pid || status != 0) {
                fprintf(stderr, "manual: scdoc does not take the page of \"%s\"\n", name);
                return CLI_FAULT;
        }
        return 0;
}

static int write_pages(const char *scdoc, const char *folder)
{
        int code;

        if (mkdir(folder, 0755) != 0 && errno != EEXIST) {
                fprintf(stderr, "manual: %s: %s\n", folder, strerror(errno));
                return CLI_FAULT;
        }
        code = write_page(scdoc, folder, NULL);
        for (size_t i = 0; i < cli_commands_count && code == 0; i++)
                code = write_page(scdoc, folder, &cli_commands[i]);
        return code;
}

int main(int argc, char **argv)
{
        const struct cli_command *command = NULL;

        if (argc == 3)
                return write_pages(argv[1], argv[2]);
        if (argc == 2) {
                command = cli_command_find(argv[1]);
                if (command == NULL) {
                        fprintf(stderr, "manual: there is no command \"%s\"\n", argv[1]);
                        return CLI_USAGE;
                }
        }
        cli_print_man(stdout, command);
        return CLI_DONE;
}
