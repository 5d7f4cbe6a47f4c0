/* SPDX-License-Identifier: Apache-2.0 */
/* lmdb_store.h - the state: rows in LMDB, applied behind the journal. Layer: L3 (broker/store).
 * This file owns the format of db/data.mdb above LMDB's own (LMDB 0.9, data format 1).
 *
 * The named databases are those the schema gives its tables. A key is the table's code (one byte) and
 * the row's key; a value is sealed, integers big endian:
 *   offset 0  u8   version of the seal (1)
 *          1  u32  length of the row's value
 *          5  u32  crc32c over the whole key (with the code) and the row's value
 *          9  the row's value
 * Table 0 of database `meta` belongs to the store:
 *   "format"   u32 version of this format (1)
 *   "applied"  u64 index and u32 journal crc of the batch applied last · u64 epoch of the start that
 *              did it · u64 index and u32 position of an event that the feed held durably; written in
 *              the transaction that applies
 * LMDB runs with its default flushes; one process, one writing thread, no writable map. */
#ifndef PX_LMDB_STORE_H
#define PX_LMDB_STORE_H

#include <lmdb.h>

#include "journal_format.h"
#include "px_base.h"
#include "px_read.h"
#include "rows.h"

#define LMDB_STORE_DIR "db"
#define LMDB_STORE_FILE "db/data.mdb"
#define LMDB_STORE_VERSION 1
#define LMDB_STORE_DATABASES_MAX 6
#define LMDB_STORE_READERS_MAX 126
#define LMDB_SEAL_BYTES 9
#define LMDB_SEAL_VERSION 1
#define LMDB_KEY_BYTES_MAX (1 + ROWS_KEY_BYTES_MAX)

/* What "applied" holds. */
struct lmdb_applied {
        struct journal_chain chain;
        uint64_t epoch;
        struct px_event_number fed;
};

struct lmdb_store {
        MDB_env *env;
        MDB_dbi databases[LMDB_STORE_DATABASES_MAX];
        const char *names[LMDB_STORE_DATABASES_MAX]; /* borrowed from the schema */
        size_t databases_count;
        uint8_t database_of[256]; /* by table: number of its database + 1, 0 = none */
        struct lmdb_applied applied;
        struct px_event_number fed; /* goes into the next transaction's "applied" */
        uint64_t map_bytes;
};

/* Make db/ in dir_fd with empty databases: whole or not at all. */
int lmdb_store_create(int dir_fd, const char *dir);
/* Open db/ for reading and writing, or with map_bytes 0 only to read. `dir` is the directory's path.
 * Faults: -errno.
 * Refuses: PX_E_DAMAGED, PX_E_VERSION with words. */
int lmdb_store_open(struct lmdb_store *store, const char *dir, uint64_t map_bytes,
                    char *ret_refusal, size_t refusal_room);
void lmdb_store_close(struct lmdb_store *store); /* {0} is accepted */

/* A transaction that applies: begin, put rows of several batches, commit. Any fault aborts it and is
 * final for the store. */
int lmdb_apply_begin(struct lmdb_store *store, MDB_txn **ret_txn);
int lmdb_apply_rows(struct lmdb_store *store, MDB_txn *txn, struct px_slice rows);
int lmdb_apply_commit(struct lmdb_store *store, MDB_txn *txn, struct journal_chain applied,
                      uint64_t epoch);

/* Read in a transaction. ret_value is borrowed from it. Refuses: PX_E_ABSENT, PX_E_DAMAGED. */
int lmdb_read(const struct lmdb_store *store, MDB_txn *txn, uint8_t table, struct px_slice key,
              struct px_slice *ret_value);
int lmdb_read_applied(const struct lmdb_store *store, MDB_txn *txn, struct lmdb_applied *ret_applied);

/* Walk a table. Damaged rows are skipped, counted in `damaged` and named on standard error.
 * PX_E_ABSENT at the end of the table. */
struct lmdb_walk {
        MDB_cursor *cursor;
        uint8_t table;
        bool reverse;
        bool ended; /* no row was left: stays so */
        uint64_t damaged;
};
int lmdb_walk_open(const struct lmdb_store *store, MDB_txn *txn, uint8_t table, bool reverse,
                   struct px_slice from, struct lmdb_walk *walk, struct px_slice *ret_key,
                   struct px_slice *ret_value);
int lmdb_walk_next(struct lmdb_walk *walk, struct px_slice *ret_key, struct px_slice *ret_value);
void lmdb_walk_close(struct lmdb_walk *walk);

/* -errno of an LMDB result; its own codes become -EIO, -ENOSPC (map full) and the like. */
int lmdb_fault(int result);
/* Open a sealed value. PX_E_DAMAGED if it isn't what was sealed under this key. */
int lmdb_unseal(MDB_val key, MDB_val value, struct px_slice *ret_value);
/* Say on standard error, by name and once, that a row is damaged and set aside. */
void lmdb_report_damaged(uint8_t table, struct px_slice key);

#endif
