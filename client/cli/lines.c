/* SPDX-License-Identifier: Apache-2.0 */
/* lines.c - see lines.h. Layer: L4 (client/cli). */
#include "lines.h"

#include <stdlib.h>
#include <string.h>

#include "output.h"

void lines_init(struct lines *lines, FILE *out, bool live, bool timestamps, const char *prefix)
{
        *lines = (struct lines){.out = out, .live = live, .timestamps = timestamps};
        snprintf(lines->prefix, sizeof lines->prefix, "%s", prefix);
        lines->line = malloc(LINE_BYTES_MAX);
        if (lines->line == NULL)
                abort();
}

void lines_fini(struct lines *lines)
{
        free(lines->line);
        lines->line = NULL;
}

static void print_line(struct lines *lines, const char *end)
{
        char time[64];

        if (lines->bar_shown)
                fputs("\r\033[K", lines->out);
        lines->bar_shown = false;
        fputs(lines->prefix, lines->out);
        if (lines->timestamps)
                fprintf(lines->out, "%s ", output_time(lines->wall_ms, time, sizeof time));
        fwrite(lines->line, 1, lines->length, lines->out);
        fputs(end, lines->out);
}

/* A \r ends a state of a bar: the next bytes begin it anew. */
static void end_bar(struct lines *lines)
{
        if (lines->live && lines->length > 0) {
                print_line(lines, "");
                lines->bar_shown = true;
        }
}

static void end_line(struct lines *lines)
{
        print_line(lines, "\n");
        lines->length = 0;
}

static void add_byte(struct lines *lines, char byte, int64_t wall_ms)
{
        /* \r\n is a line's end; any other \r begins the line anew. */
        if (lines->returned && byte != '\n')
                lines->length = 0;
        lines->returned = false;
        if (byte == '\n') {
                end_line(lines);
        } else if (byte == '\r') {
                end_bar(lines);
                lines->returned = true;
        } else {
                if (lines->length == 0)
                        lines->wall_ms = wall_ms;
                lines->line[lines->length++] = byte;
                if (lines->length == LINE_BYTES_MAX)
                        end_line(lines);
        }
}

void lines_add(struct lines *lines, const uint8_t *bytes, size_t length, int64_t wall_ms)
{
        for (size_t i = 0; i < length; i++)
                add_byte(lines, (char)bytes[i], wall_ms);
        fflush(lines->out);
}

void lines_end(struct lines *lines)
{
        if (lines->length > 0 || lines->bar_shown)
                print_line(lines, lines->prefix[0] != '\0' || lines->timestamps || lines->bar_shown ? "\n" : "");
        lines->length = 0;
        fflush(lines->out);
}
