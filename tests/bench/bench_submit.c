/* SPDX-License-Identifier: Apache-2.0 */
/* bench_submit.c - how fast the real broker takes jobs, durably: one at a time, pipelined, many a
 * message; over a local socket and over CURVE. Prints figures, judges none. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "dealer.h"
#include "px_schema.h"
#include "test.h"

#define ANSWER_MS 20000
#define REQUESTS_MAX 100000
#define SECONDS_MAX 3    /* of one measurement */
#define JOBS_MAX 1000000 /* of one measurement */

static struct test_broker broker;
static struct dealer dealer;
static int64_t sent_us[REQUESTS_MAX];
static int64_t took_us[REQUESTS_MAX];

static int64_t now_us(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int by_size(const void *a, const void *b)
{
        int64_t left = *(const int64_t *)a;
        int64_t right = *(const int64_t *)b;

        return (left > right) - (left < right);
}

/* Wait for the next SUBMITTED; returns its request number. */
static uint64_t take_answer(void)
{
        struct px_wire_header header;
        struct px_slice body;

        do
                EXPECT(dealer_take(&dealer, ANSWER_MS, &header, &body));
        while (header.type != PX_M_SUBMITTED);
        return header.correlation;
}

static void print_figure(const char *transport, size_t outstanding, size_t jobs_each,
                         size_t answered, int64_t all_us)
{
        qsort(took_us, answered, sizeof(*took_us), by_size);
        printf("figure: submit %-5s %3zu outstanding, %3zu a message: %8.0f jobs/s, latency median "
               "%.3f ms, p99 %.3f ms\n",
               transport, outstanding, jobs_each,
               (double)(answered * jobs_each) * 1e6 / (double)all_us,
               (double)took_us[answered / 2] / 1000, (double)took_us[answered * 99 / 100] / 1000);
        fflush(stdout);
}

/* Keep `outstanding` requests of `jobs_each` jobs in flight until the time is over. */
static void measure(const char *transport, uint64_t *number, size_t outstanding, size_t jobs_each)
{
        uint64_t first = *number + 1;
        int64_t begun_us = now_us();
        size_t requests_max = PX_MIN((size_t)REQUESTS_MAX, JOBS_MAX / jobs_each);
        size_t answered = 0;
        size_t sent = 0;

        for (;;) {
                bool more = now_us() - begun_us < SECONDS_MAX * 1000000 && sent < requests_max;
                uint64_t which;

                if (!more && answered == sent)
                        break;
                if (more && sent - answered < outstanding) {
                        sent_us[sent++] = now_us();
                        dealer_submit(&dealer, ++*number, jobs_each, "/bin/true");
                        continue;
                }
                which = take_answer() - first;
                EXPECT(which < sent);
                took_us[answered++] = now_us() - sent_us[which];
        }
        print_figure(transport, outstanding, jobs_each, answered, now_us() - begun_us);
}

static void measure_all(const char *transport)
{
        uint64_t number = 0;

        EXPECT(dealer_greet(&dealer, (struct px_session_id){0}, ANSWER_MS));
        measure(transport, &number, 1, 1);
        measure(transport, &number, 16, 1);
        measure(transport, &number, 256, 1);
        measure(transport, &number, 1, 100);
        measure(transport, &number, 16, 100);
}

TEST(submits_over_a_local_socket)
{
        test_broker_start(&broker, test_temp_dir(), NULL);
        dealer_open_local(&dealer, &broker, "cmd");
        measure_all("local");
}

TEST(submits_over_curve)
{
        const char *const arguments[] = {
                "--listen",    "127.0.0.1", "--port-cmd",    "0", "--port-node", "0",
                "--port-data", "0",         "--port-events", "0", NULL,
        };
        char token[128];

        test_broker_start(&broker, test_temp_dir(), arguments);
        dealer_admin_token(&broker, token);
        dealer_open_token(&dealer, broker.port_cmd, token);
        measure_all("curve");
}
