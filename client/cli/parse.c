/* SPDX-License-Identifier: Apache-2.0 */
/* parse.c - from argv to one struct cli, by the table of commands. Layer: L4 (client/cli). */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

const struct cli_command *cli_command_find(const char *name)
{
        for (size_t i = 0; i < cli_commands_count; i++)
                if (strcmp(cli_commands[i].name, name) == 0)
                        return &cli_commands[i];
        return NULL;
}

/* Edits (insert, delete, replace) from a to b; words of the table are short. */
static size_t edit_distance(const char *a, const char *b)
{
        size_t width = strlen(b);
        size_t row[64];

        if (width >= sizeof row / sizeof row[0])
                return SIZE_MAX;
        for (size_t j = 0; j <= width; j++)
                row[j] = j;
        for (size_t i = 1; a[i - 1] != '\0'; i++) {
                size_t diagonal = row[0];

                row[0] = i;
                for (size_t j = 1; j <= width; j++) {
                        size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
                        size_t least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;

                        diagonal = row[j];
                        row[j] = replaced < least ? replaced : least;
                }
        }
        return row[width];
}

void cli_nearest_try(struct cli_nearest *nearest, const char *word, const char *name)
{
        size_t distance = edit_distance(word, name);

        if (strlen(word) >= 2 && strncmp(word, name, strlen(word)) == 0 && distance > 1)
                distance = 1;
        if (distance < nearest->distance) {
                nearest->distance = distance;
                nearest->name = name;
        }
}

const char *cli_nearest_command(const char *word)
{
        struct cli_nearest nearest = {NULL, 3};

        for (size_t i = 0; i < cli_commands_count; i++)
                cli_nearest_try(&nearest, word, cli_commands[i].name);
        return nearest.name;
}

/* ---- options -------------------------------------------------------------------------------------------- */

static const struct cli_option *option_in(const struct cli_option *list, char letter, const char *name,
                                          size_t length)
{
        for (; list != NULL && list->name != NULL; list++) {
                if (name != NULL && strlen(list->name) == length &&
                    strncmp(list->name, name, length) == 0)
                        return list;
                if (name == NULL && list->letter == letter)
                        return list;
        }
        return NULL;
}

static const struct cli_option *option_find(const struct cli_command *command, char letter,
                                            const char *name, size_t length)
{
        const struct cli_option *found = NULL;

        for (size_t i = 0; i < CLI_GROUPS_MAX && command->groups[i] != NULL && found == NULL; i++)
                found = option_in(command->groups[i], letter, name, length);
        return found != NULL ? found : option_in(cli_global_options, letter, name, length);
}

static const char *nearest_option(const struct cli_command *command, const char *word)
{
        struct cli_nearest nearest = {NULL, 3};

        for (size_t i = 0; i < CLI_GROUPS_MAX && command->groups[i] != NULL; i++)
                for (const struct cli_option *o = command->groups[i]; o->name != NULL; o++)
                        cli_nearest_try(&nearest, word, o->name);
        for (const struct cli_option *o = cli_global_options; o->name != NULL; o++)
                cli_nearest_try(&nearest, word, o->name);
        return nearest.name;
}

static int unknown_option(const struct cli *cli, const char *word)
{
        size_t dashes = strspn(word, "-");
        char name[64];
        const char *near;

        snprintf(name, sizeof name, "%.*s", (int)strcspn(word + dashes, "="), word + dashes);
        near = strlen(name) > 1 ? nearest_option(cli->command, name) : NULL;
        if (near != NULL)
                return cli_fail(cli, CLI_USAGE, "unknown option %s; did you mean --%s?", word, near);
        return cli_fail(cli, CLI_USAGE, "unknown option %s; see \"plexus help %s\"", word,
                        cli->command->name);
}

static int give(struct cli *cli, const struct cli_option *option, const char *value)
{
        if (!option->many && cli_has(cli, option->name))
                return cli_fail(cli, CLI_USAGE, "--%s is given twice", option->name);
        cli->given[cli->given_count++] = (struct cli_given){option, value};
        return 0;
}

/* --name, --name=value, --name value; a value in brackets can only follow "=". */
static int take_long(struct cli *cli, int argc, char **argv, int *at)
{
        const char *word = argv[*at] + 2;
        size_t length = strcspn(word, "=");
        const struct cli_option *option = option_find(cli->command, 0, word, length);

        if (option == NULL)
                return unknown_option(cli, argv[*at]);
        if (word[length] == '=') {
                if (option->value == NULL)
                        return cli_fail(cli, CLI_USAGE, "--%s takes no value", option->name);
                return give(cli, option, word + length + 1);
        }
        if (option->value == NULL || option->value[0] == '[')
                return give(cli, option, "");
        if (*at + 1 >= argc)
                return cli_fail(cli, CLI_USAGE, "--%s needs a value (%s)", option->name, option->value);
        *at += 1;
        return give(cli, option, argv[*at]);
}

