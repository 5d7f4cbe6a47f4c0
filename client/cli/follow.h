/* SPDX-License-Identifier: Apache-2.0 */
/* follow.h - output of one job, live, as it was written: for run, submit --follow and logs.
 * Layer: L4 (client/cli). */
#ifndef CLI_FOLLOW_H
#define CLI_FOLLOW_H

#include "command.h"

/* How a job's end becomes an exit code of run (INTERFACES 2a). */
int exit_of_end(const struct plexus_end *end);
/* One line on standard error for an end that isn't plain success or a plain exit code. */
void say_end(const struct cli *cli, const struct plexus_end *end);

/* What a log says beside its bytes (truncation, another attempt, what is still on the node), on standard
 * error. *attempt is the one printed so far, 0 = none yet. */
void say_log_item(const struct cli *cli, uint64_t job, const struct plexus_log_item *item,
                  uint32_t *attempt);

enum follow_result {
        FOLLOW_ENDED,    /* the job ended and every byte was printed */
        FOLLOW_DETACHED, /* the user left it running */
        FOLLOW_REFUSED,  /* an exit code stands in ret_code */
};

/* Print a job's output until it ends: standard output to standard output, standard error to standard
 * error, another attempt and truncation stated on standard error. On a terminal the reason it waits is
 * shown until the first byte. With `signals`: Ctrl-C twice within two seconds cancels, Ctrl-C and then
 * Ctrl-Z leaves it running; SIGTERM and SIGHUP leave it running too, or cancel it with kill_on_exit. */
enum follow_result follow_job(struct cli *cli, uint64_t job, bool signals, bool kill_on_exit,
                              int *ret_code);

#endif
