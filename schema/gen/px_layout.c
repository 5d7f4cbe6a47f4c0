/* SPDX-License-Identifier: Apache-2.0 */
/* px_layout.c - encode and decode by tables of fields. Layer: L1. The encoding stands in
 * px_layout.h; the tables are generated from the schema. */
#include "px_layout.h"

/* ---- access by offset ------------------------------------------------------------------------ */

const void *px_field_values(const struct px_field_info *field, const void *in, size_t *ret_count)
{
        const uint8_t *at = (const uint8_t *)in + field->offset;
        const void *items;

        *ret_count = 1;
        if (field->list_max == 0)
                return at;
        memcpy(ret_count, (const uint8_t *)in + field->count_offset, sizeof(*ret_count));
        memcpy(&items, at, sizeof(items));
        return items;
}

uint64_t px_field_unsigned(const struct px_field_info *field, const void *value)
{
        switch (field->value_bytes) {
        case 1:
                return *(const uint8_t *)value;
        case 2:
                return *(const uint16_t *)value;
        case 4:
                return *(const uint32_t *)value;
        case 8:
                return *(const uint64_t *)value;
        default:
                PX_UNREACHABLE();
        }
}

int64_t px_field_signed(const struct px_field_info *field, const void *value)
{
        PX_ASSERT(field->value_bytes == 4 || field->value_bytes == 8);
        return field->value_bytes == 4 ? *(const int32_t *)value : *(const int64_t *)value;
}

static void store_unsigned(const struct px_field_info *field, uint64_t number, void *value)
{
        switch (field->value_bytes) {
        case 1:
                *(uint8_t *)value = (uint8_t)number;
                break;
        case 2:
                *(uint16_t *)value = (uint16_t)number;
                break;
        case 4:
                *(uint32_t *)value = (uint32_t)number;
                break;
        case 8:
                *(uint64_t *)value = number;
                break;
        default:
                PX_UNREACHABLE();
        }
}

static void store_signed(const struct px_field_info *field, int64_t number, void *value)
{
        PX_ASSERT(field->value_bytes == 4 || field->value_bytes == 8);
        if (field->value_bytes == 4)
                *(int32_t *)value = (int32_t)number;
        else
                *(int64_t *)value = number;
}

size_t px_layout_items(const struct px_layout *layout, const void *in)
{
        size_t count;

        for (size_t i = 0; i < layout->fields_count; i++) {
                if (layout->fields[i].list_max != 0) {
                        (void)px_field_values(&layout->fields[i], in, &count);
                        return count;
                }
        }
        return 1;
}

/* ---- encode ------------------------------------------------------------------------------------
 */

static void write_unsigned(const struct px_field_info *field, const void *value, struct px_buf *out)
{
        uint64_t number = px_field_unsigned(field, value);

        PX_ASSERT(number <= field->value_max);
        px_write_u64(out, number);
}

static void write_signed(const struct px_field_info *field, const void *value, struct px_buf *out)
{
        int64_t number = px_field_signed(field, value);

        PX_ASSERT(number >= field->value_min && number <= (int64_t)field->value_max);
        px_write_i64(out, number);
}

static void write_enum(const struct px_field_info *field, const void *value, struct px_buf *out)
{
        int code = *(const int *)value;

        PX_ASSERT(code == 0 || px_enum_known(field->names, code));
        px_write_u64(out, (uint64_t)code);
}

static void write_string(const struct px_field_info *field, const void *value, struct px_buf *out)
{
        struct px_slice slice = *(const struct px_slice *)value;

        PX_ASSERT(slice.length <= field->value_max);
        if (field->kind == PX_FIELD_TEXT) {
                PX_ASSERT(px_slice_is_text(slice));
                px_write_text(out, slice);
        } else {
                px_write_bytes(out, slice);
        }
}

static void write_fence(const void *value, struct px_buf *out)
{
        const struct px_fence *fence = value;

        px_write_array(out, 2);
        px_write_u64(out, fence->epoch);
        px_write_u64(out, fence->attempt);
}

