/* SPDX-License-Identifier: Apache-2.0 */
/* sim_shrink.c - see sim_shrink.h. A smaller run is another run: that it fails is tried each time. */
#include "sim_shrink.h"

#include "sim.h"

#define EVENTS_STEP 16 /* not worth looking closer */

/* The fewest events before all heals with which it fails, near enough. */
static void shrink_events(struct shrink_run *run, shrink_fails *fails, void *context)
{
        uint64_t low = 0;

        while (run->events - low > EVENTS_STEP) {
                struct shrink_run less = *run;

                less.events = low + (run->events - low) / 2;
                if (fails(&less, false, context))
                        *run = less;
                else
                        low = less.events;
        }
}

static void shrink_faults(struct shrink_run *run, shrink_fails *fails, void *context)
{
        for (unsigned kind = 0; kind < SIM_FAULT_KINDS; kind++) {
                struct shrink_run less = *run;

                less.faults_off |= (uint64_t)1 << kind;
                if (fails(&less, false, context))
                        *run = less;
        }
}

bool shrink(struct shrink_run *run, shrink_fails *fails, void *context)
{
        if (!fails(run, false, context))
                return false;
        shrink_events(run, fails, context);
        shrink_faults(run, fails, context);
        shrink_events(run, fails, context);
        return true;
}
