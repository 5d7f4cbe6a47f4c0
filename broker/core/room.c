/* SPDX-License-Identifier: Apache-2.0 */
/* room.c - what a node has, what of it is taken, and what fits. Layer: L2 (broker/core).
 *
 * Whole gpus are given alone, shares of one gpu until it is full. Named resources are the node's own
 * unless the mesh has a resource of that name (then its gate counts it). */
#include "state.h"

#define GPU_MILLI 1000u

uint32_t room_free_cpus_milli(const struct node *node)
{
        return node->cpus_used_milli >= node->cpus_milli ? 0
                                                         : node->cpus_milli - node->cpus_used_milli;
}

static bool memory_fits(const struct node *node, uint64_t memory_bytes)
{
        if (node->memory_bytes == 0)
                return true;
        return node->memory_used_bytes <= node->memory_bytes &&
               memory_bytes <= node->memory_bytes - node->memory_used_bytes;
}

/* ---- gpus --------------------------------------------------------------------------------------------- */

/* A share goes where it fits most tightly, so that whole gpus stay free. */
static uint64_t gpu_share_pick(const struct node *node, uint32_t gpus_milli)
{
        uint32_t best = 0;
        uint64_t pick = 0;

        for (uint32_t i = 0; i < node->gpus; i++) {
                uint32_t used = node->gpu_used_milli[i];

                if (used + gpus_milli <= GPU_MILLI && (pick == 0 || used > best)) {
                        best = used;
                        pick = 1ull << i;
                }
        }
        return pick;
}

uint64_t room_gpus_pick(const struct node *node, uint32_t gpus_milli)
{
        uint32_t wanted = gpus_milli / GPU_MILLI;
        uint64_t pick = 0;

        PX_ASSERT(gpus_milli > 0 && node->gpus <= PX_LIMIT_GPUS);
        if (gpus_milli < GPU_MILLI)
                return gpu_share_pick(node, gpus_milli);
        for (uint32_t i = 0; i < node->gpus && wanted > 0; i++) {
                if (node->gpu_used_milli[i] > 0)
                        continue;
                pick |= 1ull << i;
                wanted--;
        }
        return wanted == 0 ? pick : 0;
}

static void gpus_count(struct node *node, uint64_t gpus, uint32_t gpus_milli, bool take)
{
        uint32_t each = PX_MIN(gpus_milli, GPU_MILLI);

        for (uint32_t i = 0; i < PX_LIMIT_GPUS && gpus != 0; i++) {
                if (!(gpus >> i & 1))
                        continue;
                gpus &= ~(1ull << i);
                PX_ASSERT(take || node->gpu_used_milli[i] >= each);
                node->gpu_used_milli[i] =
                        (uint16_t)(take ? node->gpu_used_milli[i] + each
                                        : node->gpu_used_milli[i] - each);
        }
}

/* ---- named resources ------------------------------------------------------------------------------------ */

static size_t resource_index(const struct node *node, struct px_slice name)
{
        size_t i = 0;

        while (i < node->resources_count && !px_slice_equal(node->resources[i].name, name))
                i++;
        return i;
}

uint64_t room_resource_total(const struct node *node, struct px_slice name)
{
        size_t i = resource_index(node, name);

        return i < node->resources_count ? node->resources[i].amount : 0;
}

uint64_t room_resource_used(const struct node *node, struct px_slice name)
{
        size_t i = resource_index(node, name);

        return i < node->resources_count ? node->resources_used[i] : 0;
}

static bool resources_fit(const struct node *node, const struct shape *shape, bool empty)
{
        for (size_t i = 0; i < shape->resources_count; i++) {
                const struct px_resource *need = &shape->resources[i];
                uint64_t used = empty ? 0 : room_resource_used(node, need->name);

                if (used + need->amount > room_resource_total(node, need->name))
                        return false;
        }
        return true;
}

static void resources_count(struct node *node, const struct shape *shape, bool take)
{
        for (size_t i = 0; i < shape->resources_count; i++) {
                size_t at = resource_index(node, shape->resources[i].name);

                if (at == node->resources_count)
                        continue; /* the node doesn't name it any more */
                PX_ASSERT(take || node->resources_used[at] >= shape->resources[i].amount);
                if (take)
                        node->resources_used[at] += shape->resources[i].amount;
                else
                        node->resources_used[at] -= shape->resources[i].amount;
        }
}

/* ---- labels ----------------------------------------------------------------------------------------------- */

const struct px_label *room_label(const struct node *node, struct px_slice key)
{
        for (size_t i = 0; i < node->labels_count; i++)
                if (px_slice_equal(node->labels[i].key, key))
                        return &node->labels[i];
        return NULL;
}

static bool value_among(struct px_slice value, const struct px_constraint *constraint)
{
        for (size_t i = 0; i < constraint->values_count; i++)
                if (px_slice_equal(constraint->values[i], value))
                        return true;
        return false;
}

bool room_constraint_holds(const struct node *node, const struct px_constraint *constraint)
{
        const struct px_label *label = room_label(node, constraint->key);

        switch (constraint->op) {
        case PX_CONSTRAINT_OP_EQUAL:
        case PX_CONSTRAINT_OP_IN:
                return label != NULL && value_among(label->value, constraint);
        case PX_CONSTRAINT_OP_NOT_EQUAL:
                return label == NULL || !value_among(label->value, constraint);
        case PX_CONSTRAINT_OP_EXISTS:
                return label != NULL;
        case PX_CONSTRAINT_OP_ABSENT:
                return label == NULL;
        default:
                return false;
        }
}

