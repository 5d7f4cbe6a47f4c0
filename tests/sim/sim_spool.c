/* SPDX-License-Identifier: Apache-2.0 */
/* sim_spool.c - what outlives the link of a node: entries, keepers and their processes. A process
 * runs for the time its job's plan says, prints, and ends; its keeper writes the exit record. */
#include "sim_inside.h"

#define ENTER_REFUSED_PPM 25000
#define GRACE_MS 10000

struct entry *spool_find(struct host *host, struct px_job_id job, struct px_fence fence)
{
        PX_LIST_EACH(&host->entries, link)
        {
                struct entry *entry = PX_CONTAINER_OF(link, struct entry, link);

                if (entry->job.value == job.value && px_fence_equal(entry->fence, fence))
                        return entry;
        }
        return NULL;
}

static struct entry *entry_of_link(struct px_link *link)
{
        return PX_CONTAINER_OF(link, struct entry, link);
}

static void entry_free(struct entry *entry)
{
        px_list_remove(&entry->link);
        px_free(entry);
}

size_t spool_alive(const struct host *host)
{
        size_t count = 0;

        PX_LIST_EACH(&host->entries, link)
        count += entry_of_link(link)->alive;
        return count;
}

/* An event about an attempt names it, because its entry may be gone by then. */
static struct event *plan_about(struct sim *sim, struct host *host, uint64_t delay_ms,
                                event_run *run, const struct entry *entry)
{
        struct event *event = sim_plan(sim, delay_ms, run, host);

        event->generation = entry->life;
        event->a = entry->job.value;
        return event;
}

static struct entry *entry_of_event(const struct event *event)
{
        struct host *host = event->owner;

        PX_LIST_EACH(&host->entries, link)
        {
                struct entry *entry = entry_of_link(link);

                if (entry->life == event->generation && entry->job.value == event->a)
                        return entry;
        }
        return NULL;
}

static void tell(struct sim *sim, struct host *host, enum node_input_kind kind,
                 struct entry *entry, struct node_input input)
{
        if (!host->link_up)
                return;
        if (host->frozen_ms > sim->now_ms) {
                entry->untold = true;
                return;
        }
        input.kind = kind;
        input.job = entry->job;
        input.fence = entry->fence;
        host_input(sim, host, &input);
}

/* A loaded machine takes its time now and then. */
static uint64_t machine_delay_ms(struct sim *sim)
{
        if (!sim->options.random)
                return 0;
        return sim_below(sim, sim_below(sim, 8) == 0 ? 5000 : 50);
}

/* ---- entry ------------------------------------------------------------------------------------
 */

struct entering {
        struct px_job_id job;
        struct px_fence fence;
        struct plan plan;
        int on_lost;
        uint64_t lost_after_ms;
        uint32_t cpus_milli;
        uint64_t memory_bytes;
};

static void entry_make(struct sim *sim, struct host *host, const struct entering *from)
{
        struct entry *entry = px_alloc(sizeof(*entry));

        *entry = (struct entry){
                .job = from->job,
                .fence = from->fence,
                .plan = from->plan,
                .on_lost = from->on_lost,
                .lost_after_ms = from->lost_after_ms,
                .cpus_milli = from->cpus_milli,
                .memory_bytes = from->memory_bytes,
                .host = host->number,
                .boot = host->boot,
                .life = sim->sequence++,
        };
        px_list_append(&host->entries, &entry->link);
}

static void enter_done(struct sim *sim, struct event *event)
{
        struct host *host = event->owner;
        struct entering entering;
        static const int refusals[] = {PX_E_NODE_FAULT, PX_E_NO_PROGRAM, PX_E_NOT_RUNNABLE,
                                       PX_E_NO_DIRECTORY, PX_E_NO_ACCOUNT};
        struct node_input input = {.kind = NODE_IN_ENTERED};

        memcpy(&entering, event->frame.data, sizeof(entering));
        input.job = entering.job;
        input.fence = entering.fence;
        if (event->generation != host->link_life) {
                /* The link died on the way: the entry may have become durable or not. */
                if (event->generation + 1 == host->link_life && !host->link_up &&
                    event->b == host->boot && sim_below(sim, 2) == 0 &&
                    spool_find(host, entering.job, entering.fence) == NULL)
                        entry_make(sim, host, &entering);
                return;
        }
        if (sim_fault(sim, ENTER_REFUSED_PPM)) {
                sim_count(sim, MET_ENTRY_REFUSED);
                input.kind = NODE_IN_REFUSED;
                input.code = refusals[sim_below(sim, PX_COUNT_OF(refusals))];
                input.text = px_slice_text("not here");
        } else {
                if (spool_find(host, entering.job, entering.fence) == NULL)
                        entry_make(sim, host, &entering);
        }
        host_input(sim, host, &input);
}

