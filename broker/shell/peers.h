/* SPDX-License-Identifier: Apache-2.0 */
/* peers.h - connections as the core knows them: (socket, routing id, principal) <-> a handle that
 * is never used again. Layer: L4 (broker/shell). */
#ifndef PX_PEERS_H
#define PX_PEERS_H

#include "px_base.h"

struct peers; /* opaque; owned by the core thread */

struct peer {
        uint64_t handle;  /* 1, 2, 3, ... over the life of the process */
        uint8_t socket;   /* index of the shell's socket */
        uint32_t routing; /* the library's routing id: 0x00, then this in big endian */
        struct px_principal_id principal;
        int64_t heard_ms;
        struct px_link by_age;
};

struct peers *peers_new(void);
void peers_free(struct peers *peers);

/* The peer behind a message, made on its first word. A routing id that now belongs to another
 * principal is another peer: the old one's handle is given in *ret_replaced (else 0).
 * Owns: borrowed until it is dropped. Units: now_ms steady. */
struct peer *peers_hear(struct peers *peers, uint8_t socket, uint32_t routing,
                        struct px_principal_id principal, int64_t now_ms, uint64_t *ret_replaced);
struct peer *peers_find(struct peers *peers, uint64_t handle);
/* Forget it; its next word makes a new handle. false = it was unknown. */
bool peers_drop(struct peers *peers, uint64_t handle);
/* Handle of the peer silent for longest if that is silence_ms or more, else 0. */
uint64_t peers_silent(const struct peers *peers, int64_t now_ms, int64_t silence_ms);
size_t peers_count(const struct peers *peers);

#endif
