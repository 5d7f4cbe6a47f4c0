/* SPDX-License-Identifier: Apache-2.0 */
/* plexus.h - libplexus: submit jobs to a Plexus mesh, follow, wait for and change them, or serve tasks.
 *
 * Every function is thread-safe. One thread of the library owns the connection; it reconnects by
 * itself and repeats what was not answered, so that a broker restart costs callers nothing but time.
 * Calls block for at most timeout_ms: < 0 = for ever, 0 = the default of the connection (30 s).
 * Results: 0 = done; > 0 = refusal, a plexus_error below; plexus_error_text() and plexus_detail() say
 * why. Objects the library returns are freed by the matching plexus_*_free(); strings in them end in
 * NUL, never NULL (empty when there is nothing to say). Times are ms since 1970 UTC; 0 = none. */
#ifndef PLEXUS_H
#define PLEXUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PLEXUS_API __attribute__((visibility("default")))

/* Same numbers as in the protocol document. */
enum plexus_error {
        PLEXUS_OK = 0,
        PLEXUS_ABSENT = 1,
        PLEXUS_CONFLICT = 2,
        PLEXUS_LIMIT = 3,
        PLEXUS_INVALID = 4,
        PLEXUS_DENIED = 5,
        PLEXUS_PROTO = 6,
        PLEXUS_BUSY = 7,
        PLEXUS_STORAGE_FULL = 8,
        PLEXUS_FENCED = 9,
        PLEXUS_EXPIRED = 10,
        PLEXUS_KEY_CONFLICT = 11,
        PLEXUS_REVOKED = 12,
        PLEXUS_UNREACHABLE = 13,
        PLEXUS_TIMED_OUT = 14,
        PLEXUS_DAMAGED = 15,
        PLEXUS_VERSION = 16,
        PLEXUS_SNAPSHOT = 17,
        PLEXUS_CANCELLED = 23,
        PLEXUS_DUPLICATE = 24,
        PLEXUS_CLUSTER = 25,
};

enum plexus_state {
        PLEXUS_BLOCKED = 1, PLEXUS_QUEUED, PLEXUS_ASSIGNED, PLEXUS_RUNNING, PLEXUS_CANCELLING,
        PLEXUS_JOB_OK, PLEXUS_FAILED, PLEXUS_JOB_CANCELLED, PLEXUS_TIMEOUT, PLEXUS_LOST, PLEXUS_SKIPPED,
};

PLEXUS_API const char *plexus_error_name(int error);  /* "ABSENT" */
PLEXUS_API const char *plexus_error_text(int error);  /* "no such thing, or it is not yours" */
PLEXUS_API int plexus_error_exit(int error);          /* exit code of the command line for it */
PLEXUS_API const char *plexus_state_name(int state);  /* "running" */
PLEXUS_API int plexus_state_from_name(const char *name); /* 0 = unknown */
PLEXUS_API bool plexus_state_ended(int state);
PLEXUS_API const char *plexus_version(void);

/* ---- connection ------------------------------------------------------------------------------------- */

typedef struct plexus plexus;

struct plexus_options {
        const char *url;   /* plexus://host[:port][,host2...] or local:DIR; NULL = PLEXUS_URL, else the
                            * current context */
        const char *token; /* NULL = PLEXUS_TOKEN, else the current context's; not needed for local: */
        const char *context; /* name of a context; NULL = PLEXUS_CONTEXT, else the current one */
        const char *program; /* shown at the broker */
        int64_t timeout_ms;  /* default of blocking calls; 0 = 30 s */
};

/* Connect and greet the broker. *ret is set even on refusal (free it after reading plexus_detail()),
 * except for PLEXUS_INVALID arguments found before anything was tried.
 * Refuses: PLEXUS_UNREACHABLE which hop failed stands in plexus_detail(); PLEXUS_REVOKED;
 *          PLEXUS_INVALID a broken token, no context (says what to start). */
PLEXUS_API int plexus_connect(const struct plexus_options *options, plexus **ret);
/* Close a connection; NULL is accepted. Submits without waiting whose answer has not come are given
 * up without a call. In a child made by fork() it does nothing.
 * Owns:    px; its streams and its worker must be freed before (asserted). */
