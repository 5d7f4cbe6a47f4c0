/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c - make, start and stop a function worker. Layer: L4 (client/lib). */
#include "lib_worker.h"

#include <signal.h>
#include <stdio.h>
#include <sys/random.h>

static void random_id(uint8_t *ret_id)
{
        for (size_t at = 0; at < WORKER_ID_BYTES; at += sizeof(uint64_t))
                px_put_be64(ret_id + at, lib_random());
}

static int check_text(const char *what, const char *text, size_t bytes_max)
{
        struct px_slice slice = px_slice_text(text != NULL ? text : "");

        if (slice.length == 0 || !px_slice_is_text(slice))
                return detail_refuse(PX_E_INVALID, "%s is empty or not UTF-8", what);
        if (slice.length > bytes_max)
                return detail_refuse(PX_E_LIMIT, "%s has %zu bytes; the limit is %zu", what,
                                     slice.length, bytes_max);
        return PX_OK;
}

int plexus_worker_new(struct plexus *px, const char *name, uint32_t slots,
                      struct plexus_worker **ret_worker)
{
        struct plexus_worker *worker;
        int code = check_text("the worker's name", name, PX_LIMIT_NODE_NAME_BYTES);

        if (code == PX_OK && (slots == 0 || slots > WORKER_SLOTS_MAX))
                code = detail_refuse(PX_E_LIMIT, "%u slots; 1 to %d are possible", slots,
                                     WORKER_SLOTS_MAX);
        if (code == PX_OK)
                code = lib_enter(px);
        if (code != PX_OK)
                return code;
        lib_leave(px);
        worker = px_alloc(sizeof(*worker));
        worker->px = px;
        worker->slots = slots;
        snprintf(worker->name, sizeof(worker->name), "%s", name);
        random_id(worker->boot);
        random_id(worker->spool);
        px_list_init(&worker->held);
        px_list_init(&worker->waiting);
        px_list_init(&worker->ended);
        lib_condition_init(&worker->work);
        lib_condition_init(&worker->changed);
        *ret_worker = worker;
        return PX_OK;
}

int plexus_worker_handle(struct plexus_worker *worker, const char *type,
                         void (*handler)(void *context, plexus_task *task), void *context)
{
        struct worker_handler *entry;
        int code = check_text("the task type", type, PX_LIMIT_TYPE_BYTES);

        if (code == PX_OK && worker->started)
                code = detail_refuse(PX_E_CONFLICT, "handlers are given before the worker starts");
        if (code == PX_OK && worker->handlers_count == PX_LIMIT_WORKER_TYPES)
                code = detail_refuse(PX_E_LIMIT, "a worker has at most %d task types (WORKER_TYPES)",
                                     PX_LIMIT_WORKER_TYPES);
        for (size_t i = 0; i < worker->handlers_count && code == PX_OK; i++) {
                if (strcmp(worker->handlers[i].type, type) == 0)
                        code = detail_refuse(PX_E_CONFLICT, "%s has a handler already", type);
        }
        if (code != PX_OK)
                return code;
        entry = &worker->handlers[worker->handlers_count++];
        snprintf(entry->type, sizeof(entry->type), "%s", type);
        entry->call = handler;
        entry->context = context;
        return PX_OK;
}

static bool start_threads(struct plexus_worker *worker)
{
        sigset_t all, before;
        int fault = 0;

        worker->threads = px_alloc(worker->slots * sizeof(*worker->threads));
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        while (fault == 0 && worker->threads_count < worker->slots) {
                fault = pthread_create(&worker->threads[worker->threads_count], NULL,
                                       worker_thread, worker);
                worker->threads_count += fault == 0 ? 1 : 0;
        }
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return fault == 0;
}

/* Lock held. */
static int wait_welcome(struct plexus_worker *worker)
{
        struct plexus *px = worker->px;
        int64_t deadline_ms = lib_deadline_ms(px, 0);

        while (!worker->welcomed && worker->refused == 0) {
                if (lib_wait(px, &worker->changed, deadline_ms) || worker->welcomed)
                        continue;
                if (px->greeter.up && px->node.state != LINK_UP)
                        return detail_refuse(PX_E_UNREACHABLE, "no connection to the node socket: %s",
                                             link_trouble(&px->node));
                return lib_refuse_late(px, 0);
        }
        if (worker->refused == 0)
                return PX_OK;
        return detail_refuse(worker->refused, "%s", worker->refused_text);
}

