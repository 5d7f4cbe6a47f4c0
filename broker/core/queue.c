/* SPDX-License-Identifier: Apache-2.0 */
/* queue.c - shapes (equal requests) and the queues of jobs that are ready. Layer: L2 (broker/core).
 *
 * A queue holds the ready jobs of one shape and one principal: whatever fits one fits all, so a queue
 * is either worth trying (in queues_open, ordered by its best job) or waits until capacity grows
 * (in queues_waiting). A step costs O(queues + assignments), never O(jobs). Source: DESIGN 8. */
#include "state.h"

#define QUEUES_EMPTY_KEPT 4096 /* beyond, an empty queue is freed */

static uint64_t queue_key(uint32_t shape, uint32_t owner)
{
        return (uint64_t)shape << 32 | owner;
}

static void queue_free(struct queue *queue)
{
        PX_ASSERT(queue->item.position == 0);
        px_heap_fini(&queue->ready);
        px_free(queue);
}

static void queue_drop(struct core *core, struct queue *queue)
{
        PX_ASSERT(queue->ready.count == 0);
        px_map_take(&core->queues, queue_key(queue->shape->id, queue->owner));
        px_list_remove(&queue->of_shape);
        queue_free(queue);
}

/* ---- shapes -------------------------------------------------------------------------------------- */

struct shape *shape_find(const struct core *core, uint32_t id)
{
        return px_map_find(&core->shapes, id);
}

static uint64_t shape_hash(const struct px_shape_row *row)
{
        uint64_t hash = (uint64_t)row->kind << 32 | row->cpus_milli;

        hash = px_hash64(hash, row->task_type.data, row->task_type.length);
        hash = px_hash64(hash ^ row->memory_bytes, row->node.data, row->node.length);
        return hash;
}

static bool shape_equals(const struct shape *shape, const struct px_shape_row *row)
{
        return shape->kind == row->kind && shape->cpus_milli == row->cpus_milli &&
               shape->memory_bytes == row->memory_bytes &&
               px_slice_equal(shape->task_type, row->task_type) &&
               px_slice_equal(shape->node, row->node);
}

static struct shape *shape_equal_to(const struct core *core, const struct px_shape_row *row)
{
        struct shape *shape = px_map_find(&core->shapes_by_hash, shape_hash(row));

        while (shape != NULL && !shape_equals(shape, row))
                shape = shape->next;
        return shape;
}

/* Nothing needs it now. */
static void shape_rest(struct core *core, struct shape *shape)
{
        px_list_append(&core->shapes_unused, &shape->link);
        core->shapes_unused_count++;
}

static struct shape *shape_new(struct core *core, uint32_t id, const struct px_shape_row *row)
{
        struct shape *shape = px_alloc(sizeof(*shape));
        uint64_t hash = shape_hash(row);

        *shape = (struct shape){
                .id = id,
                .kind = row->kind,
                .task_type = slice_own(row->task_type),
                .cpus_milli = row->cpus_milli,
                .memory_bytes = row->memory_bytes,
                .node = slice_own(row->node),
                .next = px_map_find(&core->shapes_by_hash, hash),
        };
        px_map_put(&core->shapes, id, shape);
        px_map_put(&core->shapes_by_hash, hash, shape);
        px_list_init(&shape->queues);
        shape_rest(core, shape);
        return shape;
}

static void shape_free(struct shape *shape)
{
        slice_drop(&shape->task_type);
        slice_drop(&shape->node);
        px_free(shape);
}

static void shape_forget(struct core *core, struct shape *shape)
{
        struct row_key key = row_key_u32(shape->id);
        struct px_shape_row row;
        struct shape *at;

        PX_ASSERT(shape->jobs_count == 0);
        while (!px_list_empty(&shape->queues))
                queue_drop(core, PX_CONTAINER_OF(shape->queues.next, struct queue, of_shape));
        shape_row_of(shape, &row);
        at = px_map_take(&core->shapes_by_hash, shape_hash(&row));
        if (at == shape) {
                if (shape->next != NULL)
                        px_map_put(&core->shapes_by_hash, shape_hash(&row), shape->next);
        } else {
                px_map_put(&core->shapes_by_hash, shape_hash(&row), at);
                while (at->next != shape)
                        at = at->next;
                at->next = shape->next;
        }
        px_map_take(&core->shapes, shape->id);
        px_list_remove(&shape->link);
        core->shapes_unused_count--;
        delete_row(core, PX_TABLE_SHAPE, &key);
        shape_free(shape);
}

static void shape_forget_oldest(struct core *core)
{
        shape_forget(core, PX_CONTAINER_OF(core->shapes_unused.next, struct shape, link));
}

void shape_hold(struct core *core, const struct job *job)
{
        struct shape *shape = shape_find(core, job->shape);

        if (shape->jobs_count++ > 0)
                return;
        px_list_remove(&shape->link);
        core->shapes_unused_count--;
}

void shape_release(struct core *core, const struct job *job)
{
        struct shape *shape = shape_find(core, job->shape);

        PX_ASSERT(shape->jobs_count > 0);
        if (--shape->jobs_count > 0)
                return;
        shape_rest(core, shape);
        if (core->shapes_unused_count > core->options.shapes_kept)
                shape_forget_oldest(core);
}

bool shape_has_room(const struct core *core, const struct px_shape_row *request)
{
        return core->shapes.count < PX_LIMIT_SHAPES || core->shapes_unused_count > 0 ||
               shape_equal_to(core, request) != NULL;
}

