/* SPDX-License-Identifier: Apache-2.0 */
/* px_heap.c - binary heap of pointers whose position stands in the item. Layer: L0 (schema/base).
 * items[0] is unused: the children of position p are 2p and 2p + 1. */
#include "px_base.h"

#define HEAP_CAPACITY_MIN 16

void px_heap_init(struct px_heap *heap,
                  bool (*before)(const struct px_heap_item *a, const struct px_heap_item *b))
{
        PX_ASSERT(before != NULL);
        *heap = (struct px_heap){.before = before};
}

void px_heap_fini(struct px_heap *heap)
{
        px_free(heap->items);
        *heap = (struct px_heap){0};
}

static void heap_place(struct px_heap *heap, size_t position, struct px_heap_item *item)
{
        heap->items[position] = item;
        item->position = position;
}

static void heap_sift_up(struct px_heap *heap, struct px_heap_item *item)
{
        size_t position = item->position;

        for (; position > 1 && heap->before(item, heap->items[position / 2]); position /= 2)
                heap_place(heap, position, heap->items[position / 2]);
        heap_place(heap, position, item);
}

static void heap_sift_down(struct px_heap *heap, struct px_heap_item *item)
{
        size_t position = item->position;

        for (;;) {
                size_t child = position * 2;

                if (child > heap->count)
                        break;
                if (child < heap->count && heap->before(heap->items[child + 1], heap->items[child]))
                        child++;
                if (!heap->before(heap->items[child], item))
                        break;
                heap_place(heap, position, heap->items[child]);
                position = child;
        }
        heap_place(heap, position, item);
}

static void heap_assert_holds(const struct px_heap *heap, const struct px_heap_item *item)
{
        PX_ASSERT(item->position > 0);
        PX_ASSERT(item->position <= heap->count);
        PX_ASSERT(heap->items[item->position] == item);
}

void px_heap_push(struct px_heap *heap, struct px_heap_item *item)
{
        PX_ASSERT(item->position == 0);
        if (heap->count + 1 >= heap->capacity) {
                heap->capacity = PX_MAX(heap->capacity * 2, (size_t)HEAP_CAPACITY_MIN);
                heap->items =
                        px_realloc(heap->items, heap->capacity * sizeof(struct px_heap_item *));
        }
        heap->count++;
        heap_place(heap, heap->count, item);
        heap_sift_up(heap, item);
}

struct px_heap_item *px_heap_first(const struct px_heap *heap)
{
        return heap->count == 0 ? NULL : heap->items[1];
}

void px_heap_remove(struct px_heap *heap, struct px_heap_item *item)
{
        struct px_heap_item *last;
        size_t position = item->position;

        heap_assert_holds(heap, item);
        last = heap->items[heap->count];
        heap->count--;
        item->position = 0;
        if (last == item)
                return;
        heap_place(heap, position, last);
        px_heap_update(heap, last);
}

void px_heap_update(struct px_heap *heap, struct px_heap_item *item)
{
        heap_assert_holds(heap, item);
        heap_sift_up(heap, item);
        heap_sift_down(heap, item);
}
