/* SPDX-License-Identifier: Apache-2.0 */
/* why.c - WHY, REASONS and TRY: what keeps a job from running, the first of it for lists, and what a
 * submit would meet. Layer: L2 (broker/core). Recomputed at each question, bounded. Source: DESIGN 8. */
#include "reason.h"
#include "waits.h"

/* ---- one job ------------------------------------------------------------------------------------------- */

static struct px_slice words_of_row(struct core *core, const struct px_job_row *row,
                                    struct px_slice node, struct px_slice detail)
{
        struct reason_facts facts = reason_facts_of(row, node, detail, core->core_ms);

        px_buf_reset(&core->words);
        reason_words(&facts, &core->words);
        return px_arena_copy(&core->output->arena, px_buf_slice(&core->words));
}

static void waits_of_state_of(struct core *core, const struct job *job, struct waits *waits)
{
        const struct node *node = node_find(core, job->node);
        struct px_job_row row;

        if (job_in_line(job) && (job->reason == PX_REASON_NONE || job->reason == PX_REASON_SLOT))
                return;
        job_row_of(job, &row);
        waits_add(waits, job->reason,
                  words_of_row(core, &row, node == NULL ? PX_SLICE_NONE : node->name,
                               PX_SLICE_NONE));
}

static struct px_slice words_of_turn(struct core *core, uint64_t before, const struct waits *waits)
{
        if (before == UINT64_MAX)
                return px_slice_text("many jobs with the same needs go before it");
        if (before > 0)
                return output_text(core, "%llu job%s with the same needs go%s before it",
                                   (unsigned long long)before, before == 1 ? "" : "s",
                                   before == 1 ? "es" : "");
        if (waits->count > 0)
                return PX_SLICE_NONE;
        return output_text(core, "%u of %u nodes have room: it goes next", waits->nodes_free,
                           waits->nodes);
}

/* In its line: gates, nodes, order. Returns how many go before it. */
static uint64_t waits_of_line(struct core *core, const struct job *job, struct waits *waits)
{
        const struct line *line = line_find(core, job->shape, job->owner);
        uint64_t before = waits_position(line, job);

        waits_of_gates(core, line->shape, job->owner, waits);
        waits_of_nodes(core, line->shape, job->owner, line, waits);
        waits_add(waits, PX_REASON_TURN, words_of_turn(core, before, waits));
        return before;
}

static struct px_slice words_of_estimate(struct core *core, const struct shape *shape,
                                         uint64_t estimate_ms)
{
        if (estimate_ms == 0)
                return PX_SLICE_NONE;
        return output_text(core, "about %llu s at the recent rate of one start in %llu.%llu s",
                           (unsigned long long)(estimate_ms + 999) / 1000,
                           (unsigned long long)shape->gap_ms / 1000,
                           (unsigned long long)shape->gap_ms % 1000 / 100);
}

/* ---- WHY ------------------------------------------------------------------------------------------------- */

static void lines_of(struct core *core, const struct waits *waits, struct px_slice last,
                     struct px_m_why_is *answer)
{
        struct px_slice *lines =
                px_arena_alloc(&core->scratch, (waits->count + 1) * sizeof(*lines));
        size_t count = 0;

        for (size_t i = 0; i < waits->count; i++)
                lines[count++] = waits->items[i].text;
        if (last.length > 0 && count < PX_LIMIT_WHY_LINES)
                lines[count++] = last;
        answer->lines = lines;
        answer->lines_count = count;
        answer->waits = waits->items;
        answer->waits_count = waits->count;
}

static void why_active(struct core *core, const struct job *job, struct waits *waits,
                       struct px_m_why_is *answer)
{
        struct px_slice last = PX_SLICE_NONE;

        answer->state = job->state;
        waits_of_state_of(core, job, waits);
        if (job_in_line(job)) {
                const struct shape *shape = shape_find(core, job->shape);
                uint64_t before = waits_of_line(core, job, waits);

                answer->position = before == UINT64_MAX ? 0 : before;
                answer->estimate_ms = waits_estimate_ms(core, shape, before);
                last = words_of_estimate(core, shape, answer->estimate_ms);
        }
        lines_of(core, waits, last, answer);
}

static uint64_t ended_memory_peak(struct core *core, uint64_t id, const struct px_job_row *row)
{
        struct row_key key = row_key_u64(id);
        struct px_attempt_row attempt;
        struct px_slice value;

        row_key_add_u32(&key, row->fence.attempt);
        if (row->fence.attempt == 0 || !fact_find(core, PX_TABLE_ATTEMPT, &key, &value) ||
            px_attempt_row_decode(value, &core->item, &attempt) != PX_WIRE_OK)
                return 0;
        return attempt.use.memory_peak_bytes;
}

static bool why_ended(struct core *core, uint64_t id, struct waits *waits,
                      struct px_m_why_is *answer)
{
        const struct node *node;
        struct px_job_row row;
        struct px_end end;

        if (!ended_find(core, id, &row) ||
            access_check(core, core->principal, VERB_READ, row.owner.value) != 0)
                return false;
        ended_end(core, id, &row, &end);
        answer->state = row.state;
        answer->node = end.node;
        answer->memory_peak_bytes = ended_memory_peak(core, id, &row);
        waits_add(waits, row.reason, end.text);
        node = node_find(core, row.node.value);
        answer->node_state = node == NULL ? 0 : node_state(node);
        if (node != NULL && answer->node_state != PX_NODE_STATE_UP)
                waits_add(waits, PX_REASON_NO_NODE,
                          output_text(core, "node %.*s is %s now", (int)node->name.length,
                                      (const char *)node->name.data,
                                      px_node_state_name(answer->node_state)));
        lines_of(core, waits, PX_SLICE_NONE, answer);
        return true;
}

