/* SPDX-License-Identifier: Apache-2.0 */
/* node_session.c - greeting the broker on both sockets, pings, and what arrives. Layer: L2
 * (node/core). Why greetings are safe: node.h. */
#include "node_inside.h"

/* ---- leaving a session ------------------------------------------------------------------------
 */

/* No word counts until the next WELCOME; ended attempts wait for it. */
static void session_end(struct node *node)
{
        if (node->session == 0)
                return;
        out_flush(node);
        node->session = 0;
        PX_LIST_EACH(&node->attempts, link)
        {
                struct attempt *attempt = attempt_of_link(link);

                if (attempt->phase == PHASE_ENDED)
                        attempt_timer(node, attempt, TIMER_RESULT, NODE_NEVER);
                attempt_timer(node, attempt, TIMER_ACCEPT, NODE_NEVER); /* the inventory says it */
        }
}

/* ---- HELLO ------------------------------------------------------------------------------------
 */

static int inventory_state(const struct attempt *attempt)
{
        switch (attempt->phase) {
        case PHASE_ACCEPTED:
        case PHASE_STARTING:
                return PX_ATTEMPT_STATE_ACCEPTED;
        case PHASE_RUNNING:
                return PX_ATTEMPT_STATE_RUNNING;
        case PHASE_ENDED:
                return PX_ATTEMPT_STATE_ENDED;
        default:
                PX_UNREACHABLE();
        }
}

static void session_inventory(struct node *node, struct px_m_node_hello *hello)
{
        struct px_inventory_item *items;
        size_t count = 0;

        PX_ASSERT(node->inventory_count <= PX_LIMIT_INVENTORY_ITEMS);
        items = px_arena_alloc(&node->effects->arena, (node->inventory_count + 1) * sizeof(*items));
        PX_LIST_EACH(&node->attempts, link)
        {
                struct attempt *attempt = attempt_of_link(link);

                if (!phase_in_inventory(attempt->phase))
                        continue;
                attempt->start_said = attempt->phase == PHASE_RUNNING;
                items[count++] = (struct px_inventory_item){
                        .job = attempt->job,
                        .fence = attempt->fence,
                        .state = inventory_state(attempt),
                        .cpus_milli = attempt->cpus_milli,
                        .memory_bytes = attempt->memory_bytes,
                };
        }
        PX_ASSERT(count == node->inventory_count);
        hello->inventory = items;
        hello->inventory_count = count;
}

static void session_hello(struct node *node)
{
        const struct node_options *options = &node->options;
        struct px_m_node_hello hello = {
                .cluster = options->cluster,
                .name = px_slice_text(options->name),
                .kind = options->kind,
                .boot = options->boot,
                .spool = options->spool,
                .session = node->session_last,
                .epoch = node->epoch,
                .version = px_slice_text(options->version),
                .cpus_milli = options->cpus_milli,
                .memory_bytes = options->memory_bytes,
                .types = options->types,
                .types_count = options->types_count,
                .slots = options->slots,
                .kill_mode = px_slice_text(options->kill_mode),
                .enforces = px_slice_text(options->enforces),
                .accounts = px_slice_text(options->accounts),
                .gpus = options->gpus,
                .labels = options->labels,
                .labels_count = options->labels_count,
                .resources = options->resources,
                .resources_count = options->resources_count,
        };

        PX_ASSERT(node->session == 0);
        assign_abandon_entering(node);
        session_inventory(node, &hello);
        node->hello_number = PX_MAX((uint64_t)node->now_ms, node->hello_number + 1);
        px_buf_reset(&node->frame);
        px_m_node_hello_frame(&hello, node->hello_number, 0, &node->frame);
        out_ctl(node);
}

/* ---- WELCOME ----------------------------------------------------------------------------------
 */

static void session_identity(struct node *node, const struct px_m_node_welcome *welcome)
{
        struct node_effect *effect;

        if (welcome->epoch == node->epoch && node->options.cluster.length > 0)
                return;
        node->epoch = welcome->epoch;
        memcpy(node->cluster, welcome->cluster.data, NODE_ID_BYTES);
        node->options.cluster = px_slice_of(node->cluster, NODE_ID_BYTES);
        effect = out_effect(node, NODE_EFFECT_IDENTITY);
        effect->cluster = node->options.cluster;
        effect->epoch = node->epoch;
}

