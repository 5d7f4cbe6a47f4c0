/* SPDX-License-Identifier: Apache-2.0 */
/* message.h - one message of a ROUTER, taken whole, judged before anyone decodes it.
 * Layer: L4 (broker/shell). Source: DESIGN 6; RELIABILITY 1, E7 and E9. */
#ifndef PX_MESSAGE_H
#define PX_MESSAGE_H

#include <zmq.h>

#include "px_base.h"

#define MESSAGE_BODY_PARTS_MAX 2 /* body, payload */

enum message_verdict {
        MESSAGE_NONE = 0,      /* nothing waits */
        MESSAGE_OK = 1,        /* ret_message->body holds the body frame */
        MESSAGE_MALFORMED = 2, /* drained; user_id tells whose it was, "" = nobody's */
};

struct message {
        uint32_t routing; /* the library's own routing id, without its leading 0x00 */
        zmq_msg_t body;   /* valid for MESSAGE_OK; message_close() */
        zmq_msg_t payload; /* likewise; empty when there is none */
        char user_id[16]; /* "" = none */
};

/* Take the next message without waiting. Every part is drained, whatever their number. */
enum message_verdict message_receive(void *socket, struct message *ret_message);

void message_close(struct message *message);

/* Send frames to a peer without waiting.
 * Faults: -EHOSTUNREACH it is gone; -EAGAIN it doesn't read; nothing was sent. */
int message_send(void *socket, uint32_t routing, struct px_slice frame, struct px_slice payload);

#endif
