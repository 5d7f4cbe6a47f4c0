/* SPDX-License-Identifier: Apache-2.0 */
/* timer.c - one heap of everything that becomes due. Layer: L2 (broker/core). */
#include "state.h"

static bool timer_before(const struct px_heap_item *a, const struct px_heap_item *b)
{
        const struct timer *x = PX_CONTAINER_OF(a, const struct timer, item);
        const struct timer *y = PX_CONTAINER_OF(b, const struct timer, item);

        if (x->due_ms != y->due_ms)
                return x->due_ms < y->due_ms;
        if (x->kind != y->kind)
                return x->kind < y->kind;
        return x->id < y->id;
}

void timers_init(struct core *core)
{
        px_heap_init(&core->timers, timer_before);
}

void timer_arm(struct core *core, struct timer *timer, uint8_t kind, uint64_t id, int64_t due_ms)
{
        PX_ASSERT(kind >= TIMER_JOB && kind <= TIMER_EXPIRY);
        timer_disarm(core, timer);
        timer->kind = kind;
        timer->id = id;
        timer->due_ms = due_ms;
        px_heap_push(&core->timers, &timer->item);
}

void timer_disarm(struct core *core, struct timer *timer)
{
        if (timer->item.position != 0)
                px_heap_remove(&core->timers, &timer->item);
        PX_ASSERT(timer->item.position == 0);
}

static struct timer *timer_first(const struct core *core)
{
        struct px_heap_item *item = px_heap_first(&core->timers);

        return item == NULL ? NULL : PX_CONTAINER_OF(item, struct timer, item);
}

static void timer_fire(struct core *core, uint8_t kind, uint64_t id)
{
        switch (kind) {
        case TIMER_JOB:
                job_timer_fired(core, id);
                break;
        case TIMER_LEASE:
                node_lease_fired(core, id);
                break;
        case TIMER_REPEAT:
                node_repeat_fired(core, id);
                break;
        case TIMER_SESSION:
                session_fired(core, id);
                break;
        case TIMER_GATE:
                gate_timer_fired(core, id);
                break;
        case TIMER_RESERVE:
                reserve_fired(core);
                break;
        case TIMER_EXPIRY:
                expiry_fired(core, id);
                break;
        default:
                PX_UNREACHABLE();
        }
}

/* What a timer sets off arms it later than now, so that this ends. */
void timers_fire(struct core *core)
{
        struct timer *timer;

        while ((timer = timer_first(core)) != NULL && timer->due_ms <= core->core_ms) {
                uint8_t kind = timer->kind;
                uint64_t id = timer->id;

                timer_disarm(core, timer);
                timer_fire(core, kind, id);
        }
}

int64_t core_deadline_ms(const struct core *core)
{
        const struct timer *timer = timer_first(core);

        return timer == NULL ? INT64_MAX : timer->due_ms;
}
