/* SPDX-License-Identifier: Apache-2.0 */
/* lib_stream.h - what logs and events share: opening, byte credits, a queue, opening again.
 * Layer: L4 (client/lib). Source: DESIGN 1, 4.
 *
 * Each opening has a number of its own, so that nothing of an older one is taken for it. A stream is
 * opened again when the connection is new, when a gap shows and when it is silent too long; where it
 * goes on follows from what was given so far. */
#ifndef PX_LIB_STREAM_H
#define PX_LIB_STREAM_H

#include "lib.h"

#define STREAM_WINDOW_BYTES (1u << 20) /* credit: bytes that may be under way or queued */

struct stream_item {
        struct px_link link;
        size_t cost_bytes; /* credit that goes back when it is taken */
        struct plexus_log_item log;
        struct plexus_event event;
        char text[1025];
        char node[65];
        uint8_t bytes[];
};

struct plexus_stream {
        struct px_link link; /* px->streams */
        struct plexus *px;
        int kind;            /* enum px_stream_kind */
        uint64_t job;
        uint32_t number;     /* of this opening; 0 = none */
        uint32_t progress_number; /* of the progress beside a followed log */
        bool open_due;
        int64_t open_ms;     /* not before */
        int64_t heard_ms;
        struct px_link items;
        size_t queued_bytes; /* cost of items */
        size_t credit_due_bytes;
        bool readable;       /* counted in px->ready_count */
        bool over;           /* nothing follows the items */
        int code;            /* of the end; reported after the items */
        char why[1025];
        pthread_cond_t changed;
        struct stream_item *current; /* what the caller looks at */

        /* log */
        struct plexus_log_options options;
        uint32_t attempt;    /* being given; 0 = none yet */
        uint32_t told_attempt; /* the last one that the caller was told of */
        uint64_t next[3];    /* offset by enum px_stream */
        bool known[3];       /* next[] is known: not before the first bytes of a tail */
        uint32_t retries;    /* openings because bytes were missing at the end */
        int32_t progress_permille;
        char progress_text[257];

        /* events: the last one seen */
        uint64_t index;
        uint32_t position;
};

int stream_new(struct plexus *px, int kind, uint64_t job, struct plexus_stream **ret_stream);
/* Put an item at the end. Owns: takes it. */
void stream_push(struct plexus_stream *stream, struct stream_item *item, size_t cost_bytes);
struct stream_item *stream_item_new(size_t bytes);
void stream_fail(struct plexus_stream *stream, int code, struct px_slice text);
/* Open again from where we are, not before `delay_ms` from now. */
void stream_reopen(struct plexus_stream *stream, int64_t delay_ms);
/* The next item is stream->current. Refuses as plexus_log_next(). */
int stream_next(struct plexus_stream *stream, int64_t timeout_ms);

/* logs.c: fill in the opening, take messages. */
void logs_open(const struct plexus_stream *stream, struct px_m_stream_open *open);
void logs_take_log(struct plexus_stream *stream, const struct px_m_stream_log *log,
                   struct px_slice payload);
void logs_take_attempt(struct plexus_stream *stream, const struct px_m_stream_attempt *attempt);
void logs_take_progress(struct plexus_stream *stream, const struct px_m_stream_progress *progress,
                        size_t cost_bytes);
void logs_take_end(struct plexus_stream *stream, const struct px_m_stream_end *end);

/* events.c */
void events_open(const struct plexus_stream *stream, struct px_m_stream_open *open);
void events_take(struct plexus_stream *stream, const struct px_m_stream_events *events,
                 size_t cost_bytes);

#endif
