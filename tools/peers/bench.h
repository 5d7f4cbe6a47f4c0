/* SPDX-License-Identifier: Apache-2.0 */
/* bench.h - clock, result rows and shared memory of the measuring programs. A result is one line,
 * tab-separated: test peer variant metric value unit. Layer: tools. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAYLOAD_BYTES 200

uint64_t now_ns(void);
double since_s(uint64_t begun_ns);
void sleep_us(unsigned us);

/* Say why, with errno in words, and end. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

void row(const char *test, const char *peer, const char *variant, const char *metric, double value,
         const char *unit);
/* Rows NAME_p50 and NAME_p99, in us. Sorts the samples. */
void row_latency(const char *test, const char *peer, const char *variant, const char *name,
                 uint64_t *samples_ns, size_t count);

/* Memory that children share. */
void *shared_new(size_t bytes);
/* fork() whose child is killed when this process ends. Returns 0 in the child. */
pid_t child_new(void);
void child_end(pid_t pid);

#endif
