/* SPDX-License-Identifier: Apache-2.0 */
/* node_kill.c - ending attempts because the broker says so, and leaving. Layer: L2 (node/core). */
#include "node_inside.h"

#define LEAVE_SAY_MS 10000 /* how long results are said before a node that ended all leaves */

/* ---- KILL -------------------------------------------------------------------------------------
 */

/* End it. One that never ran is gone at once, and `attempt` may be dead afterwards. */
void kill_attempt(struct node *node, struct attempt *attempt, int why, uint64_t grace_ms)
{
        struct node_effect *effect;

        PX_ASSERT(attempt->phase < PHASE_ENDED);
        if (phase_alive(attempt->phase)) {
                effect = out_attempt(node, NODE_EFFECT_KILL, attempt);
                effect->why = why;
                effect->grace_ms = grace_ms;
                return;
        }
        gone_remember(node, attempt->job, attempt->fence, 0);
        result_gone(node, attempt->job, attempt->fence);
        if (attempt->phase == PHASE_ACCEPTED) {
                out_attempt(node, NODE_EFFECT_REMOVE, attempt);
                attempt_free(node, attempt);
                return;
        }
        attempt_set_phase(node, attempt,
                          PHASE_ABANDONED); /* removed once the link has entered it */
}

static void kill_item(struct node *node, const struct px_kill *item)
{
        struct attempt *attempt = attempt_find(node, item->job, item->fence);
        struct px_job_id job = item->job;

        if (attempt == NULL) {
                gone_remember(node, item->job, item->fence, 0);
                result_gone(node, item->job, item->fence);
        } else if (attempt->phase == PHASE_ENDED) {
                if (attempt->result_said)
                        attempt_timer(node, attempt, TIMER_RESULT, node->now_ms);
        } else if (attempt->phase == PHASE_SHIPPING) {
                result_gone(node, item->job, item->fence);
        } else if (item->why != PX_KILL_WHY_SIGNAL) {
                kill_attempt(node, attempt, item->why, item->grace_ms);
                assign_start_next(node, job);
        } else if (phase_alive(attempt->phase)) {
                out_attempt(node, NODE_EFFECT_SIGNAL, attempt)->signal = item->signal;
        }
}

void kill_take(struct node *node, const struct px_m_kill *message)
{
        for (size_t i = 0; i < message->items_count; i++)
                if (message->items[i].job.value != 0 && message->items[i].fence.attempt != 0)
                        kill_item(node, &message->items[i]);
}

/* ---- leaving ----------------------------------------------------------------------------------
 */

void leave_begin(struct node *node, enum leaving leaving)
{
        struct px_link *link = node->attempts.next;

        if (leaving == LEAVING_NOW || leaving == LEAVING_KILL || node->leaving == LEAVING_NOT)
                node->leaving = leaving;
        if (leaving != LEAVING_KILL)
                return;
        while (link != &node->attempts) {
                struct attempt *attempt = attempt_of_link(link);

                link = link->next;
                if (attempt->phase < PHASE_ENDED && attempt->phase != PHASE_ABANDONED)
                        kill_attempt(node, attempt, PX_KILL_WHY_CANCEL, 0);
        }
}

static void leave_say_bye(struct node *node)
{
        struct px_m_node_bye bye = {
                .session = node->session,
                .keeping = (uint32_t)node->inventory_count,
                .gone = node->inventory_count == 0,
        };

        if (node->session == 0)
                return;
        px_buf_reset(&node->frame);
        px_m_node_bye_frame(&bye, 0, 0, &node->frame);
        out_ctl(node);
}

/* All attempts have ended: their results are said for a while. */
static bool leave_waited(struct node *node)
{
        if (node->running_count > 0)
                return false;
        if (node->leave_by_ms == NODE_NEVER)
                node->leave_by_ms = node->now_ms + LEAVE_SAY_MS;
        return node->session == 0 || node->now_ms >= node->leave_by_ms;
}

void leave_step(struct node *node)
{
        switch (node->leaving) {
        case LEAVING_NOT:
        case LEAVING_LEFT:
                return;
        case LEAVING_NOW:
                break;
        case LEAVING_EMPTY:
                if (node->attempts_count > 0)
                        return;
                break;
        case LEAVING_KILL:
                if (node->attempts_count > 0 && !leave_waited(node))
                        return;
                break;
        }
        leave_say_bye(node);
        out_effect(node, NODE_EFFECT_EXIT);
        node->leaving = LEAVING_LEFT;
        node->leave_by_ms = NODE_NEVER;
}
