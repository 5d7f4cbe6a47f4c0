/* SPDX-License-Identifier: Apache-2.0 */
/* space.c - see space.h. Layer: L3 (broker/store). */
#include "space.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "disk.h"

#define MEASURE_MS 100
#define AMPLIFICATION 4 /* pages that a byte of rows may dirty */
#define TRANSACTION_BYTES_MIN (1u << 20)
#define FREE_DATABASE 0 /* LMDB's own list of free pages */

/* Bytes that an ordinary user may still write; UINT64_MAX when the disk doesn't say. */
static uint64_t disk_free(const struct space *space)
{
        struct statvfs status;

        if (fstatvfs(space->dir_fd, &status) != 0)
                return UINT64_MAX;
        return (uint64_t)status.f_bavail * status.f_frsize;
}

static int ballast_make(struct space *space)
{
        int fd;
        int result = disk_open_file(space->dir_fd, SPACE_BALLAST, O_CREAT, &fd);

        if (result < 0)
                return result;
        result = -posix_fallocate(fd, 0, (off_t)space->ballast_bytes);
        close(fd);
        if (result < 0) {
                int removed = disk_remove(space->dir_fd, SPACE_BALLAST);

                return removed < 0 ? removed : result;
        }
        space->ballast = true;
        return 0;
}

int space_init(struct space *space, int dir_fd, uint64_t ballast_bytes, uint64_t segment_bytes)
{
        int result;

        *space = (struct space){.dir_fd = dir_fd,
                                .ballast_bytes = ballast_bytes,
                                .segment_bytes = segment_bytes};
        PX_ASSERT(pthread_mutex_init(&space->mutex, NULL) == 0);
        result = ballast_make(space);
        if (result == -ENOSPC)
                return 0; /* a start on a full disk: purging will help */
        if (result < 0)
                pthread_mutex_destroy(&space->mutex);
        return result;
}

void space_fini(struct space *space)
{
        pthread_mutex_destroy(&space->mutex);
}

/* ---- measuring --------------------------------------------------------------------------------------- */

/* Pages that LMDB may use again. A reader may still hold some; the rest of the map is its reserve. */
static uint64_t map_free_pages(const struct lmdb_store *store)
{
        MDB_cursor *cursor;
        MDB_txn *txn;
        MDB_val key, value;
        uint64_t pages = 0;

        if (mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn) != MDB_SUCCESS)
                return 0;
        if (mdb_cursor_open(txn, FREE_DATABASE, &cursor) == MDB_SUCCESS) {
                while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == MDB_SUCCESS) {
                        size_t count;

                        memcpy(&count, value.mv_data, sizeof(count));
                        pages += count;
                }
                mdb_cursor_close(cursor);
        }
        mdb_txn_abort(txn);
        return pages;
}

/* Bytes of pages that the map has left before submits stop. */
static uint64_t map_left(const struct lmdb_store *store)
{
        uint64_t limit = store->map_bytes / 1000 * SPACE_MAP_PERMILLE;
        uint64_t used, page;
        MDB_envinfo info;
        MDB_stat stat;

        if (mdb_env_info(store->env, &info) != MDB_SUCCESS ||
            mdb_env_stat(store->env, &stat) != MDB_SUCCESS)
                return 0;
        page = stat.ms_psize;
        used = (info.me_last_pgno + 1) * page;
        if (used > limit / 2)
                used -= PX_MIN(used, map_free_pages(store) * page);
        return limit - PX_MIN(limit, used);
}

static uint64_t disk_left(const struct space *space)
{
        uint64_t left = disk_free(space);

        return space->ballast ? left - PX_MIN(left, space->segment_bytes) : 0;
}

bool space_room(struct space *space, const struct lmdb_store *store, uint64_t unapplied_bytes,
                uint64_t submitted_bytes)
{
        int64_t now = disk_now_ms();
        bool room;

        pthread_mutex_lock(&space->mutex);
        if (space->measured_ms == 0 || now - space->measured_ms >= MEASURE_MS) {
                uint64_t budget = PX_MIN(map_left(store), disk_left(space)) / AMPLIFICATION;

                space->measured_ms = now;
                space->measured_bytes = submitted_bytes;
                space->budget_bytes = budget - PX_MIN(budget, unapplied_bytes);
        }
        room = submitted_bytes - space->measured_bytes < space->budget_bytes;
        pthread_mutex_unlock(&space->mutex);
        return room;
}

/* ---- ballast -------------------------------------------------------------------------------------------- */

bool space_has_ballast(struct space *space)
{
        bool ballast;

        pthread_mutex_lock(&space->mutex);
        ballast = space->ballast;
        pthread_mutex_unlock(&space->mutex);
        return ballast;
}

bool space_give_up_ballast(struct space *space)
{
        bool had;

        pthread_mutex_lock(&space->mutex);
        had = space->ballast && disk_remove(space->dir_fd, SPACE_BALLAST) == 0;
        space->ballast = false;
        space->budget_bytes = 0;
        pthread_mutex_unlock(&space->mutex);
        return had;
}

bool space_takes(struct space *space, uint64_t bytes)
{
        uint64_t needed = bytes + PX_MIN(TRANSACTION_BYTES_MIN, space->ballast_bytes / 4);

        if (disk_free(space) >= needed)
                return true;
        return space_give_up_ballast(space) && disk_free(space) >= needed;
}

void space_restore_ballast(struct space *space)
{
        pthread_mutex_lock(&space->mutex);
        if (!space->ballast &&
            disk_free(space) >= 2 * space->ballast_bytes + space->segment_bytes &&
            ballast_make(space) < 0)
                space->ballast = false;
        pthread_mutex_unlock(&space->mutex);
}
