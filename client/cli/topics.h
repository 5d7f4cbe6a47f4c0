/* SPDX-License-Identifier: Apache-2.0 */
/* topics.h - pages of `plexus help` that belong to no command; also sections of plexus(1).
 * Layer: L4 (client/cli). */
#ifndef CLI_TOPICS_H
#define CLI_TOPICS_H

#include <stddef.h>

struct cli_topic {
        const char *name;
        const char *title;
        const char *text; /* lines of at most 80 columns, ending in a newline */
};

extern const struct cli_topic cli_topics[];
extern const size_t cli_topics_count;

#endif
