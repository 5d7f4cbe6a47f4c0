/* SPDX-License-Identifier: Apache-2.0 */
/* peer_rabbit.c - RabbitMQ through librabbitmq, publisher confirms always on. Variant "classic":
 * durable queue, persistent messages; "quorum": a quorum queue of one. Replies: a queue that the
 * client consumes without acknowledgements. Layer: tools. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <amqp.h>
#include <amqp_tcp_socket.h>

#include "queue.h"

#define PORT 21672
#define FRAME_BYTES_MAX 131072
#define TAGS_MAX (4u << 20)
#define OPEN_TRIES 20000
#define DELIVERY_PERSISTENT 2

struct rabbit {
        amqp_connection_state_t state;
        uint64_t acked, wanted;
        uint64_t last_tag; /* received */
        uint64_t low;      /* everything up to here is confirmed */
        char *seen;        /* one byte per tag: the broker mixes single and multiple confirms */
        bool reply;
        bool consuming;
        int unacked;
        char queue[32];
};

static amqp_bytes_t text(const char *words)
{
        return amqp_cstring_bytes(words);
}

static bool dial(struct rabbit *peer)
{
        amqp_socket_t *socket;

        peer->state = amqp_new_connection();
        socket = amqp_tcp_socket_new(peer->state);
        if (amqp_socket_open(socket, "127.0.0.1", PORT) == 0 &&
            amqp_login(peer->state, "/", 0, FRAME_BYTES_MAX, 0, AMQP_SASL_METHOD_PLAIN, "guest",
                       "guest")
                            .reply_type == AMQP_RESPONSE_NORMAL)
                return true;
        amqp_destroy_connection(peer->state);
        return false;
}

static void declare_queue(struct rabbit *peer, const char *variant)
{
        amqp_table_entry_t entry = {.key = text("x-queue-type"),
                                    .value = {.kind = AMQP_FIELD_KIND_UTF8}};
        amqp_table_t table = {.num_entries = 1, .entries = &entry};

        entry.value.value.bytes = text(strcmp(variant, "quorum") == 0 ? "quorum" : "classic");
        snprintf(peer->queue, sizeof(peer->queue), "jobs_%s", variant);
        amqp_queue_declare(peer->state, 1, text(peer->queue), 0, 1, 0, 0, table);
        if (amqp_get_rpc_reply(peer->state).reply_type != AMQP_RESPONSE_NORMAL)
                die("rabbitmq: no queue");
}

static void *rabbit_open(char role, const char *variant, bool reply)
{
        struct rabbit *peer = calloc(1, sizeof(*peer));
        int one = 1;

        for (int i = 0; !dial(peer); i++) {
                if (i == OPEN_TRIES)
                        die("rabbitmq: no connection");
                sleep_us(2000);
        }
        peer->seen = calloc(1, TAGS_MAX);
        peer->reply = reply;
        setsockopt(amqp_get_sockfd(peer->state), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        amqp_channel_open(peer->state, 1);
        declare_queue(peer, variant);
        if (role != 'c')
                return peer;
        amqp_confirm_select(peer->state, 1);
        if (reply) {
                amqp_queue_declare(peer->state, 1, text("done"), 0, 0, 0, 1, amqp_empty_table);
                amqp_basic_consume(peer->state, 1, text("done"), amqp_empty_bytes, 0, 1, 0,
                                   amqp_empty_table);
        }
        return peer;
}

static void rabbit_put(void *connection, const char *job, size_t length)
{
        struct rabbit *peer = connection;
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
                                              .delivery_mode = DELIVERY_PERSISTENT};
        amqp_bytes_t body = {.len = length, .bytes = (void *)(uintptr_t)job};

        if (amqp_basic_publish(peer->state, 1, amqp_empty_bytes, text(peer->queue), 0, 0,
                               &properties, body) != 0)
                die("rabbitmq: publish");
}

static void take_confirm(struct rabbit *peer, const amqp_frame_t *frame)
{
        const amqp_basic_ack_t *confirm;
        uint64_t tag;

        if (frame->frame_type != AMQP_FRAME_METHOD ||
            frame->payload.method.id != AMQP_BASIC_ACK_METHOD)
                return;
        confirm = frame->payload.method.decoded;
        tag = confirm->multiple ? peer->low + 1 : confirm->delivery_tag;
        for (; tag <= confirm->delivery_tag; tag++) {
                peer->acked += peer->seen[tag % TAGS_MAX] == 0;
                peer->seen[tag % TAGS_MAX] = 1;
        }
        if (confirm->multiple)
                peer->low = confirm->delivery_tag;
}

static void take_frame(struct rabbit *peer, amqp_frame_t *ret_frame)
{
        amqp_maybe_release_buffers(peer->state);
        if (amqp_simple_wait_frame(peer->state, ret_frame) != 0)
                die("rabbitmq: connection closed");
        take_confirm(peer, ret_frame);
}

static int rabbit_ack(void *connection)
{
        struct rabbit *peer = connection;
        amqp_frame_t frame;

        for (peer->wanted++; peer->acked < peer->wanted;)
                take_frame(peer, &frame);
        return 1;
}

static void rabbit_work(void *connection, int count, on_job *job)
{
        struct rabbit *peer = connection;
        struct timeval wait = {.tv_sec = 1};
        amqp_envelope_t envelope;

        if (!peer->consuming) {
                amqp_basic_qos(peer->state, 1, 0, (uint16_t)count, 0);
                amqp_basic_consume(peer->state, 1, text(peer->queue), amqp_empty_bytes, 0, 0, 0,
                                   amqp_empty_table);
                peer->consuming = true;
        }
        amqp_maybe_release_buffers(peer->state);
        if (amqp_consume_message(peer->state, &envelope, &wait, 0).reply_type !=
            AMQP_RESPONSE_NORMAL)
                return;
        job(envelope.message.body.bytes, envelope.message.body.len);
        peer->last_tag = envelope.delivery_tag;
        peer->unacked++;
        amqp_destroy_envelope(&envelope);
        if (peer->unacked * 2 >= count ||
            !(amqp_data_in_buffer(peer->state) || amqp_frames_enqueued(peer->state))) {
                amqp_basic_ack(peer->state, 1, peer->last_tag, 1);
                peer->unacked = 0;
        }
        if (peer->reply)
                amqp_basic_publish(peer->state, 1, amqp_empty_bytes, text("done"), 0, 0, NULL,
                                   text("ok"));
        finished(1);
}

static void rabbit_call(void *connection, const char *job, size_t length)
{
        struct rabbit *peer = connection;
        bool replied = false;

        rabbit_put(peer, job, length);
        for (peer->wanted++; peer->acked < peer->wanted || !replied;) { /* in either order */
                amqp_frame_t frame;

                take_frame(peer, &frame);
                replied = replied || frame.frame_type == AMQP_FRAME_BODY;
        }
}

const struct queue_peer queue_peer = {
        .name = "rabbitmq",
        .open = rabbit_open,
        .put = rabbit_put,
        .ack = rabbit_ack,
        .work = rabbit_work,
        .call = rabbit_call,
};
