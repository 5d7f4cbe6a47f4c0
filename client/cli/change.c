/* SPDX-License-Identifier: Apache-2.0 */
/* change.c - the verbs that change jobs: cancel, retry, hold, release, rename, priority, signal, rm.
 * Layer: L4 (client/cli). */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "select.h"
#include "verbs.h"

struct change {
        const char *past; /* "cancelled" */
        int (*call)(struct cli *cli, const struct job_list *jobs, struct plexus_change_answer *answers);
        bool ended; /* words like `all` look at ended jobs too */
        size_t skip; /* arguments before the selectors */
        const char *narrow; /* a filter that all must pass; NULL = none */
        uint32_t tasks; /* an array stands for its tasks in one of these states (bits); 0 = for itself */
        bool until_gone; /* wait until what was changed has ended */
};

/* ---- columns -------------------------------------------------------------------------------------------- */

static void get_id(const void *row, struct output_value *ret_value)
{
        ret_value->number = (double)((const struct plexus_change_answer *)row)->job;
}

static void get_done(const void *row, struct output_value *ret_value)
{
        ret_value->number = ((const struct plexus_change_answer *)row)->error == PLEXUS_OK;
}

static void get_state(const void *row, struct output_value *ret_value)
{
        const struct plexus_change_answer *answer = row;

        ret_value->text = answer->state != 0 ? plexus_state_name(answer->state) : "";
}

static void get_text(const void *row, struct output_value *ret_value)
{
        const struct plexus_change_answer *answer = row;

        ret_value->text = answer->text[0] != '\0' || answer->error == PLEXUS_OK
                                  ? answer->text
                                  : plexus_error_text(answer->error);
}

static const struct output_column change_columns[] = {
        {"ID", "id", OUTPUT_INTEGER, false, false, get_id},
        {"DONE", "done", OUTPUT_BOOL, false, false, get_done},
        {"STATE", "state", OUTPUT_TEXT, false, false, get_state},
        {"TEXT", "text", OUTPUT_TEXT, false, false, get_text},
        {NULL, NULL, OUTPUT_TEXT, false, false, NULL},
};

static const struct output_kind change_kind = {"plexus.change.v1", "changes", change_columns,
                                               sizeof(struct plexus_change_answer)};

/* ---- one way for all --------------------------------------------------------------------------------------- */

/* Say on standard error what was refused and how many were done. */
static void say_answers(const struct cli *cli, const struct change *change,
                        const struct plexus_change_answer *answers, size_t count)
{
        size_t done = 0;

        for (size_t i = 0; i < count; i++) {
                if (answers[i].error == PLEXUS_OK)
                        done++;
                else
                        fprintf(stderr, "plexus %s: %s: %s\n", cli->command->name, ID_TEXT(answers[i].job),
                                answers[i].text[0] != '\0' ? answers[i].text
                                                           : plexus_error_text(answers[i].error));
        }
        if (!cli->quiet && done > 0)
                fprintf(stderr, "%s %zu job%s\n", change->past, done, done == 1 ? "" : "s");
}

/* Wait until every job of the list ended. */
static int wait_gone(struct cli *cli, const struct plexus_change_answer *answers, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                struct plexus_end end;
                int error;

                if (answers[i].error != PLEXUS_OK || plexus_state_ended(answers[i].state))
                        continue;
                error = plexus_wait(cli->px, answers[i].job, -1, &end);
                if (error != PLEXUS_OK)
                        return cli_refused(cli, error, "waiting for its end");
                plexus_end_fini(&end);
        }
        return 0;
}

static int change_jobs(struct cli *cli, const struct change *change)
{
        struct job_list jobs = {0};
        struct plexus_change_answer *answers = NULL;
        int error = PLEXUS_OK;
        int code = cli_connect(cli);

        if (code == 0)
                code = select_jobs(cli, cli->arguments + change->skip, cli->arguments_count - change->skip,
                                   change->ended, change->narrow, &jobs);
        if (code == 0 && change->tasks != 0)
                code = select_tasks(cli, change->tasks, true, &jobs);
        if (code == 0) {
                answers = calloc(jobs.count, sizeof *answers);
                if (answers == NULL)
                        code = cli_fail(cli, CLI_FAULT, "out of memory");
        }
        if (code == 0) {
                error = change->call(cli, &jobs, answers);
                if (error != PLEXUS_OK && answers[0].job == 0)
                        code = cli_refused(cli, error, "");
        }
        if (code == 0 && change->until_gone)
                code = wait_gone(cli, answers, jobs.count);
        if (code == 0 && cli_has(cli, "output"))
                code = output_rows(cli, &change_kind, answers, jobs.count, NULL);
        if (code == 0) {
                say_answers(cli, change, answers, jobs.count);
                code = error == PLEXUS_OK ? CLI_DONE : plexus_error_exit(error);
        }
        free(answers);
        job_list_fini(&jobs);
        return code;
}

