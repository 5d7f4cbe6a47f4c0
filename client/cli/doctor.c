/* SPDX-License-Identifier: Apache-2.0 */
/* doctor.c - `plexus doctor`: every hop from here to a running job, in order, until one fails.
 * Layer: L4 (client/cli). */
#include "doctor.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "connect.h"
#include "output.h"
#include "verbs.h"

#define CLOCK_ODD_MS 5000

/* ---- lines ------------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 0))) static void print_line(const char *verdict, const char *hop,
                                                             const char *format, va_list arguments)
{
        printf("%-7s %-10s ", verdict, hop);
        vprintf(format, arguments);
        putchar('\n');
}

static void print_help(const char *help)
{
        if (*help != '\0')
                printf("        try        %s\n", help);
}

void doctor_good(const char *hop, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        print_line("ok", hop, format, arguments);
        va_end(arguments);
}

void doctor_warn(const char *help, const char *hop, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        print_line("warning", hop, format, arguments);
        va_end(arguments);
        print_help(help);
}

int doctor_bad(int code, const char *help, const char *hop, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        print_line("FAILED", hop, format, arguments);
        va_end(arguments);
        print_help(help);
        return code;
}

/* ---- the broker -------------------------------------------------------------------------------------------- */

/* Which hop a refused connection is, and what helps. The port speaks ZeroMQ at this point. */
static const struct refusal {
        int error;
        const char *hop;
        const char *help;
} refusals[] = {
        {PLEXUS_REVOKED, "token", "a new token: an administrator makes one with plexus token create"},
        {PLEXUS_EXPIRED, "token", "a new token: an administrator makes one with plexus token create"},
        {PLEXUS_DENIED, "token", "a token of another role"},
        {PLEXUS_VERSION, "version", "the same release of plexus on both sides"},
        {PLEXUS_INVALID, "token", "the whole token, one word, as it was printed"},
        {PLEXUS_UNREACHABLE, "key", "a token that this broker made, pasted whole"},
        {PLEXUS_TIMED_OUT, "key", "a token that this broker made, pasted whole"},
};

static int greeting_failed(struct cli *cli, int error)
{
        const char *detail = plexus_detail(cli->px);

        if (*detail == '\0')
                detail = plexus_error_text(error);
        for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
                if (refusals[i].error == error)
                        return doctor_bad(plexus_error_exit(error), refusals[i].help, refusals[i].hop, "%s",
                                          detail);
        return doctor_bad(plexus_error_exit(error), "", "broker", "%s", detail);
}

static int check_greeting(struct cli *cli, const struct plexus_options *options, struct plexus_who *ret_who)
{
        struct plexus_options quick = *options;
        int error;

        if (quick.timeout_ms == 0)
                quick.timeout_ms = 2 * DOCTOR_HOP_MS;
        error = plexus_connect(&quick, &cli->px);
        if (error == PLEXUS_OK)
                error = plexus_whoami(cli->px, ret_who);
        if (error != PLEXUS_OK)
                return greeting_failed(cli, error);
        doctor_good("token", "you are %s (%s)", ret_who->principal, ret_who->role);
        if (strcmp(ret_who->broker_version, plexus_version()) != 0)
                doctor_warn("the same release on both sides, the broker's first", "version",
                            "the broker is %s, this is %s", ret_who->broker_version, plexus_version());
        else
                doctor_good("version", "%s on both sides", plexus_version());
        return 0;
}

static void check_clock(const struct plexus_who *who)
{
        uint64_t off = (uint64_t)llabs((long long)who->clock_ahead_ms);
        char text[32];

        output_duration(off, text, sizeof text);
        if (off > CLOCK_ODD_MS)
                doctor_warn("a time service (ntp) on both machines", "clock",
                            "the broker's is %s %s ours: times in lists and --start are off, nothing else", text,
                            who->clock_ahead_ms > 0 ? "ahead of" : "behind");
        else
                doctor_good("clock", "%s apart", text);
}

/* The port that answers questions and streams; without it lists and logs hang. */
static int check_data_port(const char *url, const struct plexus_who *who)
{
        struct doctor_address address;
        char port[16];

        if (strncmp(url, "plexus://", 9) != 0 || who->data_port == 0)
                return 0;
        doctor_address_read(url + strlen("plexus://"), &address);
        snprintf(port, sizeof port, "%u", who->data_port);
        return doctor_check_port(&address, port, "data port");
}

/* ---- the mesh ------------------------------------------------------------------------------------------------ */

