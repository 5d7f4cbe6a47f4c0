/* SPDX-License-Identifier: Apache-2.0 */
/* sim_broker.c - what the broker's shell does, in virtual time: gathers commands into batches,
 * hands rows to the log, releases effects when they are durable, crashes and starts again. */
#include "rows.h"
#include "sim_inside.h"
#include "spec_read.h"

#define FACT_ROUNDS 4 /* a row may name further rows */

/* ---- commands ---------------------------------------------------------------------------------
 */

static void broker_plan_batch(struct sim *sim, uint64_t delay_ms);

/* For this life of the broker; waits while it is frozen. */
static struct event *broker_plan(struct sim *sim, uint64_t delay_ms, event_run *run)
{
        struct event *event = sim_plan(sim, delay_ms, run, NULL);

        event->generation = sim->broker.generation;
        event->frozen_ms = &sim->broker.frozen_ms;
        return event;
}

static void broker_queue(struct sim *sim, uint8_t origin, uint64_t peer, uint32_t principal,
                         struct px_slice frame)
{
        struct broker *broker = &sim->broker;
        struct broker_command *command;

        if (broker->commands_count == broker->commands_capacity) {
                size_t capacity = PX_MAX(broker->commands_capacity * 2, 64u);

                broker->commands =
                        px_realloc(broker->commands, capacity * sizeof(*broker->commands));
                memset(broker->commands + broker->commands_capacity, 0,
                       (capacity - broker->commands_capacity) * sizeof(*broker->commands));
                broker->commands_capacity = capacity;
        }
        command = &broker->commands[broker->commands_count++];
        command->origin = origin;
        command->peer = peer;
        command->principal = principal;
        px_buf_reset(&command->frame);
        px_buf_append_slice(&command->frame, frame);
        broker_plan_batch(sim, sim->options.random ? sim_below(sim, 2) : 0);
}

void broker_shell(struct sim *sim, uint64_t peer, struct px_slice frame)
{
        broker_queue(sim, CORE_FROM_SHELL, peer, 0, frame);
}

void broker_take(struct sim *sim, struct wire *wire, struct px_slice frame, uint64_t payload_bytes)
{
        struct broker *broker = &sim->broker;

        if (!broker->up)
                return;
        if (wire->peer == 0) {
                wire->peer = ++broker->next_peer;
                px_map_put(&broker->peers, wire->peer, wire);
        }
        if (wire->socket == SOCKET_DATA)
                egress_take(sim, wire, frame, payload_bytes);
        else
                broker_queue(sim, wire->socket == SOCKET_CMD ? CORE_FROM_CLIENT : CORE_FROM_NODE,
                             wire->peer, wire->principal, frame);
}

static void broker_tell_shell(struct sim *sim, uint16_t type, uint64_t peer)
{
        px_buf_reset(&sim->frame);
        if (type == PX_M_PEER_GONE)
                px_m_peer_gone_frame(&(struct px_m_peer_gone){0}, 0, 0, &sim->frame);
        else
                px_m_tick_frame(&(struct px_m_tick){0}, 0, 0, &sim->frame);
        broker_shell(sim, peer, px_buf_slice(&sim->frame));
}

/* ---- effects ----------------------------------------------------------------------------------
 */

static void broker_send(struct sim *sim, uint64_t peer, struct px_slice frame)
{
        struct wire *wire = wire_of_peer(sim, peer);

        if (wire != NULL)
                wire_down(sim, wire, frame);
        else if (sim_below(sim, 2) == 0)
                broker_tell_shell(sim, PX_M_PEER_GONE, peer); /* seen by the send, or later */
}

static bool job_has_row(struct sim *sim, uint8_t table, struct px_job_id job)
{
        struct px_buf value = {0};
        uint8_t key[8];
        bool found;

        px_put_be64(key, job.value);
        found = px_read_get(sim->broker.log, table, px_slice_of(key, 8), &value) == PX_OK;
        px_buf_fini(&value);
        return found;
}

