/* SPDX-License-Identifier: Apache-2.0 */
/* test_base_wire_read.c - what the reader accepts and refuses, format by format. */
#include "test.h"
#include "px_wire.h"

#define BYTES(literal) px_slice_of(literal, sizeof(literal) - 1)

static struct px_reader reader_of(struct px_slice bytes)
{
        struct px_reader reader;

        px_reader_init(&reader, bytes);
        return reader;
}

static void expect_u64(struct px_slice bytes, uint64_t value)
{
        struct px_reader reader = reader_of(bytes);

        EXPECT_U64(px_read_u64(&reader, UINT64_MAX), value);
        px_read_end(&reader);
        EXPECT_INT(reader.error, PX_WIRE_OK);
}

static void expect_i64(struct px_slice bytes, int64_t value)
{
        struct px_reader reader = reader_of(bytes);

        EXPECT_INT(px_read_i64(&reader, INT64_MIN, INT64_MAX), value);
        px_read_end(&reader);
        EXPECT_INT(reader.error, PX_WIRE_OK);
}

TEST(every_unsigned_format_is_read_at_its_bounds)
{
        expect_u64(BYTES("\x00"), 0);
        expect_u64(BYTES("\x7F"), 127);
        expect_u64(BYTES("\xCC\x00"), 0);
        expect_u64(BYTES("\xCC\xFF"), UINT8_MAX);
        expect_u64(BYTES("\xCD\xFF\xFF"), UINT16_MAX);
        expect_u64(BYTES("\xCE\xFF\xFF\xFF\xFF"), UINT32_MAX);
        expect_u64(BYTES("\xCF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), UINT64_MAX);
        expect_u64(BYTES("\xCF\x01\x02\x03\x04\x05\x06\x07\x08"), 0x0102030405060708);
}

TEST(every_signed_format_is_read_at_its_bounds)
{
        expect_i64(BYTES("\xE0"), -32);
        expect_i64(BYTES("\xFF"), -1);
        expect_i64(BYTES("\xD0\x80"), INT8_MIN);
        expect_i64(BYTES("\xD0\x7F"), INT8_MAX);
        expect_i64(BYTES("\xD1\x80\x00"), INT16_MIN);
        expect_i64(BYTES("\xD2\x80\x00\x00\x00"), INT32_MIN);
        expect_i64(BYTES("\xD3\x80\x00\x00\x00\x00\x00\x00\x00"), INT64_MIN);
        expect_i64(BYTES("\xD3\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), INT64_MAX);
        expect_i64(BYTES("\x7F"), 127);
        expect_i64(BYTES("\xCF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), INT64_MAX);
        expect_u64(BYTES("\xD0\x7F"), INT8_MAX);
}

static void expect_u64_refused(struct px_slice bytes, uint64_t value_max, int error)
{
        struct px_reader reader = reader_of(bytes);

        EXPECT_U64(px_read_u64(&reader, value_max), 0);
        EXPECT_INT(reader.error, error);
}

TEST(numbers_outside_the_limits_of_their_field_are_refused)
{
        struct px_reader reader;

        expect_u64_refused(BYTES("\x08"), 7, PX_WIRE_LIMIT);
        expect_u64_refused(BYTES("\xFF"), UINT64_MAX, PX_WIRE_LIMIT);
        expect_u64_refused(BYTES("\xD3\x80\x00\x00\x00\x00\x00\x00\x00"), UINT64_MAX,
                           PX_WIRE_LIMIT);
        reader = reader_of(BYTES("\xCF\x80\x00\x00\x00\x00\x00\x00\x00"));
        EXPECT_INT(px_read_i64(&reader, INT64_MIN, INT64_MAX), 0);
        EXPECT_INT(reader.error, PX_WIRE_LIMIT);
        reader = reader_of(BYTES("\xFF"));
        EXPECT_INT(px_read_i64(&reader, 0, 9), 0);
        EXPECT_INT(reader.error, PX_WIRE_LIMIT);
        reader = reader_of(BYTES("\x0A"));
        EXPECT_INT(px_read_i64(&reader, 0, 9), 0);
        EXPECT_INT(reader.error, PX_WIRE_LIMIT);
}

TEST(a_value_of_another_type_is_refused)
{
        expect_u64_refused(BYTES("\xC0"), 9, PX_WIRE_BAD);
        expect_u64_refused(BYTES("\xC1"), 9, PX_WIRE_BAD);
        expect_u64_refused(BYTES("\xA0"), 9, PX_WIRE_BAD);
        expect_u64_refused(BYTES("\xC3"), 9, PX_WIRE_BAD);
        expect_u64_refused(BYTES("\xCA\0\0\0\0"), 9, PX_WIRE_BAD);
        expect_u64_refused(PX_SLICE_NONE, 9, PX_WIRE_BAD);
}

TEST(bool_is_read_from_its_two_formats_only)
{
        struct px_reader reader = reader_of(BYTES("\xC3\xC2\x01"));

        EXPECT(px_read_bool(&reader));
        EXPECT(!px_read_bool(&reader));
        EXPECT_INT(reader.error, PX_WIRE_OK);
        EXPECT(!px_read_bool(&reader));
        EXPECT_INT(reader.error, PX_WIRE_BAD);
}

TEST(floats_of_both_widths_are_read_and_must_be_finite)
{
        struct px_reader reader = reader_of(BYTES("\xCA\x3F\xC0\x00\x00"
                                                  "\xCB\xBF\xF8\0\0\0\0\0\0"
                                                  "\xCA\x7F\x80\x00\x00"));

        EXPECT(px_read_f64(&reader) == 1.5);
        EXPECT(px_read_f64(&reader) == -1.5);
        EXPECT_INT(reader.error, PX_WIRE_OK);
        EXPECT(px_read_f64(&reader) == 0.0);
        EXPECT_INT(reader.error, PX_WIRE_LIMIT);
        reader = reader_of(BYTES("\xCB\x7F\xF8\0\0\0\0\0\0"));
        EXPECT(px_read_f64(&reader) == 0.0);
        EXPECT_INT(reader.error, PX_WIRE_LIMIT);
}

static void expect_text(struct px_slice bytes)
{
        struct px_reader reader = reader_of(bytes);

        EXPECT_BYTES(px_read_text(&reader, 3), px_slice_text("abc"));
        px_read_end(&reader);
        EXPECT_INT(reader.error, PX_WIRE_OK);
}

TEST(text_of_every_length_format_is_read)
{
        expect_text(BYTES("\xA3"
                          "abc"));
        expect_text(BYTES("\xD9\x03"
                          "abc"));
        expect_text(BYTES("\xDA\x00\x03"
                          "abc"));
        expect_text(BYTES("\xDB\x00\x00\x00\x03"
                          "abc"));
}

static void expect_text_refused(struct px_slice bytes, int error)
{
        struct px_reader reader = reader_of(bytes);

        EXPECT_U64(px_read_text(&reader, 3).length, 0);
        EXPECT_INT(reader.error, error);
}

TEST(text_too_long_cut_short_or_malformed_is_refused)
{
        expect_text_refused(BYTES("\xA4"
                                  "abcd"),
                            PX_WIRE_LIMIT);
        expect_text_refused(BYTES("\xDB\xFF\xFF\xFF\xFF"), PX_WIRE_LIMIT);
        expect_text_refused(BYTES("\xA3"
                                  "ab"),
                            PX_WIRE_BAD);
        expect_text_refused(BYTES("\xA2\xC3\x28"), PX_WIRE_BAD);
        expect_text_refused(BYTES("\xA2"
                                  "a\0"),
                            PX_WIRE_BAD);
        expect_text_refused(BYTES("\xC4\x01"
                                  "a"),
                            PX_WIRE_BAD);
}

TEST(bytes_of_every_length_format_are_read_and_bounded)
{
        struct px_reader reader = reader_of(BYTES("\xC4\x02\x00\xFF"
                                                  "\xC5\x00\x02\x00\xFF"
                                                  "\xC6\x00\x00\x00\x02\x00\xFF"
                                                  "\xC4\x03\x00\xFF\x00"));

        for (size_t i = 0; i < 3; i++)
                EXPECT_BYTES(px_read_bytes(&reader, 2), BYTES("\x00\xFF"));
        EXPECT_INT(reader.error, PX_WIRE_OK);
        EXPECT_U64(px_read_bytes(&reader, 2).length, 0);
        EXPECT_INT(reader.error, PX_WIRE_LIMIT);
        reader = reader_of(BYTES("\xC4\x02\x00"));
        EXPECT_U64(px_read_bytes(&reader, 2).length, 0);
        EXPECT_INT(reader.error, PX_WIRE_BAD);
}

static void expect_count(struct px_slice head, bool is_map, uint32_t count)
{
        static struct px_buf buf;
        struct px_reader reader;

        px_buf_reset(&buf);
        px_buf_append_slice(&buf, head);
        for (size_t i = 0; i < (size_t)count * (is_map ? 2 : 1); i++)
                px_write_nil(&buf);
        reader = reader_of(px_buf_slice(&buf));
        EXPECT_U64(is_map ? px_read_map(&reader, count) : px_read_array(&reader, count), count);
        EXPECT_INT(reader.error, PX_WIRE_OK);
        if (count > 0) {
                reader = reader_of(px_buf_slice(&buf));
                EXPECT_U64(is_map ? px_read_map(&reader, count - 1)
                                  : px_read_array(&reader, count - 1),
                           0);
                EXPECT_INT(reader.error, PX_WIRE_LIMIT);
                reader = reader_of(px_slice_of(buf.data, buf.length - 1));
                EXPECT_U64(is_map ? px_read_map(&reader, count) : px_read_array(&reader, count), 0);
                EXPECT_INT(reader.error, PX_WIRE_BAD);
        }
        px_buf_fini(&buf);
}

TEST(counts_of_every_array_and_map_format_are_read_and_bounded)
{
        expect_count(BYTES("\x90"), false, 0);
        expect_count(BYTES("\x9F"), false, 15);
        expect_count(BYTES("\xDC\x00\x10"), false, 16);
        expect_count(BYTES("\xDC\xFF\xFF"), false, 65535);
        expect_count(BYTES("\xDD\x00\x01\x00\x00"), false, 65536);
        expect_count(BYTES("\x80"), true, 0);
        expect_count(BYTES("\x8F"), true, 15);
        expect_count(BYTES("\xDE\x00\x10"), true, 16);
        expect_count(BYTES("\xDE\xFF\xFF"), true, 65535);
        expect_count(BYTES("\xDF\x00\x01\x00\x00"), true, 65536);
}

TEST(a_count_beyond_what_is_left_is_refused_before_any_item)
{
        struct px_reader reader = reader_of(BYTES("\xDD\xFF\xFF\xFF\xFF\xC0"));

        EXPECT_U64(px_read_array(&reader, UINT32_MAX), 0);
        EXPECT_INT(reader.error, PX_WIRE_BAD);
        reader = reader_of(BYTES("\xDF\xFF\xFF\xFF\xFF\xC0"));
        EXPECT_U64(px_read_map(&reader, UINT32_MAX), 0);
        EXPECT_INT(reader.error, PX_WIRE_BAD);
}

TEST(nil_is_consumed_only_where_it_stands)
{
        struct px_reader reader = reader_of(BYTES("\x05\xC0"));

        EXPECT(!px_read_nil(&reader));
        EXPECT_U64(px_read_u64(&reader, 9), 5);
        EXPECT(px_read_nil(&reader));
        EXPECT(!px_read_nil(&reader));
        EXPECT_INT(reader.error, PX_WIRE_OK);
}

TEST(the_first_error_stays_and_every_later_read_is_empty)
{
        struct px_reader reader = reader_of(BYTES("\x08\x01\xC3\xA1"
                                                  "a\x91\xC0"));

        EXPECT_U64(px_read_u64(&reader, 7), 0);
        EXPECT_U64(px_read_u64(&reader, 7), 0);
        EXPECT(!px_read_bool(&reader));
        EXPECT_U64(px_read_text(&reader, 9).length, 0);
        EXPECT_U64(px_read_array(&reader, 9), 0);
        EXPECT(!px_read_nil(&reader));
        px_read_skip(&reader);
        px_read_end(&reader);
        px_reader_fail(&reader, PX_WIRE_DEEP);
        EXPECT_INT(reader.error, PX_WIRE_LIMIT);
}

TEST(bytes_left_at_the_end_are_refused)
{
        struct px_reader reader = reader_of(BYTES("\x01\x02"));

        px_read_u64(&reader, 9);
        px_read_end(&reader);
        EXPECT_INT(reader.error, PX_WIRE_BAD);
}

static void expect_skipped(struct px_slice bytes)
{
        struct px_reader reader = reader_of(bytes);

        px_read_skip(&reader);
        EXPECT_INT(reader.error, PX_WIRE_OK);
        EXPECT_U64(px_read_u64(&reader, 42), 42);
        px_read_end(&reader);
        EXPECT_INT(reader.error, PX_WIRE_OK);
}

TEST(a_value_of_any_type_is_skipped_whole)
{
        expect_skipped(BYTES("\xC0\x2A"));
        expect_skipped(BYTES("\xC2\x2A"));
        expect_skipped(BYTES("\x01\x2A"));
        expect_skipped(BYTES("\xFF\x2A"));
        expect_skipped(BYTES("\xCF\1\2\3\4\5\6\7\x8\x2A"));
        expect_skipped(BYTES("\xCA\1\2\3\4\x2A"));
        expect_skipped(BYTES("\xA2\xFF\xFF\x2A"));
        expect_skipped(BYTES("\xC4\x02\0\0\x2A"));
        expect_skipped(BYTES("\xD4\x07\x01\x2A"));
        expect_skipped(BYTES("\xD8\x07"
                             "0123456789abcdef\x2A"));
        expect_skipped(BYTES("\xC7\x03\x07"
                             "abc\x2A"));
        expect_skipped(BYTES("\xC7\x00\x07\x2A"));
        expect_skipped(BYTES("\xC8\x00\x01\x07"
                             "a\x2A"));
        expect_skipped(BYTES("\xC9\x00\x00\x00\x01\x07"
                             "a\x2A"));
        expect_skipped(BYTES("\x90\x2A"));
        expect_skipped(BYTES("\x93\x01\x92\x01\x02\x90\x2A"));
        expect_skipped(BYTES("\x82\xA1k\x91\x01\xA1l\x81\x01\x02\x2A"));
}

TEST(containers_are_skipped_down_to_the_depth_limit_and_not_beyond)
{
        uint8_t bytes[PX_WIRE_DEPTH_MAX + 2];
        struct px_reader reader;

        memset(bytes, 0x91, sizeof(bytes));
        bytes[PX_WIRE_DEPTH_MAX] = 0x2A;
        reader = reader_of(px_slice_of(bytes, PX_WIRE_DEPTH_MAX + 1));
        px_read_skip(&reader);
        px_read_end(&reader);
        EXPECT_INT(reader.error, PX_WIRE_OK);
        bytes[PX_WIRE_DEPTH_MAX] = 0x91;
        bytes[PX_WIRE_DEPTH_MAX + 1] = 0x2A;
        reader = reader_of(px_slice_of(bytes, sizeof(bytes)));
        px_read_skip(&reader);
        EXPECT_INT(reader.error, PX_WIRE_DEEP);
}
