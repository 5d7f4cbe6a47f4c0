/* SPDX-License-Identifier: Apache-2.0 */
/* link_probe.c - see lib_link_probe.h. Layer: L4 (client/lib). */
#include "lib_link_probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static bool is_local(const struct link_address *address)
{
        return address->socket.ss_family == AF_UNIX;
}

static const char *local_path(const struct link_address *address)
{
        return ((const struct sockaddr_un *)(const void *)&address->socket)->sun_path;
}

void link_probe_local(const char *dir, const char *name, struct link_address *ret_address)
{
        struct sockaddr_un local = {.sun_family = AF_UNIX};
        int length = snprintf(local.sun_path, sizeof(local.sun_path), "%s/%s", dir, name);

        PX_ASSERT(length > 0 && (size_t)length < sizeof(local.sun_path)); /* URL_DIR_ROOM */
        *ret_address = (struct link_address){.length = sizeof(local)};
        memcpy(&ret_address->socket, &local, sizeof(local));
        link_probe_name(ret_address, NULL);
}

static void set_port(struct sockaddr_storage *address, uint16_t port)
{
        if (address->ss_family == AF_INET)
                ((struct sockaddr_in *)(void *)address)->sin_port = htons(port);
        else
                ((struct sockaddr_in6 *)(void *)address)->sin6_port = htons(port);
}

void link_probe_beside(const struct link_address *address, const char *name, uint32_t port,
                       struct link_address *ret_address)
{
        char dir[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
        char *slash;

        if (!is_local(address)) {
                *ret_address = *address;
                set_port(&ret_address->socket, (uint16_t)port);
                link_probe_name(ret_address, NULL);
                return;
        }
        snprintf(dir, sizeof(dir), "%s", local_path(address));
        slash = strrchr(dir, '/');
        PX_ASSERT(slash != NULL);
        *slash = '\0';
        link_probe_local(dir, name, ret_address);
}

static void number_and_port(const struct link_address *address, char *ret_number, uint16_t *ret_port)
{
        if (address->socket.ss_family == AF_INET) {
                const struct sockaddr_in *in = (const void *)&address->socket;

                inet_ntop(AF_INET, &in->sin_addr, ret_number, INET6_ADDRSTRLEN);
                *ret_port = ntohs(in->sin_port);
        } else {
                const struct sockaddr_in6 *in = (const void *)&address->socket;

                inet_ntop(AF_INET6, &in->sin6_addr, ret_number, INET6_ADDRSTRLEN);
                *ret_port = ntohs(in->sin6_port);
        }
}

void link_probe_name(struct link_address *address, const char *host)
{
        char number[INET6_ADDRSTRLEN];
        uint16_t port;

        if (is_local(address)) {
                snprintf(address->words, sizeof(address->words), "%s", local_path(address));
                return;
        }
        number_and_port(address, number, &port);
        if (host != NULL && strcmp(host, number) != 0)
                snprintf(address->words, sizeof(address->words), "%s:%u (%s)", host, port, number);
        else if (strchr(number, ':') != NULL)
                snprintf(address->words, sizeof(address->words), "[%s]:%u", number, port);
        else
                snprintf(address->words, sizeof(address->words), "%s:%u", number, port);
}

void link_probe_endpoint(const struct link_address *address, char *ret_endpoint, size_t room)
{
        char number[INET6_ADDRSTRLEN];
        uint16_t port;

        if (is_local(address)) {
                snprintf(ret_endpoint, room, "ipc://%s", local_path(address));
                return;
        }
        number_and_port(address, number, &port);
        if (address->socket.ss_family == AF_INET)
                snprintf(ret_endpoint, room, "tcp://%s:%u", number, port);
        else
                snprintf(ret_endpoint, room, "tcp://[%s]:%u", number, port);
}

int link_probe_start(const struct link_address *address, int *ret_fd)
{
        int fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int fault;

        *ret_fd = -1;
        if (fd < 0)
                return errno;
        if (connect(fd, (const void *)&address->socket, address->length) == 0) {
                *ret_fd = fd;
                return 0;
        }
        fault = errno;
        if (fault == EINPROGRESS) {
                *ret_fd = fd;
                return EINPROGRESS;
        }
        close(fd);
        return fault == EAGAIN ? ETIMEDOUT : fault; /* a local listener whose queue is full */
}

int link_probe_result(int fd)
{
        struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
        int fault = 0;
        socklen_t length = sizeof(fault);

        if (poll(&poll_fd, 1, 0) == 0)
                return EINPROGRESS;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &fault, &length) != 0)
                return errno;
        return fault;
}

void link_probe_words(const struct link_address *address, int fault, char *ret_words, size_t room)
{
        bool local = is_local(address);

        switch (fault) {
        case ENOENT:
                snprintf(ret_words, room, "no broker runs at %s (no such socket)", address->words);
                break;
        case ECONNREFUSED:
                if (local)
                        snprintf(ret_words, room, "no broker listens at %s", address->words);
                else
                        snprintf(ret_words, room, "%s refused the connection: nothing listens there",
                                 address->words);
                break;
        case ETIMEDOUT:
                snprintf(ret_words, room, "%s does not answer: host down, or a firewall drops it",
                         address->words);
                break;
        case EACCES:
        case EPERM:
                snprintf(ret_words, room, "%s may not be opened by this user", address->words);
                break;
        default:
                snprintf(ret_words, room, "%s: %s", address->words, strerror(fault));
                break;
        }
}
