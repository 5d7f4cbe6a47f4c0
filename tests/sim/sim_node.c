/* SPDX-License-Identifier: Apache-2.0 */
/* sim_node.c - the link of a node: carries the node core's effects out, dies, comes back and finds
 * all in the spool. A worker is a process: its attempts die with it. */
#include "sim_inside.h"

#include <stdio.h>

/* ---- effects ----------------------------------------------------------------------------------
 */

static void host_ship(struct sim *sim, struct host *host, const struct node_effect *effect)
{
        const struct entry *entry = spool_find(host, effect->job, effect->fence);
        struct px_m_log_data data = {
                .job = effect->job,
                .fence = effect->fence,
                .stream = effect->stream,
                .offset = effect->offset,
                .wall_ms = sim_wall_ms(sim),
                .sync = effect->sync,
        };

        SIM_CHECK(sim, entry != NULL, "a node ships the log of an attempt it hasn't");
        SIM_CHECK(sim, effect->offset >= entry->trimmed[effect->stream],
                  "a node ships bytes that the spool has let go");
        SIM_CHECK(sim, effect->offset + effect->length <= entry->length[effect->stream],
                  "a node ships bytes that aren't there");
        px_buf_reset(&sim->frame);
        px_m_log_data_frame(&data, 0, PX_WIRE_FLAG_PAYLOAD, &sim->frame);
        wire_up(sim, &host->data, px_buf_slice(&sim->frame), effect->length);
}

static void host_trim(struct sim *sim, struct host *host, const struct node_effect *effect)
{
        struct entry *entry = spool_find(host, effect->job, effect->fence);

        SIM_CHECK(sim, entry != NULL, "a node trims the log of an attempt it hasn't");
        if (effect->offset > entry->trimmed[effect->stream])
                entry->trimmed[effect->stream] = effect->offset;
}

static void host_again(struct sim *sim, struct event *event)
{
        struct host *host = event->owner;

        if (event->generation == host->link_life && !host->link_up)
                host_start_link(sim, host);
}

/* It said BYE and ended; somebody starts it again. */
static void host_exit(struct sim *sim, struct host *host)
{
        sim_count(sim, MET_NODE_STOPPED);
        SIM_TRACE(sim, "n%llu leaves", host->number, 0, 0, 0);
        node_free(host->node);
        host->node = NULL;
        host->link_up = false;
        host->link_life++;
        spool_link_died(sim, host);
        if (host->worker) {
                spool_clear(sim, host);
                host->boot++;
                host->spool++;
        }
        sim_plan(sim, 1000 + sim_below(sim, 20000), host_again, host)->generation = host->link_life;
}

static void host_effect(struct sim *sim, struct host *host, const struct node_effect *effect)
{
        switch (effect->kind) {
        case NODE_EFFECT_SEND_CTL:
                wire_up(sim, &host->ctl, effect->frame, 0);
                break;
        case NODE_EFFECT_SEND_DATA:
                wire_up(sim, &host->data, effect->frame, 0);
                break;
        case NODE_EFFECT_SHIP:
                host_ship(sim, host, effect);
                break;
        case NODE_EFFECT_ENTER:
                spool_enter(sim, host, effect);
                break;
        case NODE_EFFECT_START:
                spool_start(sim, host, effect);
                break;
        case NODE_EFFECT_KILL:
                spool_kill(sim, host, effect);
                break;
        case NODE_EFFECT_TRIM:
                host_trim(sim, host, effect);
                break;
        case NODE_EFFECT_REMOVE:
                spool_remove(sim, host, effect);
                break;
        case NODE_EFFECT_CONTACT:
                spool_contact(sim, host, effect->ago_ms);
                break;
        case NODE_EFFECT_IDENTITY:
                memcpy(host->cluster, effect->cluster.data, sizeof(host->cluster));
                host->has_cluster = true;
                host->epoch = effect->epoch;
                break;
        case NODE_EFFECT_RENEW:
                wire_reset(sim, &host->ctl);
                wire_reset(sim, &host->data);
                break;
        case NODE_EFFECT_EXIT:
                host_exit(sim, host);
                break;
        default:
                break; /* signal, denied */
        }
}

static void host_wake(struct sim *sim, struct event *event);

static void host_plan_wake(struct sim *sim, struct host *host)
{
        int64_t at_ms = PX_MAX(node_deadline_ms(host->node), sim->now_ms);
        struct event *event;

        if (at_ms >= host->wake_ms)
                return;
        host->wake_ms = at_ms;
        event = sim_plan(sim, (uint64_t)(at_ms - sim->now_ms), host_wake, host);
        event->generation = host->link_life;
        event->frozen_ms = &host->frozen_ms;
}

static void host_wake(struct sim *sim, struct event *event)
{
        struct host *host = event->owner;
        struct node_input input = {.kind = NODE_IN_TIME};

        if (event->generation != host->link_life)
                return;
        if (event->due_ms == host->wake_ms)
                host->wake_ms = SIM_NEVER;
        if (node_deadline_ms(host->node) <= sim->now_ms)
                host_input(sim, host, &input);
        else
                host_plan_wake(sim, host);
}

