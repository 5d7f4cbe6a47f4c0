/* SPDX-License-Identifier: Apache-2.0 */
/* node_assign.c - from ASSIGN to STARTED. Layer: L2 (node/core).
 *
 * Of a short job only its result is said: it says that the attempt was accepted and has run. */
#include "node_inside.h"

/* ---- attempts that shall not begin in this session --------------------------------------------
 */

void gone_remember(struct node *node, struct px_job_id job, struct px_fence fence, int code)
{
        struct gone *gone = px_map_find(&node->gone_by_job, job.value);

        if (gone == NULL) {
                gone = &node->gone[node->gone_next++ % NODE_GONE_KEPT];
                if (gone->job.value != 0)
                        px_map_take(&node->gone_by_job, gone->job.value);
                px_map_put(&node->gone_by_job, job.value, gone);
        } else if (px_fence_older(fence, gone->fence)) {
                return;
        }
        *gone = (struct gone){.job = job, .fence = fence, .code = code};
}

void gone_forget(struct node *node)
{
        px_map_fini(&node->gone_by_job);
        memset(node->gone, 0, NODE_GONE_KEPT * sizeof(*node->gone));
        node->gone_next = 0;
}

/* ---- ASSIGN -----------------------------------------------------------------------------------
 */

static void assign_again(struct node *node, struct attempt *attempt)
{
        switch (attempt->phase) {
        case PHASE_ENTERING:
                break; /* accepted once it is entered */
        case PHASE_ABANDONED:
                attempt_set_phase(node, attempt, PHASE_ENTERING);
                break;
        case PHASE_ENDED:
                attempt_timer(node, attempt, TIMER_RESULT,
                              PX_MIN(attempt->at_ms[TIMER_RESULT],
                                     attempt->result_said ? node->now_ms : NODE_NEVER));
                out_accept(node, attempt->job, attempt->fence, 0, PX_SLICE_NONE);
                break;
        default:
                out_accept(node, attempt->job, attempt->fence, 0, PX_SLICE_NONE);
        }
}

/* Whether an ASSIGN was overtaken: by a newer attempt, or by the end of this one. */
static bool assign_is_stale(struct node *node, const struct px_assign *item)
{
        const struct attempt *newest = attempt_newest(node, item->job);
        const struct gone *gone = px_map_find(&node->gone_by_job, item->job.value);

        if (newest != NULL && px_fence_older(item->fence, newest->fence))
                return true;
        if (gone == NULL || px_fence_older(gone->fence, item->fence))
                return false;
        if (!px_fence_equal(gone->fence, item->fence))
                return true;
        if (gone->code != 0)
                out_accept(node, item->job, item->fence, gone->code, PX_SLICE_NONE);
        else
                result_gone(node, item->job, item->fence);
        return true;
}

/* Older attempts of the job end first; the new one starts when none of them is alive. */
static void assign_end_older(struct node *node, struct attempt *newer)
{
        struct attempt *older = newer->next;

        while (older != NULL) {
                struct attempt *next = older->next; /* killing may free one that never ran */

                if (older->phase < PHASE_ENDED)
                        kill_attempt(node, older, PX_KILL_WHY_FENCED, 0);
                older = next;
        }
}

static void assign_new(struct node *node, const struct px_assign *item)
{
        struct attempt *attempt;
        struct node_effect *effect;

        if (node->leaving != LEAVING_NOT) {
                out_accept(node, item->job, item->fence, PX_E_BUSY,
                           px_slice_text("the node is stopping"));
                return;
        }
        if (node->attempts_count >= PX_LIMIT_INVENTORY_ITEMS) {
                out_accept(node, item->job, item->fence, PX_E_LIMIT,
                           px_slice_text("the node holds too many attempts"));
                return;
        }
        attempt = attempt_new(node, item->job, item->fence);
        attempt->cpus_milli = item->cpus_milli;
        attempt->memory_bytes = item->memory_bytes;
        attempt->on_lost = item->on_lost;
        attempt->lost_after_ms = item->lost_after_ms;
        effect = out_attempt(node, NODE_EFFECT_ENTER, attempt);
        effect->assign = *item; /* its slices point into the frame's copy in the arena */
        assign_end_older(node, attempt);
}

void assign_take(struct node *node, const struct px_m_assign *message)
{
        for (size_t i = 0; i < message->items_count; i++) {
                const struct px_assign *item = &message->items[i];
                struct attempt *attempt;

                if (item->job.value == 0 || item->fence.attempt == 0)
                        continue;
                if (assign_is_stale(node, item))
                        continue;
                attempt = attempt_find(node, item->job, item->fence);
                if (attempt != NULL)
                        assign_again(node, attempt);
                else
                        assign_new(node, item);
        }
}

