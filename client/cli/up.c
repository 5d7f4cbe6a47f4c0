/* SPDX-License-Identifier: Apache-2.0 */
/* up.c - `plexus up` and `plexus down`. Layer: L4 (client/cli). Source: INTERFACES 3, trying it out. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "background.h"
#include "mesh.h"
#include "output.h"
#include "remove_tree.h"
#include "starter.h"
#include "verbs.h"

#define DOWN_MS 30000
#define DOWN_ASK_MS 10000

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- directories ---------------------------------------------------------------------------------------------- */

/* The directory of this call: --dir, a new one for --temp, or the default. Made if need be. */
static int choose_dir(const struct cli *cli, bool make, char *ret_dir, size_t room)
{
        const char *given = cli_value(cli, "dir");
        char absolute[PATH_MAX];
        int result = 0;

        if (given != NULL && cli_has(cli, "temp"))
                return cli_fail(cli, CLI_USAGE, "--dir and --temp exclude each other");
        if (given == NULL && cli_has(cli, "temp")) {
                snprintf(ret_dir, room, "/tmp/plexus-up-XXXXXX");
                if (mkdtemp(ret_dir) == NULL)
                        return cli_fail(cli, CLI_FAULT, "%s: %s", ret_dir, strerror(errno));
                return 0;
        }
        if (given == NULL && !mesh_default_dir(ret_dir, room))
                return cli_fail(cli, CLI_USAGE, "no HOME is set; use --dir");
        if (given != NULL)
                snprintf(ret_dir, room, "%s", given);
        if (make)
                result = make_dirs(ret_dir);
        if (result != 0)
                return cli_fail(cli, CLI_FAULT, "%s: %s", ret_dir, strerror(-result));
        if (realpath(ret_dir, absolute) == NULL || strlen(absolute) >= room)
                return make ? cli_fail(cli, CLI_USAGE, "%s: not a usable path", ret_dir) : 0;
        snprintf(ret_dir, room, "%s", absolute);
        return 0;
}

/* ---- up ----------------------------------------------------------------------------------------------------------- */

