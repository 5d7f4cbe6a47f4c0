/* SPDX-License-Identifier: Apache-2.0 */
/* worker_task.c - the life of a task in its worker, and the functions handlers call.
 * Layer: L4 (client/lib). */
#include "lib_worker.h"

#include <math.h>
#include <stdio.h>

static struct plexus_task *find(const struct plexus_worker *worker, uint64_t job,
                                struct px_fence fence)
{
        struct plexus_task *task = px_map_find(&worker->by_job, job);

        return task != NULL && px_fence_equal(task->fence, fence) ? task : NULL;
}

void task_free(struct plexus_task *task)
{
        struct plexus_worker *worker = task->worker;

        if (px_list_linked(&task->link))
                px_list_remove(&task->link);
        px_list_remove(&task->held);
        worker->held_count--;
        if (px_map_find(&worker->by_job, task->job) == task)
                px_map_take(&worker->by_job, task->job);
        px_buf_fini(&task->input);
        px_buf_fini(&task->result);
        px_free(task);
        pthread_cond_broadcast(&worker->changed);
}

void task_end(struct plexus_task *task, int outcome, const char *text)
{
        PX_ASSERT(task->state != TASK_ENDED);
        if (px_list_linked(&task->link))
                px_list_remove(&task->link);
        task->state = TASK_ENDED;
        task->outcome = outcome;
        task->ended_wall_ms = lib_wall_ms();
        task->accept_due = false;
        task->started_due = false;
        task->progress_due = false;
        task->due_ms = 0;
        snprintf(task->text, sizeof(task->text), "%s", text);
        pthread_cond_broadcast(&task->worker->changed);
        if (task->dropped) {
                task_free(task);
                return;
        }
        px_list_append(&task->worker->ended, &task->link);
        lib_wake(task->worker->px);
}

/* Nobody wants its result. One that runs is only told so; its handler still has it. */
static void drop(struct plexus_task *task)
{
        task->dropped = true;
        atomic_store(&task->cancelled, true);
        if (px_map_find(&task->worker->by_job, task->job) == task)
                px_map_take(&task->worker->by_job, task->job);
        if (task->state != TASK_RUNNING)
                task_free(task);
}

/* ---- ASSIGN, KILL, RESULT_OK ---------------------------------------------------------------------- */

static void answer(struct plexus_worker *worker, const struct px_assign *assign, int code,
                   const char *text)
{
        struct px_accept accept = {
                .job = assign->job,
                .fence = assign->fence,
                .code = (uint16_t)code,
                .text = px_arena_copy(&worker->accepts_texts, px_slice_text(text)),
        };

        px_buf_append(&worker->accepts, &accept, sizeof(accept));
}

static size_t handler_of(const struct plexus_worker *worker, struct px_slice type)
{
        for (size_t i = 0; i < worker->handlers_count; i++) {
                if (px_slice_equal(px_slice_text(worker->handlers[i].type), type))
                        return i;
        }
        return SIZE_MAX;
}

/* What is due is said soon; said by the thread that owns the socket, which may have to be told. */
static void say_soon(struct plexus_worker *worker)
{
        if (worker->say_ms != 0)
                return;
        worker->say_ms = lib_now_ms() + WORKER_SAY_MS;
        lib_wake(worker->px);
}

/* Threads are called one at a time: each calls the next when it leaves tasks behind, so that tasks which
 * take no time are not a change of thread each. */
static void call_thread(struct plexus_worker *worker)
{
        if (px_list_empty(&worker->waiting) || worker->idle == 0 || worker->waking)
                return;
        worker->waking = true;
        pthread_cond_signal(&worker->work);
}

static void hold(struct plexus_worker *worker, const struct px_assign *assign, size_t handler,
                 struct px_slice input)
{
        struct plexus_task *task = px_alloc(sizeof(*task));

        task->worker = worker;
        task->job = assign->job.value;
        task->fence = assign->fence;
        task->type = handler;
        task->state = TASK_WAITING;
        task->progress_permille = -1;
        px_buf_append_slice(&task->input, input);
        px_list_append(&worker->held, &task->held);
        worker->held_count++;
        px_map_put(&worker->by_job, task->job, task);
        px_list_append(&worker->waiting, &task->link);
        task->accept_due = true;
        say_soon(worker);
        call_thread(worker);
}

void task_accept(struct plexus_worker *worker, const struct px_assign *assign)
{
        struct plexus_task *older = px_map_find(&worker->by_job, assign->job.value);
        size_t handler = handler_of(worker, assign->task_type);
        struct px_arena arena = {0};
        struct px_spec spec;

        if (older != NULL && px_fence_equal(older->fence, assign->fence)) {
                answer(worker, assign, 0, ""); /* said again: it is held already */
                return;
        }
        if (older != NULL && px_fence_older(assign->fence, older->fence))
                return;
        if (older != NULL)
                drop(older);
        if (worker->stopping)
                answer(worker, assign, PX_E_BUSY, "the worker is stopping");
        else if (handler == SIZE_MAX)
                answer(worker, assign, PX_E_NOT_RUNNABLE, "this worker has no handler for the type");
        else if (px_spec_decode(assign->spec, &arena, &spec) != PX_WIRE_OK)
                answer(worker, assign, PX_E_NOT_RUNNABLE, "the task's specification is malformed");
        else
                hold(worker, assign, handler, spec.input);
        px_arena_fini(&arena);
}

