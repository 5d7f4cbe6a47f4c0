/* SPDX-License-Identifier: Apache-2.0 */
/* px_greeter.c - who greets: HELLO until WELCOME, then pings; silence renews the connection.
 * Layer: L1 (schema/session). Source: DESIGN 5.1, 5.5. */
#include "px_session.h"

#define GREETER_BACKOFF_FIRST_MS 100
#define GREETER_SILENCE_FIRST_MS 15000 /* before the first WELCOME names one */

void px_greeter_init(struct px_greeter *greeter, int64_t now_ms, uint64_t backoff_max_ms,
                     uint64_t seed)
{
        PX_ASSERT(backoff_max_ms > 0);
        *greeter = (struct px_greeter){
                .next_ms = now_ms,
                .since_ms = now_ms,
                .silence_ms = GREETER_SILENCE_FIRST_MS,
                .backoff_ms = PX_MIN(GREETER_BACKOFF_FIRST_MS, backoff_max_ms),
                .backoff_max_ms = backoff_max_ms,
        };
        px_rand_init(&greeter->rand, seed);
}

/* Greet anew, first at a random moment within delay_ms, so that many peers don't greet at once. */
static void greeter_begin(struct px_greeter *greeter, int64_t now_ms, uint64_t delay_ms)
{
        greeter->up = false;
        greeter->backoff_ms = PX_MIN(GREETER_BACKOFF_FIRST_MS, greeter->backoff_max_ms);
        greeter->next_ms = now_ms + (int64_t)px_rand_below(&greeter->rand, delay_ms + 1);
}

static enum px_greeter_action greeter_hello(struct px_greeter *greeter, int64_t now_ms)
{
        uint64_t backoff_ms = greeter->backoff_ms;

        /* Between half of it and all of it. */
        backoff_ms -= px_rand_below(&greeter->rand, backoff_ms / 2 + 1);
        greeter->next_ms = now_ms + (int64_t)PX_MAX(backoff_ms, 1u);
        greeter->backoff_ms = PX_MIN(greeter->backoff_ms * 2, greeter->backoff_max_ms);
        return PX_GREETER_HELLO;
}

enum px_greeter_action px_greeter_step(struct px_greeter *greeter, int64_t now_ms)
{
        if (now_ms >= greeter->since_ms + (int64_t)greeter->silence_ms) {
                greeter->since_ms = now_ms;
                greeter_begin(greeter, now_ms, GREETER_BACKOFF_FIRST_MS);
                return PX_GREETER_RENEW;
        }
        if (now_ms < greeter->next_ms)
                return PX_GREETER_NOTHING;
        if (!greeter->up)
                return greeter_hello(greeter, now_ms);
        greeter->next_ms = now_ms + (int64_t)greeter->heartbeat_ms;
        return PX_GREETER_PING;
}

void px_greeter_welcomed(struct px_greeter *greeter, int64_t now_ms, uint64_t heartbeat_ms,
                         uint64_t silence_ms)
{
        PX_ASSERT(heartbeat_ms > 0);
        PX_ASSERT(silence_ms > heartbeat_ms);
        greeter->up = true;
        greeter->heartbeat_ms = heartbeat_ms;
        greeter->silence_ms = silence_ms;
        greeter->next_ms = now_ms + (int64_t)heartbeat_ms;
        px_greeter_heard(greeter, now_ms);
}

void px_greeter_again(struct px_greeter *greeter, int64_t now_ms)
{
        px_greeter_heard(greeter, now_ms);
        /* One AGAIN comes for each message sent meanwhile: only the first one counts. */
        if (greeter->up)
                greeter_begin(greeter, now_ms, 0);
}

void px_greeter_heard(struct px_greeter *greeter, int64_t now_ms)
{
        greeter->heard_ms = now_ms;
        greeter->since_ms = now_ms;
}

int64_t px_greeter_deadline_ms(const struct px_greeter *greeter)
{
        return PX_MIN(greeter->next_ms, greeter->since_ms + (int64_t)greeter->silence_ms);
}
