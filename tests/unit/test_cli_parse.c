/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_parse.c - from words to one call, by the table; and what wrong words are told. */
#include <stdlib.h>
#include <string.h>

#include "cli_tool.h"
#include "spec.h"

TEST(a_command_takes_options_before_and_behind_its_arguments)
{
        struct cli cli;

        EXPECT_INT(cli_tool_parse(&cli, "logs", "-f", "12", "--tail", "5", "-pout", "13", NULL), 0);
        EXPECT_TEXT(cli.command->name, "logs");
        EXPECT(cli_has(&cli, "follow"));
        EXPECT_TEXT(cli_value(&cli, "tail"), "5");
        EXPECT_TEXT(cli_value(&cli, "stream"), "out");
        EXPECT_INT(cli.arguments_count, 2);
        EXPECT_TEXT(cli.arguments[1], "13");
        cli_fini(&cli);
}

TEST(short_switches_may_stand_together)
{
        struct cli cli;

        EXPECT_INT(cli_tool_parse(&cli, "logs", "-ft", "1", NULL), 0);
        EXPECT(cli_has(&cli, "follow"));
        EXPECT(cli_has(&cli, "timestamps"));
        cli_fini(&cli);
}

TEST(options_behind_the_program_are_the_programs)
{
        struct cli cli;

        EXPECT_INT(cli_tool_parse(&cli, "run", "-c", "2", "ls", "-l", "--all", NULL), 0);
        EXPECT_TEXT(cli_value(&cli, "cpus"), "2");
        EXPECT_TEXT(cli.rest[0], "ls");
        EXPECT_TEXT(cli.rest[2], "--all");
        EXPECT(cli.rest[3] == NULL);
        cli_fini(&cli);
}

TEST(two_dashes_end_the_options)
{
        struct cli cli;

        EXPECT_INT(cli_tool_parse(&cli, "run", "--name=x", "--", "-odd", NULL), 0);
        EXPECT_TEXT(cli_value(&cli, "name"), "x");
        EXPECT_TEXT(cli.rest[0], "-odd");
        cli_fini(&cli);
}

TEST(a_repeatable_option_keeps_all_values_in_order)
{
        struct cli cli;
        size_t index = 0;

        EXPECT_INT(cli_tool_parse(&cli, "run", "--env", "A=1", "--env", "B=2", "true", NULL), 0);
        EXPECT_TEXT(cli_next_value(&cli, "env", &index), "A=1");
        EXPECT_TEXT(cli_next_value(&cli, "env", &index), "B=2");
        EXPECT(cli_next_value(&cli, "env", &index) == NULL);
        cli_fini(&cli);
}

TEST(a_value_in_brackets_may_be_missing)
{
        struct cli cli;

        EXPECT_INT(cli_tool_parse(&cli, "run", "-i", "cat", NULL), 0);
        EXPECT_TEXT(cli_value(&cli, "stdin"), "");
        EXPECT_TEXT(cli.rest[0], "cat");
        cli_fini(&cli);
        EXPECT_INT(cli_tool_parse(&cli, "run", "--stdin=f", "cat", NULL), 0);
        EXPECT_TEXT(cli_value(&cli, "stdin"), "f");
        cli_fini(&cli);
}

TEST(a_negative_number_is_an_argument)
{
        struct cli cli;

        EXPECT_INT(cli_tool_parse(&cli, "priority", "-5", "12", NULL), 0);
        EXPECT_TEXT(cli.arguments[0], "-5");
        cli_fini(&cli);
}

TEST(a_verb_behind_a_noun_is_one_command)
{
        struct cli cli;

        EXPECT_INT(cli_tool_parse(&cli, "node", "drain", "n1", NULL), 0);
        EXPECT_TEXT(cli.command->name, "node drain");
        EXPECT_INT(cli.arguments_count, 1);
        cli_fini(&cli);
        EXPECT_INT(cli_tool_parse(&cli, "node", "--", "--dir", "x", NULL), 0);
        EXPECT_TEXT(cli.command->name, "node");
        EXPECT_TEXT(cli.rest[0], "--dir");
        cli_fini(&cli);
}

struct wrong {
        const char *words[4];
        const char *said;
};

TEST(wrong_words_are_told_the_nearest_name)
{
        static const struct wrong wrong[] = {
                {{"runn"}, "plexus: there is no command \"runn\"; did you mean \"run\"?\n"},
                {{"cancl"}, "plexus: there is no command \"cancl\"; did you mean \"cancel\"?\n"},
                {{"zzzzzz"}, "plexus: there is no command \"zzzzzz\"; \"plexus help\" lists them\n"},
                {{"node", "drian"},
                 "plexus: there is no command \"node drian\"; did you mean \"node drain\"?\n"},
                {{"token"}, "plexus: \"token\" needs one of these verbs: create ls revoke\n"},
                {{"ps", "--al"}, "plexus ps: unknown option --al; did you mean --all?\n"},
                {{"ps", "--zzzzzzz"}, "plexus ps: unknown option --zzzzzzz; see \"plexus help ps\"\n"},
                {{"ps", "-Z"}, "plexus ps: unknown option -Z; see \"plexus help ps\"\n"},
                {{"logs", "1", "--tail"}, "plexus logs: --tail needs a value (N)\n"},
                {{"logs", "1", "--follow=1"}, "plexus logs: --follow takes no value\n"},
                {{"logs"}, "plexus logs: too few arguments; usage: plexus logs [options] ID...\n"},
                {{"status", "x"}, "plexus status: \"x\" is one argument too many; usage: plexus status \n"},
                {{"ps", "-a", "--all"}, "plexus ps: --all is given twice\n"},
        };

        for (size_t i = 0; i < PX_COUNT_OF(wrong); i++) {
                struct cli cli;
                const char *const *words = wrong[i].words;

                EXPECT_INT(cli_tool_parse(&cli, words[0], words[1], words[2], words[3], NULL), CLI_USAGE);
                EXPECT_TEXT(cli_tool_take(), wrong[i].said);
        }
}

