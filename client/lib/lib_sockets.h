/* SPDX-License-Identifier: Apache-2.0 */
/* lib_sockets.h - the one ZeroMQ context of the process and the options of every socket.
 * Layer: L4 (client/lib). Source: DESIGN 6, RELIABILITY 5. */
#ifndef PX_LIB_SOCKETS_H
#define PX_LIB_SOCKETS_H

#include "px_base.h"
#include "px_token.h"

#define SOCKET_Z85_ROOM 41

/* CURVE keys as ZeroMQ takes them. Empty for local sockets. */
struct socket_keys {
        char server[SOCKET_Z85_ROOM]; /* the broker's public key */
        char own_public[SOCKET_Z85_ROOM];
        char own_secret[SOCKET_Z85_ROOM];
};

void socket_keys_init(struct socket_keys *keys, const struct px_token *token);
void socket_keys_fini(struct socket_keys *keys); /* overwrites them */

/* Borrow the context of the process; NULL when it can't be made. Each take needs a give. After
 * fork() the child begins with one of its own. */
void *sockets_take_context(void);
void sockets_give_context(void *context);

/* A DEALER with its monitor, not yet connected; NULL when the process has too many sockets.
 * Owns: both go back to socket_close(). keys == NULL for local sockets. */
void *socket_open(void *context, const struct socket_keys *keys, void **ret_monitor);
void socket_close(void *socket, void *monitor);

/* Counts fork()s above this process: a handle made under another count belongs to the parent. */
unsigned sockets_fork_count(void);

#endif
