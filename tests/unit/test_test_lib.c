/* SPDX-License-Identifier: Apache-2.0 */
/* test_test_lib.c - the framework's own promises, seen from outside: test_lib_broken, which stands
 * beside this program, holds tests that fail, crash and hang; they are chosen by --filter. */
#include "test.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Run test_lib_broken with `arguments`: its output, terminated, and its wait status. */
static const char *run_broken(const char *arguments, int *ret_status)
{
        static char output[4096];
        char self[1024] = "";
        struct px_buf command = {0};
        FILE *pipe;
        size_t length;

        EXPECT(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
        *strrchr(self, '/') = '\0';
        px_buf_format(&command, "unset PX_GOLDEN_WRITE; '%s/test_lib_broken' %s 2>/dev/null", self,
                      arguments);
        px_buf_append(&command, "", 1);
        pipe = popen((const char *)command.data, "re");
        px_buf_fini(&command);
        EXPECT(pipe != NULL);
        length = fread(output, 1, sizeof(output) - 1, pipe);
        output[length] = '\0';
        *ret_status = pclose(pipe);
        return output;
}

TEST(a_failed_expectation_names_its_place_and_fails_the_program)
{
        int status;
        const char *output = run_broken("--filter fails", &status);

        EXPECT(strstr(output, "test_lib_broken.c:") != NULL);
        EXPECT(strstr(output, "1 + 1 is 2, not 3\nFAIL fails\n0 passed, 1 failed\n") != NULL);
        EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

TEST(a_crash_counts_what_did_not_run_as_failed)
{
        int status;
        const char *output = run_broken("--filter crashes", &status);

        EXPECT(strstr(output, "FAIL crashes: crashed") != NULL);
        EXPECT(strstr(output, "0 passed, 1 failed\n") != NULL);
        EXPECT(status != 0);
        output = run_broken("", &status);
        EXPECT(strstr(output, "crashed (signal 6), 2 not run\n1 passed, 4 failed\n") != NULL);
        EXPECT(status != 0);
}

TEST(a_test_that_hangs_meets_its_deadline)
{
        int status;
        const char *output = run_broken("--filter hangs", &status);

        EXPECT(strstr(output, "FAIL hangs: missed its deadline") != NULL);
        EXPECT(strstr(output, "0 passed, 1 failed\n") != NULL);
        EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

TEST(a_golden_file_that_differs_fails_at_its_line)
{
        int status;
        const char *output = run_broken("--filter golden_differs", &status);

        test_golden("test_lib/sample.txt", px_slice_text("one\ntwo\nthree\n"));
        EXPECT(strstr(output, "sample.txt:2: differs; this run gives\n\ttwo!\nwhere the file has"
                              "\n\ttwo\n") != NULL);
        EXPECT(status != 0);
}

TEST(a_filter_that_chooses_nothing_fails_the_program)
{
        int status;
        const char *output = run_broken("--filter no_test_is_called_so", &status);

        EXPECT_TEXT(output, "0 passed, 0 failed\n");
        EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

static char removed_dir[256];

TEST(a_temp_dir_is_there_during_its_test)
{
        struct stat status;
        char path[300];
        FILE *file;

        snprintf(removed_dir, sizeof(removed_dir), "%s", test_temp_dir());
        EXPECT_INT(stat(removed_dir, &status), 0);
        snprintf(path, sizeof(path), "%s/a", removed_dir);
        EXPECT_INT(mkdir(path, 0700), 0);
        snprintf(path, sizeof(path), "%s/a/b", removed_dir);
        file = fopen(path, "we");
        EXPECT(file != NULL);
        fclose(file);
}

TEST(a_temp_dir_is_gone_after_its_test)
{
        struct stat status;

        if (removed_dir[0] != '\0') /* else the filter left the test before out */
                EXPECT(stat(removed_dir, &status) != 0);
}

static bool third_call(void *context)
{
        int *calls = context;

        return ++*calls == 3;
}

static bool never(void *context)
{
        (void)context;
        return false;
}

TEST(waiting_ends_with_the_predicate_or_the_deadline)
{
        int calls = 0;

        EXPECT(test_wait_until(10000, third_call, &calls));
        EXPECT_INT(calls, 3);
        EXPECT(!test_wait_until(20, never, NULL));
}
