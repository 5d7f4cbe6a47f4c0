/* SPDX-License-Identifier: Apache-2.0 */
/* place.c - which node has room: pools of nodes that serve the same jobs, most free first.
 * Layer: L2 (broker/core).
 *
 * A node has one seat in each pool it belongs to: commands or one task type, times the principals it
 * serves. A seat stands in its pool's heap while its node is open (connected, not draining, room
 * left). Best node = first of a pool; the rest is looked at only when the first has cpus but lacks
 * memory or places. */
#include "state.h"

/* ---- what a node is good for ----------------------------------------------------------------------- */

static uint32_t node_places(const struct core *core, const struct node *node)
{
        if (node->kind == PX_NODE_KIND_WORKER)
                return PX_MAX(node->slots, 1u) + core->options.prefetch_tasks;
        return node->slots == 0 ? UINT32_MAX : node->slots;
}

static uint32_t node_free_places(const struct core *core, const struct node *node)
{
        uint32_t places = node_places(core, node);

        return node->held_count >= places ? 0 : places - node->held_count;
}

/* What seats are ordered by. */
static uint32_t node_free(const struct node *node)
{
        if (node->kind == PX_NODE_KIND_WORKER)
                return node->slots > node->held_count ? node->slots - node->held_count : 0;
        return room_free_cpus_milli(node);
}

bool node_has_places(const struct core *core, const struct node *node)
{
        return node_free_places(core, node) > 0;
}

bool node_open(const struct core *core, const struct node *node)
{
        if (!node->connected || node->draining || node->stopping)
                return false;
        if (node_free_places(core, node) == 0)
                return false;
        return node->kind == PX_NODE_KIND_WORKER || room_free_cpus_milli(node) > 0;
}

static bool owner_is_admin(const struct core *core, uint32_t owner)
{
        const struct principal *principal = principal_find(core, owner);

        return principal != NULL && principal->role == PX_ROLE_ADMIN;
}

/* A node key serves everyone; so does a node of an administrator that maps accounts. Any other runs
 * jobs as whoever started it: for its own principal and administrators. A worker of a service or an
 * administrator takes everyone's tasks, others those of their principal and of its maker. */
static bool node_serves_all(const struct node *node, const struct principal *principal)
{
        switch (principal->role) {
        case PX_ROLE_NODE:
                return true;
        case PX_ROLE_ADMIN:
                return node->kind == PX_NODE_KIND_WORKER ||
                       px_slice_equal(node->accounts, px_slice_text("map"));
        case PX_ROLE_SERVICE:
                return node->kind == PX_NODE_KIND_WORKER;
        default:
                return false;
        }
}

bool node_serves(const struct core *core, const struct node *node, uint32_t owner)
{
        const struct principal *principal = principal_find(core, node->principal);

        PX_ASSERT(principal != NULL);
        if (owner == node->principal || node_serves_all(node, principal))
                return true;
        if (node->kind == PX_NODE_KIND_NODE)
                return owner_is_admin(core, owner);
        return principal->role == PX_ROLE_WORKER && owner == principal->parent;
}

/* ---- pools --------------------------------------------------------------------------------------------- */

static bool seat_before(const struct px_heap_item *a, const struct px_heap_item *b)
{
        const struct node *x = PX_CONTAINER_OF(a, const struct seat, item)->node;
        const struct node *y = PX_CONTAINER_OF(b, const struct seat, item)->node;

        if (node_free(x) != node_free(y))
                return node_free(x) > node_free(y);
        return x->id < y->id;
}

static uint64_t pool_hash(int kind, struct px_slice task_type, uint32_t scope)
{
        return px_hash64((uint64_t)kind << 32 | scope, task_type.data, task_type.length);
}

static struct pool *pool_find(const struct core *core, int kind, struct px_slice task_type,
                              uint32_t scope)
{
        struct pool *pool = px_map_find(&core->pools, pool_hash(kind, task_type, scope));

        while (pool != NULL && !(pool->kind == kind && pool->scope == scope &&
                                 px_slice_equal(pool->task_type, task_type)))
                pool = pool->next;
        return pool;
}

static struct pool *pool_get(struct core *core, int kind, struct px_slice task_type,
                             uint32_t scope)
{
        struct pool *pool = pool_find(core, kind, task_type, scope);
        uint64_t hash = pool_hash(kind, task_type, scope);

        if (pool != NULL)
                return pool;
        pool = px_alloc(sizeof(*pool));
        pool->kind = kind;
        pool->task_type = slice_own(task_type);
        pool->scope = scope;
        pool->next = px_map_find(&core->pools, hash);
        px_heap_init(&pool->seats, seat_before);
        px_map_put(&core->pools, hash, pool);
        return pool;
}

void pools_fini(struct core *core)
{
        size_t cursor = 0;
        uint64_t key;
        void *value;

        while (px_map_next(&core->pools, &cursor, &key, &value)) {
                struct pool *pool = value;

                while (pool != NULL) {
                        struct pool *next = pool->next;

                        px_heap_fini(&pool->seats);
                        slice_drop(&pool->task_type);
                        px_free(pool);
                        pool = next;
                }
        }
        px_map_fini(&core->pools);
}

/* ---- seats ------------------------------------------------------------------------------------------------ */

