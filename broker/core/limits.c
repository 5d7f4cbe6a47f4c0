/* SPDX-License-Identifier: Apache-2.0 */
/* limits.c - GATE_SET and GATES: what administrators limit, and how full it is.
 * Layer: L2 (broker/core). */
#include "state.h"

#define WHAT_RUNNING 1u
#define WHAT_QUEUED 2u
#define WHAT_RATE 4u
#define WHAT_PAUSED 8u
#define WHAT_WEIGHT 16u
#define WHAT_PRIORITY 32u
#define WHAT_CAPACITY 64u
#define HOLDERS_MAX 16
#define RATE_MS_MAX (24LL * 3600 * 1000)

/* ---- what is asked ------------------------------------------------------------------------------------- */

static bool set_is_sound(struct core *core, const struct px_m_gate_set *message)
{
        const struct px_gate *set = &message->gate;
        uint32_t what = message->what;

        if (set->kind == 0 || !name_is_valid(set->name))
                refuse(core, PX_E_INVALID, "a limit needs a kind and a name of letters, digits, . _ -");
        else if ((what & WHAT_WEIGHT) && (set->weight < 1 || set->weight > PX_LIMIT_SHARE_WEIGHT))
                refuse(core, PX_E_LIMIT, "a weight lies between 1 and %d", PX_LIMIT_SHARE_WEIGHT);
        else if ((what & WHAT_PRIORITY) && (set->priority_max < -PX_LIMIT_PRIORITY ||
                                            set->priority_max > PX_LIMIT_PRIORITY))
                refuse(core, PX_E_LIMIT, "a priority lies between %d and %d", -PX_LIMIT_PRIORITY,
                       PX_LIMIT_PRIORITY);
        else if ((what & WHAT_RATE) && ((set->rate_count == 0) != (set->rate_ms == 0) ||
                                        set->rate_ms > RATE_MS_MAX ||
                                        set->rate_count > PX_LIMIT_RESOURCE_AMOUNT))
                refuse(core, PX_E_INVALID, "a rate is a count of starts within at most a day");
        else if ((what & WHAT_CAPACITY) && set->capacity > PX_LIMIT_RESOURCE_AMOUNT)
                refuse(core, PX_E_LIMIT, "a capacity is at most %d", PX_LIMIT_RESOURCE_AMOUNT);
        else
                return true;
        return false;
}

static bool set_names_user(struct core *core, const struct px_gate *set)
{
        struct px_slice near;

        if (set->kind != PX_GATE_KIND_USER || principal_named(core, set->name) != NULL)
                return true;
        near = nearest_user(core, set->name);
        refuse(core, PX_E_ABSENT, "there is no user %.*s%.*s", (int)set->name.length,
               (const char *)set->name.data, (int)near.length, (const char *)near.data);
        return false;
}

static void set_merge(struct px_gate *into, const struct px_gate *from, uint32_t what)
{
        if (what & WHAT_RUNNING)
                into->running_max = from->running_max;
        if (what & WHAT_QUEUED)
                into->queued_max = from->queued_max;
        if (what & WHAT_RATE) {
                into->rate_count = from->rate_count;
                into->rate_ms = from->rate_ms;
        }
        if (what & WHAT_PAUSED)
                into->paused = from->paused;
        if (what & WHAT_WEIGHT)
                into->weight = from->weight;
        if (what & WHAT_PRIORITY)
                into->priority_max = from->priority_max;
        if (what & WHAT_CAPACITY)
                into->capacity = from->capacity;
}

/* ---- what there is --------------------------------------------------------------------------------------- */

static void gate_put(struct core *core, const struct gate *gate)
{
        struct row_key key = row_key_u32(gate->id);
        struct px_gate_row row = {.gate = gate->set};

        px_buf_reset(&core->bytes);
        px_gate_row_encode(&row, &core->bytes);
        put_row(core, PX_TABLE_GATE, &key, px_buf_slice(&core->bytes));
}

static bool shape_goes_through(const struct shape *shape, const struct gate *gate)
{
        for (size_t i = 0; i < shape->gates_count; i++)
                if (shape->gates[i].gate == gate)
                        return true;
        return false;
}

size_t gate_holders(const struct core *core, const struct gate *gate, struct px_job_id *ret_ids,
                    size_t room)
{
        size_t count = 0;

        PX_LIST_EACH(&core->node_list, at)
        {
                const struct node *node = PX_CONTAINER_OF(at, struct node, link);

                PX_LIST_EACH(&node->held, held)
                {
                        const struct job *job = PX_CONTAINER_OF(held, struct attempt, link)->job;

                        if (count == room)
                                return count;
                        if (job != NULL && shape_goes_through(shape_find(core, job->shape), gate))
                                ret_ids[count++].value = job->id;
                }
        }
        return count;
}

