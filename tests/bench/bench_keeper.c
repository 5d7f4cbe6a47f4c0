/* SPDX-License-Identifier: Apache-2.0 */
/* bench_keeper.c - jobs a second through spool and keepers alone: entry, lock, /bin/true, exit
 * record, removal. No broker and no link's core.
 *
 * usage: bench_keeper KEEPER [JOBS] [AT_ONCE] [pooled|fresh|cancel] [MODE]
 * MODE = cgroup2, cgroup1, pidns or subreaper. fresh = a new keeper for every job instead of pooled ones. cancel = one job at a time whose
 * grandchildren leave its session and ignore SIGTERM: from KILL with 20 ms of grace to the proof
 * that nothing is alive. */
#include "group.h"
#include "launch.h"
#include "spool.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define AT_ONCE_MAX 64

struct lane {
        pid_t pid;
        int ctl_fd;
        int dir_fd;
        struct spool_key key;
        bool busy;
        double killed_s;
};

struct bench {
        struct spool *spool;
        struct group_tree tree;
        uint8_t boot[SPOOL_ID_BYTES];
        struct px_buf spec;
        const char *program;
        bool fresh;
        bool cancel;
        double *took_ms; /* of each cancel */
        struct lane lanes[AT_ONCE_MAX];
};

static void check(int fault, const char *what)
{
        if (fault == 0)
                return;
        fprintf(stderr, "bench_keeper: %s: %s\n", what, strerror(-fault));
        exit(71);
}