PLEXUS_API void plexus_close(plexus *px);
/* Say why the last refused call of this thread was refused, in words with numbers and what would help.
 * Shape:   at most 2047 bytes, "" when nothing was refused; valid until the thread's next call. px may
 *          be NULL. */
PLEXUS_API const char *plexus_detail(plexus *px);
/* Give a file descriptor that is readable while an end (plexus_next_end) or an item of any stream can
 * be taken without blocking. Only poll it.
 * Owns:    the connection keeps it. */
PLEXUS_API int plexus_fd(plexus *px);
/* Say whether the broker has greeted and is not silent now. A false heals by itself. */
PLEXUS_API bool plexus_connected(plexus *px);

struct plexus_who {
        char principal[65];
        char role[16];
        bool sees_all;
        uint64_t epoch; /* of the broker */
        int64_t clock_ahead_ms; /* the broker's wall clock, compared with ours */
        uint32_t node_port, data_port, events_port; /* 0 over local sockets */
        char broker_version[32];
        char url[512];
};
/* Tell whom the broker takes us for, as of its last greeting. Asks nobody.
 * Refuses: REVOKED; INVALID after fork(). */
PLEXUS_API int plexus_whoami(plexus *px, struct plexus_who *ret_who);

/* ---- contexts: the user's meshes ---------------------------------------------------------------------
 * Kept in $XDG_CONFIG_HOME/plexus/config.toml (mode 0600) with one file for each token. */

struct plexus_context {
        char name[65];
        char url[512];
        char token_file[4096]; /* "" = none */
        bool current;
};
/* List the contexts, in the order of the file.
 * Owns:    *ret_contexts goes back to plexus_contexts_free().
 * Refuses: INVALID the file is broken (its name and line stand in plexus_detail(NULL)). */
PLEXUS_API int plexus_context_list(struct plexus_context **ret_contexts, size_t *ret_count);
PLEXUS_API void plexus_contexts_free(struct plexus_context *contexts);
/* Make or replace a context; it becomes the current one when `use`, or when none is.
 * Shape:   name 1 to 64 letters, digits, "-", "_"; token NULL = none, else kept in NAME.token.
 * Refuses: INVALID name, URL or token; LIMIT 256 contexts. Nothing has changed then. */
PLEXUS_API int plexus_context_put(const char *name, const char *url, const char *token, bool use);
/* Make a context the current one. Refuses: ABSENT. */
PLEXUS_API int plexus_context_use(const char *name);
/* Forget a context and its token. Refuses: ABSENT. */
PLEXUS_API int plexus_context_remove(const char *name);
/* The URL that plexus_connect() would take, without connecting.
 * Shape:   options may be NULL; ret_url is cut at room - 1 (512 hold any).
 * Refuses: INVALID no mesh, a broken file. */
PLEXUS_API int plexus_context_find(const struct plexus_options *options, char *ret_url, size_t room);

/* ---- submit ---------------------------------------------------------------------------------------------- */

struct plexus_pair {
        const char *key;
        const char *value;
};

struct plexus_resource {
        const char *name;
        uint64_t amount;
};

/* An array: the same job once for each of `count` numbers: first, first + step, ...; PLEXUS_TASK tells each
 * task its own. It is one job with one number; its tasks are jobs of their own, see plexus_task_id(). */
struct plexus_array {
        uint32_t count;     /* at most 4,194,304 */
        uint32_t first;     /* numbers lie below 8,388,608 */
        uint32_t step;      /* 0 = 1 */
        uint32_t limit;     /* tasks at once; 0 = as many as there is room for */
        uint32_t max_fails; /* so many failures stop it; 0 = no matter */
};