void host_input(struct sim *sim, struct host *host, const struct node_input *input)
{
        uint64_t life = host->link_life;

        PX_ASSERT(host->link_up);
        node_step(host->node, sim->now_ms, input, &host->effects);
        if (node_attempts_count(host->node) < 16)
                node_check(host->node);
        for (size_t i = 0; i < host->effects.count; i++)
                host_effect(sim, host, &host->effects.items[i]);
        if (life == host->link_life)
                host_plan_wake(sim, host);
}

static void host_take(struct sim *sim, void *context, int socket, struct px_slice frame)
{
        struct host *host = context;
        struct node_input input = {.kind = socket == SOCKET_NODE ? NODE_IN_CTL : NODE_IN_DATA,
                                   .frame = frame};

        if (host->link_up)
                host_input(sim, host, &input);
}

/* ---- start and crash --------------------------------------------------------------------------
 */

void host_init(struct sim *sim, struct host *host, uint32_t number, bool worker)
{
        uint32_t principal = worker ? 5 : SIM_NODES_KEY;

        (void)sim;
        host->number = number;
        host->worker = worker;
        host->boot = 1;
        host->spool = 1;
        snprintf(host->name, sizeof(host->name), "n%u", number);
        px_list_init(&host->entries);
        wire_init(&host->ctl, host, &host->frozen_ms, host->name, SOCKET_NODE, principal, host_take);
        wire_init(&host->data, host, &host->frozen_ms, host->name, SOCKET_DATA, principal, host_take);
}

static void host_ids(struct host *host)
{
        memset(host->boot_id, 'b', sizeof(host->boot_id));
        memset(host->spool_id, 's', sizeof(host->spool_id));
        px_put_be64(host->boot_id, host->boot);
        px_put_be64(host->spool_id, host->spool);
        host->boot_id[15] = (uint8_t)host->number;
        host->spool_id[15] = (uint8_t)host->number;
}

void host_start_link(struct sim *sim, struct host *host)
{
        static const struct px_slice types[] = {{(const uint8_t *)"resize", 6}};
        struct px_label labels[] = {{px_slice_text("zone"),
                                     px_slice_text(host->number % 2 == 0 ? "a" : "b")}};
        struct px_resource resources[] = {{px_slice_text("disk"), 4}};
        struct node_options options = {
                .name = host->worker ? "w" : host->name,
                .boot = px_slice_of(host->boot_id, sizeof(host->boot_id)),
                .spool = px_slice_of(host->spool_id, sizeof(host->spool_id)),
                .cluster =
                        px_slice_of(host->cluster, host->has_cluster ? sizeof(host->cluster) : 0),
                .epoch_seen = host->epoch,
                .cpus_milli = host->worker ? 0 : 4000,
                .version = "sim",
                .kill_mode = "sim",
                .enforces = "nothing",
                .accounts = "map",
                .log_credit_bytes = 4096,
                .log_wait_ms = 10000,
                .seed = px_rand_u64(&sim->rand),
                .kind = host->worker ? PX_NODE_KIND_WORKER : PX_NODE_KIND_NODE,
                .types = types,
                .types_count = host->worker ? 1 : 0,
                .slots = host->worker ? 2 : 0,
                .gpus = host->worker ? 0 : (uint32_t)host->number % 3,
        };

        PX_ASSERT(!host->link_up);
        host->labels[0] = labels[0];
        host->resources[0] = resources[0];
        options.labels = host->labels;
        options.resources = host->resources;
        options.labels_count = options.resources_count = host->worker ? 0 : 1;
        host_ids(host);
        host->link_up = true;
        host->frozen_ms = 0;
        host->wake_ms = SIM_NEVER;
        wire_reset(sim, &host->ctl);
        wire_reset(sim, &host->data);
        SIM_TRACE(sim, "n%llu starts, boot %llu, spool %llu", host->number, host->boot, host->spool,
                  0);
        host->node = node_new(&options, sim->now_ms);
        spool_scan(sim, host);
        host_plan_wake(sim, host);
}

void host_link_crash(struct sim *sim, struct host *host)
{
        if (!host->link_up)
                return;
        SIM_TRACE(sim, "link of n%llu crashes", host->number, 0, 0, 0);
        node_free(host->node);
        host->node = NULL;
        host->link_up = false;
        host->link_life++;
        wire_reset(sim, &host->ctl);
        wire_reset(sim, &host->data);
        spool_link_died(sim, host);
        if (!host->worker)
                return;
        spool_machine_died(sim, host);
        spool_clear(sim, host);
        host->boot++;
        host->spool++;
}

void host_machine_crash(struct sim *sim, struct host *host, bool new_spool)
{
        host_link_crash(sim, host);
        if (host->worker)
                return;
        SIM_TRACE(sim, "machine of n%llu crashes, new spool %llu", host->number, new_spool, 0, 0);
        spool_machine_died(sim, host);
        host->boot++;
        if (!new_spool)
                return;
        spool_clear(sim, host);
        host->spool++;
        host->has_cluster = false;
        host->epoch = 0;
}

void host_fini(struct host *host)
{
        node_free(host->node);
        node_effects_fini(&host->effects);
        while (!px_list_empty(&host->entries)) {
                struct entry *entry = PX_CONTAINER_OF(host->entries.next, struct entry, link);

                px_list_remove(&entry->link);
                px_free(entry);
        }
}
