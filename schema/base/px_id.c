/* SPDX-License-Identifier: Apache-2.0 */
/* px_id.c - the order of fencing tokens: by attempt, then by epoch. Layer: L0 (schema/base). */
#include "px_base.h"

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
