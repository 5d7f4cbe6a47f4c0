/* SPDX-License-Identifier: Apache-2.0 */
/* hello.c - NODE_HELLO: who is it, and what of its inventory goes on. Layer: L2 (broker/core).
 * Source: DESIGN 5.2; RELIABILITY 2 and 4.5.
 *
 * The entry of an attempt is durable at the node before ACCEPT. Hence, for what the core thinks the
 * node holds:
 *   same boot, same spool   in the inventory: goes on; assigned and not in it: never started, the
 *                           same attempt is sent again; running and not in it: gone
 *   other boot, same spool  ended: its RESULT will come; else gone
 *   other spool             unknown, as gone
 * What the inventory holds besides is of no interest: killed, or confirmed if it ended. */
#include "state.h"

/* ---- who ------------------------------------------------------------------------------------------ */

static struct node *node_of_boot(const struct core *core, struct px_slice boot)
{
        PX_LIST_EACH(&core->node_list, at)
        {
                struct node *node = PX_CONTAINER_OF(at, struct node, link);

                if (node->kind == PX_NODE_KIND_WORKER &&
                    node->principal == core->command->principal.value &&
                    px_slice_equal(px_slice_of(node->boot, CORE_ID_BYTES), boot))
                        return node;
        }
        return NULL;
}

/* A key of role node belongs to one name. */
static const struct node *node_of_key(const struct core *core)
{
        PX_LIST_EACH(&core->node_list, at)
        {
                const struct node *node = PX_CONTAINER_OF(at, struct node, link);

                if (node->principal == core->command->principal.value)
                        return node;
        }
        return NULL;
}

static bool hello_role_may(int role, int kind)
{
        if (kind == PX_NODE_KIND_NODE)
                return role == PX_ROLE_NODE || role == PX_ROLE_ADMIN;
        return role == PX_ROLE_WORKER || role == PX_ROLE_USER || role == PX_ROLE_SERVICE ||
               role == PX_ROLE_ADMIN;
}

static bool resources_are_sound(const struct px_m_node_hello *hello)
{
        for (size_t i = 0; i < hello->resources_count; i++)
                if (!name_is_valid(hello->resources[i].name) ||
                    hello->resources[i].amount > PX_LIMIT_RESOURCE_AMOUNT)
                        return false;
        return true;
}

static bool hello_is_sound(const struct px_m_node_hello *hello)
{
        if (hello->kind != PX_NODE_KIND_NODE && hello->kind != PX_NODE_KIND_WORKER)
                return false;
        if (hello->cluster.length != 0 && hello->cluster.length != CORE_ID_BYTES)
                return false;
        if (hello->kind == PX_NODE_KIND_WORKER && hello->types_count == 0)
                return false;
        if (hello->gpus > PX_LIMIT_GPUS || !resources_are_sound(hello))
                return false;
        return hello->boot.length == CORE_ID_BYTES && hello->spool.length == CORE_ID_BYTES &&
               name_is_valid(hello->name);
}

/* true: refused, and answered. */
static bool hello_refused(struct core *core, const struct px_m_node_hello *hello)
{
        int role = principal_role(core->principal, core->wall_ms);
        const struct node *of_key;

        if (!hello_is_sound(hello)) {
                refuse(core, PX_E_INVALID, "a node needs a name (letters, digits, . _ -), a boot "
                                           "id and a spool id; a worker needs a task type");
                return true;
        }
        if (!hello_role_may(role, hello->kind)) {
                refuse(core, PX_E_DENIED, "role %s may not be a %s", px_role_name(role),
                       px_node_kind_name(hello->kind));
                return true;
        }
        if (hello->cluster.length != 0 &&
            !px_slice_equal(hello->cluster, px_slice_of(core->cluster, CORE_ID_BYTES))) {
                refuse(core, PX_E_CLUSTER,
                       "its spool belongs to another cluster; start it with another --dir");
                return true;
        }
        of_key = role == PX_ROLE_NODE ? node_of_key(core) : NULL;
        if (of_key != NULL && !px_slice_equal(of_key->name, hello->name)) {
                refuse(core, PX_E_CONFLICT, "this key belongs to node %.*s",
                       (int)of_key->name.length, (const char *)of_key->name.data);
                return true;
        }
        return false;
}

