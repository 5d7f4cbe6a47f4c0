/* SPDX-License-Identifier: Apache-2.0 */
/* init.c - `plexus init`: a broker for other machines, and you its administrator. Layer: L4 (client/cli).
 * The broker makes its own keys; it runs in the background until the machine stops. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connect.h"
#include "starter.h"
#include "tokens.h"
#include "mesh.h"
#include "verbs.h"

#define TOKEN_ROOM 256
#define ENROL_USES 16
#define ENROL_LIFETIME_MS (UINT64_C(24) * 3600 * 1000)

/* Root's broker lives where services do, a user's in the user's state. */
static bool default_dir(char *ret_dir, size_t room)
{
        char up[MESH_PATH_MAX];
        char *slash;

        if (geteuid() == 0)
                return (size_t)snprintf(ret_dir, room, "/var/lib/plexus") < room;
        if (!mesh_default_dir(up, sizeof up))
                return false;
        slash = strrchr(up, '/');
        return (size_t)snprintf(ret_dir, room, "%.*s/broker", (int)(slash - up), up) < room;
}

static int start_broker(const struct cli *cli, const char *dir, char *ret_ready, size_t room)
{
        const char *listen = cli_has(cli, "listen") ? cli_value(cli, "listen") : "*";
        char program[MESH_PATH_MAX];
        char log_path[MESH_PATH_MAX + 16];
        const char *words[16] = {program, "--dir", dir, "--listen", listen, "--ready-fd", LAUNCH_READY_FD};
        size_t count = 7;
        pid_t pid;
        int ready_fd;
        int log_fd;
        int result;

        if (cli_has(cli, "port")) {
                words[count++] = "--port-cmd";
                words[count++] = cli_value(cli, "port");
                words[count++] = "--port-node";
                words[count++] = "0";
                words[count++] = "--port-data";
                words[count++] = "0";
                words[count++] = "--port-events";
                words[count++] = "0";
        }
        if (!program_find("plexus-broker", program, sizeof program))
                return cli_fail(cli, CLI_FAULT, "plexus-broker is not installed beside plexus");
        result = make_dirs(dir);
        if (result != 0)
                return cli_fail(cli, CLI_FAULT, "%s: %s", dir, strerror(-result));
        snprintf(log_path, sizeof log_path, "%s/broker.log", dir);
        log_fd = open_log(log_path);
        if (log_fd < 0)
                return cli_fail(cli, CLI_FAULT, "%s: %s", log_path, strerror(-log_fd));
        result = launch(program, words, log_fd, &pid, &ready_fd);
        close(log_fd);
        if (result != 0)
                return cli_fail(cli, CLI_FAULT, "%s: %s", program, strerror(-result));
        if (!launch_ready(ready_fd, ret_ready, room))
                return cli_fail(cli, CLI_FAULT, "the broker did not start; see %s", log_path);
        return 0;
}

/* The administrator's context: by TCP, so that it is what other machines use, too. */
static int make_context(struct cli *cli, const char *dir, const char *host, unsigned port)
{
        const char *name = cli_has(cli, "name") ? cli_value(cli, "name") : host;
        char context[65];
        char path[MESH_PATH_MAX + 32];
        char token[TOKEN_ROOM];
        char url[512];
        struct plexus_options options = {.url = url, .token = token, .program = "plexus"};
        int error;
        int code;

        snprintf(path, sizeof path, "%s/keys/admin.token", dir);
        code = connect_read_token(cli, path, token, sizeof token);
        if (code != 0)
                return code;
        snprintf(context, sizeof context, "%.*s", (int)strcspn(name, "."), name);
        snprintf(url, sizeof url, "plexus://%s:%u", host, port);
        error = plexus_context_put(context, url, token, true);
        if (error == PLEXUS_OK)
                error = plexus_connect(&options, &cli->px);
        explicit_bzero(token, sizeof token);
        if (error != PLEXUS_OK)
                return cli_refused(cli, error, url);
        printf("you are  admin          context \"%s\"\n", context);
        return 0;
}

static int print_join(struct cli *cli, const char *host, unsigned port)
{
        char token[TOKEN_ROOM];
        char name[65];
        int error;

        token_name_make("nodes", name, sizeof name);
        error = plexus_token_create(cli->px, "enrol", name, "node", ENROL_USES, ENROL_LIFETIME_MS, token,
                                    sizeof token);

        if (error != PLEXUS_OK)
                return cli_refused(cli, error, "token");
        printf("\nJoin nodes with this line (valid 24 h, %d uses; `plexus token ls` / `revoke`):\n"
               "  plexus join %s@%s:%u\n",
               ENROL_USES, token, host, port);
        explicit_bzero(token, sizeof token);
        return CLI_DONE;
}

int verb_init(struct cli *cli)
{
        const char *listen = cli_value(cli, "listen");
        char dir[MESH_PATH_MAX];
        char ready[256];
        char host[256] = "localhost";
        unsigned port;
        int code;

        if (cli_has(cli, "dir"))
                snprintf(dir, sizeof dir, "%s", cli_value(cli, "dir"));
        else if (!default_dir(dir, sizeof dir))
                return cli_fail(cli, CLI_USAGE, "no HOME is set; use --dir");
        if (listen != NULL && strcmp(listen, "*") != 0)
                snprintf(host, sizeof host, "%s", listen);
        else if (gethostname(host, sizeof host - 1) != 0)
                return cli_fail(cli, CLI_FAULT, "host name: %s", strerror(errno));
        code = start_broker(cli, dir, ready, sizeof ready);
        if (code != 0)
                return code;
        if (sscanf(ready, "READY cmd=%u", &port) != 1)
                return cli_fail(cli, CLI_FAULT, "the broker said \"%s\"", ready);
        printf("wrote    keys in %s/keys (0600)\nstarted  plexus-broker  %s:%u   log %s/broker.log\n", dir, host,
               port, dir);
        code = make_context(cli, dir, host, port);
        return code != 0 ? code : print_join(cli, host, port);
}
