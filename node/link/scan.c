/* SPDX-License-Identifier: Apache-2.0 */
/* scan.c - what the spool holds when the link starts. Layer: L4 (node/link). Source: DESIGN 5.2, 7;
 * how states are told apart stands in spool.h. */
#include "link.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* The front of a stream that was given back: only what the broker has stored is. */
static uint64_t stream_stored(struct link *link, struct held *held, int stream, uint64_t length)
{
        int fd = held_stream(link, held, stream, false);
        off_t data = fd < 0 || length == 0 ? 0 : lseek(fd, 0, SEEK_DATA);

        if (data < 0)
                return errno == ENXIO ? length : 0; /* no data at all: all was given back */
        return PX_MIN((uint64_t)data, length);
}

static void found_streams(struct link *link, struct held *held, struct node_found *found)
{
        for (int stream = PX_STREAM_OUT; stream <= PX_STREAM_ERR; stream++) {
                uint64_t length = spool_stream_length(held->dir_fd, stream);

                found->length[stream] = held->length[stream] = length;
                found->stored[stream] = stream_stored(link, held, stream, length);
                held->stored[stream] = held->punched[stream] = found->stored[stream];
                /* Opened for reading; giving back needs more. */
                if (held->stream_fd[stream] >= 0)
                        close(held->stream_fd[stream]);
                held->stream_fd[stream] = -1;
        }
}

/* It was alive when the machine went down. */
static void result_gone(const struct node_found *found, struct px_result *result)
{
        *result = (struct px_result){
                .job = found->job,
                .fence = found->fence,
                .outcome = PX_OUTCOME_GONE,
                .reason = PX_REASON_NODE_RESTARTED,
                .exit_code = -1,
                .progress_permille = -1,
                .text = px_slice_text("the machine was restarted"),
        };
        result->use.started_wall_ms = found->started_wall_ms;
        result->use.out_bytes = found->length[PX_STREAM_OUT];
        result->use.err_bytes = found->length[PX_STREAM_ERR];
}

static void scan_running(struct link *link, struct held *held, struct node_found *found,
                         const struct spool_started *started)
{
        found->running = true;
        slot_mark(link, started->group, held);
        if (!spool_lock_held(held->dir_fd) || !keep_connect(link, held))
                keep_lost(link, held);
}

static void scan_attempt(struct link *link, struct held *held, const struct px_assign *assign,
                         bool this_boot)
{
        struct node_found found = {.job = held->key.job,
                                   .fence = held->key.fence,
                                   .cpus_milli = assign->cpus_milli,
                                   .memory_bytes = assign->memory_bytes,
                                   .on_lost = assign->on_lost,
                                   .lost_after_ms = assign->lost_after_ms};
        struct px_arena arena = {0};
        struct spool_started started = {0};
        struct px_result result;
        int begun = spool_started_read(held->dir_fd, held->key, &started);

        held->on_lost = assign->on_lost;
        held->memory_bytes = assign->memory_bytes;
        found.started_wall_ms = started.wall_ms;
        found_streams(link, held, &found);
        if (spool_exit_read(held->dir_fd, held->key, link->boot, &arena, &result) == 0) {
                found.ended = &result;
                held->state = HELD_ENDED;
        } else if (!this_boot && begun != -ENOENT) {
                result_gone(&found, &result);
                found.ended = &result;
                held->state = HELD_ENDED;
        } else if (begun != -ENOENT || (this_boot && spool_lock_held(held->dir_fd))) {
                scan_running(link, held, &found, &started);
        }
        node_adopt(link->node, &found);
        px_arena_fini(&arena);
}

static void scan_found(void *context, struct spool_key key)
{
        struct link *link = context;
        struct px_arena arena = {0};
        struct px_assign assign;
        uint8_t boot[SPOOL_ID_BYTES];
        int dir_fd = -1;
        int fault = spool_attempt_open(link->spool, key, &dir_fd);

        if (fault == 0)
                fault = spool_entry_read(dir_fd, &arena, boot, &assign);
        if (fault == 0 && (assign.job.value != key.job.value ||
                           !px_fence_equal(assign.fence, key.fence)))
                fault = -EBADMSG;
        if (fault == 0) {
                struct held *held = held_new(link, key);

                held->dir_fd = dir_fd;
                scan_attempt(link, held, &assign,
                             memcmp(boot, link->boot, SPOOL_ID_BYTES) == 0);
        } else if (fault == -ENOENT) {
                spool_remove(link->spool, key); /* making or removing it was cut short */
        } else {
                note(NOTE_ERROR, &key, "its entry is damaged (%s): set aside in spool/damaged",
                     strerror(-fault));
                spool_set_aside(link->spool, key);
        }
        if (fault != 0 && dir_fd >= 0)
                close(dir_fd);
        px_arena_fini(&arena);
}

/* Progress sockets of keepers that were killed. */
static void scan_socks(const struct link *link)
{
        DIR *dir = opendir(link->work_dir);
        struct dirent *item;
        int pid;

        while (dir != NULL && (item = readdir(dir)) != NULL) {
                char name[32];

                if (sscanf(item->d_name, KEEP_SOCK_FORMAT, &pid) != 1 || pid <= 1)
                        continue;
                snprintf(name, sizeof(name), KEEP_SOCK_FORMAT, pid);
                if (strcmp(name, item->d_name) == 0 && kill(pid, 0) != 0 && errno == ESRCH)
                        unlinkat(dirfd(dir), item->d_name, 0);
        }
        if (dir != NULL)
                closedir(dir);
}

int scan_spool(struct link *link)
{
        scan_socks(link);
        return spool_scan(link->spool, scan_found, link);
}
