/* SPDX-License-Identifier: Apache-2.0 */
/* child.c - between clone and exec: what the job's first process does before it is the job.
 * Layer: L4 (node/keeper). Source: DESIGN 7, RELIABILITY 5 "Node sandbox".
 *
 * No allocation, and nothing of the keeper is changed: its memory is ours too (clone.h). The program is searched as the job's account in its own directory and PATH, and
 * is never given to a shell. */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Noreturn void child_fail(const struct child_plan *plan, int stage, int error)
{
        *plan->told = (struct child_error){.stage = stage, .error = error};
        _exit(stage == CHILD_PROGRAM ? (error == ENOENT ? 127 : 126) : 125);
}

static void child_attach(const struct child_plan *plan, const char *directory)
{
        char path[600];
        int fd;

        if (directory[0] == '\0')
                return;
        snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "0", 1) != 1)
                child_fail(plan, CHILD_GROUP, errno);
        close(fd);
}

static void child_groups(const struct child_plan *plan)
{
        const struct keeper_start *start = plan->start;

        if (plan->attach_kill)
                child_attach(plan, start->group);
        if (strcmp(start->group_memory, start->group) != 0)
                child_attach(plan, start->group_memory);
        child_attach(plan, start->group_pids);
}

/* Sources may be among the targets: lift them out of the way first. */
static void child_fds(const struct child_plan *plan)
{
        int lifted[4];

        for (int i = 0; i < 4; i++)
                lifted[i] = fcntl(plan->fds[i], F_DUPFD_CLOEXEC, 16);
        for (int i = 0; i < 4; i++)
                if (lifted[i] < 0 || dup2(lifted[i], i) != i)
                        child_fail(plan, CHILD_SETUP, errno);
        if (close_range(4, ~0u, CLOSE_RANGE_CLOEXEC) != 0)
                child_fail(plan, CHILD_SETUP, errno);
}

/* The keeper blocks what it doesn't want to hear and handles nothing: opening the mask is all. */
static void child_signals(void)
{
        sigset_t none;

        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
}

static void child_account(const struct child_plan *plan)
{
        const struct keeper_start *start = plan->start;

        if (!start->switch_account)
                return;
        if (setgroups(start->groups_count, start->groups) != 0 ||
            setresgid(start->gid, start->gid, start->gid) != 0 ||
            setresuid(start->uid, start->uid, start->uid) != 0)
                child_fail(plan, CHILD_ACCOUNT, errno);
}

static void child_limits(const struct child_plan *plan)
{
        struct rlimit core = {0, 0};
        struct rlimit files;

        setrlimit(RLIMIT_CORE, &core);
        /* The keeper raised nothing; a soft limit far above select()'s 1024 breaks old programs. */
        if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
                files.rlim_cur = PX_MIN(files.rlim_max, (rlim_t)65536);
                setrlimit(RLIMIT_NOFILE, &files);
        }
        if (!plan->start->new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
                child_fail(plan, CHILD_SETUP, errno);
}

static int exec_at(const struct child_plan *plan, const char *path)
{
        struct stat status;

        /* A directory gives EACCES, which would read as a missing permission. */
        if (stat(path, &status) != 0)
                return errno;
        if (S_ISDIR(status.st_mode))
                return EISDIR;
        execve(path, plan->argv, plan->envp);
        return errno == ENOENT ? ENOEXEC : errno; /* the file is there: its interpreter isn't */
}

/* As execvp searches, but a file the kernel can't run is never handed to /bin/sh. */
static int exec_search(const struct child_plan *plan)
{
        const char *name = plan->argv[0];
        char path[PX_LIMIT_PATH_BYTES + 1];
        int error = ENOENT;

        if (strchr(name, '/') != NULL)
                return exec_at(plan, name);
        for (const char *at = plan->path; *name != '\0';) {
                size_t length = strcspn(at, ":");
                int tried = ENOENT;

                if (snprintf(path, sizeof(path), "%.*s%s%s", (int)length, at,
                             length == 0 ? "./" : "/", name) < (int)sizeof(path))
                        tried = exec_at(plan, path);
                if (tried != ENOENT && tried != ENOTDIR && tried != EISDIR && error == ENOENT)
                        error = tried;
                if (at[length] == '\0')
                        break;
                at += length + 1;
        }
        return error;
}

_Noreturn void child_run(const struct child_plan *plan)
{
        /* Without a group, the direct child must not outlive its keeper. Account changes clear this,
         * so it is set behind them. */
        setsid();
        child_signals();
        child_groups(plan);
        child_fds(plan);
        child_account(plan);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != plan->keeper_pid)
                _exit(125);
        child_limits(plan);
        if (plan->umask != 0)
                umask(plan->umask & 0777);
        if (chdir(plan->cwd) != 0)
                child_fail(plan, CHILD_DIRECTORY, errno);
        child_fail(plan, CHILD_PROGRAM, exec_search(plan));
}
