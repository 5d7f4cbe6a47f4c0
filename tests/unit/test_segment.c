/* SPDX-License-Identifier: Apache-2.0 */
/* test_segment.c - log segments: what was appended is read back, through rotation, crashes and damage. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "segment.h"
#include "test.h"

#define RECORD_BYTES 48 /* of a record's header */
#define FILE_BYTES 16   /* of a file's header */

static struct segments *opened;
static const char *directory;

static void close_opened(void *context)
{
        (void)context;
        segments_close(opened);
        opened = NULL;
}

static void open_with(uint64_t segment_bytes)
{
        struct segments_options options = {.dir = directory, .segment_bytes = segment_bytes};
        char text[256] = "";

        segments_close(opened);
        opened = NULL;
        if (segments_open(&options, &opened, text, sizeof text) != PX_OK)
                test_fail(__FILE__, __LINE__, "%s", text);
}

static void begin(uint64_t segment_bytes)
{
        directory = test_temp_dir();
        test_cleanup(close_opened, NULL);
        open_with(segment_bytes);
}

static struct segment_key key_of(uint64_t job)
{
        return (struct segment_key){{job}, 1, PX_STREAM_OUT};
}

static void append(uint64_t job, uint64_t offset, const char *text)
{
        EXPECT_INT(segments_append(opened, key_of(job), offset, 1000, px_slice_text(text)), PX_OK);
}

/* All that can be read of a stream from offset on, gaps shown as "<bytes>", damage as "!bytes!". */
static const char *read_all(uint64_t job, uint64_t offset)
{
        static struct px_buf text;
        static uint8_t data[PX_LIMIT_LOG_CHUNK_BYTES];
        struct segment_run run;
        int result;

        px_buf_reset(&text);
        while ((result = segments_read(opened, key_of(job), offset, data, sizeof data, &run)) !=
               PX_E_ABSENT) {
                if (run.offset > offset)
                        px_buf_format(&text, "<%d>", (int)(run.offset - offset));
                if (result == PX_E_DAMAGED)
                        px_buf_format(&text, "!%d!", (int)run.length);
                else
                        px_buf_append(&text, data, run.length);
                if (result < 0)
                        test_fail(__FILE__, __LINE__, "read: %d", result);
                offset = run.offset + run.length;
        }
        px_buf_append(&text, "", 1);
        return (const char *)text.data;
}

static const char *path_of(unsigned number, const char *suffix)
{
        static char path[300];

        snprintf(path, sizeof path, "%s/%016x.%s", directory, number, suffix);
        return path;
}

static void write_at(const char *path, off_t position, const char *bytes)
{
        int fd = open(path, O_WRONLY);

        EXPECT(fd >= 0);
        EXPECT_INT(pwrite(fd, bytes, strlen(bytes), position), strlen(bytes));
        close(fd);
}

static void cut(const char *path, off_t by)
{
        struct stat status;

        EXPECT_INT(stat(path, &status), 0);
        EXPECT_INT(truncate(path, status.st_size - by), 0);
}

TEST(streams_are_read_back_from_any_offset)
{
        begin(0);
        append(1, 0, "hello ");
        append(2, 0, "other");
        append(1, 6, "world");
        EXPECT_TEXT(read_all(1, 0), "hello world");
        EXPECT_TEXT(read_all(1, 3), "lo world");
        EXPECT_TEXT(read_all(1, 11), "");
        EXPECT_TEXT(read_all(2, 0), "other");
        EXPECT_TEXT(read_all(3, 0), "");
        EXPECT_U64(segments_length(opened, key_of(1)), 11);
        EXPECT_U64(segments_length(opened, key_of(3)), 0);
}

TEST(a_stream_goes_on_through_many_segments_and_a_restart)
{
        char expected[3001] = "";

        begin(400);
        for (uint64_t i = 0; i < 600; i++) {
                char text[6];

                snprintf(text, sizeof text, "%04d ", (int)i);
                append(7, i * 5, text);
                memcpy(expected + i * 5, text, 6);
        }
        EXPECT_TEXT(read_all(7, 0), expected);
        EXPECT_TEXT(read_all(7, 1234), expected + 1234);
        open_with(400);
        EXPECT_TEXT(read_all(7, 0), expected);
        EXPECT_U64(segments_length(opened, key_of(7)), 3000);
        EXPECT(access(path_of(80, "idx"), F_OK) == 0);
}

