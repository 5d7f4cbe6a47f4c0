/* SPDX-License-Identifier: Apache-2.0 */
/* fill.c - random valid content from tables of fields. */
#include "fill.h"

#define LIST_ITEMS_MAX 3
#define STRING_BYTES_MAX 24

static uint64_t fill_number(struct px_rand *rand, uint64_t max)
{
        switch (px_rand_below(rand, 4)) {
        case 0:
                return PX_MIN(max, px_rand_below(rand, 128));
        case 1:
                return max;
        default:
                return max == UINT64_MAX ? px_rand_u64(rand) : px_rand_below(rand, max + 1);
        }
}

static void store(const struct px_field_info *field, uint64_t number, void *ret)
{
        switch (field->value_bytes) {
        case 1:
                *(uint8_t *)ret = (uint8_t)number;
                break;
        case 2:
                *(uint16_t *)ret = (uint16_t)number;
                break;
        case 4:
                *(uint32_t *)ret = (uint32_t)number;
                break;
        default:
                PX_ASSERT(field->value_bytes == 8);
                *(uint64_t *)ret = number;
                break;
        }
}

static void fill_signed(const struct px_field_info *field, struct px_rand *rand, void *ret)
{
        uint64_t number = fill_number(rand, field->value_max);

        /* Two's complement: the low bytes of the negated number are those of the negative one. */
        if (px_rand_chance(rand, 100))
                number = (uint64_t)field->value_min;
        else if (px_rand_chance(rand, 400))
                number = (uint64_t)(-(int64_t)number);
        store(field, number, ret);
}

static void fill_enum(const struct px_field_info *field, struct px_rand *rand, void *ret)
{
        int code = (int)px_rand_below(rand, (uint64_t)field->names->count);

        *(int *)ret = px_enum_known(field->names, code) ? code : 0;
}

static struct px_slice fill_string(const struct px_field_info *field, struct px_rand *rand,
                                   struct px_arena *arena)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-_./ \"\\\t";
        size_t length = px_rand_below(rand, PX_MIN(field->value_max, STRING_BYTES_MAX) + 1);
        uint8_t *bytes;

        if (length == 0)
                return PX_SLICE_NONE;
        bytes = px_arena_alloc(arena, length);
        for (size_t i = 0; i < length; i++) {
                if (field->kind == PX_FIELD_TEXT)
                        bytes[i] = (uint8_t)letters[px_rand_below(rand, sizeof(letters) - 1)];
                else
                        bytes[i] = (uint8_t)px_rand_u64(rand);
        }
        if (field->kind == PX_FIELD_TEXT && length >= 2)
                memcpy(bytes, "\xC3\xBC", 2);
        return px_slice_of(bytes, length);
}

static void fill_value(const struct px_field_info *field, struct px_rand *rand,
                       struct px_arena *arena, void *ret)
{
        switch (field->kind) {
        case PX_FIELD_BOOL:
                *(bool *)ret = px_rand_chance(rand, 500);
                break;
        case PX_FIELD_UNSIGNED:
                store(field, fill_number(rand, field->value_max), ret);
                break;
        case PX_FIELD_SIGNED:
                fill_signed(field, rand, ret);
                break;
        case PX_FIELD_ENUM:
                fill_enum(field, rand, ret);
                break;
        case PX_FIELD_F64:
                *(double *)ret = (double)px_rand_below(rand, 1000000) / 8;
                break;
        case PX_FIELD_TEXT:
        case PX_FIELD_BYTES:
                *(struct px_slice *)ret = fill_string(field, rand, arena);
                break;
        case PX_FIELD_FENCE:
                ((struct px_fence *)ret)->epoch = px_rand_u64(rand);
                ((struct px_fence *)ret)->attempt = (uint32_t)px_rand_u64(rand);
                break;
        case PX_FIELD_STRUCT:
                fill_layout(field->layout, rand, arena, ret);
                break;
        }
}

static void fill_list(const struct px_field_info *field, struct px_rand *rand,
                      struct px_arena *arena, uint8_t *ret)
{
        size_t count = px_rand_below(rand, PX_MIN(field->list_max, LIST_ITEMS_MAX) + 1);
        uint8_t *items;

        if (count == 0)
                return;
        items = px_arena_alloc(arena, count * field->value_bytes);
        for (size_t k = 0; k < count; k++)
                fill_value(field, rand, arena, items + k * field->value_bytes);
        memcpy(ret + field->offset, &items, sizeof(items));
        memcpy(ret + field->count_offset, &count, sizeof(count));
}

void fill_layout(const struct px_layout *layout, struct px_rand *rand, struct px_arena *arena,
                 void *ret)
{
        memset(ret, 0, layout->bytes);
        for (size_t i = 0; i < layout->fields_count; i++) {
                const struct px_field_info *field = &layout->fields[i];

                if (field->list_max != 0)
                        fill_list(field, rand, arena, ret);
                else
                        fill_value(field, rand, arena, (uint8_t *)ret + field->offset);
        }
}
