/* SPDX-License-Identifier: Apache-2.0 */
/* sim_population.c - people: they submit, change their minds, watch, ask, and remember what they
 * were told. The first client is the administrator. */
#include "sim_inside.h"

#include <stdio.h>

#define THINK_MS 600 /* mean time between two wishes of a client, twice */
#define MALFORMED_NUMBER ((uint64_t)1 << 40) /* of no request in the outbox */

static bool one_in(struct sim *sim, uint64_t count)
{
        return sim_below(sim, count) == 0;
}

/* ---- submit -----------------------------------------------------------------------------------
 */

static struct plan random_plan(struct sim *sim)
{
        static const uint32_t spans_ms[] = {300, 300, 300, 2000, 2000, 8000, 8000, 40000};
        static const uint8_t outcomes[] = {PX_OUTCOME_OK, PX_OUTCOME_OK,     PX_OUTCOME_OK,
                                           PX_OUTCOME_OK, PX_OUTCOME_FAILED, PX_OUTCOME_TIMEOUT};

        return (struct plan){
                .run_ms = 1 +
                          (uint32_t)sim_below(sim, spans_ms[sim_below(sim, PX_COUNT_OF(spans_ms))]),
                .out_bytes = one_in(sim, 2) ? (uint32_t)sim_below(sim, 20000) : 0,
                .err_bytes = one_in(sim, 4) ? (uint32_t)sim_below(sim, 3000) : 0,
                .outcome = outcomes[sim_below(sim, PX_COUNT_OF(outcomes))],
                .progress = one_in(sim, 3),
                .environment = (uint8_t)sim_below(sim, 4),
                .refuse = one_in(sim, 10) ? 4 : 0,
        };
}

/* One of a few environments, or none, as the plan says. */
static struct px_slice encode_spec(struct client *client, const struct px_spec *spec,
                                   const struct plan *plan)
{
        char value[SIM_ENVIRONMENT_BYTES];
        struct px_variable variable = {px_slice_text("PLAN"), px_slice_of(value, sizeof(value))};
        struct px_spec whole = *spec;
        struct px_buf bytes = {0};
        struct px_slice kept;

        memset(value, 'a' + (int)plan->environment, sizeof(value));
        whole.env = &variable;
        whole.env_count = plan->environment != 0;
        px_spec_encode(&whole, &bytes);
        kept = px_arena_copy(&client->arena, px_buf_slice(&bytes));
        px_buf_fini(&bytes);
        return kept;
}

/* The specification carries the plan as standard input. */
static struct px_slice spec_of_plan(struct client *client, const struct plan *plan, bool task,
                                    size_t padding)
{
        struct px_slice program = px_slice_text("job");
        struct px_spec spec = {
                .argv = &program,
                .argv_count = task ? 0 : 1,
                .cwd = px_slice_text("/"),
                .has_stdin = true,
        };
        uint8_t *input = px_arena_alloc(&client->arena, sizeof(*plan) + padding);

        memcpy(input, plan, sizeof(*plan));
        spec.input = px_slice_of(input, sizeof(*plan) + padding);
        return encode_spec(client, &spec, plan);
}

/* Standard input is a stored file, so the plan is an argument. The file's name says whether it is
 * there (first byte) and its length (second). */
static void item_blob(struct sim *sim, struct client *client, const struct plan *plan,
                      struct px_submit_job *item)
{
        struct px_slice argv[] = {px_slice_text("job"),
                                  px_slice_of((const uint8_t *)plan, sizeof(*plan))};
        uint8_t blob[32] = {(uint8_t)sim_below(sim, 8), (uint8_t)sim_below(sim, 3)};
        struct px_spec spec = {
                .argv = argv,
                .argv_count = 2,
                .cwd = px_slice_text("/"),
                .has_stdin = true,
                .blob = px_slice_of(blob, sizeof(blob)),
                .blob_bytes = blob[1],
        };

        item->blob = px_arena_copy(&client->arena, spec.blob);
        item->spec = encode_spec(client, &spec, plan);
}

struct px_slice population_spec(struct client *client)
{
        return spec_of_plan(client, &(struct plan){0}, false, 0);
}

static struct plan random_item(struct sim *sim, struct client *client, struct px_submit_job *item)
{
        struct plan plan = random_plan(sim);
        bool task = sim->options.workers > 0 && one_in(sim, 4);