void shape_row_of(const struct shape *shape, struct px_shape_row *ret_row)
{
        *ret_row = (struct px_shape_row){
                .kind = shape->kind,
                .task_type = shape->task_type,
                .cpus_milli = shape->cpus_milli,
                .memory_bytes = shape->memory_bytes,
                .node = shape->node,
        };
}

struct shape *shape_intern(struct core *core, const struct px_shape_row *request)
{
        struct shape *shape = shape_equal_to(core, request);
        struct row_key key;

        if (shape != NULL)
                return shape;
        if (core->shapes.count >= PX_LIMIT_SHAPES && core->shapes_unused_count > 0)
                shape_forget_oldest(core);
        if (core->shapes.count >= PX_LIMIT_SHAPES)
                return NULL;
        shape = shape_new(core, core->next_shape++, request);
        key = row_key_u32(shape->id);
        px_buf_reset(&core->bytes);
        px_shape_row_encode(request, &core->bytes);
        put_row(core, PX_TABLE_SHAPE, &key, px_buf_slice(&core->bytes));
        return shape;
}

bool shape_load(struct core *core, uint32_t id, const struct px_shape_row *row)
{
        if (row->kind == 0 || shape_find(core, id) != NULL || shape_equal_to(core, row) != NULL)
                return false;
        shape_new(core, id, row);
        return true;
}

/* ---- queues -------------------------------------------------------------------------------------- */

static bool job_before(const struct job *a, const struct job *b)
{
        return a->priority != b->priority ? a->priority > b->priority : a->id < b->id;
}

static bool ready_before(const struct px_heap_item *a, const struct px_heap_item *b)
{
        return job_before(PX_CONTAINER_OF(a, const struct job, ready),
                          PX_CONTAINER_OF(b, const struct job, ready));
}

static bool queue_before(const struct px_heap_item *a, const struct px_heap_item *b)
{
        const struct queue *x = PX_CONTAINER_OF(a, const struct queue, item);
        const struct queue *y = PX_CONTAINER_OF(b, const struct queue, item);

        return ready_before(px_heap_first(&x->ready), px_heap_first(&y->ready));
}

void queues_init(struct core *core)
{
        px_list_init(&core->shapes_unused);
        px_heap_init(&core->queues_open, queue_before);
        px_list_init(&core->queues_waiting);
}

struct queue *queue_find(const struct core *core, uint32_t shape, uint32_t owner)
{
        return px_map_find(&core->queues, queue_key(shape, owner));
}

static struct queue *queue_get(struct core *core, const struct job *job)
{
        struct queue *queue = queue_find(core, job->shape, job->owner);

        if (queue != NULL)
                return queue;
        queue = px_alloc(sizeof(*queue));
        queue->shape = shape_find(core, job->shape);
        queue->owner = job->owner;
        PX_ASSERT(queue->shape != NULL);
        px_list_append(&queue->shape->queues, &queue->of_shape);
        px_heap_init(&queue->ready, ready_before);
        px_map_put(&core->queues, queue_key(job->shape, job->owner), queue);
        return queue;
}

void queue_add(struct core *core, struct job *job)
{
        struct queue *queue = queue_get(core, job);

        PX_ASSERT(job->state == PX_JOB_STATE_QUEUED);
        px_heap_push(&queue->ready, &job->ready);
        if (px_list_linked(&queue->link))
                return;
        if (queue->item.position == 0)
                px_heap_push(&core->queues_open, &queue->item);
        else if (px_heap_first(&queue->ready) == &job->ready)
                px_heap_update(&core->queues_open, &queue->item);
}

/* The heap of queues compares their best jobs: a queue leaves it while its own heap changes. */
void queue_remove(struct core *core, struct job *job)
{
        struct queue *queue = queue_find(core, job->shape, job->owner);
        bool open;

        PX_ASSERT(queue != NULL);
        open = queue->item.position != 0;
        PX_ASSERT(open != px_list_linked(&queue->link));
        if (open)
                px_heap_remove(&core->queues_open, &queue->item);
        px_heap_remove(&queue->ready, &job->ready);
        if (queue->ready.count > 0) {
                if (open)
                        px_heap_push(&core->queues_open, &queue->item);
                return;
        }
        if (!open)
                px_list_remove(&queue->link);
        if (core->queues.count > QUEUES_EMPTY_KEPT)
                queue_drop(core, queue);
}

void queue_reorder(struct core *core, struct job *job, int16_t priority)
{
        if (job->state != PX_JOB_STATE_QUEUED) {
                job->priority = priority;
                return;
        }
        queue_remove(core, job);
        job->priority = priority;
        queue_add(core, job);
}

void queues_reopen(struct core *core)
{
        while (!px_list_empty(&core->queues_waiting)) {
                struct queue *queue =
                        PX_CONTAINER_OF(core->queues_waiting.next, struct queue, link);

                px_list_remove(&queue->link);
                PX_ASSERT(queue->ready.count > 0);
                px_heap_push(&core->queues_open, &queue->item);
        }
}

void queues_fini(struct core *core)
{
        size_t cursor = 0;
        uint64_t key;
        void *value;

        px_heap_fini(&core->queues_open);
        while (px_map_next(&core->queues, &cursor, &key, &value)) {
                ((struct queue *)value)->item.position = 0;
                queue_free(value);
        }
        px_map_fini(&core->queues);
        cursor = 0;
        while (px_map_next(&core->shapes, &cursor, &key, &value))
                shape_free(value);
        px_map_fini(&core->shapes);
        px_map_fini(&core->shapes_by_hash);
}
