/* SPDX-License-Identifier: Apache-2.0 */
/* logs.c - `plexus logs`: the output of one job or of several. Layer: L4 (client/cli).
 * One job on a terminal gets its bytes as they were written; piped, bars written with \r are folded to
 * their last state. Lines of several jobs carry the job's number in a colour of its own. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "follow.h"
#include "lines.h"
#include "output.h"
#include "select.h"
#include "tail.h"
#include "verbs.h"

#define FOLLOW_JOBS_MAX 64
#define POLL_MS 500 /* how soon a closed output is noticed */

struct wanted {
        struct plexus_log_options options;
        bool timestamps;
        bool raw;
        int64_t tail;     /* -1 = all */
        int64_t since_ms; /* 0 = all */
        bool many;
};

/* One job being printed. */
struct view {
        uint64_t job;
        plexus_stream *stream; /* NULL = done */
        struct lines lines[3]; /* by stream: 1 out, 2 err */
        bool bytes[3];         /* as they were written */
        uint32_t attempt;
};

/* ---- options -------------------------------------------------------------------------------------------- */

static int take_streams(const struct cli *cli, struct wanted *wanted)
{
        const char *name = cli_value(cli, "stream");

        if (name == NULL || strcmp(name, "both") == 0)
                return 0;
        wanted->options.out = strcmp(name, "out") == 0 || strcmp(name, "stdout") == 0;
        wanted->options.err = strcmp(name, "err") == 0 || strcmp(name, "stderr") == 0;
        if (!wanted->options.out && !wanted->options.err)
                return cli_fail(cli, CLI_USAGE, "--stream %s is none of out, err, both", name);
        return 0;
}

static int take_options(const struct cli *cli, struct wanted *wanted)
{
        const char *tail = cli_value(cli, "tail");
        const char *since = cli_value(cli, "since");
        const char *attempt = cli_value(cli, "attempt");
        struct timespec now;
        int64_t number = 0;

        *wanted = (struct wanted){.timestamps = cli_has(cli, "timestamps"),
                                  .raw = cli_has(cli, "raw"),
                                  .tail = -1,
                                  .options = {.follow = cli_has(cli, "follow")}};
        clock_gettime(CLOCK_REALTIME, &now);
        if (tail != NULL && !cli_parse_number(tail, 0, TAIL_LINES_MAX, &wanted->tail))
                return cli_fail(cli, CLI_USAGE, "--tail %s is not a number of lines up to %d", tail,
                                TAIL_LINES_MAX);
        if (since != NULL && !cli_parse_since(since, (int64_t)now.tv_sec * 1000, &wanted->since_ms))
                return cli_fail(cli, CLI_USAGE, "--since %s is not a time (like 5m or 2026-01-31T18:00)",
                                since);
        if (attempt != NULL && !cli_parse_number(attempt, 1, UINT32_MAX, &number))
                return cli_fail(cli, CLI_USAGE, "--attempt %s is not a number from 1", attempt);
        if (wanted->raw && wanted->timestamps)
                return cli_fail(cli, CLI_USAGE, "--raw and --timestamps exclude each other");
        wanted->options.attempt = (uint32_t)number;
        return take_streams(cli, wanted);
}

/* ---- one job ---------------------------------------------------------------------------------------------- */

static void make_prefix(const struct cli *cli, const struct wanted *wanted, uint64_t job, char *ret_prefix,
                        size_t room)
{
        static const int colours[] = {36, 33, 35, 32, 34, 96, 93, 95, 92, 94};

        if (!wanted->many)
                *ret_prefix = '\0';
        else if (cli->colour)
                snprintf(ret_prefix, room, "\033[%dm%s │\033[0m ",
                         colours[job % (sizeof colours / sizeof colours[0])], ID_TEXT(job));
        else
                snprintf(ret_prefix, room, "%s │ ", ID_TEXT(job));
}

/* Open a job's log where the options say. */
static int view_open(struct cli *cli, const struct wanted *wanted, uint64_t job, struct view *view)
{
        struct plexus_log_options options = wanted->options;
        char prefix[64];
        int error = PLEXUS_OK;

        *view = (struct view){.job = job};
        if (wanted->tail >= 0)
                error = tail_find(cli->px, job, (size_t)wanted->tail, &options);
        if (error == PLEXUS_OK)
                error = plexus_logs(cli->px, job, &options, &view->stream);
        if (error != PLEXUS_OK)
                return cli_refused_job(cli, error, job);
        make_prefix(cli, wanted, job, prefix, sizeof prefix);
        for (int stream = 1; stream <= 2; stream++) {
                bool terminal = isatty(stream) != 0;

                view->bytes[stream] = wanted->raw || (terminal && !wanted->many && !wanted->timestamps);
                lines_init(&view->lines[stream], stream == 1 ? stdout : stderr, terminal && !wanted->many,
                           wanted->timestamps, prefix);
        }
        return 0;
}

