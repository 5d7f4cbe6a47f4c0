/* SPDX-License-Identifier: Apache-2.0 */
/* egress_attempt.c - attempts whose output may come in or is followed. Layer: L4 (broker/shell).
 *
 * The core's postings make and end them; what was ended or began before this process is made from
 * its rows when somebody speaks of it, so that nothing depends on what RAM remembers. */
#include "egress_inside.h"

#define VIEW_WAIT_MS 200

/* ---- rows --------------------------------------------------------------------------------------- */

int attempt_view(struct egress *egress, struct px_view **ret_view)
{
        return px_view_open(egress->options.log, atomic_load(&egress->posted_index), VIEW_WAIT_MS,
                            ret_view);
}

int attempt_job_row(struct egress *egress, struct px_view *view, struct px_job_id job,
                    struct px_job_row *ret_row)
{
        struct row_key key = row_key_u64(job.value);
        struct px_slice active = PX_SLICE_NONE;
        struct px_slice done = PX_SLICE_NONE;
        /* Both are always looked up: a job that isn't there takes as long as one that is. */
        int result = px_view_get(view, PX_TABLE_JOB, row_key_slice(&key), &active);
        int result_done = px_view_get(view, PX_TABLE_DONE, row_key_slice(&key), &done);

        if (result != PX_OK && result_done == PX_OK)
                active = done;
        else if (result != PX_OK)
                return result == PX_E_ABSENT ? result_done : result;
        return px_job_row_decode(active, &egress->arena, ret_row) == PX_WIRE_OK ? PX_OK
                                                                               : PX_E_DAMAGED;
}

static int attempt_row(struct egress *egress, struct px_view *view, struct px_job_id job,
                       uint32_t attempt, struct px_attempt_row *ret_row)
{
        struct row_key key = row_key_u64(job.value);
        struct px_slice value;
        int result;

        row_key_add_u32(&key, attempt);
        result = px_view_get(view, PX_TABLE_ATTEMPT, row_key_slice(&key), &value);
        if (result != PX_OK)
                return result;
        return px_attempt_row_decode(value, &egress->arena, ret_row) == PX_WIRE_OK ? PX_OK
                                                                                  : PX_E_DAMAGED;
}

/* Who may send the output of an attempt on this node: 0 = nobody any more. */
static struct px_principal_id node_principal(struct egress *egress, struct px_view *view,
                                             struct px_node_id node)
{
        struct row_key key = row_key_u32(node.value);
        struct px_node_row row;
        struct px_slice value;

        if (px_view_get(view, PX_TABLE_NODE, row_key_slice(&key), &value) != PX_OK ||
            px_node_row_decode(value, &egress->arena, &row) != PX_WIRE_OK)
                return (struct px_principal_id){0};
        return row.principal;
}

/* ---- jobs ------------------------------------------------------------------------------------------- */

struct egress_job *attempt_job_find(const struct egress *egress, struct px_job_id job)
{
        return px_map_find(&egress->jobs, job.value);
}

static struct egress_job *job_make(struct egress *egress, struct px_job_id id,
                                   struct px_principal_id owner)
{
        struct egress_job *job = attempt_job_find(egress, id);

        if (job != NULL)
                return job;
        job = px_alloc(sizeof *job);
        job->id = id;
        job->owner = owner;
        px_list_init(&job->attempts);
        px_list_init(&job->followers);
        px_map_put(&egress->jobs, id.value, job);
        return job;
}

struct egress_job *attempt_job_of_row(struct egress *egress, struct px_job_id id,
                                      const struct px_job_row *row)
{
        struct egress_job *job = job_make(egress, id, row->owner);

        job->state = row->state;
        if (px_fence_older(job->last, row->fence))
                job->last = row->fence;
        return job;
}

void attempt_job_settle(struct egress *egress, struct egress_job *job)
{
        if (!px_list_empty(&job->attempts) || !px_list_empty(&job->followers))
                return;
        px_map_take(&egress->jobs, job->id.value);
        px_free(job);
}

/* ---- attempts --------------------------------------------------------------------------------------- */

static struct egress_attempt *attempt_of_job(const struct egress_job *job, uint32_t attempt)
{
        PX_LIST_EACH(&job->attempts, link)
        {
                struct egress_attempt *found = PX_CONTAINER_OF(link, struct egress_attempt, link);

                if (found->fence.attempt == attempt)
                        return found;
        }
        return NULL;
}

