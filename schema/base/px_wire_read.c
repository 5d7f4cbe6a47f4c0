/* SPDX-License-Identifier: Apache-2.0 */
/* px_wire_read.c - the bounded reader for frames and msgpack from outside. Layer: L0 (schema/base).
 * Nothing here recurses, allocates, or trusts a length before it has been compared with what is
 * left. Longer forms than needed are accepted (5 as uint32): encoders differ.
 * Source: msgpack specification, "Formats". */
#include "px_wire.h"

#include <math.h>

int px_wire_get_header(struct px_slice frame, struct px_wire_header *ret_header,
                       struct px_slice *ret_body)
{
        const uint8_t *at = frame.data;

        if (frame.length < PX_WIRE_HEADER_BYTES || at[0] != PX_WIRE_MAGIC)
                return PX_WIRE_BAD;
        if (at[1] != PX_WIRE_VERSION)
                return PX_WIRE_NEWER;
        *ret_header = (struct px_wire_header){
                .type = px_get_be16(at + 2),
                .flags = px_get_be16(at + 4),
                .count = px_get_be16(at + 6),
                .correlation = px_get_be64(at + 8),
        };
        *ret_body = px_slice_of(at + PX_WIRE_HEADER_BYTES, frame.length - PX_WIRE_HEADER_BYTES);
        return PX_WIRE_OK;
}

void px_reader_init(struct px_reader *reader, struct px_slice bytes)
{
        static const uint8_t nothing[1];
        const uint8_t *at = bytes.data == NULL ? nothing : bytes.data;

        PX_ASSERT(bytes.data != NULL || bytes.length == 0);
        *reader = (struct px_reader){.at = at, .end = at + bytes.length, .error = PX_WIRE_OK};
}

void px_reader_fail(struct px_reader *reader, int error)
{
        PX_ASSERT(error != PX_WIRE_OK);
        if (reader->error == PX_WIRE_OK)
                reader->error = error;
}

static size_t reader_left(const struct px_reader *reader)
{
        PX_ASSERT(reader->at <= reader->end);
        return (size_t)(reader->end - reader->at);
}

/* ---- one value's first byte and what follows it --------------------------------------------- */

enum kind {
        KIND_NONE, /* malformed or cut short: the reader's error is set */
        KIND_NIL,
        KIND_BOOL,
        KIND_UNSIGNED,
        KIND_SIGNED,
        KIND_FLOAT,
        KIND_TEXT,
        KIND_BYTES,
        KIND_EXTENSION,
        KIND_ARRAY,
        KIND_MAP,
};

/* A value's head. `number` is the bits of a bool, number or float (widened to 64 bits), the byte
 * length of text, bytes and extension (with its type byte), the item count of array and map. */
struct head {
        enum kind kind;
        uint64_t number;
};

/* For first bytes 0xC0 to 0xDF: kind, width in bytes of the number behind the first byte, and a
 * number to add to it: lengths of fixext, and the type byte of every extension. */
static const struct {
        uint8_t kind;
        uint8_t width_bytes;
        uint8_t add;
} formats[32] = {
        [0x00] = {KIND_NIL, 0, 0},       [0x02] = {KIND_BOOL, 0, 0},
        [0x03] = {KIND_BOOL, 0, 1},      [0x04] = {KIND_BYTES, 1, 0},
        [0x05] = {KIND_BYTES, 2, 0},     [0x06] = {KIND_BYTES, 4, 0},
        [0x07] = {KIND_EXTENSION, 1, 1}, [0x08] = {KIND_EXTENSION, 2, 1},
        [0x09] = {KIND_EXTENSION, 4, 1}, [0x0A] = {KIND_FLOAT, 4, 0},
        [0x0B] = {KIND_FLOAT, 8, 0},     [0x0C] = {KIND_UNSIGNED, 1, 0},
        [0x0D] = {KIND_UNSIGNED, 2, 0},  [0x0E] = {KIND_UNSIGNED, 4, 0},
        [0x0F] = {KIND_UNSIGNED, 8, 0},  [0x10] = {KIND_SIGNED, 1, 0},
        [0x11] = {KIND_SIGNED, 2, 0},    [0x12] = {KIND_SIGNED, 4, 0},
        [0x13] = {KIND_SIGNED, 8, 0},    [0x14] = {KIND_EXTENSION, 0, 2},
        [0x15] = {KIND_EXTENSION, 0, 3}, [0x16] = {KIND_EXTENSION, 0, 5},
        [0x17] = {KIND_EXTENSION, 0, 9}, [0x18] = {KIND_EXTENSION, 0, 17},
        [0x19] = {KIND_TEXT, 1, 0},      [0x1A] = {KIND_TEXT, 2, 0},
        [0x1B] = {KIND_TEXT, 4, 0},      [0x1C] = {KIND_ARRAY, 2, 0},
        [0x1D] = {KIND_ARRAY, 4, 0},     [0x1E] = {KIND_MAP, 2, 0},
        [0x1F] = {KIND_MAP, 4, 0},
};

