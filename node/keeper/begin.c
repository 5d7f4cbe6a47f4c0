/* SPDX-License-Identifier: Apache-2.0 */
/* begin.c - from an attempt's entry to its first process. Layer: L4 (node/keeper). */
#include "keeper.h"
#include "clone.h"
#include "group.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define GRACE_DEFAULT_MS 10000
#define LOST_AFTER_DEFAULT_MS 3600000
#define PATH_DEFAULT "/usr/local/bin:/usr/bin:/bin"

__attribute__((format(printf, 5, 6))) static void begin_fail(struct keeper *keeper, int outcome,
                                                             int reason, int exit_code,
                                                             const char *format, ...)
{
        va_list list;

        if (keeper->verdict.given)
                return;
        keeper->verdict = (struct verdict){
                .given = true, .outcome = outcome, .reason = reason, .exit_code = exit_code};
        va_start(list, format);
        vsnprintf(keeper->verdict.text, sizeof(keeper->verdict.text), format, list);
        va_end(list);
}

static void begin_fault(struct keeper *keeper, const char *what, int error)
{
        begin_fail(keeper, PX_OUTCOME_REFUSED, PX_REASON_NODE_FAULT, 125, "node %s: %s: %s",
                   keeper->start.node, what, strerror(error));
}

/* ---- environment ---------------------------------------------------------------------------- */

struct environment {
        struct px_arena *arena;
        char **items;
        size_t count;
        size_t capacity;
};

static void environment_put(struct environment *environment, const char *name, const char *value)
{
        size_t name_length = strlen(name);
        size_t value_length = strlen(value);
        char *entry = px_arena_alloc(environment->arena, name_length + value_length + 2);

        PX_ASSERT(environment->count < environment->capacity);
        memcpy(entry, name, name_length);
        entry[name_length] = '=';
        memcpy(entry + name_length + 1, value, value_length);
        environment->items[environment->count++] = entry;
}

static bool environment_has(const struct environment *environment, const char *name)
{
        size_t length = strlen(name);

        for (size_t i = 0; i < environment->count; i++)
                if (strncmp(environment->items[i], name, length) == 0 &&
                    environment->items[i][length] == '=')
                        return true;
        return false;
}

static void environment_default(struct environment *environment, const char *name,
                                const char *value)
{
        if (!environment_has(environment, name))
                environment_put(environment, name, value);
}

/* Programs that use CUDA see the gpus that were given to the job and no others. */
static void environment_gpus(uint64_t gpus, struct environment *environment)
{
        char text[4 * PX_LIMIT_GPUS];
        size_t used = 0;

        for (unsigned i = 0; i < PX_LIMIT_GPUS; i++)
                if (gpus >> i & 1)
                        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u",
                                                 used > 0 ? "," : "", i);
        environment_put(environment, "CUDA_VISIBLE_DEVICES", text);
}

/* Ours first: what they name is what finds stray processes, and a job can't name them otherwise. */
static void environment_own(const struct keeper *keeper, const struct px_assign *assign,
                            struct environment *environment)
{
        uint64_t job = keeper->key.job.value;
        char text[64];

        environment_put(environment, "PLEXUS_JOB", px_id_text(job, text));
        if (px_id_is_task(job)) {
                environment_put(environment, "PLEXUS_ARRAY", px_id_text(px_id_job(job), text));
                snprintf(text, sizeof(text), "%" PRIu32, px_id_task(job));
                environment_put(environment, "PLEXUS_TASK", text);
        }
        snprintf(text, sizeof(text), "%" PRIu64 ".%" PRIu32, keeper->key.fence.epoch,
                 keeper->key.fence.attempt);
        environment_put(environment, "PLEXUS_FENCE", text);
        snprintf(text, sizeof(text), "%" PRIu32, keeper->key.fence.attempt);
        environment_put(environment, "PLEXUS_ATTEMPT", text);
        environment_put(environment, "PLEXUS_NODE", keeper->start.node);
        snprintf(text, sizeof(text), "%d", KEEPER_PROGRESS_FD);
        environment_put(environment, "PLEXUS_PROGRESS_FD", text);
        if (keeper->sock.fd >= 0)
                environment_put(environment, "PLEXUS_SOCK", keeper->start.sock);
        if (assign->gpus != 0)
                environment_gpus(assign->gpus, environment);
        environment_put(environment, "USER", keeper->start.user);
        environment_put(environment, "LOGNAME", keeper->start.user);
}

