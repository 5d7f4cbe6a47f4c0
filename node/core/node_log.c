/* SPDX-License-Identifier: Apache-2.0 */
/* node_log.c - log bytes on their way: turns for all streams, credit in bytes, going back when
 * something was lost. Layer: L2 (node/core). Source: DESIGN 4 (logs).
 *
 * Offsets of a stream: stored <= received <= shipped <= length. LOG_ACK moves received and stored;
 * received below what we know = the broker lost some of it: ship again from there. Nothing stored
 * is lost, so the spool lets go of it.
 *
 * The middle of a capped stream was dropped by its keeper; offsets count it. Once all before it has
 * been received, LOG_FINAL names the range and what stands behind it follows: the broker, which has
 * received up to dropped_at, counts the range as received and stored. */
#include "node_inside.h"

void log_init(struct attempt *attempt)
{
        for (int stream = 0; stream < PX_STREAM_COUNT; stream++) {
                attempt->log[stream].attempt = attempt;
                attempt->log[stream].stream = stream;
        }
}

static bool stream_stored(const struct log_stream *log)
{
        return log->stored == log->length;
}

bool log_complete(const struct attempt *attempt)
{
        return attempt->log_closed || (stream_stored(&attempt->log[PX_STREAM_OUT]) &&
                                       stream_stored(&attempt->log[PX_STREAM_ERR]));
}

uint64_t log_pending_bytes(const struct attempt *attempt)
{
        const struct log_stream *out = &attempt->log[PX_STREAM_OUT];
        const struct log_stream *err = &attempt->log[PX_STREAM_ERR];

        if (attempt->log_closed)
                return 0;
        return out->length - out->stored + err->length - err->stored;
}

/* Where the dropped range of an ended attempt begins; its length, 0 when there is none. */
static uint64_t stream_dropped(const struct log_stream *log, uint64_t *ret_at)
{
        const struct px_use *use = &log->attempt->result.use;
        bool out = log->stream == PX_STREAM_OUT;

        if (log->attempt->phase < PHASE_ENDED)
                return 0;
        *ret_at = out ? use->out_dropped_at : use->err_dropped_at;
        return out ? use->out_dropped_bytes : use->err_dropped_bytes;
}

/* Whether there is something to ship now: not while the bytes before a dropped range are on their
 * way. */
bool log_wanted(const struct log_stream *log)
{
        uint64_t at = 0;

        if (log->shipped >= log->length || log->attempt->log_closed)
                return false;
        return stream_dropped(log, &at) == 0 || log->shipped != at || log->received >= at;
}

/* In the queue of streams exactly while there is something to ship. */
static void stream_queue(struct node *node, struct log_stream *log)
{
        bool wanted = log_wanted(log);

        if (wanted == px_list_linked(&log->ready))
                return;
        if (wanted)
                px_list_append(&node->ready, &log->ready);
        else
                px_list_remove(&log->ready);
}

/* Every change of shipped and received goes through here: keeps the bytes in flight. */
static void stream_move(struct node *node, struct log_stream *log, uint64_t shipped,
                        uint64_t received)
{
        PX_ASSERT(received <= shipped);
        PX_ASSERT(shipped <= log->length);
        node->in_flight_bytes -= log->shipped - log->received;
        log->shipped = shipped;
        log->received = received;
        node->in_flight_bytes += log->shipped - log->received;
        stream_queue(node, log);
}

static bool log_in_flight(const struct attempt *attempt)
{
        const struct log_stream *out = &attempt->log[PX_STREAM_OUT];
        const struct log_stream *err = &attempt->log[PX_STREAM_ERR];

        return out->shipped > out->received || err->shipped > err->received;
}

/* All shipped, but not all stored, and nothing more will come: ask for the confirmation. */
static void log_final_schedule(struct node *node, struct attempt *attempt)
{
        bool wanted = attempt->phase >= PHASE_ENDED && !log_complete(attempt) &&
                      !px_list_linked(&attempt->log[PX_STREAM_OUT].ready) &&
                      !px_list_linked(&attempt->log[PX_STREAM_ERR].ready);
        bool armed = attempt->at_ms[TIMER_FINAL] != NODE_NEVER;

        if (wanted != armed)
                attempt_timer(node, attempt, TIMER_FINAL, wanted ? node->now_ms : NODE_NEVER);
}