static void view_close(struct view *view)
{
        for (int stream = 1; stream <= 2 && view->stream != NULL; stream++) {
                lines_end(&view->lines[stream]);
                lines_fini(&view->lines[stream]);
        }
        plexus_stream_close(view->stream);
        view->stream = NULL;
}

static void print_bytes(const struct wanted *wanted, struct view *view, const struct plexus_log_item *item)
{
        int stream = item->kind == PLEXUS_LOG_OUT ? 1 : 2;
        FILE *out = stream == 1 ? stdout : stderr;

        if (item->wall_ms < wanted->since_ms)
                return;
        if (!view->bytes[stream]) {
                lines_add(&view->lines[stream], item->bytes, item->length, item->wall_ms);
                return;
        }
        fwrite(item->bytes, 1, item->length, out);
        fflush(out);
}

/* Print what is there. Returns 0, or an exit code; view->stream is NULL at the end of the log. */
static int view_take(struct cli *cli, const struct wanted *wanted, struct view *view, int64_t timeout_ms)
{
        for (;;) {
                struct plexus_log_item item;
                int error = plexus_log_next(view->stream, timeout_ms, &item);

                if (cli_still_waits(error))
                        return 0;
                if (error != PLEXUS_OK) {
                        int code = cli_refused_job(cli, error, view->job);

                        view_close(view);
                        return code;
                }
                if (item.kind == PLEXUS_LOG_OUT || item.kind == PLEXUS_LOG_ERR)
                        print_bytes(wanted, view, &item);
                else
                        say_log_item(cli, view->job, &item, &view->attempt);
                if (item.kind == PLEXUS_LOG_END)
                        view_close(view);
                if (item.kind == PLEXUS_LOG_END || ferror(stdout))
                        return 0;
        }
}

/* ---- several ------------------------------------------------------------------------------------------------ */

static int print_in_turn(struct cli *cli, const struct wanted *wanted, const struct job_list *jobs)
{
        int worst = 0;

        for (size_t i = 0; i < jobs->count && !ferror(stdout); i++) {
                struct view view;
                int code = view_open(cli, wanted, jobs->ids[i], &view);

                while (code == 0 && view.stream != NULL && !ferror(stdout))
                        code = view_take(cli, wanted, &view, POLL_MS);
                view_close(&view);
                worst = code != 0 ? code : worst;
        }
        return worst;
}

static size_t count_open(const struct view *views, size_t count)
{
        size_t open = 0;

        for (size_t i = 0; i < count; i++)
                open += views[i].stream != NULL;
        return open;
}

static int follow_together(struct cli *cli, const struct wanted *wanted, const struct job_list *jobs)
{
        struct view views[FOLLOW_JOBS_MAX];
        struct pollfd item = {.fd = plexus_fd(cli->px), .events = POLLIN};
        int worst = 0;
        int code;

        for (size_t i = 0; i < jobs->count; i++) {
                code = view_open(cli, wanted, jobs->ids[i], &views[i]);
                worst = code != 0 ? code : worst;
        }
        while (count_open(views, jobs->count) > 0 && !ferror(stdout)) {
                (void)poll(&item, 1, POLL_MS);
                for (size_t i = 0; i < jobs->count; i++) {
                        if (views[i].stream == NULL)
                                continue;
                        code = view_take(cli, wanted, &views[i], 1);
                        worst = code != 0 ? code : worst;
                }
        }
        for (size_t i = 0; i < jobs->count; i++)
                view_close(&views[i]);
        return worst;
}

/* A job that has not begun: why, once, for a person who waits. */
static void say_waiting(const struct cli *cli, uint64_t job)
{
        struct plexus_shown shown;

        if (cli->quiet || !isatty(STDERR_FILENO) || plexus_show(cli->px, job, &shown) != PLEXUS_OK)
                return;
        if (shown.job.state < PLEXUS_RUNNING)
                fprintf(stderr, "plexus logs: job %s is %s: %s\n", ID_TEXT(job), shown.job.state_name,
                        shown.job.reason);
        plexus_shown_fini(&shown);
}

int verb_logs(struct cli *cli)
{
        struct job_list jobs = {0};
        struct wanted wanted;
        int code = take_options(cli, &wanted);

        if (code == 0)
                code = cli_connect(cli);
        if (code == 0)
                code = select_jobs(cli, cli->arguments, cli->arguments_count, true, NULL, &jobs);
        if (code == 0)
                code = select_tasks(cli, 0, false, &jobs);
        wanted.many = jobs.count > 1;
        if (code == 0 && wanted.options.follow && jobs.count > FOLLOW_JOBS_MAX)
                code = cli_fail(cli, CLI_USAGE, "-f follows at most %d jobs at once; these are %zu",
                                FOLLOW_JOBS_MAX, jobs.count);
        if (code == 0 && wanted.options.follow && !wanted.many)
                say_waiting(cli, jobs.ids[0]);
        if (code == 0)
                code = wanted.options.follow && wanted.many ? follow_together(cli, &wanted, &jobs)
                                                            : print_in_turn(cli, &wanted, &jobs);
        job_list_fini(&jobs);
        return code;
}
