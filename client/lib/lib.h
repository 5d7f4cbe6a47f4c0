/* SPDX-License-Identifier: Apache-2.0 */
/* lib.h - what is behind a `plexus`: one thread that owns the sockets, one lock for all state.
 * Layer: L4 (client/lib).
 *
 * Public calls take the lock, leave requests and watches in the structs below, wake the thread through
 * an eventfd and wait on a condition of their own. The thread holds the lock while it works and lets
 * go of it while it polls and while it calls functions of the user. Sockets are the thread's alone. */
#ifndef PX_LIB_LIB_H
#define PX_LIB_LIB_H

#include "lib_detail.h"
#include "lib_link.h"
#include "plexus.h"
#include "px_base.h"
#include "px_codec.h"
#include "px_session.h"
#include "lib_url.h"

#include <pthread.h>

#define LIB_TIMEOUT_MS 30000 /* default of blocking calls */
#define LIB_POLL_ITEMS (1 + 3 * LINK_POLL_ITEMS)

struct request;
struct plexus_worker;

/* What WELCOME said. */
struct welcome {
        uint64_t epoch;
        char version[129];
        char principal[65];
        int role;
        bool sees_all;
        uint32_t node_port, data_port, events_port;
        int64_t clock_ahead_ms; /* of ours */
        uint64_t silence_ms;
        bool has_broker_public;
        uint8_t broker_public[PX_TOKEN_KEY_BYTES];
};

struct plexus {
        /* Fixed before the thread starts. */
        struct url url;
        struct socket_keys keys;
        char program[129];
        int64_t timeout_ms;
        unsigned fork_count; /* of the process that made it */
        bool trace;
        bool enrols; /* speaks ENROL only: an enrolment token may send nothing else */
        void *context;
        int wake_fd; /* eventfd: the thread has something to do */
        int ready_fd; /* eventfd: plexus_fd() */
        pthread_t thread;
        bool thread_runs;

        pthread_mutex_t lock; /* everything below */
        pthread_cond_t changed; /* session began, or is refused for good */
        bool stopping;
        bool polls; /* the thread waits; wake_fd ends that */
        bool woken; /* there is work since the thread last looked */
        struct link cmd, data, node;

        /* session on cmd */
        struct px_greeter greeter;
        struct px_outbox *outbox;
        bool welcomed; /* ever */
        bool goodbye;  /* the broker said that it stops, and none has welcomed us since */
        struct welcome welcome;
        int dead_code; /* every call is refused with it; 0 = alive */
        char dead_text[1025];
        char hello_text[1025]; /* last retryable refusal of a HELLO */
        uint64_t next_token;
        struct px_map requests;     /* token -> struct request, on cmd */

        /* plexus_enrol() */
        struct px_buf enrol_frame;
        struct request *enrol_request;
        int64_t enrol_due_ms;

        /* submits that wait to share a message */
        struct px_link submits;
        size_t submits_count, submits_bytes;
        struct px_link submits_uploading; /* their standard input goes first */

        /* data socket */
        bool data_wanted;
        int64_t data_heard_ms, data_ping_ms;
        uint64_t next_number; /* of queries and streams */
        struct px_link queries; /* struct request, on data */
        struct px_link streams; /* struct plexus_stream */
        struct px_map streams_by_number;
        struct px_buf closes;   /* u32 numbers of streams to be closed */

        /* ends */
        struct px_map watches;      /* job -> struct watch */
        struct px_link watches_due; /* to be sent */
        struct px_link ends;        /* struct ended, for plexus_next_end() */
        size_t watched_count;       /* watches and ends of plexus_watch() */
        pthread_cond_t ended;       /* ends grew */

        size_t ready_count; /* things to take without blocking; ready_fd is readable when > 0 */

        struct plexus_worker *worker; /* NULL = none */
        bool node_close_due;          /* the worker left */

        /* calls of the user's functions, made without the lock */
        struct px_link callbacks;
};

