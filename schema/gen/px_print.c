/* SPDX-License-Identifier: Apache-2.0 */
/* px_print.c - readable lines from frames and rows. Layer: L1. The form stands in px_tables.h. */
#include "px_schema.h"
#include "px_tables.h"

#include <inttypes.h>

#define HEX_BYTES_MAX 16
#define TEXT_BYTES_MAX 256 /* printed of one text */

const struct px_message_info *px_message_find(uint16_t type)
{
        size_t low = 0;
        size_t high = px_messages_count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (px_messages[middle].type == type)
                        return &px_messages[middle];
                if (px_messages[middle].type < type)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

const struct px_layout *px_row_layout(int table)
{
        for (size_t i = 0; i < px_rows_count; i++) {
                if (px_rows[i].table == table)
                        return px_rows[i].layout;
        }
        return NULL;
}

/* ---- values ------------------------------------------------------------------------------------
 */

/* Output that stops growing soon after `end` and is cut there when done. */
struct printer {
        struct px_buf *out;
        size_t end;
};

static struct printer printer_start(struct px_buf *out)
{
        return (struct printer){.out = out, .end = out->length + PX_PRINT_BYTES_MAX};
}

static bool printer_full(const struct printer *printer)
{
        return printer->out->length > printer->end;
}

static void printer_finish(struct printer *printer)
{
        if (!printer_full(printer))
                return;
        printer->out->length = printer->end - 3;
        px_buf_append_text(printer->out, "...");
}

static void print_bytes(struct printer *printer, struct px_slice bytes)
{
        px_buf_format(printer->out, "%zu bytes", bytes.length);
        for (size_t i = 0; i < PX_MIN(bytes.length, (size_t)HEX_BYTES_MAX); i++)
                px_buf_format(printer->out, "%s%02x", i == 0 ? " " : "", bytes.data[i]);
        if (bytes.length > HEX_BYTES_MAX)
                px_buf_append_text(printer->out, "..");
}

static void print_text(struct printer *printer, struct px_slice text)
{
        px_buf_append_text(printer->out, "\"");
        for (size_t i = 0; i < PX_MIN(text.length, (size_t)TEXT_BYTES_MAX); i++) {
                uint8_t byte = text.data[i];

                if (byte == '"' || byte == '\\')
                        px_buf_format(printer->out, "\\%c", byte);
                else if (byte < 0x20 || byte == 0x7F)
                        px_buf_format(printer->out, "\\x%02x", byte);
                else
                        px_buf_append(printer->out, &byte, 1);
        }
        px_buf_append_text(printer->out, text.length > TEXT_BYTES_MAX ? "\".." : "\"");
}

static void print_struct(struct printer *printer, const struct px_layout *layout, const void *in);

static void print_value(struct printer *printer, const struct px_field_info *field,
                        const void *value)
{
        const struct px_fence *fence = value;

        switch (field->kind) {
        case PX_FIELD_BOOL:
                px_buf_append_text(printer->out, *(const bool *)value ? "true" : "false");
                break;
        case PX_FIELD_UNSIGNED:
                px_buf_format(printer->out, "%" PRIu64, px_field_unsigned(field, value));
                break;
        case PX_FIELD_SIGNED:
                px_buf_format(printer->out, "%" PRId64, px_field_signed(field, value));
                break;
        case PX_FIELD_ENUM:
                px_buf_append_text(printer->out, px_enum_name(field->names, *(const int *)value));
                break;
        case PX_FIELD_F64:
                px_buf_format(printer->out, "%.17g", *(const double *)value);
                break;
        case PX_FIELD_TEXT:
                print_text(printer, *(const struct px_slice *)value);
                break;
        case PX_FIELD_BYTES:
                print_bytes(printer, *(const struct px_slice *)value);
                break;
        case PX_FIELD_FENCE:
                px_buf_format(printer->out, "%" PRIu64 "/%" PRIu32, fence->epoch, fence->attempt);
                break;
        case PX_FIELD_STRUCT:
                print_struct(printer, field->layout, value);
                break;
        }
}

static bool layout_is_zero(const struct px_layout *layout, const void *in);

/* Whether a value that is not in a list is the one a missing field has. */
static bool value_is_zero(const struct px_field_info *field, const void *value)
{
        switch (field->kind) {
        case PX_FIELD_BOOL:
                return !*(const bool *)value;
        case PX_FIELD_UNSIGNED:
                return px_field_unsigned(field, value) == 0;
        case PX_FIELD_SIGNED:
                return px_field_signed(field, value) == 0;
        case PX_FIELD_ENUM:
                return *(const int *)value == 0;
        case PX_FIELD_F64:
                return !(*(const double *)value > 0) && !(*(const double *)value < 0);
        case PX_FIELD_TEXT:
        case PX_FIELD_BYTES:
                return ((const struct px_slice *)value)->length == 0;
        case PX_FIELD_FENCE:
                return px_fence_equal(*(const struct px_fence *)value, (struct px_fence){0});
        case PX_FIELD_STRUCT:
                return layout_is_zero(field->layout, value);
        }
        PX_UNREACHABLE();
}

static bool field_is_zero(const struct px_field_info *field, const void *in)
{
        size_t count;
        const void *values = px_field_values(field, in, &count);

        return field->list_max != 0 ? count == 0 : value_is_zero(field, values);
}

static bool layout_is_zero(const struct px_layout *layout, const void *in)
{
        for (size_t i = 0; i < layout->fields_count; i++) {
                if (!field_is_zero(&layout->fields[i], in))
                        return false;
        }
        return true;
}

static void print_list(struct printer *printer, const struct px_field_info *field, const void *in)
{
        size_t count;
        const uint8_t *values = px_field_values(field, in, &count);

        px_buf_append_text(printer->out, "[");
        for (size_t k = 0; k < count && !printer_full(printer); k++) {
                if (k > 0)
                        px_buf_append_text(printer->out, ", ");
                print_value(printer, field, values + k * field->value_bytes);
        }
        px_buf_append_text(printer->out, "]");
}

static void print_struct(struct printer *printer, const struct px_layout *layout, const void *in)
{
        const char *between = "";

        px_buf_append_text(printer->out, "{");
        for (size_t i = 0; i < layout->fields_count && !printer_full(printer); i++) {
                const struct px_field_info *field = &layout->fields[i];

                if (field_is_zero(field, in))
                        continue;
                px_buf_format(printer->out, "%s%s:", between, field->name);
                between = ", ";
                if (field->list_max != 0)
                        print_list(printer, field, in);
                else
                        print_value(printer, field, (const uint8_t *)in + field->offset);
        }
        px_buf_append_text(printer->out, "}");
}

void px_layout_print(struct px_buf *out, const struct px_layout *layout, const void *in)
{
        struct printer printer = printer_start(out);

        print_struct(&printer, layout, in);
        printer_finish(&printer);
}

/* ---- frames and rows
 * ----------------------------------------------------------------------------- */

static const char *result_text(int result)
{
        switch (result) {
        case PX_WIRE_BAD:
                return "malformed";
        case PX_WIRE_DEEP:
                return "nested too deep";
        case PX_WIRE_LIMIT:
                return "above a limit";
        case PX_WIRE_NEWER:
                return "of another wire version";
        default:
                PX_UNREACHABLE();
        }
}

static void print_body(struct printer *printer, const struct px_layout *layout,
                       struct px_slice body)
{
        _Alignas(8) uint8_t decoded[PX_LAYOUT_BYTES_MAX];
        struct px_arena arena = {0};
        int result = px_layout_decode(layout, body, &arena, decoded);

        if (result == PX_WIRE_OK) {
                print_struct(printer, layout, decoded);
        } else {
                px_buf_format(printer->out, "%s, ", result_text(result));
                print_bytes(printer, body);
        }
        px_arena_fini(&arena);
}

void px_message_print(struct px_buf *out, struct px_slice frame)
{
        struct printer printer = printer_start(out);
        struct px_wire_header header;
        struct px_slice body;
        int result = px_wire_get_header(frame, &header, &body);
        const struct px_message_info *info;

        if (result != PX_WIRE_OK) {
                px_buf_format(out, "frame %s, ", result_text(result));
                print_bytes(&printer, frame);
                return;
        }
        info = px_message_find(header.type);
        if (info == NULL)
                px_buf_format(out, "message %u", header.type);
        else
                px_buf_append_text(out, info->name);
        px_buf_format(out, " #%" PRIu64 " ", header.correlation);
        if ((header.flags & PX_WIRE_FLAG_PAYLOAD) != 0)
                px_buf_append_text(out, "+payload ");
        if (info == NULL)
                print_bytes(&printer, body);
        else
                print_body(&printer, info->layout, body);
        printer_finish(&printer);
}

void px_row_print(struct px_buf *out, int table, struct px_slice value)
{
        struct printer printer = printer_start(out);
        const struct px_layout *layout = px_row_layout(table);

        px_buf_format(out, "%s ", px_table_name(table));
        if (layout == NULL)
                print_bytes(&printer, value);
        else
                print_body(&printer, layout, value);
        printer_finish(&printer);
}
