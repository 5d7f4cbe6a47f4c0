/* SPDX-License-Identifier: Apache-2.0 */
/* px_codec.h - structs of the schema and their codecs.
 *
 * For each X:  X_encode(in, out) appends one msgpack value; limits are asserted.
 *              X_decode(body, arena, ret) checks the whole body and returns enum px_wire_result; ret
 *              is untouched on failure. text and bytes point into body, lists live in the arena.
 *              X_write, X_read do the same inside a larger value; after X_read look at the
 *              reader's error.
 * For messages X_frame(in, correlation, flags, frame) writes header and body into an empty frame;
 * a frame above PX_LIMIT_MESSAGE_BYTES is a bug of the caller and asserted.
 * Layouts, encoding and limits: px_layout.h.
 * Generated from the schema; not to be edited. Layer: L1. */

#ifndef PX_CODEC_H
#define PX_CODEC_H

#include "px_layout.h"
#include "px_schema.h"

struct px_inner {
        bool flag;
        uint8_t tiny;
        uint16_t small;
        uint32_t middle;
        uint64_t large; /* the largest * / */
        int32_t low;
        int64_t lower;
        double real;
        struct px_slice name;
        struct px_slice raw;
};
extern const struct px_layout px_inner_layout;
static inline void px_inner_write(const struct px_inner *in, struct px_buf *out)
{
        px_layout_write(&px_inner_layout, in, out);
}
static inline void px_inner_encode(const struct px_inner *in, struct px_buf *out)
{
        px_layout_write(&px_inner_layout, in, out);
}
static inline void px_inner_read(struct px_reader *reader, struct px_arena *arena, struct px_inner *ret)
{
        px_layout_read(&px_inner_layout, reader, arena, ret);
}
static inline int px_inner_decode(struct px_slice body, struct px_arena *arena, struct px_inner *ret)
{
        return px_layout_decode(&px_inner_layout, body, arena, ret);
}

/* Holds another. */
struct px_outer {
        struct px_inner inner;
        const struct px_inner *all;
        size_t all_count;
};
extern const struct px_layout px_outer_layout;
static inline void px_outer_write(const struct px_outer *in, struct px_buf *out)
{
        px_layout_write(&px_outer_layout, in, out);
}
static inline void px_outer_encode(const struct px_outer *in, struct px_buf *out)
{
        px_layout_write(&px_outer_layout, in, out);
}
static inline void px_outer_read(struct px_reader *reader, struct px_arena *arena, struct px_outer *ret)
{
        px_layout_read(&px_outer_layout, reader, arena, ret);
}
static inline int px_outer_decode(struct px_slice body, struct px_arena *arena, struct px_outer *ret)
{
        return px_layout_decode(&px_outer_layout, body, arena, ret);
}

struct px_lamp_row {
        struct px_job_id job;
        struct px_node_id node;
        struct px_principal_id principal;
        struct px_session_id session;
        struct px_fence fence;
        int colour; /* enum px_colour */
};
extern const struct px_layout px_lamp_row_layout;
static inline void px_lamp_row_write(const struct px_lamp_row *in, struct px_buf *out)
{
        px_layout_write(&px_lamp_row_layout, in, out);
}
static inline void px_lamp_row_encode(const struct px_lamp_row *in, struct px_buf *out)
{
        px_layout_write(&px_lamp_row_layout, in, out);
}
static inline void px_lamp_row_read(struct px_reader *reader, struct px_arena *arena, struct px_lamp_row *ret)
{
        px_layout_read(&px_lamp_row_layout, reader, arena, ret);
}
static inline int px_lamp_row_decode(struct px_slice body, struct px_arena *arena, struct px_lamp_row *ret)
{
        return px_layout_decode(&px_lamp_row_layout, body, arena, ret);
}

/* Set lamps. */
struct px_m_set {
        const struct px_slice *names;
        size_t names_count;
        const int *colours;
        size_t colours_count;
        const uint32_t *numbers;
        size_t numbers_count;
        struct px_outer outer;
};
extern const struct px_layout px_m_set_layout;
static inline void px_m_set_write(const struct px_m_set *in, struct px_buf *out)
{
        px_layout_write(&px_m_set_layout, in, out);
}
static inline void px_m_set_encode(const struct px_m_set *in, struct px_buf *out)
{
        px_layout_write(&px_m_set_layout, in, out);
}
static inline void px_m_set_read(struct px_reader *reader, struct px_arena *arena, struct px_m_set *ret)
{
        px_layout_read(&px_m_set_layout, reader, arena, ret);
}
static inline int px_m_set_decode(struct px_slice body, struct px_arena *arena, struct px_m_set *ret)
{
        return px_layout_decode(&px_m_set_layout, body, arena, ret);
}
static inline void px_m_set_frame(const struct px_m_set *in, uint64_t correlation, uint16_t flags,
                                        struct px_buf *frame)
{
        px_layout_frame(&px_m_set_layout, PX_M_SET, in, correlation, flags,
                        PX_LIMIT_MESSAGE_BYTES, frame);
}

struct px_m_is {
        char unused; /* a body without fields */
};
extern const struct px_layout px_m_is_layout;
static inline void px_m_is_write(const struct px_m_is *in, struct px_buf *out)
{
        px_layout_write(&px_m_is_layout, in, out);
}
static inline void px_m_is_encode(const struct px_m_is *in, struct px_buf *out)
{
        px_layout_write(&px_m_is_layout, in, out);
}
static inline void px_m_is_read(struct px_reader *reader, struct px_arena *arena, struct px_m_is *ret)
{
        px_layout_read(&px_m_is_layout, reader, arena, ret);
}
static inline int px_m_is_decode(struct px_slice body, struct px_arena *arena, struct px_m_is *ret)
{
        return px_layout_decode(&px_m_is_layout, body, arena, ret);
}
static inline void px_m_is_frame(const struct px_m_is *in, uint64_t correlation, uint16_t flags,
                                       struct px_buf *frame)
{
        px_layout_frame(&px_m_is_layout, PX_M_IS, in, correlation, flags,
                        PX_LIMIT_MESSAGE_BYTES, frame);
}

#endif
