/* SPDX-License-Identifier: Apache-2.0 */
/* test_core_place.c - gpus, named resources, labels, distance, warmth; requests that cannot be. */
#include "core_driver.h"
#include "test.h"

static struct player node_with(struct driver *driver, uint32_t principal, const char *name,
                               const char *zone)
{
        struct player player = driver_player(driver, principal, name);

        player.cpus_milli = 8000;
        player.gpus = 2;
        player.labels[0] = (struct px_label){px_slice_text("zone"), px_slice_text(zone)};
        player.labels_count = 1;
        player.resources[0] = (struct px_resource){px_slice_text("disk"), 3};
        player.resources_count = 1;
        EXPECT_INT(player_hello(&player), 0);
        return player;
}

static struct px_assign assigned(struct driver *driver, uint64_t job)
{
        const struct core_effect *effect = driver_effect(driver, CORE_EFFECT_ASSIGN);

        EXPECT(effect != NULL);
        EXPECT_U64(effect->assign.item.job.value, job);
        return effect->assign.item;
}

static const char *refusal(struct client *client, struct px_submit_job wish)
{
        struct px_slice frame = client_submit_frame(client, &wish, 1);
        struct px_m_submitted submitted;

        driver_say(client->driver, CORE_FROM_CLIENT, client->peer, client->principal, frame);
        EXPECT(DRIVER_READ(client->driver, client->peer, SUBMITTED, submitted, &submitted));
        EXPECT(submitted.runs[0].code != 0);
        return px_arena_text(driver_arena(client->driver), submitted.runs[0].text);
}

TEST(whole_gpus_are_given_alone_and_shares_fill_one_first)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = node_with(driver, KEY1, "n1", "a");
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        uint64_t first, second, whole, more;

        wish.gpus_milli = 500;
        first = client_submit(&ana, wish, NULL);
        EXPECT_U64(assigned(driver, first).gpus, 1);
        second = client_submit(&ana, wish, NULL);
        EXPECT_U64(assigned(driver, second).gpus, 1); /* beside it, not on the free one */
        wish.gpus_milli = 1000;
        whole = client_submit(&ana, wish, NULL);
        EXPECT_U64(assigned(driver, whole).gpus, 2);
        wish.gpus_milli = 100;
        more = client_submit(&ana, wish, NULL);
        EXPECT_TEXT(driver_state(driver, more), "queued");
        EXPECT_TEXT(client_why(&ana, more, NULL), "it needs 0.100 gpus; most free are 0.000 on n1\n");
        driver_restart(driver, 10); /* which gpu is whose is kept */
        player_holds(&n1, whole, driver_fence(driver, whole), PX_ATTEMPT_STATE_RUNNING);
        player_holds(&n1, first, driver_fence(driver, first), PX_ATTEMPT_STATE_RUNNING);
        player_holds(&n1, second, driver_fence(driver, second), PX_ATTEMPT_STATE_RUNNING);
        EXPECT_INT(player_hello(&n1), 0);
        EXPECT_TEXT(driver_state(driver, more), "queued");
        player_result(&n1, whole, PX_OUTCOME_OK, 0);
        EXPECT_U64(assigned(driver, more).gpus, 2);
}

TEST(a_named_resource_of_a_node_is_not_given_out_twice)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = node_with(driver, KEY1, "n1", "a");
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        struct px_resource disk = {px_slice_text("disk"), 2};
        uint64_t first, second;

        wish.resources = &disk;
        wish.resources_count = 1;
        first = client_submit(&ana, wish, NULL);
        EXPECT_INT(assigned(driver, first).resources_count, 1);
        second = client_submit(&ana, wish, NULL);
        EXPECT_TEXT(client_why(&ana, second, NULL), "it needs 2 disk; most free are 1 on n1\n");
        player_result(&n1, first, PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, second), "assigned");
}

TEST(conditions_on_labels_choose_the_node)
{
        static const struct {
                int op;
                const char *value;
                const char *node;
        } cases[] = {
                {PX_CONSTRAINT_OP_EQUAL, "b", "n2"},     {PX_CONSTRAINT_OP_NOT_EQUAL, "b", "n1"},
                {PX_CONSTRAINT_OP_IN, "b", "n2"},        {PX_CONSTRAINT_OP_EXISTS, NULL, "n1"},
                {PX_CONSTRAINT_OP_NOT_EQUAL, "a", "n2"},
        };
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);

        node_with(driver, KEY1, "n1", "a");
        node_with(driver, KEY2, "n2", "b");
        for (size_t i = 0; i < PX_COUNT_OF(cases); i++) {
                struct px_submit_job wish = driver_true(driver);
                struct px_slice value;
                struct px_constraint constraint = {.key = px_slice_text("zone"),
                                                   .op = cases[i].op};
                uint64_t job;

                if (cases[i].value != NULL) {
                        value = px_slice_text(cases[i].value);
                        constraint.values = &value;
                        constraint.values_count = 1;
                }
                wish.constraints = &constraint;
                wish.constraints_count = 1;
                job = client_submit(&ana, wish, NULL);
                EXPECT_TEXT(driver_state(driver, job), "assigned");
                EXPECT_INT(driver_job(driver, job).node.value,
                           strcmp(cases[i].node, "n1") == 0 ? 1 : 2);
        }
}

