/* SPDX-License-Identifier: Apache-2.0 */
/* bench_smoke.c - figures of a running mesh, through libplexus alone. Used by tools/bench smoke.
 *
 * usage: bench_smoke latency N     plexus_submit() -> first output byte at a follower, ms
 *        bench_smoke true N        N /bin/true jobs: all ended ok, jobs a second
 *        bench_smoke cancel N MS   cancel of a job whose grandchildren setsid and ignore SIGTERM, grace MS:
 *                                  cancel call -> job cancelled, ms
 *        bench_smoke queue N       submit N jobs that wait, 1,000 a message: jobs a second
 * Prints lines "name TAB value TAB unit"; exit 1 when anything didn't end as it should. */
#include <plexus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CHUNK 1000

static double now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void must(plexus *px, int error, const char *what)
{
        if (error == PLEXUS_OK)
                return;
        fprintf(stderr, "bench_smoke: %s: %s %s\n", what, plexus_error_text(error), plexus_detail(px));
        exit(1);
}

static int compare_doubles(const void *a, const void *b)
{
        double x = *(const double *)a;
        double y = *(const double *)b;

        return (x > y) - (x < y);
}

static void print_quantiles(const char *name, double *values, size_t count)
{
        qsort(values, count, sizeof *values, compare_doubles);
        printf("%s p50\t%.3f\tms\n%s p99\t%.3f\tms\n%s max\t%.3f\tms\n", name, values[count / 2], name,
               values[(count * 99 + 99) / 100 - 1], name, values[count - 1]);
}

/* Follow until the first byte of a kind (0 = any output), then return the time. */
static double first_byte(plexus *px, uint64_t job)
{
        struct plexus_log_options options = {.follow = true};
        struct plexus_log_item item;
        plexus_stream *stream;
        double seen;

        must(px, plexus_logs(px, job, &options, &stream), "logs");
        do
                must(px, plexus_log_next(stream, 30000, &item), "output");
        while (item.kind != PLEXUS_LOG_OUT && item.kind != PLEXUS_LOG_END);
        seen = now_ms();
        if (item.kind == PLEXUS_LOG_END) {
                fprintf(stderr, "bench_smoke: job %llu ended without output: %s\n", (unsigned long long)job,
                        item.text);
                exit(1);
        }
        plexus_stream_close(stream);
        return seen;
}

static void wait_for(plexus *px, uint64_t job, int state)
{
        struct plexus_end end;

        must(px, plexus_wait(px, job, 60000, &end), "wait");
        if (end.state != state) {
                fprintf(stderr, "bench_smoke: job %llu is %s: %s\n", (unsigned long long)job,
                        plexus_state_name(end.state), end.reason);
                exit(1);
        }
        plexus_end_fini(&end);
}

static void bench_latency(plexus *px, size_t count)
{
        static const char *const argv[] = {"/bin/echo", "hello", NULL};
        struct plexus_job_spec spec = {.argv = argv, .cwd = "/"};
        double *values = calloc(count, sizeof *values);

        for (size_t i = 0; i < count; i++) {
                double begin = now_ms();
                uint64_t job;

                must(px, plexus_submit(px, &spec, &job), "submit");
                values[i] = first_byte(px, job) - begin;
                wait_for(px, job, PLEXUS_JOB_OK);
        }
        print_quantiles("submit to first output byte", values, count);
        free(values);
}

/* Submit `count` equal jobs, in messages of CHUNK. */
static void submit_all(plexus *px, const struct plexus_job_spec *spec, uint64_t *ret_jobs, size_t count)
{
        struct plexus_job_spec *specs = calloc(CHUNK, sizeof *specs);

        for (size_t i = 0; i < CHUNK; i++)
                specs[i] = *spec;
        for (size_t done = 0; done < count; done += CHUNK)
                must(px, plexus_submit_many(px, specs, count - done < CHUNK ? count - done : CHUNK,
                                            ret_jobs + done, NULL, 60000),
                     "submit");
        free(specs);
}

static void bench_true(plexus *px, size_t count)
{
        static const char *const argv[] = {"/bin/true", NULL};
        struct plexus_job_spec spec = {.argv = argv, .cwd = "/"};
        uint64_t *jobs = calloc(count, sizeof *jobs);
        double begin = now_ms();
        double took;

        submit_all(px, &spec, jobs, count);
        must(px, plexus_watch(px, jobs, count), "watch");
        for (size_t i = 0; i < count; i++) {
                struct plexus_end end;

                must(px, plexus_next_end(px, 60000, &end), "ends");
                if (end.state != PLEXUS_JOB_OK) {
                        fprintf(stderr, "bench_smoke: job %llu is %s: %s\n", (unsigned long long)end.job,
                                plexus_state_name(end.state), end.reason);
                        exit(1);
                }
                plexus_end_fini(&end);
        }
        took = now_ms() - begin;
        printf("/bin/true jobs ok\t%zu\tjobs\n/bin/true rate\t%.0f\tjobs/s\n", count,
               (double)count * 1000 / took);
        free(jobs);
}

static void bench_cancel(plexus *px, size_t count, const char *grace)
{
        static const char *const argv[] = {
                "/bin/sh", "-c",
                "for i in 1 2 3; do setsid sh -c 'trap \"\" TERM; exec sleep 1000' & done; "
                "trap '' TERM; echo up; exec sleep 1000",
                NULL};
        struct plexus_job_spec spec = {.argv = argv, .cwd = "/", .cpus = 0.001};
        double *values = calloc(count, sizeof *values);

        spec.grace_ms = strtoull(grace, NULL, 10);
        for (size_t i = 0; i < count; i++) {
                double begin;
                uint64_t job;

                must(px, plexus_submit(px, &spec, &job), "submit");
                first_byte(px, job);
                begin = now_ms();
                must(px, plexus_cancel(px, &job, 1, "bench", false, NULL), "cancel");
                wait_for(px, job, PLEXUS_JOB_CANCELLED);
                values[i] = now_ms() - begin - (double)spec.grace_ms;
        }
        print_quantiles("cancel beyond its grace", values, count);
        free(values);
}

static void bench_queue(plexus *px, size_t count)
{
        static const char *const argv[] = {"/bin/true", NULL};
        struct plexus_job_spec spec = {.argv = argv, .cwd = "/", .node = "no-such-node",
                                       .wait_for_node = true};
        uint64_t *jobs = calloc(count, sizeof *jobs);
        double begin = now_ms();

        submit_all(px, &spec, jobs, count);
        printf("submit, 1000 a message\t%.0f\tjobs/s\n", (double)count * 1000 / (now_ms() - begin));
        free(jobs);
}

int main(int argc, char **argv)
{
        struct plexus_options options = {.program = "bench_smoke", .timeout_ms = 60000};
        size_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
        plexus *px = NULL;

        if (count == 0) {
                fprintf(stderr, "usage: bench_smoke latency|true|queue N | cancel N GRACE-MS\n");
                return 2;
        }
        must(px, plexus_connect(&options, &px), "connect");
        if (strcmp(argv[1], "latency") == 0)
                bench_latency(px, count);
        else if (strcmp(argv[1], "true") == 0)
                bench_true(px, count);
        else if (strcmp(argv[1], "queue") == 0)
                bench_queue(px, count);
        else if (strcmp(argv[1], "cancel") == 0 && argc > 3)
                bench_cancel(px, count, argv[3]);
        else
                return 2;
        plexus_close(px);
        return 0;
}
