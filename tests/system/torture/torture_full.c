/* SPDX-License-Identifier: Apache-2.0 */
/* torture_full.c - a full disk, on a small file system in memory of its own: submits stop early; when somebody
 * else fills the rest, purging goes on out of the ballast; when there is space again, submits go
 * on; nothing faults and nothing is lost. Needs the right to mount. */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "px_read.h"
#include "px_schema.h"
#include "rows.h"
#include "workload.h"

#define MIB (1u << 20)
#define DISK "size=48m"
#define ROWS_OF_BATCH 50
#define ROW_BYTES 1000
#define ROOM_DEADLINE_POLLS 400 /* four passes of the store thread */

struct full {
        struct px_log *log;
        uint64_t index;
        char dir[300];
};

static bool fail(const char *words)
{
        printf("FAIL %s\n", words);
        return false;
}

/* One batch that puts or deletes rows, durable when this returns; applied, too, if it must be. */
static bool batch(struct full *full, uint64_t first, bool put, bool applied)
{
        static const uint8_t value[ROW_BYTES];
        struct px_log_batch batch = {.epoch = 1, .index = ++full->index};
        struct px_buf rows = {0};
        struct px_view *view;

        for (uint64_t i = first; i < first + ROWS_OF_BATCH; i++) {
                struct row_key key = row_key_u64(i);

                if (put)
                        rows_put(&rows, PX_TABLE_DONE, &key, px_slice_of(value, sizeof(value)));
                else
                        rows_delete(&rows, PX_TABLE_DONE, &key);
        }
        batch.rows = px_buf_slice(&rows);
        px_log_submit(full->log, &batch);
        px_buf_fini(&rows);
        while (px_log_durable(full->log) < full->index && px_log_fault(full->log) == 0) {
                struct pollfd wait = {.fd = px_log_fd(full->log), .events = POLLIN};

                if (poll(&wait, 1, 10000) != 1)
                        return fail("a batch did not become durable");
        }
        if (px_log_fault(full->log) < 0) {
                printf("FAIL fault %d\n", px_log_fault(full->log));
                return false;
        }
        if (!applied)
                return true;
        if (px_view_open(full->log, full->index, 20000, &view) != PX_OK)
                return fail("a batch was not applied");
        px_view_close(view);
        return true;
}

static void fill_disk(const char *dir)
{
        static const uint8_t bytes[65536];
        char path[400];
        size_t step = sizeof(bytes);
        int fd;

        snprintf(path, sizeof(path), "%s/../filler", dir);
        fd = open(path, O_WRONLY | O_CREAT, 0600);
        PX_ASSERT(fd >= 0);
        for (; step >= 512; step /= 2)
                while (write(fd, bytes, step) == (ssize_t)step)
                        ;
        close(fd);
}

/* Submit until there is no room; how many rows that were. */
static uint64_t submit_until_full(struct full *full)
{
        uint64_t rows = 0;

        while (px_log_room(full->log)) {
                if (!batch(full, rows, true, true))
                        return 0;
                rows += ROWS_OF_BATCH;
        }
        return rows;
}

static bool room_returns(struct full *full)
{
        for (int i = 0; i < ROOM_DEADLINE_POLLS; i++) {
                if (px_log_room(full->log))
                        return true;
                poll(NULL, 0, 100); /* it is measured ten times a second */
        }
        return fail("there is space, but no room");
}

static bool scenario(struct full *full)
{
        char path[400];
        uint64_t rows = submit_until_full(full);

        if (rows * ROW_BYTES < 4 * MIB)
                return fail("submits stopped before the disk was used");
        fill_disk(full->dir);
        for (uint64_t i = 0; i < rows; i += ROWS_OF_BATCH)
                if (!batch(full, i, false, i % 1000 == 0))
                        return false;
        snprintf(path, sizeof(path), "%s/../filler", full->dir);
        PX_ASSERT(unlink(path) == 0);
        return room_returns(full) && submit_until_full(full) > 0;
}

static int run(void *context)
{
        struct px_log_start start;
        struct px_log_options options = {.map_bytes = 256 * MIB,
                                         .segment_bytes = MIB,
                                         .ballast_bytes = 8 * MIB};
        struct full full = {0};
        const char *scratch = context;
        bool passed;

        if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("tmpfs", scratch, "tmpfs", 0, DISK) != 0) {
                printf("no right to mount a file system\n");
                return 77; /* skipped */
        }
        snprintf(full.dir, sizeof(full.dir), "%s/store", scratch);
        PX_ASSERT(mkdir(full.dir, 0700) == 0);
        options.dir = full.dir;
        PX_ASSERT(px_log_open_local(&options, 0, &full.log, &start) == PX_OK);
        passed = scenario(&full);
        px_log_close(full.log);
        return passed ? 0 : 1;
}

int main(void)
{
        char scratch[200];
        int status;

        snprintf(scratch, sizeof(scratch), "%s", workload_scratch());
        status = workload_child(run, scratch, 120);
        rmdir(scratch);
        if (status == 77)
                return 77;
        printf("%d passed, %d failed\n", status == 0, status != 0);
        return status != 0;
}
