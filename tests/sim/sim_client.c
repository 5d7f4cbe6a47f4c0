/* SPDX-License-Identifier: Apache-2.0 */
/* sim_client.c - a client: the session code of the product, as libplexus drives it. */
#include "sim_inside.h"

#include <stdio.h>

#define CLIENT_BACKOFF_MAX_MS 3500
#define CLIENT_SILENCE_MS 10000

static void client_hello(struct sim *sim, struct client *client)
{
        uint64_t session = px_outbox_session(client->outbox);
        struct px_m_client_hello hello = {
                .session = {session},
                .version = px_slice_text("sim"),
                .program = px_slice_text("sim"),
        };

        px_buf_reset(&client->frame);
        px_m_client_hello_frame(&hello, session, 0, &client->frame);
        wire_up(sim, &client->wire, px_buf_slice(&client->frame), 0);
}

static void client_ping(struct sim *sim, struct client *client)
{
        struct px_m_ping ping = {
                .session = {px_outbox_session(client->outbox)},
                .done_below = px_outbox_done_below(client->outbox),
        };

        px_buf_reset(&client->frame);
        px_m_ping_frame(&ping, 0, 0, &client->frame);
        wire_up(sim, &client->wire, px_buf_slice(&client->frame), 0);
}

static void client_wake(struct sim *sim, struct event *event)
{
        struct client *client = event->owner;

        if (event->generation != client->life)
                return;
        if (event->due_ms == client->wake_ms)
                client->wake_ms = SIM_NEVER;
        client_step(sim, client);
}

static void client_plan_wake(struct sim *sim, struct client *client)
{
        int64_t at_ms = px_greeter_deadline_ms(&client->greeter);
        struct event *event;

        if (client->greeter.up)
                at_ms = PX_MIN(at_ms, px_outbox_deadline_ms(client->outbox));
        at_ms = PX_MAX(at_ms, sim->now_ms);
        if (at_ms >= client->wake_ms)
                return;
        client->wake_ms = at_ms;
        event = sim_plan(sim, (uint64_t)(at_ms - sim->now_ms), client_wake, client);
        event->generation = client->life;
        event->frozen_ms = &client->frozen_ms;
}

void client_step(struct sim *sim, struct client *client)
{
        enum px_greeter_action action;
        struct px_slice frame;

        while ((action = px_greeter_step(&client->greeter, sim->now_ms)) != PX_GREETER_NOTHING) {
                if (action == PX_GREETER_HELLO)
                        client_hello(sim, client);
                else if (action == PX_GREETER_PING)
                        client_ping(sim, client);
                else
                        wire_reset(sim, &client->wire);
        }
        while (client->greeter.up && px_outbox_next(client->outbox, sim->now_ms, &frame))
                wire_up(sim, &client->wire, frame, 0);
        client_plan_wake(sim, client);
}

/* ---- requests ---------------------------------------------------------------------------------
 */

void client_ask(struct sim *sim, struct client *client, struct ask *ask, bool recorded)
{
        uint64_t token = ++client->next_token;

        PX_ASSERT(client->up);
        px_map_put(&client->asks, token, ask);
        px_outbox_add(client->outbox, token, recorded, px_buf_slice(&client->frame));
        client_step(sim, client);
}

static void client_expired(struct sim *sim, struct client *client, struct px_slice tokens)
{
        for (size_t at = 0; at < tokens.length; at += 8) {
                struct ask *ask = px_map_take(&client->asks, px_get_be64(tokens.data + at));

                population_expired(sim, client, ask);
                px_free(ask);
        }
}

/* ---- what arrives -----------------------------------------------------------------------------
 */

static void client_welcome(struct sim *sim, struct client *client, uint64_t correlation,
                           struct px_slice body)
{
        struct px_m_client_welcome welcome;
        struct px_buf expired = {0};
        int result = px_m_client_welcome_decode(body, &sim->arena, &welcome);

