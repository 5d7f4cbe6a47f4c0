/* SPDX-License-Identifier: Apache-2.0 */
/* logs.c - the log of a job: each byte once, in order, over all its attempts. Layer: L4 (client/lib).
 *
 * The place is (attempt, offset of out, offset of err). A stream opened for "the last attempt and those
 * that follow" is opened again for the very attempt it was in, so that its rest isn't skipped when
 * another one has begun; when that one is complete and the job goes on, the following ones. */
#include "lib_stream.h"

#include <stdio.h>

#define LOGS_RETRIES_MAX 3

static bool wanted(const struct plexus_stream *stream, int log)
{
        return log == PX_STREAM_OUT ? stream->options.out : stream->options.err;
}

void logs_open(const struct plexus_stream *stream, struct px_m_stream_open *open)
{
        bool begun = stream->known[PX_STREAM_OUT] || stream->known[PX_STREAM_ERR];

        open->attempt = stream->attempt != 0 ? stream->attempt : stream->options.attempt;
        open->streams = (stream->options.out ? 1u << PX_STREAM_OUT : 0) |
                        (stream->options.err ? 1u << PX_STREAM_ERR : 0);
        open->follow = stream->options.follow;
        open->out_offset = stream->next[PX_STREAM_OUT];
        open->err_offset = stream->next[PX_STREAM_ERR];
        open->tail_bytes = begun ? 0 : stream->options.tail_bytes;
}

static void enter_attempt(struct plexus_stream *stream, uint32_t attempt)
{
        if (stream->attempt != 0) {
                /* The offsets of the options are those of the first attempt that is given. */
                memset(stream->next, 0, sizeof(stream->next));
                memset(stream->known, true, sizeof(stream->known));
        }
        stream->attempt = attempt;
        stream->retries = 0;
}

static void push_attempt(struct plexus_stream *stream, uint32_t attempt, struct px_slice node)
{
        struct stream_item *item = stream_item_new(0);

        if (attempt > stream->attempt)
                enter_attempt(stream, attempt);
        stream->told_attempt = attempt;
        px_slice_to_text(node, item->text, sizeof(item->text));
        item->log = (struct plexus_log_item){.kind = PLEXUS_LOG_ATTEMPT, .job = stream->job,
                                             .attempt = attempt};
        stream_push(stream, item, 0);
}

void logs_take_attempt(struct plexus_stream *stream, const struct px_m_stream_attempt *attempt)
{
        if (attempt->attempt >= stream->attempt && attempt->attempt > stream->told_attempt)
                push_attempt(stream, attempt->attempt, attempt->node);
}

static void push_dropped(struct plexus_stream *stream, const struct px_m_stream_log *log,
                         uint64_t dropped_bytes)
{
        struct stream_item *item = stream_item_new(0);

        item->log = (struct plexus_log_item){
                .kind = PLEXUS_LOG_DROPPED, .stream = log->log, .job = stream->job,
                .attempt = log->attempt, .offset = log->offset, .dropped_bytes = dropped_bytes,
                .wall_ms = log->wall_ms,
        };
        stream_push(stream, item, 0);
}

static void push_bytes(struct plexus_stream *stream, const struct px_m_stream_log *log,
                       struct px_slice payload, size_t skip)
{
        struct stream_item *item = stream_item_new(payload.length - skip);

        memcpy(item->bytes, payload.data + skip, payload.length - skip);
        item->log = (struct plexus_log_item){
                .kind = log->log == PX_STREAM_OUT ? PLEXUS_LOG_OUT : PLEXUS_LOG_ERR,
                .stream = log->log, .job = stream->job, .attempt = log->attempt,
                .offset = log->offset + skip, .bytes = item->bytes,
                .length = payload.length - skip, .wall_ms = log->wall_ms,
        };
        stream_push(stream, item, payload.length);
}

void logs_take_log(struct plexus_stream *stream, const struct px_m_stream_log *log,
                   struct px_slice payload)
{
        uint64_t *next = &stream->next[log->log];
        uint64_t skip = 0;

        if (stream->kind != PX_STREAM_KIND_LOG || log->attempt < stream->attempt || log->log == 0 ||
            !wanted(stream, log->log))
                return;
        if (log->attempt > stream->told_attempt)
                push_attempt(stream, log->attempt, PX_SLICE_NONE);
        if (!stream->known[log->log]) { /* the first bytes of a tail say where it begins */
                stream->known[log->log] = true;
                *next = log->offset;
        } else if (log->offset > *next + log->dropped_bytes) {
                stream_reopen(stream, 0); /* a gap that nobody stated */
                return;
        } else if (log->offset > *next) {
                push_dropped(stream, log, log->offset - *next);
                *next = log->offset;
        }
        skip = *next - log->offset;
        if (skip >= payload.length) { /* known already, or nothing: give its credit back */
                stream->credit_due_bytes += payload.length;
                return;
        }
        push_bytes(stream, log, payload, (size_t)skip);
        *next = log->offset + payload.length;
}