/* {0} is a job with defaults: 1 cpu, no retries, on_lost rerun, grace 10 s, output kept to 256 MiB. */
struct plexus_job_spec {
        const char *const *argv;       /* NULL-terminated; NULL for a task */
        const char *task_type;         /* NULL for a command */
        const void *input;             /* standard input, or the task's payload; NULL = none */
        size_t input_bytes;
        bool has_input;                /* input of 0 bytes instead of none */
        const struct plexus_pair *env; /* NULL = none */
        size_t env_count;
        const char *cwd;               /* NULL = the caller's directory (command), none (task) */
        bool scratch;                  /* run in a fresh directory */
        const char *name;
        const struct plexus_pair *labels;
        size_t labels_count;
        int32_t priority;
        double cpus;                   /* 0 = 1 for a command, 0 for a task; negative = none */
        uint64_t memory_bytes;
        const char *node;              /* only there */
        uint32_t retries;
        uint64_t backoff_ms;
        bool on_lost_fail;             /* at most once: never run again after a lost node */
        uint64_t lost_after_ms;
        uint64_t time_limit_ms;
        uint64_t grace_ms;             /* 0 = 10 s */
        uint64_t log_bytes;            /* 0 = 256 MiB */
        int64_t start_wall_ms;
        bool hold;
        bool as_root;
        const char *key;               /* idempotency key */
        double gpus;                   /* a share of one below 1, else whole ones */
        const struct plexus_resource *resources; /* of the node, or of the whole mesh */
        size_t resources_count;
        const char *const *where;      /* conditions on labels of the node, all of which must hold:
                                        * "zone=a", "zone!=a", "zone=a,b" (one of), "zone" (there is
                                        * such a label), "!zone" (there is none) */
        size_t where_count;
        const char *queue;             /* NULL = default */
        const char *module;            /* what is run, for limits and warmth */
        const char *apart;             /* never beside another job of the same user with this word */
        const char *warm;              /* prefer a node that ran this lately, or has such a label */
        uint64_t wait_ms;              /* ends as timeout if it stood in line so long; 0 = no limit */
        int64_t expires_wall_ms;       /* ends as timeout if it hasn't started by then; 0 = never */
        bool wait_for_node;            /* accept it though no known node could ever run it */
        const struct plexus_array *array; /* NULL = a single job */
};

/* The id of one task of an array, and what it is made of; written 1042.7. The job of a job that is no
 * task is itself. Limits: array is the id of a job below 2^40, task a number below 8,388,608; others are
 * a mistake of the program and end it. */
PLEXUS_API uint64_t plexus_task_id(uint64_t array, uint32_t task);
PLEXUS_API bool plexus_id_is_task(uint64_t id);
PLEXUS_API uint64_t plexus_id_job(uint64_t id);
PLEXUS_API uint32_t plexus_id_task(uint64_t id);
/* Shape:   text has room for PLEXUS_ID_TEXT bytes. Returns text. */
#define PLEXUS_ID_TEXT 32
PLEXUS_API const char *plexus_id_text(uint64_t id, char *text);

/* Submit one job. When it returns 0 the job is durable. The library repeats the request until it is
 * answered: the same job, whatever happened to the broker meanwhile.
 * Refuses: INVALID, LIMIT, DENIED, KEY_CONFLICT, STORAGE_FULL (try again later), TIMED_OUT or
 *          UNREACHABLE (outcome unknown; with `key` set, submitting again is safe). */
PLEXUS_API int plexus_submit(plexus *px, const struct plexus_job_spec *spec, uint64_t *ret_job);
/* Submit many in as few messages as they fit, several under way at once.
 * Shape:   ret_jobs and ret_errors (may be NULL) have `count` items; ret_jobs[i] = 0 and ret_errors[i] > 0
 *          where refused.
 * Units:   timeout_ms of the whole call.
 * Refuses: the first refusal in the order of specs; the detail numbers it. The others stand. */
PLEXUS_API int plexus_submit_many(plexus *px, const struct plexus_job_spec *specs, size_t count,
                                  uint64_t *ret_jobs, int *ret_errors, int64_t timeout_ms);
/* Submit without waiting: `done` is called by the library's thread (or never, after plexus_close); it
 * may call nothing that waits.
 * Owns:    spec is copied.
 * Refuses: INVALID, LIMIT at once, `done` is not called; BUSY 262,144 submits or 64 MiB wait already. */
