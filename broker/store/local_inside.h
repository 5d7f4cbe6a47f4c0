/* SPDX-License-Identifier: Apache-2.0 */
/* local_inside.h - the local log's parts, shared by local_*.c only. Layer: L3 (broker/store).
 *
 * Three threads. The core thread fills groups of batches; the journal thread writes and flushes one
 * group at a time while the next one fills (the core thread does so itself when it has nothing else to
 * do); the store thread applies flushed groups to LMDB. All
 * groups stand in one list in the order of their indexes:
 *      applied ...  flushed ...  writing  open ...
 * The core thread takes applied ones off its front. What only one thread touches is marked with its
 * name below; the rest is under `mutex` or atomic. Whoever meets a fault sets it, and from then on
 * nothing more becomes durable. */
#ifndef PX_LOCAL_INSIDE_H
#define PX_LOCAL_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "batch_group.h"
#include "feed.h"
#include "journal.h"
#include "lmdb_store.h"
#include "log_inside.h"
#include "overlay.h"
#include "space.h"

#define LOCAL_BEHIND_BYTES (64u << 20)
#define LOCAL_BEHIND_MS 2000
#define LOCAL_APPLY_BYTES (4u << 20)
#define LOCAL_APPLY_MS 100
/* A row dirties at most its leaf and, in a split or a sparse tree, one page more: 8,000 pages. */
#define LOCAL_APPLY_ROWS 4000
#define LOCAL_ROW_BYTES_MIN 16 /* of a row in a write-set, but for words as keys */
#define LOCAL_RECLAIM_BYTES (256u << 10)

struct local_log {
        struct px_log log;
        int dir_fd;
        int journal_fd;
        int feed_fd;
        int event_fd;
        bool feed_opened;
        bool space_opened;
        pthread_t journal_thread;
        pthread_t store_thread;

        /* core thread */
        struct overlay overlay;
        uint64_t index_submitted;
        MDB_txn *core_txn; /* reset between reads */

        /* who set `journal_busy` */
        struct journal journal;

        /* store thread writes; anyone reads in transactions of their own */
        struct lmdb_store store;
        uint64_t epoch;
        uint64_t bytes_not_passed; /* applied since `passed` moved */

        struct feed feed;   /* locks itself */
        struct space space; /* locks itself */

        pthread_mutex_t mutex;
        pthread_cond_t journal_wake;
        pthread_cond_t store_wake;
        pthread_cond_t applied_wake; /* waiting views */
        struct px_link groups;
        struct batch_group *write_next; /* first open group, or the one being written */
        struct batch_group *feed_next;  /* first group whose events are not in the feed */
        struct batch_group *apply_next; /* first group not applied in full */
        bool writing;                   /* write_next is closed: somebody writes it */
        bool journal_busy;              /* somebody writes or trims */
        bool journal_waits;
        bool journal_trims; /* the journal thread is to remove passed segments now */
        bool store_idles; /* it waits for a flush, not for a time */
        bool journal_stop;
        bool store_stop;
        uint32_t views_waiting;
        uint64_t index_last;    /* submitted */
        uint64_t index_applied; /* last record of the last transaction */
        uint64_t bytes_submitted; /* in all */
        uint64_t bytes_unapplied;
        uint64_t bytes_flushed; /* of these, flushed */
        uint64_t bytes_applied; /* not yet taken off by the core thread */

        _Atomic uint64_t durable;
        _Atomic uint64_t passed; /* applied and in the feed, both durably */
        _Atomic int fault;
        atomic_bool signalled;
        atomic_bool told_behind;
};

struct local_log *local_of(struct px_log *log);

/* Set the fault, wake everybody. The first one stays. */
void local_fail(struct local_log *local, int fault);
/* Make event_fd readable. */
void local_signal(struct local_log *local);

/* The group after `group`; NULL at the end. Under mutex. */
struct batch_group *local_group_after(struct local_log *local, const struct batch_group *group);
bool local_group_flushed(const struct local_log *local, const struct batch_group *group);

/* Close what is open and free; the threads have ended or never ran. */
void local_free(struct local_log *local);
void local_free_groups(struct local_log *local);

void *local_journal_run(void *local_log);
/* Take the journal and close the first open group, for local_journal_write(). NULL: somebody has the
 * journal, there is no group, or a fault. Under mutex. */
struct batch_group *local_journal_claim(struct local_log *local);
/* Write and flush a claimed group and give the journal back. Faults: as set. */
void local_journal_write(struct local_log *local, struct batch_group *group);
void *local_store_run(void *local_log);
/* Put the events of flushed groups into the feed; any thread. */
int local_feed_catch_up(struct local_log *local);

/* local_read.c and local_view.c */
int local_read_get(struct px_log *log, uint8_t table, struct px_slice key,
                   struct px_buf *ret_value);
int local_read_each(struct px_log *log, uint8_t table, struct px_slice prefix,
                    bool (*visit)(void *context, struct px_slice key, struct px_slice value),
                    void *context, uint64_t *ret_damaged);
int local_view_open(struct px_log *log, uint64_t index, uint32_t timeout_ms,
                    struct px_view **ret_view);
void local_view_close(struct px_view *view);
uint64_t local_view_index(const struct px_view *view);
int local_view_get(struct px_view *view, uint8_t table, struct px_slice key,
                   struct px_slice *ret_value);
int local_view_seek(struct px_view *view, uint8_t table, struct px_slice from, bool reverse,
                    struct px_slice *ret_key, struct px_slice *ret_value);
int local_view_next(struct px_view *view, struct px_slice *ret_key, struct px_slice *ret_value);

extern const struct log_calls local_calls;

#endif
