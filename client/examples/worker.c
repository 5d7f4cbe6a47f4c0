/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c - serve tasks of type "reverse": returns its input backwards. Ends with SIGINT or SIGTERM. */
#include <plexus.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void reverse(void *context, plexus_task *task)
{
        size_t bytes = 0;
        const char *input = plexus_task_input(task, &bytes);
        char *result = malloc(bytes + 1);

        (void)context;
        if (result == NULL) {
                plexus_task_fail(task, "out of memory");
                return;
        }
        for (size_t i = 0; i < bytes; i++)
                result[i] = input[bytes - 1 - i];
        plexus_task_progress(task, 1.0, "turned round");
        plexus_task_return(task, result, bytes);
        free(result);
}

int main(void)
{
        plexus *px = NULL;
        plexus_worker *worker = NULL;
        sigset_t ends;
        int code, signal_number;

        sigemptyset(&ends);
        sigaddset(&ends, SIGINT);
        sigaddset(&ends, SIGTERM);
        sigprocmask(SIG_BLOCK, &ends, NULL);
        code = plexus_connect(NULL, &px);
        if (code == PLEXUS_OK)
                code = plexus_worker_new(px, "reverser", 4, &worker);
        if (code == PLEXUS_OK)
                code = plexus_worker_handle(worker, "reverse", reverse, NULL);
        if (code == PLEXUS_OK)
                code = plexus_worker_start(worker);
        if (code == PLEXUS_OK) {
                printf("serving\n");
                fflush(stdout);
                sigwait(&ends, &signal_number);
                code = plexus_worker_stop(worker, 10000);
        }
        if (code != PLEXUS_OK)
                fprintf(stderr, "worker: %s: %s\n", plexus_error_text(code), plexus_detail(px));
        plexus_worker_free(worker);
        plexus_close(px);
        return plexus_error_exit(code);
}
