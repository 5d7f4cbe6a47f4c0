/* SPDX-License-Identifier: Apache-2.0 */
/* reason.h - a job's state in words, with numbers. Layer: L2 (broker/core); used by the core for
 * events and answers, and by the shell for lists. */
#ifndef PX_REASON_H
#define PX_REASON_H

#include "px_base.h"
#include "px_codec.h"
#include "px_schema.h"

struct reason_facts {
        int state;
        int reason;
        int32_t exit_code; /* of the last attempt; -1 = none */
        uint32_t signal;
        uint32_t failures;
        uint32_t retries;
        int64_t start_wall_ms;
        int64_t wait_ms;       /* until the deadline of the row; < 0 = unknown */
        struct px_array array; /* count 0 = it is none */
        struct px_slice node;  /* of the last attempt; may be empty */
        struct px_slice detail; /* the attempt's text, or who asked; may be empty */
};

/* Append one line, at most PX_LIMIT_REASON_BYTES long; nothing when there is nothing to say.
 * Units: wait_ms of the facts in core time. */
void reason_words(const struct reason_facts *facts, struct px_buf *ret_words);

/* The facts of a stored row. now_ms: core time, INT64_MIN = unknown. */
struct reason_facts reason_facts_of(const struct px_job_row *row, struct px_slice node,
                                    struct px_slice detail, int64_t now_ms);

/* Add what the last attempt's end says to the facts of its job, where the job's reason speaks of that
 * attempt: not when it was cancelled or retried since. Borrows attempt's texts. */
void reason_facts_join(struct reason_facts *facts, const struct px_attempt_row *attempt);

/* "SIGKILL" for 9; NULL for a number without a name. Linux numbers. */
const char *reason_signal_name(uint32_t signal);

#endif
