/* SPDX-License-Identifier: Apache-2.0 */
/* px_hash.c - the 64-bit hash: SipHash-1-3, key (seed, seed rotated by 32 bits).
 * Layer: L0 (schema/base). Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF",
 * 2012, with one round per word and three at the end. With seed 0 the key is 16 zero bytes, as
 * in Python with PYTHONHASHSEED=0: hash(b"...") there gives the same numbers (as signed). */
#include "px_base.h"

#define HASH_ROUNDS_AT_END 3

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
        return value << bits | value >> (64 - bits);
}

static void hash_round(uint64_t v[4])
{
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate_left(v[1], 13) ^ v[0];
        v[3] = rotate_left(v[3], 16) ^ v[2];
        v[0] = rotate_left(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate_left(v[1], 17) ^ v[2];
        v[3] = rotate_left(v[3], 21) ^ v[0];
        v[2] = rotate_left(v[2], 32);
}

static void hash_word(uint64_t v[4], uint64_t word)
{
        v[3] ^= word;
        hash_round(v);
        v[0] ^= word;
}

/* Up to 8 bytes, little endian, on every machine alike. */
static uint64_t load_le(const uint8_t *at, size_t bytes)
{
        uint64_t word = 0;

        for (size_t i = 0; i < bytes; i++)
                word |= (uint64_t)at[i] << (8 * i);
        return word;
}

uint64_t px_hash64(uint64_t seed, const void *data, size_t length)
{
        const uint8_t *at = data;
        uint64_t second = rotate_left(seed, 32);
        uint64_t v[4] = {
                seed ^ 0x736f6d6570736575u,
                second ^ 0x646f72616e646f6du,
                seed ^ 0x6c7967656e657261u,
                second ^ 0x7465646279746573u,
        };
        size_t left;

        PX_ASSERT(data != NULL || length == 0);
        for (left = length; left >= 8; left -= 8, at += 8)
                hash_word(v, load_le(at, 8));
        hash_word(v, load_le(at, left) | (uint64_t)length << 56);
        v[2] ^= 0xFF;
        for (int i = 0; i < HASH_ROUNDS_AT_END; i++)
                hash_round(v);
        return v[0] ^ v[1] ^ v[2] ^ v[3];
}
