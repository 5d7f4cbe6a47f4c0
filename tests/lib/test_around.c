/* SPDX-License-Identifier: Apache-2.0 */
/* test_around.c - what surrounds a test: cleanups, child processes, directories, waiting. */
#include "test.h"
#include "test_inside.h"

#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#define CLEANUPS_MAX 256
#define PIDS_MAX 64
#define WAIT_STEP_NS 2000000

static struct {
        void (*clean)(void *context);
        void *context;
} cleanups[CLEANUPS_MAX];
static size_t cleanups_count;

static volatile pid_t pids[PIDS_MAX]; /* 0 = free */

void test_cleanup(void (*clean)(void *context), void *context)
{
        PX_ASSERT(cleanups_count < CLEANUPS_MAX);
        cleanups[cleanups_count].clean = clean;
        cleanups[cleanups_count].context = context;
        cleanups_count++;
}

static void pid_replace(pid_t from, pid_t to)
{
        for (size_t i = 0; i < PIDS_MAX; i++)
                if (pids[i] == from) {
                        pids[i] = to;
                        return;
                }
        PX_ASSERT(from != 0); /* else there are more than PIDS_MAX */
}

void test_kill_at_end(pid_t pid)
{
        PX_ASSERT(pid > 0);
        pid_replace(0, pid);
}

void test_spare(pid_t pid)
{
        PX_ASSERT(pid > 0);
        pid_replace(pid, 0);
}

/* In coverage builds (cover.h): give children a moment to end by themselves. */
static void ask_all(void)
{
#ifdef TEST_ASKS_FIRST
        for (size_t i = 0; i < PIDS_MAX; i++)
                if (pids[i] > 0)
                        kill(pids[i], SIGTERM);
        for (size_t i = 0; i < PIDS_MAX; i++) {
                siginfo_t ended = {0};

                for (int tries = 0; pids[i] > 0 && ended.si_pid == 0 && tries < 100; tries++) {
                        if (waitid(P_PID, (id_t)pids[i], &ended, WEXITED | WNOHANG | WNOWAIT) != 0)
                                break;
                        poll(NULL, 0, 20);
                }
        }
#endif
}

void test_kill_all(void)
{
        ask_all();
        for (size_t i = 0; i < PIDS_MAX; i++)
                if (pids[i] > 0) {
                        kill(pids[i], SIGKILL);
                        pids[i] = 0;
                }
}

void test_clean_up(void)
{
        while (cleanups_count > 0) {
                cleanups_count--;
                cleanups[cleanups_count].clean(cleanups[cleanups_count].context);
        }
        test_kill_all();
}

static int entry_remove(const char *path, const struct stat *status, int kind, struct FTW *place)
{
        (void)status;
        (void)kind;
        (void)place;
        return remove(path);
}

static void temp_dir_remove(void *context)
{
        nftw(context, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
        px_free(context);
}

const char *test_temp_dir(void)
{
        const char *parent = getenv("TMPDIR");
        struct px_buf path = {0};

        px_buf_format(&path, "%s/px-XXXXXX", parent == NULL ? "/tmp" : parent);
        px_buf_append(&path, "", 1);
        PX_ASSERT(mkdtemp((char *)path.data) != NULL);
        test_cleanup(temp_dir_remove, path.data);
        return (const char *)path.data;
}

static int64_t now_ms(void)
{
        struct timespec now;

        PX_ASSERT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool test_wait_until(int deadline_ms, bool (*predicate)(void *context), void *context)
{
        int64_t end_ms = now_ms() + deadline_ms;
        struct timespec step = {.tv_nsec = WAIT_STEP_NS};

        while (!predicate(context)) {
                if (now_ms() >= end_ms)
                        return predicate(context);
                ppoll(NULL, 0, &step, NULL);
        }
        return true;
}
