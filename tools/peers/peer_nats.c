/* SPDX-License-Identifier: Apache-2.0 */
/* peer_nats.c - NATS' text protocol. Variant "js": JetStream's file store, work queue, pull
 * consumer; "core": a plain request to a queue group, nothing kept (latency only). Layer: tools. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net.h"
#include "queue.h"

#define PORT 21222
#define PULL_MS 1500

struct nats {
        struct net *net;
        bool reply;
        bool core;
        bool replies_come; /* the client has subscribed to them */
        int left;          /* jobs that the last pull may still bring */
        char inbox[32];
};

struct nats_message {
        char reply[256];
        char *data;
        size_t length;
        int status;
};

/* "MSG subject id [reply] bytes" or "HMSG subject id [reply] header_bytes bytes" was read. */
static void take_body(struct net *net, char *line, bool has_header,
                      struct nats_message *ret_message)
{
        char *words[6], *save = NULL;
        int count = 0;
        size_t bytes, header_bytes;

        for (char *word = strtok_r(line, " ", &save); word != NULL && count < 6;
             word = strtok_r(NULL, " ", &save))
                words[count++] = word;
        bytes = strtoull(words[count - 1], NULL, 10);
        header_bytes = has_header ? strtoull(words[count - 2], NULL, 10) : 0;
        ret_message->reply[0] = '\0';
        if (count == (has_header ? 6 : 5))
                snprintf(ret_message->reply, sizeof(ret_message->reply), "%s", words[3]);
        ret_message->data = net_take(net, bytes + 2);
        ret_message->status = 0;
        if (has_header && strncmp(ret_message->data, "NATS/1.0 ", 9) == 0)
                ret_message->status = atoi(ret_message->data + 9);
        ret_message->data += header_bytes;
        ret_message->length = bytes - header_bytes;
}

/* The next message; false: PONG came instead. */
static bool take_message(struct net *net, struct nats_message *ret_message)
{
        for (;;) {
                char *line = net_line(net);
                bool has_header = *line == 'H';

                if (*line == '-')
                        die("nats: %s", line);
                if (strncmp(line, "PONG", 4) == 0)
                        return false;
                if (strncmp(line, "PING", 4) == 0) {
                        net_print(net, "PONG\r\n");
                        net_flush(net);
                } else if (strncmp(line + has_header, "MSG ", 4) == 0) {
                        take_body(net, line, has_header, ret_message);
                        return true;
                }
        }
}

static void publish(struct net *net, const char *subject, const char *reply, const char *data,
                    size_t length)
{
        net_print(net, "PUB %s %s %zu\r\n", subject, reply, length);
        net_put(net, data, length);
        net_put(net, "\r\n", 2);
}

static bool says(const struct nats_message *message, const char *words)
{
        return memmem(message->data, message->length, words, strlen(words)) != NULL;
}

static void ask(struct nats *peer, const char *subject, const char *json,
                struct nats_message *ret_message)
{
        publish(peer->net, subject, peer->inbox, json, strlen(json));
        net_flush(peer->net);
        while (!take_message(peer->net, ret_message))
                ;
}

/* After a restart JetStream may not be there at once. */
static void make_stream(struct nats *peer)
{
        struct nats_message message;

        for (;; sleep_us(2000)) {
                ask(peer, "$JS.API.STREAM.CREATE.S",
                    "{\"name\":\"S\",\"subjects\":[\"jobs\"],\"retention\":\"workqueue\","
                    "\"storage\":\"file\",\"num_replicas\":1,\"max_msgs\":-1,\"max_bytes\":-1}",
                    &message);
                if (message.status == 0 && !says(&message, "\"code\":503"))
                        break;
        }
        do
                ask(peer, "$JS.API.CONSUMER.DURABLE.CREATE.S.W",
                    "{\"stream_name\":\"S\",\"config\":{\"durable_name\":\"W\","
                    "\"ack_policy\":\"explicit\",\"deliver_policy\":\"all\","
                    "\"max_ack_pending\":20000,\"max_waiting\":512}}",
                    &message);
        while (message.status != 0);
}

