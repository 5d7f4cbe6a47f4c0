/* SPDX-License-Identifier: Apache-2.0 */
/* node.c - nodes and workers as the core sees them: rows, leases, what they hold, what they are told.
 * Layer: L2 (broker/core). Source: DESIGN 3 (leases), 5 (sessions). */
#include "state.h"

/* ---- rows and look-up ------------------------------------------------------------------------------ */

struct node *node_find(const struct core *core, uint32_t id)
{
        return px_map_find(&core->nodes, id);
}

static uint64_t name_hash(struct px_slice name)
{
        return px_hash64(0, name.data, name.length);
}

struct node *node_named(const struct core *core, struct px_slice name)
{
        struct node *node = px_map_find(&core->nodes_by_name, name_hash(name));

        return node != NULL && px_slice_equal(node->name, name) ? node : NULL;
}

int node_state(const struct node *node)
{
        if (node->stopped)
                return PX_NODE_STATE_STOPPED;
        if (!node->alive)
                return PX_NODE_STATE_UNREACHABLE;
        if (node->draining || node->stopping)
                return PX_NODE_STATE_DRAINING;
        return node->connected ? PX_NODE_STATE_UP : PX_NODE_STATE_RECONNECTING;
}

void node_row_of(const struct node *node, struct px_node_row *ret_row)
{
        *ret_row = (struct px_node_row){
                .name = node->name,
                .kind = node->kind,
                .principal = {node->principal},
                .boot = px_slice_of(node->boot, CORE_ID_BYTES),
                .spool = px_slice_of(node->spool, CORE_ID_BYTES),
                .draining = node->draining,
                .session = node->session,
                .first_wall_ms = node->first_wall_ms,
                .seen_wall_ms = node->seen_wall_ms,
                .stopped = node->stopped,
                .cpus_milli = node->cpus_milli,
                .memory_bytes = node->memory_bytes,
                .version = node->version,
                .kill_mode = node->kill_mode,
                .enforces = node->enforces,
                .accounts = node->accounts,
        };
}

void node_row_put(struct core *core, const struct node *node)
{
        struct row_key key = row_key_u32(node->id);
        struct px_node_row row;

        node_row_of(node, &row);
        px_buf_reset(&core->bytes);
        px_node_row_encode(&row, &core->bytes);
        put_row(core, PX_TABLE_NODE, &key, px_buf_slice(&core->bytes));
}

struct node *node_new(struct core *core, uint32_t id, const struct px_node_row *row)
{
        struct node *node = px_alloc(sizeof(*node));

        PX_ASSERT(row->boot.length == CORE_ID_BYTES && row->spool.length == CORE_ID_BYTES);
        *node = (struct node){
                .id = id,
                .principal = row->principal.value,
                .kind = row->kind,
                .name = slice_own(row->name),
                .draining = row->draining,
                .stopped = row->stopped,
                .session = row->session,
                .first_wall_ms = row->first_wall_ms,
                .seen_wall_ms = row->seen_wall_ms,
                .cpus_milli = row->cpus_milli,
                .memory_bytes = row->memory_bytes,
                .version = slice_own(row->version),
                .kill_mode = slice_own(row->kill_mode),
                .enforces = slice_own(row->enforces),
                .accounts = slice_own(row->accounts),
        };
        memcpy(node->boot, row->boot.data, CORE_ID_BYTES);
        memcpy(node->spool, row->spool.data, CORE_ID_BYTES);
        px_list_init(&node->held);
        px_list_append(&core->node_list, &node->link);
        px_map_put(&core->nodes, id, node);
        px_map_put(&core->nodes_by_name, name_hash(node->name), node);
        return node;
}

