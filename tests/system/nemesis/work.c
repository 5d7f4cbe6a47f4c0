/* SPDX-License-Identifier: Apache-2.0 */
/* work.c - the function worker: each task returns a sum of its input, known to the checker. */
#include "player.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* FNV-1a, 64 bits. */
static uint64_t sum_of(const uint8_t *bytes, size_t length)
{
        uint64_t sum = UINT64_C(0xCBF29CE484222325);

        for (size_t i = 0; i < length; i++)
                sum = (sum ^ bytes[i]) * UINT64_C(0x100000001B3);
        return sum;
}

static void run(void *context, plexus_task *task)
{
        size_t length;
        const char *input = plexus_task_input(task, &length);
        char text[17];
        int key_length = (int)strcspn(input, " ");

        (void)context;
        history_say("run %.*s %" PRIu64 " %u", key_length, input, plexus_task_job(task),
                    plexus_task_attempt(task));
        snprintf(text, sizeof(text), "%016" PRIx64, sum_of((const uint8_t *)input, length));
        plexus_task_return(task, text, 16);
}

int play_work(struct player *player)
{
        plexus_worker *worker;
        char byte;
        int code = plexus_worker_new(player->px, player->name, (uint32_t)player->slots, &worker);

        if (code == PLEXUS_OK)
                code = plexus_worker_handle(worker, TASK_TYPE, run, player);
        for (int i = 0; code == PLEXUS_OK; i++) {
                code = plexus_worker_start(worker);
                if (code == PLEXUS_OK)
                        break;
                if ((code == PLEXUS_UNREACHABLE || code == PLEXUS_TIMED_OUT) && i < 60)
                        code = PLEXUS_OK; /* the broker may just be dead */
        }
        if (code != PLEXUS_OK)
                player_fail("working", code);
        /* Until the one who started us closes our input. */
        while (read(STDIN_FILENO, &byte, 1) > 0)
                ;
        code = plexus_worker_stop(worker, 30000);
        plexus_worker_free(worker);
        return code == PLEXUS_OK ? 0 : 1;
}
