/* SPDX-License-Identifier: Apache-2.0 */
/* px_bytes.c - big-endian integers. Layer: L0 (schema/base). */
#include "px_base.h"

void px_put_be16(uint8_t *at, uint16_t value)
{
        at[0] = (uint8_t)(value >> 8);
        at[1] = (uint8_t)value;
}

void px_put_be32(uint8_t *at, uint32_t value)
{
        px_put_be16(at, (uint16_t)(value >> 16));
        px_put_be16(at + 2, (uint16_t)value);
}

void px_put_be64(uint8_t *at, uint64_t value)
{
        px_put_be32(at, (uint32_t)(value >> 32));
        px_put_be32(at + 4, (uint32_t)value);
}

uint16_t px_get_be16(const uint8_t *at)
{
        return (uint16_t)(at[0] << 8 | at[1]);
}

uint32_t px_get_be32(const uint8_t *at)
{
        return (uint32_t)px_get_be16(at) << 16 | px_get_be16(at + 2);
}

uint64_t px_get_be64(const uint8_t *at)
{
        return (uint64_t)px_get_be32(at) << 32 | px_get_be32(at + 4);
}