PLEXUS_API int plexus_submit_async(plexus *px, const struct plexus_job_spec *spec,
                                   void (*done)(void *context, int error, uint64_t job), void *context);

/* ---- wait --------------------------------------------------------------------------------------------------- */

struct plexus_end {
        uint64_t job;
        int state;          /* enum plexus_state */
        uint32_t attempt;
        int exit_code;      /* -1 = none */
        int signal;         /* 0 = none */
        char reason[512];   /* in words */
        char node[65];
        int error;          /* PLEXUS_ABSENT: no such job, or not yours */
        bool has_result;
        void *result;       /* up to 1 MiB; freed by plexus_end_fini(); NULL = none */
        size_t result_bytes;
};
/* Free the result of an end; NULL is accepted. */
PLEXUS_API void plexus_end_fini(struct plexus_end *end);
/* Wait until a job ended. Refuses: ABSENT, TIMED_OUT (it goes on). */
PLEXUS_API int plexus_wait(plexus *px, uint64_t job, int64_t timeout_ms, struct plexus_end *ret_end);
/* Begin to watch jobs; then take ends as they come, in any order. A job watched already isn't counted
 * twice. Refuses: LIMIT 1,048,576 jobs are watched. */
PLEXUS_API int plexus_watch(plexus *px, const uint64_t *jobs, size_t count);
/* Take the next end of a watched job.
 * Owns:    plexus_end_fini(ret_end). A result above 64 KiB is fetched first and may block.
 * Refuses: TIMED_OUT none ended in time; ABSENT no job is watched (ret_end->job is 0), or this job
 *          (ret_end->job) is not there; it is not watched any more then. */
PLEXUS_API int plexus_next_end(plexus *px, int64_t timeout_ms, struct plexus_end *ret_end);

/* ---- look ----------------------------------------------------------------------------------------------------- */

struct plexus_job {
        uint64_t id;
        int state;
        char state_name[16];
        char reason[512];
        char name[129];
        char owner[65];
        char task_type[65];
        const struct plexus_pair *labels;
        size_t labels_count;
        int32_t priority;
        double cpus;
        uint64_t memory_bytes;
        char node[65];
        char pinned_node[65];
        uint32_t attempt;
        uint32_t failures;
        uint32_t retries;
        bool on_lost_fail;
        int64_t submitted_ms, started_ms, ended_ms, start_wall_ms;
        int exit_code;
        int signal;
        double progress; /* 0 to 1; < 0 = unknown */
        char progress_text[257];
        uint64_t memory_peak_bytes;
        uint64_t cpu_ms;
        bool has_result;
        double gpus;
        char queue[65];
        char module[65];
        uint32_t tasks;       /* of an array; 0 = it is none */
        uint32_t tasks_made;  /* that were begun, as far as they go */
        uint32_t tasks_ok, tasks_bad, tasks_cancelled; /* how those that ended did */
};

struct plexus_filter {
        uint32_t states;      /* bit 1 << state; 0 = any */
        const char *owner;    /* NULL = all that may be seen; "me" = the caller */
        const char *name;     /* NULL = any */
        bool name_part;       /* name is a part */
        int64_t since_ms, until_ms;
        const char *node;
        const struct plexus_pair *labels; /* value NULL = label exists */
        size_t labels_count;
        uint64_t first, last, step; /* range of ids; 0 = none; tasks are listed only by a range of theirs */
        bool active, done;    /* both false = active */
        bool newest_first;
};

struct plexus_list {
        struct plexus_job *jobs;
        size_t count;
        uint64_t cursor; /* pass on for the next page; 0 = that was all */
        void *memory;
};
/* List one page of jobs. filter NULL = active ones.
 * Units:   count_max 1 to 1000; cursor 0 = begin, else that of the page before.
 * Owns:    plexus_list_fini(ret_list).
 * Refuses: LIMIT, INVALID the filter; TIMED_OUT; UNREACHABLE. */
PLEXUS_API int plexus_jobs(plexus *px, const struct plexus_filter *filter, uint64_t cursor,
                           size_t count_max, struct plexus_list *ret_list);
