/* SPDX-License-Identifier: Apache-2.0 */
/* wait.c - `plexus wait`: until jobs ended; says which did not end ok and what to do next.
 * Layer: L4 (client/cli). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "output.h"
#include "select.h"
#include "verbs.h"

#define POLL_MS 500
#define BAR_CELLS 20
#define FAILED_MAX 100 /* that many are named */

struct progress {
        size_t jobs;
        size_t ended;
        size_t ok;
        size_t absent;
        int64_t started_ms;
        bool live; /* standard error is a terminal */
        char failed[512]; /* "1043 1051": for the command to run next */
        size_t failed_used;
};

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* "███████▌            97 ok  3 failed  20 to go  2m14s" */
static void show_progress(const struct progress *progress)
{
        size_t cells = progress->jobs == 0 ? 0 : progress->ended * BAR_CELLS / progress->jobs;
        char elapsed[32];

        if (!progress->live)
                return;
        fputs("\r\033[K", stderr);
        for (size_t i = 0; i < BAR_CELLS; i++)
                fputs(i < cells ? "█" : "░", stderr);
        fprintf(stderr, "  %zu ok  %zu not ok  %zu to go  %s", progress->ok, progress->ended - progress->ok,
                progress->jobs - progress->ended,
                output_duration((uint64_t)(now_ms() - progress->started_ms), elapsed, sizeof elapsed));
        fflush(stderr);
}

static void hide_progress(const struct progress *progress)
{
        if (progress->live)
                fputs("\r\033[K", stderr);
}

/* The last line a job wrote to standard error, "" if there is none. */
static void last_words(struct cli *cli, uint64_t job, char *ret_text, size_t room)
{
        struct plexus_log_options options = {.err = true, .tail_bytes = 256};
        struct plexus_log_item item = {0};
        plexus_stream *stream;
        size_t length = 0;
        char *newline;

        *ret_text = '\0';
        if (plexus_logs(cli->px, job, &options, &stream) != PLEXUS_OK)
                return;
        while (item.kind != PLEXUS_LOG_END && plexus_log_next(stream, 2000, &item) == PLEXUS_OK) {
                if (item.kind != PLEXUS_LOG_ERR || item.length >= room)
                        continue;
                if (length + item.length >= room)
                        length = 0;
                memcpy(ret_text + length, item.bytes, item.length);
                length += item.length;
        }
        plexus_stream_close(stream);
        while (length > 0 && (ret_text[length - 1] == '\n' || ret_text[length - 1] == '\r'))
                length--;
        ret_text[length] = '\0';
        newline = strrchr(ret_text, '\n');
        if (newline != NULL)
                memmove(ret_text, newline + 1, strlen(newline));
        for (char *at = ret_text; *at != '\0'; at++)
                if ((unsigned char)*at < 0x20)
                        *at = ' ';
}

/* "  1043  exit 1 on node2 after 12 s: ValueError: NaN in loss   plexus logs 1043" */
static void say_failed(struct cli *cli, struct progress *progress, const struct plexus_end *end)
{
        size_t failed = progress->ended - progress->ok;
        char words[1024];

        if (progress->failed_used + 24 < sizeof progress->failed)
                progress->failed_used +=
                        (size_t)snprintf(progress->failed + progress->failed_used,
                                         sizeof progress->failed - progress->failed_used, " %s",
                                         ID_TEXT(end->job));
        if (cli->quiet || failed > FAILED_MAX)
                return;
        last_words(cli, end->job, words, sizeof words);
        hide_progress(progress);
        fprintf(stderr, "  %s  %s%s%s%s   plexus logs %s\n", ID_TEXT(end->job),
                plexus_state_name(end->state),
                output_reason_beyond(plexus_state_name(end->state), end->reason), *words != '\0' ? ": " : "", words,
                ID_TEXT(end->job));
}

static void take_end(struct cli *cli, struct progress *progress, struct plexus_end *end)
{
        progress->ended++;
        if (end->error != PLEXUS_OK) {
                progress->absent++;
                hide_progress(progress);
                (void)cli_fail(cli, 0, "%s: %s", ID_TEXT(end->job), plexus_error_text(end->error));
        } else if (end->state == PLEXUS_JOB_OK) {
                progress->ok++;
        } else {
                say_failed(cli, progress, end);
        }
        plexus_end_fini(end);
}

/* --timeout bounds the whole wait. Units: ms; -1 = none. */
static int64_t time_left(const struct cli *cli, const struct progress *progress)
{
        const char *text = cli_value(cli, "timeout");
        uint64_t limit_ms;
        int64_t left;

        if (text == NULL || !cli_parse_duration(text, &limit_ms))
                return -1;
        left = progress->started_ms + (int64_t)limit_ms - now_ms();
        return left > 0 ? left : 0;
}

static int wait_all(struct cli *cli, struct progress *progress, size_t until)
{
        while (progress->ended < until) {
                int64_t left = time_left(cli, progress);
                struct plexus_end end;
                int error;

                if (left == 0) {
                        hide_progress(progress);
                        return cli_fail(cli, CLI_UNREACHABLE, "the time is over: %zu of %zu jobs have ended",
                                        progress->ended, progress->jobs);
                }
                show_progress(progress);
                error = plexus_next_end(cli->px, left > 0 && left < POLL_MS ? left : POLL_MS, &end);
                if (cli_still_waits(error))
                        continue;
                if (error != PLEXUS_OK) {
                        hide_progress(progress);
                        return cli_refused(cli, error, "");
                }
                take_end(cli, progress, &end);
        }
        hide_progress(progress);
        return 0;
}

static void say_summary(const struct cli *cli, const struct progress *progress)
{
        char elapsed[32];

        if (cli->quiet || (progress->jobs == 1 && progress->ok == 1))
                return;
        output_duration((uint64_t)(now_ms() - progress->started_ms), elapsed, sizeof elapsed);
        fprintf(stderr, "%zu of %zu jobs ended ok, %zu not, after %s\n", progress->ok, progress->jobs,
                progress->ended - progress->ok, elapsed);
        if (progress->failed_used > 0)
                fprintf(stderr, "next: plexus retry%s\n", progress->failed);
}

int verb_wait(struct cli *cli)
{
        struct job_list jobs = {0};
        struct progress progress = {.live = isatty(STDERR_FILENO) && !cli->quiet, .started_ms = now_ms()};
        int error;
        int code = cli_connect(cli);

        if (code == 0)
                code = select_jobs(cli, cli->arguments, cli->arguments_count, true, NULL, &jobs);
        progress.jobs = jobs.count;
        if (code == 0) {
                error = plexus_watch(cli->px, jobs.ids, jobs.count);
                if (error != PLEXUS_OK)
                        code = cli_refused(cli, error, "");
        }
        if (code == 0)
                code = wait_all(cli, &progress, cli_has(cli, "any") ? 1 : jobs.count);
        if (code == 0) {
                say_summary(cli, &progress);
                code = progress.absent > 0              ? CLI_NO_MATCH
                       : progress.ok == progress.ended ? CLI_DONE
                                                        : CLI_JOB_NOT_OK;
        }
        job_list_fini(&jobs);
        return code;
}
