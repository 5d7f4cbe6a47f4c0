/* SPDX-License-Identifier: Apache-2.0 */
/* egress_rig.c - see egress_rig.h. */
#include "egress_rig.h"

#include <czmq.h>
#include <glob.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <zmq.h>

#include "px_log.h"
#include "px_tables.h"
#include "socket.h"
#include "zap.h"

#define EPOCH 5000
#define NODE 1
#define PEERS_MAX 16
#define WAIT_MS 10000

struct rig_peer {
        void *socket;
        void *monitor; /* NULL = not watched */
        zmq_msg_t frame;
        zmq_msg_t payload;
        struct rig_message message;
};

static struct {
        const char *dir;
        struct px_log *log;
        uint64_t index;
        struct keys *keys;
        struct zap *zap;
        struct egress *egress;
        struct blobs *blobs;
        struct px_slice blob; /* that jobs use from now on */
        struct socket_identity identity;
        struct rig_peer peers[PEERS_MAX];
        struct rig_limits limits;
        size_t peers_count;
        struct px_buf frame;
        struct px_buf text;
        struct px_arena arena;
        bool revoked[8];
} rig;

static const char *name_of(uint16_t type)
{
        const struct px_message_info *info = px_message_find(type);

        return info == NULL ? "?" : info->name;
}

static void set_keys(enum rig_who local)
{
        static const int roles[] = {0,
                                    PX_ROLE_ADMIN,
                                    PX_ROLE_USER,
                                    PX_ROLE_USER,
                                    PX_ROLE_NODE,
                                    PX_ROLE_MONITOR,
                                    PX_ROLE_NODE};
        struct keys_entry entries[PX_COUNT_OF(roles) - 1] = {0};

        for (uint32_t i = 1; i < PX_COUNT_OF(roles); i++) {
                entries[i - 1].id.value = i;
                entries[i - 1].role = rig.revoked[i] ? PX_ROLE_DEAD : roles[i];
                entries[i - 1].public_key[0] = (uint8_t)i;
                snprintf(entries[i - 1].name, sizeof entries[i - 1].name, "p%u", i);
        }
        keys_replace(rig.keys, entries, PX_COUNT_OF(entries),
                     (struct px_principal_id){(uint32_t)local});
}

static void close_peers(void)
{
        for (size_t i = 0; i < rig.peers_count; i++) {
                zmq_msg_close(&rig.peers[i].frame);
                zmq_msg_close(&rig.peers[i].payload);
                if (rig.peers[i].monitor != NULL) {
                        zmq_socket_monitor(rig.peers[i].socket, NULL, 0);
                        zmq_close(rig.peers[i].monitor);
                        rig.peers[i].monitor = NULL;
                }
                zmq_close(rig.peers[i].socket);
        }
        rig.peers_count = 0;
}

static void stop(void *context)
{
        (void)context;
        close_peers();
        egress_stop(rig.egress);
        blobs_close(rig.blobs);
        zap_stop(rig.zap);
        px_log_close(rig.log);
        keys_free(rig.keys);
        px_buf_fini(&rig.frame);
        px_buf_fini(&rig.text);
        px_arena_fini(&rig.arena);
        memset(&rig, 0, sizeof rig);
}

static void secure(void *context, void *socket, const char *endpoint)
{
        int type = 0;
        size_t length = sizeof type;

        zmq_getsockopt(socket, ZMQ_TYPE, &type, &length);
        socket_secure(context, socket, endpoint, type == ZMQ_ROUTER ? "data" : "events");
}

