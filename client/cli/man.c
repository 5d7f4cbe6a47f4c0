/* SPDX-License-Identifier: Apache-2.0 */
/* man.c - man pages in scdoc's language, from the table. Layer: L4 (client/cli). */
#include <ctype.h>
#include <string.h>

#include "command.h"
#include "topics.h"

/* Text with scdoc's own characters escaped. */
static void print_plain(FILE *out, const char *text)
{
        for (; *text != '\0'; text++) {
                if (strchr("_*\\#`", *text) != NULL)
                        fputc('\\', out);
                fputc(*text, out);
        }
}

static void print_option(FILE *out, const struct cli_option *option)
{
        if (option->letter != 0)
                fprintf(out, "*-%c*, ", option->letter);
        fprintf(out, "*--%s*", option->name);
        if (option->value != NULL) {
                fputs(" _", out);
                for (const char *at = option->value; *at != '\0'; at++)
                        fputc(*at == '_' ? '-' : *at, out);
                fputc('_', out);
        }
        fputs("\n\t", out);
        print_plain(out, option->help);
        fprintf(out, "%s.\n\n", option->many ? " (may be repeated)" : "");
}

static void print_title(FILE *out, const char *name)
{
        fputs("plexus", out);
        if (name != NULL)
                for (fputc('-', out); *name != '\0'; name++)
                        fputc(*name == ' ' ? '-' : *name, out);
        fputs("(1)\n\n# NAME\n\n", out);
}

static void print_command_page(FILE *out, const struct cli_command *command)
{
        print_title(out, command->name);
        fputs("plexus ", out);
        print_plain(out, command->name);
        fputs(" - ", out);
        print_plain(out, command->summary);
        fputs("\n\n# SYNOPSIS\n\n*plexus ", out);
        print_plain(out, command->name);
        fputs("* ", out);
        print_plain(out, command->usage);
        fputs("\n\n", out);
        if (command->text != NULL) {
                fputs("# DESCRIPTION\n\n", out);
                print_plain(out, command->text);
                fputs("\n\n", out);
        }
        fputs("# OPTIONS\n\n", out);
        for (size_t i = 0; i < CLI_GROUPS_MAX && command->groups[i] != NULL; i++)
                for (const struct cli_option *option = command->groups[i]; option->name != NULL; option++)
                        print_option(out, option);
        for (const struct cli_option *option = cli_global_options; option->name != NULL; option++)
                print_option(out, option);
        fputs("# SEE ALSO\n\n*plexus*(1)\n", out);
}

static void print_main_page(FILE *out)
{
        print_title(out, NULL);
        fputs("plexus - run jobs on a mesh of machines\n\n# SYNOPSIS\n\n*plexus* _COMMAND_ [options]\n\n"
              "# COMMANDS\n\n",
              out);
        for (size_t i = 0; i < cli_commands_count; i++) {
                fputs("*plexus ", out);
                print_plain(out, cli_commands[i].name);
                fputs("* ", out);
                print_plain(out, cli_commands[i].usage);
                fputs("\n\t", out);
                print_plain(out, cli_commands[i].summary);
                fputs(".\n\n", out);
        }
        for (size_t i = 0; i < cli_topics_count; i++) {
                fputs("# ", out);
                for (const char *at = cli_topics[i].title; *at != '\0'; at++)
                        fputc(toupper((unsigned char)*at), out);
                fprintf(out, "\n\n```\n%s```\n\n", cli_topics[i].text);
        }
}

void cli_print_man(FILE *out, const struct cli_command *command)
{
        if (command != NULL)
                print_command_page(out, command);
        else
                print_main_page(out);
}