static void push_progress(struct plexus_stream *stream, const struct px_progress *progress,
                          size_t cost_bytes)
{
        struct stream_item *item = stream_item_new(0);

        px_slice_to_text(progress->text, item->text, sizeof(item->text));
        item->log = (struct plexus_log_item){
                .kind = PLEXUS_LOG_PROGRESS, .job = stream->job,
                .attempt = progress->fence.attempt, .wall_ms = progress->wall_ms,
                .progress = progress->permille < 0 ? -1 : progress->permille / 1000.0,
        };
        stream_push(stream, item, cost_bytes);
}

void logs_take_progress(struct plexus_stream *stream, const struct px_m_stream_progress *progress,
                        size_t cost_bytes)
{
        for (size_t i = 0; i < progress->items_count; i++) {
                const struct px_progress *item = &progress->items[i];
                char text[sizeof(stream->progress_text)];

                px_slice_to_text(item->text, text, sizeof(text));
                if (item->job.value != stream->job ||
                    (item->permille == stream->progress_permille &&
                     strcmp(text, stream->progress_text) == 0))
                        continue;
                stream->progress_permille = item->permille;
                memcpy(stream->progress_text, text, sizeof(text));
                push_progress(stream, item, cost_bytes);
                cost_bytes = 0;
        }
        stream->credit_due_bytes += cost_bytes;
}

/* Whether bytes that the end counts have not come, though they are stored. */
static bool incomplete(const struct plexus_stream *stream, const struct px_m_stream_end *end)
{
        if (end->log_pending_bytes > 0)
                return false;
        return (stream->options.out && stream->known[PX_STREAM_OUT] &&
                stream->next[PX_STREAM_OUT] < end->out_bytes) ||
               (stream->options.err && stream->known[PX_STREAM_ERR] &&
                stream->next[PX_STREAM_ERR] < end->err_bytes);
}

/* Whether attempts follow, now or later, that a stream opened for one attempt doesn't give. */
static bool goes_on(const struct plexus_stream *stream, const struct px_m_stream_end *end)
{
        if (stream->options.attempt != 0 || !stream->options.follow)
                return false;
        return !plexus_state_ended(end->state) || end->attempt > stream->attempt;
}

static void push_end(struct plexus_stream *stream, const struct px_m_stream_end *end)
{
        struct stream_item *item = stream_item_new(0);

        px_slice_to_text(end->text, item->text, sizeof(item->text));
        item->log = (struct plexus_log_item){
                .kind = PLEXUS_LOG_END, .job = stream->job,
                .attempt = stream->attempt != 0 ? stream->attempt : end->attempt,
                .state = end->state, .log_pending_bytes = end->log_pending_bytes,
        };
        stream_push(stream, item, 0);
        stream_fail(stream, PX_OK, PX_SLICE_NONE);
}

void logs_take_end(struct plexus_stream *stream, const struct px_m_stream_end *end)
{
        if (incomplete(stream, end) && stream->retries < LOGS_RETRIES_MAX) {
                stream->retries++;
                stream_reopen(stream, 100);
        } else if (goes_on(stream, end) && end->attempt > stream->attempt && stream->attempt != 0) {
                enter_attempt(stream, stream->attempt + 1); /* told of when the broker names its node */
                stream_reopen(stream, 0);
        } else if (goes_on(stream, end)) {
                stream_reopen(stream, 250);
        } else {
                push_end(stream, end);
        }
}

int plexus_logs(struct plexus *px, uint64_t job, const struct plexus_log_options *options,
                struct plexus_stream **ret_stream)
{
        static const struct plexus_log_options defaults;
        struct plexus_stream *stream;
        int code = stream_new(px, PX_STREAM_KIND_LOG, job, &stream);

        if (code != PX_OK)
                return code;
        stream->options = options != NULL ? *options : defaults;
        if (!stream->options.out && !stream->options.err) {
                stream->options.out = true;
                stream->options.err = true;
        }
        stream->next[PX_STREAM_OUT] = stream->options.out_offset;
        stream->next[PX_STREAM_ERR] = stream->options.err_offset;
        stream->known[PX_STREAM_OUT] = stream->options.tail_bytes == 0;
        stream->known[PX_STREAM_ERR] = stream->options.tail_bytes == 0;
        stream->progress_permille = INT32_MIN;
        pthread_mutex_lock(&px->lock);
        px_list_append(&px->streams, &stream->link);
        query_want(px);
        stream_reopen(stream, 0);
        lib_wake(px);
        pthread_mutex_unlock(&px->lock);
        *ret_stream = stream;
        return PX_OK;
}

int plexus_log_next(struct plexus_stream *stream, int64_t timeout_ms,
                    struct plexus_log_item *ret_item)
{
        int code;

        PX_ASSERT(stream == NULL || stream->kind == PX_STREAM_KIND_LOG);
        code = stream_next(stream, timeout_ms);
        if (code != PX_OK)
                return code;
        *ret_item = stream->current->log;
        ret_item->text = stream->current->text;
        return PX_OK;
}
