/* SPDX-License-Identifier: Apache-2.0 */
/* mesh.c - where a private mesh lives and what it remembers of itself. Layer: L4 (client/cli). */
#include "mesh.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOCKET_PATH_MAX 90 /* RUNDIR/events must fit into sun_path */

bool mesh_default_dir(char *ret_dir, size_t room)
{
        const char *state = getenv("XDG_STATE_HOME");
        const char *home = getenv("HOME");

        if (state != NULL && *state == '/')
                return (size_t)snprintf(ret_dir, room, "%s/plexus/up", state) < room;
        if (home == NULL || *home != '/')
                return false;
        return (size_t)snprintf(ret_dir, room, "%s/.local/state/plexus/up", home) < room;
}

/* A short name for a long directory (FNV-1a; only to tell directories apart). */
static uint64_t hash_of(const char *text)
{
        uint64_t hash = UINT64_C(14695981039346656037);

        for (; *text != '\0'; text++)
                hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
        return hash;
}

int mesh_choose_run(struct mesh *mesh)
{
        const char *runtime = getenv("XDG_RUNTIME_DIR");
        const char *base = mesh->home[0] != '\0' ? mesh->home : mesh->dir;
        struct stat status;

        if (strlen(base) + sizeof "/run/events" < SOCKET_PATH_MAX) {
                snprintf(mesh->run, sizeof mesh->run, "%.80s/run", base);
        } else {
                if (runtime == NULL || *runtime != '/' || strlen(runtime) > 50)
                        runtime = "/tmp";
                snprintf(mesh->run, sizeof mesh->run, "%s/plexus-%u-%08" PRIx32, runtime,
                         (unsigned)geteuid(), (uint32_t)hash_of(base));
        }
        if (mkdir(mesh->run, 0700) != 0 && errno != EEXIST)
                return -errno;
        /* Somebody else's directory, or a link to one, is no place for sockets. */
        if (lstat(mesh->run, &status) != 0)
                return -errno;
        if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077) != 0)
                return -EPERM;
        return 0;
}

uint64_t mesh_process_start(pid_t pid)
{
        char path[64];
        char text[1024];
        const char *at;
        size_t length;
        FILE *file;

        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        file = fopen(path, "re");
        if (file == NULL)
                return 0;
        length = fread(text, 1, sizeof text - 1, file);
        fclose(file);
        text[length] = '\0';
        /* Field 22 (proc(5)); the name in parentheses may contain blanks. A zombie is no process. */
        at = strrchr(text, ')');
        if (at == NULL || at[1] != ' ' || at[2] == 'Z')
                return 0;
        for (int field = 2; field < 22 && at != NULL; field++)
                at = strchr(at + 1, ' ');
        return at == NULL ? 0 : strtoull(at + 1, NULL, 10);
}

bool mesh_process_alive(pid_t pid, uint64_t start)
{
        return pid > 0 && start > 0 && mesh_process_start(pid) == start;
}

/* ---- the state file ------------------------------------------------------------------------------------- */

static struct mesh_process *process_find(struct mesh *mesh, const char *name)
{
        for (size_t i = 0; i <= mesh->nodes_count && i <= MESH_NODES_MAX; i++)
                if (strcmp(mesh->processes[i].name, name) == 0)
                        return &mesh->processes[i];
        return NULL;
}

static void take_process(struct mesh *mesh, const char *name, pid_t pid, uint64_t start)
{
        struct mesh_process *process;

        if (strcmp(name, "supervisor") == 0) {
                mesh->supervisor = pid;
                mesh->supervisor_start = start;
                return;
        }
        process = process_find(mesh, name);
        if (process == NULL)
                return;
        process->pid = pid;
        process->start = start;
}

static void take_note(struct mesh *mesh, const char *line)
{
        char name[32];
        int length;
        struct mesh_process *process;

        if (sscanf(line, "note %31s %n", name, &length) != 1)
                return;
        process = process_find(mesh, name);
        if (process != NULL)
                snprintf(process->note, sizeof process->note, "%s", line + length);
}

