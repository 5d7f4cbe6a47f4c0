/* SPDX-License-Identifier: Apache-2.0 */
/* lib_worker.h - tasks of a function worker, between its handlers and the node socket.
 * Layer: L4 (client/lib). Source: DESIGN 5, 7.
 *
 * A worker is a node whose spool is its memory: boot id and spool id are random for each worker, so
 * that the broker knows after a restart of the process that nothing of it is left. A task is in the
 * inventory from ACCEPT until RESULT_OK. */
#ifndef PX_LIB_WORKER_H
#define PX_LIB_WORKER_H

#include "lib.h"

#include <stdatomic.h>

#define WORKER_SLOTS_MAX 4096
#define WORKER_ID_BYTES 16
/* So long a task may take that only its RESULT is spoken of: one message, and one change of the job,
 * instead of three. */
#define WORKER_SAY_MS 2

enum task_state {
        TASK_WAITING = 1, /* accepted; for a thread */
        TASK_RUNNING,     /* its handler was called */
        TASK_ENDED,       /* its result is kept until RESULT_OK */
};

struct plexus_task {
        struct px_link link;  /* worker->waiting, then worker->ended */
        struct px_link held;  /* worker->held */
        struct plexus_worker *worker;
        uint64_t job;
        struct px_fence fence;
        size_t type;          /* index of its handler */
        struct px_buf input;
        enum task_state state;
        atomic_bool cancelled;
        bool dropped;         /* fenced off, or of no interest: its result isn't sent */
        bool accept_due;      /* ACCEPT is to be said, unless STARTED or RESULT is sooner */
        bool started_due;     /* STARTED is to be said, unless RESULT is sooner */
        int64_t started_wall_ms, ended_wall_ms;
        int64_t progress_ms;  /* not before: 4 a second */
        bool progress_due;
        int32_t progress_permille;
        char progress_text[257];
        int outcome;          /* enum px_outcome */
        char text[513];       /* of a failure */
        bool has_result;
        struct px_buf result;
        int64_t due_ms;       /* RESULT is to be sent (again) */
};

struct worker_handler {
        char type[65];
        void (*call)(void *context, plexus_task *task);
        void *context;
};

struct plexus_worker {
        struct plexus *px;
        char name[65];
        uint32_t slots;
        struct worker_handler handlers[PX_LIMIT_WORKER_TYPES];
        size_t handlers_count;
        bool started, stopping, leaving; /* leaving: nothing is held, threads go */
        pthread_t *threads;
        size_t threads_count;
        pthread_cond_t work;    /* a task waits, or leaving */
        size_t idle;            /* threads that wait for work */
        bool waking;            /* one of them was called and has not come yet */
        pthread_cond_t changed; /* welcomed, refused, or a task is gone */

        struct px_link held;    /* the inventory */
        size_t held_count;
        struct px_link waiting;
        struct px_link ended;
        struct px_map by_job;   /* the newest attempt of a job */

        /* node socket */
        uint8_t boot[WORKER_ID_BYTES], spool[WORKER_ID_BYTES], cluster[WORKER_ID_BYTES];
        bool has_cluster;
        struct px_greeter greeter;
        int64_t hello_number;   /* correlation of the last HELLO; only its WELCOME counts */
        bool welcomed;          /* in this session; otherwise all but WELCOME is dropped */
        uint64_t session, epoch;
        uint32_t node;
        int refused;            /* HELLO was refused for good */
        char refused_text[1025];
        bool greeted_data;
        bool bye_due, bye_said;
        int64_t say_ms;         /* when what is due to be accepted or started is said; 0 = nothing is */
        struct px_buf accepts;  /* struct px_accept: answers to ASSIGN */
        struct px_arena accepts_texts;
};

/* worker_task.c; lock held */
void task_accept(struct plexus_worker *worker, const struct px_assign *assign);
void task_kill(struct plexus_worker *worker, const struct px_kill *kill);
void task_result_ok(struct plexus_worker *worker, const struct px_attempt_key *key);
void task_end(struct plexus_task *task, int outcome, const char *text);
void task_free(struct plexus_task *task);
void *worker_thread(void *worker);

#endif
