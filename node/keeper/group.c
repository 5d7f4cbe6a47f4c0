/* SPDX-License-Identifier: Apache-2.0 */
/* group.c - control groups of jobs. Layer: L4 (node/keeper). */
#include "group.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- small files ---------------------------------------------------------------------------- */

static int file_write(const char *directory, const char *name, const char *text)
{
        char path[GROUP_PATH_BYTES + 64];
        ssize_t written;
        int fault;
        int fd;

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        written = write(fd, text, strlen(text));
        fault = written < 0 ? -errno : 0;
        close(fd);
        return fault;
}

/* Read at most room - 1 bytes; false when it isn't there. */
static bool file_read(const char *directory, const char *name, char *ret_text, size_t room)
{
        char path[GROUP_PATH_BYTES + 64];
        size_t length = 0;
        ssize_t got;
        int fd;

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        while (length < room - 1 && (got = read(fd, ret_text + length, room - 1 - length)) > 0)
                length += (size_t)got;
        close(fd);
        ret_text[length] = '\0';
        return true;
}

static bool file_there(const char *directory, const char *name)
{
        char path[GROUP_PATH_BYTES + 64];

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        return access(path, W_OK) == 0;
}

/* Whether `word` stands in a text of words. */
static bool text_has_word(const char *text, const char *word, const char *separators)
{
        size_t length = strlen(word);

        for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word)) {
                bool begins = at == text || strchr(separators, at[-1]) != NULL;
                bool ends = at[length] == '\0' || strchr(separators, at[length]) != NULL;

                if (begins && ends)
                        return true;
        }
        return false;
}

/* The number behind `key ` at the beginning of a line; 0 when there is none. */
static uint64_t text_number(const char *text, const char *key)
{
        size_t length = strlen(key);

        for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
                if (*line == '\n')
                        line++;
                if (strncmp(line, key, length) == 0 && line[length] == ' ')
                        return strtoull(line + length + 1, NULL, 10);
                if (*line == '\0')
                        break;
        }
        return 0;
}

/* ---- where ---------------------------------------------------------------------------------- */

/* Our path in the v1 hierarchy of `controller`, or in v2 (NULL), from /proc/self/cgroup. */
static bool own_path(const char *controller, char *ret_path, size_t room)
{
        char *line = NULL;
        size_t line_room = 0;
        bool found = false;
        FILE *file = fopen("/proc/self/cgroup", "re");

        if (file == NULL)
                return false;
        while (!found && getline(&line, &line_room, file) > 0) {
                char *names = strchr(line, ':');
                char *path = names == NULL ? NULL : strchr(names + 1, ':');

                if (path == NULL)
                        continue;
                *path++ = '\0';
                names++;
                path[strcspn(path, "\n")] = '\0';
                found = controller == NULL ? *names == '\0'
                                           : text_has_word(names, controller, ",");
                if (found)
                        snprintf(ret_path, room, "%s", path);
        }
        free(line);
        fclose(file);
        return found;
}

/* mountinfo: "id parent major:minor root mount options [tags] - type source super". */
static bool mount_parse(char *line, const char *controller, char **ret_root, char **ret_mount)
{
        char *rest = strstr(line, " - ");
        char *save = NULL;
        char *type;
        char *super;

        if (rest == NULL)
                return false;
        *rest = '\0';
        type = strtok_r(rest + 3, " \n", &save);
        strtok_r(NULL, " \n", &save);
        super = strtok_r(NULL, " \n", &save);
        if (type == NULL || strcmp(type, controller == NULL ? "cgroup2" : "cgroup") != 0)
                return false;
        if (controller != NULL && (super == NULL || !text_has_word(super, controller, ",")))
                return false;
        strtok_r(line, " ", &save);
        strtok_r(NULL, " ", &save);
        strtok_r(NULL, " ", &save);
        *ret_root = strtok_r(NULL, " ", &save);
        *ret_mount = strtok_r(NULL, " ", &save);
        return *ret_root != NULL && *ret_mount != NULL;
}

