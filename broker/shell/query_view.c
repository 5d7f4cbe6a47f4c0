/* SPDX-License-Identifier: Apache-2.0 */
/* query_view.c - a job's rows joined to what lists show. Layer: L4 (broker/shell). */
#include "egress_inside.h"

#include "reason.h"

static bool get(struct px_view *view, uint8_t table, const struct row_key *key,
                struct px_slice *ret_value)
{
        return px_view_get(view, table, row_key_slice(key), ret_value) == PX_OK;
}

struct px_slice query_node_name(struct egress *egress, struct px_view *view, struct px_node_id node)
{
        struct row_key key = row_key_u32(node.value);
        struct px_node_row row;
        struct px_slice value;

        if (node.value == 0 || !get(view, PX_TABLE_NODE, &key, &value) ||
            px_node_row_decode(value, &egress->arena, &row) != PX_WIRE_OK)
                return PX_SLICE_NONE;
        return px_arena_copy(&egress->arena, row.name);
}

static struct px_slice principal_name(struct egress *egress, struct px_principal_id id)
{
        struct keys_entry entry;

        if (!keys_find_id(egress->options.keys, id, &entry))
                return PX_SLICE_NONE;
        return px_arena_copy(&egress->arena, px_slice_text(entry.name));
}

/* An ended job carries its shape itself. */
static void join_shape(struct egress *egress, struct px_view *view,
                       const struct px_job_row *job_row, struct px_job_view *job)
{
        struct row_key key = row_key_u32(job_row->shape);
        struct px_slice value = job_row->request;
        struct px_shape_row row;

        job->kind = PX_JOB_KIND_COMMAND;
        if ((value.length == 0 && !get(view, PX_TABLE_SHAPE, &key, &value)) ||
            px_shape_row_decode(value, &egress->arena, &row) != PX_WIRE_OK)
                return;
        job->kind = row.kind;
        job->task_type = px_arena_copy(&egress->arena, row.task_type);
        job->cpus_milli = row.cpus_milli;
        job->memory_bytes = row.memory_bytes;
        job->pinned_node = px_arena_copy(&egress->arena, row.node);
        job->gpus_milli = row.gpus_milli;
        job->queue = px_arena_copy(&egress->arena, row.queue);
        job->module = px_arena_copy(&egress->arena, row.module);
        job->apart = px_arena_copy(&egress->arena, row.apart);
}

/* A task has its array's. */
static void join_name(struct egress *egress, struct px_view *view, struct px_job_view *job)
{
        struct row_key key = row_key_u64(px_id_job(job->job.value));
        struct px_name_row row;
        struct px_slice value;

        if (!get(view, PX_TABLE_NAME, &key, &value))
                return;
        value = px_arena_copy(&egress->arena, value);
        if (px_name_row_decode(value, &egress->arena, &row) != PX_WIRE_OK)
                return;
        job->name = row.name;
        job->labels = row.labels;
        job->labels_count = row.labels_count;
}

static bool on_node(int state)
{
        return state == PX_JOB_STATE_ASSIGNED || state == PX_JOB_STATE_RUNNING ||
               state == PX_JOB_STATE_CANCELLING;
}

/* The last attempt, if it has ended: where it ran and what it used. What it said and how far it got is
 * told as long as the job stands where that attempt left it. */
static void join_attempt(struct egress *egress, struct px_view *view,
                         const struct px_job_row *job_row, struct px_job_view *job,
                         struct reason_facts *facts)
{
        struct row_key key = row_key_u64(job->job.value);
        struct px_attempt_row row;
        struct px_slice value;

        row_key_add_u32(&key, job_row->fence.attempt);
        if (job_row->fence.attempt == 0 || on_node(job_row->state) ||
            !get(view, PX_TABLE_ATTEMPT, &key, &value))
                return;
        value = px_arena_copy(&egress->arena, value);
        if (px_attempt_row_decode(value, &egress->arena, &row) != PX_WIRE_OK)
                return;
        job->node = row.node_name;
        job->memory_peak_bytes = row.use.memory_peak_bytes;
        job->cpu_ms = row.use.cpu_ms;
        if (job_row->state >= PX_JOB_STATE_OK) {
                job->progress_permille = row.progress_permille;
                job->progress_text = row.progress_text;
        }
        reason_facts_join(facts, &row);
}

/* As it was stored: until the node says it again after a restart. */
static void join_progress_row(struct egress *egress, struct px_view *view,
                              const struct px_job_row *job_row, struct px_job_view *job)
{
        struct row_key key = row_key_u64(job->job.value);
        struct px_progress_row row;
        struct px_slice value;

        if (!(job_row->flags & JOB_HAS_PROGRESS) || !get(view, PX_TABLE_PROGRESS, &key, &value))
                return;
        value = px_arena_copy(&egress->arena, value);
        if (px_progress_row_decode(value, &egress->arena, &row) != PX_WIRE_OK ||
            !px_fence_equal(row.fence, job_row->fence))
                return;
        job->progress_permille = row.permille;
        job->progress_text = row.text;
}

static void join_progress(struct egress *egress, struct px_view *view,
                          const struct px_job_row *job_row, struct px_job_view *job)
{
        const struct egress_attempt *attempt = attempt_find(egress, job->job, job->attempt);

        if (attempt == NULL || !attempt->has_progress) {
                join_progress_row(egress, view, job_row, job);
                return;
        }
        job->progress_permille = attempt->permille;
        job->progress_text =
                px_arena_copy(&egress->arena, px_slice_text(attempt->progress_text));
}

struct px_job_view query_job_view(struct egress *egress, struct px_view *view, struct px_job_id job,
                                  const struct px_job_row *row)
{
        struct px_job_view out = {
                .job = job,
                .state = row->state,
                .reason = row->reason,
                .owner = principal_name(egress, row->owner),
                .priority = row->priority,
                .attempt = row->fence.attempt,
                .failures = row->failures,
                .retries = row->retries,
                .on_lost = row->on_lost,
                .submitted_wall_ms = row->submitted_wall_ms,
                .started_wall_ms = row->started_wall_ms,
                .ended_wall_ms = row->ended_wall_ms,
                .start_wall_ms = row->start_wall_ms,
                .exit_code = row->exit_code,
                .signal = row->signal,
                .progress_permille = -1,
                .has_result = (row->flags & JOB_HAS_RESULT) != 0,
                .array = row->array,
                .array_count = row->array_count,
        };
        struct reason_facts facts;

        join_shape(egress, view, row, &out);
        join_name(egress, view, &out);
        out.node = query_node_name(egress, view, row->node);
        facts = reason_facts_of(row, out.node, PX_SLICE_NONE, INT64_MIN);
        join_attempt(egress, view, row, &out, &facts);
        join_progress(egress, view, row, &out);
        px_buf_reset(&egress->words);
        reason_words(&facts, &egress->words);
        out.text = px_arena_copy(&egress->arena, px_buf_slice(&egress->words));
        return out;
}
