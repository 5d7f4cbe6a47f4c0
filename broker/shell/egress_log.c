/* SPDX-License-Identifier: Apache-2.0 */
/* egress_log.c - output of nodes: in order into the segments, flushed, acknowledged; later forgotten.
 * Layer: L4 (broker/shell). Source: DESIGN 4 (Logs); RELIABILITY 4.10.
 *
 * A lane takes exactly the byte that comes next: what is older was received before and is only
 * acknowledged again, what is newer shows that something was lost, and the acknowledgement says from
 * where to send again. RECEIVED leaves at the end of the turn, STORED after the flush. */
#include "egress_inside.h"

#include <errno.h>
#include <stdio.h>

#define SYNC_MS 1000
#define SYNC_BYTES (16u << 20)
#define NO_SPACE_MS 1000    /* wait before writing is tried again */
#define PURGE_US 2000       /* for purges in one turn */
#define KEEP_MS_DEFAULT (UINT64_C(7) * 24 * 3600 * 1000)
#define KEEP_BYTES_DEFAULT (UINT64_C(16) << 30)

int log_open_segments(struct egress *egress, const char *dir, char *ret_text, size_t text_room)
{
        struct segments_options options = {.dir = dir,
                                           .segment_bytes = egress->options.segment_bytes};

        return segments_open(&options, &egress->segments, ret_text, text_room);
}

/* ---- acknowledgements --------------------------------------------------------------------------- */

static void peer_ack(struct egress *egress, struct egress_peer *peer, struct px_log_ack ack)
{
        if (peer->acks_count == peer->acks_capacity) {
                peer->acks_capacity = PX_MAX(peer->acks_capacity * 2, (size_t)16);
                peer->acks = px_realloc(peer->acks, peer->acks_capacity * sizeof *peer->acks);
        }
        peer->acks[peer->acks_count++] = ack;
        if (!px_list_linked(&peer->acking))
                px_list_append(&egress->acking_peers, &peer->acking);
}

void log_ack(struct egress *egress, struct egress_attempt *attempt, int stream)
{
        attempt->lanes[stream].ack_due = true;
        if (!px_list_linked(&attempt->acking))
                px_list_append(&egress->acking, &attempt->acking);
}

/* Nothing of this attempt is wanted, or ever was. */
static void ack_closed(struct egress *egress, struct egress_peer *peer, struct px_job_id job,
                       struct px_fence fence, int stream)
{
        peer_ack(egress, peer,
                 (struct px_log_ack){.job = job, .fence = fence, .stream = stream, .closed = true});
}

static void ack_attempt(struct egress *egress, struct egress_attempt *attempt)
{
        struct egress_peer *peer = peer_find(egress, attempt->sender);
        bool closed = attempt_complete(attempt);

        for (int stream = PX_STREAM_OUT; stream < PX_STREAM_COUNT; stream++) {
                struct egress_lane *lane = &attempt->lanes[stream];

                if (!lane->ack_due)
                        continue;
                lane->ack_due = false;
                if (peer != NULL)
                        peer_ack(egress, peer,
                                 (struct px_log_ack){.job = attempt->job->id,
                                                     .fence = attempt->fence,
                                                     .stream = stream,
                                                     .received = lane->received,
                                                     .stored = lane->stored,
                                                     .closed = closed});
        }
        px_list_remove(&attempt->acking);
        attempt_settle(egress, attempt);
}

static void send_acks(struct egress *egress, struct egress_peer *peer)
{
        for (size_t at = 0; at < peer->acks_count; at += PX_LIMIT_BATCH_ITEMS) {
                struct px_m_log_ack message = {
                        .items = peer->acks + at,
                        .items_count = PX_MIN(peer->acks_count - at, (size_t)PX_LIMIT_BATCH_ITEMS)};

                px_buf_reset(&egress->frame);
                px_m_log_ack_frame(&message, 0, 0, &egress->frame);
                /* One that is lost is made good by the node: it sends again. */
                (void)peer_send_frame(egress, peer);
        }
        peer->acks_count = 0;
}

/* ---- incoming ----------------------------------------------------------------------------------------- */