static bool ids_equal(const uint8_t *bytes, struct px_slice slice)
{
        return px_slice_equal(px_slice_of(bytes, CORE_ID_BYTES), slice);
}

/* Another machine with the name of a node that lives. The same spool is the same machine: its
 * connection or the machine itself was restarted. */
static bool hello_is_duplicate(const struct core *core, const struct px_m_node_hello *hello,
                               const struct node *node)
{
        return node->alive && node->peer != 0 && node->peer != core->command->peer &&
               !ids_equal(node->spool, hello->spool);
}

static bool hello_clashes(struct core *core, const struct px_m_node_hello *hello,
                          const struct node *node)
{
        if (node->principal != core->command->principal.value) {
                refuse(core, PX_E_CONFLICT,
                       "the name %.*s is taken by another key; choose another name, or remove "
                       "that node first",
                       (int)hello->name.length, (const char *)hello->name.data);
                return true;
        }
        if (hello_is_duplicate(core, hello, node)) {
                refuse(core, PX_E_DUPLICATE,
                       "node %.*s is connected from another spool; stop it or choose another name",
                       (int)node->name.length, (const char *)node->name.data);
                return true;
        }
        return false;
}

/* Workers come in numbers with one program's name: the second is name-2. */
static struct px_slice worker_name(struct core *core, struct px_slice name)
{
        struct px_slice unique = name;
        int base = (int)PX_MIN(name.length, (size_t)PX_LIMIT_NODE_NAME_BYTES - 12);

        for (unsigned number = 2; node_named(core, unique) != NULL; number++)
                unique = output_text(core, "%.*s-%u", base, (const char *)name.data, number);
        return unique;
}

/* The node that says HELLO, made if it is new; NULL when refused, and answered. */
static struct node *hello_node(struct core *core, const struct px_m_node_hello *hello)
{
        bool worker = hello->kind == PX_NODE_KIND_WORKER;
        struct node *node = worker ? node_of_boot(core, hello->boot)
                                   : node_named(core, hello->name);

        if (!worker && node != NULL)
                return hello_clashes(core, hello, node) ? NULL : node;
        if (node != NULL)
                return node;
        if (core->nodes.count >= PX_LIMIT_NODES) {
                refuse(core, PX_E_LIMIT, "%d nodes are known already", PX_LIMIT_NODES);
                return NULL;
        }
        return node_new(core, core->next_node++,
                        &(struct px_node_row){
                                .name = worker ? worker_name(core, hello->name) : hello->name,
                                .kind = hello->kind,
                                .principal = core->command->principal,
                                .boot = hello->boot,
                                .spool = hello->spool,
                                .first_wall_ms = core->wall_ms,
                        });
}

/* ---- what it is ------------------------------------------------------------------------------------- */

static void own_anew(struct px_slice *slice, struct px_slice value)
{
        slice_drop(slice);
        *slice = slice_own(value);
}

/* Its labels and named resources, in its own memory. */
static void node_describe_more(struct node *node, const struct px_m_node_hello *hello)
{
        struct px_arena *about = &node->about;
        struct px_label *labels;
        struct px_resource *resources;

        px_arena_reset(about);
        labels = px_arena_alloc(about, (hello->labels_count + 1) * sizeof(*labels));
        for (size_t i = 0; i < hello->labels_count; i++)
                labels[i] = (struct px_label){px_arena_copy(about, hello->labels[i].key),
                                              px_arena_copy(about, hello->labels[i].value)};
        resources = px_arena_alloc(about, (hello->resources_count + 1) * sizeof(*resources));
        for (size_t i = 0; i < hello->resources_count; i++)
                resources[i] =
                        (struct px_resource){px_arena_copy(about, hello->resources[i].name),
                                             hello->resources[i].amount};
        node->labels = labels;
        node->labels_count = hello->labels_count;
        node->resources = resources;
        node->resources_count = hello->resources_count;
        node->resources_used = px_arena_alloc(about, (hello->resources_count + 1) *
                                                             sizeof(*node->resources_used));
        room_recount(node);
}

