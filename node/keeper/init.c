/* SPDX-License-Identifier: Apache-2.0 */
/* init.c - the first process of a job's process namespace: makes the job's process, reaps what is left
 * to it, ends when nothing is left. Layer: L4 (node/keeper).
 *
 * A copy of the keeper, at the other end of a SOCK_SEQPACKET pair. It says one struct init_word when
 * the job's process was made or could not be (then struct child_error says why), one more when that
 * process has ended. It hears signals for that process's group, an int each. When the pair breaks,
 * the keeper is dead: it ends, and all in the namespace with it. */
#include "keeper.h"
#include "clone.h"
#include "namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FDS_FROM 100 /* the keeper's own are below */

struct init_word {
        int32_t ended; /* 0 = made, 1 = ended */
        int32_t status;
};

/* ---- in the namespace ----------------------------------------------------------------------- */

static void init_say(int fd, int ended, int status)
{
        struct init_word word = {.ended = ended, .status = status};

        if (send(fd, &word, sizeof(word), MSG_NOSIGNAL) != sizeof(word))
                _exit(125);
}

static void init_child(const void *plan)
{
        child_run(plan);
}

/* Keep what the job and we need, and nothing of the keeper: its lock least of all. */
static void init_fds(struct child_plan *plan, int *fd)
{
        *fd = fcntl(*fd, F_DUPFD_CLOEXEC, FDS_FROM);
        for (int i = 0; i < 4; i++)
                plan->fds[i] = fcntl(plan->fds[i], F_DUPFD_CLOEXEC, FDS_FROM);
        if (close_range(3, FDS_FROM - 1, 0) != 0)
                _exit(125);
}

static void init_reap(int fd, pid_t job)
{
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
                if (pid == job)
                        init_say(fd, 1, status);
        if (pid < 0 && errno == ECHILD)
                _exit(0);
}

static void init_hear(int fd, pid_t job)
{
        int number;
        ssize_t got = recv(fd, &number, sizeof(number), MSG_DONTWAIT);

        if (got == sizeof(number))
                kill(-job, number);
        else if (got == 0 || errno != EAGAIN)
                _exit(0);
}

static _Noreturn void init_watch(int fd, pid_t job)
{
        struct pollfd polled[2] = {{.fd = fd, .events = POLLIN}, {.events = POLLIN}};
        struct signalfd_siginfo info;
        sigset_t signals;

        sigemptyset(&signals);
        sigaddset(&signals, SIGCHLD);
        polled[1].fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
        if (polled[1].fd < 0)
                _exit(125);
        for (;;) {
                init_reap(fd, job);
                if (poll(polled, 2, -1) < 0 && errno != EINTR)
                        _exit(125);
                if (polled[0].revents != 0)
                        init_hear(fd, job);
                while (read(polled[1].fd, &info, sizeof(info)) == sizeof(info))
                        continue;
        }
}

static _Noreturn void init_run(struct child_plan plan, int fd)
{
        pid_t job;
        int fault;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        init_fds(&plan, &fd);
        fault = namespace_enter();
        if (fault != 0) {
                *plan.told = (struct child_error){.stage = CHILD_SETUP, .error = -fault};
                _exit(125);
        }
        plan.keeper_pid = getpid();
        job = clone_run(CLONE_NO_GROUP, init_child, &plan);
        if (job < 0) {
                *plan.told = (struct child_error){.stage = CHILD_SETUP, .error = -job};
                _exit(125);
        }
        for (int i = 0; i < 4; i++)
                close(plan.fds[i]);
        init_say(fd, 0, 0);
        init_watch(fd, job);
}

/* ---- the keeper's end ----------------------------------------------------------------------- */

pid_t init_start(struct keeper *keeper, struct child_plan *plan)
{
        struct init_word word;
        int ends[2];
        ssize_t got;
        pid_t pid;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
                return -errno;
        pid = namespace_fork();
        if (pid == 0)
                init_run(*plan, ends[1]);
        close(ends[1]);
        keeper->init_fd = ends[0];
        if (pid < 0) {
                keeper_close(&keeper->init_fd);
                return pid;
        }
        do {
                got = recv(keeper->init_fd, &word, sizeof(word), 0);
        } while (got < 0 && errno == EINTR);
        if (got != sizeof(word) && plan->told->stage == 0)
                *plan->told = (struct child_error){.stage = CHILD_SETUP, .error = ESRCH};
        return pid;
}

void init_read(struct keeper *keeper)
{
        struct init_word word;
        ssize_t got;

        if (keeper->init_fd < 0)
                return;
        got = recv(keeper->init_fd, &word, sizeof(word), MSG_DONTWAIT);
        if (got == sizeof(word) && word.ended != 0) {
                keeper->reaped = true;
                keeper->status = word.status;
        } else if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
                keeper_close(&keeper->init_fd);
        }
}

void init_signal(struct keeper *keeper, int number)
{
        (void)!send(keeper->init_fd, &number, sizeof(number), MSG_DONTWAIT | MSG_NOSIGNAL);
}
