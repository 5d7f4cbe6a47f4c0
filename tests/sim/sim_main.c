/* SPDX-License-Identifier: Apache-2.0 */
/* sim_main.c - plexus-sim: run seeds of the simulated cluster, count what they met, name the seed
 * that breaks a promise. Each stretch of seeds runs in a child process, so that one broken seed
 * doesn't hide the others; what breaks is made smaller before it is shown. */
#include "sim.h"
#include "sim_shrink.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FAILURES_MAX 5
#define SEEDS_FOR_COUNTS 1000 /* from so many on, each expected thing must have been met */
#define MET_MIN 100
#define SELF_CHECK_EVERY 100 /* such a seed runs twice and must be the same */

struct arguments {
        uint64_t seeds;
        uint64_t from;
        uint64_t events;
        uint64_t faults_off;
        uint64_t seconds; /* begin no seed later; 0 = no limit */
        bool replay;
        bool trace;
        bool table;
};

/* Shared with the children. */
struct progress {
        struct sim_stats stats;
        struct timespec started;
        uint64_t seed;
        uint64_t passed;
        uint64_t failed;
};

static void usage(void)
{
        fputs("plexus-sim [--seeds N] [--from S] [--events N] [--seconds N] [--table]\n"
              "plexus-sim --replay SEED [--events N] [--without FAULTS] [--trace]\n",
              stderr);
        exit(64);
}

static uint64_t number_of(const char *text)
{
        char *end;
        unsigned long long value;

        if (text == NULL)
                usage();
        errno = 0;
        value = strtoull(text, &end, 10);
        if (*text == '\0' || *end != '\0' || errno != 0)
                usage();
        return value;
}

static struct arguments arguments_of(char **argv)
{
        struct arguments arguments = {.seeds = 1000, .from = 1, .events = 4000};

        for (argv++; *argv != NULL; argv++) {
                if (strcmp(*argv, "--seeds") == 0) {
                        arguments.seeds = number_of(*++argv);
                } else if (strcmp(*argv, "--from") == 0) {
                        arguments.from = number_of(*++argv);
                } else if (strcmp(*argv, "--events") == 0) {
                        arguments.events = number_of(*++argv);
                } else if (strcmp(*argv, "--without") == 0) {
                        arguments.faults_off = number_of(*++argv);
                } else if (strcmp(*argv, "--seconds") == 0) {
                        arguments.seconds = number_of(*++argv);
                } else if (strcmp(*argv, "--replay") == 0) {
                        arguments.replay = true;
                        arguments.from = number_of(*++argv);
                        arguments.seeds = 1;
                } else if (strcmp(*argv, "--trace") == 0) {
                        arguments.trace = true;
                } else if (strcmp(*argv, "--table") == 0) {
                        arguments.table = true;
                } else {
                        usage();
                }
                if (*argv == NULL)
                        usage();
        }
        return arguments;
}

static struct progress *map_progress(void)
{
        struct progress *progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
                                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        if (progress == MAP_FAILED)
                exit(71);
        return progress;
}

/* ---- one seed ---------------------------------------------------------------------------------
 */

static uint64_t run_seed(const struct arguments *arguments, uint64_t seed, struct sim_stats *stats)
{
        struct sim_options options = {
                .seed = seed,
                .nodes = 1 + (uint32_t)(seed % 4),
                .workers = (uint32_t)(seed / 4 % 3),
                .clients = 1 + (uint32_t)(seed / 12 % 4),
                .node_lease_ms = seed % 2 == 0 ? 14000 : 6000,
                .events = arguments->events,
                .faults_off = arguments->faults_off,
                .random = true,
                .print = arguments->trace,
                .stats = stats,
        };
        struct sim *sim = sim_new(&options);
        uint64_t hash = sim_run_random(sim);

        sim_free(sim);
        return hash;
}