/* Our directory: the mount point and what of our path lies below the mount's root. */
bool group_own_directory(const char *controller, char ret_directory[GROUP_PATH_BYTES])
{
        char path[GROUP_PATH_BYTES];
        char *line = NULL;
        size_t line_room = 0;
        bool found = false;
        FILE *file;

        if (!own_path(controller, path, sizeof(path)))
                return false;
        file = fopen("/proc/self/mountinfo", "re");
        if (file == NULL)
                return false;
        while (!found && getline(&line, &line_room, file) > 0) {
                char *root;
                char *mount;
                const char *below = path;
                size_t root_length;

                if (!mount_parse(line, controller, &root, &mount))
                        continue;
                root_length = strcmp(root, "/") == 0 ? 0 : strlen(root);
                if (strncmp(path, root, root_length) == 0)
                        below = path + root_length;
                found = snprintf(ret_directory, GROUP_PATH_BYTES, "%s%s", mount,
                                 strcmp(below, "/") == 0 ? "" : below) < GROUP_PATH_BYTES / 2;
        }
        free(line);
        fclose(file);
        return found && access(ret_directory, F_OK) == 0;
}

/* False, and nothing is given, when files in it would have names that are too long. */
static bool path_join(const char *parent, const char *name, char ret_path[GROUP_PATH_BYTES])
{
        char path[GROUP_PATH_BYTES];

        if (snprintf(path, sizeof(path), "%s/%s", parent, name) >= (int)sizeof(path) - 32)
                return false;
        memcpy(ret_path, path, sizeof(path));
        return true;
}

static bool directory_make(const char *parent, const char *name, char ret_path[GROUP_PATH_BYTES])
{
        char path[GROUP_PATH_BYTES];

        if (!path_join(parent, name, path) || (mkdir(path, 0755) != 0 && errno != EEXIST))
                return false;
        memcpy(ret_path, path, sizeof(path));
        return access(path, W_OK) == 0;
}

/* Controllers reach the groups of the slots only if parent and node directory pass them on. */
static bool controller_enable(const char *parent, const char *directory, const char *controller)
{
        char text[256];
        char word[32];

        if (!file_read(parent, "cgroup.controllers", text, sizeof(text)) ||
            !text_has_word(text, controller, " \n"))
                return false;
        snprintf(word, sizeof(word), "+%s", controller);
        return file_write(parent, "cgroup.subtree_control", word) == 0 &&
               file_write(directory, "cgroup.subtree_control", word) == 0;
}

static bool tree_open_v2(struct group_tree *tree, const char *where, const char *name)
{
        char parent[GROUP_PATH_BYTES];

        if (where != NULL)
                snprintf(parent, sizeof(parent), "%s", where);
        else if (!group_own_directory(NULL, parent))
                return false;
        if (!directory_make(parent, name, tree->kill) || !file_there(tree->kill, "cgroup.kill")) {
                tree->kill[0] = '\0';
                return false;
        }
        tree->mode = GROUP_CGROUP2;
        tree->memory_v2 = controller_enable(parent, tree->kill, "memory");
        tree->pids_v2 = controller_enable(parent, tree->kill, "pids");
        return true;
}

static void tree_open_v1(const char *controller, const char *name, char ret_path[GROUP_PATH_BYTES])
{
        char parent[GROUP_PATH_BYTES];

        ret_path[0] = '\0';
        if (!group_own_directory(controller, parent) || !directory_make(parent, name, ret_path))
                ret_path[0] = '\0';
}

void group_tree_open(struct group_tree *tree, const char *where, const char *name)
{
        bool v2_only = where != NULL && strcmp(where, "cgroup2") == 0;
        bool v1_only = where != NULL && strcmp(where, "cgroup1") == 0;

        memset(tree, 0, sizeof(*tree));
        tree->mode = GROUP_SUBREAPER;
        if (where != NULL && strcmp(where, "none") == 0)
                return;
        if (!v1_only)
                tree_open_v2(tree, v2_only ? NULL : where, name);
        if (tree->mode == GROUP_SUBREAPER && !v2_only) {
                tree_open_v1("freezer", name, tree->kill);
                if (tree->kill[0] != '\0')
                        tree->mode = GROUP_CGROUP1;
        }
        if (!tree->memory_v2)
                tree_open_v1("memory", name, tree->memory);
        if (!tree->pids_v2)
                tree_open_v1("pids", name, tree->pids);
}

const char *group_mode_text(enum group_mode mode)
{
        if (mode == GROUP_CGROUP2)
                return "cgroup2";
        return mode == GROUP_CGROUP1 ? "cgroup1" : "subreaper";
}