/* Effects wait for the disk: a batch behind theirs may have purged the job meanwhile. */
static bool purged_behind(struct sim *sim, struct px_job_id job)
{
        return !job_has_row(sim, PX_TABLE_JOB, job) && !job_has_row(sim, PX_TABLE_DONE, job);
}

static void broker_assign(struct sim *sim, const struct core_effect *effect)
{
        struct px_assign item = effect->assign.item;
        struct px_m_assign message = {
                .session = effect->assign.node_session, .items = &item, .items_count = 1};
        struct px_buf stored = {0};
        struct px_buf spec = {0};
        int result = spec_read(sim->broker.log, item.job, &stored, &spec);

        if (result == PX_E_ABSENT && purged_behind(sim, item.job)) {
                px_buf_fini(&stored);
                px_buf_fini(&spec);
                return; /* as the shell does */
        }
        SIM_CHECK(sim, result == PX_OK, "the specification of job %llu cannot be read",
                  (unsigned long long)item.job.value);
        item.spec = px_buf_slice(&spec);
        oracle_assigned(sim, &item);
        px_buf_reset(&sim->frame);
        px_m_assign_frame(&message, 0, 0, &sim->frame);
        broker_send(sim, effect->peer, px_buf_slice(&sim->frame));
        px_buf_fini(&spec);
        px_buf_fini(&stored);
}

static void broker_effect(struct sim *sim, const struct core_effect *effect)
{
        struct wire *wire;

        switch (effect->kind) {
        case CORE_EFFECT_SEND:
                broker_send(sim, effect->peer, effect->send.frame);
                break;
        case CORE_EFFECT_ASSIGN:
                broker_assign(sim, effect);
                break;
        case CORE_EFFECT_LOG_OPEN:
        case CORE_EFFECT_LOG_CLOSE:
        case CORE_EFFECT_JOB_END:
        case CORE_EFFECT_JOB_PURGED:
                egress_effect(sim, effect);
                break;
        case CORE_EFFECT_PEER_DROP:
                wire = px_map_take(&sim->broker.peers, effect->peer);
                if (wire != NULL)
                        wire->peer = 0;
                break;
        case CORE_EFFECT_PRINCIPALS:
                break;
        default:
                PX_UNREACHABLE();
        }
}

/* ---- batches ----------------------------------------------------------------------------------
 */

static struct broker_batch *batch_of_link(struct px_link *link)
{
        return PX_CONTAINER_OF(link, struct broker_batch, link);
}

static struct broker_batch *batch_new(struct broker *broker)
{
        struct broker_batch *batch;

        if (px_list_empty(&broker->spare))
                return px_alloc(sizeof(*batch));
        batch = batch_of_link(broker->spare.next);
        px_list_remove(&batch->link);
        return batch;
}

/* It is durable. */
static void batch_judge(struct sim *sim, const struct broker_batch *batch)
{
        rows_judge(sim, batch->index, px_buf_slice(&batch->output.rows));
        oracle_events(sim, batch->index, px_buf_slice(&batch->output.events),
                      batch->output.events_count);
        rows_compare(sim);
}

/* All that waited for this batch happens now. */
static void batch_release(struct sim *sim, struct broker_batch *batch)
{
        struct core_output *output = &batch->output;
        uint64_t generation = sim->broker.generation;

        px_list_remove(&batch->link);
        batch_judge(sim, batch);
        for (size_t i = 0; i < output->effects_count; i++)
                broker_effect(sim, &output->effects[i]);
        PX_ASSERT(generation == sim->broker.generation);
        px_list_append(&sim->broker.spare, &batch->link);
}

static void broker_release(struct sim *sim)
{
        struct broker *broker = &sim->broker;
        uint64_t durable = px_log_durable(broker->log);

        while (!px_list_empty(&broker->waiting) &&
               batch_of_link(broker->waiting.next)->index <= durable)
                batch_release(sim, batch_of_link(broker->waiting.next));
        follow_events(sim);
        if (broker->whole_due && px_list_empty(&broker->waiting)) {
                broker->whole_due = false;
                whole_check(sim);
        }
}

