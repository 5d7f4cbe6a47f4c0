/* SPDX-License-Identifier: Apache-2.0 */
/* sim.c - time, events, what is counted, the trace; making the cluster and running it. */
#include "sim_inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim_commit.h"

#define TRACE_LAST 30 /* lines printed of a failure, beside those about its job */

const char *const sim_met_names[MET_COUNT] = {
        [MET_DROP] = "message lost",
        [MET_REPEAT] = "message repeated",
        [MET_OVERTAKE] = "message overtaken",
        [MET_DELAY] = "message delayed",
        [MET_RESET] = "connection reset",
        [MET_CUT_UP] = "partition towards the broker",
        [MET_CUT_DOWN] = "partition towards the peer",
        [MET_CUT_BOTH] = "partition both ways",
        [MET_SLOW_PEER] = "slow peer",
        [MET_BROKER_FROZEN] = "broker frozen",
        [MET_NODE_FROZEN] = "link frozen",
        [MET_NODE_FROZEN_LONG] = "link frozen past its lease",
        [MET_CLIENT_FROZEN] = "client frozen",
        [MET_STORE_FAILURE] = "store failed",
        [MET_BROKER_CRASH] = "broker crash",
        [MET_BROKER_CRASH_LOSES] = "broker crash that lost batches",
        [MET_DIGEST_COMPARED] = "digest compared with the loaded core",
        [MET_LINK_CRASH] = "link crash",
        [MET_MACHINE_CRASH] = "machine crash",
        [MET_SPOOL_LOST] = "spool lost",
        [MET_WORKER_CRASH] = "worker crash",
        [MET_KEEPER_DIES] = "keeper died",
        [MET_CLIENT_CRASH] = "client crash",
        [MET_CLOCK_JUMP] = "wall clock jumped",
        [MET_FLUSH_SLOW] = "slow flush",
        [MET_STORAGE_FULL] = "storage full",
        [MET_RETENTION] = "retention forgets ended jobs",
        [MET_TOKEN_CHANGED] = "token made or revoked",
        [MET_TOKEN_USED] = "client changed its token",
        [MET_MALFORMED] = "malformed request",
        [MET_STRANGE_NODE] = "node of another cluster or a double",
        [MET_PROGRESS] = "progress said",
        [MET_FOLLOW_OPENED] = "follower asks for events",
        [MET_FOLLOW_GAP] = "follower finds a gap",
        [MET_FOLLOW_SEEN] = "event seen by a follower",
        [MET_WHOLE_CHECKED] = "whole state checked",
        [MET_LIMIT_SET] = "limit set or removed",
        [MET_START_REFUSED] = "start refused by a node",
        [MET_ENTRY_REFUSED] = "entry refused by a node",
        [MET_SELF_KILL] = "attempt gave up after silence",
        [MET_NODE_STOPPED] = "node stopped by itself",
        [MET_NODE_EXPIRED] = "node lease lapsed",
};

/* ---- events -----------------------------------------------------------------------------------
 */

static bool event_before(const struct px_heap_item *a, const struct px_heap_item *b)
{
        const struct event *left = PX_CONTAINER_OF(a, struct event, item);
        const struct event *right = PX_CONTAINER_OF(b, struct event, item);

        if (left->at_ms != right->at_ms)
                return left->at_ms < right->at_ms;
        return left->sequence < right->sequence;
}

/* The free list runs through `owner`. */
struct event *sim_plan(struct sim *sim, uint64_t delay_ms, event_run *run, void *owner)
{
        struct event *event = sim->spare;
        struct px_buf frame = {0};

        if (event != NULL) {
                sim->spare = event->owner;
                frame = event->frame;
                px_buf_reset(&frame);
        } else {
                event = px_alloc(sizeof(*event));
        }
        *event = (struct event){
                .at_ms = sim->now_ms + (int64_t)delay_ms,
                .due_ms = sim->now_ms + (int64_t)delay_ms,
                .sequence = sim->sequence++,
                .run = run,
                .owner = owner,
                .frame = frame,
        };
        px_heap_push(&sim->events, &event->item);
        return event;
}

