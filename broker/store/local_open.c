/* SPDX-License-Identifier: Apache-2.0 */
/* local_open.c - opening the local log: what is refused, what is recovered, in which order.
 * Layer: L3 (broker/store).
 *
 * The directory's lock and file system first; then db/, made whole if the directory is new; then the
 * journal's chain is judged against what db/ has applied, before anything is changed; then its tail
 * goes into db/ and feed/; then the new epoch is flushed in a segment of its own, and after that
 * noted in db/ by a commit that also flushes what a killed process may have left unflushed. Only
 * then are old segments removed. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "disk.h"
#include "lmdb_check.h"
#include "local_inside.h"
#include "px_schema.h"
#include "state_mark.h"

#define JOURNAL_DIR "journal"
#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define DAY_MS (24ull * 60 * 60 * 1000)
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MAP_BYTES_DEFAULT GIB
#else
#define MAP_BYTES_DEFAULT (64 * GIB)
#endif

struct opening {
        struct px_log_options options; /* with defaults filled in */
        struct local_log *local;
        struct px_log_start *start;
        int64_t wall_ms;
        struct state_mark mark;

        /* the replay's transaction */
        MDB_txn *txn;
        size_t txn_rows;
        size_t txn_bytes;
        struct journal_chain txn_chain;
};

__attribute__((format(printf, 3, 4))) static int open_refuse(struct opening *opening, int code,
                                                             const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(opening->start->refusal, sizeof(opening->start->refusal), format, arguments);
        va_end(arguments);
        return code;
}

static void options_fill(struct px_log_options *options)
{
        if (options->map_bytes == 0)
                options->map_bytes = MAP_BYTES_DEFAULT;
        if (options->segment_bytes == 0)
                options->segment_bytes = 64 * MIB;
        if (options->ballast_bytes == 0)
                options->ballast_bytes = 64 * MIB;
        if (options->feed_keep_bytes == 0)
                options->feed_keep_bytes = 4 * GIB;
        if (options->feed_keep_events == 0)
                options->feed_keep_events = 10 * 1000 * 1000;
        if (options->feed_keep_ms == 0)
                options->feed_keep_ms = 7 * DAY_MS;
}

/* ---- the directory -------------------------------------------------------------------------------------- */

/* File systems whose flushes and locks can't be relied on. */
static const struct {
        unsigned long magic;
        const char *name;
} refused_filesystems[] = {
        {NFS_SUPER_MAGIC, "NFS"},       {SMB_SUPER_MAGIC, "SMB"},
        {0xff534d42, "CIFS"},           {0xfe534d42, "SMB2"},
        {V9FS_MAGIC, "9p"},             {0x65735546, "FUSE"},
        {OVERLAYFS_SUPER_MAGIC, "overlay"}, {CODA_SUPER_MAGIC, "Coda"},
        {AFS_SUPER_MAGIC, "AFS"},       {0x00c36400, "Ceph"},
        {NCP_SUPER_MAGIC, "NCP"},       {0x0bd00bd0, "Lustre"},
};

static int open_filesystem(struct opening *opening)
{
        struct statfs status;

        if (fstatfs(opening->local->dir_fd, &status) != 0)
                return -errno;
        if (opening->options.any_filesystem)
                return PX_OK;
        for (size_t i = 0; i < PX_COUNT_OF(refused_filesystems); i++)
                if ((uint32_t)status.f_type == (uint32_t)refused_filesystems[i].magic)
                        return open_refuse(opening, PX_E_INVALID,
                                           "%s is on a file system of type %s, where a flush does "
                                           "not promise that data lasts; choose a local directory, "
                                           "or accept the risk with --any-filesystem",
                                           opening->options.dir, refused_filesystems[i].name);
        return PX_OK;
}

