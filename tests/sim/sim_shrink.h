/* SPDX-License-Identifier: Apache-2.0 */
/* sim_shrink.h - the smallest run of a seed that still breaks a promise. */
#ifndef SIM_SHRINK_H
#define SIM_SHRINK_H

#include "px_base.h"

/* A run of one seed. */
struct shrink_run {
        uint64_t seed;
        uint64_t events;
        uint64_t faults_off;
};

/* Does the run fail? Runs in a child of its own; what it prints is shown only if asked for. */
typedef bool shrink_fails(const struct shrink_run *run, bool show, void *context);

/* Make a run that fails smaller: fewer events, then without each kind of fault that it can do
 * without. Returns false when it doesn't fail again. */
bool shrink(struct shrink_run *run, shrink_fails *fails, void *context);

#endif
