/* SPDX-License-Identifier: Apache-2.0 */
/* test_base_memory.c - allocation, assertions, big-endian integers and fencing tokens. */
#include "test.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

TEST(allocated_memory_is_zeroed)
{
        uint8_t *bytes = px_alloc(1000);

        test_cleanup(px_free, bytes);
        for (size_t i = 0; i < 1000; i++)
                EXPECT_INT(bytes[i], 0);
}

TEST(a_copied_text_is_equal_and_separate)
{
        char text[] = "plexus";
        char *copy = px_strdup(text);

        test_cleanup(px_free, copy);
        text[0] = 'P';
        EXPECT_TEXT(copy, "plexus");
}

TEST(free_accepts_null)
{
        px_free(NULL);
}

TEST(exhausted_memory_ends_the_process_with_status_71)
{
        int status = 0;
        pid_t child = fork();

        EXPECT(child >= 0);
        if (child == 0) {
                PX_ASSERT(freopen("/dev/null", "w", stderr) != NULL);
                px_alloc(SIZE_MAX / 2);
                _exit(0);
        }
        EXPECT_INT(waitpid(child, &status, 0), child);
        EXPECT(WIFEXITED(status));
        EXPECT_INT(WEXITSTATUS(status), 71);
}

TEST(a_false_assertion_aborts_and_a_true_one_does_not)
{
        PX_ASSERT(1 + 1 == 2);
        EXPECT_ABORT(PX_ASSERT(1 + 1 == 3));
        EXPECT_ABORT(PX_UNREACHABLE());
}

/* Ends the child in a way that EXPECT_ABORT would not accept; asserts again on the way. */
static int hook_calls;

static void hook_that_asserts(void)
{
        hook_calls++;
        if (hook_calls > 1)
                _exit(3);
        PX_ASSERT(hook_calls == 0);
}

TEST(an_assertion_inside_the_hook_does_not_call_the_hook_again)
{
        px_assert_hook = hook_that_asserts;
        EXPECT_ABORT(PX_ASSERT(false));
        px_assert_hook = NULL;
}

static void hook_that_exits(void)
{
        _exit(9);
}

TEST(a_failed_assertion_calls_the_hook)
{
        int status = 0;
        pid_t child = fork();

        EXPECT(child >= 0);
        if (child == 0) {
                PX_ASSERT(freopen("/dev/null", "w", stderr) != NULL);
                px_assert_hook = hook_that_exits;
                PX_UNREACHABLE();
        }
        EXPECT_INT(waitpid(child, &status, 0), child);
        EXPECT(WIFEXITED(status));
        EXPECT_INT(WEXITSTATUS(status), 9);
}

TEST(big_endian_integers_have_their_highest_byte_first)
{
        uint8_t bytes[8];

        px_put_be64(bytes, 0x0102030405060708);
        EXPECT_BYTES(px_slice_of(bytes, 8), px_slice_of("\1\2\3\4\5\6\7\10", 8));
        EXPECT_U64(px_get_be64(bytes), 0x0102030405060708);
        px_put_be32(bytes, 0xFFFEFDFC);
        EXPECT_BYTES(px_slice_of(bytes, 4), px_slice_of("\xFF\xFE\xFD\xFC", 4));
        EXPECT_U64(px_get_be32(bytes), 0xFFFEFDFC);
        px_put_be16(bytes, 0xF00F);
        EXPECT_BYTES(px_slice_of(bytes, 2), px_slice_of("\xF0\x0F", 2));
        EXPECT_U64(px_get_be16(bytes), 0xF00F);
}

TEST(fences_are_ordered_by_attempt_before_epoch)
{
        struct px_fence first = {.epoch = 9, .attempt = 1};
        struct px_fence second = {.epoch = 3, .attempt = 2};
        struct px_fence second_later = {.epoch = 4, .attempt = 2};

        EXPECT(px_fence_older(first, second));
        EXPECT(!px_fence_older(second, first));
        EXPECT(px_fence_older(second, second_later));
        EXPECT(!px_fence_older(second, second));
        EXPECT(px_fence_equal(second, second));
        EXPECT(!px_fence_equal(second, second_later));
        EXPECT(!px_fence_equal(first, second));
}
