/* SPDX-License-Identifier: Apache-2.0 */
/* status.c - `plexus status`. Layer: L4 (client/cli). */
#include <inttypes.h>

#include "output.h"
#include "verbs.h"

struct row {
        struct plexus_status status;
        struct plexus_who who;
};

#define STATUS_NUMBER(function, expression)                                                      \
        static void function(const void *at, struct output_value *ret_value)                     \
        {                                                                                        \
                const struct row *row = at;                                                      \
                ret_value->number = (double)(expression);                                        \
        }
#define STATUS_TEXT(function, expression)                                                        \
        static void function(const void *at, struct output_value *ret_value)                     \
        {                                                                                        \
                const struct row *row = at;                                                      \
                ret_value->text = (expression);                                                  \
        }

STATUS_TEXT(get_url, row->who.url)
STATUS_TEXT(get_version, row->who.broker_version)
STATUS_TEXT(get_principal, row->who.principal)
STATUS_TEXT(get_role, row->who.role)
STATUS_NUMBER(get_epoch, row->status.epoch)
STATUS_NUMBER(get_uptime, row->status.uptime_ms)
STATUS_NUMBER(get_index, row->status.commit_index)
STATUS_NUMBER(get_up, row->status.nodes_up)
STATUS_NUMBER(get_reconnecting, row->status.nodes_reconnecting)
STATUS_NUMBER(get_draining, row->status.nodes_draining)
STATUS_NUMBER(get_unreachable, row->status.nodes_unreachable)
STATUS_NUMBER(get_cpus, row->status.cpus)
STATUS_NUMBER(get_cpus_used, row->status.cpus_used)
STATUS_NUMBER(get_blocked, row->status.blocked)
STATUS_NUMBER(get_queued, row->status.queued)
STATUS_NUMBER(get_assigned, row->status.assigned)
STATUS_NUMBER(get_running, row->status.running)
STATUS_NUMBER(get_cancelling, row->status.cancelling)
STATUS_NUMBER(get_ended, row->status.ended)
STATUS_NUMBER(get_full, row->status.storage_full)

static const struct output_column status_columns[] = {
        {"URL", "url", OUTPUT_TEXT, false, false, get_url},
        {"VERSION", "broker_version", OUTPUT_TEXT, false, false, get_version},
        {"USER", "user", OUTPUT_TEXT, false, false, get_principal},
        {"ROLE", "role", OUTPUT_TEXT, false, false, get_role},
        {"EPOCH", "epoch", OUTPUT_INTEGER, true, false, get_epoch},
        {"UPTIME", "uptime_s", OUTPUT_DURATION, true, false, get_uptime},
        {"INDEX", "commit_index", OUTPUT_INTEGER, true, false, get_index},
        {"NODES", "nodes_up", OUTPUT_INTEGER, false, false, get_up},
        {"RECONNECTING", "nodes_reconnecting", OUTPUT_INTEGER, true, false, get_reconnecting},
        {"DRAINING", "nodes_draining", OUTPUT_INTEGER, true, false, get_draining},
        {"LOST", "nodes_unreachable", OUTPUT_INTEGER, true, false, get_unreachable},
        {"CPUS", "cpus", OUTPUT_DECIMAL, false, false, get_cpus},
        {"USED", "cpus_used", OUTPUT_DECIMAL, false, false, get_cpus_used},
        {"BLOCKED", "blocked", OUTPUT_INTEGER, true, false, get_blocked},
        {"QUEUED", "queued", OUTPUT_INTEGER, false, false, get_queued},
        {"ASSIGNED", "assigned", OUTPUT_INTEGER, true, false, get_assigned},
        {"RUNNING", "running", OUTPUT_INTEGER, false, false, get_running},
        {"CANCELLING", "cancelling", OUTPUT_INTEGER, true, false, get_cancelling},
        {"ENDED", "ended", OUTPUT_INTEGER, false, false, get_ended},
        {"FULL", "storage_full", OUTPUT_BOOL, true, false, get_full},
        {NULL, NULL, OUTPUT_TEXT, false, false, NULL},
};

static const struct output_kind status_kind = {"plexus.status.v1", "status", status_columns,
                                               sizeof(struct row)};

static void print_people(const struct row *row)
{
        const struct plexus_status *status = &row->status;
        char uptime[32];

        printf("broker   %s at %s, up %s\n", row->who.broker_version, row->who.url,
               output_duration(status->uptime_ms, uptime, sizeof uptime));
        printf("you are  %s (%s)\n", row->who.principal, row->who.role);
        printf("nodes    %u up, %u reconnecting, %u draining, %u lost; %g of %g cpus in use\n", status->nodes_up,
               status->nodes_reconnecting, status->nodes_draining, status->nodes_unreachable,
               status->cpus_used, status->cpus);
        printf("jobs     %" PRIu64 " blocked, %" PRIu64 " queued, %" PRIu64 " running, %" PRIu64
               " cancelling, %" PRIu64 " ended since its start\n",
               status->blocked, status->queued, status->assigned + status->running, status->cancelling,
               status->ended);
        if (status->storage_full)
                printf("STORAGE IS FULL: submits are refused until there is room\n");
}

int verb_status(struct cli *cli)
{
        struct row row = {0};
        int error;
        int code = cli_connect(cli);

        if (code != 0)
                return code;
        error = plexus_status(cli->px, &row.status);
        if (error == PLEXUS_OK)
                error = plexus_whoami(cli->px, &row.who);
        if (error != PLEXUS_OK)
                return cli_refused(cli, error, "");
        if (cli_has(cli, "output") || cli_has(cli, "columns"))
                return output_rows(cli, &status_kind, &row, 1, NULL);
        print_people(&row);
        return CLI_DONE;
}
