/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h - options of the broker and of a node, from files and the environment. Layer: L4 (client/cli).
 * Source: INTERFACES 2e.
 *
 * Files, a later one wins: FOLDER/plexus.toml, then FOLDER/conf.d/?*.toml by name. FOLDER is $PLEXUS_CONFIG,
 * else /etc/plexus for root and the broker's account, else $XDG_CONFIG_HOME/plexus or ~/.config/plexus.
 * Tables [broker] and [node]; a key is the name of an option of plexus-broker or plexus-node with "_" for
 * "-". PLEXUS_BROKER_KEY and PLEXUS_NODE_KEY win over files, options over both. */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include "command.h"
#include "toml.h"

#define SETTINGS_MAX 256

struct setting_value {
        const char *table; /* "broker", "node" */
        const char *key;
        char value[TOML_VALUE_ROOM]; /* "" = not set */
        char origin[768];            /* FILE:LINE, or the variable; "" = not set */
};

struct settings {
        size_t count;
        struct setting_value values[SETTINGS_MAX];
};

/* Read all that is set. Owns: free(*ret_settings). Returns 0, or an exit code after saying what is wrong,
 * with file, line and the nearest name. */
int settings_load(const struct cli *cli, struct settings **ret_settings);
/* Append a row without value for each key that is set nowhere. */
void settings_add_unset(struct settings *settings);
/* Make the words of a program: `program`, the settings of `table` that no word of `rest` overrides, then
 * `rest`. Owns: free(); the words point into `settings` and `rest`. NULL = out of memory. */
char **settings_words(struct settings *settings, const char *table, char *program, char *const *rest);

#endif