static char **environment_make(const struct keeper *keeper, struct px_arena *arena,
                               const struct px_assign *assign, const struct px_spec *spec)
{
        struct environment environment = {.arena = arena, .capacity = spec->env_count + 20};
        char threads[32];

        environment.items = px_arena_alloc(arena, environment.capacity * sizeof(char *));
        environment_own(keeper, assign, &environment);
        for (size_t i = 0; i < spec->env_count; i++) {
                const char *name = px_arena_text(arena, spec->env[i].name);

                if (*name == '\0' || strchr(name, '=') != NULL)
                        continue;
                if (environment_has(&environment, name))
                        continue;
                environment_put(&environment, name, px_arena_text(arena, spec->env[i].value));
        }
        environment_default(&environment, "HOME", keeper->start.home);
        environment_default(&environment, "SHELL", keeper->start.shell);
        environment_default(&environment, "TMPDIR", spec->scratch ? keeper->start.work : "/tmp");
        snprintf(threads, sizeof(threads), "%u", PX_MAX(assign->cpus_milli / 1000, 1u));
        environment_default(&environment, "OMP_NUM_THREADS", threads);
        environment_default(&environment, "PYTHONUNBUFFERED", "1");
        environment_default(&environment, "PATH", PATH_DEFAULT);
        environment.items[environment.count] = NULL;
        return environment.items;
}

static const char *environment_path(char **envp)
{
        for (; *envp != NULL; envp++)
                if (strncmp(*envp, "PATH=", 5) == 0)
                        return *envp + 5;
        return PATH_DEFAULT;
}

/* ---- descriptors ---------------------------------------------------------------------------- */

/* A directory of the job's own, its account's, empty. */
static bool begin_work(struct keeper *keeper, const struct px_spec *spec)
{
        const struct keeper_start *start = &keeper->start;

        if (!spec->scratch && spec->cwd.length != 0)
                return true;
        if (mkdir(start->work, 0700) != 0)
                return false;
        keeper->remove_work = true;
        return !start->switch_account || lchown(start->work, start->uid, start->gid) == 0;
}

/* Standard input lies in memory, or in a file without a name, until the job has read it: no trace. */
static int stdin_open(const struct keeper *keeper, const struct px_spec *spec)
{
        size_t written = 0;
        int fd;

        if (!spec->has_stdin)
                return open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (spec->blob.length > 0 && spec->blob_bytes > 0) {
                fd = openat(keeper->dir_fd, SPOOL_INPUT, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
                if (fd >= 0)
                        unlinkat(keeper->dir_fd, SPOOL_INPUT, 0);
                return fd;
        }
        fd = memfd_create("stdin", MFD_CLOEXEC);
        while (fd >= 0 && written < spec->input.length) {
                ssize_t part = write(fd, spec->input.data + written, spec->input.length - written);

                if (part <= 0) {
                        close(fd);
                        return -1;
                }
                written += (size_t)part;
        }
        if (fd >= 0)
                lseek(fd, 0, SEEK_SET);
        return fd;
}

static bool pipe_make(int *ret_read, int *ret_write)
{
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) != 0)
                return false;
        *ret_read = ends[0];
        *ret_write = ends[1];
        return fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
}

static bool begin_pipes(struct keeper *keeper, const struct px_spec *spec,
                        struct child_plan *plan)
{
        int out;
        int err;

        plan->fds[0] = stdin_open(keeper, spec);
        if (plan->fds[0] < 0 || !pipe_make(&out, &plan->fds[1]))
                return false;
        pump_open(&keeper->pump[PX_STREAM_OUT], out);
        if (!pipe_make(&err, &plan->fds[2]))
                return false;
        pump_open(&keeper->pump[PX_STREAM_ERR], err);
        return pipe_make(&keeper->progress_fd, &plan->fds[3]);
}

