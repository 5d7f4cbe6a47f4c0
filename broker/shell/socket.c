/* SPDX-License-Identifier: Apache-2.0 */
/* socket.c - options, binding and closing of the broker's sockets. Layer: L4 (broker/shell). */
#include "socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

#include "px_schema.h"

/* Known to the library of Debian 12, though its header shows it to draft builds only. */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

/* Longest ipc path the operating system takes (sun_path with its terminator). */
#define IPC_PATH_BYTES_MAX 107

struct option {
        int name;
        int value;
};

/* Messages that wait for one peer, at most. What flows in bulk is bounded by its bytes: a net below the
 * credits, and all there is for subscribers. */
#define QUEUE_BYTES (16u << 20)
#define QUEUE_BULK (QUEUE_BYTES / PX_LIMIT_LOG_CHUNK_BYTES)
#define QUEUE_CONTROL 4096

/* The same for every socket. */
static const struct option common_options[] = {
        {ZMQ_ZAP_ENFORCE_DOMAIN, 1}, {ZMQ_HANDSHAKE_IVL, 1000},
        {ZMQ_HEARTBEAT_IVL, 2000},   {ZMQ_HEARTBEAT_TIMEOUT, 6000},
        {ZMQ_HEARTBEAT_TTL, 6000},   {ZMQ_LINGER, 500},
        {ZMQ_BACKLOG, 1024},
        {ZMQ_RCVHWM, 1024},          {ZMQ_IPV6, 1},
};

static void set_int(void *socket, int name, int value)
{
        PX_ASSERT(zmq_setsockopt(socket, name, &value, sizeof(value)) == 0);
}

static bool is_local(const char *endpoint)
{
        return strncmp(endpoint, "ipc://", 6) == 0;
}

static bool is_bulk(const char *service)
{
        return strcmp(service, SOCKET_SERVICE_DATA) == 0 ||
               strcmp(service, SOCKET_SERVICE_EVENTS) == 0;
}

static int type_of(void *socket)
{
        int type = 0;
        size_t length = sizeof(type);

        PX_ASSERT(zmq_getsockopt(socket, ZMQ_TYPE, &type, &length) == 0);
        return type;
}

void socket_secure(const struct socket_identity *identity, void *socket, const char *endpoint,
                   const char *service)
{
        int64_t message_bytes_max = PX_LIMIT_MESSAGE_BYTES;
        bool local = is_local(endpoint);
        uid_t account = geteuid();
        char domain[32];

        PX_ASSERT(local || strncmp(endpoint, "tcp://", 6) == 0);
        for (size_t i = 0; i < PX_COUNT_OF(common_options); i++)
                set_int(socket, common_options[i].name, common_options[i].value);
        set_int(socket, ZMQ_SNDHWM, is_bulk(service) ? QUEUE_BULK : QUEUE_CONTROL);
        PX_ASSERT(zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &message_bytes_max,
                                 sizeof(message_bytes_max)) == 0);
        if (type_of(socket) == ZMQ_ROUTER) {
                set_int(socket, ZMQ_ROUTER_MANDATORY, 1);
                set_int(socket, ZMQ_ROUTER_HANDOVER, 0);
        }
        snprintf(domain, sizeof(domain), "%s-%s", service, local ? "local" : "tcp");
        PX_ASSERT(zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, domain, strlen(domain)) == 0);
        if (local) {
                PX_ASSERT(zmq_setsockopt(socket, ZMQ_IPC_FILTER_UID, &account, sizeof(account)) ==
                          0);
                return;
        }
        set_int(socket, ZMQ_CURVE_SERVER, 1);
        PX_ASSERT(zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, identity->secret_key,
                                 SOCKET_SECRET_BYTES) == 0);
}

int socket_fd(void *socket)
{
        int fd = -1;
        size_t length = sizeof(fd);

        PX_ASSERT(zmq_getsockopt(socket, ZMQ_FD, &fd, &length) == 0);
        return fd;
}

bool socket_has_input(void *socket)
{
        int events = 0;
        size_t length = sizeof(events);

        PX_ASSERT(zmq_getsockopt(socket, ZMQ_EVENTS, &events, &length) == 0);
        return (events & ZMQ_POLLIN) != 0;
}

uint32_t socket_port(void *socket)
{
        char endpoint[SOCKET_ENDPOINT_ROOM];
        size_t length = sizeof(endpoint);
        const char *colon;

        if (zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &length) != 0 ||
            strncmp(endpoint, "tcp://", 6) != 0)
                return 0;
        colon = strrchr(endpoint, ':');
        return (uint32_t)strtoul(colon + 1, NULL, 10);
}

int socket_bind(void *socket, const char *endpoint, char *ret_text, size_t text_room)
{
        int fault;

        if (is_local(endpoint) && strlen(endpoint) - 6 > IPC_PATH_BYTES_MAX) {
                snprintf(
                        ret_text, text_room,
                        "%s: longer than the %d bytes a local socket's path may have; --run with a "
                        "shorter directory helps",
                        endpoint, IPC_PATH_BYTES_MAX);
                return -ENAMETOOLONG;
        }
        if (zmq_bind(socket, endpoint) == 0)
                return 0;
        fault = -zmq_errno();
        snprintf(ret_text, text_room, "%s: cannot be bound: %s", endpoint, zmq_strerror(-fault));
        return fault;
}

int socket_open_router(void *zmq_context, const struct socket_identity *identity,
                       const char *endpoint, const char *service, void **ret_socket,
                       uint32_t *ret_port, char *ret_text, size_t text_room)
{
        void *socket = zmq_socket(zmq_context, ZMQ_ROUTER);
        int fault;

        if (socket == NULL) {
                fault = -zmq_errno();
                snprintf(ret_text, text_room, "%s: %s", endpoint, zmq_strerror(-fault));
                return fault;
        }
        socket_secure(identity, socket, endpoint, service);
        fault = socket_bind(socket, endpoint, ret_text, text_room);
        if (fault != 0) {
                zmq_close(socket);
                return fault;
        }
        if (ret_port != NULL)
                *ret_port = socket_port(socket);
        *ret_socket = socket;
        return 0;
}

void socket_close(void *socket)
{
        if (socket != NULL)
                zmq_close(socket);
}