static void log_trim(struct node *node, const struct attempt *attempt, int stream, uint64_t offset)
{
        struct node_effect *effect = out_attempt(node, NODE_EFFECT_TRIM, attempt);

        effect->stream = stream;
        effect->offset = offset;
}

void log_grew(struct node *node, struct attempt *attempt, int stream, uint64_t length)
{
        struct log_stream *log = &attempt->log[stream];

        PX_ASSERT(stream == PX_STREAM_OUT || stream == PX_STREAM_ERR);
        if (length <= log->length)
                return;
        log->length = length;
        stream_queue(node, log);
        if (attempt->log_closed) /* nobody wants it: its pipe must not block */
                log_trim(node, attempt, stream, length);
}

void log_ended(struct node *node, struct attempt *attempt)
{
        log_final_schedule(node, attempt);
}

/* ---- what the broker says ---------------------------------------------------------------------
 */

static void log_close(struct node *node, struct attempt *attempt)
{
        attempt->log_closed = true;
        for (int stream = PX_STREAM_OUT; stream < PX_STREAM_COUNT; stream++) {
                struct log_stream *log = &attempt->log[stream];

                stream_move(node, log, log->shipped, log->shipped);
                log_trim(node, attempt, stream, log->length);
        }
        attempt_timer(node, attempt, TIMER_RESHIP, NODE_NEVER);
}

/* true: more was received. */
static bool log_ack_stream(struct node *node, struct log_stream *log, const struct px_log_ack *ack)
{
        uint64_t received = PX_MIN(ack->received, log->length);
        uint64_t stored = PX_MIN(ack->stored, received);
        bool more = received > log->received;

        /* Below what is stored: an older word that was overtaken. */
        received = PX_MAX(received, log->stored);
        if (received < log->received)
                stream_move(node, log, received, received);
        else
                stream_move(node, log, PX_MAX(log->shipped, received), received);
        if (stored > log->stored) {
                log->stored = stored;
                log_trim(node, log->attempt, log->stream, stored);
        }
        return more;
}

/* Only progress postpones it: words about the other stream come all the time. */
static void log_reship_schedule(struct node *node, struct attempt *attempt, bool progress)
{
        if (!log_in_flight(attempt))
                attempt_timer(node, attempt, TIMER_RESHIP, NODE_NEVER);
        else if (progress || attempt->at_ms[TIMER_RESHIP] == NODE_NEVER)
                attempt_timer(node, attempt, TIMER_RESHIP, node->now_ms + NODE_RESHIP_MS);
}

static void log_ack_item(struct node *node, const struct px_log_ack *ack)
{
        struct attempt *attempt = attempt_find(node, ack->job, ack->fence);

        if (attempt == NULL || (ack->stream != PX_STREAM_OUT && ack->stream != PX_STREAM_ERR))
                return;
        if (attempt->log_closed)
                return;
        if (ack->closed)
                log_close(node, attempt);
        else
                log_reship_schedule(node, attempt,
                                    log_ack_stream(node, &attempt->log[ack->stream], ack));
        log_final_schedule(node, attempt);
        if (log_complete(attempt))
                result_log_stored(node, attempt);
}

void log_ack(struct node *node, const struct px_m_log_ack *message)
{
        for (size_t i = 0; i < message->items_count; i++)
                log_ack_item(node, &message->items[i]);
}

/* ---- going back -------------------------------------------------------------------------------
 */

/* Another connection or broker: what isn't stored may be lost. */
void log_rewind_all(struct node *node)
{
        PX_LIST_EACH(&node->attempts, link)
        {
                struct attempt *attempt = attempt_of_link(link);

                if (attempt->log_closed)
                        continue;
                for (int stream = PX_STREAM_OUT; stream < PX_STREAM_COUNT; stream++) {
                        struct log_stream *log = &attempt->log[stream];

                        stream_move(node, log, log->stored, log->stored);
                }
                attempt_timer(node, attempt, TIMER_RESHIP, NODE_NEVER);
                attempt_timer(node, attempt, TIMER_FINAL, NODE_NEVER);
                log_final_schedule(node, attempt);
        }
}

