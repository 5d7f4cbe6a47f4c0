/* SPDX-License-Identifier: Apache-2.0 */
/* sim_egress.c - log bytes at the broker: lengths only. Received bytes live in RAM until the next
 * sync; stored ones survive a crash. An attempt that was never opened is closed to its node. */
#include "sim_inside.h"

static uint64_t log_key(struct px_job_id job, struct px_fence fence)
{
        uint64_t parts[3] = {job.value, fence.epoch, fence.attempt};

        return px_hash64(1, parts, sizeof(parts));
}

struct egress_log *egress_find(struct sim *sim, struct px_job_id job, struct px_fence fence)
{
        return px_map_find(&sim->broker.logs, log_key(job, fence));
}

static void egress_ack(struct sim *sim, struct wire *wire, struct px_job_id job,
                       struct px_fence fence, int stream)
{
        const struct egress_log *log = egress_find(sim, job, fence);
        struct px_log_ack item = {.job = job, .fence = fence, .stream = stream, .closed = true};
        struct px_m_log_ack ack = {.items = &item, .items_count = 1};

        if (log != NULL && !log->purged) {
                item.received = log->received[stream];
                item.stored = log->stored[stream];
                item.closed = false;
        }
        px_buf_reset(&sim->frame);
        px_m_log_ack_frame(&ack, 0, 0, &sim->frame);
        wire_down(sim, wire, px_buf_slice(&sim->frame));
}

static void egress_synced(struct sim *sim, struct event *event)
{
        struct egress_log *log = event->owner;
        struct wire *wire;

        if (event->generation != sim->broker.generation)
                return;
        log->sync_planned = false;
        wire = wire_of_peer(sim, log->peer);
        for (int stream = PX_STREAM_OUT; stream < PX_STREAM_COUNT; stream++) {
                if (log->stored[stream] == log->received[stream])
                        continue;
                log->stored[stream] = log->received[stream];
                if (wire != NULL)
                        egress_ack(sim, wire, log->job, log->fence, stream);
        }
}

static void egress_plan_sync(struct sim *sim, struct egress_log *log, bool soon)
{
        uint64_t delay_ms = sim->options.random ? sim_below(sim, soon ? 20 : 1000) : 0;

        if (log->sync_planned)
                return;
        log->sync_planned = true;
        sim_plan(sim, delay_ms, egress_synced, log)->generation = sim->broker.generation;
}

static void egress_data(struct sim *sim, struct wire *wire, const struct px_m_log_data *data,
                        uint64_t bytes)
{
        struct egress_log *log = egress_find(sim, data->job, data->fence);
        uint64_t end = data->offset + bytes;

        if (log != NULL && !log->purged) {
                uint64_t *received = &log->received[data->stream];

                log->peer = wire->peer;
                if (data->offset <= *received && end > *received) {
                        *received = end;
                        egress_plan_sync(sim, log, data->sync);
                }
        }
        egress_ack(sim, wire, data->job, data->fence, data->stream);
}

static void egress_final(struct sim *sim, struct wire *wire, const struct px_m_log_final *final)
{
        struct egress_log *log = egress_find(sim, final->job, final->fence);

        if (log != NULL) {
                log->peer = wire->peer;
                log->final = true;
                log->length[PX_STREAM_OUT] = final->out_bytes;
                log->length[PX_STREAM_ERR] = final->err_bytes;
                egress_plan_sync(sim, log, true);
        }
        egress_ack(sim, wire, final->job, final->fence, PX_STREAM_OUT);
        egress_ack(sim, wire, final->job, final->fence, PX_STREAM_ERR);
}

static void egress_hello(struct sim *sim, struct wire *wire, uint64_t correlation)
{
        px_buf_reset(&sim->frame);
        px_m_pong_frame(&(struct px_m_pong){.epoch = sim->broker.epoch}, correlation, 0,
                        &sim->frame);
        wire_down(sim, wire, px_buf_slice(&sim->frame));
}

