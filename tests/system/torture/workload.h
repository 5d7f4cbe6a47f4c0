/* SPDX-License-Identifier: Apache-2.0 */
/* workload.h - batches whose rows and events follow from their number alone, so that the state after any
 * of them is known; sessions that submit them; and the judgement of what a store holds. */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include <sys/types.h>

#include "px_base.h"
#include "px_log.h"

#define WORKLOAD_KEYS 96
#define WORKLOAD_TEXT_BYTES 400

/* Options of a small store in `dir`. */
struct px_log_options workload_options(const char *dir);
int workload_open(const char *dir, struct px_log **ret_log, struct px_log_start *ret_start);

/* What was promised to a client, and what was handed over; shared with the parent process. */
struct workload_promise {
        uint64_t acknowledged;
        uint64_t submitted;
        uint64_t epoch;
        int fault; /* that the log reported; 0 = none */
};

/* Open, submit `batches` batches in clumps of up to `clump` outstanding ones, and wait for each clump. The
 * promise is kept up to date and, while a trace is on, noted there. Then close, or leave the log open
 * (as a kill would) if ret_log is not NULL. Returns the result of opening. */
int workload_session(const char *dir, uint64_t batches, uint64_t clump, bool close_it,
                     volatile struct workload_promise *promise);

/* Open the store and judge it against the promise; then let it go on for a few batches, close it, open it
 * again and judge it once more. False: words on standard output.
 * with_damage: rows and events may be missing if the log says so, but nothing may be wrong. */
bool workload_judge(const char *dir, const struct workload_promise *promise);
/* Judge an open log whose last batch is `index`. */
bool workload_judge_log(struct px_log *log, uint64_t index, bool with_damage);

/* ---- processes and directories ----------------------------------------------------------------------- */

/* Run `body(context)` in a child with a deadline; its exit status, or -signal. */
int workload_child(int (*body)(void *context), void *context, unsigned deadline_s);
void workload_remove(const char *dir); /* with all it holds */
void workload_copy(const char *from, const char *to);
/* A fresh directory for scratch, in memory where the machine has that. */
const char *workload_scratch(void);

#endif
