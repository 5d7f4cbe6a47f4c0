/* SPDX-License-Identifier: Apache-2.0 */
/* slab.c - items of one size from large blocks with a free list: no allocation per command, and
 * eight bytes less per item than the general allocator takes. Layer: L2 (broker/core). */
#include "state.h"

#define SLAB_BLOCK_ITEMS 512

/* A block begins with a pointer to the next one. */
struct slab_block {
        struct slab_block *next;
        _Alignas(8) uint8_t items[];
};

void slab_init(struct slab *slab, size_t bytes)
{
        PX_ASSERT(bytes >= sizeof(void *));
        PX_ASSERT(bytes % 8 == 0);
        *slab = (struct slab){.bytes = bytes};
}

void slab_fini(struct slab *slab)
{
        struct slab_block *block = slab->blocks;

        while (block != NULL) {
                struct slab_block *next = block->next;

                px_free(block);
                block = next;
        }
        *slab = (struct slab){0};
}

static void slab_grow(struct slab *slab)
{
        struct slab_block *block = px_alloc(sizeof(*block) + slab->bytes * SLAB_BLOCK_ITEMS);

        block->next = slab->blocks;
        slab->blocks = block;
        for (size_t i = SLAB_BLOCK_ITEMS; i > 0; i--) {
                void *item = block->items + (i - 1) * slab->bytes;

                memcpy(item, &slab->free, sizeof(void *));
                slab->free = item;
        }
}

void *slab_take(struct slab *slab)
{
        void *item;

        if (slab->free == NULL)
                slab_grow(slab);
        item = slab->free;
        memcpy(&slab->free, item, sizeof(void *));
        memset(item, 0, slab->bytes);
        slab->used++;
        return item;
}

void slab_give(struct slab *slab, void *item)
{
        PX_ASSERT(item != NULL);
        PX_ASSERT(slab->used > 0);
        memset(item, 0xA5, slab->bytes); /* a use after this shows */
        memcpy(item, &slab->free, sizeof(void *));
        slab->free = item;
        slab->used--;
}

struct px_slice slice_own(struct px_slice slice)
{
        uint8_t *copy;

        if (slice.length == 0)
                return PX_SLICE_NONE;
        copy = px_alloc(slice.length);
        memcpy(copy, slice.data, slice.length);
        return px_slice_of(copy, slice.length);
}

void slice_drop(struct px_slice *slice)
{
        px_free((void *)(uintptr_t)slice->data);
        *slice = PX_SLICE_NONE;
}