void group_tree_enforces(const struct group_tree *tree, char *ret_text, size_t room)
{
        bool memory = tree->memory_v2 || tree->memory[0] != '\0';
        bool pids = tree->pids_v2 || tree->pids[0] != '\0';

        if (memory && pids)
                snprintf(ret_text, room, "memory, processes");
        else if (memory)
                snprintf(ret_text, room, "memory; not processes");
        else if (pids)
                snprintf(ret_text, room, "processes; not memory");
        else
                snprintf(ret_text, room, "nothing: neither memory nor processes");
}

#define DISCARD_DEPTH_MAX 8

static void discard_below(const char *directory, unsigned depth)
{
        char path[GROUP_PATH_BYTES + 300];
        struct dirent *item;
        DIR *dir;

        if (rmdir(directory) == 0 || depth == DISCARD_DEPTH_MAX)
                return;
        dir = opendir(directory);
        if (dir == NULL)
                return;
        while ((item = readdir(dir)) != NULL) {
                if (item->d_type != DT_DIR || item->d_name[0] == '.')
                        continue;
                if (snprintf(path, sizeof(path), "%s/%s", directory, item->d_name) <
                    (int)sizeof(path))
                        discard_below(path, depth + 1);
        }
        closedir(dir);
        rmdir(directory);
}

void group_discard(const char *directory)
{
        if (directory[0] != '\0')
                discard_below(directory, 0);
}

void group_tree_remove(const struct group_tree *tree)
{
        group_discard(tree->kill);
        group_discard(tree->memory);
        group_discard(tree->pids);
}

/* ---- one group ------------------------------------------------------------------------------ */

/* A limit that stands there already is not written again. */
static void limit_v1(const char *base, const char *slot, const char *file, uint64_t value,
                     char ret_path[GROUP_PATH_BYTES])
{
        char wanted[32];
        char text[32];

        ret_path[0] = '\0';
        if (base[0] == '\0' || value == 0 || !path_join(base, slot, ret_path))
                return;
        snprintf(wanted, sizeof(wanted), "%" PRIu64 "\n", value);
        if (file_read(ret_path, file, text, sizeof(text)) && strcmp(text, wanted) == 0)
                return;
        if (!directory_make(base, slot, ret_path) || file_write(ret_path, file, wanted) != 0)
                ret_path[0] = '\0';
}

static void limit_v2(const char *directory, const char *file, uint64_t value)
{
        char text[32];

        snprintf(text, sizeof(text), "%" PRIu64, value);
        file_write(directory, file, text);
}

/* The peak of a v2 group can't be put back on older kernels: such a group is made anew. */
static void group_renew(const char *base, const char *slot)
{
        char path[GROUP_PATH_BYTES + 32];

        snprintf(path, sizeof(path), "%s/%s", base, slot);
        rmdir(path);
}

enum group_look {
        GROUP_ABSENT,
        GROUP_EMPTY,
        GROUP_POPULATED,
};

static enum group_look group_look(const char *directory)
{
        char text[256];

        if (file_read(directory, "cgroup.events", text, sizeof(text)))
                return text_number(text, "populated") == 0 ? GROUP_EMPTY : GROUP_POPULATED;
        if (file_read(directory, "cgroup.procs", text, sizeof(text)))
                return text[0] == '\0' ? GROUP_EMPTY : GROUP_POPULATED;
        return GROUP_ABSENT;
}

/* The group by which the slot's job is killed; empty where it can't be made. */
static int kill_group_make(const struct group_tree *tree, const char *slot,
                           char ret_path[GROUP_PATH_BYTES])
{
        enum group_look look;

        if (tree->kill[0] == '\0' || !path_join(tree->kill, slot, ret_path))
                return 0;
        look = group_look(ret_path);
        if (look == GROUP_ABSENT && !directory_make(tree->kill, slot, ret_path))
                ret_path[0] = '\0';
        return look == GROUP_POPULATED ? -EBUSY : 0;
}

int group_make(const struct group_tree *tree, uint32_t slot, uint64_t memory_bytes,
               struct job_group *ret_group)
{
        char name[16];

