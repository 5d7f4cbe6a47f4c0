/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_lines.c - log bytes as lines: prefixes, folded bars, chunks cut anywhere. */
#include <stdlib.h>
#include <string.h>

#include "cli_tool.h"
#include "lines.h"

/* Print `text` in pieces of `piece` bytes. */
static char *print_lines(const char *text, size_t piece, bool live, bool timestamps, const char *prefix)
{
        struct lines lines;
        char *printed = NULL;
        size_t length;
        FILE *out = open_memstream(&printed, &length);
        size_t left = strlen(text);

        lines_init(&lines, out, live, timestamps, prefix);
        for (; left > 0; left -= PX_MIN(piece, left), text += piece)
                lines_add(&lines, (const uint8_t *)text, PX_MIN(piece, left), 1000);
        lines_end(&lines);
        lines_fini(&lines);
        fclose(out);
        return printed;
}

static void expect_lines(const char *text, const char *prefix, const char *expected)
{
        for (size_t piece = 1; piece <= strlen(text); piece++) {
                char *printed = print_lines(text, piece, false, false, prefix);

                EXPECT_TEXT(printed, expected);
                free(printed);
        }
}

TEST(plain_lines_stay_as_they_are_wherever_they_are_cut)
{
        expect_lines("one\ntwo\n\nfour", "", "one\ntwo\n\nfour");
}

TEST(lines_of_several_jobs_carry_a_prefix_and_end)
{
        expect_lines("one\ntwo", "7 | ", "7 | one\n7 | two\n");
}

TEST(a_bar_is_folded_to_its_last_state_when_piped)
{
        expect_lines("\r 10%\r 20%\r100%\ndone\n", "", "100%\ndone\n");
}

TEST(lines_that_end_like_dos_lines_are_lines)
{
        expect_lines("one\r\ntwo\r\n", "", "one\ntwo\n");
}

TEST(a_bar_changes_in_place_on_a_terminal)
{
        char *printed = print_lines("10%\r20%\rdone\n", 64, true, false, "");

        EXPECT_TEXT(printed, "10%\r\033[K20%\r\033[Kdone\n");
        free(printed);
}

TEST(timestamps_are_those_of_the_first_byte)
{
        char *printed = print_lines("a\nb\n", 64, false, true, "");

        EXPECT_TEXT(printed, "1970-01-01T00:00:01.000Z a\n1970-01-01T00:00:01.000Z b\n");
        free(printed);
}

TEST(a_line_without_end_is_printed_in_pieces)
{
        size_t length = LINE_BYTES_MAX + 10;
        char *text = malloc(length + 1);
        char *printed;

        memset(text, 'x', length);
        text[length] = '\0';
        printed = print_lines(text, 4096, false, false, "");
        EXPECT_INT(strlen(printed), length + 1);
        EXPECT_INT(printed[LINE_BYTES_MAX], '\n');
        free(printed);
        free(text);
}
