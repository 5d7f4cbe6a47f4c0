/* SPDX-License-Identifier: Apache-2.0 */
/* lib_config.h - the user's file of meshes: names, URLs, where their tokens are. Layer: L4 (client/lib).
 *
 * $XDG_CONFIG_HOME/plexus/config.toml, or ~/.config/plexus/config.toml; mode 0600, replaced whole by
 * rename. A strict subset of TOML: comments, tables [contexts.NAME], and keys with basic or literal
 * strings:
 *      current = "NAME"
 *      [contexts.NAME]
 *      url = "plexus://host"
 *      token_file = "/home/me/.config/plexus/NAME.token"
 * NAME: letters, digits, "-" and "_", 1 to 64. Tokens stand in files of their own, mode 0600. */
#ifndef PX_LIB_CONFIG_H
#define PX_LIB_CONFIG_H

#include "plexus.h"
#include "px_base.h"

#define CONFIG_CONTEXTS_MAX 256
#define CONFIG_TOKEN_ROOM 128

struct config {
        char current[65]; /* "" = none */
        struct plexus_context contexts[CONFIG_CONTEXTS_MAX];
        size_t count;
};

/* Read the file; a missing one is an empty config. Refuses: PX_E_INVALID naming file and line. */
int config_read(struct config *ret_config);
/* Parse its text. `name` stands in refusals. */
int config_parse(const char *name, struct px_slice text, struct config *ret_config);
struct plexus_context *config_find(struct config *config, const char *name); /* NULL = none */
/* Where to connect, as options, environment and file say. ret_url has URL_ROOM bytes, ret_token
 * CONFIG_TOKEN_ROOM ("" = none). Refuses: PX_E_INVALID no mesh, unreadable token file. */
int config_resolve(const struct plexus_options *options, char *ret_url, char *ret_token);

#endif