        memset(ret_group, 0, sizeof(*ret_group));
        snprintf(name, sizeof(name), "s%" PRIu32, slot);
        if (tree->memory_v2)
                group_renew(tree->kill, name);
        if (kill_group_make(tree, name, ret_group->kill) != 0)
                return -EBUSY;
        if (tree->memory_v2 && ret_group->kill[0] != '\0') {
                if (memory_bytes != 0)
                        limit_v2(ret_group->kill, "memory.max", memory_bytes);
                memcpy(ret_group->memory, ret_group->kill, sizeof(ret_group->memory));
        } else {
                if (memory_bytes != 0 && tree->memory[0] != '\0')
                        group_renew(tree->memory, name);
                limit_v1(tree->memory, name, "memory.limit_in_bytes", memory_bytes,
                         ret_group->memory);
        }
        if (tree->pids_v2 && ret_group->kill[0] != '\0')
                limit_v2(ret_group->kill, "pids.max", GROUP_PIDS_MAX);
        else
                limit_v1(tree->pids, name, "pids.max", GROUP_PIDS_MAX, ret_group->pids);
        return 0;
}

bool group_empty(const char *directory)
{
        return group_look(directory) != GROUP_POPULATED;
}

static void kill_each(const char *directory)
{
        char path[GROUP_PATH_BYTES + 64];
        FILE *file;
        long pid;

        snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
        file = fopen(path, "re");
        if (file == NULL)
                return;
        while (fscanf(file, "%ld", &pid) == 1)
                if (pid > 1)
                        kill((pid_t)pid, SIGKILL);
        fclose(file);
}

bool group_kill(const char *mode, const char *directory)
{
        if (directory[0] == '\0' || group_empty(directory))
                return true;
        if (strcmp(mode, "cgroup2") == 0) {
                if (file_write(directory, "cgroup.kill", "1") != 0)
                        kill_each(directory);
        } else {
                /* Frozen, it can't make new processes between the reading and the killing. */
                file_write(directory, "freezer.state", "FROZEN");
                kill_each(directory);
                file_write(directory, "freezer.state", "THAWED");
        }
        return group_empty(directory);
}

bool group_memory_peak(const char *directory, uint64_t *ret_bytes)
{
        char text[64];

        if (directory[0] == '\0')
                return false;
        if (!file_read(directory, "memory.peak", text, sizeof(text)) &&
            !file_read(directory, "memory.max_usage_in_bytes", text, sizeof(text)))
                return false;
        *ret_bytes = strtoull(text, NULL, 10);
        return true;
}

uint64_t group_memory_kills(const char *directory)
{
        char text[512];

        if (directory[0] == '\0')
                return 0;
        if (!file_read(directory, "memory.events", text, sizeof(text)) &&
            !file_read(directory, "memory.oom_control", text, sizeof(text)))
                return 0;
        return text_number(text, "oom_kill");
}

/* ---- without a group ------------------------------------------------------------------------ */

/* Whether the environment of a process holds both `a` and `b` as whole entries. */
static bool environment_names(const char *pid, const char *a, const char *b)
{
        char directory[64];
        static char text[256 * 1024];
        size_t a_length = strlen(a) + 1;
        size_t b_length = strlen(b) + 1;
        bool has_a = false;
        bool has_b = false;
        size_t length = 0;
        ssize_t got;
        int fd;

        snprintf(directory, sizeof(directory), "/proc/%.20s/environ", pid);
        fd = open(directory, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        while (length < sizeof(text) - 1 &&
               (got = read(fd, text + length, sizeof(text) - 1 - length)) > 0)
                length += (size_t)got;
        close(fd);
        text[length] = '\0';
        for (size_t at = 0; at < length; at += strlen(text + at) + 1) {
                has_a = has_a || (length - at >= a_length && memcmp(text + at, a, a_length) == 0);
                has_b = has_b || (length - at >= b_length && memcmp(text + at, b, b_length) == 0);
        }
        return has_a && has_b;
}

size_t group_kill_by_environment(const char *job, const char *fence)
{
        char a[64];
        char b[64];
        size_t found = 0;
        struct dirent *item;
        DIR *dir = opendir("/proc");

        if (dir == NULL)
                return 0;
        snprintf(a, sizeof(a), "PLEXUS_JOB=%s", job);
        snprintf(b, sizeof(b), "PLEXUS_FENCE=%s", fence);
        while ((item = readdir(dir)) != NULL) {
                long pid = strtol(item->d_name, NULL, 10);

                if (pid <= 1 || pid == getpid() || !environment_names(item->d_name, a, b))
                        continue;
                if (kill((pid_t)pid, SIGKILL) == 0)
                        found++;
        }
        closedir(dir);
        return found;
}