int64_t lib_now_ms(void);  /* monotonic */
int64_t lib_wall_ms(void); /* since 1970 */
uint64_t lib_random(void); /* from the kernel */

/* Begin a public call: takes the lock and clears the detail. Refuses: PX_E_INVALID after fork() or
 * without a handle; the code of a session refused for good. The lock is not held then. */
int lib_enter(struct plexus *px);
void lib_leave(struct plexus *px);
/* Whether the handle was opened by the parent of this process. */
bool lib_forked(const struct plexus *px);
/* When a call that begins now and may take `timeout_ms` (of the public functions) gives up. */
int64_t lib_deadline_ms(const struct plexus *px, int64_t timeout_ms);
/* Wait on a condition under px->lock; false when the deadline has passed. */
bool lib_wait(struct plexus *px, pthread_cond_t *condition, int64_t deadline_ms);
void lib_condition_init(pthread_cond_t *condition);
void lib_wake(struct plexus *px); /* the thread; lock held */
/* A thing that can be taken appeared (+1) or was taken (-1). Lock held. */
void lib_ready(struct plexus *px, int change);
/* Refuse because of time: UNREACHABLE with the hop when there is no connection, else TIMED_OUT. */
int lib_refuse_late(struct plexus *px, int64_t timeout_ms);
/* Have `call(context, argument)` made by the thread without the lock. Lock held. */
void lib_call_later(struct plexus *px, void (*call)(void *context, int error, uint64_t job),
                    void *context, int error, uint64_t job);

/* connect.c: everything but waiting for the greeting. *ret is NULL after refused arguments. */
int connect_start(const struct plexus_options *options, bool enrols, struct plexus **ret);

/* loop.c */
void *loop_run(void *px);
bool loop_send(struct plexus *px, struct link *link, struct px_slice body, struct px_slice payload);

/* session.c: commands */
void session_up(struct plexus *px, int64_t now_ms);
void session_step(struct plexus *px, int64_t now_ms);
void session_receive(struct plexus *px, struct px_slice body, int64_t now_ms);
int64_t session_deadline_ms(const struct plexus *px);
void session_die(struct plexus *px, int code, struct px_slice text);
/* Say which answers arrived, so that the broker may forget this session when it needs the room. */
void session_leave(struct plexus *px);

/* enrol.c */
void enrol_step(struct plexus *px, int64_t now_ms);
void enrol_receive(struct plexus *px, const struct px_wire_header *header, struct px_slice body,
                   struct px_arena *arena);

/* query.c: data */
void query_up(struct plexus *px, int64_t now_ms);
void query_step(struct plexus *px, int64_t now_ms);
void query_receive(struct plexus *px, struct px_slice body, struct px_slice payload, int64_t now_ms);
int64_t query_deadline_ms(const struct plexus *px);
void query_want(struct plexus *px); /* the data socket is needed from now on */

/* stream.c */
void stream_step(struct plexus *px, int64_t now_ms);
/* true when the message belongs to a stream. */
bool stream_receive(struct plexus *px, const struct px_wire_header *header, struct px_slice body,
                    struct px_slice payload, int64_t now_ms);
void stream_reopen_all(struct plexus *px);
void stream_fail_all(struct plexus *px, int code, const char *text);
int64_t stream_deadline_ms(const struct plexus *px);

/* submit.c */
void submit_step(struct plexus *px);
void submit_fail_all(struct plexus *px, int code, const char *text);

/* watch.c */
void watch_welcomed(struct plexus *px);
void watch_step(struct plexus *px);
void watch_ended(struct plexus *px, const struct px_end *end);
void watch_fail_all(struct plexus *px, int code, const char *text);
void watch_fini(struct plexus *px);

/* worker_session.c: the node socket */
void worker_up(struct plexus *px, int64_t now_ms);
void worker_down(struct plexus *px);
void worker_step(struct plexus *px, int64_t now_ms);
void worker_receive(struct plexus *px, struct px_slice body, int64_t now_ms);
void worker_data_up(struct plexus *px);
int64_t worker_deadline_ms(const struct plexus *px);

#endif