static void broker_flushed(struct sim *sim, struct event *event);

static void broker_flush(struct sim *sim)
{
        struct broker *broker = &sim->broker;
        uint64_t delay_ms = sim->options.random ? sim_below(sim, 3) : 0;

        if (broker->flushing || px_list_empty(&broker->waiting))
                return;
        if (sim_fault(sim, sim->flush_ppm)) {
                sim_count(sim, MET_FLUSH_SLOW);
                delay_ms = 100 + sim_below(sim, 2000);
        }
        broker->flushing = true;
        broker_plan(sim, delay_ms, broker_flushed)->a = broker->index;
}

/* A write or flush failed: of what was written nobody knows how much is durable. Nothing of it is
 * acknowledged; the broker ends (exit 74) and reads the log again. */
static void store_fails(struct sim *sim, uint64_t index)
{
        struct broker *broker = &sim->broker;
        uint64_t durable = px_log_durable(broker->log);

        sim_count(sim, MET_STORE_FAILURE);
        px_log_memory_flush(broker->log, durable + sim_below(sim, index - durable + 1));
        broker_crash(sim);
        faults_broker_died(sim);
}

static void broker_flushed(struct sim *sim, struct event *event)
{
        struct broker *broker = &sim->broker;

        if (event->generation != broker->generation)
                return;
        broker->flushing = false;
        if (broker->fails) {
                store_fails(sim, event->a);
                return;
        }
        px_log_memory_flush(broker->log, event->a);
        broker_release(sim);
        broker_flush(sim);
}

/* The file's name says whether it is here, and how long it is. */
static bool sim_blob(struct px_slice key, struct px_buf *ret_value)
{
        struct px_blob_row row;

        PX_ASSERT(key.length == 4 + 32);
        row.bytes = key.data[5];
        px_blob_row_encode(&row, ret_value);
        return key.data[4] != 0;
}

static struct core_fact broker_fact(struct broker *broker, const struct row *row)
{
        struct core_fact fact = {.table = row->table,
                                 .key = px_arena_copy(&broker->arena, row->key)};

        px_buf_reset(&broker->values);
        if (row->table == PX_TABLE_BLOB) {
                fact.found = sim_blob(row->key, &broker->values);
                fact.value = px_arena_copy(&broker->arena, px_buf_slice(&broker->values));
                return fact;
        }
        fact.found = px_read_get(broker->log, row->table, row->key, &broker->values) == PX_OK;
        fact.value = px_arena_copy(&broker->arena, px_buf_slice(&broker->values));
        return fact;
}

/* Rows that a command needs beside the facts it has. false: none. */
static bool broker_facts(struct broker *broker, struct core_command *command)
{
        size_t known = command->facts_count;
        size_t offset = 0;
        size_t count = known;
        struct core_fact *facts;
        struct row row;

        px_buf_reset(&broker->keys);
        core_wants(broker->core, command, &broker->keys);
        if (broker->keys.length == 0)
                return false;
        while (rows_next(px_buf_slice(&broker->keys), &offset, &row))
                count++;
        facts = px_arena_alloc(&broker->arena, count * sizeof(*facts));
        if (known > 0)
                memcpy(facts, command->facts, known * sizeof(*facts));
        offset = 0;
        for (size_t i = known; i < count; i++) {
                rows_next(px_buf_slice(&broker->keys), &offset, &row);
                facts[i] = broker_fact(broker, &row);
        }
        command->facts = facts;
        command->facts_count = count;
        return true;
}

