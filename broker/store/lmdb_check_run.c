/* SPDX-License-Identifier: Apache-2.0 */
/* lmdb_check_run.c - the check of db/data.mdb in a child process. Layer: L3 (broker/store).
 * What the child finds stands in memory that both share, so that it is there even if the child dies. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk.h"
#include "lmdb_check.h"
#include "px_schema.h"

static int file_check(int dir_fd, const struct state_mark *mark, struct lmdb_check_result *result)
{
        int fd = openat(dir_fd, LMDB_STORE_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        uint64_t bytes = 0;
        void *map;
        int code;

        if (fd < 0)
                return -errno;
        code = disk_size(fd, &bytes);
        if (code == 0 && bytes == 0) {
                snprintf(result->text, sizeof(result->text), "it is empty");
                return PX_E_DAMAGED;
        }
        if (code < 0)
                return code;
        map = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED)
                return -errno;
        madvise(map, bytes, MADV_WILLNEED);
        lmdb_check_bytes(px_slice_of(map, bytes), mark, result);
        return result->code;
}

static _Noreturn void child_run(int dir_fd, const struct state_mark *mark,
                                struct lmdb_check_result *shared)
{
        static const int deadly[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
        struct rlimit no_core = {0};

        for (size_t i = 0; i < PX_COUNT_OF(deadly); i++)
                signal(deadly[i], SIG_DFL);
        setrlimit(RLIMIT_CORE, &no_core);
        shared->code = file_check(dir_fd, mark, shared);
        _exit(0);
}

static int child_wait(pid_t pid, struct lmdb_check_result *shared)
{
        int status;

        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return shared->code;
        if (WIFEXITED(status))
                return -ENOMEM; /* px_alloc() found no memory */
        snprintf(shared->text, sizeof(shared->text),
                 "page %llu: reading it ended the checking process with signal %d",
                 (unsigned long long)shared->page, WTERMSIG(status));
        return PX_E_DAMAGED;
}

int lmdb_check(int dir_fd, const struct state_mark *mark, struct lmdb_check_result *ret_result)
{
        struct lmdb_check_result *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        int result;
        pid_t pid;

        if (shared == MAP_FAILED)
                return -errno;
        fflush(stderr);
        pid = fork();
        if (pid == 0)
                child_run(dir_fd, mark, shared);
        result = pid < 0 ? -errno : child_wait(pid, shared);
        *ret_result = *shared;
        munmap(shared, sizeof(*shared));
        return result;
}
