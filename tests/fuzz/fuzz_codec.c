/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_codec.c - any bytes as the body of any message or row: what is accepted says the same after
 * being encoded again, and whatever it is can be printed.
 * Input: offset 0  u16  message type, or 0x8000 + table; big endian
 *               2       the body */
#include "fuzz.h"
#include "px_codec.h"
#include "px_tables.h"

#define ROW 0x8000

static const struct px_layout *layout_of(uint16_t type)
{
        const struct px_message_info *info = px_message_find(type);

        if ((type & ROW) != 0)
                return px_row_layout(type & ~ROW);
        return info == NULL ? NULL : info->layout;
}

static void check_codec(const struct px_layout *layout, struct px_slice body)
{
        _Alignas(8) uint8_t value[PX_LAYOUT_BYTES_MAX];
        struct px_arena arena = {0};
        struct px_buf once = {0};
        struct px_buf twice = {0};

        if (px_layout_decode(layout, body, &arena, value) == PX_WIRE_OK) {
                px_layout_write(layout, value, &once);
                PX_ASSERT(px_layout_decode(layout, px_buf_slice(&once), &arena, value) ==
                          PX_WIRE_OK);
                px_layout_write(layout, value, &twice);
                PX_ASSERT(px_slice_equal(px_buf_slice(&once), px_buf_slice(&twice)));
        }
        px_buf_fini(&once);
        px_buf_fini(&twice);
        px_arena_fini(&arena);
}

static void check_printing(uint16_t type, struct px_slice body)
{
        struct px_buf frame = {0};
        struct px_buf line = {0};

        if ((type & ROW) != 0) {
                px_row_print(&line, type & ~ROW, body);
        } else {
                px_wire_put_header(&frame, (struct px_wire_header){.type = type});
                px_buf_append_slice(&frame, body);
                px_message_print(&line, px_buf_slice(&frame));
        }
        PX_ASSERT(line.length > 0 && line.length <= PX_PRINT_BYTES_MAX);
        PX_ASSERT(memchr(line.data, '\n', line.length) == NULL);
        px_buf_fini(&frame);
        px_buf_fini(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
        const struct px_layout *layout;
        struct px_slice body;
        uint16_t type;

        if (length < 2)
                return 0;
        type = px_get_be16(data);
        body = px_slice_of(data + 2, length - 2);
        layout = layout_of(type);
        if (layout != NULL)
                check_codec(layout, body);
        check_printing(type, body);
        return 0;
}
