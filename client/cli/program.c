/* SPDX-License-Identifier: Apache-2.0 */
/* program.c - find the other programs of Plexus, and run them in place (`plexus broker`, `plexus node`).
 * Layer: L4 (client/cli). */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mesh.h"
#include "settings.h"
#include "verbs.h"

/* Directory of the running executable. */
static bool own_dir(char *ret_dir, size_t room)
{
        ssize_t length = readlink("/proc/self/exe", ret_dir, room - 1);
        char *slash;

        if (length <= 0)
                return false;
        ret_dir[length] = '\0';
        slash = strrchr(ret_dir, '/');
        if (slash == NULL)
                return false;
        *slash = '\0';
        return true;
}

/* Without "..": units and process lists show it. */
static bool normalise(char *path, size_t room)
{
        char whole[PATH_MAX];

        if (realpath(path, whole) == NULL || strlen(whole) >= room)
                return false;
        memcpy(path, whole, strlen(whole) + 1);
        return true;
}

bool program_find(const char *name, char *ret_path, size_t room)
{
        /* Beside ourselves, then as installed (bin/ and libexec/plexus/), then as built (client/cli). */
        static const char *const places[] = {"%s/%s", "%s/../libexec/plexus/%s", "%s/../../broker/%s",
                                             "%s/../../node/%s", "%s/../../tools/%s"};
        const char *libexec = getenv("PLEXUS_LIBEXEC");
        char dir[MESH_PATH_MAX];

        if (libexec != NULL && *libexec != '\0') {
                snprintf(ret_path, room, "%s/%s", libexec, name);
                return access(ret_path, X_OK) == 0;
        }
        if (!own_dir(dir, sizeof dir))
                return false;
        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                snprintf(ret_path, room, places[i], dir, name);
#pragma GCC diagnostic pop
                if (access(ret_path, X_OK) == 0)
                        return normalise(ret_path, room);
        }
        return false;
}

/* Settings of files and the environment become words before those that were given. */
static int exec_program(struct cli *cli, const char *name, const char *table)
{
        char path[MESH_PATH_MAX];
        struct settings *settings;
        char **words;
        int code;

        if (!program_find(name, path, sizeof path))
                return cli_fail(cli, CLI_FAULT, "%s is not installed beside plexus", name);
        code = settings_load(cli, &settings);
        if (code != 0)
                return code;
        words = settings_words(settings, table, path, cli->rest);
        if (words != NULL)
                execv(path, words);
        code = cli_fail(cli, CLI_FAULT, "%s: %s", path, words != NULL ? strerror(errno) : "out of memory");
        free(words);
        free(settings);
        return code;
}

int verb_broker(struct cli *cli)
{
        return exec_program(cli, "plexus-broker", "broker");
}

int verb_node(struct cli *cli)
{
        return exec_program(cli, "plexus-node", "node");
}