static void sim_event(struct sim *sim)
{
        struct px_heap_item *first = px_heap_first(&sim->events);
        struct event *event = PX_CONTAINER_OF(first, struct event, item);

        PX_ASSERT(event->at_ms >= sim->now_ms);
        sim->now_ms = event->at_ms;
        px_heap_remove(&sim->events, first);
        if (event->frozen_ms != NULL && *event->frozen_ms > sim->now_ms) {
                /* Who should see to it is frozen: it waits, in order, until that ends. */
                event->at_ms = *event->frozen_ms;
                event->sequence = sim->sequence++;
                px_heap_push(&sim->events, &event->item);
                return;
        }
        sim->events_done++;
        event->run(sim, event);
        if (event->frame.capacity > 4096)
                px_buf_fini(&event->frame);
        event->owner = sim->spare;
        sim->spare = event;
}

static void events_fini(struct sim *sim)
{
        struct px_heap_item *first;

        while ((first = px_heap_first(&sim->events)) != NULL) {
                struct event *event = PX_CONTAINER_OF(first, struct event, item);

                px_heap_remove(&sim->events, first);
                px_buf_fini(&event->frame);
                px_free(event);
        }
        while (sim->spare != NULL) {
                struct event *event = sim->spare;

                sim->spare = event->owner;
                px_buf_fini(&event->frame);
                px_free(event);
        }
        px_heap_fini(&sim->events);
}

uint64_t sim_below(struct sim *sim, uint64_t bound)
{
        return px_rand_below(&sim->rand, bound);
}

bool sim_fault(struct sim *sim, uint32_t ppm)
{
        return sim->faults && px_rand_below(&sim->rand, 1000000) < ppm;
}

void sim_count(struct sim *sim, int kind)
{
        sim->stats->met[kind]++;
}

int64_t sim_wall_ms(const struct sim *sim)
{
        return SIM_WALL_START_MS + sim->now_ms + sim->wall_ms;
}

/* ---- the trace --------------------------------------------------------------------------------
 */

static void trace_print(const struct trace_line *line)
{
        fprintf(stderr, "[%8lld] ", (long long)line->ms);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        fprintf(stderr, line->format, line->number[0], line->number[1], line->number[2],
                line->number[3]);
#pragma GCC diagnostic pop
        fputc('\n', stderr);
}

static void trace_mix(struct sim *sim, uint64_t value)
{
        sim->hash = (sim->hash ^ value) * 0x9E3779B97F4A7C15u;
        sim->hash ^= sim->hash >> 29;
}

void sim_trace_add(struct sim *sim, uint64_t job, const char *format, uint64_t a, uint64_t b,
                   uint64_t c, uint64_t d)
{
        struct trace_line *line = &sim->lines[sim->lines_count++ % TRACE_LINES];

        *line = (struct trace_line){sim->now_ms, job, format, {a, b, c, d}};
        trace_mix(sim, (uint64_t)sim->now_ms);
        trace_mix(sim, px_hash64(0, format, strlen(format)));
        trace_mix(sim, a);
        trace_mix(sim, b);
        trace_mix(sim, c);
        trace_mix(sim, d);
        if (sim->options.print)
                trace_print(line);
}

/* The simulation that runs, for what an assertion prints. */
static struct sim *sim_running;

/* Of what is kept: the lines about the job at hand, and the last ones whatever they are about. */
static void trace_print_short(const struct sim *sim)
{
        uint64_t kept = PX_MIN(sim->lines_count, TRACE_LINES);
        uint64_t last = PX_MIN(kept, TRACE_LAST);

        if (sim->about != 0)
                fprintf(stderr, "--- job %llu\n", (unsigned long long)sim->about);
        for (uint64_t i = sim->lines_count - kept; sim->about != 0 && i < sim->lines_count; i++)
                if (sim->lines[i % TRACE_LINES].job == sim->about)
                        trace_print(&sim->lines[i % TRACE_LINES]);
        fputs("--- the last lines\n", stderr);
        for (uint64_t i = sim->lines_count - last; i < sim->lines_count; i++)
                trace_print(&sim->lines[i % TRACE_LINES]);
}

static void sim_print_state(void)
{
        const struct sim *sim = sim_running;

        if (sim == NULL)
                return;
        if (!sim->options.print)
                trace_print_short(sim);
        fprintf(stderr,
                "seed %llu, commit %s, event %llu, at %lld ms (batch %llu); replay with\n"
                "plexus-sim --replay %llu --events %llu --without %llu --trace\n",
                (unsigned long long)sim->options.seed, SIM_COMMIT,
                (unsigned long long)sim->events_done, (long long)sim->now_ms,
                (unsigned long long)sim->broker.index, (unsigned long long)sim->options.seed,
                (unsigned long long)sim->options.events,
                (unsigned long long)sim->options.faults_off);
}

