/* SPDX-License-Identifier: Apache-2.0 */
/* dealer.c - a bare DEALER and the few requests that tests send by hand. */
#include "dealer.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "px_schema.h"
#include "px_token.h"
#include "test.h"

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- opening ------------------------------------------------------------------------------------
 */

static void close_at_end(void *context)
{
        dealer_close(context);
}

static void open_socket(struct dealer *dealer, int type)
{
        int zero = 0;

        *dealer = (struct dealer){0};
        dealer->context = zmq_ctx_new();
        dealer->socket = zmq_socket(dealer->context, type);
        EXPECT(dealer->socket != NULL);
        zmq_msg_init(&dealer->answer);
        zmq_setsockopt(dealer->socket, ZMQ_LINGER, &zero, sizeof(zero));
        zmq_setsockopt(dealer->socket, ZMQ_SNDHWM, &zero, sizeof(zero));
        zmq_setsockopt(dealer->socket, ZMQ_RCVHWM, &zero, sizeof(zero));
        test_cleanup(close_at_end, dealer);
}

void dealer_open_plain(struct dealer *dealer, const char *endpoint)
{
        open_socket(dealer, ZMQ_DEALER);
        EXPECT_INT(zmq_connect(dealer->socket, endpoint), 0);
}

void dealer_open_local(struct dealer *dealer, const struct test_broker *broker, const char *service)
{
        char endpoint[PROCESS_PATH_ROOM + 32];

        snprintf(endpoint, sizeof(endpoint), "ipc://%s/run/%s", broker->dir, service);
        dealer_open_plain(dealer, endpoint);
}

void dealer_open_slow(struct dealer *dealer, const struct test_broker *broker, const char *service,
                      int messages)
{
        char endpoint[PROCESS_PATH_ROOM + 32];

        open_socket(dealer, ZMQ_DEALER);
        zmq_setsockopt(dealer->socket, ZMQ_RCVHWM, &messages, sizeof(messages));
        snprintf(endpoint, sizeof(endpoint), "ipc://%s/run/%s", broker->dir, service);
        EXPECT_INT(zmq_connect(dealer->socket, endpoint), 0);
}

static void connect_keys(struct dealer *dealer, unsigned port, const uint8_t *broker_public,
                         const uint8_t *secret)
{
        char public_text[41];
        char secret_text[41];
        uint8_t public_key[32];
        char endpoint[64];

        EXPECT(zmq_z85_encode(secret_text, secret, 32) != NULL);
        EXPECT_INT(zmq_curve_public(public_text, secret_text), 0);
        EXPECT(zmq_z85_decode(public_key, public_text) != NULL);
        zmq_setsockopt(dealer->socket, ZMQ_CURVE_SERVERKEY, broker_public, 32);
        zmq_setsockopt(dealer->socket, ZMQ_CURVE_PUBLICKEY, public_key, 32);
        zmq_setsockopt(dealer->socket, ZMQ_CURVE_SECRETKEY, secret, 32);
        snprintf(endpoint, sizeof(endpoint), "tcp://127.0.0.1:%u", port);
        EXPECT_INT(zmq_connect(dealer->socket, endpoint), 0);
}

void dealer_open_keys(struct dealer *dealer, unsigned port, const uint8_t *broker_public,
                      const uint8_t *secret)
{
        open_socket(dealer, ZMQ_DEALER);
        connect_keys(dealer, port, broker_public, secret);
}

void dealer_subscribe(struct dealer *dealer, unsigned port, const uint8_t *broker_public,
                      const uint8_t *secret)
{
        open_socket(dealer, ZMQ_SUB);
        zmq_setsockopt(dealer->socket, ZMQ_SUBSCRIBE, "", 0);
        connect_keys(dealer, port, broker_public, secret);
}

void dealer_open_token(struct dealer *dealer, unsigned port, const char *token)
{
        char reason[PX_TOKEN_REASON_ROOM];
        struct px_token parts;

        EXPECT(px_token_decode(px_slice_text(token), &parts, reason));
        dealer_open_keys(dealer, port, parts.broker_public, parts.secret);
}

void dealer_close(struct dealer *dealer)
{
        if (dealer->socket == NULL)
                return;
        zmq_msg_close(&dealer->answer);
        zmq_close(dealer->socket);
        zmq_ctx_term(dealer->context);
        px_buf_fini(&dealer->frame);
        px_arena_fini(&dealer->arena);
        dealer->socket = NULL;
}

void dealer_admin_token(const struct test_broker *broker, char *ret_token)
{
        char path[PROCESS_PATH_ROOM + 32];
        struct px_buf bytes = {0};

        snprintf(path, sizeof(path), "%s/keys/admin.token", broker->dir);
        EXPECT(test_read_file(path, &bytes));
        EXPECT_U64(bytes.length, PX_TOKEN_CHARS + 1);
        px_slice_to_text(px_slice_of(bytes.data, PX_TOKEN_CHARS), ret_token, PX_TOKEN_ROOM);
        px_buf_fini(&bytes);
}

/* ---- frames
 * ---------------------------------------------------------------------------------------- */

void dealer_send(struct dealer *dealer, struct px_slice frame)
{
        EXPECT_INT(zmq_send(dealer->socket, frame.data, frame.length, 0), frame.length);
}

