/* SPDX-License-Identifier: Apache-2.0 */
/* net.c - see net.h. Layer: tools. */
#include "net.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define NET_ROOM (1u << 20)
#define OPEN_TRIES 100000
#define OPEN_EVERY_US 1000

struct net {
        int fd;
        size_t begin, end; /* of what was read and not taken, in `in` */
        size_t out_length;
        char in[NET_ROOM];
        char out[NET_ROOM];
};

static int dial(int port)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int one = 1;

        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (fd < 0)
                die("socket");
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
                close(fd);
                return -1;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        return fd;
}

struct net *net_open(int port)
{
        struct net *net = calloc(1, sizeof(*net));

        if (net == NULL)
                die("calloc");
        for (int i = 0; i < OPEN_TRIES; i++) {
                net->fd = dial(port);
                if (net->fd >= 0)
                        return net;
                sleep_us(OPEN_EVERY_US);
        }
        die("connect to port %d", port);
}

int net_fd(const struct net *net)
{
        return net->fd;
}

void net_flush(struct net *net)
{
        for (size_t done = 0; done < net->out_length;) {
                ssize_t count = write(net->fd, net->out + done, net->out_length - done);

                if (count <= 0)
                        die("write");
                done += (size_t)count;
        }
        net->out_length = 0;
}

void net_put(struct net *net, const void *bytes, size_t length)
{
        if (net->out_length + length > NET_ROOM)
                net_flush(net);
        memcpy(net->out + net->out_length, bytes, length);
        net->out_length += length;
}

void net_print(struct net *net, const char *format, ...)
{
        char text[4096];
        va_list arguments;
        int length;

        va_start(arguments, format);
        length = vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        net_put(net, text, (size_t)length);
}

static void fill(struct net *net)
{
        ssize_t count;

        if (net->begin == net->end)
                net->begin = net->end = 0;
        if (net->end > NET_ROOM / 2) {
                memmove(net->in, net->in + net->begin, net->end - net->begin);
                net->end -= net->begin;
                net->begin = 0;
        }
        count = read(net->fd, net->in + net->end, NET_ROOM - net->end);
        if (count <= 0)
                die("the peer closed the connection");
        net->end += (size_t)count;
}

char *net_take(struct net *net, size_t length)
{
        char *bytes;

        while (net->end - net->begin < length)
                fill(net);
        bytes = net->in + net->begin;
        net->begin += length;
        return bytes;
}

char *net_line(struct net *net)
{
        size_t seen = 0;

        for (;;) {
                char *line = net->in + net->begin;
                char *end = memchr(line + seen, '\n', net->end - net->begin - seen);

                if (end != NULL) {
                        *end = '\0';
                        if (end > line && end[-1] == '\r')
                                end[-1] = '\0';
                        net->begin = (size_t)(end + 1 - net->in);
                        return line;
                }
                seen = net->end - net->begin;
                fill(net);
        }
}

bool net_has_more(const struct net *net)
{
        return net->end > net->begin;
}

bool net_wait(struct net *net, int timeout_ms)
{
        struct pollfd item = {.fd = net->fd, .events = POLLIN};

        return net_has_more(net) || poll(&item, 1, timeout_ms) > 0;
}
