/* SPDX-License-Identifier: Apache-2.0 */
/* init.c - `plexus init`: a broker for other machines, and you its administrator. Layer: L4 (client/cli).
 * For root, where systemd runs, the broker is a service under an account of its own; otherwise a
 * supervisor of ours in the background keeps it running. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "background.h"
#include "connect.h"
#include "mesh.h"
#include "service.h"
#include "starter.h"
#include "tokens.h"
#include "unit.h"
#include "verbs.h"

#define TOKEN_ROOM 256
#define ENROL_USES 16
#define ENROL_LIFETIME_MS (UINT64_C(24) * 3600 * 1000)
#define PORT_DEFAULT 7539

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

/* As other machines reach us: the address that the default route uses, else our name. No packet is sent. */
static void own_address(char *ret_host, size_t room)
{
        struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(PORT_DEFAULT)};
        struct sockaddr_in ours;
        socklen_t length = sizeof ours;
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        bool found;

        there.sin_addr.s_addr = htonl(0xC0000201); /* 192.0.2.1, of nobody (RFC 5737) */
        found = fd >= 0 && connect(fd, (const struct sockaddr *)&there, sizeof there) == 0 &&
                getsockname(fd, (struct sockaddr *)&ours, &length) == 0 &&
                inet_ntop(AF_INET, &ours.sin_addr, ret_host, (socklen_t)room) != NULL;
        if (fd >= 0)
                close(fd);
        if (!found && gethostname(ret_host, room - 1) != 0)
                snprintf(ret_host, room, "localhost");
}

struct init {
        char dir[MESH_PATH_MAX];
        char host[256]; /* as others reach it */
        const char *listen;
        unsigned port; /* of commands; 0 = any free ones */
        char program[MESH_PATH_MAX];
};

static int take_options(const struct cli *cli, struct init *init)
{
        const char *port = cli_value(cli, "port");
        int64_t number = PORT_DEFAULT;
        int result;

        if (cli_has(cli, "dir"))
                snprintf(init->dir, sizeof init->dir, "%s", cli_value(cli, "dir"));
        else if (!default_dir(init->dir, sizeof init->dir))
                return cli_fail(cli, CLI_USAGE, "no HOME is set; use --dir");
        init->listen = cli_has(cli, "listen") ? cli_value(cli, "listen") : "*";
        if (port != NULL && !cli_parse_number(port, 0, UINT16_MAX - 3, &number))
                return cli_fail(cli, CLI_USAGE, "--port %s is not a port from 1 to %d, nor 0 for free ones", port,
                                UINT16_MAX - 3);
        init->port = (unsigned)number;
        if (strcmp(init->listen, "*") != 0)
                snprintf(init->host, sizeof init->host, "%s", init->listen);
        else
                own_address(init->host, sizeof init->host);
        if (!program_find("plexus-broker", init->program, sizeof init->program))
                return cli_fail(cli, CLI_FAULT, "plexus-broker is not installed beside plexus");
        result = cli_has(cli, "print-unit") ? 0 : make_dirs(init->dir);
        if (result != 0)
                return cli_fail(cli, CLI_FAULT, "%s: %s", init->dir, strerror(-result));
        make_absolute(init->dir, sizeof init->dir);
        return 0;
}

/* ---- as a service ------------------------------------------------------------------------------------------- */

static void print_unit(FILE *out, const void *unit)
{
        unit_print_broker(out, unit);
}

static int start_service(const struct cli *cli, const struct init *init)
{
        struct unit_broker unit = {.program = init->program, .dir = init->dir, .listen = init->listen,
                                   .port = init->port};
        uid_t uid;
        gid_t gid;
        int code;

        if (cli_has(cli, "print-unit")) {
                print_unit(stdout, &unit);
                return 0;
        }
        if (init->port == 0)
                return cli_fail(cli, CLI_USAGE, "a service needs a port that stays; --port 0 goes with --no-service");
        code = service_account(cli, &uid, &gid);
        if (code == 0 && chown(init->dir, uid, gid) != 0)
                code = cli_fail(cli, CLI_FAULT, "%s: %s", init->dir, strerror(errno));
        if (code == 0)
                code = service_install(cli, "plexus-broker", print_unit, &unit);
        if (code == 0)
                printf("started  plexus-broker  %s:%u   a service of the account " UNIT_ACCOUNT
                       ", in %s; log: journalctl -u plexus-broker\n",
                       init->host, init->port, init->dir);
        return code;
}