static void node_describe(struct core *core, struct node *node,
                          const struct px_m_node_hello *hello)
{
        for (size_t i = 0; i < node->types_count; i++)
                slice_drop(&node->types[i]);
        px_free(node->types);
        node->types = NULL;
        if (hello->types_count > 0)
                node->types = px_alloc(hello->types_count * sizeof(*node->types));
        node->types_count = hello->types_count;
        for (size_t i = 0; i < hello->types_count; i++)
                node->types[i] = slice_own(hello->types[i]);
        own_anew(&node->version, hello->version);
        own_anew(&node->kill_mode, hello->kill_mode);
        own_anew(&node->enforces, hello->enforces);
        own_anew(&node->accounts, hello->accounts);
        node->cpus_milli = hello->cpus_milli;
        node->memory_bytes = hello->memory_bytes;
        node->slots = hello->slots;
        node->gpus = hello->gpus;
        node_describe_more(node, hello);
        node->described = true;
        core->nodes_version++;
}

static void node_connect(struct core *core, struct node *node, const struct px_m_node_hello *hello)
{
        memcpy(node->boot, hello->boot.data, CORE_ID_BYTES);
        memcpy(node->spool, hello->spool.data, CORE_ID_BYTES);
        node->session = PX_MAX(node->session, hello->session) + 1;
        node->seen_wall_ms = core->wall_ms;
        node->connected = true;
        node->alive = true;
        node->stopped = false;
        node->stopping = false;
        node->word_ms = core->core_ms;
        node_peer(core, node, core->command->peer);
        timer_arm(core, &node->lease, TIMER_LEASE, node->id,
                  core->core_ms + (int64_t)core->options.lease_ms);
        px_buf_reset(&node->oks);
        px_buf_reset(&node->kills);
        node_row_put(core, node);
}

static void node_welcome(struct core *core, const struct node *node)
{
        struct px_m_node_welcome welcome = {
                .session = node->session,
                .epoch = core->options.epoch,
                .cluster = px_slice_of(core->cluster, CORE_ID_BYTES),
                .node = {node->id},
                .heartbeat_ms = core->options.heartbeat_ms,
                .lease_ms = core->options.lease_ms,
                .data_port = core->options.data_port,
                .version = px_slice_text(PX_PRODUCT_VERSION),
        };

        FRAME(core, node_welcome, &welcome, core->command->header.correlation);
        put_frame(core, node->peer);
}

/* ---- its inventory ------------------------------------------------------------------------------------- */

static struct attempt *attempt_of_item(const struct core *core, const struct node *node,
                                       const struct px_inventory_item *item)
{
        const struct job *job = job_find(core, item->job.value);

        if (job == NULL || job->attempt == NULL || job->attempt->node != node ||
            !px_fence_equal(job->fence, item->fence))
                return NULL;
        return job->attempt;
}

/* The broker heard of it again: the attempt goes on. */
static void attempt_continue(struct core *core, struct attempt *attempt)
{
        struct job *job = attempt->job;
        bool was_unreachable = job->reason == PX_REASON_UNREACHABLE;
        int reason = job->state == PX_JOB_STATE_ASSIGNED  ? PX_REASON_ASSIGNED
                     : job->state == PX_JOB_STATE_RUNNING ? PX_REASON_RUNNING
                                                          : PX_REASON_STOPPING;

        attempt->assigning = false;
        node_log_open(core, attempt);
        if (was_unreachable) {
                job_deadline(core, job, 0);
                job_changed(core, job, reason,
                            &(struct note){.event = PX_EV_JOB_ADOPTED, .exit_code = -1});
        }
        if (job->state == PX_JOB_STATE_ASSIGNED && attempt->inventory == PX_ATTEMPT_STATE_RUNNING) {
                job->started_wall_ms = core->wall_ms;
                job_set_state(core, job, PX_JOB_STATE_RUNNING, PX_REASON_RUNNING, NOTE_NONE);
        }
        if (job->state == PX_JOB_STATE_CANCELLING)
                node_kill(core, attempt, PX_KILL_WHY_CANCEL, 0);
}

