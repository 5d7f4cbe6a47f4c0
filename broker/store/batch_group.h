/* SPDX-License-Identifier: Apache-2.0 */
/* batch_group.h - batches on their way: written and flushed together, then applied.
 * Layer: L3 (broker/store). One owner at a time: the core thread fills it, the journal thread seals
 * and writes it, the store thread applies it, the core thread frees it. The core thread reads the
 * rows in it all the while; nobody changes those. */
#ifndef PX_BATCH_GROUP_H
#define PX_BATCH_GROUP_H

#include "px_base.h"

#define BATCH_GROUP_BYTES_MAX (4u << 20) /* unless a single batch is larger */
#define BATCH_GROUP_BATCHES_MAX 4096

struct batch_group {
        struct px_link link;
        struct px_buf records; /* journal_format.h */
        struct px_buf entries; /* of the overlay, pointers (overlay.c); core thread */
        uint64_t index_first;
        uint64_t index_last;
        uint32_t batches;
        int64_t since_ms; /* when its first batch was submitted */
        size_t applied;   /* offset of the first record that is not applied */
};

#endif
