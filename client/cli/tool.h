/* SPDX-License-Identifier: Apache-2.0 */
/* tool.h - run other programs (systemctl, ssh) and hear what they say. Layer: L4 (client/cli). */
#ifndef CLI_TOOL_H
#define CLI_TOOL_H

#include <stdbool.h>
#include <stddef.h>

/* Run a program to its end. Returns its exit status, 127 when it can't be started; ret_output is what it
 * printed to both outputs, cut to fit, without the last newline.
 * Shape:   words up to NULL; input, its standard input, at most 4096 bytes, NULL = none. */
int tool_run(const char *const *words, const char *input, char *ret_output, size_t room);
/* Say whether a word means the same to the shell of another machine: no quoting is needed, no option. */
bool tool_remote_word(const char *text);

#endif
