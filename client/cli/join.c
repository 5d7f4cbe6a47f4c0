/* SPDX-License-Identifier: Apache-2.0 */
/* join.c - `plexus join`: exchange an enrolment token for a key of our own, then run the node, or keep
 * the context when the token is for a person. Layer: L4 (client/cli).
 * For root, where systemd runs, the node is a service; otherwise a supervisor of ours in the background
 * keeps it running. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "background.h"
#include "mesh.h"
#include "service.h"
#include "starter.h"
#include "unit.h"
#include "verbs.h"

#define TOKEN_ROOM 256
#define JOIN_MS 15000

struct join {
        char name[65];
        char dir[MESH_PATH_MAX];
        char url[512];
        char token_path[MESH_PATH_MAX + 16];
        char token[TOKEN_ROOM];
        char program[MESH_PATH_MAX];
};

/* TOKEN@HOST[:PORT], or "-": the same in a line of standard input, which no list of processes shows. */
static int take_address(const struct cli *cli, struct join *join)
{
        const char *word = cli->arguments_count > 0 ? cli->arguments[0] : "";
        char line[1024] = "";
        const char *at;

        if (strcmp(word, "-") == 0) {
                if (fgets(line, sizeof line, stdin) == NULL)
                        return cli_fail(cli, CLI_USAGE, "standard input is empty; it must be TOKEN@HOST[:PORT]");
                line[strcspn(line, " \t\r\n")] = '\0';
                word = line;
        }
        at = strchr(word, '@');
        if (at == NULL || at == word || at[1] == '\0')
                return cli_fail(cli, CLI_USAGE, "that is not TOKEN@HOST[:PORT]; copy the whole line that "
                                                "`plexus init` printed");
        if ((size_t)(at - word) >= sizeof join->token)
                return cli_fail(cli, CLI_USAGE, "the token is too long; it must be one word");
        snprintf(join->token, sizeof join->token, "%.*s", (int)(at - word), word);
        if (strncmp(join->token, "px", 2) != 0 || join->token[2] == '\0' || join->token[3] != '_')
                return cli_fail(cli, CLI_USAGE, "that is no token: it begins with px, a letter and _");
        snprintf(join->url, sizeof join->url, "plexus://%.500s", at + 1);
        explicit_bzero(line, sizeof line);
        return 0;
}

static int take_options(const struct cli *cli, struct join *join)
{
        char up[MESH_PATH_MAX];
        char host[65] = "";

        (void)gethostname(host, sizeof host - 1);
        host[strcspn(host, ".")] = '\0';
        snprintf(join->name, sizeof join->name, "%s", cli_has(cli, "name") ? cli_value(cli, "name") : host);
        if (cli_has(cli, "dir"))
                snprintf(join->dir, sizeof join->dir, "%s", cli_value(cli, "dir"));
        else if (geteuid() == 0)
                snprintf(join->dir, sizeof join->dir, "/var/lib/plexus-node");
        else if (mesh_default_dir(up, sizeof up - 8))
                snprintf(join->dir, sizeof join->dir, "%.*s/node", (int)(strrchr(up, '/') - up), up);
        else
                return cli_fail(cli, CLI_USAGE, "no HOME is set; use --dir");
        if (!program_find("plexus-node", join->program, sizeof join->program))
                return cli_fail(cli, CLI_FAULT, "plexus-node is not installed beside plexus");
        return 0;
}

/* An enrolment token becomes one of our own; any other is used as it is. */
static int enrol(const struct cli *cli, struct join *join)
{
        const char *timeout = cli_value(cli, "timeout");
        uint64_t timeout_ms = JOIN_MS;
        char detail[512] = "";
        char token[TOKEN_ROOM];
        int error;

        if (timeout != NULL && (!cli_parse_duration(timeout, &timeout_ms) || timeout_ms == 0))
                return cli_fail(cli, CLI_USAGE, "--timeout %s is not a duration (like 5s, 2m)", timeout);
        if (join->token[2] != 'e')
                return 0;
        error = plexus_enrol(join->url, join->token, join->name, (int64_t)timeout_ms, token, sizeof token, detail,
                             sizeof detail);
        if (error != PLEXUS_OK)
                return cli_fail(cli, plexus_error_exit(error), "%s: %s", join->url,
                                detail[0] != '\0' ? detail : plexus_error_text(error));
        snprintf(join->token, sizeof join->token, "%s", token);
        explicit_bzero(token, sizeof token);
        return 0;
}

static int write_token(const struct cli *cli, const struct join *join)
{
        char temporary[MESH_PATH_MAX + 24];
        FILE *file = NULL;
        int fd;

        snprintf(temporary, sizeof temporary, "%s.new", join->token_path);
        fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd >= 0)
                file = fdopen(fd, "w");
        if (file == NULL)
                return cli_fail(cli, CLI_FAULT, "%s: %s", temporary, strerror(errno));
        fprintf(file, "%s\n", join->token);
        if (fflush(file) != 0 || fsync(fd) != 0 || fclose(file) != 0 ||
            rename(temporary, join->token_path) != 0)
                return cli_fail(cli, CLI_FAULT, "%s: %s", join->token_path, strerror(errno));
        return 0;
}

/* ---- the node -------------------------------------------------------------------------------------------------- */

static void make_mesh(const struct cli *cli, const struct join *join, struct mesh *mesh)
{
        mesh->kind = MESH_NODE;
        mesh->nodes_count = 1;
        snprintf(mesh->home, sizeof mesh->home, "%s", join->dir);
        snprintf(mesh->url, sizeof mesh->url, "%s", join->url);
        snprintf(mesh->node, sizeof mesh->node, "%s", join->name);
        snprintf(mesh->cpus, sizeof mesh->cpus, "%.15s", cli_has(cli, "cpus") ? cli_value(cli, "cpus") : "");
        mesh_name_processes(mesh);
}

