/* SPDX-License-Identifier: Apache-2.0 */
/* result.c - how attempts end and what becomes of their jobs. Layer: L2 (broker/core).
 * Source: DESIGN 3; RELIABILITY 4.3, 4.4, 4.7.
 *
 * RESULT is idempotent: the current fence from the node that holds it ends the attempt, anything else
 * is confirmed and changes nothing. Two policies, never mixed: `retries` counts attempts that failed or
 * ran out of time, `losses` those that were lost in a row. */
#include "state.h"

/* What an ended attempt leads to. */
struct verdict {
        int state;
        int reason;
        int event; /* 0 = the usual one */
        int64_t backoff_ms; /* with state blocked */
};

static int64_t backoff_ms(struct core *core, const struct job *job)
{
        uint64_t backoff = job->more == NULL ? 0 : job->more->backoff_ms;

        for (unsigned i = 1; i < job->failures && backoff < CORE_BACKOFF_MAX_MS; i++)
                backoff *= 2;
        backoff = PX_MIN(backoff, (uint64_t)CORE_BACKOFF_MAX_MS);
        if (backoff < 2)
                return (int64_t)backoff;
        /* Half of it is jitter, so that what failed together doesn't return together. */
        return (int64_t)(backoff / 2 + px_rand_below(&core->rand, backoff - backoff / 2 + 1));
}

static struct verdict verdict_repeat(struct core *core, const struct job *job, int reason)
{
        int64_t wait_ms = backoff_ms(core, job);

        if (wait_ms == 0)
                return (struct verdict){PX_JOB_STATE_QUEUED, reason, PX_EV_JOB_RETRYING, 0};
        return (struct verdict){PX_JOB_STATE_BLOCKED, PX_REASON_BACKOFF, PX_EV_JOB_RETRYING,
                                wait_ms};
}

static struct verdict verdict_failed(struct core *core, struct job *job, int state, int reason)
{
        bool again = job->failures < job->retries;

        job->losses = 0;
        if (job->failures < UINT16_MAX)
                job->failures++;
        if (again)
                return verdict_repeat(core, job, reason);
        return (struct verdict){.state = state, .reason = reason};
}

static struct verdict verdict_lost(struct job *job, int reason, bool final)
{
        if (job->on_lost == PX_ON_LOST_FAIL || final)
                return (struct verdict){.state = PX_JOB_STATE_LOST, .reason = reason};
        job->losses++;
        if (job->losses >= PX_LIMIT_LOST_ATTEMPTS)
                return (struct verdict){.state = PX_JOB_STATE_LOST,
                                        .reason = PX_REASON_LOST_LIMIT};
        return (struct verdict){PX_JOB_STATE_QUEUED, reason, PX_EV_JOB_RETRYING, 0};
}

/* Not started: a missing program fails the job at once, a node's own trouble moves it elsewhere. */
static struct verdict verdict_refused(struct job *job, int reason)
{
        if (reason == PX_REASON_NO_PROGRAM || reason == PX_REASON_NOT_RUNNABLE ||
            reason == PX_REASON_NO_DIRECTORY || reason == PX_REASON_NO_ACCOUNT)
                return (struct verdict){.state = PX_JOB_STATE_FAILED, .reason = reason};
        job->losses++;
        if (job->losses >= PX_LIMIT_LOST_ATTEMPTS)
                return (struct verdict){.state = PX_JOB_STATE_FAILED, .reason = reason};
        return (struct verdict){PX_JOB_STATE_BLOCKED, PX_REASON_BACKOFF, PX_EV_JOB_RETRYING,
                                CORE_REFUSED_BACKOFF_MS};
}

/* A cancel that came too late leaves the end as it was; else nothing of it is alive. */
static struct verdict verdict_cancelling(const struct ending *ending)
{
        if (ending->final)
                return (struct verdict){.state = PX_JOB_STATE_LOST, .reason = ending->reason};
        switch (ending->outcome) {
        case PX_OUTCOME_OK:
                return (struct verdict){.state = PX_JOB_STATE_OK, .reason = ending->reason};
        case PX_OUTCOME_FAILED:
                return (struct verdict){.state = PX_JOB_STATE_FAILED, .reason = ending->reason};
        case PX_OUTCOME_TIMEOUT:
                return (struct verdict){.state = PX_JOB_STATE_TIMEOUT, .reason = ending->reason};
        default:
                return (struct verdict){.state = PX_JOB_STATE_CANCELLED,
                                        .reason = PX_REASON_CANCELLED};
        }
}

