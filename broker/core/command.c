/* SPDX-License-Identifier: Apache-2.0 */
/* command.c - from a command to its file: who may say it, decode it, hand it on.
 * Layer: L2 (broker/core). */
#include "state.h"

/* Decodes the body and hands it on; returns enum px_wire_result. */
#define TAKE(message, function)                                                                    \
        static int take_##message(struct core *core)                                               \
        {                                                                                          \
                struct px_m_##message m;                                                           \
                int result = px_m_##message##_decode(core->command->body, &core->scratch, &m);     \
                                                                                                   \
                if (result == PX_WIRE_OK)                                                          \
                        function(core, &m);                                                        \
                return result;                                                                     \
        }

static void ping_take(struct core *core, const struct px_m_ping *ping)
{
        struct px_m_pong pong = {.epoch = core->options.epoch};

        if (session_begin(core, ping->session, ping->done_below, false) == NULL)
                return;
        FRAME(core, pong, &pong, core->command->header.correlation);
        put_frame(core, core->command->peer);
}

static void node_ping_take(struct core *core, const struct px_m_node_ping *ping)
{
        struct px_m_pong pong = {.epoch = core->options.epoch};

        if (node_of_command(core, ping->session) == NULL)
                return;
        FRAME(core, pong, &pong, core->command->header.correlation);
        put_frame(core, core->command->peer);
}

static void tick_take(struct core *core, const struct px_m_tick *tick)
{
        (void)core;
        (void)tick;
}

/* The connection is over; the lease of a node and the session of a client go on. */
static void peer_gone_take(struct core *core, const struct px_m_peer_gone *gone)
{
        struct node *node = px_map_find(&core->nodes_by_peer, core->command->peer);

        (void)gone;
        sessions_peer_gone(core, core->command->peer);
        if (node != NULL)
                node_peer_gone(core, node);
}

static void storage_take(struct core *core, const struct px_m_storage *storage)
{
        core->storage_full = storage->full;
}

TAKE(client_hello, session_hello)
TAKE(ping, ping_take)
TAKE(submit, submit_take)
TAKE(change, change_take)
TAKE(watch, watch_take)
TAKE(node_change, node_change_take)
TAKE(nodes, query_nodes)
TAKE(status, query_status)
TAKE(why, why_take)
TAKE(try, try_take)
TAKE(reasons, reasons_take)
TAKE(gate_set, limits_set)
TAKE(gates, limits_list)
TAKE(token_make, token_make)
TAKE(token_revoke, token_revoke)
TAKE(tokens, query_tokens)
TAKE(enrol, token_enrol)
TAKE(node_hello, hello_take)
TAKE(node_ping, node_ping_take)
TAKE(accept, accept_take)
TAKE(started, started_take)
TAKE(result, result_take)
TAKE(node_bye, bye_take)
TAKE(tick, tick_take)
TAKE(peer_gone, peer_gone_take)
TAKE(storage, storage_take)
TAKE(retention, retention_take)
TAKE(progress_keep, progress_keep_take)
TAKE(bootstrap, token_bootstrap)

struct handler {
        uint16_t type;
        uint8_t origin; /* enum core_origin */
        int (*take)(struct core *core);
};

