/* SPDX-License-Identifier: Apache-2.0 */
/* why.c - `plexus why`: what keeps a job from running; of one that ended badly what it used and said last.
 * Layer: L4 (client/cli). */
#include <inttypes.h>

#include "output.h"
#include "select.h"
#include "tail.h"
#include "verbs.h"

#define LAST_LINES 5

/* The last lines of its output, as they were written. */
static void print_last_lines(struct cli *cli, uint64_t job, const char *indent)
{
        struct plexus_log_options options = {0};
        struct plexus_log_item item = {0};
        plexus_stream *stream;
        bool begins = true;

        if (tail_find(cli->px, job, LAST_LINES, &options) != PLEXUS_OK ||
            plexus_logs(cli->px, job, &options, &stream) != PLEXUS_OK)
                return;
        while (item.kind != PLEXUS_LOG_END && plexus_log_next(stream, -1, &item) == PLEXUS_OK) {
                if (item.kind != PLEXUS_LOG_OUT && item.kind != PLEXUS_LOG_ERR)
                        continue;
                for (size_t i = 0; i < item.length; i++) {
                        if (begins)
                                printf("%s  | ", indent);
                        putchar(item.bytes[i]);
                        begins = item.bytes[i] == '\n';
                }
        }
        if (!begins)
                putchar('\n');
        plexus_stream_close(stream);
}

static void print_ended(struct cli *cli, const struct plexus_shown *shown, const char *indent)
{
        const struct plexus_job *job = &shown->job;
        char peak[32];
        char cpu[32];

        if (!plexus_state_ended(job->state) || job->state == PLEXUS_JOB_OK || job->attempt == 0)
                return;
        if (job->memory_peak_bytes > 0 || job->cpu_ms > 0)
                printf("%sit used %s memory at most, %s of cpu time\n", indent,
                       output_bytes(job->memory_peak_bytes, peak, sizeof peak),
                       output_duration(job->cpu_ms, cpu, sizeof cpu));
        if (shown->out_bytes + shown->err_bytes > 0) {
                printf("%sits last lines:\n", indent);
                print_last_lines(cli, job->id, indent);
        }
}

static int why_one(struct cli *cli, uint64_t job, bool many)
{
        const char *indent = many ? "  " : "";
        struct plexus_shown shown;
        char **lines;
        int error = plexus_why(cli->px, job, &lines, NULL);

        if (error != PLEXUS_OK)
                return cli_refused_job(cli, error, job);
        if (many)
                printf("%s\n", ID_TEXT(job));
        for (size_t i = 0; lines[i] != NULL; i++)
                printf("%s%s\n", indent, lines[i]);
        plexus_lines_free(lines);
        if (plexus_show(cli->px, job, &shown) == PLEXUS_OK) {
                print_ended(cli, &shown, indent);
                plexus_shown_fini(&shown);
        }
        return 0;
}

int verb_why(struct cli *cli)
{
        struct job_list jobs = {0};
        int code = cli_connect(cli);
        int worst = 0;

        if (code == 0)
                code = select_jobs(cli, cli->arguments, cli->arguments_count, true, NULL, &jobs);
        for (size_t i = 0; i < jobs.count && code == 0; i++) {
                int one = why_one(cli, jobs.ids[i], jobs.count > 1);

                worst = one != 0 ? one : worst;
        }
        job_list_fini(&jobs);
        return code != 0 ? code : worst;
}
