/* SPDX-License-Identifier: Apache-2.0 */
/* test_base_slice.c - byte ranges and the check for text. */
#include "test.h"

TEST(slices_compare_as_memcmp_does_and_the_shorter_one_first)
{
        EXPECT(px_slice_compare(px_slice_text("a"), px_slice_text("b")) < 0);
        EXPECT(px_slice_compare(px_slice_text("b"), px_slice_text("a")) > 0);
        EXPECT(px_slice_compare(px_slice_text("a"), px_slice_text("ab")) < 0);
        EXPECT(px_slice_compare(px_slice_text("b"), px_slice_text("ab")) > 0);
        EXPECT(px_slice_compare(px_slice_of("\xFF", 1), px_slice_of("\x01", 1)) > 0);
        EXPECT_INT(px_slice_compare(PX_SLICE_NONE, px_slice_text("")), 0);
        EXPECT(px_slice_compare(PX_SLICE_NONE, px_slice_text("a")) < 0);
}

TEST(slices_are_equal_when_their_bytes_are)
{
        EXPECT(px_slice_equal(PX_SLICE_NONE, px_slice_text("")));
        EXPECT(px_slice_equal(px_slice_text("abc"), px_slice_of("abcd", 3)));
        EXPECT(!px_slice_equal(px_slice_text("abc"), px_slice_text("abd")));
        EXPECT(!px_slice_equal(px_slice_text("abc"), px_slice_text("ab")));
}

TEST(a_slice_becomes_text_cut_to_the_room_there_is)
{
        char text[4];

        EXPECT_TEXT(px_slice_to_text(px_slice_text("ab"), text, sizeof(text)), "ab");
        EXPECT_TEXT(px_slice_to_text(px_slice_text("abc"), text, sizeof(text)), "abc");
        EXPECT_TEXT(px_slice_to_text(px_slice_text("abcd"), text, sizeof(text)), "abc");
        EXPECT_TEXT(px_slice_to_text(px_slice_text("abcd"), text, 1), "");
        EXPECT_TEXT(px_slice_to_text(PX_SLICE_NONE, text, sizeof(text)), "");
}

TEST(text_is_utf8_without_nul)
{
        static const char *const good[] = {
                "",
                "a",
                "\x7F",
                "\xC2\x80",
                "\xDF\xBF",
                "\xE0\xA0\x80",
                "\xED\x9F\xBF",
                "\xEE\x80\x80",
                "\xEF\xBF\xBF",
                "\xF0\x90\x80\x80",
                "\xF4\x8F\xBF\xBF",
                "Gr\xC3\xBC\xC3\x9F",
        };

        for (size_t i = 0; i < PX_COUNT_OF(good); i++)
                EXPECT(px_slice_is_text(px_slice_text(good[i])));
        EXPECT(px_slice_is_text(PX_SLICE_NONE));
        EXPECT(!px_slice_is_text(px_slice_of("a\0b", 3)));
}

TEST(malformed_utf8_is_not_text)
{
        static const char *const bad[] = {
                "\x80", /* continuation without lead */
                "\xC0\x80",
                "\xC1\xBF",         /* overlong, 2 bytes */
                "\xE0\x9F\xBF",     /* overlong, 3 bytes */
                "\xF0\x8F\xBF\xBF", /* overlong, 4 bytes */
                "\xED\xA0\x80",
                "\xED\xBF\xBF", /* surrogates */
                "\xF4\x90\x80\x80",
                "\xF5\x80\x80\x80",
                "\xFF", /* beyond U+10FFFF */
                "\xC2",
                "\xE2\x82",
                "\xF0\x9F\x98", /* cut short */
                ("\xC2"
                 "a"),
                ("\xE2\x82"
                 "a"),
                ("\xF0\x9F\x98"
                 "a"),
                "good until \xFE",
        };

        for (size_t i = 0; i < PX_COUNT_OF(bad); i++) {
                /* Exactly as long, so that the sanitizers see one byte too far. */
                size_t length = strlen(bad[i]);
                uint8_t *exact = px_alloc(length);

                test_cleanup(px_free, exact);
                memcpy(exact, bad[i], length);
                EXPECT(!px_slice_is_text(px_slice_of(exact, length)));
        }
}
