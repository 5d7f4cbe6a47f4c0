/* SPDX-License-Identifier: Apache-2.0 */
/* cover.h - included before every source of a coverage build: what a process reached is written down also
 * where it leaves by _exit(), as children of tests and of the product do. It includes nothing, so that
 * no source sees names that it did not ask for. */
#ifndef COVER_H
#define COVER_H

void __gcov_dump(void);
void __gcov_reset(void);
void _Exit(int status) __attribute__((noreturn));
void cover_exit(int status) __attribute__((noreturn, weak, visibility("hidden")));

void cover_exit(int status)
{
        __gcov_dump();
        __gcov_reset(); /* a child may share its memory with its parent, which goes on counting */
        _Exit(status);
}

#define _exit cover_exit /* in unistd.h, too */

/* Children of tests are asked to end before they are killed: kill -9 would lose what they reached. */
#define TEST_ASKS_FIRST 1

#endif
