/* SPDX-License-Identifier: Apache-2.0 */
/* lib_callback.h - calls of the user's functions, collected under the lock and made without it.
 * Layer: L4 (client/lib). */
#ifndef PX_LIB_CALLBACK_H
#define PX_LIB_CALLBACK_H

#include "px_base.h"

struct callback {
        struct px_link link;
        void (*call)(void *context, int error, uint64_t job);
        void *context;
        int error;
        uint64_t job;
};

void callbacks_run(struct px_link *callbacks);  /* empties the list */
void callbacks_drop(struct px_link *callbacks); /* the same without calling */

#endif
