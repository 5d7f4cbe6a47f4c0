/* SPDX-License-Identifier: Apache-2.0 */
/* broker_that_fails.c - the broker, with an assertion that SIGUSR1 makes fail. */
#include <signal.h>
#include <stdio.h>

#include "options.h"
#include "shell.h"

static void fail(int signal_number)
{
        PX_ASSERT(signal_number != SIGUSR1);
}

int main(int argc, char **argv)
{
        struct broker_options options;
        int status = options_read(argc, argv, stdout, stderr, &options);

        signal(SIGUSR1, fail);
        return status >= 0 ? status : shell_run(&options);
}
