/* SPDX-License-Identifier: Apache-2.0 */
/* events.c - `plexus events`: the feed of committed changes. Layer: L4 (client/cli). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "verbs.h"

#define POLL_MS 500 /* how soon a closed output is noticed */

struct wanted {
        uint64_t index; /* after this number */
        uint32_t position;
        uint64_t job;   /* 0 = all */
        int64_t count;  /* end after so many; -1 = never */
        bool follow;
        uint64_t until_index; /* without follow: what was committed when we began */
        bool json;
};

/* INDEX.POSITION or INDEX, as printed. */
static bool parse_number(const char *text, struct wanted *wanted)
{
        char *end;
        unsigned long long position = 0;

        if (*text < '0' || *text > '9')
                return false;
        wanted->index = strtoull(text, &end, 10);
        if (*end == '.' && end[1] >= '0' && end[1] <= '9')
                position = strtoull(end + 1, &end, 10);
        wanted->position = (uint32_t)position;
        return *end == '\0' && position <= UINT32_MAX;
}

static int take_options(const struct cli *cli, struct wanted *wanted)
{
        const char *after = cli_value(cli, "after");
        const char *job = cli_value(cli, "job");
        const char *count = cli_value(cli, "count");
        const char *format = cli_value(cli, "output");
        int64_t number;

        *wanted = (struct wanted){.index = UINT64_MAX, .count = -1, .follow = !cli_has(cli, "no-follow")};
        if (after != NULL && cli_has(cli, "from-start"))
                return cli_fail(cli, CLI_USAGE, "--after and --from-start exclude each other");
        if (cli_has(cli, "from-start"))
                wanted->index = 0;
        if (after != NULL && !parse_number(after, wanted))
                return cli_fail(cli, CLI_USAGE, "--after %s is no number of an event (like 1042.0)", after);
        if (job != NULL && !cli_parse_number(job, 1, INT64_MAX, &number))
                return cli_fail(cli, CLI_USAGE, "--job %s is no number of a job", job);
        wanted->job = job != NULL ? (uint64_t)number : 0;
        if (count != NULL && !cli_parse_number(count, 1, INT64_MAX, &wanted->count))
                return cli_fail(cli, CLI_USAGE, "--count %s is not a number from 1", count);
        wanted->json = format != NULL && (strcmp(format, "jsonl") == 0 || strcmp(format, "json") == 0);
        if (format != NULL && !wanted->json && strcmp(format, "table") != 0)
                return cli_fail(cli, CLI_USAGE, "-o %s is neither table nor jsonl", format);
        return 0;
}

static void json_field(const char *name, const char *text)
{
        if (text == NULL || *text == '\0')
                return;
        printf(",\"%s\":", name);
        output_json_text(stdout, text);
}

static void print_json(const struct plexus_event *event)
{
        char time[64];

        printf("{\"schema\":\"plexus.event.v1\",\"number\":\"%" PRIu64 ".%" PRIu32 "\"", event->index,
               event->position);
        json_field("type", event->type);
        json_field("time", output_time(event->wall_ms, time, sizeof time));
        if (event->job != 0)
                printf(plexus_id_is_task(event->job) ? ",\"job\":\"%s\"" : ",\"job\":%s", ID_TEXT(event->job));
        if (event->attempt != 0)
                printf(",\"attempt\":%" PRIu32, event->attempt);
        json_field("node", event->node);
        if (event->state != 0)
                json_field("state", plexus_state_name(event->state));
        if (event->exit_code >= 0 && event->state != 0 && plexus_state_ended(event->state))
                printf(",\"exit_code\":%d", event->exit_code);
        if (event->signal > 0)
                printf(",\"signal\":%d", event->signal);
        json_field("text", event->text);
        puts("}");
}

/* "1042.0  18:00:01  job.failed      1042  node1  exit 1 on node1 ..." */
static void print_line(const struct cli *cli, const struct plexus_event *event)
{
        const char *colour = output_state_colour(cli->colour, event->state);
        char number[48];
        char time[64];

        snprintf(number, sizeof number, "%" PRIu64 ".%" PRIu32, event->index, event->position);
        output_time(event->wall_ms, time, sizeof time);
        printf("%-10s  %.12s  %s%-16s%s", number, time + 11, colour, event->type,
               *colour != '\0' ? OUTPUT_COLOUR_END : "");
        if (event->job != 0)
                printf("  %-6s", ID_TEXT(event->job));
        if (event->node != NULL && *event->node != '\0')
                printf("  %s", event->node);
        if (event->text != NULL && *event->text != '\0')
                printf("  %s", event->text);
        putchar('\n');
}

static int follow(struct cli *cli, plexus_stream *stream, const struct wanted *wanted)
{
        struct plexus_event event;
        int64_t count = 0;

        while (wanted->count < 0 || count < wanted->count) {
                int error = plexus_event_next(stream, POLL_MS, &event);

                if (cli_still_waits(error) && wanted->follow)
                        continue;
                if (error == PLEXUS_TIMED_OUT)
                        return CLI_DONE;
                if (error != PLEXUS_OK)
                        return cli_refused(cli, error, "");
                if (wanted->json)
                        print_json(&event);
                else
                        print_line(cli, &event);
                if (fflush(stdout) != 0)
                        return CLI_DONE; /* nobody reads any more */
                count++;
                if (!wanted->follow && event.index >= wanted->until_index)
                        return CLI_DONE;
        }
        return CLI_DONE;
}

int verb_events(struct cli *cli)
{
        struct wanted wanted;
        struct plexus_status status;
        plexus_stream *stream;
        int error;
        int code = take_options(cli, &wanted);

        if (code == 0)
                code = cli_connect(cli);
        if (code != 0)
                return code;
        error = plexus_status(cli->px, &status);
        if (error != PLEXUS_OK)
                return cli_refused(cli, error, "");
        wanted.until_index = status.commit_index;
        if (!wanted.follow && wanted.index == UINT64_MAX)
                wanted.index = 0;
        if (!wanted.follow && wanted.index > status.commit_index)
                return CLI_DONE;
        error = plexus_events(cli->px, wanted.index, wanted.position, wanted.job, &stream);
        if (error != PLEXUS_OK)
                return cli_refused(cli, error, "");
        code = follow(cli, stream, &wanted);
        plexus_stream_close(stream);
        return code;
}
