/* SPDX-License-Identifier: Apache-2.0 */
/* test_shell_peers.c - handles of connections, strikes. */
#include "core.h"
#include "peers.h"
#include "strikes.h"
#include "test.h"

#define ANA ((struct px_principal_id){2})
#define CMD CORE_FROM_CLIENT
#define NODE CORE_FROM_NODE
#define BEN ((struct px_principal_id){3})

static void free_peers(void *context)
{
        peers_free(context);
}

static void free_strikes(void *context)
{
        strikes_fini(context);
}

static struct peers *some_peers(void)
{
        struct peers *peers = peers_new();

        test_cleanup(free_peers, peers);
        return peers;
}

static uint64_t hear(struct peers *peers, uint8_t socket, uint32_t routing,
                     struct px_principal_id principal, int64_t now_ms)
{
        uint64_t replaced;
        struct peer *peer = peers_hear(peers, socket, routing, principal, now_ms, &replaced);

        EXPECT_U64(replaced, 0);
        return peer->handle;
}

TEST(a_connection_keeps_its_handle_and_two_have_two)
{
        struct peers *peers = some_peers();
        uint64_t first = hear(peers, 0, 7, ANA, 1);

        EXPECT_U64(hear(peers, 0, 7, ANA, 2), first);
        EXPECT(hear(peers, 1, 7, ANA, 2) != first);
        EXPECT(hear(peers, 0, 8, ANA, 2) != first);
        EXPECT_U64(peers_count(peers), 3);
        EXPECT_U64(peers_find(peers, first)->routing, 7);
}

TEST(a_handle_is_never_used_again)
{
        struct peers *peers = some_peers();
        uint64_t first = hear(peers, 0, 7, ANA, 1);

        EXPECT(peers_drop(peers, first));
        EXPECT(!peers_drop(peers, first));
        EXPECT(peers_find(peers, first) == NULL);
        EXPECT(hear(peers, 0, 7, ANA, 2) > first);
}

TEST(a_routing_id_of_another_principal_is_another_peer)
{
        struct peers *peers = some_peers();
        uint64_t first = hear(peers, 0, 7, ANA, 1);
        uint64_t replaced = 0;
        struct peer *second = peers_hear(peers, 0, 7, BEN, 2, &replaced);

        EXPECT_U64(replaced, first);
        EXPECT(second->handle > first);
        EXPECT(peers_find(peers, first) == NULL);
}

TEST(the_longest_silent_peer_is_named_when_its_time_is_over)
{
        struct peers *peers = some_peers();
        uint64_t first = hear(peers, 0, 1, ANA, 100);
        uint64_t second = hear(peers, 0, 2, ANA, 200);

        hear(peers, 0, 1, ANA, 300); /* speaks again */
        EXPECT_U64(peers_silent(peers, 1199, 1000), 0);
        EXPECT_U64(peers_silent(peers, 1200, 1000), second);
        EXPECT(peers_drop(peers, second));
        EXPECT_U64(peers_silent(peers, 1200, 1000), 0);
        EXPECT_U64(peers_silent(peers, 1300, 1000), first);
}

TEST(ten_strikes_within_a_minute_mute_a_principal_for_a_minute)
{
        static struct strikes strikes;

        strikes = (struct strikes){0};
        test_cleanup(free_strikes, &strikes);
        for (int i = 0; i < STRIKES_MAX - 1; i++)
                EXPECT(!strikes_add(&strikes, ANA, CMD, 1000 + i));
        EXPECT(!strikes_muted(&strikes, ANA, CMD, 1100));
        EXPECT(strikes_add(&strikes, ANA, CMD, 2000));
        EXPECT(strikes_muted(&strikes, ANA, CMD, 2000));
        EXPECT(!strikes_muted(&strikes, BEN, CMD, 2000));
        EXPECT(!strikes_muted(&strikes, ANA, NODE, 2000));
        EXPECT(strikes_muted(&strikes, ANA, CMD, 2000 + STRIKES_MUTE_MS - 1));
        EXPECT(!strikes_muted(&strikes, ANA, CMD, 2000 + STRIKES_MUTE_MS));
        EXPECT(!strikes_add(&strikes, ANA, CMD, 2000 + STRIKES_MUTE_MS));
}

TEST(strikes_further_apart_than_a_minute_mute_nobody)
{
        static struct strikes strikes;

        strikes = (struct strikes){0};
        test_cleanup(free_strikes, &strikes);
        for (int i = 0; i < 5 * STRIKES_MAX; i++)
                EXPECT(!strikes_add(&strikes, ANA, CMD, (int64_t)i * (STRIKES_WINDOW_MS / 5)));
        EXPECT(!strikes_muted(&strikes, ANA, CMD, 5 * STRIKES_WINDOW_MS));
}
