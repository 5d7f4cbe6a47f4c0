/* SPDX-License-Identifier: Apache-2.0 */
/* stream_log.c - following the output of a job: every byte once, in order, what is missing stated.
 * Layer: L4 (broker/shell). Source: RELIABILITY 4.10. */
#include "egress_inside.h"

#define GO_CHUNKS 8 /* in one go */

enum step {
        STEP_SENT,    /* something was sent: go on */
        STEP_DONE,    /* nothing is left of what is here */
        STEP_STOPPED, /* no credit, or the peer takes nothing */
};

static bool ended(const struct egress_job *job)
{
        return job->state >= PX_JOB_STATE_OK;
}

/* ---- which attempt ------------------------------------------------------------------------------- */

static void leave_attempt(struct egress *egress, struct stream *stream)
{
        struct egress_attempt *attempt = stream->attempt;

        if (attempt == NULL)
                return;
        stream->attempt = NULL;
        attempt->streams_count--;
        attempt_settle(egress, attempt);
}

void stream_log_leave(struct egress *egress, struct stream *stream)
{
        struct egress_job *job = stream->of;

        /* The attempt's going may take the job with it: keep that for last. */
        stream->of = NULL;
        if (stream->attempt != NULL)
                leave_attempt(egress, stream);
        else if (job != NULL)
                attempt_job_settle(egress, job);
}

static void enter_attempt(struct stream *stream, struct egress_attempt *attempt)
{
        attempt->streams_count++;
        stream->attempt = attempt;
        stream->announced = false;
        memset(stream->dropped, 0, sizeof stream->dropped);
}

/* Offsets of a tail, when its first attempt is entered. */
static void begin_tail(struct stream *stream)
{
        for (int log = PX_STREAM_OUT; log < PX_STREAM_COUNT; log++) {
                uint64_t length = stream->attempt->lanes[log].received;

                stream->offset[log] = length - PX_MIN(length, stream->tail_bytes);
        }
        stream->tail_bytes = 0;
}

int stream_log_open(struct egress *egress, struct stream *stream, const struct px_m_stream_open *open)
{
        struct egress_attempt *attempt = NULL;
        struct px_job_row row;
        struct px_view *view;
        uint32_t number;
        int code;

        if (open->job.value == 0)
                return PX_E_INVALID;
        code = attempt_view(egress, &view);
        if (code != PX_OK)
                return code;
        code = attempt_job_row(egress, view, open->job, &row);
        px_view_close(view);
        if (code != PX_OK)
                return code;
        number = open->attempt == 0 ? row.fence.attempt : open->attempt;
        /* A job that waits for its next attempt: the last one is shown first. */
        if (number != 0) {
                code = attempt_get(egress, open->job, number, &attempt);
                if (code != PX_OK && !(code == PX_E_ABSENT && open->attempt == 0))
                        return code;
        }
        stream->of = attempt_job_of_row(egress, open->job, &row);
        stream->only = open->attempt;
        stream->mask = open->streams == 0 ? 1u << PX_STREAM_OUT | 1u << PX_STREAM_ERR : open->streams;
        stream->follows = open->follow;
        stream->tail_bytes = open->tail_bytes;
        stream->offset[PX_STREAM_OUT] = open->out_offset;
        stream->offset[PX_STREAM_ERR] = open->err_offset;
        px_list_append(&stream->of->followers, &stream->follow);
        if (attempt != NULL) {
                enter_attempt(stream, attempt);
                if (stream->tail_bytes > 0)
                        begin_tail(stream);
        }
        return PX_OK;
}