static void *nats_open(char role, const char *variant, bool reply)
{
        struct nats *peer = calloc(1, sizeof(*peer));
        struct nats_message message;

        peer->net = net_open(PORT);
        peer->reply = reply;
        peer->core = strcmp(variant, "core") == 0;
        snprintf(peer->inbox, sizeof(peer->inbox), "in.%d", getpid());
        net_line(peer->net);
        net_print(peer->net,
                  "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,"
                  "\"no_responders\":true}\r\nSUB %s 1\r\n",
                  peer->inbox);
        if (!peer->core)
                make_stream(peer);
        else if (role == 'w')
                net_print(peer->net, "SUB jobs g 2\r\n");
        net_print(peer->net, "PING\r\n");
        net_flush(peer->net);
        while (take_message(peer->net, &message))
                ;
        return peer;
}

static void nats_put(void *connection, const char *job, size_t length)
{
        struct nats *peer = connection;

        publish(peer->net, "jobs", peer->inbox, job, length);
}

static int nats_ack(void *connection)
{
        struct nats *peer = connection;
        struct nats_message message;

        if (!net_has_more(peer->net))
                net_flush(peer->net);
        while (!take_message(peer->net, &message))
                ;
        if (message.status != 0 || says(&message, "error"))
                die("nats: not stored: %.*s", (int)message.length, message.data);
        return 1;
}

static void work_core(struct nats *peer, on_job *job)
{
        struct nats_message message;

        if (!net_wait(peer->net, 1000) || !take_message(peer->net, &message))
                return;
        job(message.data, message.length);
        publish(peer->net, message.reply, "", "ok", 2);
        net_flush(peer->net);
        finished(1);
}

static void nats_work(void *connection, int count, on_job *job)
{
        struct nats *peer = connection;
        struct nats_message message;
        char pull[64];

        if (peer->core) {
                work_core(peer, job);
                return;
        }
        if (peer->left == 0) {
                snprintf(pull, sizeof(pull), "{\"batch\":%d,\"expires\":1000000000}", count);
                publish(peer->net, "$JS.API.CONSUMER.MSG.NEXT.S.W", peer->inbox, pull,
                        strlen(pull));
                peer->left = count;
        }
        net_flush(peer->net);
        if (!net_wait(peer->net, PULL_MS)) {
                peer->left = 0;
                return;
        }
        do {
                if (!take_message(peer->net, &message))
                        continue;
                if (message.status != 0) { /* the pull expired */
                        peer->left = 0;
                        break;
                }
                peer->left--;
                job(message.data, message.length);
                publish(peer->net, message.reply, "", "+ACK", 4);
                if (peer->reply)
                        publish(peer->net, "done", "", "ok", 2);
                finished(1);
        } while (peer->left > 0 && net_has_more(peer->net));
        net_flush(peer->net); /* nats_drained() waits until the server has them */
}

static void nats_call(void *connection, const char *job, size_t length)
{
        struct nats *peer = connection;
        struct nats_message message;
        int expected = peer->core ? 1 : 2; /* stored and done, in either order */

        if (!peer->core && !peer->replies_come)
                net_print(peer->net, "SUB done 3\r\n");
        peer->replies_come = true;
        nats_put(peer, job, length);
        net_flush(peer->net);
        for (; expected > 0; expected--)
                while (!take_message(peer->net, &message))
                        ;
}

static void nats_drained(void *connection)
{
        struct nats_message message;

        do
                ask(connection, "$JS.API.STREAM.INFO.S", "", &message);
        while (!says(&message, "\"messages\":0,"));
}

const struct queue_peer queue_peer = {
        .name = "nats",
        .open = nats_open,
        .put = nats_put,
        .ack = nats_ack,
        .work = nats_work,
        .call = nats_call,
        .drained = nats_drained,
};
