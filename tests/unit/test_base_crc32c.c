/* SPDX-License-Identifier: Apache-2.0 */
/* test_base_crc32c.c - CRC-32C against the vectors of RFC 3720 appendix B.4, both ways. */
#include "test.h"
#include "px_crc32c.h"

typedef uint32_t crc_function(uint32_t crc, const void *data, size_t length);

static void expect_rfc_vectors(crc_function *crc32c)
{
        uint8_t bytes[32];

        memset(bytes, 0, sizeof(bytes));
        EXPECT_U64(crc32c(0, bytes, sizeof(bytes)), 0x8A9136AA);
        memset(bytes, 0xFF, sizeof(bytes));
        EXPECT_U64(crc32c(0, bytes, sizeof(bytes)), 0x62A8AB43);
        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (uint8_t)i;
        EXPECT_U64(crc32c(0, bytes, sizeof(bytes)), 0x46DD794E);
        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (uint8_t)(31 - i);
        EXPECT_U64(crc32c(0, bytes, sizeof(bytes)), 0x113FDB5C);
        EXPECT_U64(crc32c(0, "123456789", 9), 0xE3069283);
        EXPECT_U64(crc32c(0, NULL, 0), 0);
}

TEST(crc32c_gives_the_vectors_of_the_rfc)
{
        expect_rfc_vectors(px_crc32c);
}

TEST(crc32c_by_tables_gives_the_vectors_of_the_rfc)
{
        expect_rfc_vectors(px_crc32c_tables);
}

TEST(crc32c_is_the_same_by_any_way_at_any_length_and_alignment)
{
        uint8_t bytes[128];
        struct px_rand rand;

        px_rand_init(&rand, 3);
        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (uint8_t)px_rand_u64(&rand);
        for (size_t start = 0; start < 16; start++)
                for (size_t length = 0; start + length <= sizeof(bytes); length++)
                        EXPECT_U64(px_crc32c(0, bytes + start, length),
                                   px_crc32c_tables(0, bytes + start, length));
}

TEST(crc32c_continues_where_it_was_cut)
{
        uint8_t bytes[100];
        uint32_t whole;

        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (uint8_t)(i * 31);
        whole = px_crc32c(0, bytes, sizeof(bytes));
        for (size_t cut = 0; cut <= sizeof(bytes); cut++) {
                uint32_t first = px_crc32c(0, bytes, cut);

                EXPECT_U64(px_crc32c(first, bytes + cut, sizeof(bytes) - cut), whole);
        }
}