void why_take(struct core *core, const struct px_m_why *why)
{
        struct px_m_why_is answer = {.job = why->job};
        const struct job *job = job_find(core, why->job.value);
        struct waits waits = {0};

        if (session_begin(core, why->session, why->done_below, false) == NULL)
                return;
        if (access_check(core, core->principal, VERB_READ, job == NULL ? 0 : job->owner) != 0 ||
            (job == NULL && !why_ended(core, why->job.value, &waits, &answer))) {
                refuse(core, PX_E_ABSENT, "no job %llu, or it is not yours",
                       (unsigned long long)why->job.value);
                return;
        }
        if (job != NULL)
                why_active(core, job, &waits, &answer);
        FRAME(core, why_is, &answer, core->command->header.correlation);
        put_frame(core, core->command->peer);
}

/* ---- REASONS ---------------------------------------------------------------------------------------------- */

/* The last line that was looked at: lists are full of its jobs. */
struct looked {
        uint32_t shape;
        uint32_t owner;
        struct px_waits first;
};

static struct px_waits first_of_line(struct core *core, const struct job *job,
                                     struct looked *looked)
{
        struct waits waits = {0};

        if (looked->shape == job->shape && looked->owner == job->owner)
                return looked->first;
        waits_of_gates(core, shape_find(core, job->shape), job->owner, &waits);
        if (waits.count == 0)
                waits_of_nodes(core, shape_find(core, job->shape), job->owner,
                               line_find(core, job->shape, job->owner), &waits);
        waits_add(&waits, PX_REASON_TURN, px_slice_text("waits for its turn"));
        *looked = (struct looked){job->shape, job->owner, waits.items[0]};
        return looked->first;
}

static struct px_waits first_reason(struct core *core, uint64_t id, struct looked *looked)
{
        const struct job *job = job_find(core, id);
        struct waits waits = {0};

        if (job == NULL || job_on_node(job->state) ||
            access_check(core, core->principal, VERB_READ, job->owner) != 0)
                return (struct px_waits){.reason = PX_REASON_NONE};
        if (job_in_line(job))
                return first_of_line(core, job, looked);
        waits_of_state_of(core, job, &waits);
        return waits.count > 0 ? waits.items[0] : (struct px_waits){.reason = PX_REASON_NONE};
}

#define REASONS_BYTES_MAX (PX_LIMIT_MESSAGE_BYTES - 16384)

void reasons_take(struct core *core, const struct px_m_reasons *asked)
{
        struct px_m_reasons_are answer = {0};
        struct looked looked = {0};
        struct px_waits *items;
        size_t bytes = 0;

        if (session_begin(core, asked->session, asked->done_below, false) == NULL)
                return;
        if (access_check(core, core->principal, VERB_READ, 0) != 0) {
                refuse(core, PX_E_DENIED, "this key may not ask about jobs");
                return;
        }
        items = px_arena_alloc(&core->scratch, (asked->jobs_count + 1) * sizeof(*items));
        for (size_t i = 0; i < asked->jobs_count && bytes < REASONS_BYTES_MAX; i++) {
                items[i] = first_reason(core, asked->jobs[i].value, &looked);
                bytes += items[i].text.length + 8;
                answer.waits_count++;
        }
        answer.waits = items;
        FRAME(core, reasons_are, &answer, core->command->header.correlation);
        put_frame(core, core->command->peer);
}

/* ---- TRY --------------------------------------------------------------------------------------------------- */

static void try_line(struct core *core, struct shape *shape, struct waits *waits,
                     struct px_m_tried *answer)
{
        const struct shape *known = shape_known(core, shape);
        uint32_t owner = core->principal->id;
        struct line line = {.shape = shape, .owner = owner, .share = &core->principal->share};
        const struct line *real = known == NULL ? NULL : line_find(core, known->id, owner);
        struct job job = {0};
        const struct node *node;

        waits_of_gates(core, shape, owner, waits);
        waits_of_nodes(core, shape, owner, &line, waits);
        if (real != NULL && real->ready.count > 0) {
                answer->position = real->ready.count;
                answer->estimate_ms = waits_estimate_ms(core, known, real->ready.count);
                waits_add(waits, PX_REASON_TURN, words_of_turn(core, answer->position, waits));
        }
        node = waits->count > 0 ? NULL : place_find(core, &line, &job);
        if (node != NULL)
                answer->node = node->name;
}

void try_take(struct core *core, const struct px_m_try *asked)
{
        struct px_m_tried answer = {0};
        struct waits waits = {0};
        struct px_shape_row request;
        struct shape *shape;

        if (session_begin(core, asked->session, asked->done_below, false) == NULL)
                return;
        if (access_check(core, core->principal, VERB_SUBMIT, 0) != 0) {
                refuse(core, PX_E_DENIED, "role %s may not submit",
                       px_role_name(core->principal->role));
                return;
        }
        answer.code = (uint16_t)submit_check(core, &asked->job, &request, &answer.text);
        if (answer.code == 0) {
                shape = shape_alone(core, &request);
                if (asked->job.hold)
                        waits_add(&waits, PX_REASON_HELD,
                                  px_slice_text("held until it is released"));
                if (asked->job.start_wall_ms > core->wall_ms)
                        waits_add(&waits, PX_REASON_START_TIME,
                                  px_slice_text("its start time has not come"));
                try_line(core, shape, &waits, &answer);
                answer.nodes = waits.nodes;
                answer.nodes_able = waits.nodes_able;
                answer.waits = waits.items;
                answer.waits_count = waits.count;
                FRAME(core, tried, &answer, core->command->header.correlation);
                shape_free(shape);
        } else {
                FRAME(core, tried, &answer, core->command->header.correlation);
        }
        put_frame(core, core->command->peer);
}