static void start_egress(void)
{
        char logs[300];
        char data[300];
        char events[300];
        char blobs[300];
        char text[300] = "";
        const char *data_endpoints[] = {data, NULL};
        const char *events_endpoints[] = {events, NULL};
        struct egress_options options = {.zmq_context = zsys_init(),
                                         .log = rig.log,
                                         .keys = rig.keys,
                                         .logs_dir = logs,
                                         .data_endpoints = data_endpoints,
                                         .events_endpoints = events_endpoints,
                                         .secure = secure,
                                         .secure_context = &rig.identity,
                                         .segment_bytes = rig.limits.segment_bytes,
                                         .log_keep_bytes = rig.limits.log_keep_bytes,
                                         .epoch = EPOCH};

        snprintf(logs, sizeof logs, "%s/logs", rig.dir);
        snprintf(data, sizeof data, "ipc://%s/data", rig.dir);
        snprintf(events, sizeof events, "ipc://%s/events", rig.dir);
        mkdir(logs, 0700);
        snprintf(blobs, sizeof blobs, "%s/blobs", rig.dir);
        EXPECT_INT(blobs_open(blobs, 0, &rig.blobs), 0);
        options.blobs = rig.blobs;
        if (egress_start(&options, &rig.egress, text, sizeof text) != 0)
                test_fail(__FILE__, __LINE__, "%s", text);
}

void rig_limits(struct rig_limits limits)
{
        rig.limits = limits;
}

static void open_log(void)
{
        struct px_log_options options = {.dir = rig.dir,
                                         .map_bytes = 64u << 20,
                                         .ballast_bytes = 65536,
                                         .segment_bytes = 1u << 20,
                                         .feed_file_bytes = rig.limits.feed_file_bytes,
                                         .feed_keep_events = rig.limits.feed_keep_events,
                                         .any_filesystem = true};
        struct px_log_start start = {0};

        EXPECT_INT(px_log_open_local(&options, 1000, &rig.log, &start), PX_OK);
        rig.index = start.index;
}

void rig_start(void)
{
        static bool once;

        test_cleanup(stop, NULL);
        rig.dir = test_temp_dir();
        open_log();
        if (!once)
                zsys_handler_set(NULL);
        once = true;
        rig.keys = keys_new();
        set_keys(RIG_ADMIN);
        EXPECT(zsys_init() != NULL);
        EXPECT_INT(zap_start(rig.keys, &rig.zap), 0);
        start_egress();
}

static void stop_egress(void)
{
        close_peers();
        egress_stop(rig.egress);
        rig.egress = NULL;
        blobs_close(rig.blobs);
        rig.blobs = NULL;
}

void rig_restart(void)
{
        stop_egress();
        set_keys(RIG_ADMIN);
        start_egress();
}

static size_t feed_files(void)
{
        char pattern[300];
        glob_t found;
        size_t count;

        snprintf(pattern, sizeof pattern, "%s/feed/*.feed", rig.dir);
        count = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
        globfree(&found);
        return count;
}

void rig_forget_events(void)
{
        size_t before;

        stop_egress();
        px_log_close(rig.log);
        rig.log = NULL;
        before = feed_files();
        open_log();
        for (int left_ms = WAIT_MS; feed_files() >= before; left_ms -= 5) {
                EXPECT(left_ms > 0);
                poll(NULL, 0, 5);
        }
        start_egress();
}

void rig_revoke(enum rig_who who)
{
        rig.revoked[who] = true;
        set_keys(RIG_ADMIN);
}

struct egress *rig_egress(void)
{
        return rig.egress;
}

struct px_arena *rig_arena(void)
{
        return &rig.arena;
}

/* ---- the core's part -------------------------------------------------------------------------------- */

static void submit(struct px_buf *rows, struct px_buf *events, uint32_t events_count)
{
        struct px_log_batch batch = {.epoch = EPOCH,
                                     .index = ++rig.index,
                                     .rows = px_buf_slice(rows),
                                     .events = px_buf_slice(events),
                                     .events_count = events_count};

        px_log_submit(rig.log, &batch);
        while (px_log_durable(rig.log) < rig.index) {
                struct pollfd wait = {.fd = px_log_fd(rig.log), .events = POLLIN};

                EXPECT_INT(poll(&wait, 1, WAIT_MS), 1);
        }
        if (events_count > 0)
                egress_events(rig.egress, rig.index, batch.events, events_count);
        px_buf_fini(rows);
        px_buf_fini(events);
}

