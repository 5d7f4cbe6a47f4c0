/* SPDX-License-Identifier: Apache-2.0 */
/* unit.h - the text of our systemd units. Layer: L4 (client/cli). */
#ifndef CLI_UNIT_H
#define CLI_UNIT_H

#include <stdbool.h>
#include <stdio.h>

#define UNIT_ACCOUNT "plexus" /* the broker runs as this one, never as root */
#define UNIT_RUN "/run/plexus"

struct unit_broker {
        const char *program; /* path of plexus-broker */
        const char *dir;
        const char *listen;
        unsigned port; /* of commands; nodes, data and events have the next three */
};
/* Print plexus-broker.service. */
void unit_print_broker(FILE *out, const struct unit_broker *unit);

struct unit_node {
        const char *program; /* path of plexus-node */
        const char *dir;     /* with node.token in it */
        const char *name;
        const char *url;
        const char *cpus; /* NULL = all */
};
/* Print plexus-node.service. */
void unit_print_node(FILE *out, const struct unit_node *unit);

#endif