static void write_value(const struct px_field_info *field, const void *value, struct px_buf *out)
{
        switch (field->kind) {
        case PX_FIELD_BOOL:
                px_write_bool(out, *(const bool *)value);
                break;
        case PX_FIELD_UNSIGNED:
                write_unsigned(field, value, out);
                break;
        case PX_FIELD_SIGNED:
                write_signed(field, value, out);
                break;
        case PX_FIELD_ENUM:
                write_enum(field, value, out);
                break;
        case PX_FIELD_F64:
                px_write_f64(out, *(const double *)value);
                break;
        case PX_FIELD_TEXT:
        case PX_FIELD_BYTES:
                write_string(field, value, out);
                break;
        case PX_FIELD_FENCE:
                write_fence(value, out);
                break;
        case PX_FIELD_STRUCT:
                px_layout_write(field->layout, value, out);
                break;
        }
}

void px_layout_write(const struct px_layout *layout, const void *in, struct px_buf *out)
{
        if (layout->is_map)
                px_write_map(out, layout->fields_count);
        else
                px_write_array(out, layout->fields_count);
        for (size_t i = 0; i < layout->fields_count; i++) {
                const struct px_field_info *field = &layout->fields[i];
                size_t count;
                const uint8_t *value = px_field_values(field, in, &count);

                if (layout->is_map)
                        px_write_text(out, px_slice_text(field->name));
                if (field->list_max != 0) {
                        PX_ASSERT(count <= field->list_max);
                        px_write_array(out, (uint32_t)count);
                }
                for (size_t k = 0; k < count; k++)
                        write_value(field, value + k * field->value_bytes, out);
        }
}

void px_layout_frame(const struct px_layout *layout, uint16_t type, const void *in,
                     uint64_t correlation, uint16_t flags, size_t frame_bytes_max,
                     struct px_buf *frame)
{
        size_t items = px_layout_items(layout, in);

        PX_ASSERT(frame->length == 0);
        PX_ASSERT(items <= UINT16_MAX);
        px_wire_put_header(frame, (struct px_wire_header){.type = type,
                                                          .flags = flags,
                                                          .count = (uint16_t)items,
                                                          .correlation = correlation});
        px_layout_write(layout, in, frame);
        PX_ASSERT(frame->length <= frame_bytes_max);
}

/* ---- decode ------------------------------------------------------------------------------------
 */

static void read_enum(const struct px_field_info *field, struct px_reader *reader, void *value)
{
        int code = (int)px_read_u64(reader, INT32_MAX);

        if (code != 0 && !px_enum_known(field->names, code)) {
                px_reader_fail(reader, PX_WIRE_BAD);
                return;
        }
        *(int *)value = code;
}

static void read_fence(struct px_reader *reader, void *value)
{
        struct px_fence *fence = value;

        if (px_read_array(reader, 2) != 2) {
                px_reader_fail(reader, PX_WIRE_BAD);
                return;
        }
        fence->epoch = px_read_u64(reader, UINT64_MAX);
        fence->attempt = (uint32_t)px_read_u64(reader, UINT32_MAX);
}

static void read_value(const struct px_field_info *field, struct px_reader *reader,
                       struct px_arena *arena, void *value)
{
        switch (field->kind) {
        case PX_FIELD_BOOL:
                *(bool *)value = px_read_bool(reader);
                break;
        case PX_FIELD_UNSIGNED:
                store_unsigned(field, px_read_u64(reader, field->value_max), value);
                break;
        case PX_FIELD_SIGNED:
                store_signed(field,
                             px_read_i64(reader, field->value_min, (int64_t)field->value_max),
                             value);
                break;
        case PX_FIELD_ENUM:
                read_enum(field, reader, value);
                break;
        case PX_FIELD_F64:
                *(double *)value = px_read_f64(reader);
                break;
        case PX_FIELD_TEXT:
                *(struct px_slice *)value = px_read_text(reader, (size_t)field->value_max);
                break;
        case PX_FIELD_BYTES:
                *(struct px_slice *)value = px_read_bytes(reader, (size_t)field->value_max);
                break;
        case PX_FIELD_FENCE:
                read_fence(reader, value);
                break;
        case PX_FIELD_STRUCT:
                px_layout_read(field->layout, reader, arena, value);
                break;
        }
}

static void read_list(const struct px_field_info *field, struct px_reader *reader,
                      struct px_arena *arena, uint8_t *ret)
{
        size_t count = px_read_array(reader, field->list_max);
        uint8_t *items;