/* ---- specifications ------------------------------------------------------------------------------ */

TEST(options_become_a_specification)
{
        struct cli cli;
        struct spec_words words;

        EXPECT_INT(cli_tool_parse(&cli, "submit", "-c", "0.5", "-m", "2G", "-t", "1h30m", "--retries", "2",
                                  "--on-lost", "fail", "--label", "exp=a", "--cwd", "/tmp", "--", "/bin/echo",
                                  "x y", NULL),
                   0);
        EXPECT_INT(spec_from_options(&cli, &words), 0);
        EXPECT(words.spec.cpus == 0.5);
        EXPECT_U64(words.spec.memory_bytes, UINT64_C(2) << 30);
        EXPECT_U64(words.spec.time_limit_ms, 5400000);
        EXPECT_INT(words.spec.retries, 2);
        EXPECT(words.spec.on_lost_fail);
        EXPECT_TEXT(words.spec.labels[0].key, "exp");
        EXPECT_TEXT(words.spec.labels[0].value, "a");
        EXPECT_TEXT(words.spec.cwd, "/tmp");
        EXPECT_TEXT(words.spec.name, "echo");
        EXPECT_TEXT(words.spec.argv[1], "x y");
        EXPECT(!words.spec.has_input);
        spec_fini(&words);
        cli_fini(&cli);
}

static const char *env_of(const struct spec_words *words, const char *name)
{
        for (size_t i = 0; i < words->spec.env_count; i++)
                if (strcmp(words->spec.env[i].key, name) == 0)
                        return words->spec.env[i].value;
        return NULL;
}

TEST(the_environment_is_what_was_named_and_never_a_token)
{
        struct cli cli;
        struct spec_words words;

        setenv("CLI_TEST_OWN", "7", 1);
        setenv("CLI_TEST_OTHER", "8", 1);
        setenv("PLEXUS_TOKEN", "secret", 1);
        EXPECT_INT(cli_tool_parse(&cli, "submit", "--env", "CLI_TEST_OWN", "--env", "A=b=c", "true", NULL), 0);
        EXPECT_INT(spec_from_options(&cli, &words), 0);
        EXPECT_TEXT(env_of(&words, "CLI_TEST_OWN"), "7");
        EXPECT_TEXT(env_of(&words, "A"), "b=c");
        EXPECT_TEXT(env_of(&words, "PATH"), getenv("PATH"));
        EXPECT(env_of(&words, "CLI_TEST_OTHER") == NULL);
        spec_fini(&words);
        cli_fini(&cli);
        EXPECT_INT(cli_tool_parse(&cli, "submit", "--env-all", "true", NULL), 0);
        EXPECT_INT(spec_from_options(&cli, &words), 0);
        EXPECT_TEXT(env_of(&words, "CLI_TEST_OTHER"), "8");
        EXPECT(env_of(&words, "PLEXUS_TOKEN") == NULL);
        spec_fini(&words);
        cli_fini(&cli);
        unsetenv("PLEXUS_TOKEN");
}

TEST(what_a_job_cannot_be_is_said)
{
        static const struct wrong wrong[] = {
                {{"-c", "x", "true"}, "plexus submit: --cpus x is not a number of cpus (like 4 or 0.5)\n"},
                {{"-m", "1Q", "true"}, "plexus submit: --mem 1Q is not a size (like 500M, 4G)\n"},
                {{"-t", "5x", "true"}, "plexus submit: --time-limit 5x is not a duration (like 90s, 5m, 2h)\n"},
                {{"--cwd", "x", "true"}, "plexus submit: --cwd x is not an absolute path\n"},
                {{"--on-lost", "x", "true"}, "plexus submit: --on-lost x is neither rerun nor fail\n"},
                {{"--label", "x", "true"}, "plexus submit: --label x is not KEY=VALUE\n"},
                {{"--env", "NOT_SET_HERE", "true"},
                 "plexus submit: --env NOT_SET_HERE: it isn't set here; give NOT_SET_HERE=VALUE\n"},
                {{"--as", "bob", "true"}, "plexus submit: --as bob: only root can be asked for\n"},
                {{"--start", "soon", "true"},
                 "plexus submit: --start soon is not a time (like 2026-01-31T18:00 or +2h)\n"},
        };

        for (size_t i = 0; i < PX_COUNT_OF(wrong); i++) {
                struct cli cli;
                struct spec_words words;
                const char *const *given = wrong[i].words;

                EXPECT_INT(cli_tool_parse(&cli, "submit", given[0], given[1], given[2], NULL), 0);
                cli_tool_catch_err();
                EXPECT_INT(spec_from_options(&cli, &words), CLI_USAGE);
                EXPECT_TEXT(cli_tool_take(), wrong[i].said);
                cli_fini(&cli);
        }
}

TEST(the_command_to_repeat_is_quoted_for_a_shell)
{
        struct cli cli;
        char *text = NULL;
        size_t length;
        FILE *out = open_memstream(&text, &length);

        EXPECT_INT(cli_tool_parse(&cli, "submit", "--name", "a b", "-i", "--", "sh", "-c", "echo 'x'", NULL), 0);
        spec_print_command(out, &cli, "key1");
        fclose(out);
        EXPECT_TEXT(text, "plexus submit --name='a b' --stdin --idempotency-key=key1 -- sh -c "
                          "'echo '\\''x'\\'''\n");
        free(text);
        cli_fini(&cli);
}