void dealer_send_parts(struct dealer *dealer, struct px_slice part, size_t count)
{
        for (size_t i = 0; i < count; i++)
                EXPECT_INT(zmq_send(dealer->socket, part.data, part.length,
                                    i + 1 < count ? ZMQ_SNDMORE : 0),
                           part.length);
}

static void drop_further_parts(struct dealer *dealer)
{
        while (zmq_msg_more(&dealer->answer)) {
                zmq_msg_t part;

                zmq_msg_init(&part);
                if (zmq_msg_recv(&part, dealer->socket, 0) < 0 || !zmq_msg_more(&part)) {
                        zmq_msg_close(&part);
                        return;
                }
                zmq_msg_close(&part);
        }
}

bool dealer_take(struct dealer *dealer, int deadline_ms, struct px_wire_header *ret_header,
                 struct px_slice *ret_body)
{
        zmq_pollitem_t item = {.socket = dealer->socket, .events = ZMQ_POLLIN};
        struct px_slice frame;

        if (zmq_poll(&item, 1, deadline_ms) <= 0)
                return false;
        EXPECT(zmq_msg_recv(&dealer->answer, dealer->socket, 0) >= 0);
        drop_further_parts(dealer);
        px_arena_reset(&dealer->arena);
        frame = px_slice_of(zmq_msg_data(&dealer->answer), zmq_msg_size(&dealer->answer));
        EXPECT_INT(px_wire_get_header(frame, ret_header, ret_body), PX_WIRE_OK);
        return true;
}

/* ---- requests
 * ---------------------------------------------------------------------------------------- */

bool dealer_greet(struct dealer *dealer, struct px_session_id session, int deadline_ms)
{
        struct px_m_client_hello hello = {
                .session = session,
                .version = px_slice_text(PX_PRODUCT_VERSION),
                .program = px_slice_text("test"),
        };
        struct px_m_client_welcome welcome;
        struct px_wire_header header;
        struct px_slice body;
        int64_t until_ms = now_ms() + deadline_ms;

        px_buf_reset(&dealer->frame);
        px_m_client_hello_frame(&hello, 0, 0, &dealer->frame);
        dealer_send(dealer, px_buf_slice(&dealer->frame));
        do {
                int64_t left_ms = until_ms - now_ms();

                if (left_ms <= 0 || !dealer_take(dealer, (int)left_ms, &header, &body))
                        return false;
        } while (header.type != PX_M_CLIENT_WELCOME);
        EXPECT_INT(px_m_client_welcome_decode(body, &dealer->arena, &welcome), PX_WIRE_OK);
        dealer->session = welcome.session;
        dealer->epoch = welcome.epoch;
        return true;
}

void dealer_submit(struct dealer *dealer, uint64_t number, size_t count, const char *program)
{
        struct px_slice argv[] = {px_slice_text(program)};
        struct px_spec spec = {.argv = argv, .argv_count = 1, .cwd = px_slice_text("/")};
        struct px_submit_job *jobs = px_alloc(count * sizeof(*jobs));
        struct px_m_submit submit = {
                .session = dealer->session,
                .done_below = number > PX_LIMIT_SESSION_WINDOW / 2
                                      ? number - PX_LIMIT_SESSION_WINDOW / 2
                                      : 1,
                .jobs = jobs,
                .jobs_count = count,
        };
        struct px_buf encoded = {0};

        px_spec_encode(&spec, &encoded);
        for (size_t i = 0; i < count; i++)
                jobs[i] = (struct px_submit_job){
                        .kind = PX_JOB_KIND_COMMAND,
                        .cpus_milli = 1000,
                        .on_lost = PX_ON_LOST_RERUN,
                        .spec = px_buf_slice(&encoded),
                };
        px_buf_reset(&dealer->frame);
        px_m_submit_frame(&submit, number, 0, &dealer->frame);
        dealer_send(dealer, px_buf_slice(&dealer->frame));
        px_buf_fini(&encoded);
        px_free(jobs);
}

static uint64_t read_submitted(struct dealer *dealer, struct px_slice body, int *ret_code)
{
        struct px_m_submitted submitted;

        EXPECT_INT(px_m_submitted_decode(body, &dealer->arena, &submitted), PX_WIRE_OK);
        EXPECT(submitted.runs_count >= 1);
        *ret_code = submitted.runs[0].code;
        return submitted.runs[0].job.value;
}

uint64_t dealer_submitted(struct dealer *dealer, uint64_t number, int deadline_ms, int *ret_code)
{
        int64_t until_ms = now_ms() + deadline_ms;
        struct px_m_refused refused;
        struct px_wire_header header;
        struct px_slice body;

        *ret_code = 0;
        for (;;) {
                int64_t left_ms = until_ms - now_ms();

                if (left_ms <= 0 || !dealer_take(dealer, (int)left_ms, &header, &body))
                        return 0;
                if (header.type == PX_M_AGAIN) {
                        *ret_code = -1;
                        return 0;
                }
                if (header.correlation != number)
                        continue;
                if (header.type == PX_M_SUBMITTED)
                        return read_submitted(dealer, body, ret_code);
                if (header.type != PX_M_REFUSED)
                        continue;
                EXPECT_INT(px_m_refused_decode(body, &dealer->arena, &refused), PX_WIRE_OK);
                *ret_code = refused.code;
                return 0;
        }
}
