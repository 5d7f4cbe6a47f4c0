/* SPDX-License-Identifier: Apache-2.0 */
/* node_rig.c - see node_rig.h. */
#include "node_rig.h"

static struct {
        struct node *node;
        struct node_effects effects;
        struct px_buf trace;
        struct px_buf frame;
        struct px_arena arena;
        int64_t now_ms;
        uint64_t hello_number;
        uint64_t ping_number;
} rig;

static void rig_end(void *context)
{
        (void)context;
        node_free(rig.node);
        node_effects_fini(&rig.effects);
        px_buf_fini(&rig.trace);
        px_buf_fini(&rig.frame);
        px_arena_fini(&rig.arena);
}

void rig_start(void)
{
        struct node_options options = {
                .name = "n1",
                .boot = px_slice_text("boot-boot-boot-1"),
                .spool = px_slice_text("spool-spool-spo1"),
                .cpus_milli = 2000,
                .version = "test",
                .kill_mode = "test",
                .enforces = "nothing",
                .accounts = "self",
                .log_credit_bytes = 4 * PX_LIMIT_LOG_CHUNK_BYTES,
                .log_wait_ms = 10000,
                .seed = 5,
        };

        rig.now_ms = RIG_START_MS;
        rig.node = node_new(&options, rig.now_ms);
        rig.hello_number = 0;
        px_buf_reset(&rig.trace);
        test_cleanup(rig_end, NULL);
}

struct node *rig_node(void)
{
        return rig.node;
}

int64_t rig_now_ms(void)
{
        return rig.now_ms;
}

struct px_fence rig_fence(uint32_t attempt)
{
        return (struct px_fence){RIG_EPOCH, attempt};
}

uint64_t rig_hello_number(void)
{
        return rig.hello_number;
}

uint64_t rig_ping_number(void)
{
        return rig.ping_number;
}

/* ---- the trace --------------------------------------------------------------------------------
 */

static void trace_key(struct px_job_id job, struct px_fence fence)
{
        px_buf_format(&rig.trace, " %llu.%u", (unsigned long long)job.value, fence.attempt);
}

static void trace_hello(struct px_slice body)
{
        struct px_m_node_hello hello;

        EXPECT_INT(px_m_node_hello_decode(body, &rig.arena, &hello), PX_WIRE_OK);
        px_buf_append_text(&rig.trace, " HELLO");
        for (size_t i = 0; i < hello.inventory_count; i++) {
                trace_key(hello.inventory[i].job, hello.inventory[i].fence);
                px_buf_format(&rig.trace, " %s", px_attempt_state_name(hello.inventory[i].state));
        }
}

static void trace_accept(struct px_slice body)
{
        struct px_m_accept accept;

        EXPECT_INT(px_m_accept_decode(body, &rig.arena, &accept), PX_WIRE_OK);
        px_buf_append_text(&rig.trace, " ACCEPT");
        for (size_t i = 0; i < accept.items_count; i++) {
                trace_key(accept.items[i].job, accept.items[i].fence);
                if (accept.items[i].code != 0)
                        px_buf_format(&rig.trace, " %s", px_error_find(accept.items[i].code)->name);
        }
}

static void trace_started(struct px_slice body)
{
        struct px_m_started started;

        EXPECT_INT(px_m_started_decode(body, &rig.arena, &started), PX_WIRE_OK);
        px_buf_append_text(&rig.trace, " STARTED");
        for (size_t i = 0; i < started.items_count; i++)
                trace_key(started.items[i].job, started.items[i].fence);
}

static void trace_result(struct px_slice body)
{
        struct px_m_result result;

        EXPECT_INT(px_m_result_decode(body, &rig.arena, &result), PX_WIRE_OK);
        px_buf_append_text(&rig.trace, " RESULT");
        for (size_t i = 0; i < result.items_count; i++) {
                trace_key(result.items[i].job, result.items[i].fence);
                px_buf_format(&rig.trace, " %s", px_outcome_name(result.items[i].outcome));
                if (result.items[i].log_pending_bytes > 0)
                        px_buf_format(&rig.trace, " pending %llu",
                                      (unsigned long long)result.items[i].log_pending_bytes);
                if (result.items[i].progress_permille >= 0)
                        px_buf_format(&rig.trace, " progress %d",
                                      result.items[i].progress_permille);
        }
}