static struct plan plan_of_spec(struct sim *sim, struct px_slice bytes)
{
        struct px_arena arena = {0};
        struct px_spec spec;
        struct px_slice carrier;
        struct plan plan;
        int result = px_spec_decode(bytes, &arena, &spec);

        SIM_CHECK(sim, result == PX_WIRE_OK, "a node cannot read a specification");
        carrier = spec.blob.length > 0 ? spec.argv[1] : spec.input;
        SIM_CHECK(sim, carrier.length >= sizeof(plan), "a specification lost its input");
        memcpy(&plan, carrier.data, sizeof(plan));
        SIM_CHECK(sim, spec.env_count == (plan.environment != 0) &&
                               (spec.env_count == 0 ||
                                (spec.env[0].value.length == SIM_ENVIRONMENT_BYTES &&
                                 spec.env[0].value.data[0] == 'a' + (int)plan.environment)),
                  "a specification has another environment than at its submission");
        px_arena_fini(&arena);
        return plan;
}

void spool_enter(struct sim *sim, struct host *host, const struct node_effect *effect)
{
        const struct px_assign *assign = &effect->assign;
        struct entering entering = {
                .job = assign->job,
                .fence = assign->fence,
                .plan = plan_of_spec(sim, assign->spec),
                .on_lost = assign->on_lost,
                .lost_after_ms = assign->lost_after_ms,
                .cpus_milli = assign->cpus_milli,
                .memory_bytes = assign->memory_bytes,
        };
        struct event *event =
                sim_plan(sim, sim->options.random ? sim_below(sim, 20) : 0, enter_done, host);

        event->generation = host->link_life;
        event->b = host->boot;
        event->frozen_ms = &host->frozen_ms;
        px_buf_append(&event->frame, &entering, sizeof(entering));
}

/* ---- the process ------------------------------------------------------------------------------
 */

static const int reasons[PX_OUTCOME_COUNT] = {
        [PX_OUTCOME_OK] = PX_REASON_EXIT,
        [PX_OUTCOME_FAILED] = PX_REASON_EXIT,
        [PX_OUTCOME_TIMEOUT] = PX_REASON_TIME_LIMIT,
        [PX_OUTCOME_CANCELLED] = PX_REASON_CANCELLED,
        [PX_OUTCOME_GONE] = PX_REASON_NODE_RESTARTED,
        [PX_OUTCOME_REFUSED] = PX_REASON_NO_PROGRAM,
        [PX_OUTCOME_KEEPER_DIED] = PX_REASON_KEEPER_DIED,
        [PX_OUTCOME_GAVE_UP] = PX_REASON_GAVE_UP,
};

void spool_result(const struct entry *entry, struct px_result *ret_result)
{
        static const uint8_t answer[UINT16_MAX];

        *ret_result = (struct px_result){
                .job = entry->job,
                .fence = entry->fence,
                .outcome = entry->outcome,
                .reason = entry->signal != 0 ? PX_REASON_SIGNAL : reasons[entry->outcome],
                .exit_code = entry->exit_code,
                .signal = entry->signal,
                .progress_permille = -1,
        };
        if (entry->plan.result_bytes > 0 && entry->outcome == PX_OUTCOME_OK) {
                ret_result->has_result = true;
                ret_result->result = px_slice_of(answer, entry->plan.result_bytes);
        }
        ret_result->use.out_bytes = entry->length[PX_STREAM_OUT];
        ret_result->use.err_bytes = entry->length[PX_STREAM_ERR];
}

