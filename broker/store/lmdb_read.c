/* SPDX-License-Identifier: Apache-2.0 */
/* lmdb_read.c - reading rows in an LMDB transaction, each checked against its seal.
 * Layer: L3 (broker/store). Format: lmdb_store.h. */
#include <stdatomic.h>
#include <stdio.h>

#include "lmdb_store.h"
#include "px_schema.h"

int lmdb_unseal(MDB_val key, MDB_val value, struct px_slice *ret_value)
{
        const uint8_t *at = value.mv_data;
        uint32_t crc;

        if (value.mv_size < LMDB_SEAL_BYTES || at[0] != LMDB_SEAL_VERSION)
                return PX_E_DAMAGED;
        if (px_get_be32(at + 1) != value.mv_size - LMDB_SEAL_BYTES)
                return PX_E_DAMAGED;
        crc = px_crc32c(0, key.mv_data, key.mv_size);
        crc = px_crc32c(crc, at + LMDB_SEAL_BYTES, value.mv_size - LMDB_SEAL_BYTES);
        if (px_get_be32(at + 5) != crc)
                return PX_E_DAMAGED;
        *ret_value = px_slice_of(at + LMDB_SEAL_BYTES, value.mv_size - LMDB_SEAL_BYTES);
        return PX_OK;
}

void lmdb_report_damaged(uint8_t table, struct px_slice key)
{
        /* Rows that were named already; two that share a place may be named again. */
        static _Atomic uint64_t reported[256];
        char hex[2 * ROWS_KEY_BYTES_MAX + 1] = "";
        uint64_t hash = px_hash64(table, key.data, key.length);

        if (atomic_exchange(&reported[hash % PX_COUNT_OF(reported)], hash) == hash)
                return;
        for (size_t i = 0; i < key.length && i < ROWS_KEY_BYTES_MAX; i++)
                snprintf(hex + 2 * i, 3, "%02x", key.data[i]);
        fprintf(stderr,
                LMDB_STORE_FILE ": table %s, row %s is damaged and was set aside\n",
                px_table_name(table), hex);
}

int lmdb_read(const struct lmdb_store *store, MDB_txn *txn, uint8_t table, struct px_slice key,
              struct px_slice *ret_value)
{
        uint8_t bytes[LMDB_KEY_BYTES_MAX];
        MDB_val lmdb_key = {.mv_size = key.length + 1, .mv_data = bytes};
        MDB_val value;
        int result;

        PX_ASSERT(key.length < LMDB_KEY_BYTES_MAX);
        PX_ASSERT(store->database_of[table] != 0);
        bytes[0] = table;
        if (key.length > 0)
                memcpy(bytes + 1, key.data, key.length);
        result = mdb_get(txn, store->databases[store->database_of[table] - 1], &lmdb_key, &value);
        if (result == MDB_NOTFOUND)
                return PX_E_ABSENT;
        if (result != MDB_SUCCESS)
                return lmdb_fault(result);
        return lmdb_unseal(lmdb_key, value, ret_value);
}

/* ---- walking a table ------------------------------------------------------------------------------------- */

/* From where the cursor stands (`result` of going there) to the first sound row of the table. */
static int walk_settle(struct lmdb_walk *walk, int result, MDB_val key, MDB_val value,
                       struct px_slice *ret_key, struct px_slice *ret_value)
{
        for (;;) {
                const uint8_t *at = key.mv_data;

                walk->ended = result != MDB_SUCCESS || key.mv_size < 1 || at[0] != walk->table;
                if (walk->ended)
                        return result == MDB_SUCCESS || result == MDB_NOTFOUND
                                       ? PX_E_ABSENT
                                       : lmdb_fault(result);
                *ret_key = px_slice_of(at + 1, key.mv_size - 1);
                if (lmdb_unseal(key, value, ret_value) == PX_OK)
                        return PX_OK;
                walk->damaged++;
                lmdb_report_damaged(walk->table, *ret_key);
                result = mdb_cursor_get(walk->cursor, &key, &value,
                                        walk->reverse ? MDB_PREV : MDB_NEXT);
        }
}

/* Go to the last row at or before `wanted`. */
static int walk_seek_back(struct lmdb_walk *walk, struct px_slice wanted, MDB_val *key,
                          MDB_val *value)
{
        int result = mdb_cursor_get(walk->cursor, key, value, MDB_SET_RANGE);

        if (result == MDB_NOTFOUND)
                return mdb_cursor_get(walk->cursor, key, value, MDB_LAST);
        if (result == MDB_SUCCESS &&
            px_slice_compare(px_slice_of(key->mv_data, key->mv_size), wanted) > 0)
                return mdb_cursor_get(walk->cursor, key, value, MDB_PREV);
        return result;
}

int lmdb_walk_open(const struct lmdb_store *store, MDB_txn *txn, uint8_t table, bool reverse,
                   struct px_slice from, struct lmdb_walk *walk, struct px_slice *ret_key,
                   struct px_slice *ret_value)
{
        uint8_t bytes[LMDB_KEY_BYTES_MAX];
        MDB_val key = {.mv_size = from.length + 1, .mv_data = bytes};
        MDB_val value = {0};
        int result;

        PX_ASSERT(from.length < LMDB_KEY_BYTES_MAX);
        PX_ASSERT(store->database_of[table] != 0);
        *walk = (struct lmdb_walk){.table = table, .reverse = reverse};
        bytes[0] = table;
        if (from.length > 0)
                memcpy(bytes + 1, from.data, from.length);
        result = mdb_cursor_open(txn, store->databases[store->database_of[table] - 1],
                                 &walk->cursor);
        if (result != MDB_SUCCESS)
                return lmdb_fault(result);
        result = reverse ? walk_seek_back(walk, px_slice_of(bytes, from.length + 1), &key, &value)
                         : mdb_cursor_get(walk->cursor, &key, &value, MDB_SET_RANGE);
        return walk_settle(walk, result, key, value, ret_key, ret_value);
}

int lmdb_walk_next(struct lmdb_walk *walk, struct px_slice *ret_key, struct px_slice *ret_value)
{
        MDB_val key = {0}, value = {0};
        int result;

        if (walk->ended)
                return PX_E_ABSENT;
        result = mdb_cursor_get(walk->cursor, &key, &value, walk->reverse ? MDB_PREV : MDB_NEXT);
        return walk_settle(walk, result, key, value, ret_key, ret_value);
}

void lmdb_walk_close(struct lmdb_walk *walk)
{
        if (walk->cursor != NULL)
                mdb_cursor_close(walk->cursor);
        walk->cursor = NULL;
}
