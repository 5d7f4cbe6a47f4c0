/* SPDX-License-Identifier: Apache-2.0 */
/* row_tree.h - rows in RAM, ordered by (table, key). Layer: L3 (broker/store).
 * A treap: a search tree by key that is a heap by a hash of the key, so that its shape depends only
 * on what it holds. Owns copies of keys and values. */
#ifndef PX_ROW_TREE_H
#define PX_ROW_TREE_H

#include "px_base.h"

struct row_tree_node;

struct row_tree {
        struct row_tree_node *root; /* {0} is empty */
        size_t count;
};

/* A row as the tree holds it; borrowed until the row is put, deleted or the tree freed. */
struct row_tree_row {
        uint8_t table;
        struct px_slice key;
        struct px_slice value;
};

void row_tree_fini(struct row_tree *tree);
void row_tree_put(struct row_tree *tree, uint8_t table, struct px_slice key, struct px_slice value);
void row_tree_delete(struct row_tree *tree, uint8_t table, struct px_slice key); /* if present */
bool row_tree_find(const struct row_tree *tree, uint8_t table, struct px_slice key,
                   struct row_tree_row *ret_row);
/* The first row at or after (table, key); false at the end. `beyond`: strictly after. */
bool row_tree_after(const struct row_tree *tree, uint8_t table, struct px_slice key, bool beyond,
                    struct row_tree_row *ret_row);
/* The last row at or before (table, key). `beyond`: strictly before. */
bool row_tree_before(const struct row_tree *tree, uint8_t table, struct px_slice key, bool beyond,
                     struct row_tree_row *ret_row);

#endif
