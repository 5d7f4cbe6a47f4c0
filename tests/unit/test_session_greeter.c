/* SPDX-License-Identifier: Apache-2.0 */
/* test_session_greeter.c - who greets when, in virtual time. */
#include "test.h"

#include "px_session.h"

static struct px_greeter greeter;

static void greeter_start(void)
{
        px_greeter_init(&greeter, 1000, 3500, 7);
}

static void greeter_up(int64_t now_ms)
{
        greeter_start();
        EXPECT_INT(px_greeter_step(&greeter, 1000), PX_GREETER_HELLO);
        px_greeter_welcomed(&greeter, now_ms, 2000, 14000);
}

TEST(the_first_greeting_is_due_at_once_and_only_once)
{
        greeter_start();
        EXPECT_INT(px_greeter_deadline_ms(&greeter), 1000);
        EXPECT_INT(px_greeter_step(&greeter, 1000), PX_GREETER_HELLO);
        EXPECT_INT(px_greeter_step(&greeter, 1000), PX_GREETER_NOTHING);
        EXPECT(!greeter.up);
}

TEST(greetings_back_off_to_the_stated_pause)
{
        int64_t now_ms = 1000;
        int64_t last_ms = 1000;

        greeter_start();
        for (int i = 0; i < 12; i++) {
                int64_t pause_ms;

                EXPECT_INT(px_greeter_step(&greeter, now_ms), PX_GREETER_HELLO);
                px_greeter_heard(&greeter, now_ms); /* so that silence doesn't cut in */
                last_ms = now_ms;
                now_ms = px_greeter_deadline_ms(&greeter);
                pause_ms = now_ms - last_ms;
                EXPECT(pause_ms >= (i < 6 ? 50 << i : 1750));
                EXPECT(pause_ms <= PX_MIN(100 << i, 3500));
        }
}

TEST(a_welcome_ends_the_greeting_and_begins_the_pings)
{
        greeter_up(1500);
        EXPECT(greeter.up);
        EXPECT_INT(px_greeter_deadline_ms(&greeter), 3500);
        EXPECT_INT(px_greeter_step(&greeter, 3499), PX_GREETER_NOTHING);
        EXPECT_INT(px_greeter_step(&greeter, 3500), PX_GREETER_PING);
        EXPECT_INT(px_greeter_step(&greeter, 3500), PX_GREETER_NOTHING);
        EXPECT_INT(px_greeter_deadline_ms(&greeter), 5500);
}

TEST(a_peer_that_is_heard_is_never_renewed)
{
        greeter_up(1000);
        for (int64_t now_ms = 3000; now_ms < 100000; now_ms += 2000) {
                EXPECT_INT(px_greeter_step(&greeter, now_ms), PX_GREETER_PING);
                px_greeter_heard(&greeter, now_ms + 1);
        }
}

TEST(a_silent_peer_is_renewed_and_greeted_again)
{
        enum px_greeter_action action;
        int64_t now_ms = 1000;

        greeter_up(1000);
        do {
                now_ms = px_greeter_deadline_ms(&greeter);
                action = px_greeter_step(&greeter, now_ms);
        } while (action == PX_GREETER_PING);
        EXPECT_INT(action, PX_GREETER_RENEW);
        EXPECT_INT(now_ms, 15000);
        EXPECT(!greeter.up);
        now_ms = px_greeter_deadline_ms(&greeter);
        EXPECT(now_ms <= 15100);
        EXPECT_INT(px_greeter_step(&greeter, now_ms), PX_GREETER_HELLO);
}

TEST(a_peer_that_never_answers_a_greeting_is_renewed_too)
{
        int renewals = 0;

        greeter_start();
        while (px_greeter_deadline_ms(&greeter) < 100000)
                if (px_greeter_step(&greeter, px_greeter_deadline_ms(&greeter)) == PX_GREETER_RENEW)
                        renewals++;
        EXPECT_INT(renewals, 6);
}

TEST(many_agains_cause_one_greeting)
{
        greeter_up(1000);
        px_greeter_again(&greeter, 1200);
        EXPECT(!greeter.up);
        EXPECT_INT(px_greeter_step(&greeter, 1200), PX_GREETER_HELLO);
        px_greeter_again(&greeter, 1200);
        px_greeter_again(&greeter, 1201);
        EXPECT_INT(px_greeter_step(&greeter, 1201), PX_GREETER_NOTHING);
}
