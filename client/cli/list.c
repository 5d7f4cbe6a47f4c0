/* SPDX-License-Identifier: Apache-2.0 */
/* list.c - `plexus ps` and the columns of jobs. Layer: L4 (client/cli). */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "jobs.h"
#include "output.h"
#include "select.h"
#include "verbs.h"

#define PS_LIMIT_DEFAULT 100

static const struct plexus_job *job_of(const void *row)
{
        return row;
}

static int64_t now_wall_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#define COLUMN_NUMBER(function, expression)                                                      \
        static void function(const void *row, struct output_value *ret_value)                    \
        {                                                                                        \
                const struct plexus_job *job = job_of(row);                                      \
                ret_value->number = (double)(expression);                                        \
        }
#define COLUMN_TEXT(function, expression)                                                        \
        static void function(const void *row, struct output_value *ret_value)                    \
        {                                                                                        \
                const struct plexus_job *job = job_of(row);                                      \
                ret_value->text = (expression);                                                  \
        }

COLUMN_NUMBER(get_tasks, job->tasks)
COLUMN_NUMBER(get_tasks_ok, job->tasks_ok)
COLUMN_NUMBER(get_tasks_bad, job->tasks_bad)
COLUMN_TEXT(get_name, job->name)
COLUMN_TEXT(get_owner, job->owner)
COLUMN_TEXT(get_state, job->state_name)
COLUMN_TEXT(get_reason, job->reason)
COLUMN_TEXT(get_node, job->node)
COLUMN_TEXT(get_pinned, job->pinned_node)
COLUMN_TEXT(get_task_type, job->task_type)
COLUMN_NUMBER(get_gpus, job->gpus)
COLUMN_TEXT(get_queue, job->queue[0] != '\0' ? job->queue : "default")
COLUMN_TEXT(get_module, job->module)
COLUMN_TEXT(get_progress_text, job->progress_text)
COLUMN_NUMBER(get_progress, job->progress)
COLUMN_NUMBER(get_priority, job->priority)
COLUMN_NUMBER(get_cpus, job->cpus)
COLUMN_NUMBER(get_memory, job->memory_bytes)
COLUMN_NUMBER(get_attempt, job->attempt)
COLUMN_NUMBER(get_failures, job->failures)
COLUMN_NUMBER(get_retries, job->retries)
COLUMN_NUMBER(get_submitted, job->submitted_ms)
COLUMN_NUMBER(get_started, job->started_ms)
COLUMN_NUMBER(get_ended, job->ended_ms)
COLUMN_NUMBER(get_peak, job->memory_peak_bytes)
COLUMN_NUMBER(get_cpu_time, job->cpu_ms)

static void get_id(const void *row, struct output_value *ret_value)
{
        ret_value->id = job_of(row)->id;
        ret_value->number = (double)ret_value->id;
}

static void get_labels(const void *row, struct output_value *ret_value)
{
        ret_value->pairs = job_of(row)->labels;
        ret_value->count = job_of(row)->labels_count;
}

static void get_exit(const void *row, struct output_value *ret_value)
{
        ret_value->number = job_of(row)->exit_code;
        ret_value->none = job_of(row)->exit_code < 0 || !plexus_state_ended(job_of(row)->state);
}

static void get_signal(const void *row, struct output_value *ret_value)
{
        ret_value->number = job_of(row)->signal;
        ret_value->none = job_of(row)->signal == 0;
}

uint64_t job_elapsed_ms(const struct plexus_job *job)
{
        int64_t begin = job->started_ms > 0 ? job->started_ms : job->submitted_ms;
        int64_t end = job->ended_ms > 0 ? job->ended_ms : now_wall_ms();

        return end > begin ? (uint64_t)(end - begin) : 0;
}

static void get_time(const void *row, struct output_value *ret_value)
{
        ret_value->number = (double)job_elapsed_ms(job_of(row));
}

/* What the reason says beyond the columns of state and node. */
static size_t reason_beyond(const struct plexus_job *job, const char **ret_begin)
{
        const char *begin = output_reason_beyond(job->state_name, job->reason);
        size_t length;
        char tail[80];
        size_t tail_length = (size_t)snprintf(tail, sizeof tail, " on %s", job->node);

        begin += strspn(begin, ": ");
        if (strncmp(begin, "on ", 3) == 0 && strcmp(begin, tail + 1) == 0)
                begin += strlen(begin);
        length = strlen(begin);
        if (length > tail_length && strcmp(begin + length - tail_length, tail) == 0)
                length -= tail_length;
        *ret_begin = begin;
        return length;
}

