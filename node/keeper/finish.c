/* SPDX-License-Identifier: Apache-2.0 */
/* finish.c - the end of an attempt: the ladder TERM, grace, KILL, the proof that nothing survives, the
 * exit record. Layer: L4 (node/keeper). Source: DESIGN 7, RELIABILITY E15.
 *
 * The keeper is the subreaper of everything the job makes: a living descendant always has an
 * ancestor that is the keeper's own child. So "wait: no children" proves, in every mode, that nothing
 * of the attempt is alive. Groups only make the killing quick and safe from races. */
#include "keeper.h"
#include "group.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILL_AGAIN_MS 20
#define EXIT_AGAIN_MS 1000
#define TREE_DEPTH_MAX 4096
#define REMOVE_DEPTH_MAX 256

/* ---- signals to the whole tree -------------------------------------------------------------- */

static void tree_signal(pid_t parent, int number, unsigned depth);

static void tree_signal_one(pid_t pid, int number, unsigned depth)
{
        /* Stopped, it can't make children behind our back while its own are looked for. */
        if (number == SIGKILL)
                kill(pid, SIGSTOP);
        if (depth < TREE_DEPTH_MAX)
                tree_signal(pid, number, depth + 1);
        kill(pid, number);
        if (number != SIGKILL)
                kill(pid, SIGCONT);
}

/* The children of one thread; the list is read whole before any is signalled. */
static void tree_signal_task(pid_t parent, const char *task, int number, unsigned depth)
{
        char path[80];
        char *line = NULL;
        size_t room = 0;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/task/%.20s/children", (int)parent, task);
        file = fopen(path, "re");
        if (file == NULL)
                return;
        if (getline(&line, &room, file) > 0) {
                char *end;

                for (char *at = line;; at = end) {
                        long pid = strtol(at, &end, 10);

                        if (end == at || pid <= 1)
                                break;
                        tree_signal_one((pid_t)pid, number, depth);
                }
        }
        free(line);
        fclose(file);
}

static void tree_signal(pid_t parent, int number, unsigned depth)
{
        char path[64];
        struct dirent *item;
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/task", (int)parent);
        dir = opendir(path);
        if (dir == NULL)
                return;
        while ((item = readdir(dir)) != NULL)
                if (item->d_name[0] != '.')
                        tree_signal_task(parent, item->d_name, number, depth);
        closedir(dir);
}

/* A group or a namespace ends all inside at once; what a job moved out of its group, or has none, the
 * walk finds. */
static void kill_all(struct keeper *keeper)
{
        const struct keeper_start *start = &keeper->start;

        if (start->group[0] != '\0' && !group_empty(start->group)) {
                keeper->group_killed = true;
                group_kill(start->kill_mode, start->group);
        } else if (keeper->init_fd >= 0) {
                kill(keeper->pid, SIGKILL);
        } else {
                tree_signal(getpid(), SIGKILL, 0);
        }
        keeper->phase = PHASE_KILL;
        keeper->kill_ms = keeper_now_ms() + KILL_AGAIN_MS;
}

void finish_begin(struct keeper *keeper, int outcome, int reason, const char *text,
                  int64_t grace_ms)
{
        int64_t now_ms = keeper_now_ms();

        if (keeper->phase == PHASE_IDLE || keeper->phase == PHASE_ENDED)
                return;
        /* It ended by itself before the cause arose: its own end counts. */
        if (keeper->reaped) {
                if (keeper->phase == PHASE_LINGER)
                        kill_all(keeper);
                return;
        }
        if (!keeper->verdict.given) {
                keeper->verdict = (struct verdict){
                        .given = true, .outcome = outcome, .reason = reason, .exit_code = -1};
                snprintf(keeper->verdict.text, sizeof(keeper->verdict.text), "%s", text);
        }
        if (keeper->phase == PHASE_RUNNING) {
                keeper->phase = PHASE_TERM;
                keeper->kill_ms = now_ms + grace_ms;
                tree_signal(getpid(), SIGTERM, 0);
        } else if (keeper->phase == PHASE_TERM) {
                keeper->kill_ms = PX_MIN(keeper->kill_ms, now_ms + grace_ms);
        }
}

