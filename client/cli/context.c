/* SPDX-License-Identifier: Apache-2.0 */
/* context.c - `plexus context ls|use|rm` and `plexus config show`. Layer: L4 (client/cli). */
#include <stdlib.h>
#include <string.h>

#include "mesh.h"
#include "output.h"
#include "settings.h"
#include "verbs.h"

/* ---- contexts ------------------------------------------------------------------------------------------ */

static void get_name(const void *row, struct output_value *ret_value)
{
        ret_value->text = ((const struct plexus_context *)row)->name;
}

static void get_current(const void *row, struct output_value *ret_value)
{
        ret_value->number = ((const struct plexus_context *)row)->current;
}

static void get_url(const void *row, struct output_value *ret_value)
{
        ret_value->text = ((const struct plexus_context *)row)->url;
}

static void get_token_file(const void *row, struct output_value *ret_value)
{
        ret_value->text = ((const struct plexus_context *)row)->token_file;
}

static const struct output_column context_columns[] = {
        {"NAME", "name", OUTPUT_TEXT, false, false, get_name},
        {"CURRENT", "current", OUTPUT_BOOL, false, false, get_current},
        {"URL", "url", OUTPUT_TEXT, false, false, get_url},
        {"TOKENFILE", "token_file", OUTPUT_TEXT, true, false, get_token_file},
        {NULL, NULL, OUTPUT_TEXT, false, false, NULL},
};

static const struct output_kind context_kind = {"plexus.context.v1", "contexts", context_columns,
                                                sizeof(struct plexus_context)};

int verb_context_ls(struct cli *cli)
{
        struct plexus_context *contexts;
        size_t count;
        int error = plexus_context_list(&contexts, &count);
        int code;

        if (error != PLEXUS_OK)
                return cli_refused(cli, error, "");
        code = output_rows(cli, &context_kind, contexts, count,
                           count == 0 ? "none yet: plexus up starts a mesh of your own" : NULL);
        plexus_contexts_free(contexts);
        return code;
}

int verb_context_use(struct cli *cli)
{
        int error = plexus_context_use(cli->arguments[0]);

        return error == PLEXUS_OK ? CLI_DONE : cli_refused(cli, error, cli->arguments[0]);
}

int verb_context_rm(struct cli *cli)
{
        int error = plexus_context_remove(cli->arguments[0]);

        return error == PLEXUS_OK ? CLI_DONE : cli_refused(cli, error, cli->arguments[0]);
}

/* ---- what is set ----------------------------------------------------------------------------------------- */

#define OWN_SETTINGS 6

struct setting {
        char name[64];
        char value[1024];
        char origin[768];
};

static void get_setting(const void *row, struct output_value *ret_value)
{
        ret_value->text = ((const struct setting *)row)->name;
}

static void get_value(const void *row, struct output_value *ret_value)
{
        ret_value->text = ((const struct setting *)row)->value;
}

static void get_origin(const void *row, struct output_value *ret_value)
{
        ret_value->text = ((const struct setting *)row)->origin;
}

static const struct output_column origin_columns[] = {
        {"NAME", "name", OUTPUT_TEXT, false, false, get_setting},
        {"VALUE", "value", OUTPUT_TEXT, false, false, get_value},
        {"ORIGIN", "origin", OUTPUT_TEXT, false, false, get_origin},
        {NULL, NULL, OUTPUT_TEXT, false, false, NULL},
};
static const struct output_column setting_columns[] = {
        {"NAME", "name", OUTPUT_TEXT, false, false, get_setting},
        {"VALUE", "value", OUTPUT_TEXT, false, false, get_value},
        {"ORIGIN", "origin", OUTPUT_TEXT, true, false, get_origin},
        {NULL, NULL, OUTPUT_TEXT, false, false, NULL},
};

static const struct output_kind origin_kind = {"plexus.setting.v1", "settings", origin_columns,
                                               sizeof(struct setting)};
static const struct output_kind setting_kind = {"plexus.setting.v1", "settings", setting_columns,
                                                sizeof(struct setting)};

static bool set_from(struct setting *setting, const char *name, const char *value, const char *origin)
{
        snprintf(setting->name, sizeof setting->name, "%s", name);
        snprintf(setting->value, sizeof setting->value, "%s", value != NULL ? value : "");
        snprintf(setting->origin, sizeof setting->origin, "%s", origin);
        return value != NULL && *value != '\0';
}

