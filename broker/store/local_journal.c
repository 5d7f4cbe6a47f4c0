/* SPDX-License-Identifier: Apache-2.0 */
/* local_journal.c - the journal thread: one group at a time, written and flushed; while it is, the next
 * one fills. Layer: L3 (broker/store). */
#include <errno.h>

#include "local_inside.h"

/* What there is to do next. */
struct journal_task {
        bool trim;                 /* the disk is scarce: passed segments go now, not at the next segment */
        struct batch_group *group; /* closed by taking it; or NULL */
};

/* Wait for something to do. False: stop, or a fault elsewhere. */
static bool journal_take(struct local_log *local, struct journal_task *ret_task)
{
        pthread_mutex_lock(&local->mutex);
        while (local->write_next == NULL && !local->journal_trims && !local->journal_stop &&
               atomic_load(&local->fault) == 0) {
                local->journal_waits = true;
                pthread_cond_wait(&local->journal_wake, &local->mutex);
                local->journal_waits = false;
        }
        *ret_task = (struct journal_task){.trim = local->journal_trims};
        local->journal_trims = false;
        if (atomic_load(&local->fault) == 0 && local->write_next != NULL) {
                ret_task->group = local->write_next;
                local->writing = true;
        }
        pthread_mutex_unlock(&local->mutex);
        return ret_task->trim || ret_task->group != NULL;
}

static int journal_put(struct local_log *local, struct batch_group *group)
{
        uint64_t passed = atomic_load(&local->passed);
        int result;

        local->journal.scarce = !space_has_ballast(&local->space);
        result = journal_make_room(&local->journal, group->records.length, passed);
        if (result == -ENOSPC && space_give_up_ballast(&local->space)) {
                local->journal.scarce = true; /* what is gained is for applying, too */
                result = journal_make_room(&local->journal, group->records.length, passed);
        }
        if (result < 0)
                return result;
        return journal_write(&local->journal, &group->records);
}

/* The group is on disk: everything before the next group is durable. */
static void journal_done(struct local_log *local, struct batch_group *group)
{
        pthread_mutex_lock(&local->mutex);
        local->writing = false;
        local->write_next = local_group_after(local, group);
        atomic_store(&local->durable, local->write_next != NULL ? local->write_next->index_first - 1
                                                                : local->index_last);
        local->bytes_flushed += group->records.length;
        if (local->store_idles || local->bytes_flushed >= LOCAL_APPLY_BYTES ||
            local->views_waiting > 0)
                pthread_cond_signal(&local->store_wake);
        pthread_mutex_unlock(&local->mutex);
        local_signal(local);
}

static int journal_do(struct local_log *local, const struct journal_task *task)
{
        int result = 0;

        if (task->trim)
                result = journal_trim(&local->journal, atomic_load(&local->passed));
        if (result == 0 && task->group != NULL)
                result = journal_put(local, task->group);
        return result;
}

void *local_journal_run(void *local_log)
{
        struct local_log *local = local_log;
        struct journal_task task;

        while (journal_take(local, &task)) {
                int result = journal_do(local, &task);

                if (result < 0) {
                        local_fail(local, result);
                        break;
                }
                if (task.group != NULL)
                        journal_done(local, task.group);
        }
        return NULL;
}
