/* SPDX-License-Identifier: Apache-2.0 */
/* test.h - the test framework: tests that register themselves, and the tools they share.
 *
 *      TEST(a_list_keeps_the_order_of_its_items)
 *      {
 *              EXPECT_INT(list_length(list), 3);
 *      }
 *
 * A failed EXPECT ends its test: nothing after it runs but what test_cleanup() was told, so
 * release processes, files and threads there. Each test has a deadline. The program's options:
 * --list, --filter TEXT (names that contain it). Its last line is `N passed, N failed`, also
 * when it crashes or hangs; its exit status is 1 if a test failed or none was chosen. */
#ifndef TEST_H
#define TEST_H

#include "px_base.h"

#include <sys/types.h>

#define TEST_DEADLINE_S 60

struct test {
        const char *name;
        void (*run)(void);
        struct test *next;
};

void test_register(struct test *test);

#define TEST(test_name)                                                                            \
        static void test_run_##test_name(void);                                                    \
        static struct test test_##test_name = {.name = #test_name, .run = test_run_##test_name};   \
        __attribute__((constructor)) static void test_register_##test_name(void)                   \
        {                                                                                          \
                test_register(&test_##test_name);                                                  \
        }                                                                                          \
        static void test_run_##test_name(void)

/* ---- expectations -----------------------------------------------------------------------------
 */

/* Actual value first, expected value second. EXPECT_TEXT accepts NULL; EXPECT_BYTES takes slices.
 */
#define EXPECT(condition) ((condition) ? (void)0 : test_fail(__FILE__, __LINE__, "%s", #condition))
#define EXPECT_INT(actual, expected)                                                               \
        test_expect_i64(__FILE__, __LINE__, #actual, (int64_t)(actual), (int64_t)(expected))
#define EXPECT_U64(actual, expected)                                                               \
        test_expect_u64(__FILE__, __LINE__, #actual, (uint64_t)(actual), (uint64_t)(expected))
#define EXPECT_TEXT(actual, expected)                                                              \
        test_expect_text(__FILE__, __LINE__, #actual, actual, expected)
#define EXPECT_BYTES(actual, expected)                                                             \
        test_expect_bytes(__FILE__, __LINE__, #actual, actual, expected)
/* `statement` run in a child process ends it by SIGABRT, as a failed PX_ASSERT does. */
#define EXPECT_ABORT(statement)                                                                    \
        do {                                                                                       \
                if (test_fork_child()) {                                                           \
                        statement;                                                                 \
                        test_end_child();                                                          \
                }                                                                                  \
                test_expect_child_aborted(__FILE__, __LINE__, #statement);                         \
        } while (0)

/* Record a failure and end the test. Only on the thread that runs the test. */
_Noreturn void test_fail(const char *file, int line, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
void test_expect_i64(const char *file, int line, const char *what, int64_t actual,
                     int64_t expected);
void test_expect_u64(const char *file, int line, const char *what, uint64_t actual,
                     uint64_t expected);
void test_expect_text(const char *file, int line, const char *what, const char *actual,
                      const char *expected);
void test_expect_bytes(const char *file, int line, const char *what, struct px_slice actual,
                       struct px_slice expected);
bool test_fork_child(void); /* true in the child, whose stderr is closed off */
_Noreturn void test_end_child(void);
void test_expect_child_aborted(const char *file, int line, const char *what);

/* ---- surroundings ------------------------------------------------------------------------------
 */

/* Run `clean(context)` when the test ends, passed or failed; the last one told runs first. */
void test_cleanup(void (*clean)(void *context), void *context);

/* Kill process `pid` with SIGKILL when the test ends, or misses its deadline, or crashes.
 * test_spare() takes it off the list: call it once the process has been waited for. */
void test_kill_at_end(pid_t pid);
void test_spare(pid_t pid);

/* Make an empty directory, removed with all it holds when the test ends.
 * Shape: at most 40 bytes where TMPDIR is unset, so that socket paths fit behind it. */
const char *test_temp_dir(void);

/* Give this test `seconds` from now instead of TEST_DEADLINE_S from its start. */
void test_deadline_s(unsigned seconds);

/* Wait until predicate(context) is true; false if it still was not after `deadline_ms`. */
bool test_wait_until(int deadline_ms, bool (*predicate)(void *context), void *context);

/* Compare with the file `path` under tests/golden; the test fails at the first line that
 * differs. With PX_GOLDEN_WRITE=1 in the environment the file is written instead. */
void test_golden(const char *path, struct px_slice actual);

/* Read a whole file into `ret_bytes` (appended); false if it cannot be opened. */
bool test_read_file(const char *path, struct px_buf *ret_bytes);

#endif
