/* SPDX-License-Identifier: Apache-2.0 */
/* px_crc32c.h - the two ways to compute CRC-32C, for the tests that compare them.
 * Layer: L0 (schema/base). Others call px_crc32c(), which picks the faster one. */
#ifndef PX_CRC32C_H
#define PX_CRC32C_H

#include "px_base.h"

/* Slicing by 8: eight table look-ups for eight bytes. Runs anywhere. */
uint32_t px_crc32c_tables(uint32_t crc, const void *data, size_t length);

/* The processor's instruction; call it only if px_crc32c_has_instruction(). */
uint32_t px_crc32c_instruction(uint32_t crc, const void *data, size_t length);
bool px_crc32c_has_instruction(void);

#endif
