/* SPDX-License-Identifier: Apache-2.0 */
/* local_journal.c - the journal thread: one group at a time, written and flushed; while it is, the next
 * one fills. Layer: L3 (broker/store). */
#include <errno.h>

#include "local_inside.h"

/* Wait for an open group and close it. NULL: stop, or a fault elsewhere. */
static struct batch_group *journal_take(struct local_log *local)
{
        struct batch_group *group = NULL;

        pthread_mutex_lock(&local->mutex);
        while (local->write_next == NULL && !local->journal_stop &&
               atomic_load(&local->fault) == 0) {
                local->journal_waits = true;
                pthread_cond_wait(&local->journal_wake, &local->mutex);
                local->journal_waits = false;
        }
        if (atomic_load(&local->fault) == 0 && local->write_next != NULL) {
                group = local->write_next;
                local->writing = true;
        }
        pthread_mutex_unlock(&local->mutex);
        return group;
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

void *local_journal_run(void *local_log)
{
        struct local_log *local = local_log;
        struct batch_group *group;

        while ((group = journal_take(local)) != NULL) {
                int result = journal_put(local, group);

                if (result < 0) {
                        local_fail(local, result);
                        break;
                }
                journal_done(local, group);
        }
        return NULL;
}
