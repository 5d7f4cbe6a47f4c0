/* SPDX-License-Identifier: Apache-2.0 */
/* assign.c - what is decided is written and said. Layer: L2 (broker/core). Source: DESIGN 8. */
#include "state.h"

static void assign(struct core *core, const struct claim *claim)
{
        struct claim made = *claim;
        struct job *head = job_is_array(claim->job) ? claim->job : NULL;
        struct job *job;
        struct attempt *attempt;

        if (head != NULL)
                made.job = array_make(core, head);
        job = made.job;
        PX_ASSERT(job->attempt == NULL);
        PX_ASSERT(claim->node->peer != 0);
        PX_ASSERT(job->fence.attempt < UINT32_MAX);
        job->fence = (struct px_fence){core->options.epoch, job->fence.attempt + 1};
        job->started_wall_ms = 0;
        attempt = claim_take(core, &made);
        job_set_state(core, job, PX_JOB_STATE_ASSIGNED, PX_REASON_ASSIGNED, NOTE_NONE);
        node_log_open(core, attempt);
        node_assign(core, attempt);
        if (head != NULL)
                array_changed(core, head);
}

void schedule(struct core *core)
{
        struct claim claim;

        shares_decay(core);
        while (claim_next(core, &claim))
                assign(core, &claim);
        PX_ASSERT(core->turns.count == 0 && px_list_empty(&core->nodes_grown));
}