static void trace_progress(struct px_slice body)
{
        struct px_m_progress progress;

        EXPECT_INT(px_m_progress_decode(body, &rig.arena, &progress), PX_WIRE_OK);
        px_buf_append_text(&rig.trace, " PROGRESS");
        for (size_t i = 0; i < progress.items_count; i++) {
                trace_key(progress.items[i].job, progress.items[i].fence);
                px_buf_format(&rig.trace, " %d", progress.items[i].permille);
        }
}

static void trace_other(uint16_t type, struct px_slice body)
{
        struct px_m_log_final final;
        struct px_m_node_bye bye;

        if (type == PX_M_LOG_FINAL) {
                EXPECT_INT(px_m_log_final_decode(body, &rig.arena, &final), PX_WIRE_OK);
                px_buf_append_text(&rig.trace, " LOG_FINAL");
                trace_key(final.job, final.fence);
                px_buf_format(&rig.trace, " out %llu err %llu",
                              (unsigned long long) final.out_bytes,
                              (unsigned long long) final.err_bytes);
        } else if (type == PX_M_NODE_BYE) {
                EXPECT_INT(px_m_node_bye_decode(body, &rig.arena, &bye), PX_WIRE_OK);
                px_buf_format(&rig.trace, " BYE keeping %u%s", bye.keeping,
                              bye.gone ? ", gone" : "");
        } else if (type == PX_M_NODE_PING) {
                px_buf_append_text(&rig.trace, " PING");
        } else if (type == PX_M_DATA_HELLO) {
                px_buf_append_text(&rig.trace, " DATA_HELLO");
        } else {
                test_fail(__FILE__, __LINE__, "a message of type %u", type);
        }
}

static void trace_frame(struct px_slice frame)
{
        struct px_wire_header header;
        struct px_slice body;

        EXPECT_INT(px_wire_get_header(frame, &header, &body), PX_WIRE_OK);
        switch (header.type) {
        case PX_M_NODE_HELLO:
                rig.hello_number = header.correlation;
                trace_hello(body);
                break;
        case PX_M_ACCEPT:
                trace_accept(body);
                break;
        case PX_M_STARTED:
                trace_started(body);
                break;
        case PX_M_RESULT:
                trace_result(body);
                break;
        case PX_M_PROGRESS:
                trace_progress(body);
                break;
        default:
                if (header.type == PX_M_NODE_PING)
                        rig.ping_number = header.correlation;
                trace_other(header.type, body);
        }
}

static const char *const effect_names[] = {
        [NODE_EFFECT_SHIP] = "ship",         [NODE_EFFECT_ENTER] = "enter",
        [NODE_EFFECT_START] = "start",       [NODE_EFFECT_KILL] = "kill",
        [NODE_EFFECT_SIGNAL] = "signal",     [NODE_EFFECT_TRIM] = "trim",
        [NODE_EFFECT_REMOVE] = "remove",     [NODE_EFFECT_CONTACT] = "contact",
        [NODE_EFFECT_IDENTITY] = "identity", [NODE_EFFECT_RENEW] = "renew",
        [NODE_EFFECT_EXIT] = "exit",         [NODE_EFFECT_DENIED] = "denied",
};

static void trace_effect(const struct node_effect *effect)
{
        px_buf_format(&rig.trace, "[%lld]", (long long)rig.now_ms);
        if (effect->kind == NODE_EFFECT_SEND_CTL || effect->kind == NODE_EFFECT_SEND_DATA) {
                trace_frame(effect->frame);
                px_buf_append_text(&rig.trace, "\n");
                return;
        }
        px_buf_format(&rig.trace, " %s", effect_names[effect->kind]);
        if (effect->job.value != 0)
                trace_key(effect->job, effect->fence);
        if (effect->kind == NODE_EFFECT_SHIP)
                px_buf_format(&rig.trace, " %s %llu+%llu%s", px_stream_name(effect->stream),
                              (unsigned long long)effect->offset,
                              (unsigned long long)effect->length, effect->sync ? " sync" : "");
        if (effect->kind == NODE_EFFECT_TRIM)
                px_buf_format(&rig.trace, " %s %llu", px_stream_name(effect->stream),
                              (unsigned long long)effect->offset);
        if (effect->kind == NODE_EFFECT_KILL)
                px_buf_format(&rig.trace, " %s", px_kill_why_name(effect->why));
        if (effect->kind == NODE_EFFECT_SIGNAL)
                px_buf_format(&rig.trace, " %u", effect->signal);
        if (effect->kind == NODE_EFFECT_CONTACT)
                px_buf_format(&rig.trace, " %llu ms ago", (unsigned long long)effect->ago_ms);
        px_buf_append_text(&rig.trace, "\n");
}

