/* SPDX-License-Identifier: Apache-2.0 */
/* needs.c - options of run and submit that say what a job needs of nodes and limits, and how long it may
 * wait. Layer: L4 (client/cli). */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "spec.h"

#define AMOUNT_MAX 2000000000

static int take_gpus(const struct cli *cli, struct plexus_job_spec *spec)
{
        const char *text = cli_value(cli, "gpus");

        if (text == NULL)
                return 0;
        if (!cli_parse_cpus(text, &spec->gpus))
                return cli_fail(cli, CLI_USAGE, "--gpus %s is not a number of gpus (like 2, or 0.5 of one)", text);
        return 0;
}

/* --resource NAME[=N] */
static int add_resources(const struct cli *cli, struct spec_words *words)
{
        const char *given;
        size_t index = 0;

        while ((given = cli_next_value(cli, "resource", &index)) != NULL) {
                size_t length = strcspn(given, "=");
                struct plexus_resource *resource = &words->resources[words->spec.resources_count];
                int64_t amount = 1;

                if (words->spec.resources_count == SPEC_NEEDS_MAX)
                        return cli_fail(cli, CLI_USAGE, "more than %d resources", SPEC_NEEDS_MAX);
                if (length == 0 || (given[length] == '=' &&
                                    !cli_parse_number(given + length + 1, 1, AMOUNT_MAX, &amount)))
                        return cli_fail(cli, CLI_USAGE, "--resource %s is not NAME or NAME=N with a whole number "
                                                        "from 1 to %d",
                                        given, AMOUNT_MAX);
                *resource = (struct plexus_resource){strndup(given, length), (uint64_t)amount};
                words->spec.resources_count++;
        }
        words->spec.resources = words->resources;
        return 0;
}

static int add_conditions(const struct cli *cli, struct spec_words *words)
{
        const char *given;
        size_t index = 0;

        while ((given = cli_next_value(cli, "where", &index)) != NULL) {
                if (words->spec.where_count == SPEC_NEEDS_MAX)
                        return cli_fail(cli, CLI_USAGE, "more than %d conditions", SPEC_NEEDS_MAX);
                words->where[words->spec.where_count++] = given;
        }
        words->spec.where = words->where;
        return 0;
}

int spec_take_moment(const struct cli *cli, const char *option, int64_t *ret_wall_ms)
{
        const char *text = cli_value(cli, option);
        struct timespec now;
        uint64_t in_ms;

        if (text == NULL)
                return 0;
        clock_gettime(CLOCK_REALTIME, &now);
        if (*text == '+' && cli_parse_duration(text + 1, &in_ms)) {
                *ret_wall_ms = (int64_t)now.tv_sec * 1000 + (int64_t)in_ms;
                return 0;
        }
        if (*text != '+' && strchr(text, '-') != NULL && cli_parse_since(text, 0, ret_wall_ms))
                return 0;
        return cli_fail(cli, CLI_USAGE, "--%s %s is not a time (like 2026-01-31T18:00 or +2h)", option, text);
}

int spec_add_needs(const struct cli *cli, struct spec_words *words)
{
        const char *wait = cli_value(cli, "max-wait");
        int code = take_gpus(cli, &words->spec);

        if (code == 0)
                code = add_resources(cli, words);
        if (code == 0)
                code = add_conditions(cli, words);
        if (code == 0 && wait != NULL && !cli_parse_duration(wait, &words->spec.wait_ms))
                code = cli_fail(cli, CLI_USAGE, "--max-wait %s is not a duration (like 90s, 5m, 2h)", wait);
        if (code == 0)
                code = spec_take_moment(cli, "deadline", &words->spec.expires_wall_ms);
        words->spec.queue = cli_value(cli, "queue");
        words->spec.module = cli_value(cli, "module");
        words->spec.apart = cli_value(cli, "apart");
        words->spec.warm = cli_value(cli, "warm");
        words->spec.wait_for_node = cli_has(cli, "wait-for-node");
        return code;
}

void spec_needs_fini(struct spec_words *words)
{
        for (size_t i = 0; i < words->spec.resources_count; i++)
                free((char *)(uintptr_t)words->resources[i].name);
}
