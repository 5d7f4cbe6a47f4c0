/* SPDX-License-Identifier: Apache-2.0 */
/* note.c - log lines on standard error, in logfmt. Layer: L4 (node/link). */
#include "link.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static const char *note_node = "-";

void note_name(const char *node)
{
        note_node = node;
}

void note(enum note_level level, const struct spool_key *key, const char *format, ...)
{
        static const char *const levels[] = {"info", "warn", "error"};
        char text[1024];
        char line[2400];
        size_t used;
        va_list list;

        va_start(list, format);
        vsnprintf(text, sizeof(text), format, list);
        va_end(list);
        used = (size_t)snprintf(line, sizeof(line), "level=%s node=%s", levels[level], note_node);
        if (key != NULL)
                used += (size_t)snprintf(line + used, sizeof(line) - used,
                                         " job=%" PRIu64 " attempt=%" PRIu32, key->job.value,
                                         key->fence.attempt);
        used += (size_t)snprintf(line + used, sizeof(line) - used, " msg=\"");
        for (const char *at = text; *at != '\0' && used < sizeof(line) - 4; at++) {
                if (*at == '"' || *at == '\\')
                        line[used++] = '\\';
                line[used++] = (unsigned char)*at < ' ' ? ' ' : *at;
        }
        line[used++] = '"';
        line[used++] = '\n';
        /* One write, so that lines of several processes don't mix; a lost line is no harm. */
        if (write(STDERR_FILENO, line, used) < 0)
                return;
}
