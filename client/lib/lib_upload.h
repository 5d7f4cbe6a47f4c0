/* SPDX-License-Identifier: Apache-2.0 */
/* lib_upload.h - a file into the broker's store, in bounded messages on the socket `data`.
 * Layer: L4 (client/lib). */
#ifndef PX_LIB_UPLOAD_H
#define PX_LIB_UPLOAD_H

#include "lib_request.h"

struct upload {
        struct request request;
        uint8_t hash[32];
        struct px_slice data; /* borrowed until it is finished or dropped */
        bool done;
        int code;        /* once done */
        char text[1025]; /* of a refusal */
        pthread_cond_t *changed; /* signalled when done; NULL = nobody waits */
        /* Called by the thread under the lock once it is done; frees it. NULL = none. */
        void (*finished)(struct plexus *px, struct upload *upload);
        void *context;
};

/* Begin, or go on where an earlier one stopped: {0} but for hash, data and who is told. Lock held.
 * It takes as long as it takes: reconnects and restarts of the broker included. */
void upload_begin(struct plexus *px, struct upload *upload);
/* Nobody wants it any more, or it is done. Lock held. */
void upload_fini(struct upload *upload);

#endif
