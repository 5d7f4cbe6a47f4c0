/* SPDX-License-Identifier: Apache-2.0 */
/* cli_played.h - a library that says what a test wrote down: the verbs of the command line run against
 * it without a mesh. Its plexus_* stand in the test program and are found before those of libplexus. */
#ifndef CLI_PLAYED_H
#define CLI_PLAYED_H

#include "cli_tool.h"

#define PLAYED_JOBS_MAX 8
#define PLAYED_CHUNKS_MAX 32

struct played_chunk {
        int kind; /* enum plexus_log_kind */
        const char *text;
        int64_t wall_ms;
};

struct played_job {
        struct plexus_job job;
        struct plexus_end end;
        struct played_chunk chunks[PLAYED_CHUNKS_MAX]; /* kind 0 ends */
};

struct played {
        struct played_job jobs[PLAYED_JOBS_MAX];
        size_t jobs_count;
        size_t watched;
        size_t ends_given;
        int connect_error;
        const char *detail;
        size_t streams_open;
        size_t log_openings;
        uint64_t cancelled; /* last job */
};
extern struct played played;

/* Add a job with this log (kind 0 ends it) that ended in `state`. */
struct played_job *played_add(uint64_t id, int state, const struct played_chunk *chunks);

/* Run "plexus WORDS..."; what it printed stands in played_out() and played_err(). */
int played_run(const char *word, ...) __attribute__((sentinel));
const char *played_out(void);
const char *played_err(void);

#endif
