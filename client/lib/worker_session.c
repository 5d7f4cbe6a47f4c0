/* SPDX-License-Identifier: Apache-2.0 */
/* worker_session.c - the worker's talk on the node socket. Layer: L4 (client/lib). Source: DESIGN 5.
 *
 * An inventory is true of the moment it was written: only the WELCOME that answers the latest HELLO
 * counts, and what arrives before it is dropped; the broker says it again in the new session. */
#include "lib_worker.h"

#include <unistd.h>

#define WORKER_BACKOFF_MAX_MS 3500
#define WORKER_RESULT_REPEAT_MS 3000
#define WORKER_MESSAGE_ROOM 1024 /* of MESSAGE_BYTES, for heads */
#define WORKER_RESULT_ROOM 2048  /* of one result beside its bytes */
#define WORKER_PROGRESS_MS 250

static void send_frame(struct plexus_worker *worker, struct px_buf *frame)
{
        loop_send(worker->px, &worker->px->node, px_buf_slice(frame), PX_SLICE_NONE);
        px_buf_fini(frame);
}

/* ---- greeting ----------------------------------------------------------------------------------------- */

static int attempt_state(const struct plexus_task *task)
{
        static const int states[] = {[TASK_WAITING] = PX_ATTEMPT_STATE_ACCEPTED,
                                     [TASK_RUNNING] = PX_ATTEMPT_STATE_RUNNING,
                                     [TASK_ENDED] = PX_ATTEMPT_STATE_ENDED};

        return states[task->state];
}

static size_t fill_inventory(const struct plexus_worker *worker, struct px_inventory_item *items)
{
        size_t count = 0;

        PX_LIST_EACH(&worker->held, link)
        {
                const struct plexus_task *task = PX_CONTAINER_OF(link, struct plexus_task, held);

                if (task->dropped || count == PX_LIMIT_INVENTORY_ITEMS)
                        continue;
                items[count++] = (struct px_inventory_item){.job = {task->job},
                                                            .fence = task->fence,
                                                            .state = attempt_state(task)};
        }
        return count;
}

static void send_hello(struct plexus_worker *worker, int64_t now_ms)
{
        struct px_slice types[PX_LIMIT_WORKER_TYPES];
        struct px_inventory_item *items = px_alloc((worker->held_count + 1) * sizeof(*items));
        struct px_m_node_hello hello = {
                .cluster = px_slice_of(worker->cluster, worker->has_cluster ? WORKER_ID_BYTES : 0),
                .name = px_slice_text(worker->name),
                .kind = PX_NODE_KIND_WORKER,
                .boot = px_slice_of(worker->boot, WORKER_ID_BYTES),
                .spool = px_slice_of(worker->spool, WORKER_ID_BYTES),
                .session = worker->session,
                .epoch = worker->epoch,
                .version = px_slice_text(PX_PRODUCT_VERSION),
                .cpus_milli = (uint32_t)PX_MAX(sysconf(_SC_NPROCESSORS_ONLN), 1) * 1000,
                .memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE),
                .types = types,
                .types_count = worker->handlers_count,
                .slots = worker->slots,
                .kill_mode = px_slice_text("asked to stop"),
                .accounts = px_slice_text("self"),
                .inventory = items,
                .inventory_count = fill_inventory(worker, items),
        };
        struct px_buf frame = {0};

        for (size_t i = 0; i < worker->handlers_count; i++)
                types[i] = px_slice_text(worker->handlers[i].type);
        worker->welcomed = false;
        worker->hello_number = PX_MAX(worker->hello_number + 1, now_ms);
        px_m_node_hello_frame(&hello, (uint64_t)worker->hello_number, 0, &frame);
        send_frame(worker, &frame);
        px_free(items);
}

static void send_ping(struct plexus_worker *worker)
{
        struct px_m_node_ping ping = {.session = worker->session,
                                      .running = (uint32_t)worker->held_count};
        struct px_buf frame = {0};

        px_m_node_ping_frame(&ping, 0, 0, &frame);
        send_frame(worker, &frame);
}

void worker_up(struct plexus *px, int64_t now_ms)
{
        if (px->worker == NULL)
                return;
        px->worker->welcomed = false;
        px_greeter_init(&px->worker->greeter, now_ms, WORKER_BACKOFF_MAX_MS, lib_random());
}

void worker_down(struct plexus *px)
{
        if (px->worker != NULL)
                px->worker->welcomed = false;
}

