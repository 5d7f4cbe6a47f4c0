/* SPDX-License-Identifier: Apache-2.0 */
/* px_layout.h - one codec for every struct of the schema, driven by tables of its fields.
 * Layer: L1. Users call the typed functions of the generated px_codec.h; these stand below them.
 *
 * Encoding: a positional msgpack array of the fields in their order, or a map from field name to
 * value where the layout is a map. A list is an array, a fence [epoch, attempt], an id or enum its
 * number, text a str, bytes a bin. Arrays only grow at their end: a decoder reads missing trailing
 * fields as zero and skips what it does not know. In maps missing fields are zero too, unknown
 * keys are skipped, a field named twice is refused. */
#ifndef PX_LAYOUT_H
#define PX_LAYOUT_H

#include "px_base.h"
#include "px_lookup.h"
#include "px_wire.h"

enum px_field_kind {
        PX_FIELD_BOOL = 1,
        PX_FIELD_UNSIGNED, /* u8 .. u64 and ids */
        PX_FIELD_SIGNED,   /* i32, i64 */
        PX_FIELD_ENUM,     /* int */
        PX_FIELD_F64,
        PX_FIELD_TEXT,  /* struct px_slice */
        PX_FIELD_BYTES, /* struct px_slice */
        PX_FIELD_FENCE,
        PX_FIELD_STRUCT,
};

struct px_layout;

/* One field: where it stands in its C struct and what it may hold. */
struct px_field_info {
        const char *name;
        const char *type; /* as the schema declares it */
        enum px_field_kind kind;
        uint16_t value_bytes;             /* of one value in C */
        uint16_t offset;                  /* of the value, or of the pointer to a list's values */
        uint16_t count_offset;            /* of a list's count */
        uint32_t list_max;                /* items of a list; 0 = not a list */
        int64_t value_min;                /* of a number */
        uint64_t value_max;               /* bytes of text and bytes, largest number */
        const struct px_enum_info *names; /* of an enum */
        const struct px_layout *layout;   /* of a struct */
};

/* A struct, record or message body. */
struct px_layout {
        const char *name;
        const struct px_field_info *fields;
        uint16_t fields_count;
        uint16_t bytes; /* of the C struct; at most PX_LAYOUT_BYTES_MAX */
        bool is_map;
};

#define PX_LAYOUT_BYTES_MAX 1024
#define PX_LAYOUT_FIELDS_MAX 64
#define PX_LAYOUT_EXTRA_MAX 1024 /* fields of a later release that are skipped */

/* Append one msgpack value. Every limit of the schema is asserted: what is written here, a peer
 * of the same release accepts. */
void px_layout_write(const struct px_layout *layout, const void *in, struct px_buf *out);

/* Read one value into ret, which is zeroed first and means nothing when the reader has an error.
 * Owns: text and bytes point into what is read, lists live in the arena. Every max is checked
 * before anything is allocated. */
void px_layout_read(const struct px_layout *layout, struct px_reader *reader,
                    struct px_arena *arena, void *ret);

/* Decode a whole body. Returns enum px_wire_result; ret is untouched on failure. */
int px_layout_decode(const struct px_layout *layout, struct px_slice body, struct px_arena *arena,
                     void *ret);

/* Append header and body of a message to an empty frame. The header's count is the length of the
 * first list, or 1. Asserts that the frame is at most `frame_bytes_max` long. */
void px_layout_frame(const struct px_layout *layout, uint16_t type, const void *in,
                     uint64_t correlation, uint16_t flags, size_t frame_bytes_max,
                     struct px_buf *frame);

/* Items of the first list among the fields, 1 when there is none. */
size_t px_layout_items(const struct px_layout *layout, const void *in);

/* Access by table. `values` is the first value of the field; *ret_count is 1 when not a list. */
const void *px_field_values(const struct px_field_info *field, const void *in, size_t *ret_count);
uint64_t px_field_unsigned(const struct px_field_info *field, const void *value);
int64_t px_field_signed(const struct px_field_info *field, const void *value);

#endif
