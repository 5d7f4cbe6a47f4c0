/* SPDX-License-Identifier: Apache-2.0 */
/* test.c - runs the registered tests, one after the other, each with a deadline. */
#include "test.h"
#include "test_inside.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct test *first_test;
static struct test **last_next = &first_test;

/* What signal handlers need to close the report. */
static struct {
        const struct test *current;
        sigjmp_buf leave;
        int passed;
        int failed;
        int not_run;
} run;

void test_register(struct test *test)
{
        *last_next = test;
        last_next = &test->next;
}

_Noreturn void test_fail(const char *file, int line, const char *format, ...)
{
        va_list arguments;

        printf("%s:%d: ", file, line);
        va_start(arguments, format);
        vprintf(format, arguments);
        va_end(arguments);
        printf("\n");
        siglongjmp(run.leave, 1);
}

void test_deadline_s(unsigned seconds)
{
        alarm(seconds);
}

/* The process cannot go on: say why, count the rest as failed, close with the usual last line. */
static void run_end_by_signal(int signal_number)
{
        char text[512];
        const char *why = signal_number == SIGALRM ? "missed its deadline" : "crashed";
        int failed = run.failed + 1 + run.not_run;
        int length;

        test_kill_all();
        length = snprintf(text, sizeof(text),
                          "FAIL %s: %s (signal %d), %d not run\n"
                          "%d passed, %d failed\n",
                          run.current == NULL ? "(none)" : run.current->name, why, signal_number,
                          run.not_run, run.passed, failed);
        if (length > 0 && write(STDOUT_FILENO, text, PX_MIN((size_t)length, sizeof(text) - 1)) < 0)
                _exit(2);
        if (signal_number == SIGALRM)
                _exit(1);
        signal(signal_number, SIG_DFL);
        raise(signal_number);
}

static void run_handle_signals(void)
{
        static const int signals[] = {SIGALRM, SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};

        for (size_t i = 0; i < PX_COUNT_OF(signals); i++) {
                struct sigaction action = {.sa_handler = run_end_by_signal,
                                           .sa_flags = (int)SA_RESETHAND};

                PX_ASSERT(sigaction(signals[i], &action, NULL) == 0);
        }
        signal(SIGPIPE, SIG_IGN);
}

/* In a child of EXPECT_ABORT: dying is the child's own affair, not the report's. */
void test_signals_default(void)
{
        signal(SIGABRT, SIG_DFL);
        signal(SIGALRM, SIG_DFL);
}

/* No variable of this function changes after sigsetjmp: a jump back would lose it. */
__attribute__((noinline)) static bool test_passes(const struct test *test)
{
        if (sigsetjmp(run.leave, 1) != 0)
                return false;
        test->run();
        return true;
}

static void run_test(const struct test *test)
{
        bool passed;

        run.current = test;
        run.not_run--;
        test_deadline_s(TEST_DEADLINE_S);
        passed = test_passes(test);
        test_clean_up();
        alarm(0);
        run.passed += passed;
        run.failed += !passed;
        printf("%s %s\n", passed ? "ok  " : "FAIL", test->name);
        run.current = NULL;
}

static bool is_chosen(const struct test *test, const char *filter)
{
        return filter == NULL || strstr(test->name, filter) != NULL;
}

static int run_chosen(const char *filter)
{
        for (const struct test *test = first_test; test != NULL; test = test->next)
                run.not_run += is_chosen(test, filter);
        for (const struct test *test = first_test; test != NULL; test = test->next)
                if (is_chosen(test, filter))
                        run_test(test);
        printf("%d passed, %d failed\n", run.passed, run.failed);
        return run.failed > 0 || run.passed == 0;
}

/* Read by the address sanitizer where it is built in: memory that is refused shall be NULL, as it
 * is without it, so that the way the process ends can be tested. */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
        return "allocator_may_return_null=1";
}

int main(int argc, char **argv)
{
        setvbuf(stdout, NULL, _IOLBF, 0); /* a crash loses no line, a fork repeats none */
        if (argc == 2 && strcmp(argv[1], "--list") == 0) {
                for (const struct test *test = first_test; test != NULL; test = test->next)
                        printf("%s\n", test->name);
                return 0;
        }
        run_handle_signals();
        if (argc == 1)
                return run_chosen(NULL);
        if (argc == 3 && strcmp(argv[1], "--filter") == 0)
                return run_chosen(argv[2]);
        fprintf(stderr, "usage: %s [--list | --filter TEXT]\n", argv[0]);
        return 2;
}
