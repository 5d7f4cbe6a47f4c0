/* SPDX-License-Identifier: Apache-2.0 */
/* version.c - `plexus version`. Layer: L4 (client/cli). */
#include "verbs.h"

int verb_version(struct cli *cli)
{
        (void)cli;
        printf("plexus %s\n", plexus_version());
        return CLI_DONE;
}
