/* SPDX-License-Identifier: Apache-2.0 */
/* lib_spec.h - from the caller's plexus_job_spec to the bytes of one submit_job, every limit checked.
 * Layer: L4 (client/lib). */
#ifndef PX_LIB_SPEC_H
#define PX_LIB_SPEC_H

#include "plexus.h"
#include "px_base.h"

/* Append one encoded submit_job.
 * Refuses: PX_E_INVALID, PX_E_LIMIT; the detail names the limit and the value. Nothing is appended
 * then. */
int spec_encode(const struct plexus_job_spec *spec, struct px_buf *ret_job);

#endif
