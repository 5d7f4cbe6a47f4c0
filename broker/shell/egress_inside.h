/* SPDX-License-Identifier: Apache-2.0 */
/* egress_inside.h - what the egress thread owns, and how its files call each other. Only that thread
 * touches any of it, but for what is said to be shared. Layer: L4 (broker/shell), private to egress.
 *
 *   egress.c          start, loop, stop; what the core thread posts
 *   egress_peer.c     who is at the other end of `data`; sending; which message goes where
 *   egress_attempt.c  attempts whose output may come in or is followed; from postings or from rows
 *   egress_log.c      output of nodes: order, segments, flushing, acknowledgements, retention
 *   egress_progress.c latest progress of running attempts
 *   egress_blob.c     files up from clients, down to nodes; forgetting those that nothing uses
 *   query*.c          LIST, SHOW, LOG_AT: read transactions
 *   stream*.c         live streams with byte credits
 *   publish.c         PUB, and the events of the last moments in RAM
 *   publish_audience.c  who hears PUB */
#ifndef PX_EGRESS_INSIDE_H
#define PX_EGRESS_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "access.h"
#include "clock.h"
#include "egress.h"
#include "egress_posts.h"
#include "message.h"
#include "px_codec.h"
#include "segment.h"
#include "socket.h"
#include "strikes.h"

#define EGRESS_SOCKETS_MAX 2 /* local and tcp */
#define EGRESS_TICK_MS 1000  /* silent streams speak, keys are looked at again */

/* ---- attempts ----------------------------------------------------------------------------------- */

/* One stream of output of an attempt. received and stored as in LOG_ACK. */
struct egress_lane {
        uint64_t received;
        uint64_t stored;
        uint64_t final; /* its length, once the attempt has ended */
        uint64_t dropped_at;
        uint64_t dropped_bytes;
        bool ack_due;
};

struct egress_attempt {
        struct px_link link; /* in job->attempts, rising */
        struct egress_job *job;
        struct px_fence fence;
        struct px_principal_id node_principal; /* who may send its output */
        char node_name[PX_LIMIT_NODE_NAME_BYTES + 1];
        bool open;       /* it has not ended */
        bool fenced;     /* nothing more of it is wanted */
        bool final_known;
        struct egress_lane lanes[PX_STREAM_COUNT];
        uint64_t sender;          /* handle of the peer that sent its last bytes */
        struct px_link dirty;     /* in egress->dirty: received > stored somewhere */
        struct px_link acking;    /* in egress->acking: a lane's ack_due */
        size_t streams_count;     /* streams that follow it now */
        bool has_progress;
        int32_t permille;
        int64_t progress_wall_ms;
        char progress_text[PX_LIMIT_PROGRESS_BYTES + 1];
        struct px_link moving; /* in egress->moving: its progress is to be told */
        struct px_link keeping; /* in egress->keeping: and to be stored */
};

/* A job with attempts here or with followers. */
struct egress_job {
        struct px_job_id id;
        struct px_principal_id owner;
        int state;            /* as of the row, kept by postings; decides when followers end */
        struct px_fence last; /* of the last attempt */
        struct px_link attempts;
        struct px_link followers; /* struct stream */
};

/* ---- peers ----------------------------------------------------------------------------------------- */

struct egress_peer {
        uint64_t handle;
        size_t socket;
        uint32_t routing;
        struct px_principal_id principal;
        int role;
        int64_t heard_ms;
        int64_t told_ms;
        int64_t blocked_ms; /* since when it takes nothing; 0 = it does */
        bool gone;
        struct px_link streams;
        size_t streams_count;
        struct px_log_ack *acks; /* to be sent at the end of the turn */
        size_t acks_count;
        size_t acks_capacity;
        struct px_link acking; /* in egress->acking_peers */
};

/* ---- streams --------------------------------------------------------------------------------------- */

