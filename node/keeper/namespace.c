/* SPDX-License-Identifier: Apache-2.0 */
/* namespace.c - a process namespace for a job. Layer: L4 (node/keeper). */
#include "namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Who we are outside: inside, nobody knows before the maps are written. */
static struct {
        bool user; /* in a user namespace */
        unsigned uid;
        unsigned gid;
} outside;

pid_t namespace_fork(void)
{
        struct clone_args how = {.flags = CLONE_NEWPID | CLONE_NEWNS,
                                 .exit_signal = (uint64_t)SIGCHLD};
        long pid;

        outside.user = geteuid() != 0;
        outside.uid = geteuid();
        outside.gid = getegid();
        if (outside.user)
                how.flags |= CLONE_NEWUSER;
        pid = syscall(SYS_clone3, &how, sizeof(how));
        return pid < 0 ? -errno : (pid_t)pid;
}

static int map_write(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        int fault = 0;

        if (fd < 0)
                return -errno;
        if (write(fd, text, strlen(text)) < 0)
                fault = -errno;
        close(fd);
        return fault;
}

int namespace_enter(void)
{
        char uids[64];
        char gids[64];
        int fault = 0;

        if (outside.user) {
                snprintf(uids, sizeof(uids), "%u %u 1", outside.uid, outside.uid);
                snprintf(gids, sizeof(gids), "%u %u 1", outside.gid, outside.gid);
                fault = map_write("/proc/self/setgroups", "deny");
                if (fault == 0)
                        fault = map_write("/proc/self/uid_map", uids);
                if (fault == 0)
                        fault = map_write("/proc/self/gid_map", gids);
        }
        if (fault == 0 && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0)
                fault = -errno;
        /* Where parts of /proc are hidden, as in containers, the kernel allows no new one: then a
         * job sees the numbers of the machine there. */
        if (fault == 0)
                (void)!mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
        return fault;
}

bool namespace_works(void)
{
        int status = -1;
        pid_t pid = namespace_fork();

        if (pid == 0)
                _exit(namespace_enter() == 0 ? 0 : 1);
        if (pid < 0)
                return false;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                continue;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