static void node_free(struct core *core, struct node *node)
{
        PX_ASSERT(px_list_empty(&node->held));
        seats_drop(core, node);
        for (size_t i = 0; i < node->types_count; i++)
                slice_drop(&node->types[i]);
        px_free(node->types);
        slice_drop(&node->version);
        slice_drop(&node->kill_mode);
        slice_drop(&node->enforces);
        slice_drop(&node->accounts);
        slice_drop(&node->name);
        px_buf_fini(&node->oks);
        px_buf_fini(&node->kills);
        px_arena_fini(&node->about);
        px_free(node);
}

void node_remove(struct core *core, struct node *node)
{
        struct row_key key = row_key_u32(node->id);

        node_ghosts_drop(core, node);
        node_ungrow(core, node);
        reserve_forget(core, node);
        core->nodes_version++;
        node_peer(core, node, 0);
        timer_disarm(core, &node->lease);
        timer_disarm(core, &node->repeat);
        if (node->dirty)
                px_list_remove(&node->dirty_link);
        px_list_remove(&node->link);
        px_map_take(&core->nodes, node->id);
        px_map_take(&core->nodes_by_name, name_hash(node->name));
        /* The write-set has no such row any more once all attempts are gone. */
        if (core->output != NULL)
                delete_row(core, PX_TABLE_NODE, &key);
        node_free(core, node);
}

void nodes_fini(struct core *core)
{
        core->output = NULL;
        while (!px_list_empty(&core->node_list)) {
                struct node *node = PX_CONTAINER_OF(core->node_list.next, struct node, link);

                while (!px_list_empty(&node->held)) {
                        struct attempt *attempt =
                                PX_CONTAINER_OF(node->held.next, struct attempt, link);

                        attempt_free(core, attempt);
                }
                node_remove(core, node);
        }
}

void node_event(struct core *core, const struct node *node, int kind, const char *text)
{
        struct px_event event = {
                .kind = (uint16_t)kind,
                .owner = {node->principal},
                .node = node->name,
                .exit_code = -1,
                .text = px_slice_text(text),
        };

        put_event(core, &event);
}

/* ---- attempts it holds -------------------------------------------------------------------------------- */

struct attempt *attempt_new(struct core *core, struct node *node, struct job *job, uint64_t job_id,
                            struct px_fence fence)
{
        struct attempt *attempt = slab_take(&core->attempt_slab);

        *attempt = (struct attempt){.node = node, .job = job, .job_id = job_id, .fence = fence};
        px_list_append(&node->held, &attempt->link);
        node->held_count++;
        if (job != NULL) {
                PX_ASSERT(job->attempt == NULL);
                PX_ASSERT(job->node == node->id);
                job->attempt = attempt;
                attempt->shape = shape_find(core, job->shape);
                attempt->share = &principal_find(core, job->owner)->share;
        }
        return attempt;
}

/* Its job's gates and share are free of it. */
static void attempt_leave(struct core *core, struct attempt *attempt)
{
        struct job *job = attempt->job;

        job->attempt = NULL;
        if (job->more != NULL)
                job->more->gpus = 0;
        share_leave(core, attempt);
        gates_leave(core, attempt->shape, attempt->share);
}

void attempt_free(struct core *core, struct attempt *attempt)
{
        struct node *node = attempt->node;

        PX_ASSERT(node->held_count > 0);
        node->held_count--;
        room_give(attempt);
        px_list_remove(&attempt->link);
        if (attempt->job != NULL)
                attempt_leave(core, attempt);
        slab_give(&core->attempt_slab, attempt);
        seats_update(core, node);
        node_grew(core, node);
        if (node->kind == PX_NODE_KIND_WORKER && !node->alive)
                node_dirty(core, node);
}

void node_ghosts_drop(struct core *core, struct node *node)
{
        struct px_link *next;

        for (struct px_link *at = node->held.next; at != &node->held; at = next) {
                struct attempt *attempt = PX_CONTAINER_OF(at, struct attempt, link);

                next = at->next;
                if (attempt->job == NULL)
                        attempt_free(core, attempt);
        }
}