/* The attempt, if this peer may speak for it; else it was answered or is to be ignored. */
static struct egress_attempt *attempt_of_sender(struct egress *egress, struct egress_peer *peer,
                                                struct px_job_id job, struct px_fence fence,
                                                int stream)
{
        struct egress_attempt *attempt = NULL;
        int result = attempt_get(egress, job, fence.attempt, &attempt);

        if (result == PX_E_ABSENT ||
            (result == PX_OK && !px_fence_equal(attempt->fence, fence))) {
                ack_closed(egress, peer, job, fence, stream);
                if (result == PX_OK)
                        attempt_settle(egress, attempt);
                return NULL;
        }
        if (result != PX_OK) /* the store is behind or the row is damaged: the node sends again */
                return NULL;
        if (attempt->node_principal.value != peer->principal.value) {
                attempt_settle(egress, attempt);
                return NULL;
        }
        attempt->sender = peer->handle;
        return attempt;
}

static void lane_dirty(struct egress *egress, struct egress_attempt *attempt)
{
        if (!px_list_linked(&attempt->dirty))
                px_list_append(&egress->dirty, &attempt->dirty);
        if (egress->dirty_ms == 0)
                egress->dirty_ms = egress->now_ms;
}

/* false: not now, or never again. */
static bool append(struct egress *egress, struct segment_key key, uint64_t offset, int64_t wall_ms,
                   struct px_slice bytes)
{
        int result;

        if (egress->no_space_ms > egress->now_ms)
                return false;
        result = segments_append(egress->segments, key, offset, wall_ms, bytes);
        if (result == PX_OK) {
                egress->no_space_ms = 0;
                return true;
        }
        if (result == -ENOSPC || result == -EDQUOT) {
                if (egress->no_space_ms == 0)
                        fprintf(stderr, "no space for log segments: output stays on the nodes\n");
                egress->no_space_ms = egress->now_ms + NO_SPACE_MS;
        } else {
                atomic_store(&egress->fault, result);
        }
        return false;
}

static void lane_take(struct egress *egress, struct egress_attempt *attempt,
                      const struct px_m_log_data *data, struct px_slice payload)
{
        struct egress_lane *lane = &attempt->lanes[data->stream];
        struct segment_key key = {attempt->job->id, attempt->fence.attempt, data->stream};
        uint64_t skip;

        if (data->offset > lane->received || data->offset + payload.length <= lane->received)
                return;
        skip = lane->received - data->offset;
        payload.data += skip;
        payload.length -= skip;
        if (!append(egress, key, lane->received, data->wall_ms, payload))
                return;
        publish_log(egress, attempt, data->stream, lane->received, data->wall_ms, payload);
        lane->received += payload.length;
        if (lane->dropped_bytes > 0 && lane->received == lane->dropped_at)
                lane->received += lane->dropped_bytes;
        lane_dirty(egress, attempt);
        stream_wake_job(egress, attempt->job, attempt);
}

void log_take_data(struct egress *egress, struct egress_peer *peer, const struct px_m_log_data *data,
                   struct px_slice payload)
{
        struct egress_attempt *attempt;

        if (payload.length == 0 || payload.length > PX_LIMIT_LOG_CHUNK_BYTES ||
            data->offset > UINT64_MAX / 2 || data->fence.attempt > SEGMENT_ATTEMPT_MAX) {
                peer_refuse(egress, peer, 0, PX_E_PROTO, "a piece of output is out of bounds");
                return;
        }
        attempt = attempt_of_sender(egress, peer, data->job, data->fence, data->stream);
        if (attempt == NULL)
                return;
        if (!attempt_complete(attempt))
                lane_take(egress, attempt, data, payload);
        if (data->sync)
                egress->sync_now = true;
        log_ack(egress, attempt, data->stream);
}