void rig_forget(void)
{
        px_buf_reset(&rig.trace);
}

void rig_expect(const char *file, int line, const char *expected)
{
        px_buf_append(&rig.trace, "", 1);
        test_expect_text(file, line, "the trace", (const char *)rig.trace.data, expected);
        px_buf_reset(&rig.trace);
}

/* ---- inputs -----------------------------------------------------------------------------------
 */

void rig_input(struct node_input input)
{
        node_step(rig.node, rig.now_ms, &input, &rig.effects);
        for (size_t i = 0; i < rig.effects.count; i++)
                trace_effect(&rig.effects.items[i]);
        node_check(rig.node);
        px_buf_reset(&rig.frame);
}

void rig_until(int64_t now_ms)
{
        while (node_deadline_ms(rig.node) <= now_ms) {
                rig.now_ms = PX_MAX(node_deadline_ms(rig.node), rig.now_ms);
                rig_input((struct node_input){.kind = NODE_IN_TIME});
                EXPECT(node_deadline_ms(rig.node) > rig.now_ms);
        }
        rig.now_ms = now_ms;
}

static void rig_ctl(void)
{
        rig_input((struct node_input){.kind = NODE_IN_CTL, .frame = px_buf_slice(&rig.frame)});
}

static void rig_data(void)
{
        rig_input((struct node_input){.kind = NODE_IN_DATA, .frame = px_buf_slice(&rig.frame)});
}

void rig_adopt(const struct node_found *found)
{
        node_adopt(rig.node, found);
}

void rig_welcome(uint64_t correlation, uint64_t session, uint64_t epoch)
{
        struct px_m_node_welcome welcome = {
                .session = session,
                .epoch = epoch,
                .cluster = px_slice_text("cluster-cluster1"),
                .node = {1},
                .heartbeat_ms = 2000,
                .lease_ms = 14000,
                .version = px_slice_text("test"),
        };

        px_m_node_welcome_frame(&welcome, correlation, 0, &rig.frame);
        rig_ctl();
}

void rig_up(uint64_t session)
{
        rig_input((struct node_input){.kind = NODE_IN_TIME});
        rig_welcome(rig.hello_number, session, RIG_EPOCH);
        EXPECT(node_connected(rig.node));
        rig_data_pong(RIG_EPOCH);
        rig_forget();
}

static void rig_assign_item(uint64_t session, struct px_assign item)
{
        struct px_m_assign assign = {.session = session, .items = &item, .items_count = 1};

        item.kind = PX_JOB_KIND_COMMAND;
        item.principal = px_slice_text("ann");
        item.cpus_milli = 1000;
        item.spec = px_slice_text("spec");
        px_m_assign_frame(&assign, 0, 0, &rig.frame);
        rig_ctl();
}

void rig_assign(uint64_t session, uint64_t job, uint32_t attempt)
{
        rig_assign_item(session, (struct px_assign){.job = {job},
                                                    .fence = rig_fence(attempt),
                                                    .on_lost = PX_ON_LOST_RERUN});
}

void rig_assign_fail(uint64_t session, uint64_t job, uint32_t attempt, uint64_t lost_after_ms)
{
        rig_assign_item(session, (struct px_assign){.job = {job},
                                                    .fence = rig_fence(attempt),
                                                    .on_lost = PX_ON_LOST_FAIL,
                                                    .lost_after_ms = lost_after_ms});
}