void node_attempts_gone(struct core *core, struct node *node, int reason, bool proven)
{
        struct px_link *next;

        node_ghosts_drop(core, node);
        for (struct px_link *at = node->held.next; at != &node->held; at = next) {
                struct job *job = PX_CONTAINER_OF(at, struct attempt, link)->job;

                next = at->next;
                /* Cancelled is said only of what is known to be dead. */
                attempt_gone(core, job, reason, !proven && job->state == PX_JOB_STATE_CANCELLING);
        }
        PX_ASSERT(px_list_empty(&node->held));
}

/* ---- what it is told ------------------------------------------------------------------------------------ */

void node_dirty(struct core *core, struct node *node)
{
        if (node->dirty)
                return;
        node->dirty = true;
        px_list_append(&core->nodes_dirty, &node->dirty_link);
}

void node_confirm(struct core *core, struct node *node, uint64_t job, struct px_fence fence)
{
        struct px_attempt_key key = {.job = {job}, .fence = fence};

        px_buf_append(&node->oks, &key, sizeof(key));
        node_dirty(core, node);
}

void node_kill(struct core *core, struct attempt *attempt, int why, uint32_t signal)
{
        struct px_kill kill = {
                .job = {attempt->job_id},
                .fence = attempt->fence,
                .why = why,
                .signal = signal,
                .grace_ms = why == PX_KILL_WHY_SIGNAL ? 0 : attempt->grace_ms,
        };

        if (why != PX_KILL_WHY_SIGNAL) {
                attempt->killing = true;
                attempt->assigning = false;
                attempt->sent_ms = core->core_ms;
                node_repeat_arm(core, attempt->node);
        }
        px_buf_append(&attempt->node->kills, &kill, sizeof(kill));
        node_dirty(core, attempt->node);
}

void node_log_open(struct core *core, const struct attempt *attempt)
{
        struct core_effect *effect = put_effect(core, CORE_EFFECT_LOG_OPEN, 0);

        effect->log_open = (struct core_log_open){
                .job = {attempt->job_id},
                .fence = attempt->fence,
                .owner = {attempt->job->owner},
                .node_principal = {attempt->node->principal},
                .node = {attempt->node->id},
                .node_name = px_arena_copy(&core->output->arena, attempt->node->name),
        };
}

/* They outlive the shape: the effect waits until its batch is durable. */
static const struct px_resource *resources_copy(struct core *core, const struct shape *shape)
{
        struct px_arena *arena = &core->output->arena;
        struct px_resource *copy;

        if (shape->resources_count == 0)
                return NULL;
        copy = px_arena_alloc(arena, shape->resources_count * sizeof(*copy));
        for (size_t i = 0; i < shape->resources_count; i++)
                copy[i] = (struct px_resource){px_arena_copy(arena, shape->resources[i].name),
                                               shape->resources[i].amount};
        return copy;
}

void node_assign(struct core *core, struct attempt *attempt)
{
        const struct job *job = attempt->job;
        const struct shape *shape = shape_find(core, job->shape);
        const struct principal *owner = principal_find(core, job->owner);
        struct core_effect *effect = put_effect(core, CORE_EFFECT_ASSIGN, attempt->node->peer);

        PX_ASSERT(attempt->node->connected);
        attempt->assigning = true;
        attempt->sent_ms = core->core_ms;
        effect->assign.node_session = attempt->node->session;
        effect->assign.item = (struct px_assign){
                .job = {job->id},
                .fence = job->fence,
                .kind = shape->need.kind,
                .task_type = px_arena_copy(&core->output->arena, shape->need.task_type),
                .principal = owner->name,
                .principal_admin = owner->role == PX_ROLE_ADMIN,
                .cpus_milli = shape->need.cpus_milli,
                .memory_bytes = shape->need.memory_bytes,
                .on_lost = job->on_lost,
                .lost_after_ms = job_lost_after_ms(job),
                .gpus_milli = shape->need.gpus_milli,
                .gpus = job->more == NULL ? 0 : job->more->gpus,
                .resources = resources_copy(core, shape),
                .resources_count = shape->resources_count,
        };
        node_repeat_arm(core, attempt->node);
}

