/* SPDX-License-Identifier: Apache-2.0 */
/* shape.c - equal requests of active jobs share a shape. Layer: L2 (broker/core).
 *
 * Two requests are equal when they encode to the same bytes. */
#include "state.h"

struct shape *shape_find(const struct core *core, uint32_t id)
{
        return px_map_find(&core->shapes, id);
}

struct px_slice shape_module(const struct px_shape_row *need)
{
        return need->module.length > 0 ? need->module : need->task_type;
}

struct px_slice shape_queue(const struct px_shape_row *need)
{
        return need->queue.length > 0 ? need->queue : px_slice_text("default");
}

/* ---- making one ------------------------------------------------------------------------------------ */

/* Lists that were decoded into an arena, in one piece of the shape's own. */
static void need_own_lists(struct shape *shape)
{
        struct px_shape_row *need = &shape->need;
        size_t values = 0;
        struct px_resource *resources;
        struct px_constraint *constraints;
        struct px_slice *texts;

        for (size_t i = 0; i < need->constraints_count; i++)
                values += need->constraints[i].values_count;
        shape->lists = px_alloc(need->resources_count * 2 * sizeof(*resources) +
                                need->constraints_count * sizeof(*constraints) +
                                values * sizeof(*texts) + 1);
        resources = shape->lists;
        shape->resources = resources + need->resources_count;
        constraints = (void *)(shape->resources + need->resources_count);
        texts = (void *)(constraints + need->constraints_count);
        for (size_t i = 0; i < need->resources_count; i++)
                resources[i] = need->resources[i];
        for (size_t i = 0; i < need->constraints_count; i++) {
                constraints[i] = need->constraints[i];
                constraints[i].values = texts;
                for (size_t j = 0; j < constraints[i].values_count; j++)
                        *texts++ = need->constraints[i].values[j];
        }
        need->resources = resources;
        need->constraints = constraints;
}

static uint64_t warm_of(const struct px_shape_row *need)
{
        struct px_slice word = need->warm.length > 0 ? need->warm : need->module;

        return word.length == 0 ? 0 : px_hash64(1, word.data, word.length);
}

static bool need_is_plain(const struct px_shape_row *need)
{
        return need->gpus_milli == 0 && need->resources_count == 0 &&
               need->constraints_count == 0 && need->node.length == 0 &&
               need->apart.length == 0 && need->warm.length == 0 && need->module.length == 0;
}

static struct shape *shape_of_bytes(struct core *core, struct px_slice bytes)
{
        struct shape *shape = px_alloc(sizeof(*shape));
        struct px_arena arena = {0};
        int result;

        shape->bytes = slice_own(bytes);
        result = px_shape_row_decode(shape->bytes, &arena, &shape->need);
        PX_ASSERT(result == PX_WIRE_OK);
        need_own_lists(shape);
        px_arena_fini(&arena);
        shape->warm = warm_of(&shape->need);
        shape->plain = need_is_plain(&shape->need);
        px_list_init(&shape->lines);
        shape_link_gates(core, shape);
        return shape;
}

/* The canonical bytes of a request; borrowed until core->bytes is used again. */
static struct px_slice request_bytes(struct core *core, const struct px_shape_row *request)
{
        px_buf_reset(&core->bytes);
        px_shape_row_encode(request, &core->bytes);
        return px_buf_slice(&core->bytes);
}

struct shape *shape_alone(struct core *core, const struct px_shape_row *request)
{
        return shape_of_bytes(core, request_bytes(core, request));
}

void shape_free(struct shape *shape)
{
        px_free(shape->gates);
        px_free(shape->lists);
        slice_drop(&shape->bytes);
        px_free(shape);
}

/* ---- all of them ----------------------------------------------------------------------------------- */

static uint64_t bytes_hash(struct px_slice bytes)
{
        return px_hash64(0, bytes.data, bytes.length);
}

static struct shape *shape_of(const struct core *core, struct px_slice bytes)
{
        struct shape *shape = px_map_find(&core->shapes_by_hash, bytes_hash(bytes));

        while (shape != NULL && !px_slice_equal(shape->bytes, bytes))
                shape = shape->next;
        return shape;
}

const struct shape *shape_known(const struct core *core, const struct shape *alone)
{
        return shape_of(core, alone->bytes);
}

