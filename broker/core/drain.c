/* SPDX-License-Identifier: Apache-2.0 */
/* drain.c - NODE_CHANGE: drain, resume, stop and remove nodes. Layer: L2 (broker/core). */
#include "state.h"

static void node_stop(struct core *core, struct node *node, bool kill)
{
        struct px_m_node_stop stop = {.session = node->session, .kill = kill};

        node->stopping = true;
        seats_update(core, node);
        reserve_forget(core, node);
        FRAME(core, node_stop, &stop, 0);
        put_frame(core, node->peer);
        node_event(core, node, PX_EV_NODE_DRAINING, kill ? "told to stop now" : "told to stop");
}

static void node_draining(struct core *core, struct node *node, bool draining)
{
        if (node->draining == draining)
                return;
        node->draining = draining;
        node_row_put(core, node);
        seats_update(core, node);
        reserve_forget(core, node);
        node_grew(core, node);
        node_event(core, node, draining ? PX_EV_NODE_DRAINING : PX_EV_NODE_UP,
                   draining ? "gets nothing new" : "resumed");
}

static void node_change(struct core *core, struct node *node, int change)
{
        switch (change) {
        case PX_NODE_CHANGE_DRAIN:
                node_draining(core, node, true);
                break;
        case PX_NODE_CHANGE_RESUME:
                node_draining(core, node, false);
                break;
        case PX_NODE_CHANGE_STOP_DRAIN:
        case PX_NODE_CHANGE_STOP_KILL:
                node_stop(core, node, change == PX_NODE_CHANGE_STOP_KILL);
                break;
        case PX_NODE_CHANGE_REMOVE:
                node_attempts_gone(core, node, PX_REASON_NODE_LOST, false);
                node_event(core, node, PX_EV_NODE_REMOVED, "removed by hand");
                node_remove(core, node);
                break;
        default:
                PX_UNREACHABLE();
        }
}

/* 0 or a refusal, answered. */
static int node_change_refused(struct core *core, const struct px_m_node_change *change,
                               const struct node *node)
{
        bool stops = change->change == PX_NODE_CHANGE_STOP_DRAIN ||
                     change->change == PX_NODE_CHANGE_STOP_KILL;

        if (access_check(core, core->principal, VERB_NODES, 0) != 0) {
                refuse(core, PX_E_DENIED, "only an administrator changes nodes");
                return PX_E_DENIED;
        }
        if (change->change == 0) {
                refuse(core, PX_E_INVALID, "no such change");
                return PX_E_INVALID;
        }
        if (node == NULL) {
                refuse(core, PX_E_ABSENT, "no node of this name");
                return PX_E_ABSENT;
        }
        if (stops && !node->connected) {
                refuse(core, PX_E_CONFLICT, "node %.*s is not connected", (int)node->name.length,
                       (const char *)node->name.data);
                return PX_E_CONFLICT;
        }
        if (change->change == PX_NODE_CHANGE_REMOVE && node->alive) {
                refuse(core, PX_E_CONFLICT, "node %.*s is up; stop it first",
                       (int)node->name.length, (const char *)node->name.data);
                return PX_E_CONFLICT;
        }
        return PX_OK;
}

void node_change_take(struct core *core, const struct px_m_node_change *change)
{
        struct session *session = session_begin(core, change->session, change->done_below, true);
        struct node *node = node_named(core, change->node);
        struct px_m_node_changed answer = {.node = change->node};

        if (session == NULL || node_change_refused(core, change, node) != 0)
                return;
        answer.jobs = node->held_count;
        answer.state = node_state(node);
        node_change(core, node, change->change);
        if (change->change != PX_NODE_CHANGE_REMOVE)
                answer.state = node_state(node);
        FRAME(core, node_changed, &answer, core->command->header.correlation);
        session_answer(core, session);
}