void sim_broken(struct sim *sim, const char *format, ...)
{
        va_list arguments;

        sim_running = sim;
        sim_print_state();
        fputs("BROKEN: ", stderr);
        va_start(arguments, format);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        vfprintf(stderr, format, arguments);
#pragma GCC diagnostic pop
        va_end(arguments);
        fputc('\n', stderr);
        abort();
}

/* ---- the cluster ------------------------------------------------------------------------------
 */

static struct sim_stats unwanted;

static void sim_make_hosts(struct sim *sim)
{
        uint32_t nodes = sim->options.nodes;

        sim->hosts_count = nodes + sim->options.workers;
        sim->hosts = px_alloc((sim->hosts_count + 1) * sizeof(*sim->hosts));
        for (uint32_t i = 0; i < sim->hosts_count; i++)
                host_init(sim, &sim->hosts[i], i + 1, i >= nodes);
        sim->clients_count = PX_MAX(sim->options.clients, 1u);
        sim->clients = px_alloc(sim->clients_count * sizeof(*sim->clients));
        for (uint32_t i = 0; i < sim->clients_count; i++)
                client_init(sim, &sim->clients[i], i, i == 0 ? SIM_ADMIN : 2 + i % 2);
}

struct sim *sim_new(const struct sim_options *options)
{
        struct sim *sim = px_alloc(sizeof(*sim));

        sim->options = *options;
        if (sim->options.node_lease_ms == 0)
                sim->options.node_lease_ms = 14000;
        sim->stats = options->stats != NULL ? options->stats : &unwanted;
        sim->now_ms = 1;
        sim->hash = options->seed;
        sim_running = sim;
        px_assert_hook = sim_print_state;
        px_rand_init(&sim->rand, options->seed);
        px_heap_init(&sim->events, event_before);
        px_list_init(&sim->broker.waiting);
        px_list_init(&sim->broker.spare);
        sim->broker.log = px_log_open_memory();
        broker_start(sim);
        sim_make_hosts(sim);
        for (size_t i = 0; i < sim->clients_count; i++)
                client_start(sim, &sim->clients[i]);
        for (size_t i = 0; i < sim->hosts_count; i++)
                host_start_link(sim, &sim->hosts[i]);
        return sim;
}

void sim_free(struct sim *sim)
{
        if (sim == NULL)
                return;
        events_fini(sim);
        for (size_t i = 0; i < sim->hosts_count; i++)
                host_fini(&sim->hosts[i]);
        for (size_t i = 0; i < sim->clients_count; i++)
                client_fini(&sim->clients[i]);
        px_free(sim->hosts);
        px_free(sim->clients);
        broker_fini(sim);
        oracle_fini(sim);
        rows_fini(sim);
        follow_fini(sim);
        px_buf_fini(&sim->decisions);
        px_buf_fini(&sim->frame);
        px_buf_fini(&sim->why);
        px_arena_fini(&sim->arena);
        sim_running = NULL;
        px_free(sim);
}

void sim_run_until_ms(struct sim *sim, int64_t ms)
{
        struct px_heap_item *first;

        while ((first = px_heap_first(&sim->events)) != NULL &&
               PX_CONTAINER_OF(first, struct event, item)->at_ms <= ms)
                sim_event(sim);
        sim->now_ms = PX_MAX(sim->now_ms, ms);
}

/* ---- a random run -----------------------------------------------------------------------------
 */

#define RUN_QUIET_MS 1200000 /* all must have ended so long after the last fault */

uint64_t sim_run_random(struct sim *sim)
{
        int64_t quiet_by_ms;
        const char *why;

        PX_ASSERT(sim->options.random);
        faults_begin(sim);
        follow_begin(sim);
        for (size_t i = 0; i < sim->clients_count; i++)
                population_begin(sim, &sim->clients[i]);
        while (sim->events_done < sim->options.events)
                sim_event(sim);
        SIM_TRACE(sim, "all heals", 0, 0, 0, 0);
        faults_end(sim);
        sim->ending = true;
        quiet_by_ms = sim->now_ms + RUN_QUIET_MS;
        while ((why = oracle_unquiet(sim)) != NULL || (why = follow_unquiet(sim)) != NULL) {
                SIM_CHECK(sim, sim->now_ms < quiet_by_ms, "20 minutes after the last fault %s",
                          why);
                population_finish(sim);
                sim_run_until_ms(sim, sim->now_ms + 5000);
        }
        oracle_final(sim);
        sim->stats->seeds++;
        sim->stats->events += sim->events_done;
        sim->stats->virtual_ms += (uint64_t)sim->now_ms;
        return sim->hash;
}