void finish_deadline(struct keeper *keeper, int64_t now_ms)
{
        if (keeper->phase == PHASE_IDLE || keeper->phase == PHASE_ENDED)
                return;
        if (now_ms >= keeper->limit_ms) {
                keeper->limit_ms = KEEPER_NEVER;
                finish_begin(keeper, PX_OUTCOME_TIMEOUT, PX_REASON_TIME_LIMIT,
                             "it ran past its time limit", (int64_t)keeper->grace_ms);
        }
        if (now_ms >= keeper->lost_ms) {
                keeper->lost_ms = KEEPER_NEVER;
                finish_begin(keeper, PX_OUTCOME_GAVE_UP, PX_REASON_GAVE_UP,
                             "the broker was silent for so long that the job must not go on "
                             "(on-lost=fail)",
                             (int64_t)keeper->grace_ms);
        }
        if (keeper->phase != PHASE_RUNNING && now_ms >= keeper->kill_ms) {
                kill_all(keeper);
                finish_reap(keeper);
        }
}

int64_t finish_next_ms(const struct keeper *keeper)
{
        int64_t next;

        if (keeper->phase == PHASE_IDLE || keeper->phase == PHASE_ENDED)
                return KEEPER_NEVER;
        next = PX_MIN(keeper->limit_ms, keeper->lost_ms);
        return keeper->phase == PHASE_RUNNING ? next : PX_MIN(next, keeper->kill_ms);
}

/* ---- reaping -------------------------------------------------------------------------------- */

static void reaped_add(struct keeper *keeper, pid_t pid, int status, const struct rusage *use)
{
        keeper->cpu_us += (uint64_t)(use->ru_utime.tv_sec + use->ru_stime.tv_sec) * 1000000u +
                          (uint64_t)(use->ru_utime.tv_usec + use->ru_stime.tv_usec);
        keeper->rss_bytes = PX_MAX(keeper->rss_bytes, (uint64_t)use->ru_maxrss * 1024u);
        /* Of a namespace's first process only if it couldn't say how the job's ended. */
        if (pid == keeper->pid && !keeper->reaped) {
                keeper->reaped = true;
                keeper->status = status;
        }
}

void finish_reap(struct keeper *keeper)
{
        struct rusage use;
        int status;
        pid_t pid;

        if (keeper->phase == PHASE_IDLE || keeper->phase == PHASE_ENDED)
                return;
        init_read(keeper);
        while ((pid = wait4(-1, &status, WNOHANG, &use)) > 0)
                reaped_add(keeper, pid, status, &use);
        if (pid < 0 && errno == ECHILD) {
                finish_end(keeper);
        } else if (keeper->reaped && keeper->phase == PHASE_RUNNING) {
                keeper->phase = PHASE_LINGER;
                keeper->kill_ms = keeper_now_ms() + KEEPER_LINGER_MS;
        }
}

/* ---- the exit record ------------------------------------------------------------------------ */

static void result_end(const struct keeper *keeper, struct px_result *result, char *text,
                       size_t room)
{
        const struct verdict *verdict = &keeper->verdict;
        bool signalled = keeper->reaped && WIFSIGNALED(keeper->status);
        bool exited = keeper->reaped && WIFEXITED(keeper->status);
        int signal_number = signalled ? WTERMSIG(keeper->status) : 0;

        result->exit_code = exited ? WEXITSTATUS(keeper->status) : -1;
        result->signal = (uint32_t)signal_number;
        text[0] = '\0';
        if (verdict->given) {
                result->outcome = verdict->outcome;
                result->reason = verdict->reason;
                snprintf(text, room, "%s", verdict->text);
                if (verdict->exit_code >= 0) {
                        result->exit_code = verdict->exit_code;
                        result->signal = 0;
                }
        } else if (exited && result->exit_code == 0) {
                result->outcome = PX_OUTCOME_OK;
                result->reason = PX_REASON_FINISHED;
        } else {
                result->outcome = PX_OUTCOME_FAILED;
                result->reason = signalled ? PX_REASON_SIGNAL : PX_REASON_EXIT;
                if (group_memory_kills(keeper->start.group_memory) > keeper->kills_before) {
                        result->reason = PX_REASON_MEMORY;
                        snprintf(text, room, "killed for want of memory: its limit is %llu bytes",
                                 (unsigned long long)keeper->memory_bytes);
                }
        }
}

