/* SPDX-License-Identifier: Apache-2.0 */
/* bench_worker.c - tasks through the whole cycle over local sockets: submit, assign, handler, result
 * durable, acknowledged, end pushed. One process is client and worker, with two connections. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "plexus.h"
#include "process.h"
#include "test.h"

#define CALL_MS 60000
#define ONE_AT_A_TIME 2000
#define MANY 20000

static struct test_broker broker;

static double now_s(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void done(plexus *px, int code)
{
        if (code != PLEXUS_OK)
                test_fail(__FILE__, __LINE__, "%s: %s", plexus_error_name(code), plexus_detail(px));
}

static void close_px(void *px)
{
        plexus_close(px);
}

static void free_worker(void *worker)
{
        plexus_worker_free(worker);
}

static plexus *open_px(void)
{
        char url[PROCESS_PATH_ROOM + 16];
        struct plexus_options options = {.url = url, .timeout_ms = CALL_MS};
        plexus *px;

        snprintf(url, sizeof(url), "local:%s/run", broker.dir);
        done(NULL, plexus_connect(&options, &px));
        test_cleanup(close_px, px);
        return px;
}

static void nothing(void *context, plexus_task *task)
{
        (void)context;
        plexus_task_return(task, "ok", 2);
}

/* A broker, a client and a worker of `slots`; the client. */
static plexus *start(uint32_t slots)
{
        plexus_worker *worker;
        plexus *serving;

        test_deadline_s(120);
        test_broker_start(&broker, test_temp_dir(), NULL);
        serving = open_px();
        done(serving, plexus_worker_new(serving, "bench", slots, &worker));
        test_cleanup(free_worker, worker);
        done(serving, plexus_worker_handle(worker, "nothing", nothing, NULL));
        done(serving, plexus_worker_start(worker));
        return open_px();
}

static int compare(const void *a, const void *b)
{
        const double *left = a, *right = b;

        return *left < *right ? -1 : *left > *right;
}

static void cycle(plexus *px)
{
        static const struct plexus_job_spec spec = {.task_type = "nothing"};
        struct plexus_end end;
        uint64_t job;

        done(px, plexus_submit(px, &spec, &job));
        done(px, plexus_wait(px, job, CALL_MS, &end));
        EXPECT_INT(end.state, PLEXUS_JOB_OK);
        plexus_end_fini(&end);
}

TEST(one_task_at_a_time)
{
        static double seconds[ONE_AT_A_TIME];
        plexus *px = start(1);
        double begun;

        cycle(px);
        begun = now_s();
        for (int i = 0; i < ONE_AT_A_TIME; i++) {
                double from = now_s();

                cycle(px);
                seconds[i] = now_s() - from;
        }
        begun = now_s() - begun;
        qsort(seconds, ONE_AT_A_TIME, sizeof(seconds[0]), compare);
        printf("1 slot, one after the other: %.0f tasks/s, submit to end p50 %.0f us, p99 %.0f us\n",
               ONE_AT_A_TIME / begun, seconds[ONE_AT_A_TIME / 2] * 1e6,
               seconds[ONE_AT_A_TIME * 99 / 100] * 1e6);
}

static void many(uint32_t slots)
{
        static struct plexus_job_spec specs[MANY];
        static uint64_t jobs[MANY];
        plexus *px = start(slots);
        double begun, submitted;

        for (int i = 0; i < MANY; i++)
                specs[i] = (struct plexus_job_spec){.task_type = "nothing"};
        begun = now_s();
        done(px, plexus_submit_many(px, specs, MANY, jobs, NULL, CALL_MS));
        submitted = now_s();
        done(px, plexus_watch(px, jobs, MANY));
        for (int i = 0; i < MANY; i++) {
                struct plexus_end end;

                done(px, plexus_next_end(px, CALL_MS, &end));
                EXPECT_INT(end.state, PLEXUS_JOB_OK);
                plexus_end_fini(&end);
        }
        printf("%u slots, %d at once: %.0f tasks/s from the first submit to the last end; "
               "submit_many %.0f jobs/s\n",
               slots, MANY, MANY / (now_s() - begun), MANY / (submitted - begun));
}

TEST(many_tasks_through_1_slot)
{
        many(1);
}

TEST(many_tasks_through_64_slots)
{
        many(64);
}