static void put_events(struct px_buf *events, uint64_t job, enum rig_who owner, uint32_t count)
{
        for (uint32_t i = 0; i < count; i++) {
                struct px_event event = {.index = rig.index + 1,
                                         .position = i,
                                         .kind = PX_EV_JOB_QUEUED,
                                         .owner = {(uint32_t)owner},
                                         .job = {job},
                                         .state = PX_JOB_STATE_QUEUED,
                                         .reason = PX_REASON_NONE,
                                         .exit_code = -1};
                struct px_buf encoded = {0};

                px_event_encode(&event, &encoded);
                px_put_be32(px_buf_grow(events, 4), (uint32_t)encoded.length);
                px_buf_append_slice(events, px_buf_slice(&encoded));
                px_buf_fini(&encoded);
        }
}

struct px_fence rig_fence(uint32_t attempt)
{
        return (struct px_fence){attempt == 0 ? 0 : EPOCH, attempt};
}

static void put_node(struct px_buf *rows)
{
        struct px_node_row node = {.name = px_slice_text("alpha"),
                                   .kind = PX_NODE_KIND_NODE,
                                   .principal = {RIG_NODE}};
        struct row_key key = row_key_u32(NODE);
        struct px_buf value = {0};

        px_node_row_encode(&node, &value);
        rows_put(rows, PX_TABLE_NODE, &key, px_buf_slice(&value));
        px_buf_fini(&value);
}

static void put_job_row(struct px_buf *rows, uint64_t job, const struct px_job_row *row)
{
        struct row_key key = row_key_u64(job);
        struct row_key owner_key = row_key_u32(row->owner.value);
        struct px_buf value = {0};
        bool ended = row->state >= PX_JOB_STATE_OK;

        row_key_add_u64(&owner_key, job);
        px_job_row_encode(row, &value);
        rows_delete(rows, ended ? PX_TABLE_JOB : PX_TABLE_DONE, &key);
        rows_put(rows, ended ? PX_TABLE_DONE : PX_TABLE_JOB, &key, px_buf_slice(&value));
        rows_put(rows, PX_TABLE_OWNER, &owner_key, PX_SLICE_NONE);
        px_buf_fini(&value);
}

struct px_job_row rig_job_row(uint64_t job, enum rig_who owner, int state, uint32_t attempt)
{
        return (struct px_job_row){.state = state,
                                   .reason = PX_REASON_NONE,
                                   .owner = {(uint32_t)owner},
                                   .fence = rig_fence(attempt),
                                   .node = {attempt == 0 ? 0 : NODE},
                                   .on_lost = PX_ON_LOST_RERUN,
                                   .submitted_wall_ms = (int64_t)job * 1000,
                                   .ended_wall_ms = state >= PX_JOB_STATE_OK ? (int64_t)job * 1000 : 0,
                                   .exit_code = -1,
                                   .blob = rig.blob};
}

static void put_job(struct px_buf *rows, uint64_t job, enum rig_who owner, int state,
                    uint32_t attempt)
{
        struct px_job_row row = rig_job_row(job, owner, state, attempt);

        put_job_row(rows, job, &row);
}

void rig_store(uint64_t job, const struct px_job_row *row, const struct px_attempt_row *attempt)
{
        struct row_key key = row_key_u64(job);
        struct px_buf rows = {0};
        struct px_buf events = {0};
        struct px_buf value = {0};

        put_node(&rows);
        put_job_row(&rows, job, row);
        if (attempt != NULL) {
                row_key_add_u32(&key, attempt->fence.attempt);
                px_attempt_row_encode(attempt, &value);
                rows_put(&rows, PX_TABLE_ATTEMPT, &key, px_buf_slice(&value));
                px_buf_fini(&value);
        }
        put_events(&events, job, (enum rig_who)row->owner.value, 1);
        submit(&rows, &events, 1);
}

void rig_use_blob(struct px_slice blob)
{
        rig.blob = blob;
}

