/* SPDX-License-Identifier: Apache-2.0 */
/* px_id.c - numbers of tasks; the order of fencing tokens: by attempt, then by epoch.
 * Layer: L0 (schema/base). */
#include "px_base.h"

#include <stdio.h>

uint64_t px_task_id(uint64_t job, uint32_t task)
{
        PX_ASSERT(job != 0 && job <= PX_JOB_NUMBER_MAX && task <= PX_TASK_NUMBER_MAX);
        return PX_TASK_BIT | job << PX_TASK_NUMBER_BITS | task;
}

bool px_id_is_task(uint64_t id)
{
        return (id & PX_TASK_BIT) != 0;
}

uint64_t px_id_job(uint64_t id)
{
        return px_id_is_task(id) ? (id & ~PX_TASK_BIT) >> PX_TASK_NUMBER_BITS : id;
}

uint32_t px_id_task(uint64_t id)
{
        return (uint32_t)(id & PX_TASK_NUMBER_MAX);
}

const char *px_id_text(uint64_t id, char *text)
{
        if (px_id_is_task(id))
                snprintf(text, PX_ID_TEXT_BYTES, "%llu.%u", (unsigned long long)px_id_job(id),
                         px_id_task(id));
        else
                snprintf(text, PX_ID_TEXT_BYTES, "%llu", (unsigned long long)id);
        return text;
}

bool px_fence_equal(struct px_fence a, struct px_fence b)
{
        return a.attempt == b.attempt && a.epoch == b.epoch;
}

bool px_fence_older(struct px_fence a, struct px_fence b)
{
        if (a.attempt != b.attempt)
                return a.attempt < b.attempt;
        return a.epoch < b.epoch;
}