/* ---- entry and start --------------------------------------------------------------------------
 */

static uint64_t attempt_lost_after_ms(const struct attempt *attempt)
{
        return attempt->lost_after_ms == 0 ? NODE_LOST_AFTER_MS : attempt->lost_after_ms;
}

/* A keeper gives up 0.8 lost_after after its start or its latest contact; the broker lets a person
 * run it again a lease and lost_after after it heard us. So the start mustn't come late after a
 * contact. */
static bool start_is_too_late(const struct node *node, const struct attempt *attempt)
{
        uint64_t silent_ms = (uint64_t)(node->now_ms - node->contact_ms);

        return attempt->on_lost == PX_ON_LOST_FAIL &&
               silent_ms >= node->lease_ms / 2 + attempt_lost_after_ms(attempt) / 5;
}

static void attempt_start(struct node *node, struct attempt *attempt)
{
        if (start_is_too_late(node, attempt)) {
                result_make(node, attempt, PX_OUTCOME_GAVE_UP, PX_REASON_GAVE_UP,
                            px_slice_text("the broker was out of reach before it started"));
                return;
        }
        attempt_set_phase(node, attempt, PHASE_STARTING);
        out_attempt(node, NODE_EFFECT_START, attempt);
}

void assign_start_next(struct node *node, struct px_job_id job)
{
        struct attempt *waiting = NULL;

        for (struct attempt *at = attempt_newest(node, job); at != NULL; at = at->next) {
                if (phase_alive(at->phase))
                        return;
                if (at->phase == PHASE_ACCEPTED && waiting == NULL)
                        waiting = at;
        }
        if (waiting != NULL)
                attempt_start(node, waiting);
}

void assign_entered(struct node *node, struct attempt *attempt)
{
        switch (attempt->phase) {
        case PHASE_ENTERING:
                attempt_set_phase(node, attempt, PHASE_ACCEPTED);
                attempt_timer(node, attempt, TIMER_ACCEPT, node->now_ms + NODE_ACCEPT_WAIT_MS);
                assign_start_next(node, attempt->job);
                break;
        case PHASE_ABANDONED:
                out_attempt(node, NODE_EFFECT_REMOVE, attempt);
                attempt_free(node, attempt);
                break;
        default:
                break; /* said twice */
        }
}

/* Nothing else was to be said of it for a moment. */
void assign_accept_fired(struct node *node, struct attempt *attempt)
{
        attempt_timer(node, attempt, TIMER_ACCEPT, NODE_NEVER);
        out_accept(node, attempt->job, attempt->fence, 0, PX_SLICE_NONE);
}

void assign_started(struct node *node, struct attempt *attempt, int64_t wall_ms)
{
        if (attempt->phase != PHASE_STARTING)
                return;
        attempt_set_phase(node, attempt, PHASE_RUNNING);
        attempt->started_wall_ms = wall_ms;
        if (node->session == 0)
                return; /* said after the next WELCOME */
        attempt->start_said = true;
        attempt_timer(node, attempt, TIMER_ACCEPT, NODE_NEVER);
        out_started(node, attempt);
}

static int reason_of_refusal(int code)
{
        switch (code) {
        case PX_E_NO_PROGRAM:
                return PX_REASON_NO_PROGRAM;
        case PX_E_NOT_RUNNABLE:
                return PX_REASON_NOT_RUNNABLE;
        case PX_E_NO_DIRECTORY:
                return PX_REASON_NO_DIRECTORY;
        case PX_E_NO_ACCOUNT:
                return PX_REASON_NO_ACCOUNT;
        case PX_E_NODE_FAULT:
                return PX_REASON_NODE_FAULT;
        default:
                return PX_REASON_REFUSED;
        }
}

void assign_refused(struct node *node, struct attempt *attempt, int code, struct px_slice text)
{
        PX_ASSERT(code > 0);
        if (phase_alive(attempt->phase)) {
                result_make(node, attempt, PX_OUTCOME_REFUSED, reason_of_refusal(code), text);
                return;
        }
        if (attempt->phase >= PHASE_ACCEPTED)
                return;
        if (attempt->phase == PHASE_ENTERING) {
                gone_remember(node, attempt->job, attempt->fence, code);
                out_accept(node, attempt->job, attempt->fence, code, text);
        }
        attempt_free(node, attempt);
}

/* A HELLO goes out without them: the broker may conclude that they never began. */
void assign_abandon_entering(struct node *node)
{
        PX_LIST_EACH(&node->attempts, link)
        {
                struct attempt *attempt = attempt_of_link(link);

                if (attempt->phase == PHASE_ENTERING)
                        attempt_set_phase(node, attempt, PHASE_ABANDONED);
        }
}