struct stream {
        struct px_link link;   /* in peer->streams */
        struct px_link ready;  /* in egress->ready: may have something to send */
        struct px_link follow; /* in job->followers, egress->event_streams or progress_streams */
        struct egress_peer *peer;
        uint32_t number;
        int kind;
        struct px_job_id job; /* 0 = all that may be seen */
        uint64_t credit_bytes;
        bool over; /* ended, freed at the end of the turn */
        /* log */
        struct egress_job *of;
        struct egress_attempt *attempt; /* NULL = none has begun */
        uint32_t only;                  /* this attempt; 0 = the last and those that follow */
        uint32_t mask;
        uint64_t tail_bytes;
        bool follows;
        bool announced;
        uint64_t offset[PX_STREAM_COUNT];
        uint64_t dropped[PX_STREAM_COUNT]; /* bytes before offset that are not stated yet */
        /* events */
        struct px_event_number after; /* told so far */
        struct px_event_number seen;  /* looked at so far; what lies between it may not see */
        int64_t told_ms;
        /* progress */
        bool stale; /* it missed some: tell all again */
};

/* ---- all ----------------------------------------------------------------------------------------------- */

/* The events of one batch, kept for readers that are nearly up to date. */
struct publish_batch {
        struct px_event_number previous; /* {0, 0}: not known */
        struct px_event_number last;
        uint64_t index;
        uint32_t count;
        struct px_buf encoded;
};

/* One endpoint of `events`. */
struct publish_door {
        char endpoint[SOCKET_ENDPOINT_ROOM];
        void *monitor; /* tells when the old listener is closed; NULL = it is, or none is waited for */
        bool shut;     /* to be bound again */
        bool told;     /* that it can't be */
        int64_t retry_ms;
};

struct publish {
        struct publish_batch *ring; /* circular, oldest at `first` */
        size_t first;
        size_t count;
        size_t bytes;
        struct px_event_number last; /* newest that was posted; {0, 0} = none since the start */
        int64_t told_ms;
        uint64_t progress_number;
        size_t topics[3]; /* subscriptions to e, p, l; one to everything counts in all */
        struct publish_door doors[EGRESS_SOCKETS_MAX];
        uint64_t cuts; /* keys_cuts() as heeded */
};

struct egress {
        struct egress_options options;
        struct egress_posts *posts;
        pthread_t thread;
        void *data[EGRESS_SOCKETS_MAX]; /* NULL from the first unused one on */
        void *events[EGRESS_SOCKETS_MAX];
        uint32_t data_port;
        uint32_t events_port;
        _Atomic int fault;
        _Atomic uint64_t posted_index; /* shared: of the newest events posted */
        pthread_mutex_t kept_lock;
        struct px_buf kept;            /* shared, under kept_lock: a frame for the core, or empty */
        bool running;                  /* the thread was started */

        /* of the thread */
        struct segments *segments;
        struct px_map peers;
        struct px_link acking_peers;
        struct px_map jobs;
        struct px_link dirty;
        struct px_link acking;
        struct px_link moving;
        struct px_link keeping;
        struct px_link ready;
        struct px_link event_streams;
        struct px_link progress_streams;
        struct px_link ended; /* streams to free at the end of the turn, by their `ready` */
        struct publish publish;
        struct strikes strikes;
        struct px_buf purges; /* u64 jobs whose output is to be forgotten */
        struct px_buf frame;
        struct px_buf words;
        struct px_arena arena; /* of one message */
        uint8_t *chunk;        /* PX_LIMIT_LOG_CHUNK_BYTES */
        int64_t now_ms;
        int64_t tick_ms;
        int64_t progress_ms;
        int64_t keep_ms; /* when progress is stored next */
        int64_t retain_ms;
        int64_t sweep_ms; /* when the store of files is swept next */
        int64_t dirty_ms;    /* since when something waits for a flush */
        int64_t no_space_ms; /* until when nothing is appended; 0 = there is space */
        bool sync_now;
        bool trace;
        bool stopping;
};

/* ---- egress_peer.c ---------------------------------------------------------------------------------------- */

/* Take waiting messages, within bounds. */
void peer_drain(struct egress *egress, size_t socket);
struct egress_peer *peer_find(const struct egress *egress, uint64_t handle);
/* Send frame (and payload). false = not sent: the peer is gone or takes nothing now. */
bool peer_send(struct egress *egress, struct egress_peer *peer, struct px_slice frame,
               struct px_slice payload);