void log_reship_fired(struct node *node, struct attempt *attempt)
{
        for (int stream = PX_STREAM_OUT; stream < PX_STREAM_COUNT; stream++) {
                struct log_stream *log = &attempt->log[stream];

                stream_move(node, log, log->received, log->received);
        }
        attempt_timer(node, attempt, TIMER_RESHIP, NODE_NEVER);
        log_final_schedule(node, attempt);
}

void log_final_fired(struct node *node, struct attempt *attempt)
{
        const struct px_use *use = &attempt->result.use;
        struct px_m_log_final final = {
                .job = attempt->job,
                .fence = attempt->fence,
                .out_bytes = attempt->log[PX_STREAM_OUT].length,
                .err_bytes = attempt->log[PX_STREAM_ERR].length,
                .out_dropped_at = use->out_dropped_at,
                .out_dropped_bytes = use->out_dropped_bytes,
                .err_dropped_at = use->err_dropped_at,
                .err_dropped_bytes = use->err_dropped_bytes,
        };

        PX_ASSERT(attempt->phase >= PHASE_ENDED);
        attempt_timer(node, attempt, TIMER_FINAL, node->now_ms + NODE_FINAL_REPEAT_MS);
        if (node->session == 0 || !node->data.up)
                return;
        px_buf_reset(&node->frame);
        px_m_log_final_frame(&final, 0, 0, &node->frame);
        out_data(node);
}

/* ---- shipping ---------------------------------------------------------------------------------
 */

/* Go on behind a dropped range that begins here; false when nothing is left to ship. */
static bool log_skip_dropped(struct node *node, struct log_stream *log)
{
        uint64_t at = 0;
        uint64_t bytes = stream_dropped(log, &at);

        if (bytes == 0 || log->shipped != at)
                return true;
        PX_ASSERT(log->received >= at);
        PX_ASSERT(bytes <= log->length - at);
        log_final_fired(node, log->attempt);
        stream_move(node, log, at + bytes, at + bytes);
        return log->shipped < log->length;
}

static void log_ship_chunk(struct node *node, struct log_stream *log)
{
        struct attempt *attempt = log->attempt;
        struct node_effect *effect;
        uint64_t length;
        uint64_t at = 0;

        if (!log_skip_dropped(node, log)) {
                log_final_schedule(node, attempt);
                return;
        }
        effect = out_attempt(node, NODE_EFFECT_SHIP, attempt);
        length = PX_MIN(log->length - log->shipped, PX_LIMIT_LOG_CHUNK_BYTES);
        if (stream_dropped(log, &at) > 0 && log->shipped < at)
                length = PX_MIN(length, at - log->shipped);
        effect->stream = log->stream;
        effect->offset = log->shipped;
        effect->length = length;
        effect->sync = attempt->phase >= PHASE_ENDED && log->shipped + length == log->length;
        stream_move(node, log, log->shipped + length, log->received);
        if (attempt->at_ms[TIMER_RESHIP] == NODE_NEVER)
                attempt_timer(node, attempt, TIMER_RESHIP, node->now_ms + NODE_RESHIP_MS);
        log_final_schedule(node, attempt);
}

/* A chunk of each stream in turn while there is credit. */
void log_ship(struct node *node)
{
        if (node->session == 0 || !node->data.up)
                return;
        while (!px_list_empty(&node->ready) &&
               node->in_flight_bytes < node->options.log_credit_bytes) {
                struct log_stream *log =
                        PX_CONTAINER_OF(node->ready.next, struct log_stream, ready);

                px_list_remove(&log->ready);
                px_list_append(&node->ready, &log->ready);
                log_ship_chunk(node, log);
        }
}

void log_forget(struct node *node, struct attempt *attempt)
{
        for (int stream = PX_STREAM_OUT; stream < PX_STREAM_COUNT; stream++) {
                struct log_stream *log = &attempt->log[stream];

                log->length = log->shipped;
                stream_move(node, log, log->shipped, log->shipped);
        }
}
