/* SPDX-License-Identifier: Apache-2.0 */
/* lmdb_store.c - making, opening and applying to the LMDB store. Layer: L3 (broker/store).
 * Reading: lmdb_read.c. Format: lmdb_store.h. */
#include "lmdb_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "px_schema.h"

#define CREATE_DIR "db.new"
#define CREATE_MAP_BYTES (4u << 20)
#define OWN_TABLE 0 /* rows of the store itself, in database meta */
#define META_DATABASE "meta"
#define APPLIED_BYTES 32
#define PATH_ROOM 4200

int lmdb_fault(int result)
{
        PX_ASSERT(result != MDB_SUCCESS);
        switch (result) {
        case MDB_MAP_FULL:
                return -ENOSPC;
        case MDB_TXN_FULL:
        case MDB_DBS_FULL:
        case MDB_READERS_FULL:
                return -ENOBUFS;
        default:
                return result > 0 ? -result : -EIO;
        }
}

/* ---- databases --------------------------------------------------------------------------------------- */

static size_t database_find(struct lmdb_store *store, const char *name)
{
        for (size_t i = 0; i < store->databases_count; i++)
                if (strcmp(store->names[i], name) == 0)
                        return i;
        PX_ASSERT(store->databases_count < LMDB_STORE_DATABASES_MAX);
        store->names[store->databases_count] = name;
        return store->databases_count++;
}

/* Which databases the schema's tables need; `meta` is the first. */
static void databases_list(struct lmdb_store *store)
{
        store->database_of[OWN_TABLE] = (uint8_t)(database_find(store, META_DATABASE) + 1);
        for (int table = 1; table < 256; table++) {
                const char *name = px_table_db(table);

                if (strcmp(name, "?") != 0)
                        store->database_of[table] = (uint8_t)(database_find(store, name) + 1);
        }
}

static int databases_open(struct lmdb_store *store, MDB_txn *txn, unsigned flags)
{
        for (size_t i = 0; i < store->databases_count; i++) {
                int result = mdb_dbi_open(txn, store->names[i], flags, &store->databases[i]);

                if (result != MDB_SUCCESS)
                        return result;
        }
        return MDB_SUCCESS;
}

static void key_make(uint8_t ret_bytes[LMDB_KEY_BYTES_MAX], uint8_t table, struct px_slice key,
                     MDB_val *ret_key)
{
        PX_ASSERT(key.length < LMDB_KEY_BYTES_MAX);
        ret_bytes[0] = table;
        if (key.length > 0)
                memcpy(ret_bytes + 1, key.data, key.length);
        *ret_key = (MDB_val){.mv_size = key.length + 1, .mv_data = ret_bytes};
}

static int row_put(struct lmdb_store *store, MDB_txn *txn, const struct row *row)
{
        uint8_t bytes[LMDB_KEY_BYTES_MAX];
        MDB_val key, value = {.mv_size = LMDB_SEAL_BYTES + row->value.length};
        MDB_dbi database = store->databases[store->database_of[row->table] - 1];
        uint32_t crc;
        uint8_t *at;
        int result;

        key_make(bytes, row->table, row->key, &key);
        result = mdb_put(txn, database, &key, &value, MDB_RESERVE);
        if (result != MDB_SUCCESS)
                return result;
        crc = px_crc32c(0, key.mv_data, key.mv_size);
        crc = px_crc32c(crc, row->value.data, row->value.length);
        at = value.mv_data;
        at[0] = LMDB_SEAL_VERSION;
        px_put_be32(at + 1, (uint32_t)row->value.length);
        px_put_be32(at + 5, crc);
        if (row->value.length > 0)
                memcpy(at + LMDB_SEAL_BYTES, row->value.data, row->value.length);
        return MDB_SUCCESS;
}

static int row_delete(struct lmdb_store *store, MDB_txn *txn, const struct row *row)
{
        uint8_t bytes[LMDB_KEY_BYTES_MAX];
        MDB_val key;
        int result;

        key_make(bytes, row->table, row->key, &key);
        result = mdb_del(txn, store->databases[store->database_of[row->table] - 1], &key, NULL);
        return result == MDB_NOTFOUND ? MDB_SUCCESS : result;
}

static int own_put(struct lmdb_store *store, MDB_txn *txn, const char *name, struct px_slice value)
{
        struct row row = {.operation = ROWS_PUT,
                          .table = OWN_TABLE,
                          .key = px_slice_text(name),
                          .value = value};

        return row_put(store, txn, &row);
}

static int applied_put(struct lmdb_store *store, MDB_txn *txn, const struct lmdb_applied *applied)
{
        uint8_t bytes[APPLIED_BYTES];

        px_put_be64(bytes, applied->chain.index);
        px_put_be32(bytes + 8, applied->chain.crc);
        px_put_be64(bytes + 12, applied->epoch);
        px_put_be64(bytes + 20, applied->fed.index);
        px_put_be32(bytes + 28, applied->fed.position);
        return own_put(store, txn, "applied", px_slice_of(bytes, sizeof(bytes)));
}

