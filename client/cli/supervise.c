/* SPDX-License-Identifier: Apache-2.0 */
/* supervise.c - keep processes of ours running: those of `up`, the broker of `init`, the node of `join`. Layer: L4 (client/cli).
 * Processes are watched through pid descriptors, so those that an earlier supervisor started are adopted
 * as they are; none of them dies because the supervisor did. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "starter.h"
#include "mesh.h"

#define STOP_MS 15000
#define RESTARTS_MAX 5
#define RESTARTS_WITHIN_MS 60000

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void say(int fd, const char *text)
{
        ssize_t ignored = write(fd, text, strlen(text));

        (void)ignored;
}

/* ---- starting ----------------------------------------------------------------------------------------------- */

/* With ret_ready_fd NULL nobody waits until it is ready. */
static int spawn(struct mesh *mesh, size_t index, int log_fd, int *ret_ready_fd)
{
        struct mesh_process *process = &mesh->processes[index];
        struct mesh_words words;
        char program[MESH_PATH_MAX];
        char dir[MESH_PATH_MAX + 64];
        int result;

        process->pid = 0;
        if (!program_find(index == 0 ? "plexus-broker" : "plexus-node", program, sizeof program))
                return -ENOENT;
        mesh_words_make(mesh, index, program, ret_ready_fd != NULL, &words);
        mesh_process_dir(mesh, index, dir, sizeof dir);
        result = make_dirs(dir);
        return result != 0 ? result : launch(program, words.list, log_fd, &process->pid, ret_ready_fd);
}

static void watch(struct mesh_process *process)
{
        process->start = mesh_process_start(process->pid);
        process->pid_fd = pidfd_open(process->pid, 0);
}

/* Start one process and wait until it says that it is ready. */
static int start(struct mesh *mesh, size_t index, int log_fd)
{
        char line[512] = "";
        int ready_fd;
        int result = spawn(mesh, index, log_fd, &ready_fd);

        if (result != 0)
                return result;
        watch(&mesh->processes[index]);
        if (!launch_ready(ready_fd, line, sizeof line))
                return -ETIMEDOUT;
        if (index == 0)
                (void)sscanf(line, "READY cmd=%u node=%u data=%u events=%u", &mesh->ports[0], &mesh->ports[1],
                             &mesh->ports[2], &mesh->ports[3]);
        return 0;
}

static bool adopt(struct mesh_process *process)
{
        if (!mesh_process_alive(process->pid, process->start))
                return false;
        process->pid_fd = pidfd_open(process->pid, 0);
        return process->pid_fd >= 0;
}

/* ---- dying --------------------------------------------------------------------------------------------------- */

/* May it be restarted once more? */
static bool restart_allowed(struct mesh_process *process)
{
        int64_t now = now_ms();

        if (process->restarts_ms[RESTARTS_MAX - 1] != 0 &&
            now - process->restarts_ms[RESTARTS_MAX - 1] < RESTARTS_WITHIN_MS)
                return false;
        memmove(process->restarts_ms + 1, process->restarts_ms,
                (RESTARTS_MAX - 1) * sizeof process->restarts_ms[0]);
        process->restarts_ms[0] = now;
        return true;
}

