/* SPDX-License-Identifier: Apache-2.0 */
/* query.c - NODES, STATUS, TOKENS: lists and figures out of RAM, changing nothing.
 * Layer: L2 (broker/core). */
#include "state.h"

/* The session of a query that this principal may ask, else NULL, and answered. */
static struct session *query_begin(struct core *core, struct px_session_id id, uint64_t done_below,
                                   enum verb verb)
{
        struct session *session = session_begin(core, id, done_below, false);

        if (session == NULL)
                return NULL;
        if (access_check(core, core->principal, verb, 0) == 0)
                return session;
        refuse(core, PX_E_DENIED, "role %s may not ask this", px_role_name(core->principal->role));
        return NULL;
}

/* Amounts in the order of the node's resources. */
static const struct px_resource *resources_used(struct core *core, const struct node *node)
{
        struct px_resource *used =
                px_arena_alloc(&core->scratch, (node->resources_count + 1) * sizeof(*used));

        for (size_t i = 0; i < node->resources_count; i++)
                used[i] = (struct px_resource){node->resources[i].name, node->resources_used[i]};
        return used;
}

static uint32_t gpus_used_milli(const struct node *node)
{
        uint32_t used = 0;

        for (size_t i = 0; i < PX_LIMIT_GPUS; i++)
                used += node->gpu_used_milli[i];
        return used;
}

static struct px_job_id reserved_job(const struct core *core, const struct node *node)
{
        const struct line *line = px_map_find(&core->lines, node->reserved_for);

        return (struct px_job_id){line == NULL || line->ready.count == 0 ? 0
                                                                         : line_first(line)->id};
}

static struct px_node_view node_view(struct core *core, const struct node *node)
{
        return (struct px_node_view){
                .node = {node->id},
                .name = node->name,
                .kind = node->kind,
                .state = node_state(node),
                .version = node->version,
                .cpus_milli = node->cpus_milli,
                .cpus_used_milli = node->cpus_used_milli,
                .memory_bytes = node->memory_bytes,
                .memory_used_bytes = node->memory_used_bytes,
                .jobs = node->held_count,
                .seen_ms = (uint64_t)(core->core_ms - node->word_ms),
                .kill_mode = node->kill_mode,
                .enforces = node->enforces,
                .accounts = node->accounts,
                .types = node->types,
                .types_count = node->types_count,
                .principal = principal_name(core, node->principal),
                .gpus = node->gpus,
                .gpus_used_milli = gpus_used_milli(node),
                .labels = node->labels,
                .labels_count = node->labels_count,
                .resources = node->resources,
                .resources_count = node->resources_count,
                .resources_used = resources_used(core, node),
                .resources_used_count = node->resources_count,
                .reserved_for = reserved_job(core, node),
        };
}

#define VIEW_BYTES 160 /* of the numbers in a view, and the heads of its texts */
#define VIEWS_BYTES_MAX (PX_LIMIT_MESSAGE_BYTES - 16384)

static size_t node_view_bytes(const struct node *node)
{
        size_t bytes = VIEW_BYTES + node->name.length + node->version.length +
                       node->kill_mode.length + node->enforces.length + node->accounts.length +
                       PX_LIMIT_PRINCIPAL_BYTES;

        for (size_t i = 0; i < node->types_count; i++)
                bytes += node->types[i].length + 5;
        for (size_t i = 0; i < node->labels_count; i++)
                bytes += node->labels[i].key.length + node->labels[i].value.length + 12;
        for (size_t i = 0; i < node->resources_count; i++)
                bytes += 2 * node->resources[i].name.length + 32;
        return bytes;
}