/* How the process ended: each job has a code of its own, and every third failure is a signal. */
static void entry_exit(struct entry *entry)
{
        entry->exit_code = entry->outcome == PX_OUTCOME_OK ? 0 : -1;
        entry->signal = 0;
        if (entry->outcome != PX_OUTCOME_FAILED)
                return;
        if (entry->job.value % 3 == 0)
                entry->signal = 1 + (uint32_t)(entry->job.value % 15);
        else
                entry->exit_code = 1 + (int32_t)(entry->job.value % 100);
}

/* Nothing of it is alive: the exit record. */
static void entry_close(struct sim *sim, const struct host *host, struct entry *entry, int outcome)
{
        PX_ASSERT(!entry->ended);
        if (entry->alive) {
                entry->alive = false;
                oracle_ended(sim, entry, outcome);
        }
        entry->kept = false;
        entry->spawning = false;
        entry->ended = true;
        entry->synced = entry->on_lost == PX_ON_LOST_FAIL || entry->plan.run_ms >= 1000;
        entry->outcome = outcome;
        entry_exit(entry);
        rows_truth(sim, entry);
        SIM_TRACE_JOB(sim, entry->job.value, "n%llu: %llu.%llu ends, outcome %llu", host->number, entry->job.value,
                  entry->fence.attempt, outcome);
}

/* And word to the link, if there is one. `entry` may be gone afterwards. */
static void entry_end(struct sim *sim, struct host *host, struct entry *entry, int outcome)
{
        struct px_result result;

        entry_close(sim, host, entry, outcome);
        spool_result(entry, &result);
        tell(sim, host, NODE_IN_ENDED, entry, (struct node_input){.result = &result});
}

static void process_prints(struct sim *sim, struct host *host, struct entry *entry)
{
        static const enum px_stream streams[] = {PX_STREAM_OUT, PX_STREAM_ERR};
        uint32_t bytes[] = {entry->plan.out_bytes, entry->plan.err_bytes};

        for (size_t i = 0; i < PX_COUNT_OF(streams); i++) {
                uint64_t *length = &entry->length[streams[i]];

                if (bytes[i] == 0 || *length >= bytes[i])
                        continue;
                *length += 1 + sim_below(sim, bytes[i] - *length);
                tell(sim, host, NODE_IN_GREW, entry,
                     (struct node_input){.stream = (int)streams[i], .length = *length});
        }
        if (!entry->plan.progress)
                return;
        sim_count(sim, MET_PROGRESS);
        tell(sim, host, NODE_IN_PROGRESS, entry,
                     (struct node_input){.permille = (int32_t)sim_below(sim, 1001),
                                         .text = px_slice_text("slice"),
                                         .wall_ms = sim_wall_ms(sim)});
}

static void process_works(struct sim *sim, struct event *event)
{
        struct entry *entry = entry_of_event(event);
        struct host *host = event->owner;
        int64_t left_ms;

        if (entry == NULL || !entry->alive || !entry->kept)
                return;
        process_prints(sim, host, entry);
        entry = entry_of_event(event); /* the link may have had its own ideas */
        if (entry == NULL || !entry->alive || !entry->kept)
                return;
        left_ms = entry->started_ms + entry->plan.run_ms - sim->now_ms;
        if (left_ms <= 0)
                entry_end(sim, host, entry, entry->plan.outcome);
        else
                plan_about(sim, host, (uint64_t)left_ms, process_works, entry);
}

/* An attempt that may run only once gives up before a person may run it again. */
static void keeper_counts(struct sim *sim, struct event *event)
{
        struct entry *entry = entry_of_event(event);
        struct host *host = event->owner;
        int64_t patience_ms;

        if (entry == NULL || !entry->alive || !entry->kept)
                return;
        patience_ms = (int64_t)(entry->lost_after_ms == 0 ? 3600000 : entry->lost_after_ms) / 5 * 4;
        if (sim->now_ms < entry->contact_ms + patience_ms) {
                plan_about(sim, host, (uint64_t)(entry->contact_ms + patience_ms - sim->now_ms),
                           keeper_counts, entry);
                return;
        }
        sim_count(sim, MET_SELF_KILL);
        entry_end(sim, host, entry, PX_OUTCOME_GAVE_UP);
}

