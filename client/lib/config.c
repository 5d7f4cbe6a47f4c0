/* SPDX-License-Identifier: Apache-2.0 */
/* config.c - read the file of contexts, and choose where to connect. Layer: L4 (client/lib).
 * Format: lib_config.h. */
#include "lib_config.h"

#include "lib_config_file.h"
#include "lib_detail.h"
#include "px_schema.h"
#include "lib_url.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- parse ------------------------------------------------------------------------------------ */

struct parser {
        const char *name;
        unsigned line;
        struct config *config;
        struct plexus_context *context; /* of the table we are in; NULL = top */
};

static int wrong(const struct parser *parser, const char *what)
{
        return detail_refuse(PX_E_INVALID, "%s line %u: %s", parser->name, parser->line, what);
}

static struct px_slice trimmed(struct px_slice text)
{
        while (text.length > 0 && strchr(" \t\r", text.data[0]) != NULL) {
                text.data++;
                text.length--;
        }
        while (text.length > 0 && strchr(" \t\r", text.data[text.length - 1]) != NULL)
                text.length--;
        return text;
}

/* Read a string at the start of `text`; *ret_rest is what follows it. */
static bool take_string(struct px_slice text, char *ret_value, size_t room, struct px_slice *ret_rest)
{
        uint8_t quote = text.length > 0 ? text.data[0] : 0;
        size_t used = 0;

        if (quote != '"' && quote != '\'')
                return false;
        for (size_t i = 1; i < text.length; i++) {
                uint8_t c = text.data[i];

                if (c == quote) {
                        ret_value[used] = '\0';
                        *ret_rest = px_slice_of(text.data + i + 1, text.length - i - 1);
                        return true;
                }
                if (c == '\\' && quote == '"') {
                        if (++i == text.length || (text.data[i] != '\\' && text.data[i] != '"'))
                                return false;
                        c = text.data[i];
                }
                if (c < ' ' || used + 1 == room)
                        return false;
                ret_value[used++] = (char)c;
        }
        return false;
}

static int parse_table(struct parser *parser, struct px_slice line)
{
        static const char prefix[] = "[contexts.";
        size_t skip = sizeof(prefix) - 1;
        const uint8_t *end = memchr(line.data, ']', line.length);
        struct px_slice rest;
        char name[65];

        if (end == NULL || line.length < skip || memcmp(line.data, prefix, skip) != 0)
                return wrong(parser, "only tables [contexts.NAME] are known");
        rest = trimmed(px_slice_of(end + 1, (size_t)(line.data + line.length - end - 1)));
        if (rest.length > 0 && rest.data[0] != '#')
                return wrong(parser, "more behind the table's name");
        line = px_slice_of(line.data + skip, (size_t)(end - line.data) - skip);
        if (line.length >= sizeof(name) || !config_name_valid(line))
                return wrong(parser, "a context's name has 1 to 64 letters, digits, \"-\" or \"_\"");
        px_slice_to_text(line, name, sizeof(name));
        if (config_find(parser->config, name) != NULL)
                return wrong(parser, "a context of this name stands above");
        if (parser->config->count == CONFIG_CONTEXTS_MAX)
                return wrong(parser, "more than 256 contexts");
        parser->context = &parser->config->contexts[parser->config->count++];
        snprintf(parser->context->name, sizeof(parser->context->name), "%s", name);
        return PX_OK;
}

/* Where the value of a key goes; NULL when the key is unknown here. */
static char *place_of(struct parser *parser, struct px_slice key, size_t *ret_room)
{
        struct plexus_context *context = parser->context;

        if (context == NULL && px_slice_equal(key, px_slice_text("current"))) {
                *ret_room = sizeof(parser->config->current);
                return parser->config->current;
        }
        if (context != NULL && px_slice_equal(key, px_slice_text("url"))) {
                *ret_room = sizeof(context->url);
                return context->url;
        }
        if (context != NULL && px_slice_equal(key, px_slice_text("token_file"))) {
                *ret_room = sizeof(context->token_file);
                return context->token_file;
        }
        return NULL;
}

static int parse_key(struct parser *parser, struct px_slice line)
{
        const uint8_t *equals = memchr(line.data, '=', line.length);
        struct px_slice key, value, rest;
        char *place;
        size_t room;

        if (equals == NULL)
                return wrong(parser, "neither a table nor KEY = \"VALUE\"");
        key = trimmed(px_slice_of(line.data, (size_t)(equals - line.data)));
        value = trimmed(px_slice_of(equals + 1, (size_t)(line.data + line.length - equals - 1)));
        place = place_of(parser, key, &room);
        if (place == NULL)
                return wrong(parser, parser->context == NULL
                                             ? "unknown key; known here: current"
                                             : "unknown key; known here: url, token_file");
        if (place[0] != '\0')
                return wrong(parser, "this key stands above already");
        if (!take_string(value, place, room, &rest))
                return wrong(parser, "the value is no string, or too long");
        rest = trimmed(rest);
        if (rest.length > 0 && rest.data[0] != '#')
                return wrong(parser, "more behind the value");
        return PX_OK;
}

