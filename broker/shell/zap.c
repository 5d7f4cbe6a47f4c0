/* SPDX-License-Identifier: Apache-2.0 */
/* zap.c - the ZAP handler: a czmq actor that answers on inproc://zeromq.zap.01, and the test at
 * start that it refuses a stranger. Layer: L4 (broker/shell). */
#include "zap.h"

#include <czmq.h>
#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "clock.h"
#include "px_schema.h"
#include "socket.h"

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define ZAP_VERSION "1.0"
#define ZAP_PARTS_MIN 6 /* version, request, domain, address, routing id, mechanism */
#define SELF_TEST_MONITOR "inproc://plexus.self-test"

struct zap {
        struct keys *keys;
        uint32_t account;
        zsock_t *socket; /* bound by the starter, then the thread's */
        int stop_fd;     /* eventfd: readable = stop */
        pthread_t thread;
};

/* ---- the decision ------------------------------------------------------------------------------
 */

/* Which roles have business where; who may do what is checked again with each message. */
static bool role_may_enter(int role, const char *service)
{
        if (strcmp(service, SOCKET_SERVICE_CMD) == 0)
                return true; /* dead ones are told so here, enrolments happen here */
        if (role == PX_ROLE_DEAD || role == PX_ROLE_ENROL)
                return false;
        if (strcmp(service, SOCKET_SERVICE_EVENTS) == 0)
                return role == PX_ROLE_ADMIN || role == PX_ROLE_SERVICE || role == PX_ROLE_MONITOR;
        return strcmp(service, SOCKET_SERVICE_NODE) == 0 ||
               strcmp(service, SOCKET_SERVICE_DATA) == 0;
}

/* Cut "<service>-<kind>" in two; false for anything else. */
static bool read_domain(struct px_slice domain, char *ret_service, size_t room, bool *ret_local)
{
        char *dash;

        if (domain.length >= room)
                return false;
        px_slice_to_text(domain, ret_service, room);
        dash = strrchr(ret_service, '-');
        if (dash == NULL)
                return false;
        *ret_local = strcmp(dash, "-local") == 0;
        if (!*ret_local && strcmp(dash, "-tcp") != 0)
                return false;
        *dash = '\0';
        return true;
}

/* The library ends a local address with ":uid:gid:pid" of the other end, as the kernel tells it;
 * what stands before is the C library's name for the machine. */
static bool address_has_account(struct px_slice address, uint32_t account)
{
        char text[320];
        char expected[16];
        char *field = text;

        if (address.length >= sizeof(text))
                return false;
        px_slice_to_text(address, text, sizeof(text));
        for (int i = 0; i < 3; i++) {
                field = strrchr(text, ':');
                if (field == NULL)
                        return false;
                *field = '\0';
        }
        snprintf(expected, sizeof(expected), "%u", account);
        return strcmp(field + 1, expected) == 0;
}

bool zap_admit(struct keys *keys, uint32_t account, const struct zap_request *request,
               struct keys_entry *ret_entry)
{
        struct keys_entry entry;
        char service[32];
        bool local;
        bool known;

        if (!read_domain(request->domain, service, sizeof(service), &local))
                return false;
        if (local)
                known = px_slice_equal(request->mechanism, px_slice_text("NULL")) &&
                        address_has_account(request->address, account) &&
                        keys_find_local(keys, &entry);
        else
                known = px_slice_equal(request->mechanism, px_slice_text("CURVE")) &&
                        request->credentials.length == KEYS_PUBLIC_BYTES &&
                        keys_find_key(keys, request->credentials.data, &entry);
        if (!known || !role_may_enter(entry.role, service))
                return false;
        *ret_entry = entry;
        return true;
}

/* ---- the thread --------------------------------------------------------------------------------
 */

static struct px_slice part(zmsg_t *message)
{
        zframe_t *frame = zmsg_next(message);

        if (frame == NULL)
                return PX_SLICE_NONE;
        return px_slice_of(zframe_data(frame), zframe_size(frame));
}

static void reply(zsock_t *socket, struct px_slice id, bool admitted, const char *user_id)
{
        zmsg_t *answer = zmsg_new();

        zmsg_addstr(answer, ZAP_VERSION);
        zmsg_addmem(answer, id.data, id.length);
        zmsg_addstr(answer, admitted ? "200" : "400");
        zmsg_addstr(answer, admitted ? "OK" : "Refused");
        zmsg_addstr(answer, user_id);
        zmsg_addmem(answer, "", 0); /* no metadata */
        zmsg_send(&answer, socket);
        zmsg_destroy(&answer);
}

static void handle(struct keys *keys, uint32_t account, zsock_t *socket)
{
        struct zap_request request = {0};
        struct keys_entry entry;
        struct px_slice version;
        struct px_slice id;
        char user_id[KEYS_USER_ID_ROOM] = "";
        bool admitted;
        zmsg_t *message = zmsg_recv(socket);

        if (message == NULL)
                return;
        version = px_slice_of(zframe_data(zmsg_first(message)), zframe_size(zmsg_first(message)));
        id = part(message);
        request.domain = part(message);
        request.address = part(message);
        (void)part(message); /* the routing id that the peer asked for */
        request.mechanism = part(message);
        request.credentials = part(message);
        admitted = zmsg_size(message) >= ZAP_PARTS_MIN &&
                   px_slice_equal(version, px_slice_text(ZAP_VERSION)) &&
                   zap_admit(keys, account, &request, &entry);
        if (admitted)
                snprintf(user_id, sizeof(user_id), "%u", entry.id.value);
        reply(socket, id, admitted, user_id);
        zmsg_destroy(&message);
}

