/* SPDX-License-Identifier: Apache-2.0 */
/* accept.c - ACCEPT and STARTED: what a node says of the attempts it was given.
 * Layer: L2 (broker/core). Both are idempotent; a stale fence changes nothing. */
#include "state.h"

/* The attempt that this node holds under this very fence. */
static struct attempt *attempt_current(const struct core *core, const struct node *node,
                                       uint64_t job_id, struct px_fence fence)
{
        struct job *job = job_find(core, job_id);

        if (job == NULL || job->attempt == NULL || job->attempt->node != node ||
            !px_fence_equal(job->fence, fence))
                return NULL;
        PX_ASSERT(px_fence_equal(job->attempt->fence, fence));
        return job->attempt;
}

static int reason_of_code(uint16_t code)
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
        case PX_E_BUSY:
        case PX_E_NODE_FAULT:
                return PX_REASON_NODE_FAULT;
        default:
                return PX_REASON_REFUSED;
        }
}

static int32_t exit_of_reason(int reason)
{
        switch (reason) {
        case PX_REASON_NO_PROGRAM:
                return px_error_find(PX_E_NO_PROGRAM)->exit;
        case PX_REASON_NOT_RUNNABLE:
                return px_error_find(PX_E_NOT_RUNNABLE)->exit;
        default:
                return -1;
        }
}

static void accept_one(struct core *core, struct node *node, const struct px_accept *item)
{
        struct attempt *attempt = attempt_current(core, node, item->job.value, item->fence);
        int reason = reason_of_code(item->code);

        if (attempt == NULL)
                return;
        attempt->assigning = false;
        if (item->code == 0)
                return;
        attempt_end(core, attempt->job,
                    &(struct ending){.outcome = PX_OUTCOME_REFUSED,
                                     .reason = reason,
                                     .exit_code = exit_of_reason(reason),
                                     .text = item->text,
                                     .progress_permille = -1,
                                     .known = true});
}

void accept_take(struct core *core, const struct px_m_accept *accept)
{
        struct node *node = node_of_command(core, accept->session);

        if (node == NULL)
                return;
        for (size_t i = 0; i < accept->items_count; i++)
                accept_one(core, node, &accept->items[i]);
}

static void started_one(struct core *core, struct node *node, const struct px_started *item)
{
        struct attempt *attempt = attempt_current(core, node, item->job.value, item->fence);
        struct job *job;

        if (attempt == NULL)
                return;
        attempt->assigning = false;
        job = attempt->job;
        if (job->state != PX_JOB_STATE_ASSIGNED)
                return;
        job->started_wall_ms = item->wall_ms;
        job_set_state(core, job, PX_JOB_STATE_RUNNING, PX_REASON_RUNNING, NOTE_NONE);
}

void started_take(struct core *core, const struct px_m_started *started)
{
        struct node *node = node_of_command(core, started->session);

        if (node == NULL)
                return;
        for (size_t i = 0; i < started->items_count; i++)
                started_one(core, node, &started->items[i]);
}
