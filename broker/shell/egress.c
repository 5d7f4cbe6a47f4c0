/* SPDX-License-Identifier: Apache-2.0 */
/* egress.c - the thread behind the sockets `data` and `events`: starting, the loop, stopping.
 * Layer: L4 (broker/shell). */
#include "egress_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define POSTS_BYTES_MAX (32u << 20) /* of events that wait; more are left to the feed */
#define SHUT_MS 10          /* while publications are interrupted */
#define BLOCKED_RETRY_MS 50 /* a peer that took nothing is tried again */

/* ---- postings of the core thread ---------------------------------------------------------------- */

static void take_job_end(struct egress *egress, const struct core_job_end *end)
{
        struct egress_job *job = attempt_job_find(egress, end->job);

        if (job == NULL)
                return; /* nobody follows it; its row says the same */
        job->state = end->state;
        if (px_fence_older(job->last, end->fence))
                job->last = end->fence;
        stream_wake_job(egress, job, NULL);
}

static void take_job_purged(struct egress *egress, struct px_job_id id)
{
        struct egress_job *job = attempt_job_find(egress, id);

        px_buf_append(&egress->purges, &id.value, sizeof id.value);
        if (job == NULL)
                return;
        for (struct px_link *link = job->followers.next; link != &job->followers;) {
                struct stream *stream = PX_CONTAINER_OF(link, struct stream, follow);
                bool last = link->next == &job->followers;

                link = link->next;
                stream_end(egress, stream, PX_E_ABSENT, NULL);
                if (last) /* the job may have gone with it */
                        return;
        }
}

static void take_post(struct egress *egress, const struct egress_post *post)
{
        switch (post->kind) {
        case EGRESS_POST_LOG_OPEN:
                attempt_opened(egress, &post->log_open);
                return;
        case EGRESS_POST_LOG_CLOSE:
                attempt_closed(egress, &post->log_close);
                return;
        case EGRESS_POST_JOB_END:
                take_job_end(egress, &post->job_end);
                return;
        case EGRESS_POST_JOB_PURGED:
                take_job_purged(egress, post->job_purged);
                return;
        case EGRESS_POST_EVENTS:
                publish_post(egress, post->events.index, post->events.encoded, post->events.count);
                return;
        case EGRESS_POST_STOP:
                egress->stopping = true;
                return;
        }
        PX_UNREACHABLE();
}

static void drain_posts(struct egress *egress)
{
        struct egress_post *post;

        while ((post = egress_posts_take(egress->posts)) != NULL) {
                take_post(egress, post);
                egress_post_free(post);
        }
}

/* ---- the loop -------------------------------------------------------------------------------------- */

static void tick(struct egress *egress)
{
        if (egress->now_ms < egress->tick_ms)
                return;
        egress->tick_ms = egress->now_ms + EGRESS_TICK_MS / 2;
        peer_tick(egress);
        stream_events_tick(egress);
        publish_tick(egress);
}

static long timeout_ms(const struct egress *egress, bool more)
{
        int64_t deadline_ms = PX_MIN(egress->tick_ms, log_deadline_ms(egress));

        if (more || egress->purges.length > 0)
                return 0;
        if (!px_list_empty(&egress->moving))
                deadline_ms = PX_MIN(deadline_ms, egress->progress_ms);
        if (publish_is_shut(egress))
                deadline_ms = PX_MIN(deadline_ms, egress->now_ms + SHUT_MS);
        if (!px_list_empty(&egress->ready))
                deadline_ms = PX_MIN(deadline_ms, egress->now_ms + BLOCKED_RETRY_MS);
        return (long)PX_MAX(deadline_ms - egress->now_ms, (int64_t)0);
}

static void wait_for_work(struct egress *egress, bool more)
{
        zmq_pollitem_t items[2 * EGRESS_SOCKETS_MAX + 1] = {
                {.fd = egress_posts_fd(egress->posts), .events = ZMQ_POLLIN}};
        int count = 1;

        for (size_t i = 0; i < EGRESS_SOCKETS_MAX; i++) {
                if (egress->data[i] != NULL)
                        items[count++] = (zmq_pollitem_t){.socket = egress->data[i],
                                                          .events = ZMQ_POLLIN};
                if (egress->events[i] != NULL)
                        items[count++] = (zmq_pollitem_t){.socket = egress->events[i],
                                                          .events = ZMQ_POLLIN};
        }
        if (zmq_poll(items, count, timeout_ms(egress, more)) < 0)
                PX_ASSERT(zmq_errno() == EINTR);
}

