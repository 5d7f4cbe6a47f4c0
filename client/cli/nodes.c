/* SPDX-License-Identifier: Apache-2.0 */
/* nodes.c - `plexus nodes` and `plexus node VERB`. Layer: L4 (client/cli). */
#include <inttypes.h>
#include <string.h>

#include "output.h"
#include "verbs.h"

#define NODE_NUMBER(function, expression)                                                        \
        static void function(const void *row, struct output_value *ret_value)                    \
        {                                                                                        \
                const struct plexus_node *node = row;                                            \
                ret_value->number = (double)(expression);                                        \
        }
#define NODE_TEXT(function, member)                                                              \
        static void function(const void *row, struct output_value *ret_value)                    \
        {                                                                                        \
                ret_value->text = ((const struct plexus_node *)row)->member;                     \
        }

NODE_TEXT(get_name, name)
NODE_TEXT(get_kind, kind)
NODE_TEXT(get_state, state)
NODE_TEXT(get_version, version)
NODE_TEXT(get_kill_mode, kill_mode)
NODE_TEXT(get_enforces, enforces)
NODE_TEXT(get_accounts, accounts)
NODE_TEXT(get_principal, principal)
NODE_TEXT(get_types, types)
NODE_TEXT(get_labels, labels)
NODE_TEXT(get_resources, resources)
NODE_NUMBER(get_gpus, node->gpus)
NODE_NUMBER(get_gpus_used, node->gpus_used)
NODE_NUMBER(get_cpus, node->cpus)
NODE_NUMBER(get_cpus_used, node->cpus_used)
NODE_NUMBER(get_memory, node->memory_bytes)
NODE_NUMBER(get_memory_used, node->memory_used_bytes)
NODE_NUMBER(get_jobs, node->jobs)
NODE_NUMBER(get_seen, node->seen_ms)

static void get_cpu_pair(const void *row, struct output_value *ret_value)
{
        const struct plexus_node *node = row;

        snprintf(ret_value->room, sizeof ret_value->room, "%g/%g", node->cpus_used, node->cpus);
        ret_value->text = ret_value->room;
}

static void get_gpu_pair(const void *row, struct output_value *ret_value)
{
        const struct plexus_node *node = row;

        snprintf(ret_value->room, sizeof ret_value->room, "%g/%u", node->gpus_used, node->gpus);
        ret_value->text = ret_value->room;
}

static void get_memory_pair(const void *row, struct output_value *ret_value)
{
        const struct plexus_node *node = row;
        char used[32];
        char all[32];

        snprintf(ret_value->room, sizeof ret_value->room, "%s/%s",
                 output_bytes(node->memory_used_bytes, used, sizeof used),
                 output_bytes(node->memory_bytes, all, sizeof all));
        ret_value->text = ret_value->room;
}

static const struct output_column node_columns[] = {
        {"NODE", "name", OUTPUT_TEXT, false, false, get_name},
        {"STATE", "state", OUTPUT_TEXT, false, false, get_state},
        {"CPU", "cpu_pair", OUTPUT_TEXT, false, false, get_cpu_pair},
        {"MEM", "memory_pair", OUTPUT_TEXT, false, false, get_memory_pair},
        {"GPU", "gpu_pair", OUTPUT_TEXT, false, false, get_gpu_pair},
        {"JOBS", "jobs", OUTPUT_INTEGER, false, false, get_jobs},
        {"SEEN", "seen_s", OUTPUT_DURATION, false, false, get_seen},
        {"VERSION", "version", OUTPUT_TEXT, false, false, get_version},
        {"KIND", "kind", OUTPUT_TEXT, true, false, get_kind},
        {"USER", "user", OUTPUT_TEXT, true, false, get_principal},
        {"ACCOUNTS", "accounts", OUTPUT_TEXT, true, false, get_accounts},
        {"KILL", "kill_mode", OUTPUT_TEXT, true, false, get_kill_mode},
        {"ENFORCES", "enforces", OUTPUT_TEXT, true, false, get_enforces},
        {"TYPES", "types", OUTPUT_TEXT, true, false, get_types},
        {"LABELS", "labels", OUTPUT_TEXT, true, false, get_labels},
        {"RESOURCES", "resources", OUTPUT_TEXT, true, false, get_resources},
        {"GPUS", "gpus", OUTPUT_INTEGER, false, true, get_gpus},
        {"GPUSUSED", "gpus_used", OUTPUT_DECIMAL, false, true, get_gpus_used},
        {"CPUS", "cpus", OUTPUT_DECIMAL, false, true, get_cpus},
        {"CPUSUSED", "cpus_used", OUTPUT_DECIMAL, false, true, get_cpus_used},
        {"MEMORY", "memory_bytes", OUTPUT_BYTES, false, true, get_memory},
        {"MEMORYUSED", "memory_used_bytes", OUTPUT_BYTES, false, true, get_memory_used},
        {NULL, NULL, OUTPUT_TEXT, false, false, NULL},
};

static const struct output_kind node_kind = {"plexus.node.v1", "nodes", node_columns,
                                             sizeof(struct plexus_node)};