void rig_keep_progress(const struct px_m_progress_keep *keep)
{
        struct px_buf rows = {0};
        struct px_buf events = {0};
        struct px_buf value = {0};

        for (size_t i = 0; i < keep->items_count; i++) {
                struct row_key key = row_key_u64(keep->items[i].job.value);
                struct px_progress_row row = {.fence = keep->items[i].fence,
                                              .permille = keep->items[i].permille,
                                              .text = keep->items[i].text};

                px_buf_reset(&value);
                px_progress_row_encode(&row, &value);
                rows_put(&rows, PX_TABLE_PROGRESS, &key, px_buf_slice(&value));
        }
        px_buf_fini(&value);
        put_events(&events, 1, RIG_USER, 1);
        submit(&rows, &events, 1);
}

void rig_job(uint64_t job, enum rig_who owner, int state, uint32_t attempt)
{
        struct px_buf rows = {0};
        struct px_buf events = {0};

        put_node(&rows);
        put_job(&rows, job, owner, state, attempt);
        put_events(&events, job, owner, 1);
        submit(&rows, &events, 1);
}

void rig_named_job(uint64_t job, enum rig_who owner, int state, const char *name)
{
        struct px_name_row row = {.name = px_slice_text(name)};
        struct row_key key = row_key_u64(job);
        struct px_buf rows = {0};
        struct px_buf events = {0};
        struct px_buf value = {0};

        put_job(&rows, job, owner, state, 0);
        px_name_row_encode(&row, &value);
        rows_put(&rows, PX_TABLE_NAME, &key, px_buf_slice(&value));
        px_buf_fini(&value);
        put_events(&events, job, owner, 1);
        submit(&rows, &events, 1);
}

static void put_attempt(struct px_buf *rows, uint64_t job, uint32_t attempt, int outcome,
                        uint64_t out_bytes, uint64_t err_bytes, uint64_t pending_bytes)
{
        struct px_attempt_row row = {.fence = rig_fence(attempt),
                                     .node = {NODE},
                                     .node_name = px_slice_text("alpha"),
                                     .outcome = outcome,
                                     .reason = PX_REASON_FINISHED,
                                     .exit_code = 0,
                                     .use = {.out_bytes = out_bytes, .err_bytes = err_bytes},
                                     .log_pending_bytes = pending_bytes,
                                     .progress_permille = -1};
        struct row_key key = row_key_u64(job);
        struct px_buf value = {0};

        row_key_add_u32(&key, attempt);
        px_attempt_row_encode(&row, &value);
        rows_put(rows, PX_TABLE_ATTEMPT, &key, px_buf_slice(&value));
        px_buf_fini(&value);
}

void rig_attempt(uint64_t job, uint32_t attempt, int outcome, uint64_t out_bytes,
                 uint64_t pending_bytes)
{
        struct px_buf rows = {0};
        struct px_buf events = {0};

        put_attempt(&rows, job, attempt, outcome, out_bytes, 0, pending_bytes);
        put_events(&events, job, RIG_USER, 1);
        submit(&rows, &events, 1);
}

void rig_open(uint64_t job, enum rig_who owner, uint32_t attempt)
{
        struct core_log_open open = {.job = {job},
                                     .fence = rig_fence(attempt),
                                     .owner = {(uint32_t)owner},
                                     .node_principal = {RIG_NODE},
                                     .node = {NODE},
                                     .node_name = px_slice_text("alpha")};

        rig_job(job, owner, PX_JOB_STATE_ASSIGNED, attempt);
        egress_log_open(rig.egress, &open);
}

void rig_close(uint64_t job, enum rig_who owner, uint32_t attempt, uint64_t out_bytes,
               uint64_t err_bytes, int state)
{
        struct core_log_close close = {.job = {job},
                                       .fence = rig_fence(attempt),
                                       .use = {.out_bytes = out_bytes, .err_bytes = err_bytes},
                                       .known = true};
        struct core_job_end end = {{job}, rig_fence(attempt), state};
        struct px_buf rows = {0};
        struct px_buf events = {0};

        put_attempt(&rows, job, attempt, PX_OUTCOME_OK, out_bytes, err_bytes, 0);
        put_job(&rows, job, owner, state, attempt);
        put_events(&events, job, owner, 1);
        submit(&rows, &events, 1);
        egress_log_close(rig.egress, &close);
        if (state >= PX_JOB_STATE_OK)
                egress_job_end(rig.egress, &end);
}

