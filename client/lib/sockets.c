/* SPDX-License-Identifier: Apache-2.0 */
/* sockets.c - context, options, monitors. Layer: L4 (client/lib). Source: DESIGN 6. */
#include "lib_sockets.h"

#include "px_schema.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <zmq.h>

#define SOCKET_RECONNECT_MS 100
#define SOCKET_RECONNECT_MAX_MS 3500 /* min(5 s, a lease of 14 s / 4) */
#define SOCKET_LINGER_MS 300
#define SOCKET_HANDSHAKE_MS 5000
#define SOCKET_HEARTBEAT_MS 2000
#define SOCKET_SILENCE_MS 6000
#define SOCKET_HIGH_WATER 4096 /* messages; the window of requests is smaller */
#define CONTEXT_SOCKETS_MAX 4096

static pthread_mutex_t context_lock = PTHREAD_MUTEX_INITIALIZER;
static void *context_shared;
static unsigned context_users;
static atomic_uint fork_count;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void fork_prepare(void)
{
        pthread_mutex_lock(&context_lock);
}

static void fork_parent(void)
{
        pthread_mutex_unlock(&context_lock);
}

/* The parent's context has no threads here: leave it alone and begin anew. */
static void fork_child(void)
{
        context_shared = NULL;
        context_users = 0;
        atomic_fetch_add(&fork_count, 1);
        pthread_mutex_unlock(&context_lock);
}

static void fork_register(void)
{
        int fault = pthread_atfork(fork_prepare, fork_parent, fork_child);

        PX_ASSERT(fault == 0);
}

unsigned sockets_fork_count(void)
{
        return atomic_load(&fork_count);
}

void socket_keys_init(struct socket_keys *keys, const struct px_token *token)
{
        zmq_z85_encode(keys->server, token->broker_public, PX_TOKEN_KEY_BYTES);
        zmq_z85_encode(keys->own_secret, token->secret, PX_TOKEN_KEY_BYTES);
        zmq_curve_public(keys->own_public, keys->own_secret);
}

void socket_keys_fini(struct socket_keys *keys)
{
        explicit_bzero(keys, sizeof(*keys));
}

void *sockets_take_context(void)
{
        void *context;

        pthread_once(&fork_once, fork_register);
        pthread_mutex_lock(&context_lock);
        if (context_shared == NULL) {
                context_shared = zmq_ctx_new();
                if (context_shared != NULL)
                        zmq_ctx_set(context_shared, ZMQ_MAX_SOCKETS, CONTEXT_SOCKETS_MAX);
        }
        context = context_shared;
        if (context != NULL)
                context_users++;
        pthread_mutex_unlock(&context_lock);
        return context;
}

void sockets_give_context(void *context)
{
        void *unused = NULL;

        pthread_mutex_lock(&context_lock);
        PX_ASSERT(context == context_shared && context_users > 0);
        if (--context_users == 0) {
                unused = context_shared;
                context_shared = NULL;
        }
        pthread_mutex_unlock(&context_lock);
        if (unused != NULL)
                zmq_ctx_term(unused); /* at most SOCKET_LINGER_MS */
}

static bool set_int(void *socket, int option, int value)
{
        return zmq_setsockopt(socket, option, &value, sizeof(value)) == 0;
}

static bool set_options(void *socket)
{
        int64_t message_max = PX_LIMIT_MESSAGE_BYTES;

        return set_int(socket, ZMQ_IMMEDIATE, 1) && set_int(socket, ZMQ_LINGER, SOCKET_LINGER_MS) &&
               set_int(socket, ZMQ_RECONNECT_IVL, SOCKET_RECONNECT_MS) &&
               set_int(socket, ZMQ_RECONNECT_IVL_MAX, SOCKET_RECONNECT_MAX_MS) &&
               set_int(socket, ZMQ_HANDSHAKE_IVL, SOCKET_HANDSHAKE_MS) &&
               set_int(socket, ZMQ_HEARTBEAT_IVL, SOCKET_HEARTBEAT_MS) &&
               set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, SOCKET_SILENCE_MS) &&
               set_int(socket, ZMQ_HEARTBEAT_TTL, SOCKET_SILENCE_MS) &&
               set_int(socket, ZMQ_SNDHWM, SOCKET_HIGH_WATER) &&
               set_int(socket, ZMQ_RCVHWM, SOCKET_HIGH_WATER) && set_int(socket, ZMQ_IPV6, 1) &&
               zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &message_max, sizeof(message_max)) == 0;
}

static bool set_keys(void *socket, const struct socket_keys *keys)
{
        return keys == NULL ||
               (zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, keys->server, SOCKET_Z85_ROOM) == 0 &&
                zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, keys->own_public, SOCKET_Z85_ROOM) == 0 &&
                zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys->own_secret, SOCKET_Z85_ROOM) == 0);
}

static bool open_monitor(void *context, void *socket, void **ret_monitor)
{
        static const int events = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                                  ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                                  ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_DISCONNECTED |
                                  ZMQ_EVENT_CLOSED;
        static atomic_ullong number;
        char name[64];

        snprintf(name, sizeof(name), "inproc://plexus-monitor-%llu", atomic_fetch_add(&number, 1));
        if (zmq_socket_monitor(socket, name, events) != 0)
                return false;
        *ret_monitor = zmq_socket(context, ZMQ_PAIR);
        return *ret_monitor != NULL && set_int(*ret_monitor, ZMQ_LINGER, 0) &&
               zmq_connect(*ret_monitor, name) == 0;
}

void *socket_open(void *context, const struct socket_keys *keys, void **ret_monitor)
{
        void *monitor = NULL;
        void *socket = zmq_socket(context, ZMQ_DEALER);

        if (socket == NULL)
                return NULL;
        if (!set_options(socket) || !set_keys(socket, keys) ||
            !open_monitor(context, socket, &monitor)) {
                socket_close(socket, monitor);
                return NULL;
        }
        *ret_monitor = monitor;
        return socket;
}

void socket_close(void *socket, void *monitor)
{
        if (socket == NULL)
                return;
        zmq_socket_monitor(socket, NULL, 0);
        if (monitor != NULL)
                zmq_close(monitor);
        zmq_close(socket);
}
