/* SPDX-License-Identifier: Apache-2.0 */
/* tail.h - where the last lines of a job's output begin. Layer: L4 (client/cli). */
#ifndef CLI_TAIL_H
#define CLI_TAIL_H

#include "command.h"

#define TAIL_LINES_MAX 1000000

/* Find the offsets of both streams from which the last `lines` lines, both streams together, are there.
 * options say which attempt and which streams; their offsets are set. Returns a plexus_error. */
int tail_find(plexus *px, uint64_t job, size_t lines, struct plexus_log_options *options);

#endif
