/* SPDX-License-Identifier: Apache-2.0 */
/* node_out.c - what one step gives out: effects, and items gathered into one message of each kind.
 * Layer: L2 (node/core). */
#include "node_inside.h"

struct node_effect *out_effect(struct node *node, enum node_effect_kind kind)
{
        struct node_effects *effects = node->effects;
        struct node_effect *effect;

        PX_ASSERT(effects != NULL);
        if (effects->count == effects->capacity) {
                effects->capacity = PX_MAX(effects->capacity * 2, 16u);
                effects->items =
                        px_realloc(effects->items, effects->capacity * sizeof(*effects->items));
        }
        effect = &effects->items[effects->count++];
        *effect = (struct node_effect){.kind = kind};
        return effect;
}

void node_effects_fini(struct node_effects *effects)
{
        px_free(effects->items);
        px_arena_fini(&effects->arena);
        *effects = (struct node_effects){0};
}

struct node_effect *out_attempt(struct node *node, enum node_effect_kind kind,
                                const struct attempt *attempt)
{
        struct node_effect *effect = out_effect(node, kind);

        effect->job = attempt->job;
        effect->fence = attempt->fence;
        return effect;
}

static void out_frame(struct node *node, enum node_effect_kind kind)
{
        struct node_effect *effect = out_effect(node, kind);

        effect->frame = px_arena_copy(&node->effects->arena, px_buf_slice(&node->frame));
}

void out_ctl(struct node *node)
{
        out_frame(node, NODE_EFFECT_SEND_CTL);
}

void out_data(struct node *node)
{
        out_frame(node, NODE_EFFECT_SEND_DATA);
}

/* ---- batches ----------------------------------------------------------------------------------
 */

static void accepts_flush(struct node *node)
{
        struct px_m_accept message = {.session = node->session};

        if (node->accepts.length == 0)
                return;
        message.items = (void *)node->accepts.data;
        message.items_count = node->accepts.length / sizeof(*message.items);
        px_buf_reset(&node->frame);
        px_m_accept_frame(&message, 0, 0, &node->frame);
        px_buf_reset(&node->accepts);
        out_ctl(node);
}

static void starteds_flush(struct node *node)
{
        struct px_m_started message = {.session = node->session};

        if (node->starteds.length == 0)
                return;
        accepts_flush(node); /* an attempt is accepted before it is started */
        message.items = (void *)node->starteds.data;
        message.items_count = node->starteds.length / sizeof(*message.items);
        px_buf_reset(&node->frame);
        px_m_started_frame(&message, 0, 0, &node->frame);
        px_buf_reset(&node->starteds);
        out_ctl(node);
}

static void results_flush(struct node *node)
{
        struct px_m_result message = {.session = node->session};

        if (node->results.length == 0)
                return;
        starteds_flush(node);
        message.items = (void *)node->results.data;
        message.items_count = node->results.length / sizeof(*message.items);
        px_buf_reset(&node->frame);
        px_m_result_frame(&message, 0, 0, &node->frame);
        px_buf_reset(&node->results);
        node->results_bytes = 0;
        out_ctl(node);
}

static void progresses_flush(struct node *node)
{
        struct px_m_progress message = {0};

        if (node->progresses.length == 0)
                return;
        message.items = (void *)node->progresses.data;
        message.items_count = node->progresses.length / sizeof(*message.items);
        px_buf_reset(&node->frame);
        px_m_progress_frame(&message, 0, 0, &node->frame);
        px_buf_reset(&node->progresses);
        out_data(node);
}

static bool batch_full(const struct px_buf *batch, size_t item_bytes)
{
        return batch->length / item_bytes == PX_LIMIT_BATCH_ITEMS;
}

void out_accept(struct node *node, struct px_job_id job, struct px_fence fence, int code,
                struct px_slice text)
{
        struct px_accept item = {
                .job = job,
                .fence = fence,
                .code = (uint16_t)code,
                .text = px_arena_copy(&node->effects->arena, text),
        };

        if (node->session == 0)
                return; /* the next inventory says it */
        /* Refusals are rare: their texts are not counted, the limit of items is far below. */
        if (node->accepts.length / sizeof(item) == PX_LIMIT_BATCH_ITEMS / 4)
                accepts_flush(node);
        px_buf_append(&node->accepts, &item, sizeof(item));
}

void out_started(struct node *node, const struct attempt *attempt)
{
        struct px_started item = {
                .job = attempt->job,
                .fence = attempt->fence,
                .wall_ms = attempt->started_wall_ms,
        };

        PX_ASSERT(node->session != 0);
        if (batch_full(&node->starteds, sizeof(item)))
                starteds_flush(node);
        px_buf_append(&node->starteds, &item, sizeof(item));
}

void out_result(struct node *node, const struct px_result *result)
{
        struct px_result item = *result;
        size_t bytes =
                512 + result->text.length + result->progress_text.length + result->result.length;

        PX_ASSERT(node->session != 0);
        if (batch_full(&node->results, sizeof(item)) ||
            node->results_bytes + bytes > NODE_BATCH_BYTES)
                results_flush(node);
        /* The attempt may be forgotten before the batch is sent. */
        item.text = px_arena_copy(&node->effects->arena, result->text);
        item.progress_text = px_arena_copy(&node->effects->arena, result->progress_text);
        item.result = px_arena_copy(&node->effects->arena, result->result);
        node->results_bytes += bytes;
        px_buf_append(&node->results, &item, sizeof(item));
}

void out_progress(struct node *node, const struct px_progress *progress)
{
        struct px_progress item = *progress;

        if (node->progresses.length / sizeof(item) == PX_LIMIT_BATCH_ITEMS / 2)
                progresses_flush(node);
        item.text = px_arena_copy(&node->effects->arena, progress->text);
        px_buf_append(&node->progresses, &item, sizeof(item));
}

void out_flush(struct node *node)
{
        accepts_flush(node);
        starteds_flush(node);
        results_flush(node);
        progresses_flush(node);
}
