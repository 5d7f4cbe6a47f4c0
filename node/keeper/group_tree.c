/* SPDX-License-Identifier: Apache-2.0 */
/* group_tree.c - which way of killing there is, and where control groups may be made.
 * Layer: L4 (node/keeper). Source: cgroups(7), the kernel's cgroup-v2 document; RELIABILITY 5.
 *
 * The rules of v2: a group that passes controllers on to its children holds no process itself (the
 * root excepted), and passes on only what its parent passes to it. So the processes of Plexus leave
 * the group that was given to us for a leaf of it, PARTS; where others live in it too, nothing is
 * moved, and memory and processes are limited by v1 or not at all. */
#include "group_inside.h"
#include "namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PARTS "plexus.parts"
#define VACATE_ROUNDS 8

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

/* Where our own processes were moved to is a leaf of what was given to us. */
static void parts_leave(char *directory)
{
        char *slash = strrchr(directory, '/');

        if (slash != NULL && strcmp(slash, "/" PARTS) == 0)
                *slash = '\0';
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
        if (found)
                parts_leave(ret_directory);
        return found && access(ret_directory, F_OK) == 0;
}

/* ---- controllers of v2 ---------------------------------------------------------------------- */

/* Whether it is one of the programs of Plexus. */
static bool process_is_ours(long pid)
{
        char path[64];
        char program[PATH_MAX];
        const char *name;
        ssize_t length;

        snprintf(path, sizeof(path), "/proc/%ld/exe", pid);
        length = readlink(path, program, sizeof(program) - 1);
        if (length < 0)
                return false;
        program[length] = '\0';
        name = strrchr(program, '/');
        return pid == getpid() || (name != NULL && strncmp(name, "/plexus", 7) == 0);
}

/* Let `each` look at every process of a group until one isn't to its liking. */
static bool each_process(const char *directory, bool (*each)(long pid, const char *target),
                         const char *target)
{
        char path[GROUP_PATH_BYTES + 64];
        FILE *file;
        bool liked = true;
        long pid;

        snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
        file = fopen(path, "re");
        if (file == NULL)
                return false;
        while (liked && fscanf(file, "%ld", &pid) == 1)
                liked = each(pid, target);
        fclose(file);
        return liked;
}

static bool stays_or_moves(long pid, const char *target)
{
        (void)target;
        return process_is_ours(pid);
}

static bool move(long pid, const char *target)
{
        char text[32];
        int fault;

        snprintf(text, sizeof(text), "%ld", pid);
        fault = group_file_write(target, "cgroup.procs", text);
        return fault == 0 || fault == -ESRCH;
}

/* Move all processes of a group to its leaf, if they are all ours. New ones may be born meanwhile. */
static bool group_vacate(const char *directory)
{
        char leaf[GROUP_PATH_BYTES];

        for (int round = 0; round < VACATE_ROUNDS; round++) {
                char text[32];

                if (!each_process(directory, stays_or_moves, NULL) ||
                    !group_directory_make(directory, PARTS, leaf) ||
                    !each_process(directory, move, leaf))
                        return false;
                if (group_file_read(directory, "cgroup.procs", text, sizeof(text)) &&
                    text[0] == '\0')
                        return true;
        }
        return false;
}

bool group_pass_on(const char *directory, const char *controller)
{
        char text[256];
        char word[32];
        int fault;

        if (!group_file_read(directory, "cgroup.controllers", text, sizeof(text)) ||
            !text_has_word(text, controller, " \n"))
                return false;
        if (group_file_read(directory, "cgroup.subtree_control", text, sizeof(text)) &&
            text_has_word(text, controller, " \n"))
                return true;
        snprintf(word, sizeof(word), "+%s", controller);
        fault = group_file_write(directory, "cgroup.subtree_control", word);
        if (fault == -EBUSY && group_vacate(directory))
                fault = group_file_write(directory, "cgroup.subtree_control", word);
        return fault == 0;
}

/* Controllers reach the groups of the slots only if parent and node directory pass them on. */
static bool controller_enable(const char *parent, const char *directory, const char *controller)
{
        return group_pass_on(parent, controller) && group_pass_on(directory, controller);
}

/* ---- the ladder ----------------------------------------------------------------------------- */

static bool tree_open_v2(struct group_tree *tree, const char *where, const char *name)
{
        char parent[GROUP_PATH_BYTES];

        if (where != NULL)
                snprintf(parent, sizeof(parent), "%s", where);
        else if (!group_own_directory(NULL, parent))
                return false;
        if (!group_directory_make(parent, name, tree->kill) ||
            !file_there(tree->kill, "cgroup.kill")) {
                tree->kill[0] = '\0';
                return false;
        }
        tree->memory_v2 = controller_enable(parent, tree->kill, "memory");
        tree->pids_v2 = controller_enable(parent, tree->kill, "pids");
        return true;
}

static bool tree_open_v1(const char *controller, const char *name, char ret_path[GROUP_PATH_BYTES])
{
        char parent[GROUP_PATH_BYTES];

        if (group_own_directory(controller, parent) && group_directory_make(parent, name, ret_path))
                return true;
        ret_path[0] = '\0';
        return false;
}

void group_tree_open(struct group_tree *tree, enum group_mode best, const char *where,
                     const char *name)
{
        bool groups = where == NULL || strcmp(where, "none") != 0;

        memset(tree, 0, sizeof(*tree));
        if (best <= GROUP_CGROUP2 && groups && tree_open_v2(tree, where, name))
                tree->mode = GROUP_CGROUP2;
        else if (best <= GROUP_CGROUP1 && groups && tree_open_v1("freezer", name, tree->kill))
                tree->mode = GROUP_CGROUP1;
        else if (best <= GROUP_PIDNS && namespace_works())
                tree->mode = GROUP_PIDNS;
        else
                tree->mode = GROUP_SUBREAPER;
        if (groups && !tree->memory_v2)
                tree_open_v1("memory", name, tree->memory);
        if (groups && !tree->pids_v2)
                tree_open_v1("pids", name, tree->pids);
}

void group_tree_remove(const struct group_tree *tree)
{
        group_discard(tree->kill);
        group_discard(tree->memory);
        group_discard(tree->pids);
}

/* ---- in words ------------------------------------------------------------------------------- */

static const struct {
        const char *text;
        const char *words;
} modes[] = {
        [GROUP_CGROUP2] = {"cgroup2", "cgroup2"},
        [GROUP_CGROUP1] = {"cgroup1", "cgroup1"},
        [GROUP_PIDNS] = {"pidns", "pidns"},
        [GROUP_SUBREAPER] = {"subreaper",
                             "subreaper alone: no control group, no process namespace here"},
};

const char *group_mode_text(enum group_mode mode)
{
        PX_ASSERT(mode >= GROUP_CGROUP2 && mode <= GROUP_SUBREAPER);
        return modes[mode].text;
}

const char *group_mode_words(enum group_mode mode)
{
        PX_ASSERT(mode >= GROUP_CGROUP2 && mode <= GROUP_SUBREAPER);
        return modes[mode].words;
}

bool group_mode_parse(const char *text, enum group_mode *ret_mode)
{
        for (size_t i = GROUP_CGROUP2; i < PX_COUNT_OF(modes); i++) {
                if (strcmp(text, modes[i].text) != 0)
                        continue;
                *ret_mode = (enum group_mode)i;
                return true;
        }
        return false;
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
