/* SPDX-License-Identifier: Apache-2.0 */
/* test_library.c - libplexus against the real broker: submit, wait, workers, and a broker that dies. */
#include "library_tool.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct test_broker broker;
static struct library_worker serving;

TEST(a_task_runs_in_a_worker_and_its_result_comes_back)
{
        struct plexus_end end = {0};
        plexus *px;
        uint64_t job;

        test_broker_start(&broker, test_temp_dir(), NULL);
        px = library_open(&broker);
        library_serve(&serving, px, 2);
        job = library_submit(px, "echo", "hello");
        EXPECT_DONE(px, plexus_wait(px, job, LIBRARY_MS, &end));
        EXPECT_INT(end.state, PLEXUS_JOB_OK);
        EXPECT_INT(end.attempt, 1);
        EXPECT_TEXT(end.node, "tester");
        EXPECT_BYTES(px_slice_of(end.result, end.result_bytes), px_slice_text("hello"));
        plexus_end_fini(&end);
}

TEST(many_are_submitted_and_their_ends_taken_as_they_come)
{
        enum { COUNT = 9000 }; /* three messages: an odd number, all taken once */
        static struct plexus_job_spec specs[COUNT];
        static uint64_t jobs[COUNT];
        uint64_t sum = 0, expected = 0;
        plexus *px;

        test_broker_start(&broker, test_temp_dir(), NULL);
        px = library_open(&broker);
        library_serve(&serving, px, 16);
        for (int i = 0; i < COUNT; i++)
                specs[i] = (struct plexus_job_spec){.task_type = "echo", .input = "x",
                                                    .input_bytes = 1};
        EXPECT_DONE(px, plexus_submit_many(px, specs, COUNT, jobs, NULL, LIBRARY_MS));
        EXPECT_DONE(px, plexus_watch(px, jobs, COUNT));
        for (int i = 0; i < COUNT; i++) {
                struct plexus_end end;

                EXPECT_DONE(px, plexus_next_end(px, LIBRARY_MS, &end));
                EXPECT_INT(end.state, PLEXUS_JOB_OK);
                sum += end.job;
                expected += jobs[i];
                plexus_end_fini(&end);
        }
        EXPECT_U64(sum, expected);
        EXPECT_INT(plexus_next_end(px, 1, &(struct plexus_end){0}), PLEXUS_ABSENT);
}

/* ---- a broker that dies ------------------------------------------------------------------------- */

struct waiting {
        plexus *px;
        uint64_t job;
        int code;
        struct plexus_end end;
};

static void *wait_for_job(void *context)
{
        struct waiting *waiting = context;

        waiting->code = plexus_wait(waiting->px, waiting->job, LIBRARY_MS, &waiting->end);
        return NULL;
}

TEST(a_wait_and_a_running_task_outlive_the_broker)
{
        const char *dir = test_temp_dir();
        struct waiting waiting = {0};
        pthread_t thread;

        test_broker_start(&broker, dir, NULL);
        waiting.px = library_open(&broker);
        library_serve(&serving, waiting.px, 1);
        waiting.job = library_submit(waiting.px, "gate", "");
        EXPECT(library_wait(&serving.entered));
        pthread_create(&thread, NULL, wait_for_job, &waiting);
        test_broker_kill(&broker);
        test_broker_start(&broker, dir, NULL);
        sem_post(&serving.open);
        pthread_join(thread, NULL);
        EXPECT_DONE(waiting.px, waiting.code);
        EXPECT_INT(waiting.end.state, PLEXUS_JOB_OK);
        EXPECT_INT(waiting.end.attempt, 1);
        EXPECT_INT(atomic_load(&serving.gates), 1);
        EXPECT_BYTES(px_slice_of(waiting.end.result, waiting.end.result_bytes),
                     px_slice_text("through"));
        plexus_end_fini(&waiting.end);
}

