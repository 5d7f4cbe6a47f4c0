/* SPDX-License-Identifier: Apache-2.0 */
/* cli_tool.h - what tests of the command line share: parse a call, keep what is printed. */
#ifndef CLI_TOOL_H
#define CLI_TOOL_H

#include "command.h"
#include "test.h"

#define CLI_TOOL_WORDS_MAX 24

/* Parse "plexus WORDS..." up to a NULL; what it says of an error stands in cli_said(). */
int cli_tool_parse(struct cli *ret_cli, const char *word, ...) __attribute__((sentinel));

/* Keep what goes to standard output or error from here, until ..._take() gives it: one at a time. */
void cli_tool_catch_out(void);
void cli_tool_catch_err(void);
const char *cli_tool_take(void);

#endif
