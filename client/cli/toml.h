/* SPDX-License-Identifier: Apache-2.0 */
/* toml.h - the part of TOML that settings need: text in, entries out. Layer: L4 (client/cli).
 * Source: TOML 1.0.0. Known: comments, [table], KEY = VALUE with a string in one line, a number, true or
 * false, or an array of these in one line. */
#ifndef CLI_TOML_H
#define CLI_TOML_H

#include <stdbool.h>
#include <stddef.h>

#define TOML_ENTRIES_MAX 128
#define TOML_VALUE_ROOM 512

enum toml_kind { TOML_STRING, TOML_NUMBER, TOML_BOOL };

struct toml_entry {
        char table[32]; /* "" above the first */
        char key[64];
        char value[TOML_VALUE_ROOM]; /* "true" and "false", digits without underscores */
        enum toml_kind kind;
        bool listed; /* an element of an array: each is an entry */
        unsigned line;
};

struct toml {
        struct toml_entry entries[TOML_ENTRIES_MAX];
        size_t count;
        unsigned line;   /* of the fault */
        const char *why; /* NULL = none */
};

/* Read the text. Returns false at the first fault; ret_toml has line and why then. */
bool toml_parse(const char *text, struct toml *ret_toml);

#endif