static size_t count_state(const struct plexus_node *nodes, size_t count, const char *state)
{
        size_t found = 0;

        for (size_t i = 0; i < count; i++)
                found += strcmp(nodes[i].state, state) == 0;
        return found;
}

/* "2 up, 0 draining, 0 lost", and what else there is. */
static void summarise(const struct plexus_node *nodes, size_t count, char *ret_text, size_t room)
{
        static const char *const others[] = {"reconnecting", "stopped"};
        int used = snprintf(ret_text, room, "%zu up, %zu draining, %zu lost",
                            count_state(nodes, count, "up"), count_state(nodes, count, "draining"),
                            count_state(nodes, count, "unreachable"));

        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
                size_t found = count_state(nodes, count, others[i]);

                if (found > 0 && (size_t)used < room)
                        used += snprintf(ret_text + used, room - (size_t)used, ", %zu %s", found,
                                         others[i]);
        }
        /* The lowest rung of the ladder is to be seen without asking for more columns. */
        for (size_t i = 0; i < count && (size_t)used < room; i++)
                if (strncmp(nodes[i].kill_mode, "subreaper", 9) == 0)
                        used += snprintf(ret_text + used, room - (size_t)used,
                                         "; %s ends jobs by the subreaper alone", nodes[i].name);
}

int verb_nodes(struct cli *cli)
{
        struct plexus_node *nodes;
        size_t count;
        char summary[512];
        int error;
        int code = cli_connect(cli);

        if (code != 0)
                return code;
        error = plexus_nodes(cli->px, &nodes, &count);
        if (error != PLEXUS_OK)
                return cli_refused(cli, error, "");
        summarise(nodes, count, summary, sizeof summary);
        code = output_rows(cli, &node_kind, nodes, count, summary);
        plexus_nodes_free(nodes);
        return code;
}

static void print_people(const struct plexus_node *node)
{
        char used[32];
        char all[32];

        printf("node      %s (%s)\nstate     %s, heard of %s ago\n", node->name, node->kind, node->state,
               output_duration(node->seen_ms, used, sizeof used));
        printf("cpus      %g of %g in use\n", node->cpus_used, node->cpus);
        printf("memory    %s of %s asked for\n", output_bytes(node->memory_used_bytes, used, sizeof used),
               output_bytes(node->memory_bytes, all, sizeof all));
        printf("jobs      %u\nversion   %s\nuser      %s\n", node->jobs, node->version, node->principal);
        if (node->accounts[0] != '\0')
                printf("accounts  %s\n", node->accounts);
        if (node->kill_mode[0] != '\0')
                printf("kills by  %s\n", node->kill_mode);
        if (node->enforces[0] != '\0')
                printf("enforces  %s\n", node->enforces);
        if (node->types[0] != '\0')
                printf("serves    %s\n", node->types);
        if (node->gpus > 0)
                printf("gpus      %g of %u in use\n", node->gpus_used, node->gpus);
        if (node->labels[0] != '\0')
                printf("labels    %s\n", node->labels);
        if (node->resources[0] != '\0')
                printf("resources %s\n", node->resources);
        if (node->reserved_for != 0)
                printf("kept for  job %" PRIu64 ", which waits long\n", node->reserved_for);
}

int verb_node_show(struct cli *cli)
{
        struct plexus_node *nodes;
        size_t count;
        size_t at = 0;
        int error;
        int code = cli_connect(cli);

        if (code != 0)
                return code;
        error = plexus_nodes(cli->px, &nodes, &count);
        if (error != PLEXUS_OK)
                return cli_refused(cli, error, "");
        while (at < count && strcmp(nodes[at].name, cli->arguments[0]) != 0)
                at++;
        if (at == count)
                code = cli_fail(cli, CLI_NO_MATCH, "there is no node \"%s\"; plexus nodes lists them",
                                cli->arguments[0]);
        else if (cli_has(cli, "output") || cli_has(cli, "columns"))
                code = output_rows(cli, &node_kind, &nodes[at], 1, NULL);
        else
                print_people(&nodes[at]);
        plexus_nodes_free(nodes);
        return code;
}

/* One verb of the library over all nodes named. */
static int change_nodes(struct cli *cli, const char *verb)
{
        int code = cli_connect(cli);
        int worst = 0;

        for (size_t i = 0; i < cli->arguments_count && code == 0; i++) {
                int error = plexus_node_change(cli->px, cli->arguments[i], verb);

                if (error != PLEXUS_OK)
                        worst = cli_refused(cli, error, cli->arguments[i]);
        }
        return code != 0 ? code : worst;
}

int verb_node_drain(struct cli *cli)
{
        return change_nodes(cli, "drain");
}

int verb_node_resume(struct cli *cli)
{
        return change_nodes(cli, "resume");
}

int verb_node_stop(struct cli *cli)
{
        if (cli_has(cli, "kill") && cli_has(cli, "drain"))
                return cli_fail(cli, CLI_USAGE, "--drain and --kill exclude each other");
        return change_nodes(cli, cli_has(cli, "kill") ? "kill" : "stop");
}

int verb_node_rm(struct cli *cli)
{
        return change_nodes(cli, "remove");
}
