/* SPDX-License-Identifier: Apache-2.0 */
/* local_log.c - the core thread's side of the local log: submit, ask, close.
 * Layer: L3 (broker/store). The other sides: local_journal.c, local_store.c, local_read.c,
 * local_view.c; opening: local_open.c. */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "disk.h"
#include "local_inside.h"
#include "state_mark.h"

struct local_log *local_of(struct px_log *log)
{
        PX_ASSERT(log != NULL);
        return PX_CONTAINER_OF(log, struct local_log, log);
}

void local_signal(struct local_log *local)
{
        /* The counter can't overflow: a write that would block means that it is readable anyway. */
        if (eventfd_write(local->event_fd, 1) != 0)
                PX_ASSERT(errno == EAGAIN);
        atomic_store(&local->signalled, true);
}

void local_fail(struct local_log *local, int fault)
{
        int none = 0;

        PX_ASSERT(fault < 0);
        state_mark_spoil(local->dir_fd);
        atomic_compare_exchange_strong(&local->fault, &none, fault);
        pthread_mutex_lock(&local->mutex);
        pthread_cond_broadcast(&local->journal_wake);
        pthread_cond_broadcast(&local->store_wake);
        pthread_cond_broadcast(&local->applied_wake);
        pthread_mutex_unlock(&local->mutex);
        local_signal(local);
}

struct batch_group *local_group_after(struct local_log *local, const struct batch_group *group)
{
        if (group->link.next == &local->groups)
                return NULL;
        return PX_CONTAINER_OF(group->link.next, struct batch_group, link);
}

bool local_group_flushed(const struct local_log *local, const struct batch_group *group)
{
        return group != NULL && group->index_last <= atomic_load(&local->durable);
}

/* ---- submitting ---------------------------------------------------------------------------------- */

static void group_free(struct batch_group *group)
{
        px_buf_fini(&group->records);
        px_buf_fini(&group->entries);
        px_free(group);
}

void local_free_groups(struct local_log *local)
{
        while (!px_list_empty(&local->groups)) {
                struct px_link *first = local->groups.next;

                px_list_remove(first);
                group_free(PX_CONTAINER_OF(first, struct batch_group, link));
        }
}

/* Take applied groups off the list: their rows are in LMDB now. */
static void local_reclaim(struct local_log *local)
{
        struct px_link applied;

        px_list_init(&applied);
        pthread_mutex_lock(&local->mutex);
        while (!px_list_empty(&local->groups)) {
                struct px_link *first = local->groups.next;

                if (PX_CONTAINER_OF(first, struct batch_group, link) == local->apply_next)
                        break;
                px_list_remove(first);
                px_list_append(&applied, first);
        }
        local->bytes_applied = 0;
        pthread_mutex_unlock(&local->mutex);
        while (!px_list_empty(&applied)) {
                struct batch_group *group =
                        PX_CONTAINER_OF(applied.next, struct batch_group, link);

                px_list_remove(&group->link);
                overlay_remove(&local->overlay, group);
                group_free(group);
        }
}

static struct batch_group *group_push(struct local_log *local, uint64_t index)
{
        struct batch_group *group = px_alloc(sizeof(*group));

        group->index_first = index;
        group->since_ms = disk_now_ms();
        px_list_append(&local->groups, &group->link);
        if (local->write_next == NULL)
                local->write_next = group;
        if (local->feed_next == NULL)
                local->feed_next = group;
        if (local->apply_next == NULL)
                local->apply_next = group;
        return group;
}

/* The group that takes this batch: the last one if it is still open and has room. Under mutex. */
static struct batch_group *group_for(struct local_log *local, const struct px_log_batch *batch)
{
        size_t bytes = batch->rows.length + batch->events.length + JOURNAL_RECORD_HEADER_BYTES;
        struct batch_group *last = NULL;

        if (local->write_next != NULL) {
                last = PX_CONTAINER_OF(local->groups.previous, struct batch_group, link);
                if (last == local->write_next && local->writing)
                        last = NULL;
        }
        if (last == NULL || last->records.length + bytes > BATCH_GROUP_BYTES_MAX ||
            last->batches == BATCH_GROUP_BATCHES_MAX)
                last = group_push(local, batch->index);
        return last;
}

/* Append the batch to a group; returns where its record stands. Under mutex. */
static size_t group_append(struct local_log *local, struct batch_group *group,
                           const struct px_log_batch *batch)
{
        size_t offset = group->records.length;
        struct journal_record record = {.epoch = batch->epoch,
                                        .index = batch->index,
                                        .rows = batch->rows,
                                        .events = batch->events,
                                        .events_count = batch->events_count};
        size_t bytes;

        journal_put_record(&group->records, &record);
        bytes = group->records.length - offset;
        group->index_last = batch->index;
        group->batches++;
        local->bytes_submitted += bytes;
        local->bytes_unapplied += bytes;
        return offset;
}

