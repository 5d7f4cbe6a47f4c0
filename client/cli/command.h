/* SPDX-License-Identifier: Apache-2.0 */
/* command.h - the one table of commands and the pieces made from it: parsing, help, man pages and
 * completions. Layer: L4 (client/cli); uses only plexus.h. Source: INTERFACES 2a. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "plexus.h"

/* Exit codes of the command line (INTERFACES 2a). */
enum cli_exit {
        CLI_DONE = 0,
        CLI_JOB_NOT_OK = 1,
        CLI_USAGE = 2,
        CLI_NO_MATCH = 3,
        CLI_DENIED = 4,
        CLI_CONFLICT = 5,
        CLI_UNREACHABLE = 6,
        CLI_TIME_LIMIT = 124,
        CLI_FAULT = 125,
        CLI_DETACHED = 130,
};

/* What completes a word. */
enum cli_words { CLI_WORDS_NONE, CLI_WORDS_JOBS, CLI_WORDS_NODES, CLI_WORDS_COMMANDS,
                 CLI_WORDS_CONTEXTS, CLI_WORDS_SHELLS,
                 CLI_WORDS_PROGRAM /* a program: what follows belongs to it, options too */ };

struct cli_option {
        char letter;       /* 0 = none */
        const char *name;  /* without dashes */
        const char *value; /* name of its value in help; NULL = a switch */
        const char *help;  /* one sentence without full stop */
        bool many;         /* may be given more than once */
};

#define CLI_GROUPS_MAX 5

struct cli;

struct cli_command {
        const char *name;     /* "run"; nouns: "node drain" */
        const char *usage;    /* behind the name: "[options] -- COMMAND [ARG...]" */
        const char *summary;  /* one line */
        const char *text;     /* paragraphs of the man page; NULL = none */
        const struct cli_option *groups[CLI_GROUPS_MAX]; /* option lists, each ended by name == NULL */
        int arguments_min;
        int arguments_max;    /* -1 = any */
        enum cli_words words; /* what its arguments are */
        const char *section;  /* heading in `plexus help` */
        int (*run)(struct cli *cli); /* returns the exit code */
};

extern const struct cli_command cli_commands[];
extern const size_t cli_commands_count;
extern const struct cli_option cli_global_options[];

struct cli_given {
        const struct cli_option *option;
        const char *value; /* "" for a switch */
};

/* One call of the command line. */
struct cli {
        const struct cli_command *command;
        struct cli_given *given;
        size_t given_count;
        const char *const *arguments; /* before "--" */
        size_t arguments_count;
        char *const *rest;            /* behind "--", NULL-terminated; rest[0] == NULL when none */
        plexus *px;                   /* after cli_connect() */
        bool quiet;
        bool colour;                  /* standard output takes colours */
        bool colour_err;
};

/* Parse argv. Returns 0 and fills *ret_cli, or the exit code after printing what is wrong, the nearest
 * name and what helps to standard error. Owns: cli_fini(). */
int cli_parse(int argc, char **argv, struct cli *ret_cli);
void cli_fini(struct cli *cli);

bool cli_has(const struct cli *cli, const char *option);
const char *cli_value(const struct cli *cli, const char *option); /* the last one given, or NULL */
/* Walk the values of an option that may be given often: *index = 0 to begin; NULL at the end. */
const char *cli_next_value(const struct cli *cli, const char *option, size_t *index);

const struct cli_command *cli_command_find(const char *name);
/* The name in the table nearest to `word`, or NULL when none is near (at most 2 edits, or a prefix). */
const char *cli_nearest_command(const char *word);
/* The nearest of the names tried so far; begins as {NULL, least distance that is too far}. */
struct cli_nearest {
        const char *name;
        size_t distance;
};
void cli_nearest_try(struct cli_nearest *nearest, const char *word, const char *name);

/* Print one line "plexus VERB: ..." on standard error and give `code` back. */
int cli_fail(const struct cli *cli, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* The same for a refusal of the library: detail and exit code come from it. */
int cli_refused(const struct cli *cli, int error, const char *what);
/* The same for one job of several. */
int cli_refused_job(const struct cli *cli, int error, uint64_t job);
/* Nothing came yet, or the broker is away: the library goes on asking, so does who follows. */
bool cli_still_waits(int error);
/* Connect by --url, --token-file, --context, --timeout; prints why not. Returns 0 or an exit code. */
int cli_connect(struct cli *cli);

/* ---- made from the table ------------------------------------------------------------------------------ */
int cli_help(struct cli *cli);               /* plexus help [COMMAND|TOPIC] */
void cli_print_help(FILE *out, const struct cli_command *command);
void cli_print_commands(FILE *out);
int cli_completion(struct cli *cli);         /* plexus completion bash|zsh|fish */
void cli_print_man(FILE *out, const struct cli_command *command); /* scdoc; NULL = plexus(1) */

/* ---- values ------------------------------------------------------------------------------------------------ */
/* Each returns false when the text isn't one; nothing is printed. */
bool cli_parse_duration(const char *text, uint64_t *ret_ms);   /* 90, 90s, 5m, 2h, 1d, 250ms, 1h30m */
bool cli_parse_bytes(const char *text, uint64_t *ret_bytes);   /* 512, 64K, 2G, 1.5G, 2GiB */
bool cli_parse_number(const char *text, int64_t min, int64_t max, int64_t *ret);
bool cli_parse_cpus(const char *text, double *ret_cpus);       /* 1, 0.5, 250m */
/* A moment: a duration ago, or RFC 3339 (date, or date and time). Units: ms since 1970 UTC. */
bool cli_parse_since(const char *text, int64_t now_ms, int64_t *ret_wall_ms);
int cli_parse_signal(const char *text);                        /* USR1, SIGUSR1, 10; 0 = none */

/* An id as people type it, for one printf: 1042, 1042.7. */
#define ID_TEXT(id) plexus_id_text((id), (char[PLEXUS_ID_TEXT]){0})

#endif
