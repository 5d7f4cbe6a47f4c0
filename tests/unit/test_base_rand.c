/* SPDX-License-Identifier: Apache-2.0 */
/* test_base_rand.c - the seeded generator: published numbers, bounds, evenness. */
#include "test.h"

TEST(rand_gives_the_published_numbers_of_xoshiro256_star_star)
{
        struct px_rand rand = {.state = {1, 2, 3, 4}};

        EXPECT_U64(px_rand_u64(&rand), 11520);
        EXPECT_U64(px_rand_u64(&rand), 0);
        EXPECT_U64(px_rand_u64(&rand), 1509978240);
        EXPECT_U64(px_rand_u64(&rand), 1215971899390074240);
}

TEST(rand_fills_its_state_by_splitmix64)
{
        struct px_rand rand;

        px_rand_init(&rand, 0);
        EXPECT_U64(rand.state[0], 0xE220A8397B1DCDAF);
        EXPECT_U64(px_rand_u64(&rand), 0x99EC5F36CB75F2B4);
}

TEST(rand_below_reaches_every_value_and_none_beyond)
{
        struct px_rand rand;
        size_t counts[7] = {0};

        px_rand_init(&rand, 42);
        for (size_t i = 0; i < 70000; i++) {
                uint64_t value = px_rand_below(&rand, PX_COUNT_OF(counts));

                EXPECT(value < PX_COUNT_OF(counts));
                counts[value]++;
        }
        for (size_t i = 0; i < PX_COUNT_OF(counts); i++)
                EXPECT(counts[i] > 9500 && counts[i] < 10500);
        EXPECT_U64(px_rand_below(&rand, 1), 0);
        EXPECT_ABORT(px_rand_below(&rand, 0));
}

TEST(rand_chance_is_never_at_0_and_always_at_1000)
{
        struct px_rand rand;

        px_rand_init(&rand, 1);
        for (size_t i = 0; i < 5000; i++) {
                EXPECT(!px_rand_chance(&rand, 0));
                EXPECT(px_rand_chance(&rand, 1000));
        }
}
