/* SPDX-License-Identifier: Apache-2.0 */
/* bench.c - see bench.h. Layer: tools. */
#include "bench.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

uint64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

double since_s(uint64_t begun_ns)
{
        return (double)(now_ns() - begun_ns) / 1e9;
}

void sleep_us(unsigned us)
{
        struct timespec wait = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L};

        nanosleep(&wait, NULL);
}

_Noreturn void die(const char *format, ...)
{
        int error = errno;
        va_list arguments;

        va_start(arguments, format);
        vfprintf(stderr, format, arguments);
        va_end(arguments);
        fprintf(stderr, " (%s)\n", strerror(error));
        exit(1);
}

void row(const char *test, const char *peer, const char *variant, const char *metric, double value,
         const char *unit)
{
        printf("%s\t%s\t%s\t%s\t%.6g\t%s\n", test, peer, variant, metric, value, unit);
        fflush(stdout);
}

static int by_size(const void *a, const void *b)
{
        const uint64_t *left = a, *right = b;

        return (*left > *right) - (*left < *right);
}

void row_latency(const char *test, const char *peer, const char *variant, const char *name,
                 uint64_t *samples_ns, size_t count)
{
        char metric[64];

        if (count == 0)
                die("%s %s: no samples", peer, test);
        qsort(samples_ns, count, sizeof(*samples_ns), by_size);
        snprintf(metric, sizeof(metric), "%s_p50", name);
        row(test, peer, variant, metric, (double)samples_ns[(count - 1) / 2] / 1e3, "us");
        snprintf(metric, sizeof(metric), "%s_p99", name);
        row(test, peer, variant, metric, (double)samples_ns[(count - 1) * 99 / 100] / 1e3, "us");
}

void *shared_new(size_t bytes)
{
        void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        if (memory == MAP_FAILED)
                die("mmap");
        return memory;
}

pid_t child_new(void)
{
        pid_t pid = fork();

        if (pid < 0)
                die("fork");
        if (pid == 0)
                prctl(PR_SET_PDEATHSIG, SIGKILL);
        return pid;
}

void child_end(pid_t pid)
{
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
}