TEST(jobs_kept_apart_never_share_a_node)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = node_with(driver, KEY1, "n1", "a");
        struct client ana = driver_client(driver, ANA);
        struct client bob = driver_client(driver, BOB);
        struct px_submit_job wish = driver_true(driver);
        uint64_t first, second;

        wish.apart = px_slice_text("db");
        first = client_submit(&ana, wish, NULL);
        second = client_submit(&ana, wish, NULL);
        EXPECT_TEXT(driver_state(driver, second), "queued");
        EXPECT_TEXT(client_why(&ana, second, NULL),
                    "1 of 1 nodes run a job that is kept apart from it (db)\n");
        EXPECT_TEXT(driver_state(driver, client_submit(&bob, wish, NULL)), "assigned");
        player_result(&n1, first, PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, second), "assigned");
}

TEST(a_warm_node_is_preferred_to_a_free_one)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = node_with(driver, KEY1, "n1", "a");
        struct player n2 = node_with(driver, KEY2, "n2", "b");
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);

        wish.module = px_slice_text("model");
        EXPECT_INT(player_assigned(&n1, client_submit(&ana, wish, NULL)), 1);
        EXPECT_INT(player_assigned(&n1, client_submit(&ana, wish, NULL)), 1);
        wish.module = px_slice_text("other");
        EXPECT_INT(player_assigned(&n2, client_submit(&ana, wish, NULL)), 1);
}

TEST(impossible_requests_are_refused_with_the_best_offer)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        struct px_resource resource = {px_slice_text("disc"), 1};
        struct px_constraint constraint = {.key = px_slice_text("zome"),
                                           .op = PX_CONSTRAINT_OP_EXISTS};

        wish.cpus_milli = 64000;
        EXPECT(client_submit(&ana, wish, NULL) != 0); /* nothing is known yet */
        node_with(driver, KEY1, "n1", "a");
        EXPECT_TEXT(refusal(&ana, wish), "it needs 64.000 cpus; the best node has 8.000");
        wish.wait_for_node = true;
        EXPECT(client_submit(&ana, wish, NULL) != 0);
        wish = driver_true(driver);
        wish.gpus_milli = 3000;
        EXPECT_TEXT(refusal(&ana, wish), "it needs 3.000 gpus; the best node has 2");
        wish.gpus_milli = 1500;
        EXPECT_TEXT(refusal(&ana, wish), "gpus are a share of one, or whole ones");
        wish.gpus_milli = 0;
        wish.resources = &resource;
        wish.resources_count = 1;
        EXPECT_TEXT(refusal(&ana, wish),
                    "neither a node nor the mesh has a resource disc; did you mean disk?");
        resource.name = px_slice_text("disk");
        resource.amount = 4;
        EXPECT_TEXT(refusal(&ana, wish), "it needs 4 disk; the best node has 3");
        resource.amount = 0;
        EXPECT_TEXT(refusal(&ana, wish), "of resource disk 1 to 2000000000 can be asked for");
        wish.resources_count = 0;
        wish.constraints = &constraint;
        wish.constraints_count = 1;
        EXPECT_TEXT(refusal(&ana, wish), "no node has a label zome; did you mean zone?");
        wish.constraints_count = 0;
        wish.queue = px_slice_text("defualt");
        EXPECT_TEXT(refusal(&ana, wish), "there is no queue defualt; did you mean default?");
}

TEST(a_big_job_that_waits_long_gets_a_node_to_itself)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000000});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        uint64_t small[2], big, later;

        small[0] = client_submit(&ana, wish, NULL);
        small[1] = client_submit(&ana, wish, NULL);
        wish.cpus_milli = 2000;
        big = client_submit(&ana, wish, NULL);
        wish.cpus_milli = 1000;
        for (size_t i = 0; i < 40; i++) { /* small ones pass it, second by second */
                later = client_submit(&ana, wish, NULL);
                player_result(&n1, small[i % 2], PX_OUTCOME_OK, 0);
                small[i % 2] = later;
                if (strcmp(driver_state(driver, later), "assigned") != 0)
                        break;
                driver_run_ms(driver, 1000);
        }
        EXPECT_TEXT(driver_state(driver, later), "queued");
        EXPECT(driver_now_ms(driver) >= 30000);
        EXPECT_TEXT(client_why(&ana, later, NULL),
                    "1 of 1 nodes are kept for a job that waits longer\n");
        for (size_t i = 0; i < 2; i++)
                if (strcmp(driver_state(driver, small[i]), "assigned") == 0)
                        player_result(&n1, small[i], PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, big), "assigned");
        player_result(&n1, big, PX_OUTCOME_OK, 0);
        EXPECT_TEXT(driver_state(driver, later), "assigned");
}