/* Send egress->frame. */
bool peer_send_frame(struct egress *egress, struct egress_peer *peer);
void peer_refuse(struct egress *egress, struct egress_peer *peer, uint64_t correlation, int code,
                 const char *text);
/* Forget who is gone, silent or takes nothing for too long. */
void peer_reap(struct egress *egress);
/* Once a second: who was revoked, who may be gone unnoticed. */
void peer_tick(struct egress *egress);
void peer_fini(struct egress *egress);

/* ---- egress_attempt.c -------------------------------------------------------------------------------------- */

/* Newest value of a job's row in a view. Refuses: PX_E_ABSENT; PX_E_DAMAGED. */
int attempt_job_row(struct egress *egress, struct px_view *view, struct px_job_id job,
                    struct px_job_row *ret_row);
/* Open a view that holds all that was answered before now. Refuses: PX_E_BUSY. */
int attempt_view(struct egress *egress, struct px_view **ret_view);
struct egress_job *attempt_job_find(const struct egress *egress, struct px_job_id job);
/* The job's entry, made from its row if need be. */
struct egress_job *attempt_job_of_row(struct egress *egress, struct px_job_id job,
                                      const struct px_job_row *row);
struct egress_attempt *attempt_find(const struct egress *egress, struct px_job_id job,
                                    uint32_t attempt);
/* Find it here or make it from its rows. Refuses: PX_E_ABSENT no such attempt; PX_E_BUSY. */
int attempt_get(struct egress *egress, struct px_job_id job, uint32_t attempt,
                struct egress_attempt **ret_attempt);
void attempt_opened(struct egress *egress, const struct core_log_open *open);
void attempt_closed(struct egress *egress, const struct core_log_close *close);
/* Every byte that its node has is stored. */
bool attempt_complete(const struct egress_attempt *attempt);
/* Bytes known to exist that are not here. */
uint64_t attempt_pending_bytes(const struct egress_attempt *attempt);
/* Set final lengths and dropped ranges. */
void attempt_final(struct egress_attempt *attempt, const struct px_use *use);
/* Let go of what nobody needs; the attempt may be freed by it. */
void attempt_settle(struct egress *egress, struct egress_attempt *attempt);
void attempt_job_settle(struct egress *egress, struct egress_job *job);
void attempt_fini(struct egress *egress);

/* ---- egress_blob.c ------------------------------------------------------------------------------------------ */

void blob_take_open(struct egress *egress, struct egress_peer *peer, uint64_t correlation,
                    const struct px_m_blob_open *open);
void blob_take_data(struct egress *egress, struct egress_peer *peer, uint64_t correlation,
                    const struct px_m_blob_data *data);
void blob_take_get(struct egress *egress, struct egress_peer *peer, const struct px_m_blob_get *get);
void blob_keep_house(struct egress *egress);

/* ---- egress_log.c ------------------------------------------------------------------------------------------ */

int log_open_segments(struct egress *egress, const char *dir, char *ret_text, size_t text_room);
void log_take_data(struct egress *egress, struct egress_peer *peer, const struct px_m_log_data *data,
                   struct px_slice payload);
void log_take_final(struct egress *egress, struct egress_peer *peer,
                    const struct px_m_log_final *final);
/* Tell the node of the attempt how far its lane is. */
void log_ack(struct egress *egress, struct egress_attempt *attempt, int stream);
/* End of a turn: flush what is due, send the acknowledgements. */
void log_turn(struct egress *egress);
/* When log_turn() is due next; INT64_MAX = never. */
int64_t log_deadline_ms(const struct egress *egress);
/* Go on forgetting purged jobs and old segments, in bounded steps. */
void log_keep_house(struct egress *egress);

/* ---- egress_progress.c ---------------------------------------------------------------------------------------- */

void progress_take(struct egress *egress, const struct egress_peer *peer,
                   const struct px_m_progress *progress);
/* Tell what moved: publications and streams. */
void progress_turn(struct egress *egress);
/* Send what a progress stream lacks. */
void progress_go(struct egress *egress, struct stream *stream);

