/* SPDX-License-Identifier: Apache-2.0 */
/* test_core_share.c - fair shares between users. */
#include "core_driver.h"
#include "test.h"

#define JOBS 2000

struct race {
        struct driver *driver;
        struct player node;
        struct client clients[2]; /* ana, bob */
        uint64_t started[2];
};

static void race_fill(struct race *race)
{
        struct px_submit_job wish = driver_true(race->driver);

        for (size_t i = 0; i < JOBS; i++)
                for (size_t user = 0; user < 2; user++)
                        (void)client_submit(&race->clients[user], wish, NULL);
}

/* Jobs given out in the last step. */
static size_t race_given(struct race *race, size_t *ret_user)
{
        const struct core_effect *effect = driver_effect(race->driver, CORE_EFFECT_ASSIGN);

        EXPECT_INT(driver_effects(race->driver, CORE_EFFECT_ASSIGN), 1);
        *ret_user = px_slice_equal(effect->assign.item.principal, px_slice_text("bob"));
        return effect->assign.item.job.value;
}

TEST(weights_of_one_and_three_get_a_quarter_and_three_quarters)
{
        struct race race = {.driver = driver_start((struct driver_options){
                                    .lease_ms = 100000000, .few_checks = true})};
        struct client root = driver_client(race.driver, ROOT);
        struct px_gate limit = {.kind = PX_GATE_KIND_USER, .name = px_slice_text("bob"), .weight = 3};
        size_t user;

        race.clients[0] = driver_client(race.driver, ANA);
        race.clients[1] = driver_client(race.driver, BOB);
        EXPECT_INT(client_limit(&root, limit), 0);
        race_fill(&race);
        race.node = driver_player(race.driver, KEY1, "n1");
        race.node.slots = 1;
        EXPECT_INT(player_hello(&race.node), 0);
        for (size_t i = 0; i < JOBS; i++) {
                uint64_t job = race_given(&race, &user);

                race.started[user]++;
                driver_run_ms(race.driver, 100);
                player_result(&race.node, job, PX_OUTCOME_OK, 0);
        }
        EXPECT(race.started[0] >= JOBS * 23 / 100 && race.started[0] <= JOBS * 27 / 100);
        EXPECT_U64(race.started[0] + race.started[1], JOBS);
}

TEST(who_used_nothing_lately_goes_first_and_use_is_forgotten)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 100000000});
        struct client ana = driver_client(driver, ANA);
        struct client bob = driver_client(driver, BOB);
        struct player n1 = driver_player(driver, KEY1, "n1");
        struct px_submit_job wish = driver_true(driver);
        uint64_t first, anas, bobs;

        n1.slots = 1;
        EXPECT_INT(player_hello(&n1), 0);
        first = client_submit(&ana, wish, NULL);
        driver_run_ms(driver, 10000);
        anas = client_submit(&ana, wish, NULL);
        bobs = client_submit(&bob, wish, NULL);
        player_result(&n1, first, PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, bobs), "assigned"); /* though it came later */
        driver_run_ms(driver, 10);
        player_result(&n1, bobs, PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, anas), "assigned");
        player_result(&n1, anas, PX_OUTCOME_OK, 0);
        driver_run_ms(driver, 24LL * 3600 * 1000); /* what ana used is forgotten */
        client_hello(&ana);
        client_hello(&bob);
        first = client_submit(&bob, wish, NULL);
        bobs = client_submit(&bob, wish, NULL);
        anas = client_submit(&ana, wish, NULL);
        driver_run_ms(driver, 1000);
        player_result(&n1, first, PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, anas), "assigned");
        EXPECT_TEXT(driver_state(driver, bobs), "queued");
}
