/* SPDX-License-Identifier: Apache-2.0 */
/* spec.c - check and encode a job. Layer: L4 (client/lib). The same limits are checked by the broker;
 * here they get words with numbers, before anything is sent. */
#include "lib_spec.h"

#include "lib_detail.h"
#include "px_codec.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#define GRACE_DEFAULT_MS 10000
#define CPUS_MAX 1000000.0

#define CHECK(call)                                                                                \
        do {                                                                                       \
                int check_code = (call);                                                           \
                if (check_code != PX_OK)                                                           \
                        return check_code;                                                         \
        } while (0)

static int check_bytes(const char *what, size_t bytes, size_t bytes_max, const char *limit)
{
        if (bytes <= bytes_max)
                return PX_OK;
        return detail_refuse(PX_E_LIMIT, "%s has %zu bytes; the limit is %zu (%s)", what, bytes,
                             bytes_max, limit);
}

static int check_count(const char *what, size_t count, size_t count_max, const char *limit)
{
        if (count <= count_max)
                return PX_OK;
        return detail_refuse(PX_E_LIMIT, "%zu %s were given; the limit is %zu (%s)", count, what,
                             count_max, limit);
}

static int check_text(const char *what, const char *text, size_t bytes_max, const char *limit,
                      struct px_slice *ret_slice)
{
        struct px_slice slice = px_slice_text(text != NULL ? text : "");

        CHECK(check_bytes(what, slice.length, bytes_max, limit));
        if (!px_slice_is_text(slice))
                return detail_refuse(PX_E_INVALID, "%s is not UTF-8", what);
        *ret_slice = slice;
        return PX_OK;
}

static int add_argv(const struct plexus_job_spec *in, struct px_arena *arena, struct px_spec *spec)
{
        struct px_slice *argv;
        size_t count = 0;
        char what[64];

        if (in->argv == NULL)
                return PX_OK;
        while (in->argv[count] != NULL)
                count++;
        CHECK(check_count("arguments", count, PX_LIMIT_ARGV_ITEMS, "ARGV_ITEMS"));
        if (count == 0 || in->argv[0][0] == '\0')
                return detail_refuse(PX_E_INVALID, "the command is empty");
        argv = px_arena_alloc(arena, count * sizeof(*argv));
        for (size_t i = 0; i < count; i++) {
                argv[i] = px_slice_text(in->argv[i]);
                snprintf(what, sizeof(what), "argument %zu", i);
                CHECK(check_bytes(what, argv[i].length, PX_LIMIT_ARG_BYTES, "ARG_BYTES"));
        }
        spec->argv = argv;
        spec->argv_count = count;
        return PX_OK;
}

static int add_env(const struct plexus_job_spec *in, struct px_arena *arena, struct px_spec *spec)
{
        struct px_variable *env;
        char what[200];

        if (in->env == NULL || in->env_count == 0)
                return PX_OK;
        CHECK(check_count("environment variables", in->env_count, PX_LIMIT_ENV_ITEMS, "ENV_ITEMS"));
        env = px_arena_alloc(arena, in->env_count * sizeof(*env));
        for (size_t i = 0; i < in->env_count; i++) {
                const char *name = in->env[i].key;

                if (name == NULL || name[0] == '\0' || strchr(name, '=') != NULL)
                        return detail_refuse(PX_E_INVALID, "environment variable %zu has a name "
                                                           "that is empty or has a \"=\"", i);
                snprintf(what, sizeof(what), "the name of environment variable %zu", i);
                CHECK(check_text(what, name, PX_LIMIT_LABEL_BYTES, "LABEL_BYTES", &env[i].name));
                snprintf(what, sizeof(what), "the environment variable %s", name);
                CHECK(check_text(what, in->env[i].value, PX_LIMIT_ARG_BYTES, "ARG_BYTES",
                                 &env[i].value));
        }
        spec->env = env;
        spec->env_count = in->env_count;
        return PX_OK;
}

/* A command runs where the caller is, unless told otherwise. */
static int add_cwd(const struct plexus_job_spec *in, struct px_arena *arena, struct px_spec *spec)
{
        char here[PATH_MAX];
        const char *cwd = in->cwd;

        spec->scratch = in->scratch;
        if (cwd == NULL && (in->scratch || in->argv == NULL))
                return PX_OK;
        if (cwd == NULL) {
                if (getcwd(here, sizeof(here)) == NULL)
                        return detail_refuse(PX_E_INVALID, "the current directory is not known: %s",
                                             strerror(errno));
                cwd = px_arena_text(arena, px_slice_text(here));
        }
        if (cwd[0] != '/')
                return detail_refuse(PX_E_INVALID, "the directory \"%s\" is not absolute", cwd);
        return check_text("the directory", cwd, PX_LIMIT_PATH_BYTES, "PATH_BYTES", &spec->cwd);
}

