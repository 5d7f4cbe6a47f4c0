/* SPDX-License-Identifier: Apache-2.0 */
/* line.c - lines of jobs that are ready. Layer: L2 (broker/core).
 *
 * What fits one job of a line fits all, so a line is tried, waits or is parked as a whole: a step costs
 * O(lines + assignments), never O(jobs). Rank: priority; among equals the share that used least; then
 * the job that expires first; then the number. Source: DESIGN 8. */
#include "state.h"

#define LINES_EMPTY_KEPT 4096 /* beyond, an empty line is freed */

/* ---- rank -------------------------------------------------------------------------------------------- */

static int64_t job_expires_ms(const struct job *job)
{
        return job->more == NULL || job->more->expires_wall_ms == 0 ? INT64_MAX
                                                                    : job->more->expires_wall_ms;
}

/* Tasks that run again come before those that their array has not made yet. */
static bool id_before(uint64_t a, uint64_t b)
{
        if (px_id_job(a) != px_id_job(b))
                return px_id_job(a) < px_id_job(b);
        return px_id_is_task(a) != px_id_is_task(b) ? px_id_is_task(a) : a < b;
}

bool job_before(const struct job *a, const struct job *b)
{
        if (a->priority != b->priority)
                return a->priority > b->priority;
        if (job_expires_ms(a) != job_expires_ms(b))
                return job_expires_ms(a) < job_expires_ms(b);
        return id_before(a->id, b->id);
}

struct job *line_first(const struct line *line)
{
        PX_ASSERT(line->ready.count > 0);
        return PX_CONTAINER_OF(px_heap_first(&line->ready), struct job, ready);
}

bool line_before(const struct line *a, const struct line *b)
{
        const struct job *x = line_first(a);
        const struct job *y = line_first(b);

        if (x->priority == y->priority && a->share->used != b->share->used)
                return a->share->used < b->share->used;
        return job_before(x, y);
}

bool waiting_before(const struct waiting *a, const struct waiting *b)
{
        if (a->best->priority == b->best->priority && a->share->used != b->share->used)
                return a->share->used < b->share->used;
        return job_before(a->best, b->best);
}

static bool ready_before(const struct px_heap_item *a, const struct px_heap_item *b)
{
        return job_before(PX_CONTAINER_OF(a, const struct job, ready),
                          PX_CONTAINER_OF(b, const struct job, ready));
}

/* ---- places --------------------------------------------------------------------------------------------- */

static void open_enter(struct core *core, struct line *line)
{
        struct share *share = line->share;

        px_heap_push(&share->open, &line->item);
        if (share->turn.position == 0)
                px_heap_push(&core->turns, &share->turn);
        else
                px_heap_update(&core->turns, &share->turn);
        line->place = LINE_OPEN;
}

static void open_leave(struct core *core, struct line *line)
{
        struct share *share = line->share;

        if (share->open.count == 1)
                px_heap_remove(&core->turns, &share->turn);
        px_heap_remove(&share->open, &line->item);
        if (share->open.count > 0)
                px_heap_update(&core->turns, &share->turn);
}

static void waiting_enter(struct core *core, struct line *line)
{
        const struct px_shape_row *need = &line->shape->need;

        if (core->waiting_count == core->waiting_capacity) {
                core->waiting_capacity = PX_MAX(core->waiting_capacity * 2, (size_t)64);
                core->waiting = px_realloc(core->waiting,
                                           core->waiting_capacity * sizeof(*core->waiting));
        }
        line->waiting_at = core->waiting_count;
        core->waiting[core->waiting_count++] = (struct waiting){
                .cpus_milli = need->kind == PX_JOB_KIND_TASK ? 0 : need->cpus_milli,
                .gpus_milli = need->gpus_milli,
                .memory_bytes = need->memory_bytes,
                .line = line,
                .share = line->share,
                .best = line_first(line),
        };
        line->place = LINE_WAITING;
}

static void waiting_leave(struct core *core, struct line *line)
{
        struct waiting *last = &core->waiting[--core->waiting_count];

        PX_ASSERT(core->waiting[line->waiting_at].line == line);
        last->line->waiting_at = line->waiting_at;
        core->waiting[line->waiting_at] = *last;
}

static void line_leave(struct core *core, struct line *line)
{
        switch (line->place) {
        case LINE_OPEN:
                open_leave(core, line);
                break;
        case LINE_WAITING:
                waiting_leave(core, line);
                break;
        case LINE_PARKED:
                px_list_remove(&line->parked);
                line->gate = NULL;
                break;
        default:
                break;
        }
        line->place = LINE_EMPTY;
}