void rig_fence_off(uint64_t job, enum rig_who owner, uint32_t attempt)
{
        struct core_log_close close = {.job = {job}, .fence = rig_fence(attempt)};

        rig_attempt(job, attempt, PX_OUTCOME_GONE, 0, 0);
        rig_job(job, owner, PX_JOB_STATE_QUEUED, attempt);
        egress_log_close(rig.egress, &close);
}

uint64_t rig_events(uint64_t job, enum rig_who owner, uint32_t count)
{
        struct px_buf rows = {0};
        struct px_buf events = {0};

        put_events(&events, job, owner, count);
        submit(&rows, &events, count);
        return rig.index;
}

/* ---- peers ---------------------------------------------------------------------------------------------- */

static bool receive(struct rig_peer *peer)
{
        zmq_pollitem_t item = {.socket = peer->socket, .events = ZMQ_POLLIN};
        struct px_slice frame;

        if (zmq_poll(&item, 1, WAIT_MS) != 1)
                return false;
        zmq_msg_close(&peer->payload);
        zmq_msg_init(&peer->payload);
        EXPECT(zmq_msg_recv(&peer->frame, peer->socket, 0) >= 0);
        if (zmq_msg_more(&peer->frame))
                EXPECT(zmq_msg_recv(&peer->payload, peer->socket, 0) >= 0);
        frame = px_slice_of(zmq_msg_data(&peer->frame), zmq_msg_size(&peer->frame));
        EXPECT_INT(px_wire_get_header(frame, &peer->message.header, &peer->message.body),
                   PX_WIRE_OK);
        peer->message.payload =
                px_slice_of(zmq_msg_data(&peer->payload), zmq_msg_size(&peer->payload));
        return true;
}

static void ping(struct rig_peer *peer)
{
        px_buf_reset(&rig.frame);
        px_m_ping_frame(&(struct px_m_ping){0}, 7, 0, &rig.frame);
        rig_send(peer, &rig.frame, PX_SLICE_NONE);
}

void rig_expect_silence(struct rig_peer *peer)
{
        ping(peer);
        EXPECT(receive(peer));
        EXPECT_TEXT(name_of(peer->message.header.type), "PONG");
}

static struct rig_peer *connect_peer(enum rig_who who, int ahead)
{
        struct rig_peer *peer = &rig.peers[rig.peers_count];
        char endpoint[300];
        int linger = 0;

        EXPECT(rig.peers_count < PEERS_MAX);
        set_keys(who);
        peer->socket = zmq_socket(zsys_init(), ZMQ_DEALER);
        zmq_msg_init(&peer->frame);
        zmq_msg_init(&peer->payload);
        rig.peers_count++;
        zmq_setsockopt(peer->socket, ZMQ_RCVHWM, &ahead, sizeof ahead);
        zmq_setsockopt(peer->socket, ZMQ_LINGER, &linger, sizeof linger);
        snprintf(endpoint, sizeof endpoint, "ipc://%s/data", rig.dir);
        EXPECT_INT(zmq_connect(peer->socket, endpoint), 0);
        rig_expect_silence(peer); /* the handshake is over: the next peer may be somebody else */
        return peer;
}

struct rig_peer *rig_connect(enum rig_who who)
{
        return connect_peer(who, 1000);
}

void rig_running(struct rig_peer **ret_node, struct rig_peer **ret_user)
{
        rig_start();
        *ret_node = rig_connect(RIG_NODE);
        if (ret_user != NULL)
                *ret_user = rig_connect(RIG_USER);
        rig_open(1, RIG_USER, 1);
}

struct rig_peer *rig_connect_slow(enum rig_who who)
{
        return connect_peer(who, 1);
}

struct rig_message *rig_published(struct rig_peer *subscriber, const char *topic, uint16_t type)
{
        zmq_pollitem_t item = {.socket = subscriber->socket, .events = ZMQ_POLLIN};
        char text[64] = "";

