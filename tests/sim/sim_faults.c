/* SPDX-License-Identifier: Apache-2.0 */
/* sim_faults.c - what goes wrong when: each kind comes again and again, at random times. */
#include "sim_inside.h"

struct fault {
        uint64_t pause_ms; /* mean time between two of its kind */
        void (*strike)(struct sim *sim);
};

static struct host *any_host(struct sim *sim)
{
        return &sim->hosts[sim_below(sim, sim->hosts_count)];
}

static struct wire *any_wire(struct sim *sim)
{
        uint64_t index =
                sim_below(sim, sim->hosts_count * 2 + sim->clients_count + sim->followers_count);

        if (index < sim->hosts_count)
                return &sim->hosts[index].ctl;
        if (index < sim->hosts_count * 2)
                return &sim->hosts[index - sim->hosts_count].data;
        index -= sim->hosts_count * 2;
        if (index < sim->clients_count)
                return &sim->clients[index].wire;
        return &sim->followers[index - sim->clients_count].wire;
}

/* ---- the broker -------------------------------------------------------------------------------
 */

static void strike_clock(struct sim *sim)
{
        static const int64_t jumps_ms[] = {3600000, -3600000, 1000, -1000, 864000000, -864000000};

        sim_count(sim, MET_CLOCK_JUMP);
        sim->wall_ms += jumps_ms[sim_below(sim, PX_COUNT_OF(jumps_ms))];
        SIM_TRACE(sim, "wall clock jumps", sim->wall_ms, 0, 0, 0);
}

/* Its clock may have been set while it was away. */
static void broker_comes_back(struct sim *sim, struct event *event)
{
        (void)event;
        if (sim->broker.up)
                return;
        if (sim->faults && sim_below(sim, 4) == 0)
                strike_clock(sim);
        broker_start(sim);
}

void faults_broker_died(struct sim *sim)
{
        sim_plan(sim, 10 + sim_below(sim, sim_below(sim, 8) == 0 ? 30000 : 1000), broker_comes_back,
                 NULL);
}

static void broker_goes(struct sim *sim, struct event *event)
{
        if (!sim->broker.up || event->generation != sim->broker.generation)
                return;
        broker_crash(sim);
        faults_broker_died(sim);
}

/* Its last batches are watched, so that their digests can be compared. */
static void strike_broker(struct sim *sim)
{
        if (!sim->broker.up)
                return;
        sim->broker.digests = 100;
        sim_plan(sim, 1 + sim_below(sim, 30), broker_goes, NULL)->generation =
                sim->broker.generation;
}

/* Stopped and continued: often past every lease. */
static uint64_t frozen_span_ms(struct sim *sim)
{
        return 100 + sim_below(sim, sim_below(sim, 2) == 0 ? 3000 : 40000);
}

static void strike_broker_freeze(struct sim *sim)
{
        if (!sim->broker.up || sim->broker.frozen_ms > sim->now_ms)
                return;
        sim_count(sim, MET_BROKER_FROZEN);
        broker_freeze(sim, frozen_span_ms(sim));
}

static void strike_store(struct sim *sim)
{
        sim->broker.fails = sim->broker.up;
}

static void storage_said(struct sim *sim, bool full)
{
        if (!sim->broker.up)
                return;
        px_buf_reset(&sim->frame);
        px_m_storage_frame(&(struct px_m_storage){.full = full}, 0, 0, &sim->frame);
        broker_shell(sim, 0, px_buf_slice(&sim->frame));
}

static void storage_has_room(struct sim *sim, struct event *event)
{
        (void)event;
        storage_said(sim, false);
}

static void strike_storage(struct sim *sim)
{
        sim_count(sim, MET_STORAGE_FULL);
        storage_said(sim, true);
        sim_plan(sim, 100 + sim_below(sim, 3000), storage_has_room, NULL);
}

struct keys_found {
        struct sim *sim;
        struct px_slice keys[PX_LIMIT_BATCH_ITEMS];
        size_t count;
};

static bool find_key(void *context, struct px_slice key, struct px_slice value)
{
        struct keys_found *found = context;

        (void)value;
        if (found->count < PX_COUNT_OF(found->keys))
                found->keys[found->count++] = px_arena_copy(&found->sim->arena, key);
        return true;
}