        if (task && one_in(sim, 2))
                plan.result_bytes = (uint32_t)sim_below(sim, one_in(sim, 8) ? 60000 : 500);
        *item = (struct px_submit_job){
                .kind = task ? PX_JOB_KIND_TASK : PX_JOB_KIND_COMMAND,
                .task_type = px_slice_text(task ? "resize" : ""),
                .name = px_slice_text("j"),
                .priority = (int32_t)sim_below(sim, 21) - 10,
                .cpus_milli = task ? 0 : 1000 * (1 + (uint32_t)sim_below(sim, 2)),
                .retries = one_in(sim, 3) ? (uint32_t)sim_below(sim, 3) : 0,
                .backoff_ms = one_in(sim, 2) ? sim_below(sim, 2000) : 0,
                .on_lost = one_in(sim, 3) ? PX_ON_LOST_FAIL : PX_ON_LOST_RERUN,
                .lost_after_ms = 5000 + sim_below(sim, 30000),
                .hold = one_in(sim, 12),
                .notify = one_in(sim, 2),
        };
        item->spec = spec_of_plan(client, &plan, task, one_in(sim, 40) ? 5000 : 0);
        if (!task && one_in(sim, 12))
                item_blob(sim, client, &plan, item);
        if (!task && one_in(sim, 10))
                item->node = px_slice_text(sim->hosts[sim_below(sim, sim->options.nodes)].name);
        if (one_in(sim, 16))
                item->start_wall_ms = sim_wall_ms(sim) + (int64_t)sim_below(sim, 8000);
        if (one_in(sim, 60))
                item->priority = 5000; /* above its limit */
        if (one_in(sim, 60))
                item->cpus_milli = task ? 0 : 64000; /* nobody has that much */
        limits_item(sim, client, item);
        return plan;
}

/* Its number stands in a label, which nothing changes. */
static uint64_t item_tag(struct sim *sim, struct client *client, struct px_submit_job *item,
                         uint32_t result_bytes)
{
        struct oracle_tag *tag = oracle_tag_new(sim, client);
        struct px_label *label = px_arena_alloc(&client->arena, sizeof(*label));
        char text[24];

        tag->on_lost = item->on_lost;
        tag->array = item->array_count > 0;
        tag->spec = px_hash64(0, item->spec.data, item->spec.length);
        tag->result_bytes = result_bytes;
        snprintf(text, sizeof(text), "%llu", (unsigned long long)tag->tag);
        label->key = px_slice_text("t");
        label->value = px_arena_copy(&client->arena, px_slice_text(text));
        item->labels = label;
        item->labels_count = 1;
        return tag->tag;
}

static void submit_items(struct sim *sim, struct client *client, const struct px_submit_job *items,
                         size_t count, struct ask *ask)
{
        struct px_m_submit submit = {.jobs = items, .jobs_count = count};

        ask->kind = ASK_SUBMIT;
        ask->tags_count = count;
        px_buf_reset(&client->frame);
        px_m_submit_frame(&submit, 0, 0, &client->frame);
        client_ask(sim, client, ask, true);
}

/* Under a key; kept as bytes, so that it can be sent once more as it was. */
static void submit_keyed(struct client *client, struct px_submit_job *item, struct ask *ask)
{
        char text[24];

        snprintf(text, sizeof(text), "key%llu", (unsigned long long)ask->tags[0]);
        item->key = px_arena_copy(&client->arena, px_slice_text(text));
        client->keyed_tag = ask->tags[0];
        px_buf_reset(&client->keyed);
        px_submit_job_encode(item, &client->keyed);
}

/* Its tasks have no results: END of the array has none either. */
static void item_array(struct sim *sim, struct client *client, const struct plan *plan,
                       struct px_submit_job *item)
{
        struct px_array *set;

        if (!one_in(sim, 6) || plan->result_bytes > 0 || item->wait_ms > 0 ||
            item->expires_wall_ms > 0)
                return;
        set = px_arena_alloc(&client->arena, sizeof(*set));
        *set = (struct px_array){
                .count = 1 + (uint32_t)sim_below(sim, 6),
                .first = (uint32_t)sim_below(sim, 3),
                .step = 1 + (uint32_t)sim_below(sim, 3),
                .limit = (uint32_t)sim_below(sim, 3),
                .max_fails = (uint32_t)sim_below(sim, 3),
        };
        item->array = set;
        item->array_count = 1;
}

