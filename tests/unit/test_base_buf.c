/* SPDX-License-Identifier: Apache-2.0 */
/* test_base_buf.c - the growing buffer of schema/base. */
#include "test.h"

static void buf_end(void *context)
{
        px_buf_fini(context);
}

TEST(a_zeroed_buffer_is_empty_and_valid)
{
        static struct px_buf buf;

        test_cleanup(buf_end, &buf);
        EXPECT_U64(px_buf_slice(&buf).length, 0);
        px_buf_append(&buf, NULL, 0);
        px_buf_append_slice(&buf, PX_SLICE_NONE);
        EXPECT_U64(buf.length, 0);
        EXPECT(px_buf_grow(&buf, 0) != NULL);
        EXPECT_U64(buf.length, 0);
}

TEST(a_buffer_keeps_all_that_is_appended)
{
        static struct px_buf buf;

        test_cleanup(buf_end, &buf);
        for (size_t i = 0; i < 10000; i++)
                px_buf_append(&buf, &(uint8_t){(uint8_t)(i % 251)}, 1);
        EXPECT_U64(buf.length, 10000);
        for (size_t i = 0; i < 10000; i++)
                EXPECT_INT(buf.data[i], i % 251);
        EXPECT(buf.capacity < 20000);
}

TEST(a_reset_buffer_keeps_its_memory)
{
        static struct px_buf buf;
        size_t capacity;

        test_cleanup(buf_end, &buf);
        px_buf_append_text(&buf, "something");
        capacity = buf.capacity;
        px_buf_reset(&buf);
        EXPECT_U64(buf.length, 0);
        EXPECT_U64(buf.capacity, capacity);
}

TEST(reserved_room_moves_no_length_and_needs_no_second_allocation)
{
        static struct px_buf buf;
        const uint8_t *data;

        test_cleanup(buf_end, &buf);
        px_buf_reserve(&buf, 5000);
        data = buf.data;
        EXPECT_U64(buf.length, 0);
        for (size_t i = 0; i < 5000; i++)
                px_buf_append_text(&buf, "x");
        EXPECT(buf.data == data);
}

TEST(formatted_text_goes_onto_the_end_without_a_terminator)
{
        static struct px_buf buf;

        test_cleanup(buf_end, &buf);
        px_buf_append_text(&buf, "job ");
        px_buf_format(&buf, "%d of %s", 7, "nine");
        EXPECT_BYTES(px_buf_slice(&buf), px_slice_text("job 7 of nine"));
        px_buf_format(&buf, "%0200d", 0);
        EXPECT_U64(buf.length, 13 + 200);
}

TEST(taking_a_buffer_leaves_it_empty)
{
        static struct px_buf buf;
        static struct px_buf taken;

        test_cleanup(buf_end, &buf);
        test_cleanup(buf_end, &taken);
        px_buf_append_text(&buf, "mine");
        taken = px_buf_take(&buf);
        EXPECT_BYTES(px_buf_slice(&taken), px_slice_text("mine"));
        EXPECT(buf.data == NULL && buf.length == 0 && buf.capacity == 0);
}

TEST(a_length_that_overflows_is_a_bug)
{
        static struct px_buf buf;

        EXPECT_ABORT(px_buf_grow(&buf, SIZE_MAX - 1));
}
