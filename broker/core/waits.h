/* SPDX-License-Identifier: Apache-2.0 */
/* waits.h - every condition that keeps a job from running now, with numbers. Layer: L2 (broker/core),
 * private to this folder. Recomputed at each question, bounded, changing nothing. Source: DESIGN 8. */
#ifndef PX_CORE_WAITS_H
#define PX_CORE_WAITS_H

#include "state.h"

struct waits {
        struct px_waits items[PX_LIMIT_WHY_LINES];
        size_t count;
        uint32_t nodes;      /* that run such jobs */
        uint32_t nodes_able; /* that could when empty */
        uint32_t nodes_free; /* that have room now */
};

/* Texts live as long as the output. */
void waits_add(struct waits *waits, int reason, struct px_slice text);
/* Gates that are shut for a job of this shape and owner. */
void waits_of_gates(struct core *core, const struct shape *shape, uint32_t owner,
                    struct waits *waits);
/* What the nodes lack. line may be NULL: of a job that is not in line. */
void waits_of_nodes(struct core *core, const struct shape *shape, uint32_t owner,
                    const struct line *line, struct waits *waits);
/* Jobs of its line that go before it; UINT64_MAX when there are too many to count. */
uint64_t waits_position(const struct line *line, const struct job *job);
/* Until its start, when `before` jobs go before it, as starts of its shape followed each other lately.
 * 0 = unknown: not two of them have started since the broker did. */
uint64_t waits_estimate_ms(const struct core *core, const struct shape *shape, uint64_t before);

#endif
