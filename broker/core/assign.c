/* SPDX-License-Identifier: Apache-2.0 */
/* assign.c - what is decided is written and said. Layer: L2 (broker/core). Source: DESIGN 8. */
#include "state.h"

static void assign(struct core *core, const struct claim *claim)
{
        struct job *job = claim->job;
        struct attempt *attempt;

        PX_ASSERT(job->attempt == NULL);
        PX_ASSERT(claim->node->peer != 0);
        PX_ASSERT(job->fence.attempt < UINT32_MAX);
        job->fence = (struct px_fence){core->options.epoch, job->fence.attempt + 1};
        job->started_wall_ms = 0;
        attempt = claim_take(core, claim);
        job_set_state(core, job, PX_JOB_STATE_ASSIGNED, PX_REASON_ASSIGNED, NOTE_NONE);
        node_log_open(core, attempt);
        node_assign(core, attempt);
}

void schedule(struct core *core)
{
        struct claim claim;

        shares_decay(core);
        while (claim_next(core, &claim))
                assign(core, &claim);
        PX_ASSERT(core->turns.count == 0 && px_list_empty(&core->nodes_grown));
}
