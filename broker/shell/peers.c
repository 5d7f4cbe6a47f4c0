/* SPDX-License-Identifier: Apache-2.0 */
/* peers.c - two maps and a list ordered by the last word. Layer: L4 (broker/shell). */
#include "peers.h"

struct peers {
        struct px_map by_route; /* socket, routing id -> struct peer */
        struct px_map by_handle;
        struct px_link by_age; /* longest silent first */
        uint64_t last_handle;
};

static uint64_t route_of(uint8_t socket, uint32_t routing)
{
        return ((uint64_t)socket << 32 | routing) + 1; /* never 0 */
}

struct peers *peers_new(void)
{
        struct peers *peers = px_alloc(sizeof(*peers));

        px_list_init(&peers->by_age);
        return peers;
}

void peers_free(struct peers *peers)
{
        if (peers == NULL)
                return;
        while (!px_list_empty(&peers->by_age)) {
                struct peer *peer = PX_CONTAINER_OF(peers->by_age.next, struct peer, by_age);
                peers_drop(peers, peer->handle);
        }
        px_map_fini(&peers->by_route);
        px_map_fini(&peers->by_handle);
        px_free(peers);
}

static struct peer *make(struct peers *peers, uint8_t socket, uint32_t routing,
                         struct px_principal_id principal)
{
        struct peer *peer = px_alloc(sizeof(*peer));

        peer->handle = ++peers->last_handle;
        peer->socket = socket;
        peer->routing = routing;
        peer->principal = principal;
        px_map_put(&peers->by_route, route_of(socket, routing), peer);
        px_map_put(&peers->by_handle, peer->handle, peer);
        px_list_append(&peers->by_age, &peer->by_age);
        return peer;
}

struct peer *peers_hear(struct peers *peers, uint8_t socket, uint32_t routing,
                        struct px_principal_id principal, int64_t now_ms, uint64_t *ret_replaced)
{
        struct peer *peer = px_map_find(&peers->by_route, route_of(socket, routing));

        PX_ASSERT(principal.value != 0);
        *ret_replaced = 0;
        if (peer != NULL && peer->principal.value != principal.value) {
                *ret_replaced = peer->handle;
                PX_ASSERT(peers_drop(peers, peer->handle));
                peer = NULL;
        }
        if (peer == NULL) {
                peer = make(peers, socket, routing, principal);
        } else {
                px_list_remove(&peer->by_age);
                px_list_append(&peers->by_age, &peer->by_age);
        }
        peer->heard_ms = now_ms;
        return peer;
}

struct peer *peers_find(struct peers *peers, uint64_t handle)
{
        return handle == 0 ? NULL : px_map_find(&peers->by_handle, handle);
}

bool peers_drop(struct peers *peers, uint64_t handle)
{
        struct peer *peer = handle == 0 ? NULL : px_map_take(&peers->by_handle, handle);

        if (peer == NULL)
                return false;
        PX_ASSERT(px_map_take(&peers->by_route, route_of(peer->socket, peer->routing)) == peer);
        px_list_remove(&peer->by_age);
        px_free(peer);
        return true;
}

uint64_t peers_silent(const struct peers *peers, int64_t now_ms, int64_t silence_ms)
{
        const struct peer *oldest;

        if (px_list_empty(&peers->by_age))
                return 0;
        oldest = PX_CONTAINER_OF(peers->by_age.next, struct peer, by_age);
        return now_ms - oldest->heard_ms >= silence_ms ? oldest->handle : 0;
}

size_t peers_count(const struct peers *peers)
{
        return peers->by_handle.count;
}
