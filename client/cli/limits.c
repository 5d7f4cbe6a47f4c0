/* SPDX-License-Identifier: Apache-2.0 */
/* limits.c - `plexus queue|module|user|resource VERB`: limits and how full they are.
 * Layer: L4 (client/cli). The noun of the command is the kind of limit. */
#include <inttypes.h>
#include <string.h>

#include "output.h"
#include "verbs.h"

#define AMOUNT_MAX 2000000000

/* ---- lists ---------------------------------------------------------------------------------------------- */

#define LIMIT_NUMBER(function, expression)                                                       \
        static void function(const void *row, struct output_value *ret_value)                    \
        {                                                                                        \
                const struct plexus_limit *limit = row;                                          \
                ret_value->number = (double)(expression);                                        \
        }
#define LIMIT_TEXT(function, member)                                                             \
        static void function(const void *row, struct output_value *ret_value)                    \
        {                                                                                        \
                ret_value->text = ((const struct plexus_limit *)row)->member;                    \
        }
/* 0 = no limit */
#define LIMIT_MOST(function, member)                                                             \
        static void function(const void *row, struct output_value *ret_value)                    \
        {                                                                                        \
                ret_value->number = (double)((const struct plexus_limit *)row)->member;          \
                ret_value->none = ret_value->number == 0;                                        \
        }

LIMIT_TEXT(get_name, name)
LIMIT_TEXT(get_kind, kind)
LIMIT_NUMBER(get_running, limit->running)
LIMIT_NUMBER(get_queued, limit->queued)
LIMIT_NUMBER(get_used, limit->used)
LIMIT_NUMBER(get_capacity, limit->capacity)
LIMIT_NUMBER(get_paused, limit->paused)
LIMIT_NUMBER(get_weight, limit->weight)
LIMIT_NUMBER(get_usage, limit->usage)
LIMIT_MOST(get_running_max, running_max)
LIMIT_MOST(get_queued_max, queued_max)
LIMIT_MOST(get_priority_max, priority_max)

static void get_rate(const void *row, struct output_value *ret_value)
{
        const struct plexus_limit *limit = row;
        char time[32];

        ret_value->text = ret_value->room;
        if (limit->rate_count > 0)
                snprintf(ret_value->room, sizeof ret_value->room, "%u/%s", limit->rate_count,
                         output_duration(limit->rate_ms, time, sizeof time));
}

static void get_holders(const void *row, struct output_value *ret_value)
{
        const struct plexus_limit *limit = row;
        size_t used = 0;

        ret_value->text = ret_value->room;
        for (size_t i = 0; i < limit->holders_count && used + 24 < sizeof ret_value->room; i++)
                used += (size_t)snprintf(ret_value->room + used, sizeof ret_value->room - used,
                                         "%s%" PRIu64, i > 0 ? "," : "", limit->holders[i]);
}

static const struct output_column cap_columns[] = {
        {"NAME", "name", OUTPUT_TEXT, false, false, get_name},
        {"KIND", "kind", OUTPUT_TEXT, false, true, get_kind},
        {"RUNNING", "running", OUTPUT_INTEGER, false, false, get_running},
        {"MOST", "running_max", OUTPUT_INTEGER, false, false, get_running_max},
        {"WAITING", "queued", OUTPUT_INTEGER, false, false, get_queued},
        {"MOSTWAITING", "queued_max", OUTPUT_INTEGER, false, false, get_queued_max},
        {"RATE", "rate", OUTPUT_TEXT, false, false, get_rate},
        {"PAUSED", "paused", OUTPUT_BOOL, false, false, get_paused},
        {"WEIGHT", "weight", OUTPUT_INTEGER, true, false, get_weight},
        {"USAGE", "usage", OUTPUT_PERCENT, true, false, get_usage},
        {"PRIORITY", "priority_max", OUTPUT_INTEGER, true, false, get_priority_max},
        {NULL, NULL, OUTPUT_TEXT, false, false, NULL},
};

