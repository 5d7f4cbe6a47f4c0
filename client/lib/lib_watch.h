/* SPDX-License-Identifier: Apache-2.0 */
/* lib_watch.h - jobs whose end somebody waits for. Layer: L4 (client/lib). Used by watch.c and wait.c. */
#ifndef PX_LIB_WATCH_H
#define PX_LIB_WATCH_H

#include "lib.h"

/* One job; one WATCH however many wait. */
struct watch {
        struct px_link due; /* in px->watches_due while it must be (re)sent */
        uint64_t job;
        bool queued;            /* plexus_watch(): its end goes to plexus_next_end() */
        struct px_link waiters; /* struct waiter */
};

/* A plexus_wait() under way; on its caller's stack. */
struct waiter {
        struct px_link link;
        pthread_cond_t changed;
        bool done;
        struct plexus_end end; /* result is NULL while a large one must be fetched */
};

struct ended {
        struct px_link link; /* in px->ends */
        struct plexus_end end;
};

struct watch *watch_get(struct plexus *px, uint64_t job); /* made when there is none */
void watch_release(struct plexus *px, struct watch *watch); /* forgotten when nobody waits */

#endif
