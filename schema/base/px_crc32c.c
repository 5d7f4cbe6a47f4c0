/* SPDX-License-Identifier: Apache-2.0 */
/* px_crc32c.c - CRC-32C by the processor's instruction where it has one, else by tables.
 * Layer: L0 (schema/base). Source: RFC 3720 appendix B.4 (polynomial 0x1EDC6F41, reflected,
 * initial and final value inverted); slicing by 8: Kounavis and Berry, 2005. */
#include "px_crc32c.h"

#define CRC32C_POLYNOMIAL_REFLECTED 0x82F63B78u

/* crc_tables[k][b]: the checksum of byte b followed by k zero bytes. */
static uint32_t crc_tables[8][256];
static bool has_instruction;

/* Before main(), so that threads only ever read the tables. */
__attribute__((constructor)) static void crc_tables_init(void)
{
        for (uint32_t byte = 0; byte < 256; byte++) {
                uint32_t crc = byte;

                for (int bit = 0; bit < 8; bit++)
                        crc = crc >> 1 ^ (crc & 1 ? CRC32C_POLYNOMIAL_REFLECTED : 0);
                crc_tables[0][byte] = crc;
        }
        for (size_t k = 1; k < 8; k++)
                for (size_t byte = 0; byte < 256; byte++) {
                        uint32_t crc = crc_tables[k - 1][byte];

                        crc_tables[k][byte] = crc >> 8 ^ crc_tables[0][crc & 0xFF];
                }
#if defined(__x86_64__)
        __builtin_cpu_init();
        has_instruction = __builtin_cpu_supports("sse4.2") != 0;
#endif
}

static uint32_t crc_byte(uint32_t crc, uint8_t byte)
{
        return crc >> 8 ^ crc_tables[0][(crc ^ byte) & 0xFF];
}

static uint32_t load_le32(const uint8_t *at)
{
        return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
               (uint32_t)at[3] << 24;
}

uint32_t px_crc32c_tables(uint32_t crc, const void *data, size_t length)
{
        const uint8_t *at = data;

        crc = ~crc;
        for (; length >= 8; length -= 8, at += 8) {
                uint32_t low = crc ^ load_le32(at);
                uint32_t high = load_le32(at + 4);

                crc = crc_tables[7][low & 0xFF] ^ crc_tables[6][low >> 8 & 0xFF] ^
                      crc_tables[5][low >> 16 & 0xFF] ^ crc_tables[4][low >> 24] ^
                      crc_tables[3][high & 0xFF] ^ crc_tables[2][high >> 8 & 0xFF] ^
                      crc_tables[1][high >> 16 & 0xFF] ^ crc_tables[0][high >> 24];
        }
        for (; length > 0; length--, at++)
                crc = crc_byte(crc, *at);
        return ~crc;
}

bool px_crc32c_has_instruction(void)
{
        return has_instruction;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t px_crc32c_instruction(uint32_t crc, const void *data,
                                                                 size_t length)
{
        const uint8_t *at = data;
        uint64_t wide = ~crc;

        PX_ASSERT(has_instruction);
        for (; length >= 8; length -= 8, at += 8) {
                uint64_t word;

                memcpy(&word, at, sizeof(word));
                wide = __builtin_ia32_crc32di(wide, word);
        }
        crc = (uint32_t)wide;
        for (; length > 0; length--, at++)
                crc = __builtin_ia32_crc32qi(crc, *at);
        return ~crc;
}
#else
uint32_t px_crc32c_instruction(uint32_t crc, const void *data, size_t length)
{
        (void)crc;
        (void)data;
        (void)length;
        PX_UNREACHABLE();
}
#endif

uint32_t px_crc32c(uint32_t crc, const void *data, size_t length)
{
        PX_ASSERT(data != NULL || length == 0);
        if (has_instruction)
                return px_crc32c_instruction(crc, data, length);
        return px_crc32c_tables(crc, data, length);
}