size_t mesh_first(const struct mesh *mesh)
{
        return mesh->kind == MESH_NODE ? 1 : 0;
}

void mesh_name_processes(struct mesh *mesh)
{
        snprintf(mesh->processes[0].name, sizeof mesh->processes[0].name, "broker");
        for (size_t i = 1; i <= mesh->nodes_count; i++)
                snprintf(mesh->processes[i].name, sizeof mesh->processes[i].name, "node%zu", i);
        if (mesh->kind == MESH_NODE)
                snprintf(mesh->processes[1].name, sizeof mesh->processes[1].name, "node");
        for (size_t i = 0; i <= MESH_NODES_MAX; i++)
                mesh->processes[i].pid_fd = -1;
}

static const char *const kind_names[] = {"up", "init", "join"};

static void take_kind(struct mesh *mesh, const char *name)
{
        for (size_t i = 0; i < sizeof kind_names / sizeof kind_names[0]; i++)
                if (strcmp(name, kind_names[i]) == 0)
                        mesh->kind = (enum mesh_kind)i;
}

static void take_line(struct mesh *mesh, const char *line)
{
        char name[32];
        unsigned long long start;
        int pid;
        size_t count;

        if (strncmp(line, "kind ", 5) == 0) {
                take_kind(mesh, line + 5);
        } else if (strncmp(line, "home ", 5) == 0) {
                snprintf(mesh->home, sizeof mesh->home, "%.511s", line + 5);
        } else if (strncmp(line, "url ", 4) == 0) {
                snprintf(mesh->url, sizeof mesh->url, "%.511s", line + 4);
        } else if (strncmp(line, "node ", 5) == 0) {
                snprintf(mesh->node, sizeof mesh->node, "%.64s", line + 5);
        } else if (sscanf(line, "nodes %zu", &count) == 1 && count <= MESH_NODES_MAX) {
                mesh->nodes_count = count;
                mesh_name_processes(mesh);
        } else if (sscanf(line, "process %31s %d %llu", name, &pid, &start) == 3) {
                take_process(mesh, name, pid, start);
        } else if (strncmp(line, "note ", 5) == 0) {
                take_note(mesh, line);
        } else if (strncmp(line, "run ", 4) == 0) {
                snprintf(mesh->run, sizeof mesh->run, "%.511s", line + 4);
        } else if (strncmp(line, "context ", 8) == 0) {
                snprintf(mesh->context, sizeof mesh->context, "%.63s", line + 8);
        } else if (strncmp(line, "ports ", 6) == 0) {
                (void)sscanf(line, "ports %u %u %u %u", &mesh->ports[0], &mesh->ports[1], &mesh->ports[2],
                             &mesh->ports[3]);
        } else if (strncmp(line, "previous ", 9) == 0) {
                snprintf(mesh->previous, sizeof mesh->previous, "%.63s", line + 9);
        } else if (strncmp(line, "listen ", 7) == 0) {
                snprintf(mesh->listen, sizeof mesh->listen, "%.255s", line + 7);
        } else if (strncmp(line, "cpus ", 5) == 0) {
                snprintf(mesh->cpus, sizeof mesh->cpus, "%.15s", line + 5);
        } else if (strncmp(line, "lease ", 6) == 0) {
                snprintf(mesh->lease_ms, sizeof mesh->lease_ms, "%.23s", line + 6);
        } else if (strncmp(line, "temp ", 5) == 0) {
                mesh->temp = line[5] == '1';
        }
}

int mesh_load(const char *dir, struct mesh *ret_mesh)
{
        char path[MESH_PATH_MAX + 8];
        char line[MESH_PATH_MAX + 64];
        FILE *file;

        memset(ret_mesh, 0, sizeof *ret_mesh);
        snprintf(ret_mesh->dir, sizeof ret_mesh->dir, "%s", dir);
        snprintf(path, sizeof path, "%s/mesh", dir);
        file = fopen(path, "re");
        if (file == NULL)
                return -errno;
        while (fgets(line, sizeof line, file) != NULL) {
                line[strcspn(line, "\n")] = '\0';
                take_line(ret_mesh, line);
        }
        fclose(file);
        return 0;
}