/* ---- query*.c ---------------------------------------------------------------------------------------------------- */

void query_list(struct egress *egress, struct egress_peer *peer, uint64_t correlation,
                const struct px_m_list *list);
void query_show(struct egress *egress, struct egress_peer *peer, uint64_t correlation,
                const struct px_m_show *show);
void query_log_at(struct egress *egress, struct egress_peer *peer, uint64_t correlation,
                  const struct px_m_log_at *log_at);
/* The view of a job as lists show it; texts live in the arena. row->... borrowed. */
struct px_job_view query_job_view(struct egress *egress, struct px_view *view, struct px_job_id job,
                                  const struct px_job_row *row);
/* A node's name in the arena; empty when it is not known. */
struct px_slice query_node_name(struct egress *egress, struct px_view *view, struct px_node_id node);

/* ---- stream*.c --------------------------------------------------------------------------------------------------- */

void stream_open(struct egress *egress, struct egress_peer *peer, const struct px_m_stream_open *open);
void stream_credit(struct egress *egress, struct egress_peer *peer,
                   const struct px_m_stream_credit *credit);
void stream_close_number(struct egress *egress, struct egress_peer *peer, uint32_t number);
/* It may have something to send. */
void stream_ready(struct egress *egress, struct stream *stream);
/* Send egress->frame on a stream; cost_bytes leave its credit. */
bool stream_send(struct egress *egress, struct stream *stream, struct px_slice payload,
                 size_t cost_bytes);
/* Say why it is over. */
void stream_end(struct egress *egress, struct stream *stream, int code, const char *text);
/* Forget it without a word. */
void stream_drop(struct egress *egress, struct stream *stream);
void stream_drop_all(struct egress *egress, struct egress_peer *peer);
/* Send to the streams that are ready, in turns. true = some are not done. */
bool stream_turn(struct egress *egress);
void stream_free_ended(struct egress *egress);
/* Wake the followers of a job: all, or those of one attempt. */
void stream_wake_job(struct egress *egress, const struct egress_job *job,
                     const struct egress_attempt *attempt);

int stream_log_open(struct egress *egress, struct stream *stream, const struct px_m_stream_open *open);
void stream_log_go(struct egress *egress, struct stream *stream);
void stream_log_leave(struct egress *egress, struct stream *stream); /* its job and attempt */
void stream_log_end(struct egress *egress, struct stream *stream, int code, const char *text);
void stream_events_go(struct egress *egress, struct stream *stream);
void stream_events_tick(struct egress *egress);
void stream_events_wake(struct egress *egress);

/* ---- publish.c --------------------------------------------------------------------------------------------------- */

bool publish_after(struct px_event_number a, struct px_event_number b); /* is a later than b? */
void publish_post(struct egress *egress, uint64_t index, struct px_slice encoded, uint32_t count);
/* Number of the newest event that is known. */
struct px_event_number publish_newest(const struct egress *egress);
/* Visit events after `after`, from RAM where it reaches back so far, else from the feed.
 * Refuses: PX_E_SNAPSHOT. */
int publish_read(struct egress *egress, struct px_event_number after, uint32_t count_max,
                 bool (*visit)(void *context, struct px_event_number number, struct px_slice event),
                 void *context);
bool publish_wanted(const struct egress *egress, char topic);
void publish_log(struct egress *egress, const struct egress_attempt *attempt, int stream,
                 uint64_t offset, int64_t wall_ms, struct px_slice bytes);
void publish_progress(struct egress *egress, const struct px_progress *items, size_t count);
void publish_tick(struct egress *egress);
void publish_subscriptions(struct egress *egress, size_t socket);
void publish_fini(struct egress *egress);

/* ---- publish_audience.c ------------------------------------------------------------------------------------------ */

void publish_audience_init(struct egress *egress); /* after the first bind, before the thread */
/* Each turn: cut everybody off when somebody may no longer listen, and let the others in again. */
void publish_audience(struct egress *egress);
bool publish_is_shut(const struct egress *egress);
void publish_audience_fini(struct egress *egress);

#endif
