/* SPDX-License-Identifier: Apache-2.0 */
/* strikes.h - malformed messages are counted per principal; too many in a minute and it is not
 * heard for a minute. Layer: L4 (broker/shell). Source: RELIABILITY 5, what hostile input gets. */
#ifndef PX_STRIKES_H
#define PX_STRIKES_H

#include "px_base.h"

#define STRIKES_MAX 10
#define STRIKES_WINDOW_MS 60000
#define STRIKES_MUTE_MS 60000

/* {0} is empty and valid. */
struct strikes {
        struct px_map by_offender;
        size_t muted_count; /* muted now or lately: 0 lets the common case be one compare */
};
void strikes_fini(struct strikes *strikes);
/* Count one. true = with this one the principal became muted. Units: service is enum core_origin;
 * now_ms steady. */
bool strikes_add(struct strikes *strikes, struct px_principal_id principal, uint8_t service,
                 int64_t now_ms);
/* Say on standard error that it became muted. `where` is "" or ends in a blank. */
void strikes_say(struct px_principal_id principal, const char *where);
bool strikes_muted(struct strikes *strikes, struct px_principal_id principal, uint8_t service,
                   int64_t now_ms);

#endif