static void step_greeter(struct plexus_worker *worker, int64_t now_ms)
{
        for (;;) {
                switch (px_greeter_step(&worker->greeter, now_ms)) {
                case PX_GREETER_NOTHING:
                        return;
                case PX_GREETER_HELLO:
                        send_hello(worker, now_ms);
                        break;
                case PX_GREETER_PING:
                        send_ping(worker);
                        break;
                case PX_GREETER_RENEW:
                        worker->welcomed = false;
                        link_renew(&worker->px->node, "is connected but silent", now_ms);
                        return;
                }
        }
}

/* ---- what is to be said ---------------------------------------------------------------------------------- */

static void send_accepts(struct plexus_worker *worker)
{
        size_t count = worker->accepts.length / sizeof(struct px_accept);
        const struct px_accept *items = (const void *)worker->accepts.data;

        for (size_t from = 0; from < count; from += PX_LIMIT_BATCH_ITEMS) {
                struct px_m_accept accept = {
                        .session = worker->session, .items = items + from,
                        .items_count = PX_MIN(count - from, (size_t)PX_LIMIT_BATCH_ITEMS)};
                struct px_buf frame = {0};

                px_m_accept_frame(&accept, 0, 0, &frame);
                send_frame(worker, &frame);
        }
        px_buf_reset(&worker->accepts);
        px_arena_reset(&worker->accepts_texts);
}

/* Tasks that wait for a thread. */
static void add_accepts(struct plexus_worker *worker)
{
        PX_LIST_EACH(&worker->held, link)
        {
                struct plexus_task *task = PX_CONTAINER_OF(link, struct plexus_task, held);
                struct px_accept accept = {.job = {task->job}, .fence = task->fence};

                if (task->accept_due && !task->dropped)
                        px_buf_append(&worker->accepts, &accept, sizeof(accept));
                task->accept_due = false;
        }
}

/* false when none is due. */
static bool send_some_started(struct plexus_worker *worker)
{
        struct px_started items[256];
        struct px_m_started started = {.session = worker->session, .items = items};
        struct px_buf frame = {0};

        PX_LIST_EACH(&worker->held, link)
        {
                struct plexus_task *task = PX_CONTAINER_OF(link, struct plexus_task, held);

                if (!task->started_due || task->dropped ||
                    started.items_count == PX_COUNT_OF(items))
                        continue;
                task->started_due = false;
                items[started.items_count++] = (struct px_started){
                        .job = {task->job}, .fence = task->fence,
                        .wall_ms = task->started_wall_ms};
        }
        if (started.items_count == 0)
                return false;
        px_m_started_frame(&started, 0, 0, &frame);
        send_frame(worker, &frame);
        return true;
}

static void fill_result(const struct plexus_task *task, struct px_result *ret_item)
{
        *ret_item = (struct px_result){
                .job = {task->job},
                .fence = task->fence,
                .outcome = task->outcome,
                .reason = task->outcome == PX_OUTCOME_OK       ? PX_REASON_FINISHED
                          : task->outcome == PX_OUTCOME_FAILED ? PX_REASON_HANDLER_FAILED
                          : task->outcome == PX_OUTCOME_GONE   ? PX_REASON_NODE_RESTARTED
                                                               : PX_REASON_CANCELLED,
                .exit_code = -1,
                .text = px_slice_text(task->text),
                .use = {.started_wall_ms = task->started_wall_ms,
                        .ended_wall_ms = task->ended_wall_ms},
                .progress_permille = task->progress_permille,
                .progress_text = px_slice_text(task->progress_text),
                .has_result = task->has_result,
                .result = px_buf_slice(&task->result),
        };
}

/* The due results that fit into one message; false when none is due. */
static bool send_some_results(struct plexus_worker *worker, int64_t now_ms)
{
        struct px_result items[256];
        struct px_m_result result = {.session = worker->session, .items = items};
        struct px_buf frame = {0};
        size_t bytes = WORKER_MESSAGE_ROOM;

        PX_LIST_EACH(&worker->ended, link)
        {
                struct plexus_task *task = PX_CONTAINER_OF(link, struct plexus_task, link);

                if (now_ms < task->due_ms)
                        continue;
                bytes += WORKER_RESULT_ROOM + task->result.length;
                if (result.items_count == PX_COUNT_OF(items) ||
                    (result.items_count > 0 && bytes > PX_LIMIT_MESSAGE_BYTES))
                        break;
                fill_result(task, &items[result.items_count++]);
                task->due_ms = now_ms + WORKER_RESULT_REPEAT_MS;
        }
        if (result.items_count == 0)
                return false;
        px_m_result_frame(&result, 0, 0, &frame);
        send_frame(worker, &frame);
        return true;
}