static void forget(struct mesh_process *process, char *ret_how, size_t room)
{
        int status = 0;

        snprintf(ret_how, room, "is gone");
        if (waitpid(process->pid, &status, WNOHANG) == process->pid) {
                if (WIFSIGNALED(status))
                        snprintf(ret_how, room, "was killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
                else
                        snprintf(ret_how, room, "ended with code %d", WEXITSTATUS(status));
        }
        close(process->pid_fd);
        process->pid_fd = -1;
        process->pid = 0;
        process->start = 0;
}

/* A process died: start it again, or say why not. Nobody waits here: the next one to be started may be
 * what this one waits for. */
static void revive(struct mesh *mesh, size_t index, int log_fd)
{
        struct mesh_process *process = &mesh->processes[index];
        char how[64];
        int result;

        forget(process, how, sizeof how);
        if (!restart_allowed(process)) {
                snprintf(process->note, sizeof process->note, "%s, %d times within a minute: it stays down",
                         how, RESTARTS_MAX + 1);
                dprintf(log_fd, "plexus: %s %s; `plexus down`, then starting it again, tries anew\n",
                        process->name, process->note);
                return;
        }
        dprintf(log_fd, "plexus: %s %s; starting it again\n", process->name, how);
        result = spawn(mesh, index, log_fd, NULL);
        if (result == 0) {
                watch(process);
                return;
        }
        snprintf(process->note, sizeof process->note, "%s, and does not start again: %s", how,
                 strerror(-result));
        dprintf(log_fd, "plexus: %s %s\n", process->name, process->note);
}

/* TERM, then wait; KILL what does not leave. */
static void stop(struct mesh_process *process)
{
        struct pollfd item = {.fd = process->pid_fd, .events = POLLIN};
        int64_t deadline = now_ms() + STOP_MS;
        char how[64];

        if (process->pid_fd < 0)
                return;
        (void)pidfd_send_signal(process->pid_fd, SIGTERM, NULL, 0);
        while (now_ms() < deadline && poll(&item, 1, (int)(deadline - now_ms())) <= 0)
                if (errno != EINTR)
                        break;
        if ((item.revents & POLLIN) == 0)
                (void)pidfd_send_signal(process->pid_fd, SIGKILL, NULL, 0);
        forget(process, how, sizeof how);
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

/* The last line that was written to up.log behind `from`; "" when there is none. */
static void last_words(const struct mesh *mesh, off_t from, char *ret_line, size_t room)
{
        char path[MESH_PATH_MAX + 8];
        char text[4096];
        ssize_t got = 0;
        char *line;
        off_t end;
        int fd;

        ret_line[0] = '\0';
        snprintf(path, sizeof path, "%s/up.log", mesh->dir);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        end = fd < 0 ? from : lseek(fd, 0, SEEK_END);
        if (end > from) {
                off_t begin = end - from < (off_t)sizeof text ? from : end - (off_t)sizeof text + 1;

                got = pread(fd, text, sizeof text - 1, begin);
        }
        if (fd >= 0)
                close(fd);
        while (got > 0 && text[got - 1] == '\n')
                got--;
        if (got <= 0)
                return;
        text[got] = '\0';
        line = strrchr(text, '\n');
        snprintf(ret_line, room, "%.500s", line != NULL ? line + 1 : text);
}

static off_t log_end(const struct mesh *mesh)
{
        char path[MESH_PATH_MAX + 8];
        struct stat about;

        snprintf(path, sizeof path, "%s/up.log", mesh->dir);
        return stat(path, &about) == 0 ? about.st_size : 0;
}

/* Tell who waits why a process did not start: in its own words where it had some. */
static void say_failed(const struct mesh *mesh, size_t index, int result, off_t from, int ready_fd)
{
        char words[512];
        char text[MESH_PATH_MAX + 700];

        last_words(mesh, from, words, sizeof words);
        if (words[0] == '\0')
                snprintf(words, sizeof words, "%s", result == -ETIMEDOUT ? "it ended or was not ready in time"
                                                                         : strerror(-result));
        snprintf(text, sizeof text, "FAILED %s did not start: %s; see %s/up.log\n",
                 mesh->processes[index].name, words, mesh->dir);
        say(ready_fd, text);
}

static int start_all(struct mesh *mesh, int ready_fd, int log_fd)
{

        for (size_t i = mesh->nodes_count + 1; i <= MESH_NODES_MAX; i++)
                if (adopt(&mesh->processes[i]))
                        stop(&mesh->processes[i]); /* fewer nodes than last time */
        for (size_t i = mesh_first(mesh); i <= mesh->nodes_count; i++) {
                struct mesh_process *process = &mesh->processes[i];
                off_t from = log_end(mesh);
                int result = adopt(process) ? 0 : start(mesh, i, log_fd);

                process->note[0] = '\0';
                if (result != 0) {
                        say_failed(mesh, i, result, from, ready_fd);
                        return result;
                }
        }
        return 0;
}

static int signals_fd(void)
{
        sigset_t signals;

        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        return signalfd(-1, &signals, SFD_CLOEXEC);
}

static void watch_all(struct mesh *mesh, int signal_fd, int log_fd)
{
        struct pollfd items[2 + MESH_NODES_MAX];

        for (;;) {
                bool changed = false;

                items[0] = (struct pollfd){.fd = signal_fd, .events = POLLIN};
                for (size_t i = 0; i <= mesh->nodes_count; i++)
                        items[1 + i] = (struct pollfd){.fd = mesh->processes[i].pid_fd, .events = POLLIN};
                if (poll(items, 2 + mesh->nodes_count, -1) < 0)
                        continue;
                if (items[0].revents != 0)
                        return;
                for (size_t i = 0; i <= mesh->nodes_count; i++) {
                        if (items[1 + i].revents == 0)
                                continue;
                        revive(mesh, i, log_fd);
                        changed = true;
                }
                if (changed)
                        (void)mesh_save(mesh);
        }
}

int mesh_supervise(struct mesh *mesh, int ready_fd, int log_fd)
{
        int signal_fd = signals_fd();
        int code = CLI_DONE;

        mesh->supervisor = getpid();
        mesh->supervisor_start = mesh_process_start(getpid());
        if (start_all(mesh, ready_fd, log_fd) == 0 && mesh_save(mesh) == 0) {
                say(ready_fd, "READY\n");
                watch_all(mesh, signal_fd, log_fd);
        } else {
                code = CLI_FAULT;
        }
        /* Nodes first: their last words still find a broker. */
        for (size_t i = mesh->nodes_count + 1; i-- > mesh_first(mesh);)
                stop(&mesh->processes[i]);
        mesh->supervisor = 0;
        mesh->supervisor_start = 0;
        (void)mesh_save(mesh);
        close(signal_fd);
        return code;
}
