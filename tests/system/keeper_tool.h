/* SPDX-License-Identifier: Apache-2.0 */
/* keeper_tool.h - a real keeper with a real spool in a directory of the test. */
#ifndef KEEPER_TOOL_H
#define KEEPER_TOOL_H

#include "group.h"
#include "launch.h"
#include "spool.h"
#include "test.h"

struct rig {
        const char *dir;
        struct spool *spool;
        struct group_tree tree;
        uint8_t boot[SPOOL_ID_BYTES];
        uint32_t slot;

        /* the attempt */
        struct px_spec spec;
        struct px_slice argv[8];
        struct px_assign assign;
        struct spool_key key;
        uint64_t spool_bytes_max;
        unsigned pids_max; /* 0 = as nodes set it */
        int dir_fd;
        int ctl_fd;
        pid_t keeper;
        char work[256];
        char sock[256];
        struct px_buf encoded;

        /* what was heard */
        uint64_t out;
        uint64_t err;
        bool started;
        bool ended;
        int32_t permille;
        char text[PX_LIMIT_PROGRESS_BYTES + 1];
        unsigned progress_count;
        struct px_arena arena;
        struct px_result result;
};

/* A rig with a keeper; mode as group_mode_text() gives it, NULL = the best there is. Fails the test where
 * the mode isn't to be had. */
void rig_open(struct rig *rig, const char *mode);
bool rig_has_mode(const char *mode); /* says it when not */
void rig_close(void *rig);

/* Set the command: `sh -c script`, in the test's directory. Change rig->spec and assign after it. */
void rig_script(struct rig *rig, const char *script);
/* Set argv, terminated by NULL. */
void rig_command(struct rig *rig, const char *const *argv);
void rig_start(struct rig *rig);
/* Receive until the condition holds; fails the test after 30 s. */
void rig_until_ended(struct rig *rig);
void rig_until_started(struct rig *rig);
void rig_until_out(struct rig *rig, uint64_t bytes);
void rig_until_text(struct rig *rig, const char *text);
/* Receive what is there now or comes within `wait_ms`; false when nothing came. */
bool rig_hear(struct rig *rig, int wait_ms);
void rig_run(struct rig *rig, const char *script); /* script, start, until ended */
void rig_send(struct rig *rig, int kind, uint64_t a, uint64_t b);

/* The stream as the spool holds it. Owns: lives as long as the rig. */
struct px_slice rig_stream(struct rig *rig, int stream);
void rig_expect_out(struct rig *rig, const char *text);
/* Whether any process whose command line holds `mark` is alive. */
bool mark_alive(const char *mark);

#endif