static void wish_submit(struct sim *sim, struct client *client)
{
        struct px_submit_job items[ASK_ITEMS];
        struct ask *ask = px_alloc(sizeof(*ask));
        size_t count = one_in(sim, 3) ? 1 + sim_below(sim, ASK_ITEMS) : 1;

        px_arena_reset(&client->arena);
        for (size_t i = 0; i < count; i++) {
                struct plan plan = random_item(sim, client, &items[i]);

                item_array(sim, client, &plan, &items[i]);
                ask->tags[i] = item_tag(sim, client, &items[i], plan.result_bytes);
        }
        if (one_in(sim, 4))
                submit_keyed(client, &items[0], ask);
        submit_items(sim, client, items, count, ask);
}

/* The same key again: with the same content it is the same job, with other content a conflict. */
static void wish_submit_again(struct sim *sim, struct client *client)
{
        struct px_submit_job item;
        struct ask *ask;
        int result;

        px_arena_reset(&client->arena);
        if (client->keyed.length == 0)
                return;
        result = px_submit_job_decode(px_buf_slice(&client->keyed), &client->arena, &item);
        PX_ASSERT(result == PX_WIRE_OK);
        ask = px_alloc(sizeof(*ask));
        ask->tags[0] = client->keyed_tag;
        if (one_in(sim, 2)) {
                item.priority = item.priority == 7 ? 8 : 7;
                ask->tags[0] = item_tag(sim, client, &item,
                                        oracle_tag(sim, client->keyed_tag)->result_bytes);
        } else {
                oracle_tag(sim, client->keyed_tag)->repeats++;
                oracle_tag(sim, client->keyed_tag)->refused = false;
        }
        submit_items(sim, client, &item, 1, ask);
}

uint64_t population_submit_one(struct sim *sim, struct client *client,
                               const struct px_submit_job *item, const struct plan *plan)
{
        struct px_submit_job own = *item;
        struct ask *ask = px_alloc(sizeof(*ask));
        uint64_t tag;

        px_arena_reset(&client->arena);
        own.spec = spec_of_plan(client, plan, item->kind == PX_JOB_KIND_TASK, 0);
        tag = item_tag(sim, client, &own, plan->result_bytes);
        ask->tags[0] = tag;
        submit_items(sim, client, &own, 1, ask);
        return tag;
}

/* ---- other wishes -----------------------------------------------------------------------------
 */

void population_change(struct sim *sim, struct client *client, int change, uint64_t id,
                       int64_t number, bool force)
{
        struct px_job_id job = {id};
        struct px_m_change message = {
                .change = change,
                .jobs = &job,
                .jobs_count = 1,
                .text = px_slice_text(change == PX_CHANGE_RENAME ? "renamed" : ""),
                .number = number,
                .force = force,
        };
        struct oracle_job *known = oracle_job(sim, id);
        struct ask *ask = px_alloc(sizeof(*ask));

        ask->kind = ASK_CHANGE;
        ask->change = change;
        ask->job = id;
        if (known != NULL && change == PX_CHANGE_RETRY)
                known->retries_asked++;
        if (known != NULL && change == PX_CHANGE_PURGE)
                known->purge_asked = true;
        px_buf_reset(&client->frame);
        px_m_change_frame(&message, 0, 0, &client->frame);
        client_ask(sim, client, ask, true);
}

static void wish_change(struct sim *sim, struct client *client)
{
        static const uint8_t changes[] = {
                PX_CHANGE_CANCEL,  PX_CHANGE_CANCEL,  PX_CHANGE_CANCEL,   PX_CHANGE_RETRY,
                PX_CHANGE_RETRY,   PX_CHANGE_RETRY,   PX_CHANGE_HOLD,     PX_CHANGE_HOLD,
                PX_CHANGE_RELEASE, PX_CHANGE_RELEASE, PX_CHANGE_RENAME,   PX_CHANGE_PURGE,
                PX_CHANGE_SIGNAL,  PX_CHANGE_SIGNAL,  PX_CHANGE_PRIORITY, PX_CHANGE_PRIORITY,
        };
        int change = changes[sim_below(sim, PX_COUNT_OF(changes))];
        const struct oracle_job *job = oracle_any(sim);
        int64_t number = 0;

        /* Cancels and signals meant for what runs, retries for what ended. */
        for (int i = 0; i < 4 && job != NULL; i++) {
                bool fits = change == PX_CHANGE_CANCEL || change == PX_CHANGE_SIGNAL
                                    ? job->state >= PX_JOB_STATE_ASSIGNED &&
                                              job->state <= PX_JOB_STATE_CANCELLING
                            : change == PX_CHANGE_RETRY ? job->state > PX_JOB_STATE_OK
                                                        : true;

                if (fits)
                        break;
                job = oracle_any(sim);
        }
        if (job == NULL)
                return;
        if (change == PX_CHANGE_SIGNAL)
                number = one_in(sim, 4) ? 99 : 10;
        if (change == PX_CHANGE_PRIORITY)
                number = one_in(sim, 4) ? 5000 : (int64_t)sim_below(sim, 100);
        population_change(sim, client, change, job->id, number, one_in(sim, 2));
}

