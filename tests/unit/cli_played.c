/* SPDX-License-Identifier: Apache-2.0 */
/* cli_played.c - see cli_played.h. */
#include "cli_played.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct played played;
static char printed[2][1 << 16];

struct plexus_stream {
        const struct played_job *job;
        size_t at;
        uint64_t offsets[3];
        struct plexus_log_options options;
        uint64_t skip[3]; /* bytes before what was asked for */
};

static const struct played_job *job_find(uint64_t id)
{
        for (size_t i = 0; i < played.jobs_count; i++)
                if (played.jobs[i].job.id == id)
                        return &played.jobs[i];
        return NULL;
}

struct played_job *played_add(uint64_t id, int state, const struct played_chunk *chunks)
{
        struct played_job *job = &played.jobs[played.jobs_count++];

        PX_ASSERT(played.jobs_count <= PLAYED_JOBS_MAX);
        memset(job, 0, sizeof *job);
        job->job.id = id;
        job->job.state = state;
        job->job.progress = -1;
        snprintf(job->job.state_name, sizeof job->job.state_name, "%s", plexus_state_name(state));
        job->end = (struct plexus_end){.job = id, .state = state, .exit_code = state != PLEXUS_JOB_OK};
        snprintf(job->end.reason, sizeof job->end.reason, "%s",
                 state == PLEXUS_JOB_OK ? "" : "exit 1 on node1 after 2 s");
        for (size_t i = 0; chunks != NULL && chunks[i].kind != 0; i++)
                job->chunks[i] = chunks[i];
        return job;
}

/* ---- the library --------------------------------------------------------------------------------- */

int plexus_connect(const struct plexus_options *options, plexus **ret)
{
        (void)options;
        *ret = (plexus *)&played;
        return played.connect_error;
}

void plexus_close(plexus *px)
{
        (void)px;
}

const char *plexus_detail(plexus *px)
{
        (void)px;
        return played.detail != NULL ? played.detail : "";
}

int plexus_fd(plexus *px)
{
        static int always = -1;

        (void)px;
        if (always < 0)
                always = open("/dev/zero", O_RDONLY | O_CLOEXEC);
        return always;
}

static uint64_t bytes_of(const struct played_job *job, int kind)
{
        uint64_t bytes = 0;

        for (const struct played_chunk *chunk = job->chunks; chunk->kind != 0; chunk++)
                bytes += chunk->kind == kind ? strlen(chunk->text) : 0;
        return bytes;
}

int plexus_logs(plexus *px, uint64_t id, const struct plexus_log_options *options, plexus_stream **ret)
{
        const struct played_job *job = job_find(id);
        plexus_stream *stream;

        (void)px;
        if (job == NULL)
                return PLEXUS_ABSENT;
        stream = calloc(1, sizeof *stream);
        stream->job = job;
        stream->options = *options;
        stream->skip[1] = options->out_offset;
        stream->skip[2] = options->err_offset;
        for (int kind = 1; kind <= 2 && options->tail_bytes > 0; kind++)
                if (bytes_of(job, kind) > options->tail_bytes)
                        stream->skip[kind] = bytes_of(job, kind) - options->tail_bytes;
        played.streams_open++;
        played.log_openings++;
        *ret = stream;
        return PLEXUS_OK;
}

void plexus_stream_close(plexus_stream *stream)
{
        if (stream != NULL)
                played.streams_open--;
        free(stream);
}

/* What of a chunk the stream was asked for; false = nothing. */
static bool take_bytes(plexus_stream *stream, const struct played_chunk *chunk,
                       struct plexus_log_item *ret_item)
{
        int kind = chunk->kind;
        uint64_t begin = stream->offsets[kind];
        uint64_t length = strlen(chunk->text);
        uint64_t cut = stream->skip[kind] > begin ? PX_MIN(stream->skip[kind] - begin, length) : 0;
        bool wanted = (!stream->options.out && !stream->options.err) ||
                      (kind == PLEXUS_LOG_OUT ? stream->options.out : stream->options.err);

        stream->offsets[kind] += length;
        ret_item->stream = kind;
        ret_item->offset = begin + cut;
        ret_item->bytes = (const uint8_t *)chunk->text + cut;
        ret_item->length = length - cut;
        return wanted && length > cut;
}

int plexus_log_next(plexus_stream *stream, int64_t timeout_ms, struct plexus_log_item *ret_item)
{
        (void)timeout_ms;
        for (;;) {
                const struct played_chunk *chunk = &stream->job->chunks[stream->at];

                *ret_item = (struct plexus_log_item){.job = stream->job->job.id, .text = ""};
                if (chunk->kind == 0) {
                        ret_item->kind = PLEXUS_LOG_END;
                        ret_item->state = stream->job->job.state;
                        return PLEXUS_OK;
                }
                stream->at++;
                ret_item->kind = chunk->kind;
                ret_item->wall_ms = chunk->wall_ms;
                if (chunk->kind == PLEXUS_LOG_ATTEMPT) {
                        ret_item->attempt = (uint32_t)chunk->wall_ms;
                        ret_item->text = chunk->text;
                        return PLEXUS_OK;
                }
                if (chunk->kind == PLEXUS_LOG_DROPPED) {
                        ret_item->stream = 1;
                        ret_item->dropped_bytes = (uint64_t)chunk->wall_ms;
                        return PLEXUS_OK;
                }
                if (take_bytes(stream, chunk, ret_item))
                        return PLEXUS_OK;
        }
}

