/* SPDX-License-Identifier: Apache-2.0 */
/* test_codec_all.c - what holds for every message, record and field of the schema, by its tables.
 */
#include "test.h"
#include "fill.h"
#include "px_codec.h"
#include "px_tables.h"

#define SEEDS 40

static struct px_arena arena;
static struct px_buf bytes;
static struct px_buf again;
static uint8_t *copy;

static void codec_end(void *context)
{
        (void)context;
        px_arena_fini(&arena);
        px_buf_fini(&bytes);
        px_buf_fini(&again);
        px_free(copy);
        copy = NULL;
}

/* Call `check` for the layout of every message and record. */
static void each_layout(void (*check)(const struct px_layout *layout))
{
        test_cleanup(codec_end, NULL);
        EXPECT(px_messages_count > 50);
        EXPECT(px_rows_count > 10);
        for (size_t i = 0; i < px_messages_count; i++)
                check(px_messages[i].layout);
        for (size_t i = 0; i < px_rows_count; i++)
                check(px_rows[i].layout);
}

static void fill_and_write(const struct px_layout *layout, uint64_t seed)
{
        _Alignas(8) uint8_t value[PX_LAYOUT_BYTES_MAX];
        struct px_rand rand;

        px_rand_init(&rand, seed);
        px_buf_reset(&bytes);
        fill_layout(layout, &rand, &arena, value);
        px_layout_write(layout, value, &bytes);
}

static void check_round_trip(const struct px_layout *layout)
{
        _Alignas(8) uint8_t value[PX_LAYOUT_BYTES_MAX];

        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
                px_arena_reset(&arena);
                fill_and_write(layout, seed);
                px_buf_reset(&again);
                EXPECT_INT(px_layout_decode(layout, px_buf_slice(&bytes), &arena, value),
                           PX_WIRE_OK);
                px_layout_write(layout, value, &again);
                EXPECT_BYTES(px_buf_slice(&again), px_buf_slice(&bytes));
        }
}

TEST(every_message_and_record_comes_back_as_it_was_sent)
{
        each_layout(check_round_trip);
}

/* Decode `length` bytes that stand in memory of exactly that size. */
static int decode_copy(const struct px_layout *layout, const uint8_t *data, size_t length)
{
        _Alignas(8) uint8_t value[PX_LAYOUT_BYTES_MAX];

        px_free(copy);
        copy = px_alloc(PX_MAX(length, (size_t)1));
        if (length > 0)
                memcpy(copy, data, length);
        return px_layout_decode(layout, px_slice_of(copy, length), &arena, value);
}

static void check_cuts(const struct px_layout *layout)
{
        for (uint64_t seed = 1; seed <= 3; seed++) {
                px_arena_reset(&arena);
                fill_and_write(layout, seed);
                for (size_t length = 0; length < bytes.length; length++)
                        EXPECT(decode_copy(layout, bytes.data, length) != PX_WIRE_OK);
                px_buf_append(&bytes, "\0", 1);
                EXPECT_INT(decode_copy(layout, bytes.data, bytes.length), PX_WIRE_BAD);
        }
}

TEST(a_body_cut_at_any_byte_or_with_a_byte_too_many_is_refused)
{
        each_layout(check_cuts);
}

static void check_longer_and_shorter(const struct px_layout *layout)
{
        if (layout->is_map)
                return;
        px_buf_reset(&bytes);
        px_write_array(&bytes, 0);
        EXPECT_INT(decode_copy(layout, bytes.data, bytes.length), PX_WIRE_OK);
        fill_and_write(layout, 9);
        px_buf_reset(&again);
        px_write_array(&again, layout->fields_count + 2u);
        /* An array of 16 or more has a head of 3 bytes. */
        px_buf_append(&again, bytes.data + (layout->fields_count < 16 ? 1 : 3),
                      bytes.length - (layout->fields_count < 16 ? 1 : 3));
        px_write_text(&again, px_slice_text("of a later release"));
        px_write_array(&again, 1);
        px_write_nil(&again);
        EXPECT_INT(decode_copy(layout, again.data, again.length), PX_WIRE_OK);
}