static const struct output_column resource_columns[] = {
        {"NAME", "name", OUTPUT_TEXT, false, false, get_name},
        {"USED", "used", OUTPUT_INTEGER, false, false, get_used},
        {"CAPACITY", "capacity", OUTPUT_INTEGER, false, false, get_capacity},
        {"RUNNING", "running", OUTPUT_INTEGER, false, false, get_running},
        {"WAITING", "queued", OUTPUT_INTEGER, false, false, get_queued},
        {"HOLDERS", "holders", OUTPUT_TEXT, false, false, get_holders},
        {NULL, NULL, OUTPUT_TEXT, false, false, NULL},
};

static const struct output_kind cap_kind = {"plexus.limit.v1", "limits", cap_columns,
                                            sizeof(struct plexus_limit)};
static const struct output_kind resource_kind = {"plexus.resource.v1", "resources", resource_columns,
                                                 sizeof(struct plexus_limit)};

/* "queue" of "queue set" */
static void noun_of(const struct cli *cli, char ret_noun[16])
{
        snprintf(ret_noun, 16, "%.*s", (int)strcspn(cli->command->name, " "), cli->command->name);
}

int verb_limit_ls(struct cli *cli)
{
        struct plexus_limit *limits;
        size_t count;
        char noun[16];
        int error;
        int code = cli_connect(cli);

        if (code != 0)
                return code;
        noun_of(cli, noun);
        error = plexus_limits(cli->px, noun, &limits, &count);
        if (error != PLEXUS_OK)
                return cli_refused(cli, error, "");
        code = output_rows(cli, strcmp(noun, "resource") == 0 ? &resource_kind : &cap_kind, limits, count,
                           NULL);
        plexus_limits_free(limits);
        return code;
}

/* ---- changes ---------------------------------------------------------------------------------------------- */

static int take_most(const struct cli *cli, const char *option, uint64_t *ret_most, uint32_t bit,
                     uint32_t *what)
{
        const char *text = cli_value(cli, option);
        int64_t most = 0;

        if (text == NULL)
                return 0;
        if (strcmp(text, "none") != 0 && !cli_parse_number(text, 1, AMOUNT_MAX, &most))
                return cli_fail(cli, CLI_USAGE, "--%s %s is neither none nor a whole number from 1", option, text);
        *ret_most = (uint64_t)most;
        *what |= bit;
        return 0;
}

/* --rate 10/1m */
static int take_rate(const struct cli *cli, struct plexus_limit *limit, uint32_t *what)
{
        const char *text = cli_value(cli, "rate");
        char count_text[24];
        size_t length;
        int64_t count = 0;

        if (text == NULL)
                return 0;
        *what |= PLEXUS_LIMIT_RATE;
        if (strcmp(text, "none") == 0)
                return 0;
        length = strcspn(text, "/");
        snprintf(count_text, sizeof count_text, "%.*s", (int)length, text);
        if (text[length] != '/' || !cli_parse_number(count_text, 1, AMOUNT_MAX, &count) ||
            !cli_parse_duration(text + length + 1, &limit->rate_ms) || limit->rate_ms == 0)
                return cli_fail(cli, CLI_USAGE, "--rate %s is neither none nor starts/TIME (like 10/1m)", text);
        limit->rate_count = (uint32_t)count;
        return 0;
}

static int take_order(const struct cli *cli, struct plexus_limit *limit, uint32_t *what)
{
        const char *weight = cli_value(cli, "weight");
        const char *priority = cli_value(cli, "priority-max");
        int64_t number = 0;

        if (weight != NULL && !cli_parse_number(weight, 1, 1000, &number))
                return cli_fail(cli, CLI_USAGE, "--weight %s is not a whole number from 1 to 1000", weight);
        if (weight != NULL)
                *what |= PLEXUS_LIMIT_WEIGHT;
        limit->weight = (uint32_t)number;
        number = 0;
        if (priority != NULL && strcmp(priority, "none") != 0 &&
            !cli_parse_number(priority, -1000, 1000, &number))
                return cli_fail(cli, CLI_USAGE, "--priority-max %s is neither none nor from -1000 to 1000",
                                priority);
        if (priority != NULL)
                *what |= PLEXUS_LIMIT_PRIORITY;
        limit->priority_max = (int32_t)number;
        return 0;
}

