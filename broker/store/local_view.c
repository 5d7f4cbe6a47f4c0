/* SPDX-License-Identifier: Apache-2.0 */
/* local_view.c - views of the local log: LMDB read transactions of any thread.
 * Layer: L3 (broker/store). */
#include <errno.h>
#include <time.h>

#include "local_inside.h"
#include "px_schema.h"

struct local_view {
        struct px_view view;
        struct local_log *local;
        MDB_txn *txn;
        uint64_t index;
        struct lmdb_walk walk;
};

static struct local_view *view_of(struct px_view *view)
{
        return PX_CONTAINER_OF(view, struct local_view, view);
}

/* Is batch `index`, with all before it, in LMDB? Under mutex. */
static bool view_applied(const struct local_log *local, uint64_t index)
{
        if (index > atomic_load(&local->durable))
                return false;
        return local->apply_next == NULL || local->apply_next->index_first > index ||
               local->index_applied >= index;
}

static int view_wait(struct local_log *local, uint64_t index, uint32_t timeout_ms)
{
        struct timespec until;
        int waited = 0;
        bool applied;

        PX_ASSERT(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
        until.tv_sec += timeout_ms / 1000;
        until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
        if (until.tv_nsec >= 1000000000) {
                until.tv_sec++;
                until.tv_nsec -= 1000000000;
        }
        pthread_mutex_lock(&local->mutex);
        local->views_waiting++;
        while (!(applied = view_applied(local, index)) && waited != ETIMEDOUT &&
               atomic_load(&local->fault) == 0) {
                pthread_cond_signal(&local->store_wake);
                waited = pthread_cond_timedwait(&local->applied_wake, &local->mutex, &until);
        }
        local->views_waiting--;
        pthread_mutex_unlock(&local->mutex);
        if (applied)
                return PX_OK;
        return atomic_load(&local->fault) < 0 ? atomic_load(&local->fault) : PX_E_BUSY;
}

int local_view_open(struct px_log *log, uint64_t index, uint32_t timeout_ms,
                    struct px_view **ret_view)
{
        struct local_log *local = local_of(log);
        struct lmdb_applied applied;
        struct local_view *view;
        int result = view_wait(local, index, timeout_ms);

        if (result != PX_OK)
                return result;
        view = px_alloc(sizeof(*view));
        view->view.calls = log->calls;
        view->local = local;
        result = mdb_txn_begin(local->store.env, NULL, MDB_RDONLY, &view->txn);
        result = result == MDB_SUCCESS ? lmdb_read_applied(&local->store, view->txn, &applied)
                                       : lmdb_fault(result);
        if (result != PX_OK) {
                local_view_close(&view->view);
                return result;
        }
        view->index = PX_MAX(index, applied.chain.index); /* batches without rows are not stored */
        *ret_view = &view->view;
        return PX_OK;
}

void local_view_close(struct px_view *view)
{
        struct local_view *local_view = view_of(view);

        lmdb_walk_close(&local_view->walk);
        if (local_view->txn != NULL)
                mdb_txn_abort(local_view->txn);
        px_free(local_view);
}

uint64_t local_view_index(const struct px_view *view)
{
        return PX_CONTAINER_OF(view, const struct local_view, view)->index;
}

int local_view_get(struct px_view *view, uint8_t table, struct px_slice key,
                   struct px_slice *ret_value)
{
        struct local_view *local_view = view_of(view);
        int result = lmdb_read(&local_view->local->store, local_view->txn, table, key, ret_value);

        if (result == PX_E_DAMAGED)
                lmdb_report_damaged(table, key);
        return result;
}

int local_view_seek(struct px_view *view, uint8_t table, struct px_slice from, bool reverse,
                    struct px_slice *ret_key, struct px_slice *ret_value)
{
        struct local_view *local_view = view_of(view);

        lmdb_walk_close(&local_view->walk);
        return lmdb_walk_open(&local_view->local->store, local_view->txn, table, reverse, from,
                              &local_view->walk, ret_key, ret_value);
}

int local_view_next(struct px_view *view, struct px_slice *ret_key, struct px_slice *ret_value)
{
        struct local_view *local_view = view_of(view);

        PX_ASSERT(local_view->walk.cursor != NULL); /* px_view_seek() comes first */
        return lmdb_walk_next(&local_view->walk, ret_key, ret_value);
}
