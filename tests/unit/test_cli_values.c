/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_values.c - durations, sizes, moments and signals as people type them, filters, and words for
 * people. */
#include <stdlib.h>
#include <time.h>

#include "cli_tool.h"
#include "output.h"
#include "select.h"

TEST(durations_take_units_and_sums)
{
        static const struct {
                const char *text;
                uint64_t ms;
        } good[] = {{"90", 90000}, {"90s", 90000},  {"250ms", 250},       {"5m", 300000},
                    {"2h", 7200000}, {"1.5h", 5400000}, {"1h30m", 5400000}, {"1d", 86400000}};
        static const char *const bad[] = {"", "x", "5x", "-5s", "1h30x", "5 m", "1e3", "9999999d", "."};
        uint64_t ms = 0;

        for (size_t i = 0; i < PX_COUNT_OF(good); i++) {
                EXPECT(cli_parse_duration(good[i].text, &ms));
                EXPECT_U64(ms, good[i].ms);
        }
        for (size_t i = 0; i < PX_COUNT_OF(bad); i++)
                EXPECT(!cli_parse_duration(bad[i], &ms));
}

TEST(sizes_take_units)
{
        uint64_t bytes = 0;

        EXPECT(cli_parse_bytes("512", &bytes) && bytes == 512);
        EXPECT(cli_parse_bytes("64K", &bytes) && bytes == 65536);
        EXPECT(cli_parse_bytes("1.5G", &bytes) && bytes == UINT64_C(3) << 29);
        EXPECT(cli_parse_bytes("2GiB", &bytes) && bytes == UINT64_C(2) << 30);
        EXPECT(cli_parse_bytes("2GB", &bytes) && bytes == 2000000000);
        EXPECT(!cli_parse_bytes("", &bytes) && !cli_parse_bytes("G", &bytes) && !cli_parse_bytes("1Q", &bytes));
        EXPECT(!cli_parse_bytes("-1", &bytes) && !cli_parse_bytes("99999999T", &bytes));
}

TEST(numbers_have_limits)
{
        int64_t number = 0;

        EXPECT(cli_parse_number("-5", -10, 10, &number) && number == -5);
        EXPECT(!cli_parse_number("11", -10, 10, &number) && !cli_parse_number("1x", -10, 10, &number));
        EXPECT(!cli_parse_number("", -10, 10, &number) && !cli_parse_number(" 1", -10, 10, &number));
        EXPECT(!cli_parse_number("99999999999999999999", 0, INT64_MAX, &number));
}

TEST(moments_are_times_or_durations_ago)
{
        int64_t wall_ms = 0;

        setenv("TZ", "UTC", 1);
        tzset();
        EXPECT(cli_parse_since("2h", 10000000, &wall_ms) && wall_ms == 2800000);
        EXPECT(cli_parse_since("2026-01-31T18:00:05Z", 0, &wall_ms));
        EXPECT_INT(wall_ms, INT64_C(1769882405000));
        EXPECT(cli_parse_since("2026-01-31", 0, &wall_ms));
        EXPECT_INT(wall_ms, INT64_C(1769817600000));
        EXPECT(!cli_parse_since("yesterday", 0, &wall_ms) && !cli_parse_since("2026-13-01", 0, &wall_ms));
}

TEST(signals_have_names_and_numbers)
{
        EXPECT_INT(cli_parse_signal("USR1"), 10);
        EXPECT_INT(cli_parse_signal("SIGusr1"), 10);
        EXPECT_INT(cli_parse_signal("9"), 9);
        EXPECT_INT(cli_parse_signal("0"), 0);
        EXPECT_INT(cli_parse_signal("65"), 0);
        EXPECT_INT(cli_parse_signal("NOPE"), 0);
}

TEST(durations_and_sizes_are_short_for_people)
{
        char text[64];

        EXPECT_TEXT(output_duration(420, text, sizeof text), "0.4s");
        EXPECT_TEXT(output_duration(12000, text, sizeof text), "12s");
        EXPECT_TEXT(output_duration(185000, text, sizeof text), "3m05s");
        EXPECT_TEXT(output_duration(7800000, text, sizeof text), "2h10m");
        EXPECT_TEXT(output_duration(356400000, text, sizeof text), "4d03h");
        EXPECT_TEXT(output_bytes(512, text, sizeof text), "512B");
        EXPECT_TEXT(output_bytes(4096, text, sizeof text), "4.0K");
        EXPECT_TEXT(output_bytes(UINT64_C(2) << 30, text, sizeof text), "2.0G");
        EXPECT_TEXT(output_time(INT64_C(1769882405120), text, sizeof text), "2026-01-31T18:00:05.120Z");
}

/* ---- filters ------------------------------------------------------------------------------------- */

TEST(filter_words_fill_a_filter)
{
        struct filter_words words = {0};
        struct cli cli;

        EXPECT_INT(cli_tool_parse(&cli, "ps", NULL), 0);
        EXPECT_INT(filter_add_word(&cli, &words, "state=failed,lost"), 0);
        EXPECT_INT(filter_add_word(&cli, &words, "user=ana"), 0);
        EXPECT_INT(filter_add_word(&cli, &words, "name~swe"), 0);
        EXPECT_INT(filter_add_word(&cli, &words, "label.exp=a"), 0);
        EXPECT_INT(filter_add_word(&cli, &words, "label.any"), 0);
        EXPECT_INT(words.filter.states, 1 << PLEXUS_FAILED | 1 << PLEXUS_LOST);
        EXPECT(words.filter.done && !words.filter.active);
        EXPECT_TEXT(words.filter.owner, "ana");
        EXPECT_TEXT(words.filter.name, "swe");
        EXPECT(words.filter.name_part);
        EXPECT_INT(words.filter.labels_count, 2);
        EXPECT_TEXT(words.filter.labels[0].key, "exp");
        EXPECT_TEXT(words.filter.labels[0].value, "a");
        EXPECT(words.filter.labels[1].value == NULL);
        filter_words_fini(&words);
        cli_fini(&cli);
}

TEST(a_filter_that_is_none_is_said)
{
        static const char *const bad[][2] = {
                {"stat=failed", "plexus ps: there is no filter \"stat\": state, user, name, node, since, until or "
                                "label.KEY\n"},
                {"since=soon", "plexus ps: since=soon is not a time (like 2h or 2026-01-31T18:00)\n"},
                {"node~x", "plexus ps: \"node~x\" is not a filter; see \"plexus help filters\"\n"},
        };

        for (size_t i = 0; i < PX_COUNT_OF(bad); i++) {
                struct filter_words words = {0};
                struct cli cli;

                EXPECT_INT(cli_tool_parse(&cli, "ps", NULL), 0);
                cli_tool_catch_err();
                EXPECT_INT(filter_add_word(&cli, &words, bad[i][0]), CLI_USAGE);
                EXPECT_TEXT(cli_tool_take(), bad[i][1]);
                filter_words_fini(&words);
                cli_fini(&cli);
        }
}
