/* SPDX-License-Identifier: Apache-2.0 */
/* node_progress.c - progress of attempts: the latest counts, at most four a second are said.
 * Layer: L2 (node/core). */
#include "node_inside.h"

static void progress_schedule(struct node *node, struct attempt *attempt)
{
        /* The timer stands while the pause after the last word lasts, or something is to be said.
         */
        if (attempt->at_ms[TIMER_PROGRESS] == NODE_NEVER)
                attempt_timer(node, attempt, TIMER_PROGRESS, node->now_ms);
}

void progress_take(struct node *node, struct attempt *attempt, int32_t permille,
                   struct px_slice text, int64_t wall_ms)
{
        PX_ASSERT(permille >= -1);
        PX_ASSERT(permille <= 1000);
        if (attempt->phase >= PHASE_ENDED)
                return;
        text.length = PX_MIN(text.length, (size_t)PX_LIMIT_PROGRESS_BYTES);
        while (text.length > 0 && !px_slice_is_text(text))
                text.length--; /* the cut may have split a character */
        attempt->progress_permille = permille;
        attempt->progress_wall_ms = wall_ms;
        attempt->progress_new = true;
        px_buf_reset(&attempt->progress_text);
        px_buf_append_slice(&attempt->progress_text, text);
        progress_schedule(node, attempt);
}

/* After a reconnect the broker may know none. */
void progress_repeat(struct node *node, struct attempt *attempt)
{
        if (attempt->phase >= PHASE_ENDED || attempt->progress_wall_ms == 0)
                return;
        attempt->progress_new = true;
        progress_schedule(node, attempt);
}

void progress_fired(struct node *node, struct attempt *attempt)
{
        struct px_progress item = {
                .job = attempt->job,
                .fence = attempt->fence,
                .permille = attempt->progress_permille,
                .text = px_buf_slice(&attempt->progress_text),
                .wall_ms = attempt->progress_wall_ms,
        };

        if (!attempt->progress_new || node->session == 0 || !node->data.up) {
                attempt_timer(node, attempt, TIMER_PROGRESS, NODE_NEVER);
                return;
        }
        attempt->progress_new = false;
        attempt_timer(node, attempt, TIMER_PROGRESS, node->now_ms + NODE_PROGRESS_PAUSE_MS);
        out_progress(node, &item);
}