/* Nodes whose control groups can't do what jobs may ask for. */
static void check_groups(struct cli *cli)
{
        struct plexus_node *nodes;
        size_t count;
        bool fine = true;

        if (plexus_nodes(cli->px, &nodes, &count) != PLEXUS_OK)
                return;
        for (size_t i = 0; i < count; i++) {
                const struct plexus_node *node = &nodes[i];
                bool ends = strncmp(node->kill_mode, "subreaper", 9) != 0;
                bool limits = strstr(node->enforces, "not") == NULL; /* "memory; not processes", "nothing" */

                if (strcmp(node->kind, "node") != 0 || (ends && limits))
                        continue;
                fine = false;
                doctor_warn("control groups (v2, delegated to the node), or a node started by root", "cgroups",
                            "%s ends jobs by %s and enforces %s", node->name, node->kill_mode,
                            node->enforces);
        }
        if (fine && count > 0)
                doctor_good("cgroups", "every node ends whole trees of processes and keeps limits");
        plexus_nodes_free(nodes);
}

static int check_mesh(struct cli *cli)
{
        struct plexus_status status;
        char text[96];
        int error = plexus_status(cli->px, &status);

        if (error != PLEXUS_OK)
                return doctor_bad(plexus_error_exit(error), "", "answers", "%s", plexus_detail(cli->px));
        if (status.storage_full)
                return doctor_bad(CLI_JOB_NOT_OK, "room on the broker's disk, or plexus rm of ended jobs", "disk",
                                  "the broker's disk is full: submits are refused");
        doctor_good("disk", "the broker takes submits");
        snprintf(text, sizeof text, "%u up, %u reconnecting, %u draining, %u lost", status.nodes_up,
                 status.nodes_reconnecting, status.nodes_draining, status.nodes_unreachable);
        if (status.nodes_up == 0)
                return doctor_bad(CLI_JOB_NOT_OK, "plexus join on a machine that shall run jobs", "nodes", "%s",
                                  text);
        doctor_good("nodes", "%s; %g of %g cpus in use", text, status.cpus_used, status.cpus);
        check_groups(cli);
        return 0;
}

/* What the broker says of a node that is asked about. */
static void tell_node(struct cli *cli, const char *name)
{
        struct plexus_node *nodes;
        size_t count;
        bool found = false;
        char seen[32];

        if (plexus_nodes(cli->px, &nodes, &count) != PLEXUS_OK)
                return;
        for (size_t i = 0; i < count; i++) {
                if (strcmp(nodes[i].name, name) != 0)
                        continue;
                found = true;
                output_duration(nodes[i].seen_ms, seen, sizeof seen);
                doctor_good("node", "%s is %s, seen %s ago, version %s, ends jobs by %s, enforces %s", name,
                            nodes[i].state, seen, nodes[i].version, nodes[i].kill_mode, nodes[i].enforces);
        }
        if (!found)
                doctor_warn("plexus join, there", "node", "the broker knows no node %s", name);
        plexus_nodes_free(nodes);
}

/* ---- the verb ------------------------------------------------------------------------------------------------ */

static int check_way(const char *url)
{
        struct doctor_address address;

        if (strncmp(url, "local:", 6) == 0)
                return doctor_check_local(url + 6);
        doctor_address_read(url + strlen("plexus://"), &address);
        return doctor_check_port(&address, address.port, "tcp");
}

static int check_from(struct cli *cli, const struct plexus_options *options, const char *url)
{
        const char *node = cli_value(cli, "from");
        struct plexus_who who;
        bool known;

        if (strncmp(url, "plexus://", 9) != 0)
                return doctor_bad(CLI_USAGE, "plexus init, or plexus up --listen", "url",
                                  "%s: other machines cannot reach a mesh without TCP", url);
        known = check_greeting(cli, options, &who) == 0;
        if (known)
                tell_node(cli, node);
        return doctor_from(node, url, known ? &who : NULL);
}

static int check_all(struct cli *cli, const struct plexus_options *options, const char *url)
{
        struct plexus_who who;
        int code;

        if (cli_has(cli, "reach"))
                return strncmp(url, "local:", 6) == 0 ? doctor_check_local(url + 6) : doctor_reach(cli, url);
        if (cli_has(cli, "from"))
                return check_from(cli, options, url);
        code = check_way(url);
        if (code == 0)
                code = check_greeting(cli, options, &who);
        if (code != 0)
                return code;
        check_clock(&who);
        code = check_data_port(url, &who);
        return code != 0 ? code : check_mesh(cli);
}

int verb_doctor(struct cli *cli)
{
        struct plexus_options options;
        char token[256];
        char url[512];
        int error;
        int code = connect_options(cli, token, sizeof token, &options);

        if (code != 0)
                return code;
        error = plexus_context_find(&options, url, sizeof url);
        if (error != PLEXUS_OK)
                return doctor_bad(plexus_error_exit(error), "plexus up, or plexus join on a machine of a mesh",
                                  "context", "%s", plexus_detail(NULL));
        doctor_good("context", "%s", url);
        if (strncmp(url, "local:", 6) != 0 && strncmp(url, "plexus://", 9) != 0)
                return doctor_bad(CLI_USAGE, "local:DIR or plexus://HOST[:PORT]", "url", "%s", url);
        code = check_all(cli, &options, url);
        explicit_bzero(token, sizeof token);
        return code;
}
