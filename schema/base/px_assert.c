/* SPDX-License-Identifier: Apache-2.0 */
/* px_assert.c - the end of a process that met a bug. Layer: L0 (schema/base). */
#include "px_base.h"

#include <stdio.h>
#include <stdlib.h>

void (*px_assert_hook)(void) = NULL;

_Noreturn void px_assert_failed(const char *expression, const char *file, int line)
{
        static bool hook_ran = false;

        fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
        fflush(stderr);
        /* An assertion that fails inside the hook comes here again: it must not loop. */
        if (!hook_ran && px_assert_hook != NULL) {
                hook_ran = true;
                px_assert_hook();
        }
        abort();
}
