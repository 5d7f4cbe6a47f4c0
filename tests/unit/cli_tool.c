/* SPDX-License-Identifier: Apache-2.0 */
/* cli_tool.c - see cli_tool.h. */
#include "cli_tool.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE **caught;
static FILE *before;
static FILE *memory;
static char *text;
static size_t length;
static char taken[1 << 18];

static void catch_stream(FILE **stream)
{
        PX_ASSERT(caught == NULL);
        memory = open_memstream(&text, &length);
        PX_ASSERT(memory != NULL);
        caught = stream;
        before = *stream;
        *stream = memory;
}

void cli_tool_catch_out(void)
{
        catch_stream(&stdout);
}

void cli_tool_catch_err(void)
{
        catch_stream(&stderr);
}

const char *cli_tool_take(void)
{
        PX_ASSERT(caught != NULL);
        fclose(memory);
        *caught = before;
        caught = NULL;
        PX_ASSERT(length < sizeof taken);
        memcpy(taken, text, length + 1);
        free(text);
        return taken;
}

int cli_tool_parse(struct cli *ret_cli, const char *word, ...)
{
        static char *argv[CLI_TOOL_WORDS_MAX + 2];
        static char name[] = "plexus";
        int argc = 0;
        va_list words;
        int code;

        argv[argc++] = name;
        va_start(words, word);
        for (; word != NULL; word = va_arg(words, const char *)) {
                PX_ASSERT(argc <= CLI_TOOL_WORDS_MAX);
                argv[argc++] = (char *)(uintptr_t)word;
        }
        va_end(words);
        argv[argc] = NULL;
        cli_tool_catch_err();
        code = cli_parse(argc, argv, ret_cli);
        if (code == 0) {
                (void)cli_tool_take();
                return 0;
        }
        return code;
}
