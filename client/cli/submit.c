/* SPDX-License-Identifier: Apache-2.0 */
/* submit.c - `plexus run` and `plexus submit`. Layer: L4 (client/cli). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "follow.h"
#include "output.h"
#include "spec.h"
#include "verbs.h"

#define COUNT_MAX 1000000
#define CHUNK 4096

/* A key of our own, so that a submit whose outcome is unknown can be repeated safely by hand. */
static void make_key(char ret_key[40])
{
        unsigned char bytes[12];

        if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
                abort();
        strcpy(ret_key, "submit-");
        for (size_t i = 0; i < sizeof bytes; i++)
                snprintf(ret_key + 7 + 2 * i, 3, "%02x", bytes[i]);
}

static bool outcome_unknown(int error)
{
        return error == PLEXUS_TIMED_OUT || error == PLEXUS_UNREACHABLE || error == PLEXUS_EXPIRED;
}

/* Submit one job. A refusal is said; where the outcome is unknown the command to repeat is printed. */
static int submit_one(struct cli *cli, struct spec_words *words, uint64_t *ret_job)
{
        char key[40];
        int error;

        make_key(key);
        if (words->spec.key == NULL)
                words->spec.key = key;
        error = plexus_submit(cli->px, &words->spec, ret_job);
        if (outcome_unknown(error)) {
                fprintf(stderr, "plexus %s: no answer: the job may or may not exist. This repeats the submit "
                                "and never makes a second job:\n  ",
                        cli->command->name);
                spec_print_command(stderr, cli, words->spec.key);
        }
        return error == PLEXUS_OK ? 0 : cli_refused(cli, error, "");
}

/* ---- run ------------------------------------------------------------------------------------------------------ */

/* The end of a job whose output was followed to its end. */
static int end_code(struct cli *cli, uint64_t job)
{
        struct plexus_end end;
        int error = plexus_wait(cli->px, job, -1, &end);
        int code;

        if (error != PLEXUS_OK)
                return cli_refused(cli, error, "");
        say_end(cli, &end);
        code = exit_of_end(&end);
        plexus_end_fini(&end);
        return code;
}

int verb_run(struct cli *cli)
{
        struct spec_words words;
        uint64_t job = 0;
        int code = spec_from_options(cli, &words);

        if (code != 0)
                return code;
        code = cli_connect(cli);
        if (code == 0)
                code = submit_one(cli, &words, &job);
        spec_fini(&words);
        /* Codes of a job and of ours must not be mixed up: beside wrong usage all is 125. */
        if (code != 0)
                return code == CLI_USAGE || code == CLI_DENIED ? code : CLI_FAULT;
        if (cli_has(cli, "detach")) {
                printf("%" PRIu64 "\n", job);
                return CLI_DONE;
        }
        switch (follow_job(cli, job, true, cli_has(cli, "kill-on-exit"), &code)) {
        case FOLLOW_DETACHED:
                return CLI_DETACHED;
        case FOLLOW_REFUSED:
                return CLI_FAULT;
        default:
                return end_code(cli, job);
        }
}

/* ---- submit ------------------------------------------------------------------------------------------------------ */

static void print_jobs(const struct cli *cli, const uint64_t *jobs, size_t count)
{
        if (output_is_json(cli)) {
                printf("{\"schema\":\"plexus.submitted.v1\",\"ids\":[");
                for (size_t i = 0; i < count; i++)
                        printf("%s%" PRIu64, i > 0 ? "," : "", jobs[i]);
                printf("]}\n");
        } else {
                for (size_t i = 0; i < count; i++)
                        printf("%" PRIu64 "\n", jobs[i]);
        }
        fflush(stdout);
}

static int submit_many(struct cli *cli, const struct spec_words *words, uint64_t *jobs, size_t count)
{
        struct plexus_job_spec *specs = calloc(count < CHUNK ? count : CHUNK, sizeof *specs);
        int error = PLEXUS_OK;

        if (specs == NULL)
                return cli_fail(cli, CLI_FAULT, "out of memory");
        for (size_t i = 0; i < count && i < CHUNK; i++)
                specs[i] = words->spec;
        for (size_t done = 0; done < count && error == PLEXUS_OK; done += CHUNK)
                error = plexus_submit_many(cli->px, specs, count - done < CHUNK ? count - done : CHUNK,
                                           jobs + done, NULL, 0);
        free(specs);
        return error == PLEXUS_OK ? 0 : cli_refused(cli, error, "");
}