PLEXUS_API void plexus_list_fini(struct plexus_list *list);

struct plexus_attempt {
        uint32_t attempt;
        char node[65];
        char outcome[16];
        char reason[512];
        int exit_code, signal;
        int64_t started_ms, ended_ms;
        uint64_t cpu_ms, memory_peak_bytes, out_bytes, err_bytes, out_dropped_bytes, err_dropped_bytes;
        uint64_t log_pending_bytes;
};
struct plexus_shown {
        struct plexus_job job;
        char **argv; /* NULL-terminated; NULL for a task */
        struct plexus_pair *env;
        size_t env_count;
        char *cwd;
        bool scratch, has_input;
        size_t input_bytes;
        uint64_t time_limit_ms, grace_ms, log_bytes;
        struct plexus_attempt *attempts; /* ended ones, oldest first */
        size_t attempts_count;
        uint64_t out_bytes, err_bytes;   /* of the last attempt so far */
        void *result;
        size_t result_bytes;
        void *memory;
};
/* Show a job in full: what was submitted, its ended attempts, its result.
 * Owns:    plexus_shown_fini(ret_shown).
 * Refuses: ABSENT; DAMAGED its record was set aside; TIMED_OUT; UNREACHABLE. */
PLEXUS_API int plexus_show(plexus *px, uint64_t job, struct plexus_shown *ret_shown);
PLEXUS_API void plexus_shown_fini(struct plexus_shown *shown);
/* Say why a job is where it is.
 * Shape:   *ret_lines ends in NULL; *ret_position (may be NULL) counts the jobs before it, 0 = none.
 * Owns:    plexus_lines_free(*ret_lines).
 * Refuses: ABSENT; TIMED_OUT; UNREACHABLE. */
PLEXUS_API int plexus_why(plexus *px, uint64_t job, char ***ret_lines, uint64_t *ret_position);
PLEXUS_API void plexus_lines_free(char **lines);
/* Say of each of these jobs the first reason why it waits now; "" = it doesn't wait.
 * Shape:   count at most 1000; *ret_reasons has as many texts and ends in NULL.
 * Owns:    plexus_lines_free(*ret_reasons).
 * Refuses: LIMIT; TIMED_OUT; UNREACHABLE. */
PLEXUS_API int plexus_reasons(plexus *px, const uint64_t *jobs, size_t count, char ***ret_reasons);

struct plexus_tried {
        char node[65];      /* where it would run now; "" = it would wait */
        char **waits;       /* what for; ends in NULL */
        uint32_t nodes;     /* that run such jobs */
        uint32_t nodes_able; /* that could run it when empty */
        uint64_t position;  /* jobs of the same needs before it */
        uint64_t estimate_ms; /* until its start, from recent rates; 0 = unknown */
};
/* Say what would become of a submit now, storing nothing. Standard input is not looked at.
 * Owns:    plexus_lines_free(ret_tried->waits).
 * Refuses: as plexus_submit() would. */
PLEXUS_API int plexus_try(plexus *px, const struct plexus_job_spec *spec,
                          struct plexus_tried *ret_tried);

/* ---- limits ------------------------------------------------------------------------------------------- */

/* Of a "user", "queue" or "module": how much of it at once; of a "resource": how much there is of it in
 * the whole mesh. 0 = no limit. */
struct plexus_limit {
        char kind[16];
        char name[65];
        uint64_t running_max, queued_max;
        uint32_t rate_count; /* starts ... */
        uint64_t rate_ms;    /* ... within this time */
        bool paused;         /* nothing new is started */
        uint32_t weight;     /* of a user's share, 1 to 1000 */
        int32_t priority_max;
        uint64_t capacity;   /* of a resource */
        /* from here on told, not set */
        uint64_t running, queued, used;
        double usage;        /* of a user: part of what all used lately */
        uint64_t holders[16]; /* jobs that hold a resource, the first of them */
        size_t holders_count;
};
enum {
        PLEXUS_LIMIT_RUNNING = 1, PLEXUS_LIMIT_QUEUED = 2, PLEXUS_LIMIT_RATE = 4, PLEXUS_LIMIT_PAUSED = 8,
        PLEXUS_LIMIT_WEIGHT = 16, PLEXUS_LIMIT_PRIORITY = 32, PLEXUS_LIMIT_CAPACITY = 64,
};
/* Set some fields of a limit (`what`, a sum of the above); it is made if it isn't there. A queue exists
 * once something of it was set, if nothing else what = 0.
 * Refuses: DENIED; ABSENT no such user; INVALID; LIMIT. */