/* Go on to the attempt after the present one, if it has begun. */
static bool next_attempt(struct egress *egress, struct stream *stream)
{
        uint32_t number = stream->attempt == NULL ? PX_MAX(stream->of->last.attempt, 1u)
                                                  : stream->attempt->fence.attempt + 1;
        struct egress_attempt *attempt = NULL;
        int result = PX_E_ABSENT;

        for (; result == PX_E_ABSENT && number <= stream->of->last.attempt; number++)
                result = attempt_get(egress, stream->job, number, &attempt);
        if (result == PX_E_BUSY)
                stream_ready(egress, stream);
        if (result != PX_OK)
                return false;
        attempt->streams_count++; /* else the old one's going might take the job with it */
        leave_attempt(egress, stream);
        attempt->streams_count--;
        enter_attempt(stream, attempt);
        memset(stream->offset, 0, sizeof stream->offset);
        return true;
}

/* ---- bytes -------------------------------------------------------------------------------------------- */

static bool wanted(const struct stream *stream, int log)
{
        return (stream->mask & 1u << log) != 0;
}

static bool behind(const struct stream *stream, int log)
{
        return wanted(stream, log) &&
               stream->offset[log] < stream->attempt->lanes[log].received;
}

/* Find stored bytes at or behind the offset; what is missing before them is counted as dropped.
 * Returns their number; 0 = nothing is stored up to the end. */
static size_t find_run(struct egress *egress, struct stream *stream, int log, size_t room,
                       struct segment_run *ret_run)
{
        struct segment_key key = {stream->job, stream->attempt->fence.attempt, log};
        uint64_t end = stream->attempt->lanes[log].received;

        while (stream->offset[log] < end) {
                int result = segments_read(egress->segments, key, stream->offset[log],
                                           egress->chunk, room, ret_run);
                bool found = result == PX_OK || result == PX_E_DAMAGED;
                uint64_t at = found ? PX_MIN(ret_run->offset, end) : end;

                stream->dropped[log] += at - stream->offset[log];
                stream->offset[log] = at;
                if (result == PX_OK && at < end)
                        return (size_t)PX_MIN((uint64_t)ret_run->length, end - at);
                if (result == PX_E_DAMAGED) {
                        at = PX_MIN(ret_run->offset + ret_run->length, end);
                        stream->dropped[log] += at - stream->offset[log];
                        stream->offset[log] = at;
                }
        }
        return 0;
}

/* Fill the chunk with what joins the first run. */
static size_t join_runs(struct egress *egress, const struct stream *stream, int log, size_t length,
                        size_t room)
{
        struct segment_key key = {stream->job, stream->attempt->fence.attempt, log};
        uint64_t end = stream->attempt->lanes[log].received;

        while (length < room && stream->offset[log] + length < end) {
                struct segment_run run;

                if (segments_read(egress->segments, key, stream->offset[log] + length,
                                  egress->chunk + length, room - length, &run) != PX_OK ||
                    run.offset != stream->offset[log] + length)
                        break;
                length += run.length;
        }
        return length;
}

static enum step send_chunk(struct egress *egress, struct stream *stream, int log, bool join)
{
        size_t room = (size_t)PX_MIN(stream->credit_bytes, (uint64_t)PX_LIMIT_LOG_CHUNK_BYTES);
        struct segment_run run = {0};
        size_t length;
        struct px_m_stream_log message;

        if (room == 0)
                return STEP_STOPPED;
        length = find_run(egress, stream, log, room, &run);
        if (length > 0 && join)
                length = join_runs(egress, stream, log, length, room);
        message = (struct px_m_stream_log){.stream = stream->number,
                                           .job = stream->job,
                                           .attempt = stream->attempt->fence.attempt,
                                           .log = log,
                                           .offset = stream->offset[log],
                                           .dropped_bytes = stream->dropped[log],
                                           .wall_ms = run.wall_ms};
        px_buf_reset(&egress->frame);
        px_m_stream_log_frame(&message, 0, PX_WIRE_FLAG_PAYLOAD, &egress->frame);
        if (!stream_send(egress, stream, px_slice_of(egress->chunk, length), length))
                return STEP_STOPPED;
        stream->dropped[log] = 0;
        stream->offset[log] += length;
        return STEP_SENT;
}

