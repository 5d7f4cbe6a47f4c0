/* SPDX-License-Identifier: Apache-2.0 */
/* join_ssh.c - `plexus join --ssh HOST,...`: machines become nodes of the current mesh, by ssh.
 * Layer: L4 (client/cli). Source: INTERFACES 1a.
 * Each gets an enrolment token that is valid once and for a few minutes; it travels on the standard input
 * of ssh, never on a command line. The token of a machine that did not join is revoked. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connect.h"
#include "output.h"
#include "tokens.h"
#include "tool.h"
#include "verbs.h"

#define TOKEN_ROOM 256
#define URL_ROOM 512
#define HOST_ROOM 256
#define OUTPUT_ROOM 2048
#define ENROL_LIFETIME_MS (UINT64_C(15) * 60 * 1000)
#define SSH_WORDS "ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "ServerAliveInterval=5", "--"

/* "node3  FAILED  tcp: ...   try: ...". Returns code. */
static int fail(int code, const char *host, const char *hop, const char *what, const char *help)
{
        printf("%s  FAILED  %s: %s%s%s\n", host, hop, what, *help != '\0' ? "   try: " : "", help);
        fflush(stdout);
        return code;
}

/* ---- what went wrong --------------------------------------------------------------------------------------- */

/* The broker is out of reach from there: the doctor there says at which hop. */
static int fail_unreachable(const char *host, const char *url, const char *said)
{
        const char *const words[] = {SSH_WORDS, host, "plexus", "doctor", "--reach", "--url", url, NULL};
        char output[OUTPUT_ROOM];
        char help[HOST_ROOM + 32];
        char hop[32] = "broker";
        const char *line;

        snprintf(help, sizeof help, "plexus doctor --from %s", host);
        (void)tool_run(words, NULL, output, sizeof output);
        line = strstr(output, "FAILED  ");
        if (line == NULL || sscanf(line, "FAILED %31s", hop) != 1)
                return fail(CLI_UNREACHABLE, host, "broker", said, help);
        line += strlen("FAILED  ") + strlen(hop);
        line += strspn(line, " ");
        output[(size_t)(line - output) + strcspn(line, "\n")] = '\0';
        return fail(CLI_UNREACHABLE, host, hop, line, help);
}

static int fail_join(const char *host, const char *url, int status, char *output)
{
        char *last = strrchr(output, '\n');
        const char *said = last != NULL ? last + 1 : output;

        if (status == 127)
                return fail(CLI_UNREACHABLE, host, "plexus", "it is not installed there, or ssh is not here",
                            "install it, then again");
        if (status == 255)
                return fail(CLI_UNREACHABLE, host, "ssh", *said != '\0' ? said : "it does not let us in",
                            "ssh to it once by hand: name, key and host key must be good");
        if (status == CLI_UNREACHABLE)
                return fail_unreachable(host, url, said);
        return fail(status, host, "join", said, "");
}

/* ---- one machine --------------------------------------------------------------------------------------------- */

/* The node as the broker knows it; `output` begins with "NAME: joined". */
static void tell_node(struct cli *cli, const char *host, const char *output)
{
        struct plexus_node *nodes;
        size_t count;
        size_t length = strcspn(output, ":");
        char memory[32];

        printf("%s  ", host);
        if (plexus_nodes(cli->px, &nodes, &count) == PLEXUS_OK) {
                for (size_t i = 0; i < count; i++) {
                        const struct plexus_node *node = &nodes[i];

                        if (strlen(node->name) != length || strncmp(node->name, output, length) != 0)
                                continue;
                        printf("%g cpu · %s · ", node->cpus,
                               output_bytes(node->memory_bytes, memory, sizeof memory));
                        if (node->gpus > 0)
                                printf("%u gpu · ", node->gpus);
                        printf("%s · ", node->kill_mode);
                }
                plexus_nodes_free(nodes);
        }
        printf("joined as %.*s\n", (int)length, output);
        fflush(stdout);
}

/* Options that go with to each machine. */
static void add_options(const struct cli *cli, const char **words, size_t count)
{
        static const char *const options[] = {"dir", "cpus", "timeout"};
        static const char *const names[] = {"--dir", "--cpus", "--timeout"};

        for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
                if (!cli_has(cli, options[i]))
                        continue;
                words[count++] = names[i];
                words[count++] = cli_value(cli, options[i]);
        }
        if (cli_has(cli, "no-service"))
                words[count++] = "--no-service";
        words[count++] = "-";
        words[count] = NULL;
}

