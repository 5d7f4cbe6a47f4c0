/* SPDX-License-Identifier: Apache-2.0 */
/* row_tree.c - the treap behind row_tree.h. Layer: L3 (broker/store).
 * Source: Seidel and Aragon, Randomized Search Trees (1996). */
#include "row_tree.h"

struct row_tree_node {
        struct row_tree_node *left;
        struct row_tree_node *right;
        uint64_t rank; /* a parent's is never smaller than its children's */
        uint8_t *value;
        uint32_t value_length;
        uint16_t key_length;
        uint8_t table;
        uint8_t key[];
};

static struct px_slice node_key(const struct row_tree_node *node)
{
        return px_slice_of(node->key, node->key_length);
}

static int node_compare(uint8_t table, struct px_slice key, const struct row_tree_node *node)
{
        if (table != node->table)
                return table < node->table ? -1 : 1;
        return px_slice_compare(key, node_key(node));
}

static void node_fill(struct row_tree_node *node, struct px_slice value)
{
        px_free(node->value);
        node->value = NULL;
        node->value_length = (uint32_t)value.length;
        if (value.length > 0) {
                node->value = px_alloc(value.length);
                memcpy(node->value, value.data, value.length);
        }
}

static struct row_tree_node *node_new(uint8_t table, struct px_slice key, struct px_slice value)
{
        struct row_tree_node *node = px_alloc(sizeof(*node) + key.length);

        node->rank = px_hash64(table, key.data, key.length);
        node->table = table;
        node->key_length = (uint16_t)key.length;
        memcpy(node->key, key.data, key.length);
        node_fill(node, value);
        return node;
}

static void node_free(struct row_tree_node *node)
{
        px_free(node->value);
        px_free(node);
}

/* Cut `tree` into the rows before (table, key) and those after it; the row itself is absent. */
static void node_split(struct row_tree_node *tree, uint8_t table, struct px_slice key,
                       struct row_tree_node **ret_before, struct row_tree_node **ret_after)
{
        while (tree != NULL) {
                if (node_compare(table, key, tree) < 0) {
                        *ret_after = tree;
                        ret_after = &tree->left;
                        tree = tree->left;
                } else {
                        *ret_before = tree;
                        ret_before = &tree->right;
                        tree = tree->right;
                }
        }
        *ret_before = NULL;
        *ret_after = NULL;
}

/* Join two trees, every row of `before` standing before every row of `after`. */
static struct row_tree_node *node_join(struct row_tree_node *before, struct row_tree_node *after)
{
        struct row_tree_node *root = NULL;
        struct row_tree_node **at = &root;

        while (before != NULL && after != NULL) {
                if (before->rank >= after->rank) {
                        *at = before;
                        at = &before->right;
                        before = before->right;
                } else {
                        *at = after;
                        at = &after->left;
                        after = after->left;
                }
        }
        *at = before != NULL ? before : after;
        return root;
}

void row_tree_fini(struct row_tree *tree)
{
        struct row_tree_node *node = tree->root;

        /* Turn left children up until there are none: no recursion, no stack. */
        while (node != NULL) {
                struct row_tree_node *next = node->left;

                if (next != NULL) {
                        node->left = next->right;
                        next->right = node;
                } else {
                        next = node->right;
                        node_free(node);
                }
                node = next;
        }
        *tree = (struct row_tree){0};
}

static struct row_tree_node **tree_place(struct row_tree *tree, uint8_t table, struct px_slice key)
{
        struct row_tree_node **at = &tree->root;

        while (*at != NULL) {
                int order = node_compare(table, key, *at);

                if (order == 0)
                        break;
                at = order < 0 ? &(*at)->left : &(*at)->right;
        }
        return at;
}

void row_tree_put(struct row_tree *tree, uint8_t table, struct px_slice key, struct px_slice value)
{
        struct row_tree_node **at = tree_place(tree, table, key);
        struct row_tree_node *node;

        PX_ASSERT(key.length > 0);
        if (*at != NULL) {
                node_fill(*at, value);
                return;
        }
        node = node_new(table, key, value);
        at = &tree->root;
        while (*at != NULL && (*at)->rank >= node->rank)
                at = node_compare(table, key, *at) < 0 ? &(*at)->left : &(*at)->right;
        node_split(*at, table, key, &node->left, &node->right);
        *at = node;
        tree->count++;
}

void row_tree_delete(struct row_tree *tree, uint8_t table, struct px_slice key)
{
        struct row_tree_node **at = tree_place(tree, table, key);
        struct row_tree_node *node = *at;

        if (node == NULL)
                return;
        PX_ASSERT(tree->count > 0);
        *at = node_join(node->left, node->right);
        tree->count--;
        node_free(node);
}

static bool node_show(const struct row_tree_node *node, struct row_tree_row *ret_row)
{
        if (node == NULL)
                return false;
        ret_row->table = node->table;
        ret_row->key = node_key(node);
        ret_row->value = px_slice_of(node->value, node->value_length);
        return true;
}

bool row_tree_find(const struct row_tree *tree, uint8_t table, struct px_slice key,
                   struct row_tree_row *ret_row)
{
        const struct row_tree_node *node = tree->root;

        while (node != NULL) {
                int order = node_compare(table, key, node);

                if (order == 0)
                        break;
                node = order < 0 ? node->left : node->right;
        }
        return node_show(node, ret_row);
}

bool row_tree_after(const struct row_tree *tree, uint8_t table, struct px_slice key, bool beyond,
                    struct row_tree_row *ret_row)
{
        const struct row_tree_node *node = tree->root;
        const struct row_tree_node *found = NULL;

        while (node != NULL) {
                int order = node_compare(table, key, node);

                if (order < 0 || (order == 0 && !beyond)) {
                        found = node;
                        node = node->left;
                } else {
                        node = node->right;
                }
        }
        return node_show(found, ret_row);
}

bool row_tree_before(const struct row_tree *tree, uint8_t table, struct px_slice key, bool beyond,
                     struct row_tree_row *ret_row)
{
        const struct row_tree_node *node = tree->root;
        const struct row_tree_node *found = NULL;

        while (node != NULL) {
                int order = node_compare(table, key, node);

                if (order > 0 || (order == 0 && !beyond)) {
                        found = node;
                        node = node->right;
                } else {
                        node = node->left;
                }
        }
        return node_show(found, ret_row);
}