static struct verdict verdict_of(struct core *core, struct job *job, const struct ending *ending)
{
        if (job->state == PX_JOB_STATE_CANCELLING)
                return verdict_cancelling(ending);
        switch (ending->outcome) {
        case PX_OUTCOME_OK:
                job->losses = 0;
                return (struct verdict){.state = PX_JOB_STATE_OK, .reason = ending->reason};
        case PX_OUTCOME_FAILED:
                return verdict_failed(core, job, PX_JOB_STATE_FAILED, ending->reason);
        case PX_OUTCOME_TIMEOUT:
                return verdict_failed(core, job, PX_JOB_STATE_TIMEOUT, ending->reason);
        case PX_OUTCOME_CANCELLED:
                return (struct verdict){.state = PX_JOB_STATE_CANCELLED, .reason = ending->reason};
        case PX_OUTCOME_REFUSED:
                return verdict_refused(job, ending->reason);
        case PX_OUTCOME_GONE:
        case PX_OUTCOME_KEEPER_DIED:
        case PX_OUTCOME_GAVE_UP:
                return verdict_lost(job, ending->reason, ending->final);
        default:
                PX_UNREACHABLE();
        }
}

/* ---- what is written ---------------------------------------------------------------------------------- */

static void put_attempt(struct core *core, const struct job *job, struct px_slice node_name,
                        const struct ending *ending)
{
        struct row_key key = row_key_u64(job->id);
        struct px_attempt_row row = {
                .fence = job->fence,
                .node = {job->node},
                .node_name = node_name,
                .outcome = ending->outcome,
                .reason = ending->reason,
                .exit_code = ending->exit_code,
                .signal = ending->signal,
                .text = ending->text,
                .use = ending->use,
                .log_pending_bytes = ending->log_pending_bytes,
                .progress_permille = ending->progress_permille,
                .progress_text = ending->progress_text,
        };

        row_key_add_u32(&key, job->fence.attempt);
        px_buf_reset(&core->bytes);
        px_attempt_row_encode(&row, &core->bytes);
        put_row(core, PX_TABLE_ATTEMPT, &key, px_buf_slice(&core->bytes));
}

static void put_result(struct core *core, struct job *job, struct px_slice result)
{
        size_t chunks = (result.length + ROWS_VALUE_BYTES_MAX - 1) / ROWS_VALUE_BYTES_MAX;

        put_row_chunks(core, PX_TABLE_RESULT, job->id, result);
        for (size_t i = chunks; i < job->result_chunks; i++) {
                struct row_key key = row_key_u64(job->id);

                row_key_add_u16(&key, (uint16_t)i);
                delete_row(core, PX_TABLE_RESULT, &key);
        }
        job->result_chunks = (uint16_t)chunks;
        job->flags |= JOB_HAS_RESULT;
}

static void log_close(struct core *core, const struct job *job, const struct ending *ending)
{
        put_effect(core, CORE_EFFECT_LOG_CLOSE, 0)->log_close = (struct core_log_close){
                .job = {job->id},
                .fence = job->fence,
                .use = ending->use,
                .log_pending_bytes = ending->log_pending_bytes,
                .known = ending->known,
        };
}

void attempt_end(struct core *core, struct job *job, const struct ending *ending)
{
        struct attempt *attempt = job->attempt;
        struct verdict verdict;
        struct note note;

        PX_ASSERT(attempt != NULL && job_on_node(job->state));
        PX_ASSERT(px_fence_equal(attempt->fence, job->fence));
        PX_ASSERT(ending->outcome != 0 && ending->reason != 0);
        note = (struct note){
                .exit_code = ending->exit_code,
                .signal = ending->signal,
                .node_name = px_arena_copy(&core->output->arena, attempt->node->name),
                .text = ending->text,
                .has_result = ending->has_result,
                .result = ending->result,
        };
        put_attempt(core, job, note.node_name, ending);
        if (ending->has_result)
                put_result(core, job, ending->result);
        if (ending->use.started_wall_ms != 0)
                job->started_wall_ms = ending->use.started_wall_ms;
        log_close(core, job, ending);
        progress_drop(core, job);
        attempt_free(core, attempt);
        verdict = verdict_of(core, job, ending);
        note.event = verdict.event;
        if (verdict.state == PX_JOB_STATE_BLOCKED)
                job_deadline(core, job, core->core_ms + verdict.backoff_ms);
        job_set_state(core, job, verdict.state, verdict.reason, &note);
}

