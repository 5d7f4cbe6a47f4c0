/* SPDX-License-Identifier: Apache-2.0 */
/* dump.c - prints what a broker's data directory holds, and names what is damaged in it. Reads only.
 *
 *      plexus-dump [--db] [--journal] [--feed] [--table NAME] DIR     (no choice = all)
 *
 * db        one line a row: table, key in hex, value in readable form
 * journal   one line a record and one for each row in it
 * feed      one line an event
 * Exit status: 0 printed, 1 printed but something is damaged, 64 usage, 66 unreadable. A store that a broker
 * is using can be printed, too; its file is not checked then, since it changes meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "disk.h"
#include "feed.h"
#include "journal.h"
#include "lmdb_check.h"
#include "lmdb_store.h"
#include "log_inside.h"
#include "px_codec.h"
#include "px_schema.h"
#include "px_tables.h"

enum {
        EXIT_PRINTED = 0,
        EXIT_DAMAGE = 1,
        EXIT_USAGE = 64,
        EXIT_UNREADABLE = 66,
};

struct dump {
        const char *dir;
        int dir_fd;
        bool db;
        bool journal;
        bool feed;
        int table; /* only this one; 0 = all */
        bool in_use;
        bool damaged;
        bool unreadable;
        struct lmdb_applied applied;
        struct px_buf line;
};

static void say_fault(struct dump *dump, const char *what, int fault)
{
        fprintf(stderr, "plexus-dump: %s: %s\n", what, strerror(-fault));
        dump->unreadable = true;
}

static void say_damage(struct dump *dump, const char *text)
{
        fprintf(stderr, "plexus-dump: %s\n", text);
        dump->damaged = true;
}

static void print_row(struct dump *dump, const char *before, uint8_t table, struct px_slice key,
                      const struct px_slice *value)
{
        px_buf_reset(&dump->line);
        px_buf_format(&dump->line, "%s%s ", before, px_table_name(table));
        for (size_t i = 0; i < key.length; i++)
                px_buf_format(&dump->line, "%02x", key.data[i]);
        px_buf_append_text(&dump->line, " ");
        if (value != NULL)
                px_row_print(&dump->line, table, *value);
        px_buf_append_text(&dump->line, "\n");
        fwrite(dump->line.data, 1, dump->line.length, stdout);
}

/* ---- db ------------------------------------------------------------------------------------------------ */

static void dump_table(struct dump *dump, const struct lmdb_store *store, MDB_txn *txn,
                       uint8_t table)
{
        struct lmdb_walk walk;
        struct px_slice key, value;
        int result = lmdb_walk_open(store, txn, table, false, PX_SLICE_NONE, &walk, &key, &value);

        while (result == PX_OK) {
                print_row(dump, "", table, key, &value);
                result = lmdb_walk_next(&walk, &key, &value);
        }
        if (result < 0)
                say_fault(dump, LMDB_STORE_FILE, result);
        dump->damaged |= walk.damaged > 0;
        lmdb_walk_close(&walk);
}

static void dump_rows(struct dump *dump, const struct lmdb_store *store)
{
        MDB_txn *txn;
        int result = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);

        if (result != MDB_SUCCESS) {
                say_fault(dump, LMDB_STORE_FILE, lmdb_fault(result));
                return;
        }
        printf("applied batch %" PRIu64 " epoch %" PRIu64 "\n", dump->applied.chain.index,
               dump->applied.epoch);
        for (int table = 1; table < 256; table++)
                if (store->database_of[table] != 0 && (dump->table == 0 || dump->table == table))
                        dump_table(dump, store, txn, (uint8_t)table);
        mdb_txn_abort(txn);
}

/* True when the file may be opened. */
static bool check_db(struct dump *dump)
{
        static const struct state_mark no_mark;
        struct lmdb_check_result check;
        char text[400];
        int result;

        if (dump->in_use)
                return true;
        result = lmdb_check(dump->dir_fd, &no_mark, &check);
        if (result < 0)
                say_fault(dump, LMDB_STORE_FILE, result);
        if (result > 0) {
                snprintf(text, sizeof(text), LMDB_STORE_FILE ": %s", check.text);
                say_damage(dump, text);
        }
        return result == PX_OK;
}

static void dump_db(struct dump *dump)
{
        struct lmdb_store store;
        char refusal[512] = "";
        int result;

        if (!check_db(dump))
                return;
        result = lmdb_store_open(&store, dump->dir, 0, refusal, sizeof(refusal));
        if (result < 0)
                say_fault(dump, LMDB_STORE_FILE, result);
        if (result > 0)
                say_damage(dump, refusal);
        if (result != PX_OK)
                return;
        dump->applied = store.applied;
        if (dump->db)
                dump_rows(dump, &store);
        lmdb_store_close(&store);
}

/* ---- journal ---------------------------------------------------------------------------------------------- */

static int dump_record(void *context, const struct journal_record *record)
{
        struct dump *dump = context;
        size_t offset = 0;
        struct row row;

        printf("batch %" PRIu64 " epoch %" PRIu64 " flushed %" PRIu64 " rows %zu bytes events %" PRIu32
               "\n",
               record->index, record->epoch, record->flushed, record->rows.length,
               record->events_count);
        while (rows_next(record->rows, &offset, &row))
                print_row(dump, row.operation == ROWS_PUT ? "  put " : "  delete ", row.table,
                          row.key, row.operation == ROWS_PUT ? &row.value : NULL);
        if (offset != record->rows.length)
                say_damage(dump, "journal/: the rows of the last batch above are malformed");
        return 0;
}