/* Retention found some ended jobs old enough, and gives all keys: the core knows which are over. */
static void strike_retention(struct sim *sim)
{
        struct px_job_id ids[4];
        struct keys_found found = {.sim = sim};
        struct px_m_retention retention = {.jobs = ids, .keys = found.keys};

        for (size_t i = 0; i < PX_COUNT_OF(ids); i++) {
                struct oracle_job *job = oracle_any(sim);

                if (job == NULL)
                        return;
                job->purge_asked = true;
                ids[retention.jobs_count++].value = job->id;
        }
        if (!sim->broker.up)
                return;
        px_read_each(sim->broker.log, PX_TABLE_KEY, PX_SLICE_NONE, find_key, &found, NULL);
        retention.keys_count = found.count;
        sim_count(sim, MET_RETENTION);
        px_buf_reset(&sim->frame);
        px_m_retention_frame(&retention, 0, 0, &sim->frame);
        broker_shell(sim, 0, px_buf_slice(&sim->frame));
}

/* ---- nodes ------------------------------------------------------------------------------------
 */

static void link_comes_back(struct sim *sim, struct event *event)
{
        struct host *host = event->owner;

        if (!host->link_up && event->generation == host->link_life)
                host_start_link(sim, host);
}

static uint64_t away_ms(struct sim *sim)
{
        switch (sim_below(sim, 6)) {
        case 0:
                return sim_below(sim, 90000);
        case 1:
                return sim_below(sim, 20000);
        default:
                return sim_below(sim, 2000);
        }
}

static void plan_link(struct sim *sim, struct host *host)
{
        sim_plan(sim, 1 + away_ms(sim), link_comes_back, host)->generation = host->link_life;
}

static void strike_link(struct sim *sim)
{
        struct host *host = any_host(sim);

        if (!host->link_up)
                return;
        sim_count(sim, host->worker ? MET_WORKER_CRASH : MET_LINK_CRASH);
        host_link_crash(sim, host);
        plan_link(sim, host);
}

static void strike_machine(struct sim *sim)
{
        struct host *host = any_host(sim);
        bool new_spool = sim_below(sim, 4) == 0;

        if (host->worker)
                return;
        sim_count(sim, MET_MACHINE_CRASH);
        if (new_spool)
                sim_count(sim, MET_SPOOL_LOST);
        host->link_life += !host->link_up; /* a start that was planned is for the new machine */
        host_machine_crash(sim, host, new_spool);
        plan_link(sim, host);
}

static void link_thaws(struct sim *sim, struct event *event)
{
        struct host *host = event->owner;

        if (host->link_up && event->generation == host->link_life)
                spool_link_thaws(sim, host);
}

static void strike_link_freeze(struct sim *sim)
{
        struct host *host = any_host(sim);
        uint64_t span_ms = frozen_span_ms(sim);

        if (!host->link_up || host->worker || host->frozen_ms > sim->now_ms)
                return;
        sim_count(sim, MET_NODE_FROZEN);
        if (span_ms > sim->options.node_lease_ms)
                sim_count(sim, MET_NODE_FROZEN_LONG);
        SIM_TRACE(sim, "link of n%llu is frozen for %llu ms", host->number, span_ms, 0, 0);
        host->frozen_ms = sim->now_ms + (int64_t)span_ms;
        sim_plan(sim, span_ms, link_thaws, host)->generation = host->link_life;
}

static void strike_keeper(struct sim *sim)
{
        spool_keeper_dies(sim, any_host(sim));
}

static void strike_stop(struct sim *sim)
{
        struct host *host = any_host(sim);
        struct node_input input = {.kind = NODE_IN_SHUTDOWN,
                                   .kill = host->worker || sim_below(sim, 2) == 0};

        if (host->link_up && host->frozen_ms <= sim->now_ms)
                host_input(sim, host, &input);
}

/* ---- the network ------------------------------------------------------------------------------
 */

static void strike_reset(struct sim *sim)
{
        sim_count(sim, MET_RESET);
        wire_reset(sim, any_wire(sim));
}