        EXPECT_INT(zmq_poll(&item, 1, WAIT_MS), 1);
        EXPECT(zmq_recv(subscriber->socket, text, sizeof text - 1, 0) > 0);
        EXPECT_TEXT(text, topic);
        EXPECT(receive(subscriber));
        EXPECT_TEXT(name_of(subscriber->message.header.type), name_of(type));
        return &subscriber->message;
}

bool rig_next_log(struct rig_peer *subscriber, struct px_m_pub_log *ret_log)
{
        char topic[64];

        EXPECT(zmq_recv(subscriber->socket, topic, sizeof topic, 0) > 0);
        EXPECT(receive(subscriber));
        if (subscriber->message.header.type != PX_M_PUB_LOG)
                return false;
        EXPECT_INT(px_m_pub_log_decode(subscriber->message.body, &rig.arena, ret_log), PX_WIRE_OK);
        return true;
}

struct rig_peer *rig_subscribe(struct px_m_pub_events *ret_first)
{
        struct rig_peer *peer = &rig.peers[rig.peers_count];
        struct rig_message *message;
        char endpoint[300];
        int linger = 0;

        EXPECT(rig.peers_count < PEERS_MAX);
        set_keys(RIG_ADMIN);
        peer->socket = zmq_socket(zsys_init(), ZMQ_SUB);
        zmq_msg_init(&peer->frame);
        zmq_msg_init(&peer->payload);
        rig.peers_count++;
        zmq_setsockopt(peer->socket, ZMQ_LINGER, &linger, sizeof linger);
        zmq_setsockopt(peer->socket, ZMQ_SUBSCRIBE, "", 0);
        snprintf(endpoint, sizeof endpoint, "ipc://%s/events", rig.dir);
        EXPECT_INT(zmq_connect(peer->socket, endpoint), 0);
        message = rig_published(peer, "e", PX_M_PUB_EVENTS);
        EXPECT_INT(px_m_pub_events_decode(message->body, &rig.arena, ret_first), PX_WIRE_OK);
        return peer;
}

void rig_watch(struct rig_peer *peer)
{
        char monitor[64];

        snprintf(monitor, sizeof monitor, "inproc://rig.%p", peer->socket);
        peer->monitor = zmq_socket(zsys_init(), ZMQ_PAIR);
        EXPECT_INT(zmq_socket_monitor(peer->socket, monitor,
                                      ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                                              ZMQ_EVENT_HANDSHAKE_FAILED_AUTH),
                   0);
        EXPECT_INT(zmq_connect(peer->monitor, monitor), 0);
}

