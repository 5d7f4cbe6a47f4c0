/* SPDX-License-Identifier: Apache-2.0 */
/* player.h - a program on libplexus that takes one part in a run of the nemesis and writes what it
 * saw, and nothing else, to a history that the checker reads.
 *
 * A history has one line for each thing seen, written at once by one write(), so that kill -9 of the
 * player cuts off at most what it had not seen yet:
 *      call KEY KIND MS         about to submit; KIND is "task", "command" or "once" (on_lost=fail)
 *      ack KEY JOB MS           the submit was answered
 *      unknown KEY ERROR        it was not; it is repeated
 *      refused KEY ERROR        it was refused
 *      end KEY JOB STATE ATTEMPT RESULT        a watched job ended; RESULT in hex, - = none
 *      run KEY JOB ATTEMPT      a worker ran a task
 *      followed KEY JOB STATE   a follower was given the whole log; it stands in files, see follow.c
 *      event INDEX POSITION TYPE JOB ATTEMPT STATE
 *      job KEY JOB STATE ATTEMPT               of the audit at the end: every job there is
 *      attempt KEY JOB ATTEMPT OUTCOME         and every ended attempt of a command
 *      fault NAME MS            of the nemesis itself: what it did
 * MS is the machine's monotonic clock. */
#ifndef PLAYER_H
#define PLAYER_H

#include <stdbool.h>
#include <stdint.h>

#include "plexus.h"

#define KEY_ROOM 80
#define PATH_ROOM 512
#define TASK_TYPE "sum"

struct player {
        const char *url, *token_file;
        const char *name;    /* what its keys begin with; of a worker: its name */
        const char *history;
        const char *dir;     /* where commands write what they wrote, and followers what they read */
        const char *program; /* what a command runs */
        uint64_t seed;
        uint64_t count;      /* of jobs in all */
        uint64_t seconds;    /* over which they are submitted */
        uint64_t slots;      /* of a worker */
        uint64_t commands_permille;
        plexus *px;
};

/* Write one line of the history. Thread-safe. */
void history_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Print why and end the process. */
_Noreturn void player_fail(const char *what, int code);
int64_t player_now_ms(void);
/* The job's number in its client's count, e.g. 17 of "a-17"; UINT64_MAX if it is none of them. */
uint64_t player_index(const struct player *player, const char *key);

/* The parts. Each returns the exit status of the process. */
int play_submit(struct player *player);
int play_work(struct player *player);
int play_events(struct player *player);
int play_audit(struct player *player);

/* Follow the logs of jobs, one after another, on a thread of its own. */
void follow_begin(struct player *player);
void follow_add(uint64_t job, const char *key);
/* Wait until all that were added are followed. */
void follow_end(void);
/* Write the log of a job into dir/KEY.ATTEMPT.SUFFIX.{out,err}; the state it ended in, 0 = refused. */
int log_keep(struct player *player, uint64_t job, const char *key, uint32_t attempt, bool follow,
             const char *suffix);

#endif
