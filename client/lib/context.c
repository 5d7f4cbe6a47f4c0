/* SPDX-License-Identifier: Apache-2.0 */
/* context.c - plexus_context_*: list and change the user's contexts. Layer: L4 (client/lib). */
#include "lib_config.h"
#include "lib_config_file.h"
#include "lib_detail.h"
#include "px_schema.h"
#include "px_token.h"
#include "lib_url.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void put_string(struct px_buf *text, const char *key, const char *value)
{
        px_buf_format(text, "%s = \"", key);
        for (; *value != '\0'; value++) {
                if (*value == '"' || *value == '\\')
                        px_buf_append(text, "\\", 1);
                px_buf_append(text, value, 1);
        }
        px_buf_append_text(text, "\"\n");
}

static int config_write(const struct config *config)
{
        struct px_buf text = {0};
        char path[CONFIG_PATH_ROOM];
        int code = config_file_path("config.toml", path);

        px_buf_append_text(&text, "# Written by plexus context; comments are not kept.\n");
        if (config->current[0] != '\0')
                put_string(&text, "current", config->current);
        for (size_t i = 0; i < config->count; i++) {
                const struct plexus_context *context = &config->contexts[i];

                px_buf_format(&text, "\n[contexts.%s]\n", context->name);
                put_string(&text, "url", context->url);
                if (context->token_file[0] != '\0')
                        put_string(&text, "token_file", context->token_file);
        }
        if (code == PX_OK)
                code = config_file_store(path, px_buf_slice(&text));
        px_buf_fini(&text);
        return code;
}

int plexus_context_list(struct plexus_context **ret_contexts, size_t *ret_count)
{
        struct config *config = px_alloc(sizeof(*config));
        int code = config_read(config);

        if (code == PX_OK) {
                size_t bytes = PX_MAX(config->count, 1) * sizeof(struct plexus_context);

                *ret_contexts = px_alloc(bytes);
                memcpy(*ret_contexts, config->contexts,
                       config->count * sizeof(struct plexus_context));
                *ret_count = config->count;
        }
        px_free(config);
        return code;
}

void plexus_contexts_free(struct plexus_context *contexts)
{
        px_free(contexts);
}

static int check_token(const char *token)
{
        struct px_token parsed;
        char reason[PX_TOKEN_REASON_ROOM];

        if (token == NULL)
                return PX_OK;
        if (!px_token_decode(px_slice_text(token), &parsed, reason))
                return detail_refuse(PX_E_INVALID, "%s", reason);
        px_token_wipe(&parsed);
        return PX_OK;
}

static int check_put(const char *name, const char *url, const char *token)
{
        struct url parsed;
        int code;

        if (!config_name_valid(px_slice_text(name)))
                return detail_refuse(PX_E_INVALID, "\"%s\" names no context: 1 to 64 letters, "
                                                   "digits, \"-\" and \"_\" do", name);
        code = url_parse(url, &parsed);
        return code != PX_OK ? code : check_token(token);
}

/* Store the token in a file of its own and note where. */
static int put_token(struct plexus_context *context, const char *token)
{
        char file[80];
        struct px_buf text = {0};
        int code;

        if (token == NULL) {
                context->token_file[0] = '\0';
                return PX_OK;
        }
        snprintf(file, sizeof(file), "%s.token", context->name);
        code = config_file_path(file, context->token_file);
        px_buf_append_text(&text, token);
        px_buf_append_text(&text, "\n");
        if (code == PX_OK)
                code = config_file_store(context->token_file, px_buf_slice(&text));
        explicit_bzero(text.data, text.length);
        px_buf_fini(&text);
        return code;
}

static int put_in(struct config *config, const char *name, const char *url, const char *token,
                  bool use)
{
        struct plexus_context *context = config_find(config, name);
        int code;

        if (context == NULL && config->count == CONFIG_CONTEXTS_MAX)
                return detail_refuse(PX_E_LIMIT, "there are %d contexts already",
                                     CONFIG_CONTEXTS_MAX);
        if (context == NULL)
                context = &config->contexts[config->count++];
        snprintf(context->name, sizeof(context->name), "%s", name);
        snprintf(context->url, sizeof(context->url), "%s", url);
        code = put_token(context, token);
        if (use || config->current[0] == '\0')
                snprintf(config->current, sizeof(config->current), "%s", name);
        return code;
}

static int use_in(struct config *config, const char *name)
{
        if (config_find(config, name) == NULL)
                return detail_refuse(PX_E_ABSENT, "no context is named \"%s\"", name);
        snprintf(config->current, sizeof(config->current), "%s", name);
        return PX_OK;
}

static int remove_in(struct config *config, const char *name)
{
        struct plexus_context *context = config_find(config, name);
        char file[80], path[CONFIG_PATH_ROOM];

        if (context == NULL)
                return detail_refuse(PX_E_ABSENT, "no context is named \"%s\"", name);
        /* Only a token file of our making goes with it. */
        snprintf(file, sizeof(file), "%s.token", name);
        if (config_file_path(file, path) == PX_OK && strcmp(path, context->token_file) == 0 &&
            unlink(path) != 0 && errno != ENOENT)
                return detail_refuse(PX_E_INVALID, "%s: %s", path, strerror(errno));
        if (strcmp(config->current, name) == 0)
                config->current[0] = '\0';
        *context = config->contexts[--config->count];
        return PX_OK;
}

enum verb {
        VERB_PUT,
        VERB_USE,
        VERB_REMOVE,
};

static int change(enum verb verb, const char *name, const char *url, const char *token, bool use)
{
        struct config *config = px_alloc(sizeof(*config));
        int fd = -1;
        int code = config_file_lock(&fd);

        if (code == PX_OK)
                code = config_read(config);
        if (code == PX_OK && verb == VERB_PUT)
                code = put_in(config, name, url, token, use);
        else if (code == PX_OK && verb == VERB_USE)
                code = use_in(config, name);
        else if (code == PX_OK)
                code = remove_in(config, name);
        if (code == PX_OK)
                code = config_write(config);
        if (fd >= 0)
                close(fd);
        px_free(config);
        return code;
}

int plexus_context_put(const char *name, const char *url, const char *token, bool use)
{
        int code = check_put(name, url, token);

        return code != PX_OK ? code : change(VERB_PUT, name, url, token, use);
}

int plexus_context_use(const char *name)
{
        return change(VERB_USE, name, NULL, NULL, false);
}

int plexus_context_remove(const char *name)
{
        return change(VERB_REMOVE, name, NULL, NULL, false);
}

int plexus_context_find(const struct plexus_options *options, char *ret_url, size_t room)
{
        static const struct plexus_options none;
        char url[URL_ROOM], token[CONFIG_TOKEN_ROOM];
        int code = config_resolve(options != NULL ? options : &none, url, token);

        explicit_bzero(token, sizeof(token));
        if (code == PX_OK)
                snprintf(ret_url, room, "%s", url);
        return code;
}
