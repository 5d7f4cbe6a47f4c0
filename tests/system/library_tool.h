/* SPDX-License-Identifier: Apache-2.0 */
/* library_tool.h - a broker, a connection and a worker whose handler waits for the test. */
#ifndef TEST_LIBRARY_TOOL_H
#define TEST_LIBRARY_TOOL_H

#include <semaphore.h>
#include <stdatomic.h>

#include "plexus.h"
#include "process.h"
#include "test.h"

#define LIBRARY_MS 20000

/* EXPECT that a call of the library was not refused; its detail is printed otherwise. */
#define EXPECT_DONE(px, call) library_expect(__FILE__, __LINE__, #call, (px), (call))
void library_expect(const char *file, int line, const char *what, plexus *px, int code);
/* EXPECT a refusal whose detail has these words. */
#define EXPECT_REFUSED(px, call, code, words)                                                      \
        library_expect_refused(__FILE__, __LINE__, #call, (px), (call), (code), (words))
void library_expect_refused(const char *file, int line, const char *what, plexus *px, int code,
                            int expected, const char *words);

/* Connect to the broker over its local sockets; closed when the test ends. */
plexus *library_open(const struct test_broker *broker);
/* The same over TCP with a token; the code of plexus_connect(). */
int library_open_token(const struct test_broker *broker, const char *token, plexus **ret_px);
/* The administrator's token. Shape: at least 160 bytes. */
void library_admin_token(const struct test_broker *broker, char *ret_token);

/* Handlers of the worker below. "echo" returns its input at once. "gate" posts `entered`, waits for
 * `open` and returns "through"; "stop" posts `entered` and fails when it is cancelled. */
struct library_worker {
        plexus_worker *worker;
        sem_t entered, open;
        atomic_int gates; /* times the gate was entered */
};
void library_serve(struct library_worker *worker, plexus *px, uint32_t slots);
void library_serve_end(struct library_worker *worker);
/* Wait for a semaphore, at most LIBRARY_MS. */
bool library_wait(sem_t *semaphore);

uint64_t library_submit(plexus *px, const char *type, const char *input);

#endif