TEST(a_torn_tail_goes_and_what_stood_before_it_stays)
{
        for (off_t by = 1; by < 4 + RECORD_BYTES + 1; by++) {
                begin(0);
                append(1, 0, "first");
                append(1, 5, "tail");
                segments_close(opened);
                opened = NULL;
                cut(path_of(1, "log"), by);
                open_with(0);
                EXPECT_TEXT(read_all(1, 0), "first");
                append(1, 5, "again");
                EXPECT_TEXT(read_all(1, 0), "firstagain");
        }
}

TEST(an_unflushed_record_that_a_crash_damaged_goes_with_all_behind_it)
{
        begin(0);
        append(1, 0, "first");
        append(1, 5, "torn");
        append(1, 9, "last");
        segments_close(opened);
        opened = NULL;
        write_at(path_of(1, "log"), FILE_BYTES + RECORD_BYTES + 5 + RECORD_BYTES, "T");
        open_with(0);
        EXPECT_TEXT(read_all(1, 0), "first");
        EXPECT_U64(segments_length(opened, key_of(1)), 5);
}

TEST(damaged_data_that_was_flushed_is_told_and_not_served)
{
        begin(0);
        append(1, 0, "first");
        append(1, 5, "damaged");
        EXPECT_INT(segments_sync(opened), PX_OK);
        EXPECT_U64(segments_unsynced_bytes(opened), 0);
        append(1, 12, "last");
        segments_close(opened);
        opened = NULL;
        write_at(path_of(1, "log"), FILE_BYTES + RECORD_BYTES + 5 + RECORD_BYTES, "D");
        open_with(0);
        EXPECT_TEXT(read_all(1, 0), "first!7!last");
}

TEST(a_damaged_header_that_was_flushed_leaves_a_gap_and_the_rest)
{
        begin(0);
        append(1, 0, "first");
        append(1, 5, "damaged");
        EXPECT_INT(segments_sync(opened), PX_OK);
        append(1, 12, "last");
        segments_close(opened);
        opened = NULL;
        write_at(path_of(1, "log"), FILE_BYTES + RECORD_BYTES + 5 + 20, "x");
        open_with(0);
        EXPECT_TEXT(read_all(1, 0), "first<7>last");
}

TEST(damage_under_a_running_store_is_told_and_not_served)
{
        begin(0);
        append(1, 0, "first");
        append(1, 5, "last");
        write_at(path_of(1, "log"), FILE_BYTES + RECORD_BYTES + 1, "x");
        EXPECT_TEXT(read_all(1, 0), "!5!last");
}

TEST(a_missing_or_damaged_sidecar_is_made_again)
{
        begin(200);
        for (uint64_t i = 0; i < 30; i++)
                append(i % 3 + 1, i / 3 * 4, "abcd");
        segments_close(opened);
        opened = NULL;
        EXPECT_INT(unlink(path_of(1, "idx")), 0);
        write_at(path_of(2, "idx"), 40, "x");
        cut(path_of(3, "idx"), 1);
        open_with(200);
        for (uint64_t job = 1; job <= 3; job++)
                EXPECT_TEXT(read_all(job, 0), "abcdabcdabcdabcdabcdabcdabcdabcdabcdabcd");
        EXPECT(access(path_of(1, "idx"), F_OK) == 0);
}

TEST(a_segment_cut_off_while_it_was_made_is_made_anew)
{
        begin(0);
        append(1, 0, "kept");
        segments_close(opened);
        opened = NULL;
        close(open(path_of(2, "log"), O_WRONLY | O_CREAT, 0600));
        open_with(0);
        EXPECT_TEXT(read_all(1, 0), "kept");
        append(1, 4, " on");
        EXPECT_TEXT(read_all(1, 0), "kept on");
        open_with(0);
        EXPECT_TEXT(read_all(1, 0), "kept on");
}