static void process_starts(struct sim *sim, struct event *event)
{
        struct entry *entry = entry_of_event(event);
        struct host *host = event->owner;

        if (entry == NULL || !entry->spawning)
                return;
        entry->spawning = false;
        entry->kept = true;
        if (entry->killed) {
                entry_end(sim, host, entry, PX_OUTCOME_CANCELLED);
                return;
        }
        if (entry->plan.refuse > 0 && sim_below(sim, 8) < entry->plan.refuse) {
                sim_count(sim, MET_START_REFUSED);
                entry_end(sim, host, entry, PX_OUTCOME_REFUSED);
                return;
        }
        entry->alive = true;
        entry->started_ms = sim->now_ms;
        entry->contact_ms = sim->now_ms; /* a keeper counts from its start */
        sim->stats->processes++;
        SIM_TRACE_JOB(sim, entry->job.value, "n%llu: %llu.%llu runs", host->number, entry->job.value,
                  entry->fence.attempt, 0);
        oracle_started(sim, entry);
        plan_about(sim, host, entry->plan.run_ms / 2, process_works, entry);
        if (entry->on_lost == PX_ON_LOST_FAIL)
                plan_about(sim, host, 1, keeper_counts, entry);
        tell(sim, host, NODE_IN_STARTED, entry, (struct node_input){.wall_ms = sim_wall_ms(sim)});
}

void spool_start(struct sim *sim, struct host *host, const struct node_effect *effect)
{
        struct entry *entry = spool_find(host, effect->job, effect->fence);

        SIM_CHECK(sim, entry != NULL, "a node starts an attempt that isn't entered");
        SIM_CHECK(sim, !entry->spawning && !entry->kept && !entry->ended,
                  "a node starts an attempt twice");
        entry->spawning = true;
        plan_about(sim, host, machine_delay_ms(sim), process_starts, entry);
}

static void process_killed(struct sim *sim, struct event *event)
{
        struct entry *entry = entry_of_event(event);

        if (entry != NULL && entry->alive && entry->kept)
                entry_end(sim, event->owner, entry, PX_OUTCOME_CANCELLED);
}

void spool_kill(struct sim *sim, struct host *host, const struct node_effect *effect)
{
        struct entry *entry = spool_find(host, effect->job, effect->fence);
        uint64_t grace_ms = effect->grace_ms == 0 ? GRACE_MS : effect->grace_ms;

        SIM_CHECK(sim, entry != NULL, "a node kills an attempt it hasn't");
        entry->killed = true;
        plan_about(sim, host, sim->options.random ? sim_below(sim, grace_ms) : 0, process_killed,
                   entry);
}

void spool_remove(struct sim *sim, struct host *host, const struct node_effect *effect)
{
        struct entry *entry = spool_find(host, effect->job, effect->fence);

        if (entry == NULL)
                return;
        SIM_CHECK(sim, !entry->alive && !entry->spawning, "n%u removes %llu.%u while it runs",
                  host->number, (unsigned long long)entry->job.value, entry->fence.attempt);
        entry_free(entry);
}

void spool_contact(struct sim *sim, struct host *host, uint64_t ago_ms)
{
        int64_t contact_ms = sim->now_ms - (int64_t)ago_ms;

        PX_LIST_EACH(&host->entries, link)
        {
                struct entry *entry = entry_of_link(link);

                entry->contact_ms = PX_MAX(entry->contact_ms, contact_ms);
        }
}

/* ---- a frozen link ----------------------------------------------------------------------------
 */

static void catch_up(struct sim *sim, struct host *host, struct entry *entry)
{
        static const enum px_stream streams[] = {PX_STREAM_OUT, PX_STREAM_ERR};
        uint64_t life = host->link_life;
        struct px_result result;

        entry->untold = false;
        if (entry->started_ms > 0)
                tell(sim, host, NODE_IN_STARTED, entry,
                     (struct node_input){.wall_ms = SIM_WALL_START_MS + entry->started_ms});
        for (size_t i = 0; i < PX_COUNT_OF(streams) && life == host->link_life; i++)
                if (entry->length[streams[i]] > 0)
                        tell(sim, host, NODE_IN_GREW, entry,
                             (struct node_input){.stream = (int)streams[i],
                                                 .length = entry->length[streams[i]]});
        if (!entry->ended || life != host->link_life)
                return;
        spool_result(entry, &result);
        tell(sim, host, NODE_IN_ENDED, entry, (struct node_input){.result = &result});
}

