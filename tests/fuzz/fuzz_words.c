/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_words.c - any words as a call of the command line: parsed or refused with the exit code for it;
 * each word also as a filter.
 * Input: the words, each ended by a newline */
#include "command.h"
#include "fuzz.h"
#include "fuzz_text.h"
#include "select.h"

#define WORDS_MAX 64

static void check_filters(char **words, int count)
{
        struct cli cli = {.command = cli_command_find("ps")};
        struct filter_words filter = {0};

        for (int i = 1; i < count; i++)
                if (filter_is_word(words[i]) && filter_add_word(&cli, &filter, words[i]) != 0)
                        break;
        PX_ASSERT(filter.filter.labels_count <= SELECT_LABELS_MAX);
        filter_words_fini(&filter);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
        static char name[] = "plexus";
        char *text = fuzz_text(data, length);
        char *words[WORDS_MAX + 2] = {name};
        struct cli cli = {0};
        char *rest = text;
        int count = 1;
        int code;

        fuzz_hush();
        while (count <= WORDS_MAX && rest != NULL && *rest != '\0')
                words[count++] = strsep(&rest, "\n");
        words[count] = NULL;
        check_filters(words, count);
        code = cli_parse(count, words, &cli);
        PX_ASSERT(code >= 0 && code < 256);
        if (code == 0) {
                PX_ASSERT(cli.command != NULL);
                cli_fini(&cli);
        }
        free(text);
        return 0;
}
