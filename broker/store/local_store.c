/* SPDX-License-Identifier: Apache-2.0 */
/* local_store.c - the store thread: flushed groups into feed and LMDB. Layer: L3 (broker/store).
 * A transaction takes what has gathered, at 4 MB, after 100 ms or for a waiting view, cut between
 * batches so that it dirties at most 8,000 pages (a single batch may be larger). */
#include <errno.h>
#include <time.h>

#include "disk.h"
#include "local_inside.h"

#define HOUSEKEEPING_MS 60000
#define FEED_FLUSH_MS 5000
#define PASS_BYTES (16u << 20) /* applied since segments were last given up */
#define SPACE_WAIT_MS 100
#define APPLY_AMPLIFICATION 8 /* pages written for a byte of rows, at worst by experience */

/* ---- waiting ------------------------------------------------------------------------------------------ */

static bool apply_is_due(const struct local_log *local)
{
        if (!local_group_flushed(local, local->apply_next))
                return false;
        return local->bytes_flushed >= LOCAL_APPLY_BYTES || local->views_waiting > 0 ||
               local->store_stop ||
               disk_now_ms() - local->apply_next->since_ms >= LOCAL_APPLY_MS;
}

static void wait_ms(struct local_log *local, int64_t wait)
{
        struct timespec until;

        PX_ASSERT(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
        until.tv_sec += wait / 1000;
        until.tv_nsec += wait % 1000 * 1000000;
        if (until.tv_nsec >= 1000000000) {
                until.tv_sec++;
                until.tv_nsec -= 1000000000;
        }
        pthread_cond_timedwait(&local->store_wake, &local->mutex, &until);
}

/* Wait until something is to be applied (true), or for housekeeping or the end (false). */
static bool store_wait(struct local_log *local, int64_t housekeeping_ms)
{
        bool due;

        pthread_mutex_lock(&local->mutex);
        while (!(due = apply_is_due(local)) && !local->store_stop &&
               atomic_load(&local->fault) == 0) {
                int64_t now = disk_now_ms();
                int64_t wait = housekeeping_ms - now;

                if (wait <= 0)
                        break;
                if (local_group_flushed(local, local->apply_next))
                        wait = PX_MIN(wait,
                                      local->apply_next->since_ms + LOCAL_APPLY_MS - now);
                else
                        local->store_idles = true;
                if (wait > 0)
                        wait_ms(local, wait);
                local->store_idles = false;
        }
        pthread_mutex_unlock(&local->mutex);
        return due && atomic_load(&local->fault) == 0;
}

/* ---- the feed ------------------------------------------------------------------------------------------- */

static struct batch_group *feed_take_next(struct local_log *local, struct batch_group *done)
{
        struct batch_group *group;

        pthread_mutex_lock(&local->mutex);
        if (done != NULL)
                local->feed_next = local_group_after(local, done);
        group = local_group_flushed(local, local->feed_next) ? local->feed_next : NULL;
        pthread_mutex_unlock(&local->mutex);
        return group;
}

int local_feed_catch_up(struct local_log *local)
{
        struct batch_group *group = NULL;
        int result = 0;

        if (atomic_load(&local->fault) < 0)
                return atomic_load(&local->fault);
        feed_lock(&local->feed); /* one at a time; a group stays until it is applied, so until fed */
        while (result == 0 && (group = feed_take_next(local, group)) != NULL)
                result = feed_take(&local->feed, px_buf_slice(&group->records));
        feed_unlock(&local->feed);
        if (result < 0)
                local_fail(local, result);
        return result;
}

/* ---- applying -------------------------------------------------------------------------------------------- */

/* What goes into one transaction: from the first record not applied up to `group` at `offset`. */
struct apply {
        struct batch_group *group; /* where it stands; NULL = all that is flushed was taken */
        size_t offset;
        size_t rows;
        size_t bytes;
        struct journal_chain applied;
};

static size_t rows_count(struct px_slice rows)
{
        size_t offset = 0, count = 0;
        struct row row;

        while (rows_next(rows, &offset, &row))
                count++;
        return count;
}

static struct batch_group *apply_after(struct local_log *local, const struct batch_group *group)
{
        struct batch_group *next;

        pthread_mutex_lock(&local->mutex);
        next = local_group_after(local, group);
        if (next == local->feed_next) /* flushed since the feed caught up, or not at all */
                next = NULL;
        pthread_mutex_unlock(&local->mutex);
        return next;
}

/* The next record of the transaction; false when it is full or there is none. */
static bool apply_next_record(struct local_log *local, struct apply *apply,
                              struct journal_record *ret_record)
{
        size_t rows;

        while (apply->group != NULL && apply->offset == apply->group->records.length) {
                apply->group = apply_after(local, apply->group);
                apply->offset = 0;
        }
        if (apply->group == NULL)
                return false;
        journal_own_record(px_buf_slice(&apply->group->records), apply->offset, ret_record);
        rows = rows_count(ret_record->rows);
        if (apply->rows > 0 && (apply->rows + rows > LOCAL_APPLY_ROWS ||
                                apply->bytes + ret_record->bytes > LOCAL_APPLY_BYTES))
                return false;
        apply->rows += rows;
        apply->bytes += ret_record->bytes;
        apply->offset += ret_record->bytes;
        apply->applied = (struct journal_chain){ret_record->index, ret_record->crc};
        return true;
}

static int apply_transaction(struct local_log *local, struct apply *apply)
{
        struct journal_record record;
        MDB_txn *txn;
        int result = lmdb_apply_begin(&local->store, &txn);

        if (result < 0)
                return result;
        while (apply_next_record(local, apply, &record)) {
                result = lmdb_apply_rows(&local->store, txn, record.rows);
                if (result < 0) {
                        mdb_txn_abort(txn);
                        return result;
                }
        }
        return lmdb_apply_commit(&local->store, txn, apply->applied, local->epoch);
}

/* The transaction is durable: move on, tell who waits. */
static void apply_done(struct local_log *local, const struct apply *apply)
{
        bool tell = false;

        pthread_mutex_lock(&local->mutex);
        while (local->apply_next != NULL && local->apply_next != apply->group &&
               local->apply_next->index_last <= apply->applied.index) {
                size_t bytes = local->apply_next->records.length;

                local->bytes_unapplied -= bytes;
                local->bytes_flushed -= bytes;
                local->bytes_applied += bytes;
                local->bytes_not_passed += bytes;
                local->apply_next = local_group_after(local, local->apply_next);
        }
        if (local->apply_next != NULL)
                local->apply_next->applied = local->apply_next == apply->group ? apply->offset : 0;
        local->index_applied = apply->applied.index;
        tell = local->bytes_applied >= LOCAL_RECLAIM_BYTES;
        pthread_cond_broadcast(&local->applied_wake);
        pthread_mutex_unlock(&local->mutex);
        if (atomic_exchange(&local->told_behind, false))
                tell = true;
        if (tell)
                local_signal(local);
}

/* On a full disk applying waits: the journal has everything. At the end it is tried all the same. */
static bool store_has_space(struct local_log *local)
{
        bool takes;

        pthread_mutex_lock(&local->mutex);
        takes = space_takes(&local->space,
                            APPLY_AMPLIFICATION * PX_MIN(local->bytes_flushed, LOCAL_APPLY_BYTES));
        if (!takes && !local->store_stop)
                wait_ms(local, SPACE_WAIT_MS);
        takes = takes || local->store_stop;
        pthread_mutex_unlock(&local->mutex);
        return takes;
}

static int store_apply(struct local_log *local)
{
        struct apply apply = {0};
        int result = local_feed_catch_up(local);

        if (result < 0)
                return result;
        pthread_mutex_lock(&local->mutex);
        apply.group = local->apply_next;
        pthread_mutex_unlock(&local->mutex);
        PX_ASSERT(apply.group != NULL);
        apply.offset = apply.group->applied;
        if (!store_has_space(local))
                return 0;
        result = apply_transaction(local, &apply);
        if (result < 0)
                return result;
        apply_done(local, &apply);
        return 0;
}

/* ---- the thread --------------------------------------------------------------------------------------------- */

/* On a scarce disk passed segments are space that submits wait for; no later batch may come to free them. */
static void ask_for_trim(struct local_log *local)
{
        pthread_mutex_lock(&local->mutex);
        local->journal_trims = true;
        pthread_cond_signal(&local->journal_wake);
        pthread_mutex_unlock(&local->mutex);
}

/* Flush the feed and say how far journal segments are no longer needed. */
static int store_pass(struct local_log *local)
{
        uint64_t applied = local->store.applied.chain.index;
        int result = feed_flush(&local->feed);

        if (result < 0)
                return result;
        space_restore_ballast(&local->space);
        local->store.fed = feed_last(&local->feed);
        local->bytes_not_passed = 0;
        atomic_store(&local->passed, applied);
        if (!space_has_ballast(&local->space))
                ask_for_trim(local);
        return 0;
}

static int store_housekeeping(struct local_log *local)
{
        int dead;

        mdb_reader_check(local->store.env, &dead);
        return feed_retain(&local->feed);
}

static int store_round(struct local_log *local, int64_t *passed_ms, int64_t *housekeeping_ms)
{
        int64_t now;
        int result = 0;

        if (store_wait(local, PX_MIN(*housekeeping_ms, *passed_ms)))
                result = store_apply(local);
        now = disk_now_ms();
        if (result == 0 && (now >= *passed_ms || local->bytes_not_passed >= PASS_BYTES)) {
                result = store_pass(local);
                *passed_ms = now + FEED_FLUSH_MS;
        }
        if (result == 0 && now >= *housekeeping_ms) {
                result = store_housekeeping(local);
                *housekeeping_ms = now + HOUSEKEEPING_MS;
        }
        return result;
}

static bool store_is_done(struct local_log *local)
{
        bool done;

        pthread_mutex_lock(&local->mutex);
        done = local->store_stop && local->apply_next == NULL;
        pthread_mutex_unlock(&local->mutex);
        return done || atomic_load(&local->fault) < 0;
}

void *local_store_run(void *local_log)
{
        struct local_log *local = local_log;
        int64_t passed_ms = disk_now_ms() + FEED_FLUSH_MS;
        int64_t housekeeping_ms = disk_now_ms(); /* at a start, and each minute */
        int result = 0;

        while (result == 0 && !store_is_done(local))
                result = store_round(local, &passed_ms, &housekeeping_ms);
        if (result == 0 && atomic_load(&local->fault) == 0)
                result = store_pass(local);
        if (result < 0)
                local_fail(local, result);
        return NULL;
}
