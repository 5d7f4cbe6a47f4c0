/* SPDX-License-Identifier: Apache-2.0 */
/* node_tool.c - a real plexus-node and the broker's half of its talk. */
#include "node_tool.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define PEER_EPOCH 5

int64_t peer_now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- opening -------------------------------------------------------------------------------- */

static void peer_close(void *context)
{
        struct peer *peer = context;

        if (peer->pid > 0) {
                kill(peer->pid, SIGTERM); /* it takes its control groups away */
                waitpid(peer->pid, NULL, 0);
                test_spare(peer->pid);
        }
        if (peer->ready_fd > 0)
                close(peer->ready_fd);
        zmq_close(peer->ctl);
        zmq_close(peer->data);
        zmq_ctx_term(peer->zmq);
        for (size_t i = 0; i < peer->jobs_count; i++)
                for (int stream = 0; stream < 3; stream++)
                        px_buf_fini(&peer->jobs[i].log[stream]);
        px_buf_fini(&peer->ctl_id);
        px_buf_fini(&peer->data_id);
        px_arena_fini(&peer->arena);
}

static void *peer_bind(struct peer *peer, const char *name)
{
        void *socket = zmq_socket(peer->zmq, ZMQ_ROUTER);
        char endpoint[256];
        int none = 0;

        snprintf(endpoint, sizeof(endpoint), "ipc://%s/%s", peer->dir, name);
        EXPECT(zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof(none)) == 0);
        EXPECT(zmq_bind(socket, endpoint) == 0);
        return socket;
}

void peer_open(struct peer *peer)
{
        peer_open_accounts(peer, "self");
}

void peer_open_accounts(struct peer *peer, const char *accounts)
{
        memset(peer, 0, sizeof(*peer));
        peer->accounts = accounts;
        peer->dir = test_temp_dir();
        EXPECT_INT(chmod(peer->dir, 0711), 0);
        peer->zmq = zmq_ctx_new();
        peer->ctl = peer_bind(peer, "node");
        peer->data = peer_bind(peer, "data");
        test_cleanup(peer_close, peer);
        peer_start_node(peer);
}

void peer_start_node(struct peer *peer)
{
        char dir[256];
        char url[256];
        char *argv[] = {(char *)(uintptr_t)"plexus-node",
                        (char *)(uintptr_t)"--dir",
                        dir,
                        (char *)(uintptr_t)"--name",
                        (char *)(uintptr_t)"n1",
                        (char *)(uintptr_t)"--url",
                        url,
                        (char *)(uintptr_t)"--accounts",
                        (char *)(uintptr_t)peer->accounts,
                        (char *)(uintptr_t)"--ready-fd",
                        (char *)(uintptr_t)"5",
                        NULL};
        posix_spawn_file_actions_t actions;
        int ends[2];

        snprintf(dir, sizeof(dir), "%s/n", peer->dir);
        snprintf(url, sizeof(url), "local:%s", peer->dir);
        EXPECT_INT(pipe2(ends, O_CLOEXEC), 0);
        if (peer->ready_fd > 0)
                close(peer->ready_fd);
        peer->ready_fd = ends[0];
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, ends[1], 5);
        EXPECT_INT(posix_spawn(&peer->pid, NODE_PROGRAM, &actions, NULL, argv, environ), 0);
        posix_spawn_file_actions_destroy(&actions);
        close(ends[1]);
        test_kill_at_end(peer->pid);
        PEER_UNTIL(peer, peer->session != 0);
}

void peer_kill_node(struct peer *peer, int signal_number)
{
        kill(peer->pid, signal_number);
        EXPECT_INT(waitpid(peer->pid, NULL, 0), peer->pid);
        test_spare(peer->pid);
        peer->pid = 0;
        peer->session = 0;
}

/* ---- saying --------------------------------------------------------------------------------- */

