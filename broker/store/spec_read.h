/* SPDX-License-Identifier: Apache-2.0 */
/* spec_read.h - a job's specification from its rows, its shared environment put back. Layer: L3
 * (broker/store). */
#ifndef PX_SPEC_READ_H
#define PX_SPEC_READ_H

#include "px_read.h"

/* Newest state; core thread only. `stored` is scratch of the caller's.
 * Refuses: PX_E_ABSENT; PX_E_DAMAGED. */
int spec_read(struct px_log *log, struct px_job_id job, struct px_buf *stored,
              struct px_buf *ret_spec);

#endif