/* When the next stored bytes of a stream were written; INT64_MAX when there are none. */
static int64_t wall_of_next(struct egress *egress, struct stream *stream, int log)
{
        struct segment_run run;

        return find_run(egress, stream, log, 1, &run) == 0 ? INT64_MAX : run.wall_ms;
}

static enum step send_some(struct egress *egress, struct stream *stream)
{
        bool out = behind(stream, PX_STREAM_OUT);
        bool err = behind(stream, PX_STREAM_ERR);

        if (!out && !err)
                return STEP_DONE;
        if (!out || !err)
                return send_chunk(egress, stream, out ? PX_STREAM_OUT : PX_STREAM_ERR, true);
        if (wall_of_next(egress, stream, PX_STREAM_OUT) <=
            wall_of_next(egress, stream, PX_STREAM_ERR))
                return send_chunk(egress, stream, PX_STREAM_OUT, false);
        return send_chunk(egress, stream, PX_STREAM_ERR, false);
}

static bool announce(struct egress *egress, struct stream *stream)
{
        struct px_m_stream_attempt message = {.stream = stream->number,
                                              .job = stream->job,
                                              .attempt = stream->attempt->fence.attempt,
                                              .node = px_slice_text(stream->attempt->node_name)};

        px_buf_reset(&egress->frame);
        px_m_stream_attempt_frame(&message, 0, 0, &egress->frame);
        stream->announced = stream_send(egress, stream, PX_SLICE_NONE, 0);
        return stream->announced;
}

/* ---- end ------------------------------------------------------------------------------------------------- */

void stream_log_end(struct egress *egress, struct stream *stream, int code, const char *text)
{
        const struct egress_attempt *attempt = stream->attempt;
        struct px_m_stream_end end = {.stream = stream->number,
                                      .code = (uint16_t)code,
                                      .job = stream->job,
                                      .state = stream->of->state,
                                      .attempt = stream->of->last.attempt,
                                      .text = px_slice_text(text)};

        if (attempt != NULL) {
                end.out_bytes = attempt->lanes[PX_STREAM_OUT].received;
                end.err_bytes = attempt->lanes[PX_STREAM_ERR].received;
                end.log_pending_bytes = attempt->open ? 0 : attempt_pending_bytes(attempt);
        }
        px_buf_reset(&egress->frame);
        px_m_stream_end_frame(&end, 0, 0, &egress->frame);
        if (stream_send(egress, stream, PX_SLICE_NONE, 0) || stream->peer->gone)
                stream_drop(egress, stream);
}

/* All that is here was sent: is that all there will be? */
static bool is_over(const struct stream *stream)
{
        const struct egress_attempt *attempt = stream->attempt;

        if (!stream->follows)
                return true;
        if (attempt != NULL && attempt->open)
                return false;
        if (stream->only != 0)
                return true;
        return ended(stream->of) &&
               (attempt == NULL || attempt->fence.attempt >= stream->of->last.attempt);
}

void stream_log_go(struct egress *egress, struct stream *stream)
{
        enum step step = STEP_SENT;

        if (stream->attempt == NULL && !next_attempt(egress, stream)) {
                if (is_over(stream))
                        stream_log_end(egress, stream, 0, "");
                return;
        }
        if (stream->tail_bytes > 0)
                begin_tail(stream);
        if (!stream->announced && !announce(egress, stream))
                return;
        for (int i = 0; i < GO_CHUNKS && step == STEP_SENT; i++)
                step = send_some(egress, stream);
        if (step == STEP_SENT) {
                stream_ready(egress, stream);
                return;
        }
        if (step == STEP_STOPPED)
                return; /* credit, or the peer's reading, wakes it */
        if (is_over(stream))
                stream_log_end(egress, stream, 0, "");
        else if (stream->only == 0 && stream->follows && !stream->attempt->open &&
                 next_attempt(egress, stream))
                stream_ready(egress, stream);
}