static int run_in_foreground(const struct cli *cli, const struct join *join)
{
        struct mesh mesh = {.kind = MESH_NODE};
        struct mesh_words words;

        make_mesh(cli, join, &mesh);
        mesh_words_make(&mesh, 1, join->program, false, &words);
        execv(join->program, (char *const *)(uintptr_t)words.list);
        return cli_fail(cli, CLI_FAULT, "%s: %s", join->program, strerror(errno));
}

static void print_unit(FILE *out, const void *unit)
{
        unit_print_node(out, unit);
}

/* The service runs; does it reach the broker? */
static int await_service(const struct cli *cli)
{
        const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
        char status[256] = "";

        for (int i = 0; i < JOIN_MS / 100; i++) {
                service_status("plexus-node", status, sizeof status);
                if (strncmp(status, "serves", 6) == 0)
                        return 0;
                (void)nanosleep(&pause, NULL);
        }
        return cli_fail(cli, CLI_UNREACHABLE, "the service runs but did not reach the broker in %d s (%s); it goes "
                                              "on trying; see journalctl -u plexus-node",
                        JOIN_MS / 1000, status);
}

static int start_service(const struct cli *cli, const struct join *join)
{
        struct unit_node unit = {.program = join->program, .dir = join->dir, .name = join->name,
                                 .url = join->url, .cpus = cli_value(cli, "cpus")};
        int code;

        if (cli_has(cli, "print-unit")) {
                print_unit(stdout, &unit);
                return 0;
        }
        code = service_install(cli, "plexus-node", print_unit, &unit);
        if (code == 0)
                code = await_service(cli);
        if (code == 0)
                printf("%s: joined %s; a service, state in %s, log: journalctl -u plexus-node\n", join->name,
                       join->url + strlen("plexus://"), join->dir);
        return code;
}

static int start_supervised(struct cli *cli, const struct join *join, const char *why)
{
        struct mesh mesh;
        char up[MESH_PATH_MAX + 4];
        int lock_fd;
        int result;
        int code;

        if ((size_t)snprintf(up, sizeof up, "%s/up", join->dir) >= MESH_PATH_MAX)
                return cli_fail(cli, CLI_USAGE, "%s: the path is too long", join->dir);
        result = make_dirs(up);
        if (result != 0)
                return cli_fail(cli, CLI_FAULT, "%s: %s", up, strerror(-result));
        lock_fd = background_lock(up);
        if (lock_fd < 0)
                return cli_fail(cli, CLI_CONFLICT, "another `plexus join` is at work in %s; try again", join->dir);
        (void)mesh_load(up, &mesh);
        make_mesh(cli, join, &mesh);
        code = background_start(cli, &mesh, lock_fd);
        if (code != 0)
                return code;
        printf("%s: joined %s; supervised in the background, not started at boot (%s)\n"
               "state in %s, log %s/up.log; stop it with: plexus down --dir %s\n",
               join->name, join->url + strlen("plexus://"), why, join->dir, up, join->dir);
        return CLI_DONE;
}

/* Is a node kept running there? Asked before a key is made. */
static int check_free(const struct cli *cli, const struct join *join)
{
        struct mesh mesh;

        if (mesh_load_any(join->dir, &mesh) != 0 ||
            !mesh_process_alive(mesh.supervisor, mesh.supervisor_start))
                return 0;
        return cli_fail(cli, CLI_CONFLICT, "a node runs in %s already; plexus down --dir %s stops it", join->dir,
                        join->dir);
}

static int make_folder(const struct cli *cli, struct join *join)
{
        int result = make_dirs(join->dir);

        if (result != 0)
                return cli_fail(cli, CLI_FAULT, "%s: %s", join->dir, strerror(-result));
        make_absolute(join->dir, sizeof join->dir);
        snprintf(join->token_path, sizeof join->token_path, "%s/node.token", join->dir);
        return write_token(cli, join);
}

static int start_node(struct cli *cli, struct join *join)
{
        const char *why;
        int code = make_folder(cli, join);

        if (code != 0)
                return code;
        if (cli_has(cli, "foreground"))
                return run_in_foreground(cli, join);
        return service_possible(cli, &why) ? start_service(cli, join) : start_supervised(cli, join, why);
}

/* ---- a person ---------------------------------------------------------------------------------------------------- */

/* A token for a person: this machine's user may use the mesh now. */
static int keep_context(const struct cli *cli, const struct join *join)
{
        char name[65];
        const char *host = join->url + strlen("plexus://");
        int error;

        snprintf(name, sizeof name, "%.*s", (int)strcspn(host, ":.,"), host);
        error = plexus_context_put(name, join->url, join->token, true);
        if (error != PLEXUS_OK)
                return cli_refused(cli, error, name);
        printf("context \"%s\" is yours and the current one\n", name);
        return CLI_DONE;
}

int verb_join(struct cli *cli)
{
        struct join join;
        int code;

        if (cli_has(cli, "ssh"))
                return join_by_ssh(cli);
        memset(&join, 0, sizeof join);
        code = take_address(cli, &join);
        if (code == 0)
                code = take_options(cli, &join);
        if (code == 0 && cli_has(cli, "print-unit"))
                return start_service(cli, &join);
        if (code == 0)
                code = check_free(cli, &join);
        if (code == 0)
                code = enrol(cli, &join);
        if (code == 0)
                code = join.token[2] == 'n' ? start_node(cli, &join) : keep_context(cli, &join);
        explicit_bzero(join.token, sizeof join.token);
        return code;
}
