/* SPDX-License-Identifier: Apache-2.0 */
/* local_journal.c - one group at a time, written and flushed by the journal thread or, when it has nothing
 * else to do, by the core thread; meanwhile the next one fills. Layer: L3 (broker/store). */
#include <errno.h>

#include "local_inside.h"

/* What there is to do next. */
struct journal_task {
        bool trim;                 /* the disk is scarce: passed segments go now, not at the next segment */
        struct batch_group *group; /* closed by taking it; or NULL */
};

struct batch_group *local_journal_claim(struct local_log *local)
{
        if (local->journal_busy || local->write_next == NULL || atomic_load(&local->fault) != 0)
                return NULL;
        local->journal_busy = true;
        local->writing = true;
        return local->write_next;
}

/* Wait for something to do. False: stop, or a fault elsewhere. */
static bool journal_take(struct local_log *local, struct journal_task *ret_task)
{
        *ret_task = (struct journal_task){0};
        pthread_mutex_lock(&local->mutex);
        while ((local->journal_busy || (local->write_next == NULL && !local->journal_trims)) &&
               !local->journal_stop && atomic_load(&local->fault) == 0) {
                local->journal_waits = true;
                pthread_cond_wait(&local->journal_wake, &local->mutex);
                local->journal_waits = false;
        }
        if (atomic_load(&local->fault) == 0) {
                ret_task->trim = local->journal_trims;
                local->journal_trims = false;
                ret_task->group = local_journal_claim(local);
                local->journal_busy = ret_task->trim || ret_task->group != NULL;
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

/* The group, if any, is on disk: everything before the next group is durable. */
static void journal_done(struct local_log *local, struct batch_group *group)
{
        pthread_mutex_lock(&local->mutex);
        local->journal_busy = false;
        if (local->journal_trims && local->journal_waits)
                pthread_cond_signal(&local->journal_wake);
        if (group != NULL) {
                local->writing = false;
                local->write_next = local_group_after(local, group);
                atomic_store(&local->durable, local->write_next != NULL
                                                      ? local->write_next->index_first - 1
                                                      : local->index_last);
                local->bytes_flushed += group->records.length;
                if (local->store_idles || local->bytes_flushed >= LOCAL_APPLY_BYTES ||
                    local->views_waiting > 0)
                        pthread_cond_signal(&local->store_wake);
        }
        pthread_mutex_unlock(&local->mutex);
}

void local_journal_write(struct local_log *local, struct batch_group *group)
{
        int result = journal_put(local, group);

        if (result < 0)
                local_fail(local, result);
        else
                journal_done(local, group);
}

static void journal_do(struct local_log *local, const struct journal_task *task)
{
        int result = task->trim ? journal_trim(&local->journal, atomic_load(&local->passed)) : 0;

        if (result < 0)
                local_fail(local, result);
        else if (task->group != NULL)
                local_journal_write(local, task->group);
        else
                journal_done(local, NULL);
}

void *local_journal_run(void *local_log)
{
        struct local_log *local = local_log;
        struct journal_task task;

        while (journal_take(local, &task)) {
                journal_do(local, &task);
                if (task.group != NULL)
                        local_signal(local);
        }
        return NULL;
}
