/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_output.c - rows as table, JSON, CSV and ids; help, man pages and completions by the table. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli_tool.h"
#include "jobs.h"
#include "topics.h"

static struct plexus_pair labels[] = {{"exp", "a"}, {"who", "x,\"y\""}};

static const struct plexus_job jobs[] = {
        {.id = 7,
         .state = PLEXUS_FAILED,
         .state_name = "failed",
         .reason = "exit 3 on node1",
         .name = "second, with \"quotes\"",
         .owner = "ana",
         .node = "node1",
         .attempt = 2,
         .submitted_ms = 1000,
         .started_ms = 2000,
         .ended_ms = 14000,
         .exit_code = 3,
         .progress = 0.456,
         .progress_text = "line\none",
         .labels = labels,
         .labels_count = 2,
         .cpus = 0.5},
        {.id = 12,
         .state = PLEXUS_JOB_OK,
         .state_name = "ok",
         .name = "first",
         .owner = "ana",
         .node = "node2",
         .attempt = 1,
         .submitted_ms = 1000,
         .started_ms = 2000,
         .ended_ms = 2500,
         .progress = -1,
         .cpus = 1},
};

static const char *print_jobs(const char *first, const char *second, const char *third)
{
        struct cli cli;

        EXPECT_INT(cli_tool_parse(&cli, "ps", first, second, third, NULL), 0);
        cli_tool_catch_out();
        EXPECT_INT(output_rows(&cli, &job_kind, jobs, 2, "2 jobs"), 0);
        cli_fini(&cli);
        return cli_tool_take();
}

TEST(a_table_is_aligned_and_ends_with_a_summary)
{
        EXPECT_TEXT(print_jobs(NULL, NULL, NULL),
                    "ID  NAME                   STATE   PROGRESS  TIME  NODE (REASON)\n"
                    "7   second, with \"quotes\"  failed  45%       12s   node1 (exit 3)\n"
                    "12  first                  ok                0.5s  node2\n"
                    "2 jobs\n");
}

TEST(columns_and_order_are_the_users)
{
        EXPECT_TEXT(print_jobs("--columns=id,exit_code,labels", "--sort=-id", "--no-header"),
                    "12  0  \n7   3  exp=a,who=x,\"y\"\n");
}

TEST(ids_stand_alone)
{
        EXPECT_TEXT(print_jobs("-oid", NULL, NULL), "7\n12\n");
}

TEST(csv_quotes_what_needs_it)
{
        EXPECT_TEXT(print_jobs("-ocsv", "--columns=id,name,progress_text", NULL),
                    "id,name,progress_text\n7,\"second, with \"\"quotes\"\"\",\"line\none\"\n12,first,\n");
}

static struct px_slice slice_of(const char *text)
{
        return (struct px_slice){(const uint8_t *)text, strlen(text)};
}

TEST(json_keeps_its_keys)
{
        test_golden("cli/jobs.json", slice_of(print_jobs("-ojson", NULL, NULL)));
}

TEST(an_unknown_column_or_format_is_said)
{
        struct cli cli;

        EXPECT_INT(cli_tool_parse(&cli, "ps", "-o", "xml", NULL), 0);
        cli_tool_catch_err();
        EXPECT_INT(output_rows(&cli, &job_kind, jobs, 2, NULL), CLI_USAGE);
        EXPECT_TEXT(cli_tool_take(), "plexus ps: -o xml is none of table, wide, json, jsonl, csv, id\n");
        cli_fini(&cli);
        EXPECT_INT(cli_tool_parse(&cli, "ps", "--sort", "colour", NULL), 0);
        cli_tool_catch_err();
        EXPECT_INT(output_rows(&cli, &job_kind, jobs, 2, NULL), CLI_USAGE);
        EXPECT(strncmp(cli_tool_take(), "plexus ps: there is no column \"colour\"; there are id, name,", 50) == 0);
        cli_fini(&cli);
}

/* ---- made from the table -------------------------------------------------------------------------- */

TEST(help_is_what_it_was)
{
        cli_tool_catch_out();
        cli_print_commands(stdout);
        for (size_t i = 0; i < cli_commands_count; i++) {
                printf("\n======== %s\n", cli_commands[i].name);
                cli_print_help(stdout, &cli_commands[i]);
        }
        for (size_t i = 0; i < cli_topics_count; i++)
                printf("\n======== %s\n%s", cli_topics[i].name, cli_topics[i].text);
        test_golden("cli/help.txt", slice_of(cli_tool_take()));
}

TEST(the_man_page_of_logs_is_what_it_was)
{
        cli_tool_catch_out();
        cli_print_man(stdout, cli_command_find("logs"));
        test_golden("cli/logs.1.scd", slice_of(cli_tool_take()));
}

TEST(every_command_can_be_found_and_has_a_line_of_help)
{
        for (size_t i = 0; i < cli_commands_count; i++) {
                const struct cli_command *command = &cli_commands[i];

                EXPECT(cli_command_find(command->name) == command);
                EXPECT(command->run != NULL);
                EXPECT(strlen(command->summary) > 5 && strlen(command->summary) <= 70);
                EXPECT(command->summary[strlen(command->summary) - 1] != '.');
        }
}

/* Feed `script` to bash; what it prints goes to ret_text. Its exit status. */
static int run_bash(const char *script, char *ret_text, size_t room)
{
        char path[128];
        char command[256];
        FILE *file;
        size_t length;

        snprintf(path, sizeof path, "%s/script", test_temp_dir());
        file = fopen(path, "w");
        fputs(script, file);
        fclose(file);
        snprintf(command, sizeof command, "bash %s", path);
        file = popen(command, "r");
        length = fread(ret_text, 1, room - 1, file);
        ret_text[length] = '\0';
        return pclose(file);
}

TEST(bash_completes_by_the_table)
{
        static const char use[] =
                "t() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($#-1)); _plexus; echo \"${COMPREPLY[*]}\"; }\n"
                "t plexus ca; t plexus node ''; t plexus run --na; t plexus token c; t plexus completion ''\n"
                "t plexus node drain --q; t plexus ps ''\n";
        static char script[1 << 17];
        char said[1024];
        struct cli cli;

        EXPECT_INT(cli_tool_parse(&cli, "completion", "bash", NULL), 0);
        cli_tool_catch_out();
        EXPECT_INT(cli_completion(&cli), 0);
        snprintf(script, sizeof script, "%s%s", cli_tool_take(), use);
        cli_fini(&cli);
        EXPECT_INT(run_bash(script, said, sizeof said), 0);
        EXPECT_TEXT(said, "cancel\nls show drain resume stop rm\n--name\ncreate\nbash zsh fish\n--quiet\n\n");
}
