/* SPDX-License-Identifier: Apache-2.0 */
/* test_base_wire_cut.c - a message cut at every byte, and random bytes: refused, never misread.
 * Each input stands in memory of exactly its size, so that the sanitizers see one byte too far. */
#include "test.h"
#include "px_wire.h"

static struct px_buf whole;
static uint8_t *copy;

static void whole_end(void *context)
{
        (void)context;
        px_buf_fini(&whole);
        px_free(copy);
        copy = NULL;
}

/* One value of each format, in an array. */
static void whole_write(void)
{
        static const uint8_t extension[] = {0xC7, 0x02, 0x05, 0xAA, 0xBB};

        test_cleanup(whole_end, NULL);
        px_write_array(&whole, 9);
        px_write_u64(&whole, UINT64_MAX);
        px_write_i64(&whole, INT32_MIN);
        px_write_bool(&whole, true);
        px_write_f64(&whole, 0.25);
        px_write_text(&whole, px_slice_text("gr\xC3\xBC\xC3\x9F"
                                            "e an alle, die warten muessen"));
        px_write_bytes(&whole, px_slice_of("\0\1\2", 3));
        px_write_map(&whole, 1);
        px_write_text(&whole, px_slice_text("key"));
        px_write_nil(&whole);
        px_write_nil(&whole);
        px_buf_append(&whole, extension, sizeof(extension));
}

static int read_whole(struct px_slice bytes)
{
        struct px_reader reader;

        px_reader_init(&reader, bytes);
        px_read_array(&reader, 9);
        px_read_u64(&reader, UINT64_MAX);
        px_read_i64(&reader, INT64_MIN, INT64_MAX);
        px_read_bool(&reader);
        px_read_f64(&reader);
        px_read_text(&reader, 100);
        px_read_bytes(&reader, 100);
        px_read_map(&reader, 1);
        px_read_text(&reader, 3);
        if (!px_read_nil(&reader))
                px_reader_fail(&reader, PX_WIRE_BAD);
        px_read_skip(&reader);
        px_read_skip(&reader);
        px_read_end(&reader);
        return reader.error;
}

static int skip_whole(struct px_slice bytes)
{
        struct px_reader reader;

        px_reader_init(&reader, bytes);
        px_read_skip(&reader);
        px_read_end(&reader);
        return reader.error;
}

static struct px_slice exact_copy(const uint8_t *data, size_t length)
{
        copy = px_realloc(copy, PX_MAX(length, (size_t)1));
        if (length > 0)
                memcpy(copy, data, length);
        return px_slice_of(copy, length);
}

TEST(a_message_cut_at_any_byte_is_refused)
{
        whole_write();
        EXPECT_INT(read_whole(px_buf_slice(&whole)), PX_WIRE_OK);
        EXPECT_INT(skip_whole(px_buf_slice(&whole)), PX_WIRE_OK);
        for (size_t length = 0; length < whole.length; length++) {
                EXPECT_INT(read_whole(exact_copy(whole.data, length)), PX_WIRE_BAD);
                EXPECT_INT(skip_whole(exact_copy(whole.data, length)), PX_WIRE_BAD);
        }
}

TEST(a_message_with_any_one_byte_changed_is_read_or_refused_within_its_bounds)
{
        int refused = 0;

        whole_write();
        for (size_t at = 0; at < whole.length; at++)
                for (unsigned value = 0; value < 256; value++) {
                        exact_copy(whole.data, whole.length);
                        copy[at] = (uint8_t)value;
                        refused += read_whole(px_slice_of(copy, whole.length)) != PX_WIRE_OK;
                        skip_whole(px_slice_of(copy, whole.length));
                }
        EXPECT(refused > 1000);
}

TEST(random_bytes_are_read_or_refused_within_their_bounds)
{
        struct px_rand rand;
        uint8_t bytes[64];
        int refused = 0;

        test_cleanup(whole_end, NULL);
        px_rand_init(&rand, 5);
        for (size_t round = 0; round < 20000; round++) {
                size_t length = (size_t)px_rand_below(&rand, sizeof(bytes) + 1);

                for (size_t i = 0; i < length; i++)
                        bytes[i] = (uint8_t)px_rand_u64(&rand);
                refused += skip_whole(exact_copy(bytes, length)) != PX_WIRE_OK;
                read_whole(exact_copy(bytes, length));
        }
        EXPECT(refused > 10000);
}
