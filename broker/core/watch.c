/* SPDX-License-Identifier: Apache-2.0 */
/* watch.c - who wants to hear of a job's end: WATCH, and END when it comes. Layer: L2 (broker/core).
 * Watches live in RAM only: a client says WATCH again after each WELCOME. */
#include "state.h"
#include "reason.h"

#define ENDS_BYTES_MAX (PX_LIMIT_MESSAGE_BYTES - 131072) /* of one END; one more item still fits */
#define END_BYTES 1024                                   /* of an item beside result and text */

static struct watch *watch_first(const struct core *core, uint64_t job)
{
        return px_map_find(&core->watches, job);
}

bool watch_add(struct core *core, struct session *session, struct job *job)
{
        struct watch *first = watch_first(core, job->id);
        struct watch *watch;

        for (watch = first; watch != NULL; watch = watch->next)
                if (watch->session == session)
                        return true;
        if (session->watches_count >= PX_LIMIT_WATCHES)
                return false;
        watch = slab_take(&core->watch_slab);
        *watch = (struct watch){.session = session, .job = job->id, .next = first};
        px_map_put(&core->watches, job->id, watch);
        px_list_append(&session->watches, &watch->link);
        session->watches_count++;
        job->flags |= JOB_WATCHED;
        return true;
}

static void watch_free(struct core *core, struct watch *watch)
{
        PX_ASSERT(watch->session->watches_count > 0);
        watch->session->watches_count--;
        px_list_remove(&watch->link);
        slab_give(&core->watch_slab, watch);
}

static void session_push(struct core *core, struct session *session, const struct px_end *end)
{
        struct px_end copy = *end;

        if (session->peer == 0)
                return;
        copy.text = px_arena_copy(&core->output->arena, end->text);
        copy.node = px_arena_copy(&core->output->arena, end->node);
        copy.result = px_arena_copy(&core->output->arena, end->result);
        px_buf_append(&session->ends, &copy, sizeof(copy));
        if (session->dirty)
                return;
        session->dirty = true;
        px_list_append(&core->sessions_dirty, &session->dirty_link);
}

void watch_end(struct core *core, struct job *job, const struct px_end *end)
{
        struct watch *watch = px_map_take(&core->watches, job->id);

        PX_ASSERT(watch != NULL && (job->flags & JOB_WATCHED));
        job->flags &= (uint16_t)~JOB_WATCHED;
        while (watch != NULL) {
                struct watch *next = watch->next;

                session_push(core, watch->session, end);
                watch_free(core, watch);
                watch = next;
        }
}

/* Take one watch out of the chain of its job. */
static void watch_unchain(struct core *core, struct watch *watch)
{
        struct watch *first = watch_first(core, watch->job);

        if (first != watch) {
                while (first->next != watch)
                        first = first->next;
                first->next = watch->next;
                return;
        }
        if (watch->next != NULL) {
                px_map_put(&core->watches, watch->job, watch->next);
                return;
        }
        px_map_take(&core->watches, watch->job);
        job_find(core, watch->job)->flags &= (uint16_t)~JOB_WATCHED;
}

void watches_drop(struct core *core, struct session *session)
{
        while (!px_list_empty(&session->watches)) {
                struct watch *watch = PX_CONTAINER_OF(session->watches.next, struct watch, link);

                watch_unchain(core, watch);
                watch_free(core, watch);
        }
        PX_ASSERT(session->watches_count == 0);
}

/* As many items as one message holds. */
static size_t ends_that_fit(const struct px_end *ends, size_t count)
{
        size_t bytes = 0;
        size_t fit = 0;

        while (fit < count && fit < PX_LIMIT_BATCH_ITEMS) {
                bytes += END_BYTES + ends[fit].result.length;
                if (fit > 0 && bytes > ENDS_BYTES_MAX)
                        break;
                fit++;
        }
        return fit;
}

static void ends_send(struct core *core, uint64_t peer, const struct px_end *ends, size_t count,
                      uint64_t correlation)
{
        size_t sent = 0;

        do {
                size_t fit = ends_that_fit(ends + sent, count - sent);
                struct px_m_end message = {.items = ends + sent, .items_count = fit};

                FRAME(core, end, &message, correlation);
                put_frame(core, peer);
                sent += fit;
                correlation = 0; /* what doesn't fit into the answer is pushed behind it */
        } while (sent < count);
}