PLEXUS_API int plexus_limit_set(plexus *px, const struct plexus_limit *limit, uint32_t what);
/* Forget a limit. Refuses: ABSENT; DENIED. */
PLEXUS_API int plexus_limit_remove(plexus *px, const char *kind, const char *name);
/* List limits of a kind, NULL = all. Owns: plexus_limits_free(*ret_limits). */
PLEXUS_API int plexus_limits(plexus *px, const char *kind, struct plexus_limit **ret_limits,
                             size_t *ret_count);
PLEXUS_API void plexus_limits_free(struct plexus_limit *limits);

struct plexus_status {
        uint64_t epoch, uptime_ms, blocked, queued, assigned, running, cancelling, ended, commit_index;
        uint32_t nodes_up, nodes_draining, nodes_unreachable, nodes_reconnecting;
        double cpus, cpus_used;
        bool storage_full;
};
/* Count jobs, nodes and cpus of the mesh. Refuses: TIMED_OUT; UNREACHABLE. */
PLEXUS_API int plexus_status(plexus *px, struct plexus_status *ret_status);

/* ---- change ------------------------------------------------------------------------------------------------------ */

struct plexus_change_answer {
        uint64_t job;
        int error; /* 0 = done */
        int state; /* afterwards */
        char text[512];
};
/* One verb over many jobs; each is done durably or refused by itself.
 * Shape:   answers has `count` items in the order of jobs, or is NULL.
 * Refuses: the first refusal among the jobs, its job stands in the detail: ABSENT, CONFLICT the state does
 *          not allow it, DENIED. TIMED_OUT or UNREACHABLE: the outcome of the rest is unknown.
 * cancel: `reason` (may be NULL, 512 bytes) is stored; force = without grace. retry: force = also a job
 * that ended ok. rename: 128 bytes. priority: within +-1000. purge: ended jobs. signal: 1 to 64. */
PLEXUS_API int plexus_cancel(plexus *px, const uint64_t *jobs, size_t count, const char *reason,
                             bool force, struct plexus_change_answer *answers);
PLEXUS_API int plexus_retry(plexus *px, const uint64_t *jobs, size_t count, bool force,
                            struct plexus_change_answer *answers);
PLEXUS_API int plexus_hold(plexus *px, const uint64_t *jobs, size_t count,
                           struct plexus_change_answer *answers);
PLEXUS_API int plexus_release(plexus *px, const uint64_t *jobs, size_t count,
                              struct plexus_change_answer *answers);
PLEXUS_API int plexus_rename(plexus *px, uint64_t job, const char *name);
PLEXUS_API int plexus_priority(plexus *px, const uint64_t *jobs, size_t count, int32_t priority,
                               struct plexus_change_answer *answers);
PLEXUS_API int plexus_purge(plexus *px, const uint64_t *jobs, size_t count,
                            struct plexus_change_answer *answers);
PLEXUS_API int plexus_signal(plexus *px, const uint64_t *jobs, size_t count, int signal,
                             struct plexus_change_answer *answers);

/* ---- logs -------------------------------------------------------------------------------------------------------- */

typedef struct plexus_stream plexus_stream;