static void peer_say(void *socket, const struct px_buf *id, struct px_buf *frame)
{
        EXPECT(zmq_send(socket, id->data, id->length, ZMQ_SNDMORE) >= 0);
        EXPECT(zmq_send(socket, frame->data, frame->length, 0) >= 0);
        px_buf_fini(frame);
}

static void assign_say(struct peer *peer, const struct peer_job *job, const char *script,
                       int on_lost)
{
        struct px_slice argv[] = {px_slice_text("/bin/sh"), px_slice_text("-c"),
                                  px_slice_text(script)};
        struct px_spec spec = {.argv = argv,
                               .argv_count = 3,
                               .cwd = px_slice_text(peer->dir),
                               .scratch = peer->scratch,
                               .as_root = peer->as_root,
                               .log_bytes = peer->log_bytes,
                               .grace_ms = 2000};
        struct px_buf encoded = {0};
        struct px_buf frame = {0};
        struct px_assign item = {.job = job->job,
                                 .fence = job->fence,
                                 .kind = PX_JOB_KIND_COMMAND,
                                 .principal = px_slice_text(
                                         peer->principal == NULL ? "boss" : peer->principal),
                                 .principal_admin = peer->principal == NULL,
                                 .cpus_milli = 1000,
                                 .on_lost = on_lost};
        struct px_m_assign message = {.session = peer->session, .items = &item, .items_count = 1};

        px_spec_encode(&spec, &encoded);
        item.spec = px_buf_slice(&encoded);
        px_m_assign_frame(&message, 0, 0, &frame);
        peer_say(peer->ctl, &peer->ctl_id, &frame);
        px_buf_fini(&encoded);
}

struct peer_job *peer_assign(struct peer *peer, const char *script, int on_lost)
{
        struct peer_job *job = &peer->jobs[peer->jobs_count++];

        EXPECT(peer->jobs_count <= PEER_JOBS);
        job->job.value = peer->jobs_count;
        job->fence = (struct px_fence){.epoch = PEER_EPOCH, .attempt = 1};
        assign_say(peer, job, script, on_lost);
        return job;
}

void peer_assign_again(struct peer *peer, struct peer_job *job, const char *script)
{
        assign_say(peer, job, script, PX_ON_LOST_RERUN);
}

void peer_kill(struct peer *peer, struct peer_job *job, int why, uint64_t grace_ms)
{
        struct px_kill item = {
                .job = job->job, .fence = job->fence, .why = why, .grace_ms = grace_ms};
        struct px_m_kill message = {.session = peer->session, .items = &item, .items_count = 1};
        struct px_buf frame = {0};

        px_m_kill_frame(&message, 0, 0, &frame);
        peer_say(peer->ctl, &peer->ctl_id, &frame);
}

static void result_ok_say(struct peer *peer, const struct peer_job *job)
{
        struct px_attempt_key item = {.job = job->job, .fence = job->fence};
        struct px_m_result_ok message = {
                .session = peer->session, .items = &item, .items_count = 1};
        struct px_buf frame = {0};

        px_m_result_ok_frame(&message, 0, 0, &frame);
        peer_say(peer->ctl, &peer->ctl_id, &frame);
}

void peer_say_results_ok(struct peer *peer)
{
        for (size_t i = 0; i < peer->jobs_count; i++)
                if (peer->jobs[i].ended)
                        result_ok_say(peer, &peer->jobs[i]);
}

static void log_ack_say(struct peer *peer, const struct peer_job *job)
{
        struct px_log_ack items[2];
        struct px_m_log_ack message = {.items = items, .items_count = 2};
        struct px_buf frame = {0};

        for (int i = 0; i < 2; i++)
                items[i] = (struct px_log_ack){.job = job->job,
                                               .fence = job->fence,
                                               .stream = PX_STREAM_OUT + i,
                                               .received = job->log[PX_STREAM_OUT + i].length,
                                               .stored = job->log[PX_STREAM_OUT + i].length};
        px_m_log_ack_frame(&message, 0, 0, &frame);
        peer_say(peer->data, &peer->data_id, &frame);
}

