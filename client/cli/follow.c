/* SPDX-License-Identifier: Apache-2.0 */
/* follow.c - see follow.h. Layer: L4 (client/cli). Source: INTERFACES 3, run-and-see. */
#include "follow.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "output.h"

#define POLL_MS 200        /* how soon a signal is noticed */
#define STATUS_MS 1000     /* between looks at why a job waits */
#define TWICE_MS 2000      /* Ctrl-C twice within this time cancels */

int exit_of_end(const struct plexus_end *end)
{
        switch (end->state) {
        case PLEXUS_JOB_OK:
                return CLI_DONE;
        case PLEXUS_TIMEOUT:
                return CLI_TIME_LIMIT;
        case PLEXUS_JOB_CANCELLED:
                return CLI_DETACHED;
        case PLEXUS_FAILED:
                if (end->signal > 0)
                        return 128 + end->signal;
                if (end->exit_code > 0)
                        return end->exit_code;
                return CLI_FAULT;
        default:
                return CLI_FAULT;
        }
}

void say_end(const struct cli *cli, const struct plexus_end *end)
{
        if (end->state == PLEXUS_JOB_OK || cli->quiet)
                return;
        if (end->state == PLEXUS_FAILED && end->exit_code > 0 && end->exit_code < 126)
                return;
        fprintf(stderr, "plexus %s: job %s %s: %s\n", cli->command->name, ID_TEXT(end->job),
                plexus_state_name(end->state), end->reason);
}

/* ---- signals ------------------------------------------------------------------------------------------------ */

static volatile sig_atomic_t interrupts;
static volatile sig_atomic_t stops;
static volatile sig_atomic_t endings;

static void note_signal(int signal)
{
        if (signal == SIGINT)
                interrupts++;
        else if (signal == SIGTSTP)
                stops++;
        else
                endings++;
}

static void catch_signals(bool on)
{
        static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
        struct sigaction action = {.sa_handler = on ? note_signal : SIG_DFL};

        for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
                sigaction(signals[i], &action, NULL);
}

static void catch_stop(bool on)
{
        struct sigaction action = {.sa_handler = on ? note_signal : SIG_DFL};

        sigaction(SIGTSTP, &action, NULL);
}

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the view ------------------------------------------------------------------------------------------------ */

struct view {
        struct cli *cli;
        uint64_t job;
        bool kill_on_exit;
        bool status_line;   /* a status line stands on the terminal */
        bool status_wanted; /* standard error is a terminal and nothing was printed yet */
        int64_t started_ms;
        int64_t status_ms;    /* of the last look */
        int64_t interrupt_ms; /* of the last Ctrl-C */
        int interrupts_seen;
        uint32_t attempt;
};

static void clear_status(struct view *view)
{
        if (view->status_line)
                fputs("\r\033[K", stderr);
        view->status_line = false;
}

/* "job 1042 · waiting: 0 of 2 nodes have 4 free cpus · 12s"; nothing while the broker is away, since
 * waiting for its answer would keep the user's Ctrl-C waiting, too. */
static void show_status(struct view *view)
{
        uint64_t position;
        char **lines;
        char elapsed[32];

        if (!view->status_wanted || now_ms() - view->status_ms < STATUS_MS)
                return;
        view->status_ms = now_ms();
        if (view->status_ms - view->started_ms < STATUS_MS || !plexus_connected(view->cli->px))
                return;
        if (plexus_why(view->cli->px, view->job, &lines, &position) != PLEXUS_OK)
                return;
        clear_status(view);
        output_duration((uint64_t)(view->status_ms - view->started_ms), elapsed, sizeof elapsed);
        fprintf(stderr, "job %s · %.60s · %s", ID_TEXT(view->job), lines[0] != NULL ? lines[0] : "", elapsed);
        fflush(stderr);
        view->status_line = true;
        plexus_lines_free(lines);
}

static void print_bytes(struct view *view, const struct plexus_log_item *item)
{
        int fd = item->kind == PLEXUS_LOG_OUT ? STDOUT_FILENO : STDERR_FILENO;
        size_t done = 0;

        clear_status(view);
        view->status_wanted = false;
        while (done < item->length) {
                ssize_t wrote = write(fd, item->bytes + done, item->length - done);

                if (wrote < 0 && errno == EINTR)
                        continue;
                if (wrote < 0)
                        break; /* nobody reads: the job goes on */
                done += (size_t)wrote;
        }
}