/* The node, and where it isn't simply running, why. */
static void get_node_or_reason(const void *row, struct output_value *ret_value)
{
        const struct plexus_job *job = job_of(row);
        const char *reason;
        size_t length = reason_beyond(job, &reason);

        if (length == 0 || job->state == PLEXUS_JOB_OK)
                snprintf(ret_value->room, sizeof ret_value->room, "%s", job->node);
        else
                snprintf(ret_value->room, sizeof ret_value->room, "%s%s(%.*s)", job->node,
                         job->node[0] != '\0' ? " " : "", (int)(length < 180 ? length : 180), reason);
        ret_value->text = ret_value->room;
}

static const struct output_column job_columns[] = {
        {"ID", "id", OUTPUT_JOB, false, false, get_id},
        {"NAME", "name", OUTPUT_TEXT, false, false, get_name},
        {"USER", "user", OUTPUT_TEXT, true, false, get_owner},
        {"STATE", "state", OUTPUT_TEXT, false, false, get_state},
        {"PROGRESS", "progress", OUTPUT_PERCENT, false, false, get_progress},
        {"TIME", "time_s", OUTPUT_DURATION, false, false, get_time},
        {"ATTEMPT", "attempt", OUTPUT_INTEGER, true, false, get_attempt},
        {"EXIT", "exit_code", OUTPUT_INTEGER, true, false, get_exit},
        {"PRIORITY", "priority", OUTPUT_INTEGER, true, false, get_priority},
        {"CPUS", "cpus", OUTPUT_DECIMAL, true, false, get_cpus},
        {"NODE (REASON)", "node_or_reason", OUTPUT_TEXT, false, false, get_node_or_reason},
        {"NODE", "node", OUTPUT_TEXT, false, true, get_node},
        {"REASON", "reason", OUTPUT_TEXT, false, true, get_reason},
        {"MESSAGE", "progress_text", OUTPUT_TEXT, false, true, get_progress_text},
        {"SIGNAL", "signal", OUTPUT_INTEGER, false, true, get_signal},
        {"MEM", "memory_bytes", OUTPUT_BYTES, false, true, get_memory},
        {"PEAK", "memory_peak_bytes", OUTPUT_BYTES, false, true, get_peak},
        {"CPUTIME", "cpu_s", OUTPUT_DURATION, false, true, get_cpu_time},
        {"FAILURES", "failures", OUTPUT_INTEGER, false, true, get_failures},
        {"RETRIES", "retries", OUTPUT_INTEGER, false, true, get_retries},
        {"SUBMITTED", "submitted", OUTPUT_TIME, false, true, get_submitted},
        {"STARTED", "started", OUTPUT_TIME, false, true, get_started},
        {"ENDED", "ended", OUTPUT_TIME, false, true, get_ended},
        {"TASKTYPE", "task_type", OUTPUT_TEXT, false, true, get_task_type},
        {"GPUS", "gpus", OUTPUT_DECIMAL, false, true, get_gpus},
        {"QUEUE", "queue", OUTPUT_TEXT, false, true, get_queue},
        {"MODULE", "module", OUTPUT_TEXT, false, true, get_module},
        {"PINNED", "pinned_node", OUTPUT_TEXT, false, true, get_pinned},
        {"TASKS", "tasks", OUTPUT_INTEGER, false, true, get_tasks},
        {"TASKSOK", "tasks_ok", OUTPUT_INTEGER, false, true, get_tasks_ok},
        {"TASKSBAD", "tasks_bad", OUTPUT_INTEGER, false, true, get_tasks_bad},
        {"LABELS", "labels", OUTPUT_LABELS, false, true, get_labels},
        {NULL, NULL, OUTPUT_TEXT, false, false, NULL},
};

const struct output_kind job_kind = {"plexus.job.v1", "jobs", job_columns, sizeof(struct plexus_job)};

/* ---- ps ------------------------------------------------------------------------------------------------ */

struct rows {
        struct plexus_list *pages;
        size_t pages_count;
        struct plexus_job *jobs;
        size_t count;
};

static void rows_fini(struct rows *rows)
{
        for (size_t i = 0; i < rows->pages_count; i++)
                plexus_list_fini(&rows->pages[i]);
        free(rows->pages);
        free(rows->jobs);
}

/* Add one page; the rows borrow its strings. */
static bool rows_add(struct rows *rows, struct plexus_list *page)
{
        struct plexus_list *pages = reallocarray(rows->pages, rows->pages_count + 1, sizeof *pages);
        struct plexus_job *jobs = reallocarray(rows->jobs, rows->count + page->count + 1, sizeof *jobs);

        if (pages != NULL)
                rows->pages = pages;
        if (jobs != NULL)
                rows->jobs = jobs;
        if (pages == NULL || jobs == NULL)
                return false;
        if (page->count > 0)
                memcpy(rows->jobs + rows->count, page->jobs, page->count * sizeof *page->jobs);
        rows->count += page->count;
        rows->pages[rows->pages_count++] = *page;
        return true;
}

