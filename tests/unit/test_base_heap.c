/* SPDX-License-Identifier: Apache-2.0 */
/* test_base_heap.c - the heap of schema/base, also against a model too simple to be wrong. */
#include "test.h"

#define ITEMS 200

struct item {
        uint64_t due_ms;
        size_t number;
        struct px_heap_item in_heap;
};

static bool item_before(const struct px_heap_item *a, const struct px_heap_item *b)
{
        const struct item *first = PX_CONTAINER_OF(a, const struct item, in_heap);
        const struct item *second = PX_CONTAINER_OF(b, const struct item, in_heap);

        if (first->due_ms != second->due_ms)
                return first->due_ms < second->due_ms;
        return first->number < second->number;
}

static struct item items[ITEMS];

static void heap_end(void *context)
{
        px_heap_fini(context);
}

static void heap_begin(struct px_heap *heap)
{
        px_heap_init(heap, item_before);
        test_cleanup(heap_end, heap);
        for (size_t i = 0; i < ITEMS; i++)
                items[i] = (struct item){.number = i};
}

static struct item *first_of(const struct px_heap *heap)
{
        struct px_heap_item *first = px_heap_first(heap);

        return first == NULL ? NULL : PX_CONTAINER_OF(first, struct item, in_heap);
}

TEST(an_empty_heap_has_no_first)
{
        static struct px_heap heap;

        heap_begin(&heap);
        EXPECT(px_heap_first(&heap) == NULL);
}

TEST(items_leave_a_heap_in_order)
{
        static struct px_heap heap;

        heap_begin(&heap);
        for (size_t i = 0; i < ITEMS; i++) {
                items[i].due_ms = (i * 7919) % 50;
                px_heap_push(&heap, &items[i].in_heap);
        }
        for (const struct item *last = NULL; heap.count > 0;) {
                struct item *first = first_of(&heap);

                EXPECT(last == NULL || item_before(&last->in_heap, &first->in_heap));
                px_heap_remove(&heap, &first->in_heap);
                EXPECT_U64(first->in_heap.position, 0);
                last = first;
        }
}

TEST(an_item_enters_a_heap_once)
{
        static struct px_heap heap;

        heap_begin(&heap);
        px_heap_push(&heap, &items[0].in_heap);
        EXPECT_ABORT(px_heap_push(&heap, &items[0].in_heap));
}

TEST(only_what_is_in_the_heap_can_be_removed)
{
        static struct px_heap heap;

        heap_begin(&heap);
        EXPECT_ABORT(px_heap_remove(&heap, &items[0].in_heap));
}

static void expect_first_is_least(const struct px_heap *heap)
{
        struct item *least = NULL;

        for (size_t i = 0; i < ITEMS; i++)
                if (items[i].in_heap.position > 0 &&
                    (least == NULL || item_before(&items[i].in_heap, &least->in_heap)))
                        least = &items[i];
        EXPECT(first_of(heap) == least);
}

TEST(a_heap_finds_the_least_after_any_push_remove_and_update)
{
        static struct px_heap heap;
        struct px_rand rand;

        heap_begin(&heap);
        px_rand_init(&rand, 11);
        for (size_t step = 0; step < 20000; step++) {
                struct item *item = &items[px_rand_below(&rand, ITEMS)];
                bool held = item->in_heap.position > 0;

                if (held && px_rand_chance(&rand, 400)) {
                        px_heap_remove(&heap, &item->in_heap);
                } else {
                        item->due_ms = px_rand_below(&rand, 100);
                        if (held)
                                px_heap_update(&heap, &item->in_heap);
                        else
                                px_heap_push(&heap, &item->in_heap);
                }
                expect_first_is_least(&heap);
        }
}