/* An attempt we don't hold is gone: say so with a result of its own. */
static void report_gone(struct plexus_worker *worker, const struct px_kill *kill)
{
        struct plexus_task *task = px_alloc(sizeof(*task));

        task->worker = worker;
        task->job = kill->job.value;
        task->fence = kill->fence;
        task->state = TASK_RUNNING;
        task->progress_permille = -1;
        px_list_append(&worker->held, &task->held);
        worker->held_count++;
        if (px_map_find(&worker->by_job, task->job) == NULL)
                px_map_put(&worker->by_job, task->job, task);
        task_end(task, PX_OUTCOME_GONE, "the worker does not hold it");
}

void task_kill(struct plexus_worker *worker, const struct px_kill *kill)
{
        struct plexus_task *task = find(worker, kill->job.value, kill->fence);

        if (kill->why == PX_KILL_WHY_SIGNAL)
                return; /* a task has no process to signal */
        if (task == NULL) {
                report_gone(worker, kill);
                return;
        }
        if (kill->why == PX_KILL_WHY_FENCED) {
                drop(task);
                return;
        }
        atomic_store(&task->cancelled, true);
        if (task->state == TASK_WAITING)
                task_end(task, PX_OUTCOME_CANCELLED, "cancelled before it started");
}

void task_result_ok(struct plexus_worker *worker, const struct px_attempt_key *key)
{
        struct plexus_task *task = find(worker, key->job.value, key->fence);

        if (task == NULL) /* the broker has no interest in one that has a newer attempt here */
                return;
        if (task->state == TASK_ENDED)
                task_free(task);
        else
                drop(task);
}

/* ---- threads ------------------------------------------------------------------------------------------ */

void *worker_thread(void *argument)
{
        struct plexus_worker *worker = argument;
        struct plexus *px = worker->px;

        pthread_mutex_lock(&px->lock);
        for (;;) {
                struct plexus_task *task;
                const struct worker_handler *handler;

                while (px_list_empty(&worker->waiting) && !worker->leaving) {
                        worker->idle++;
                        pthread_cond_wait(&worker->work, &px->lock);
                        worker->idle--;
                        worker->waking = false;
                }
                if (px_list_empty(&worker->waiting))
                        break;
                task = PX_CONTAINER_OF(worker->waiting.next, struct plexus_task, link);
                px_list_remove(&task->link);
                task->state = TASK_RUNNING;
                task->accept_due = false;
                task->started_due = true;
                task->started_wall_ms = lib_wall_ms();
                handler = &worker->handlers[task->type];
                say_soon(worker);
                call_thread(worker);
                pthread_mutex_unlock(&px->lock);
                handler->call(handler->context, task);
                pthread_mutex_lock(&px->lock);
        }
        pthread_mutex_unlock(&px->lock);
        return NULL;
}

/* ---- what handlers call -------------------------------------------------------------------------------- */

uint64_t plexus_task_job(const struct plexus_task *task)
{
        return task->job;
}

uint32_t plexus_task_attempt(const struct plexus_task *task)
{
        return task->fence.attempt;
}

const void *plexus_task_input(const struct plexus_task *task, size_t *ret_bytes)
{
        *ret_bytes = task->input.length;
        return task->input.data;
}

bool plexus_task_cancelled(const struct plexus_task *task)
{
        return atomic_load(&task->cancelled);
}

/* At most `room` - 1 bytes of `text`, never a part of a character; empty when it isn't UTF-8. */
static void copy_text(const char *text, char *ret_text, size_t room)
{
        struct px_slice slice = px_slice_text(text != NULL ? text : "");

        slice.length = PX_MIN(slice.length, room - 1);
        for (int i = 0; i < 4 && !px_slice_is_text(slice) && slice.length > 0; i++)
                slice.length--;
        if (!px_slice_is_text(slice))
                slice.length = 0;
        px_slice_to_text(slice, ret_text, room);
}

void plexus_task_progress(struct plexus_task *task, double progress, const char *text)
{
        struct plexus *px = task->worker->px;

        pthread_mutex_lock(&px->lock);
        if (task->state == TASK_RUNNING) {
                task->progress_permille =
                        progress >= 0 ? (int32_t)lround(PX_MIN(progress, 1.0) * 1000) : -1;
                copy_text(text, task->progress_text, sizeof(task->progress_text));
                task->progress_due = true;
                query_want(px); /* progress goes over the data socket */
                lib_wake(px);
        }
        pthread_mutex_unlock(&px->lock);
}

void plexus_task_return(struct plexus_task *task, const void *result, size_t bytes)
{
        struct plexus *px = task->worker->px;

        pthread_mutex_lock(&px->lock);
        if (bytes > PX_LIMIT_RESULT_BYTES) {
                char text[128];

                snprintf(text, sizeof(text),
                         "the result has %zu bytes; the limit is %d (RESULT_BYTES)", bytes,
                         PX_LIMIT_RESULT_BYTES);
                task_end(task, PX_OUTCOME_FAILED, text);
        } else {
                task->has_result = result != NULL || bytes > 0;
                px_buf_append(&task->result, result, bytes);
                task_end(task, PX_OUTCOME_OK, "");
        }
        pthread_mutex_unlock(&px->lock);
}

void plexus_task_fail(struct plexus_task *task, const char *text)
{
        struct plexus *px = task->worker->px;
        bool cancelled = atomic_load(&task->cancelled);
        char words[513];

        copy_text(text, words, sizeof(words));
        pthread_mutex_lock(&px->lock);
        task_end(task, cancelled ? PX_OUTCOME_CANCELLED : PX_OUTCOME_FAILED, words);
        pthread_mutex_unlock(&px->lock);
}
