/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_tree.c - the ordered tree of rows against a plain array as its model. */
#include "row_tree.h"
#include "rows.h"
#include "test.h"

#define KEYS 64
#define STEPS 20000

struct model {
        bool present[KEYS];
        uint64_t value[KEYS];
        size_t count;
};

static void tree_free(void *tree)
{
        row_tree_fini(tree);
}

static void expect_row(struct model *model, bool found, const struct row_tree_row *row, int wanted)
{
        EXPECT_INT(found, wanted >= 0 && wanted < KEYS);
        if (found) {
                EXPECT_U64(px_get_be64(row->key.data), (uint64_t)wanted);
                EXPECT_INT(row->value.length, 8);
                EXPECT_U64(px_get_be64(row->value.data), model->value[wanted]);
        }
}

static void expect_neighbours(struct row_tree *tree, struct model *model, int at)
{
        struct row_key key = row_key_u64((uint64_t)at);
        struct row_tree_row row;
        int after = at, before = at, later, earlier;

        while (after < KEYS && !model->present[after])
                after++;
        while (before >= 0 && !model->present[before])
                before--;
        for (later = at + 1; later < KEYS && !model->present[later];)
                later++;
        for (earlier = at - 1; earlier >= 0 && !model->present[earlier];)
                earlier--;
        expect_row(model, row_tree_after(tree, 1, row_key_slice(&key), false, &row), &row, after);
        expect_row(model, row_tree_after(tree, 1, row_key_slice(&key), true, &row), &row, later);
        expect_row(model, row_tree_before(tree, 1, row_key_slice(&key), false, &row), &row, before);
        expect_row(model, row_tree_before(tree, 1, row_key_slice(&key), true, &row), &row, earlier);
        EXPECT_INT(row_tree_find(tree, 1, row_key_slice(&key), &row), model->present[at]);
}

TEST(a_tree_of_rows_agrees_with_an_array)
{
        static struct row_tree tree;
        struct model model = {0};
        struct px_rand rand;
        uint8_t value[8];

        test_cleanup(tree_free, &tree);
        px_rand_init(&rand, 42);
        for (int step = 0; step < STEPS; step++) {
                int at = (int)px_rand_below(&rand, KEYS);
                struct row_key key = row_key_u64((uint64_t)at);

                if (px_rand_chance(&rand, 500)) {
                        px_put_be64(value, (uint64_t)step);
                        row_tree_put(&tree, 1, row_key_slice(&key), px_slice_of(value, 8));
                        model.count += !model.present[at];
                        model.present[at] = true;
                        model.value[at] = (uint64_t)step;
                } else {
                        row_tree_delete(&tree, 1, row_key_slice(&key));
                        model.count -= model.present[at];
                        model.present[at] = false;
                }
                EXPECT_INT(tree.count, model.count);
                expect_neighbours(&tree, &model, (int)px_rand_below(&rand, KEYS));
        }
}
