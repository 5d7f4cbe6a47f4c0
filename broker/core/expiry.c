/* SPDX-License-Identifier: Apache-2.0 */
/* expiry.c - how long a job may wait: in line (wait_ms), and until when at all (expires_wall_ms).
 * Layer: L2 (broker/core). What waited too long ends as timeout. */
#include "state.h"

#define WALL_CHECK_MS 300000 /* wall clocks are set: look anew so often */

static int64_t expiry_due_ms(const struct core *core, const struct job *job)
{
        const struct job_more *more = job->more;
        int64_t due_ms = INT64_MAX;

        if (job_in_line(job) && more->wait_until_ms != 0)
                due_ms = more->wait_until_ms;
        if (more->expires_wall_ms != 0) {
                int64_t left_ms = PX_MAX(more->expires_wall_ms - core->wall_ms, (int64_t)0);

                due_ms = PX_MIN(due_ms, core->core_ms + PX_MIN(left_ms, (int64_t)WALL_CHECK_MS));
        }
        return due_ms;
}

void expiry_arm(struct core *core, struct job *job)
{
        int64_t due_ms;

        if (job->more == NULL)
                return;
        timer_disarm(core, &job->more->expiry);
        if (job_on_node(job->state))
                return;
        due_ms = expiry_due_ms(core, job);
        if (due_ms != INT64_MAX)
                timer_arm(core, &job->more->expiry, TIMER_EXPIRY, job->id, due_ms);
}

void expiry_fired(struct core *core, uint64_t id)
{
        struct job *job = job_find(core, id);
        int reason = 0;

        PX_ASSERT(job != NULL && job->more != NULL && !job_on_node(job->state));
        if (job->more->expires_wall_ms != 0 && job->more->expires_wall_ms <= core->wall_ms)
                reason = PX_REASON_EXPIRED;
        else if (job_in_line(job) && job->more->wait_until_ms != 0 &&
                 job->more->wait_until_ms <= core->core_ms)
                reason = PX_REASON_WAIT_LIMIT;
        if (reason == 0)
                expiry_arm(core, job);
        else
                job_set_state(core, job, PX_JOB_STATE_TIMEOUT, reason, NOTE_NONE);
}
