/* SPDX-License-Identifier: Apache-2.0 */
/* px_rand.c - seeded random numbers: xoshiro256**, its state filled by splitmix64.
 * Layer: L0 (schema/base). Source: Blackman and Vigna, "Scrambled linear pseudorandom number
 * generators", 2021; Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
 * 2014. */
#include "px_base.h"

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
        return value << bits | value >> (64 - bits);
}

static uint64_t splitmix(uint64_t *counter)
{
        uint64_t mixed = *counter += 0x9E3779B97F4A7C15u;

        mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9u;
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EBu;
        return mixed ^ mixed >> 31;
}

void px_rand_init(struct px_rand *rand, uint64_t seed)
{
        for (size_t i = 0; i < PX_COUNT_OF(rand->state); i++)
                rand->state[i] = splitmix(&seed);
}

uint64_t px_rand_u64(struct px_rand *rand)
{
        uint64_t *s = rand->state;
        uint64_t result = rotate_left(s[1] * 5, 7) * 9;
        uint64_t shifted = s[1] << 17;

        PX_ASSERT((s[0] | s[1] | s[2] | s[3]) != 0);
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = rotate_left(s[3], 45);
        return result;
}

uint64_t px_rand_below(struct px_rand *rand, uint64_t bound)
{
        uint64_t uneven;
        uint64_t value;

        PX_ASSERT(bound > 0);
        uneven = (0 - bound) % bound; /* 2^64 mod bound: values below it would be favoured */
        do
                value = px_rand_u64(rand);
        while (value < uneven);
        return value % bound;
}

bool px_rand_chance(struct px_rand *rand, uint32_t permille)
{
        return px_rand_below(rand, 1000) < permille;
}
