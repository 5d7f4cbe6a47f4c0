/* SPDX-License-Identifier: Apache-2.0 */
/* mesh.h - processes of ours on this machine: where they live, and who keeps them running.
 * Layer: L4 (client/cli).
 *
 * State file DIR/mesh: one line "KEY VALUE..." each:
 *   kind up|init|join       what is kept running: broker and nodes, the broker alone, one node alone
 *   home DIR                of the broker of `init`, the node of `join`; DIR/mesh stands in home/up then
 *   url URL, node NAME      of the node of `join`
 *   run RUNDIR              local sockets
 *   nodes N
 *   temp 1                  the directory goes when the mesh is taken down
 *   context NAME            of the user's contexts
 *   previous NAME           becomes current again when a temporary mesh goes
 *   cpus N                  each node offers
 *   listen HOST, lease MS   where given
 *   ports CMD NODE DATA EVENTS   that the broker took
 *   note NAME TEXT          why a process stays down
 *   process NAME PID START  supervisor, broker, node1, ...; START is the process's start time in clock
 *                           ticks after boot, so that a reused number is noticed
 * RUNDIR/mesh holds DIR in one line, so that `down` finds it by the context's URL. */
#ifndef CLI_MESH_H
#define CLI_MESH_H

#include <sys/types.h>

#include "command.h"

#define MESH_NODES_MAX 64
#define MESH_PATH_MAX 512

/* What a supervisor keeps running. */
enum mesh_kind {
        MESH_PRIVATE = 0, /* `up`: a broker and nodes, over local sockets */
        MESH_BROKER,      /* `init`: the broker */
        MESH_NODE,        /* `join`: one node, over TCP */
};

struct mesh_process {
        char name[32]; /* "broker", "node1", ...; "node" of `join` */
        pid_t pid;     /* 0 = not running */
        uint64_t start;
        char note[128]; /* why it stays down; empty = it doesn't */
        int pid_fd;    /* -1 = none; supervisor only */
        int64_t restarts_ms[5]; /* when it was restarted, newest first; supervisor only */
};

struct mesh {
        enum mesh_kind kind;
        char dir[MESH_PATH_MAX];
        char home[MESH_PATH_MAX]; /* of the broker or node itself; empty with `up` */
        char url[512];            /* the broker of `join` */
        char node[65];            /* name of the node of `join` */
        char run[MESH_PATH_MAX];
        char context[64];
        char previous[64];  /* the context that was current before a temporary mesh */
        char listen[256];   /* host for TCP; empty = local sockets only */
        unsigned ports[4];  /* cmd, node, data, events with `listen`: free ones, kept over restarts */
        char cpus[16];      /* of each node; empty = the machine's, shared */
        char lease_ms[24];  /* empty = the default */
        size_t nodes_count;
        bool temp;
        pid_t supervisor;
        uint64_t supervisor_start;
        struct mesh_process processes[1 + MESH_NODES_MAX]; /* broker, then nodes */
};

/* Default directory: $XDG_STATE_HOME/plexus/up or ~/.local/state/plexus/up. false = no home. */
bool mesh_default_dir(char *ret_dir, size_t room);
/* Choose the directory of the sockets: DIR/run, or a short private one when that path is too long. */
int mesh_choose_run(struct mesh *mesh);
/* Name the broker and the nodes of nodes_count. */
void mesh_name_processes(struct mesh *mesh);
/* Index of the first process: a node of `join` has no broker beside it. */
size_t mesh_first(const struct mesh *mesh);
int mesh_load(const char *dir, struct mesh *ret_mesh); /* 0, or -ENOENT, -EIO */
/* Load the one of DIR, or the one that `init` or `join` made in DIR/up. */
int mesh_load_any(const char *dir, struct mesh *ret_mesh);
/* The directory whose mesh has its sockets in `run`; ret_dir stays as it is when that isn't known. */
void mesh_dir_of_run(const char *run, char *ret_dir, size_t room);
int mesh_save(const struct mesh *mesh);

/* Is this process alive, and still the same? */
bool mesh_process_alive(pid_t pid, uint64_t start);
uint64_t mesh_process_start(pid_t pid); /* 0 = there is none */

/* Supervise until SIGTERM or SIGINT: start what isn't running (or adopt what is), restart what dies, at
 * most five times in a minute. Writes one line to ready_fd when all is up, or why not. Returns an exit
 * code. log_fd takes what the processes print. */
int mesh_supervise(struct mesh *mesh, int ready_fd, int log_fd);

/* The command line of a process. */
struct mesh_words {
        const char *list[32]; /* up to NULL */
        size_t count;
        char text[6][MESH_PATH_MAX + 64]; /* what list points to */
};
/* Make the words that start process `index`; list[0] is `program`, with --ready-fd when `ready`. */
void mesh_words_make(const struct mesh *mesh, size_t index, const char *program, bool ready,
                     struct mesh_words *ret_words);
/* Its directory, which must be there before it starts. */
void mesh_process_dir(const struct mesh *mesh, size_t index, char *ret_dir, size_t room);

/* Path of a program of ours: $PLEXUS_LIBEXEC, libexec, or the build folder. false = not found. */
bool program_find(const char *name, char *ret_path, size_t room);

#endif
