/* SPDX-License-Identifier: Apache-2.0 */
/* gate.c - limits for all nodes together: of users, queues and modules, and resources of the mesh.
 * Layer: L2 (broker/core). Source: DESIGN 8.
 *
 * A gate exists while an administrator has set something of it. What stands behind a shut gate is
 * parked there, and is tried again when the gate lets something through. */
#include "state.h"

#define START_MILLI 1000 /* one start, in thousandths */

static uint64_t gate_hash(int kind, struct px_slice name)
{
        return px_hash64((uint64_t)kind, name.data, name.length);
}

struct gate *gate_find(const struct core *core, int kind, struct px_slice name)
{
        struct gate *gate = px_map_find(&core->gates_by_name, gate_hash(kind, name));

        return gate != NULL && gate->set.kind == kind && px_slice_equal(gate->set.name, name)
                       ? gate
                       : NULL;
}

/* ---- rates ---------------------------------------------------------------------------------------------- */

/* Starts saved by now: at most as many as one span allows. */
static uint64_t rate_saved_milli(const struct gate *gate, int64_t now_ms)
{
        uint64_t full = (uint64_t)gate->set.rate_count * START_MILLI;
        uint64_t passed_ms = PX_MIN((uint64_t)(now_ms - gate->starts_ms), gate->set.rate_ms);

        return PX_MIN(full, gate->starts_milli + passed_ms * full / gate->set.rate_ms);
}

static bool rate_is_shut(const struct core *core, const struct gate *gate)
{
        return gate->set.rate_count > 0 && rate_saved_milli(gate, core->core_ms) < START_MILLI;
}

static void rate_take(struct core *core, struct gate *gate)
{
        if (gate->set.rate_count == 0)
                return;
        gate->starts_milli = rate_saved_milli(gate, core->core_ms);
        gate->starts_milli -= PX_MIN(gate->starts_milli, (uint64_t)START_MILLI);
        gate->starts_ms = core->core_ms;
}

/* Whoever is parked for the rate is woken when it allows the next start. */
void gate_rate_arm(struct core *core, struct gate *gate)
{
        uint64_t full = (uint64_t)gate->set.rate_count * START_MILLI;
        uint64_t saved;

        if (!rate_is_shut(core, gate) || gate->timer.item.position != 0)
                return;
        saved = rate_saved_milli(gate, core->core_ms);
        timer_arm(core, &gate->timer, TIMER_GATE, gate->id,
                  core->core_ms + 1 +
                          (int64_t)((START_MILLI - saved) * gate->set.rate_ms / full));
}

void gate_timer_fired(struct core *core, uint64_t id)
{
        struct gate *gate = px_map_find(&core->gates, id);

        PX_ASSERT(gate != NULL);
        gate_wake(core, gate);
}

/* ---- shut or not ------------------------------------------------------------------------------------------ */

static int cap_reason(const struct gate *gate)
{
        switch (gate->set.kind) {
        case PX_GATE_KIND_USER:
                return PX_REASON_USER_CAP;
        case PX_GATE_KIND_QUEUE:
                return PX_REASON_QUEUE_CAP;
        case PX_GATE_KIND_MODULE:
                return PX_REASON_MODULE_CAP;
        default:
                return PX_REASON_SLOT;
        }
}

uint64_t gate_running(const struct gate *gate, const struct share *share)
{
        return gate->set.kind == PX_GATE_KIND_USER ? share->running : gate->running;
}

int gate_shut(const struct core *core, const struct gate *gate, const struct share *share,
              uint64_t amount)
{
        if (gate->set.paused)
                return PX_REASON_PAUSED;
        if (gate->set.kind == PX_GATE_KIND_RESOURCE &&
            (gate->used > gate->set.capacity || amount > gate->set.capacity - gate->used))
                return PX_REASON_SLOT;
        if (gate->set.running_max > 0 && gate_running(gate, share) >= gate->set.running_max)
                return cap_reason(gate);
        return rate_is_shut(core, gate) ? PX_REASON_RATE : 0;
}

struct gate *gates_shut(const struct core *core, const struct shape *shape,
                        const struct share *share, int *ret_reason)
{
        *ret_reason = 0;
        if (share->gate != NULL)
                *ret_reason = gate_shut(core, share->gate, share, 1);
        if (*ret_reason != 0)
                return share->gate;
        for (size_t i = 0; i < shape->gates_count; i++) {
                const struct shape_gate *at = &shape->gates[i];

                *ret_reason = gate_shut(core, at->gate, share, at->amount);
                if (*ret_reason != 0)
                        return at->gate;
        }
        return NULL;
}

/* ---- through ----------------------------------------------------------------------------------------------- */

void gate_wake(struct core *core, struct gate *gate)
{
        while (!px_list_empty(&gate->parked))
                line_open(core, PX_CONTAINER_OF(gate->parked.next, struct line, parked));
}

void gates_enter(struct core *core, struct shape *shape, struct share *share)
{
        shape->running++;
        if (share->gate != NULL)
                rate_take(core, share->gate);
        for (size_t i = 0; i < shape->gates_count; i++) {
                struct gate *gate = shape->gates[i].gate;

                gate->running++;
                gate->used += shape->gates[i].amount;
                rate_take(core, gate);
        }
}

void gates_leave(struct core *core, struct shape *shape, struct share *share)
{
        PX_ASSERT(shape->running > 0);
        shape->running--;
        if (share->gate != NULL)
                gate_wake(core, share->gate);
        for (size_t i = 0; i < shape->gates_count; i++) {
                struct gate *gate = shape->gates[i].gate;

                PX_ASSERT(gate->running > 0 && gate->used >= shape->gates[i].amount);
                gate->running--;
                gate->used -= shape->gates[i].amount;
                gate_wake(core, gate);
        }
}