static void strike_cut(struct sim *sim)
{
        struct host *host = any_host(sim);
        struct wire *wire = any_wire(sim);
        int64_t until_ms = sim->now_ms + (int64_t)away_ms(sim);
        uint64_t which = sim_below(sim, 4); /* one way, the other, both */

        sim_count(sim, which == 0 ? MET_CUT_UP : which == 1 ? MET_CUT_DOWN : MET_CUT_BOTH);
        for (int direction = 0; direction < 2; direction++) {
                if (which == (direction == 0 ? 1 : 0))
                        continue;
                wire->cut_ms[direction] = until_ms;
                if (wire != &host->ctl && wire != &host->data)
                        continue;
                host->ctl.cut_ms[direction] = until_ms;
                host->data.cut_ms[direction] = until_ms;
        }
}

static void strike_slow(struct sim *sim)
{
        sim_count(sim, MET_SLOW_PEER);
        any_wire(sim)->slow_ms = sim->now_ms + (int64_t)away_ms(sim);
}

/* Some come back with a token that was made lately, revoked perhaps. */
static void change_token(struct sim *sim, struct client *client)
{
        size_t kept = PX_MIN(sim->tokens_count, (size_t)TOKENS_KEPT);
        uint32_t token = kept == 0 ? 0 : sim->tokens[sim_below(sim, kept)];

        if (client->number == 0)
                return; /* the administrator brings all to its end */
        if (sim->ending || token == 0 || sim_below(sim, 2) == 0) {
                client_become(client, 0);
                return;
        }
        sim_count(sim, MET_TOKEN_USED);
        client_become(client, token);
}

static void client_comes_back(struct sim *sim, struct event *event)
{
        struct client *client = event->owner;

        change_token(sim, client);
        client_start(sim, client);
        if (!sim->ending)
                population_begin(sim, client);
}

static void strike_client_freeze(struct sim *sim)
{
        struct client *client = &sim->clients[sim_below(sim, sim->clients_count)];

        if (!client->up || client->frozen_ms > sim->now_ms)
                return;
        sim_count(sim, MET_CLIENT_FROZEN);
        client->frozen_ms = sim->now_ms + (int64_t)frozen_span_ms(sim);
}

static void strike_client(struct sim *sim)
{
        struct client *client = &sim->clients[sim_below(sim, sim->clients_count)];

        if (!client->up)
                return;
        sim_count(sim, MET_CLIENT_CRASH);
        client_crash(sim, client);
        sim_plan(sim, 1 + sim_below(sim, 2000), client_comes_back, client);
}

/* ---- nodes that shouldn't be ------------------------------------------------------------------
 */

static void stranger_greets(struct sim *sim, const char *name, const char *cluster)
{
        struct px_m_node_hello hello = {
                .cluster = px_slice_text(cluster),
                .name = px_slice_text(name),
                .kind = PX_NODE_KIND_NODE,
                .boot = px_slice_text("a strange boot.."),
                .spool = px_slice_text("a strange spool."),
                .version = px_slice_text("sim"),
                .cpus_milli = 4000,
        };

        px_buf_reset(&sim->frame);
        px_m_node_hello_frame(&hello, 1, 0, &sim->frame);
        broker_take(sim, &sim->stranger, px_buf_slice(&sim->frame), 0);
}

/* One of another cluster, or a second one under the name of one that lives; the broker hears it
 * first in its batch, so that the other lives still. */
static void strike_stranger(struct sim *sim)
{
        const char *name;

        if (!sim->broker.up || sim->broker.frozen_ms > sim->now_ms ||
            sim->broker.commands_count > 0 || px_log_durable(sim->broker.log) == 0)
                return;
        sim_count(sim, MET_STRANGE_NODE);
        name = whole_living_node(sim);
        if (name == NULL || sim_below(sim, 2) == 0)
                stranger_greets(sim, "stranger", "another cluster.");
        else
                stranger_greets(sim, name, "sim-cluster-0001");
}

static void stranger_hears(struct sim *sim, void *host, int socket, struct px_slice frame)
{
        struct px_wire_header header;
        struct px_slice body;

        (void)host;
        (void)socket;
        SIM_CHECK(sim,
                  px_wire_get_header(frame, &header, &body) == PX_WIRE_OK &&
                          header.type == PX_M_REFUSED,
                  "a node that shouldn't be is not refused");
}

