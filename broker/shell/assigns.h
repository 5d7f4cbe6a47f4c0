/* SPDX-License-Identifier: Apache-2.0 */
/* assigns.h - ASSIGN messages under construction: the specs are read from the log, items of one
 * peer and session share a message. Layer: L4 (broker/shell). */
#ifndef PX_ASSIGNS_H
#define PX_ASSIGNS_H

#include "px_codec.h"
#include "px_read.h"

/* A message is closed before it grows beyond this. */
#define ASSIGNS_BYTES_MAX ((size_t)1 << 20)

struct assigns; /* opaque; owned by the core thread */

/* send(context, peer, frame) is called with each finished message. */
typedef void assigns_send(void *context, uint64_t peer, struct px_slice frame);

struct assigns *assigns_new(assigns_send *send, void *context);
void assigns_free(struct assigns *assigns);
/* Add one item with the job's spec.
 * Owns:    the item's slices are copied.
 * Refuses: PX_E_ABSENT the spec is gone (the job was purged meanwhile); PX_E_DAMAGED it was set
 * aside. */
int assigns_add(struct assigns *assigns, struct px_log *log, uint64_t peer, uint64_t node_session,
                const struct px_assign *item);
/* Send what was gathered for this peer, so that what follows stays behind it. */
void assigns_flush_peer(struct assigns *assigns, uint64_t peer);
void assigns_flush(struct assigns *assigns);

#endif