/* ---- the process ---------------------------------------------------------------------------- */

static void begin_child(const void *plan)
{
        child_run(plan);
}

static pid_t begin_clone(struct keeper *keeper, struct child_plan *plan)
{
        const struct keeper_start *start = &keeper->start;
        bool grouped = start->group[0] != '\0';
        int group_fd = CLONE_NO_GROUP;
        pid_t pid = -EBADF;

        if (grouped && strcmp(start->kill_mode, "cgroup2") == 0)
                group_fd = open(start->group, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        plan->attach_kill = false;
        if (strcmp(start->kill_mode, "pidns") == 0)
                return init_start(keeper, plan);
        if (group_fd >= 0) {
                pid = clone_run(group_fd, begin_child, plan);
                close(group_fd);
        }
        if (pid < 0) {
                plan->attach_kill = grouped;
                pid = clone_run(CLONE_NO_GROUP, begin_child, plan);
        }
        return pid;
}

static void begin_explain(struct keeper *keeper, const struct child_plan *plan,
                          struct child_error told)
{
        const char *node = keeper->start.node;
        const char *why = strerror(told.error);

        if (told.stage == CHILD_DIRECTORY)
                begin_fail(keeper, PX_OUTCOME_FAILED, PX_REASON_NO_DIRECTORY, 125,
                           "node %s can't enter %.300s: %s; --cwd names another directory, "
                           "--scratch runs in a fresh one",
                           node, plan->cwd, why);
        else if (told.stage == CHILD_PROGRAM && told.error == ENOENT)
                begin_fail(keeper, PX_OUTCOME_FAILED, PX_REASON_NO_PROGRAM, 127,
                           strchr(plan->argv[0], '/') == NULL
                                   ? "node %s found no program %.100s in PATH=%.300s"
                                   : "node %s found no program %.400s",
                           node, plan->argv[0], plan->path);
        else if (told.stage == CHILD_PROGRAM && told.error == ENOEXEC)
                begin_fail(keeper, PX_OUTCOME_FAILED, PX_REASON_NOT_RUNNABLE, 126,
                           "node %s can't execute %.300s: no program the kernel knows, or its "
                           "interpreter is missing; a script needs a #! line",
                           node, plan->argv[0]);
        else if (told.stage == CHILD_PROGRAM)
                begin_fail(keeper, PX_OUTCOME_FAILED, PX_REASON_NOT_RUNNABLE, 126,
                           "node %s can't execute %.300s: %s", node, plan->argv[0], why);
        else
                begin_fault(keeper,
                            told.stage == CHILD_ACCOUNT ? "switching to the job's account"
                            : told.stage == CHILD_GROUP ? "entering the control group"
                                                        : "preparing the process",
                            told.error);
}

/* Until the child has executed its program or ended, we stand still: then all is told. */
static void begin_process(struct keeper *keeper, struct child_plan *plan)
{
        struct child_error told;

        *keeper->told = (struct child_error){0};
        plan->told = keeper->told;
        keeper->pid = begin_clone(keeper, plan);
        for (int i = 0; i < 4; i++)
                keeper_close(&plan->fds[i]);
        told = *keeper->told;
        if (keeper->pid < 0) {
                begin_fault(keeper, "making a process", -keeper->pid);
                keeper->pid = 0;
        } else if (told.stage != 0) {
                begin_explain(keeper, plan, told);
        } else {
                keeper->say |= SAY_STARTED;
        }
}

static bool begin_started(struct keeper *keeper)
{
        struct spool_started started = {.wall_ms = keeper_wall_ms()};

        snprintf(started.kill_mode, sizeof(started.kill_mode), "%s", keeper->start.kill_mode);
        snprintf(started.group, sizeof(started.group), "%s", keeper->start.group);
        keeper->started_wall_ms = started.wall_ms;
        keeper->started_ms = keeper_now_ms();
        errno = -spool_started_write(keeper->dir_fd, keeper->key, &started);
        return errno == 0;
}

static void begin_deadlines(struct keeper *keeper, const struct px_assign *assign,
                            const struct px_spec *spec)
{
        keeper->limit_ms = spec->time_limit_ms == 0 ? KEEPER_NEVER
                                                    : keeper->started_ms +
                                                              (int64_t)spec->time_limit_ms;
        keeper->lost_after_ms =
                assign->lost_after_ms == 0 ? LOST_AFTER_DEFAULT_MS : assign->lost_after_ms;
        keeper->lost_ms = assign->on_lost == PX_ON_LOST_FAIL
                                  ? keeper->started_ms + (int64_t)(keeper->lost_after_ms / 10 * 8)
                                  : KEEPER_NEVER;
}

static void begin_with(struct keeper *keeper, struct px_arena *arena,
                       const struct px_assign *assign, const struct px_spec *spec)
{
        struct child_plan plan = {.fds = {-1, -1, -1, -1},
                                  .umask = spec->umask,
                                  .keeper_pid = getpid(),
                                  .start = &keeper->start};

        keeper->on_lost = assign->on_lost;
        keeper->memory_bytes = assign->memory_bytes;
        keeper->log_bytes = spec->log_bytes == 0 ? PX_LIMIT_LOG_ATTEMPT_BYTES : spec->log_bytes;
        keeper->grace_ms = spec->grace_ms == 0 ? GRACE_DEFAULT_MS : spec->grace_ms;
        keeper->kills_before = group_memory_kills(keeper->start.group_memory);
        plan.argv = px_arena_alloc(arena, (spec->argv_count + 1) * sizeof(char *));
        for (size_t i = 0; i < spec->argv_count; i++)
                plan.argv[i] = px_arena_text(arena, spec->argv[i]);
        plan.cwd = spec->scratch || spec->cwd.length == 0 ? keeper->start.work
                                                          : px_arena_text(arena, spec->cwd);
        sockets_progress(keeper);
        if (fchdir(keeper->dir_fd) != 0)
                begin_fault(keeper, "entering the attempt's directory", errno);
        else if (plan.cwd[0] != '/')
                begin_explain(keeper, &plan,
                              (struct child_error){.stage = CHILD_DIRECTORY, .error = ENOENT});
        else if (!begin_work(keeper, spec))
                begin_fault(keeper, "making the scratch directory", errno);
        else if (!begin_pipes(keeper, spec, &plan))
                begin_fault(keeper, "making pipes and standard input", errno);
        else if (!begin_started(keeper))
                begin_fault(keeper, "writing the spool", errno);
        if (!keeper->verdict.given) {
                plan.envp = environment_make(keeper, arena, assign, spec);
                plan.path = environment_path(plan.envp);
                begin_deadlines(keeper, assign, spec);
                begin_process(keeper, &plan);
        }
        for (int i = 0; i < 4; i++)
                keeper_close(&plan.fds[i]);
}

void keeper_begin(struct keeper *keeper)
{
        struct px_arena arena = {0};
        struct px_assign assign;
        struct px_spec spec;
        uint8_t boot[SPOOL_ID_BYTES];
        int fault = spool_entry_read(keeper->dir_fd, &arena, boot, &assign);

        keeper->phase = PHASE_RUNNING;
        keeper->limit_ms = keeper->lost_ms = keeper->kill_ms = KEEPER_NEVER;
        keeper->started_ms = keeper_now_ms();
        if (fault != 0) {
                begin_fault(keeper, "reading the entry", -fault);
        } else {
                keeper->key = (struct spool_key){.job = assign.job, .fence = assign.fence};
                if (px_spec_decode(assign.spec, &arena, &spec) != PX_WIRE_OK ||
                    spec.argv_count == 0)
                        begin_fail(keeper, PX_OUTCOME_FAILED, PX_REASON_REFUSED, 125,
                                   "node %s: the specification can't be read, or names no "
                                   "program",
                                   keeper->start.node);
                else
                        begin_with(keeper, &arena, &assign, &spec);
        }
        px_arena_fini(&arena);
        if (keeper->pid == 0)
                finish_end(keeper);
}