struct egress_attempt *attempt_find(const struct egress *egress, struct px_job_id job,
                                    uint32_t attempt)
{
        struct egress_job *found = attempt_job_find(egress, job);

        return found == NULL ? NULL : attempt_of_job(found, attempt);
}

static struct segment_key lane_key(const struct egress_attempt *attempt, int stream)
{
        return (struct segment_key){attempt->job->id, attempt->fence.attempt, stream};
}

/* Make it with what the segments hold. What they hold may not be flushed yet. */
static struct egress_attempt *attempt_make(struct egress *egress, struct egress_job *job,
                                           struct px_fence fence)
{
        struct egress_attempt *attempt = px_alloc(sizeof *attempt);

        attempt->job = job;
        attempt->fence = fence;
        px_list_append(&job->attempts, &attempt->link);
        for (int stream = PX_STREAM_OUT; stream < PX_STREAM_COUNT; stream++) {
                struct egress_lane *lane = &attempt->lanes[stream];

                lane->received = segments_length(egress->segments, lane_key(attempt, stream));
                if (lane->received > 0 && !px_list_linked(&attempt->dirty))
                        px_list_append(&egress->dirty, &attempt->dirty);
        }
        if (px_list_linked(&attempt->dirty) && egress->dirty_ms == 0)
                egress->dirty_ms = egress->now_ms;
        return attempt;
}

static void attempt_free(struct egress_attempt *attempt)
{
        px_list_remove(&attempt->link);
        if (px_list_linked(&attempt->dirty))
                px_list_remove(&attempt->dirty);
        if (px_list_linked(&attempt->acking))
                px_list_remove(&attempt->acking);
        if (px_list_linked(&attempt->moving))
                px_list_remove(&attempt->moving);
        if (px_list_linked(&attempt->keeping))
                px_list_remove(&attempt->keeping);
        px_free(attempt);
}

bool attempt_complete(const struct egress_attempt *attempt)
{
        if (attempt->fenced)
                return true;
        if (!attempt->final_known)
                return false;
        for (int stream = PX_STREAM_OUT; stream < PX_STREAM_COUNT; stream++)
                if (attempt->lanes[stream].stored < attempt->lanes[stream].final)
                        return false;
        return true;
}

uint64_t attempt_pending_bytes(const struct egress_attempt *attempt)
{
        uint64_t pending = 0;

        if (!attempt->final_known)
                return 0;
        for (int stream = PX_STREAM_OUT; stream < PX_STREAM_COUNT; stream++) {
                const struct egress_lane *lane = &attempt->lanes[stream];

                pending += lane->final - PX_MIN(lane->final, lane->received);
        }
        return pending;
}

void attempt_settle(struct egress *egress, struct egress_attempt *attempt)
{
        struct egress_job *job = attempt->job;

        if (attempt->open || attempt->streams_count > 0 || px_list_linked(&attempt->dirty) ||
            px_list_linked(&attempt->acking))
                return;
        attempt_free(attempt);
        attempt_job_settle(egress, job);
}

static void lane_final(struct egress_lane *lane, uint64_t bytes, uint64_t dropped_at,
                       uint64_t dropped_bytes)
{
        lane->final = bytes;
        if (dropped_bytes == 0 || dropped_at > bytes || dropped_bytes > bytes - dropped_at)
                return;
        lane->dropped_at = dropped_at;
        lane->dropped_bytes = dropped_bytes;
        if (lane->received == dropped_at)
                lane->received = dropped_at + dropped_bytes;
        if (lane->stored == dropped_at)
                lane->stored = dropped_at + dropped_bytes;
}

void attempt_final(struct egress_attempt *attempt, const struct px_use *use)
{
        attempt->final_known = true;
        lane_final(&attempt->lanes[PX_STREAM_OUT], use->out_bytes, use->out_dropped_at,
                   use->out_dropped_bytes);
        lane_final(&attempt->lanes[PX_STREAM_ERR], use->err_bytes, use->err_dropped_at,
                   use->err_dropped_bytes);
}

/* Nothing more of it is wanted: its lengths are what arrived. */
static void attempt_fence_off(struct egress_attempt *attempt)
{
        attempt->fenced = true;
        attempt->final_known = true;
        for (int stream = PX_STREAM_OUT; stream < PX_STREAM_COUNT; stream++)
                attempt->lanes[stream].final = attempt->lanes[stream].received;
}

/* All of it was stored once: what is missing now is dropped, not awaited. */
static void attempt_whole(struct egress_attempt *attempt)
{
        for (int stream = PX_STREAM_OUT; stream < PX_STREAM_COUNT; stream++) {
                attempt->lanes[stream].received = attempt->lanes[stream].final;
                attempt->lanes[stream].stored = attempt->lanes[stream].final;
        }
}