/* ---- which gates ------------------------------------------------------------------------------------------- */

static void link_one(struct shape *shape, struct gate *gate, uint64_t amount)
{
        if (gate != NULL)
                shape->gates[shape->gates_count++] = (struct shape_gate){gate, amount};
}

void shape_link_gates(const struct core *core, struct shape *shape)
{
        const struct px_shape_row *need = &shape->need;
        struct px_slice module = shape_module(need);

        px_free(shape->gates);
        shape->gates = NULL;
        shape->gates_count = 0;
        shape->resources_count = 0;
        if (core->gates.count > 0)
                shape->gates = px_alloc((need->resources_count + 2) * sizeof(*shape->gates));
        if (core->gates.count > 0)
                link_one(shape, gate_find(core, PX_GATE_KIND_QUEUE, shape_queue(need)), 1);
        if (core->gates.count > 0 && module.length > 0)
                link_one(shape, gate_find(core, PX_GATE_KIND_MODULE, module), 1);
        for (size_t i = 0; i < need->resources_count; i++) {
                const struct px_resource *resource = &need->resources[i];
                struct gate *gate =
                        gate_find(core, PX_GATE_KIND_RESOURCE, resource->name);

                if (gate != NULL)
                        link_one(shape, gate, resource->amount);
                else
                        shape->resources[shape->resources_count++] = *resource;
        }
}

/* A gate came or went: whoever was parked is tried, and everything is counted anew. */
static void gates_relink(struct core *core)
{
        size_t cursor = 0;
        uint64_t id;
        void *value;

        PX_LIST_EACH(&core->gate_list, at)
        {
                struct gate *gate = PX_CONTAINER_OF(at, struct gate, link);

                gate->running = gate->jobs = gate->used = 0;
                gate_wake(core, gate);
        }
        while (px_map_next(&core->shapes, &cursor, &id, &value)) {
                struct shape *shape = value;

                shape_link_gates(core, shape);
                for (size_t i = 0; i < shape->gates_count; i++) {
                        shape->gates[i].gate->running += shape->running;
                        shape->gates[i].gate->jobs += shape->jobs_count;
                        shape->gates[i].gate->used += shape->running * shape->gates[i].amount;
                }
        }
        PX_LIST_EACH(&core->node_list, at)
        room_recount(PX_CONTAINER_OF(at, struct node, link));
        core->nodes_version++;
}

static void gate_link_users(struct core *core, struct gate *gate, struct gate *to)
{
        PX_LIST_EACH(&core->principal_list, at)
        {
                struct principal *principal = PX_CONTAINER_OF(at, struct principal, link);

                if (px_slice_equal(principal->name, gate->set.name))
                        principal->share.gate = to;
        }
}

static struct gate *gate_add(struct core *core, uint32_t id, const struct px_gate *set)
{
        struct gate *gate = px_alloc(sizeof(*gate));

        *gate = (struct gate){.id = id, .set = *set};
        gate->set.name = slice_own(set->name);
        px_list_init(&gate->parked);
        px_list_append(&core->gate_list, &gate->link);
        px_map_put(&core->gates, id, gate);
        px_map_put(&core->gates_by_name, gate_hash(set->kind, set->name), gate);
        core->next_gate = PX_MAX(core->next_gate, id + 1);
        if (set->kind == PX_GATE_KIND_USER)
                gate_link_users(core, gate, gate);
        return gate;
}

struct gate *gate_new(struct core *core, const struct px_gate *set)
{
        struct gate *gate;

        PX_ASSERT(gate_find(core, set->kind, set->name) == NULL);
        gate = gate_add(core, core->next_gate, set);
        gate->starts_ms = core->core_ms;
        gates_relink(core);
        return gate;
}

static void gate_free(struct gate *gate)
{
        slice_drop((struct px_slice *)&gate->set.name);
        px_free(gate);
}

void gate_remove(struct core *core, struct gate *gate)
{
        gate_wake(core, gate);
        timer_disarm(core, &gate->timer);
        px_list_remove(&gate->link);
        px_map_take(&core->gates, gate->id);
        px_map_take(&core->gates_by_name, gate_hash(gate->set.kind, gate->set.name));
        if (gate->set.kind == PX_GATE_KIND_USER)
                gate_link_users(core, gate, NULL);
        gates_relink(core);
        gate_free(gate);
}

/* The first gates are loaded before any shape. */
int gate_load(struct core *core, uint32_t id, const struct px_gate_row *row)
{
        if (id == 0 || row->gate.kind == 0 || row->gate.name.length == 0 ||
            px_map_find(&core->gates, id) != NULL ||
            px_map_find(&core->gates_by_name, gate_hash(row->gate.kind, row->gate.name)) != NULL)
                return PX_E_DAMAGED;
        gate_add(core, id, &row->gate);
        return PX_OK;
}

void gates_init(struct core *core)
{
        px_list_init(&core->gate_list);
        core->next_gate = 1;
}

void gates_fini(struct core *core)
{
        while (!px_list_empty(&core->gate_list)) {
                struct gate *gate = PX_CONTAINER_OF(core->gate_list.next, struct gate, link);

                px_list_remove(&gate->link);
                gate_free(gate);
        }
        px_map_fini(&core->gates);
        px_map_fini(&core->gates_by_name);
}
