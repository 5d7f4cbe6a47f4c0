/* SPDX-License-Identifier: Apache-2.0 */
/* sim_wire.c - connections between hosts and the broker. Words arrive in order unless overtaken; a
 * reset loses what is under way, both ways, without a word to either side. */
#include "px_tables.h"
#include "sim_inside.h"

#include <stdio.h>

enum direction {
        UP,
        DOWN,
};

void wire_init(struct wire *wire, void *host, const int64_t *frozen_ms, const char *name, int socket,
               uint32_t principal, void (*take)(struct sim *, void *, int, struct px_slice))
{
        *wire = (struct wire){.host = host,
                              .take = take,
                              .socket = socket,
                              .principal = principal,
                              .frozen_ms = frozen_ms};
        snprintf(wire->name, sizeof(wire->name), "%s", name);
}

static uint64_t wire_delay_ms(struct sim *sim, const struct wire *wire)
{
        if (!sim->options.random)
                return 0;
        if (sim_fault(sim, sim->delay_ppm)) {
                sim_count(sim, MET_DELAY);
                return sim_below(sim, 6000);
        }
        if (wire->slow_ms > sim->now_ms)
                return 50 + sim_below(sim, 500);
        return sim_below(sim, 3);
}

static void wire_print(const struct sim *sim, const struct wire *wire, const struct event *event)
{
        struct px_buf text = {0};

        px_message_print(&text, px_buf_slice(&event->frame));
        fprintf(stderr, "[%8lld]   %s %s %.*s\n", (long long)sim->now_ms, wire->name,
                event->b == UP ? "says" : "hears", (int)text.length, (const char *)text.data);
        px_buf_fini(&text);
}

void sim_count_refusal(struct sim *sim, int code)
{
        SIM_CHECK(sim, code >= 0 && code <= PX_ERRORS_COUNT, "a refusal with code %d", code);
        if (code != 0)
                sim->stats->refusals[code]++;
}

/* What is refused as a whole, and attempts that nodes refuse. */
static void count_refusals(struct sim *sim, struct px_slice frame)
{
        struct px_wire_header header;
        struct px_m_refused refused;
        struct px_m_accept accept;
        struct px_slice body;

        if (px_wire_get_header(frame, &header, &body) != PX_WIRE_OK)
                return;
        px_arena_reset(&sim->arena);
        if (header.type == PX_M_REFUSED &&
            px_m_refused_decode(body, &sim->arena, &refused) == PX_WIRE_OK)
                sim_count_refusal(sim, refused.code);
        if (header.type == PX_M_ACCEPT &&
            px_m_accept_decode(body, &sim->arena, &accept) == PX_WIRE_OK)
                for (size_t i = 0; i < accept.items_count; i++)
                        sim_count_refusal(sim, accept.items[i].code);
}

static void wire_arrive(struct sim *sim, struct event *event)
{
        struct wire *wire = event->owner;

        if (event->generation != wire->generation)
                return;
        if (sim->options.print)
                wire_print(sim, wire, event);
        count_refusals(sim, px_buf_slice(&event->frame));
        if (event->b == UP)
                broker_take(sim, wire, px_buf_slice(&event->frame), event->a);
        else
                wire->take(sim, wire->host, wire->socket, px_buf_slice(&event->frame));
}

static void wire_carry(struct sim *sim, struct wire *wire, enum direction direction,
                       struct px_slice frame, uint64_t payload_bytes, int64_t at_ms)
{
        struct event *event = sim_plan(sim, (uint64_t)(at_ms - sim->now_ms), wire_arrive, wire);

        event->frozen_ms = direction == UP ? &sim->broker.frozen_ms : wire->frozen_ms;
        event->generation = wire->generation;
        event->a = payload_bytes;
        event->b = direction;
        px_buf_append_slice(&event->frame, frame);
}

static void wire_send(struct sim *sim, struct wire *wire, enum direction direction,
                      struct px_slice frame, uint64_t payload_bytes)
{
        int64_t at_ms = sim->now_ms + (int64_t)wire_delay_ms(sim, wire);

        if (wire->cut_ms[direction] > sim->now_ms)
                return;
        if (sim_fault(sim, sim->drop_ppm)) {
                sim_count(sim, MET_DROP);
                return;
        }
        if (sim_fault(sim, sim->overtake_ppm)) {
                sim_count(sim, MET_OVERTAKE); /* overtakes what is under way */
        } else {
                at_ms = PX_MAX(at_ms, wire->last_ms[direction]);
                wire->last_ms[direction] = at_ms;
        }
        wire_carry(sim, wire, direction, frame, payload_bytes, at_ms);
        if (sim_fault(sim, sim->repeat_ppm)) {
                /* The repetition comes out of its order, perhaps much later. */
                sim_count(sim, MET_REPEAT);
                at_ms += (int64_t)sim_below(sim, sim_below(sim, 2) == 0 ? 5 : 10000);
                wire_carry(sim, wire, direction, frame, payload_bytes, at_ms);
        }
}

void wire_up(struct sim *sim, struct wire *wire, struct px_slice frame, uint64_t payload_bytes)
{
        wire_send(sim, wire, UP, frame, payload_bytes);
}

void wire_down(struct sim *sim, struct wire *wire, struct px_slice frame)
{
        wire_send(sim, wire, DOWN, frame, 0);
}

void wire_reset(struct sim *sim, struct wire *wire)
{
        if (wire->peer != 0)
                px_map_take(&sim->broker.peers, wire->peer);
        wire->peer = 0;
        wire->generation++;
        wire->last_ms[UP] = 0;
        wire->last_ms[DOWN] = 0;
}

struct wire *wire_of_peer(struct sim *sim, uint64_t peer)
{
        return px_map_find(&sim->broker.peers, peer);
}