int lmdb_read_applied(const struct lmdb_store *store, MDB_txn *txn, struct lmdb_applied *ret_applied)
{
        struct px_slice value;
        int result = lmdb_read(store, txn, OWN_TABLE, px_slice_text("applied"), &value);

        if (result != PX_OK)
                return result;
        if (value.length != APPLIED_BYTES)
                return PX_E_DAMAGED;
        ret_applied->chain.index = px_get_be64(value.data);
        ret_applied->chain.crc = px_get_be32(value.data + 8);
        ret_applied->epoch = px_get_be64(value.data + 12);
        ret_applied->fed.index = px_get_be64(value.data + 20);
        ret_applied->fed.position = px_get_be32(value.data + 28);
        return PX_OK;
}

/* ---- making ---------------------------------------------------------------------------------------------- */

static int create_fill(struct lmdb_store *store)
{
        static const struct lmdb_applied nothing;
        uint8_t version[4];
        MDB_txn *txn;
        int result = mdb_txn_begin(store->env, NULL, 0, &txn);

        if (result != MDB_SUCCESS)
                return result;
        px_put_be32(version, LMDB_STORE_VERSION);
        result = databases_open(store, txn, MDB_CREATE);
        if (result == MDB_SUCCESS)
                result = own_put(store, txn, "format", px_slice_of(version, sizeof(version)));
        if (result == MDB_SUCCESS)
                result = applied_put(store, txn, &nothing);
        if (result != MDB_SUCCESS) {
                mdb_txn_abort(txn);
                return result;
        }
        return mdb_txn_commit(txn);
}

/* map_bytes 0: only to read, with the size that the file says. */
static int env_new(struct lmdb_store *store, const char *path, uint64_t map_bytes)
{
        unsigned flags = MDB_NOTLS | (map_bytes == 0 ? MDB_RDONLY : 0u);
        int result = mdb_env_create(&store->env);

        if (result != MDB_SUCCESS)
                return result;
        result = mdb_env_set_maxdbs(store->env, LMDB_STORE_DATABASES_MAX);
        if (result == MDB_SUCCESS && map_bytes > 0)
                result = mdb_env_set_mapsize(store->env, map_bytes);
        if (result == MDB_SUCCESS)
                result = mdb_env_set_maxreaders(store->env, LMDB_STORE_READERS_MAX);
        if (result == MDB_SUCCESS)
                result = mdb_env_open(store->env, path, flags, 0600);
        return result;
}

static int create_in(int create_fd, const char *dir)
{
        struct lmdb_store store = {0};
        char path[PATH_ROOM];
        int result;

        snprintf(path, sizeof(path), "%s/" CREATE_DIR, dir);
        databases_list(&store);
        result = env_new(&store, path, CREATE_MAP_BYTES);
        if (result == MDB_SUCCESS)
                result = create_fill(&store);
        if (store.env != NULL)
                mdb_env_close(store.env);
        if (result != MDB_SUCCESS)
                return lmdb_fault(result);
        return disk_sync_dir(create_fd);
}

int lmdb_store_create(int dir_fd, const char *dir)
{
        int create_fd;
        int result = disk_open_dir(dir_fd, CREATE_DIR, &create_fd);

        if (result < 0)
                return result;
        result = disk_remove(create_fd, "data.mdb"); /* of a creation that was cut short */
        if (result == 0)
                result = disk_remove(create_fd, "lock.mdb");
        if (result == 0)
                result = create_in(create_fd, dir);
        close(create_fd);
        if (result < 0)
                return result;
        if (renameat(dir_fd, CREATE_DIR, dir_fd, LMDB_STORE_DIR) != 0)
                return -errno;
        return disk_sync_dir(dir_fd);
}

/* ---- opening ------------------------------------------------------------------------------------------------ */

/* LMDB leaves some of its files open across exec: T13. */
static int close_on_exec(const char *path)
{
        DIR *dir = opendir("/proc/self/fd");
        const struct dirent *entry;
        size_t length = strlen(path);

        if (dir == NULL)
                return -errno;
        while ((entry = readdir(dir)) != NULL) {
                char target[PATH_ROOM];
                ssize_t got = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target));
                int fd = atoi(entry->d_name);

                if (got > (ssize_t)length && memcmp(target, path, length) == 0 &&
                    fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
                        int result = -errno;

                        closedir(dir);
                        return result;
                }
        }
        closedir(dir);
        return 0;
}

