/* SPDX-License-Identifier: Apache-2.0 */
/* fill.h - random valid content for any struct of the schema, from its table of fields. */
#ifndef FILL_H
#define FILL_H

#include "px_layout.h"

/* Fill ret (layout->bytes long) with values within the limits of its fields: lists of at most
 * three items, short strings, now and then the extremes of numbers. The same state of `rand`
 * gives the same content. Strings and lists live in the arena. */
void fill_layout(const struct px_layout *layout, struct px_rand *rand, struct px_arena *arena,
                 void *ret);

#endif