void line_open(struct core *core, struct line *line)
{
        line_leave(core, line);
        open_enter(core, line);
}

void line_wait(struct core *core, struct line *line)
{
        line_leave(core, line);
        waiting_enter(core, line);
        if (line->waiting_ms == 0)
                line->waiting_ms = PX_MAX(core->core_ms, (int64_t)1);
        reserve_arm(core);
}

void line_park(struct core *core, struct line *line, struct gate *gate)
{
        line_leave(core, line);
        reserve_drop(core, line);
        px_list_append(&gate->parked, &line->parked);
        line->gate = gate;
        line->place = LINE_PARKED;
}

struct line *line_open_first(const struct core *core)
{
        struct px_heap_item *turn = px_heap_first(&core->turns);

        if (turn == NULL)
                return NULL;
        return PX_CONTAINER_OF(px_heap_first(&PX_CONTAINER_OF(turn, struct share, turn)->open),
                               struct line, item);
}

/* ---- lines ------------------------------------------------------------------------------------------------ */

static uint64_t line_key(uint32_t shape, uint32_t owner)
{
        return (uint64_t)shape << 32 | owner;
}

struct line *line_find(const struct core *core, uint32_t shape, uint32_t owner)
{
        return px_map_find(&core->lines, line_key(shape, owner));
}

static struct line *line_get(struct core *core, const struct job *job)
{
        struct line *line = line_find(core, job->shape, job->owner);

        if (line != NULL)
                return line;
        line = px_alloc(sizeof(*line));
        line->shape = shape_find(core, job->shape);
        line->owner = job->owner;
        line->share = &principal_find(core, job->owner)->share;
        PX_ASSERT(line->shape != NULL);
        px_list_append(&line->shape->lines, &line->of_shape);
        px_heap_init(&line->ready, ready_before);
        px_map_put(&core->lines, line_key(job->shape, job->owner), line);
        return line;
}

void line_drop(struct core *core, struct line *line)
{
        PX_ASSERT(line->ready.count == 0 && line->place == LINE_EMPTY);
        reserve_drop(core, line);
        candidate_forget(core, line);
        px_map_take(&core->lines, line_key(line->shape->id, line->owner));
        px_list_remove(&line->of_shape);
        px_heap_fini(&line->ready);
        px_free(line);
}

bool job_in_line(const struct job *job)
{
        return job->state == PX_JOB_STATE_QUEUED ||
               (job->state == PX_JOB_STATE_BLOCKED && job->reason == PX_REASON_SLOT);
}

void line_add(struct core *core, struct job *job)
{
        struct line *line = line_get(core, job);

        PX_ASSERT(job_in_line(job));
        px_heap_push(&line->ready, &job->ready);
        if (line->place == LINE_EMPTY) {
                open_enter(core, line);
        } else if (line->place == LINE_WAITING) {
                core->waiting[line->waiting_at].best = line_first(line);
        } else if (line->place == LINE_OPEN && line_first(line) == job) {
                px_heap_update(&line->share->open, &line->item);
                px_heap_update(&core->turns, &line->share->turn);
        }
}

void line_remove(struct core *core, struct job *job)
{
        struct line *line = line_find(core, job->shape, job->owner);

        PX_ASSERT(line != NULL);
        line_take(core, line, job);
}

void line_take(struct core *core, struct line *line, struct job *job)
{
        PX_ASSERT(line->place != LINE_EMPTY);
        if (line->ready.count == 1)
                line_leave(core, line);
        px_heap_remove(&line->ready, &job->ready);
        if (line->place == LINE_OPEN) {
                px_heap_update(&line->share->open, &line->item);
                px_heap_update(&core->turns, &line->share->turn);
        } else if (line->place == LINE_WAITING) {
                core->waiting[line->waiting_at].best = line_first(line);
        }
        if (line->ready.count > 0)
                return;
        line->waiting_ms = 0;
        reserve_drop(core, line);
        if (core->lines.count > LINES_EMPTY_KEPT)
                line_drop(core, line);
}

void line_reorder(struct core *core, struct job *job, int16_t priority)
{
        bool in_line = job_in_line(job);

        if (in_line)
                line_remove(core, job);
        job->priority = priority;
        if (in_line)
                line_add(core, job);
}

void lines_fini(struct core *core)
{
        size_t cursor = 0;
        uint64_t key;
        void *value;

        while (px_map_next(&core->lines, &cursor, &key, &value)) {
                struct line *line = value;

                px_heap_fini(&line->ready);
                px_free(line);
        }
        px_map_fini(&core->lines);
        px_heap_fini(&core->turns);
        px_free(core->waiting);
}
