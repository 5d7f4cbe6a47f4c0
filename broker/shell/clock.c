/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - clocks and randomness of the broker. Layer: L4 (broker/shell). */
#include "clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "exit.h"

static int64_t read_us(clockid_t id)
{
        struct timespec now;

        PX_ASSERT(clock_gettime(id, &now) == 0);
        return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
        return read_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_steady_us(void)
{
        return read_us(CLOCK_MONOTONIC);
}

int64_t clock_steady_ms(void)
{
        return clock_steady_us() / 1000;
}

void clock_random(void *ret_bytes, size_t length)
{
        uint8_t *at = ret_bytes;

        while (length > 0) {
                ssize_t got = getrandom(at, length, 0);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0) {
                        perror("plexus-broker: getrandom");
                        _Exit(BROKER_EXIT_SYSTEM);
                }
                at += got;
                length -= (size_t)got;
        }
}

uint64_t clock_random_u64(void)
{
        uint64_t value;

        clock_random(&value, sizeof(value));
        return value;
}

#define CORE_CLOCK_FROZEN_MS 1000

void core_clock_init(struct core_clock *clock, int64_t core_ms)
{
        clock->core_ms = core_ms;
        clock->steady_ms = clock_steady_ms();
}

int64_t core_clock_ms(const struct core_clock *clock)
{
        int64_t passed_ms = clock_steady_ms() - clock->steady_ms;

        PX_ASSERT(passed_ms >= 0);
        return clock->core_ms + passed_ms;
}

void core_clock_overslept(struct core_clock *clock, int64_t over_ms)
{
        if (over_ms >= CORE_CLOCK_FROZEN_MS)
                clock->steady_ms += over_ms;
}