int plexus_worker_start(struct plexus_worker *worker)
{
        struct plexus *px = worker->px;
        int code;

        if (worker->handlers_count == 0)
                return detail_refuse(PX_E_INVALID, "the worker has no handler");
        code = lib_enter(px);
        if (code != PX_OK)
                return code;
        if (px->worker != NULL)
                code = detail_refuse(PX_E_CONFLICT, "this connection serves a worker already");
        if (code == PX_OK && !start_threads(worker))
                code = detail_refuse(PX_E_LIMIT, "%u threads cannot be started", worker->slots);
        if (code == PX_OK) {
                px->worker = worker;
                worker->started = true;
                lib_wake(px);
                code = wait_welcome(worker);
        }
        lib_leave(px);
        return code;
}

/* Lock held. Until nothing is held and BYE was said, or there is no hope for it. */
static int wait_bye(struct plexus_worker *worker, int64_t timeout_ms)
{
        struct plexus *px = worker->px;
        int64_t deadline_ms = lib_deadline_ms(px, timeout_ms);

        while (!worker->bye_said) {
                if (lib_wait(px, &worker->changed, deadline_ms) || worker->bye_said)
                        continue;
                return detail_refuse(PX_E_TIMED_OUT, "%zu tasks have not ended, or their results "
                                                     "are not acknowledged yet",
                                     worker->held_count);
        }
        return PX_OK;
}

int plexus_worker_stop(struct plexus_worker *worker, int64_t timeout_ms)
{
        struct plexus *px = worker->px;
        int code = lib_enter(px);

        if (code != PX_OK)
                return code;
        if (worker->started && worker->refused == 0) {
                worker->stopping = true;
                worker->bye_due = true;
                lib_wake(px);
                code = wait_bye(worker, timeout_ms);
        }
        lib_leave(px);
        return code;
}

static void end_threads(struct plexus_worker *worker)
{
        struct plexus *px = worker->px;

        pthread_mutex_lock(&px->lock);
        worker->leaving = true;
        worker->stopping = true;
        PX_LIST_EACH(&worker->held, link)
        {
                atomic_store(&PX_CONTAINER_OF(link, struct plexus_task, held)->cancelled, true);
        }
        while (!px_list_empty(&worker->waiting))
                task_end(PX_CONTAINER_OF(worker->waiting.next, struct plexus_task, link),
                         PX_OUTCOME_GONE, "the worker left");
        pthread_cond_broadcast(&worker->work);
        pthread_mutex_unlock(&px->lock);
        for (size_t i = 0; i < worker->threads_count; i++)
                pthread_join(worker->threads[i], NULL);
}

/* Lock held. Tasks that handlers gave to other threads end before their worker may go. */
static void wait_handlers(struct plexus_worker *worker)
{
        bool running;

        do {
                running = false;
                PX_LIST_EACH(&worker->held, link)
                {
                        running |= PX_CONTAINER_OF(link, struct plexus_task, held)->state ==
                                   TASK_RUNNING;
                }
                if (running)
                        pthread_cond_wait(&worker->changed, &worker->px->lock);
        } while (running);
}

void plexus_worker_free(struct plexus_worker *worker)
{
        struct plexus *px;

        if (worker == NULL || lib_forked(worker->px))
                return;
        px = worker->px;
        end_threads(worker);
        pthread_mutex_lock(&px->lock);
        wait_handlers(worker);
        while (!px_list_empty(&worker->held))
                task_free(PX_CONTAINER_OF(worker->held.next, struct plexus_task, held));
        if (px->worker == worker) {
                px->worker = NULL;
                px->node_close_due = true;
                lib_wake(px);
        }
        pthread_mutex_unlock(&px->lock);
        px_map_fini(&worker->by_job);
        px_buf_fini(&worker->accepts);
        px_arena_fini(&worker->accepts_texts);
        px_free(worker->threads);
        pthread_cond_destroy(&worker->work);
        pthread_cond_destroy(&worker->changed);
        px_free(worker);
}
