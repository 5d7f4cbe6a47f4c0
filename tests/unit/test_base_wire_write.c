/* SPDX-License-Identifier: Apache-2.0 */
/* test_base_wire_write.c - the writer's bytes, and that the reader gives back what was written. */
#include "test.h"
#include "px_wire.h"

#define BYTES(literal) px_slice_of(literal, sizeof(literal) - 1)

static struct px_buf buf;

static void buf_end(void *context)
{
        px_buf_fini(context);
}

/* The buffer, emptied for this test and freed at its end. */
static struct px_buf *fresh_buf(void)
{
        if (buf.data == NULL)
                test_cleanup(buf_end, &buf);
        px_buf_reset(&buf);
        return &buf;
}

static const uint64_t unsigned_bounds[] = {
        0,          1,
        127,        128,
        255,        256,
        65535,      65536,
        UINT32_MAX, (uint64_t)UINT32_MAX + 1,
        INT64_MAX,  (uint64_t)INT64_MAX + 1,
        UINT64_MAX,
};

static const int64_t signed_bounds[] = {
        0,         1,         -1,    -32,    -33,    127,       128,       -128,
        -129,      32767,     32768, -32768, -32769, INT32_MAX, INT32_MIN, (int64_t)INT32_MIN - 1,
        INT64_MAX, INT64_MIN,
};

TEST(unsigned_numbers_come_back_at_every_boundary)
{
        for (size_t i = 0; i < PX_COUNT_OF(unsigned_bounds); i++) {
                struct px_reader reader;

                px_write_u64(fresh_buf(), unsigned_bounds[i]);
                px_reader_init(&reader, px_buf_slice(&buf));
                EXPECT_U64(px_read_u64(&reader, unsigned_bounds[i]), unsigned_bounds[i]);
                px_read_end(&reader);
                EXPECT_INT(reader.error, PX_WIRE_OK);
        }
}

TEST(signed_numbers_come_back_at_every_boundary)
{
        for (size_t i = 0; i < PX_COUNT_OF(signed_bounds); i++) {
                struct px_reader reader;

                px_write_i64(fresh_buf(), signed_bounds[i]);
                px_reader_init(&reader, px_buf_slice(&buf));
                EXPECT_INT(px_read_i64(&reader, signed_bounds[i], signed_bounds[i]),
                           signed_bounds[i]);
                px_read_end(&reader);
                EXPECT_INT(reader.error, PX_WIRE_OK);
        }
}

TEST(numbers_are_written_in_their_shortest_form)
{
        px_write_u64(fresh_buf(), 127);
        EXPECT_BYTES(px_buf_slice(&buf), BYTES("\x7F"));
        px_write_u64(fresh_buf(), 128);
        EXPECT_BYTES(px_buf_slice(&buf), BYTES("\xCC\x80"));
        px_write_i64(fresh_buf(), 128);
        EXPECT_BYTES(px_buf_slice(&buf), BYTES("\xCC\x80"));
        px_write_i64(fresh_buf(), -32);
        EXPECT_BYTES(px_buf_slice(&buf), BYTES("\xE0"));
        px_write_i64(fresh_buf(), -33);
        EXPECT_BYTES(px_buf_slice(&buf), BYTES("\xD0\xDF"));
        px_write_u64(fresh_buf(), 65536);
        EXPECT_BYTES(px_buf_slice(&buf), BYTES("\xCE\x00\x01\x00\x00"));
}

TEST(the_small_formats_have_their_bytes)
{
        px_write_nil(fresh_buf());
        px_write_bool(&buf, false);
        px_write_bool(&buf, true);
        px_write_array(&buf, 2);
        px_write_map(&buf, 1);
        px_write_f64(&buf, 1.5);
        EXPECT_BYTES(px_buf_slice(&buf), BYTES("\xC0\xC2\xC3\x92\x81\xCB\x3F\xF8\0\0\0\0\0\0"));
}

static const size_t lengths[] = {0, 1, 31, 32, 255, 256, 65535, 65536};

