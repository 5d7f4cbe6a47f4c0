/* SPDX-License-Identifier: Apache-2.0 */
/* test_dump.c - plexus-dump prints what a store holds and names what is damaged in it. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "px_codec.h"
#include "px_log.h"
#include "px_schema.h"
#include "rows.h"
#include "test.h"

static const char *store_made(void)
{
        const char *dir = test_temp_dir();
        struct px_log_options options = {.dir = dir,
                                         .map_bytes = 8u << 20,
                                         .segment_bytes = 1u << 20,
                                         .ballast_bytes = 65536};
        struct px_log_batch batch = {.epoch = 1, .index = 1, .events_count = 1};
        struct px_event event = {.index = 1, .kind = PX_EV_JOB_SUBMITTED, .job = {42}};
        struct px_buf rows = {0}, events = {0};
        struct row_key key = row_key_u64(42);
        struct px_log_start start;
        struct px_log *log;

        EXPECT_INT(px_log_open_local(&options, 1000, &log, &start), PX_OK);
        rows_put(&rows, PX_TABLE_SPEC, &key, px_slice_text("words"));
        px_buf_grow(&events, 4);
        px_event_encode(&event, &events);
        px_put_be32(events.data, (uint32_t)(events.length - 4));
        batch.rows = px_buf_slice(&rows);
        batch.events = px_buf_slice(&events);
        px_log_submit(log, &batch);
        px_log_close(log);
        px_buf_fini(&rows);
        px_buf_fini(&events);
        return dir;
}

/* Run the program; what it printed, and its exit status. */
static int dump(const char *dir, const char *what, char *ret_text, size_t room)
{
        char command[1000];
        FILE *out;
        size_t length;
        int status;

        snprintf(command, sizeof(command), "%s %s '%s' 2>&1", DUMP_PROGRAM, what, dir);
        out = popen(command, "r");
        EXPECT(out != NULL);
        length = fread(ret_text, 1, room - 1, out);
        ret_text[length] = 0;
        status = pclose(out);
        EXPECT(WIFEXITED(status));
        return WEXITSTATUS(status);
}

TEST(a_dump_shows_rows_records_and_events)
{
        const char *dir = store_made();
        char text[4000];

        EXPECT_INT(dump(dir, "", text, sizeof(text)), 0);
        EXPECT(strstr(text, "applied batch 1 epoch 1\n") != NULL);
        EXPECT(strstr(text, "\nspec 000000000000002a ") != NULL);
        EXPECT(strstr(text, "\nbatch 1 epoch 1 flushed 0 ") != NULL);
        EXPECT(strstr(text, "\n  put spec 000000000000002a ") != NULL);
        EXPECT(strstr(text, "\nevent 1.0 job.submitted {index:1, kind:1, job:42") != NULL);
        EXPECT_INT(dump(dir, "--table job", text, sizeof(text)), 0);
        EXPECT(strstr(text, "spec") == NULL);
}

TEST(a_dump_names_a_damaged_record)
{
        const char *dir = store_made();
        char path[300], text[4000];
        int fd;

        snprintf(path, sizeof(path), "%s/journal/00000000000000000001.journal", dir);
        fd = open(path, O_RDWR);
        EXPECT(fd >= 0);
        EXPECT_INT(pwrite(fd, "\xff", 1, 120), 1);
        close(fd);
        EXPECT_INT(dump(dir, "--journal", text, sizeof(text)), 1);
        EXPECT(strstr(text, "00000000000000000001.journal: acknowledged data is damaged at offset 64") !=
               NULL);
}

TEST(a_dump_of_nothing_says_so)
{
        char text[4000];

        EXPECT_INT(dump(test_temp_dir(), "", text, sizeof(text)), 66);
        EXPECT_INT(dump("", "--wrong", text, sizeof(text)), 64);
}
