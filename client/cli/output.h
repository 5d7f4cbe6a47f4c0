/* SPDX-License-Identifier: Apache-2.0 */
/* output.h - rows as a table, JSON, JSON lines, CSV or ids: one description of columns serves all.
 * Layer: L4 (client/cli). JSON: RFC 8259; times RFC 3339 UTC, durations in seconds, sizes in bytes. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "command.h"

enum output_type {
        OUTPUT_TEXT,     /* text */
        OUTPUT_INTEGER,  /* number */
        OUTPUT_JOB,      /* id; JSON: a number, of a task the text "1042.7" */
        OUTPUT_DECIMAL,  /* number with up to three places */
        OUTPUT_TIME,     /* number = ms since 1970; 0 = none */
        OUTPUT_DURATION, /* number = ms; JSON in seconds */
        OUTPUT_BYTES,    /* number */
        OUTPUT_BOOL,     /* number != 0 */
        OUTPUT_LABELS,   /* pairs, count */
        OUTPUT_PERCENT,  /* number 0 to 1; < 0 = none */
};

struct output_value {
        const char *text;
        double number;
        uint64_t id;
        const struct plexus_pair *pairs;
        size_t count;
        bool none; /* nothing to say: "" or null */
        char room[256]; /* for text made by get() */
};

struct output_column {
        const char *name; /* heading; also for --columns and --sort, in any case */
        const char *json; /* key */
        enum output_type type;
        bool wide;        /* not in -o table */
        bool hidden;      /* in JSON and when asked for only */
        void (*get)(const void *row, struct output_value *ret_value);
};

struct output_kind {
        const char *schema; /* "plexus.job.v1" */
        const char *list;   /* key of the array: "jobs" */
        const struct output_column *columns; /* first = the id; ended by name == NULL */
        size_t row_bytes;
};

/* Print rows by -o, --columns, --sort, --no-header. footer (table only, may be NULL) is the summary
 * line. Returns 0 or CLI_USAGE after saying which column or format there isn't. */
int output_rows(const struct cli *cli, const struct output_kind *kind, const void *rows, size_t count,
                const char *footer);

/* The fields of one row as JSON, without braces. */
void output_fields(FILE *out, const struct output_kind *kind, const void *row);
/* A table of the usual columns, whatever -o says. */
void output_table(const struct cli *cli, const struct output_kind *kind, const void *rows, size_t count);
/* A word as a shell takes it, quoted if need be. */
void output_shell_word(FILE *out, const char *word);

/* Is -o one of the formats for programs? */
bool output_is_json(const struct cli *cli);
void output_json_text(FILE *out, const char *text);

/* ---- words for people ----------------------------------------------------------------------------------- */
/* What a reason says behind its state, to be printed right after that: " on node1" of "running on node1",
 * ": exit 3" of "exit 3". Borrowed until the next call. */
const char *output_reason_beyond(const char *state, const char *reason);
const char *output_duration(uint64_t ms, char *ret_text, size_t room); /* 0.4s 12s 3m05s 2h10m 4d03h */
const char *output_bytes(uint64_t bytes, char *ret_text, size_t room); /* 512B 4.0K 2.0G */
const char *output_time(int64_t wall_ms, char *ret_text, size_t room); /* RFC 3339 UTC */
int output_width(const char *text); /* columns on a terminal, UTF-8 */

/* ANSI colour for a state, "" without colours; and its end. */
const char *output_state_colour(bool colour, int state);
#define OUTPUT_COLOUR_END "\033[0m"

#endif
