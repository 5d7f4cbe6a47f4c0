/* SPDX-License-Identifier: Apache-2.0 */
/* zap.h - who may connect: the answers to the library's authentication requests, on a thread of
 * their own. Layer: L4 (broker/shell). Source: RFC 27/ZAP (rfc.zeromq.org), DESIGN 6.
 *
 * CURVE peers are admitted when their key is known and their role has business on that socket; the
 * others learn nothing. NULL peers are admitted on local sockets only, when they run under the
 * broker's own account. A thread that died admits nobody. */
#ifndef PX_ZAP_H
#define PX_ZAP_H

#include "keys.h"
#include "px_base.h"

struct zap; /* opaque; one per process */

/* A request's fields, borrowed. */
struct zap_request {
        struct px_slice domain;  /* "<service>-tcp" or "<service>-local" */
        struct px_slice address; /* of a local peer "machine:uid:gid:pid" */
        struct px_slice mechanism;
        struct px_slice credentials; /* CURVE: the public key, 32 bytes */
};

/* Decide: true = admitted as ret_entry. Pure but for the table of keys. */
bool zap_admit(struct keys *keys, uint32_t account, const struct zap_request *request,
               struct keys_entry *ret_entry);

/* Start the thread; when this returns, the handler is bound.
 * Faults: -errno (EADDRINUSE: the process has a handler already). */
int zap_start(struct keys *keys, struct zap **ret_zap);
void zap_stop(struct zap *zap); /* NULL is accepted */

/* Show that a peer with a random key is refused: a CURVE socket and a stranger at `endpoint`.
 * Faults: -EACCES the stranger got in; -ETIMEDOUT no decision; -errno. */
int zap_self_test(void *zmq_context, const char *endpoint, uint32_t timeout_ms);

#endif
