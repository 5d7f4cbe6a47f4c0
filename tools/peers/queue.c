/* SPDX-License-Identifier: Apache-2.0 */
/* queue.c - the same shapes for every queue: submit, full cycle, latency, first job after a
 * restart. Layer: tools.
 *
 * usage: q_PEER submit VARIANT LABEL N DEPTH             acknowledged jobs a second, DEPTH in
 * flight q_PEER cycle VARIANT LABEL N DEPTH HELD WORKERS  until the peer confirmed the last finish
 *        q_PEER latency VARIANT LABEL N                   one idle worker, one job at a time
 *        q_PEER probe VARIANT LABEL T0_NS                 from T0 (CLOCK_MONOTONIC) to the first
 * job */
#include "queue.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAMPLES_MAX 200000
#define WORKERS_MAX 64
#define STUCK_S 300

static struct shared {
        atomic_int ready;
        atomic_int done;
        atomic_int quit;
        atomic_int samples;
        uint64_t samples_ns[SAMPLES_MAX];
} * shared;

void finished(int jobs)
{
        if (jobs > 0)
                atomic_fetch_add(&shared->done, jobs);
}

/* 200 printable bytes that hardly compress: the time in hexadecimal, the number, noise. */
static void make_job(char *job, int number)
{
        static uint64_t state = 88172645463325252u;
        char head[48];
        int length;

        for (size_t i = 0; i < PAYLOAD_BYTES; i += 8) {
                uint64_t word;

                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                word = (state & 0x1f1f1f1f1f1f1f1f) | 0x4040404040404040;
                memcpy(job + i, &word, 8);
        }
        length = snprintf(head, sizeof(head), "%016llx %010d ", (unsigned long long)now_ns(),
                          number);
        memcpy(job, head, (size_t)length);
}

static void ignore(const char *payload, size_t length)
{
        (void)payload;
        (void)length;
}

static void stamp(const char *payload, size_t length)
{
        uint64_t sent_ns = strtoull(payload, NULL, 16);
        int at = atomic_fetch_add(&shared->samples, 1);

        (void)length;
        if (at < SAMPLES_MAX)
                shared->samples_ns[at] = now_ns() - sent_ns;
}

static pid_t start_worker(const char *variant, int held, bool reply)
{
        pid_t pid = child_new();
        void *connection;

        if (pid != 0)
                return pid;
        connection = queue_peer.open('w', variant, reply);
        atomic_fetch_add(&shared->ready, 1);
        while (!atomic_load(&shared->quit))
                queue_peer.work(connection, held, reply ? stamp : ignore);
        _exit(0);
}

static void wait_ready(int workers)
{
        while (atomic_load(&shared->ready) < workers)
                sleep_us(1000);
}

static void submit(void *connection, int count, int depth)
{
        char job[PAYLOAD_BYTES];
        int sent = 0, acked = 0;

        while (acked < count) {
                for (; sent < count && sent - acked < depth; sent++) {
                        make_job(job, sent);
                        queue_peer.put(connection, job, sizeof(job));
                }
                while (acked < count && (sent - acked > depth / 2 || sent == count))
                        acked += queue_peer.ack(connection);
        }
}

static void test_submit(const char *variant, const char *label, int count, char **more)
{
        int depth = atoi(more[0]);
        void *connection = queue_peer.open('c', variant, false);
        uint64_t begun = now_ns();
        char metric[48];

        submit(connection, count, depth);
        snprintf(metric, sizeof(metric), "rate_depth%d", depth);
        row("A_submit", queue_peer.name, label, metric, count / since_s(begun), "jobs/s");
}

static void test_cycle(const char *variant, const char *label, int count, char **more)
{
        int depth = atoi(more[0]), held = atoi(more[1]), workers = atoi(more[2]);
        pid_t pids[WORKERS_MAX];
        void *connection;
        uint64_t begun;
        char metric[48];

        if (workers > WORKERS_MAX)
                die("at most %d workers", WORKERS_MAX);
        for (int i = 0; i < workers; i++)
                pids[i] = start_worker(variant, held, false);
        connection = queue_peer.open('c', variant, false);
        wait_ready(workers);
        begun = now_ns();
        submit(connection, count, depth);
        while (atomic_load(&shared->done) < count) {
                sleep_us(200);
                if (since_s(begun) > STUCK_S)
                        die("stuck at %d of %d jobs", atomic_load(&shared->done), count);
        }
        if (queue_peer.drained != NULL)
                queue_peer.drained(connection);
        snprintf(metric, sizeof(metric), "rate_held%d_workers%d", held, workers);
        row("B_cycle", queue_peer.name, label, metric, count / since_s(begun), "jobs/s");
        atomic_store(&shared->quit, 1);
        for (int i = 0; i < workers; i++)
                child_end(pids[i]);
}

static void test_latency(const char *variant, const char *label, int count, char **more)
{
        uint64_t *samples_ns = calloc((size_t)count, sizeof(*samples_ns));
        pid_t pid = start_worker(variant, 1, true);
        void *connection = queue_peer.open('c', variant, true);
        int received;

        (void)more;
        if (samples_ns == NULL)
                die("calloc");
        wait_ready(1);
        sleep_us(50000);
        for (int i = 0; i < count; i++) {
                char job[PAYLOAD_BYTES];
                uint64_t begun;

                make_job(job, i);
                begun = now_ns();
                queue_peer.call(connection, job, sizeof(job));
                samples_ns[i] = now_ns() - begun;
        }
        child_end(pid);
        received = atomic_load(&shared->samples);
        row_latency("C_latency", queue_peer.name, label, "roundtrip", samples_ns, (size_t)count);
        row_latency("C_latency", queue_peer.name, label, "receipt", shared->samples_ns,
                    (size_t)(received < SAMPLES_MAX ? received : SAMPLES_MAX));
        free(samples_ns);
}

static void test_probe(const char *variant, const char *label, uint64_t begun_ns)
{
        void *connection = queue_peer.open('w', variant, false);

        while (atomic_load(&shared->samples) == 0)
                queue_peer.work(connection, 1, stamp);
        row("D_backlog", queue_peer.name, label, "kill9_to_first_job", since_s(begun_ns) * 1e3,
            "ms");
        fflush(stdout);
        _exit(0);
}

int main(int argc, char **argv)
{
        static const struct {
                const char *name;
                void (*run)(const char *variant, const char *label, int count, char **more);
                int arguments;
        } tests[] = {
                {"submit", test_submit, 6},
                {"cycle", test_cycle, 8},
                {"latency", test_latency, 5},
        };

        signal(SIGPIPE, SIG_IGN);
        shared = shared_new(sizeof(*shared));
        if (argc >= 5 && strcmp(argv[1], "probe") == 0)
                test_probe(argv[2], argv[3], strtoull(argv[4], NULL, 10));
        for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
                if (argc >= tests[i].arguments && strcmp(argv[1], tests[i].name) == 0) {
                        tests[i].run(argv[2], argv[3], atoi(argv[4]), argv + 5);
                        return 0;
                }
        }
        fprintf(stderr, "usage: see queue.c\n");
        return 2;
}
