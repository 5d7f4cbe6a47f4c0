/* SPDX-License-Identifier: Apache-2.0 */
/* lib_link.h - one connection to one socket of the broker: tries each host and each address, says which
 * hop failed, begins again by itself. Layer: L4 (client/lib). Source: DESIGN 6.
 *
 * Owned and called by the library's thread only. Before ZeroMQ is asked, an address is tried with a
 * plain connect(): ZeroMQ repeats a failed one for ever without saying what failed. Each connection
 * is a new socket, so that nothing of an older one can arrive. */
#ifndef PX_LIB_LINK_H
#define PX_LIB_LINK_H

#include "lib_resolve.h"
#include "lib_sockets.h"
#include "lib_url.h"

#include <zmq.h>

#define LINK_TROUBLE_ROOM 1024
#define LINK_POLL_ITEMS 2

enum link_state {
        LINK_OFF = 0,
        LINK_WAITING,    /* until deadline_ms, then the next round */
        LINK_RESOLVING,  /* the name of a host */
        LINK_PROBING,    /* an address with connect() */
        LINK_GREETING,   /* ZeroMQ's handshake */
        LINK_UP,
};

enum link_change {
        LINK_SAME = 0,
        LINK_WENT_UP,
        LINK_WENT_DOWN,
};

struct link_address {
        struct sockaddr_storage socket;
        socklen_t length;
        char words[320]; /* "HOST:PORT" or the path */
};

struct link {
        const char *name; /* of the socket: "cmd", "data", "node" */
        void *context;
        const struct socket_keys *keys; /* NULL for local sockets */
        int wake_fd;
        const struct url *url;      /* hosts to try; NULL = only `fixed` */
        struct link_address fixed;
        enum link_state state;
        int64_t deadline_ms;        /* of the state */
        uint64_t backoff_ms;
        struct px_rand rand;
        size_t host;                /* of url, being tried */
        struct resolve *resolve;
        struct resolve_answer answer;
        size_t address;             /* of answer, being tried */
        struct link_address current;
        int probe_fd;               /* -1 = none */
        void *socket;
        void *monitor;
        zmq_msg_t body;
        zmq_msg_t payload;
        bool has_messages;          /* body and payload are initialised */
        char round[LINK_TROUBLE_ROOM];   /* what failed in this round */
        char trouble[LINK_TROUBLE_ROOM]; /* what failed in the last whole round; "" = nothing */
        uint32_t rounds;            /* failed in a row */
        bool passing;               /* something failed that may heal: a silent host */
        bool absent;                /* no such socket file */
};

void link_init(struct link *link, const char *name, void *context, const struct socket_keys *keys,
               int wake_fd, uint64_t seed);
void link_fini(struct link *link);
/* Begin with the hosts of `url` (borrowed while the link lives), or beside an address that works:
 * the socket `name` of the same host at `port` (0 = the same directory). */
void link_start(struct link *link, const struct url *url, int64_t now_ms);
void link_start_beside(struct link *link, const struct link_address *address, uint32_t port,
                       int64_t now_ms);
void link_stop(struct link *link);
/* Give the connection up for the reason `why` and begin again. */
void link_renew(struct link *link, const char *why, int64_t now_ms);
/* Go on; call until LINK_SAME. */
enum link_change link_step(struct link *link, int64_t now_ms);
int64_t link_deadline_ms(const struct link *link);
/* What to poll for. Shape: LINK_POLL_ITEMS items; returns how many were filled. */
size_t link_poll_items(const struct link *link, zmq_pollitem_t *ret_items);
/* The next message; both slices are valid until the next call on the link. */
bool link_receive(struct link *link, struct px_slice *ret_body, struct px_slice *ret_payload);
/* Hand a message over; false when ZeroMQ takes none now. payload of length 0 = none. */
bool link_send(struct link *link, struct px_slice body, struct px_slice payload);
/* Why there is no connection, in words; "" when nothing failed yet. */
const char *link_trouble(const struct link *link);

#endif
