/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - plexus-broker. Layer: L4 (broker). */
#include "options.h"
#include "shell.h"

int main(int argc, char **argv)
{
        struct broker_options options;
        int status = options_read(argc, argv, stdout, stderr, &options);

        return status >= 0 ? status : shell_run(&options);
}