void log_take_final(struct egress *egress, struct egress_peer *peer,
                    const struct px_m_log_final *final)
{
        struct egress_attempt *attempt = attempt_of_sender(egress, peer, final->job, final->fence,
                                                           PX_STREAM_OUT);
        const struct px_use use = {
                .out_bytes = final->out_bytes,
                .err_bytes = final->err_bytes,
                .out_dropped_at = final->out_dropped_at,
                .out_dropped_bytes = final->out_dropped_bytes,
                .err_dropped_at = final->err_dropped_at,
                .err_dropped_bytes = final->err_dropped_bytes,
        };

        if (attempt == NULL)
                return;
        if (!attempt->fenced && !attempt_complete(attempt)) {
                attempt_final(attempt, &use);
                if (px_list_linked(&attempt->dirty))
                        egress->sync_now = true;
                stream_wake_job(egress, attempt->job, attempt);
        }
        log_ack(egress, attempt, PX_STREAM_OUT);
        log_ack(egress, attempt, PX_STREAM_ERR);
}

/* ---- flush ------------------------------------------------------------------------------------------------ */

static void flushed(struct egress *egress, struct egress_attempt *attempt)
{
        for (int stream = PX_STREAM_OUT; stream < PX_STREAM_COUNT; stream++) {
                struct egress_lane *lane = &attempt->lanes[stream];

                if (lane->stored == lane->received)
                        continue;
                lane->stored = lane->received;
                log_ack(egress, attempt, stream);
        }
        px_list_remove(&attempt->dirty);
        /* The last lane's storage closes both. */
        if (attempt->final_known && attempt_complete(attempt)) {
                log_ack(egress, attempt, PX_STREAM_OUT);
                log_ack(egress, attempt, PX_STREAM_ERR);
        }
        attempt_settle(egress, attempt);
}

static void flush(struct egress *egress)
{
        int result = segments_sync(egress->segments);

        egress->sync_now = false;
        if (result != PX_OK) {
                atomic_store(&egress->fault, result);
                return;
        }
        while (!px_list_empty(&egress->dirty))
                flushed(egress, PX_CONTAINER_OF(egress->dirty.next, struct egress_attempt, dirty));
        egress->dirty_ms = 0;
}

void log_turn(struct egress *egress)
{
        bool due = egress->dirty_ms != 0 &&
                   (egress->now_ms - egress->dirty_ms >= SYNC_MS ||
                    segments_unsynced_bytes(egress->segments) >= SYNC_BYTES);

        if ((due || egress->sync_now) && atomic_load(&egress->fault) == 0)
                flush(egress);
        while (!px_list_empty(&egress->acking))
                ack_attempt(egress,
                            PX_CONTAINER_OF(egress->acking.next, struct egress_attempt, acking));
        while (!px_list_empty(&egress->acking_peers)) {
                struct egress_peer *peer =
                        PX_CONTAINER_OF(egress->acking_peers.next, struct egress_peer, acking);

                px_list_remove(&peer->acking);
                send_acks(egress, peer);
        }
}

int64_t log_deadline_ms(const struct egress *egress)
{
        return egress->dirty_ms == 0 ? INT64_MAX : egress->dirty_ms + SYNC_MS;
}

/* ---- retention --------------------------------------------------------------------------------------------- */

static void retain(struct egress *egress)
{
        uint64_t keep_ms = egress->options.log_keep_ms;
        uint64_t keep_bytes = egress->options.log_keep_bytes;
        int64_t wall_ms = clock_wall_ms();

        if (keep_ms == 0)
                keep_ms = KEEP_MS_DEFAULT;
        segments_retain(egress->segments, wall_ms - (int64_t)PX_MIN(keep_ms, (uint64_t)wall_ms),
                        keep_bytes == 0 ? KEEP_BYTES_DEFAULT : keep_bytes);
}

void log_keep_house(struct egress *egress)
{
        int64_t begun_us = clock_steady_us();

        while (egress->purges.length > 0 && clock_steady_us() - begun_us < PURGE_US) {
                uint64_t job;

                egress->purges.length -= sizeof job;
                memcpy(&job, egress->purges.data + egress->purges.length, sizeof job);
                segments_purge(egress->segments, (struct px_job_id){job});
        }
        if (egress->now_ms >= egress->retain_ms) {
                egress->retain_ms = egress->now_ms + 60000;
                retain(egress);
        }
}