static void watch_jobs(struct sim *sim, struct client *client, const struct px_job_id *jobs,
                       size_t count)
{
        struct px_m_watch watch = {.jobs = jobs, .jobs_count = count};
        struct ask *ask = px_alloc(sizeof(*ask));

        ask->kind = ASK_WATCH;
        px_buf_reset(&client->frame);
        px_m_watch_frame(&watch, 0, 0, &client->frame);
        client_ask(sim, client, ask, false);
}

static void wish_watch(struct sim *sim, struct client *client)
{
        const struct oracle_job *job = oracle_any(sim);
        struct px_job_id id;

        if (job == NULL)
                return;
        id.value = job->id;
        watch_jobs(sim, client, &id, 1);
}

static void change_node(struct sim *sim, struct client *client, int change, const char *name)
{
        struct px_m_node_change message = {.change = change, .node = px_slice_text(name)};
        struct ask *ask = px_alloc(sizeof(*ask));

        ask->kind = ASK_NODE;
        px_buf_reset(&client->frame);
        px_m_node_change_frame(&message, 0, 0, &client->frame);
        client_ask(sim, client, ask, true);
}

static void wish_node(struct sim *sim, struct client *client)
{
        static const uint8_t changes[] = {
                PX_NODE_CHANGE_DRAIN,      PX_NODE_CHANGE_RESUME,    PX_NODE_CHANGE_RESUME,
                PX_NODE_CHANGE_STOP_DRAIN, PX_NODE_CHANGE_STOP_KILL, PX_NODE_CHANGE_REMOVE,
        };

        int change = changes[sim_below(sim, PX_COUNT_OF(changes))];

        /* Two draws in one expression would depend on the compiler. */
        change_node(sim, client, change, sim->hosts[sim_below(sim, sim->hosts_count)].name);
}

/* Tokens that nobody uses: made, and revoked by their names. */
static void wish_token(struct sim *sim, struct client *client)
{
        uint8_t public_key[32] = {0xee};
        char name[24];
        struct px_m_token_make make = {.role = PX_ROLE_USER,
                                       .public_key = px_slice_of(public_key, 32)};
        struct px_m_token_revoke revoke = {0};
        struct ask *ask = px_alloc(sizeof(*ask));
        uint64_t number = sim_below(sim, 12);

        snprintf(name, sizeof(name), "t%llu", (unsigned long long)number);
        px_put_be64(public_key + 8, px_rand_u64(&sim->rand));
        make.name = px_slice_text(name);
        make.lifetime_ms = one_in(sim, 2) ? 1000 + sim_below(sim, 60000) : 0;
        revoke.name = make.name;
        ask->kind = ASK_TOKEN;
        px_buf_reset(&client->frame);
        if (one_in(sim, 2))
                px_m_token_make_frame(&make, 0, 0, &client->frame);
        else
                px_m_token_revoke_frame(&revoke, 0, 0, &client->frame);
        client_ask(sim, client, ask, true);
}

static void wish_question(struct sim *sim, struct client *client)
{
        const struct oracle_job *job = oracle_any(sim);
        struct px_m_why why = {.job = {job == NULL ? 1 : job->id}};
        struct ask *ask = px_alloc(sizeof(*ask));

        ask->kind = ASK_QUESTION;
        px_buf_reset(&client->frame);
        switch (sim_below(sim, 6)) {
        case 0:
                px_m_why_frame(&why, 0, 0, &client->frame);
                break;
        case 1:
        case 2:
        case 3:
                limits_question(sim, client, job == NULL ? 1 : job->id);
                break;
        case 4:
                px_m_status_frame(&(struct px_m_status){0}, 0, 0, &client->frame);
                break;
        default:
                px_m_nodes_frame(&(struct px_m_nodes){0}, 0, 0, &client->frame);
        }
        client_ask(sim, client, ask, false);
}

