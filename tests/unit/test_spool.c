/* SPDX-License-Identifier: Apache-2.0 */
/* test_spool.c - the spool of a node: names, records cut and changed, directories used again. */
#include "record.h"
#include "spool.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct spool_key key = {.job = {42}, .fence = {.epoch = 9, .attempt = 2}};
static const uint8_t boot[SPOOL_ID_BYTES] = "this boot of it";

static void close_spool(void *context)
{
        spool_close(context);
}

static struct spool *open_spool(const char *dir)
{
        struct spool *spool = NULL;

        EXPECT_INT(spool_open(dir, &spool), 0);
        test_cleanup(close_spool, spool);
        return spool;
}

static const char *spool_dir(void)
{
        static char path[256];

        snprintf(path, sizeof(path), "%s/spool", test_temp_dir());
        return path;
}

static int enter(struct spool *spool, struct spool_key at)
{
        struct px_assign assign = {.job = at.job,
                                   .fence = at.fence,
                                   .kind = PX_JOB_KIND_COMMAND,
                                   .principal = px_slice_text("ana"),
                                   .on_lost = PX_ON_LOST_FAIL,
                                   .spec = px_slice_text("opaque")};
        int dir_fd = -1;

        EXPECT_INT(spool_enter(spool, &assign, &dir_fd), 0);
        return dir_fd;
}

static void write_exit(int dir_fd, struct spool_key at, bool sync)
{
        struct px_result result = {.job = at.job,
                                   .fence = at.fence,
                                   .outcome = PX_OUTCOME_FAILED,
                                   .reason = PX_REASON_EXIT,
                                   .exit_code = 3,
                                   .progress_permille = -1,
                                   .text = px_slice_text("as told")};

        EXPECT_INT(spool_exit_write(dir_fd, boot, sync, &result), 0);
}

static int read_exit(int dir_fd, struct spool_key at, const uint8_t *of_boot)
{
        struct px_arena arena = {0};
        struct px_result result;
        int fault = spool_exit_read(dir_fd, at, of_boot, &arena, &result);

        if (fault == 0)
                EXPECT_BYTES(result.text, px_slice_text("as told"));
        px_arena_fini(&arena);
        return fault;
}

TEST(a_name_has_one_spelling)
{
        static const char *const wrong[] = {"",       "42",      "42.2",    "042.2.9", "42.2.9 ",
                                            "42.2.9x", "-1.2.9", "42..9",   "a.b.c",   " 42.2.9",
                                            "42.+2.9", "42.2.9.1", "42.99999999999.9"};
        struct spool_key parsed;
        char name[SPOOL_NAME_BYTES];

        EXPECT_TEXT(spool_name(key, name), "42.2.9");
        EXPECT(spool_name_parse("42.2.9", &parsed));
        EXPECT_U64(parsed.job.value, 42);
        EXPECT(px_fence_equal(parsed.fence, key.fence));
        for (size_t i = 0; i < PX_COUNT_OF(wrong); i++)
                if (spool_name_parse(wrong[i], &parsed))
                        test_fail(__FILE__, __LINE__, "\"%s\" was taken for a name", wrong[i]);
}

TEST(an_entry_is_read_as_it_was_written)
{
        struct spool *spool = open_spool(spool_dir());
        int dir_fd = enter(spool, key);
        struct px_arena arena = {0};
        struct px_assign assign;
        uint8_t entered[SPOOL_ID_BYTES];
        uint8_t now[SPOOL_ID_BYTES];

        EXPECT_INT(spool_entry_read(dir_fd, &arena, entered, &assign), 0);
        EXPECT_U64(assign.job.value, 42);
        EXPECT_BYTES(assign.principal, px_slice_text("ana"));
        EXPECT_BYTES(assign.spec, px_slice_text("opaque"));
        EXPECT_INT(spool_boot(now), 0);
        EXPECT(memcmp(entered, now, sizeof(now)) == 0);
        px_arena_fini(&arena);
        close(dir_fd);
}

