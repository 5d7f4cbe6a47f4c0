/* SPDX-License-Identifier: Apache-2.0 */
/* mesh_words.c - the command lines of the processes that a supervisor keeps running.
 * Layer: L4 (client/cli). */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "mesh.h"
#include "starter.h"

static void add(struct mesh_words *words, const char *word)
{
        if (words->count + 1 < sizeof words->list / sizeof words->list[0])
                words->list[words->count++] = word;
}

static void add_pair(struct mesh_words *words, const char *name, const char *value)
{
        add(words, name);
        add(words, value);
}

/* A value that is made for this call: it lives in slot `at`. */
__attribute__((format(printf, 4, 5))) static void add_made(struct mesh_words *words, const char *name,
                                                           size_t at, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(words->text[at], sizeof words->text[at], format, arguments);
        va_end(arguments);
        add_pair(words, name, words->text[at]);
}

void mesh_process_dir(const struct mesh *mesh, size_t index, char *ret_dir, size_t room)
{
        if (mesh->kind == MESH_PRIVATE)
                snprintf(ret_dir, room, "%s/%s", mesh->dir, mesh->processes[index].name);
        else
                snprintf(ret_dir, room, "%s", mesh->home);
}

static unsigned long long heartbeat_for(const struct mesh *mesh)
{
        unsigned long long fifth = strtoull(mesh->lease_ms, NULL, 10) / 5;

        return fifth < 2000 ? fifth : 2000;
}

static void broker_words(const struct mesh *mesh, struct mesh_words *words)
{
        static const char *const ports[] = {"--port-cmd", "--port-node", "--port-data", "--port-events"};

        add_pair(words, "--run", mesh->run);
        if (mesh->listen[0] != '\0') {
                add_pair(words, "--listen", mesh->listen);
                for (size_t i = 0; i < 4; i++)
                        add_made(words, ports[i], 1 + i, "%u", mesh->ports[i]);
        }
        if (mesh->lease_ms[0] != '\0') {
                add_pair(words, "--lease-ms", mesh->lease_ms);
                /* Peers speak several times in a lease. */
                add_made(words, "--heartbeat-ms", 5, "%llu", heartbeat_for(mesh));
        }
}

static void node_words(const struct mesh *mesh, size_t index, struct mesh_words *words)
{
        if (mesh->kind == MESH_NODE) {
                add_pair(words, "--name", mesh->node);
                add_pair(words, "--url", mesh->url);
                add_made(words, "--token-file", 1, "%s/node.token", mesh->home);
        } else {
                add_pair(words, "--name", mesh->processes[index].name);
                add_made(words, "--url", 1, "local:%s", mesh->run);
                add_pair(words, "--accounts", "self");
        }
        if (mesh->cpus[0] != '\0')
                add_pair(words, "--cpus", mesh->cpus);
}

void mesh_words_make(const struct mesh *mesh, size_t index, const char *program, bool ready,
                     struct mesh_words *ret_words)
{
        ret_words->count = 0;
        add(ret_words, program);
        mesh_process_dir(mesh, index, ret_words->text[0], sizeof ret_words->text[0]);
        add_pair(ret_words, "--dir", ret_words->text[0]);
        if (index == 0)
                broker_words(mesh, ret_words);
        else
                node_words(mesh, index, ret_words);
        if (ready)
                add_pair(ret_words, "--ready-fd", LAUNCH_READY_FD);
        ret_words->list[ret_words->count] = NULL;
}