static void wish(struct sim *sim, struct event *event);

static void plan_wish(struct sim *sim, struct client *client, uint64_t delay_ms)
{
        struct event *event = sim_plan(sim, delay_ms, wish, client);

        event->generation = client->life;
        event->frozen_ms = &client->frozen_ms;
}

/* Bytes that are no request: a truncated one, a type that clients don't send, an item above limits. */
static void wish_malformed(struct sim *sim, struct client *client)
{
        struct px_m_change change = {.session = {px_outbox_session(client->outbox)}};
        uint64_t kind = sim_below(sim, 3);

        px_buf_reset(&client->frame);
        if (kind == 0)
                px_m_tick_frame(&(struct px_m_tick){0}, MALFORMED_NUMBER, 0, &client->frame);
        else
                px_m_change_frame(&change, MALFORMED_NUMBER, 0, &client->frame);
        if (kind == 1)
                client->frame.length -= 1 + sim_below(sim, 4);
        if (kind == 2)
                client->frame.data[client->frame.length - 1] = 0xc1; /* no msgpack */
        sim_count(sim, MET_MALFORMED);
        wire_up(sim, &client->wire, px_buf_slice(&client->frame), 0);
}

static void wish(struct sim *sim, struct event *event)
{
        struct client *client = event->owner;
        uint64_t kind = sim_below(sim, 100);

        if (event->generation != client->life || sim->ending)
                return;
        if (kind < 40)
                wish_submit(sim, client);
        else if (kind < 45)
                wish_submit_again(sim, client);
        else if (kind < 82)
                wish_change(sim, client);
        else if (kind < 92)
                wish_watch(sim, client);
        else if (kind < 94)
                wish_node(sim, client);
        else if (kind < 96)
                wish_token(sim, client);
        else if (kind < 97)
                limits_wish(sim, client);
        else if (kind < 98)
                wish_malformed(sim, client);
        else
                wish_question(sim, client);
        plan_wish(sim, client, 1 + sim_below(sim, THINK_MS));
}

void population_begin(struct sim *sim, struct client *client)
{
        plan_wish(sim, client, sim_below(sim, THINK_MS));
}

/* ---- the end ----------------------------------------------------------------------------------
 */

static void finish_watch(struct sim *sim, struct client *admin)
{
        struct oracle *oracle = &sim->oracle;
        struct px_job_id jobs[256];
        size_t count = 0;

        for (size_t i = 0; i < oracle->job_ids_count; i++) {
                const struct oracle_job *job = oracle_job(sim, oracle->job_ids[i]);

                if (!job->purged && !job->end_seen && count < PX_COUNT_OF(jobs))
                        jobs[count++].value = job->id;
        }
        if (count > 0)
                watch_jobs(sim, admin, jobs, count);
}

void population_finish(struct sim *sim)
{
        struct client *admin = &sim->clients[0];
        struct oracle *oracle = &sim->oracle;

        if (!admin->up || px_outbox_count(admin->outbox) > 0)
                return;
        for (size_t i = 0; i < sim->options.nodes; i++)
                change_node(sim, admin, PX_NODE_CHANGE_RESUME, sim->hosts[i].name);
        for (size_t i = 0; i < oracle->job_ids_count; i++) {
                const struct oracle_job *job = oracle_job(sim, oracle->job_ids[i]);

                if (job->purged || job->state > PX_JOB_STATE_QUEUED)
                        continue;
                if (job->state == PX_JOB_STATE_BLOCKED && one_in(sim, 2))
                        population_change(sim, admin, PX_CHANGE_RELEASE, job->id, 0, false);
                else if (one_in(sim, 5)) /* it may wait for what will never be */
                        population_change(sim, admin, PX_CHANGE_CANCEL, job->id, 0, false);
        }
        limits_lift(sim, admin);
        finish_watch(sim, admin);
}

/* ---- answers ----------------------------------------------------------------------------------
 */

