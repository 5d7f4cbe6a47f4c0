/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_journal.c - the end of the journal after a crash: a tail that was never flushed is cut off,
 * acknowledged records that are damaged are refused by segment and offset, the very last too. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "journal.h"
#include "px_schema.h"
#include "test.h"

static struct journal journal;
static char file[400];
static int dir_fd = -1;
static char refusal[JOURNAL_REFUSAL_BYTES];

static void end(void *context)
{
        (void)context;
        journal_close(&journal);
        close(dir_fd);
        dir_fd = -1;
}

static int reopen(void)
{
        struct journal_base base = {.applied = {0, 0}};

        journal_close(&journal);
        refusal[0] = '\0';
        return journal_open(&journal, dir_fd, &base, refusal);
}

static void begin(void)
{
        const char *dir = test_temp_dir();

        journal = (struct journal){.fd = -1};
        dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
        test_cleanup(end, NULL);
        snprintf(file, sizeof(file), "%s/%020d.journal", dir, 1);
        EXPECT_INT(reopen(), PX_OK);
        EXPECT_INT(journal_begin(&journal, 5, 65536), 0);
}

/* Write a group of records `first` .. `last`; returns where it began. */
static uint64_t write_group(uint64_t first, uint64_t last)
{
        uint64_t offset = journal.offset;
        struct px_buf group = {0};

        for (uint64_t index = first; index <= last; index++)
                journal_put_record(&group, &(struct journal_record){
                                                   .epoch = 5,
                                                   .index = index,
                                                   .rows = px_slice_text("what the batch wrote")});
        EXPECT_INT(journal_make_room(&journal, group.length, 0), 0);
        EXPECT_INT(journal_write(&journal, &group), 0);
        px_buf_fini(&group);
        return offset;
}

static void overwrite(uint64_t offset, size_t length, int byte)
{
        uint8_t bytes[4096];
        int fd = open(file, O_WRONLY);

        PX_ASSERT(length <= sizeof(bytes));
        memset(bytes, byte, length);
        EXPECT(fd >= 0 && pwrite(fd, bytes, length, (off_t)offset) == (ssize_t)length);
        close(fd);
}

static void expect_damage_at(uint64_t offset)
{
        char words[120];

        EXPECT_INT(reopen(), PX_E_DAMAGED);
        snprintf(words, sizeof(words), "/%020d.journal: acknowledged data is damaged at offset %d", 1,
                 (int)offset);
        if (strstr(refusal, words) == NULL)
                test_fail(__FILE__, __LINE__, "\"%s\" lacks \"%s\"", refusal, words);
}

TEST(damage_of_the_last_flushed_record_is_refused_by_segment_and_offset)
{
        uint64_t offset;

        begin();
        (void)write_group(1, 3);
        offset = write_group(4, 4);
        EXPECT_INT(reopen(), PX_OK);
        EXPECT_U64(journal.chain.index, 4);
        overwrite(offset + 50, 1, 0x55);
        expect_damage_at(offset);
        overwrite(offset, 72, 0); /* gone altogether */
        expect_damage_at(offset);
}

TEST(damage_within_the_last_flushed_group_is_refused)
{
        uint64_t offset;

        begin();
        offset = write_group(1, 3);
        overwrite(offset + 50, 1, 0x55);
        expect_damage_at(offset);
}

/* What a power cut leaves of a group that was being written: none of it was acknowledged. */
TEST(a_group_that_was_never_flushed_is_cut_off)
{
        uint64_t offset;

        begin();
        (void)write_group(1, 3);
        offset = write_group(4, 6);
        overwrite(offset + 72, 72, 0);                    /* a record in its middle */
        overwrite(journal.offset, JOURNAL_SEAL_BYTES, 0); /* never written: no flush returned */
        EXPECT_INT(reopen(), PX_OK);
        EXPECT_U64(journal.chain.index, 4);
        overwrite(offset, 72, 0); /* the place of the seal before it, too */
        EXPECT_INT(reopen(), PX_OK);
        EXPECT_U64(journal.chain.index, 3);
}

TEST(a_seal_proves_what_came_before_it_only)
{
        uint64_t offset;

        begin();
        offset = write_group(1, 3);
        EXPECT_INT(reopen(), PX_OK);
        EXPECT_U64(journal.chain.index, 3);
        overwrite(offset + 3 * 72 + 50, 8, 0x55); /* behind the seal's own place */
        EXPECT_INT(reopen(), PX_OK);
        EXPECT_U64(journal.chain.index, 3);
        overwrite(offset + 3 * 72 + 20, 1, 0x55); /* the seal itself: nothing is lost by it */
        EXPECT_INT(reopen(), PX_OK);
        EXPECT_U64(journal.chain.index, 3);
}
