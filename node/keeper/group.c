/* SPDX-License-Identifier: Apache-2.0 */
/* group.c - control groups of jobs. Layer: L4 (node/keeper). */
#include "group_inside.h"

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

int group_file_write(const char *directory, const char *name, const char *text)
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

bool group_file_read(const char *directory, const char *name, char *ret_text, size_t room)
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

bool group_path_join(const char *parent, const char *name, char ret_path[GROUP_PATH_BYTES])
{
        char path[GROUP_PATH_BYTES];

        if (snprintf(path, sizeof(path), "%s/%s", parent, name) >= (int)sizeof(path) - 32)
                return false;
        memcpy(ret_path, path, sizeof(path));
        return true;
}

bool group_directory_make(const char *parent, const char *name, char ret_path[GROUP_PATH_BYTES])
{
        char path[GROUP_PATH_BYTES];

        if (!group_path_join(parent, name, path) || (mkdir(path, 0755) != 0 && errno != EEXIST))
                return false;
        memcpy(ret_path, path, sizeof(path));
        return access(path, W_OK) == 0;
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

/* ---- one group ------------------------------------------------------------------------------ */

/* A limit that stands there already is not written again. */
static void limit_v1(const char *base, const char *slot, const char *file, uint64_t value,
                     char ret_path[GROUP_PATH_BYTES])
{
        char wanted[32];
        char text[32];

        ret_path[0] = '\0';
        if (base[0] == '\0' || value == 0 || !group_path_join(base, slot, ret_path))
                return;
        snprintf(wanted, sizeof(wanted), "%" PRIu64 "\n", value);
        if (group_file_read(ret_path, file, text, sizeof(text)) && strcmp(text, wanted) == 0)
                return;
        if (!group_directory_make(base, slot, ret_path) || group_file_write(ret_path, file, wanted) != 0)
                ret_path[0] = '\0';
}

static void limit_v2(const char *directory, const char *file, uint64_t value)
{
        char text[32];

        snprintf(text, sizeof(text), "%" PRIu64, value);
        group_file_write(directory, file, text);
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

        if (group_file_read(directory, "cgroup.events", text, sizeof(text)))
                return text_number(text, "populated") == 0 ? GROUP_EMPTY : GROUP_POPULATED;
        if (group_file_read(directory, "cgroup.procs", text, sizeof(text)))
                return text[0] == '\0' ? GROUP_EMPTY : GROUP_POPULATED;
        return GROUP_ABSENT;
}

/* The group by which the slot's job is killed; empty where it can't be made. */
static int kill_group_make(const struct group_tree *tree, const char *slot,
                           char ret_path[GROUP_PATH_BYTES])
{
        enum group_look look;

        if (tree->kill[0] == '\0' || !group_path_join(tree->kill, slot, ret_path))
                return 0;
        look = group_look(ret_path);
        if (look == GROUP_ABSENT && !group_directory_make(tree->kill, slot, ret_path))
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
                if (group_file_write(directory, "cgroup.kill", "1") != 0)
                        kill_each(directory);
        } else {
                /* Frozen, it can't make new processes between the reading and the killing. */
                group_file_write(directory, "freezer.state", "FROZEN");
                kill_each(directory);
                group_file_write(directory, "freezer.state", "THAWED");
        }
        return group_empty(directory);
}

bool group_memory_peak(const char *directory, uint64_t *ret_bytes)
{
        char text[64];

        if (directory[0] == '\0')
                return false;
        if (!group_file_read(directory, "memory.peak", text, sizeof(text)) &&
            !group_file_read(directory, "memory.max_usage_in_bytes", text, sizeof(text)))
                return false;
        *ret_bytes = strtoull(text, NULL, 10);
        return true;
}

uint64_t group_memory_kills(const char *directory)
{
        char text[512];

        if (directory[0] == '\0')
                return 0;
        if (!group_file_read(directory, "memory.events", text, sizeof(text)) &&
            !group_file_read(directory, "memory.oom_control", text, sizeof(text)))
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