/* -f, -ft, -c 4, -c4. */
static int take_short(struct cli *cli, int argc, char **argv, int *at)
{
        const char *letters = argv[*at] + 1;

        for (; *letters != '\0'; letters++) {
                const struct cli_option *option = option_find(cli->command, *letters, NULL, 0);
                int code;

                if (option == NULL)
                        return unknown_option(cli, argv[*at]);
                if (option->value == NULL || option->value[0] == '[') {
                        code = give(cli, option, "");
                        if (code != 0)
                                return code;
                        continue;
                }
                if (letters[1] != '\0')
                        return give(cli, option, letters + 1);
                if (*at + 1 >= argc)
                        return cli_fail(cli, CLI_USAGE, "-%c needs a value (%s)", *letters,
                                        option->value);
                *at += 1;
                return give(cli, option, argv[*at]);
        }
        return 0;
}

/* ---- words ------------------------------------------------------------------------------------------------ */

/* Do commands of two words begin with this one? "node" is such a noun and a command, too. */
static bool is_noun(const char *word)
{
        size_t length = strlen(word);

        for (size_t i = 0; i < cli_commands_count; i++)
                if (strncmp(cli_commands[i].name, word, length) == 0 && cli_commands[i].name[length] == ' ')
                        return true;
        return false;
}

/* Find the command that argv names; *ret_used words were its name. */
static const struct cli_command *command_of(int argc, char **argv, int *ret_used)
{
        char both[64];
        const struct cli_command *command;

        if (argc >= 3 && is_noun(argv[1])) {
                snprintf(both, sizeof both, "%s %s", argv[1], argv[2]);
                command = cli_command_find(both);
                if (command != NULL) {
                        *ret_used = 2;
                        return command;
                }
        }
        *ret_used = 1;
        command = cli_command_find(argv[1]);
        /* A word behind a noun is meant as its verb, so "node drian" is a typing error of "drain". */
        if (command != NULL && argc >= 3 && is_noun(argv[1]) && argv[2][0] != '-')
                return NULL;
        return command;
}

static void print_verbs(FILE *out, const char *noun)
{
        size_t length = strlen(noun);

        for (size_t i = 0; i < cli_commands_count; i++)
                if (strncmp(cli_commands[i].name, noun, length) == 0 && cli_commands[i].name[length] == ' ')
                        fprintf(out, " %s", cli_commands[i].name + length + 1);
        fputc('\n', out);
}

/* "node drian": the nearest of its verbs. */
static int unknown_verb(const char *noun, const char *verb)
{
        struct cli_nearest nearest = {NULL, 3};
        size_t length = strlen(noun);

        for (size_t i = 0; verb != NULL && i < cli_commands_count; i++)
                if (strncmp(cli_commands[i].name, noun, length) == 0 && cli_commands[i].name[length] == ' ')
                        cli_nearest_try(&nearest, verb, cli_commands[i].name + length + 1);
        if (nearest.name != NULL) {
                fprintf(stderr, "plexus: there is no command \"%s %s\"; did you mean \"%s %s\"?\n", noun, verb,
                        noun, nearest.name);
        } else {
                fprintf(stderr, "plexus: \"%s\" needs one of these verbs:", noun);
                print_verbs(stderr, noun);
        }
        return CLI_USAGE;
}

static int unknown_command(const char *word, const char *next)
{
        const char *near = cli_nearest_command(word);

        if (is_noun(word))
                return unknown_verb(word, next);
        if (near != NULL)
                fprintf(stderr, "plexus: there is no command \"%s\"; did you mean \"%s\"?\n", word, near);
        else
                fprintf(stderr, "plexus: there is no command \"%s\"; \"plexus help\" lists them\n", word);
        return CLI_USAGE;
}

static int check_arguments(const struct cli *cli)
{
        int count = (int)cli->arguments_count;

        if (count < cli->command->arguments_min)
                return cli_fail(cli, CLI_USAGE, "too few arguments; usage: plexus %s %s",
                                cli->command->name, cli->command->usage);
        if (cli->command->arguments_max >= 0 && count > cli->command->arguments_max)
                return cli_fail(cli, CLI_USAGE, "\"%s\" is one argument too many; usage: plexus %s %s",
                                cli->arguments[cli->command->arguments_max], cli->command->name,
                                cli->command->usage);
        return 0;
}

