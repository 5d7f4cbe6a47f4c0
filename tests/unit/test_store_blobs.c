/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_blobs.c - files that are named by their content: whole and checked or not there. */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blobs.h"
#include "px_schema.h"
#include "test.h"

#define BYTES 200000

static struct blobs *blobs;
static const char *dir;
static uint8_t content[BYTES];

static void close_blobs(void *context)
{
        (void)context;
        blobs_close(blobs);
        blobs = NULL;
}

static void reopen(uint64_t keep_ms)
{
        close_blobs(NULL);
        EXPECT_INT(blobs_open(dir, keep_ms, &blobs), 0);
}

static struct blob_name begin(uint64_t keep_ms)
{
        struct blob_name name = {.owner = 7};

        dir = test_temp_dir();
        test_cleanup(close_blobs, NULL);
        reopen(keep_ms);
        for (size_t i = 0; i < sizeof(content); i++)
                content[i] = (uint8_t)(i * 31 >> 3);
        crypto_hash_sha256(name.hash, content, sizeof(content));
        return name;
}

/* Add content[offset, offset + length); returns the code. */
static int add(const struct blob_name *name, uint64_t offset, size_t length, uint64_t *ret_offset,
               bool *ret_complete)
{
        return blobs_add(blobs, name, BYTES, offset, px_slice_of(content + offset, length), ret_offset,
                         ret_complete);
}

static uint64_t next_of(const struct blob_name *name)
{
        uint64_t offset = 0;
        bool complete;

        EXPECT_INT(blobs_begin(blobs, name, BYTES, &offset, &complete), PX_OK);
        return offset;
}

static bool is_here(const struct blob_name *name)
{
        uint64_t bytes = 0;

        return blobs_find(blobs, name, &bytes) && bytes == BYTES;
}

TEST(an_upload_takes_each_byte_once_and_goes_on_after_a_restart)
{
        struct blob_name name = begin(0);
        struct px_buf read = {0};
        uint64_t offset, bytes;
        bool complete;

        EXPECT_U64(next_of(&name), 0);
        EXPECT_INT(add(&name, 0, 60000, &offset, &complete), PX_OK);
        EXPECT_U64(offset, 60000);
        EXPECT_INT(add(&name, 0, 60000, &offset, &complete), PX_OK); /* a repeat */
        EXPECT_U64(offset, 60000);
        EXPECT_INT(add(&name, 120000, 60000, &offset, &complete), PX_OK); /* a gap */
        EXPECT_U64(offset, 60000);
        EXPECT(!complete && !is_here(&name));
        reopen(0);
        EXPECT_U64(next_of(&name), 60000);
        EXPECT_INT(add(&name, 60000, BYTES - 60000, &offset, &complete), PX_OK);
        EXPECT(complete && is_here(&name));
        reopen(0);
        EXPECT(is_here(&name));
        EXPECT_U64(next_of(&name), BYTES);
        while (read.length < BYTES)
                EXPECT_INT(blobs_read(blobs, &name, read.length, 70000, &read, &bytes), PX_OK);
        EXPECT_U64(bytes, BYTES);
        EXPECT(memcmp(read.data, content, BYTES) == 0);
        px_buf_fini(&read);
}

TEST(what_is_not_as_its_name_says_is_thrown_away)
{
        struct blob_name name = begin(0);
        uint64_t offset;
        bool complete;

        content[100] ^= 1;
        EXPECT_INT(add(&name, 0, BYTES, &offset, &complete), PX_E_INVALID);
        EXPECT(!is_here(&name));
        EXPECT_U64(next_of(&name), 0);
        content[100] ^= 1;
        EXPECT_INT(add(&name, 0, BYTES, &offset, &complete), PX_OK);
        EXPECT(complete && is_here(&name));
}

/* Bytes that a power cut left wrong in an upload are found at its end. */
TEST(damage_of_a_part_is_found_at_its_end)
{
        struct blob_name name = begin(0);
        char path[400], text[65];
        uint64_t offset;
        bool complete;
        int fd;

        EXPECT_INT(add(&name, 0, 60000, &offset, &complete), PX_OK);
        close_blobs(NULL);
        sodium_bin2hex(text, sizeof(text), name.hash, sizeof(name.hash));
        snprintf(path, sizeof(path), "%s/7/%s.part", dir, text);
        fd = open(path, O_WRONLY);
        EXPECT(fd >= 0 && pwrite(fd, "damage", 6, 50000) == 6);
        close(fd);
        reopen(0);
        EXPECT_U64(next_of(&name), 60000);
        EXPECT_INT(add(&name, 60000, BYTES - 60000, &offset, &complete), PX_E_INVALID);
        EXPECT_U64(next_of(&name), 0);
}