void attempt_gone(struct core *core, struct job *job, int reason, bool final)
{
        attempt_end(core, job,
                    &(struct ending){.outcome = PX_OUTCOME_GONE,
                                     .reason = reason,
                                     .exit_code = -1,
                                     .progress_permille = -1,
                                     .final = final});
}

/* It may still run there: wait for the node, not for ever. */
void attempt_unreachable(struct core *core, struct job *job)
{
        PX_ASSERT(job_on_node(job->state));
        if (job->reason == PX_REASON_UNREACHABLE)
                return; /* since before the broker started anew */
        job_deadline(core, job, core->core_ms + (int64_t)job_lost_after_ms(job));
        job_changed(core, job, PX_REASON_UNREACHABLE,
                    &(struct note){.event = PX_EV_JOB_UNREACHABLE, .exit_code = -1});
}

/* ---- RESULT -------------------------------------------------------------------------------------------- */

static int reason_of_result(const struct px_result *result)
{
        static const uint8_t usual[] = {
                [PX_OUTCOME_OK] = PX_REASON_FINISHED,
                [PX_OUTCOME_FAILED] = PX_REASON_EXIT,
                [PX_OUTCOME_TIMEOUT] = PX_REASON_TIME_LIMIT,
                [PX_OUTCOME_CANCELLED] = PX_REASON_CANCELLED,
                [PX_OUTCOME_GONE] = PX_REASON_NODE_LOST,
                [PX_OUTCOME_REFUSED] = PX_REASON_REFUSED,
                [PX_OUTCOME_KEEPER_DIED] = PX_REASON_KEEPER_DIED,
                [PX_OUTCOME_GAVE_UP] = PX_REASON_GAVE_UP,
        };

        if (result->reason != 0 && result->reason != PX_REASON_NONE)
                return result->reason;
        if (result->outcome == PX_OUTCOME_FAILED && result->signal != 0)
                return PX_REASON_SIGNAL;
        PX_ASSERT((size_t)result->outcome < PX_COUNT_OF(usual));
        return usual[result->outcome];
}

static void ghost_end(struct core *core, struct node *node, uint64_t job_id, struct px_fence fence)
{
        struct px_link *next;

        for (struct px_link *at = node->held.next; at != &node->held; at = next) {
                struct attempt *attempt = PX_CONTAINER_OF(at, struct attempt, link);

                next = at->next;
                if (attempt->job == NULL && attempt->job_id == job_id &&
                    px_fence_equal(attempt->fence, fence))
                        attempt_free(core, attempt);
        }
}

static void result_one(struct core *core, struct node *node, const struct px_result *result)
{
        struct job *job = job_find(core, result->job.value);

        if (result->outcome == 0)
                return;
        node_confirm(core, node, result->job.value, result->fence);
        if (job == NULL || job->attempt == NULL || job->attempt->node != node ||
            !px_fence_equal(job->fence, result->fence)) {
                ghost_end(core, node, result->job.value, result->fence);
                return;
        }
        attempt_end(core, job,
                    &(struct ending){
                            .outcome = result->outcome,
                            .reason = reason_of_result(result),
                            .exit_code = result->exit_code,
                            .signal = result->signal,
                            .text = result->text,
                            .use = result->use,
                            .log_pending_bytes = result->log_pending_bytes,
                            .progress_permille = result->progress_permille,
                            .progress_text = result->progress_text,
                            .has_result = result->has_result,
                            .result = result->result,
                            .known = true,
                    });
}

void result_take(struct core *core, const struct px_m_result *message)
{
        struct node *node = node_of_command(core, message->session);

        if (node == NULL)
                return;
        for (size_t i = 0; i < message->items_count; i++)
                result_one(core, node, &message->items[i]);
}
