/* SPDX-License-Identifier: Apache-2.0 */
/* completion.c - completions for bash, zsh and fish, from the table. Layer: L4 (client/cli).
 * Job numbers and node names are asked of the broker (at most two seconds) when they are wanted. */
#include <string.h>

#include "command.h"

#define ASK_JOBS "plexus ps -a -l 100 -o id --timeout 2s 2>/dev/null"
#define ASK_NODES "plexus nodes -o id --timeout 2s 2>/dev/null"

static const char *ask_for(enum cli_words words)
{
        switch (words) {
        case CLI_WORDS_JOBS:
                return ASK_JOBS;
        case CLI_WORDS_NODES:
                return ASK_NODES;
        case CLI_WORDS_CONTEXTS:
                return "plexus context ls -o id 2>/dev/null";
        case CLI_WORDS_SHELLS:
                return "echo bash zsh fish";
        default:
                return NULL;
        }
}

/* First words of the table, each once. */
static void print_first_words(const char *separator)
{
        for (size_t i = 0; i < cli_commands_count; i++) {
                size_t length = strcspn(cli_commands[i].name, " ");
                bool seen = false;

                for (size_t j = 0; j < i && !seen; j++)
                        seen = strcspn(cli_commands[j].name, " ") == length &&
                               strncmp(cli_commands[j].name, cli_commands[i].name, length) == 0;
                if (!seen)
                        printf("%.*s%s", (int)length, cli_commands[i].name, separator);
        }
}

static void print_option_words(const struct cli_command *command)
{
        for (size_t i = 0; i < CLI_GROUPS_MAX && command->groups[i] != NULL; i++)
                for (const struct cli_option *option = command->groups[i]; option->name != NULL; option++)
                        printf("--%s ", option->name);
        for (const struct cli_option *option = cli_global_options; option->name != NULL; option++)
                printf("--%s ", option->name);
}

static void print_verbs(const char *noun, size_t length)
{
        for (size_t i = 0; i < cli_commands_count; i++)
                if (strncmp(cli_commands[i].name, noun, length) == 0 &&
                    cli_commands[i].name[length] == ' ')
                        printf("%s ", cli_commands[i].name + length + 1);
}

/* A function that sets `words` for the command named by the words before the cursor. zsh runs it too,
 * through bashcompinit. */
static void print_bash(void)
{
        printf("_plexus() {\n"
               "    local current=\"${COMP_WORDS[COMP_CWORD]}\" words=\"\" name=\"${COMP_WORDS[1]}\"\n"
               "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
               "        words=\"");
        print_first_words(" ");
        printf("\"\n    else\n"
               "        case \"$name ${COMP_WORDS[2]}\" in\n");
        for (int nouns = 1; nouns >= 0; nouns--) {
                for (size_t i = 0; i < cli_commands_count; i++) {
                        const struct cli_command *command = &cli_commands[i];
                        const char *ask = ask_for(command->words);

                        if ((strchr(command->name, ' ') != NULL) != (nouns == 1))
                                continue;
                        printf("        \"%s\"%s)\n            words=\"", command->name,
                               nouns == 1 ? "" : "\\ *");
                        print_option_words(command);
                        if (nouns == 0)
                                print_verbs(command->name, strlen(command->name));
                        printf("\"\n");
                        if (ask != NULL)
                                printf("            case \"$current\" in -*) ;; *) words=\"$(%s)\" ;; esac\n",
                                       ask);
                        if (command->words == CLI_WORDS_COMMANDS) {
                                printf("            words=\"");
                                print_first_words(" ");
                                printf("\"\n");
                        }
                        printf("            ;;\n");
                }
        }
        printf("        node*|token*|context*|config*)\n            case \"$name\" in\n");
        for (size_t i = 0; i < cli_commands_count; i++) {
                size_t noun = strcspn(cli_commands[i].name, " ");

                if (cli_commands[i].name[noun] != ' ' ||
                    (i > 0 && strncmp(cli_commands[i - 1].name, cli_commands[i].name, noun + 1) == 0))
                        continue;
                printf("            %.*s) words=\"", (int)noun, cli_commands[i].name);
                print_verbs(cli_commands[i].name, noun);
                printf("\" ;;\n");
        }
        printf("            esac\n            ;;\n        esac\n    fi\n"
               "    case \"$current\" in -*) ;; *) words=\"$(printf '%%s\\n' $words | grep -v ^--)\" ;; esac\n"
               "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
               "}\n"
               "complete -o default -F _plexus plexus\n");
}

static void print_fish(void)
{
        printf("complete -c plexus -f\n"
               "complete -c plexus -n __fish_use_subcommand -a '");
        print_first_words(" ");
        printf("'\n");
        for (size_t i = 0; i < cli_commands_count; i++) {
                const struct cli_command *command = &cli_commands[i];
                size_t noun = strcspn(command->name, " ");
                const char *ask = ask_for(command->words);

                if (command->name[noun] == ' ')
                        printf("complete -c plexus -n '__fish_seen_subcommand_from %.*s' -a '%s'\n",
                               (int)noun, command->name, command->name + noun + 1);
                if (ask != NULL)
                        printf("complete -c plexus -n '__fish_seen_subcommand_from %.*s' -a '(%s)'\n",
                               (int)noun, command->name, ask);
                for (size_t j = 0; j < CLI_GROUPS_MAX && command->groups[j] != NULL; j++)
                        for (const struct cli_option *o = command->groups[j]; o->name != NULL; o++)
                                printf("complete -c plexus -n '__fish_seen_subcommand_from %.*s' -l %s%s\n",
                                       (int)noun, command->name, o->name, o->value != NULL ? " -r" : "");
        }
}

int cli_completion(struct cli *cli)
{
        const char *shell = cli->arguments[0];

        if (strcmp(shell, "bash") == 0) {
                print_bash();
        } else if (strcmp(shell, "zsh") == 0) {
                printf("#compdef plexus\nautoload -U +X bashcompinit && bashcompinit\n");
                print_bash();
        } else if (strcmp(shell, "fish") == 0) {
                print_fish();
        } else {
                return cli_fail(cli, CLI_USAGE, "\"%s\" is none of bash, zsh, fish", shell);
        }
        return CLI_DONE;
}
