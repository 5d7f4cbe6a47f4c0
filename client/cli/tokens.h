/* SPDX-License-Identifier: Apache-2.0 */
/* tokens.h - names of tokens that nobody named. Layer: L4 (client/cli). */
#ifndef CLI_TOKENS_H
#define CLI_TOKENS_H

#include <stddef.h>

/* "WORD-3f9a1c": names must differ, also from those of earlier tokens. Shape: at most 48 bytes. */
void token_name_make(const char *word, char *ret_name, size_t room);

#endif