/* An option, else a variable. */
static bool set_by_user(const struct cli *cli, struct setting *setting, const char *name,
                        const char *option, const char *variable)
{
        char origin[64];

        snprintf(origin, sizeof origin, "--%s", option);
        if (set_from(setting, name, cli_value(cli, option), origin))
                return true;
        return variable != NULL && set_from(setting, name, getenv(variable), variable);
}

/* The context that counts: --context, PLEXUS_CONTEXT, the current one. */
static const struct plexus_context *context_of(const struct cli *cli, struct setting *setting,
                                               const struct plexus_context *contexts, size_t count)
{
        bool named = set_by_user(cli, setting, "context", "context", "PLEXUS_CONTEXT");

        for (size_t i = 0; i < count; i++) {
                if (named ? strcmp(contexts[i].name, setting->value) != 0 : !contexts[i].current)
                        continue;
                if (!named)
                        set_from(setting, "context", contexts[i].name, "current context");
                return &contexts[i];
        }
        if (!named)
                set_from(setting, "context", "", "none");
        return NULL;
}

static void set_url(const struct cli *cli, struct setting *setting, const struct plexus_context *context)
{
        char origin[128];

        if (set_by_user(cli, setting, "url", "url", "PLEXUS_URL"))
                return;
        snprintf(origin, sizeof origin, "context %s", context != NULL ? context->name : "");
        set_from(setting, "url", context != NULL ? context->url : "", context != NULL ? origin : "none");
}

/* Where the token comes from, never the token. */
static void set_token(const struct cli *cli, struct setting *setting, const struct plexus_context *context)
{
        const char *variable = getenv("PLEXUS_TOKEN");

        if (set_from(setting, "token", cli_value(cli, "token-file"), "--token-file"))
                return;
        if (variable != NULL && *variable != '\0')
                set_from(setting, "token", "(set)", "PLEXUS_TOKEN");
        else
                set_from(setting, "token", context != NULL ? context->token_file : "",
                         context != NULL && context->token_file[0] != '\0' ? "context" : "none");
}

static void set_up_dir(struct setting *setting)
{
        const char *state = getenv("XDG_STATE_HOME");
        char dir[MESH_PATH_MAX] = "";

        (void)mesh_default_dir(dir, sizeof dir);
        set_from(setting, "up.dir", dir, state != NULL && *state == '/' ? "XDG_STATE_HOME" : "default");
}

/* Those of this call, in OWN_SETTINGS rows. */
static int set_own(const struct cli *cli, struct setting *settings)
{
        struct plexus_context *contexts;
        const struct plexus_context *context;
        size_t count;
        int error = plexus_context_list(&contexts, &count);

        if (error != PLEXUS_OK)
                return cli_refused(cli, error, "");
        context = context_of(cli, &settings[0], contexts, count);
        set_url(cli, &settings[1], context);
        set_token(cli, &settings[2], context);
        if (!set_by_user(cli, &settings[3], "timeout", "timeout", NULL))
                set_from(&settings[3], "timeout", "30s", "default");
        if (!set_by_user(cli, &settings[4], "color", "color", NULL) &&
            !set_from(&settings[4], "color", getenv("NO_COLOR") != NULL ? "never" : "", "NO_COLOR"))
                set_from(&settings[4], "color", "auto", "default");
        set_up_dir(&settings[5]);
        plexus_contexts_free(contexts);
        return 0;
}

/* Those of `plexus broker` and `plexus node`; what is set nowhere is left to the program. */
static void set_programs(struct setting *rows, const struct settings *settings)
{
        for (size_t i = 0; i < settings->count; i++) {
                const struct setting_value *value = &settings->values[i];
                char name[64];

                snprintf(name, sizeof name, "%.20s.%.40s", value->table, value->key);
                set_from(&rows[i], name, value->value, *value->origin != '\0' ? value->origin : "default");
        }
}

int verb_config_show(struct cli *cli)
{
        struct settings *settings;
        struct setting *rows;
        int code = settings_load(cli, &settings);

        if (code != 0)
                return code;
        settings_add_unset(settings);
        rows = calloc(OWN_SETTINGS + settings->count, sizeof *rows);
        code = rows == NULL ? cli_fail(cli, CLI_FAULT, "out of memory") : set_own(cli, rows);
        if (code == 0) {
                set_programs(rows + OWN_SETTINGS, settings);
                code = output_rows(cli, cli_has(cli, "origin") ? &origin_kind : &setting_kind, rows,
                                   OWN_SETTINGS + settings->count, NULL);
        }
        free(rows);
        free(settings);
        return code;
}
