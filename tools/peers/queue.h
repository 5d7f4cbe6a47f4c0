/* SPDX-License-Identifier: Apache-2.0 */
/* queue.h - what a peer gives to queue.c, which measures all of them in the same way. One peer is
 * linked into each program. Layer: tools. */
#ifndef QUEUE_H
#define QUEUE_H

#include "bench.h"

/* A job as the worker got it. */
typedef void on_job(const char *payload, size_t length);

struct queue_peer {
        const char *name;
        /* role 'c' submits, role 'w' works. variant is the peer's own word. reply: jobs are
         * answered. */
        void *(*open)(char role, const char *variant, bool reply);
        /* Submit; may only buffer. */
        void (*put)(void *connection, const char *job, size_t length);
        /* Flush, and wait for the acknowledgement of at least one more job. Returns of how many. */
        int (*ack)(void *connection);
        /* Fetch up to `count` jobs (waiting at most about 1 s), call on_job for each and finish
         * them; finished() as soon as the peer has confirmed (or, if it never does, was told) that
         * jobs are done. */
        void (*work)(void *connection, int count, on_job *job);
        /* Submit one job and wait until told that it is done. */
        void (*call)(void *connection, const char *job, size_t length);
        /* Wait until the peer itself says that nothing is left; may be NULL. */
        void (*drained)(void *connection);
};

extern const struct queue_peer queue_peer;
void finished(int jobs);

#endif