static double now_s(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void lane_start(struct bench *bench, uint32_t slot, uint64_t number)
{
        struct lane *lane = &bench->lanes[slot];
        struct keeper_start start = {.node = "bench",
                                     .user = "bench",
                                     .home = "/",
                                     .shell = "/bin/sh",
                                     .work = "/nonexistent",
                                     .sock = "",
                                     .kill_mode = group_mode_text(bench->tree.mode)};
        struct px_assign assign = {.job = {number},
                                   .fence = {.epoch = 1, .attempt = 1},
                                   .kind = PX_JOB_KIND_COMMAND,
                                   .principal = px_slice_text("bench"),
                                   .on_lost = PX_ON_LOST_RERUN,
                                   .spec = px_buf_slice(&bench->spec)};
        struct job_group group;
        int lock_fd;

        lane->key = (struct spool_key){.job = assign.job, .fence = assign.fence};
        check(spool_enter(bench->spool, &assign, &lane->dir_fd), "entry");
        check(spool_lock(lane->dir_fd, &lock_fd), "lock");
        check(group_make(&bench->tree, slot, 0, &group), "group");
        start.group = group.kill;
        start.group_memory = group.memory;
        start.group_pids = group.pids;
        memcpy(start.boot, bench->boot, sizeof(start.boot));
        if (lane->ctl_fd < 0)
                check(keeper_spawn(bench->program, &lane->pid, &lane->ctl_fd), "keeper");
        check(keeper_hand_over(lane->ctl_fd, &start, lane->dir_fd, lock_fd), "start");
        close(lock_fd);
        lane->busy = true;
}

#define GRACE_MS 20
#define HOSTILE                                                                                    \
        "for i in 1 2 3; do setsid sh -c 'trap \"\" TERM; printf x; exec sleep 1000' & done; "     \
        "trap '' TERM; while :; do sleep 1000; done"

/* Kill it once its three grandchildren said that they run. */
static void lane_cancel(struct bench *bench, struct lane *lane, const struct ctl_message *message)
{
        struct ctl_message kill = {.kind = CTL_KILL, .number = {GRACE_MS, PX_KILL_WHY_CANCEL}};

        if (!bench->cancel || message->kind != CTL_GREW || message->number[0] < 3)
                return;
        lane->killed_s = now_s();
        check(ctl_send(lane->ctl_fd, &kill), "kill");
}

/* True when its job ended. */
static bool lane_hear(struct bench *bench, struct lane *lane)
{
        static uint8_t room[CTL_PAYLOAD_BYTES_MAX];
        struct px_arena arena = {0};
        struct ctl_message message;
        struct px_result result;
        bool ended = false;

        while (!ended && ctl_receive(lane->ctl_fd, room, &message) == 0) {
                lane_cancel(bench, lane, &message);
                ended = message.kind == CTL_ENDED;
        }
        if (!ended)
                return false;
        check(spool_exit_read(lane->dir_fd, lane->key, bench->boot, &arena, &result),
              "exit record");
        if (bench->cancel)
                bench->took_ms[lane->key.job.value - 1] = (now_s() - lane->killed_s) * 1000;
        if (result.outcome != (bench->cancel ? PX_OUTCOME_CANCELLED : PX_OUTCOME_OK)) {
                fprintf(stderr, "bench_keeper: outcome %d, exit %d, signal %u: %.*s\n", result.outcome, result.exit_code, result.signal,
                        (int)result.text.length, (const char *)result.text.data);
                exit(1);
        }
        px_arena_fini(&arena);
        close(lane->dir_fd);
        check(spool_remove(bench->spool, lane->key), "removal");
        lane->busy = false;
        if (bench->fresh) {
                close(lane->ctl_fd);
                lane->ctl_fd = -1;
                waitpid(lane->pid, NULL, 0);
        }
        return true;
}

static void bench_run(struct bench *bench, uint64_t jobs, uint32_t at_once)
{
        struct pollfd polled[AT_ONCE_MAX];
        uint64_t started = 0;
        uint64_t ended = 0;

        while (ended < jobs) {
                for (uint32_t i = 0; i < at_once; i++) {
                        if (!bench->lanes[i].busy && started < jobs)
                                lane_start(bench, i, ++started);
                        polled[i] = (struct pollfd){
                                .fd = bench->lanes[i].busy ? bench->lanes[i].ctl_fd : -1,
                                .events = POLLIN};
                }
                poll(polled, at_once, -1);
                for (uint32_t i = 0; i < at_once; i++)
                        if (polled[i].revents != 0 && lane_hear(bench, &bench->lanes[i]))
                                ended++;
        }
}

static int compare(const void *a, const void *b)
{
        double left = *(const double *)a;
        double right = *(const double *)b;

        return (left > right) - (left < right);
}

static void bench_open(struct bench *bench, const char *dir, const char *mode)
{
        enum group_mode best = GROUP_CGROUP2;
        struct px_slice quick[] = {px_slice_text("/bin/true")};
        struct px_slice hostile[] = {px_slice_text("/bin/sh"), px_slice_text("-c"),
                                     px_slice_text(HOSTILE)};
        struct px_spec spec = {.argv = bench->cancel ? hostile : quick,
                               .argv_count = bench->cancel ? 3 : 1,
                               .cwd = px_slice_text("/")};

        px_spec_encode(&spec, &bench->spec);
        check(spool_open(dir, &bench->spool), "spool");
        check(spool_boot(bench->boot), "boot id");
        if (mode != NULL && !group_mode_parse(mode, &best))
                check(-EINVAL, mode);
        group_tree_open(&bench->tree, best, NULL, "plexus.bench");
        for (int i = 0; i < AT_ONCE_MAX; i++)
                bench->lanes[i].ctl_fd = -1;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
        (void)status;
        (void)kind;
        (void)walk;
        return remove(path);
}

static void bench_clean(struct bench *bench, const char *dir)
{
        for (int i = 0; i < AT_ONCE_MAX; i++)
                if (bench->lanes[i].ctl_fd >= 0)
                        close(bench->lanes[i].ctl_fd);
        while (wait(NULL) > 0)
                continue;
        group_tree_remove(&bench->tree);
        spool_close(bench->spool);
        nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(int argc, char **argv)
{
        static struct bench bench;
        char dir[] = "/tmp/bench_keeper.XXXXXX";
        uint64_t jobs = argc > 2 ? strtoull(argv[2], NULL, 10) : 2000;
        uint32_t at_once = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 2;
        double began;
        double took;

        if (argc < 2 || at_once == 0 || at_once > AT_ONCE_MAX || jobs == 0) {
                fprintf(stderr, "usage: bench_keeper KEEPER [JOBS] [AT_ONCE] [pooled|fresh|cancel] "
                                "[MODE]\n");
                return 64;
        }
        bench.program = argv[1];
        bench.cancel = argc > 4 && strcmp(argv[4], "cancel") == 0;
        bench.took_ms = calloc(jobs, sizeof(double));
        at_once = bench.cancel ? 1 : at_once;
        bench.fresh = argc > 4 && strcmp(argv[4], "fresh") == 0;
        if (mkdtemp(dir) == NULL)
                return 73;
        bench_open(&bench, dir, argc > 5 ? argv[5] : NULL);
        began = now_s();
        bench_run(&bench, jobs, at_once);
        took = now_s() - began;
        if (bench.cancel) {
                qsort(bench.took_ms, jobs, sizeof(double), compare);
                printf("cancel: %llu jobs, grace %d ms, %s: median %.1f ms, p99 %.1f ms, most %.1f "
                       "ms\n",
                       (unsigned long long)jobs, GRACE_MS, group_mode_text(bench.tree.mode),
                       bench.took_ms[jobs / 2], bench.took_ms[jobs * 99 / 100],
                       bench.took_ms[jobs - 1]);
        } else
                printf("keeper: %llu jobs, %u at once, %s, %s: %.0f jobs/s\n",
                       (unsigned long long)jobs, at_once, bench.fresh ? "a keeper each" : "pooled",
                       group_mode_text(bench.tree.mode), (double)jobs / took);
        bench_clean(&bench, dir);
        px_buf_fini(&bench.spec);
        free(bench.took_ms);
        return 0;
}