static void check_same(const struct arguments *arguments, uint64_t seed, uint64_t hash)
{
        struct sim_stats unwanted = {0};

        if (run_seed(arguments, seed, &unwanted) == hash)
                return;
        fprintf(stderr, "BROKEN: seed %llu is not the same twice\n", (unsigned long long)seed);
        abort();
}

/* ---- stretches of seeds -----------------------------------------------------------------------
 */

static double seconds_since(const struct timespec *start)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)(now.tv_sec - start->tv_sec) +
               (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

static bool time_is_up(const struct arguments *arguments, const struct progress *progress)
{
        return arguments->seconds > 0 &&
               seconds_since(&progress->started) >= (double)arguments->seconds;
}

static void run_child(const struct arguments *arguments, struct progress *progress, uint64_t end)
{
        for (; progress->seed < end && !time_is_up(arguments, progress); progress->seed++) {
                uint64_t hash = run_seed(arguments, progress->seed, &progress->stats);

                if (progress->seed % SELF_CHECK_EVERY == 0 || arguments->replay)
                        check_same(arguments, progress->seed, hash);
                if (arguments->replay)
                        printf("seed %llu: hash %016llx\n", (unsigned long long)progress->seed,
                               (unsigned long long)hash);
                progress->passed++;
        }
}

/* Run in a child, whose words go to `words` (a file descriptor). true: it ended well. */
static bool in_child(const struct arguments *arguments, struct progress *progress, uint64_t end,
                     int words)
{
        pid_t child;
        int status;

        fflush(NULL);
        child = fork();
        if (child < 0)
                exit(71);
        if (child == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (words != STDERR_FILENO)
                        dup2(words, STDERR_FILENO);
                run_child(arguments, progress, end);
                exit(0);
        }
        if (waitpid(child, &status, 0) != child)
                exit(71);
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool run_fails(const struct shrink_run *run, bool show, void *context)
{
        struct arguments arguments = *(const struct arguments *)context;
        struct progress *progress = map_progress();
        int words = show ? STDERR_FILENO : open("/dev/null", O_WRONLY | O_CLOEXEC);
        bool failed;

        arguments.events = run->events;
        arguments.faults_off = run->faults_off;
        arguments.seconds = 0;
        arguments.replay = false; /* it says nothing of its hash */
        progress->seed = run->seed;
        failed = !in_child(&arguments, progress, run->seed + 1, words);
        munmap(progress, sizeof(*progress));
        if (!show)
                close(words);
        return failed;
}

static void show_words(int words)
{
        char bytes[4096];
        ssize_t got;

        lseek(words, 0, SEEK_SET);
        while ((got = read(words, bytes, sizeof(bytes))) > 0)
                fwrite(bytes, 1, (size_t)got, stderr);
}

/* What broke a seed, as small as it gets; what the seed itself said if that can't be had again. */
static void show_failure(struct arguments *arguments, uint64_t seed, int words)
{
        struct shrink_run run = {seed, arguments->events, arguments->faults_off};

        fprintf(stderr, "seed %llu failed\n", (unsigned long long)seed);
        if (arguments->replay || !shrink(&run, run_fails, arguments)) {
                show_words(words);
                return;
        }
        fprintf(stderr, "made smaller: %llu events instead of %llu\n",
                (unsigned long long)run.events, (unsigned long long)arguments->events);
        run_fails(&run, true, arguments);
}

static void run_all(struct arguments *arguments, struct progress *progress)
{
        uint64_t end = arguments->from + arguments->seeds;

        progress->seed = arguments->from;
        while (progress->seed < end && progress->failed < FAILURES_MAX &&
               !time_is_up(arguments, progress)) {
                int words = arguments->trace ? STDERR_FILENO
                                             : memfd_create("words", MFD_CLOEXEC);

                if (!in_child(arguments, progress, end, words)) {
                        if (!arguments->trace)
                                show_failure(arguments, progress->seed, words);
                        progress->failed++;
                        progress->seed++;
                }
                if (!arguments->trace)
                        close(words);
        }
}

/* ---- what was met -----------------------------------------------------------------------------
 */

/* Why no run meets a refusal; the others must be met. */
static const char *refusal_unmet(int code)
{
        switch (code) {
        case PX_E_FENCED:
                return "what is stale is confirmed and changes nothing; nobody is told";
        case PX_E_TIMED_OUT:
        case PX_E_CANCELLED:
                return "the library says it to its caller, it never crosses the wire";
        case PX_E_DAMAGED:
                return "damage belongs to the torture of the store";
        case PX_E_VERSION:
                return "shells say it, which do not run here";
        case PX_E_SNAPSHOT:
                return "egress says it, which does not run here";
        default:
                return NULL;
        }
}

/* Edges of the life cycle that no run meets, and why. */
static bool edge_expected(int from, int to)
{
        /* skipped: nothing depends on another job yet */
        if (from == PX_JOB_STATE_SKIPPED || to == PX_JOB_STATE_SKIPPED)
                return false;
        /* a retry by hand releases what was held */
        if (from > PX_JOB_STATE_CANCELLING && to == PX_JOB_STATE_BLOCKED)
                return false;
        return true;
}

static uint64_t missing(const char *what, const char *name, uint64_t count, bool print)
{
        bool few = count < MET_MIN;

        if (print || few)
                printf("%9llu %s %s%s\n", (unsigned long long)count, what, name,
                       few ? "  <- too few" : "");
        return few;
}

static uint64_t print_met(const struct sim_stats *stats, bool print)
{
        uint64_t few = 0;
        char name[64];

        for (int i = 0; i < MET_COUNT; i++)
                few += missing("fault:", sim_met_names[i], stats->met[i], print);
        for (int from = 1; from < PX_JOB_STATE_COUNT; from++)
                for (int to = 1; to < PX_JOB_STATE_COUNT; to++) {
                        if (!px_job_edge(from, to) || !edge_expected(from, to))
                                continue;
                        snprintf(name, sizeof(name), "%s -> %s", px_job_state_name(from),
                                 px_job_state_name(to));
                        few += missing("edge:", name, stats->edges[from][to], print);
                }
        for (int code = 1; code <= PX_ERRORS_COUNT; code++) {
                const char *unmet = refusal_unmet(code);

                if (unmet == NULL)
                        few += missing("refusal:", px_error_find(code)->name,
                                       stats->refusals[code], print);
                else if (print)
                        printf("%9llu refusal: %s (not expected: %s)\n",
                               (unsigned long long)stats->refusals[code],
                               px_error_find(code)->name, unmet);
        }
        return few;
}

int main(int argc, char **argv)
{
        struct arguments arguments = arguments_of(argv);
        struct progress *progress = map_progress();
        double seconds;
        uint64_t few = 0;

        (void)argc;
        clock_gettime(CLOCK_MONOTONIC, &progress->started);
        run_all(&arguments, progress);
        seconds = seconds_since(&progress->started);
        if (arguments.table || progress->passed >= SEEDS_FOR_COUNTS)
                few = print_met(&progress->stats, arguments.table);
        printf("%llu seeds, %llu events, %llu commits, %llu processes in %.1f s: %.0f events/s, "
               "%.0f simulated seconds a second\n",
               (unsigned long long)progress->stats.seeds,
               (unsigned long long)progress->stats.events,
               (unsigned long long)progress->stats.commits,
               (unsigned long long)progress->stats.processes, seconds,
               (double)progress->stats.events / seconds,
               (double)progress->stats.virtual_ms / 1000 / seconds);
        if (few > 0 && !arguments.table)
                progress->failed++;
        if (arguments.seconds > 0)
                printf("ledger seeds %llu\nledger next_seed %llu\n",
                       (unsigned long long)progress->passed, (unsigned long long)progress->seed);
        printf("%llu passed, %llu failed\n", (unsigned long long)progress->passed,
               (unsigned long long)progress->failed);
        return progress->failed > 0;
}