struct shape *shape_of_request(struct core *core, const struct px_shape_row *request)
{
        return shape_of(core, request_bytes(core, request));
}

/* Nothing needs it now. */
static void shape_rest(struct core *core, struct shape *shape)
{
        px_list_append(&core->shapes_unused, &shape->link);
        core->shapes_unused_count++;
}

static struct shape *shape_new(struct core *core, uint32_t id, struct px_slice bytes)
{
        struct shape *shape = shape_of_bytes(core, bytes);
        uint64_t hash = bytes_hash(bytes);

        shape->id = id;
        shape->next = px_map_find(&core->shapes_by_hash, hash);
        px_map_put(&core->shapes, id, shape);
        px_map_put(&core->shapes_by_hash, hash, shape);
        shape_rest(core, shape);
        return shape;
}

static void shape_unhash(struct core *core, struct shape *shape)
{
        uint64_t hash = bytes_hash(shape->bytes);
        struct shape *at = px_map_take(&core->shapes_by_hash, hash);

        if (at == shape) {
                if (shape->next != NULL)
                        px_map_put(&core->shapes_by_hash, hash, shape->next);
                return;
        }
        px_map_put(&core->shapes_by_hash, hash, at);
        while (at->next != shape)
                at = at->next;
        at->next = shape->next;
}

static void shape_forget_oldest(struct core *core)
{
        struct shape *shape = PX_CONTAINER_OF(core->shapes_unused.next, struct shape, link);
        struct row_key key = row_key_u32(shape->id);

        PX_ASSERT(shape->jobs_count == 0 && shape->running == 0);
        while (!px_list_empty(&shape->lines))
                line_drop(core, PX_CONTAINER_OF(shape->lines.next, struct line, of_shape));
        shape_unhash(core, shape);
        px_map_take(&core->shapes, shape->id);
        px_list_remove(&shape->link);
        core->shapes_unused_count--;
        delete_row(core, PX_TABLE_SHAPE, &key);
        shape_free(shape);
}

void shape_hold(struct core *core, const struct job *job)
{
        struct shape *shape = shape_find(core, job->shape);

        for (size_t i = 0; i < shape->gates_count; i++)
                shape->gates[i].gate->jobs++;
        if (shape->jobs_count++ > 0)
                return;
        px_list_remove(&shape->link);
        core->shapes_unused_count--;
}

void shape_release(struct core *core, const struct job *job)
{
        struct shape *shape = shape_find(core, job->shape);

        PX_ASSERT(shape->jobs_count > 0);
        for (size_t i = 0; i < shape->gates_count; i++)
                shape->gates[i].gate->jobs--;
        if (--shape->jobs_count > 0)
                return;
        shape_rest(core, shape);
        if (core->shapes_unused_count > core->options.shapes_kept)
                shape_forget_oldest(core);
}

bool shape_has_room(struct core *core, const struct px_shape_row *request)
{
        return core->shapes.count < PX_LIMIT_SHAPES || core->shapes_unused_count > 0 ||
               shape_of(core, request_bytes(core, request)) != NULL;
}

struct shape *shape_intern(struct core *core, const struct px_shape_row *request)
{
        struct shape *shape = shape_of(core, request_bytes(core, request));
        struct row_key key;

        if (shape != NULL)
                return shape;
        if (core->shapes.count >= PX_LIMIT_SHAPES && core->shapes_unused_count > 0)
                shape_forget_oldest(core);
        if (core->shapes.count >= PX_LIMIT_SHAPES)
                return NULL;
        shape = shape_new(core, core->next_shape++, request_bytes(core, request));
        key = row_key_u32(shape->id);
        put_row(core, PX_TABLE_SHAPE, &key, shape->bytes);
        return shape;
}

bool shape_load(struct core *core, uint32_t id, const struct px_shape_row *row)
{
        if (row->kind == 0 || shape_find(core, id) != NULL ||
            shape_of(core, request_bytes(core, row)) != NULL)
                return false;
        shape_new(core, id, request_bytes(core, row));
        return true;
}

void shapes_init(struct core *core)
{
        px_list_init(&core->shapes_unused);
}

void shapes_fini(struct core *core)
{
        size_t cursor = 0;
        uint64_t key;
        void *value;

        while (px_map_next(&core->shapes, &cursor, &key, &value))
                shape_free(value);
        px_map_fini(&core->shapes);
        px_map_fini(&core->shapes_by_hash);
}