/* Our word of sent_ms was answered: the broker waits for lost attempts from then on at most. */
static void session_contact(struct node *node, uint64_t sent_ms)
{
        if (sent_ms > (uint64_t)node->now_ms || (int64_t)sent_ms <= node->contact_ms)
                return;
        node->contact_ms = (int64_t)sent_ms;
        PX_LIST_EACH(&node->attempts, link)
        {
                const struct attempt *attempt = attempt_of_link(link);

                if (attempt->on_lost != PX_ON_LOST_FAIL || !phase_alive(attempt->phase))
                        continue;
                out_effect(node, NODE_EFFECT_CONTACT)->ago_ms =
                        (uint64_t)(node->now_ms - node->contact_ms);
                return;
        }
}

/* The broker knows the inventory of the latest HELLO: say what has changed since. */
static void session_resume(struct node *node)
{
        PX_LIST_EACH(&node->attempts, link)
        {
                struct attempt *attempt = attempt_of_link(link);

                if (attempt->phase == PHASE_RUNNING && !attempt->start_said) {
                        attempt->start_said = true;
                        out_started(node, attempt);
                }
                if (attempt->phase == PHASE_ENDED)
                        result_welcomed(node, attempt);
        }
}

static void session_welcome(struct node *node, uint64_t correlation,
                            const struct px_m_node_welcome *welcome)
{
        if (correlation != node->hello_number || node->session != 0)
                return; /* of an older HELLO, or a repetition */
        if (welcome->session == 0 || welcome->cluster.length != NODE_ID_BYTES ||
            welcome->epoch < node->epoch || welcome->heartbeat_ms == 0 ||
            welcome->lease_ms <= welcome->heartbeat_ms || welcome->lease_ms > INT32_MAX)
                return;
        if (node->options.cluster.length > 0 &&
            !px_slice_equal(node->options.cluster, welcome->cluster))
                return; /* ours is another cluster; its broker refuses us by name */
        node->session = welcome->session;
        node->session_last = welcome->session;
        node->id = welcome->node;
        node->heartbeat_ms = welcome->heartbeat_ms;
        node->lease_ms = welcome->lease_ms;
        gone_forget(node);
        session_identity(node, welcome);
        px_greeter_welcomed(&node->ctl, node->now_ms, node->heartbeat_ms, node->lease_ms);
        px_greeter_init(&node->data, node->now_ms, NODE_BACKOFF_MAX_MS,
                        node->options.seed ^ node->session);
        session_contact(node, correlation);
        session_resume(node);
}

/* ---- what arrives -----------------------------------------------------------------------------
 */

static void session_denied(struct node *node, struct px_slice body)
{
        struct px_m_refused refused;
        struct node_effect *effect;

        if (px_m_refused_decode(body, &node->effects->arena, &refused) != PX_WIRE_OK)
                return;
        effect = out_effect(node, NODE_EFFECT_DENIED);
        effect->code = refused.code;
        effect->text = px_arena_copy(&node->effects->arena, refused.text);
}

