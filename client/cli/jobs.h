/* SPDX-License-Identifier: Apache-2.0 */
/* jobs.h - what several verbs say of a job. Layer: L4 (client/cli). */
#ifndef CLI_JOBS_H
#define CLI_JOBS_H

#include "output.h"

extern const struct output_kind job_kind; /* rows are struct plexus_job */

/* Run time so far or in all; before the start, time since the submit. Units: ms. */
uint64_t job_elapsed_ms(const struct plexus_job *job);

#endif