static void node_say_oks(struct core *core, const struct node *node)
{
        const struct px_attempt_key *keys = (const void *)node->oks.data;
        size_t count = node->oks.length / sizeof(*keys);

        for (size_t i = 0; i < count; i += PX_LIMIT_BATCH_ITEMS) {
                struct px_m_result_ok message = {
                        .session = node->session,
                        .items = keys + i,
                        .items_count = PX_MIN(count - i, (size_t)PX_LIMIT_BATCH_ITEMS),
                };

                FRAME(core, result_ok, &message, 0);
                put_frame(core, node->peer);
        }
}

static void node_say_kills(struct core *core, const struct node *node)
{
        const struct px_kill *kills = (const void *)node->kills.data;
        size_t count = node->kills.length / sizeof(*kills);

        for (size_t i = 0; i < count; i += PX_LIMIT_BATCH_ITEMS) {
                struct px_m_kill message = {
                        .session = node->session,
                        .items = kills + i,
                        .items_count = PX_MIN(count - i, (size_t)PX_LIMIT_BATCH_ITEMS),
                };

                FRAME(core, kill, &message, 0);
                put_frame(core, node->peer);
        }
}

/* At the end of a step. A worker that is gone and holds nothing is forgotten. */
void nodes_flush(struct core *core)
{
        while (!px_list_empty(&core->nodes_dirty)) {
                struct node *node =
                        PX_CONTAINER_OF(core->nodes_dirty.next, struct node, dirty_link);

                px_list_remove(&node->dirty_link);
                node->dirty = false;
                if (node->connected) {
                        node_say_oks(core, node);
                        node_say_kills(core, node);
                }
                px_buf_reset(&node->oks);
                px_buf_reset(&node->kills);
                if (node->kind == PX_NODE_KIND_WORKER && !node->alive &&
                    px_list_empty(&node->held))
                        node_remove(core, node);
        }
}

/* ---- repeats ------------------------------------------------------------------------------------------------ */

void node_repeat_arm(struct core *core, struct node *node)
{
        if (node->repeat.item.position == 0)
                timer_arm(core, &node->repeat, TIMER_REPEAT, node->id,
                          core->core_ms + (int64_t)core->options.assign_repeat_ms);
}

static void attempt_repeat(struct core *core, struct attempt *attempt)
{
        if (attempt->killing)
                node_kill(core, attempt,
                          attempt->job == NULL ? PX_KILL_WHY_FENCED : PX_KILL_WHY_CANCEL, 0);
        else
                node_assign(core, attempt);
        PX_ASSERT(attempt->sent_ms == core->core_ms);
}

void node_repeat_fired(struct core *core, uint64_t id)
{
        struct node *node = node_find(core, (uint32_t)id);
        int64_t repeat_ms = (int64_t)core->options.assign_repeat_ms;
        int64_t due_ms = INT64_MAX;

        PX_ASSERT(node != NULL);
        if (!node->connected)
                return;
        PX_LIST_EACH(&node->held, at)
        {
                struct attempt *attempt = PX_CONTAINER_OF(at, struct attempt, link);

                if (!attempt->killing && !attempt->assigning)
                        continue;
                if (attempt->sent_ms + repeat_ms <= core->core_ms)
                        attempt_repeat(core, attempt);
                due_ms = PX_MIN(due_ms, attempt->sent_ms + repeat_ms);
        }
        if (due_ms != INT64_MAX)
                timer_arm(core, &node->repeat, TIMER_REPEAT, id, due_ms);
}

/* ---- peers and leases ---------------------------------------------------------------------------------------- */

