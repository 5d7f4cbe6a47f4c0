/* SPDX-License-Identifier: Apache-2.0 */
/* test_lib_broken.c - tests that fail in each way there is; test_test_lib.c runs them and reads
 * what the framework says. Not a test itself. */
#include "test.h"

#include <unistd.h>

TEST(fails)
{
        EXPECT_INT(1 + 1, 3);
}

TEST(passes)
{
        EXPECT_INT(1 + 1, 2);
}

TEST(crashes)
{
        PX_UNREACHABLE();
}

TEST(hangs)
{
        test_deadline_s(1);
        for (;;)
                pause();
}

TEST(golden_differs)
{
        test_golden("test_lib/sample.txt", px_slice_text("one\ntwo!\nthree\n"));
}