static void dump_journal(struct dump *dump)
{
        struct journal_base base = {.applied = dump->applied.chain,
                                    .started = dump->applied.epoch > 0};
        struct journal journal;
        char refusal[JOURNAL_REFUSAL_BYTES] = "";
        int fd = openat(dump->dir_fd, "journal", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int result;

        if (fd < 0) {
                say_fault(dump, "journal", -errno);
                return;
        }
        result = journal_open(&journal, fd, &base, refusal);
        if (result == PX_OK) {
                result = journal_each(&journal, 0, dump_record, dump);
                journal_close(&journal);
        }
        if (result < 0)
                say_fault(dump, "journal", result);
        if (result > 0)
                say_damage(dump, refusal);
        close(fd);
}

/* ---- feed ------------------------------------------------------------------------------------------------------ */

static void dump_event(struct dump *dump, struct px_slice bytes)
{
        struct px_arena arena = {0};
        struct px_event event = {0};

        if (px_event_decode(bytes, &arena, &event) != PX_WIRE_OK) {
                say_damage(dump, "feed/: an event that does not decode");
        } else {
                px_buf_reset(&dump->line);
                px_buf_format(&dump->line, "event %" PRIu64 ".%" PRIu32 " %s ", event.index,
                              event.position, px_event_name(event.kind));
                px_layout_print(&dump->line, &px_event_layout, &event);
                px_buf_append_text(&dump->line, "\n");
                fwrite(dump->line.data, 1, dump->line.length, stdout);
        }
        px_arena_fini(&arena);
}

static void dump_feed_file(struct dump *dump, int fd, uint64_t number, bool last)
{
        struct px_buf bytes = {0};
        struct feed_file file;
        struct feed_record record;
        char name[DISK_NAME_BYTES], text[200];
        uint32_t crc = 0;
        size_t offset = FEED_HEADER_BYTES;
        int result;

        result = disk_read_file(fd, disk_numbered_name(name, number, FEED_SUFFIX), &bytes);
        if (result < 0) {
                say_fault(dump, name, result);
                return;
        }
        if (!feed_get_header(px_buf_slice(&bytes), &file, &crc))
                offset = 0;
        while (offset > 0 && feed_get_record(px_buf_slice(&bytes), offset, &record) &&
               record.previous_crc == crc) {
                struct px_slice event;
                size_t at = 0;

                while (log_event_next(record.events, &at, &event))
                        dump_event(dump, event);
                crc = record.crc;
                offset += record.bytes;
        }
        if (offset < bytes.length && !(last && dump->in_use)) {
                snprintf(text, sizeof(text), FEED_DIR "/%s: damaged, or torn, at offset %zu", name,
                         offset);
                say_damage(dump, text);
        }
        px_buf_fini(&bytes);
}

static void dump_feed(struct dump *dump)
{
        uint64_t *numbers = NULL;
        size_t count = 0;
        int fd = openat(dump->dir_fd, FEED_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int result;

        if (fd < 0) {
                say_fault(dump, FEED_DIR, -errno);
                return;
        }
        result = disk_list_numbered(fd, FEED_SUFFIX, FEED_FILES_MAX, &numbers, &count);
        if (result < 0)
                say_fault(dump, FEED_DIR, result);
        for (size_t i = 0; i < count; i++)
                dump_feed_file(dump, fd, numbers[i], i + 1 == count);
        px_free(numbers);
        close(fd);
}

/* ---- the program ------------------------------------------------------------------------------------------------ */

static int usage(void)
{
        fprintf(stderr, "usage: plexus-dump [--db] [--journal] [--feed] [--table NAME] DIR\n");
        return EXIT_USAGE;
}

static bool options_read(struct dump *dump, int argc, char **argv)
{
        for (int i = 1; i < argc; i++) {
                if (strcmp(argv[i], "--db") == 0) {
                        dump->db = true;
                } else if (strcmp(argv[i], "--journal") == 0) {
                        dump->journal = true;
                } else if (strcmp(argv[i], "--feed") == 0) {
                        dump->feed = true;
                } else if (strcmp(argv[i], "--table") == 0 && i + 1 < argc) {
                        dump->db = true;
                        dump->table = px_table_from_name(px_slice_text(argv[++i]));
                        if (dump->table <= 0)
                                return false;
                } else if (argv[i][0] != '-' && dump->dir == NULL) {
                        dump->dir = argv[i];
                } else {
                        return false;
                }
        }
        if (!dump->db && !dump->journal && !dump->feed)
                dump->db = dump->journal = dump->feed = true;
        return dump->dir != NULL;
}

int main(int argc, char **argv)
{
        struct dump dump = {0};

        if (!options_read(&dump, argc, argv))
                return usage();
        dump.dir_fd = open(dump.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dump.dir_fd < 0) {
                say_fault(&dump, dump.dir, -errno);
                return EXIT_UNREADABLE;
        }
        dump.in_use = flock(dump.dir_fd, LOCK_SH | LOCK_NB) != 0;
        if (dump.db || dump.journal)
                dump_db(&dump);
        flock(dump.dir_fd, LOCK_UN); /* a broker may start now */
        if (dump.journal)
                dump_journal(&dump);
        if (dump.feed)
                dump_feed(&dump);
        px_buf_fini(&dump.line);
        close(dump.dir_fd);
        if (dump.unreadable)
                return EXIT_UNREADABLE;
        return dump.damaged ? EXIT_DAMAGE : EXIT_PRINTED;
}