/* ---- all of them ------------------------------------------------------------------------------
 */

static const struct fault faults[] = {
        {8000, strike_broker}, {20000, strike_storage}, {15000, strike_clock},
        {6000, strike_link},   {10000, strike_machine}, {9000, strike_keeper},
        {15000, strike_stop},  {4000, strike_reset},    {8000, strike_cut},
        {9000, strike_slow},   {8000, strike_client},   {12000, strike_retention},
        {20000, strike_broker_freeze}, {15000, strike_link_freeze}, {20000, strike_client_freeze},
        {20000, strike_store}, {15000, strike_stranger},
};

#define STRIKES_FROM 5 /* kinds before are of single messages and flushes */
_Static_assert(STRIKES_FROM + PX_COUNT_OF(faults) == SIM_FAULT_KINDS + 1, "each kind has its bit");

static void fault_strikes(struct sim *sim, struct event *event)
{
        uint64_t pause_ms = event->b;
        struct event *next;

        if (!sim->faults)
                return;
        faults[event->a].strike(sim);
        next = sim_plan(sim, 1 + sim_below(sim, pause_ms * 2), fault_strikes, NULL);
        next->a = event->a;
        next->b = pause_ms;
}

/* Each seed has its own weather: of every kind there is much, little or nothing. */
static uint64_t weather(struct sim *sim, unsigned kind, uint64_t usual, bool often)
{
        bool off = (sim->options.faults_off >> kind & 1) != 0;

        if (off) {
                (void)sim_below(sim, 8);
                return 0;
        }
        switch (sim_below(sim, 8)) {
        case 0:
                return 0;
        case 1:
                return often ? usual * 6 : usual / 6;
        case 2:
                return often ? usual / 6 : usual * 6;
        default:
                return usual;
        }
}

void faults_begin(struct sim *sim)
{
        sim->faults = true;
        wire_init(&sim->stranger, NULL, NULL, "x", SOCKET_NODE, SIM_NODES_KEY, stranger_hears);
        sim->drop_ppm = (uint32_t)weather(sim, 0, 4000, true);
        sim->repeat_ppm = (uint32_t)weather(sim, 1, 4000, true);
        sim->overtake_ppm = (uint32_t)weather(sim, 2, 4000, true);
        sim->delay_ppm = (uint32_t)weather(sim, 3, 3000, true);
        sim->flush_ppm = (uint32_t)weather(sim, 4, 3000, true);
        for (size_t i = 0; i < PX_COUNT_OF(faults); i++) {
                uint64_t pause_ms = weather(sim, (unsigned)(STRIKES_FROM + i), faults[i].pause_ms, false);
                struct event *event;

                if (pause_ms == 0)
                        continue;
                event = sim_plan(sim, sim_below(sim, pause_ms * 2), fault_strikes, NULL);
                event->a = i;
                event->b = pause_ms;
        }
}

void faults_end(struct sim *sim)
{
        sim->faults = false;
        if (!sim->broker.up)
                broker_start(sim);
        sim->broker.fails = false;
        storage_said(sim, false);
        for (size_t i = 0; i < sim->hosts_count; i++) {
                struct host *host = &sim->hosts[i];

                for (int direction = 0; direction < 2; direction++) {
                        host->ctl.cut_ms[direction] = 0;
                        host->data.cut_ms[direction] = 0;
                }
                if (!host->link_up)
                        plan_link(sim, host);
        }
        for (size_t i = 0; i < sim->followers_count; i++)
                for (int direction = 0; direction < 2; direction++)
                        sim->followers[i].wire.cut_ms[direction] = 0;
        for (size_t i = 0; i < sim->clients_count; i++) {
                struct client *client = &sim->clients[i];

                for (int direction = 0; direction < 2; direction++)
                        client->wire.cut_ms[direction] = 0;
                if (!client->up || client->principal == client->first_principal)
                        continue;
                /* Its token may be dead: it would wait for ever. */
                client_crash(sim, client);
                sim_plan(sim, 1, client_comes_back, client);
        }
}
