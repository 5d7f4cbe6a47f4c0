/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_space.c - a full map stops submits, not the store; what is damaged or newer is refused in
 * words. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "px_log.h"
#include "px_read.h"
#include "px_schema.h"
#include "rows.h"
#include "store_tool.h"
#include "test.h"

#define MIB (1u << 20)

static struct px_log *opened;
static uint64_t index_last;

static void log_end(void *nothing)
{
        (void)nothing;
        px_log_close(opened);
        opened = NULL;
}

static int log_open(const char *dir, uint64_t map_bytes, struct px_log_start *ret_start)
{
        struct px_log_options options = {.dir = dir,
                                         .map_bytes = map_bytes,
                                         .segment_bytes = MIB,
                                         .ballast_bytes = 65536};
        int result = px_log_open_local(&options, 1000, &opened, ret_start);

        if (result == PX_OK) {
                index_last = ret_start->index;
                test_cleanup(log_end, NULL);
        }
        return result;
}

/* One batch that puts (or deletes) 20 rows of 1,000 bytes from `first` on, applied when this returns. */
static void batch_apply(uint64_t first, bool put)
{
        static const uint8_t value[1000];
        struct px_log_batch batch = {.epoch = 1, .index = ++index_last};
        struct px_buf rows = {0};
        struct px_view *view;

        for (uint64_t i = first; i < first + 20; i++) {
                struct row_key key = row_key_u64(i);

                if (put)
                        rows_put(&rows, PX_TABLE_DONE, &key, px_slice_of(value, sizeof(value)));
                else
                        rows_delete(&rows, PX_TABLE_DONE, &key);
        }
        batch.rows = px_buf_slice(&rows);
        px_log_submit(opened, &batch);
        px_buf_fini(&rows);
        EXPECT_INT(px_view_open(opened, index_last, 20000, &view), PX_OK);
        px_view_close(view);
}

static bool has_room(void *nothing)
{
        (void)nothing;
        return px_log_room(opened);
}

TEST(a_full_map_stops_submits_and_purging_makes_room_again)
{
        struct px_log_start start;

        EXPECT_INT(log_open(test_temp_dir(), 8 * MIB, &start), PX_OK);
        for (int round = 0; round < 5; round++) {
                uint64_t rows = 0;

                EXPECT(test_wait_until(5000, has_room, NULL));
                while (px_log_room(opened)) {
                        batch_apply(rows, true);
                        rows += 20;
                        EXPECT_INT(px_log_fault(opened), 0);
                        EXPECT(rows * 1000 < 8 * MIB);
                }
                EXPECT(rows * 1000 > MIB);
                for (uint64_t i = 0; i < rows; i += 20)
                        batch_apply(i, false);
                EXPECT_INT(px_log_fault(opened), 0);
                tool_expect_ordered(opened, 0);
        }
}

/* Change `length` bytes of a file. */
static void overwrite(const char *dir, const char *name, off_t at, const char *bytes, size_t length)
{
        char path[300];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        fd = open(path, O_RDWR);
        EXPECT(fd >= 0);
        EXPECT_INT(pwrite(fd, bytes, length, at), (ssize_t)length);
        close(fd);
}

static void expect_refused(const char *dir, int code, const char *words)
{
        struct px_log_start start;

        EXPECT_INT(log_open(dir, 8 * MIB, &start), code);
        if (strstr(start.refusal, words) == NULL)
                EXPECT_TEXT(start.refusal, words);
}

/* A store with a few batches, closed. */
static const char *store_closed(void)
{
        const char *dir = test_temp_dir();
        struct px_log_start start;

        EXPECT_INT(log_open(dir, 8 * MIB, &start), PX_OK);
        for (uint64_t i = 0; i < 10; i++)
                batch_apply(i, true);
        log_end(NULL);
        return dir;
}

TEST(a_damaged_page_is_refused_by_its_number)
{
        const char *dir = store_closed();

        for (off_t page = 2; page < 12; page++) /* some are free */
                overwrite(dir, "db/data.mdb", 4096 * page, "\xff\xff", 2);
        expect_refused(dir, PX_E_DAMAGED, ": it carries another number");
}

TEST(a_journal_of_a_newer_release_is_refused)
{
        static const char name[] = "journal/00000000000000000001.journal";
        const char *dir = store_closed();
        uint8_t header[64];
        char path[300];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        fd = open(path, O_RDWR);
        EXPECT(fd >= 0);
        EXPECT_INT(pread(fd, header, sizeof(header), 0), 64);
        px_put_be32(header + 8, 2);
        px_put_be32(header + 60, px_crc32c(0, header, 60));
        EXPECT_INT(pwrite(fd, header, sizeof(header), 0), 64);
        close(fd);
        expect_refused(dir, PX_E_VERSION, "newer release");
}

TEST(a_damaged_record_is_refused_by_segment_and_offset)
{
        const char *dir = store_closed();

        overwrite(dir, "journal/00000000000000000001.journal", 200, "\xff\xff", 2);
        expect_refused(dir, PX_E_DAMAGED, "00000000000000000001.journal: acknowledged data is "
                                          "damaged at offset 64");
}

TEST(a_store_without_its_journal_or_its_database_is_refused)
{
        const char *dir = store_closed();
        char path[300];

        snprintf(path, sizeof(path), "%s/journal/00000000000000000001.journal", dir);
        EXPECT_INT(unlink(path), 0);
        expect_refused(dir, PX_E_DAMAGED, "journal/ holds no segment");
        dir = store_closed();
        snprintf(path, sizeof(path), "%s/db/data.mdb", dir);
        EXPECT_INT(unlink(path), 0);
        expect_refused(dir, PX_E_DAMAGED, "db/data.mdb is missing");
}

TEST(an_empty_database_file_is_refused)
{
        const char *dir = store_closed();
        char path[300];

        snprintf(path, sizeof(path), "%s/db/data.mdb", dir);
        EXPECT_INT(truncate(path, 0), 0);
        expect_refused(dir, PX_E_DAMAGED, "empty");
}