TEST(a_purged_job_is_a_hole_and_the_others_stay)
{
        begin(300);
        for (uint64_t i = 0; i < 40; i++)
                append(i % 2 + 1, i / 2 * 3, i % 2 == 0 ? "odd" : "two");
        segments_purge(opened, (struct px_job_id){1});
        append(3, 0, "fill the active segment so that it is sealed ................");
        append(3, 62, "fill the active segment so that it is sealed ................");
        append(3, 124, "fill the active segment so that it is sealed ................");
        append(3, 186, "fill the active segment so that it is sealed ................");
        for (int round = 0; round < 2; round++) {
                EXPECT(strstr(read_all(1, 0), "odd") == NULL);
                EXPECT_INT(strlen(read_all(2, 0)), 60);
                EXPECT(strstr(read_all(2, 0), "!") == NULL);
                unlink(path_of(1, "idx"));
                open_with(300);
        }
}

TEST(retention_removes_the_oldest_segments_and_never_the_active_one)
{
        uint64_t bytes;

        begin(200);
        for (uint64_t i = 0; i < 30; i++)
                append(1, i * 4, "abcd");
        bytes = segments_bytes(opened);
        EXPECT_INT(segments_retain(opened, 0, bytes), 0);
        EXPECT_INT(segments_retain(opened, 0, bytes - 1), 1);
        EXPECT(strncmp(read_all(1, 0), "<12>abcd", 8) == 0);
        EXPECT(access(path_of(1, "log"), F_OK) != 0);
        EXPECT(access(path_of(1, "idx"), F_OK) != 0);
        EXPECT(segments_retain(opened, 1001, UINT64_MAX) > 5);
        EXPECT_U64(segments_length(opened, key_of(1)), 120);
        append(1, 120, "on");
        open_with(200);
        EXPECT_U64(segments_length(opened, key_of(1)), 122);
}

TEST(more_sealed_segments_than_files_kept_open_are_all_read)
{
        begin(120);
        for (uint64_t i = 0; i < 200; i++)
                append(i + 1, 0, "one segment holds just this and no more text than it");
        for (int round = 0; round < 2; round++)
                for (uint64_t i = 0; i < 200; i++)
                        EXPECT_INT(strlen(read_all(i + 1, 0)), 52);
}

TEST(the_first_offset_since_a_time_is_found)
{
        begin(0);
        for (int i = 0; i < 5; i++)
                EXPECT_INT(segments_append(opened, key_of(1), (uint64_t)i * 2, 100 * i,
                                           px_slice_text("ab")),
                           PX_OK);
        EXPECT_U64(segments_offset_since(opened, key_of(1), 0), 0);
        EXPECT_U64(segments_offset_since(opened, key_of(1), 250), 6);
        EXPECT_U64(segments_offset_since(opened, key_of(1), 401), 10);
}

TEST(a_fault_other_than_lack_of_space_is_final)
{
        uint8_t data[4096] = {1};
        int result = PX_OK;
        uint64_t offset = 0;

        begin(1 << 20);
        /* The next segment's name is taken by a directory: the rotation to it fails. */
        EXPECT_INT(mkdir(path_of(2, "log"), 0700), 0);
        while (result == PX_OK && offset < 4 << 20) {
                result = segments_append(opened, key_of(1), offset, 1,
                                         px_slice_of(data, sizeof data));
                offset += sizeof data;
        }
        EXPECT(result < 0);
        EXPECT_INT(segments_append(opened, key_of(1), offset, 1, px_slice_text("x")), result);
        EXPECT_INT(segments_sync(opened), result);
}

TEST(a_lack_of_space_that_ends_loses_nothing)
{
        struct rlimit before;
        struct rlimit small = {0};
        char text[5001];

        memset(text, 'a', 5000);
        text[5000] = '\0';
        begin(0);
        EXPECT_INT(getrlimit(RLIMIT_FSIZE, &before), 0);
        small.rlim_cur = 12000;
        small.rlim_max = before.rlim_max;
        append(1, 0, text);
        append(1, 5000, text);
        EXPECT_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
        EXPECT_INT(segments_append(opened, key_of(1), 10000, 1, px_slice_text(text)), -ENOSPC);
        EXPECT_INT(setrlimit(RLIMIT_FSIZE, &before), 0);
        EXPECT_U64(segments_length(opened, key_of(1)), 10000);
        append(1, 10000, text);
        EXPECT_INT(segments_sync(opened), PX_OK);
        open_with(0);
        EXPECT_INT(strlen(read_all(1, 0)), 15000);
}
