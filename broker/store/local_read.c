/* SPDX-License-Identifier: Apache-2.0 */
/* local_read.c - the core thread's reading: rows not applied yet first, LMDB after.
 * Layer: L3 (broker/store). */
#include "local_inside.h"
#include "px_schema.h"

/* The core thread's own transaction, taken out for one read. */
static int read_begin(struct local_log *local, MDB_txn **ret_txn)
{
        int result = local->core_txn == NULL
                             ? mdb_txn_begin(local->store.env, NULL, MDB_RDONLY, &local->core_txn)
                             : mdb_txn_renew(local->core_txn);

        if (result != MDB_SUCCESS)
                return lmdb_fault(result);
        *ret_txn = local->core_txn;
        return 0;
}

int local_read_get(struct px_log *log, uint8_t table, struct px_slice key,
                   struct px_buf *ret_value)
{
        struct local_log *local = local_of(log);
        struct px_slice value;
        struct row row;
        MDB_txn *txn = NULL;
        int result;

        if (overlay_find(&local->overlay, table, key, &row)) {
                if (row.operation == ROWS_DELETE)
                        return PX_E_ABSENT;
                px_buf_append_slice(ret_value, row.value);
                return PX_OK;
        }
        result = read_begin(local, &txn);
        if (result < 0)
                return result;
        result = lmdb_read(&local->store, txn, table, key, &value);
        if (result == PX_OK)
                px_buf_append_slice(ret_value, value);
        if (result == PX_E_DAMAGED)
                lmdb_report_damaged(table, key);
        mdb_txn_reset(txn);
        return result;
}

/* ---- both merged, in key order ------------------------------------------------------------------------- */

struct merge {
        const struct row *rows; /* of the overlay */
        size_t rows_count;
        size_t at;
        struct lmdb_walk walk;
        bool stored; /* key and value are the next row of LMDB */
        struct px_slice key;
        struct px_slice value;
        struct px_slice prefix;
        bool (*visit)(void *context, struct px_slice key, struct px_slice value);
        void *context;
        bool stopped;
};

/* `result` of going to a row: is there one, and does it still begin with the prefix? */
static int merge_stored(struct merge *merge, int result)
{
        merge->stored = result == PX_OK && log_key_has_prefix(merge->key, merge->prefix);
        return result == PX_E_ABSENT ? PX_OK : result;
}

static int merge_stored_next(struct merge *merge)
{
        return merge_stored(merge, lmdb_walk_next(&merge->walk, &merge->key, &merge->value));
}

/* Visit the smaller of both heads; the overlay's row hides LMDB's of the same key. */
static int merge_step(struct merge *merge)
{
        const struct row *row = merge->at < merge->rows_count ? &merge->rows[merge->at] : NULL;
        int order = 1;

        if (row != NULL)
                order = merge->stored ? px_slice_compare(row->key, merge->key) : -1;
        if (order > 0) {
                merge->stopped = !merge->visit(merge->context, merge->key, merge->value);
                return merge_stored_next(merge);
        }
        merge->at++;
        if (row->operation == ROWS_PUT)
                merge->stopped = !merge->visit(merge->context, row->key, row->value);
        return order == 0 ? merge_stored_next(merge) : PX_OK;
}

static int merge_run(struct merge *merge)
{
        int result = PX_OK;

        while (result == PX_OK && !merge->stopped &&
               (merge->stored || merge->at < merge->rows_count))
                result = merge_step(merge);
        return result;
}

int local_read_each(struct px_log *log, uint8_t table, struct px_slice prefix,
                    bool (*visit)(void *context, struct px_slice key, struct px_slice value),
                    void *context, uint64_t *ret_damaged)
{
        struct local_log *local = local_of(log);
        struct px_buf rows = {0};
        struct merge merge = {.prefix = prefix, .visit = visit, .context = context};
        MDB_txn *txn;
        int result = mdb_txn_begin(local->store.env, NULL, MDB_RDONLY, &txn);

        if (result != MDB_SUCCESS)
                return lmdb_fault(result);
        overlay_collect(&local->overlay, table, prefix, &rows);
        merge.rows = (const struct row *)(const void *)rows.data;
        merge.rows_count = rows.length / sizeof(struct row);
        result = merge_stored(&merge, lmdb_walk_open(&local->store, txn, table, false, prefix,
                                                     &merge.walk, &merge.key, &merge.value));
        if (result == PX_OK)
                result = merge_run(&merge);
        if (ret_damaged != NULL)
                *ret_damaged = merge.walk.damaged;
        lmdb_walk_close(&merge.walk);
        mdb_txn_abort(txn);
        px_buf_fini(&rows);
        return result;
}