static void seat_add(struct core *core, struct node *node, struct px_slice type, uint32_t scope)
{
        int kind = node->kind == PX_NODE_KIND_WORKER ? PX_JOB_KIND_TASK : PX_JOB_KIND_COMMAND;

        node->seats[node->seats_count++] =
                (struct seat){.node = node, .pool = pool_get(core, kind, type, scope)};
}

static void seats_add_type(struct core *core, struct node *node, struct px_slice type)
{
        const struct principal *principal = principal_find(core, node->principal);

        if (node_serves_all(node, principal)) {
                seat_add(core, node, type, POOL_ALL);
                return;
        }
        seat_add(core, node, type, node->principal);
        if (node->kind == PX_NODE_KIND_NODE)
                seat_add(core, node, type, POOL_ADMINS);
        else if (principal->role == PX_ROLE_WORKER && principal->parent != 0)
                seat_add(core, node, type, principal->parent);
}

void seats_build(struct core *core, struct node *node)
{
        size_t types = node->kind == PX_NODE_KIND_WORKER ? node->types_count : 1;

        seats_drop(core, node);
        node->seats = px_alloc(PX_MAX(types, (size_t)1) * 2 * sizeof(*node->seats));
        for (size_t i = 0; i < types; i++)
                seats_add_type(core, node,
                               node->kind == PX_NODE_KIND_WORKER ? node->types[i]
                                                                 : PX_SLICE_NONE);
        seats_update(core, node);
        node_grew(core, node);
}

void seats_drop(struct core *core, struct node *node)
{
        (void)core;
        for (size_t i = 0; i < node->seats_count; i++)
                if (node->seats[i].item.position != 0)
                        px_heap_remove(&node->seats[i].pool->seats, &node->seats[i].item);
        px_free(node->seats);
        node->seats = NULL;
        node->seats_count = 0;
}

void seats_update(struct core *core, struct node *node)
{
        bool open = node_open(core, node);

        for (size_t i = 0; i < node->seats_count; i++) {
                struct seat *seat = &node->seats[i];
                struct px_heap *heap = &seat->pool->seats;

                if (seat->item.position != 0 && !open)
                        px_heap_remove(heap, &seat->item);
                else if (seat->item.position != 0)
                        px_heap_update(heap, &seat->item);
                else if (open)
                        px_heap_push(heap, &seat->item);
        }
}

/* ---- finding ------------------------------------------------------------------------------------------------ */

static struct node *seat_node(struct px_heap_item *item)
{
        return PX_CONTAINER_OF(item, struct seat, item)->node;
}

/* a is the better place: warm, then most free. */
static bool place_better(const struct node *a, const struct node *b, const struct shape *shape)
{
        if (shape->warm != 0 && room_is_warm(a, shape) != room_is_warm(b, shape))
                return room_is_warm(a, shape);
        return node_free(a) != node_free(b) ? node_free(a) > node_free(b) : a->id < b->id;
}

/* The whole pool, for a request that its first node cannot take for another reason than cpus. */
static struct node *pool_scan(struct core *core, const struct pool *pool, const struct line *line,
                              uint32_t avoid)
{
        struct node *best = NULL;

        for (size_t i = 1; i <= pool->seats.count; i++) {
                struct node *node = seat_node(pool->seats.items[i]);

                if (node->id == avoid || !reserve_allows(node, line) ||
                    !room_fits(core, node, line->shape, line->owner))
                        continue;
                if (best == NULL || place_better(node, best, line->shape))
                        best = node;
        }
        return best;
}

static struct node *pool_place(struct core *core, uint32_t scope, const struct line *line,
                               uint32_t avoid)
{
        const struct px_shape_row *need = &line->shape->need;
        struct pool *pool = pool_find(core, need->kind, need->task_type, scope);
        struct node *first;

        if (pool == NULL || pool->seats.count == 0)
                return NULL;
        first = seat_node(px_heap_first(&pool->seats));
        if (need->kind == PX_JOB_KIND_COMMAND && need->cpus_milli > room_free_cpus_milli(first))
                return NULL;
        if (line->shape->warm == 0 && first->id != avoid && reserve_allows(first, line) &&
            room_fits(core, first, line->shape, line->owner))
                return first;
        return pool_scan(core, pool, line, avoid);
}

static struct node *place_anywhere(struct core *core, const struct line *line, uint32_t avoid)
{
        uint32_t scopes[] = {POOL_ALL, line->owner, POOL_ADMINS};
        size_t count = owner_is_admin(core, line->owner) ? 3 : 2;
        struct node *best = NULL;

        for (size_t i = 0; i < count; i++) {
                struct node *node = pool_place(core, scopes[i], line, avoid);

                if (node != NULL && (best == NULL || place_better(node, best, line->shape)))
                        best = node;
        }
        return best;
}

struct node *place_find(struct core *core, const struct line *line, const struct job *job)
{
        const struct shape *shape = line->shape;
        struct node *node;

        if (shape->need.node.length > 0) {
                node = node_named(core, shape->need.node);
                if (node == NULL || !node_serves(core, node, line->owner) ||
                    !reserve_allows(node, line) || !room_fits(core, node, shape, line->owner))
                        return NULL;
                return node;
        }
        /* What was lost or refused goes elsewhere if there is an elsewhere. */
        if (job->losses > 0) {
                node = place_anywhere(core, line, job->node);
                if (node != NULL)
                        return node;
        }
        return place_anywhere(core, line, 0);
}
