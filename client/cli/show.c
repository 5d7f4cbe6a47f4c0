/* SPDX-License-Identifier: Apache-2.0 */
/* show.c - `plexus show`: one job in full, for people and as JSON. Layer: L4 (client/cli). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "jobs.h"
#include "select.h"
#include "verbs.h"

/* ---- attempts ---------------------------------------------------------------------------------------- */

#define ATTEMPT_NUMBER(function, expression)                                                     \
        static void function(const void *row, struct output_value *ret_value)                    \
        {                                                                                        \
                const struct plexus_attempt *attempt = row;                                      \
                ret_value->number = (double)(expression);                                        \
        }
#define ATTEMPT_TEXT(function, member)                                                           \
        static void function(const void *row, struct output_value *ret_value)                    \
        {                                                                                        \
                ret_value->text = ((const struct plexus_attempt *)row)->member;                  \
        }

ATTEMPT_NUMBER(attempt_number, attempt->attempt)
ATTEMPT_TEXT(attempt_node, node)
ATTEMPT_TEXT(attempt_outcome, outcome)
ATTEMPT_TEXT(attempt_reason, reason)
ATTEMPT_NUMBER(attempt_started, attempt->started_ms)
ATTEMPT_NUMBER(attempt_ended, attempt->ended_ms)
ATTEMPT_NUMBER(attempt_cpu, attempt->cpu_ms)
ATTEMPT_NUMBER(attempt_peak, attempt->memory_peak_bytes)
ATTEMPT_NUMBER(attempt_out, attempt->out_bytes)
ATTEMPT_NUMBER(attempt_err, attempt->err_bytes)
ATTEMPT_NUMBER(attempt_out_dropped, attempt->out_dropped_bytes)
ATTEMPT_NUMBER(attempt_err_dropped, attempt->err_dropped_bytes)
ATTEMPT_NUMBER(attempt_pending, attempt->log_pending_bytes)

static void attempt_exit(const void *row, struct output_value *ret_value)
{
        const struct plexus_attempt *attempt = row;

        ret_value->number = attempt->exit_code;
        ret_value->none = attempt->exit_code < 0;
}

static void attempt_signal(const void *row, struct output_value *ret_value)
{
        const struct plexus_attempt *attempt = row;

        ret_value->number = attempt->signal;
        ret_value->none = attempt->signal == 0;
}

static void attempt_time(const void *row, struct output_value *ret_value)
{
        const struct plexus_attempt *attempt = row;

        ret_value->number = (double)(attempt->ended_ms - attempt->started_ms);
        ret_value->none = attempt->started_ms == 0 || attempt->ended_ms < attempt->started_ms;
}

static const struct output_column attempt_columns[] = {
        {"ATTEMPT", "attempt", OUTPUT_INTEGER, false, false, attempt_number},
        {"NODE", "node", OUTPUT_TEXT, false, false, attempt_node},
        {"OUTCOME", "outcome", OUTPUT_TEXT, false, false, attempt_outcome},
        {"TIME", "time_s", OUTPUT_DURATION, false, false, attempt_time},
        {"CPU", "cpu_s", OUTPUT_DURATION, false, false, attempt_cpu},
        {"PEAK", "memory_peak_bytes", OUTPUT_BYTES, false, false, attempt_peak},
        {"OUT", "out_bytes", OUTPUT_BYTES, false, false, attempt_out},
        {"ERR", "err_bytes", OUTPUT_BYTES, false, false, attempt_err},
        {"EXIT", "exit_code", OUTPUT_INTEGER, true, false, attempt_exit},
        {"SIGNAL", "signal", OUTPUT_INTEGER, true, false, attempt_signal},
        {"OUTDROPPED", "out_dropped_bytes", OUTPUT_BYTES, true, false, attempt_out_dropped},
        {"ERRDROPPED", "err_dropped_bytes", OUTPUT_BYTES, true, false, attempt_err_dropped},
        {"LOGPENDING", "log_pending_bytes", OUTPUT_BYTES, true, false, attempt_pending},
        {"STARTED", "started", OUTPUT_TIME, true, false, attempt_started},
        {"ENDED", "ended", OUTPUT_TIME, true, false, attempt_ended},
        {"REASON", "reason", OUTPUT_TEXT, false, false, attempt_reason},
        {NULL, NULL, OUTPUT_TEXT, false, false, NULL},
};

static const struct output_kind attempt_kind = {"plexus.attempt.v1", "attempts", attempt_columns,
                                                sizeof(struct plexus_attempt)};