int mesh_load_any(const char *dir, struct mesh *ret_mesh)
{
        char up[MESH_PATH_MAX + 8];
        int result = mesh_load(dir, ret_mesh);

        if (result == 0 || (size_t)snprintf(up, sizeof up, "%s/up", dir) >= MESH_PATH_MAX)
                return result;
        return mesh_load(up, ret_mesh);
}

void mesh_dir_of_run(const char *run, char *ret_dir, size_t room)
{
        char path[MESH_PATH_MAX + 16];
        char line[MESH_PATH_MAX];
        FILE *file;

        snprintf(path, sizeof path, "%.*s/mesh", MESH_PATH_MAX, run);
        file = fopen(path, "re");
        if (file == NULL)
                return;
        if (fgets(line, sizeof line, file) != NULL && line[0] == '/') {
                line[strcspn(line, "\n")] = '\0';
                snprintf(ret_dir, room, "%s", line);
        }
        fclose(file);
}

/* A new file beside the old one, then renamed over it; NULL = errno. */
static FILE *replace_begin(const char *dir, char *ret_path, char *ret_temporary, size_t room)
{
        int fd;

        snprintf(ret_path, room, "%s/mesh", dir);
        snprintf(ret_temporary, room, "%s/mesh.new", dir);
        fd = open(ret_temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        return fd < 0 ? NULL : fdopen(fd, "w");
}

static int save_back_link(const struct mesh *mesh)
{
        char path[MESH_PATH_MAX + 16];
        char temporary[MESH_PATH_MAX + 16];
        FILE *file = replace_begin(mesh->run, path, temporary, sizeof path);

        if (file == NULL)
                return -errno;
        fprintf(file, "%s\n", mesh->dir);
        return fclose(file) == 0 && rename(temporary, path) == 0 ? 0 : -errno;
}

int mesh_save(const struct mesh *mesh)
{
        char path[MESH_PATH_MAX + 16];
        char temporary[MESH_PATH_MAX + 16];
        FILE *file = replace_begin(mesh->dir, path, temporary, sizeof path);

        if (file == NULL)
                return -errno;
        fprintf(file, "kind %s\nnodes %zu\nrun %s\ncontext %s\ntemp %d\ncpus %s\n", kind_names[mesh->kind],
                mesh->nodes_count, mesh->run, mesh->context, mesh->temp, mesh->cpus);
        if (mesh->home[0] != '\0')
                fprintf(file, "home %s\n", mesh->home);
        if (mesh->kind == MESH_NODE)
                fprintf(file, "url %s\nnode %s\n", mesh->url, mesh->node);
        if (mesh->previous[0] != '\0')
                fprintf(file, "previous %s\n", mesh->previous);
        if (mesh->listen[0] != '\0')
                fprintf(file, "listen %s\nports %u %u %u %u\n", mesh->listen, mesh->ports[0],
                        mesh->ports[1], mesh->ports[2], mesh->ports[3]);
        if (mesh->lease_ms[0] != '\0')
                fprintf(file, "lease %s\n", mesh->lease_ms);
        fprintf(file, "process supervisor %d %" PRIu64 "\n", (int)mesh->supervisor, mesh->supervisor_start);
        for (size_t i = mesh_first(mesh); i <= mesh->nodes_count; i++)
                if (mesh->processes[i].note[0] != '\0')
                        fprintf(file, "note %s %s\n", mesh->processes[i].name, mesh->processes[i].note);
                else if (mesh->processes[i].pid > 0)
                        fprintf(file, "process %s %d %" PRIu64 "\n", mesh->processes[i].name,
                                (int)mesh->processes[i].pid, mesh->processes[i].start);
        if (fclose(file) != 0 || rename(temporary, path) != 0)
                return -errno;
        return mesh->run[0] == '\0' ? 0 : save_back_link(mesh);
}
