/* SPDX-License-Identifier: Apache-2.0 */
/* lib_view.h - from what the wire says to the structs of plexus.h. Layer: L4 (client/lib). */
#ifndef PX_LIB_VIEW_H
#define PX_LIB_VIEW_H

#include "plexus.h"
#include "px_codec.h"

/* Labels live in the arena; everything else is copied. */
void view_job(const struct px_job_view *view, struct px_arena *arena, struct plexus_job *ret_job);
void view_attempt(const struct px_attempt_view *view, struct plexus_attempt *ret_attempt);
void view_node(const struct px_node_view *view, struct plexus_node *ret_node);
void view_token(const struct px_principal_view *view, struct plexus_token_info *ret_token);

#endif