bool room_labels_fit(const struct node *node, const struct shape *shape)
{
        for (size_t i = 0; i < shape->need.constraints_count; i++)
                if (!room_constraint_holds(node, &shape->need.constraints[i]))
                        return false;
        return true;
}

/* ---- warmth and distance ------------------------------------------------------------------------------------ */

void room_warm_add(struct node *node, uint64_t warm)
{
        size_t at = 0;

        if (warm == 0 || node->warm[0] == warm)
                return;
        while (at < NODE_WARM - 1 && node->warm[at] != warm)
                at++;
        for (; at > 0; at--)
                node->warm[at] = node->warm[at - 1];
        node->warm[0] = warm;
}

bool room_is_warm(const struct node *node, const struct shape *shape)
{
        if (shape->warm == 0)
                return false;
        for (size_t i = 0; i < NODE_WARM; i++)
                if (node->warm[i] == shape->warm)
                        return true;
        return shape->need.warm.length > 0 && room_label(node, shape->need.warm) != NULL;
}

bool room_apart_taken(const struct node *node, const struct shape *shape, uint32_t owner)
{
        if (shape->need.apart.length == 0)
                return false;
        PX_LIST_EACH(&node->held, at)
        {
                const struct attempt *attempt = PX_CONTAINER_OF(at, struct attempt, link);

                if (attempt->job != NULL && attempt->job->owner == owner &&
                    px_slice_equal(attempt->shape->need.apart, shape->need.apart))
                        return true;
        }
        return false;
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

bool node_takes_type(const struct node *node, struct px_slice type)
{
        for (size_t i = 0; i < node->types_count; i++)
                if (px_slice_equal(node->types[i], type))
                        return true;
        return false;
}

static bool more_could_fit(const struct node *node, const struct shape *shape)
{
        const struct px_shape_row *need = &shape->need;

        if (need->node.length > 0 && !px_slice_equal(need->node, node->name))
                return false;
        return need->gpus_milli <= node->gpus * GPU_MILLI && resources_fit(node, shape, true) &&
               room_labels_fit(node, shape);
}

bool room_could_fit(const struct node *node, const struct shape *shape)
{
        const struct px_shape_row *need = &shape->need;

        if (!shape->plain && !more_could_fit(node, shape))
                return false;
        if (need->kind == PX_JOB_KIND_TASK)
                return node->kind == PX_NODE_KIND_WORKER && node_takes_type(node, need->task_type);
        return node->kind == PX_NODE_KIND_NODE && need->cpus_milli <= node->cpus_milli &&
               (node->memory_bytes == 0 || need->memory_bytes <= node->memory_bytes);
}

bool room_fits(const struct core *core, const struct node *node, const struct shape *shape,
               uint32_t owner)
{
        const struct px_shape_row *need = &shape->need;

        if (!node_open(core, node))
                return false;
        if (need->kind == PX_JOB_KIND_COMMAND && (need->cpus_milli > room_free_cpus_milli(node) ||
                                                  !memory_fits(node, need->memory_bytes)))
                return false;
        if (!room_could_fit(node, shape))
                return false;
        if (shape->plain)
                return true;
        return (need->gpus_milli == 0 || room_gpus_pick(node, need->gpus_milli) != 0) &&
               resources_fit(node, shape, false) && !room_apart_taken(node, shape, owner);
}

static uint64_t attempt_gpus(const struct attempt *attempt)
{
        return attempt->job->more == NULL ? 0 : attempt->job->more->gpus;
}

/* The gpus were picked before: they stand in the job's row. */
void room_take(struct attempt *attempt)
{
        const struct shape *shape = attempt->shape;
        struct node *node = attempt->node;

        PX_ASSERT(attempt->cpus_milli == 0 && attempt->memory_bytes == 0);
        attempt->cpus_milli = shape->need.cpus_milli;
        attempt->memory_bytes = shape->need.memory_bytes;
        node->cpus_used_milli += attempt->cpus_milli;
        node->memory_used_bytes += attempt->memory_bytes;
        if (shape->plain)
                return;
        gpus_count(node, attempt_gpus(attempt), shape->need.gpus_milli, true);
        resources_count(node, shape, true);
        room_warm_add(node, shape->warm);
}

void room_take_ghost(struct attempt *ghost, uint32_t cpus_milli, uint64_t memory_bytes)
{
        PX_ASSERT(ghost->job == NULL && ghost->cpus_milli == 0 && ghost->memory_bytes == 0);
        ghost->cpus_milli = cpus_milli;
        ghost->memory_bytes = memory_bytes;
        ghost->node->cpus_used_milli += cpus_milli;
        ghost->node->memory_used_bytes += memory_bytes;
}

void room_give(struct attempt *attempt)
{
        struct node *node = attempt->node;
        const struct shape *shape = attempt->shape;

        PX_ASSERT(node->cpus_used_milli >= attempt->cpus_milli);
        PX_ASSERT(node->memory_used_bytes >= attempt->memory_bytes);
        node->cpus_used_milli -= attempt->cpus_milli;
        node->memory_used_bytes -= attempt->memory_bytes;
        if (attempt->job == NULL || shape->plain)
                return;
        gpus_count(node, attempt_gpus(attempt), shape->need.gpus_milli, false);
        resources_count(node, shape, false);
}

void room_recount(struct node *node)
{
        for (size_t i = 0; i < node->resources_count; i++)
                node->resources_used[i] = 0;
        PX_LIST_EACH(&node->held, at)
        {
                const struct attempt *attempt = PX_CONTAINER_OF(at, struct attempt, link);

                if (attempt->job != NULL)
                        resources_count(node, attempt->shape, true);
        }
}
