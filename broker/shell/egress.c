/* SPDX-License-Identifier: Apache-2.0 */
/* egress.c - the thread behind the sockets `data` and `events`: starting, the loop, stopping.
 * Layer: L4 (broker/shell). */
#include "egress.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <zmq.h>

#include "egress_posts.h"
#include "message.h"
#include "px_codec.h"
#include "socket.h"

#define EGRESS_SOCKETS_MAX 2 /* local and tcp */
#define EGRESS_ROUND_MAX 256 /* messages of one socket in one round */

struct egress {
        struct egress_options options;
        struct egress_posts *posts;
        pthread_t thread;
        void *data[EGRESS_SOCKETS_MAX]; /* NULL from the first unused one on */
        void *events[EGRESS_SOCKETS_MAX];
        uint32_t data_port;
        uint32_t events_port;
        _Atomic int fault;
        bool running; /* the thread was started */

        /* of the thread */
        struct px_buf frame;
        bool stopping;
};

/* ---- messages on data
 * ---------------------------------------------------------------------------- */

static void answer_hello(struct egress *egress, void *socket, const struct message *message)
{
        px_buf_reset(&egress->frame);
        px_m_pong_frame(&(struct px_m_pong){.epoch = egress->options.epoch}, 0, 0, &egress->frame);
        /* A peer that doesn't take it greets again. */
        (void)message_send(socket, message->routing, px_buf_slice(&egress->frame), PX_SLICE_NONE);
}

static void take_message(struct egress *egress, void *socket, struct message *message)
{
        struct px_slice frame =
                px_slice_of(zmq_msg_data(&message->body), zmq_msg_size(&message->body));
        struct keys_entry entry;
        struct px_wire_header header;
        struct px_slice body;

        if (!keys_of_message(egress->options.keys, message->user_id, &entry) ||
            px_wire_get_header(frame, &header, &body) != PX_WIRE_OK)
                return;
        if (header.type == PX_M_DATA_HELLO || header.type == PX_M_PING)
                answer_hello(egress, socket, message);
}

static void drain_data(struct egress *egress, void *socket)
{
        for (size_t i = 0; i < EGRESS_ROUND_MAX; i++) {
                struct message message;
                enum message_verdict verdict = message_receive(socket, &message);

                if (verdict == MESSAGE_NONE)
                        return;
                if (verdict != MESSAGE_OK)
                        continue;
                take_message(egress, socket, &message);
                zmq_msg_close(&message.body);
        }
}

/* ---- postings of the core thread
 * ------------------------------------------------------------------- */

static void take_post(struct egress *egress, const struct egress_post *post)
{
        if (post->kind == EGRESS_POST_STOP)
                egress->stopping = true;
}

static void drain_posts(struct egress *egress)
{
        struct egress_post *post;

        while ((post = egress_posts_take(egress->posts)) != NULL) {
                take_post(egress, post);
                egress_post_free(post);
        }
}

static void *run(void *context)
{
        struct egress *egress = context;

        while (!egress->stopping) {
                zmq_pollitem_t items[EGRESS_SOCKETS_MAX + 1];
                int count = 0;

                items[count++] = (zmq_pollitem_t){.fd = egress_posts_fd(egress->posts),
                                                  .events = ZMQ_POLLIN};
                for (size_t i = 0; i < EGRESS_SOCKETS_MAX && egress->data[i] != NULL; i++)
                        items[count++] =
                                (zmq_pollitem_t){.socket = egress->data[i], .events = ZMQ_POLLIN};
                if (zmq_poll(items, count, -1) < 0)
                        PX_ASSERT(zmq_errno() == EINTR);
                drain_posts(egress);
                for (size_t i = 0; i < EGRESS_SOCKETS_MAX && egress->data[i] != NULL; i++)
                        drain_data(egress, egress->data[i]);
        }
        return NULL;
}

/* ---- start and stop
 * ---------------------------------------------------------------------------------- */