/* Stored now and then. */
static void egress_progress_keep(struct sim *sim, struct px_slice body)
{
        struct px_m_progress progress;
        int result = px_m_progress_decode(body, &sim->arena, &progress);

        PX_ASSERT(result == PX_WIRE_OK);
        if (!sim->broker.up || !sim->options.random || sim_below(sim, 3) != 0)
                return;
        px_buf_reset(&sim->frame);
        px_m_progress_keep_frame(&(struct px_m_progress_keep){.items = progress.items,
                                                              .items_count = progress.items_count},
                                 0, 0, &sim->frame);
        broker_shell(sim, 0, px_buf_slice(&sim->frame));
}

void egress_take(struct sim *sim, struct wire *wire, struct px_slice frame, uint64_t payload_bytes)
{
        struct px_wire_header header;
        struct px_slice body;
        struct px_m_log_data data;
        struct px_m_log_final final;
        struct px_m_stream_open open;
        int result = px_wire_get_header(frame, &header, &body);

        PX_ASSERT(result == PX_WIRE_OK);
        px_arena_reset(&sim->arena);
        switch (header.type) {
        case PX_M_DATA_HELLO:
                egress_hello(sim, wire, header.correlation);
                break;
        case PX_M_LOG_DATA:
                result = px_m_log_data_decode(body, &sim->arena, &data);
                PX_ASSERT(result == PX_WIRE_OK);
                egress_data(sim, wire, &data, payload_bytes);
                break;
        case PX_M_LOG_FINAL:
                result = px_m_log_final_decode(body, &sim->arena, &final);
                PX_ASSERT(result == PX_WIRE_OK);
                egress_final(sim, wire, &final);
                break;
        case PX_M_STREAM_OPEN:
                result = px_m_stream_open_decode(body, &sim->arena, &open);
                PX_ASSERT(result == PX_WIRE_OK);
                follow_open(sim, wire, &open);
                break;
        case PX_M_PROGRESS:
                egress_progress_keep(sim, body);
                break;
        default:
                break;
        }
}

static void egress_open(struct sim *sim, const struct core_log_open *open)
{
        struct egress_log *log = egress_find(sim, open->job, open->fence);

        if (log == NULL) {
                log = px_alloc(sizeof(*log));
                log->job = open->job;
                log->fence = open->fence;
                px_map_put(&sim->broker.logs, log_key(open->job, open->fence), log);
        }
        log->open = true;
}

void egress_effect(struct sim *sim, const struct core_effect *effect)
{
        struct egress_log *log;
        size_t cursor = 0;
        uint64_t key;
        void *value;

        switch (effect->kind) {
        case CORE_EFFECT_LOG_OPEN:
                egress_open(sim, &effect->log_open);
                break;
        case CORE_EFFECT_LOG_CLOSE:
                log = egress_find(sim, effect->log_close.job, effect->log_close.fence);
                if (log != NULL)
                        log->closed = true;
                break;
        case CORE_EFFECT_JOB_PURGED:
                while (px_map_next(&sim->broker.logs, &cursor, &key, &value)) {
                        log = value;
                        if (log->job.value == effect->job_purged.value)
                                log->purged = true;
                }
                break;
        default:
                break;
        }
}

void egress_crash(struct sim *sim)
{
        size_t cursor = 0;
        uint64_t key;
        void *value;

        while (px_map_next(&sim->broker.logs, &cursor, &key, &value)) {
                struct egress_log *log = value;

                memcpy(log->received, log->stored, sizeof(log->received));
                log->sync_planned = false;
                log->open = false;
                log->peer = 0;
        }
}

void egress_fini(struct sim *sim)
{
        size_t cursor = 0;
        uint64_t key;
        void *value;

        while (px_map_next(&sim->broker.logs, &cursor, &key, &value))
                px_free(value);
        px_map_fini(&sim->broker.logs);
}