void say_log_item(const struct cli *cli, uint64_t job, const struct plexus_log_item *item,
                  uint32_t *attempt)
{
        const char *verb = cli->command->name;

        if (item->kind == PLEXUS_LOG_DROPPED)
                fprintf(stderr,
                        "plexus %s: job %s: %" PRIu64 " bytes of %s are missing here: above its log "
                        "limit\n",
                        verb, ID_TEXT(job), item->dropped_bytes, item->stream == 1 ? "stdout" : "stderr");
        if (item->kind == PLEXUS_LOG_END && item->log_pending_bytes > 0)
                fprintf(stderr, "plexus %s: job %s: %" PRIu64 " bytes of output are still on its node\n",
                        verb, ID_TEXT(job), item->log_pending_bytes);
        if (item->kind != PLEXUS_LOG_ATTEMPT)
                return;
        if (*attempt != 0 && item->attempt != *attempt)
                fprintf(stderr, "plexus %s: job %s: attempt %u begins%s%s\n", verb, ID_TEXT(job), item->attempt,
                        item->text != NULL && *item->text != '\0' ? " on " : "",
                        item->text != NULL ? item->text : "");
        *attempt = item->attempt;
}

static void take_item(struct view *view, const struct plexus_log_item *item)
{
        if (item->kind == PLEXUS_LOG_OUT || item->kind == PLEXUS_LOG_ERR) {
                print_bytes(view, item);
                return;
        }
        if (item->kind == PLEXUS_LOG_PROGRESS)
                return;
        clear_status(view);
        say_log_item(view->cli, view->job, item, &view->attempt);
}

static void say_left(const struct view *view)
{
        fprintf(stderr, "plexus %s: job %s runs on; attach again: plexus logs -f %s\n",
                view->cli->command->name, ID_TEXT(view->job), ID_TEXT(view->job));
}

/* What the user's signals ask for; true = leave. */
static bool heed_signals(struct view *view)
{
        if (endings > 0 || stops > 0) {
                clear_status(view);
                if (endings == 0)
                        fputc('\n', stderr);
                if (endings > 0 && view->kill_on_exit)
                        (void)plexus_cancel(view->cli->px, &view->job, 1, "plexus run ended", false, NULL);
                else
                        say_left(view);
                return true;
        }
        if (interrupts == view->interrupts_seen)
                return false;
        view->interrupts_seen = interrupts;
        clear_status(view);
        if (view->interrupt_ms != 0 && now_ms() - view->interrupt_ms < TWICE_MS) {
                fprintf(stderr, "\nplexus %s: cancelling job %s, waiting for its end\n",
                        view->cli->command->name, ID_TEXT(view->job));
                (void)plexus_cancel(view->cli->px, &view->job, 1, "Ctrl-C", false, NULL);
        } else {
                fprintf(stderr, "\nplexus %s: Ctrl-C again within 2 s cancels job %s"
                                "; Ctrl-Z leaves it running\n",
                        view->cli->command->name, ID_TEXT(view->job));
                catch_stop(true);
        }
        view->interrupt_ms = now_ms();
        return false;
}

static enum follow_result follow_stream(struct view *view, plexus_stream *stream, int *ret_code)
{
        for (;;) {
                struct plexus_log_item item;
                int error = plexus_log_next(stream, POLL_MS, &item);

                if (heed_signals(view))
                        return FOLLOW_DETACHED;
                if (cli_still_waits(error)) {
                        show_status(view);
                        continue;
                }
                if (error != PLEXUS_OK) {
                        clear_status(view);
                        *ret_code = cli_refused(view->cli, error, "output");
                        return FOLLOW_REFUSED;
                }
                take_item(view, &item);
                if (item.kind == PLEXUS_LOG_END) {
                        clear_status(view);
                        return FOLLOW_ENDED;
                }
        }
}

enum follow_result follow_job(struct cli *cli, uint64_t job, bool signals, bool kill_on_exit, int *ret_code)
{
        struct view view = {
                .cli = cli,
                .job = job,
                .kill_on_exit = kill_on_exit,
                .status_wanted = isatty(STDERR_FILENO) && !cli->quiet,
                .started_ms = now_ms(),
        };
        struct plexus_log_options options = {.follow = true};
        plexus_stream *stream;
        enum follow_result result;
        int error = plexus_logs(cli->px, job, &options, &stream);

        if (error != PLEXUS_OK) {
                *ret_code = cli_refused(cli, error, "output");
                return FOLLOW_REFUSED;
        }
        if (signals)
                catch_signals(true);
        result = follow_stream(&view, stream, ret_code);
        if (signals) {
                catch_signals(false);
                catch_stop(false);
        }
        plexus_stream_close(stream);
        return result;
}