/* ---- JSON ---------------------------------------------------------------------------------------------- */

static void json_argv(const struct plexus_shown *shown)
{
        fputs(",\"argv\":[", stdout);
        for (size_t i = 0; shown->argv != NULL && shown->argv[i] != NULL; i++) {
                fputs(i > 0 ? "," : "", stdout);
                output_json_text(stdout, shown->argv[i]);
        }
        fputs("],\"env\":{", stdout);
        for (size_t i = 0; i < shown->env_count; i++) {
                fputs(i > 0 ? "," : "", stdout);
                output_json_text(stdout, shown->env[i].key);
                putchar(':');
                output_json_text(stdout, shown->env[i].value);
        }
        fputs("},\"cwd\":", stdout);
        output_json_text(stdout, shown->cwd != NULL ? shown->cwd : "");
}

static void print_json(const struct plexus_shown *shown, bool with_schema)
{
        fputs(with_schema ? "{\"schema\":\"plexus.shown.v1\"," : "{", stdout);
        output_fields(stdout, &job_kind, &shown->job);
        json_argv(shown);
        printf(",\"scratch\":%s,\"stdin_bytes\":%zu,\"time_limit_s\":%.3f,\"grace_s\":%.3f,"
               "\"log_limit_bytes\":%" PRIu64 ",\"out_bytes\":%" PRIu64 ",\"err_bytes\":%" PRIu64
               ",\"result_bytes\":%zu,\"attempts\":[",
               shown->scratch ? "true" : "false", shown->input_bytes, (double)shown->time_limit_ms / 1000,
               (double)shown->grace_ms / 1000, shown->log_bytes, shown->out_bytes, shown->err_bytes,
               shown->result_bytes);
        for (size_t i = 0; i < shown->attempts_count; i++) {
                fputs(i > 0 ? ",{" : "{", stdout);
                output_fields(stdout, &attempt_kind, &shown->attempts[i]);
                putchar('}');
        }
        fputs("]}", stdout);
}

/* ---- people -------------------------------------------------------------------------------------------- */

static void line(const char *name, const char *text)
{
        if (*text != '\0')
                printf("%-11s%s\n", name, text);
}

static void line_time(const char *name, int64_t wall_ms)
{
        char text[64];

        if (wall_ms > 0)
                line(name, output_time(wall_ms, text, sizeof text));
}

static void print_what(const struct plexus_shown *shown)
{
        const struct plexus_job *job = &shown->job;

        if (shown->argv != NULL) {
                fputs("command    ", stdout);
                for (size_t i = 0; shown->argv[i] != NULL; i++) {
                        fputs(i > 0 ? " " : "", stdout);
                        output_shell_word(stdout, shown->argv[i]);
                }
                putchar('\n');
        }
        line("task", job->task_type);
        line("directory", shown->scratch ? "a fresh one (--scratch)" : shown->cwd != NULL ? shown->cwd : "");
        line("owner", job->owner);
        if (job->labels_count > 0) {
                fputs("labels    ", stdout);
                for (size_t i = 0; i < job->labels_count; i++)
                        printf(" %s=%s", job->labels[i].key, job->labels[i].value);
                putchar('\n');
        }
}

static void print_needs(const struct plexus_shown *shown)
{
        const struct plexus_job *job = &shown->job;
        char text[64];

        printf("needs      %g cpu%s", job->cpus, job->cpus == 1 ? "" : "s");
        if (job->memory_bytes > 0)
                printf(", %s memory", output_bytes(job->memory_bytes, text, sizeof text));
        if (job->pinned_node[0] != '\0')
                printf(", node %s", job->pinned_node);
        if (shown->time_limit_ms > 0)
                printf(", at most %s", output_duration(shown->time_limit_ms, text, sizeof text));
        putchar('\n');
        printf("policy     priority %d, %u of %u retries used, %s when its node is lost\n", job->priority,
               job->failures < job->retries ? job->failures : job->retries, job->retries,
               job->on_lost_fail ? "never run again" : "run again");
}