struct plexus_log_options {
        uint32_t attempt;   /* 0 = the last, and those that follow */
        bool out, err;      /* both false = both */
        uint64_t out_offset, err_offset;
        uint64_t tail_bytes; /* 0 = from the offsets */
        bool follow;        /* go on until the job has ended and every byte was given */
};
enum plexus_log_kind {
        PLEXUS_LOG_OUT = 1, PLEXUS_LOG_ERR = 2, /* bytes */
        PLEXUS_LOG_DROPPED, /* dropped_bytes of `stream` are missing before offset: the log's cap */
        PLEXUS_LOG_ATTEMPT, /* what follows belongs to this attempt */
        PLEXUS_LOG_PROGRESS,
        PLEXUS_LOG_END,     /* the job ended (state) and all was given; nothing follows */
};
struct plexus_log_item {
        int kind;
        int stream; /* 1 out, 2 err */
        uint64_t job;
        uint32_t attempt;
        uint64_t offset;
        const uint8_t *bytes; /* valid until the next call on the stream */
        size_t length;
        uint64_t dropped_bytes;
        int64_t wall_ms;
        double progress;
        const char *text; /* progress message; node of an attempt; reason at the end */
        int state;        /* at the end */
        uint64_t log_pending_bytes; /* at the end: bytes that are still on the node */
};
/* Open the log of a job. Each byte is given once, in order, whatever happens to the connection. */
PLEXUS_API int plexus_logs(plexus *px, uint64_t job, const struct plexus_log_options *options,
                           plexus_stream **ret_stream);
/* Take the next item.
 * Owns:    bytes and text are the stream's, valid until the next call on it.
 * Refuses: TIMED_OUT nothing within timeout_ms, UNREACHABLE the same while there is no connection: ask
 *          again; ABSENT; CANCELLED after PLEXUS_LOG_END. */
PLEXUS_API int plexus_log_next(plexus_stream *stream, int64_t timeout_ms,
                               struct plexus_log_item *ret_item);
/* Close a stream of logs or events; NULL is accepted. No other thread may wait on it then. */
PLEXUS_API void plexus_stream_close(plexus_stream *stream);

/* ---- events ------------------------------------------------------------------------------------------------------- */

struct plexus_event {
        uint64_t index;    /* number: (index, position), larger than every earlier one's */
        uint32_t position;
        const char *type;  /* "job.failed" */
        int64_t wall_ms;
        uint64_t job;
        uint32_t attempt;
        const char *node;
        int state;
        const char *text;
        int exit_code, signal;
};
/* Events after (index, position), {0,0} = from the oldest kept, {UINT64_MAX,0} = from now; job 0 = all
 * that may be seen. Each once, in order. */
PLEXUS_API int plexus_events(plexus *px, uint64_t index, uint32_t position, uint64_t job,
                             plexus_stream **ret_stream);
/* Refuses: TIMED_OUT; UNREACHABLE (ask again); SNAPSHOT older than what is kept. Strings are valid until the next call. */
PLEXUS_API int plexus_event_next(plexus_stream *stream, int64_t timeout_ms,
                                 struct plexus_event *ret_event);

/* ---- nodes, tokens -------------------------------------------------------------------------------------------------- */

struct plexus_node {
        char name[65], kind[8], state[16], version[32], kill_mode[129], enforces[513], accounts[16];
        char principal[65];
        double cpus, cpus_used;
        uint64_t memory_bytes, memory_used_bytes;
        uint32_t jobs;
        uint64_t seen_ms;
        char types[256]; /* of a worker, separated by commas */
        uint32_t gpus;
        double gpus_used;
        char labels[1024];    /* "zone=a,disk=ssd" */
        char resources[1024]; /* "scratch=2/10": used and all */
        uint64_t reserved_for; /* a job that waits long gets what becomes free; 0 = none */
};
/* List nodes and workers. Owns: plexus_nodes_free(*ret_nodes). Refuses: TIMED_OUT; UNREACHABLE. */
PLEXUS_API int plexus_nodes(plexus *px, struct plexus_node **ret_nodes, size_t *ret_count);
PLEXUS_API void plexus_nodes_free(struct plexus_node *nodes);
/* Change a node. Shape: verb is "drain", "resume", "stop" (wait for its jobs), "kill" (end them) or
 * "remove". Refuses: INVALID the verb; ABSENT; DENIED; CONFLICT. */
PLEXUS_API int plexus_node_change(plexus *px, const char *name, const char *verb);