static void answer_refused(struct sim *sim, const struct ask *ask, struct px_slice body)
{
        struct px_m_refused refused;
        int result = px_m_refused_decode(body, &sim->arena, &refused);

        SIM_CHECK(sim, result == PX_WIRE_OK, "a malformed REFUSED");
        SIM_TRACE(sim, "refused with %llu: a request of kind %llu", refused.code, ask->kind, 0, 0);
        if (refused.code == PX_E_REVOKED)
                return; /* said of the token: an earlier copy of the request may have run */
        for (size_t i = 0; i < ask->tags_count; i++)
                oracle_refused(sim, ask->tags[i]);
}

static void answer_submitted(struct sim *sim, const struct ask *ask, struct px_slice body)
{
        struct px_m_submitted submitted;
        size_t item = 0;
        int result = px_m_submitted_decode(body, &sim->arena, &submitted);

        SIM_CHECK(sim, result == PX_WIRE_OK, "a malformed SUBMITTED");
        for (size_t i = 0; i < submitted.runs_count; i++) {
                const struct px_answer_run *run = &submitted.runs[i];

                for (uint32_t at = 0; at < run->count; at++, item++) {
                        SIM_CHECK(sim, item < ask->tags_count, "more answers than submissions");
                        sim_count_refusal(sim, run->code);
                        if (run->code != 0)
                                oracle_refused(sim, ask->tags[item]);
                        else
                                oracle_acked(sim, ask->tags[item], run->job.value + at);
                }
        }
        SIM_CHECK(sim, item == ask->tags_count, "fewer answers than submissions");
}

static void answer_changed(struct sim *sim, const struct client *client, const struct ask *ask,
                           struct px_slice body)
{
        struct px_m_changed changed;
        int result = px_m_changed_decode(body, &sim->arena, &changed);

        SIM_CHECK(sim, result == PX_WIRE_OK && changed.items_count == 1, "a malformed CHANGED");
        SIM_CHECK(sim, changed.items[0].job.value == ask->job, "an answer about another job");
        if (changed.items[0].code == 0 && oracle_job(sim, ask->job) != NULL)
                SIM_CHECK(sim,
                          client->principal == SIM_ADMIN ||
                                  client->principal == oracle_job(sim, ask->job)->principal,
                          "principal %u changed job %llu of principal %u", client->principal,
                          (unsigned long long)ask->job, oracle_job(sim, ask->job)->principal);
        sim_count_refusal(sim, changed.items[0].code);
}

static void answer_token(struct sim *sim, struct px_wire_header header, struct px_slice body)
{
        struct px_m_token_made made;

        sim_count(sim, MET_TOKEN_CHANGED);
        if (header.type != PX_M_TOKEN_MADE)
                return;
        SIM_CHECK(sim, px_m_token_made_decode(body, &sim->arena, &made) == PX_WIRE_OK,
                  "a malformed TOKEN_MADE");
        sim->tokens[sim->tokens_count++ % TOKENS_KEPT] = made.principal.value;
}

void population_ends(struct sim *sim, struct px_slice body)
{
        struct px_m_end end;
        int result = px_m_end_decode(body, &sim->arena, &end);

        SIM_CHECK(sim, result == PX_WIRE_OK, "a malformed END");
        for (size_t i = 0; i < end.items_count; i++)
                oracle_end_seen(sim, &end.items[i]);
}

void population_answer(struct sim *sim, struct client *client, struct ask *ask,
                       struct px_wire_header header, struct px_slice body)
{
        if (header.type == PX_M_REFUSED)
                answer_refused(sim, ask, body);
        else if (ask->kind == ASK_SUBMIT && header.type == PX_M_SUBMITTED)
                answer_submitted(sim, ask, body);
        else if (ask->kind == ASK_CHANGE && header.type == PX_M_CHANGED)
                answer_changed(sim, client, ask, body);
        else if (ask->kind == ASK_WATCH && header.type == PX_M_END)
                population_ends(sim, body);
        else if (header.type == PX_M_GATE_IS)
                sim_count(sim, MET_LIMIT_SET);
        else if (header.type == PX_M_TOKEN_MADE || header.type == PX_M_TOKEN_REVOKED)
                answer_token(sim, header, body);
        else
                SIM_CHECK(sim, ask->kind == ASK_NODE || ask->kind == ASK_QUESTION,
                          "an answer of type %u to a request of kind %d", header.type, ask->kind);
}

void population_expired(struct sim *sim, struct client *client, struct ask *ask)
{
        (void)client;
        (void)ask;
        sim->stats->refusals[PX_E_EXPIRED]++;
}