#define DECODES(kind, body, ret)                                                                   \
        (px_m_##kind##_decode(body, &node->effects->arena, ret) == PX_WIRE_OK)
/* Of the present session: a word of an older one is dropped. */
#define DECODES_NOW(kind, body, ret)                                                               \
        (node->session != 0 && DECODES(kind, body, ret) && (ret)->session == node->session)

static void session_take_work(struct node *node, uint16_t type, struct px_slice body)
{
        union {
                struct px_m_assign assign;
                struct px_m_kill kill;
                struct px_m_result_ok result_ok;
                struct px_m_node_stop stop;
        } message;

        switch (type) {
        case PX_M_ASSIGN:
                if (DECODES_NOW(assign, body, &message.assign))
                        assign_take(node, &message.assign);
                break;
        case PX_M_KILL:
                if (DECODES_NOW(kill, body, &message.kill))
                        kill_take(node, &message.kill);
                break;
        case PX_M_RESULT_OK:
                if (DECODES(result_ok, body, &message.result_ok))
                        result_ok(node, &message.result_ok);
                break;
        case PX_M_NODE_STOP:
                if (DECODES_NOW(node_stop, body, &message.stop))
                        leave_begin(node, message.stop.kill ? LEAVING_KILL : LEAVING_EMPTY);
                break;
        default:
                break; /* of a later release */
        }
}

void session_take_ctl(struct node *node, struct px_slice frame)
{
        struct px_slice copy = px_arena_copy(&node->effects->arena, frame);
        struct px_wire_header header;
        struct px_slice body;
        struct px_m_node_welcome welcome;

        if (px_wire_get_header(copy, &header, &body) != PX_WIRE_OK)
                return;
        px_greeter_heard(&node->ctl, node->now_ms);
        switch (header.type) {
        case PX_M_AGAIN:
        case PX_M_BYE:
                session_end(node);
                px_greeter_again(&node->ctl, node->now_ms);
                break;
        case PX_M_REFUSED:
                if (node->session == 0 && header.correlation == node->hello_number)
                        session_denied(node, body);
                break;
        case PX_M_PONG:
                if (node->session != 0)
                        session_contact(node, header.correlation);
                break;
        case PX_M_NODE_WELCOME:
                if (DECODES(node_welcome, body, &welcome))
                        session_welcome(node, header.correlation, &welcome);
                break;
        default:
                session_take_work(node, header.type, body);
        }
}

static void session_data_pong(struct node *node, const struct px_m_pong *pong)
{
        if (node->data.up && pong->epoch == node->data_epoch)
                return;
        /* Another connection or another broker: what was on its way may be lost. */
        node->data_epoch = pong->epoch;
        px_greeter_welcomed(&node->data, node->now_ms, node->heartbeat_ms, node->lease_ms);
        log_rewind_all(node);
        PX_LIST_EACH(&node->attempts, link)
        progress_repeat(node, attempt_of_link(link));
}

void session_take_data(struct node *node, struct px_slice frame)
{
        struct px_wire_header header;
        struct px_slice body;
        struct px_m_pong pong;
        struct px_m_log_ack ack;

        if (px_wire_get_header(frame, &header, &body) != PX_WIRE_OK)
                return;
        px_greeter_heard(&node->data, node->now_ms);
        switch (header.type) {
        case PX_M_AGAIN:
                px_greeter_again(&node->data, node->now_ms);
                break;
        case PX_M_PONG:
                if (node->session != 0 && DECODES(pong, body, &pong))
                        session_data_pong(node, &pong);
                break;
        case PX_M_LOG_ACK:
                if (DECODES(log_ack, body, &ack))
                        log_ack(node, &ack);
                break;
        default:
                break;
        }
}

/* ---- time -------------------------------------------------------------------------------------
 */

static void session_ping(struct node *node)
{
        struct px_m_node_ping ping = {
                .session = node->session,
                .running = (uint32_t)node->running_count,
                .load_milli = node->load_milli,
                .memory_free_bytes = node->memory_free_bytes,
        };

        px_buf_reset(&node->frame);
        px_m_node_ping_frame(&ping, (uint64_t)node->now_ms, 0, &node->frame);
        out_ctl(node);
}

static void session_data_hello(struct node *node)
{
        struct px_m_data_hello hello = {.node = node->id, .session = node->session};

        px_buf_reset(&node->frame);
        px_m_data_hello_frame(&hello, (uint64_t)node->now_ms, 0, &node->frame);
        out_data(node);
}

static void session_renew(struct node *node)
{
        session_end(node);
        px_greeter_again(&node->ctl, node->now_ms); /* where the data socket was the silent one */
        out_effect(node, NODE_EFFECT_RENEW);
}

void session_step(struct node *node)
{
        enum px_greeter_action action;

        while ((action = px_greeter_step(&node->ctl, node->now_ms)) != PX_GREETER_NOTHING) {
                if (action == PX_GREETER_HELLO)
                        session_hello(node);
                else if (action == PX_GREETER_PING)
                        session_ping(node);
                else
                        session_renew(node);
        }
        while (node->session != 0 &&
               (action = px_greeter_step(&node->data, node->now_ms)) != PX_GREETER_NOTHING) {
                if (action == PX_GREETER_RENEW)
                        session_renew(node);
                else
                        session_data_hello(node);
        }
}