static size_t broker_inputs(struct sim *sim)
{
        struct broker *broker = &sim->broker;
        size_t count = 0;

        px_arena_reset(&broker->arena);
        broker->inputs = px_arena_alloc(&broker->arena,
                                        (broker->commands_count + 1) * sizeof(*broker->inputs));
        for (size_t i = 0; i < broker->commands_count; i++) {
                struct broker_command *from = &broker->commands[i];
                struct core_command *to = &broker->inputs[count];

                to->origin = from->origin;
                to->peer = from->peer;
                to->principal.value = from->principal;
                if (px_wire_get_header(px_buf_slice(&from->frame), &to->header, &to->body) !=
                    PX_WIRE_OK)
                        continue;
                for (int round = 0; round < FACT_ROUNDS && broker_facts(broker, to); round++)
                        ;
                count++;
        }
        broker->commands_count = 0;
        return count;
}

static void broker_submit(struct sim *sim, struct broker_batch *batch)
{
        struct broker *broker = &sim->broker;
        const struct core_output *output = &batch->output;
        struct px_log_batch log_batch = {
                .epoch = broker->epoch,
                .index = batch->index,
                .rows = px_buf_slice(&output->rows),
                .events = px_buf_slice(&output->events),
                .events_count = output->events_count,
        };

        px_log_submit(broker->log, &log_batch);
        px_list_append(&broker->waiting, &batch->link);
        sim->stats->commits++;
        broker_flush(sim);
}

static void broker_watch_clock(struct sim *sim);

static void broker_step(struct sim *sim)
{
        struct broker *broker = &sim->broker;
        struct broker_batch *batch = batch_new(broker);
        struct core_batch input = {
                .epoch = broker->epoch,
                .index = ++broker->index,
                .core_ms = sim->now_ms + broker->core_base_ms,
                .wall_ms = sim_wall_ms(sim),
                .seed = px_rand_u64(&sim->rand),
        };

        input.commands_count = broker_inputs(sim);
        input.commands = broker->inputs;
        SIM_TRACE(sim, "batch %llu: %llu commands", input.index, input.commands_count, 0, 0);
        core_step(broker->core, &input, &batch->output);
        batch->index = input.index;
        batch->digest = 0;
        if (++broker->steps % 64 == 0)
                broker->whole_due = true;
        if (core_jobs_count(broker->core) < 16)
                core_check(broker->core);
        broker->digest = 0;
        if (broker->digests > 0) {
                broker->digests--;
                batch->digest = core_digest(broker->core);
                broker->digest = batch->digest;
        }
        broker_submit(sim, batch);
        broker_watch_clock(sim);
}

static void broker_batch_due(struct sim *sim, struct event *event)
{
        struct broker *broker = &sim->broker;

        if (event->generation != broker->generation)
                return;
        broker->batch_planned = false;
        if (broker->commands_count > 0)
                broker_step(sim);
}

static void broker_plan_batch(struct sim *sim, uint64_t delay_ms)
{
        if (sim->broker.batch_planned)
                return;
        sim->broker.batch_planned = true;
        broker_plan(sim, delay_ms, broker_batch_due);
}

static void broker_tick(struct sim *sim, struct event *event)
{
        struct broker *broker = &sim->broker;

        if (event->generation != broker->generation)
                return;
        if (event->due_ms == broker->wake_ms)
                broker->wake_ms = SIM_NEVER;
        if (core_deadline_ms(broker->core) <= sim->now_ms + broker->core_base_ms)
                broker_tell_shell(sim, PX_M_TICK, 0);
        else
                broker_watch_clock(sim);
}

static void broker_watch_clock(struct sim *sim)
{
        struct broker *broker = &sim->broker;
        int64_t deadline_ms = core_deadline_ms(broker->core);
        int64_t at_ms;

        if (deadline_ms == INT64_MAX)
                return;
        at_ms = PX_MAX(deadline_ms - broker->core_base_ms, sim->now_ms);
        if (at_ms >= broker->wake_ms)
                return;
        broker->wake_ms = at_ms;
        broker_plan(sim, (uint64_t)(at_ms - sim->now_ms), broker_tick);
}

/* ---- start and crash --------------------------------------------------------------------------
 */

struct loading {
        struct sim *sim;
        struct core *core;
        uint8_t table;
};

