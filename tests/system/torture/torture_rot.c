/* SPDX-License-Identifier: Apache-2.0 */
/* torture_rot.c - damage at rest in any file of a store (journal, LMDB, feed) that was closed in good order or
 * killed. Opening refuses in words, or it serves only what is right and says what is damaged; and the
 * process that opens never dies of it. Options: see rot.h. */
#include <inttypes.h>
#include <stdio.h>

#include "px_schema.h"
#include "rot.h"
#include "workload.h"

#define BATCHES 400
#define CLUMP 12
#define COUNT 1500

/* The state, the feed or anything: journal segments are many. */
static const char *choose(const struct damage_files *files, struct px_rand *rand)
{
        static const char *const kinds[] = {"db/", "feed/", ""};
        const char *kind = kinds[px_rand_below(rand, PX_COUNT_OF(kinds))];

        for (int tries = 1;; tries++) {
                const char *name = files->names[px_rand_below(rand, files->count)];

                if (strstr(name, kind) != NULL || tries == 1000) /* a killed store may have no feed */
                        return name;
        }
}

static int judge(const char *dir, bool killed)
{
        struct px_log_start start;
        struct px_log *log;
        int result = workload_open(dir, &log, &start);
        bool right;

        if ((result == PX_E_DAMAGED || result == PX_E_VERSION) && start.refusal[0] != 0)
                return ROT_REFUSED;
        if (result != PX_OK) {
                printf("opening: %d %s\n", result, start.refusal);
                return ROT_WRONG;
        }
        /* The last records of a killed store may be taken for torn ones. */
        if (start.index != BATCHES && !(killed && start.index < BATCHES)) {
                printf("batch %" PRIu64 " is the last, not %d\n", start.index, BATCHES);
                return ROT_WRONG;
        }
        right = workload_judge_log(log, start.index, true);
        px_log_close(log);
        return right ? ROT_SERVED : ROT_WRONG;
}

static int judge_closed(const char *dir, const char *damaged, const char *said)
{
        (void)damaged;
        (void)said;
        return judge(dir, false);
}

static int judge_killed(const char *dir, const char *damaged, const char *said)
{
        (void)damaged;
        (void)said;
        return judge(dir, true);
}

static int make_closed(const char *dir)
{
        struct workload_promise promise = {0};
        int result = workload_session(dir, BATCHES, CLUMP, true, &promise);

        /* Another start removes the journal's old segments, so that feed and state stand alone. */
        if (result == PX_OK)
                result = workload_session(dir, 0, CLUMP, true, &promise);
        return result != PX_OK || promise.acknowledged != BATCHES;
}

static int make_killed(const char *dir)
{
        struct workload_promise promise = {0};

        return workload_session(dir, BATCHES, CLUMP, false, &promise) != PX_OK ||
               promise.acknowledged != BATCHES;
}

int main(int argc, char **argv)
{
        static const struct rot_subject subjects[] = {
                {"closed", make_closed, judge_closed, choose},
                {"killed", make_killed, judge_killed, choose},
        };

        return rot_main(argc, argv, subjects, PX_COUNT_OF(subjects), COUNT);
}
