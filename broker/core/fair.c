/* SPDX-License-Identifier: Apache-2.0 */
/* fair.c - fair shares: among jobs of equal priority the user goes first who used least lately.
 * Layer: L2 (broker/core). Source: DESIGN 8.
 *
 * Use is processor time (a gpu counts as eight processors) divided by the user's weight, and halves in
 * an hour. At an assignment what the attempt may take is charged, as attempts of its shape took lately,
 * so that many assignments in one step are shared out too; at its end the charge becomes what it took.
 * RAM only: after a restart all begin with nothing used. */
#include "state.h"

#define PERIOD_MS 60000
#define PERIODS_MAX 1500 /* after so many nothing is left */
/* 2^(-1/60) in millionths: sixty periods make a half. */
#define DECAY_MILLIONTHS 988514
#define RUN_MS_GUESS 1000 /* of a shape of which none has ended */
#define GPU_AS_CPUS 8

/* ---- order ------------------------------------------------------------------------------------------- */

static const struct line *share_best(const struct share *share)
{
        return PX_CONTAINER_OF(px_heap_first(&share->open), const struct line, item);
}

static bool turn_before(const struct px_heap_item *a, const struct px_heap_item *b)
{
        return line_before(share_best(PX_CONTAINER_OF(a, const struct share, turn)),
                           share_best(PX_CONTAINER_OF(b, const struct share, turn)));
}

static bool open_before(const struct px_heap_item *a, const struct px_heap_item *b)
{
        return job_before(line_first(PX_CONTAINER_OF(a, const struct line, item)),
                          line_first(PX_CONTAINER_OF(b, const struct line, item)));
}

void share_init(struct share *share)
{
        px_heap_init(&share->open, open_before);
}

void share_fini(struct share *share)
{
        px_heap_fini(&share->open);
}

void shares_init(struct core *core)
{
        px_heap_init(&core->turns, turn_before);
}

static void share_moved(struct core *core, struct share *share)
{
        if (share->turn.position != 0)
                px_heap_update(&core->turns, &share->turn);
}

/* ---- use ---------------------------------------------------------------------------------------------- */

static uint32_t share_weight(const struct share *share)
{
        return share->gate == NULL || share->gate->set.weight == 0 ? 1 : share->gate->set.weight;
}

int share_priority_max(const struct share *share)
{
        return share->gate == NULL || share->gate->set.priority_max == 0
                       ? PX_LIMIT_PRIORITY
                       : share->gate->set.priority_max;
}

static uint64_t cost_of(const struct share *share, const struct shape *shape, uint64_t run_ms)
{
        uint64_t cpus_milli = shape->need.kind == PX_JOB_KIND_TASK && shape->need.cpus_milli == 0
                                      ? 1000
                                      : shape->need.cpus_milli;

        cpus_milli += (uint64_t)GPU_AS_CPUS * shape->need.gpus_milli;
        return cpus_milli * PX_MAX(run_ms, (uint64_t)1) / share_weight(share);
}

void share_enter(struct core *core, struct attempt *attempt)
{
        struct share *share = attempt->share;
        const struct shape *shape = attempt->shape;

        share->running++;
        attempt->charged =
                cost_of(share, shape, shape->run_ms == 0 ? RUN_MS_GUESS : shape->run_ms);
        share->used += attempt->charged;
        share_moved(core, share);
}

void share_leave(struct core *core, const struct attempt *attempt)
{
        struct share *share = attempt->share;
        uint64_t took = cost_of(share, attempt->shape,
                                (uint64_t)(core->core_ms - attempt->begun_ms));

        PX_ASSERT(share->running > 0);
        share->running--;
        /* What was charged may have decayed meanwhile. */
        share->used += took;
        share->used -= PX_MIN(share->used, attempt->charged);
        share_moved(core, share);
}

static void share_decay(struct share *share, int64_t periods)
{
        for (int64_t i = 0; i < periods && share->used > 0; i++)
                share->used = share->used / 1000000 * DECAY_MILLIONTHS +
                              share->used % 1000000 * DECAY_MILLIONTHS / 1000000;
}

/* Rounding may make equals of what was not, and equals are ordered otherwise: take all turns anew. */
void shares_decay(struct core *core)
{
        int64_t periods = core->core_ms / PERIOD_MS - core->shares_period;

        if (periods <= 0)
                return;
        core->shares_period += periods;
        while (core->turns.count > 0)
                px_heap_remove(&core->turns, px_heap_first(&core->turns));
        PX_LIST_EACH(&core->principal_list, at)
        {
                struct share *share = &PX_CONTAINER_OF(at, struct principal, link)->share;

                share_decay(share, PX_MIN(periods, (int64_t)PERIODS_MAX));
                if (share->open.count > 0)
                        px_heap_push(&core->turns, &share->turn);
        }
}

uint32_t share_permille(const struct core *core, const struct share *share)
{
        uint64_t all = 0;
        uint64_t weighted;

        PX_LIST_EACH(&core->principal_list, at)
        {
                const struct share *other = &PX_CONTAINER_OF(at, struct principal, link)->share;

                all += other->used * share_weight(other);
        }
        weighted = share->used * share_weight(share);
        return all < 1000 ? 0 : (uint32_t)(weighted / (all / 1000));
}
