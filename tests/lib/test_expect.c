/* SPDX-License-Identifier: Apache-2.0 */
/* test_expect.c - the comparisons behind the EXPECT macros, and golden files. */
#include "test.h"
#include "test_inside.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

void test_expect_i64(const char *file, int line, const char *what, int64_t actual, int64_t expected)
{
        if (actual != expected)
                test_fail(file, line, "%s is %" PRId64 ", not %" PRId64, what, actual, expected);
}

void test_expect_u64(const char *file, int line, const char *what, uint64_t actual,
                     uint64_t expected)
{
        if (actual != expected)
                test_fail(file, line,
                          "%s is %" PRIu64 " (0x%" PRIx64 "), not %" PRIu64 " (0x%" PRIx64 ")",
                          what, actual, actual, expected, expected);
}

void test_expect_text(const char *file, int line, const char *what, const char *actual,
                      const char *expected)
{
        if (actual == expected)
                return;
        if (actual == NULL || expected == NULL || strcmp(actual, expected) != 0)
                test_fail(file, line, "%s is\n\t\"%s\", not\n\t\"%s\"", what,
                          actual == NULL ? "(null)" : actual,
                          expected == NULL ? "(null)" : expected);
}

void test_expect_bytes(const char *file, int line, const char *what, struct px_slice actual,
                       struct px_slice expected)
{
        size_t same = 0;

        if (px_slice_equal(actual, expected))
                return;
        while (same < actual.length && same < expected.length &&
               actual.data[same] == expected.data[same])
                same++;
        if (same < actual.length && same < expected.length)
                test_fail(file, line,
                          "%s differs at byte %zu: 0x%02x, not 0x%02x (%zu and %zu long)", what,
                          same, actual.data[same], expected.data[same], actual.length,
                          expected.length);
        test_fail(file, line, "%s is %zu bytes long, not %zu", what, actual.length,
                  expected.length);
}

/* ---- a statement that must abort ------------------------------------------------------------- */

static pid_t aborting_child;

bool test_fork_child(void)
{
        struct rlimit no_core = {0, 0};
        int null_fd;

        fflush(stdout);
        aborting_child = fork();
        PX_ASSERT(aborting_child >= 0);
        if (aborting_child != 0)
                return false;
        test_signals_default();
        setrlimit(RLIMIT_CORE, &no_core);
        null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (null_fd >= 0) {
                dup2(null_fd, STDOUT_FILENO);
                dup2(null_fd, STDERR_FILENO);
        }
        return true;
}

_Noreturn void test_end_child(void)
{
        _exit(0);
}

void test_expect_child_aborted(const char *file, int line, const char *what)
{
        int status = 0;

        PX_ASSERT(waitpid(aborting_child, &status, 0) == aborting_child);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
                test_fail(file, line, "%s does not abort (wait status 0x%x)", what,
                          (unsigned)status);
}

/* ---- golden files ------------------------------------------------------------------------------
 */

bool test_read_file(const char *path, struct px_buf *ret_bytes)
{
        FILE *file = fopen(path, "rbe");
        size_t got;

        if (file == NULL)
                return false;
        do {
                px_buf_reserve(ret_bytes, 4096);
                got = fread(ret_bytes->data + ret_bytes->length, 1, 4096, file);
                ret_bytes->length += got;
        } while (got > 0);
        fclose(file);
        return true;
}

static void golden_write(char *path, struct px_slice actual)
{
        FILE *file;
        bool written;

        for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                mkdir(path, 0777);
                *slash = '/';
        }
        file = fopen(path, "wbe");
        if (file == NULL)
                test_fail(path, 1, "cannot be written");
        written = actual.length == 0 || fwrite(actual.data, actual.length, 1, file) == 1;
        if (fclose(file) != 0 || !written)
                test_fail(path, 1, "was not written whole");
}

static struct px_slice line_at(struct px_slice text, size_t start)
{
        const uint8_t *end = memchr(text.data + start, '\n', text.length - start);
        size_t length = end == NULL ? text.length - start : (size_t)(end - text.data) - start;

        return px_slice_of(text.data + start, length);
}

/* Where both texts are the same up to `same`, show the line that holds the next byte. */
static _Noreturn void golden_fail(const char *path, struct px_slice actual,
                                  struct px_slice expected, size_t same)
{
        struct px_slice actual_line = PX_SLICE_NONE;
        struct px_slice expected_line = PX_SLICE_NONE;
        size_t start = 0;
        int line = 1;

        for (size_t i = 0; i < same; i++)
                if (actual.data[i] == '\n') {
                        start = i + 1;
                        line++;
                }
        if (start < actual.length)
                actual_line = line_at(actual, start);
        if (start < expected.length)
                expected_line = line_at(expected, start);
        test_fail(path, line, "differs; this run gives\n\t%.*s\nwhere the file has\n\t%.*s",
                  (int)actual_line.length, (const char *)actual_line.data,
                  (int)expected_line.length, (const char *)expected_line.data);
}

static void golden_free(void *context)
{
        px_buf_fini(context);
        px_free(context);
}

void test_golden(const char *path, struct px_slice actual)
{
        const char *write = getenv("PX_GOLDEN_WRITE");
        struct px_buf *text = px_alloc(sizeof(*text));
        struct px_buf *expected = px_alloc(sizeof(*expected));
        size_t same = 0;

        test_cleanup(golden_free, text);
        test_cleanup(golden_free, expected);
        px_buf_format(text, "%s/%s", PX_GOLDEN_DIR, path);
        px_buf_append(text, "", 1);
        path = (const char *)text->data;
        if (write != NULL && strcmp(write, "1") == 0) {
                golden_write((char *)text->data, actual);
                return;
        }
        if (!test_read_file(path, expected))
                test_fail(path, 1, "is not there");
        while (same < actual.length && same < expected->length &&
               actual.data[same] == expected->data[same])
                same++;
        if (same < actual.length || same < expected->length)
                golden_fail(path, actual, px_buf_slice(expected), same);
}