void rig_expect_event(struct rig_peer *peer, int event)
{
        zmq_pollitem_t items[] = {{.socket = peer->monitor, .events = ZMQ_POLLIN},
                                  {.socket = peer->socket, .events = 0}}; /* it works on */
        uint8_t head[6];
        uint16_t kind;

        do {
                EXPECT_INT(zmq_poll(items, 2, WAIT_MS), 1);
                EXPECT_INT(zmq_recv(peer->monitor, head, sizeof head, 0), (int)sizeof head);
                zmq_recv(peer->monitor, NULL, 0, 0); /* the endpoint */
                memcpy(&kind, head, sizeof kind);
                EXPECT(kind == event || kind != ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
        } while (kind != event);
}

bool rig_hears(struct rig_peer *peer)
{
        zmq_pollitem_t item = {.socket = peer->socket, .events = ZMQ_POLLIN};

        return zmq_poll(&item, 1, 50) == 1;
}

void rig_send(struct rig_peer *peer, const struct px_buf *frame, struct px_slice payload)
{
        bool more = payload.length > 0;

        EXPECT(zmq_send(peer->socket, frame->data, frame->length, more ? ZMQ_SNDMORE : 0) >= 0);
        if (more)
                EXPECT(zmq_send(peer->socket, payload.data, payload.length, 0) >= 0);
}

struct rig_message *rig_expect(struct rig_peer *peer, uint16_t type)
{
        do {
                if (!receive(peer))
                        test_fail(__FILE__, __LINE__, "no %s came", name_of(type));
        } while (peer->message.header.type == PX_M_PONG);
        EXPECT_TEXT(name_of(peer->message.header.type), name_of(type));
        return &peer->message;
}

void rig_log(struct rig_peer *node, uint64_t job, uint32_t attempt, int stream, uint64_t offset,
             const char *text, bool sync)
{
        struct px_m_log_data data = {.job = {job},
                                     .fence = rig_fence(attempt),
                                     .stream = stream,
                                     .offset = offset,
                                     .wall_ms = 1000,
                                     .sync = sync};

        px_buf_reset(&rig.frame);
        px_m_log_data_frame(&data, 0, PX_WIRE_FLAG_PAYLOAD, &rig.frame);
        rig_send(node, &rig.frame, px_slice_text(text));
}

void rig_final(struct rig_peer *node, uint64_t job, uint32_t attempt, uint64_t out_bytes,
               uint64_t dropped_at, uint64_t dropped_bytes)
{
        struct px_m_log_final final = {.job = {job},
                                       .fence = rig_fence(attempt),
                                       .out_bytes = out_bytes,
                                       .out_dropped_at = dropped_at,
                                       .out_dropped_bytes = dropped_bytes};

        px_buf_reset(&rig.frame);
        px_m_log_final_frame(&final, 0, 0, &rig.frame);
        rig_send(node, &rig.frame, PX_SLICE_NONE);
}

struct px_log_ack rig_ack(struct rig_peer *node)
{
        struct px_m_log_ack acks;

        EXPECT_INT(px_m_log_ack_decode(rig_expect(node, PX_M_LOG_ACK)->body, &rig.arena, &acks),
                   PX_WIRE_OK);
        EXPECT(acks.items_count > 0);
        return acks.items[0];
}

struct px_log_ack rig_stored(struct rig_peer *node, uint64_t stored)
{
        struct px_log_ack ack;

        do {
                ack = rig_ack(node);
                EXPECT(ack.received <= stored);
        } while (ack.stored < stored);
        return ack;
}

void rig_open_stream(struct rig_peer *client, const struct px_m_stream_open *open)
{
        px_buf_reset(&rig.frame);
        px_m_stream_open_frame(open, open->stream, 0, &rig.frame);
        rig_send(client, &rig.frame, PX_SLICE_NONE);
}

void rig_follow(struct rig_peer *client, uint32_t stream, uint64_t job, uint64_t credit_bytes)
{
        rig_open_stream(client, &(struct px_m_stream_open){.stream = stream,
                                                           .kind = PX_STREAM_KIND_LOG,
                                                           .job = {job},
                                                           .follow = true,
                                                           .credit_bytes = credit_bytes});
}

void rig_credit(struct rig_peer *client, uint32_t stream, uint64_t bytes)
{
        px_buf_reset(&rig.frame);
        px_m_stream_credit_frame(&(struct px_m_stream_credit){stream, bytes}, 0, 0, &rig.frame);
        rig_send(client, &rig.frame, PX_SLICE_NONE);
}

const char *rig_log_text(struct rig_peer *client, uint64_t offset)
{
        struct rig_message *message = rig_expect(client, PX_M_STREAM_LOG);
        struct px_m_stream_log log;

        EXPECT_INT(px_m_stream_log_decode(message->body, &rig.arena, &log), PX_WIRE_OK);
        EXPECT_U64(log.offset, offset);
        px_buf_reset(&rig.text);
        if (log.dropped_bytes > 0)
                px_buf_format(&rig.text, "<%d>", (int)log.dropped_bytes);
        px_buf_append_slice(&rig.text, message->payload);
        px_buf_append(&rig.text, "", 1);
        return (const char *)rig.text.data;
}

struct px_m_stream_end rig_end(struct rig_peer *client)
{
        struct px_m_stream_end end;

        EXPECT_INT(px_m_stream_end_decode(rig_expect(client, PX_M_STREAM_END)->body, &rig.arena,
                                          &end),
                   PX_WIRE_OK);
        return end;
}