TEST(a_record_cut_or_changed_anywhere_is_damaged)
{
        struct px_arena arena = {0};
        struct px_slice body = PX_SLICE_NONE;
        uint8_t whole[64];
        const char *dir = test_temp_dir();
        int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int fd;
        ssize_t length;

        EXPECT_INT(record_overwrite(dir_fd, "r", RECORD_EXIT, px_slice_text("sixteen bytes :)"),
                                    false),
                   0);
        fd = openat(dir_fd, "r", O_RDWR | O_CLOEXEC);
        length = read(fd, whole, sizeof(whole));
        EXPECT_INT(length, 32);
        for (size_t i = 0; i < 32; i++) {
                uint8_t wrong = whole[i] ^ 0x10;

                if (i >= 5 && i < 8)
                        continue; /* reserved bytes are of no meaning */
                EXPECT_INT(pwrite(fd, &wrong, 1, (off_t)i), 1);
                EXPECT_INT(record_read(dir_fd, "r", RECORD_EXIT, &arena, &body), -EBADMSG);
                EXPECT_INT(pwrite(fd, &whole[i], 1, (off_t)i), 1);
        }
        EXPECT_INT(record_read(dir_fd, "r", RECORD_ENTRY, &arena, &body), -EBADMSG);
        EXPECT_INT(record_read(dir_fd, "r", RECORD_EXIT, &arena, &body), 0);
        EXPECT_BYTES(body, px_slice_text("sixteen bytes :)"));
        for (off_t cut = 31; cut >= 0; cut--) {
                EXPECT_INT(ftruncate(fd, cut), 0);
                EXPECT_INT(record_read(dir_fd, "r", RECORD_EXIT, &arena, &body), -EBADMSG);
        }
        EXPECT_INT(record_read(dir_fd, "absent", RECORD_EXIT, &arena, &body), -ENOENT);
        px_arena_fini(&arena);
        close(fd);
        close(dir_fd);
}

