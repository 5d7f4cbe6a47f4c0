/* SPDX-License-Identifier: Apache-2.0 */
/* tokens.c - `plexus token create|ls|revoke`. Layer: L4 (client/cli). */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "output.h"
#include "tokens.h"
#include "verbs.h"

#define TOKEN_ROOM 256
#define USES_DEFAULT 16
#define ENROL_LIFETIME_MS (UINT64_C(24) * 3600 * 1000)

#define TOKEN_TEXT(function, member)                                                             \
        static void function(const void *row, struct output_value *ret_value)                    \
        {                                                                                        \
                ret_value->text = ((const struct plexus_token_info *)row)->member;               \
        }
#define TOKEN_NUMBER(function, member)                                                           \
        static void function(const void *row, struct output_value *ret_value)                    \
        {                                                                                        \
                ret_value->number = (double)((const struct plexus_token_info *)row)->member;     \
        }

TOKEN_NUMBER(get_id, id)
TOKEN_TEXT(get_name, name)
TOKEN_TEXT(get_role, role)
TOKEN_TEXT(get_enrol_role, enrol_role)
TOKEN_NUMBER(get_created, created_ms)
TOKEN_NUMBER(get_expires, expires_ms)
TOKEN_NUMBER(get_revoked, revoked)

static void get_uses(const void *row, struct output_value *ret_value)
{
        const struct plexus_token_info *token = row;

        ret_value->number = token->uses_left;
        ret_value->none = strcmp(token->role, "enrol") != 0;
}

static const struct output_column token_columns[] = {
        {"ID", "id", OUTPUT_INTEGER, false, false, get_id},
        {"NAME", "name", OUTPUT_TEXT, false, false, get_name},
        {"ROLE", "role", OUTPUT_TEXT, false, false, get_role},
        {"FOR", "enrol_role", OUTPUT_TEXT, false, false, get_enrol_role},
        {"USES", "uses_left", OUTPUT_INTEGER, false, false, get_uses},
        {"CREATED", "created", OUTPUT_TIME, false, false, get_created},
        {"EXPIRES", "expires", OUTPUT_TIME, false, false, get_expires},
        {"REVOKED", "revoked", OUTPUT_BOOL, false, false, get_revoked},
        {NULL, NULL, OUTPUT_TEXT, false, false, NULL},
};

static const struct output_kind token_kind = {"plexus.token.v1", "tokens", token_columns,
                                              sizeof(struct plexus_token_info)};

void token_name_make(const char *word, char *ret_name, size_t room)
{
        unsigned number;

        if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
                abort();
        snprintf(ret_name, room, "%.40s-%06x", word, number & 0xFFFFFF);
}

int verb_token_create(struct cli *cli)
{
        const char *role = cli_has(cli, "role") ? cli_value(cli, "role") : "user";
        const char *name = cli_value(cli, "user");
        char made[65];
        const char *uses_text = cli_value(cli, "uses");
        const char *lifetime = cli_value(cli, "lifetime");
        bool enrol = cli_has(cli, "enrol");
        uint64_t lifetime_ms = enrol ? ENROL_LIFETIME_MS : 0;
        int64_t uses = USES_DEFAULT;
        char token[TOKEN_ROOM];
        int error;
        int code;

        if (uses_text != NULL && !enrol)
                return cli_fail(cli, CLI_USAGE, "--uses goes with --enrol");
        if (uses_text != NULL && !cli_parse_number(uses_text, 1, 1000000, &uses))
                return cli_fail(cli, CLI_USAGE, "--uses %s is not a number from 1 to 1000000", uses_text);
        if (lifetime != NULL && !cli_parse_duration(lifetime, &lifetime_ms))
                return cli_fail(cli, CLI_USAGE, "--lifetime %s is not a duration (like 24h, 90d)", lifetime);
        if (name == NULL) {
                token_name_make(role, made, sizeof made);
                name = made;
        }
        code = cli_connect(cli);
        if (code != 0)
                return code;
        error = plexus_token_create(cli->px, enrol ? "enrol" : role, name, enrol ? role : NULL,
                                    enrol ? (uint32_t)uses : 0, lifetime_ms, token, sizeof token);
        if (error != PLEXUS_OK)
                return cli_refused(cli, error, "");
        puts(token);
        explicit_bzero(token, sizeof token);
        return CLI_DONE;
}

int verb_token_ls(struct cli *cli)
{
        struct plexus_token_info *tokens;
        size_t count;
        int error;
        int code = cli_connect(cli);

        if (code != 0)
                return code;
        error = plexus_tokens(cli->px, &tokens, &count);
        if (error != PLEXUS_OK)
                return cli_refused(cli, error, "");
        code = output_rows(cli, &token_kind, tokens, count, NULL);
        plexus_tokens_free(tokens);
        return code;
}

int verb_token_revoke(struct cli *cli)
{
        int code = cli_connect(cli);
        int worst = 0;

        for (size_t i = 0; i < cli->arguments_count && code == 0; i++) {
                int error = plexus_token_revoke(cli->px, cli->arguments[i]);

                if (error != PLEXUS_OK)
                        worst = cli_refused(cli, error, cli->arguments[i]);
        }
        return code != 0 ? code : worst;
}
