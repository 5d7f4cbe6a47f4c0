/* SPDX-License-Identifier: Apache-2.0 */
/* clone.c - making the process that becomes a job. Layer: L4 (node/keeper).
 *
 * Copying even a small process (its page tables, and each page it touches after that) costs about as
 * much as all else that a keeper does for a short job. So the child borrows our memory until it
 * executes its program, as posix_spawn() does it, which can't place a child in a control group. The C
 * library has no door for that: the call stands here. */
#include "clone.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
        __has_feature(memory_sanitizer)
#define CLONE_COPIES 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CLONE_COPIES 1
#endif
#if !defined(__x86_64__) && !defined(__aarch64__)
#define CLONE_COPIES 1
#endif

#define STACK_BYTES (128u * 1024)

#ifndef CLONE_COPIES

static uint8_t clone_stack[STACK_BYTES] __attribute__((aligned(64)));

/* The child wakes on the new stack with our registers; it must not come back into this frame. */
static long clone_sharing(struct clone_args *how, void (*run)(const void *), const void *argument)
{
        long result;

        how->flags |= CLONE_VM;
        how->stack = (uint64_t)(uintptr_t)clone_stack;
        how->stack_size = sizeof(clone_stack);
#if defined(__x86_64__)
        register void (*run_at)(const void *) __asm__("r12") = run;
        register const void *argument_at __asm__("r13") = argument;

        __asm__ volatile("syscall\n\t"
                         "testq %%rax, %%rax\n\t"
                         "jnz 1f\n\t"
                         "xorl %%ebp, %%ebp\n\t"
                         "movq %%r13, %%rdi\n\t"
                         "callq *%%r12\n\t"
                         "hlt\n"
                         "1:"
                         : "=a"(result)
                         : "0"((long)SYS_clone3), "D"(how), "S"(sizeof(*how)), "r"(run_at),
                           "r"(argument_at)
                         : "rcx", "r11", "memory", "cc");
#else
        register long number __asm__("x8") = SYS_clone3;
        register long result_at __asm__("x0") = (long)how;
        register long size_at __asm__("x1") = (long)sizeof(*how);
        register void (*run_at)(const void *) __asm__("x20") = run;
        register const void *argument_at __asm__("x21") = argument;

        __asm__ volatile("svc #0\n\t"
                         "cbnz x0, 1f\n\t"
                         "mov x29, xzr\n\t"
                         "mov x30, xzr\n\t"
                         "mov x0, x21\n\t"
                         "blr x20\n\t"
                         "brk #1\n"
                         "1:"
                         : "+r"(result_at)
                         : "r"(number), "r"(size_at), "r"(run_at), "r"(argument_at)
                         : "memory", "cc");
        result = result_at;
#endif
        return result;
}

#else

static long clone_sharing(struct clone_args *how, void (*run)(const void *), const void *argument)
{
        long result = syscall(SYS_clone3, how, sizeof(*how));

        if (result == 0)
                run(argument);
        return result < 0 ? -errno : result;
}

#endif

/* A kernel, or a container's filter, without clone3(). */
static long clone_old(void (*run)(const void *), const void *argument)
{
        long result = syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);

        if (result == 0)
                run(argument);
        return result < 0 ? -errno : result;
}

pid_t clone_run(int group_fd, void (*run)(const void *argument), const void *argument)
{
        struct clone_args how = {.flags = CLONE_VFORK, .exit_signal = (uint64_t)SIGCHLD};
        long result;

        if (group_fd >= 0) {
                how.flags |= CLONE_INTO_CGROUP;
                how.cgroup = (unsigned)group_fd;
        }
        result = clone_sharing(&how, run, argument);
        if (result == -ENOSYS)
                result = group_fd >= 0 ? -EBADF : clone_old(run, argument);
        return (pid_t)result;
}
