/* SPDX-License-Identifier: Apache-2.0 */
/* px_log.h - the only way to change state: submit a batch's rows and events, learn when it is durable.
 * Layer: L3 (broker/store). Two makers: px_log_local (journal + LMDB + event feed) and px_log_memory
 * (simulation). DESIGN 4. */
#ifndef PX_LOG_H
#define PX_LOG_H

#include "px_base.h"

struct px_log; /* opaque; owned by the core thread; px_log_read() of px_read.h gives its readers */

struct px_log_batch {
        uint64_t epoch;
        uint64_t index; /* 1 more than the last one submitted */
        struct px_slice rows;   /* format of rows.h; copied before the call returns */
        struct px_slice events; /* format of core.h; copied before the call returns */
        uint32_t events_count;
        bool here; /* flush in this call if no flush is under way: two changes of thread less */
};

/* Submit a batch. Rows are visible to px_read_get() of the core thread at once; the batch is durable
 * when px_log_durable() >= index. Waits for the disk only when asked to flush here; when the store is too
 * far behind (64 MB or 2 s) px_log_behind() is true and the caller stops reading commands. */
void px_log_submit(struct px_log *log, const struct px_log_batch *batch);
uint64_t px_log_durable(struct px_log *log);
bool px_log_behind(struct px_log *log);
/* < 0 once any write or flush failed: acknowledge nothing more, exit 74. */
int px_log_fault(struct px_log *log);
/* Readable (eventfd) when durable advanced, behind ended or a fault happened; cleared by
 * px_log_durable(). -1 for the memory log. */
int px_log_fd(struct px_log *log);
/* Is there room for submits: map, disk and ballast (DESIGN 4, admission). Cheap; re-measured at most
 * every 100 ms. Cancel, complete and purge go on when it is false. */
bool px_log_room(struct px_log *log);
/* Wait until all submitted batches are durable and applied, stop threads, close. NULL is accepted. */
void px_log_close(struct px_log *log);

/* ---- local --------------------------------------------------------------------------------------- */

struct px_log_options {
        const char *dir;            /* existing, private (0700); journal/, db/, feed/ are made inside */
        uint64_t map_bytes;         /* LMDB map size; 0 = 64 GiB (1 GiB under sanitizers) */
        uint64_t segment_bytes;     /* journal segment; 0 = 64 MiB */
        uint64_t ballast_bytes;     /* 0 = 64 MiB */
        uint64_t feed_keep_bytes;   /* 0 = 4 GB */
        uint64_t feed_keep_events;  /* 0 = 10 M */
        uint64_t feed_keep_ms;      /* 0 = 7 days */
        uint64_t feed_file_bytes;   /* removed as a whole; 0 = 64 MiB */
        bool any_filesystem;        /* accept network and overlay directories */
};

/* What a start found, for the shell to print and to begin from. */
struct px_log_start {
        uint64_t epoch;      /* for this start: max(stored + 1, wall seconds); already flushed */
        uint64_t index;      /* of the last durable batch; the next is index + 1 */
        uint64_t replayed;   /* batches re-applied from the journal's tail */
        bool created;        /* the directory was new */
        char refusal[512];   /* on a refusal: what, which file, offset or record, and what helps */
};

/* Open, recover, start the journal and store threads. LMDB's file is checked first by a child process
 * (lmdb_check.h says what is checked when), so open the log before other threads are started.
 * Faults:  -errno of the environment.
 * Refuses: PX_E_DAMAGED acknowledged data is damaged (exit 65, ret_start->refusal names segment and
 *          offset, record or page); PX_E_VERSION made by a newer release; PX_E_CONFLICT another
 *          broker holds the directory; PX_E_INVALID network or overlay file system. */
int px_log_open_local(const struct px_log_options *options, int64_t wall_ms, struct px_log **ret_log,
                      struct px_log_start *ret_start);

/* ---- memory (simulation) ---------------------------------------------------------------------------- */

/* Batches become durable by px_log_memory_flush(); a crash forgets those that are not, and the next
 * index is px_log_durable() + 1 again. The first index is 1. One thread only; no view may be open
 * during a flush. */
struct px_log *px_log_open_memory(void);
void px_log_memory_flush(struct px_log *log, uint64_t index);
void px_log_memory_crash(struct px_log *log);      /* drop what is not durable; close every view first */
void px_log_memory_fail(struct px_log *log, int fault); /* px_log_fault() answers this until a crash */
void px_log_memory_full(struct px_log *log, bool full); /* px_log_room() answers !full */

#endif