TEST(each_owner_has_files_of_his_own)
{
        struct blob_name name = begin(0);
        struct blob_name other = name;
        struct px_buf read = {0};
        uint64_t offset, bytes;
        bool complete;

        other.owner = 8;
        EXPECT_INT(add(&name, 0, BYTES, &offset, &complete), PX_OK);
        EXPECT(is_here(&name) && !is_here(&other));
        EXPECT_INT(blobs_read(blobs, &other, 0, 10, &read, &bytes), PX_E_ABSENT);
        EXPECT_U64(next_of(&other), 0);
        px_buf_fini(&read);
}

TEST(uploads_that_are_not_complete_are_limited)
{
        struct blob_name name = begin(0);
        uint64_t offset;
        bool complete;

        for (int i = 0; i < PX_LIMIT_BLOB_PARTS; i++) {
                name.hash[0] = (uint8_t)i;
                EXPECT_U64(next_of(&name), 0);
        }
        name.hash[0] = PX_LIMIT_BLOB_PARTS;
        EXPECT_INT(blobs_begin(blobs, &name, BYTES, &offset, &complete), PX_E_BUSY);
        name.owner = 8;
        EXPECT_U64(next_of(&name), 0);
        EXPECT_INT(blobs_add(blobs, &name, 10, 0, px_slice_of(content, 11), &offset, &complete),
                   PX_E_LIMIT);
        EXPECT_INT(blobs_begin(blobs, &(struct blob_name){.owner = 9}, UINT64_MAX / 2, &offset,
                               &complete),
                   PX_E_STORAGE_FULL);
}

static bool used_as_told(void *context, const struct blob_name *name)
{
        EXPECT_INT(name->owner, 7);
        return *(bool *)context;
}

/* As if nobody had touched the directory's files for a day. */
static void age(const struct blob_name *name, const char *suffix)
{
        struct timespec long_ago[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
        char path[400], text[65];

        sodium_bin2hex(text, sizeof(text), name->hash, sizeof(name->hash));
        snprintf(path, sizeof(path), "%s/%u/%s%s", dir, name->owner, text, suffix);
        EXPECT_INT(utimensat(AT_FDCWD, path, long_ago, 0), 0);
}

TEST(a_file_goes_when_nothing_uses_it_and_nobody_asked_for_it)
{
        struct blob_name name = begin(0);
        bool used = false;
        uint64_t offset;
        bool complete;

        EXPECT_INT(add(&name, 0, BYTES, &offset, &complete), PX_OK);
        EXPECT_U64(blobs_sweep(blobs, used_as_told, &used), 0); /* young */
        age(&name, "");
        used = true;
        EXPECT_U64(blobs_sweep(blobs, used_as_told, &used), 0);
        EXPECT_U64(blobs_sweep(blobs, used_as_told, &used), 0);
        used = false;
        EXPECT_U64(blobs_sweep(blobs, used_as_told, &used), 0); /* marks */
        EXPECT(is_here(&name));                                 /* and keeps it from now on */
        EXPECT_U64(blobs_sweep(blobs, used_as_told, &used), 0);
        age(&name, "");
        EXPECT_U64(blobs_sweep(blobs, used_as_told, &used), 0);
        EXPECT_U64(blobs_sweep(blobs, used_as_told, &used), 1);
        EXPECT(!is_here(&name));
}

TEST(an_upload_that_nobody_goes_on_with_goes)
{
        struct blob_name name = begin(0);
        bool used = true;
        uint64_t offset;
        bool complete;

        EXPECT_INT(add(&name, 0, 60000, &offset, &complete), PX_OK);
        EXPECT_U64(blobs_sweep(blobs, used_as_told, &used), 0);
        EXPECT_U64(next_of(&name), 60000);
        age(&name, ".part");
        EXPECT_U64(blobs_sweep(blobs, used_as_told, &used), 0);
        EXPECT_U64(blobs_sweep(blobs, used_as_told, &used), 1);
        EXPECT_U64(next_of(&name), 0);
}