void query_nodes(struct core *core, const struct px_m_nodes *query)
{
        size_t count_max = query->count == 0 ? PX_LIMIT_NODES
                                             : PX_MIN(query->count, (uint32_t)PX_LIMIT_NODES);
        struct px_m_node_list list = {0};
        struct px_node_view *views;
        size_t bytes = 0;

        if (query_begin(core, query->session, query->done_below, VERB_READ) == NULL)
                return;
        views = px_arena_alloc(&core->scratch, (core->nodes.count + 1) * sizeof(*views));
        PX_LIST_EACH(&core->node_list, at)
        {
                const struct node *node = PX_CONTAINER_OF(at, struct node, link);

                if (node->id <= query->after.value)
                        continue;
                bytes += node_view_bytes(node);
                if (list.nodes_count == count_max || bytes > VIEWS_BYTES_MAX) {
                        list.next = views[list.nodes_count - 1].node;
                        break;
                }
                views[list.nodes_count++] = node_view(core, node);
        }
        list.nodes = views;
        FRAME(core, node_list, &list, core->command->header.correlation);
        put_frame(core, core->command->peer);
}

static void status_nodes(const struct core *core, struct px_m_status_is *status)
{
        PX_LIST_EACH(&core->node_list, at)
        {
                const struct node *node = PX_CONTAINER_OF(at, struct node, link);

                switch (node_state(node)) {
                case PX_NODE_STATE_UP:
                        status->nodes_up++;
                        break;
                case PX_NODE_STATE_DRAINING:
                        status->nodes_draining++;
                        break;
                case PX_NODE_STATE_UNREACHABLE:
                        status->nodes_unreachable++;
                        break;
                case PX_NODE_STATE_RECONNECTING:
                        status->nodes_reconnecting++;
                        break;
                default:
                        break;
                }
                if (!node->connected || node->kind != PX_NODE_KIND_NODE)
                        continue;
                status->cpus_milli += node->cpus_milli;
                status->cpus_used_milli += node->cpus_used_milli;
        }
}

void query_status(struct core *core, const struct px_m_status *query)
{
        struct px_m_status_is status = {
                .epoch = core->options.epoch,
                .uptime_ms = (uint64_t)(core->core_ms - core->begun_ms),
                .blocked = core->state_counts[PX_JOB_STATE_BLOCKED],
                .queued = core->state_counts[PX_JOB_STATE_QUEUED],
                .assigned = core->state_counts[PX_JOB_STATE_ASSIGNED],
                .running = core->state_counts[PX_JOB_STATE_RUNNING],
                .cancelling = core->state_counts[PX_JOB_STATE_CANCELLING],
                .ended = core->ended_count,
                .commit_index = core->index,
                .storage_full = core->storage_full,
        };

        if (query_begin(core, query->session, query->done_below, VERB_READ) == NULL)
                return;
        status_nodes(core, &status);
        FRAME(core, status_is, &status, core->command->header.correlation);
        put_frame(core, core->command->peer);
}

static struct px_principal_view principal_view(const struct principal *principal)
{
        return (struct px_principal_view){
                .principal = {principal->id},
                .name = principal->name,
                .role = principal->role,
                .created_wall_ms = principal->created_wall_ms,
                .expires_wall_ms = principal->expires_wall_ms,
                .uses_left = principal->uses_left,
                .revoked = principal->revoked,
                .enrol_role = principal->enrol_role,
        };
}

void query_tokens(struct core *core, const struct px_m_tokens *query)
{
        size_t count_max = query->count == 0 ? PX_LIMIT_BATCH_ITEMS
                                             : PX_MIN(query->count, (uint32_t)PX_LIMIT_BATCH_ITEMS);
        struct px_m_token_list list = {0};
        struct px_principal_view *views;

        if (query_begin(core, query->session, query->done_below, VERB_TOKENS) == NULL)
                return;
        views = px_arena_alloc(&core->scratch, count_max * sizeof(*views));
        PX_LIST_EACH(&core->principal_list, at)
        {
                const struct principal *principal = PX_CONTAINER_OF(at, struct principal, link);

                if (principal->id <= query->after.value)
                        continue;
                if (list.principals_count == count_max) {
                        list.next = views[list.principals_count - 1].principal;
                        break;
                }
                views[list.principals_count++] = principal_view(principal);
        }
        list.principals = views;
        FRAME(core, token_list, &list, core->command->header.correlation);
        put_frame(core, core->command->peer);
}
