/* SPDX-License-Identifier: Apache-2.0 */
/* test_session_answers.c - what a session remembers of its answers, and for how long. */
#include "test.h"

#include "px_session.h"

#define WINDOW 8

static struct px_answers answers;
static struct px_buf forgotten;

static void answers_end(void *context)
{
        (void)context;
        px_answers_fini(&answers);
        px_buf_fini(&forgotten);
}

static void answers_start(void)
{
        px_answers_init(&answers);
        px_buf_reset(&forgotten);
        test_cleanup(answers_end, NULL);
}

static int find(uint64_t number)
{
        uint16_t type;
        struct px_slice body;

        return px_answers_find(&answers, number, WINDOW, &type, &body);
}

TEST(an_answer_is_given_again_as_it_was)
{
        uint16_t type = 0;
        struct px_slice body = PX_SLICE_NONE;

        answers_start();
        EXPECT_INT(find(3), PX_ANSWERS_NEW);
        px_answers_put(&answers, 3, 33, px_slice_text("job 7"));
        EXPECT_INT(px_answers_find(&answers, 3, WINDOW, &type, &body), PX_ANSWERS_KNOWN);
        EXPECT_INT(type, 33);
        EXPECT_BYTES(body, px_slice_text("job 7"));
        EXPECT_INT(find(2), PX_ANSWERS_NEW);
}

TEST(an_empty_answer_is_an_answer)
{
        answers_start();
        px_answers_put(&answers, 1, 33, PX_SLICE_NONE);
        EXPECT_INT(find(1), PX_ANSWERS_KNOWN);
}

TEST(the_window_bounds_how_far_ahead_a_request_may_be)
{
        answers_start();
        EXPECT_INT(find(WINDOW), PX_ANSWERS_NEW);
        EXPECT_INT(find(WINDOW + 1), PX_ANSWERS_BEYOND);
        EXPECT_INT(find(UINT64_MAX), PX_ANSWERS_BEYOND);
        EXPECT_INT(find(0), PX_ANSWERS_OLD);
}

TEST(finished_answers_are_forgotten_and_named_in_order)
{
        answers_start();
        for (uint64_t number = 1; number <= 6; number++)
                if (number != 3)
                        px_answers_put(&answers, number, 33, px_slice_text("x"));
        px_answers_done(&answers, 5, &forgotten);
        EXPECT_U64(forgotten.length, 3 * 8);
        EXPECT_U64(px_get_be64(forgotten.data), 1);
        EXPECT_U64(px_get_be64(forgotten.data + 8), 2);
        EXPECT_U64(px_get_be64(forgotten.data + 16), 4);
        EXPECT_INT(find(4), PX_ANSWERS_OLD);
        EXPECT_INT(find(5), PX_ANSWERS_KNOWN);
        EXPECT_INT(find(WINDOW + 4), PX_ANSWERS_NEW);
        px_answers_done(&answers, 2, &forgotten); /* an older word changes nothing */
        EXPECT_INT(find(5), PX_ANSWERS_KNOWN);
        EXPECT_U64(answers.done_below, 5);
}

TEST(done_below_may_jump_by_any_distance)
{
        answers_start();
        px_answers_put(&answers, 1, 33, px_slice_text("x"));
        px_answers_done(&answers, UINT64_MAX, &forgotten);
        EXPECT_U64(forgotten.length, 8);
        EXPECT_INT(find(UINT64_MAX), PX_ANSWERS_NEW);
        EXPECT_INT(find(UINT64_MAX - 1), PX_ANSWERS_OLD);
}

TEST(a_number_is_answered_once)
{
        answers_start();
        px_answers_put(&answers, 1, 33, px_slice_text("x"));
        EXPECT_ABORT(px_answers_put(&answers, 1, 33, px_slice_text("x")));
        px_answers_done(&answers, 2, &forgotten);
        EXPECT_ABORT(px_answers_put(&answers, 1, 33, px_slice_text("x")));
}