static uint64_t load_be(const uint8_t *at, size_t bytes)
{
        uint64_t number = 0;

        for (size_t i = 0; i < bytes; i++)
                number = number << 8 | at[i];
        return number;
}

/* Widen the `bytes` low bytes, two's complement, to 64 bits. */
static uint64_t sign_extend(uint64_t number, size_t bytes)
{
        unsigned unused_bits = (unsigned)(64 - 8 * bytes);
        uint64_t sign = (uint64_t)1 << (8 * bytes - 1);

        PX_ASSERT(bytes >= 1 && bytes <= 8);
        if (unused_bits > 0 && (number & sign) != 0)
                number |= UINT64_MAX << (64 - unused_bits);
        return number;
}

static uint64_t float_bits_widen(uint64_t number)
{
        uint32_t narrow_bits = (uint32_t)number;
        uint64_t wide_bits;
        float narrow;
        double wide;

        memcpy(&narrow, &narrow_bits, sizeof(narrow));
        wide = (double)narrow;
        memcpy(&wide_bits, &wide, sizeof(wide_bits));
        return wide_bits;
}

/* The formats whose number stands in the first byte itself. */
static struct head head_of_short_form(uint8_t first)
{
        if (first < 0x80)
                return (struct head){KIND_UNSIGNED, first};
        if (first < 0x90)
                return (struct head){KIND_MAP, first & 0x0F};
        if (first < 0xA0)
                return (struct head){KIND_ARRAY, first & 0x0F};
        if (first < 0xC0)
                return (struct head){KIND_TEXT, first & 0x1F};
        PX_ASSERT(first >= 0xE0);
        return (struct head){KIND_SIGNED, sign_extend(first, 1)};
}

/* Consume the head of the next value. What it announces is not yet compared with what is left. */
static struct head head_take(struct px_reader *reader)
{
        struct head head = {KIND_NONE, 0};
        uint8_t first;
        size_t width_bytes;

        if (reader->error != PX_WIRE_OK)
                return head;
        if (reader_left(reader) == 0) {
                px_reader_fail(reader, PX_WIRE_BAD);
                return head;
        }
        first = *reader->at;
        if (first < 0xC0 || first >= 0xE0) {
                reader->at++;
                return head_of_short_form(first);
        }
        width_bytes = formats[first - 0xC0].width_bytes;
        if (formats[first - 0xC0].kind == KIND_NONE || reader_left(reader) - 1 < width_bytes) {
                px_reader_fail(reader, PX_WIRE_BAD);
                return head;
        }
        head.kind = (enum kind)formats[first - 0xC0].kind;
        head.number = load_be(reader->at + 1, width_bytes) + formats[first - 0xC0].add;
        if (head.kind == KIND_SIGNED)
                head.number = sign_extend(head.number, width_bytes);
        if (head.kind == KIND_FLOAT && width_bytes == 4)
                head.number = float_bits_widen(head.number);
        reader->at += 1 + width_bytes;
        return head;
}

/* ---- typed reads ------------------------------------------------------------------------------
 */

/* Consume a head that must be of `kind`; false and the error set if it is not. */
static bool take_kind(struct px_reader *reader, enum kind kind, uint64_t *ret_number)
{
        struct head head = head_take(reader);

        if (head.kind == KIND_NONE)
                return false;
        if (head.kind != kind) {
                px_reader_fail(reader, PX_WIRE_BAD);
                return false;
        }
        *ret_number = head.number;
        return true;
}

/* `values_per_item`: 1 in an array, 2 in a map; each value is at least one byte. */
static uint32_t take_count(struct px_reader *reader, enum kind kind, uint32_t count_max,
                           uint64_t values_per_item)
{
        uint64_t count;

        if (!take_kind(reader, kind, &count))
                return 0;
        if (count > count_max) {
                px_reader_fail(reader, PX_WIRE_LIMIT);
                return 0;
        }
        if (count * values_per_item > reader_left(reader)) {
                px_reader_fail(reader, PX_WIRE_BAD);
                return 0;
        }
        return (uint32_t)count;
}

uint32_t px_read_array(struct px_reader *reader, uint32_t count_max)
{
        return take_count(reader, KIND_ARRAY, count_max, 1);
}

uint32_t px_read_map(struct px_reader *reader, uint32_t count_max)
{
        return take_count(reader, KIND_MAP, count_max, 2);
}

bool px_read_bool(struct px_reader *reader)
{
        uint64_t number;

        return take_kind(reader, KIND_BOOL, &number) && number != 0;
}

