/* SPDX-License-Identifier: Apache-2.0 */
/* remove_tree.h - remove a directory of ours with all it holds. Layer: L4 (client/cli). */
#ifndef CLI_REMOVE_TREE_H
#define CLI_REMOVE_TREE_H

/* Symbolic links are removed, never followed; other file systems are left alone. */
void remove_tree(const char *path);

#endif