static void *run(void *context)
{
        struct zap *zap = context;
        zmq_pollitem_t items[] = {
                {.socket = zsock_resolve(zap->socket), .events = ZMQ_POLLIN},
                {.fd = zap->stop_fd, .events = ZMQ_POLLIN},
        };

        while (items[1].revents == 0) {
                if (zmq_poll(items, (int)PX_COUNT_OF(items), -1) < 0)
                        PX_ASSERT(zmq_errno() == EINTR);
                else if (items[0].revents != 0)
                        handle(zap->keys, zap->account, zap->socket);
        }
        return NULL;
}

static void zap_free(struct zap *zap)
{
        zsock_destroy(&zap->socket);
        if (zap->stop_fd >= 0)
                close(zap->stop_fd);
        px_free(zap);
}

int zap_start(struct keys *keys, struct zap **ret_zap)
{
        struct zap *zap = px_alloc(sizeof(*zap));
        int fault = 0;

        zap->keys = keys;
        zap->account = geteuid();
        zap->socket = zsock_new(ZMQ_REP);
        zap->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (zap->socket == NULL || zap->stop_fd < 0)
                fault = -errno;
        else if (zsock_bind(zap->socket, ZAP_ENDPOINT) != 0)
                fault = -zmq_errno();
        else
                fault = -pthread_create(&zap->thread, NULL, run, zap);
        if (fault == 0)
                *ret_zap = zap;
        else
                zap_free(zap);
        return fault;
}

void zap_stop(struct zap *zap)
{
        uint64_t one = 1;

        if (zap == NULL)
                return;
        PX_ASSERT(write(zap->stop_fd, &one, sizeof(one)) == (ssize_t)sizeof(one));
        PX_ASSERT(pthread_join(zap->thread, NULL) == 0);
        zap_free(zap);
}

/* ---- the test at start -------------------------------------------------------------------------
 */

/* Wait for the stranger's fate. */
static int verdict(void *monitor, int64_t until_ms)
{
        for (;;) {
                zmq_pollitem_t item = {.socket = monitor, .events = ZMQ_POLLIN};
                int64_t left_ms = until_ms - clock_steady_ms();
                uint8_t event[6];
                uint16_t kind;

                if (left_ms <= 0 || zmq_poll(&item, 1, (long)left_ms) <= 0)
                        return -ETIMEDOUT;
                if (zmq_recv(monitor, event, sizeof(event), 0) != (int)sizeof(event))
                        return -EPROTO;
                zmq_recv(monitor, NULL, 0, 0); /* the endpoint */
                memcpy(&kind, event, sizeof(kind));
                if (kind == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
                        return -EACCES;
                if (kind == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
                        return 0;
        }
}

static void make_keys(uint8_t *ret_public, uint8_t *ret_secret)
{
        char public_text[41];
        char secret_text[41];

        PX_ASSERT(zmq_curve_keypair(public_text, secret_text) == 0);
        PX_ASSERT(zmq_z85_decode(ret_public, public_text) != NULL);
        PX_ASSERT(zmq_z85_decode(ret_secret, secret_text) != NULL);
}

static int stranger_knocks(void *stranger, const struct socket_identity *server,
                           const char *endpoint, uint32_t timeout_ms, void *zmq_context)
{
        uint8_t public_key[32];
        uint8_t secret_key[32];
        void *monitor = zmq_socket(zmq_context, ZMQ_PAIR);
        int linger_ms = 0;
        int fault = -EPROTO;

        make_keys(public_key, secret_key);
        if (monitor != NULL &&
            zmq_setsockopt(stranger, ZMQ_LINGER, &linger_ms, sizeof(linger_ms)) == 0 &&
            zmq_setsockopt(stranger, ZMQ_CURVE_SERVERKEY, server->public_key, 32) == 0 &&
            zmq_setsockopt(stranger, ZMQ_CURVE_PUBLICKEY, public_key, 32) == 0 &&
            zmq_setsockopt(stranger, ZMQ_CURVE_SECRETKEY, secret_key, 32) == 0 &&
            zmq_socket_monitor(stranger, SELF_TEST_MONITOR,
                               ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) ==
                    0 &&
            zmq_connect(monitor, SELF_TEST_MONITOR) == 0 && zmq_connect(stranger, endpoint) == 0)
                fault = verdict(monitor, clock_steady_ms() + timeout_ms);
        zmq_socket_monitor(stranger, NULL, 0);
        socket_close(monitor);
        return fault;
}

int zap_self_test(void *zmq_context, const char *endpoint, uint32_t timeout_ms)
{
        struct socket_identity server;
        void *stranger = zmq_socket(zmq_context, ZMQ_DEALER);
        void *door = zmq_socket(zmq_context, ZMQ_ROUTER);
        int fault = -ENOMEM;

        make_keys(server.public_key, server.secret_key);
        if (stranger != NULL && door != NULL) {
                /* CURVE and the domain of tcp over a local path: no port is opened for the test. */
                socket_secure(&server, door, "tcp://self-test", SOCKET_SERVICE_CMD);
                fault = zmq_bind(door, endpoint) == 0 ? 0 : -zmq_errno();
                if (fault == 0)
                        fault = stranger_knocks(stranger, &server, endpoint, timeout_ms,
                                                zmq_context);
        }
        socket_close(stranger);
        socket_close(door);
        return fault;
}
