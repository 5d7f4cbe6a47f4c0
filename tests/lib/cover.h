/* SPDX-License-Identifier: Apache-2.0 */
/* cover.h - included before every source of a coverage build: what a process reached is written down also
 * where it leaves by _exit(), as children of tests and of the product do. */
#ifndef COVER_H
#define COVER_H

#include <unistd.h>

void __gcov_dump(void);
void __gcov_reset(void); /* a child may share its memory with its parent, which goes on counting */

#define _exit(status) (__gcov_dump(), __gcov_reset(), _exit(status))

/* Children of tests are asked to end before they are killed: kill -9 would lose what they reached. */
#define TEST_ASKS_FIRST 1

#endif
