/* SPDX-License-Identifier: Apache-2.0 */
/* keys.h - who holds which CURVE key: an immutable snapshot, replaced by the core thread, read by the
 * ZAP thread, the core thread and egress. Layer: L4 (broker/shell). */
#ifndef PX_KEYS_H
#define PX_KEYS_H

#include "px_base.h"
#include "px_schema.h"

#define KEYS_PUBLIC_BYTES 32
/* ZAP User-Id given to every peer: the principal's number in decimal. */
#define KEYS_USER_ID_ROOM 16

struct keys; /* opaque; thread-safe */

struct keys_entry {
        struct px_principal_id id;
        int role; /* PX_ROLE_DEAD = revoked or expired: admitted on cmd only, to be told so */
        uint8_t public_key[KEYS_PUBLIC_BYTES];
        char name[65];
};

struct keys *keys_new(void);
void keys_free(struct keys *keys);
/* Replace the whole table; entries are copied. local = the principal of peers on local sockets
 * (same Unix account, 0700 directory); 0 = none. */
void keys_replace(struct keys *keys, const struct keys_entry *entries, size_t count,
                  struct px_principal_id local);
/* Counts the replacements since which somebody who saw everything no longer does so under the same key. */
uint64_t keys_cuts(struct keys *keys);
bool keys_find_key(struct keys *keys, const uint8_t *public_key, struct keys_entry *ret_entry);
bool keys_find_id(struct keys *keys, struct px_principal_id id, struct keys_entry *ret_entry);
bool keys_find_local(struct keys *keys, struct keys_entry *ret_entry);
/* The principal of a received message part (not the id frame): its ZAP User-Id, looked up anew.
 * false = none: drop the message. */
bool keys_of_message(struct keys *keys, const char *user_id, struct keys_entry *ret_entry);

#endif
