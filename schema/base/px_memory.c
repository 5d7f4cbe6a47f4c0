/* SPDX-License-Identifier: Apache-2.0 */
/* px_memory.c - heap memory that is there or ends the process. Layer: L0 (schema/base). */
#include "px_base.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define EXIT_STATUS_NO_MEMORY 71 /* EX_OSERR of sysexits.h */

/* _exit, not exit: handlers registered with atexit could allocate, or flush half a record. */
static _Noreturn void memory_exhausted(size_t bytes)
{
        fprintf(stderr, "out of memory: %zu bytes refused\n", bytes);
        fflush(stderr);
        _exit(EXIT_STATUS_NO_MEMORY);
}

void *px_alloc(size_t bytes)
{
        void *pointer;

        PX_ASSERT(bytes > 0);
        pointer = calloc(1, bytes);
        if (pointer == NULL)
                memory_exhausted(bytes);
        return pointer;
}

void *px_realloc(void *pointer, size_t bytes)
{
        void *moved;

        PX_ASSERT(bytes > 0);
        moved = realloc(pointer, bytes);
        if (moved == NULL)
                memory_exhausted(bytes);
        return moved;
}

void px_free(void *pointer)
{
        free(pointer);
}

char *px_strdup(const char *text)
{
        size_t bytes;
        char *copy;

        PX_ASSERT(text != NULL);
        bytes = strlen(text) + 1;
        copy = px_alloc(bytes);
        memcpy(copy, text, bytes);
        return copy;
}
