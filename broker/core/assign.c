/* SPDX-License-Identifier: Apache-2.0 */
/* assign.c - giving ready jobs to nodes: best queue first, first fit, spread to the most free node.
 * Layer: L2 (broker/core). Source: DESIGN 8. */
#include "state.h"

static void assign(struct core *core, struct job *job, struct node *node,
                   const struct shape *shape)
{
        struct attempt *attempt;

        PX_ASSERT(job->attempt == NULL);
        PX_ASSERT(node->connected && node->peer != 0);
        PX_ASSERT(job->fence.attempt < UINT32_MAX);
        job->fence = (struct px_fence){core->options.epoch, job->fence.attempt + 1};
        job->node = node->id;
        job->started_wall_ms = 0;
        attempt = attempt_new(core, node, job, job->id, job->fence);
        attempt_take_room(attempt, shape->cpus_milli, shape->memory_bytes);
        job_set_state(core, job, PX_JOB_STATE_ASSIGNED, PX_REASON_ASSIGNED, NOTE_NONE);
        node_log_open(core, attempt);
        node_assign(core, attempt);
        seats_update(core, node);
}

void schedule(struct core *core)
{
        struct px_heap_item *item;

        if (core->capacity_grew)
                queues_reopen(core);
        while ((item = px_heap_first(&core->queues_open)) != NULL) {
                struct queue *queue = PX_CONTAINER_OF(item, struct queue, item);
                struct job *job = PX_CONTAINER_OF(px_heap_first(&queue->ready), struct job, ready);
                struct node *node = place_find(core, queue, job);

                if (node != NULL) {
                        assign(core, job, node, queue->shape);
                        continue;
                }
                px_heap_remove(&core->queues_open, &queue->item);
                px_list_append(&core->queues_waiting, &queue->link);
        }
        core->capacity_grew = false;
}