/* ---- from rows ------------------------------------------------------------------------------------------ */

static void name_node(struct egress_attempt *attempt, struct px_slice name)
{
        px_slice_to_text(name, attempt->node_name, sizeof attempt->node_name);
}

static struct egress_attempt *make_ended(struct egress *egress, struct px_view *view,
                                         struct egress_job *job, const struct px_attempt_row *row)
{
        struct egress_attempt *attempt = attempt_make(egress, job, row->fence);

        name_node(attempt, row->node_name);
        attempt->node_principal = node_principal(egress, view, row->node);
        if (row->outcome == PX_OUTCOME_GONE) {
                attempt_fence_off(attempt);
                return attempt;
        }
        attempt_final(attempt, &row->use);
        if (row->log_pending_bytes == 0)
                attempt_whole(attempt);
        return attempt;
}

static int make_of_rows(struct egress *egress, struct px_view *view, struct px_job_id id,
                        uint32_t number, struct egress_attempt **ret_attempt)
{
        struct px_attempt_row ended;
        struct px_job_row row;
        struct egress_job *job;
        int result = attempt_job_row(egress, view, id, &row);

        if (result != PX_OK)
                return result;
        result = attempt_row(egress, view, id, number, &ended);
        if (result == PX_OK) {
                job = attempt_job_of_row(egress, id, &row);
                *ret_attempt = make_ended(egress, view, job, &ended);
                return PX_OK;
        }
        if (result != PX_E_ABSENT || row.fence.attempt != number || number == 0 ||
            row.state < PX_JOB_STATE_ASSIGNED || row.state > PX_JOB_STATE_CANCELLING)
                return result;
        job = attempt_job_of_row(egress, id, &row);
        *ret_attempt = attempt_make(egress, job, row.fence);
        (*ret_attempt)->open = true;
        (*ret_attempt)->node_principal = node_principal(egress, view, row.node);
        name_node(*ret_attempt, query_node_name(egress, view, row.node));
        return PX_OK;
}

int attempt_get(struct egress *egress, struct px_job_id job, uint32_t number,
                struct egress_attempt **ret_attempt)
{
        struct egress_attempt *found = attempt_find(egress, job, number);
        struct px_view *view;
        int result = PX_OK;

        if (found == NULL) {
                result = attempt_view(egress, &view);
                if (result != PX_OK)
                        return result;
                result = make_of_rows(egress, view, job, number, &found);
                px_view_close(view);
        }
        if (result == PX_OK)
                *ret_attempt = found;
        return result;
}

/* ---- from postings ------------------------------------------------------------------------------------ */

void attempt_opened(struct egress *egress, const struct core_log_open *open)
{
        struct egress_job *job = job_make(egress, open->job, open->owner);
        struct egress_attempt *attempt = attempt_of_job(job, open->fence.attempt);

        if (attempt == NULL)
                attempt = attempt_make(egress, job, open->fence);
        if (px_fence_older(attempt->fence, open->fence))
                attempt->fence = open->fence;
        attempt->open = true;
        attempt->node_principal = open->node_principal;
        name_node(attempt, open->node_name);
        if (px_fence_older(job->last, open->fence))
                job->last = open->fence;
        job->state = PX_JOB_STATE_ASSIGNED;
        stream_wake_job(egress, job, NULL);
}

void attempt_closed(struct egress *egress, const struct core_log_close *close)
{
        struct egress_attempt *attempt = attempt_find(egress, close->job, close->fence.attempt);

        if (attempt == NULL || !px_fence_equal(attempt->fence, close->fence))
                return; /* its row says the same */
        attempt->open = false;
        attempt->has_progress = false;
        if (close->known)
                attempt_final(attempt, &close->use);
        else
                attempt_fence_off(attempt);
        stream_wake_job(egress, attempt->job, NULL);
        attempt_settle(egress, attempt);
}

void attempt_fini(struct egress *egress)
{
        size_t cursor = 0;
        uint64_t key;
        void *value;

        while (px_map_next(&egress->jobs, &cursor, &key, &value)) {
                struct egress_job *job = value;

                while (!px_list_empty(&job->attempts))
                        attempt_free(PX_CONTAINER_OF(job->attempts.next, struct egress_attempt,
                                                     link));
                px_free(job);
        }
        px_map_fini(&egress->jobs);
}
