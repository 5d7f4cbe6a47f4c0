/* SPDX-License-Identifier: Apache-2.0 */
/* environment.c - see environment.h. Layer: L2 (broker/core). */
#include "environment.h"

#include "px_wire.h"

/* Where the field env, the second one, begins: behind the array's head and argv. NULL: malformed. */
static const uint8_t *environment_at(struct px_reader *reader, struct px_slice spec)
{
        px_reader_init(reader, spec);
        if (px_read_array(reader, UINT16_MAX) < 1)
                return NULL;
        px_read_skip(reader); /* argv */
        return reader->error == PX_WIRE_OK ? reader->at : NULL;
}

bool environment_cut(struct px_slice spec, struct px_slice *ret_environment)
{
        struct px_reader reader;
        const uint8_t *begin = environment_at(&reader, spec);

        if (begin == NULL)
                return false;
        px_read_skip(&reader);
        if (reader.error != PX_WIRE_OK || reader.at - begin < ENVIRONMENT_BYTES_MIN)
                return false;
        *ret_environment = px_slice_of(begin, (size_t)(reader.at - begin));
        return true;
}

struct row_key environment_key(uint32_t owner, struct px_slice environment)
{
        struct row_key key = row_key_u32(owner);

        row_key_add_u64(&key, px_hash64(owner, environment.data, environment.length));
        row_key_add_u64(&key, px_hash64(~(uint64_t)owner, environment.data, environment.length));
        return key;
}

void environment_store(const struct row_key *key, struct px_slice spec,
                       struct px_slice environment, struct px_buf *ret_stored)
{
        size_t before = (size_t)(environment.data - spec.data);

        PX_ASSERT(key->length == ENVIRONMENT_KEY_BYTES);
        PX_ASSERT(before + environment.length <= spec.length);
        *px_buf_grow(ret_stored, 1) = 0;
        px_buf_append_slice(ret_stored, row_key_slice(key));
        px_buf_append(ret_stored, spec.data, before);
        px_buf_append(ret_stored, environment.data + environment.length,
                      spec.length - before - environment.length);
}

bool environment_named(struct px_slice stored, struct row_key *ret_key)
{
        if (stored.length < ENVIRONMENT_HEAD_BYTES || stored.data[0] != 0)
                return false;
        *ret_key = (struct row_key){0};
        row_key_add_bytes(ret_key, px_slice_of(stored.data + 1, ENVIRONMENT_KEY_BYTES));
        return true;
}

bool environment_join(struct px_slice stored, struct px_slice environment, struct px_buf *ret_spec)
{
        struct px_reader reader;
        struct px_slice spec;
        const uint8_t *at;
        size_t before;

        if (stored.length < ENVIRONMENT_HEAD_BYTES || stored.data[0] != 0)
                return false;
        spec = px_slice_of(stored.data + ENVIRONMENT_HEAD_BYTES,
                           stored.length - ENVIRONMENT_HEAD_BYTES);
        at = environment_at(&reader, spec);
        if (at == NULL)
                return false;
        before = (size_t)(at - spec.data);
        px_buf_append(ret_spec, spec.data, before);
        px_buf_append_slice(ret_spec, environment);
        px_buf_append(ret_spec, at, spec.length - before);
        return true;
}
