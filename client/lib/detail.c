/* SPDX-License-Identifier: Apache-2.0 */
/* detail.c - the words of the last refusal, one set a thread. Layer: L4 (client/lib). */
#include "lib_detail.h"

#include "px_base.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char words[DETAIL_ROOM];

int detail_refuse(int code, const char *format, ...)
{
        char text[DETAIL_ROOM]; /* an argument may be the old words */
        va_list arguments;

        PX_ASSERT(code > 0);
        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        memcpy(words, text, sizeof(text));
        return code;
}

void detail_clear(void)
{
        words[0] = '\0';
}

const char *detail_text(void)
{
        return words;
}
