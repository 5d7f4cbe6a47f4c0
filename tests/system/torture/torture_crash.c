/* SPDX-License-Identifier: Apache-2.0 */
/* torture_crash.c - power cuts: a session is recorded; images of what each point of it would have left
 * are opened by another process and judged: nothing acknowledged is lost, nothing is torn, it always
 * opens, it goes on. Each generation begins with an image of the one before, so that recovery is cut
 * too. Options: --images N (4000), --seed S, --replay DIR (an image kept by a failed run). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "trace.h"
#include "workload.h"

#define BATCHES_OF_SESSION 40
#define CLUMP 6
#define IMAGES_OF_GENERATION 160
#define DEADLINE_S 60

/* Shared by all processes. */
struct campaign {
        uint64_t seed;
        uint64_t images;
        uint64_t failed;
        uint64_t generations;
        struct workload_promise promise; /* of the directory that the next generation begins with */
        char scratch[200];
};

static struct campaign *campaign;

static const char *path_of(const char *name)
{
        static char path[300];

        snprintf(path, sizeof(path), "%s/%s", campaign->scratch, name);
        return path;
}

struct image {
        char dir[300];
        struct workload_promise promise;
};

static int image_judge(void *context)
{
        struct image *image = context;

        return workload_judge(image->dir, &image->promise) ? 0 : 1;
}

static void promise_write(const char *dir, const struct workload_promise *promise)
{
        char path[400];
        FILE *file;

        snprintf(path, sizeof(path), "%s.promise", dir);
        file = fopen(path, "w");
        PX_ASSERT(file != NULL);
        fprintf(file, "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", promise->acknowledged,
                promise->submitted, promise->epoch);
        fclose(file);
}

/* Opening changes an image, so a second one is made for those that fail. */
static void image_keep(struct image *image, int status, size_t at, enum trace_cut cut,
                       struct px_rand rand)
{
        char kept[300];
        struct trace_notes notes;

        snprintf(kept, sizeof(kept), "%s/failed-%" PRIu64, campaign->scratch, campaign->failed++);
        trace_image(kept, cut, &rand, &notes);
        promise_write(kept, &image->promise);
        printf("FAIL seed %" PRIu64 ", generation %" PRIu64 ", cut %zu of kind %d: %s %d\n"
               "     replay: torture_crash --replay %s\n",
               campaign->seed, campaign->generations, at, (int)cut,
               status < 0 ? "ended by signal" : "status", status < 0 ? -status : status, kept);
}

static void image_try(size_t at, enum trace_cut cut, struct px_rand *rand)
{
        struct px_rand again = *rand;
        struct trace_notes notes;
        struct image image;
        int status;

        snprintf(image.dir, sizeof(image.dir), "%s", path_of("image"));
        trace_image(image.dir, cut, rand, &notes);
        image.promise = (struct workload_promise){.acknowledged = notes.acknowledged,
                                                  .submitted = notes.submitted,
                                                  .epoch = notes.epoch};
        status = workload_child(image_judge, &image, DEADLINE_S);
        campaign->images++;
        if (status != 0)
                image_keep(&image, status, at, cut, again);
        workload_remove(image.dir);
}

/* Cuts spread over the whole recording, each of a random kind; the last image is handed on. */
static void images_try(struct px_rand *rand, uint64_t images)
{
        size_t length = trace_length();
        size_t handed_on = (size_t)px_rand_below(rand, images);
        struct trace_notes notes;

        for (size_t i = 0; i < images; i++) {
                size_t at = length * (i + 1) / images;
                enum trace_cut cut = (enum trace_cut)px_rand_below(rand, TRACE_CUTS);

                trace_advance(at);
                image_try(at, cut, rand);
                if (i != handed_on)
                        continue;
                trace_image(path_of("next"), cut, rand, &notes);
                campaign->promise = (struct workload_promise){.acknowledged = notes.acknowledged,
                                                              .submitted = notes.submitted,
                                                              .epoch = notes.epoch};
        }
}