static const struct handler handlers[] = {
        {PX_M_NODE_PING, CORE_FROM_NODE, take_node_ping},
        {PX_M_ACCEPT, CORE_FROM_NODE, take_accept},
        {PX_M_STARTED, CORE_FROM_NODE, take_started},
        {PX_M_RESULT, CORE_FROM_NODE, take_result},
        {PX_M_NODE_HELLO, CORE_FROM_NODE, take_node_hello},
        {PX_M_NODE_BYE, CORE_FROM_NODE, take_node_bye},
        {PX_M_SUBMIT, CORE_FROM_CLIENT, take_submit},
        {PX_M_PING, CORE_FROM_CLIENT, take_ping},
        {PX_M_WATCH, CORE_FROM_CLIENT, take_watch},
        {PX_M_CHANGE, CORE_FROM_CLIENT, take_change},
        {PX_M_CLIENT_HELLO, CORE_FROM_CLIENT, take_client_hello},
        {PX_M_STATUS, CORE_FROM_CLIENT, take_status},
        {PX_M_WHY, CORE_FROM_CLIENT, take_why},
        {PX_M_NODES, CORE_FROM_CLIENT, take_nodes},
        {PX_M_TRY, CORE_FROM_CLIENT, take_try},
        {PX_M_REASONS, CORE_FROM_CLIENT, take_reasons},
        {PX_M_GATES, CORE_FROM_CLIENT, take_gates},
        {PX_M_GATE_SET, CORE_FROM_CLIENT, take_gate_set},
        {PX_M_NODE_CHANGE, CORE_FROM_CLIENT, take_node_change},
        {PX_M_TOKENS, CORE_FROM_CLIENT, take_tokens},
        {PX_M_TOKEN_MAKE, CORE_FROM_CLIENT, take_token_make},
        {PX_M_TOKEN_REVOKE, CORE_FROM_CLIENT, take_token_revoke},
        {PX_M_ENROL, CORE_FROM_CLIENT, take_enrol},
        {PX_M_TICK, CORE_FROM_SHELL, take_tick},
        {PX_M_PEER_GONE, CORE_FROM_SHELL, take_peer_gone},
        {PX_M_STORAGE, CORE_FROM_SHELL, take_storage},
        {PX_M_RETENTION, CORE_FROM_SHELL, take_retention},
        {PX_M_PROGRESS_KEEP, CORE_FROM_SHELL, take_progress_keep},
        {PX_M_BOOTSTRAP, CORE_FROM_SHELL, take_bootstrap},
};

static const struct handler *handler_find(const struct core_command *command)
{
        for (size_t i = 0; i < PX_COUNT_OF(handlers); i++)
                if (handlers[i].type == command->header.type &&
                    handlers[i].origin == command->origin)
                        return &handlers[i];
        return NULL;
}

/* The principal is checked with every message. true: refused, and answered. */
static bool principal_refused(struct core *core)
{
        const struct core_command *command = core->command;

        if (core->principal == NULL) {
                refuse(core, PX_E_DENIED, "this key is not known here");
                return true;
        }
        switch (principal_role(core->principal, core->wall_ms)) {
        case PX_ROLE_DEAD:
                refuse(core, PX_E_REVOKED, "token %.*s was revoked or has expired",
                       (int)core->principal->name.length,
                       (const char *)core->principal->name.data);
                return true;
        case PX_ROLE_ENROL:
                if (command->header.type == PX_M_ENROL)
                        return false;
                refuse(core, PX_E_DENIED, "an enrolment token may only enrol");
                return true;
        case PX_ROLE_NODE:
                /* Over TCP a node greets on cmd to learn the other ports. */
                if (command->origin == CORE_FROM_NODE ||
                    command->header.type == PX_M_CLIENT_HELLO)
                        return false;
                refuse(core, PX_E_DENIED, "a node's key may not be used by clients");
                return true;
        default:
                return false;
        }
}

void command_take(struct core *core, const struct core_command *command)
{
        const struct handler *handler = handler_find(command);
        int result;

        core->command = command;
        core->request = NULL;
        core->fact_hint = 0;
        core->principal = principal_find(core, command->principal.value);
        px_arena_reset(&core->scratch);
        px_arena_reset(&core->item);
        if (command->origin != CORE_FROM_SHELL && principal_refused(core))
                return;
        if (handler == NULL) {
                PX_ASSERT(command->origin != CORE_FROM_SHELL);
                refuse(core, PX_E_PROTO, "message type %u is not understood here",
                       command->header.type);
                return;
        }
        result = handler->take(core);
        if (result == PX_WIRE_OK)
                return;
        PX_ASSERT(command->origin != CORE_FROM_SHELL);
        refuse(core, result == PX_WIRE_LIMIT ? PX_E_LIMIT : PX_E_PROTO,
               result == PX_WIRE_LIMIT ? "a field is above its limit" : "malformed message");
}
