/* SPDX-License-Identifier: Apache-2.0 */
/* px_wire_write.c - the frame header, and msgpack values packed by msgpack-c onto a buffer.
 * Layer: L0 (schema/base). Numbers take their shortest form. */
#include "px_wire.h"

#include <math.h>
#include <msgpack/pack.h>

void px_wire_put_header(struct px_buf *frame, struct px_wire_header header)
{
        uint8_t *at = px_buf_grow(frame, PX_WIRE_HEADER_BYTES);

        at[0] = PX_WIRE_MAGIC;
        at[1] = PX_WIRE_VERSION;
        px_put_be16(at + 2, header.type);
        px_put_be16(at + 4, header.flags);
        px_put_be16(at + 6, header.count);
        px_put_be64(at + 8, header.correlation);
}

static int packer_append(void *data, const char *bytes, size_t length)
{
        px_buf_append(data, bytes, length);
        return 0;
}

static msgpack_packer packer_of(struct px_buf *buf)
{
        msgpack_packer packer;

        msgpack_packer_init(&packer, buf, packer_append);
        return packer;
}

void px_write_array(struct px_buf *buf, uint32_t count)
{
        msgpack_packer packer = packer_of(buf);

        msgpack_pack_array(&packer, count);
}

void px_write_map(struct px_buf *buf, uint32_t count)
{
        msgpack_packer packer = packer_of(buf);

        msgpack_pack_map(&packer, count);
}

void px_write_nil(struct px_buf *buf)
{
        msgpack_packer packer = packer_of(buf);

        msgpack_pack_nil(&packer);
}

void px_write_bool(struct px_buf *buf, bool value)
{
        msgpack_packer packer = packer_of(buf);

        if (value)
                msgpack_pack_true(&packer);
        else
                msgpack_pack_false(&packer);
}

void px_write_u64(struct px_buf *buf, uint64_t value)
{
        msgpack_packer packer = packer_of(buf);

        msgpack_pack_uint64(&packer, value);
}

void px_write_i64(struct px_buf *buf, int64_t value)
{
        msgpack_packer packer = packer_of(buf);

        msgpack_pack_int64(&packer, value);
}

void px_write_f64(struct px_buf *buf, double value)
{
        msgpack_packer packer = packer_of(buf);

        PX_ASSERT(isfinite(value));
        msgpack_pack_double(&packer, value);
}

void px_write_text(struct px_buf *buf, struct px_slice text)
{
        msgpack_packer packer = packer_of(buf);

        PX_ASSERT(text.length <= UINT32_MAX);
        msgpack_pack_str(&packer, text.length);
        px_buf_append_slice(buf, text);
}

void px_write_bytes(struct px_buf *buf, struct px_slice bytes)
{
        msgpack_packer packer = packer_of(buf);

        PX_ASSERT(bytes.length <= UINT32_MAX);
        msgpack_pack_bin(&packer, bytes.length);
        px_buf_append_slice(buf, bytes);
}