/* Wait for all of them; with --follow the output of the first is printed. */
static int wait_for(struct cli *cli, const uint64_t *jobs, size_t count)
{
        int code = CLI_DONE;

        if (cli_has(cli, "follow") && follow_job(cli, jobs[0], true, false, &code) != FOLLOW_ENDED)
                return code != CLI_DONE ? code : CLI_DETACHED;
        for (size_t i = 0; i < count; i++) {
                struct plexus_end end;
                int error = plexus_wait(cli->px, jobs[i], -1, &end);

                if (error != PLEXUS_OK)
                        return cli_refused(cli, error, "");
                say_end(cli, &end);
                if (end.state != PLEXUS_JOB_OK && code == CLI_DONE)
                        code = cli_has(cli, "propagate") ? exit_of_end(&end) : CLI_JOB_NOT_OK;
                plexus_end_fini(&end);
        }
        return code;
}

static int submit_count(struct cli *cli, struct spec_words *words, size_t count)
{
        uint64_t *jobs = calloc(count, sizeof *jobs);
        int code;

        if (jobs == NULL)
                return cli_fail(cli, CLI_FAULT, "out of memory");
        code = count == 1 ? submit_one(cli, words, &jobs[0]) : submit_many(cli, words, jobs, count);
        if (code == 0) {
                print_jobs(cli, jobs, count);
                if (cli_has(cli, "wait") || cli_has(cli, "follow"))
                        code = wait_for(cli, jobs, count);
        }
        free(jobs);
        return code;
}

static void print_tried(const struct plexus_tried *tried)
{
        char estimate[32];

        if (tried->node[0] != '\0')
                fprintf(stderr, "it would run now on node %s; %u of %u nodes could run it\n", tried->node,
                        tried->nodes_able, tried->nodes);
        else
                fprintf(stderr, "it would wait; %u of %u nodes could run it\n", tried->nodes_able, tried->nodes);
        for (size_t i = 0; tried->waits[i] != NULL; i++)
                fprintf(stderr, "  %s\n", tried->waits[i]);
        if (tried->estimate_ms > 0)
                fprintf(stderr, "  about %s at the recent rate\n",
                        output_duration(tried->estimate_ms, estimate, sizeof estimate));
}

/* The specification on standard output, what would become of it on standard error. */
static int dry_run(struct cli *cli, const struct spec_words *words)
{
        struct plexus_tried tried;
        int error;
        int code;

        spec_print(words);
        fflush(stdout);
        code = cli_connect(cli);
        if (code != 0)
                return code;
        error = plexus_try(cli->px, &words->spec, &tried);
        if (error != PLEXUS_OK)
                return cli_refused(cli, error, "");
        print_tried(&tried);
        plexus_lines_free(tried.waits);
        return CLI_DONE;
}

int verb_submit(struct cli *cli)
{
        const char *count_text = cli_value(cli, "count");
        struct spec_words words;
        int64_t count = 1;
        int code;

        if (count_text != NULL && !cli_parse_number(count_text, 1, COUNT_MAX, &count))
                return cli_fail(cli, CLI_USAGE, "--count %s is not a number from 1 to %d", count_text,
                                COUNT_MAX);
        code = spec_from_options(cli, &words);
        if (code != 0)
                return code;
        if (count > 1 && words.spec.key != NULL)
                code = cli_fail(cli, CLI_USAGE, "--count and --idempotency-key exclude each other");
        if (code == 0 && cli_has(cli, "dry-run")) {
                code = dry_run(cli, &words);
                spec_fini(&words);
                return code;
        }
        if (code == 0)
                code = cli_connect(cli);
        if (code == 0)
                code = submit_count(cli, &words, (size_t)count);
        spec_fini(&words);
        return code;
}