static void result_use(const struct keeper *keeper, struct px_use *use)
{
        const struct pump *out = &keeper->pump[PX_STREAM_OUT];
        const struct pump *err = &keeper->pump[PX_STREAM_ERR];

        use->cpu_ms = keeper->cpu_us / 1000;
        use->started_wall_ms = keeper->started_wall_ms;
        use->ended_wall_ms = keeper_wall_ms();
        if (group_memory_peak(keeper->start.group_memory, &use->memory_peak_bytes)) {
                use->memory_how = 1;
        } else if (keeper->rss_bytes != 0) {
                use->memory_peak_bytes = keeper->rss_bytes;
                use->memory_how = 2;
        }
        use->out_bytes = out->length;
        use->err_bytes = err->length;
        use->out_dropped_bytes = out->length - out->head - out->tail_length;
        use->err_dropped_bytes = err->length - err->head - err->tail_length;
        use->out_dropped_at = use->out_dropped_bytes == 0 ? 0 : out->head;
        use->err_dropped_at = use->err_dropped_bytes == 0 ? 0 : err->head;
}

static int exit_write(struct keeper *keeper)
{
        struct px_result result = {.job = keeper->key.job, .fence = keeper->key.fence};
        char text[PX_LIMIT_REASON_BYTES + 1];
        int64_t ran_ms = keeper_now_ms() - keeper->started_ms;

        result_end(keeper, &result, text, sizeof(text));
        result.text = px_slice_text(text);
        if (!px_slice_is_text(result.text))
                result.text = px_slice_text("the reason holds bytes that are no text");
        result_use(keeper, &result.use);
        result.progress_permille = keeper->progress.any ? keeper->progress.permille : -1;
        result.progress_text = px_slice_text(keeper->progress.text);
        px_buf_reset(&keeper->ended);
        px_result_encode(&result, &keeper->ended);
        return spool_exit_write(keeper->dir_fd, keeper->start.boot,
                                spool_exit_worth_sync(keeper->on_lost, ran_ms), &result);
}

/* ---- the work directory ------------------------------------------------------------------- */

/* By descriptors, never through links: the tree belongs to the job's account. */
static void directory_remove(int at_fd, const char *name, unsigned depth)
{
        int fd = openat(at_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *item;

        if (dir == NULL) {
                if (fd >= 0)
                        close(fd);
                unlinkat(at_fd, name, AT_REMOVEDIR);
                return;
        }
        fchmod(fd, 0700);
        while ((item = readdir(dir)) != NULL) {
                if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0)
                        continue;
                if (unlinkat(fd, item->d_name, 0) != 0 && depth < REMOVE_DEPTH_MAX)
                        directory_remove(fd, item->d_name, depth + 1);
        }
        closedir(dir);
        unlinkat(at_fd, name, AT_REMOVEDIR);
}

static void files_remove(struct keeper *keeper)
{
        if (keeper->remove_work)
                directory_remove(AT_FDCWD, keeper->start.work, 0);
        keeper->remove_work = false;
}

/* Read what was said before the end. */
static void progress_finish(struct keeper *keeper)
{
        while (keeper->progress_fd >= 0) {
                size_t before = keeper->progress.line_length;
                bool changed = keeper->progress.changed;

                keeper->progress.changed = false;
                if (!progress_read_pipe(keeper) ||
                    (!keeper->progress.changed && keeper->progress.line_length == before))
                        keeper_close(&keeper->progress_fd);
                keeper->progress.changed = keeper->progress.changed || changed;
        }
        while (keeper->sock.fd >= 0 && progress_read_sock(keeper))
                continue;
}

void finish_end(struct keeper *keeper)
{
        pump_finish(keeper);
        progress_finish(keeper);
        files_remove(keeper);
        if (exit_write(keeper) != 0) {
                /* No room: the attempt isn't over until its end is on record. */
                keeper->phase = PHASE_KILL;
                keeper->kill_ms = keeper_now_ms() + EXIT_AGAIN_MS;
                return;
        }
        if (keeper->group_killed)
                group_discard(keeper->start.group);
        keeper->phase = PHASE_ENDED;
        if (keeper->progress.changed)
                keeper->say |= SAY_PROGRESS;
        keeper->say |= SAY_ENDED;
        keeper_close(&keeper->listen_fd);
        keeper_close(&keeper->lock_fd);
}
