/* SPDX-License-Identifier: Apache-2.0 */
/* follow.c - followers: what the broker gives of a job's log, kept byte by byte in a file for each
 * attempt and stream, DIR/KEY.ATTEMPT.SUFFIX.out and .err. */
#include "player.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NEXT_MS 5000
#define FOLLOWERS 4
#define FOLLOW_TRIES 60

struct wanted {
        struct wanted *next;
        uint64_t job;
        char key[KEY_ROOM];
};

static struct {
        struct player *player;
        pthread_t threads[FOLLOWERS];
        pthread_mutex_t lock;
        pthread_cond_t change;
        struct wanted *first, **last;
        bool ending;
} follow = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

/* The files of one attempt. */
struct kept {
        int fds[2];
};

static void kept_close(struct kept *kept)
{
        for (int i = 0; i < 2; i++)
                if (kept->fds[i] >= 0)
                        close(kept->fds[i]);
        *kept = (struct kept){.fds = {-1, -1}};
}

static void kept_open(struct kept *kept, const char *base, const char *suffix, uint32_t attempt)
{
        static const char *const names[2] = {"out", "err"};
        char path[PATH_ROOM + 64];

        kept_close(kept);
        for (int i = 0; i < 2; i++) {
                snprintf(path, sizeof(path), "%s.%u.%s.%s", base, attempt, suffix, names[i]);
                kept->fds[i] = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
                if (kept->fds[i] < 0)
                        abort();
        }
}

/* Put bytes where the broker says that they stand, so that a gap or a byte given twice shows. */
static void kept_write(const struct kept *kept, const struct plexus_log_item *item)
{
        int fd = kept->fds[item->kind == PLEXUS_LOG_ERR];
        off_t at = lseek(fd, 0, SEEK_END);

        if ((uint64_t)at != item->offset)
                fprintf(stderr, "player: job %" PRIu64 ": bytes at %" PRIu64 " after %lld\n", item->job,
                        item->offset, (long long)at);
        if (write(fd, item->bytes, item->length) != (ssize_t)item->length)
                abort();
}

static void log_refused(uint64_t job, int code)
{
        fprintf(stderr, "player: log of job %" PRIu64 ": %s: %s\n", job, plexus_error_name(code),
                plexus_detail(NULL));
}

int log_keep(struct player *player, uint64_t job, const char *key, uint32_t attempt, bool follow_it,
             const char *suffix)
{
        struct plexus_log_options options = {.attempt = attempt, .follow = follow_it};
        struct plexus_log_item item;
        struct kept kept = {.fds = {-1, -1}};
        plexus_stream *stream;
        char base[PATH_ROOM];
        int state = 0;
        int code = PLEXUS_TIMED_OUT;

        snprintf(base, sizeof(base), "%s/%s", player->dir, key);
        for (int i = 0; i < FOLLOW_TRIES &&
                        (code == PLEXUS_TIMED_OUT || code == PLEXUS_UNREACHABLE);
             i++)
                code = plexus_logs(player->px, job, &options, &stream);
        if (code != PLEXUS_OK) {
                log_refused(job, code);
                return 0;
        }
        for (int silent = 0; silent < FOLLOW_TRIES;) {
                code = plexus_log_next(stream, NEXT_MS, &item);
                if (code == PLEXUS_TIMED_OUT || code == PLEXUS_UNREACHABLE) {
                        silent++;
                        continue;
                }
                silent = 0;
                if (code != PLEXUS_OK) {
                        log_refused(job, code);
                        break;
                }
                if (item.kind == PLEXUS_LOG_ATTEMPT || kept.fds[0] < 0)
                        kept_open(&kept, base, suffix, item.attempt);
                if (item.kind == PLEXUS_LOG_OUT || item.kind == PLEXUS_LOG_ERR)
                        kept_write(&kept, &item);
                if (item.kind == PLEXUS_LOG_END) {
                        state = item.state;
                        break;
                }
        }
        kept_close(&kept);
        plexus_stream_close(stream);
        return state;
}

static void *follow_run(void *context)
{
        struct player *player = context;
        struct wanted *wanted;
        int state;

        for (;;) {
                pthread_mutex_lock(&follow.lock);
                while (follow.first == NULL && !follow.ending)
                        pthread_cond_wait(&follow.change, &follow.lock);
                wanted = follow.first;
                if (wanted != NULL) {
                        follow.first = wanted->next;
                        if (follow.first == NULL)
                                follow.last = &follow.first;
                }
                pthread_mutex_unlock(&follow.lock);
                if (wanted == NULL)
                        return NULL;
                state = log_keep(player, wanted->job, wanted->key, 0, true, "followed");
                if (state != 0)
                        history_say("followed %s %" PRIu64 " %s", wanted->key, wanted->job,
                                    plexus_state_name(state));
                free(wanted);
        }
}

void follow_begin(struct player *player)
{
        follow.player = player;
        follow.last = &follow.first;
        for (int i = 0; i < FOLLOWERS; i++)
                if (pthread_create(&follow.threads[i], NULL, follow_run, player) != 0)
                        abort();
}

void follow_add(uint64_t job, const char *key)
{
        struct wanted *wanted = calloc(1, sizeof(*wanted));

        if (wanted == NULL)
                abort();
        wanted->job = job;
        snprintf(wanted->key, sizeof(wanted->key), "%s", key);
        pthread_mutex_lock(&follow.lock);
        *follow.last = wanted;
        follow.last = &wanted->next;
        pthread_cond_signal(&follow.change);
        pthread_mutex_unlock(&follow.lock);
}

void follow_end(void)
{
        pthread_mutex_lock(&follow.lock);
        follow.ending = true;
        pthread_cond_broadcast(&follow.change);
        pthread_mutex_unlock(&follow.lock);
        for (int i = 0; i < FOLLOWERS; i++)
                pthread_join(follow.threads[i], NULL);
}