static int bind_all(struct egress *egress, int type, const char *const *endpoints,
                    void **ret_sockets, uint32_t *ret_port, char *ret_text, size_t text_room)
{
        for (size_t i = 0; endpoints[i] != NULL; i++) {
                void *socket = zmq_socket(egress->options.zmq_context, type);
                int fault;

                PX_ASSERT(i < EGRESS_SOCKETS_MAX);
                if (socket == NULL)
                        return -zmq_errno();
                ret_sockets[i] = socket;
                egress->options.secure(egress->options.secure_context, socket, endpoints[i]);
                fault = socket_bind(socket, endpoints[i], ret_text, text_room);
                if (fault != 0)
                        return fault;
                *ret_port = PX_MAX(*ret_port, socket_port(socket));
        }
        return 0;
}

int egress_start(const struct egress_options *options, struct egress **ret_egress, char *ret_text,
                 size_t text_room)
{
        struct egress *egress = px_alloc(sizeof(*egress));
        int fault;

        egress->options = *options;
        egress->posts = egress_posts_new();
        fault = bind_all(egress, ZMQ_ROUTER, options->data_endpoints, egress->data,
                         &egress->data_port, ret_text, text_room);
        if (fault == 0)
                fault = bind_all(egress, ZMQ_PUB, options->events_endpoints, egress->events,
                                 &egress->events_port, ret_text, text_room);
        if (fault == 0)
                fault = -pthread_create(&egress->thread, NULL, run, egress);
        egress->running = fault == 0;
        if (fault == 0)
                *ret_egress = egress;
        else
                egress_stop(egress);
        return fault;
}

uint32_t egress_data_port(const struct egress *egress)
{
        return egress->data_port;
}

uint32_t egress_events_port(const struct egress *egress)
{
        return egress->events_port;
}

int egress_fault(const struct egress *egress)
{
        return atomic_load(&egress->fault);
}

void egress_stop(struct egress *egress)
{
        if (egress == NULL)
                return;
        if (egress->running) {
                egress_posts_put(egress->posts, egress_post_new(EGRESS_POST_STOP, PX_SLICE_NONE));
                PX_ASSERT(pthread_join(egress->thread, NULL) == 0);
        }
        for (size_t i = 0; i < EGRESS_SOCKETS_MAX; i++) {
                socket_close(egress->data[i]);
                socket_close(egress->events[i]);
        }
        egress_posts_free(egress->posts);
        px_buf_fini(&egress->frame);
        px_free(egress);
}

/* ---- what the core thread posts
 * ------------------------------------------------------------------------ */

void egress_log_open(struct egress *egress, const struct core_log_open *open)
{
        struct egress_post *post = egress_post_new(EGRESS_POST_LOG_OPEN, open->node_name);

        post->log_open = *open;
        post->log_open.node_name = px_buf_slice(&post->bytes);
        egress_posts_put(egress->posts, post);
}

void egress_log_close(struct egress *egress, const struct core_log_close *close)
{
        struct egress_post *post = egress_post_new(EGRESS_POST_LOG_CLOSE, PX_SLICE_NONE);

        post->log_close = *close;
        egress_posts_put(egress->posts, post);
}

void egress_job_end(struct egress *egress, const struct core_job_end *end)
{
        struct egress_post *post = egress_post_new(EGRESS_POST_JOB_END, PX_SLICE_NONE);

        post->job_end = *end;
        egress_posts_put(egress->posts, post);
}

void egress_job_purged(struct egress *egress, struct px_job_id job)
{
        struct egress_post *post = egress_post_new(EGRESS_POST_JOB_PURGED, PX_SLICE_NONE);

        post->job_purged = job;
        egress_posts_put(egress->posts, post);
}

void egress_events(struct egress *egress, uint64_t index, struct px_slice events, uint32_t count)
{
        struct egress_post *post = egress_post_new(EGRESS_POST_EVENTS, events);

        post->events.index = index;
        post->events.count = count;
        post->events.encoded = px_buf_slice(&post->bytes);
        egress_posts_put(egress->posts, post);
}
