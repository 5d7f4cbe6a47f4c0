/* SPDX-License-Identifier: Apache-2.0 */
/* dealer.h - a bare peer of the broker for tests and benchmarks: frames out, frames in, over a
 * local socket or CURVE. It repeats nothing and hides nothing. */
#ifndef TEST_DEALER_H
#define TEST_DEALER_H

#include <zmq.h>

#include "process.h"
#include "px_codec.h"

struct dealer {
        void *context; /* its own */
        void *socket;
        struct px_session_id session; /* after dealer_greet() */
        uint64_t epoch;
        uint64_t number; /* of the last request */
        struct px_buf frame;
        struct px_arena arena; /* of the last answer */
        zmq_msg_t answer;
};

/* Connect to the broker's local socket `service` ("cmd", "node", "data"). Closed when the test
 * ends; {0} or closed before. */
void dealer_open_local(struct dealer *dealer, const struct test_broker *broker,
                       const char *service);
/* The same, keeping at most `messages` that were not taken yet; the others wait at the broker. */
void dealer_open_slow(struct dealer *dealer, const struct test_broker *broker, const char *service,
                      int messages);
/* Connect by TCP with the key of a token's text. */
void dealer_open_token(struct dealer *dealer, unsigned port, const char *token);
/* Connect by TCP with these keys. Shape: 32 bytes each. */
void dealer_open_keys(struct dealer *dealer, unsigned port, const uint8_t *broker_public,
                      const uint8_t *secret);
/* A subscriber to all publications, with these keys: its socket is to be read by hand. */
void dealer_subscribe(struct dealer *dealer, unsigned port, const uint8_t *broker_public,
                      const uint8_t *secret);
/* Connect anywhere without a key. */
void dealer_open_plain(struct dealer *dealer, const char *endpoint);
void dealer_close(struct dealer *dealer);

/* Send a whole body frame. */
void dealer_send(struct dealer *dealer, struct px_slice frame);
/* Send `count` parts of these bytes as one message. */
void dealer_send_parts(struct dealer *dealer, struct px_slice part, size_t count);
/* Take the next message; borrowed until the next call. false = none within deadline_ms. */
bool dealer_take(struct dealer *dealer, int deadline_ms, struct px_wire_header *ret_header,
                 struct px_slice *ret_body);

/* HELLO until WELCOME; session 0 asks for a new one, else for that one. false = no WELCOME. */
bool dealer_greet(struct dealer *dealer, struct px_session_id session, int deadline_ms);

/* Submit `count` equal jobs that run `program`, as request `number` of the session. */
void dealer_submit(struct dealer *dealer, uint64_t number, size_t count, const char *program);
/* Wait for SUBMITTED with this number. Returns the first job, 0 when it was refused (code in
 * *ret_code), didn't come within deadline_ms (code 0), or the broker said AGAIN (code -1). */
uint64_t dealer_submitted(struct dealer *dealer, uint64_t number, int deadline_ms, int *ret_code);

/* The line in DIR/keys/admin.token. Shape: ret_token has PX_TOKEN_ROOM bytes. */
void dealer_admin_token(const struct test_broker *broker, char *ret_token);

#endif