static int take_words(struct cli *cli, int argc, char **argv, int from, const char **arguments)
{
        int code = 0;

        for (int at = from; at < argc && code == 0; at++) {
                const char *word = argv[at];

                if (strcmp(word, "--") == 0) {
                        cli->rest = argv + at + 1;
                        break;
                }
                if (strncmp(word, "--", 2) == 0) {
                        code = take_long(cli, argc, argv, &at);
                } else if (word[0] == '-' && isalpha((unsigned char)word[1])) {
                        code = take_short(cli, argc, argv, &at);
                } else if (cli->command->words == CLI_WORDS_PROGRAM) {
                        cli->rest = argv + at;
                        break;
                } else {
                        arguments[cli->arguments_count++] = word; /* "-" and "-5", too */
                }
        }
        return code;
}

static bool colour_for(const struct cli *cli, int fd)
{
        const char *when = cli_value(cli, "color");
        const char *term = getenv("TERM");
        const char *no_color = getenv("NO_COLOR");

        if (when != NULL && strcmp(when, "always") == 0)
                return true;
        if (when != NULL && strcmp(when, "never") == 0)
                return false;
        return isatty(fd) && (no_color == NULL || *no_color == '\0') && term != NULL &&
               strcmp(term, "dumb") != 0;
}

/* Fill cli from the words behind the command's name. */
static int parse_words(struct cli *cli, int argc, char **argv, int from)
{
        const char **arguments = calloc((size_t)argc + 1, sizeof *arguments);
        int code;

        cli->given = calloc((size_t)argc * 16 + 1, sizeof *cli->given);
        if (cli->given == NULL || arguments == NULL)
                return cli_fail(cli, CLI_FAULT, "out of memory");
        cli->arguments = arguments;
        cli->rest = argv + argc;
        code = take_words(cli, argc, argv, from, arguments);
        if (code != 0 || cli_has(cli, "help"))
                return code;
        return check_arguments(cli);
}

int cli_parse(int argc, char **argv, struct cli *ret_cli)
{
        struct cli cli = {0};
        int used;
        int code;

        *ret_cli = cli;
        if (argc < 2) {
                cli_print_commands(stderr);
                return CLI_USAGE;
        }
        if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
                argv[1] = (char *)(uintptr_t)"help";
        if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
                argv[1] = (char *)(uintptr_t)"version";
        cli.command = command_of(argc, argv, &used);
        if (cli.command == NULL)
                return unknown_command(argv[1], argc >= 3 ? argv[2] : NULL);
        code = parse_words(&cli, argc, argv, 1 + used);
        if (code != 0) {
                cli_fini(&cli);
                return code;
        }
        cli.quiet = cli_has(&cli, "quiet");
        cli.colour = colour_for(&cli, STDOUT_FILENO);
        cli.colour_err = colour_for(&cli, STDERR_FILENO);
        *ret_cli = cli;
        return 0;
}

void cli_fini(struct cli *cli)
{
        plexus_close(cli->px);
        free(cli->given);
        free((void *)(uintptr_t)cli->arguments);
}

bool cli_has(const struct cli *cli, const char *option)
{
        return cli_value(cli, option) != NULL;
}

const char *cli_value(const struct cli *cli, const char *option)
{
        for (size_t i = cli->given_count; i-- > 0;)
                if (strcmp(cli->given[i].option->name, option) == 0)
                        return cli->given[i].value;
        return NULL;
}

const char *cli_next_value(const struct cli *cli, const char *option, size_t *index)
{
        while (*index < cli->given_count) {
                const struct cli_given *given = &cli->given[(*index)++];

                if (strcmp(given->option->name, option) == 0)
                        return given->value;
        }
        return NULL;
}

int cli_fail(const struct cli *cli, int code, const char *format, ...)
{
        va_list arguments;

        fprintf(stderr, "plexus %s: ", cli->command->name);
        va_start(arguments, format);
        vfprintf(stderr, format, arguments);
        va_end(arguments);
        fputc('\n', stderr);
        return code;
}

int cli_refused(const struct cli *cli, int error, const char *what)
{
        const char *detail = plexus_detail(cli->px);

        if (*detail == '\0')
                detail = plexus_error_text(error);
        return cli_fail(cli, plexus_error_exit(error), "%s%s%s", what, *what != '\0' ? ": " : "", detail);
}

int cli_refused_job(const struct cli *cli, int error, uint64_t job)
{
        if (error == PLEXUS_ABSENT)
                return cli_fail(cli, plexus_error_exit(error), "there is no job %s, or it is not yours",
                                ID_TEXT(job));
        return cli_refused(cli, error, ID_TEXT(job));
}