/* Same boot and spool, and the node has no entry: it never started, or its directory is gone. */
static void attempt_missing(struct core *core, struct attempt *attempt)
{
        struct job *job = attempt->job;

        if (job->state != PX_JOB_STATE_ASSIGNED) {
                attempt_gone(core, job, PX_REASON_NODE_LOST, false);
                return;
        }
        attempt_continue(core, attempt);
        node_assign(core, attempt);
}

static void attempt_reconcile(struct core *core, struct attempt *attempt, bool same_boot,
                              bool same_spool)
{
        uint8_t inventory = attempt->inventory;

        if (!same_spool)
                attempt_gone(core, attempt->job, PX_REASON_NODE_LOST,
                             same_boot && attempt->job->state == PX_JOB_STATE_CANCELLING);
        else if (inventory == PX_ATTEMPT_STATE_ENDED || (same_boot && inventory != 0))
                attempt_continue(core, attempt);
        else if (same_boot)
                attempt_missing(core, attempt);
        else
                attempt_gone(core, attempt->job, PX_REASON_NODE_RESTARTED, false);
}

static void ghost_of_item(struct core *core, struct node *node,
                          const struct px_inventory_item *item)
{
        struct attempt *ghost;

        if (item->state == PX_ATTEMPT_STATE_ENDED) {
                node_confirm(core, node, item->job.value, item->fence);
                return;
        }
        ghost = attempt_new(core, node, NULL, item->job.value, item->fence);
        room_take_ghost(ghost, PX_MIN(item->cpus_milli, node->cpus_milli),
                        PX_MIN(item->memory_bytes, node->memory_bytes));
        node_kill(core, ghost, PX_KILL_WHY_FENCED, 0);
}

static void reconcile(struct core *core, struct node *node, const struct px_m_node_hello *hello,
                      bool same_boot, bool same_spool)
{
        struct px_link *next;

        PX_LIST_EACH(&node->held, at)
        PX_CONTAINER_OF(at, struct attempt, link)->inventory = 0;
        for (size_t i = 0; i < hello->inventory_count; i++) {
                struct attempt *attempt = attempt_of_item(core, node, &hello->inventory[i]);

                if (attempt != NULL)
                        attempt->inventory = (uint8_t)hello->inventory[i].state;
        }
        for (struct px_link *at = node->held.next; at != &node->held; at = next) {
                next = at->next;
                attempt_reconcile(core, PX_CONTAINER_OF(at, struct attempt, link), same_boot,
                                  same_spool);
        }
        for (size_t i = 0; i < hello->inventory_count; i++)
                if (attempt_of_item(core, node, &hello->inventory[i]) == NULL)
                        ghost_of_item(core, node, &hello->inventory[i]);
}

/* An inventory is true of the moment it was written. One that a later HELLO of the same boot has
 * overtaken lacks what was accepted since, and would make it look as if it never began. */
static bool hello_is_overtaken(const struct core *core, const struct node *node, bool same_boot)
{
        uint64_t number = core->command->header.correlation;

        return same_boot && number != 0 && number <= node->hello_number;
}

void hello_take(struct core *core, const struct px_m_node_hello *hello)
{
        struct node *node;
        bool same_boot, same_spool, was_up;

        if (hello_refused(core, hello))
                return;
        node = hello_node(core, hello);
        if (node == NULL)
                return;
        same_boot = ids_equal(node->boot, hello->boot);
        if (hello_is_overtaken(core, node, same_boot))
                return;
        was_up = node->connected;
        node->hello_number = core->command->header.correlation;
        same_spool = ids_equal(node->spool, hello->spool);
        node_ghosts_drop(core, node);
        timer_disarm(core, &node->repeat);
        node_describe(core, node, hello);
        node_connect(core, node, hello);
        node_welcome(core, node);
        if (!was_up)
                node_event(core, node, PX_EV_NODE_UP, node->draining ? "draining" : "");
        reconcile(core, node, hello, same_boot, same_spool);
        seats_build(core, node);
}
