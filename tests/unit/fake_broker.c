/* SPDX-License-Identifier: Apache-2.0 */
/* fake_broker.c - see fake_broker.h. */
#include "fake_broker.h"

#include <stdio.h>
#include <unistd.h>
#include <zmq.h>

static void bind_socket(struct fake *fake, struct fake_socket *socket)
{
        char endpoint[200];
        int linger = 0;

        snprintf(endpoint, sizeof(endpoint), "ipc://%s/%s", fake->dir, socket->name);
        socket->socket = zmq_socket(fake->context, ZMQ_ROUTER);
        zmq_setsockopt(socket->socket, ZMQ_LINGER, &linger, sizeof(linger));
        EXPECT_INT(zmq_bind(socket->socket, endpoint), 0);
        socket->peer_bytes = 0;
}

static void fake_end(void *context)
{
        struct fake *fake = context;

        plexus_close(fake->px);
        zmq_close(fake->cmd.socket);
        zmq_close(fake->data.socket);
        zmq_ctx_term(fake->context);
        px_buf_fini(&fake->cmd.body);
        px_buf_fini(&fake->data.body);
        px_arena_fini(&fake->arena);
}

static void connect_it(struct fake *fake)
{
        struct plexus_options options = {.url = fake->url, .timeout_ms = fake->timeout_ms};

        fake->code = plexus_connect(&options, &fake->px);
}

void fake_start(struct fake *fake)
{
        fake_start_timeout(fake, FAKE_MS);
}

void fake_start_timeout(struct fake *fake, int64_t timeout_ms)
{
        *fake = (struct fake){.cmd = {.name = "cmd"}, .data = {.name = "data"},
                              .timeout_ms = timeout_ms};
        snprintf(fake->dir, sizeof(fake->dir), "%s", test_temp_dir());
        snprintf(fake->url, sizeof(fake->url), "local:%s", fake->dir);
        fake->context = zmq_ctx_new();
        bind_socket(fake, &fake->cmd);
        bind_socket(fake, &fake->data);
        test_cleanup(fake_end, fake);
        fake_call(fake, connect_it);
        fake_take(fake, &fake->cmd, PX_M_CLIENT_HELLO);
        fake_welcome(fake, FAKE_SESSION);
        EXPECT_INT(fake_join(fake), PLEXUS_OK);
}

static void *run_call(void *context)
{
        struct fake *fake = context;

        fake->call(fake);
        return NULL;
}

void fake_call(struct fake *fake, void (*call)(struct fake *fake))
{
        fake->call = call;
        EXPECT_INT(pthread_create(&fake->thread, NULL, run_call, fake), 0);
}

int fake_join(struct fake *fake)
{
        pthread_join(fake->thread, NULL);
        return fake->code;
}

/* Receive one message; its type, or -1 when none came. */
static int receive(struct fake_socket *from, int within_ms)
{
        zmq_pollitem_t item = {.socket = from->socket, .events = ZMQ_POLLIN};
        struct px_wire_header header;
        struct px_slice body;
        zmq_msg_t part;
        int peer_bytes;

        if (zmq_poll(&item, 1, within_ms) <= 0)
                return -1;
        peer_bytes = zmq_recv(from->socket, from->peer, sizeof(from->peer), 0);
        EXPECT(peer_bytes > 0);
        from->peer_bytes = (size_t)peer_bytes;
        zmq_msg_init(&part);
        EXPECT(zmq_msg_recv(&part, from->socket, 0) >= 0);
        EXPECT(!zmq_msg_more(&part));
        EXPECT_INT(px_wire_get_header(px_slice_of(zmq_msg_data(&part), zmq_msg_size(&part)),
                                      &header, &body),
                   PX_WIRE_OK);
        px_buf_reset(&from->body);
        px_buf_append_slice(&from->body, body);
        zmq_msg_close(&part);
        from->correlation = header.correlation;
        return header.type;
}

/* The same without pings, which are answered. */
static int receive_word(struct fake_socket *from, int within_ms)
{
        int type;

        while ((type = receive(from, within_ms)) == PX_M_PING)
                FAKE_SAY(from, pong, 0, .epoch = 7);
        return type;
}

void fake_take(struct fake *fake, struct fake_socket *from, uint16_t type)
{
        (void)fake;
        EXPECT_INT(receive_word(from, FAKE_MS), type);
}

bool fake_hears(struct fake *fake, struct fake_socket *from, int within_ms)
{
        (void)fake;
        return receive_word(from, within_ms) >= 0;
}

void fake_send(struct fake_socket *to, const struct px_buf *frame, struct px_slice payload)
{
        EXPECT(to->peer_bytes > 0);
        EXPECT(zmq_send(to->socket, to->peer, to->peer_bytes, ZMQ_SNDMORE) >= 0);
        EXPECT(zmq_send(to->socket, frame->data, frame->length,
                        payload.length > 0 ? ZMQ_SNDMORE : 0) >= 0);
        if (payload.length > 0)
                EXPECT(zmq_send(to->socket, payload.data, payload.length, 0) >= 0);
}

void fake_welcome(struct fake *fake, uint64_t session)
{
        FAKE_SAY(&fake->cmd, client_welcome, fake->cmd.correlation, .session = {session},
                 .epoch = 7, .version = px_slice_text("0.1.0"), .principal = px_slice_text("ada"),
                 .role = PX_ROLE_ADMIN, .sees_all = true, .heartbeat_ms = 2000, .window = 1024);
}

void fake_reset(struct fake *fake, struct fake_socket *socket)
{
        zmq_close(socket->socket);
        bind_socket(fake, socket);
}
