/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - the broker's only clocks and its only source of randomness. Layer: L4 (broker/shell).
 */
#ifndef PX_CLOCK_H
#define PX_CLOCK_H

#include "px_base.h"

/* UTC since 1970; may jump. Units: ms. */
int64_t clock_wall_ms(void);
/* Never goes back; its zero is arbitrary. Units: ms, us. */
int64_t clock_steady_ms(void);
int64_t clock_steady_us(void);

/* Fill from the kernel's generator; ends the process when it has none. */
void clock_random(void *ret_bytes, size_t length);
uint64_t clock_random_u64(void);

/* Core time: continues from where the core's own clock stood when it was loaded. */
struct core_clock {
        int64_t core_ms;   /* at the start */
        int64_t steady_ms; /* at the same moment */
};
void core_clock_init(struct core_clock *clock, int64_t core_ms);
int64_t core_clock_ms(const struct core_clock *clock);
/* The process waited over_ms longer than it meant to. A long time means that it was frozen (stopped, or
 * its machine asleep): core time does not count it, or every node would be silent for its lease. */
void core_clock_overslept(struct core_clock *clock, int64_t over_ms);

#endif