static void mark_current(struct config *config)
{
        for (size_t i = 0; i < config->count; i++)
                config->contexts[i].current =
                        strcmp(config->contexts[i].name, config->current) == 0;
}

int config_parse(const char *name, struct px_slice text, struct config *ret_config)
{
        struct parser parser = {.name = name, .config = ret_config};
        int code = PX_OK;

        memset(ret_config, 0, sizeof(*ret_config));
        while (text.length > 0 && code == PX_OK) {
                const uint8_t *end = memchr(text.data, '\n', text.length);
                size_t length = end != NULL ? (size_t)(end - text.data) : text.length;
                struct px_slice line = trimmed(px_slice_of(text.data, length));

                parser.line++;
                length += end != NULL ? 1 : 0;
                text = px_slice_of(text.data + length, text.length - length);
                if (line.length == 0 || line.data[0] == '#')
                        continue;
                if (!px_slice_is_text(line))
                        code = wrong(&parser, "not UTF-8");
                else if (line.data[0] == '[')
                        code = parse_table(&parser, line);
                else
                        code = parse_key(&parser, line);
        }
        mark_current(ret_config);
        return code;
}

struct plexus_context *config_find(struct config *config, const char *name)
{
        for (size_t i = 0; i < config->count; i++) {
                if (strcmp(config->contexts[i].name, name) == 0)
                        return &config->contexts[i];
        }
        return NULL;
}

int config_read(struct config *ret_config)
{
        struct px_buf text = {0};
        char path[CONFIG_PATH_ROOM];
        int code = config_file_path("config.toml", path);

        memset(ret_config, 0, sizeof(*ret_config));
        if (code == PX_OK)
                code = config_file_load(path, &text);
        if (code == PX_OK)
                code = config_parse(path, px_buf_slice(&text), ret_config);
        px_buf_fini(&text);
        return code;
}

/* ---- choose ------------------------------------------------------------------------------------- */

static const char *environment(const char *name)
{
        const char *value = secure_getenv(name);

        return value != NULL && value[0] != '\0' ? value : NULL;
}

static int no_mesh(void)
{
        return detail_refuse(PX_E_INVALID,
                             "no mesh: start one with \"plexus up\" or set PLEXUS_URL");
}

/* The context named by options or environment, else the current one; *ret = NULL when none is. */
static int chosen_context(const struct plexus_options *options, struct config *config,
                          struct plexus_context **ret_context)
{
        const char *name = options->context != NULL ? options->context
                                                    : environment("PLEXUS_CONTEXT");
        int code = config_read(config);

        *ret_context = NULL;
        if (code != PX_OK)
                return code;
        if (name == NULL && config->current[0] == '\0')
                return PX_OK;
        if (name == NULL)
                name = config->current;
        *ret_context = config_find(config, name);
        if (*ret_context == NULL)
                return detail_refuse(PX_E_INVALID, "no context is named \"%s\"; see "
                                                   "\"plexus context ls\"", name);
        return PX_OK;
}

static int take_token(const char *token, char *ret_token)
{
        struct px_slice text = px_slice_text(token);

        if (text.length >= CONFIG_TOKEN_ROOM)
                return detail_refuse(PX_E_INVALID, "the token has %zu characters; one has 95",
                                     text.length);
        px_slice_to_text(text, ret_token, CONFIG_TOKEN_ROOM);
        return PX_OK;
}

static int load_token(const char *path, char *ret_token)
{
        struct px_buf text = {0};
        int code = config_file_load_secret(path, &text);

        if (code == PX_OK) {
                px_buf_append(&text, "", 1);
                code = take_token((const char *)text.data, ret_token);
        }
        if (text.data != NULL)
                explicit_bzero(text.data, text.capacity);
        px_buf_fini(&text);
        return code;
}

int config_resolve(const struct plexus_options *options, char *ret_url, char *ret_token)
{
        bool named = options->url == NULL && options->context != NULL;
        const char *url = options->url != NULL ? options->url
                                               : (named ? NULL : environment("PLEXUS_URL"));
        const char *token = options->token != NULL ? options->token : environment("PLEXUS_TOKEN");
        struct config *config = NULL;
        struct plexus_context *context = NULL;
        int code = PX_OK;

        ret_token[0] = '\0';
        if (url == NULL || (token == NULL && strncmp(url, "local:", 6) != 0)) {
                config = px_alloc(sizeof(*config));
                code = chosen_context(options, config, &context);
        }
        if (code == PX_OK && url == NULL && context == NULL)
                code = no_mesh();
        if (code == PX_OK && url == NULL)
                url = context->url;
        if (code == PX_OK && strlen(url) >= URL_ROOM)
                code = detail_refuse(PX_E_INVALID, "the URL has %zu characters; at most %d fit",
                                     strlen(url), URL_ROOM - 1);
        if (code == PX_OK)
                snprintf(ret_url, URL_ROOM, "%s", url);
        if (code == PX_OK && named && options->token == NULL && context->token_file[0] != '\0')
                token = NULL; /* who names a context means its token too */
        if (code == PX_OK && token != NULL)
                code = take_token(token, ret_token);
        else if (code == PX_OK && context != NULL && context->token_file[0] != '\0')
                code = load_token(context->token_file, ret_token);
        px_free(config);
        return code;
}