/* ---- under a supervisor of ours ------------------------------------------------------------------------------- */

static void make_mesh(const struct init *init, struct mesh *mesh)
{
        mesh->kind = MESH_BROKER;
        mesh->nodes_count = 0;
        snprintf(mesh->home, sizeof mesh->home, "%s", init->dir);
        snprintf(mesh->listen, sizeof mesh->listen, "%s", init->listen);
        for (unsigned i = 0; i < 4 && init->port != 0; i++)
                mesh->ports[i] = init->port + i;
        mesh_name_processes(mesh);
}

static int start_supervised(struct cli *cli, struct init *init, const char *why)
{
        struct mesh mesh;
        char up[MESH_PATH_MAX + 4];
        int lock_fd;
        int result;
        int code = 0;

        if ((size_t)snprintf(up, sizeof up, "%s/up", init->dir) >= sizeof mesh.dir)
                return cli_fail(cli, CLI_USAGE, "%s: the path is too long", init->dir);
        result = make_dirs(up);
        if (result != 0)
                return cli_fail(cli, CLI_FAULT, "%s: %s", up, strerror(-result));
        lock_fd = background_lock(up);
        (void)mesh_load(up, &mesh);
        if (lock_fd >= 0) {
                make_mesh(init, &mesh);
                result = mesh_choose_run(&mesh);
                if (result != 0)
                        return cli_fail(cli, CLI_FAULT, "%s: %s", mesh.run, strerror(-result));
                code = background_start(cli, &mesh, lock_fd);
        }
        if (code != 0)
                return code;
        if (mesh_load(up, &mesh) != 0 || mesh.ports[0] == 0)
                return cli_fail(cli, CLI_CONFLICT, "another `plexus init` is at work in %s; try again", init->dir);
        init->port = mesh.ports[0];
        printf("%s  plexus-broker  %s:%u   supervised in the background, not started at boot (%s)\n"
               "state in %s, log %s/up.log; stop it with: plexus down --dir %s\n",
               lock_fd >= 0 ? "started" : "running", init->host, init->port, why, init->dir, up, init->dir);
        return 0;
}

/* ---- its administrator ---------------------------------------------------------------------------------------- */

/* The broker's account, so that root may read what only that one can. */
static uid_t owner_of(const char *dir)
{
        struct stat about;

        return geteuid() == 0 && lstat(dir, &about) == 0 ? about.st_uid : geteuid();
}

/* The administrator's context: by TCP, so that it is what other machines use, too. */
static int make_context(struct cli *cli, const char *dir, const char *host, unsigned port)
{
        char own_name[65] = "";
        const char *name = cli_has(cli, "name") ? cli_value(cli, "name") : own_name;
        char context[65];
        char path[MESH_PATH_MAX + 32];
        char token[TOKEN_ROOM];
        char url[512];
        struct plexus_options options = {.url = url, .token = token, .program = "plexus"};
        int error;
        int code;

        snprintf(path, sizeof path, "%s/keys/admin.token", dir);
        code = connect_read_token_of(cli, path, owner_of(dir), token, sizeof token);
        if (code != 0)
                return code;
        if (gethostname(own_name, sizeof own_name - 1) != 0)
                snprintf(own_name, sizeof own_name, "plexus");
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
        struct init init = {.dir = ""};
        const char *why;
        int code = take_options(cli, &init);

        if (code != 0)
                return code;
        if (cli_has(cli, "print-unit"))
                return start_service(cli, &init);
        code = service_possible(cli, &why) ? start_service(cli, &init) : start_supervised(cli, &init, why);
        if (code == 0)
                code = make_context(cli, init.dir, init.host, init.port);
        return code != 0 ? code : print_join(cli, init.host, init.port);
}