TEST(a_result_given_while_the_broker_is_down_is_accepted_once)
{
        const char *dir = test_temp_dir();
        struct plexus_end end = {0};
        plexus *px;
        uint64_t job;

        test_broker_start(&broker, dir, NULL);
        px = library_open(&broker);
        library_serve(&serving, px, 1);
        job = library_submit(px, "gate", "");
        EXPECT(library_wait(&serving.entered));
        test_broker_kill(&broker);
        sem_post(&serving.open);
        test_broker_start(&broker, dir, NULL);
        EXPECT_DONE(px, plexus_wait(px, job, LIBRARY_MS, &end));
        EXPECT_INT(end.state, PLEXUS_JOB_OK);
        EXPECT_INT(end.attempt, 1);
        EXPECT_INT(atomic_load(&serving.gates), 1);
        plexus_end_fini(&end);
        EXPECT_DONE(px, plexus_worker_stop(serving.worker, LIBRARY_MS));
}

struct submitting {
        plexus *px;
        uint64_t *jobs;
        int count;
        int code;
        atomic_int done;
};

static void *submit_one_by_one(void *context)
{
        static const char *const argv[] = {"/bin/true", NULL};
        struct submitting *submitting = context;
        struct plexus_job_spec spec = {.argv = argv, .hold = true};

        for (int i = 0; i < submitting->count && submitting->code == PLEXUS_OK; i++) {
                submitting->code = plexus_submit(submitting->px, &spec, &submitting->jobs[i]);
                atomic_store(&submitting->done, i + 1);
        }
        return NULL;
}

static bool half_done(void *context)
{
        struct submitting *submitting = context;

        return atomic_load(&submitting->done) >= submitting->count / 2;
}

static int compare_ids(const void *a, const void *b)
{
        const uint64_t *left = a, *right = b;

        return *left < *right ? -1 : *left > *right;
}

TEST(submits_go_through_a_broker_that_dies_each_exactly_once)
{
        enum { COUNT = 2000 };
        static uint64_t jobs[COUNT];
        const char *dir = test_temp_dir();
        struct submitting submitting = {.jobs = jobs, .count = COUNT};
        pthread_t thread;

        test_broker_start(&broker, dir, NULL);
        submitting.px = library_open(&broker);
        pthread_create(&thread, NULL, submit_one_by_one, &submitting);
        EXPECT(test_wait_until(LIBRARY_MS, half_done, &submitting));
        test_broker_kill(&broker);
        test_broker_start(&broker, dir, NULL);
        pthread_join(thread, NULL);
        EXPECT_DONE(submitting.px, submitting.code);
        qsort(jobs, COUNT, sizeof(jobs[0]), compare_ids);
        for (int i = 1; i < COUNT; i++)
                EXPECT(jobs[i] > jobs[i - 1]);
        EXPECT_INT(test_broker_stop(&broker), 0);
        test_broker_start(&broker, dir, NULL);
        EXPECT_U64(broker.jobs, COUNT);
}

/* ---- changes and refusals ------------------------------------------------------------------------- */

TEST(a_cancelled_task_is_told_and_ends_cancelled)
{
        struct plexus_change_answer answer = {0};
        struct plexus_end end = {0};
        plexus *px;
        uint64_t job;

        test_broker_start(&broker, test_temp_dir(), NULL);
        px = library_open(&broker);
        library_serve(&serving, px, 1);
        job = library_submit(px, "stop", "");
        EXPECT(library_wait(&serving.entered));
        EXPECT_DONE(px, plexus_cancel(px, &job, 1, "enough", false, &answer));
        EXPECT_U64(answer.job, job);
        EXPECT_DONE(px, plexus_wait(px, job, LIBRARY_MS, &end));
        EXPECT_INT(end.state, PLEXUS_JOB_CANCELLED);
        plexus_end_fini(&end);
}

TEST(a_job_that_ended_well_cannot_be_cancelled)
{
        struct plexus_end end = {0};
        plexus *px;
        uint64_t job;

        test_broker_start(&broker, test_temp_dir(), NULL);
        px = library_open(&broker);
        library_serve(&serving, px, 1);
        job = library_submit(px, "echo", "");
        EXPECT_DONE(px, plexus_wait(px, job, LIBRARY_MS, &end));
        plexus_end_fini(&end);
        EXPECT_REFUSED(px, plexus_cancel(px, &job, 1, NULL, false, NULL), PLEXUS_CONFLICT, "ended");
}