static void pong_say(void *socket, const struct px_buf *id, uint64_t correlation)
{
        struct px_m_pong pong = {.epoch = PEER_EPOCH};
        struct px_buf frame = {0};

        px_m_pong_frame(&pong, correlation, 0, &frame);
        peer_say(socket, id, &frame);
}

/* ---- hearing -------------------------------------------------------------------------------- */

static struct peer_job *job_find(struct peer *peer, struct px_job_id job, struct px_fence fence)
{
        for (size_t i = 0; i < peer->jobs_count; i++)
                if (peer->jobs[i].job.value == job.value &&
                    px_fence_equal(peer->jobs[i].fence, fence))
                        return &peer->jobs[i];
        test_fail(__FILE__, __LINE__, "the node speaks of job %llu, which it was never given",
                  (unsigned long long)job.value);
}

#define DECODE(kind, body, ret)                                                                    \
        EXPECT_INT(px_m_##kind##_decode(body, &peer->arena, ret), PX_WIRE_OK)

static void hear_hello(struct peer *peer, struct px_slice body, uint64_t correlation)
{
        static const uint8_t cluster[16] = "a test's cluster";
        struct px_m_node_welcome welcome = {.session = peer->hellos + 1,
                                            .epoch = PEER_EPOCH,
                                            .cluster = px_slice_of(cluster, 16),
                                            .node = {1},
                                            .heartbeat_ms = 500,
                                            .lease_ms = 5000,
                                            .version = px_slice_text("test")};
        struct px_buf frame = {0};

        DECODE(node_hello, body, &peer->hello);
        peer->hellos++;
        peer->session = peer->hellos;
        px_m_node_welcome_frame(&welcome, correlation, 0, &frame);
        peer_say(peer->ctl, &peer->ctl_id, &frame);
}

static void hear_results(struct peer *peer, struct px_slice body)
{
        struct px_m_result message;

        DECODE(result, body, &message);
        for (size_t i = 0; i < message.items_count; i++) {
                struct peer_job *job =
                        job_find(peer, message.items[i].job, message.items[i].fence);

                job->logged = job->log[PX_STREAM_OUT].length == message.items[i].use.out_bytes &&
                              job->log[PX_STREAM_ERR].length == message.items[i].use.err_bytes;
                job->ended = true;
                job->results++;
                job->result = message.items[i];
                if (!peer->keep_results)
                        result_ok_say(peer, job);
        }
}

static void hear_accepts(struct peer *peer, struct px_slice body)
{
        struct px_m_accept message;

        DECODE(accept, body, &message);
        for (size_t i = 0; i < message.items_count; i++) {
                struct peer_job *job =
                        job_find(peer, message.items[i].job, message.items[i].fence);

                job->accept_code = message.items[i].code;
        }
}

static void hear_ctl(struct peer *peer, const struct px_wire_header *header, struct px_slice body)
{
        struct px_m_started started;

        switch (header->type) {
        case PX_M_NODE_HELLO:
                hear_hello(peer, body, header->correlation);
                break;
        case PX_M_NODE_PING:
                pong_say(peer->ctl, &peer->ctl_id, header->correlation);
                break;
        case PX_M_ACCEPT:
                hear_accepts(peer, body);
                break;
        case PX_M_STARTED:
                DECODE(started, body, &started);
                for (size_t i = 0; i < started.items_count; i++)
                        job_find(peer, started.items[i].job, started.items[i].fence)->started =
                                true;
                break;
        case PX_M_RESULT:
                hear_results(peer, body);
                break;
        case PX_M_NODE_BYE:
                peer->bye = true;
                break;
        default:
                test_fail(__FILE__, __LINE__, "message %u on the node socket", header->type);
        }
}

/* A dropped range is counted once all before it is here. */
static void hear_dropped(struct px_buf *log, uint64_t at, uint64_t bytes)
{
        if (bytes > 0 && log->length == at)
                memset(px_buf_grow(log, bytes), 0, bytes);
}

/* Keep what joins. */
static void hear_log(struct peer *peer, struct px_slice body, struct px_slice payload)
{
        struct px_m_log_data message;
        struct peer_job *job;
        struct px_buf *log;
        size_t known;

        DECODE(log_data, body, &message);
        job = job_find(peer, message.job, message.fence);
        log = &job->log[message.stream];
        peer->received_bytes += payload.length;
        if (message.offset <= log->length) {
                known = (size_t)PX_MIN(log->length - message.offset, (uint64_t)payload.length);
                px_buf_append(log, payload.data + known, payload.length - known);
        }
        if (!peer->mute_log)
                log_ack_say(peer, job);
}

static void hear_data(struct peer *peer, const struct px_wire_header *header,
                      struct px_slice body, struct px_slice payload)
{
        struct px_m_progress progress;
        struct px_m_log_final final;
        struct peer_job *job;

        switch (header->type) {
        case PX_M_DATA_HELLO:
                pong_say(peer->data, &peer->data_id, header->correlation);
                break;
        case PX_M_LOG_DATA:
                hear_log(peer, body, payload);
                break;
        case PX_M_LOG_FINAL:
                DECODE(log_final, body, &final);
                job = job_find(peer, final.job, final.fence);
                hear_dropped(&job->log[PX_STREAM_OUT], final.out_dropped_at,
                             final.out_dropped_bytes);
                hear_dropped(&job->log[PX_STREAM_ERR], final.err_dropped_at,
                             final.err_dropped_bytes);
                if (!peer->mute_log)
                        log_ack_say(peer, job);
                break;
        case PX_M_PROGRESS:
                DECODE(progress, body, &progress);
                for (size_t i = 0; i < progress.items_count; i++)
                        job_find(peer, progress.items[i].job, progress.items[i].fence)->progress =
                                progress.items[i];
                break;
        default:
                test_fail(__FILE__, __LINE__, "message %u on the data socket", header->type);
        }
}

static struct px_slice part_take(struct peer *peer, void *socket, bool *ret_more)
{
        struct px_slice copy;
        zmq_msg_t part;

        zmq_msg_init(&part);
        EXPECT(zmq_msg_recv(&part, socket, 0) >= 0);
        copy = px_arena_copy(&peer->arena,
                             px_slice_of(zmq_msg_data(&part), zmq_msg_size(&part)));
        *ret_more = zmq_msg_more(&part) != 0;
        zmq_msg_close(&part);
        return copy;
}

static void hear_one(struct peer *peer, void *socket, struct px_buf *id)
{
        struct px_wire_header header;
        struct px_slice body;
        struct px_slice part;
        struct px_slice payload = PX_SLICE_NONE;
        bool more;

        part = part_take(peer, socket, &more);
        px_buf_reset(id);
        px_buf_append_slice(id, part);
        EXPECT(more);
        part = part_take(peer, socket, &more);
        EXPECT_INT(px_wire_get_header(part, &header, &body), PX_WIRE_OK);
        EXPECT_INT(more, (header.flags & PX_WIRE_FLAG_PAYLOAD) != 0);
        if (more)
                payload = part_take(peer, socket, &more);
        EXPECT(!more);
        if (socket == peer->ctl)
                hear_ctl(peer, &header, body);
        else
                hear_data(peer, &header, body, payload);
}

void peer_talk(struct peer *peer, int wait_ms)
{
        zmq_pollitem_t items[2] = {{.socket = peer->ctl, .events = ZMQ_POLLIN},
                                   {.socket = peer->data, .events = ZMQ_POLLIN}};

        if (zmq_poll(items, 2, wait_ms) <= 0)
                return;
        if ((items[0].revents & ZMQ_POLLIN) != 0)
                hear_one(peer, peer->ctl, &peer->ctl_id);
        if ((items[1].revents & ZMQ_POLLIN) != 0)
                hear_one(peer, peer->data, &peer->data_id);
}
