/* SPDX-License-Identifier: Apache-2.0 */
/* test_base_arena.c - the arena of schema/base. */
#include "test.h"

static void arena_end(void *context)
{
        px_arena_fini(context);
}

TEST(arena_pieces_are_aligned_zeroed_and_stay_where_they_are)
{
        static struct px_arena arena;
        uint8_t *pieces[500];

        test_cleanup(arena_end, &arena);
        for (size_t i = 0; i < PX_COUNT_OF(pieces); i++) {
                pieces[i] = px_arena_alloc(&arena, i + 1);
                EXPECT_U64((uintptr_t)pieces[i] % 8, 0);
                for (size_t k = 0; k <= i; k++)
                        EXPECT_INT(pieces[i][k], 0);
                memset(pieces[i], (int)(i % 256), i + 1);
        }
        for (size_t i = 0; i < PX_COUNT_OF(pieces); i++)
                for (size_t k = 0; k <= i; k++)
                        EXPECT_INT(pieces[i][k], i % 256);
}

TEST(a_piece_larger_than_a_block_fits)
{
        static struct px_arena arena;
        uint8_t *piece;

        test_cleanup(arena_end, &arena);
        px_arena_alloc(&arena, 8);
        piece = px_arena_alloc(&arena, 1000000);
        memset(piece, 1, 1000000);
        EXPECT(arena.used >= 1000008);
}

TEST(a_reset_arena_gives_zeroed_pieces_again)
{
        static struct px_arena arena;

        test_cleanup(arena_end, &arena);
        for (size_t round = 0; round < 3; round++) {
                uint8_t *piece = px_arena_alloc(&arena, 3000);

                for (size_t i = 0; i < 3000; i++)
                        EXPECT_INT(piece[i], 0);
                memset(piece, 0xEE, 3000);
                px_arena_reset(&arena);
                EXPECT_U64(arena.used, 0);
        }
}

TEST(an_arena_copies_slices_and_terminates_texts)
{
        static struct px_arena arena;
        struct px_slice copy;

        test_cleanup(arena_end, &arena);
        copy = px_arena_copy(&arena, px_slice_text("resize"));
        EXPECT_BYTES(copy, px_slice_text("resize"));
        EXPECT_TEXT(px_arena_text(&arena, px_slice_of("resized", 6)), "resize");
        EXPECT_U64(px_arena_copy(&arena, PX_SLICE_NONE).length, 0);
        EXPECT_TEXT(px_arena_text(&arena, PX_SLICE_NONE), "");
}
