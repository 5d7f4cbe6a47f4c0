/* SPDX-License-Identifier: Apache-2.0 */
/* sim_limits.c - people ask for gpus, resources, labels, queues and deadlines, and administrators
 * limit users, queues, modules and resources. core_check() sees that no counter is wrong and no limit
 * exceeded. */
#include "sim_inside.h"

static bool one_in(struct sim *sim, uint64_t count)
{
        return sim_below(sim, count) == 0;
}

/* ---- needs --------------------------------------------------------------------------------------
 */

static void item_resources(struct sim *sim, struct client *client, struct px_submit_job *item)
{
        struct px_resource *resource = px_arena_alloc(&client->arena, 2 * sizeof(*resource));

        if (one_in(sim, 4)) {
                resource[item->resources_count].name = px_slice_text("slot");
                resource[item->resources_count++].amount = 1 + sim_below(sim, 2);
        }
        if (item->kind == PX_JOB_KIND_COMMAND && one_in(sim, 6)) {
                resource[item->resources_count].name = px_slice_text("disk");
                resource[item->resources_count++].amount = 1 + sim_below(sim, 5);
        }
        item->resources = resource;
}

static void item_labels(struct sim *sim, struct client *client, struct px_submit_job *item)
{
        struct px_constraint *constraint = px_arena_alloc(&client->arena, sizeof(*constraint));
        struct px_slice *value = px_arena_alloc(&client->arena, sizeof(*value));

        *value = px_slice_text(one_in(sim, 2) ? "a" : "b");
        constraint->key = px_slice_text(one_in(sim, 20) ? "zoo" : "zone");
        constraint->op = 1 + (int)sim_below(sim, 5);
        constraint->values = value;
        constraint->values_count = constraint->op <= PX_CONSTRAINT_OP_IN ? 1 : 0;
        if (one_in(sim, 20))
                constraint->values_count = 1 - constraint->values_count; /* malformed */
        item->constraints = constraint;
        item->constraints_count = 1;
}

void limits_item(struct sim *sim, struct client *client, struct px_submit_job *item)
{
        static const uint32_t gpus_milli[] = {250, 500, 700, 1000, 2000, 1500};

        item_resources(sim, client, item);
        if (item->kind == PX_JOB_KIND_COMMAND && one_in(sim, 6))
                item->gpus_milli = gpus_milli[sim_below(sim, PX_COUNT_OF(gpus_milli))];
        if (item->kind == PX_JOB_KIND_COMMAND && one_in(sim, 6))
                item_labels(sim, client, item);
        if (one_in(sim, 4))
                item->queue = px_slice_text(one_in(sim, 3) ? "default" : "fast");
        if (one_in(sim, 5))
                item->module = px_slice_text(one_in(sim, 2) ? "m1" : "m2");
        if (one_in(sim, 8))
                item->apart = px_slice_text("apart");
        if (one_in(sim, 8))
                item->warm = px_slice_text("zone");
        if (one_in(sim, 5))
                item->wait_ms = 1 + sim_below(sim, 20000);
        if (one_in(sim, 8))
                item->expires_wall_ms = sim_wall_ms(sim) + (int64_t)sim_below(sim, 40000);
        item->wait_for_node = one_in(sim, 3);
}

/* ---- limits -------------------------------------------------------------------------------------
 */

static void set_limit(struct sim *sim, struct client *client, const struct px_m_gate_set *set)
{
        struct ask *ask = px_alloc(sizeof(*ask));

        ask->kind = ASK_LIMIT;
        px_buf_reset(&client->frame);
        px_m_gate_set_frame(set, 0, 0, &client->frame);
        client_ask(sim, client, ask, true);
}

static struct px_slice name_of(struct sim *sim, int kind)
{
        switch (kind) {
        case PX_GATE_KIND_USER:
                return px_slice_text(one_in(sim, 2) ? "ann" : "root");
        case PX_GATE_KIND_QUEUE:
                return px_slice_text(one_in(sim, 3) ? "default" : "fast");
        case PX_GATE_KIND_MODULE:
                return px_slice_text(one_in(sim, 2) ? "m1" : "resize");
        default:
                return px_slice_text(one_in(sim, 8) ? "disk" : "slot");
        }
}

void limits_wish(struct sim *sim, struct client *client)
{
        struct px_m_gate_set set = {.what = 127, .remove = one_in(sim, 8)};

        set.gate.kind = 1 + (int)sim_below(sim, 4);
        set.gate.name = name_of(sim, set.gate.kind);
        set.gate.running_max = one_in(sim, 2) ? sim_below(sim, 4) : 0;
        set.gate.queued_max = one_in(sim, 4) ? 1 + sim_below(sim, 20) : 0;
        if (one_in(sim, 4)) {
                set.gate.rate_count = 1 + (uint32_t)sim_below(sim, 3);
                set.gate.rate_ms = 1 + sim_below(sim, 5000);
        }
        set.gate.paused = one_in(sim, 6);
        set.gate.weight = 1 + (uint32_t)sim_below(sim, 4);
        set.gate.priority_max = one_in(sim, 4) ? 5 : 0;
        set.gate.capacity = sim_below(sim, 5);
        set_limit(sim, client, &set);
}

void limits_lift(struct sim *sim, struct client *admin)
{
        static const struct {
                int kind;
                const char *name;
                bool remove;
        } lifted[] = {
                {PX_GATE_KIND_USER, "ann", true},      {PX_GATE_KIND_USER, "root", true},
                {PX_GATE_KIND_QUEUE, "default", true}, {PX_GATE_KIND_QUEUE, "fast", false},
                {PX_GATE_KIND_MODULE, "m1", true},     {PX_GATE_KIND_MODULE, "resize", false},
                {PX_GATE_KIND_RESOURCE, "slot", false},
        };

        for (size_t i = 0; i < PX_COUNT_OF(lifted); i++) {
                struct px_m_gate_set set = {.what = 127, .remove = lifted[i].remove};

                set.gate.kind = lifted[i].kind;
                set.gate.name = px_slice_text(lifted[i].name);
                set.gate.weight = 1;
                set.gate.capacity = 4;
                set_limit(sim, admin, &set);
        }
}

/* ---- questions ----------------------------------------------------------------------------------
 */

void limits_question(struct sim *sim, struct client *client, uint64_t job)
{
        struct px_job_id ids[] = {{job}, {job + 1}, {job + 2}};
        struct px_m_reasons reasons = {.jobs = ids, .jobs_count = 3};
        struct px_m_try try = {.job = {.kind = PX_JOB_KIND_COMMAND,
                                       .cpus_milli = 1000,
                                       .on_lost = PX_ON_LOST_RERUN}};

        switch (sim_below(sim, 3)) {
        case 0:
                px_m_reasons_frame(&reasons, 0, 0, &client->frame);
                break;
        case 1:
                px_arena_reset(&client->arena);
                limits_item(sim, client, &try.job);
                try.job.spec = population_spec(client);
                px_buf_reset(&client->frame);
                px_m_try_frame(&try, 0, 0, &client->frame);
                break;
        default:
                px_m_gates_frame(&(struct px_m_gates){0}, 0, 0, &client->frame);
        }
}
