/* SPDX-License-Identifier: Apache-2.0 */
/* px_arena.c - many small pieces freed at once: a chain of blocks, filled from the front.
 * Layer: L0 (schema/base). */
#include "px_base.h"

#define ARENA_BLOCK_BYTES_MIN 4096
#define ARENA_ALIGNMENT 8

struct px_arena_block {
        struct px_arena_block *next;
        size_t room;
        size_t filled;
        _Alignas(ARENA_ALIGNMENT) uint8_t bytes[];
};

static void blocks_free(struct px_arena_block *block)
{
        while (block != NULL) {
                struct px_arena_block *next = block->next;

                px_free(block);
                block = next;
        }
}

void px_arena_fini(struct px_arena *arena)
{
        blocks_free(arena->blocks);
        *arena = (struct px_arena){0};
}

/* The newest block is kept. Blocks double, so in a steady state it holds everything. */
void px_arena_reset(struct px_arena *arena)
{
        if (arena->blocks != NULL) {
                blocks_free(arena->blocks->next);
                arena->blocks->next = NULL;
                arena->blocks->filled = 0;
        }
        arena->used = 0;
}

static struct px_arena_block *arena_grow(struct px_arena *arena, size_t bytes)
{
        size_t room = arena->blocks == NULL ? ARENA_BLOCK_BYTES_MIN : arena->blocks->room * 2;
        struct px_arena_block *block;

        while (room < bytes)
                room *= 2;
        block = px_alloc(sizeof(*block) + room);
        block->room = room;
        block->next = arena->blocks;
        arena->blocks = block;
        return block;
}

void *px_arena_alloc(struct px_arena *arena, size_t bytes)
{
        struct px_arena_block *block = arena->blocks;
        size_t rounded;
        void *piece;

        PX_ASSERT(bytes <= SIZE_MAX / 4);
        rounded = (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
        if (block == NULL || block->room - block->filled < rounded)
                block = arena_grow(arena, rounded);
        piece = block->bytes + block->filled;
        block->filled += rounded;
        arena->used += rounded;
        PX_ASSERT(block->filled <= block->room);
        memset(piece, 0, rounded); /* a kept block carries what was there before the reset */
        return piece;
}

struct px_slice px_arena_copy(struct px_arena *arena, struct px_slice slice)
{
        uint8_t *piece = px_arena_alloc(arena, slice.length);

        if (slice.length > 0)
                memcpy(piece, slice.data, slice.length);
        return (struct px_slice){piece, slice.length};
}

char *px_arena_text(struct px_arena *arena, struct px_slice slice)
{
        char *piece = px_arena_alloc(arena, slice.length + 1);

        return px_slice_to_text(slice, piece, slice.length + 1);
}
