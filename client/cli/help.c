/* SPDX-License-Identifier: Apache-2.0 */
/* help.c - help on commands and topics, from the table. Layer: L4 (client/cli). */
#include <string.h>

#include "command.h"
#include "topics.h"

#define SUMMARY_COLUMN 24

#define WIDTH 80

/* Print `text` in lines of at most 80 columns. */
static void print_wrapped(FILE *out, const char *text)
{
        int column = 0;

        while (*text != '\0') {
                int length = (int)strcspn(text, " ");
                bool fits = column + 1 + length <= WIDTH;

                if (column > 0)
                        fputc(fits ? ' ' : '\n', out);
                column = column > 0 && fits ? column + 1 + length : length;
                fprintf(out, "%.*s", length, text);
                text += length;
                text += strspn(text, " ");
        }
        fputc('\n', out);
}

static void print_option(FILE *out, const struct cli_option *option)
{
        char name[64];
        int printed;

        snprintf(name, sizeof name, "%s%s%s", option->name, option->value != NULL ? " " : "",
                 option->value != NULL ? option->value : "");
        if (option->letter != 0)
                printed = fprintf(out, "  -%c, --%-18s", option->letter, name);
        else
                printed = fprintf(out, "      --%-18s", name);
        fprintf(out, "%s %s%s\n", printed > 26 ? "\n                          " : "", option->help,
                option->many ? " (may be repeated)" : "");
}

static void print_options(FILE *out, const char *heading, const struct cli_option *options)
{
        fprintf(out, "\n%s:\n", heading);
        for (; options->name != NULL; options++)
                print_option(out, options);
}

void cli_print_help(FILE *out, const struct cli_command *command)
{
        fprintf(out, "usage: plexus %s %s\n\n", command->name, command->usage);
        print_wrapped(out, command->summary);
        if (command->text != NULL) {
                fputc('\n', out);
                print_wrapped(out, command->text);
        }
        for (size_t i = 0; i < CLI_GROUPS_MAX && command->groups[i] != NULL; i++)
                print_options(out, i == 0 ? "Options" : "More options", command->groups[i]);
        print_options(out, "Everywhere", cli_global_options);
}

/* One line a command; of "node ls", "node show", ... only the noun with its verbs. */
static void print_section(FILE *out, const char *section)
{
        const char *noun_done = "";

        fprintf(out, "\n%s\n", section);
        for (size_t i = 0; i < cli_commands_count; i++) {
                const struct cli_command *command = &cli_commands[i];
                size_t noun = strcspn(command->name, " ");

                if (strcmp(command->section, section) != 0)
                        continue;
                if (command->name[noun] == '\0') {
                        fprintf(out, "  %-*s%s\n", SUMMARY_COLUMN, command->name, command->summary);
                        continue;
                }
                if (strncmp(noun_done, command->name, noun + 1) == 0)
                        continue;
                noun_done = command->name;
                fprintf(out, "  %.*s", (int)noun, command->name);
                for (size_t j = i; j < cli_commands_count; j++)
                        if (strncmp(cli_commands[j].name, command->name, noun + 1) == 0)
                                fprintf(out, "%s%s", j == i ? " " : "|", cli_commands[j].name + noun + 1);
                fputc('\n', out);
        }
}

void cli_print_commands(FILE *out)
{
        const char *done[16];
        size_t done_count = 0;

        fprintf(out, "plexus: run jobs on a mesh of machines; nothing acknowledged is lost\n\n"
                     "  plexus up                       start a private mesh on this machine\n"
                     "  plexus run -- COMMAND           run a command on it\n"
                     "  plexus help COMMAND             options of a command\n");
        for (size_t i = 0; i < cli_commands_count; i++) {
                bool seen = false;

                for (size_t j = 0; j < done_count; j++)
                        seen |= strcmp(done[j], cli_commands[i].section) == 0;
                if (seen)
                        continue;
                done[done_count++] = cli_commands[i].section;
                print_section(out, cli_commands[i].section);
        }
        fprintf(out, "\nTopics: plexus help");
        for (size_t i = 0; i < cli_topics_count; i++)
                fprintf(out, " %s%s", cli_topics[i].name, i + 1 < cli_topics_count ? " |" : "\n");
}

static const struct cli_topic *topic_find(const char *name)
{
        for (size_t i = 0; i < cli_topics_count; i++)
                if (strcmp(cli_topics[i].name, name) == 0)
                        return &cli_topics[i];
        return NULL;
}

int cli_help(struct cli *cli)
{
        const struct cli_command *command;
        const struct cli_topic *topic;
        char name[64];

        if (cli->arguments_count == 0) {
                cli_print_commands(stdout);
                return CLI_DONE;
        }
        snprintf(name, sizeof name, "%s%s%s", cli->arguments[0], cli->arguments_count > 1 ? " " : "",
                 cli->arguments_count > 1 ? cli->arguments[1] : "");
        command = cli_command_find(name);
        topic = topic_find(name);
        if (command != NULL) {
                cli_print_help(stdout, command);
        } else if (topic != NULL) {
                printf("%s\n\n%s", topic->title, topic->text);
        } else {
                const char *near = cli_nearest_command(name);

                return near != NULL ? cli_fail(cli, CLI_USAGE, "there is no help on \"%s\"; did you mean \"%s\"?",
                                               name, near)
                                    : cli_fail(cli, CLI_USAGE, "there is no help on \"%s\"", name);
        }
        return CLI_DONE;
}