/* ---- verbs ---------------------------------------------------------------------------------------------------- */

static int call_cancel(struct cli *cli, const struct job_list *jobs, struct plexus_change_answer *answers)
{
        const char *reason = cli_value(cli, "reason");

        return plexus_cancel(cli->px, jobs->ids, jobs->count, reason != NULL ? reason : "",
                             cli_has(cli, "force"), answers);
}

int verb_cancel(struct cli *cli)
{
        return change_jobs(cli, &(struct change){.past = "cancelled",
                                                 .call = call_cancel,
                                                 .until_gone = !cli_has(cli, "no-wait")});
}

static int call_retry(struct cli *cli, const struct job_list *jobs, struct plexus_change_answer *answers)
{
        return plexus_retry(cli->px, jobs->ids, jobs->count, cli_has(cli, "force"), answers);
}

int verb_retry(struct cli *cli)
{
        const char *narrow = cli_has(cli, "failed") ? "state=failed,timeout,lost" : NULL;
        uint32_t bad = 1u << PLEXUS_FAILED | 1u << PLEXUS_TIMEOUT | 1u << PLEXUS_LOST;

        return change_jobs(
                cli, &(struct change){.past = "retried", .call = call_retry, .ended = true, .narrow = narrow,
                                      .tasks = narrow != NULL ? bad : bad | 1u << PLEXUS_CANCELLED});
}

static int call_hold(struct cli *cli, const struct job_list *jobs, struct plexus_change_answer *answers)
{
        return plexus_hold(cli->px, jobs->ids, jobs->count, answers);
}

int verb_hold(struct cli *cli)
{
        return change_jobs(cli, &(struct change){.past = "held", .call = call_hold});
}

static int call_release(struct cli *cli, const struct job_list *jobs, struct plexus_change_answer *answers)
{
        return plexus_release(cli->px, jobs->ids, jobs->count, answers);
}

int verb_release(struct cli *cli)
{
        return change_jobs(cli, &(struct change){.past = "released", .call = call_release});
}

static int call_purge(struct cli *cli, const struct job_list *jobs, struct plexus_change_answer *answers)
{
        return plexus_purge(cli->px, jobs->ids, jobs->count, answers);
}

int verb_purge(struct cli *cli)
{
        return change_jobs(cli, &(struct change){.past = "forgot", .call = call_purge, .ended = true});
}

static int call_priority(struct cli *cli, const struct job_list *jobs, struct plexus_change_answer *answers)
{
        int64_t priority = 0;

        (void)cli_parse_number(cli->arguments[0], -1000, 1000, &priority);
        return plexus_priority(cli->px, jobs->ids, jobs->count, (int32_t)priority, answers);
}

int verb_priority(struct cli *cli)
{
        int64_t priority;

        if (!cli_parse_number(cli->arguments[0], -1000, 1000, &priority))
                return cli_fail(cli, CLI_USAGE, "\"%s\" is not a priority from -1000 to 1000",
                                cli->arguments[0]);
        return change_jobs(cli, &(struct change){.past = "changed", .call = call_priority, .skip = 1});
}

static int call_signal(struct cli *cli, const struct job_list *jobs, struct plexus_change_answer *answers)
{
        return plexus_signal(cli->px, jobs->ids, jobs->count, cli_parse_signal(cli->arguments[0]), answers);
}

int verb_signal(struct cli *cli)
{
        if (cli_parse_signal(cli->arguments[0]) == 0)
                return cli_fail(cli, CLI_USAGE, "\"%s\" is no signal (like USR1 or 10)", cli->arguments[0]);
        return change_jobs(cli, &(struct change){.past = "signalled", .call = call_signal, .skip = 1});
}

int verb_rename(struct cli *cli)
{
        struct job_list jobs = {0};
        int error;
        int code = cli_connect(cli);

        if (code == 0)
                code = select_jobs(cli, cli->arguments, 1, true, NULL, &jobs);
        if (code == 0 && jobs.count != 1)
                code = cli_fail(cli, CLI_USAGE, "\"%s\" names %zu jobs; rename takes one", cli->arguments[0],
                                jobs.count);
        if (code == 0) {
                error = plexus_rename(cli->px, jobs.ids[0], cli->arguments[1]);
                if (error != PLEXUS_OK)
                        code = cli_refused(cli, error, cli->arguments[0]);
        }
        job_list_fini(&jobs);
        return code;
}