static int fetch(struct cli *cli, const struct plexus_filter *filter, size_t limit, struct rows *rows,
                 bool *ret_more)
{
        uint64_t cursor = 0;

        do {
                struct plexus_list page = {0};
                size_t want = limit - rows->count < 1000 ? limit - rows->count : 1000;
                int error = plexus_jobs(cli->px, filter, cursor, want, &page);

                if (error != PLEXUS_OK)
                        return cli_refused(cli, error, "");
                cursor = page.cursor;
                if (!rows_add(rows, &page))
                        return cli_fail(cli, CLI_FAULT, "out of memory");
        } while (cursor != 0 && rows->count < limit);
        *ret_more = cursor != 0;
        return 0;
}

/* "3 running, 2 queued, 1 failed" */
static void summarise(const struct rows *rows, bool more, char *ret_text, size_t room)
{
        size_t counts[PLEXUS_SKIPPED + 1] = {0};
        size_t used = 0;

        for (size_t i = 0; i < rows->count; i++)
                if (rows->jobs[i].state <= PLEXUS_SKIPPED && rows->jobs[i].state >= 0)
                        counts[rows->jobs[i].state]++;
        used += (size_t)snprintf(ret_text, room, "%zu job%s", rows->count, rows->count == 1 ? "" : "s");
        for (int state = PLEXUS_BLOCKED; state <= PLEXUS_SKIPPED && used < room; state++)
                if (counts[state] > 0)
                        used += (size_t)snprintf(ret_text + used, room - used, "%s%zu %s",
                                                 strchr(ret_text, ':') == NULL ? ": " : ", ", counts[state],
                                                 plexus_state_name(state));
        if (more && used < room)
                snprintf(ret_text + used, room - used, "; more with --limit");
}

static int ps_filter(struct cli *cli, struct filter_words *words)
{
        bool named = false; /* by number: then ended ones count, too */

        for (size_t i = 0; i < cli->arguments_count; i++) {
                bool range = select_range(cli->arguments[i], &words->filter);
                int code = range ? 0 : filter_add_word(cli, words, cli->arguments[i]);

                named = named || range;
                if (code != 0)
                        return code;
        }
        if (words->filter.states == 0) {
                words->filter.active = true;
                words->filter.done = named || cli_has(cli, "all");
        }
        if (words->filter.owner == NULL && !cli_has(cli, "all"))
                words->filter.owner = "me";
        words->filter.newest_first = words->filter.done && !named;
        return 0;
}

/* Of jobs that wait, what for just now: the lists know only what was stored. Without an answer those
 * words stay. */
static void ask_reasons(struct cli *cli, struct rows *rows)
{
        uint64_t ids[1000];
        size_t at[1000];
        char **reasons;
        size_t count = 0;

        for (size_t i = 0; i < rows->count && count < 1000; i++) {
                if (rows->jobs[i].state != PLEXUS_BLOCKED && rows->jobs[i].state != PLEXUS_QUEUED)
                        continue;
                at[count] = i;
                ids[count++] = rows->jobs[i].id;
        }
        if (count == 0 || plexus_reasons(cli->px, ids, count, &reasons) != PLEXUS_OK)
                return;
        for (size_t i = 0; i < count; i++)
                if (reasons[i][0] != '\0')
                        snprintf(rows->jobs[at[i]].reason, sizeof rows->jobs[at[i]].reason, "%s", reasons[i]);
        plexus_lines_free(reasons);
}

int verb_ps(struct cli *cli)
{
        struct filter_words words = {0};
        struct rows rows = {0};
        const char *limit_text = cli_value(cli, "limit");
        int64_t limit = PS_LIMIT_DEFAULT;
        char summary[256];
        bool more = false;
        int code;

        if (limit_text != NULL && !cli_parse_number(limit_text, 1, 10000000, &limit))
                return cli_fail(cli, CLI_USAGE, "--limit %s is not a number from 1 to 10000000", limit_text);
        code = ps_filter(cli, &words);
        if (code == 0)
                code = cli_connect(cli);
        if (code == 0)
                code = fetch(cli, &words.filter, (size_t)limit, &rows, &more);
        if (code == 0) {
                ask_reasons(cli, &rows);
                summarise(&rows, more, summary, sizeof summary);
                code = output_rows(cli, &job_kind, rows.jobs, rows.count, summary);
        }
        rows_fini(&rows);
        filter_words_fini(&words);
        return code;
}
