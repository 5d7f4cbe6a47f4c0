/* SPDX-License-Identifier: Apache-2.0 */
/* node_result.c - the end of an attempt: its result waits for its log, is said until RESULT_OK.
 * Layer: L2 (node/core). Source: DESIGN 4 (logs), 5.3. */
#include "node_inside.h"

static struct px_slice result_keep(struct attempt *attempt, struct px_slice slice)
{
        uint8_t *at = px_buf_grow(&attempt->result_bytes, slice.length);

        if (slice.length > 0)
                memcpy(at, slice.data, slice.length);
        return px_slice_of(at, slice.length);
}

/* Keep a copy; where the result states no progress, the last one heard stands. */
static void result_copy(struct attempt *attempt, const struct px_result *result)
{
        struct px_result *own = &attempt->result;
        bool stated = result->progress_permille >= 0;
        struct px_slice text =
                stated ? result->progress_text : px_buf_slice(&attempt->progress_text);

        PX_ASSERT(attempt->result_bytes.length == 0);
        /* All room at once: slices into it stay. */
        px_buf_reserve(&attempt->result_bytes,
                       result->text.length + text.length + result->result.length + 1);
        *own = *result;
        own->job = attempt->job;
        own->fence = attempt->fence;
        own->text = result_keep(attempt, result->text);
        own->progress_text = result_keep(attempt, text);
        own->result = result_keep(attempt, result->result);
        if (!stated)
                own->progress_permille = attempt->progress_permille;
}

/* When to say it: at once, or when the log is stored or has been waited for. */
static void result_schedule(struct node *node, struct attempt *attempt)
{
        int64_t wait_ms = (int64_t)node->options.log_wait_ms;

        PX_ASSERT(attempt->phase == PHASE_ENDED);
        attempt->result_repeat_ms = NODE_RESULT_REPEAT_MS;
        if (node->session == 0)
                attempt_timer(node, attempt, TIMER_RESULT, NODE_NEVER);
        else if (attempt->result_said || log_complete(attempt))
                attempt_timer(node, attempt, TIMER_RESULT, node->now_ms);
        else
                attempt_timer(node, attempt, TIMER_RESULT, node->now_ms + wait_ms);
}

void result_set(struct node *node, struct attempt *attempt, const struct px_result *result)
{
        PX_ASSERT(attempt->phase < PHASE_ENDED);
        result_copy(attempt, result);
        attempt->progress_new = false;
        attempt_timer(node, attempt, TIMER_PROGRESS, NODE_NEVER);
        attempt_set_phase(node, attempt, PHASE_ENDED);
        log_grew(node, attempt, PX_STREAM_OUT, result->use.out_bytes);
        log_grew(node, attempt, PX_STREAM_ERR, result->use.err_bytes);
        log_ended(node, attempt);
        result_schedule(node, attempt);
        assign_start_next(node, attempt->job);
}

void result_make(struct node *node, struct attempt *attempt, int outcome, int reason,
                 struct px_slice text)
{
        struct px_result result = {
                .outcome = outcome,
                .reason = reason,
                .exit_code = -1,
                .text = text,
                .progress_permille = -1,
        };

        result.use.out_bytes = attempt->log[PX_STREAM_OUT].length;
        result.use.err_bytes = attempt->log[PX_STREAM_ERR].length;
        result_set(node, attempt, &result);
}

void result_welcomed(struct node *node, struct attempt *attempt)
{
        result_schedule(node, attempt);
}

void result_log_stored(struct node *node, struct attempt *attempt)
{
        if (attempt->phase == PHASE_ENDED && !attempt->result_said)
                result_schedule(node, attempt);
        if (attempt->phase != PHASE_SHIPPING)
                return;
        out_attempt(node, NODE_EFFECT_REMOVE, attempt);
        attempt_free(node, attempt);
}

void result_fired(struct node *node, struct attempt *attempt)
{
        PX_ASSERT(attempt->phase == PHASE_ENDED);
        PX_ASSERT(node->session != 0);
        attempt->result.log_pending_bytes = log_pending_bytes(attempt);
        attempt->result_said = true;
        attempt_timer(node, attempt, TIMER_ACCEPT, NODE_NEVER);
        out_result(node, &attempt->result);
        attempt_timer(node, attempt, TIMER_RESULT,
                      node->now_ms + (int64_t)attempt->result_repeat_ms);
        attempt->result_repeat_ms =
                PX_MIN(attempt->result_repeat_ms * 2, NODE_RESULT_REPEAT_MAX_MS);
}

void result_ok(struct node *node, const struct px_m_result_ok *message)
{
        for (size_t i = 0; i < message->items_count; i++) {
                const struct px_attempt_key *key = &message->items[i];
                struct attempt *attempt = attempt_find(node, key->job, key->fence);

                if (attempt == NULL || attempt->phase != PHASE_ENDED)
                        continue;
                gone_remember(node, attempt->job, attempt->fence, 0);
                attempt_timer(node, attempt, TIMER_RESULT, NODE_NEVER);
                attempt_set_phase(node, attempt, PHASE_SHIPPING);
                if (log_complete(attempt))
                        result_log_stored(node, attempt);
        }
}

/* An attempt that isn't here: nothing of it is alive. */
void result_gone(struct node *node, struct px_job_id job, struct px_fence fence)
{
        struct px_result result = {
                .job = job,
                .fence = fence,
                .outcome = PX_OUTCOME_GONE,
                .reason = PX_REASON_NODE_LOST,
                .exit_code = -1,
                .progress_permille = -1,
        };

        if (node->session != 0)
                out_result(node, &result);
}
