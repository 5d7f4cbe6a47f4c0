/* SPDX-License-Identifier: Apache-2.0 */
/* lib_resolve.h - look names up without blocking the thread that owns the sockets.
 * Layer: L4 (client/lib). */
#ifndef PX_LIB_RESOLVE_H
#define PX_LIB_RESOLVE_H

#include "px_base.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define RESOLVE_ADDRESSES_MAX 8

struct resolve_answer {
        int fault;     /* 0, or EAI_* of getaddrinfo() */
        char why[128]; /* in words when fault != 0 */
        struct sockaddr_storage addresses[RESOLVE_ADDRESSES_MAX];
        socklen_t lengths[RESOLVE_ADDRESSES_MAX];
        size_t count;
};

struct resolve; /* opaque */

/* Begin to look `name` up; numeric addresses are known at once. When the answer is there, 1 is
 * written to the eventfd `wake_fd` (it is duplicated). NULL when no thread can be started. */
struct resolve *resolve_start(const char *name, uint16_t port, int wake_fd);
/* Whether the answer is there; the resolve is freed when it is. */
bool resolve_take(struct resolve *resolve, struct resolve_answer *ret_answer);
/* Nobody waits any more; NULL is accepted. The lookup ends by itself in the background. */
void resolve_abandon(struct resolve *resolve);

#endif
