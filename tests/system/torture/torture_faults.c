/* SPDX-License-Identifier: Apache-2.0 */
/* torture_faults.c - the n-th call fails, for n = 1, 2, ... until a session runs through: each write, flush or
 * change of names with EIO and with ENOSPC, once and for ever; each allocation. Whatever happens, the
 * log reports a fault and acknowledges nothing more, or the process leaves with 71, or the session
 * runs through; and then the store opens with everything that was acknowledged.
 * Options: --only N (one number of call, all kinds), --list prints each run. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "workload.h"
#include "wraps.h"

#define BATCHES 100
#define CLUMP 4
#define CALLS_MAX 20000
#define DEADLINE_S 30
#define EXIT_NO_MEMORY 71
#define EXIT_REFUSED 3
#define EXIT_ENDED_BY_FAULT 4

enum what { WRITES, READS, MEMORY };

struct run {
        const char *kind;
        enum what what;
        uint64_t nth;
        int error;
        bool for_ever;
        char dir[300];
        struct workload_promise promise;
        bool reached; /* the call that fails was made */
};

static struct run *run; /* shared with the children */
static char scratch[200];

static int session(void *context)
{
        int result;

        (void)context;
        if (run->what == WRITES)
                wraps_fail_writes(run->nth, run->error, run->for_ever);
        else if (run->what == READS)
                wraps_fail_reads(run->nth, run->error, run->for_ever);
        else
                wraps_fail_memory(run->nth);
        result = workload_session(run->dir, BATCHES, CLUMP, true, &run->promise);
        run->reached = (run->what == WRITES  ? wraps_writes()
                        : run->what == READS ? wraps_reads()
                                             : wraps_allocations()) >= run->nth;
        wraps_fail_writes(0, 0, false);
        wraps_fail_reads(0, 0, false);
        wraps_fail_memory(0);
        if (result > 0) {
                printf("a call that fails was taken for damage: %d\n", result);
                return EXIT_REFUSED;
        }
        return result < 0 || run->promise.fault != 0 ? EXIT_ENDED_BY_FAULT : 0;
}

/* A store that was killed with something in it: only its next start reads. */
static int prepare(void *context)
{
        (void)context;
        return workload_session(run->dir, BATCHES, CLUMP, false, &run->promise) != 0;
}

static int judge(void *context)
{
        (void)context;
        return workload_judge(run->dir, &run->promise) ? 0 : 1;
}

static bool status_is_allowed(int status)
{
        return status == 0 || status == EXIT_ENDED_BY_FAULT ||
               (status == EXIT_NO_MEMORY && run->what == MEMORY);
}

/* One session with one failing call, judged. */
static bool run_once(bool list)
{
        int status, judged;

        snprintf(run->dir, sizeof(run->dir), "%s/store", scratch);
        run->promise = (struct workload_promise){0};
        run->reached = true; /* unless the session says otherwise */
        PX_ASSERT(mkdir(run->dir, 0700) == 0);
        if (run->what == READS)
                PX_ASSERT(workload_child(prepare, NULL, DEADLINE_S) == 0);
        status = workload_child(session, NULL, DEADLINE_S);
        judged = workload_child(judge, NULL, DEADLINE_S);
        workload_remove(run->dir);
        if (list)
                printf("%s %" PRIu64 ": status %d, fault %d, %" PRIu64 " acknowledged\n", run->kind,
                       run->nth, status, run->promise.fault, run->promise.acknowledged);
        if (status_is_allowed(status) && judged == 0)
                return true;
        printf("FAIL %s, call %" PRIu64 ": session %d (fault %d), judged %d, %" PRIu64
               " acknowledged\n",
               run->kind, run->nth, status, run->promise.fault, judged, run->promise.acknowledged);
        return false;
}

static uint64_t series(const char *kind, enum what what, int error, bool for_ever, uint64_t only,
                       bool list)
{
        uint64_t failed = 0;

        run->kind = kind;
        run->what = what;
        run->error = error;
        run->for_ever = for_ever;
        for (run->nth = only > 0 ? only : 1; run->nth <= CALLS_MAX; run->nth++) {
                failed += !run_once(list);
                if (!run->reached || only > 0 || failed > 5)
                        break;
        }
        printf("%s %s: %" PRIu64 " calls\n", failed == 0 ? "ok  " : "FAIL", kind, run->nth);
        return failed > 0;
}

int main(int argc, char **argv)
{
        uint64_t only = 0, failed = 0;
        bool list = false;

        for (int i = 1; i < argc; i++) {
                if (strcmp(argv[i], "--list") == 0)
                        list = true;
                else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
                        only = strtoull(argv[++i], NULL, 10);
        }
        run = mmap(NULL, sizeof(*run), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        PX_ASSERT(run != MAP_FAILED);
        snprintf(scratch, sizeof(scratch), "%s", workload_scratch());
        failed += series("EIO once", WRITES, EIO, false, only, list);
        failed += series("EIO for ever", WRITES, EIO, true, only, list);
        failed += series("ENOSPC once", WRITES, ENOSPC, false, only, list);
        failed += series("ENOSPC for ever", WRITES, ENOSPC, true, only, list);
        failed += series("EIO of a read, once", READS, EIO, false, only, list);
        failed += series("EIO of a read, for ever", READS, EIO, true, only, list);
        failed += series("no memory", MEMORY, 0, false, only, list);
        printf("%d passed, %d failed\n", 7 - (int)failed, (int)failed);
        workload_remove(scratch);
        return failed > 0;
}
