/* SPDX-License-Identifier: Apache-2.0 */
/* program.c - find the other programs of Plexus, and run them in place (`plexus broker`, `plexus node`).
 * Layer: L4 (client/cli). */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mesh.h"
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

static int exec_program(struct cli *cli, const char *name)
{
        char path[MESH_PATH_MAX];
        char **arguments;
        size_t count = 0;

        if (!program_find(name, path, sizeof path))
                return cli_fail(cli, CLI_FAULT, "%s is not installed beside plexus", name);
        while (cli->rest[count] != NULL)
                count++;
        arguments = calloc(count + 2, sizeof *arguments);
        if (arguments == NULL)
                return cli_fail(cli, CLI_FAULT, "out of memory");
        arguments[0] = path;
        memcpy(arguments + 1, cli->rest, count * sizeof *arguments);
        execv(path, arguments);
        free(arguments);
        return cli_fail(cli, CLI_FAULT, "%s: %s", path, strerror(errno));
}

int verb_broker(struct cli *cli)
{
        return exec_program(cli, "plexus-broker");
}

int verb_node(struct cli *cli)
{
        return exec_program(cli, "plexus-node");
}
