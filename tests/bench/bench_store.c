/* SPDX-License-Identifier: Apache-2.0 */
/* bench_store.c - durable batches a second of the local log, by how many commands are outstanding.
 * Each command is one row of 200 bytes and one event; the caller waits until durable before it goes
 * on, as closed-loop clients do. Those that are acknowledged together make the next batch.
 * Then, with ROWS, how long a start takes with so many rows: stopped in good order, and killed.
 * Options: [DIR] [SECONDS] [ROWS]; DIR is made empty by the caller. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "px_log.h"
#include "px_schema.h"
#include "rows.h"

#define VALUE_BYTES 200
#define KEYS 100000
#define CORE_NS 2000 /* work of the core on one command */

static double now_s(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

struct bench {
        struct px_log *log;
        uint64_t index;
        uint64_t commands;
        struct px_buf rows;
        struct px_buf events;
};

static void core_work(size_t commands)
{
        double until = now_s() + (double)commands * CORE_NS / 1e9;

        while (now_s() < until)
                ;
}

static void batch_submit(struct bench *bench, size_t commands)
{
        static const uint8_t value[VALUE_BYTES] = {1, 2, 3};
        struct px_log_batch batch = {
                .epoch = 1, .index = ++bench->index, .events_count = (uint32_t)commands};

        px_buf_reset(&bench->rows);
        px_buf_reset(&bench->events);
        core_work(commands);
        for (size_t i = 0; i < commands; i++) {
                struct row_key key = row_key_u64(bench->commands++ % KEYS);

                rows_put(&bench->rows, PX_TABLE_JOB, &key, px_slice_of(value, sizeof(value)));
                px_put_be32(px_buf_grow(&bench->events, 4), 40);
                px_buf_append(&bench->events, value, 40);
        }
        batch.rows = px_buf_slice(&bench->rows);
        batch.events = px_buf_slice(&bench->events);
        px_log_submit(bench->log, &batch);
}

static void wait_for(struct bench *bench)
{
        struct pollfd wait = {.fd = px_log_fd(bench->log), .events = POLLIN};

        if (px_log_fault(bench->log) < 0 || poll(&wait, 1, 10000) != 1) {
                fprintf(stderr, "bench_store: fault %d\n", px_log_fault(bench->log));
                exit(1);
        }
}

/* `outstanding` commands are always on their way, in batches of what was acknowledged together. */
static void run(struct bench *bench, size_t outstanding, double seconds)
{
        uint64_t sizes[4096];       /* of batches on their way */
        uint64_t first = bench->index + 1, durable = bench->index, done = 0, stalls = 0;
        double begin = now_s(), end = begin + seconds, took;
        size_t half = outstanding > 1 ? outstanding / 2 : 1;

        sizes[(bench->index + 1) % 4096] = half;
        batch_submit(bench, half);
        if (outstanding > half) {
                sizes[(bench->index + 1) % 4096] = outstanding - half;
                batch_submit(bench, outstanding - half);
        }
        while (now_s() < end) {
                uint64_t reached, acknowledged = 0;

                wait_for(bench);
                reached = px_log_durable(bench->log);
                while (durable < reached)
                        acknowledged += sizes[++durable % 4096];
                if (px_log_behind(bench->log)) {
                        stalls++;
                        while (px_log_behind(bench->log)) {
                                wait_for(bench);
                                reached = px_log_durable(bench->log);
                        }
                        while (durable < reached)
                                acknowledged += sizes[++durable % 4096];
                }
                if (acknowledged == 0)
                        continue;
                done += acknowledged;
                sizes[(bench->index + 1) % 4096] = acknowledged;
                batch_submit(bench, acknowledged);
        }
        took = now_s() - begin;
        while (px_log_durable(bench->log) < bench->index)
                wait_for(bench);
        printf("%5zu outstanding: %8.0f commands/s, %7.0f batches/s, %.3f ms, %" PRIu64
               " stalls behind\n",
               outstanding, (double)done / took, (double)(durable - first + 1) / took,
               took / (double)done * (double)outstanding * 1e3, stalls);
}

/* Open the store; milliseconds it took. */
static double open_ms(struct bench *bench, const char *dir)
{
        struct px_log_options options = {.dir = dir};
        struct px_log_start start;
        double begin = now_s();
        int result = px_log_open_local(&options, 0, &bench->log, &start);

        if (result != 0) {
                fprintf(stderr, "bench_store: %s: %s (%d)\n", dir, start.refusal, result);
                exit(1);
        }
        bench->index = start.index;
        return (now_s() - begin) * 1e3;
}

static void fill(struct bench *bench, uint64_t rows)
{
        static const uint8_t value[VALUE_BYTES] = {1};

        for (uint64_t i = 0; i < rows;) {
                struct px_log_batch batch = {.epoch = 1, .index = ++bench->index};

                px_buf_reset(&bench->rows);
                for (int nth = 0; nth < 1000; nth++, i++) {
                        struct row_key key = row_key_u64(i);

                        rows_put(&bench->rows, PX_TABLE_DONE, &key,
                                 px_slice_of(value, sizeof(value)));
                }
                batch.rows = px_buf_slice(&bench->rows);
                px_log_submit(bench->log, &batch);
                while (px_log_behind(bench->log)) {
                        wait_for(bench);
                        px_log_durable(bench->log);
                }
        }
}

static void starts(struct bench *bench, const char *dir, uint64_t rows)
{
        pid_t pid;

        open_ms(bench, dir);
        fill(bench, rows);
        px_log_close(bench->log);
        printf("start with %" PRIu64 " rows, stopped in good order: %.0f ms\n", rows,
               open_ms(bench, dir));
        px_log_close(bench->log);
        pid = fork();
        if (pid == 0) {
                open_ms(bench, dir);
                fill(bench, 20000);
                while (px_log_durable(bench->log) < bench->index)
                        wait_for(bench);
                _exit(0);
        }
        waitpid(pid, NULL, 0);
        printf("start with %" PRIu64 " rows, killed: %.0f ms\n", rows, open_ms(bench, dir));
        px_log_close(bench->log);
}

int main(int argc, char **argv)
{
        static const size_t outstanding[] = {1, 16, 256, 2000};
        struct bench bench = {0};
        struct px_log_start start;
        struct px_log_options options = {.dir = argc > 1 ? argv[1] : "."};
        double seconds = argc > 2 ? atof(argv[2]) : 2;
        int result = px_log_open_local(&options, 0, &bench.log, &start);

        if (result != 0) {
                fprintf(stderr, "bench_store: %s: %s (%d)\n", options.dir, start.refusal, result);
                return 1;
        }
        bench.index = start.index;
        for (size_t i = 0; i < PX_COUNT_OF(outstanding); i++)
                run(&bench, outstanding[i], seconds);
        px_log_close(bench.log);
        if (argc > 3)
                starts(&bench, options.dir, strtoull(argv[3], NULL, 10));
        px_buf_fini(&bench.rows);
        px_buf_fini(&bench.events);
        return 0;
}