static void send_progress(struct plexus_worker *worker, int64_t now_ms)
{
        struct plexus *px = worker->px;
        struct px_progress items[256];
        struct px_m_progress progress = {.items = items};
        struct px_buf frame = {0};

        if (px->data.state != LINK_UP || !worker->greeted_data)
                return;
        PX_LIST_EACH(&worker->held, link)
        {
                struct plexus_task *task = PX_CONTAINER_OF(link, struct plexus_task, held);

                if (!task->progress_due || now_ms < task->progress_ms ||
                    progress.items_count == PX_COUNT_OF(items))
                        continue;
                task->progress_due = false;
                task->progress_ms = now_ms + WORKER_PROGRESS_MS;
                items[progress.items_count++] = (struct px_progress){
                        .job = {task->job}, .fence = task->fence,
                        .permille = task->progress_permille,
                        .text = px_slice_text(task->progress_text), .wall_ms = lib_wall_ms()};
        }
        if (progress.items_count == 0)
                return;
        px_m_progress_frame(&progress, 0, 0, &frame);
        loop_send(px, &px->data, px_buf_slice(&frame), PX_SLICE_NONE);
        px_buf_fini(&frame);
}

/* First word on the data socket of a node, in each of its sessions. */
static void greet_data(struct plexus_worker *worker)
{
        struct px_m_data_hello hello = {.node = {worker->node}, .session = worker->session};
        struct px_buf frame = {0};

        if (worker->greeted_data || worker->px->data.state != LINK_UP)
                return;
        px_m_data_hello_frame(&hello, 0, 0, &frame);
        worker->greeted_data =
                loop_send(worker->px, &worker->px->data, px_buf_slice(&frame), PX_SLICE_NONE);
        px_buf_fini(&frame);
}

void worker_data_up(struct plexus *px)
{
        if (px->worker != NULL)
                px->worker->greeted_data = false;
}

static void send_bye(struct plexus_worker *worker)
{
        struct px_m_node_bye bye = {.session = worker->session, .gone = true};
        struct px_buf frame = {0};

        px_m_node_bye_frame(&bye, 0, 0, &frame);
        send_frame(worker, &frame);
        worker->bye_due = false;
        worker->bye_said = true;
        pthread_cond_broadcast(&worker->changed);
}

void worker_step(struct plexus *px, int64_t now_ms)
{
        struct plexus_worker *worker = px->worker;

        if (worker == NULL || !worker->started || worker->bye_said || worker->refused != 0 ||
            px->node.state != LINK_UP)
                return;
        step_greeter(worker, now_ms);
        if (!worker->welcomed || px->node.state != LINK_UP)
                return;
        if (worker->say_ms != 0 && now_ms >= worker->say_ms) {
                worker->say_ms = 0;
                add_accepts(worker);
                while (send_some_started(worker))
                        continue;
        }
        send_accepts(worker);
        while (send_some_results(worker, now_ms))
                continue;
        greet_data(worker);
        send_progress(worker, now_ms);
        if (worker->bye_due && worker->held_count == 0)
                send_bye(worker);
}

int64_t worker_deadline_ms(const struct plexus *px)
{
        const struct plexus_worker *worker = px->worker;
        int64_t deadline_ms;

        if (worker == NULL || !worker->started || worker->bye_said || worker->refused != 0 ||
            px->node.state != LINK_UP)
                return INT64_MAX;
        deadline_ms = px_greeter_deadline_ms(&worker->greeter);
        if (!worker->welcomed)
                return deadline_ms;
        if (worker->say_ms != 0)
                deadline_ms = PX_MIN(deadline_ms, worker->say_ms);
        PX_LIST_EACH(&worker->held, link)
        {
                const struct plexus_task *task = PX_CONTAINER_OF(link, struct plexus_task, held);

                if (task->state == TASK_ENDED)
                        deadline_ms = PX_MIN(deadline_ms, task->due_ms);
                else if (task->progress_due && px->data.state == LINK_UP)
                        deadline_ms = PX_MIN(deadline_ms, task->progress_ms);
        }
        return deadline_ms;
}

/* ---- what arrives -------------------------------------------------------------------------------------------- */

static void on_welcome(struct plexus_worker *worker, uint64_t correlation, struct px_slice body,
                       struct px_arena *arena, int64_t now_ms)
{
        struct px_m_node_welcome welcome;

