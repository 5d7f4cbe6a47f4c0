/* SPDX-License-Identifier: Apache-2.0 */
/* socket.h - every socket of the broker gets its options here and nowhere else.
 * Layer: L4 (broker/shell). Source: DESIGN 6, RELIABILITY 5 Transport. */
#ifndef PX_BROKER_SOCKET_H
#define PX_BROKER_SOCKET_H

#include "px_base.h"

#define SOCKET_SECRET_BYTES 32
#define SOCKET_ENDPOINT_ROOM 4160 /* a path, or host and port */

/* What peers meet: the ZAP domain is "<service>-<kind>", for example "cmd-tcp", "data-local". */
#define SOCKET_SERVICE_CMD "cmd"
#define SOCKET_SERVICE_NODE "node"
#define SOCKET_SERVICE_DATA "data"
#define SOCKET_SERVICE_EVENTS "events"

/* The broker's CURVE secret key; the public one follows from it. */
struct socket_identity {
        uint8_t secret_key[SOCKET_SECRET_BYTES];
        uint8_t public_key[SOCKET_SECRET_BYTES];
};

/* Set every option that comes before bind: limits, heartbeats, ZAP domain; on tcp the CURVE server,
 * on ipc the filter on the account at the other end. Asserts that the library knows each option. */
void socket_secure(const struct socket_identity *identity, void *socket, const char *endpoint,
                   const char *service);

/* Bind. Faults: -errno (EADDRINUSE, ENAMETOOLONG, ...); ret_text names the endpoint. */
int socket_bind(void *socket, const char *endpoint, char *ret_text, size_t text_room);
/* Open a ROUTER and bind it; on tcp *ret_port (may be NULL) is the port that was bound.
 * Faults: as socket_bind(). */
int socket_open_router(void *zmq_context, const struct socket_identity *identity,
                       const char *endpoint, const char *service, void **ret_socket,
                       uint32_t *ret_port, char *ret_text, size_t text_room);
/* The descriptor that is readable when messages may have come, for poll(). It says so once: after
 * anything was sent or received, only socket_has_input() or an empty receive tells. */
int socket_fd(void *socket);
bool socket_has_input(void *socket);
/* Port of the last tcp bind of this socket, 0 for ipc. */
uint32_t socket_port(void *socket);
void socket_close(void *socket); /* NULL is accepted */

#endif
