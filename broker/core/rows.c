/* SPDX-License-Identifier: Apache-2.0 */
/* rows.c - building and walking write-sets. Layer: L2 (broker/core). Format: rows.h. */
#include "rows.h"

static uint8_t *row_key_grow(struct row_key *key, size_t by)
{
        uint8_t *at = key->bytes + key->length;

        PX_ASSERT(by <= ROWS_KEY_BYTES_MAX - key->length);
        key->length += by;
        return at;
}

struct row_key row_key_u32(uint32_t first)
{
        struct row_key key = {0};

        row_key_add_u32(&key, first);
        return key;
}

struct row_key row_key_u64(uint64_t first)
{
        struct row_key key = {0};

        row_key_add_u64(&key, first);
        return key;
}

struct row_key row_key_text(const char *text)
{
        struct row_key key = {0};

        row_key_add_bytes(&key, px_slice_text(text));
        return key;
}

void row_key_add_u16(struct row_key *key, uint16_t value)
{
        px_put_be16(row_key_grow(key, sizeof(value)), value);
}

void row_key_add_u32(struct row_key *key, uint32_t value)
{
        px_put_be32(row_key_grow(key, sizeof(value)), value);
}

void row_key_add_u64(struct row_key *key, uint64_t value)
{
        px_put_be64(row_key_grow(key, sizeof(value)), value);
}

void row_key_add_bytes(struct row_key *key, struct px_slice bytes)
{
        if (bytes.length > 0)
                memcpy(row_key_grow(key, bytes.length), bytes.data, bytes.length);
}

struct px_slice row_key_slice(const struct row_key *key)
{
        return px_slice_of(key->bytes, key->length);
}

static void rows_append(struct px_buf *rows, uint8_t operation, uint8_t table,
                        const struct row_key *key, struct px_slice value)
{
        uint8_t *at;

        PX_ASSERT(key->length > 0);
        PX_ASSERT(key->length <= ROWS_KEY_BYTES_MAX);
        PX_ASSERT(value.length <= ROWS_VALUE_BYTES_MAX);
        at = px_buf_grow(rows, ROWS_HEADER_BYTES + key->length + value.length);
        at[0] = operation;
        at[1] = table;
        px_put_be16(at + 2, (uint16_t)key->length);
        px_put_be32(at + 4, (uint32_t)value.length);
        memcpy(at + ROWS_HEADER_BYTES, key->bytes, key->length);
        if (value.length > 0)
                memcpy(at + ROWS_HEADER_BYTES + key->length, value.data, value.length);
}

void rows_put(struct px_buf *rows, uint8_t table, const struct row_key *key, struct px_slice value)
{
        rows_append(rows, ROWS_PUT, table, key, value);
}

void rows_delete(struct px_buf *rows, uint8_t table, const struct row_key *key)
{
        rows_append(rows, ROWS_DELETE, table, key, PX_SLICE_NONE);
}

static bool row_is_sound(uint8_t operation, size_t key_length, size_t value_length)
{
        if (key_length == 0 || key_length > ROWS_KEY_BYTES_MAX)
                return false;
        if (operation == ROWS_DELETE)
                return value_length == 0;
        return operation == ROWS_PUT && value_length <= ROWS_VALUE_BYTES_MAX;
}

bool rows_next(struct px_slice rows, size_t *offset, struct row *ret_row)
{
        const uint8_t *at;
        size_t left, key_length, value_length;

        PX_ASSERT(*offset <= rows.length);
        left = rows.length - *offset;
        if (left < ROWS_HEADER_BYTES)
                return false;
        at = rows.data + *offset;
        key_length = px_get_be16(at + 2);
        value_length = px_get_be32(at + 4);
        if (!row_is_sound(at[0], key_length, value_length))
                return false;
        if (left - ROWS_HEADER_BYTES < key_length + value_length)
                return false;
        ret_row->operation = at[0];
        ret_row->table = at[1];
        ret_row->key = px_slice_of(at + ROWS_HEADER_BYTES, key_length);
        ret_row->value = px_slice_of(at + ROWS_HEADER_BYTES + key_length, value_length);
        *offset += ROWS_HEADER_BYTES + key_length + value_length;
        return true;
}
