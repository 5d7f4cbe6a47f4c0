/* SPDX-License-Identifier: Apache-2.0 */
/* audit.c - what any client can see of the whole: all events as they come, and, at the end, every job,
 * every attempt and every stored log. */
#include "player.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE 500
#define EVENT_MS 200

/* ---- events ------------------------------------------------------------------------------------------------ */

/* Where an earlier life of this player was. */
static void recall(const struct player *player, uint64_t *ret_index, uint32_t *ret_position)
{
        FILE *file = fopen(player->history, "re");
        char line[512];

        *ret_index = 0;
        *ret_position = 0;
        while (file != NULL && fgets(line, sizeof(line), file) != NULL)
                if (strchr(line, '\n') != NULL)
                        sscanf(line, "event %" SCNu64 " %" SCNu32, ret_index, ret_position);
        if (file != NULL)
                fclose(file);
}

static bool input_closed(void)
{
        struct pollfd item = {.fd = STDIN_FILENO, .events = POLLIN};
        char byte;

        return poll(&item, 1, 0) == 1 && read(STDIN_FILENO, &byte, 1) <= 0;
}

int play_events(struct player *player)
{
        struct plexus_event event;
        plexus_stream *stream;
        uint64_t index;
        uint32_t position;
        int code;

        recall(player, &index, &position);
        code = plexus_events(player->px, index, position, 0, &stream);
        if (code != PLEXUS_OK)
                player_fail("events", code);
        for (;;) {
                code = plexus_event_next(stream, EVENT_MS, &event);
                if (code == PLEXUS_OK)
                        history_say("event %" PRIu64 " %u %s %" PRIu64 " %u %s", event.index,
                                    event.position, event.type, event.job, event.attempt,
                                    event.state == 0 ? "-" : plexus_state_name(event.state));
                else if (code != PLEXUS_TIMED_OUT && code != PLEXUS_UNREACHABLE)
                        player_fail("events", code);
                else if (code == PLEXUS_TIMED_OUT && input_closed())
                        break; /* and there was nothing more */
        }
        plexus_stream_close(stream);
        return 0;
}

/* ---- the audit ----------------------------------------------------------------------------------------------- */

static void audit_attempts(struct player *player, const struct plexus_job *job)
{
        struct plexus_shown shown;
        int code = plexus_show(player->px, job->id, &shown);

        if (code != PLEXUS_OK)
                player_fail("showing a job", code);
        for (size_t i = 0; i < shown.attempts_count; i++) {
                const struct plexus_attempt *attempt = &shown.attempts[i];

                history_say("attempt %s %" PRIu64 " %u %s", job->name, job->id, attempt->attempt,
                            attempt->outcome);
                (void)log_keep(player, job->id, job->name, attempt->attempt, false, "stored");
        }
        plexus_shown_fini(&shown);
}

int play_audit(struct player *player)
{
        struct plexus_filter filter = {.active = true, .done = true};
        struct plexus_list list;
        uint64_t cursor = 0;

        do {
                int code = plexus_jobs(player->px, &filter, cursor, PAGE, &list);

                if (code != PLEXUS_OK)
                        player_fail("listing jobs", code);
                for (size_t i = 0; i < list.count; i++) {
                        const struct plexus_job *job = &list.jobs[i];

                        history_say("job %s %" PRIu64 " %s %u", job->name, job->id, job->state_name,
                                    job->attempt);
                        if (job->task_type[0] == '\0')
                                audit_attempts(player, job);
                }
                cursor = list.cursor;
                plexus_list_fini(&list);
        } while (cursor != 0);
        history_say("audited");
        return 0;
}