TEST(arrays_without_trailing_fields_or_with_later_ones_are_accepted)
{
        each_layout(check_longer_and_shorter);
}

/* Begin a body in which only field `i` follows: those before it are zero, those behind absent. */
static void start_body(const struct px_layout *layout, size_t i)
{
        _Alignas(8) uint8_t zero[PX_LAYOUT_BYTES_MAX] = {0};

        px_arena_reset(&arena);
        px_buf_reset(&bytes);
        if (layout->is_map) {
                px_write_map(&bytes, 1);
                px_write_text(&bytes, px_slice_text(layout->fields[i].name));
                return;
        }
        px_write_array(&bytes, (uint32_t)i + 1);
        for (size_t k = 0; k < i; k++) {
                struct px_layout one = {.name = "one",
                                        .fields = &layout->fields[k],
                                        .fields_count = 1,
                                        .bytes = layout->bytes};

                px_buf_reset(&again);
                px_layout_write(&one, zero, &again);
                px_buf_append(&bytes, again.data + 1, again.length - 1);
        }
}

static int decode_string(const struct px_layout *layout, size_t i, size_t length)
{
        const struct px_field_info *field = &layout->fields[i];
        uint8_t *letters;

        start_body(layout, i);
        letters = px_arena_alloc(&arena, PX_MAX(length, (size_t)1));
        memset(letters, 'a', length);
        if (field->list_max != 0)
                px_write_array(&bytes, 1);
        if (field->kind == PX_FIELD_TEXT)
                px_write_text(&bytes, px_slice_of(letters, length));
        else
                px_write_bytes(&bytes, px_slice_of(letters, length));
        return decode_copy(layout, bytes.data, bytes.length);
}

static void check_string_limits(const struct px_layout *layout)
{
        for (size_t i = 0; i < layout->fields_count; i++) {
                const struct px_field_info *field = &layout->fields[i];

                if (field->kind != PX_FIELD_TEXT && field->kind != PX_FIELD_BYTES)
                        continue;
                EXPECT_INT(decode_string(layout, i, field->value_max - 1), PX_WIRE_OK);
                EXPECT_INT(decode_string(layout, i, field->value_max), PX_WIRE_OK);
                EXPECT_INT(decode_string(layout, i, field->value_max + 1), PX_WIRE_LIMIT);
        }
}

TEST(every_string_is_bounded_by_its_own_limit)
{
        each_layout(check_string_limits);
}

static int decode_list(const struct px_layout *layout, size_t i, uint32_t count)
{
        const struct px_field_info *field = &layout->fields[i];
        struct px_layout one = {.name = "one", .fields = field, .fields_count = 1};
        _Alignas(8) uint8_t value[PX_LAYOUT_BYTES_MAX] = {0};
        size_t length = 1;
        void *item;

        start_body(layout, i);
        /* One zero item, encoded; then as many of it as asked for. */
        item = px_arena_alloc(&arena, field->value_bytes);
        one.bytes = layout->bytes;
        memcpy(value + field->offset, &item, sizeof(item));
        memcpy(value + field->count_offset, &length, sizeof(length));
        px_buf_reset(&again);
        px_layout_write(&one, value, &again);
        px_write_array(&bytes, count);
        for (uint32_t k = 0; k < count; k++)
                px_buf_append(&bytes, again.data + 2, again.length - 2);
        return decode_copy(layout, bytes.data, bytes.length);
}

static void check_list_limits(const struct px_layout *layout)
{
        for (size_t i = 0; i < layout->fields_count; i++) {
                uint32_t max = layout->fields[i].list_max;

                if (max == 0)
                        continue;
                EXPECT_INT(decode_list(layout, i, max - 1), PX_WIRE_OK);
                EXPECT_INT(decode_list(layout, i, max), PX_WIRE_OK);
                EXPECT_INT(decode_list(layout, i, max + 1), PX_WIRE_LIMIT);
        }
}

