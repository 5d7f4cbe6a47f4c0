/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - children of tests. PX_BUILD_DIR is where the build put the programs. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test.h"

#define READY_MS 20000
#define END_MS 20000

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- any program ----------------------------------------------------------------------------- */

static _Noreturn void become(const char *program, const char *const *arguments, int ready_fd,
                             const char *error_path)
{
        static char path[512];
        static char number[16];
        char *argv[PROCESS_ARGUMENTS_MAX + 4] = {path};
        int count = 1;
        int fd = open(error_path, O_WRONLY | O_CREAT | O_APPEND, 0600);

        snprintf(path, sizeof(path), "%s/%s", PX_BUILD_DIR, program);
        for (size_t i = 0; arguments != NULL && arguments[i] != NULL; i++) {
                if (count > PROCESS_ARGUMENTS_MAX)
                        _exit(125);
                argv[count++] = (char *)(uintptr_t)arguments[i];
        }
        if (ready_fd >= 0) {
                snprintf(number, sizeof(number), "%d", ready_fd);
                argv[count++] = (char *)(uintptr_t) "--ready-fd";
                argv[count++] = number;
        }
        if (fd >= 0)
                dup2(fd, STDERR_FILENO);
        execv(path, argv);
        dprintf(STDERR_FILENO, "%s: %s\n", path, strerror(errno));
        _exit(127);
}

void process_start(struct process *process, const char *program, const char *const *arguments,
                   bool ready, const char *error_path)
{
        int ends[2] = {-1, -1};

        if (ready)
                EXPECT_INT(pipe2(ends, O_CLOEXEC), 0);
        process->pid = fork();
        EXPECT(process->pid >= 0);
        if (process->pid == 0) {
                if (ready)
                        fcntl(ends[1], F_SETFD, 0);
                become(program, arguments, ends[1], error_path);
        }
        test_kill_at_end(process->pid);
        if (ready)
                close(ends[1]);
        process->ready_fd = ends[0];
}

bool process_ready(struct process *process, int deadline_ms, char *ret_line, size_t room)
{
        int64_t until_ms = now_ms() + deadline_ms;
        size_t length = 0;
        bool whole = false;

        while (!whole && length + 1 < room) {
                struct pollfd item = {.fd = process->ready_fd, .events = POLLIN};
                int64_t left_ms = until_ms - now_ms();

                if (left_ms <= 0 || poll(&item, 1, (int)left_ms) <= 0 ||
                    read(process->ready_fd, ret_line + length, 1) != 1)
                        break;
                whole = ret_line[length] == '\n';
                length += !whole;
        }
        ret_line[length] = '\0';
        close(process->ready_fd);
        process->ready_fd = -1;
        return whole;
}

void process_signal(const struct process *process, int signal)
{
        EXPECT_INT(kill(process->pid, signal), 0);
}

int process_wait(struct process *process, int deadline_ms)
{
        int pid_fd = (int)syscall(SYS_pidfd_open, process->pid, 0);
        struct pollfd item = {.fd = pid_fd, .events = POLLIN};
        int status = 0;
        int ready;

        EXPECT(pid_fd >= 0);
        ready = poll(&item, 1, deadline_ms);
        close(pid_fd);
        if (ready <= 0)
                return -1;
        EXPECT_INT(waitpid(process->pid, &status, 0), process->pid);
        test_spare(process->pid);
        if (process->ready_fd >= 0)
                close(process->ready_fd);
        process->ready_fd = -1;
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- the broker --------------------------------------------------------------------------------
 */

static void launch(struct test_broker *broker, const char *parent, const char *const *arguments)
{
        const char *all[PROCESS_ARGUMENTS_MAX] = {"--dir", broker->dir, "--any-filesystem",
                                                  "--map-bytes", "4294967296"};
        size_t count = 5;

        snprintf(broker->dir, sizeof(broker->dir), "%s/b", parent);
        snprintf(broker->error_path, sizeof(broker->error_path), "%s/broker.err", parent);
        for (size_t i = 0; arguments != NULL && arguments[i] != NULL; i++) {
                EXPECT(count + 1 < PROCESS_ARGUMENTS_MAX);
                all[count++] = arguments[i];
        }
        all[count] = NULL;
        process_start(&broker->process, "broker/plexus-broker", all, true, broker->error_path);
}

void test_broker_start(struct test_broker *broker, const char *parent, const char *const *arguments)
{
        char line[256];

        launch(broker, parent, arguments);
        if (!process_ready(&broker->process, READY_MS, line, sizeof(line))) {
                struct px_buf said = {0};

                test_read_file(broker->error_path, &said);
                test_fail(__FILE__, __LINE__, "the broker is not ready: %.*s", (int)said.length,
                          (const char *)said.data);
        }
        EXPECT_INT(sscanf(line,
                          "READY cmd=%u node=%u data=%u events=%u epoch=%llu index=%llu jobs=%llu "
                          "ms=%llu",
                          &broker->port_cmd, &broker->port_node, &broker->port_data,
                          &broker->port_events, &broker->epoch, &broker->index, &broker->jobs,
                          &broker->start_ms),
                   8);
}

int test_broker_refusal(struct test_broker *broker, const char *parent,
                        const char *const *arguments)
{
        launch(broker, parent, arguments);
        return process_wait(&broker->process, END_MS);
}

void test_broker_kill(struct test_broker *broker)
{
        process_signal(&broker->process, SIGKILL);
        EXPECT_INT(process_wait(&broker->process, END_MS), 128 + SIGKILL);
}

int test_broker_stop(struct test_broker *broker)
{
        process_signal(&broker->process, SIGTERM);
        return process_wait(&broker->process, END_MS);
}

bool test_broker_said(const struct test_broker *broker, const char *words)
{
        struct px_buf said = {0};
        bool found;

        if (!test_read_file(broker->error_path, &said))
                return false;
        px_buf_append(&said, "", 1);
        found = strstr((const char *)said.data, words) != NULL;
        px_buf_fini(&said);
        return found;
}