        if (reader->error != PX_WIRE_OK || count == 0)
                return;
        /* The reader refused a count above what the bytes left can hold: that bounds the memory. */
        PX_ASSERT(count <= (size_t)(reader->end - reader->at));
        items = px_arena_alloc(arena, count * field->value_bytes);
        for (size_t k = 0; k < count && reader->error == PX_WIRE_OK; k++)
                read_value(field, reader, arena, items + k * field->value_bytes);
        memcpy(ret + field->offset, &items, sizeof(items));
        memcpy(ret + field->count_offset, &count, sizeof(count));
}

static void read_field(const struct px_field_info *field, struct px_reader *reader,
                       struct px_arena *arena, uint8_t *ret)
{
        if (field->list_max != 0)
                read_list(field, reader, arena, ret);
        else
                read_value(field, reader, arena, ret + field->offset);
}

static void read_array(const struct px_layout *layout, struct px_reader *reader,
                       struct px_arena *arena, void *ret)
{
        size_t count = px_read_array(reader, PX_LAYOUT_EXTRA_MAX);

        for (size_t i = 0; i < count && reader->error == PX_WIRE_OK; i++) {
                if (i < layout->fields_count)
                        read_field(&layout->fields[i], reader, arena, ret);
                else
                        px_read_skip(reader);
        }
}

static size_t find_field(const struct px_layout *layout, struct px_slice name)
{
        size_t i = 0;

        while (i < layout->fields_count &&
               !px_slice_equal(px_slice_text(layout->fields[i].name), name))
                i++;
        return i;
}

struct unknown_key {
        uint64_t hash;
        struct px_slice name;
};

/* A key of a later release; each may come once. */
static void skip_entry(struct px_reader *reader, struct unknown_key *keys, size_t count,
                       struct px_slice name)
{
        struct unknown_key key = {px_hash64(0, name.data, name.length), name};

        for (size_t i = 0; i < count; i++)
                if (keys[i].hash == key.hash && px_slice_equal(keys[i].name, name))
                        px_reader_fail(reader, PX_WIRE_BAD);
        keys[count] = key;
        px_read_skip(reader);
}

static void read_map(const struct px_layout *layout, struct px_reader *reader,
                     struct px_arena *arena, void *ret)
{
        size_t count = px_read_map(reader, PX_LAYOUT_EXTRA_MAX);
        struct unknown_key *unknown = NULL;
        size_t unknown_count = 0;
        uint64_t seen = 0; /* a bit per field */

        for (size_t k = 0; k < count && reader->error == PX_WIRE_OK; k++) {
                struct px_slice name = px_read_text(reader, UINT8_MAX);
                size_t i = find_field(layout, name);

                if (i == layout->fields_count) {
                        if (unknown == NULL)
                                unknown = px_arena_alloc(arena, count * sizeof(*unknown));
                        skip_entry(reader, unknown, unknown_count++, name);
                        continue;
                }
                if ((seen & (UINT64_C(1) << i)) != 0)
                        px_reader_fail(reader, PX_WIRE_BAD);
                seen |= UINT64_C(1) << i;
                read_field(&layout->fields[i], reader, arena, ret);
        }
}

void px_layout_read(const struct px_layout *layout, struct px_reader *reader,
                    struct px_arena *arena, void *ret)
{
        PX_ASSERT(layout->fields_count <= PX_LAYOUT_FIELDS_MAX);
        memset(ret, 0, layout->bytes);
        if (layout->is_map)
                read_map(layout, reader, arena, ret);
        else
                read_array(layout, reader, arena, ret);
}

int px_layout_decode(const struct px_layout *layout, struct px_slice body, struct px_arena *arena,
                     void *ret)
{
        _Alignas(8) uint8_t local[PX_LAYOUT_BYTES_MAX];
        struct px_reader reader;

        PX_ASSERT(layout->bytes <= sizeof(local));
        px_reader_init(&reader, body);
        px_layout_read(layout, &reader, arena, local);
        px_read_end(&reader);
        if (reader.error == PX_WIRE_OK)
                memcpy(ret, local, layout->bytes);
        return reader.error;
}
