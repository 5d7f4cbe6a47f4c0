/* SPDX-License-Identifier: Apache-2.0 */
/* rot.c - see rot.h. */
#include "rot.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "workload.h"

#define DEADLINE_S 30
#define FAILURES_MAX 10
#define PATH_ROOM 400

static struct {
        char scratch[200];
        char copy[PATH_ROOM];
        char said[PATH_ROOM];
        uint64_t seed, count, only, minutes;
        uint64_t done, failed, refused, served;
} campaign;

struct task {
        const struct rot_subject *subject;
        char dir[PATH_ROOM];
        const char *damaged;
};

static int make(void *context)
{
        const struct task *task = context;

        return task->subject->make(task->dir);
}

static int judge(void *context)
{
        const struct task *task = context;
        int fd = open(campaign.said, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);

        PX_ASSERT(fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
        return task->subject->judge(campaign.copy, task->damaged, campaign.said);
}

static void print_said(void)
{
        char line[300];
        FILE *file = fopen(campaign.said, "re");

        while (file != NULL && fgets(line, sizeof(line), file) != NULL)
                printf("     it said: %s", line);
        if (file != NULL)
                fclose(file);
}

static void damage_once(struct task *task, size_t subject_number, uint64_t number)
{
        static struct damage_files files;
        struct px_rand rand;
        const char *words;
        int status;

        px_rand_init(&rand, campaign.seed + number * 16 + subject_number);
        workload_remove(campaign.copy);
        workload_copy(task->dir, campaign.copy);
        damage_list(campaign.copy, &files);
        PX_ASSERT(files.count > 0);
        task->damaged = task->subject->choose != NULL
                                ? task->subject->choose(&files, &rand)
                                : files.names[px_rand_below(&rand, files.count)];
        words = damage_file(campaign.copy, task->damaged, &rand);
        status = workload_child(judge, task, DEADLINE_S);
        campaign.done++;
        campaign.refused += status == ROT_REFUSED;
        campaign.served += status == ROT_SERVED;
        if (status == ROT_REFUSED || status == ROT_SERVED)
                return;
        campaign.failed++;
        printf("FAIL seed %" PRIu64 ", damage %" PRIu64 ", %s: %s: %s %d\n", campaign.seed, number,
               task->subject->name, words, status < 0 ? "ended by signal" : "status",
               status < 0 ? -status : status);
        print_said();
}

static bool take_options(int argc, char **argv)
{
        const struct {
                const char *name;
                uint64_t *value;
        } rows[] = {{"--seed", &campaign.seed}, {"--count", &campaign.count},
                    {"--only", &campaign.only}, {"--minutes", &campaign.minutes}};
        int taken = 1;

        for (int i = 1; i + 1 < argc; i += 2) {
                for (size_t row = 0; row < PX_COUNT_OF(rows); row++) {
                        if (strcmp(argv[i], rows[row].name) != 0)
                                continue;
                        *rows[row].value = strtoull(argv[i + 1], NULL, 10);
                        taken += 2;
                }
        }
        return taken == argc;
}

int rot_main(int argc, char **argv, const struct rot_subject *subjects, size_t subjects_count,
             uint64_t count)
{
        struct task tasks[4];
        time_t end;

        campaign.seed = (uint64_t)time(NULL);
        campaign.count = count;
        PX_ASSERT(subjects_count <= PX_COUNT_OF(tasks));
        if (!take_options(argc, argv)) {
                fprintf(stderr, "usage: %s [--count N|--minutes M] [--seed S] [--only N]\n", argv[0]);
                return 2;
        }
        end = time(NULL) + (time_t)campaign.minutes * 60;
        snprintf(campaign.scratch, sizeof(campaign.scratch), "%s", workload_scratch());
        snprintf(campaign.copy, sizeof(campaign.copy), "%s/copy", campaign.scratch);
        snprintf(campaign.said, sizeof(campaign.said), "%s/said", campaign.scratch);
        for (size_t i = 0; i < subjects_count; i++) {
                tasks[i].subject = &subjects[i];
                snprintf(tasks[i].dir, sizeof(tasks[i].dir), "%s/%s", campaign.scratch,
                         subjects[i].name);
                PX_ASSERT(mkdir(tasks[i].dir, 0700) == 0);
                PX_ASSERT(workload_child(make, &tasks[i], DEADLINE_S) == 0);
        }
        for (uint64_t i = PX_MAX(campaign.only, (uint64_t)1); campaign.failed < FAILURES_MAX; i++) {
                if (campaign.only > 0 ? i > campaign.only
                    : campaign.minutes > 0 ? time(NULL) >= end
                                           : i > campaign.count)
                        break;
                damage_once(&tasks[i % subjects_count], i % subjects_count, i);
        }
        printf("seed %" PRIu64 ": %" PRIu64 " refused, %" PRIu64 " opened and served right\n",
               campaign.seed, campaign.refused, campaign.served);
        printf("ledger corruptions %" PRIu64 "\n", campaign.done);
        printf("%d passed, %d failed\n", campaign.failed == 0, campaign.failed != 0);
        workload_remove(campaign.scratch);
        return campaign.failed > 0;
}
