/* SPDX-License-Identifier: Apache-2.0 */
/* held.c - attempts this node holds: directory, streams, slot. Layer: L4 (node/link). */
#include "link.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void fd_close(int *fd)
{
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

/* ---- one attempt ---------------------------------------------------------------------------- */

static bool key_equal(struct spool_key a, struct spool_key b)
{
        return a.job.value == b.job.value && px_fence_equal(a.fence, b.fence);
}

struct held *held_find(const struct link *link, struct spool_key key)
{
        struct held *held = px_map_find(&link->by_job, key.job.value);

        while (held != NULL && !key_equal(held->key, key))
                held = held->next;
        return held;
}

struct held *held_new(struct link *link, struct spool_key key)
{
        struct held *held = px_alloc(sizeof(*held));

        PX_ASSERT(held_find(link, key) == NULL);
        held->watched = WATCHED_HELD;
        held->state = HELD_ENTERED;
        held->key = key;
        held->ctl_fd = held->dir_fd = -1;
        held->stream_fd[0] = held->stream_fd[1] = held->stream_fd[2] = -1;
        held->slot = -1;
        held->next = px_map_find(&link->by_job, key.job.value);
        px_map_put(&link->by_job, key.job.value, held);
        px_list_append(&link->held, &held->link);
        return held;
}

static void held_unchain(struct link *link, struct held *held)
{
        struct held *first = px_map_find(&link->by_job, held->key.job.value);

        if (first != held) {
                while (first->next != held)
                        first = first->next;
                first->next = held->next;
        } else if (held->next != NULL) {
                px_map_put(&link->by_job, held->key.job.value, held->next);
        } else {
                px_map_take(&link->by_job, held->key.job.value);
        }
}

/* Events of this turn may still name it: it goes when the turn is over. */
void held_free(struct link *link, struct held *held)
{
        if (held->state == HELD_DYING)
                link->dying_count--;
        fetch_drop(held);
        slot_give(link, held);
        held_unchain(link, held);
        fd_close(&held->ctl_fd);
        fd_close(&held->dir_fd);
        for (int stream = 0; stream < 3; stream++)
                fd_close(&held->stream_fd[stream]);
        px_free(held->account);
        held->account = NULL;
        held->state = HELD_FREED;
        px_list_remove(&held->link);
        px_list_append(&link->graves, &held->link);
}

void graves_empty(struct link *link)
{
        while (!px_list_empty(&link->graves)) {
                struct held *held = PX_CONTAINER_OF(link->graves.next, struct held, link);

                px_list_remove(&held->link);
                px_free(held);
        }
        while (!px_list_empty(&link->graves_idle)) {
                struct idle_keeper *keeper =
                        PX_CONTAINER_OF(link->graves_idle.next, struct idle_keeper, link);

                px_list_remove(&keeper->link);
                px_free(keeper);
        }
}

bool held_dir(struct link *link, struct held *held)
{
        int fault;

        if (held->dir_fd >= 0)
                return true;
        fault = spool_attempt_open(link->spool, held->key, &held->dir_fd);
        if (fault != 0)
                note(NOTE_ERROR, &held->key, "the attempt's directory can't be opened: %s",
                     strerror(-fault));
        return fault == 0;
}

int held_stream(struct link *link, struct held *held, int stream, bool writable)
{
        if (held->stream_fd[stream] < 0 && held_dir(link, held) &&
            spool_stream_open(held->dir_fd, stream, writable, &held->stream_fd[stream]) != 0)
                held->stream_fd[stream] = -1;
        return held->stream_fd[stream];
}

void held_trim(struct link *link, struct held *held, int stream, uint64_t offset)
{
        int fd = held_stream(link, held, stream, true);

        held->stored[stream] = PX_MAX(held->stored[stream], offset);
        if (fd >= 0)
                spool_stream_trim(fd, &held->punched[stream], offset);
        if (held->state == HELD_WATCHED)
                held_tell(held, CTL_STORED, held->stored[PX_STREAM_OUT],
                          held->stored[PX_STREAM_ERR]);
}

/* A keeper reads what it is told at once; if its queue is full, it is stuck in the kernel. */
void held_tell(struct held *held, int kind, uint64_t a, uint64_t b)
{
        struct ctl_message message = {.kind = kind, .number = {a, b}};
        int fault;

        if (held->ctl_fd < 0)
                return;
        fault = ctl_send(held->ctl_fd, &message);
        if (fault != 0 && fault != -EPIPE)
                note(NOTE_WARN, &held->key, "its keeper can't be told: %s", strerror(-fault));
}

void held_ended(struct link *link, struct held *held, const struct px_result *result)
{
        struct node_input input = {.kind = NODE_IN_ENDED,
                                   .job = held->key.job,
                                   .fence = held->key.fence,
                                   .result = result};

        if (held->state == HELD_DYING)
                link->dying_count--;
        held->state = HELD_ENDED;
        fd_close(&held->ctl_fd);
        slot_give(link, held);
        link_step(link, &input);
}

/* ---- slots ---------------------------------------------------------------------------------- */

void slot_give(struct link *link, struct held *held)
{
        if (held->slot >= 0)
                link->slots.data[held->slot] = 0;
        held->slot = -1;
}

static void slot_own(struct link *link, struct held *held, uint32_t slot)
{
        while (link->slots.length <= slot)
                *px_buf_grow(&link->slots, 1) = 0;
        link->slots.data[slot] = 1;
        held->slot = (int32_t)slot;
}

void slot_mark(struct link *link, const char *group, struct held *held)
{
        const char *name = strrchr(group, '/');
        uint32_t slot;

        if (name != NULL && sscanf(name, "/s%" SCNu32, &slot) == 1 &&
            slot < PX_LIMIT_INVENTORY_ITEMS)
                slot_own(link, held, slot);
}

/* The lowest free slot whose group is empty: a process of an earlier job may be stuck in one. */
int slot_take(struct link *link, struct held *held, struct job_group *ret_group)
{
        for (uint32_t slot = 0; slot < PX_LIMIT_INVENTORY_ITEMS; slot++) {
                if (slot < link->slots.length && link->slots.data[slot] != 0)
                        continue;
                if (group_make(&link->tree, slot, held->memory_bytes, ret_group) != 0)
                        continue;
                slot_own(link, held, slot);
                return 0;
        }
        return -EBUSY;
}
