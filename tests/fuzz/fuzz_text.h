/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_text.h - for targets that read text: a terminated copy, and silence on standard error. */
#ifndef FUZZ_TEXT_H
#define FUZZ_TEXT_H

#include <stdio.h>
#include <stdlib.h>

#include "px_base.h"

/* A copy that ends in NUL, in memory of exactly that size. Owns: free(). */
static inline char *fuzz_text(const uint8_t *data, size_t length)
{
        char *text = malloc(length + 1);

        PX_ASSERT(text != NULL);
        if (length > 0)
                memcpy(text, data, length);
        text[length] = '\0';
        return text;
}

/* What a program says of wrong words is not looked at. The sanitizers write to the descriptor. */
static inline void fuzz_hush(void)
{
        static FILE *nothing;

        if (nothing == NULL) {
                nothing = fopen("/dev/null", "we");
                PX_ASSERT(nothing != NULL);
                stderr = nothing;
        }
}

#endif
