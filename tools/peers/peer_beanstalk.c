/* SPDX-License-Identifier: Apache-2.0 */
/* peer_beanstalk.c - beanstalkd's text protocol. Replies go through a second tube, as its users do
 * it. Layer: tools. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"
#include "queue.h"

#define PORT 21300

struct beanstalk {
        struct net *net;
        int owed; /* answers to finishes that were not read yet */
        bool reply;
};

static void *beanstalk_open(char role, const char *variant, bool reply)
{
        struct beanstalk *peer = calloc(1, sizeof(*peer));

        (void)variant;
        peer->net = net_open(PORT);
        peer->reply = reply;
        net_print(peer->net, "use %s\r\nwatch %s\r\nignore default\r\n",
                  role == 'c' ? "jobs" : "done", role == 'c' ? "done" : "jobs");
        net_flush(peer->net);
        for (int i = 0; i < 3; i++)
                net_line(peer->net);
        return peer;
}

static void beanstalk_put(void *connection, const char *job, size_t length)
{
        struct beanstalk *peer = connection;

        net_print(peer->net, "put 0 0 60 %zu\r\n", length);
        net_put(peer->net, job, length);
        net_put(peer->net, "\r\n", 2);
}

static int beanstalk_ack(void *connection)
{
        struct beanstalk *peer = connection;
        char *line;

        if (!net_has_more(peer->net))
                net_flush(peer->net);
        line = net_line(peer->net);
        if (strncmp(line, "INSERTED", 8) != 0)
                die("put: %s", line);
        return 1;
}

static void beanstalk_work(void *connection, int count, on_job *job)
{
        struct beanstalk *peer = connection;

        net_print(peer->net, "reserve-with-timeout 1\r\n");
        for (int i = 1; i < count; i++)
                net_print(peer->net, "reserve-with-timeout 0\r\n");
        net_flush(peer->net);
        for (; peer->owed > 0; peer->owed--)
                finished(strcmp(net_line(peer->net), "DELETED") == 0);
        for (int i = 0; i < count; i++) {
                unsigned long id, length;

                if (sscanf(net_line(peer->net), "RESERVED %lu %lu", &id, &length) != 2)
                        continue;
                job(net_take(peer->net, length + 2), length);
                net_print(peer->net, "delete %lu\r\n", id);
                peer->owed++;
                if (peer->reply) {
                        net_print(peer->net, "put 0 0 60 2\r\nok\r\n");
                        peer->owed++;
                }
        }
}

static void beanstalk_call(void *connection, const char *job, size_t length)
{
        struct beanstalk *peer = connection;
        unsigned long id, reply_length;

        beanstalk_put(peer, job, length);
        net_print(peer->net, "reserve\r\n");
        net_flush(peer->net);
        for (; peer->owed > 0; peer->owed--)
                net_line(peer->net);
        net_line(peer->net);
        if (sscanf(net_line(peer->net), "RESERVED %lu %lu", &id, &reply_length) != 2)
                die("reserve");
        net_take(peer->net, reply_length + 2);
        net_print(peer->net, "delete %lu\r\n", id); /* leaves with the next call */
        peer->owed++;
}

const struct queue_peer queue_peer = {
        .name = "beanstalkd",
        .open = beanstalk_open,
        .put = beanstalk_put,
        .ack = beanstalk_ack,
        .work = beanstalk_work,
        .call = beanstalk_call,
};