TEST(a_job_that_is_not_there_is_absent)
{
        struct plexus_end end;
        uint64_t job = 77;
        plexus *px;

        test_broker_start(&broker, test_temp_dir(), NULL);
        px = library_open(&broker);
        EXPECT_REFUSED(px, plexus_wait(px, job, LIBRARY_MS, &end), PLEXUS_ABSENT, "77");
        EXPECT_INT(plexus_cancel(px, &job, 1, NULL, false, NULL), PLEXUS_ABSENT);
}

struct called {
        sem_t done;
        int error;
        uint64_t job;
};

static void on_submitted(void *context, int error, uint64_t job)
{
        struct called *called = context;

        called->error = error;
        called->job = job;
        sem_post(&called->done);
}

TEST(a_submit_without_waiting_calls_back_with_the_job)
{
        static const char *const argv[] = {"/bin/true", NULL};
        struct plexus_job_spec spec = {.argv = argv, .hold = true};
        struct called called = {.error = -1};
        plexus *px;

        sem_init(&called.done, 0, 0);
        test_broker_start(&broker, test_temp_dir(), NULL);
        px = library_open(&broker);
        EXPECT_DONE(px, plexus_submit_async(px, &spec, on_submitted, &called));
        EXPECT(library_wait(&called.done));
        EXPECT_INT(called.error, 0);
        EXPECT_U64(called.job, 1);
}

TEST(the_fd_is_readable_when_an_end_can_be_taken_and_not_after)
{
        struct pollfd fd = {.events = POLLIN};
        struct plexus_end end;
        plexus *px;
        uint64_t job;

        test_broker_start(&broker, test_temp_dir(), NULL);
        px = library_open(&broker);
        library_serve(&serving, px, 1);
        fd.fd = plexus_fd(px);
        job = library_submit(px, "gate", "");
        EXPECT_DONE(px, plexus_watch(px, &job, 1));
        EXPECT(library_wait(&serving.entered));
        EXPECT_INT(poll(&fd, 1, 0), 0);
        sem_post(&serving.open);
        EXPECT_INT(poll(&fd, 1, LIBRARY_MS), 1);
        EXPECT_DONE(px, plexus_next_end(px, 1, &end));
        plexus_end_fini(&end);
        EXPECT_INT(poll(&fd, 1, 0), 0);
}

TEST(after_fork_the_child_is_told_to_open_its_own)
{
        struct plexus_status status;
        plexus *px;
        pid_t child;
        int how;

        test_broker_start(&broker, test_temp_dir(), NULL);
        px = library_open(&broker);
        child = fork();
        if (child == 0) {
                int code = plexus_status(px, &status);
                bool told = strstr(plexus_detail(px), "before fork()") != NULL;

                plexus_close(px);
                _exit(code == PLEXUS_INVALID && told ? 0 : 1);
        }
        EXPECT(waitpid(child, &how, 0) == child);
        EXPECT_INT(how, 0);
        EXPECT_DONE(px, plexus_status(px, &status));
}

TEST(a_name_taken_with_other_content_is_a_conflict_of_keys)
{
        static const char *const one[] = {"/bin/true", NULL};
        static const char *const other[] = {"/bin/false", NULL};
        struct plexus_job_spec spec = {.argv = one, .key = "the key", .hold = true};
        uint64_t first = 0, second = 0;
        plexus *px;

        test_broker_start(&broker, test_temp_dir(), NULL);
        px = library_open(&broker);
        EXPECT_DONE(px, plexus_submit(px, &spec, &first));
        EXPECT_DONE(px, plexus_submit(px, &spec, &second));
        EXPECT_U64(second, first);
        spec.argv = other;
        EXPECT_INT(plexus_submit(px, &spec, &second), PLEXUS_KEY_CONFLICT);
}
