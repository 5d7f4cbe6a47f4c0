/* SPDX-License-Identifier: Apache-2.0 */
/* torture_spool.c - damage at rest in the spool of a node: entries, start and exit records, its identity. A
 * record is read as it was written or refused; one that says that a job was started is never taken
 * for absent, since the job would run a second time. Options: see rot.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "rot.h"
#include "spool.h"

#define COUNT 500
#define ATTEMPTS 12

static const uint8_t boot[SPOOL_ID_BYTES] = "this boot of it";

static struct spool_key key_of(unsigned number)
{
        return (struct spool_key){.job = {100 + number}, .fence = {.epoch = 7, .attempt = 1 + number % 3}};
}

/* A specification as long as `number` wants it, so that some entries are larger than a page. */
static struct px_assign assign_of(unsigned number, uint8_t *spec, size_t room)
{
        size_t length = (size_t)number * 900 + 10;

        PX_ASSERT(length <= room);
        for (size_t i = 0; i < length; i++)
                spec[i] = (uint8_t)(i * 7 + number);
        return (struct px_assign){.job = key_of(number).job,
                                  .fence = key_of(number).fence,
                                  .kind = PX_JOB_KIND_COMMAND,
                                  .principal = px_slice_text("ana"),
                                  .on_lost = PX_ON_LOST_FAIL,
                                  .spec = px_slice_of(spec, length)};
}

static struct px_result result_of(unsigned number)
{
        return (struct px_result){.job = key_of(number).job,
                                  .fence = key_of(number).fence,
                                  .outcome = PX_OUTCOME_FAILED,
                                  .reason = PX_REASON_EXIT,
                                  .exit_code = (int32_t)number,
                                  .progress_permille = -1,
                                  .text = px_slice_text("as told")};
}

static int make_attempt(struct spool *spool, unsigned number)
{
        static uint8_t spec[16384];
        struct px_assign assign = assign_of(number, spec, sizeof(spec));
        struct px_result result = result_of(number);
        struct spool_started started = {.wall_ms = 1000 + number, .kill_mode = "cgroup2",
                                        .group = "/sys/fs/cgroup/plexus/1"};
        int dir_fd;

        if (spool_enter(spool, &assign, &dir_fd) != 0)
                return 1;
        if (spool_started_write(dir_fd, key_of(number), &started) != 0 ||
            spool_exit_write(dir_fd, boot, true, &result) != 0)
                return 1;
        close(dir_fd);
        return 0;
}

static int make(const char *dir)
{
        static const uint8_t cluster[SPOOL_ID_BYTES] = "a cluster's id.";
        struct spool *spool;
        int failed = 0;

        if (spool_open(dir, &spool) != 0)
                return 1;
        failed |= spool_remember(spool, px_slice_of(cluster, sizeof(cluster)), 7) != 0;
        for (unsigned i = 0; i < ATTEMPTS; i++)
                failed |= make_attempt(spool, i);
        spool_close(spool);
        return failed;
}

/* ---- what is read of it ------------------------------------------------------------------------------------ */

static bool wrong(unsigned number, const char *what, int code)
{
        printf("attempt %u: its %s: %d\n", number, what, code);
        return false;
}

static bool judge_entry(int dir_fd, unsigned number, struct px_arena *arena)
{
        static uint8_t spec[16384];
        struct px_assign expected = assign_of(number, spec, sizeof(spec));
        uint8_t of_boot[SPOOL_ID_BYTES];
        struct px_assign assign;
        int code = spool_entry_read(dir_fd, arena, of_boot, &assign);

        if (code == -EBADMSG)
                return true;
        return code == 0 && assign.job.value == expected.job.value &&
                               px_slice_equal(assign.spec, expected.spec) &&
                               assign.on_lost == PX_ON_LOST_FAIL
                       ? true
                       : wrong(number, "entry", code);
}

static bool judge_started(int dir_fd, unsigned number)
{
        struct spool_started started;
        int code = spool_started_read(dir_fd, key_of(number), &started);

        if (code == -EBADMSG)
                return true;
        return code == 0 && started.wall_ms == 1000 + number &&
                               strcmp(started.group, "/sys/fs/cgroup/plexus/1") == 0
                       ? true
                       : wrong(number, "start", code);
}

static bool judge_exit(int dir_fd, unsigned number, struct px_arena *arena)
{
        struct px_result result;
        int code = spool_exit_read(dir_fd, key_of(number), boot, arena, &result);

        if (code == -EBADMSG)
                return true;
        return code == 0 && result.exit_code == (int32_t)number &&
                               px_slice_equal(result.text, px_slice_text("as told"))
                       ? true
                       : wrong(number, "exit record", code);
}

static int judge(const char *dir, const char *damaged, const char *said)
{
        struct px_arena arena = {0};
        struct spool *spool;
        bool right = true;
        int code = spool_open(dir, &spool);

        (void)damaged;
        (void)said;
        if (code == -EBADMSG)
                return ROT_REFUSED;
        if (code != 0) {
                printf("opening: %d\n", code);
                return ROT_WRONG;
        }
        if (spool_identity(spool)->epoch != 7)
                right = wrong(0, "identity", 0);
        for (unsigned i = 0; i < ATTEMPTS; i++) {
                int dir_fd;

                if (spool_attempt_open(spool, key_of(i), &dir_fd) != 0)
                        return ROT_WRONG;
                right = judge_entry(dir_fd, i, &arena) && judge_started(dir_fd, i) &&
                        judge_exit(dir_fd, i, &arena) && right;
                close(dir_fd);
        }
        spool_close(spool);
        px_arena_fini(&arena);
        return right ? ROT_SERVED : ROT_WRONG;
}

/* A lock holds nothing; the identity is one file among many. */
static const char *choose(const struct damage_files *files, struct px_rand *rand)
{
        if (px_rand_chance(rand, 60))
                for (size_t i = 0; i < files->count; i++)
                        if (strstr(files->names[i], "identity") != NULL)
                                return files->names[i];
        return files->names[px_rand_below(rand, files->count)];
}

int main(int argc, char **argv)
{
        static const struct rot_subject subjects[] = {{"spool", make, judge, choose}};

        return rot_main(argc, argv, subjects, PX_COUNT_OF(subjects), COUNT);
}