static const struct principal *gate_user(const struct core *core, const struct gate *gate)
{
        return gate->set.kind == PX_GATE_KIND_USER ? principal_named(core, gate->set.name) : NULL;
}

static struct px_gate_view gate_view(struct core *core, const struct gate *gate)
{
        const struct principal *user = gate_user(core, gate);
        struct px_gate_view view = {
                .gate = gate->set,
                .running = gate->running,
                .queued = gate->jobs - gate->running,
                .used = gate->used,
        };
        struct px_job_id *ids;

        if (user != NULL) {
                view.running = user->share.running;
                view.queued = user->jobs_count - user->share.running;
                view.usage_permille = share_permille(core, &user->share);
        }
        if (gate->set.kind != PX_GATE_KIND_RESOURCE || gate->used == 0)
                return view;
        ids = px_arena_alloc(&core->scratch, HOLDERS_MAX * sizeof(*ids));
        view.holders_count = gate_holders(core, gate, ids, HOLDERS_MAX);
        view.holders = ids;
        return view;
}

static void gate_event(struct core *core, const struct gate *gate, int kind)
{
        struct px_event event = {
                .kind = (uint16_t)kind,
                .exit_code = -1,
                .text = output_text(core, "%s %.*s", px_gate_kind_name(gate->set.kind),
                                    (int)gate->set.name.length,
                                    (const char *)gate->set.name.data),
        };

        put_event(core, &event);
}

/* ---- messages --------------------------------------------------------------------------------------------- */

static void limits_remove(struct core *core, struct session *session, struct gate *gate,
                          const struct px_gate *asked)
{
        struct px_m_gate_is answer = {.gate = {.gate = {.kind = asked->kind, .name = asked->name}}};
        struct row_key key;

        if (gate == NULL) {
                refuse(core, PX_E_ABSENT, "nothing is set of %s %.*s",
                       px_gate_kind_name(asked->kind), (int)asked->name.length,
                       (const char *)asked->name.data);
                return;
        }
        key = row_key_u32(gate->id);
        delete_row(core, PX_TABLE_GATE, &key);
        gate_event(core, gate, PX_EV_GATE_REMOVED);
        gate_remove(core, gate);
        FRAME(core, gate_is, &answer, core->command->header.correlation);
        session_answer(core, session);
}

void limits_set(struct core *core, const struct px_m_gate_set *message)
{
        struct session *session = session_begin(core, message->session, message->done_below, true);
        struct px_m_gate_is answer;
        struct gate *gate;

        if (session == NULL)
                return;
        if (access_check(core, core->principal, VERB_NODES, 0) != 0) {
                refuse(core, PX_E_DENIED, "only an administrator may set limits");
                return;
        }
        if (!set_is_sound(core, message))
                return;
        gate = gate_find(core, message->gate.kind, message->gate.name);
        if (message->remove) {
                limits_remove(core, session, gate, &message->gate);
                return;
        }
        if (!set_names_user(core, &message->gate))
                return;
        if (gate == NULL && core->gates.count >= PX_LIMIT_GATES) {
                refuse(core, PX_E_LIMIT, "%d limits are set already", PX_LIMIT_GATES);
                return;
        }
        if (gate == NULL)
                gate = gate_new(core, &(struct px_gate){.kind = message->gate.kind,
                                                        .name = message->gate.name});
        set_merge(&gate->set, &message->gate, message->what);
        core->nodes_version++;
        gate_wake(core, gate);
        gate_put(core, gate);
        gate_event(core, gate, PX_EV_GATE_SET);
        answer.gate = gate_view(core, gate);
        FRAME(core, gate_is, &answer, core->command->header.correlation);
        session_answer(core, session);
}

/* Others' figures are not everyone's. */
static bool may_see(const struct core *core, const struct gate *gate)
{
        return gate->set.kind != PX_GATE_KIND_USER ||
               access_sees_all(principal_role(core->principal, core->wall_ms)) ||
               px_slice_equal(gate->set.name, core->principal->name);
}

void limits_list(struct core *core, const struct px_m_gates *query)
{
        struct px_m_gate_list list = {0};
        struct px_gate_view *views;

        if (session_begin(core, query->session, query->done_below, false) == NULL)
                return;
        if (access_check(core, core->principal, VERB_READ, 0) != 0) {
                refuse(core, PX_E_DENIED, "role %s may not ask this",
                       px_role_name(core->principal->role));
                return;
        }
        views = px_arena_alloc(&core->scratch, (core->gates.count + 1) * sizeof(*views));
        PX_LIST_EACH(&core->gate_list, at)
        {
                const struct gate *gate = PX_CONTAINER_OF(at, struct gate, link);

                if ((query->kind == 0 || gate->set.kind == query->kind) && may_see(core, gate))
                        views[list.gates_count++] = gate_view(core, gate);
        }
        list.gates = views;
        FRAME(core, gate_list, &list, core->command->header.correlation);
        put_frame(core, core->command->peer);
}
