/* SPDX-License-Identifier: Apache-2.0 */
/* group_inside.h - small files of control groups. Layer: L4 (node/keeper), private to group.c and
 * group_tree.c. */
#ifndef GROUP_INSIDE_H
#define GROUP_INSIDE_H

#include "group.h"

/* Faults: -errno. */
int group_file_write(const char *directory, const char *name, const char *text);
/* Read at most room - 1 bytes; false when it isn't there. */
bool group_file_read(const char *directory, const char *name, char *ret_text, size_t room);
/* False, and nothing is given, when files in it would have names that are too long. */
bool group_path_join(const char *parent, const char *name, char ret_path[GROUP_PATH_BYTES]);
/* Make it, or find it made; false when it can't be written. */
bool group_directory_make(const char *parent, const char *name, char ret_path[GROUP_PATH_BYTES]);

#endif
