/* SPDX-License-Identifier: Apache-2.0 */
/* test_base_hash.c - the 64-bit hash against SipHash-1-3 as Python 3.11 computes it
 * (PYTHONHASHSEED=0, hash(b"..."), as unsigned); stored hashes depend on these numbers. */
#include "test.h"

TEST(hash64_with_seed_0_gives_the_numbers_python_gives)
{
        uint8_t bytes[256];

        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (uint8_t)i;
        EXPECT_U64(px_hash64(0, "a", 1), 0x407448D2B89B1813);
        EXPECT_U64(px_hash64(0, "hello", 5), 0xE2E77B41CB4E1F9E);
        EXPECT_U64(px_hash64(0, "0123456789abcdef", 16), 0x1D42B30F7E060C24);
        EXPECT_U64(px_hash64(0, bytes, 7), 0x2F098AB0C751325A);
        EXPECT_U64(px_hash64(0, bytes, 8), 0xEAD411E67EBE2EEA);
        EXPECT_U64(px_hash64(0, bytes, 63), 0x385D3E39E5F37359);
        EXPECT_U64(px_hash64(0, bytes, 256), 0x31AE646AFBA70308);
}

TEST(hash64_depends_on_seed_length_and_every_bit)
{
        uint8_t bytes[24] = {0};
        uint64_t plain = px_hash64(0, bytes, sizeof(bytes));

        EXPECT(px_hash64(1, bytes, sizeof(bytes)) != plain);
        EXPECT(px_hash64(0, bytes, sizeof(bytes) - 1) != plain);
        for (size_t bit = 0; bit < sizeof(bytes) * 8; bit++) {
                bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
                EXPECT(px_hash64(0, bytes, sizeof(bytes)) != plain);
                bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
}