static void print_course(const struct plexus_shown *shown)
{
        const struct plexus_job *job = &shown->job;
        char text[64];
        char more[64];

        line_time("submitted", job->submitted_ms);
        line_time("not before", job->start_wall_ms);
        line_time("started", job->started_ms);
        line_time("ended", job->ended_ms);
        if (job->started_ms > 0)
                line("time", output_duration(job_elapsed_ms(job), text, sizeof text));
        line("node", job->node);
        if (job->progress >= 0)
                printf("progress   %.0f%% %s\n", job->progress * 100, job->progress_text);
        if (job->memory_peak_bytes > 0 || job->cpu_ms > 0)
                printf("used       %s memory at most, %s of cpu time\n",
                       output_bytes(job->memory_peak_bytes, text, sizeof text),
                       output_duration(job->cpu_ms, more, sizeof more));
        printf("output     %s stdout, %s stderr   plexus logs %s\n",
               output_bytes(shown->out_bytes, text, sizeof text),
               output_bytes(shown->err_bytes, more, sizeof more), ID_TEXT(job->id));
}

static void print_tasks(const struct plexus_job *job)
{
        uint32_t ended = job->tasks_ok + job->tasks_bad + job->tasks_cancelled;

        if (job->tasks > 0)
                printf("tasks      %u of %u tasks began, %u at work, %u ok, %u failed, %u cancelled   plexus ps %s.\n",
                       job->tasks_made, job->tasks, job->tasks_made - ended, job->tasks_ok, job->tasks_bad,
                       job->tasks_cancelled, ID_TEXT(job->id));
}

static void print_people(const struct cli *cli, const struct plexus_shown *shown)
{
        const struct plexus_job *job = &shown->job;
        const char *colour = output_state_colour(cli->colour, job->state);

        printf("job        %s %s\n", ID_TEXT(job->id), job->name);
        printf("state      %s%s%s%s\n", colour, job->state_name, *colour != '\0' ? OUTPUT_COLOUR_END : "",
               output_reason_beyond(job->state_name, job->reason));
        print_what(shown);
        print_needs(shown);
        print_tasks(job);
        print_course(shown);
        if (shown->attempts_count > 0) {
                putchar('\n');
                output_table(cli, &attempt_kind, shown->attempts, shown->attempts_count);
        }
}

/* ---- the verb -------------------------------------------------------------------------------------------- */

static void print_all(const struct cli *cli, const struct plexus_shown *shown, size_t count)
{
        const char *format = cli_value(cli, "output");
        bool lines = format != NULL && strcmp(format, "jsonl") == 0;

        if (format == NULL) {
                for (size_t i = 0; i < count; i++) {
                        if (i > 0)
                                putchar('\n');
                        print_people(cli, &shown[i]);
                }
                return;
        }
        if (!lines)
                fputs("{\"schema\":\"plexus.shown.v1\",\"jobs\":[\n", stdout);
        for (size_t i = 0; i < count; i++) {
                print_json(&shown[i], lines);
                fputs(lines || i + 1 == count ? "\n" : ",\n", stdout);
        }
        if (!lines)
                fputs("]}\n", stdout);
}

static int print_rows(const struct cli *cli, const struct plexus_shown *shown, size_t count)
{
        struct plexus_job *jobs = calloc(count + 1, sizeof *jobs);
        int code;

        if (jobs == NULL)
                return cli_fail(cli, CLI_FAULT, "out of memory");
        for (size_t i = 0; i < count; i++)
                jobs[i] = shown[i].job;
        code = output_rows(cli, &job_kind, jobs, count, NULL);
        free(jobs);
        return code;
}

int verb_show(struct cli *cli)
{
        struct job_list jobs = {0};
        struct plexus_shown *shown = NULL;
        size_t count = 0;
        int error = PLEXUS_OK;
        int code = cli_connect(cli);

        if (code == 0)
                code = select_jobs(cli, cli->arguments, cli->arguments_count, true, NULL, &jobs);
        if (code == 0) {
                shown = calloc(jobs.count, sizeof *shown);
                if (shown == NULL)
                        code = cli_fail(cli, CLI_FAULT, "out of memory");
        }
        for (size_t i = 0; i < jobs.count && shown != NULL; i++) {
                error = plexus_show(cli->px, jobs.ids[i], &shown[count]);
                if (error == PLEXUS_OK)
                        count++;
                else
                        code = cli_refused_job(cli, error, jobs.ids[i]);
        }
        if (count > 0 && (!cli_has(cli, "output") || output_is_json(cli)))
                print_all(cli, shown, count);
        else if (count > 0 && code == 0)
                code = print_rows(cli, shown, count);
        for (size_t i = 0; i < count; i++)
                plexus_shown_fini(&shown[i]);
        free(shown);
        job_list_fini(&jobs);
        return code;
}
