/* SPDX-License-Identifier: Apache-2.0 */
/* library_tool.c - see library_tool.h. */
#include "library_tool.h"

#include <stdio.h>
#include <time.h>

void library_expect(const char *file, int line, const char *what, plexus *px, int code)
{
        if (code != PLEXUS_OK)
                test_fail(file, line, "%s was refused: %s: %s", what, plexus_error_name(code),
                          plexus_detail(px));
}

void library_expect_refused(const char *file, int line, const char *what, plexus *px, int code,
                            int expected, const char *words)
{
        if (code != expected || strstr(plexus_detail(px), words) == NULL)
                test_fail(file, line, "%s gave %s \"%s\", not %s \"...%s...\"", what,
                          plexus_error_name(code), plexus_detail(px), plexus_error_name(expected),
                          words);
}

static void close_px(void *px)
{
        plexus_close(px);
}

plexus *library_open(const struct test_broker *broker)
{
        char url[PROCESS_PATH_ROOM + 16];
        struct plexus_options options = {.url = url, .program = "test", .timeout_ms = LIBRARY_MS};
        plexus *px;
        int code;

        snprintf(url, sizeof(url), "local:%s/run", broker->dir);
        code = plexus_connect(&options, &px);
        test_cleanup(close_px, px);
        EXPECT_DONE(px, code);
        return px;
}

int library_open_token(const struct test_broker *broker, const char *token, plexus **ret_px)
{
        char url[64];
        struct plexus_options options = {.url = url, .token = token, .timeout_ms = LIBRARY_MS};
        int code;

        snprintf(url, sizeof(url), "plexus://127.0.0.1:%u", broker->port_cmd);
        code = plexus_connect(&options, ret_px);
        test_cleanup(close_px, *ret_px);
        return code;
}

void library_admin_token(const struct test_broker *broker, char *ret_token)
{
        char path[PROCESS_PATH_ROOM + 32];
        struct px_buf text = {0};

        snprintf(path, sizeof(path), "%s/keys/admin.token", broker->dir);
        EXPECT(test_read_file(path, &text));
        px_slice_to_text(px_buf_slice(&text), ret_token, 160);
        px_buf_fini(&text);
}

/* ---- the worker -------------------------------------------------------------------------------- */

bool library_wait(sem_t *semaphore)
{
        struct timespec until;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += LIBRARY_MS / 1000;
        return sem_timedwait(semaphore, &until) == 0;
}

static void echo(void *context, plexus_task *task)
{
        size_t bytes;
        const void *input = plexus_task_input(task, &bytes);

        (void)context;
        plexus_task_return(task, input, bytes);
}

static void gate(void *context, plexus_task *task)
{
        struct library_worker *worker = context;

        atomic_fetch_add(&worker->gates, 1);
        sem_post(&worker->entered);
        if (library_wait(&worker->open))
                plexus_task_return(task, "through", 7);
        else
                plexus_task_fail(task, "the gate stayed shut");
}

static bool is_cancelled(void *task)
{
        return plexus_task_cancelled(task);
}

static void stop(void *context, plexus_task *task)
{
        struct library_worker *worker = context;

        sem_post(&worker->entered);
        if (test_wait_until(LIBRARY_MS, is_cancelled, task))
                plexus_task_fail(task, "asked to stop");
        else
                plexus_task_return(task, NULL, 0);
}

static void end_worker(void *context)
{
        library_serve_end(context);
}

void library_serve(struct library_worker *worker, plexus *px, uint32_t slots)
{
        *worker = (struct library_worker){0};
        sem_init(&worker->entered, 0, 0);
        sem_init(&worker->open, 0, 0);
        EXPECT_DONE(px, plexus_worker_new(px, "tester", slots, &worker->worker));
        test_cleanup(end_worker, worker);
        EXPECT_DONE(px, plexus_worker_handle(worker->worker, "echo", echo, worker));
        EXPECT_DONE(px, plexus_worker_handle(worker->worker, "gate", gate, worker));
        EXPECT_DONE(px, plexus_worker_handle(worker->worker, "stop", stop, worker));
        EXPECT_DONE(px, plexus_worker_start(worker->worker));
}

void library_serve_end(struct library_worker *worker)
{
        plexus_worker *ending = worker->worker;

        worker->worker = NULL;
        if (ending == NULL)
                return;
        for (int i = 0; i < 64; i++)
                sem_post(&worker->open);
        plexus_worker_free(ending);
}

uint64_t library_submit(plexus *px, const char *type, const char *input)
{
        struct plexus_job_spec spec = {
                .task_type = type, .input = input, .input_bytes = strlen(input)};
        uint64_t job = 0;

        EXPECT_DONE(px, plexus_submit(px, &spec, &job));
        EXPECT(job > 0);
        return job;
}
