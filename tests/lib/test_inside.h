/* SPDX-License-Identifier: Apache-2.0 */
/* test_inside.h - what the framework's own files share; tests include test.h only. */
#ifndef TEST_INSIDE_H
#define TEST_INSIDE_H

void test_clean_up(void);        /* run the cleanups, kill what is listed, empty both lists */
void test_kill_all(void);        /* safe in a signal handler */
void test_signals_default(void); /* in a forked child */

#endif
