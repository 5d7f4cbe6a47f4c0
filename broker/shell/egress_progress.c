/* SPDX-License-Identifier: Apache-2.0 */
/* egress_progress.c - the latest progress of running attempts, told at most four times a second and
 * handed to the core to be stored every ten.
 * Layer: L4 (broker/shell). Source: DESIGN 7 (Progress). */
#include "egress_inside.h"

#define PROGRESS_MS 250
#define ITEMS_MAX 1024

static struct px_progress item_of(const struct egress_attempt *attempt)
{
        return (struct px_progress){.job = attempt->job->id,
                                    .fence = attempt->fence,
                                    .permille = attempt->permille,
                                    .text = px_slice_text(attempt->progress_text),
                                    .wall_ms = attempt->progress_wall_ms};
}

static void take_item(struct egress *egress, const struct egress_peer *peer,
                      const struct px_progress *item)
{
        struct egress_attempt *attempt;

        if (item->permille < -1 || item->permille > 1000 ||
            attempt_get(egress, item->job, item->fence.attempt, &attempt) != PX_OK)
                return;
        if (!attempt->open || !px_fence_equal(attempt->fence, item->fence) ||
            attempt->node_principal.value != peer->principal.value) {
                attempt_settle(egress, attempt);
                return;
        }
        attempt->has_progress = true;
        attempt->permille = item->permille;
        attempt->progress_wall_ms = item->wall_ms;
        px_slice_to_text(item->text, attempt->progress_text, sizeof attempt->progress_text);
        if (!px_list_linked(&attempt->moving))
                px_list_append(&egress->moving, &attempt->moving);
        if (!px_list_linked(&attempt->keeping))
                px_list_append(&egress->keeping, &attempt->keeping);
}

void progress_take(struct egress *egress, const struct egress_peer *peer,
                   const struct px_m_progress *progress)
{
        for (size_t i = 0; i < progress->items_count; i++)
                take_item(egress, peer, &progress->items[i]);
}

/* ---- store -------------------------------------------------------------------------------------- */

/* Hand the core what is new, once it took the last. */
static void keep(struct egress *egress)
{
        struct px_progress items[ITEMS_MAX];
        struct px_m_progress_keep message = {.items = items};

        if (px_list_empty(&egress->keeping) || egress->now_ms < egress->keep_ms)
                return;
        PX_ASSERT(pthread_mutex_lock(&egress->kept_lock) == 0);
        if (egress->kept.length == 0) {
                while (!px_list_empty(&egress->keeping) && message.items_count < ITEMS_MAX) {
                        struct egress_attempt *attempt =
                                PX_CONTAINER_OF(egress->keeping.next, struct egress_attempt, keeping);

                        px_list_remove(&attempt->keeping);
                        items[message.items_count++] = item_of(attempt);
                }
                px_m_progress_keep_frame(&message, 0, 0, &egress->kept);
        }
        PX_ASSERT(pthread_mutex_unlock(&egress->kept_lock) == 0);
        if (px_list_empty(&egress->keeping))
                egress->keep_ms = egress->now_ms + EGRESS_PROGRESS_MS;
}

bool egress_progress(struct egress *egress, struct px_buf *ret_frame)
{
        bool any;

        PX_ASSERT(pthread_mutex_lock(&egress->kept_lock) == 0);
        any = egress->kept.length > 0;
        px_buf_append_slice(ret_frame, px_buf_slice(&egress->kept));
        px_buf_reset(&egress->kept);
        PX_ASSERT(pthread_mutex_unlock(&egress->kept_lock) == 0);
        return any;
}

/* ---- tell ---------------------------------------------------------------------------------------- */

static bool stream_wants(const struct stream *stream, const struct egress_attempt *attempt)
{
        if (stream->job.value != 0 && stream->job.value != attempt->job->id.value)
                return false;
        return access_read(stream->peer->role, stream->peer->principal, attempt->job->owner) ==
               PX_OK;
}

static bool send_items(struct egress *egress, struct stream *stream, const struct px_progress *items,
                       size_t count)
{
        struct px_m_stream_progress message = {
                .stream = stream->number, .items = items, .items_count = count};

        px_buf_reset(&egress->frame);
        px_m_stream_progress_frame(&message, 0, 0, &egress->frame);
        return stream_send(egress, stream, PX_SLICE_NONE,
                           egress->frame.length - PX_WIRE_HEADER_BYTES);
}

static void tell_stream(struct egress *egress, struct stream *stream,
                        struct egress_attempt *const *attempts, size_t attempts_count)
{
        struct px_progress items[ITEMS_MAX];
        size_t count = 0;

        for (size_t i = 0; i < attempts_count; i++)
                if (stream_wants(stream, attempts[i]))
                        items[count++] = item_of(attempts[i]);
        if (count == 0)
                return;
        if (stream->stale || stream->credit_bytes == 0 ||
            !send_items(egress, stream, items, count))
                stream->stale = true;
}

static void tell(struct egress *egress, struct egress_attempt *const *attempts, size_t count)
{
        struct px_progress items[ITEMS_MAX];

        for (size_t i = 0; i < count; i++)
                items[i] = item_of(attempts[i]);
        publish_progress(egress, items, count);
        PX_LIST_EACH(&egress->progress_streams, link)
        {
                tell_stream(egress, PX_CONTAINER_OF(link, struct stream, follow), attempts, count);
        }
}

void progress_turn(struct egress *egress)
{
        struct egress_attempt *attempts[ITEMS_MAX];
        size_t count = 0;

        keep(egress);
        if (px_list_empty(&egress->moving) || egress->now_ms < egress->progress_ms)
                return;
        egress->progress_ms = egress->now_ms + PROGRESS_MS;
        while (!px_list_empty(&egress->moving)) {
                attempts[count] =
                        PX_CONTAINER_OF(egress->moving.next, struct egress_attempt, moving);
                px_list_remove(&attempts[count]->moving);
                if (++count == ITEMS_MAX || px_list_empty(&egress->moving)) {
                        tell(egress, attempts, count);
                        count = 0;
                }
        }
}

/* All progress that is known, of one job or of all. */
void progress_go(struct egress *egress, struct stream *stream)
{
        struct px_progress items[ITEMS_MAX];
        size_t count = 0;
        size_t cursor = 0;
        uint64_t key;
        void *value;

        if (!stream->stale || stream->credit_bytes == 0)
                return;
        stream->stale = false;
        while (px_map_next(&egress->jobs, &cursor, &key, &value)) {
                struct egress_job *job = value;

                PX_LIST_EACH(&job->attempts, link)
                {
                        struct egress_attempt *attempt =
                                PX_CONTAINER_OF(link, struct egress_attempt, link);

                        if (!attempt->has_progress || !stream_wants(stream, attempt))
                                continue;
                        items[count++] = item_of(attempt);
                        if (count == ITEMS_MAX && !send_items(egress, stream, items, count))
                                stream->stale = true;
                        count = count == ITEMS_MAX ? 0 : count;
                }
        }
        if (count > 0 && !send_items(egress, stream, items, count))
                stream->stale = true;
}
