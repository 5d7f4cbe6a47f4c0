/* SPDX-License-Identifier: Apache-2.0 */
/* reserve.c - a job that waits long is not passed by small ones for ever: a node that could run it is
 * kept for it until it fits. Layer: L2 (broker/core). Source: DESIGN 8.
 *
 * Of the lines that have waited RESERVE_AFTER_MS the best gets the node of those that could run it
 * that has most free; at most RESERVED_NODES_MAX nodes, and one in RESERVED_SHARE, are kept at once.
 * RAM only. */
#include "state.h"

#define RESERVE_AFTER_MS 30000
#define RESERVE_LOOK_MS 5000
#define RESERVED_NODES_MAX 8
#define RESERVED_SHARE 4

static uint64_t key_of(const struct line *line)
{
        return (uint64_t)line->shape->id << 32 | line->owner;
}

bool reserve_allows(const struct node *node, const struct line *line)
{
        return node->reserved_for == 0 || node->reserved_for == key_of(line);
}

void reserve_arm(struct core *core)
{
        if (core->reserve_timer.item.position == 0)
                timer_arm(core, &core->reserve_timer, TIMER_RESERVE, 0,
                          core->core_ms + RESERVE_LOOK_MS);
}

/* Others may have the node again. */
static void node_unreserve(struct core *core, struct node *node)
{
        node->reserved_for = 0;
        core->reserved_count--;
        if (core->offered == node)
                core->offered = NULL; /* more lines may want it */
        node_grew(core, node);
}

void reserve_drop(struct core *core, const struct line *line)
{
        uint64_t key = key_of(line);

        if (core->reserved_count == 0)
                return;
        PX_LIST_EACH(&core->node_list, at)
        {
                struct node *node = PX_CONTAINER_OF(at, struct node, link);

                if (node->reserved_for == key)
                        node_unreserve(core, node);
        }
}

void reserve_forget(struct core *core, struct node *node)
{
        if (node->reserved_for != 0)
                core->reserved_count--;
        node->reserved_for = 0;
}

static bool has_reservation(const struct core *core, const struct line *line)
{
        PX_LIST_EACH(&core->node_list, at)
        if (PX_CONTAINER_OF(at, struct node, link)->reserved_for == key_of(line))
                return true;
        return false;
}

static bool node_can_wait_for(const struct core *core, const struct node *node,
                              const struct line *line)
{
        return node->connected && !node->draining && !node->stopping && node->reserved_for == 0 &&
               room_could_fit(node, line->shape) && node_serves(core, node, line->owner) &&
               !room_apart_taken(node, line->shape, line->owner);
}

static struct node *node_to_keep(const struct core *core, const struct line *line)
{
        struct node *best = NULL;

        PX_LIST_EACH(&core->node_list, at)
        {
                struct node *node = PX_CONTAINER_OF(at, struct node, link);

                if (node_can_wait_for(core, node, line) &&
                    (best == NULL || room_free_cpus_milli(node) > room_free_cpus_milli(best)))
                        best = node;
        }
        return best;
}

static struct line *line_longing(const struct core *core)
{
        struct line *best = NULL;

        for (size_t i = 0; i < core->waiting_count; i++) {
                struct line *line = core->waiting[i].line;

                if (core->core_ms - line->waiting_ms < RESERVE_AFTER_MS ||
                    line->shape->need.kind != PX_JOB_KIND_COMMAND || has_reservation(core, line))
                        continue;
                if (best == NULL || line_before(line, best))
                        best = line;
        }
        return best;
}

void reserve_fired(struct core *core)
{
        size_t most = PX_MIN((size_t)RESERVED_NODES_MAX,
                             (core->nodes.count + RESERVED_SHARE - 1) / RESERVED_SHARE);
        struct line *line = core->reserved_count < most ? line_longing(core) : NULL;
        struct node *node = line == NULL ? NULL : node_to_keep(core, line);

        if (node != NULL) {
                node->reserved_for = key_of(line);
                core->reserved_count++;
        }
        if (core->waiting_count > 0)
                reserve_arm(core);
}