static bool passes(const struct plexus_filter *filter, const struct plexus_job *job)
{
        bool ended = plexus_state_ended(job->state);

        if (filter->first != 0 && (job->id < filter->first || job->id > filter->last ||
                                   (job->id - filter->first) % filter->step != 0))
                return false;
        if (filter->states != 0)
                return (filter->states & UINT32_C(1) << job->state) != 0;
        return ended ? filter->done : filter->active || !filter->done;
}

int plexus_jobs(plexus *px, const struct plexus_filter *filter, uint64_t cursor, size_t count_max,
                struct plexus_list *ret_list)
{
        (void)px;
        *ret_list = (struct plexus_list){.jobs = calloc(2, sizeof(struct plexus_job))};
        ret_list->memory = ret_list->jobs;
        /* Pages of two, so that cursors are used. */
        for (; cursor < played.jobs_count && ret_list->count < PX_MIN(count_max, 2); cursor++)
                if (passes(filter, &played.jobs[cursor].job))
                        ret_list->jobs[ret_list->count++] = played.jobs[cursor].job;
        ret_list->cursor = cursor < played.jobs_count ? cursor : 0;
        return PLEXUS_OK;
}

void plexus_list_fini(struct plexus_list *list)
{
        free(list->memory);
}

int plexus_watch(plexus *px, const uint64_t *jobs, size_t count)
{
        (void)px;
        (void)jobs;
        played.watched = count;
        return PLEXUS_OK;
}

int plexus_next_end(plexus *px, int64_t timeout_ms, struct plexus_end *ret_end)
{
        (void)px;
        (void)timeout_ms;
        if (played.ends_given == played.jobs_count)
                return PLEXUS_TIMED_OUT;
        *ret_end = played.jobs[played.ends_given++].end;
        return PLEXUS_OK;
}

int plexus_wait(plexus *px, uint64_t id, int64_t timeout_ms, struct plexus_end *ret_end)
{
        const struct played_job *job = job_find(id);

        (void)px;
        (void)timeout_ms;
        if (job == NULL)
                return PLEXUS_ABSENT;
        *ret_end = job->end;
        return PLEXUS_OK;
}

void plexus_end_fini(struct plexus_end *end)
{
        (void)end;
}

int plexus_submit(plexus *px, const struct plexus_job_spec *spec, uint64_t *ret_job)
{
        (void)px;
        (void)spec;
        *ret_job = played.jobs_count > 0 ? played.jobs[0].job.id : 0;
        return played.jobs_count > 0 ? PLEXUS_OK : PLEXUS_TIMED_OUT;
}

int plexus_retry(plexus *px, const uint64_t *jobs, size_t count, bool force,
                 struct plexus_change_answer *answers)
{
        (void)px;
        (void)force;
        for (size_t i = 0; i < count; i++)
                answers[i] = (struct plexus_change_answer){.job = jobs[i], .state = PLEXUS_QUEUED};
        return PLEXUS_OK;
}

/* ---- running ----------------------------------------------------------------------------------------- */

static int stand_in(int fd, int *ret_saved)
{
        FILE *file = tmpfile();
        int copy;

        PX_ASSERT(file != NULL);
        fflush(NULL);
        *ret_saved = dup(fd);
        copy = dup(fileno(file));
        fclose(file);
        dup2(copy, fd);
        return copy;
}

static void put_back(int fd, int saved, int copy, char *ret_text)
{
        ssize_t length;

        fflush(NULL);
        dup2(saved, fd);
        close(saved);
        length = pread(copy, ret_text, sizeof printed[0] - 1, 0);
        ret_text[length > 0 ? length : 0] = '\0';
        close(copy);
}

int played_run(const char *word, ...)
{
        char *argv[CLI_TOOL_WORDS_MAX + 2] = {(char *)(uintptr_t)"plexus"};
        struct cli cli;
        int saved[2];
        int copies[2];
        int argc = 1;
        va_list words;
        int code;

        va_start(words, word);
        for (; word != NULL; word = va_arg(words, const char *))
                argv[argc++] = (char *)(uintptr_t)word;
        va_end(words);
        for (int i = 0; i < 2; i++)
                copies[i] = stand_in(1 + i, &saved[i]);
        code = cli_parse(argc, argv, &cli);
        if (code == 0) {
                code = cli.command->run(&cli);
                cli_fini(&cli);
        }
        for (int i = 0; i < 2; i++)
                put_back(1 + i, saved[i], copies[i], printed[i]);
        return code;
}

const char *played_out(void)
{
        return printed[0];
}

const char *played_err(void)
{
        return printed[1];
}