struct plexus_token_info {
        uint32_t id;
        char name[65], role[16], enrol_role[16];
        int64_t created_ms, expires_ms;
        uint32_t uses_left;
        bool revoked;
};
/* Make a token. role: "user", "service", "node", "worker", "monitor", "admin", or "enrol" with
 * enrol_role, uses. The secret exists only in ret_token (at least 160 bytes). */
PLEXUS_API int plexus_token_create(plexus *px, const char *role, const char *name,
                                   const char *enrol_role, uint32_t uses, uint64_t lifetime_ms,
                                   char *ret_token, size_t room);
/* Revoke tokens by name, or one by its id; what they hold open ends. Refuses: ABSENT; DENIED. */
PLEXUS_API int plexus_token_revoke(plexus *px, const char *name_or_id);
/* List tokens; never their secrets. Owns: plexus_tokens_free(*ret_tokens). Refuses: DENIED. */
PLEXUS_API int plexus_tokens(plexus *px, struct plexus_token_info **ret_tokens, size_t *ret_count);
PLEXUS_API void plexus_tokens_free(struct plexus_token_info *tokens);
/* Exchange an enrolment token for a token of one's own, named `name`. */
PLEXUS_API int plexus_enrol(const char *url, const char *enrol_token, const char *name,
                            int64_t timeout_ms, char *ret_token, size_t room, char *ret_detail,
                            size_t detail_room);

/* ---- function workers ------------------------------------------------------------------------------------------------- */

typedef struct plexus_worker plexus_worker;
typedef struct plexus_task plexus_task;

/* Make a worker of up to `slots` (1 to 4096) tasks at once; one may be started on a connection.
 * Owns:    plexus_worker_free(*ret_worker), before plexus_close(). */
PLEXUS_API int plexus_worker_new(plexus *px, const char *name, uint32_t slots, plexus_worker **ret_worker);
/* Serve tasks of `type`, before the start. The handler runs on threads of the library and must finish its
 * task with plexus_task_return() or plexus_task_fail(), there or on any thread later. The same task may
 * run again elsewhere when the worker is lost. Refuses: CONFLICT the type has a handler; LIMIT 64. */
PLEXUS_API int plexus_worker_handle(plexus_worker *worker, const char *type,
                                    void (*handler)(void *context, plexus_task *task), void *context);
/* Connect and take tasks. Refuses: DENIED the token may not work; DUPLICATE; UNREACHABLE. */
PLEXUS_API int plexus_worker_start(plexus_worker *worker);
/* Take no more tasks, wait until those that run have ended and their results are durable, say goodbye.
 * Refuses: TIMED_OUT it goes on ending; ask again. */
PLEXUS_API int plexus_worker_stop(plexus_worker *worker, int64_t timeout_ms);
/* Free a worker; NULL is accepted. Running tasks are asked to stop and waited for; results that were not
 * acknowledged are lost with it, and the broker has those tasks run again: stop first. */
PLEXUS_API void plexus_worker_free(plexus_worker *worker);
PLEXUS_API uint64_t plexus_task_job(const plexus_task *task);
PLEXUS_API uint32_t plexus_task_attempt(const plexus_task *task);
PLEXUS_API const void *plexus_task_input(const plexus_task *task, size_t *ret_bytes);
PLEXUS_API bool plexus_task_cancelled(const plexus_task *task); /* asked to stop, or fenced off */
/* Tell how far it is: 0 to 1, negative = unknown; text may be NULL, 256 bytes are kept. At most four a
 * second go out; the last one always does. */
PLEXUS_API void plexus_task_progress(plexus_task *task, double progress, const char *text);
/* End a task well. Owns: result is copied; NULL = none; above 1 MiB the task fails. task is gone then. */
PLEXUS_API void plexus_task_return(plexus_task *task, const void *result, size_t bytes);
/* End a task badly, in words (512 bytes), or as cancelled when it was asked to stop. task is gone then. */
PLEXUS_API void plexus_task_fail(plexus_task *task, const char *text);

#ifdef __cplusplus
}
#endif
#endif