static int add_input(const struct plexus_job_spec *in, struct px_spec *spec,
                     struct spec_blob *blob)
{
        if (in->argv != NULL)
                CHECK(check_bytes("the standard input", in->input_bytes, PX_LIMIT_STDIN_BYTES,
                                  "STDIN_BYTES"));
        else
                CHECK(check_bytes("the task's payload", in->input_bytes, PX_LIMIT_INPUT_BYTES,
                                  "INPUT_BYTES"));
        spec->has_stdin = in->has_input || in->input_bytes > 0;
        blob->used = in->argv != NULL && in->input_bytes > SPEC_INPUT_BYTES;
        if (blob->used) {
                crypto_hash_sha256(blob->hash, in->input, in->input_bytes);
                spec->blob = px_slice_of(blob->hash, sizeof(blob->hash));
                spec->blob_bytes = in->input_bytes;
                return PX_OK;
        }
        spec->input = px_slice_of(in->input_bytes > 0 ? in->input : NULL, in->input_bytes);
        return PX_OK;
}

static int encode_spec(const struct plexus_job_spec *in, struct px_arena *arena,
                       struct spec_blob *blob, struct px_buf *ret_spec)
{
        struct px_spec spec = {
                .time_limit_ms = in->time_limit_ms,
                .grace_ms = in->grace_ms > 0 ? in->grace_ms : GRACE_DEFAULT_MS,
                .log_bytes = in->log_bytes,
                .as_root = in->as_root,
        };

        CHECK(check_bytes("the log asked for", in->log_bytes, PX_LIMIT_LOG_ATTEMPT_BYTES,
                          "LOG_ATTEMPT_BYTES"));
        CHECK(add_argv(in, arena, &spec));
        CHECK(add_env(in, arena, &spec));
        CHECK(add_cwd(in, arena, &spec));
        CHECK(add_input(in, &spec, blob));
        px_spec_encode(&spec, ret_spec);
        return check_bytes("the specification (arguments, environment, input)", ret_spec->length,
                           PX_LIMIT_SPEC_BYTES, "SPEC_BYTES");
}

static int add_labels(const struct plexus_job_spec *in, struct px_arena *arena,
                      struct px_submit_job *job)
{
        struct px_label *labels;

        if (in->labels == NULL || in->labels_count == 0)
                return PX_OK;
        CHECK(check_count("labels", in->labels_count, PX_LIMIT_LABEL_ITEMS, "LABEL_ITEMS"));
        labels = px_arena_alloc(arena, in->labels_count * sizeof(*labels));
        for (size_t i = 0; i < in->labels_count; i++) {
                if (in->labels[i].key == NULL || in->labels[i].key[0] == '\0')
                        return detail_refuse(PX_E_INVALID, "label %zu has no key", i);
                CHECK(check_text("a label's key", in->labels[i].key, PX_LIMIT_LABEL_BYTES,
                                 "LABEL_BYTES", &labels[i].key));
                CHECK(check_text("a label's value", in->labels[i].value, PX_LIMIT_LABEL_BYTES,
                                 "LABEL_BYTES", &labels[i].value));
        }
        job->labels = labels;
        job->labels_count = in->labels_count;
        return PX_OK;
}

static int add_texts(const struct plexus_job_spec *in, struct px_submit_job *job)
{
        CHECK(check_text("the task type", in->task_type, PX_LIMIT_TYPE_BYTES, "TYPE_BYTES",
                         &job->task_type));
        CHECK(check_text("the name", in->name, PX_LIMIT_NAME_BYTES, "NAME_BYTES", &job->name));
        CHECK(check_text("the node's name", in->node, PX_LIMIT_NODE_NAME_BYTES, "NODE_NAME_BYTES",
                         &job->node));
        return check_text("the idempotency key", in->key, PX_LIMIT_KEY_BYTES, "KEY_BYTES",
                          &job->key);
}

