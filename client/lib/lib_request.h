/* SPDX-License-Identifier: Apache-2.0 */
/* lib_request.h - one question to the broker and its answer. Layer: L4 (client/lib). */
#ifndef PX_LIB_REQUEST_H
#define PX_LIB_REQUEST_H

#include "lib.h"

struct request {
        struct px_link link;  /* query.c */
        uint64_t token;       /* in the outbox, or number of the query; 0 = not sent */
        uint16_t expect;      /* PX_M_* of the answer */
        bool done;
        int code;             /* refusal, once done */
        char text[1025];      /* of the refusal */
        struct px_buf body;   /* of the answer */
        struct px_buf payload;
        pthread_cond_t *changed; /* signalled when done; NULL = nobody waits */
        /* Called by the thread under the lock instead of keeping it; frees the request. */
        void (*finished)(struct plexus *px, struct request *request);
        struct px_buf frame;  /* query.c: sent again until answered */
        int64_t due_ms;
};

void request_fini(struct request *request);
/* Put a request into the outbox. Lock held. recorded = it changes something. */
void request_send(struct plexus *px, struct request *request, bool recorded, struct px_slice frame);
/* Nobody waits any more. Lock held. */
void request_drop(struct plexus *px, struct request *request);
/* The answer is here: `body` of the expected type, or a refusal. Lock held. */
void request_finish(struct plexus *px, struct request *request, int code, struct px_slice text,
                    struct px_slice body, struct px_slice payload);
/* Send on cmd, wait, and return the refusal with detail set. The lock is not held before or after.
 * The caller decodes request->body and calls request_fini(). timeout_ms as in plexus.h. */
int request_call(struct plexus *px, struct request *request, bool recorded, struct px_slice frame,
                 int64_t timeout_ms);
/* The same on the data socket. `frame` is a whole frame; its correlation is filled in. */
int query_call(struct plexus *px, struct request *request, struct px_slice frame, int64_t timeout_ms);
/* Refuse an answer that cannot be read. */
int request_malformed(const char *what);

#endif