static int limit_from_options(const struct cli *cli, struct plexus_limit *limit, uint32_t *what)
{
        int code = take_most(cli, "running", &limit->running_max, PLEXUS_LIMIT_RUNNING, what);

        if (code == 0)
                code = take_most(cli, "waiting", &limit->queued_max, PLEXUS_LIMIT_QUEUED, what);
        if (code == 0)
                code = take_rate(cli, limit, what);
        if (code == 0)
                code = take_order(cli, limit, what);
        if (code == 0 && cli_has(cli, "pause") && cli_has(cli, "resume"))
                code = cli_fail(cli, CLI_USAGE, "--pause and --resume exclude each other");
        if (cli_has(cli, "pause") || cli_has(cli, "resume"))
                *what |= PLEXUS_LIMIT_PAUSED;
        limit->paused = cli_has(cli, "pause");
        return code;
}

static int set_limit(struct cli *cli, struct plexus_limit *limit, uint32_t what)
{
        int code = cli_connect(cli);
        int error;

        if (code != 0)
                return code;
        noun_of(cli, limit->kind);
        error = plexus_limit_set(cli->px, limit, what);
        return error == PLEXUS_OK ? 0 : cli_refused(cli, error, limit->name);
}

static int take_name(const struct cli *cli, const char *name, struct plexus_limit *limit)
{
        if ((size_t)snprintf(limit->name, sizeof limit->name, "%s", name) < sizeof limit->name)
                return 0;
        return cli_fail(cli, CLI_USAGE, "a name has at most %zu bytes", sizeof limit->name - 1);
}

int verb_limit_set(struct cli *cli)
{
        struct plexus_limit limit = {0};
        uint32_t what = 0;
        int code = take_name(cli, cli->arguments[0], &limit);

        if (code == 0)
                code = limit_from_options(cli, &limit, &what);
        return code != 0 ? code : set_limit(cli, &limit, what);
}

int verb_resource_set(struct cli *cli)
{
        struct plexus_limit limit = {0};
        int64_t capacity = 0;
        int code = take_name(cli, cli->arguments[0], &limit);

        if (code == 0 && !cli_parse_number(cli->arguments[1], 0, AMOUNT_MAX, &capacity))
                code = cli_fail(cli, CLI_USAGE, "%s is not a whole number from 0 to %d", cli->arguments[1],
                                AMOUNT_MAX);
        limit.capacity = (uint64_t)capacity;
        return code != 0 ? code : set_limit(cli, &limit, PLEXUS_LIMIT_CAPACITY);
}

static int pause_all(struct cli *cli, bool paused)
{
        int worst = 0;
        int code = cli_connect(cli);

        for (size_t i = 0; i < cli->arguments_count && code == 0; i++) {
                struct plexus_limit limit = {.paused = paused};
                int one = take_name(cli, cli->arguments[i], &limit);
                int error;

                noun_of(cli, limit.kind);
                error = one != 0 ? PLEXUS_OK : plexus_limit_set(cli->px, &limit, PLEXUS_LIMIT_PAUSED);
                if (error != PLEXUS_OK)
                        one = cli_refused(cli, error, limit.name);
                worst = one != 0 ? one : worst;
        }
        return code != 0 ? code : worst;
}

int verb_limit_pause(struct cli *cli)
{
        return pause_all(cli, true);
}

int verb_limit_resume(struct cli *cli)
{
        return pause_all(cli, false);
}

int verb_limit_rm(struct cli *cli)
{
        char noun[16];
        int worst = 0;
        int code = cli_connect(cli);

        noun_of(cli, noun);
        for (size_t i = 0; i < cli->arguments_count && code == 0; i++) {
                int error = plexus_limit_remove(cli->px, noun, cli->arguments[i]);

                if (error != PLEXUS_OK)
                        worst = cli_refused(cli, error, cli->arguments[i]);
        }
        return code != 0 ? code : worst;
}
