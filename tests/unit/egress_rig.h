/* SPDX-License-Identifier: Apache-2.0 */
/* egress_rig.h - an egress thread on a log on disk, with peers over ipc; the test plays the core.
 * Principals: 1 admin, 2 user, 3 another user, 4 node, 5 monitor, 6 another node. */
#ifndef EGRESS_RIG_H
#define EGRESS_RIG_H

#include "egress.h"
#include "test.h"

enum rig_who {
        RIG_ADMIN = 1,
        RIG_USER = 2,
        RIG_OTHER = 3,
        RIG_NODE = 4,
        RIG_MONITOR = 5,
        RIG_OTHER_NODE = 6,
};

struct rig_peer; /* closed at the test's end */

/* What arrived last at a peer. */
struct rig_message {
        struct px_wire_header header;
        struct px_slice body;
        struct px_slice payload;
};

/* Of storage, to be set before rig_start(); 0 = as usual. */
struct rig_limits {
        uint64_t segment_bytes;
        uint64_t log_keep_bytes;
        uint64_t feed_file_bytes;
        uint64_t feed_keep_events;
};
void rig_limits(struct rig_limits limits);
void rig_start(void);
/* Stop egress and start it again on what the disk holds; peers reconnect with rig_connect(). */
void rig_restart(void);
/* The same with the log, until the first of its old events are removed. */
void rig_forget_events(void);
void rig_revoke(enum rig_who who);
struct egress *rig_egress(void);

/* ---- the core's part ------------------------------------------------------------------------------ */

struct px_fence rig_fence(uint32_t attempt);
/* Jobs stored from now on use this file; borrowed. */
void rig_use_blob(struct px_slice blob);
/* Store the job's row: active or ended by its state; its last attempt is `attempt` on node 1. */
void rig_job(uint64_t job, enum rig_who owner, int state, uint32_t attempt);
/* The row that rig_job() stores; to be changed and stored by rig_store(). */
struct px_job_row rig_job_row(uint64_t job, enum rig_who owner, int state, uint32_t attempt);
/* attempt NULL = none. */
void rig_store(uint64_t job, const struct px_job_row *row, const struct px_attempt_row *attempt);
/* Store a PROGRESS_KEEP as the core would. */
void rig_keep_progress(const struct px_m_progress_keep *keep);
void rig_named_job(uint64_t job, enum rig_who owner, int state, const char *name);
/* Store the row of an ended attempt. */
void rig_attempt(uint64_t job, uint32_t attempt, int outcome, uint64_t out_bytes,
                 uint64_t pending_bytes);
/* rig_job() as assigned, and the posting. */
void rig_open(uint64_t job, enum rig_who owner, uint32_t attempt);
/* The attempt ended with so many bytes; the job ends too unless state is one of an active job. */
void rig_close(uint64_t job, enum rig_who owner, uint32_t attempt, uint64_t out_bytes,
               uint64_t err_bytes, int state);
/* The attempt's node is lost: nothing more of it is wanted, the job waits for the next one. */
void rig_fence_off(uint64_t job, enum rig_who owner, uint32_t attempt);
/* A batch with `count` events of this job, posted. Returns its index. */
uint64_t rig_events(uint64_t job, enum rig_who owner, uint32_t count);

/* ---- peers -------------------------------------------------------------------------------------------- */

struct rig_peer *rig_connect(enum rig_who who);
/* How most stories begin: started, a node and a user connected, the user's job 1 in its first attempt. ret_user may be
 * NULL: no user. */
void rig_running(struct rig_peer **ret_node, struct rig_peer **ret_user);
/* As rig_connect(), taking over only one message ahead of those that the test takes. */
struct rig_peer *rig_connect_slow(enum rig_who who);
/* A subscriber to everything on `events`; returns when it is counted, with the number it was told. */
struct rig_peer *rig_subscribe(struct px_m_pub_events *ret_first);
/* Watch the subscriber's connection: then the test waits for one of ZeroMQ's events on it. */
void rig_watch(struct rig_peer *subscriber);
/* The test fails if it is let in meanwhile. */
void rig_expect_event(struct rig_peer *subscriber, int event);
/* Whether a message is there or comes within a moment. */
bool rig_hears(struct rig_peer *subscriber);
/* Its next message: topic, body, payload. The test fails if the type is another. */
struct rig_message *rig_published(struct rig_peer *subscriber, const char *topic, uint16_t type);
/* Take the subscriber's next message. false = it is no output. */
bool rig_next_log(struct rig_peer *subscriber, struct px_m_pub_log *ret_log);
void rig_send(struct rig_peer *peer, const struct px_buf *frame, struct px_slice payload);
/* The next message but PONG; the test fails if it isn't of this type. */
struct rig_message *rig_expect(struct rig_peer *peer, uint16_t type);
/* Ask PING and expect that PONG is the first thing that comes: nothing else was under way. */
void rig_expect_silence(struct rig_peer *peer);
struct px_arena *rig_arena(void);

/* A node's words. */
void rig_log(struct rig_peer *node, uint64_t job, uint32_t attempt, int stream, uint64_t offset,
             const char *text, bool sync);
void rig_final(struct rig_peer *node, uint64_t job, uint32_t attempt, uint64_t out_bytes,
               uint64_t dropped_at, uint64_t dropped_bytes);
/* Wait for an acknowledgement with stored >= this; the test fails on received beyond it. */
struct px_log_ack rig_stored(struct rig_peer *node, uint64_t stored);
struct px_log_ack rig_ack(struct rig_peer *node);

/* A client's words. */
void rig_follow(struct rig_peer *client, uint32_t stream, uint64_t job, uint64_t credit_bytes);
void rig_open_stream(struct rig_peer *client, const struct px_m_stream_open *open);
void rig_credit(struct rig_peer *client, uint32_t stream, uint64_t bytes);
/* The next STREAM_LOG's bytes as text, dropped ranges as "<bytes>". */
const char *rig_log_text(struct rig_peer *client, uint64_t offset);
struct px_m_stream_end rig_end(struct rig_peer *client);

#endif
