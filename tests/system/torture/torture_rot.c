/* SPDX-License-Identifier: Apache-2.0 */
/* torture_rot.c - damage at rest: a bit flipped, a file cut short, a page zeroed, two pages swapped, in any file
 * of a store that was closed in good order or killed. Opening refuses in words, or it serves only
 * what is right and says what is damaged; and the process that opens never dies of it.
 * Options: --count N (1500), --seed S, --only N (the N-th damage of that seed). */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "disk.h"
#include "px_schema.h"
#include "workload.h"

#define BATCHES 400
#define CLUMP 12
#define PAGE 4096
#define DEADLINE_S 30
#define FILES_MAX 64
#define EXIT_REFUSED 2
#define EXIT_SERVED 0
#define EXIT_WRONG 1

static char scratch[200];

struct subject {
        char dir[300];
        uint64_t index; /* acknowledged */
        bool killed;    /* the last records may be taken for torn ones */
};

static struct {
        char names[FILES_MAX][80];
        size_t count;
} files;

static void files_list_in(const char *root, const char *below)
{
        char command[700], line[300];
        FILE *list;

        snprintf(command, sizeof(command),
                 "cd '%s' && find %s -type f -size +0 ! -name lock.mdb ! -name ballast | sort", root,
                 below);
        list = popen(command, "r");
        PX_ASSERT(list != NULL);
        files.count = 0;
        while (fgets(line, sizeof(line), list) != NULL && files.count < FILES_MAX) {
                line[strcspn(line, "\n")] = 0;
                snprintf(files.names[files.count++], 80, "%.79s", line);
        }
        pclose(list);
}

/* ---- one damage ---------------------------------------------------------------------------------------- */

static void page_swap(int fd, off_t size, struct px_rand *rand)
{
        uint64_t pages = (uint64_t)size / PAGE;
        uint8_t first[PAGE], second[PAGE];
        uint64_t a = px_rand_below(rand, pages), b = px_rand_below(rand, pages);

        PX_ASSERT(pread(fd, first, PAGE, (off_t)(a * PAGE)) == PAGE);
        PX_ASSERT(pread(fd, second, PAGE, (off_t)(b * PAGE)) == PAGE);
        PX_ASSERT(pwrite(fd, first, PAGE, (off_t)(b * PAGE)) == PAGE);
        PX_ASSERT(pwrite(fd, second, PAGE, (off_t)(a * PAGE)) == PAGE);
}

static void bit_flip(int fd, off_t size, struct px_rand *rand)
{
        off_t at = (off_t)px_rand_below(rand, (uint64_t)size);
        uint8_t byte;

        PX_ASSERT(pread(fd, &byte, 1, at) == 1);
        byte ^= (uint8_t)(1u << px_rand_below(rand, 8));
        PX_ASSERT(pwrite(fd, &byte, 1, at) == 1);
}

static void page_zero(int fd, off_t size, struct px_rand *rand)
{
        static const uint8_t zeros[PAGE];
        off_t at = (off_t)(px_rand_below(rand, (uint64_t)size) / PAGE * PAGE);
        size_t length = (size_t)PX_MIN(size - at, PAGE);

        PX_ASSERT(pwrite(fd, zeros, length, at) == (ssize_t)length);
}

/* The state, the feed or anything: journal segments are many. */
static const char *file_choose(struct px_rand *rand)
{
        static const char *const kinds[] = {"db/", "feed/", ""};
        const char *kind = kinds[px_rand_below(rand, PX_COUNT_OF(kinds))];

        for (int tries = 1;; tries++) {
                const char *name = files.names[px_rand_below(rand, files.count)];

                if (strstr(name, kind) != NULL || tries == 1000) /* a killed store may have no feed */
                        return name;
        }
}

static const char *damage(const char *dir, struct px_rand *rand)
{
        static char words[120];
        char path[600];
        struct stat status;
        const char *name = file_choose(rand);
        uint64_t kind = px_rand_below(rand, 10);
        int fd;

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        fd = open(path, O_RDWR | O_CLOEXEC);
        PX_ASSERT(fd >= 0 && fstat(fd, &status) == 0);
        if (kind < 6) {
                bit_flip(fd, status.st_size, rand);
        } else if (kind < 8) {
                page_zero(fd, status.st_size, rand);
        } else if (kind == 8 && status.st_size >= 2 * PAGE) {
                page_swap(fd, status.st_size, rand);
        } else {
                PX_ASSERT(ftruncate(fd, (off_t)px_rand_below(rand, (uint64_t)status.st_size)) == 0);
        }
        close(fd);
        snprintf(words, sizeof(words), "%.79s, kind %" PRIu64, name, kind);
        return words;
}

