/* SPDX-License-Identifier: Apache-2.0 */
/* progress.c - the last progress of a running attempt, kept over restarts of the broker. Layer: L2
 * (broker/core). Source: DESIGN 7 (Progress).
 *
 * Progress flows past the core, from node to followers; every ten seconds the shell hands in what is
 * new. It changes no state: a row beside the job's, gone when the attempt ends. */
#include "state.h"

static void progress_put(struct core *core, const struct px_progress *item)
{
        struct row_key key = row_key_u64(item->job.value);
        struct px_progress_row row = {.fence = item->fence,
                                      .permille = item->permille,
                                      .text = item->text,
                                      .wall_ms = item->wall_ms};

        px_buf_reset(&core->bytes);
        px_progress_row_encode(&row, &core->bytes);
        put_row(core, PX_TABLE_PROGRESS, &key, px_buf_slice(&core->bytes));
}

void progress_keep_take(struct core *core, const struct px_m_progress_keep *keep)
{
        for (size_t i = 0; i < keep->items_count; i++) {
                const struct px_progress *item = &keep->items[i];
                struct job *job = job_find(core, item->job.value);

                if (job == NULL || job->attempt == NULL || !px_fence_equal(job->fence, item->fence))
                        continue;
                progress_put(core, item);
                if (job->flags & JOB_HAS_PROGRESS)
                        continue;
                job->flags |= JOB_HAS_PROGRESS;
                job_changed(core, job, job->reason, NOTE_NONE);
        }
}

void progress_drop(struct core *core, struct job *job)
{
        struct row_key key = row_key_u64(job->id);

        if (!(job->flags & JOB_HAS_PROGRESS))
                return;
        job->flags &= (uint16_t)~JOB_HAS_PROGRESS;
        delete_row(core, PX_TABLE_PROGRESS, &key);
}