static void *run(void *context)
{
        struct egress *egress = context;
        bool more = false;

        while (!egress->stopping) {
                wait_for_work(egress, more);
                egress->now_ms = clock_steady_ms();
                publish_audience(egress); /* before anything is published */
                drain_posts(egress);
                for (size_t i = 0; i < EGRESS_SOCKETS_MAX; i++) {
                        if (egress->data[i] != NULL)
                                peer_drain(egress, i);
                        if (egress->events[i] != NULL)
                                publish_subscriptions(egress, i);
                }
                log_turn(egress);
                progress_turn(egress);
                more = stream_turn(egress);
                tick(egress);
                log_keep_house(egress);
                blob_keep_house(egress);
        }
        egress->sync_now = true;
        log_turn(egress);
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

static struct egress *egress_new(const struct egress_options *options)
{
        struct egress *egress = px_alloc(sizeof *egress);
        struct px_link *lists[] = {&egress->acking_peers,  &egress->dirty,
                                   &egress->acking,        &egress->moving,
                                   &egress->keeping,
                                   &egress->ready,         &egress->event_streams,
                                   &egress->progress_streams, &egress->ended};

        egress->options = *options;
        /* Those belong to the caller and are used by the start alone. */
        egress->options.logs_dir = NULL;
        egress->options.data_endpoints = NULL;
        egress->options.events_endpoints = NULL;
        egress->posts = egress_posts_new();
        egress->chunk = px_alloc(PX_LIMIT_LOG_CHUNK_BYTES);
        egress->trace = getenv("PLEXUS_TRACE") != NULL;
        egress->now_ms = clock_steady_ms();
        PX_ASSERT(pthread_mutex_init(&egress->kept_lock, NULL) == 0);
        /* What was durable before this start may not be applied yet, and no posting tells of it. */
        atomic_store(&egress->posted_index, px_log_durable(options->log));
        for (size_t i = 0; i < PX_COUNT_OF(lists); i++)
                px_list_init(lists[i]);
        return egress;
}

int egress_start(const struct egress_options *options, struct egress **ret_egress, char *ret_text,
                 size_t text_room)
{
        struct egress *egress = egress_new(options);
        int fault = log_open_segments(egress, options->logs_dir, ret_text, text_room);

        if (fault == 0)
                fault = bind_all(egress, ZMQ_ROUTER, options->data_endpoints, egress->data,
                         &egress->data_port, ret_text, text_room);
        if (fault == 0)
                fault = bind_all(egress, ZMQ_XPUB, options->events_endpoints, egress->events,
                                 &egress->events_port, ret_text, text_room);
        if (fault == 0)
                publish_audience_init(egress);
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
        peer_fini(egress);
        attempt_fini(egress);
        publish_fini(egress);
        publish_audience_fini(egress);
        segments_close(egress->segments);
        for (size_t i = 0; i < EGRESS_SOCKETS_MAX; i++) {
                socket_close(egress->data[i]);
                socket_close(egress->events[i]);
        }
        egress_posts_free(egress->posts);
        strikes_fini(&egress->strikes);
        pthread_mutex_destroy(&egress->kept_lock);
        px_buf_fini(&egress->kept);
        px_buf_fini(&egress->purges);
        px_buf_fini(&egress->frame);
        px_buf_fini(&egress->words);
        px_arena_fini(&egress->arena);
        px_free(egress->chunk);
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
        bool crowded = egress_posts_bytes(egress->posts) > POSTS_BYTES_MAX;
        struct egress_post *post =
                egress_post_new(EGRESS_POST_EVENTS, crowded ? PX_SLICE_NONE : events);

        /* First: whoever hears of the batch asks what holds it. */
        atomic_store(&egress->posted_index, index);
        post->events.index = index;
        post->events.count = count;
        post->events.encoded = px_buf_slice(&post->bytes);
        egress_posts_put(egress->posts, post);
}