/* ---- what opening makes of it ---------------------------------------------------------------------------- */

static int judge(void *context)
{
        const struct subject *subject = context;
        struct px_log_start start;
        struct px_log *log;
        char copy[400];
        int result;
        bool right;

        snprintf(copy, sizeof(copy), "%s/copy", scratch);
        result = workload_open(copy, &log, &start);
        if ((result == PX_E_DAMAGED || result == PX_E_VERSION) && start.refusal[0] != 0)
                return EXIT_REFUSED;
        if (result != PX_OK) {
                printf("opening: %d %s\n", result, start.refusal);
                return EXIT_WRONG;
        }
        if (start.index != subject->index && !(subject->killed && start.index < subject->index)) {
                printf("batch %" PRIu64 " is the last, not %" PRIu64 "\n", start.index,
                       subject->index);
                return EXIT_WRONG;
        }
        right = workload_judge_log(log, start.index, true);
        px_log_close(log);
        return right ? EXIT_SERVED : EXIT_WRONG;
}

static bool damage_once(struct subject *subject, uint64_t seed, uint64_t number, uint64_t counts[2])
{
        struct px_rand rand;
        const char *words;
        char copy[400];
        int status;

        px_rand_init(&rand, seed + number * 2 + subject->killed);
        snprintf(copy, sizeof(copy), "%s/copy", scratch);
        workload_remove(copy);
        workload_copy(subject->dir, copy);
        words = damage(copy, &rand);
        status = workload_child(judge, subject, DEADLINE_S);
        if (status == EXIT_REFUSED || status == EXIT_SERVED) {
                counts[status == EXIT_REFUSED]++;
                return true;
        }
        printf("FAIL seed %" PRIu64 ", damage %" PRIu64 " (%s, store was %s): status %d\n", seed,
               number, words, subject->killed ? "killed" : "closed", status);
        return false;
}

/* ---- the stores ---------------------------------------------------------------------------------------------- */

static struct workload_promise *promise;

static int prepare(void *context)
{
        const struct subject *subject = context;
        int result = workload_session(subject->dir, BATCHES, CLUMP, !subject->killed, promise);

        /* Another start removes the journal's old segments, so that feed and state stand alone. */
        if (result == PX_OK && !subject->killed)
                result = workload_session(subject->dir, 0, CLUMP, true, promise);
        return result;
}

static void subject_make(struct subject *subject, const char *name, bool killed)
{
        *promise = (struct workload_promise){0};
        snprintf(subject->dir, sizeof(subject->dir), "%s/%s", scratch, name);
        subject->killed = killed;
        PX_ASSERT(mkdir(subject->dir, 0700) == 0);
        PX_ASSERT(workload_child(prepare, subject, DEADLINE_S) == 0);
        subject->index = promise->acknowledged;
        PX_ASSERT(subject->index == BATCHES);
}

int main(int argc, char **argv)
{
        uint64_t seed = (uint64_t)time(NULL), count = 1500, only = 0, failed = 0;
        uint64_t counts[2] = {0, 0};
        struct subject subjects[2];

        for (int i = 1; i + 1 < argc; i += 2) {
                if (strcmp(argv[i], "--seed") == 0)
                        seed = strtoull(argv[i + 1], NULL, 10);
                else if (strcmp(argv[i], "--count") == 0)
                        count = strtoull(argv[i + 1], NULL, 10);
                else if (strcmp(argv[i], "--only") == 0)
                        only = strtoull(argv[i + 1], NULL, 10);
        }
        promise = mmap(NULL, sizeof(*promise), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                       -1, 0);
        PX_ASSERT(promise != MAP_FAILED);
        snprintf(scratch, sizeof(scratch), "%s", workload_scratch());
        subject_make(&subjects[0], "closed", false);
        subject_make(&subjects[1], "killed", true);
        for (uint64_t i = only > 0 ? only : 1; i <= (only > 0 ? only : count) && failed < 10; i++) {
                struct subject *subject = &subjects[i % 2];

                files_list_in(subject->dir, ".");
                failed += !damage_once(subject, seed, i, counts);
        }
        printf("seed %" PRIu64 ": %" PRIu64 " refused, %" PRIu64 " opened and served right\n", seed,
               counts[1], counts[0]);
        printf("%d passed, %d failed\n", failed == 0, failed != 0);
        workload_remove(scratch);
        return failed > 0;
}
