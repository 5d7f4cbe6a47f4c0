/* SPDX-License-Identifier: Apache-2.0 */
/* peer_plexus.c - Plexus through libplexus, as its users meet it: submit without waiting, function
 * workers, wait. The mesh is the one that PLEXUS_URL (and PLEXUS_TOKEN) name. The variant is
 * only a label. Layer: tools. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <plexus.h>

#include "queue.h"

#define CALL_MS 60000
#define TASK "bench"

struct client {
        plexus *px;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        int acked; /* not told to the caller yet */
        plexus_worker *worker;
};

static on_job *handle; /* of this process: it has one worker at most */

static void must(plexus *px, int error, const char *what)
{
        if (error != PLEXUS_OK)
                die("plexus: %s: %s: %s", what, plexus_error_name(error), plexus_detail(px));
}

static void *mesh_open(char role, const char *variant, bool reply)
{
        struct client *client = calloc(1, sizeof(*client));
        struct plexus_options options = {.timeout_ms = CALL_MS, .program = "bench"};

        (void)role;
        (void)reply;
        (void)variant;
        pthread_mutex_init(&client->lock, NULL);
        pthread_cond_init(&client->changed, NULL);
        must(client->px, plexus_connect(&options, &client->px), "connect");
        return client;
}

static void acknowledged(void *context, int error, uint64_t job)
{
        struct client *client = context;

        (void)job;
        if (error != PLEXUS_OK)
                die("plexus: submit: %s", plexus_error_name(error));
        pthread_mutex_lock(&client->lock);
        client->acked++;
        pthread_cond_signal(&client->changed);
        pthread_mutex_unlock(&client->lock);
}

static void mesh_put(void *connection, const char *job, size_t length)
{
        struct client *client = connection;
        struct plexus_job_spec spec = {.task_type = TASK, .input = job, .input_bytes = length};

        must(client->px, plexus_submit_async(client->px, &spec, acknowledged, client), "submit");
}

static int mesh_ack(void *connection)
{
        struct client *client = connection;
        int count;

        pthread_mutex_lock(&client->lock);
        while (client->acked == 0)
                pthread_cond_wait(&client->changed, &client->lock);
        count = client->acked;
        client->acked = 0;
        pthread_mutex_unlock(&client->lock);
        return count;
}

static void serve(void *context, plexus_task *task)
{
        size_t length;
        const void *payload = plexus_task_input(task, &length);

        (void)context;
        handle(payload, length);
        plexus_task_return(task, "ok", 2);
        finished(1); /* told; mesh_drained() waits until the broker has it on disk */
}

/* Tasks come by themselves; this only waits. */
static void mesh_work(void *connection, int count, on_job *job)
{
        struct client *client = connection;
        char name[32];

        if (client->worker != NULL) {
                sleep_us(10000);
                return;
        }
        handle = job;
        snprintf(name, sizeof(name), "bench-%d", getpid());
        must(client->px, plexus_worker_new(client->px, name, (uint32_t)count, &client->worker),
             "worker");
        must(client->px, plexus_worker_handle(client->worker, TASK, serve, NULL), "handler");
        must(client->px, plexus_worker_start(client->worker), "start");
}

static void mesh_call(void *connection, const char *job, size_t length)
{
        struct client *client = connection;
        struct plexus_job_spec spec = {.task_type = TASK, .input = job, .input_bytes = length};
        struct plexus_end end;
        uint64_t number;

        must(client->px, plexus_submit(client->px, &spec, &number), "submit");
        must(client->px, plexus_wait(client->px, number, CALL_MS, &end), "wait");
        if (end.state != PLEXUS_JOB_OK)
                die("plexus: job %llu is %s: %s", (unsigned long long)number,
                    plexus_state_name(end.state), end.reason);
        plexus_end_fini(&end);
}

static void mesh_drained(void *connection)
{
        struct client *client = connection;
        struct plexus_status status;

        for (;;) {
                must(client->px, plexus_status(client->px, &status), "status");
                if (status.queued + status.assigned + status.running == 0)
                        return;
                sleep_us(200);
        }
}

const struct queue_peer queue_peer = {
        .name = "plexus",
        .open = mesh_open,
        .put = mesh_put,
        .ack = mesh_ack,
        .work = mesh_work,
        .call = mesh_call,
        .drained = mesh_drained,
};