static bool load_row(void *context, struct px_slice key, struct px_slice value)
{
        struct loading *loading = context;
        int result = core_load_row(loading->core, loading->table, key, value);

        SIM_CHECK(loading->sim, result == PX_OK, "a row of table %s is refused at load: %d",
                  px_table_name(loading->table), result);
        return true;
}

struct core *broker_load(struct sim *sim, uint64_t epoch)
{
        struct core_options options = {
                .epoch = epoch,
                .heartbeat_ms = 2000,
                .lease_ms = sim->options.node_lease_ms,
                .session_ms = 25 * 3600 * 1000,
                .assign_repeat_ms = 3000,
                .jobs_max = PX_LIMIT_JOBS,
                .key_keep_ms = 20000,
                .shapes_kept = 2, /* few, so that shapes come and go */
        };
        struct loading loading = {.sim = sim, .core = core_new(&options)};
        uint64_t damaged = 0;

        for (size_t i = 0; i < core_load_tables_count; i++) {
                loading.table = core_load_tables[i];
                px_read_each(sim->broker.log, loading.table, PX_SLICE_NONE, load_row, &loading,
                             &damaged);
        }
        SIM_CHECK(sim, damaged == 0, "%llu rows are damaged", (unsigned long long)damaged);
        core_load_end(loading.core, sim_wall_ms(sim));
        return loading.core;
}

/* First batch of a new cluster: names, roles and keys of principals 1 to SIM_PRINCIPALS. */
static void broker_bootstrap(struct sim *sim)
{
        static const char *const names[SIM_PRINCIPALS] = {"root", "ann", "bob", "nodes", "cid"};
        static const uint32_t roles[SIM_PRINCIPALS] = {PX_ROLE_ADMIN, PX_ROLE_USER, PX_ROLE_USER,
                                                       PX_ROLE_ADMIN, PX_ROLE_SERVICE};
        struct px_slice texts[SIM_PRINCIPALS];
        struct px_slice keys[SIM_PRINCIPALS];
        uint8_t bytes[SIM_PRINCIPALS][32];
        struct px_m_bootstrap bootstrap = {
                .cluster = px_slice_text("sim-cluster-0001"),
                .names = texts,
                .names_count = SIM_PRINCIPALS,
                .roles = roles,
                .roles_count = SIM_PRINCIPALS,
                .public_keys = keys,
                .public_keys_count = SIM_PRINCIPALS,
        };

        for (uint8_t i = 0; i < SIM_PRINCIPALS; i++) {
                texts[i] = px_slice_text(names[i]);
                memset(bytes[i], i + 1, sizeof(bytes[i]));
                keys[i] = px_slice_of(bytes[i], sizeof(bytes[i]));
        }
        px_buf_reset(&sim->frame);
        px_m_bootstrap_frame(&bootstrap, 0, 0, &sim->frame);
        broker_shell(sim, 0, px_buf_slice(&sim->frame));
}

void broker_start(struct sim *sim)
{
        struct broker *broker = &sim->broker;
        bool first = px_log_durable(broker->log) == 0;

        PX_ASSERT(!broker->up);
        broker->epoch++;
        broker->core = broker_load(sim, broker->epoch);
        broker->index = px_log_durable(broker->log);
        broker->core_base_ms = core_now_ms(broker->core) - sim->now_ms;
        broker->wake_ms = SIM_NEVER;
        broker->up = true;
        SIM_TRACE(sim, "broker starts, epoch %llu, at batch %llu", broker->epoch, broker->index, 0,
                  0);
        if (first) {
                broker_bootstrap(sim);
                return;
        }
        core_check(broker->core);
        oracle_loaded(sim);
        broker_tell_shell(sim, PX_M_TICK, 0);
}

/* Core time does not count what a frozen broker slept. */
void broker_freeze(struct sim *sim, uint64_t span_ms)
{
        struct broker *broker = &sim->broker;

        PX_ASSERT(broker->up && broker->frozen_ms <= sim->now_ms);
        SIM_TRACE(sim, "broker is frozen for %llu ms", span_ms, 0, 0, 0);
        broker->frozen_ms = sim->now_ms + (int64_t)span_ms;
        broker->core_base_ms -= (int64_t)span_ms;
        /* A tick that was planned comes too early; the next one is planned from it. */
}