TEST(text_and_bytes_come_back_at_every_length_boundary)
{
        static char text[65536];

        memset(text, 'x', sizeof(text));
        for (size_t i = 0; i < PX_COUNT_OF(lengths); i++) {
                struct px_slice slice = px_slice_of(text, lengths[i]);
                struct px_reader reader;

                px_write_text(fresh_buf(), slice);
                px_write_bytes(&buf, slice);
                px_reader_init(&reader, px_buf_slice(&buf));
                EXPECT_BYTES(px_read_text(&reader, lengths[i]), slice);
                EXPECT_BYTES(px_read_bytes(&reader, lengths[i]), slice);
                px_read_end(&reader);
                EXPECT_INT(reader.error, PX_WIRE_OK);
        }
}

TEST(counts_come_back_at_every_boundary)
{
        static const uint32_t counts[] = {0, 1, 15, 16, 65535, 65536};

        for (size_t i = 0; i < PX_COUNT_OF(counts); i++) {
                struct px_reader reader;

                px_write_array(fresh_buf(), counts[i]);
                for (uint32_t k = 0; k < counts[i]; k++)
                        px_write_nil(&buf);
                px_reader_init(&reader, px_buf_slice(&buf));
                EXPECT_U64(px_read_array(&reader, counts[i]), counts[i]);
                px_write_map(fresh_buf(), counts[i]);
                for (uint32_t k = 0; k < 2 * counts[i]; k++)
                        px_write_nil(&buf);
                px_reader_init(&reader, px_buf_slice(&buf));
                EXPECT_U64(px_read_map(&reader, counts[i]), counts[i]);
                px_read_end(&reader); /* the nils are left */
                EXPECT_INT(reader.error, counts[i] == 0 ? PX_WIRE_OK : PX_WIRE_BAD);
        }
}

TEST(a_number_that_no_reader_takes_is_not_written)
{
        EXPECT_ABORT(px_write_f64(&buf, __builtin_nan("")));
        EXPECT_ABORT(px_write_f64(&buf, __builtin_inf()));
}

TEST(a_frame_header_has_its_bytes_and_comes_back)
{
        struct px_wire_header header = {.type = 0x0102,
                                        .flags = 0x0304,
                                        .count = 0x0506,
                                        .correlation = 0x0708090A0B0C0D0E};
        struct px_wire_header got = {0};
        struct px_slice body;

        px_wire_put_header(fresh_buf(), header);
        px_write_nil(&buf);
        EXPECT_BYTES(px_buf_slice(&buf), BYTES("P\x01\x01\x02\x03\x04\x05\x06"
                                               "\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\xC0"));
        EXPECT_INT(px_wire_get_header(px_buf_slice(&buf), &got, &body), PX_WIRE_OK);
        EXPECT_U64(got.type, header.type);
        EXPECT_U64(got.flags, header.flags);
        EXPECT_U64(got.count, header.count);
        EXPECT_U64(got.correlation, header.correlation);
        EXPECT_BYTES(body, BYTES("\xC0"));
}

TEST(a_frame_that_is_foreign_cut_or_of_another_version_is_refused)
{
        struct px_wire_header got = {.type = 77};
        struct px_slice body = PX_SLICE_NONE;

        px_wire_put_header(fresh_buf(), (struct px_wire_header){.type = 1});
        for (size_t length = 0; length < PX_WIRE_HEADER_BYTES; length++)
                EXPECT_INT(px_wire_get_header(px_slice_of(buf.data, length), &got, &body),
                           PX_WIRE_BAD);
        buf.data[1] = PX_WIRE_VERSION + 1;
        EXPECT_INT(px_wire_get_header(px_buf_slice(&buf), &got, &body), PX_WIRE_NEWER);
        buf.data[0] = 'Q';
        EXPECT_INT(px_wire_get_header(px_buf_slice(&buf), &got, &body), PX_WIRE_BAD);
        EXPECT_U64(got.type, 77);
        EXPECT(body.data == NULL);
}