static int open_directory(struct opening *opening)
{
        struct local_log *local = opening->local;
        int result;

        local->dir_fd = open(opening->options.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (local->dir_fd < 0)
                return -errno;
        if (flock(local->dir_fd, LOCK_EX | LOCK_NB) != 0) {
                if (errno != EWOULDBLOCK)
                        return -errno;
                return open_refuse(opening, PX_E_CONFLICT,
                                   "%s is in use by another broker; stop that one first",
                                   opening->options.dir);
        }
        result = open_filesystem(opening);
        if (result == PX_OK)
                result = disk_open_dir(local->dir_fd, JOURNAL_DIR, &local->journal_fd);
        if (result == PX_OK)
                result = disk_open_dir(local->dir_fd, FEED_DIR, &local->feed_fd);
        return result;
}

/* ---- db/ -------------------------------------------------------------------------------------------------- */

static int journal_is_empty(struct opening *opening, bool *ret_empty)
{
        uint64_t *numbers = NULL;
        size_t count = 0;
        int result = disk_list_numbered(opening->local->journal_fd, JOURNAL_SUFFIX,
                                        JOURNAL_SEGMENTS_MAX, &numbers, &count);

        px_free(numbers);
        *ret_empty = count == 0;
        return result;
}

static int open_check(struct opening *opening)
{
        struct lmdb_check_result check;
        int result = lmdb_check(opening->local->dir_fd, &opening->mark, &check);

        if (result == PX_E_VERSION)
                return open_refuse(opening, PX_E_VERSION, LMDB_STORE_FILE ": %s", check.text);
        if (result > 0)
                return open_refuse(opening, PX_E_DAMAGED,
                                   LMDB_STORE_FILE ": damaged, %s; restore it from a backup",
                                   check.text);
        return result;
}

static int open_store(struct opening *opening)
{
        struct local_log *local = opening->local;
        bool exists = faccessat(local->dir_fd, LMDB_STORE_FILE, F_OK, 0) == 0;
        bool empty;
        int result = journal_is_empty(opening, &empty);

        if (result < 0)
                return result;
        if (!exists && !empty)
                return open_refuse(opening, PX_E_DAMAGED,
                                   LMDB_STORE_FILE
                                   " is missing, though journal/ has segments; restore it from a "
                                   "backup");
        result = state_mark_take(local->dir_fd, &opening->mark);
        if (result == 0 && !exists) {
                opening->start->created = true;
                result = lmdb_store_create(local->dir_fd, opening->options.dir);
        }
        if (result == 0 && exists)
                result = open_check(opening);
        if (result == 0)
                result = lmdb_store_open(&local->store, opening->options.dir,
                                         opening->options.map_bytes, opening->start->refusal,
                                         sizeof(opening->start->refusal));
        if (result == 0)
                state_mark_boot(local->dir_fd);
        return result;
}

/* ---- the journal's tail ------------------------------------------------------------------------------------- */

static int open_journal(struct opening *opening)
{
        struct local_log *local = opening->local;
        const struct lmdb_applied *applied = &local->store.applied;
        struct journal_base base = {.applied = applied->chain, .started = applied->epoch > 0};

        _Static_assert(sizeof(opening->start->refusal) >= JOURNAL_REFUSAL_BYTES, "room for words");
        return journal_open(&local->journal, local->journal_fd, &base, opening->start->refusal);
}

static uint64_t journal_first(const struct journal *journal)
{
        return journal->segments_count == 0 ? 0 : journal->segments[0].previous.index;
}

static int open_feed(struct opening *opening)
{
        struct feed_limits limits = {.bytes = opening->options.feed_keep_bytes,
                                     .events = opening->options.feed_keep_events,
                                     .age_ms = opening->options.feed_keep_ms,
                                     .file_bytes = opening->options.feed_file_bytes};
        struct local_log *local = opening->local;
        int result = feed_open(&local->feed, local->feed_fd, &limits, local->store.applied.fed,
                               journal_first(&local->journal));

        if (result == 0)
                local->feed_opened = true;
        return result;
}

static int replay_commit(struct opening *opening)
{
        MDB_txn *txn = opening->txn;

        if (txn == NULL)
                return 0;
        opening->txn = NULL;
        opening->txn_rows = 0;
        opening->txn_bytes = 0;
        return lmdb_apply_commit(&opening->local->store, txn, opening->txn_chain,
                                 opening->local->store.applied.epoch);
}

static int replay_apply(struct opening *opening, const struct journal_record *record)
{
        struct lmdb_store *store = &opening->local->store;
        int result = 0;

        if (opening->txn_bytes + record->bytes > LOCAL_APPLY_BYTES)
                result = replay_commit(opening);
        if (result == 0 && opening->txn == NULL)
                result = lmdb_apply_begin(store, &opening->txn);
        if (result == 0)
                result = lmdb_apply_rows(store, opening->txn, record->rows);
        if (result < 0)
                return result;
        opening->txn_bytes += record->bytes;
        opening->txn_rows += record->rows.length / LOCAL_ROW_BYTES_MIN;
        opening->txn_chain = (struct journal_chain){record->index, record->crc};
        opening->start->replayed++;
        return opening->txn_rows > LOCAL_APPLY_ROWS ? replay_commit(opening) : 0;
}

static int replay_record(void *context, const struct journal_record *record)
{
        struct opening *opening = context;
        int result = feed_take_record(&opening->local->feed, record);

        if (result == 0 && record->index > opening->local->store.applied.chain.index)
                result = replay_apply(opening, record);
        return result;
}

static int open_replay(struct opening *opening)
{
        struct local_log *local = opening->local;
        uint64_t after = PX_MIN(local->store.applied.chain.index, feed_last(&local->feed).index);
        int result = journal_each(&local->journal, after, replay_record, opening);

        if (result == 0)
                result = replay_commit(opening);
        if (opening->txn != NULL)
                mdb_txn_abort(opening->txn);
        if (result == -EBADMSG)
                return open_refuse(opening, PX_E_VERSION,
                                   "journal/: a batch holds rows that this release does not know");
        if (result == 0)
                result = feed_write_out(&local->feed);
        if (result == 0)
                result = feed_flush(&local->feed);
        local->store.fed = feed_last(&local->feed);
        return result;
}

/* ---- the new epoch -------------------------------------------------------------------------------------------- */

static int open_epoch(struct opening *opening)
{
        struct local_log *local = opening->local;
        uint64_t stored = PX_MAX(local->journal.epoch, local->store.applied.epoch);
        uint64_t seconds = opening->wall_ms > 0 ? (uint64_t)opening->wall_ms / 1000 : 0;
        MDB_txn *txn;
        int result;

        local->epoch = PX_MAX(stored + 1, seconds);
        result = journal_begin(&local->journal, local->epoch, opening->options.segment_bytes);
        if (result == 0)
                result = lmdb_apply_begin(&local->store, &txn);
        if (result == 0)
                result = lmdb_apply_commit(&local->store, txn, local->journal.chain, local->epoch);
        if (result == 0)
                result = journal_trim(&local->journal, local->journal.chain.index);
        return result;
}

/* ---- threads ---------------------------------------------------------------------------------------------------- */

static void conditions_init(struct local_log *local)
{
        pthread_condattr_t attributes;

        PX_ASSERT(pthread_mutex_init(&local->mutex, NULL) == 0);
        PX_ASSERT(pthread_condattr_init(&attributes) == 0);
        PX_ASSERT(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
        PX_ASSERT(pthread_cond_init(&local->journal_wake, &attributes) == 0);
        PX_ASSERT(pthread_cond_init(&local->store_wake, &attributes) == 0);
        PX_ASSERT(pthread_cond_init(&local->applied_wake, &attributes) == 0);
        pthread_condattr_destroy(&attributes);
}

static int open_threads(struct opening *opening)
{
        struct local_log *local = opening->local;
        uint64_t index = local->journal.chain.index;
        int result;

        local->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (local->event_fd < 0)
                return -errno;
        local->index_submitted = index;
        local->index_last = index;
        local->index_applied = index;
        atomic_store(&local->durable, index);
        atomic_store(&local->passed, index);
        result = -pthread_create(&local->journal_thread, NULL, local_journal_run, local);
        if (result < 0)
                return result;
        result = -pthread_create(&local->store_thread, NULL, local_store_run, local);
        if (result < 0) {
                pthread_mutex_lock(&local->mutex);
                local->journal_stop = true;
                pthread_cond_signal(&local->journal_wake);
                pthread_mutex_unlock(&local->mutex);
                pthread_join(local->journal_thread, NULL);
        }
        return result;
}

/* ---- all of it ----------------------------------------------------------------------------------------------------- */

static int open_space(struct opening *opening)
{
        int result = space_init(&opening->local->space, opening->local->dir_fd,
                                opening->options.ballast_bytes, opening->options.segment_bytes);

        opening->local->space_opened = result == 0;
        return result;
}

static int open_all(struct opening *opening)
{
        static int (*const steps[])(struct opening *) = {
                open_directory, open_store, open_journal, open_feed,
                open_replay,    open_epoch, open_space,   open_threads,
        };
        int result = PX_OK;

        for (size_t i = 0; i < PX_COUNT_OF(steps) && result == PX_OK; i++)
                result = steps[i](opening);
        return result;
}

static struct local_log *local_new(void)
{
        struct local_log *local = px_alloc(sizeof(*local));

        local->log.calls = &local_calls;
        local->dir_fd = -1;
        local->journal_fd = -1;
        local->feed_fd = -1;
        local->event_fd = -1;
        local->journal.fd = -1;
        px_list_init(&local->groups);
        overlay_init(&local->overlay);
        conditions_init(local);
        return local;
}

static void close_fd(int fd)
{
        if (fd >= 0)
                close(fd);
}

void local_free(struct local_log *local)
{
        if (local->core_txn != NULL)
                mdb_txn_abort(local->core_txn);
        if (local->space_opened)
                space_fini(&local->space);
        if (local->feed_opened)
                feed_close(&local->feed);
        journal_close(&local->journal);
        lmdb_store_close(&local->store);
        overlay_fini(&local->overlay);
        local_free_groups(local);
        close_fd(local->event_fd);
        close_fd(local->feed_fd);
        close_fd(local->journal_fd);
        close_fd(local->dir_fd); /* last: the directory's lock goes with it */
        pthread_mutex_destroy(&local->mutex);
        pthread_cond_destroy(&local->journal_wake);
        pthread_cond_destroy(&local->store_wake);
        pthread_cond_destroy(&local->applied_wake);
        px_free(local);
}

int px_log_open_local(const struct px_log_options *options, int64_t wall_ms, struct px_log **ret_log,
                      struct px_log_start *ret_start)
{
        struct px_log_start start = {0};
        struct opening opening = {.options = *options, .start = &start, .wall_ms = wall_ms};
        int result;

        options_fill(&opening.options);
        opening.local = local_new();
        result = open_all(&opening);
        if (result != PX_OK) {
                local_free(opening.local);
                *ret_start = start; /* the words of a refusal */
                return result;
        }
        start.epoch = opening.local->epoch;
        start.index = opening.local->index_submitted;
        *ret_start = start;
        *ret_log = &opening.local->log;
        return PX_OK;
}
