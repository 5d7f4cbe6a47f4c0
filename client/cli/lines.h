/* SPDX-License-Identifier: Apache-2.0 */
/* lines.h - log bytes as people read them: lines with a prefix and a time, progress bars written with
 * \r as one line that changes. Layer: L4 (client/cli). */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include "command.h"

#define LINE_BYTES_MAX 65536 /* a longer line is printed in pieces */

/* One stream of one job being printed. */
struct lines {
        FILE *out;
        bool live;          /* a terminal: a bar is rewritten in place; else only its last state is kept */
        bool timestamps;
        char prefix[96];    /* "1043 | " or empty; may contain colours */
        char *line;         /* not yet ended */
        size_t length;
        int64_t wall_ms;    /* of the first byte of the line */
        bool returned;      /* the last byte was \r */
        bool bar_shown;     /* live: a bar stands on the terminal's last line */
};

void lines_init(struct lines *lines, FILE *out, bool live, bool timestamps, const char *prefix);
void lines_add(struct lines *lines, const uint8_t *bytes, size_t length, int64_t wall_ms);
/* Print what is left without a newline at the end of the stream. */
void lines_end(struct lines *lines);
void lines_fini(struct lines *lines);

#endif
