/* SPDX-License-Identifier: Apache-2.0 */
/* strikes.c - a count, a window and a mute per principal and service. Principals are at most
 * PX_LIMIT_PRINCIPALS, so the table is bounded. Layer: L4 (broker/shell). */
#include "strikes.h"

#include <inttypes.h>
#include <stdio.h>

struct offender {
        uint32_t count;
        int64_t window_ms;      /* when the count began */
        int64_t muted_until_ms; /* 0 = not muted */
};

static uint64_t offender_key(struct px_principal_id principal, uint8_t service)
{
        PX_ASSERT(principal.value != 0);
        return (uint64_t)service << 32 | principal.value;
}

void strikes_fini(struct strikes *strikes)
{
        size_t cursor = 0;
        uint64_t key;
        void *value;

        while (px_map_next(&strikes->by_offender, &cursor, &key, &value))
                px_free(value);
        px_map_fini(&strikes->by_offender);
        *strikes = (struct strikes){0};
}

bool strikes_add(struct strikes *strikes, struct px_principal_id principal, uint8_t service,
                 int64_t now_ms)
{
        uint64_t key = offender_key(principal, service);
        struct offender *offender = px_map_find(&strikes->by_offender, key);

        if (offender == NULL) {
                offender = px_alloc(sizeof(*offender));
                offender->window_ms = now_ms;
                px_map_put(&strikes->by_offender, key, offender);
        }
        if (now_ms - offender->window_ms >= STRIKES_WINDOW_MS) {
                offender->window_ms = now_ms;
                offender->count = 0;
        }
        offender->count++;
        if (offender->count < STRIKES_MAX || offender->muted_until_ms != 0)
                return false;
        offender->muted_until_ms = now_ms + STRIKES_MUTE_MS;
        strikes->muted_count++;
        return true;
}

void strikes_say(struct px_principal_id principal, const char *where)
{
        fprintf(stderr,
                "plexus-broker: principal %" PRIu32
                " sent %d malformed messages %swithin %d s and is "
                "not heard for %d s\n",
                principal.value, STRIKES_MAX, where, STRIKES_WINDOW_MS / 1000,
                STRIKES_MUTE_MS / 1000);
}

bool strikes_muted(struct strikes *strikes, struct px_principal_id principal, uint8_t service,
                   int64_t now_ms)
{
        struct offender *offender;

        if (strikes->muted_count == 0)
                return false;
        offender = px_map_find(&strikes->by_offender, offender_key(principal, service));
        if (offender == NULL || offender->muted_until_ms == 0)
                return false;
        if (now_ms < offender->muted_until_ms)
                return true;
        offender->muted_until_ms = 0;
        offender->count = 0;
        offender->window_ms = now_ms;
        PX_ASSERT(strikes->muted_count > 0);
        strikes->muted_count--;
        return false;
}