static void local_submit(struct px_log *log, const struct px_log_batch *batch)
{
        struct local_log *local = local_of(log);
        bool empty = batch->rows.length == 0 && batch->events_count == 0;
        struct batch_group *group = NULL, *claimed = NULL;
        size_t offset = 0;
        bool done = false;

        PX_ASSERT(batch->index == local->index_submitted + 1);
        PX_ASSERT((batch->events_count == 0) == (batch->events.length == 0));
        local->index_submitted = batch->index;
        local_reclaim(local);
        pthread_mutex_lock(&local->mutex);
        local->index_last = batch->index;
        if (!empty) {
                group = group_for(local, batch);
                offset = group_append(local, group, batch);
                if (batch->here)
                        claimed = local_journal_claim(local);
                if (claimed == NULL && local->journal_waits)
                        pthread_cond_signal(&local->journal_wake);
        } else if (local->write_next == NULL && atomic_load(&local->fault) == 0) {
                /* nothing to write, and nothing before it is on its way */
                atomic_store(&local->durable, batch->index);
                if (local->views_waiting > 0)
                        pthread_cond_broadcast(&local->applied_wake);
                done = true;
        }
        pthread_mutex_unlock(&local->mutex);
        if (group != NULL)
                overlay_add(&local->overlay, group, offset);
        if (claimed != NULL)
                local_journal_write(local, claimed);
        if (done)
                local_signal(local);
}

/* ---- asking ---------------------------------------------------------------------------------------- */

static uint64_t local_durable(struct px_log *log)
{
        struct local_log *local = local_of(log);
        eventfd_t count;

        if (atomic_exchange(&local->signalled, false))
                if (eventfd_read(local->event_fd, &count) != 0)
                        PX_ASSERT(errno == EAGAIN);
        local_reclaim(local);
        return atomic_load(&local->durable);
}

static bool local_behind(struct px_log *log)
{
        struct local_log *local = local_of(log);
        bool behind;

        pthread_mutex_lock(&local->mutex);
        behind = local->bytes_unapplied > LOCAL_BEHIND_BYTES ||
                 (local->apply_next != NULL &&
                  disk_now_ms() - local->apply_next->since_ms > LOCAL_BEHIND_MS);
        if (behind)
                atomic_store(&local->told_behind, true);
        pthread_mutex_unlock(&local->mutex);
        return behind;
}

static int local_fault(struct px_log *log)
{
        return atomic_load(&local_of(log)->fault);
}

static int local_fd(struct px_log *log)
{
        return local_of(log)->event_fd;
}

static bool local_room(struct px_log *log)
{
        struct local_log *local = local_of(log);
        uint64_t unapplied, submitted;

        pthread_mutex_lock(&local->mutex);
        unapplied = local->bytes_unapplied;
        submitted = local->bytes_submitted;
        pthread_mutex_unlock(&local->mutex);
        return space_room(&local->space, &local->store, unapplied, submitted);
}

static struct px_event_number local_feed_last(struct px_log *log)
{
        struct local_log *local = local_of(log);

        if (local_feed_catch_up(local) < 0)
                return feed_last(&local->feed); /* what it has; the fault is set */
        return feed_last(&local->feed);
}

static int local_feed_read(struct px_log *log, struct px_event_number after, uint32_t count_max,
                           bool (*visit)(void *context, struct px_event_number number,
                                         struct px_slice event),
                           void *context)
{
        struct local_log *local = local_of(log);
        int result = local_feed_catch_up(local);

        if (result < 0)
                return result;
        return feed_read(&local->feed, after, count_max, visit, context);
}

/* ---- closing --------------------------------------------------------------------------------------- */

static void local_stop(struct local_log *local, bool *stop, pthread_cond_t *wake, pthread_t thread)
{
        pthread_mutex_lock(&local->mutex);
        *stop = true;
        pthread_cond_broadcast(wake);
        pthread_mutex_unlock(&local->mutex);
        PX_ASSERT(pthread_join(thread, NULL) == 0);
}

static void local_close(struct px_log *log)
{
        struct local_log *local = local_of(log);

        local_stop(local, &local->journal_stop, &local->journal_wake, local->journal_thread);
        local_stop(local, &local->store_stop, &local->store_wake, local->store_thread);
        local_reclaim(local);
        PX_ASSERT(local->views_waiting == 0);
        if (atomic_load(&local->fault) == 0 &&
            journal_trim(&local->journal, atomic_load(&local->passed)) == 0)
                state_mark_put(local->dir_fd, &local->store);
        local_free(local);
}

const struct log_calls local_calls = {
        .submit = local_submit,
        .durable = local_durable,
        .behind = local_behind,
        .fault = local_fault,
        .fd = local_fd,
        .room = local_room,
        .close = local_close,
        .read_get = local_read_get,
        .read_each = local_read_each,
        .view_open = local_view_open,
        .view_close = local_view_close,
        .view_index = local_view_index,
        .view_get = local_view_get,
        .view_seek = local_view_seek,
        .view_next = local_view_next,
        .feed_last = local_feed_last,
        .feed_read = local_feed_read,
};
