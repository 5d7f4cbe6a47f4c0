/* SPDX-License-Identifier: Apache-2.0 */
/* test_base_map.c - the map of schema/base, also against a model too simple to be wrong. */
#include "test.h"

#define MODEL_KEYS 512

static int things[MODEL_KEYS];

static void map_end(void *context)
{
        px_map_fini(context);
        px_free(context);
}

static struct px_map *new_map_of_test(void)
{
        struct px_map *map = px_alloc(sizeof(*map));

        test_cleanup(map_end, map);
        return map;
}

TEST(an_empty_map_finds_and_gives_nothing)
{
        struct px_map *map = new_map_of_test();
        size_t cursor = 0;
        uint64_t key;
        void *value;

        EXPECT(px_map_find(map, 0) == NULL);
        EXPECT(px_map_take(map, 7) == NULL);
        EXPECT(!px_map_next(map, &cursor, &key, &value));
}

TEST(a_map_holds_the_extreme_keys)
{
        struct px_map *map = new_map_of_test();

        px_map_put(map, 0, &things[0]);
        px_map_put(map, UINT64_MAX, &things[1]);
        EXPECT(px_map_find(map, 0) == &things[0]);
        EXPECT(px_map_find(map, UINT64_MAX) == &things[1]);
        EXPECT_U64(map->count, 2);
}

TEST(a_second_put_replaces_the_value)
{
        struct px_map *map = new_map_of_test();

        px_map_put(map, 5, &things[0]);
        px_map_put(map, 5, &things[1]);
        EXPECT_U64(map->count, 1);
        EXPECT(px_map_take(map, 5) == &things[1]);
        EXPECT(px_map_take(map, 5) == NULL);
        EXPECT_U64(map->count, 0);
}

TEST(a_map_refuses_null_as_a_value)
{
        struct px_map *map = new_map_of_test();

        EXPECT_ABORT(px_map_put(map, 1, NULL));
}

TEST(a_map_that_churns_does_not_grow)
{
        struct px_map *map = new_map_of_test();

        for (uint64_t key = 0; key < 100000; key++) {
                px_map_put(map, key, &things[0]);
                if (key >= 8)
                        EXPECT(px_map_take(map, key - 8) == &things[0]);
        }
        EXPECT_U64(map->count, 8);
        EXPECT(map->capacity <= 64);
}

TEST(the_walked_key_may_be_taken_on_the_way)
{
        struct px_map *map = new_map_of_test();
        size_t cursor = 0;
        uint64_t key;
        uint64_t sum = 0;
        void *value;

        for (uint64_t i = 1; i <= 100; i++)
                px_map_put(map, i, &things[i]);
        while (px_map_next(map, &cursor, &key, &value)) {
                EXPECT(value == &things[key]);
                EXPECT(px_map_take(map, key) == value);
                sum += key;
        }
        EXPECT_U64(sum, 5050);
        EXPECT_U64(map->count, 0);
}

TEST(two_maps_with_the_same_calls_walk_alike)
{
        struct px_map *a = new_map_of_test();
        struct px_map *b = new_map_of_test();
        size_t cursors[2] = {0, 0};
        uint64_t keys[2];
        void *values[2];

        for (uint64_t i = 0; i < 300; i++) {
                px_map_put(a, i * i, &things[i]);
                px_map_put(b, i * i, &things[i]);
        }
        for (size_t i = 0; i < 300; i++) {
                EXPECT(px_map_next(a, &cursors[0], &keys[0], &values[0]));
                EXPECT(px_map_next(b, &cursors[1], &keys[1], &values[1]));
                EXPECT_U64(keys[0], keys[1]);
        }
        EXPECT(!px_map_next(a, &cursors[0], &keys[0], &values[0]));
}

static void expect_walk_equals_model(const struct px_map *map, void *const *model)
{
        bool seen[MODEL_KEYS] = {false};
        size_t walked = 0;
        size_t held = 0;
        size_t cursor = 0;
        uint64_t key;
        void *value;

        while (px_map_next(map, &cursor, &key, &value)) {
                EXPECT(key < MODEL_KEYS && !seen[key]);
                EXPECT(model[key] == value);
                seen[key] = true;
                walked++;
        }
        for (size_t i = 0; i < MODEL_KEYS; i++)
                held += model[i] != NULL;
        EXPECT_U64(walked, held);
        EXPECT_U64(map->count, held);
}

static void compare_with_model(uint64_t seed)
{
        struct px_map *map = new_map_of_test();
        void *model[MODEL_KEYS] = {NULL};
        struct px_rand rand;
        uint32_t put_permille;

        px_rand_init(&rand, seed);
        put_permille = (uint32_t)px_rand_below(&rand, 1001);
        for (size_t step = 0; step < 4000; step++) {
                uint64_t key = px_rand_below(&rand, MODEL_KEYS);

                if (px_rand_chance(&rand, put_permille)) {
                        model[key] = &things[px_rand_below(&rand, MODEL_KEYS)];
                        px_map_put(map, key, model[key]);
                } else {
                        EXPECT(px_map_take(map, key) == model[key]);
                        model[key] = NULL;
                }
                key = px_rand_below(&rand, MODEL_KEYS);
                EXPECT(px_map_find(map, key) == model[key]);
                if (step % 500 == 0)
                        expect_walk_equals_model(map, model);
        }
        expect_walk_equals_model(map, model);
}

TEST(a_map_does_what_an_array_would)
{
        for (uint64_t seed = 1; seed <= 100; seed++)
                compare_with_model(seed);
}
