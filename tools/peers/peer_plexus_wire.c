/* SPDX-License-Identifier: Apache-2.0 */
/* peer_plexus_wire.c - Plexus without its library, to fix how many jobs are in a message: the
 * variant is that number. Submits only, to the socket that PLEXUS_BENCH_CMD names. Layer: tools. */
#include <stdlib.h>

#include <zmq.h>

#include "px_codec.h"
#include "px_schema.h"
#include "queue.h"

#define JOBS_MAX 1000

struct wire {
        void *socket;
        struct px_session_id session;
        uint64_t number; /* of the last request */
        size_t batch;
        size_t count;
        struct px_submit_job jobs[JOBS_MAX];
        struct px_arena payloads; /* of jobs */
        struct px_arena answer;
        struct px_buf frame;
};

/* The next message of this type; its body in ret_message lives until the next call. */
static struct px_slice take(struct wire *wire, zmq_msg_t *message, uint16_t type)
{
        for (;;) {
                struct px_wire_header header;
                struct px_slice body;

                zmq_msg_close(message);
                zmq_msg_init(message);
                if (zmq_msg_recv(message, wire->socket, 0) < 0)
                        die("receive");
                if (px_wire_get_header(px_slice_of(zmq_msg_data(message), zmq_msg_size(message)),
                                       &header, &body) != PX_WIRE_OK)
                        die("not a message of the protocol");
                if (header.type == type)
                        return body;
        }
}

static void send_frame(struct wire *wire)
{
        if (zmq_send(wire->socket, wire->frame.data, wire->frame.length, 0) < 0)
                die("send");
        px_buf_reset(&wire->frame);
}

static void *wire_open(char role, const char *variant, bool reply)
{
        struct wire *wire = calloc(1, sizeof(*wire));
        struct px_m_client_hello hello = {.version = px_slice_text(PX_PRODUCT_VERSION),
                                          .program = px_slice_text("bench")};
        struct px_m_client_welcome welcome;
        const char *endpoint = getenv("PLEXUS_BENCH_CMD");
        int unlimited = 0;
        zmq_msg_t message;

        (void)role;
        (void)reply;
        wire->batch = strtoull(variant, NULL, 10);
        if (wire->batch < 1 || wire->batch > JOBS_MAX || endpoint == NULL)
                die("variant 1 to %d, and PLEXUS_BENCH_CMD", JOBS_MAX);
        wire->socket = zmq_socket(zmq_ctx_new(), ZMQ_DEALER);
        zmq_setsockopt(wire->socket, ZMQ_SNDHWM, &unlimited, sizeof(unlimited));
        zmq_setsockopt(wire->socket, ZMQ_RCVHWM, &unlimited, sizeof(unlimited));
        if (zmq_connect(wire->socket, endpoint) != 0)
                die("%s", endpoint);
        px_m_client_hello_frame(&hello, 0, 0, &wire->frame);
        send_frame(wire);
        zmq_msg_init(&message);
        if (px_m_client_welcome_decode(take(wire, &message, PX_M_CLIENT_WELCOME), &wire->answer,
                                       &welcome) != PX_WIRE_OK)
                die("WELCOME");
        wire->session = welcome.session;
        zmq_msg_close(&message);
        return wire;
}

static void send_jobs(struct wire *wire)
{
        const uint64_t window = PX_LIMIT_SESSION_WINDOW;
        uint64_t number = ++wire->number;
        struct px_m_submit submit = {
                .session = wire->session,
                .done_below = number > window ? number - window + 1 : 1,
                .jobs = wire->jobs,
                .jobs_count = wire->count,
        };

        px_m_submit_frame(&submit, number, 0, &wire->frame);
        send_frame(wire);
        px_arena_reset(&wire->payloads);
        wire->count = 0;
}

static void wire_put(void *connection, const char *job, size_t length)
{
        struct wire *wire = connection;
        struct px_spec spec = {.has_stdin = true, .input = px_slice_of(job, length)};
        struct px_buf encoded = {0};

        px_spec_encode(&spec, &encoded);
        wire->jobs[wire->count++] = (struct px_submit_job){
                .kind = PX_JOB_KIND_TASK,
                .task_type = px_slice_text("bench"),
                .on_lost = PX_ON_LOST_RERUN,
                .spec = px_arena_copy(&wire->payloads, px_buf_slice(&encoded)),
        };
        px_buf_fini(&encoded);
        if (wire->count == wire->batch)
                send_jobs(wire);
}

static int wire_ack(void *connection)
{
        struct wire *wire = connection;
        struct px_m_submitted submitted;
        zmq_msg_t message;
        int count = 0;

        if (wire->count > 0)
                send_jobs(wire);
        zmq_msg_init(&message);
        px_arena_reset(&wire->answer);
        if (px_m_submitted_decode(take(wire, &message, PX_M_SUBMITTED), &wire->answer,
                                  &submitted) != PX_WIRE_OK)
                die("SUBMITTED");
        for (size_t i = 0; i < submitted.runs_count; i++) {
                if (submitted.runs[i].code != 0)
                        die("a submit was refused: %d", submitted.runs[i].code);
                count += (int)submitted.runs[i].count;
        }
        zmq_msg_close(&message);
        return count;
}

const struct queue_peer queue_peer = {
        .name = "plexus",
        .open = wire_open,
        .put = wire_put,
        .ack = wire_ack,
};