static int open_check_version(struct lmdb_store *store, MDB_txn *txn)
{
        struct px_slice value;
        int result = lmdb_read(store, txn, OWN_TABLE, px_slice_text("format"), &value);

        if (result != PX_OK)
                return result;
        if (value.length != 4)
                return PX_E_DAMAGED;
        return px_get_be32(value.data) > LMDB_STORE_VERSION ? PX_E_VERSION : PX_OK;
}

static int open_read(struct lmdb_store *store, char *ret_refusal, size_t refusal_room)
{
        MDB_txn *txn;
        int result = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);

        if (result != MDB_SUCCESS)
                return lmdb_fault(result);
        result = databases_open(store, txn, 0);
        if (result == MDB_NOTFOUND) {
                mdb_txn_abort(txn);
                snprintf(ret_refusal, refusal_room,
                         LMDB_STORE_FILE " is not a store of Plexus, or of another release");
                return PX_E_DAMAGED;
        }
        result = result == MDB_SUCCESS ? open_check_version(store, txn) : lmdb_fault(result);
        if (result == PX_OK)
                result = lmdb_read_applied(store, txn, &store->applied);
        if (result == PX_E_VERSION)
                snprintf(ret_refusal, refusal_room,
                         LMDB_STORE_FILE " was written by a newer release of Plexus");
        else if (result > 0)
                snprintf(ret_refusal, refusal_room,
                         LMDB_STORE_FILE ": the record of what was applied (database meta) is "
                                         "damaged; restore it from a backup");
        if (result > 0 && result != PX_E_VERSION)
                result = PX_E_DAMAGED;
        if (result == PX_OK)
                mdb_txn_commit(txn); /* keeps the database handles */
        else
                mdb_txn_abort(txn);
        return result;
}

static int open_env(struct lmdb_store *store, const char *dir, uint64_t map_bytes,
                    char *ret_refusal, size_t refusal_room)
{
        char path[PATH_ROOM], real[PATH_ROOM];
        int result;

        snprintf(path, sizeof(path), "%s/" LMDB_STORE_DIR, dir);
        result = env_new(store, path, map_bytes);
        if (result == MDB_VERSION_MISMATCH || result == MDB_INVALID) {
                snprintf(ret_refusal, refusal_room, LMDB_STORE_FILE ": %s", mdb_strerror(result));
                return PX_E_DAMAGED;
        }
        if (result != MDB_SUCCESS)
                return lmdb_fault(result);
        if (realpath(path, real) == NULL)
                return -errno;
        return close_on_exec(real);
}

int lmdb_store_open(struct lmdb_store *store, const char *dir, uint64_t map_bytes,
                    char *ret_refusal, size_t refusal_room)
{
        MDB_envinfo info;
        int result;

        *store = (struct lmdb_store){0};
        databases_list(store);
        result = open_env(store, dir, map_bytes, ret_refusal, refusal_room);
        if (result == PX_OK)
                result = open_read(store, ret_refusal, refusal_room);
        store->fed = store->applied.fed;
        if (result == PX_OK && mdb_env_info(store->env, &info) == MDB_SUCCESS)
                store->map_bytes = info.me_mapsize;
        if (result != PX_OK)
                lmdb_store_close(store);
        return result;
}

void lmdb_store_close(struct lmdb_store *store)
{
        if (store->env != NULL)
                mdb_env_close(store->env);
        *store = (struct lmdb_store){0};
}

/* ---- applying -------------------------------------------------------------------------------------------------- */

int lmdb_apply_begin(struct lmdb_store *store, MDB_txn **ret_txn)
{
        int result = mdb_txn_begin(store->env, NULL, 0, ret_txn);

        return result == MDB_SUCCESS ? 0 : lmdb_fault(result);
}

int lmdb_apply_rows(struct lmdb_store *store, MDB_txn *txn, struct px_slice rows)
{
        size_t offset = 0;
        struct row row;

        while (rows_next(rows, &offset, &row)) {
                int result;

                if (store->database_of[row.table] == 0 || row.table == OWN_TABLE)
                        return -EBADMSG; /* written by another release, or a bug */
                result = row.operation == ROWS_PUT ? row_put(store, txn, &row)
                                                   : row_delete(store, txn, &row);
                if (result != MDB_SUCCESS)
                        return lmdb_fault(result);
        }
        return offset == rows.length ? 0 : -EBADMSG;
}

int lmdb_apply_commit(struct lmdb_store *store, MDB_txn *txn, struct journal_chain chain,
                      uint64_t epoch)
{
        struct lmdb_applied applied = {.chain = chain, .epoch = epoch, .fed = store->fed};
        int result;

        PX_ASSERT(chain.index >= store->applied.chain.index);
        result = applied_put(store, txn, &applied);
        if (result != MDB_SUCCESS) {
                mdb_txn_abort(txn);
                return lmdb_fault(result);
        }
        result = mdb_txn_commit(txn);
        if (result != MDB_SUCCESS)
                return lmdb_fault(result);
        store->applied = applied;
        return 0;
}