/* What its keepers said meanwhile waits in their sockets. */
void spool_link_thaws(struct sim *sim, struct host *host)
{
        struct px_link *link = host->entries.next;

        while (link != &host->entries && host->link_up) {
                struct entry *entry = entry_of_link(link);

                link = link->next; /* telling may remove this one, not others */
                if (entry->untold)
                        catch_up(sim, host, entry);
        }
}

/* ---- deaths -----------------------------------------------------------------------------------
 */

/* Keepers go on; one that was about to be started may have been or not. */
void spool_link_died(struct sim *sim, struct host *host)
{
        PX_LIST_EACH(&host->entries, link)
        {
                struct entry *entry = entry_of_link(link);

                if (entry->spawning && sim_below(sim, 2) == 0)
                        entry->spawning = false;
        }
}

void spool_machine_died(struct sim *sim, struct host *host)
{
        PX_LIST_EACH(&host->entries, link)
        {
                struct entry *entry = entry_of_link(link);

                if (entry->alive) {
                        entry->alive = false;
                        oracle_ended(sim, entry, 0);
                }
                entry->spawning = false;
                entry->kept = false;
                if (entry->ended && !entry->synced)
                        entry->ended = false;
        }
}

void spool_clear(struct sim *sim, struct host *host)
{
        while (!px_list_empty(&host->entries)) {
                struct entry *entry = entry_of_link(host->entries.next);

                SIM_CHECK(sim, !entry->alive, "a spool is cleared under a process");
                oracle_spool_lost(sim, entry);
                entry_free(entry);
        }
}

/* Any keeper of a running process dies: the link, if there is one, ends the rest of it. */
void spool_keeper_dies(struct sim *sim, struct host *host)
{
        PX_LIST_EACH(&host->entries, link)
        {
                struct entry *entry = entry_of_link(link);

                if (!entry->alive || !entry->kept)
                        continue;
                sim_count(sim, MET_KEEPER_DIES);
                SIM_TRACE_JOB(sim, entry->job.value, "n%llu: keeper of %llu.%llu dies", host->number, entry->job.value,
                          entry->fence.attempt, 0);
                entry->kept = false;
                if (host->link_up)
                        entry_end(sim, host, entry, PX_OUTCOME_KEEPER_DIED);
                else
                        oracle_orphaned(sim, entry);
                return;
        }
}

/* ---- a link starts ----------------------------------------------------------------------------
 */

static void scan_entry(struct sim *sim, struct host *host, struct entry *entry)
{
        struct px_result result;
        struct node_found found = {
                .job = entry->job,
                .fence = entry->fence,
                .running = entry->kept || entry->spawning,
                .cpus_milli = entry->cpus_milli,
                .memory_bytes = entry->memory_bytes,
                .started_wall_ms = SIM_WALL_START_MS + entry->started_ms,
                .on_lost = entry->on_lost,
                .lost_after_ms = entry->lost_after_ms,
        };

        memcpy(found.length, entry->length, sizeof(found.length));
        memcpy(found.stored, entry->trimmed, sizeof(found.stored));
        if (entry->ended) {
                spool_result(entry, &result);
                found.ended = &result;
                found.running = false;
        }
        node_adopt(host->node, &found);
        SIM_TRACE_JOB(sim, entry->job.value, "n%llu finds %llu.%llu, %llu", host->number, entry->job.value,
                  entry->fence.attempt, (entry->ended ? 2 : 0) + found.running);
}

void spool_scan(struct sim *sim, struct host *host)
{
        struct px_link *link = host->entries.next;

        while (link != &host->entries) {
                struct entry *entry = entry_of_link(link);
                bool ran = entry->started_ms > 0;

                link = link->next;
                if (entry->boot != host->boot && !entry->ended) {
                        oracle_spool_lost(sim, entry);
                        entry_free(entry); /* gone with its machine */
                        continue;
                }
                if (ran && !entry->ended && !entry->kept) /* what is left of it is ended now */
                        entry_close(sim, host, entry, PX_OUTCOME_KEEPER_DIED);
                scan_entry(sim, host, entry);
        }
}