static int cpus_of_machine(void)
{
        cpu_set_t set;

        return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

static int take_options(const struct cli *cli, struct mesh *mesh)
{
        const char *nodes = cli_value(cli, "nodes");
        const char *cpus = cli_value(cli, "cpus");
        const char *lease = cli_value(cli, "lease");
        const char *name = cli_value(cli, "name");
        int64_t count = mesh->nodes_count > 0 ? (int64_t)mesh->nodes_count : 1;
        double each;
        uint64_t lease_ms;

        if (nodes != NULL && !cli_parse_number(nodes, 1, MESH_NODES_MAX, &count))
                return cli_fail(cli, CLI_USAGE, "--nodes %s is not a number from 1 to %d", nodes,
                                MESH_NODES_MAX);
        each = (double)cpus_of_machine() / (double)count;
        if (each < 1)
                each = 1;
        if (nodes == NULL && mesh->cpus[0] != '\0')
                (void)cli_parse_cpus(mesh->cpus, &each);
        if (cpus != NULL && (!cli_parse_cpus(cpus, &each) || each <= 0))
                return cli_fail(cli, CLI_USAGE, "--cpus %s is not a number of cpus", cpus);
        if (lease != NULL && (!cli_parse_duration(lease, &lease_ms) || lease_ms < 1000))
                return cli_fail(cli, CLI_USAGE, "--lease %s is not a duration of at least 1s", lease);
        mesh->nodes_count = (size_t)count;
        snprintf(mesh->cpus, sizeof mesh->cpus, "%g", each);
        if (lease != NULL)
                snprintf(mesh->lease_ms, sizeof mesh->lease_ms, "%" PRIu64, lease_ms);
        if (cli_has(cli, "listen"))
                snprintf(mesh->listen, sizeof mesh->listen, "%s", cli_value(cli, "listen"));
        mesh->temp |= cli_has(cli, "temp");
        if (name != NULL)
                snprintf(mesh->context, sizeof mesh->context, "%s", name);
        else if (mesh->context[0] == '\0')
                snprintf(mesh->context, sizeof mesh->context, "%s",
                         mesh->temp ? strrchr(mesh->dir, '/') + 1 : "local");
        return 0;
}

/* The current context's name, to be restored when a temporary mesh goes. */
static void note_previous(struct mesh *mesh)
{
        struct plexus_context *contexts;
        size_t count;

        if (!mesh->temp || plexus_context_list(&contexts, &count) != PLEXUS_OK)
                return;
        for (size_t i = 0; i < count; i++)
                if (contexts[i].current)
                        snprintf(mesh->previous, sizeof mesh->previous, "%.63s", contexts[i].name);
        plexus_contexts_free(contexts);
}

/* Nothing of a temporary mesh stays. */
static void remove_temporary(const struct mesh *mesh)
{
        (void)plexus_context_remove(mesh->context);
        if (mesh->previous[0] != '\0')
                (void)plexus_context_use(mesh->previous);
        remove_tree(mesh->dir);
        remove_tree(mesh->run); /* where it stands elsewhere */
}

static int use_context(const struct cli *cli, const struct mesh *mesh)
{
        char url[MESH_PATH_MAX + 16];
        int error;

        snprintf(url, sizeof url, "local:%s", mesh->run);
        error = plexus_context_put(mesh->context, url, NULL, true);
        if (error != PLEXUS_OK)
                return cli_fail(cli, CLI_FAULT, "the mesh is up, but the context could not be written: %s",
                                plexus_error_text(error));
        return 0;
}

static int say_up(struct cli *cli, const struct mesh *mesh, const char *how, int64_t started_ms)
{
        char took[32];
        struct mesh saved; /* the supervisor's word of its ports */
        int code = use_context(cli, mesh);

        if (code != 0)
                return code;
        output_duration((uint64_t)(now_ms() - started_ms), took, sizeof took);
        if (!cli->quiet && mesh->listen[0] != '\0' && mesh_load(mesh->dir, &saved) == 0)
                printf("listens  plexus://%s:%u\n", strcmp(mesh->listen, "*") == 0 ? "HOST" : mesh->listen,
                       saved.ports[0]);
        if (!cli->quiet)
                printf("%s: broker and %zu node%s of %s cpu%s, state in %s (%s)\n"
                       "try      plexus run -- hostname\n"
                       "stop it  plexus down\n",
                       how, mesh->nodes_count, mesh->nodes_count == 1 ? "" : "s", mesh->cpus,
                       strcmp(mesh->cpus, "1") == 0 ? "" : "s", mesh->dir, took);
        return CLI_DONE;
}

static int up_in_background(struct cli *cli, struct mesh *mesh, int lock_fd)
{
        int64_t started_ms = now_ms();
        int code = background_start(cli, mesh, lock_fd);

        return code == 0 ? say_up(cli, mesh, "up", started_ms) : code;
}

static int up_in_foreground(struct cli *cli, struct mesh *mesh, int lock_fd)
{
        int64_t started_ms = now_ms();
        int ends[2];
        pid_t child;
        int code;

        /* A child announces: the supervisor itself is this process, so that Ctrl-C reaches it. */
        if (pipe2(ends, O_CLOEXEC) != 0)
                return cli_fail(cli, CLI_FAULT, "%s", strerror(errno));
        fflush(NULL);
        child = fork();
        if (child == 0) {
                close(ends[1]);
                close(lock_fd);
                code = background_await(cli, ends[0]);
                if (code == 0)
                        code = say_up(cli, mesh, "up, Ctrl-C takes it down", started_ms);
                fflush(NULL);
                _exit(code);
        }
        close(ends[0]);
        code = mesh_supervise(mesh, ends[1], STDERR_FILENO);
        close(ends[1]);
        if (mesh->temp)
                remove_temporary(mesh);
        return code;
}

/* A supervisor is there: take what it runs. */
static int up_again(struct cli *cli, const char *dir)
{
        struct mesh mesh;

        if (mesh_load(dir, &mesh) != 0 || !mesh_process_alive(mesh.supervisor, mesh.supervisor_start))
                return cli_fail(cli, CLI_CONFLICT, "another `plexus up` is starting or stopping the mesh in %s; "
                                                   "try again",
                                dir);
        for (size_t i = 0; i <= mesh.nodes_count; i++)
                if (mesh.processes[i].note[0] != '\0')
                        return cli_fail(cli, CLI_FAULT,
                                        "%s %s; `plexus down`, then `plexus up` try anew; see %s/up.log",
                                        mesh.processes[i].name, mesh.processes[i].note, dir);
        if (cli_has(cli, "nodes"))
                fprintf(stderr, "plexus up: it runs already, with %zu node%s; `plexus down` first to change "
                                "that\n",
                        mesh.nodes_count, mesh.nodes_count == 1 ? "" : "s");
        return say_up(cli, &mesh, "already up", now_ms());
}

int verb_up(struct cli *cli)
{
        struct mesh mesh;
        char dir[MESH_PATH_MAX];
        int lock_fd;
        int result;
        int code = choose_dir(cli, true, dir, sizeof dir);

        if (code != 0)
                return code;
        lock_fd = background_lock(dir);
        if (lock_fd < 0)
                return up_again(cli, dir);
        (void)mesh_load(dir, &mesh);
        snprintf(mesh.dir, sizeof mesh.dir, "%s", dir);
        code = take_options(cli, &mesh);
        if (code != 0)
                return code;
        if (mesh.processes[0].name[0] == '\0' || cli_has(cli, "nodes"))
                mesh_name_processes(&mesh);
        note_previous(&mesh);
        result = mesh_choose_run(&mesh);
        if (result != 0)
                return cli_fail(cli, CLI_FAULT, "%s: %s", mesh.run, strerror(-result));
        return cli_has(cli, "foreground") ? up_in_foreground(cli, &mesh, lock_fd)
                                          : up_in_background(cli, &mesh, lock_fd);
}

/* ---- down ------------------------------------------------------------------------------------------------------------ */

/* The directory: --dir, else that of the current context's sockets, else the default. */
static int find_mesh(struct cli *cli, struct mesh *ret_mesh)
{
        char dir[MESH_PATH_MAX];
        char url[MESH_PATH_MAX + 64] = "";
        int code = choose_dir(cli, false, dir, sizeof dir);

        if (code != 0)
                return code;
        if (!cli_has(cli, "dir")) {
                struct plexus_options options = {.context = cli_value(cli, "context"),
                                                 .url = cli_value(cli, "url")};

                if (plexus_context_find(&options, url, sizeof url) == PLEXUS_OK &&
                    strncmp(url, "local:", 6) == 0)
                        mesh_dir_of_run(url + 6, dir, sizeof dir);
        }
        if (mesh_load_any(dir, ret_mesh) != 0)
                return cli_fail(cli, CLI_NO_MATCH, "no mesh has its state in %s", dir);
        return 0;
}

/* Connect to the broker that goes down, whatever the current context is. */
static bool connect_to(struct cli *cli, const struct mesh *mesh)
{
        char url[MESH_PATH_MAX + 16];
        struct plexus_options options = {.url = url, .program = "plexus", .timeout_ms = DOWN_ASK_MS};

        snprintf(url, sizeof url, "local:%s", mesh->run);
        return plexus_connect(&options, &cli->px) == PLEXUS_OK;
}

/* End all jobs of all nodes, through the broker. */
static void kill_jobs(struct cli *cli)
{
        struct plexus_node *nodes;
        size_t count;

        if (plexus_nodes(cli->px, &nodes, &count) != PLEXUS_OK)
                return;
        for (size_t i = 0; i < count; i++)
                (void)plexus_node_change(cli->px, nodes[i].name, "kill");
        plexus_nodes_free(nodes);
}

/* Wait until a process is gone, at most until the deadline. */
static bool wait_gone(pid_t pid, uint64_t start, int64_t deadline_ms)
{
        int fd = pidfd_open(pid, 0);
        struct pollfd item = {.fd = fd, .events = POLLIN};

        while (fd >= 0 && mesh_process_alive(pid, start) && now_ms() < deadline_ms)
                if (poll(&item, 1, (int)(deadline_ms - now_ms())) > 0)
                        break;
        if (fd >= 0)
                close(fd);
        return !mesh_process_alive(pid, start);
}

/* Without a supervisor: what is left of the processes. */
static bool stop_orphans(const struct mesh *mesh, int64_t deadline_ms)
{
        bool gone = true;

        for (size_t i = mesh->nodes_count + 1; i-- > 0;) {
                const struct mesh_process *process = &mesh->processes[i];

                if (!mesh_process_alive(process->pid, process->start))
                        continue;
                kill(process->pid, SIGTERM);
                gone &= wait_gone(process->pid, process->start, deadline_ms);
        }
        return gone;
}

static size_t jobs_running(struct cli *cli)
{
        struct plexus_status status;

        if (plexus_status(cli->px, &status) != PLEXUS_OK)
                return 0;
        return (size_t)(status.running + status.cancelling);
}

int verb_down(struct cli *cli)
{
        struct mesh mesh;
        int64_t deadline_ms = now_ms() + DOWN_MS;
        size_t running = 0;
        bool gone;
        int code = find_mesh(cli, &mesh);

        if (code != 0)
                return code;
        if (mesh_process_alive(mesh.processes[0].pid, mesh.processes[0].start) && connect_to(cli, &mesh)) {
                running = jobs_running(cli);
                if (running > 0 && (cli_has(cli, "kill") || mesh.temp)) {
                        kill_jobs(cli);
                        running = 0;
                }
        }
        plexus_close(cli->px);
        cli->px = NULL;
        if (mesh_process_alive(mesh.supervisor, mesh.supervisor_start)) {
                kill(mesh.supervisor, SIGTERM);
                gone = wait_gone(mesh.supervisor, mesh.supervisor_start, deadline_ms);
        } else {
                gone = stop_orphans(&mesh, deadline_ms);
        }
        if (!gone)
                return cli_fail(cli, CLI_FAULT, "it did not stop within %d s; see %s/up.log", DOWN_MS / 1000,
                                mesh.dir);
        if (mesh.temp)
                remove_temporary(&mesh);
        if (!cli->quiet && running > 0)
                printf("down; %zu job%s run%s on: `plexus up` finds %s again, `plexus down --kill` would have "
                       "ended %s\n",
                       running, running == 1 ? "" : "s", running == 1 ? "s" : "", running == 1 ? "it" : "them",
                       running == 1 ? "it" : "them");
        else if (!cli->quiet)
                printf("down\n");
        return CLI_DONE;
}