static int join_host(struct cli *cli, const char *host, const char *url)
{
        const char *words[24] = {SSH_WORDS, host, "plexus", "join"};
        char token[TOKEN_ROOM];
        char line[TOKEN_ROOM + URL_ROOM];
        char output[OUTPUT_ROOM];
        char name[65];
        int status;
        int error;

        token_name_make("ssh", name, sizeof name);
        error = plexus_token_create(cli->px, "enrol", name, "node", 1, ENROL_LIFETIME_MS, token, sizeof token);
        if (error != PLEXUS_OK)
                return cli_refused(cli, error, host);
        snprintf(line, sizeof line, "%s@%s\n", token, url + strlen("plexus://"));
        add_options(cli, words, 11);
        if (!cli->quiet && isatty(STDERR_FILENO))
                fprintf(stderr, "%s  joining ...\r", host);
        status = tool_run(words, line, output, sizeof output);
        explicit_bzero(token, sizeof token);
        explicit_bzero(line, sizeof line);
        if (!cli->quiet && isatty(STDERR_FILENO))
                fputs("\033[K", stderr);
        if (status == 0) {
                tell_node(cli, host, output);
                return CLI_DONE;
        }
        (void)plexus_token_revoke(cli->px, name);
        return fail_join(host, url, status, output);
}

/* ---- the verb -------------------------------------------------------------------------------------------------- */

static int check_words(const struct cli *cli)
{
        static const char *const alone[] = {"name", "foreground", "print-unit"};
        static const char *const sent[] = {"ssh", "dir", "cpus"};

        if (cli->arguments_count > 0)
                return cli_fail(cli, CLI_USAGE, "--ssh makes the tokens itself; leave out TOKEN@HOST");
        for (size_t i = 0; i < sizeof alone / sizeof alone[0]; i++)
                if (cli_has(cli, alone[i]))
                        return cli_fail(cli, CLI_USAGE, "--%s does not go with --ssh", alone[i]);
        for (size_t i = 0; i < sizeof sent / sizeof sent[0]; i++)
                if (cli_has(cli, sent[i]) && !tool_remote_word(cli_value(cli, sent[i])))
                        return cli_fail(cli, CLI_USAGE, "--%s \"%s\": not for the shell of another machine", sent[i],
                                        cli_value(cli, sent[i]));
        return 0;
}

/* Where the machines find the broker: the URL of the context that counts. */
static int find_url(const struct cli *cli, char *ret_url)
{
        struct plexus_options options;
        char token[TOKEN_ROOM];
        int code = connect_options(cli, token, sizeof token, &options);
        int error;

        if (code != 0)
                return code;
        error = plexus_context_find(&options, ret_url, URL_ROOM);
        explicit_bzero(token, sizeof token);
        if (error != PLEXUS_OK)
                return cli_refused(cli, error, "");
        if (strncmp(ret_url, "plexus://", strlen("plexus://")) != 0)
                return cli_fail(cli, CLI_USAGE, "%s: other machines cannot reach a mesh without TCP; plexus init "
                                                "makes one that they can", ret_url);
        return tool_remote_word(ret_url) ? 0 : cli_fail(cli, CLI_USAGE, "%s: no URL for another machine", ret_url);
}

int join_by_ssh(struct cli *cli)
{
        const char *hosts = cli_value(cli, "ssh");
        char url[URL_ROOM];
        char host[HOST_ROOM];
        int worst = CLI_DONE;
        int code = check_words(cli);

        if (code == 0)
                code = find_url(cli, url);
        if (code == 0)
                code = cli_connect(cli);
        while (code == 0 && *hosts != '\0') {
                size_t length = strcspn(hosts, ",");
                int result = CLI_DONE;

                if (length >= sizeof host)
                        return cli_fail(cli, CLI_USAGE, "--ssh: a name of more than %zu bytes", sizeof host - 1);
                snprintf(host, sizeof host, "%.*s", (int)length, hosts);
                if (!tool_remote_word(host) && length > 0)
                        result = fail(CLI_USAGE, host, "name", "it is no name for ssh", "");
                else if (length > 0)
                        result = join_host(cli, host, url);
                worst = result != CLI_DONE ? result : worst;
                hosts += length + (hosts[length] == ',');
        }
        return code != 0 ? code : worst;
}