        if (correlation != (uint64_t)worker->hello_number ||
            px_m_node_welcome_decode(body, arena, &welcome) != PX_WIRE_OK ||
            welcome.session == 0 || welcome.heartbeat_ms == 0)
                return;
        worker->session = welcome.session;
        worker->epoch = welcome.epoch;
        worker->node = welcome.node.value;
        if (welcome.cluster.length == WORKER_ID_BYTES) {
                memcpy(worker->cluster, welcome.cluster.data, WORKER_ID_BYTES);
                worker->has_cluster = true;
        }
        worker->welcomed = true;
        worker->greeted_data = false;
        px_greeter_welcomed(&worker->greeter, now_ms, welcome.heartbeat_ms,
                            PX_MAX(welcome.lease_ms, welcome.heartbeat_ms + 1));
        PX_LIST_EACH(&worker->ended, link)
        {
                PX_CONTAINER_OF(link, struct plexus_task, link)->due_ms = now_ms;
        }
        pthread_cond_broadcast(&worker->changed);
}

static void on_refused(struct plexus_worker *worker, struct px_slice body, struct px_arena *arena)
{
        struct px_m_refused refused;
        const struct px_error_info *info;

        if (px_m_refused_decode(body, arena, &refused) != PX_WIRE_OK || refused.code == 0)
                return;
        info = px_error_find(refused.code);
        if (worker->welcomed || (info != NULL && info->retry))
                return;
        worker->refused = refused.code;
        px_slice_to_text(refused.text, worker->refused_text, sizeof(worker->refused_text));
        pthread_cond_broadcast(&worker->changed);
}

static void on_assign(struct plexus_worker *worker, struct px_slice body, struct px_arena *arena)
{
        struct px_m_assign assign;

        /* Between HELLO and WELCOME nothing is followed: HELLO's inventory doesn't have it. */
        if (px_m_assign_decode(body, arena, &assign) != PX_WIRE_OK || !worker->welcomed ||
            assign.session != worker->session)
                return;
        for (size_t i = 0; i < assign.items_count; i++)
                task_accept(worker, &assign.items[i]);
}

static void on_kill(struct plexus_worker *worker, struct px_slice body, struct px_arena *arena)
{
        struct px_m_kill kill;

        if (px_m_kill_decode(body, arena, &kill) != PX_WIRE_OK || !worker->welcomed ||
            kill.session != worker->session)
                return;
        for (size_t i = 0; i < kill.items_count; i++)
                task_kill(worker, &kill.items[i]);
}

static void on_result_ok(struct plexus_worker *worker, struct px_slice body, struct px_arena *arena)
{
        struct px_m_result_ok ok;

        if (px_m_result_ok_decode(body, arena, &ok) != PX_WIRE_OK)
                return;
        for (size_t i = 0; i < ok.items_count; i++)
                task_result_ok(worker, &ok.items[i]);
}

static void on_stop(struct plexus_worker *worker, struct px_slice body, struct px_arena *arena)
{
        struct px_m_node_stop stop;

        if (px_m_node_stop_decode(body, arena, &stop) != PX_WIRE_OK)
                return;
        worker->stopping = true;
        worker->bye_due = true;
        PX_LIST_EACH(&worker->held, link)
        {
                if (stop.kill)
                        atomic_store(&PX_CONTAINER_OF(link, struct plexus_task, held)->cancelled,
                                     true);
        }
}

void worker_receive(struct plexus *px, struct px_slice frame, int64_t now_ms)
{
        struct plexus_worker *worker = px->worker;
        struct px_wire_header header;
        struct px_slice body;
        struct px_arena arena = {0};

        if (worker == NULL || px_wire_get_header(frame, &header, &body) != PX_WIRE_OK)
                return;
        px_greeter_heard(&worker->greeter, now_ms);
        if (header.type == PX_M_NODE_WELCOME)
                on_welcome(worker, header.correlation, body, &arena, now_ms);
        else if (header.type == PX_M_AGAIN || header.type == PX_M_BYE)
                px_greeter_again(&worker->greeter, now_ms);
        else if (header.type == PX_M_REFUSED)
                on_refused(worker, body, &arena);
        else if (worker->welcomed && header.type == PX_M_ASSIGN)
                on_assign(worker, body, &arena);
        else if (worker->welcomed && header.type == PX_M_KILL)
                on_kill(worker, body, &arena);
        else if (worker->welcomed && header.type == PX_M_RESULT_OK)
                on_result_ok(worker, body, &arena);
        else if (worker->welcomed && header.type == PX_M_NODE_STOP)
                on_stop(worker, body, &arena);
        px_arena_fini(&arena);
}