void node_peer(struct core *core, struct node *node, uint64_t peer)
{
        struct node *other;

        if (node->peer == peer)
                return;
        if (node->peer != 0)
                px_map_take(&core->nodes_by_peer, node->peer);
        node->peer = peer;
        if (peer == 0)
                return;
        other = px_map_find(&core->nodes_by_peer, peer);
        if (other != NULL) {
                other->peer = 0;
                other->connected = false;
                reserve_forget(core, other);
                seats_update(core, other);
        }
        px_map_put(&core->nodes_by_peer, peer, node);
}

void node_word(struct core *core, struct node *node)
{
        PX_ASSERT(node->alive);
        node->word_ms = core->core_ms;
}

struct node *node_of_command(struct core *core, uint64_t session)
{
        struct node *node = px_map_find(&core->nodes_by_peer, core->command->peer);

        if (node == NULL || !node->connected || node->principal != core->command->principal.value) {
                say_again(core);
                return NULL;
        }
        if (session != node->session)
                return NULL; /* of an older session: what it said is said again in this one */
        node_word(core, node);
        return node;
}

/* Its session is over; what it holds stays until the rules of each job say otherwise. */
static void node_disconnect(struct core *core, struct node *node)
{
        node->connected = false;
        reserve_forget(core, node);
        node_peer(core, node, 0);
        timer_disarm(core, &node->repeat);
        node_ghosts_drop(core, node);
        seats_update(core, node);
        node_dirty(core, node);
}

void node_peer_gone(struct core *core, struct node *node)
{
        node_disconnect(core, node);
}

static void node_lapse(struct core *core, struct node *node)
{
        struct px_link *next;

        if (node->peer != 0)
                put_effect(core, CORE_EFFECT_PEER_DROP, node->peer);
        node->alive = false;
        node_disconnect(core, node);
        if (!node->stopped)
                node_event(core, node, PX_EV_NODE_LOST, "silent for its lease");
        for (struct px_link *at = node->held.next; at != &node->held; at = next) {
                struct job *job = PX_CONTAINER_OF(at, struct attempt, link)->job;

                next = at->next;
                if (job->on_lost == PX_ON_LOST_RERUN && job->state != PX_JOB_STATE_CANCELLING)
                        attempt_gone(core, job, PX_REASON_UNREACHABLE, false);
                else
                        attempt_unreachable(core, job);
        }
}

void node_lease_fired(struct core *core, uint64_t id)
{
        struct node *node = node_find(core, (uint32_t)id);
        int64_t end_ms;

        PX_ASSERT(node != NULL && node->alive);
        end_ms = node->word_ms + (int64_t)core->options.lease_ms;
        if (end_ms > core->core_ms)
                timer_arm(core, &node->lease, TIMER_LEASE, node->id, end_ms);
        else
                node_lapse(core, node);
}

void nodes_lease_anew(struct core *core)
{
        PX_LIST_EACH(&core->node_list, at)
        {
                struct node *node = PX_CONTAINER_OF(at, struct node, link);

                if (node->stopped && px_list_empty(&node->held))
                        continue;
                node->alive = true;
                node->word_ms = core->core_ms;
                timer_arm(core, &node->lease, TIMER_LEASE, node->id,
                          core->core_ms + (int64_t)core->options.lease_ms);
        }
}

void bye_take(struct core *core, const struct px_m_node_bye *bye)
{
        struct node *node = node_of_command(core, bye->session);

        if (node == NULL)
                return;
        node->stopped = true;
        node->seen_wall_ms = core->wall_ms;
        node_disconnect(core, node);
        node_row_put(core, node);
        node_event(core, node, PX_EV_NODE_STOPPED,
                   bye->gone ? "its attempts were ended" : "its attempts go on");
        if (bye->gone)
                node_attempts_gone(core, node, PX_REASON_DRAINED, true);
        if (px_list_empty(&node->held)) {
                node->alive = false;
                timer_disarm(core, &node->lease);
        }
}
