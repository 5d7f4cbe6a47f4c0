/* SPDX-License-Identifier: Apache-2.0 */
/* px_wire.h - frames and msgpack: a bounded reader for everything that comes from outside, and a
 * writer. Layer: L0 (schema/base). Source: msgpack specification; DESIGN 5.
 *
 * A message is one body frame and at most one payload frame (raw bytes).
 * Body frame:
 *   offset 0  u8   magic 'P' (0x50)
 *          1  u8   wire version (PX_WIRE_VERSION)
 *          2  u16  type (PX_M_* of the schema), big endian
 *          4  u16  flags (PX_WIRE_FLAG_*), big endian
 *          6  u16  count: items in the message where it is a batch, else 1; big endian
 *          8  u64  correlation: the request's sequence number in its session; big endian; 0 = none
 *         16  msgpack: one positional array (or map, for control messages) of the type's fields
 */
#ifndef PX_WIRE_H
#define PX_WIRE_H

#include "px_base.h"

#define PX_WIRE_MAGIC 0x50
#define PX_WIRE_VERSION 1
#define PX_WIRE_HEADER_BYTES 16
#define PX_WIRE_FLAG_PAYLOAD 0x0001 /* a payload frame follows */
#define PX_WIRE_DEPTH_MAX 8

struct px_wire_header {
        uint16_t type;
        uint16_t flags;
        uint16_t count;
        uint64_t correlation;
};

/* Append a header to an empty or growing frame. */
void px_wire_put_header(struct px_buf *frame, struct px_wire_header header);
/* Read the header of a whole body frame and the bytes behind it.
 * Refuses: PX_WIRE_BAD not a frame of ours or cut short; PX_WIRE_NEWER another wire version. */
int px_wire_get_header(struct px_slice frame, struct px_wire_header *ret_header,
                       struct px_slice *ret_body);

/* What a reader can refuse. Generated decoders return these; the shell maps them to PX_E_PROTO. */
enum px_wire_result {
        PX_WIRE_OK = 0,
        PX_WIRE_BAD = 1,     /* malformed, truncated, wrong type, trailing bytes */
        PX_WIRE_DEEP = 2,    /* nested deeper than PX_WIRE_DEPTH_MAX */
        PX_WIRE_LIMIT = 3,   /* a string, list or number outside the limits of its field */
        PX_WIRE_NEWER = 4,   /* another wire version */
};

/* ---- reader: a cursor with a sticky error: call, call, call, check once --------------------- */
struct px_reader {
        const uint8_t *at;
        const uint8_t *end;
        int error; /* enum px_wire_result; once set, every read gives 0 / empty */
};
void px_reader_init(struct px_reader *reader, struct px_slice bytes);
uint32_t px_read_array(struct px_reader *reader, uint32_t count_max); /* returns the count */
uint32_t px_read_map(struct px_reader *reader, uint32_t count_max);
bool px_read_bool(struct px_reader *reader);
uint64_t px_read_u64(struct px_reader *reader, uint64_t value_max);
int64_t px_read_i64(struct px_reader *reader, int64_t value_min, int64_t value_max);
double px_read_f64(struct px_reader *reader); /* finite, else PX_WIRE_LIMIT */
/* Borrowed from the frame. Text is checked to be UTF-8 without NUL. */
struct px_slice px_read_text(struct px_reader *reader, size_t length_max);
struct px_slice px_read_bytes(struct px_reader *reader, size_t length_max);
bool px_read_nil(struct px_reader *reader); /* consumes a nil if one stands here */
/* One value of any type. Containers nested deeper than PX_WIRE_DEPTH_MAX give PX_WIRE_DEEP. */
void px_read_skip(struct px_reader *reader);
void px_read_end(struct px_reader *reader); /* PX_WIRE_BAD if bytes are left */
void px_reader_fail(struct px_reader *reader, int error); /* first error wins */

/* ---- writer: packs with msgpack-c onto a px_buf ------------------------------------------------ */
void px_write_array(struct px_buf *buf, uint32_t count);
void px_write_map(struct px_buf *buf, uint32_t count);
void px_write_nil(struct px_buf *buf);
void px_write_bool(struct px_buf *buf, bool value);
void px_write_u64(struct px_buf *buf, uint64_t value);
void px_write_i64(struct px_buf *buf, int64_t value);
void px_write_f64(struct px_buf *buf, double value); /* finite: readers refuse the rest */
void px_write_text(struct px_buf *buf, struct px_slice text);
void px_write_bytes(struct px_buf *buf, struct px_slice bytes);

#endif
