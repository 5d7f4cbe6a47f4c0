/* SPDX-License-Identifier: Apache-2.0 */
/* message.c - receiving from and sending to a ROUTER. Layer: L4 (broker/shell). */
#include "message.h"

#include <errno.h>
#include <stdio.h>

#define ROUTING_BYTES 5

/* Peers may name themselves in this protocol; only names that the library made are taken. */
static bool read_routing(zmq_msg_t *part, uint32_t *ret_routing)
{
        const uint8_t *bytes = zmq_msg_data(part);

        if (zmq_msg_size(part) != ROUTING_BYTES || bytes[0] != 0)
                return false;
        *ret_routing = px_get_be32(bytes + 1);
        return true;
}

/* The library drops the properties of a message's first part in some builds: read them from a later
 * one. */
static void read_user(zmq_msg_t *part, struct message *message)
{
        const char *user_id = zmq_msg_gets(part, "User-Id");

        if (user_id != NULL && strlen(user_id) < sizeof(message->user_id))
                snprintf(message->user_id, sizeof(message->user_id), "%s", user_id);
}

/* Take what is left of a message; returns how many parts that was. */
static size_t drain(void *socket)
{
        size_t count = 0;
        bool more = true;

        while (more) {
                zmq_msg_t part;

                zmq_msg_init(&part);
                if (zmq_msg_recv(&part, socket, ZMQ_DONTWAIT) < 0) {
                        zmq_msg_close(&part);
                        break;
                }
                count++;
                more = zmq_msg_more(&part) != 0;
                zmq_msg_close(&part);
        }
        return count;
}

/* Take the part behind one that has more. Returns how many parts followed, that one included. */
static size_t receive_payload(void *socket, zmq_msg_t *ret_payload)
{
        if (zmq_msg_recv(ret_payload, socket, ZMQ_DONTWAIT) < 0)
                return 0;
        return 1 + (zmq_msg_more(ret_payload) ? drain(socket) : 0);
}

enum message_verdict message_receive(void *socket, struct message *ret_message)
{
        size_t body_parts = 1;
        bool routed;
        zmq_msg_t id;

        zmq_msg_init(&id);
        if (zmq_msg_recv(&id, socket, ZMQ_DONTWAIT) < 0) {
                zmq_msg_close(&id);
                return MESSAGE_NONE;
        }
        ret_message->user_id[0] = '\0';
        routed = read_routing(&id, &ret_message->routing) && zmq_msg_more(&id);
        zmq_msg_init(&ret_message->body);
        zmq_msg_init(&ret_message->payload);
        if (zmq_msg_more(&id) && zmq_msg_recv(&ret_message->body, socket, ZMQ_DONTWAIT) >= 0) {
                read_user(&ret_message->body, ret_message);
                if (zmq_msg_more(&ret_message->body))
                        body_parts += receive_payload(socket, &ret_message->payload);
        }
        zmq_msg_close(&id);
        if (routed && body_parts <= MESSAGE_BODY_PARTS_MAX)
                return MESSAGE_OK;
        message_close(ret_message);
        return MESSAGE_MALFORMED;
}

void message_close(struct message *message)
{
        zmq_msg_close(&message->body);
        zmq_msg_close(&message->payload);
}

static int send_part(void *socket, struct px_slice bytes, int flags)
{
        zmq_msg_t part;
        int fault;

        if (zmq_msg_init_size(&part, bytes.length) != 0)
                return -zmq_errno();
        if (bytes.length > 0)
                memcpy(zmq_msg_data(&part), bytes.data, bytes.length);
        if (zmq_msg_send(&part, socket, flags | ZMQ_DONTWAIT) >= 0)
                return 0;
        fault = -zmq_errno();
        zmq_msg_close(&part);
        return fault;
}

int message_send(void *socket, uint32_t routing, struct px_slice frame, struct px_slice payload)
{
        uint8_t id[ROUTING_BYTES] = {0};
        bool has_payload = payload.data != NULL;
        int fault;

        PX_ASSERT(frame.length > 0);
        px_put_be32(id + 1, routing);
        fault = send_part(socket, px_slice_of(id, sizeof(id)), ZMQ_SNDMORE);
        if (fault != 0)
                return fault;
        /* Once the address is taken the rest is queued with it; a failure here is a lost peer. */
        fault = send_part(socket, frame, has_payload ? ZMQ_SNDMORE : 0);
        if (fault == 0 && has_payload)
                fault = send_part(socket, payload, 0);
        return fault;
}