void watch_flush(struct core *core)
{
        while (!px_list_empty(&core->sessions_dirty)) {
                struct session *session =
                        PX_CONTAINER_OF(core->sessions_dirty.next, struct session, dirty_link);

                px_list_remove(&session->dirty_link);
                session->dirty = false;
                if (session->peer != 0)
                        ends_send(core, session->peer, (const void *)session->ends.data,
                                  session->ends.length / sizeof(struct px_end), 0);
                px_buf_reset(&session->ends);
        }
}

/* ---- ended jobs ---------------------------------------------------------------------------------------- */

bool ended_find(struct core *core, uint64_t id, struct px_job_row *ret_row)
{
        struct row_key key = row_key_u64(id);
        struct px_slice value;

        if (!fact_find(core, PX_TABLE_DONE, &key, &value))
                return false;
        return px_job_row_decode(value, &core->item, ret_row) == PX_WIRE_OK &&
               job_ended(ret_row->state);
}

static struct px_slice ended_result(struct core *core, uint64_t id, const struct px_job_row *row)
{
        struct px_buf joined = {0};
        struct px_slice result;

        if (row->result_chunks * (uint64_t)ROWS_VALUE_BYTES_MAX > PX_LIMIT_RESULT_PUSH_BYTES)
                return PX_SLICE_NONE;
        for (uint32_t i = 0; i < row->result_chunks; i++) {
                struct row_key key = row_key_u64(id);
                struct px_slice value;

                row_key_add_u16(&key, (uint16_t)i);
                if (!fact_find(core, PX_TABLE_RESULT, &key, &value)) {
                        px_buf_reset(&joined);
                        break;
                }
                px_buf_append_slice(&joined, value);
        }
        result = px_arena_copy(&core->output->arena, px_buf_slice(&joined));
        px_buf_fini(&joined);
        return result;
}

void ended_end(struct core *core, uint64_t id, const struct px_job_row *row, struct px_end *ret_end)
{
        struct row_key key = row_key_u64(id);
        const struct node *node = node_find(core, row->node.value);
        struct px_attempt_row attempt = {0};
        struct px_slice value;
        struct reason_facts facts;

        row_key_add_u32(&key, row->fence.attempt);
        if (row->fence.attempt != 0 && fact_find(core, PX_TABLE_ATTEMPT, &key, &value))
                (void)px_attempt_row_decode(value, &core->item, &attempt);
        if (attempt.node_name.length == 0 && node != NULL)
                attempt.node_name = node->name;
        facts = reason_facts_of(row, PX_SLICE_NONE, PX_SLICE_NONE, core->core_ms);
        reason_facts_join(&facts, &attempt);
        px_buf_reset(&core->words);
        reason_words(&facts, &core->words);
        *ret_end = (struct px_end){
                .job = {id},
                .state = row->state,
                .reason = row->reason,
                .attempt = row->fence.attempt,
                .exit_code = row->exit_code,
                .signal = row->signal,
                .node = px_arena_copy(&core->output->arena, attempt.node_name),
                .text = px_arena_copy(&core->output->arena, px_buf_slice(&core->words)),
                .has_result = (row->flags & JOB_HAS_RESULT) != 0,
        };
        if (ret_end->has_result)
                ret_end->result = ended_result(core, id, row);
}

/* ---- WATCH -------------------------------------------------------------------------------------------------- */

/* true: there is something to say at once. */
static bool watch_one(struct core *core, struct session *session, uint64_t id,
                      struct px_end *ret_end)
{
        struct job *job = job_find(core, id);
        struct px_job_row row;

        *ret_end = (struct px_end){.job = {id}, .exit_code = -1, .code = PX_E_ABSENT};
        if (job != NULL) {
                if (access_check(core, core->principal, VERB_READ, job->owner) != 0)
                        return true;
                ret_end->code = PX_E_LIMIT;
                return !watch_add(core, session, job);
        }
        if (!ended_find(core, id, &row) ||
            access_check(core, core->principal, VERB_READ, row.owner.value) != 0)
                return true;
        ended_end(core, id, &row, ret_end);
        return true;
}

void watch_take(struct core *core, const struct px_m_watch *watch)
{
        struct session *session = session_begin(core, watch->session, watch->done_below, false);
        struct px_end *ends;
        size_t count = 0;

        if (session == NULL)
                return;
        if (access_check(core, core->principal, VERB_READ, 0) != 0) {
                refuse(core, PX_E_DENIED, "this key may not watch jobs");
                return;
        }
        ends = px_arena_alloc(&core->scratch, (watch->jobs_count + 1) * sizeof(*ends));
        for (size_t i = 0; i < watch->jobs_count; i++)
                if (watch_one(core, session, watch->jobs[i].value, &ends[count]))
                        count++;
        ends_send(core, core->command->peer, ends, count, core->command->header.correlation);
}