/* Flush up to a batch whose digest is known, and compare it with a core loaded from there. */
static void broker_compare_digest(struct sim *sim)
{
        struct broker *broker = &sim->broker;
        uint64_t at = broker->index;
        uint64_t digest = broker->digest;
        struct core *loaded;

        PX_LIST_EACH(&broker->waiting, link)
        {
                const struct broker_batch *batch = batch_of_link(link);

                if (batch->digest != 0 && sim_below(sim, 3) == 0) {
                        digest = batch->digest;
                        at = batch->index;
                }
        }
        if (digest == 0)
                return;
        px_log_memory_flush(broker->log, at);
        px_log_memory_crash(broker->log);
        loaded = broker_load(sim, broker->epoch);
        core_check(loaded);
        SIM_CHECK(sim, core_digest(loaded) == digest,
                  "the core loaded from batch %llu has another digest than the live one had",
                  (unsigned long long)at);
        core_free(loaded);
        sim_count(sim, MET_DIGEST_COMPARED);
}

void broker_crash(struct sim *sim)
{
        struct broker *broker = &sim->broker;
        uint64_t durable;

        PX_ASSERT(broker->up);
        broker_compare_digest(sim);
        px_log_memory_crash(broker->log);
        durable = px_log_durable(broker->log);
        SIM_TRACE(sim, "broker crashes at batch %llu, durable %llu", broker->index, durable, 0, 0);
        sim_count(sim, MET_BROKER_CRASH);
        if (durable < broker->index)
                sim_count(sim, MET_BROKER_CRASH_LOSES);
        while (!px_list_empty(&broker->waiting)) {
                struct broker_batch *batch = batch_of_link(broker->waiting.next);

                px_list_remove(&batch->link);
                /* Durable, but its effects never left: what it decided is true. */
                if (batch->index <= durable)
                        batch_judge(sim, batch);
                px_list_append(&broker->spare, &batch->link);
        }
        core_free(broker->core);
        broker->core = NULL;
        broker->up = false;
        broker->generation++;
        broker->commands_count = 0;
        broker->batch_planned = false;
        broker->flushing = false;
        broker->fails = false;
        broker->frozen_ms = 0;
        broker->digests = 0;
        for (size_t i = 0; i < sim->hosts_count; i++) {
                wire_reset(sim, &sim->hosts[i].ctl);
                wire_reset(sim, &sim->hosts[i].data);
        }
        for (size_t i = 0; i < sim->clients_count; i++)
                wire_reset(sim, &sim->clients[i].wire);
        wire_reset(sim, &sim->stranger);
        follow_crash(sim);
        PX_ASSERT(broker->peers.count == 0);
        egress_crash(sim);
}

void broker_fini(struct sim *sim)
{
        struct broker *broker = &sim->broker;

        while (!px_list_empty(&broker->waiting)) {
                struct px_link *link = broker->waiting.next;

                px_list_remove(link);
                px_list_append(&broker->spare, link);
        }
        while (!px_list_empty(&broker->spare)) {
                struct broker_batch *batch = batch_of_link(broker->spare.next);

                px_list_remove(&batch->link);
                core_output_fini(&batch->output);
                px_free(batch);
        }
        for (size_t i = 0; i < broker->commands_capacity; i++)
                px_buf_fini(&broker->commands[i].frame);
        px_free(broker->commands);
        core_free(broker->core);
        if (!px_list_empty(&broker->waiting))
                px_log_memory_crash(broker->log);
        px_log_memory_flush(broker->log, broker->index);
        px_log_close(broker->log);
        egress_fini(sim);
        px_map_fini(&broker->peers);
        px_arena_fini(&broker->arena);
        px_buf_fini(&broker->keys);
        px_buf_fini(&broker->values);
}