        SIM_CHECK(sim, result == PX_WIRE_OK, "a malformed CLIENT_WELCOME");
        if (!px_outbox_welcomed(client->outbox, correlation, welcome.session.value, sim->now_ms,
                                &expired))
                return;
        px_greeter_welcomed(&client->greeter, sim->now_ms, welcome.heartbeat_ms, CLIENT_SILENCE_MS);
        client_expired(sim, client, px_buf_slice(&expired));
        px_buf_fini(&expired);
}

static void client_answer(struct sim *sim, struct client *client, struct px_wire_header header,
                          struct px_slice body)
{
        uint64_t token = px_outbox_answered(client->outbox, header.correlation);
        struct ask *ask;

        if (token == 0)
                return;
        ask = px_map_take(&client->asks, token);
        SIM_CHECK(sim, ask != NULL, "an answer to nothing");
        population_answer(sim, client, ask, header, body);
        px_free(ask);
}

static void client_take(struct sim *sim, void *context, int socket, struct px_slice frame)
{
        struct client *client = context;
        struct px_wire_header header;
        struct px_slice body;
        int result;

        (void)socket;
        if (!client->up)
                return;
        result = px_wire_get_header(frame, &header, &body);
        SIM_CHECK(sim, result == PX_WIRE_OK, "a malformed frame for a client");
        px_arena_reset(&sim->arena);
        px_greeter_heard(&client->greeter, sim->now_ms);
        if (header.type == PX_M_AGAIN)
                px_greeter_again(&client->greeter, sim->now_ms);
        else if (header.type == PX_M_CLIENT_WELCOME)
                client_welcome(sim, client, header.correlation, body);
        else if (header.type == PX_M_END && header.correlation == 0)
                population_ends(sim, body);
        else if (header.type != PX_M_PONG)
                client_answer(sim, client, header, body);
        client_step(sim, client);
}

/* ---- life -------------------------------------------------------------------------------------
 */

void client_init(struct sim *sim, struct client *client, uint32_t number, uint32_t principal)
{
        char name[16];

        (void)sim;
        client->number = number;
        client->principal = principal;
        client->first_principal = principal;
        snprintf(name, sizeof(name), "c%u", number);
        wire_init(&client->wire, client, &client->frozen_ms, name, SOCKET_CMD, principal, client_take);
}

void client_start(struct sim *sim, struct client *client)
{
        struct px_outbox_options options = {
                .window = 8, .repeat_ms = 3000, .expire_ms = 24 * 3600 * 1000};

        PX_ASSERT(!client->up);
        client->up = true;
        client->wake_ms = SIM_NEVER;
        client->outbox = px_outbox_new(&options);
        px_greeter_init(&client->greeter, sim->now_ms, CLIENT_BACKOFF_MAX_MS,
                        px_rand_u64(&sim->rand));
        client_plan_wake(sim, client);
}

static void client_drop(struct client *client)
{
        size_t cursor = 0;
        uint64_t token;
        void *ask;

        while (px_map_next(&client->asks, &cursor, &token, &ask))
                px_free(ask);
        px_map_fini(&client->asks);
        px_outbox_free(client->outbox);
        client->outbox = NULL;
}

/* Its program dies: whatever it asked has an outcome that nobody learns. */
void client_crash(struct sim *sim, struct client *client)
{
        PX_ASSERT(client->up);
        client->up = false;
        client->frozen_ms = 0;
        client->life++;
        client_drop(client);
        wire_reset(sim, &client->wire);
}

void client_become(struct client *client, uint32_t principal)
{
        PX_ASSERT(!client->up);
        client->principal = principal == 0 ? client->first_principal : principal;
        client->wire.principal = client->principal;
        px_buf_reset(&client->keyed); /* a key is its user's */
}

void client_fini(struct client *client)
{
        client_drop(client);
        px_buf_fini(&client->frame);
        px_buf_fini(&client->keyed);
        px_arena_fini(&client->arena);
}