TEST(a_shorter_record_over_a_longer_one_leaves_nothing_of_it)
{
        struct px_arena arena = {0};
        struct px_slice body = PX_SLICE_NONE;
        struct stat status;
        int dir_fd = open(test_temp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        EXPECT_INT(record_overwrite(dir_fd, "r", RECORD_ENTRY, px_slice_text("a long secret"),
                                    false),
                   0);
        EXPECT_INT(record_overwrite(dir_fd, "r", RECORD_ENTRY, px_slice_text("brief"), false), 0);
        EXPECT_INT(record_read(dir_fd, "r", RECORD_ENTRY, &arena, &body), 0);
        EXPECT_BYTES(body, px_slice_text("brief"));
        EXPECT_INT(fstatat(dir_fd, "r", &status, 0), 0);
        EXPECT_INT(status.st_size, 16 + 5);
        px_arena_fini(&arena);
        close(dir_fd);
}

TEST(a_directory_used_again_shows_nothing_of_the_attempt_before)
{
        struct spool *spool = open_spool(spool_dir());
        struct spool_key next = {.job = {43}, .fence = {.epoch = 9, .attempt = 1}};
        struct spool_started started = {.wall_ms = 5, .kill_mode = "cgroup2", .group = "/x"};
        struct stat before;
        struct stat after;
        int dir_fd = enter(spool, key);
        int out_fd;

        EXPECT_INT(spool_started_write(dir_fd, key, &started), 0);
        EXPECT_INT(spool_stream_open(dir_fd, PX_STREAM_OUT, true, &out_fd), 0);
        EXPECT_INT(write(out_fd, "hello", 5), 5);
        close(out_fd);
        write_exit(dir_fd, key, false);
        EXPECT_INT(read_exit(dir_fd, key, boot), 0);
        EXPECT_INT(fstat(dir_fd, &before), 0);
        close(dir_fd);
        EXPECT_INT(spool_remove(spool, key), 0);
        EXPECT_INT(spool_attempt_open(spool, key, &dir_fd), -ENOENT);
        dir_fd = enter(spool, next);
        EXPECT_INT(fstat(dir_fd, &after), 0);
        EXPECT_U64(after.st_ino, before.st_ino);
        EXPECT_INT(spool_started_read(dir_fd, next, &started), -ENOENT);
        EXPECT_INT(read_exit(dir_fd, next, boot), -ENOENT);
        EXPECT_U64(spool_stream_length(dir_fd, PX_STREAM_OUT), 0);
        close(dir_fd);
}

TEST(a_directory_whose_keeper_still_holds_it_is_not_used_again)
{
        struct spool *spool = open_spool(spool_dir());
        struct spool_key next = {.job = {43}, .fence = {.epoch = 9, .attempt = 1}};
        int dir_fd = enter(spool, key);
        int lock_fd;
        int next_fd;

        EXPECT(!spool_lock_held(dir_fd));
        EXPECT_INT(spool_lock(dir_fd, &lock_fd), 0);
        EXPECT(spool_lock_held(dir_fd));
        EXPECT_INT(spool_remove(spool, key), 0);
        next_fd = enter(spool, next);
        EXPECT(!spool_lock_held(next_fd));
        close(lock_fd);
        close(next_fd);
        close(dir_fd);
}

TEST(an_exit_record_of_another_boot_counts_only_when_it_was_flushed)
{
        struct spool *spool = open_spool(spool_dir());
        const uint8_t other[SPOOL_ID_BYTES] = "another boot";
        int dir_fd = enter(spool, key);

        write_exit(dir_fd, key, false);
        EXPECT_INT(read_exit(dir_fd, key, boot), 0);
        EXPECT_INT(read_exit(dir_fd, key, other), -ENOENT);
        write_exit(dir_fd, key, true);
        EXPECT_INT(read_exit(dir_fd, key, other), 0);
        EXPECT(spool_exit_worth_sync(PX_ON_LOST_FAIL, 0));
        EXPECT(spool_exit_worth_sync(PX_ON_LOST_RERUN, 1000));
        EXPECT(!spool_exit_worth_sync(PX_ON_LOST_RERUN, 999));
        close(dir_fd);
}

TEST(identity_is_kept_and_only_one_link_may_have_the_spool)
{
        const char *dir = spool_dir();
        struct spool_identity first;
        struct spool *spool;
        struct spool *second = NULL;

        EXPECT_INT(spool_open(dir, &spool), 0);
        EXPECT_INT(spool_open(dir, &second), -EWOULDBLOCK);
        EXPECT(!spool_identity(spool)->has_cluster);
        EXPECT_INT(spool_remember(spool, px_slice_text("sixteen bytes :)"), 77), 0);
        first = *spool_identity(spool);
        spool_close(spool);
        spool = open_spool(dir);
        EXPECT(memcmp(spool_identity(spool), &first, sizeof(first)) == 0);
        EXPECT_U64(spool_identity(spool)->epoch, 77);
}

TEST(a_spool_that_others_may_read_is_refused)
{
        const char *dir = spool_dir();
        struct spool *spool = NULL;

        EXPECT_INT(mkdir(dir, 0755), 0);
        EXPECT_INT(chmod(dir, 0755), 0);
        EXPECT_INT(spool_open(dir, &spool), -EPERM);
}

static void count_one(void *context, struct spool_key at)
{
        (void)at;
        ++*(unsigned *)context;
}

TEST(what_is_set_aside_is_not_found_again_and_kept_by_name)
{
        const char *dir = spool_dir();
        struct spool *spool = open_spool(dir);
        char path[300];
        unsigned found = 0;

        for (int i = 0; i < 3; i++) {
                close(enter(spool, key));
                EXPECT_INT(spool_set_aside(spool, key), 0);
        }
        EXPECT_INT(spool_scan(spool, count_one, &found), 0);
        EXPECT_U64(found, 0);
        snprintf(path, sizeof(path), "%s/damaged/42.2.9-2", dir);
        EXPECT_INT(access(path, F_OK), 0);
}