static int generation(void *context)
{
        struct px_rand *rand = context;
        char dir[300];
        int result;

        snprintf(dir, sizeof(dir), "%s", path_of("work"));
        trace_begin(dir);
        trace_note(campaign->promise.acknowledged, campaign->promise.submitted,
                   campaign->promise.epoch);
        for (int i = 0; i < 2; i++) {
                result = workload_session(dir, BATCHES_OF_SESSION, CLUMP,
                                          i == 0 || px_rand_chance(rand, 500),
                                          &campaign->promise);
                if (result != 0 || campaign->promise.fault != 0) {
                        printf("FAIL: the recorded session: %d, fault %d\n", result,
                               campaign->promise.fault);
                        return 1;
                }
        }
        trace_stop();
        images_try(rand, IMAGES_OF_GENERATION);
        return 0;
}

static bool campaign_run(uint64_t images, uint64_t minutes)
{
        time_t end = time(NULL) + (time_t)minutes * 60;
        struct px_rand rand;

        px_rand_init(&rand, campaign->seed);
        while (campaign->failed == 0 &&
               (minutes > 0 ? time(NULL) < end : campaign->images < images)) {
                struct px_rand part;

                px_rand_init(&part, px_rand_u64(&rand));
                if (campaign->generations++ % 6 == 0) { /* from nothing again */
                        campaign->promise = (struct workload_promise){0};
                        workload_remove(path_of("next"));
                        PX_ASSERT(mkdir(path_of("next"), 0700) == 0);
                }
                workload_remove(path_of("work"));
                {
                        char next[300];

                        snprintf(next, sizeof(next), "%s", path_of("next"));
                        PX_ASSERT(rename(next, path_of("work")) == 0);
                }
                if (workload_child(generation, &part, 600) != 0)
                        campaign->failed++;
        }
        return campaign->failed == 0;
}

static int replay(const char *dir)
{
        struct image image = {0};
        char path[400];
        FILE *file;

        snprintf(path, sizeof(path), "%s.promise", dir);
        file = fopen(path, "r");
        if (file == NULL || fscanf(file, "%" SCNu64 " %" SCNu64 " %" SCNu64,
                                   &image.promise.acknowledged, &image.promise.submitted,
                                   &image.promise.epoch) != 3) {
                fprintf(stderr, "torture_crash: %s: no promise\n", path);
                return 2;
        }
        fclose(file);
        snprintf(image.dir, sizeof(image.dir), "%s.replay", dir);
        workload_remove(image.dir);
        workload_copy(dir, image.dir);
        return workload_judge(image.dir, &image.promise) ? 0 : 1;
}

int main(int argc, char **argv)
{
        uint64_t images = 4000, minutes = 0;
        bool passed;

        campaign = mmap(NULL, sizeof(*campaign), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        PX_ASSERT(campaign != MAP_FAILED);
        campaign->seed = (uint64_t)time(NULL);
        for (int i = 1; i + 1 < argc; i += 2) {
                if (strcmp(argv[i], "--images") == 0)
                        images = strtoull(argv[i + 1], NULL, 10);
                else if (strcmp(argv[i], "--minutes") == 0)
                        minutes = strtoull(argv[i + 1], NULL, 10);
                else if (strcmp(argv[i], "--seed") == 0)
                        campaign->seed = strtoull(argv[i + 1], NULL, 10);
                else if (strcmp(argv[i], "--replay") == 0)
                        return replay(argv[i + 1]);
        }
        snprintf(campaign->scratch, sizeof(campaign->scratch), "%s", workload_scratch());
        passed = campaign_run(images, minutes);
        printf("seed %" PRIu64 ": %" PRIu64 " images of %" PRIu64 " sessions\n", campaign->seed,
               campaign->images, campaign->generations);
        printf("ledger crash_images %" PRIu64 "\n", campaign->images);
        printf("%d passed, %d failed\n", passed ? 1 : 0, passed ? 0 : 1);
        if (passed)
                workload_remove(campaign->scratch);
        return passed ? 0 : 1;
}
