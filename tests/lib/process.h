/* SPDX-License-Identifier: Apache-2.0 */
/* process.h - programs of the build folder as children of a test: start, wait for READY, signal,
 * wait for the end. Every child is killed when its test ends. */
#ifndef TEST_PROCESS_H
#define TEST_PROCESS_H

#include <sys/types.h>

#include "px_base.h"

#define PROCESS_ARGUMENTS_MAX 32
#define PROCESS_PATH_ROOM 256

struct process {
        pid_t pid;
        int ready_fd; /* reads what the child writes to its --ready-fd; -1 = none */
};

/* Start `program` ("broker/plexus-broker", in the build folder) with arguments up to a NULL; with
 * `ready` it gets --ready-fd too. Its standard error is appended to the file error_path. */
void process_start(struct process *process, const char *program, const char *const *arguments,
                   bool ready, const char *error_path);
/* Read the READY line; false when the child ended or was silent for deadline_ms.
 * Shape: ret_line is terminated, without the newline. */
bool process_ready(struct process *process, int deadline_ms, char *ret_line, size_t room);
void process_signal(const struct process *process, int signal);
/* Wait for the end: its exit status, 128 + signal if one ended it, -1 if it still runs. */
int process_wait(struct process *process, int deadline_ms);

/* ---- the broker
 * ------------------------------------------------------------------------------------ */

struct test_broker {
        struct process process;
        char dir[PROCESS_PATH_ROOM];
        char error_path[PROCESS_PATH_ROOM]; /* what it said */
        unsigned port_cmd, port_node, port_data, port_events;
        unsigned long long epoch, index, jobs, start_ms;
};

/* Start a broker on `parent`/b (made if absent) with further arguments up to a NULL (or NULL), and
 * wait until it serves. The test fails if it doesn't. */
void test_broker_start(struct test_broker *broker, const char *parent,
                       const char *const *arguments);
/* The same for a broker that is expected to refuse: its exit status. */
int test_broker_refusal(struct test_broker *broker, const char *parent,
                        const char *const *arguments);
/* SIGKILL and wait. */
void test_broker_kill(struct test_broker *broker);
/* SIGTERM and wait: its exit status. */
int test_broker_stop(struct test_broker *broker);
/* Did it say `words` on standard error? */
bool test_broker_said(const struct test_broker *broker, const char *words);

#endif