void rig_kill(uint64_t session, uint64_t job, uint32_t attempt, int why)
{
        struct px_kill item = {.job = {job}, .fence = rig_fence(attempt), .why = why};
        struct px_m_kill kill = {.session = session, .items = &item, .items_count = 1};

        if (why == PX_KILL_WHY_SIGNAL)
                item.signal = 10;
        px_m_kill_frame(&kill, 0, 0, &rig.frame);
        rig_ctl();
}

void rig_result_ok(uint64_t job, uint32_t attempt)
{
        struct px_attempt_key key = {.job = {job}, .fence = rig_fence(attempt)};
        struct px_m_result_ok ok = {.items = &key, .items_count = 1};

        px_m_result_ok_frame(&ok, 0, 0, &rig.frame);
        rig_ctl();
}

void rig_stop(uint64_t session, bool kill)
{
        struct px_m_node_stop stop = {.session = session, .kill = kill};

        px_m_node_stop_frame(&stop, 0, 0, &rig.frame);
        rig_ctl();
}

void rig_again(void)
{
        px_m_again_frame(&(struct px_m_again){.epoch = RIG_EPOCH}, 0, 0, &rig.frame);
        rig_ctl();
}

void rig_bye(void)
{
        px_m_bye_frame(&(struct px_m_bye){.epoch = RIG_EPOCH}, 0, 0, &rig.frame);
        rig_ctl();
}

void rig_ctl_pong(uint64_t correlation)
{
        px_m_pong_frame(&(struct px_m_pong){.epoch = RIG_EPOCH}, correlation, 0, &rig.frame);
        rig_ctl();
}

void rig_data_pong(uint64_t epoch)
{
        px_m_pong_frame(&(struct px_m_pong){.epoch = epoch}, 0, 0, &rig.frame);
        rig_data();
}

void rig_log_ack(uint64_t job, uint32_t attempt, int stream, uint64_t received, uint64_t stored,
                 bool closed)
{
        struct px_log_ack item = {
                .job = {job},
                .fence = rig_fence(attempt),
                .stream = stream,
                .received = received,
                .stored = stored,
                .closed = closed,
        };
        struct px_m_log_ack ack = {.items = &item, .items_count = 1};

        px_m_log_ack_frame(&ack, 0, 0, &rig.frame);
        rig_data();
}

static struct node_input rig_about(enum node_input_kind kind, uint64_t job, uint32_t attempt)
{
        return (struct node_input){.kind = kind, .job = {job}, .fence = rig_fence(attempt)};
}

void rig_entered(uint64_t job, uint32_t attempt)
{
        rig_input(rig_about(NODE_IN_ENTERED, job, attempt));
}

void rig_started(uint64_t job, uint32_t attempt)
{
        struct node_input input = rig_about(NODE_IN_STARTED, job, attempt);

        input.wall_ms = 1700000000000;
        rig_input(input);
}

void rig_refused(uint64_t job, uint32_t attempt, int code)
{
        struct node_input input = rig_about(NODE_IN_REFUSED, job, attempt);

        input.code = code;
        input.text = px_slice_text("not here");
        rig_input(input);
}

void rig_grew(uint64_t job, uint32_t attempt, int stream, uint64_t length)
{
        struct node_input input = rig_about(NODE_IN_GREW, job, attempt);

        input.stream = stream;
        input.length = length;
        rig_input(input);
}

void rig_progress(uint64_t job, uint32_t attempt, int32_t permille)
{
        struct node_input input = rig_about(NODE_IN_PROGRESS, job, attempt);

        input.permille = permille;
        input.text = px_slice_text("slice");
        input.wall_ms = 1700000000000;
        rig_input(input);
}

void rig_ended(uint64_t job, uint32_t attempt, int outcome, uint64_t out_bytes)
{
        struct node_input input = rig_about(NODE_IN_ENDED, job, attempt);
        struct px_result result = {
                .job = input.job,
                .fence = input.fence,
                .outcome = outcome,
                .reason = PX_REASON_EXIT,
                .progress_permille = -1,
        };

        result.use.out_bytes = out_bytes;
        input.result = &result;
        rig_input(input);
}

void rig_run(uint64_t session, uint64_t job, uint32_t attempt)
{
        rig_assign(session, job, attempt);
        rig_entered(job, attempt);
        rig_started(job, attempt);
        rig_forget();
}