TEST(every_list_is_bounded_by_its_own_limit)
{
        each_layout(check_list_limits);
}

static void check_list_without_items(const struct px_layout *layout)
{
        for (size_t i = 0; i < layout->fields_count; i++) {
                if (layout->fields[i].list_max == 0)
                        continue;
                start_body(layout, i);
                px_write_array(&bytes, layout->fields[i].list_max);
                EXPECT_INT(decode_copy(layout, bytes.data, bytes.length), PX_WIRE_BAD);
                EXPECT_INT(arena.used, 0);
        }
}

TEST(a_list_is_not_allocated_before_its_items_can_be_there)
{
        each_layout(check_list_without_items);
}

static int decode_number(const struct px_layout *layout, size_t i, bool negative, uint64_t number)
{
        start_body(layout, i);
        if (layout->fields[i].list_max != 0)
                px_write_array(&bytes, 1);
        if (negative)
                px_write_i64(&bytes, (int64_t)number);
        else
                px_write_u64(&bytes, number);
        return decode_copy(layout, bytes.data, bytes.length);
}

static void check_number_limits(const struct px_layout *layout)
{
        for (size_t i = 0; i < layout->fields_count; i++) {
                const struct px_field_info *field = &layout->fields[i];

                if (field->kind != PX_FIELD_UNSIGNED && field->kind != PX_FIELD_SIGNED)
                        continue;
                EXPECT_INT(decode_number(layout, i, false, field->value_max), PX_WIRE_OK);
                if (field->value_max != UINT64_MAX)
                        EXPECT_INT(decode_number(layout, i, false, field->value_max + 1),
                                   PX_WIRE_LIMIT);
                EXPECT_INT(decode_number(layout, i, true, (uint64_t)field->value_min), PX_WIRE_OK);
                if (field->value_min != INT64_MIN)
                        EXPECT_INT(decode_number(layout, i, true, (uint64_t)field->value_min - 1),
                                   PX_WIRE_LIMIT);
        }
}

TEST(every_number_is_bounded_by_its_type_and_limit)
{
        each_layout(check_number_limits);
}

static void check_enums(const struct px_layout *layout)
{
        for (size_t i = 0; i < layout->fields_count; i++) {
                const struct px_field_info *field = &layout->fields[i];

                if (field->kind != PX_FIELD_ENUM || field->list_max != 0)
                        continue;
                for (int code = 0; code <= field->names->count; code++) {
                        bool good = code == 0 || px_enum_known(field->names, code);

                        EXPECT_INT(decode_number(layout, i, false, (uint64_t)code),
                                   good ? PX_WIRE_OK : PX_WIRE_BAD);
                }
        }
}

TEST(an_enum_takes_its_codes_and_no_other)
{
        each_layout(check_enums);
}

static void check_printing(const struct px_layout *layout)
{
        fill_and_write(layout, 5);
        for (size_t i = 0; i < px_messages_count; i++) {
                struct px_wire_header header = {.type = px_messages[i].type, .correlation = 7};

                /* Its own body, and everybody else's: whatever it is, one bounded line comes. */
                px_buf_reset(&again);
                px_wire_put_header(&again, header);
                px_buf_append_slice(&again, px_buf_slice(&bytes));
                px_free(copy);
                copy = NULL;
                struct px_buf line = {0};
                px_message_print(&line, px_buf_slice(&again));
                EXPECT(line.length > 0 && line.length <= PX_PRINT_BYTES_MAX);
                EXPECT(memchr(line.data, '\n', line.length) == NULL);
                px_buf_fini(&line);
        }
}

TEST(any_body_under_any_type_is_printed_as_one_bounded_line)
{
        each_layout(check_printing);
}