uint64_t px_read_u64(struct px_reader *reader, uint64_t value_max)
{
        struct head head = head_take(reader);

        if (head.kind == KIND_NONE)
                return 0;
        if (head.kind != KIND_UNSIGNED && head.kind != KIND_SIGNED) {
                px_reader_fail(reader, PX_WIRE_BAD);
                return 0;
        }
        if ((head.kind == KIND_SIGNED && head.number > INT64_MAX) || head.number > value_max) {
                px_reader_fail(reader, PX_WIRE_LIMIT);
                return 0;
        }
        return head.number;
}

int64_t px_read_i64(struct px_reader *reader, int64_t value_min, int64_t value_max)
{
        struct head head = head_take(reader);
        int64_t value;

        PX_ASSERT(value_min <= value_max);
        if (head.kind == KIND_NONE)
                return 0;
        if (head.kind != KIND_UNSIGNED && head.kind != KIND_SIGNED) {
                px_reader_fail(reader, PX_WIRE_BAD);
                return 0;
        }
        value = (int64_t)head.number;
        if ((head.kind == KIND_UNSIGNED && head.number > INT64_MAX) || value < value_min ||
            value > value_max) {
                px_reader_fail(reader, PX_WIRE_LIMIT);
                return 0;
        }
        return value;
}

double px_read_f64(struct px_reader *reader)
{
        uint64_t bits;
        double value;

        if (!take_kind(reader, KIND_FLOAT, &bits))
                return 0.0;
        memcpy(&value, &bits, sizeof(value));
        if (!isfinite(value)) {
                px_reader_fail(reader, PX_WIRE_LIMIT);
                return 0.0;
        }
        return value;
}

static struct px_slice take_range(struct px_reader *reader, enum kind kind, size_t length_max)
{
        struct px_slice range;
        uint64_t length;

        if (!take_kind(reader, kind, &length))
                return PX_SLICE_NONE;
        if (length > length_max) {
                px_reader_fail(reader, PX_WIRE_LIMIT);
                return PX_SLICE_NONE;
        }
        if (length > reader_left(reader)) {
                px_reader_fail(reader, PX_WIRE_BAD);
                return PX_SLICE_NONE;
        }
        range = px_slice_of(reader->at, (size_t)length);
        reader->at += length;
        return range;
}

struct px_slice px_read_text(struct px_reader *reader, size_t length_max)
{
        struct px_slice text = take_range(reader, KIND_TEXT, length_max);

        if (!px_slice_is_text(text)) {
                px_reader_fail(reader, PX_WIRE_BAD);
                return PX_SLICE_NONE;
        }
        return text;
}

struct px_slice px_read_bytes(struct px_reader *reader, size_t length_max)
{
        return take_range(reader, KIND_BYTES, length_max);
}

bool px_read_nil(struct px_reader *reader)
{
        if (reader->error != PX_WIRE_OK || reader_left(reader) == 0 || *reader->at != 0xC0)
                return false;
        reader->at++;
        return true;
}

void px_read_end(struct px_reader *reader)
{
        if (reader->error == PX_WIRE_OK && reader_left(reader) > 0)
                px_reader_fail(reader, PX_WIRE_BAD);
}

/* ---- skipping -----------------------------------------------------------------------------------
 */

/* Consume one head and the bytes it owns; returns how many values stand inside it. */
static uint64_t skip_one(struct px_reader *reader)
{
        struct head head = head_take(reader);
        bool owns_bytes =
                head.kind == KIND_TEXT || head.kind == KIND_BYTES || head.kind == KIND_EXTENSION;
        uint64_t values = 0;

        if (head.kind == KIND_ARRAY)
                values = head.number;
        if (head.kind == KIND_MAP)
                values = head.number * 2;
        if (values > reader_left(reader) || (owns_bytes && head.number > reader_left(reader))) {
                px_reader_fail(reader, PX_WIRE_BAD);
                return 0;
        }
        if (owns_bytes)
                reader->at += head.number;
        return values;
}

void px_read_skip(struct px_reader *reader)
{
        uint64_t values_left[PX_WIRE_DEPTH_MAX + 1] = {1}; /* per open container; [0]: the value */
        size_t depth = 0;

        while (reader->error == PX_WIRE_OK) {
                uint64_t values;

                while (depth > 0 && values_left[depth] == 0)
                        depth--;
                if (values_left[depth] == 0)
                        return;
                values_left[depth]--;
                values = skip_one(reader);
                if (values == 0)
                        continue;
                if (depth == PX_WIRE_DEPTH_MAX) {
                        px_reader_fail(reader, PX_WIRE_DEEP);
                        return;
                }
                values_left[++depth] = values;
        }
}
