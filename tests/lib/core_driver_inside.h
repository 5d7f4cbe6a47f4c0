/* SPDX-License-Identifier: Apache-2.0 */
/* core_driver_inside.h - what the driver's own files share; tests include core_driver.h only. */
#ifndef CORE_DRIVER_INSIDE_H
#define CORE_DRIVER_INSIDE_H

#include "core_driver.h"

uint64_t driver_next_peer(struct driver *driver);
struct px_slice driver_spec(struct driver *driver, bool task);
size_t driver_effects_count(const struct driver *driver);
const struct core_effect *driver_effect_at(const struct driver *driver, size_t index);

#endif
