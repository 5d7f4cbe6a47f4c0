/* SPDX-License-Identifier: Apache-2.0 */
/* group.h - control groups of jobs: where they may be made, limits, killing all inside.
 * Layer: L4 (node/keeper), shared by the link (which makes them) and the keepers (which use them).
 * Source: cgroups(7), the kernel's cgroup-v2 document; RELIABILITY E15.
 *
 * A node's groups stand below one directory of its own, <its cgroup>/plexus.<name>, one per slot:
 * s<slot>. A slot's group is used again while it is empty. The ladder of ways to end all of a job,
 * the first that works here:
 *   cgroup2    v2 with cgroup.kill: one write ends all inside
 *   cgroup1    v1 freezer: freeze, kill each, thaw, until empty
 *   pidns      a process namespace for each job (namespace.h): the end of its first process ends all
 *   subreaper  none: the keeper kills its descendants until it has none; if the keeper itself died,
 *              processes are found by their environment (PLEXUS_JOB, PLEXUS_FENCE)
 * Limits come from v2 controllers that can be passed on to the slots' groups, else from v1 hierarchies
 * of memory and pids. */
#ifndef GROUP_H
#define GROUP_H

#include "px_base.h"

#define GROUP_PATH_BYTES 512
#define GROUP_PIDS_MAX 8192 /* processes and threads of one job */

enum group_mode {
        GROUP_CGROUP2 = 1,
        GROUP_CGROUP1,
        GROUP_PIDNS,
        GROUP_SUBREAPER,
};

struct group_tree {
        enum group_mode mode;
        char kill[GROUP_PATH_BYTES];   /* the node's directory; empty for subreaper */
        char memory[GROUP_PATH_BYTES]; /* v1 */
        char pids[GROUP_PATH_BYTES];   /* v1 */
        bool memory_v2;
        bool pids_v2;
};

/* Find out what may be used, from `best` of the ladder downwards, and make the node's directories.
 * `where`: NULL = find out; "none" = no control groups; else the v2 directory to work in. `name` tells
 * the node from others of the machine. */
void group_tree_open(struct group_tree *tree, enum group_mode best, const char *where,
                     const char *name);
/* Our own directory in v2 (NULL) or in the v1 hierarchy of a controller; false = there is none. */
bool group_own_directory(const char *controller, char ret_directory[GROUP_PATH_BYTES]);
/* Let the children of a v2 group use a controller, moving our own processes out of the group into a
 * leaf of it if need be. False = the group doesn't have it, or others live in the group. */
bool group_pass_on(const char *directory, const char *controller);
const char *group_mode_text(enum group_mode mode);
/* For people: the lowest rung says that it is one. */
const char *group_mode_words(enum group_mode mode);
bool group_mode_parse(const char *text, enum group_mode *ret_mode);
/* Which limits hold here, in words. */
void group_tree_enforces(const struct group_tree *tree, char *ret_text, size_t room);

/* Remove the node's directories and the groups in them, as far as nothing lives there. */
void group_tree_remove(const struct group_tree *tree);

struct job_group {
        char kill[GROUP_PATH_BYTES];
        char memory[GROUP_PATH_BYTES]; /* where memory is limited and measured, or empty */
        char pids[GROUP_PATH_BYTES];
};

/* Make the group of a slot, empty and with these limits (0 = none). A group that can't be used
 * comes back empty: the subreaper does without. Faults: -EBUSY something still lives in it. */
int group_make(const struct group_tree *tree, uint32_t slot, uint64_t memory_bytes,
               struct job_group *ret_group);

/* Kill all inside; returns true when nothing was left. Call again until it is true. */
bool group_kill(const char *mode, const char *directory);
/* Remove an empty group, with the groups its job may have made in it. Needed after group_kill(): the
 * kernel ends at once what is cloned into a v2 group that was killed before. */
void group_discard(const char *directory);
/* Whether nothing lives in it; a directory that isn't there is empty. */
bool group_empty(const char *directory);

/* Peak memory and kills for want of memory since the group was made. False = can't be told. */
bool group_memory_peak(const char *directory, uint64_t *ret_bytes);
uint64_t group_memory_kills(const char *directory);

/* Kill processes of this machine whose environment names job and fence, except the caller; returns
 * how many were found. For want of a group, when a keeper died. */
size_t group_kill_by_environment(const char *job, const char *fence);

#endif
