/* SPDX-License-Identifier: Apache-2.0 */
/* units.c - a program of the build: prints a unit with default options. Layer: L4 (client/cli).
 * usage: units plexus-broker|plexus-node FOLDER     FOLDER holds the programs once installed */
#include <string.h>

#include "unit.h"

int main(int argc, char **argv)
{
        char program[4096];

        if (argc != 3)
                return 2;
        snprintf(program, sizeof program, "%s/%s", argv[2], argv[1]);
        if (strcmp(argv[1], "plexus-broker") == 0)
                unit_print_broker(stdout, &(struct unit_broker){.program = program,
                                                                .dir = "/var/lib/plexus",
                                                                .listen = "*",
                                                                .port = 7539});
        else
                unit_print_node(stdout, &(struct unit_node){.program = program,
                                                            .dir = "/var/lib/plexus-node",
                                                            .name = "this-node",
                                                            .url = "plexus://broker-host"});
        return 0;
}