static int add_numbers(const struct plexus_job_spec *in, struct px_submit_job *job)
{
        double cpus = in->cpus < 0 ? 0 : in->cpus;

        if (cpus == 0 && in->cpus >= 0 && in->argv != NULL)
                cpus = 1;
        if (!(cpus <= CPUS_MAX)) /* NaN too */
                return detail_refuse(PX_E_LIMIT, "%g cpus are not from 0 to %g", in->cpus, CPUS_MAX);
        if (in->priority > PX_LIMIT_PRIORITY || in->priority < -PX_LIMIT_PRIORITY)
                return detail_refuse(PX_E_LIMIT, "priority %d is not within +-%d (PRIORITY)",
                                     in->priority, PX_LIMIT_PRIORITY);
        if (in->retries > PX_LIMIT_RETRIES)
                return detail_refuse(PX_E_LIMIT, "%u retries; the limit is %d (RETRIES)",
                                     in->retries, PX_LIMIT_RETRIES);
        job->cpus_milli = (uint32_t)lround(cpus * 1000);
        job->memory_bytes = in->memory_bytes;
        job->priority = in->priority;
        job->retries = in->retries;
        job->backoff_ms = in->backoff_ms;
        job->on_lost = in->on_lost_fail ? PX_ON_LOST_FAIL : PX_ON_LOST_RERUN;
        job->lost_after_ms = in->lost_after_ms;
        job->start_wall_ms = in->start_wall_ms;
        job->hold = in->hold;
        return PX_OK;
}

static int add_array(const struct plexus_job_spec *in, struct px_arena *arena,
                     struct px_submit_job *job)
{
        struct px_array *set;
        uint64_t last;

        if (in->array == NULL)
                return PX_OK;
        set = px_arena_alloc(arena, sizeof(*set));
        *set = (struct px_array){
                .count = in->array->count,
                .first = in->array->first,
                .step = in->array->step == 0 ? 1 : in->array->step,
                .limit = in->array->limit,
                .max_fails = in->array->max_fails,
        };
        last = set->first + (uint64_t)set->step * (set->count > 0 ? set->count - 1 : 0);
        if (set->count == 0 || set->count > PX_LIMIT_ARRAY_TASKS)
                return detail_refuse(PX_E_LIMIT, "an array of %u tasks is not from 1 to %d (ARRAY_TASKS)",
                                     set->count, PX_LIMIT_ARRAY_TASKS);
        if (last > PX_TASK_NUMBER_MAX)
                return detail_refuse(PX_E_LIMIT, "task %llu is above %u, the largest number of a task",
                                     (unsigned long long)last, PX_TASK_NUMBER_MAX);
        job->array = set;
        job->array_count = 1;
        return PX_OK;
}

static int check_kind(const struct plexus_job_spec *in)
{
        bool task = in->task_type != NULL && in->task_type[0] != '\0';

        if (in->argv == NULL && !task)
                return detail_refuse(PX_E_INVALID, "neither a command nor a task type was given");
        if (in->argv != NULL && task)
                return detail_refuse(PX_E_INVALID, "a job is a command or a task, not both");
        return PX_OK;
}

int spec_encode_job(const struct plexus_job_spec *in, struct px_arena *arena,
                    struct spec_blob *blob, struct px_buf *spec, struct px_submit_job *job)
{
        CHECK(check_kind(in));
        CHECK(add_texts(in, job));
        CHECK(add_labels(in, arena, job));
        CHECK(add_numbers(in, job));
        CHECK(spec_add_needs(in, arena, job));
        CHECK(add_array(in, arena, job));
        CHECK(encode_spec(in, arena, blob, spec));
        job->kind = in->argv != NULL ? PX_JOB_KIND_COMMAND : PX_JOB_KIND_TASK;
        job->spec = px_buf_slice(spec);
        if (blob->used)
                job->blob = px_slice_of(blob->hash, sizeof(blob->hash));
        return PX_OK;
}

int spec_encode(const struct plexus_job_spec *in, struct px_buf *ret_job,
                struct spec_blob *ret_blob)
{
        struct spec_blob blob = {0};
        struct px_arena arena = {0};
        struct px_buf spec = {0};
        struct px_submit_job job = {0};
        int code = spec_encode_job(in, &arena, &blob, &spec, &job);

        if (code == PX_OK) {
                px_submit_job_encode(&job, ret_job);
                *ret_blob = blob;
        }
        px_buf_fini(&spec);
        px_arena_fini(&arena);
        return code;
}
