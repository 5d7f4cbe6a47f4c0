/* SPDX-License-Identifier: Apache-2.0 */
/* test_session_token.c - tokens survive the way through a clipboard or say how they didn't. */
#include "px_token.h"
#include "test.h"

#include <stdio.h>

static struct px_token sample(void)
{
        struct px_token token = {.role_letter = 'u'};

        for (int i = 0; i < PX_TOKEN_KEY_BYTES; i++) {
                token.secret[i] = (uint8_t)(i * 7 + 250);
                token.broker_public[i] = (uint8_t)(255 - i);
        }
        return token;
}

/* The reason why `text` is no token; "" when it is one. */
static const char *reason_of(const char *text)
{
        static char reason[PX_TOKEN_REASON_ROOM];
        struct px_token token;
        bool valid = px_token_decode(px_slice_text(text), &token, reason);

        EXPECT(valid == (reason[0] == '\0'));
        return reason;
}

TEST(a_token_reads_back_as_it_was_written)
{
        struct px_token token = sample(), back = {0};
        char text[PX_TOKEN_ROOM], reason[PX_TOKEN_REASON_ROOM];

        for (int role = 1; role <= 8; role++) {
                token.role_letter = px_token_letter(role);
                px_token_encode(&token, text);
                EXPECT_INT(strlen(text), PX_TOKEN_CHARS);
                EXPECT(px_token_decode(px_slice_text(text), &back, reason));
                EXPECT(memcmp(&token, &back, sizeof(token)) == 0);
                EXPECT_INT(px_token_role(back.role_letter), role);
        }
}

TEST(a_token_of_known_bytes_has_a_known_text)
{
        struct px_token token = {.role_letter = 'n'};
        char text[PX_TOKEN_ROOM];

        memset(token.broker_public, 0xff, sizeof(token.broker_public));
        px_token_encode(&token, text);
        text[80] = '\0'; /* the checksum has its own vectors */
        EXPECT_TEXT(text, "pxn_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAD_________________________"
                          "________");
}

TEST(a_dead_or_unknown_role_has_no_letter)
{
        EXPECT_INT(px_token_letter(0), 0);
        EXPECT_INT(px_token_letter(9), 0);
        EXPECT_INT(px_token_letter(-1), 0);
        EXPECT_INT(px_token_role('x'), 0);
        EXPECT_INT(px_token_role('\0'), 0);
}

TEST(white_space_around_a_token_is_ignored)
{
        struct px_token token = sample();
        char text[PX_TOKEN_ROOM], padded[PX_TOKEN_ROOM + 16];

        px_token_encode(&token, text);
        snprintf(padded, sizeof(padded), " \t\r\n%s \n\n", text);
        EXPECT_TEXT(reason_of(padded), "");
}

TEST(a_token_that_was_cut_short_is_refused_with_its_length)
{
        struct px_token token = sample();
        char text[PX_TOKEN_ROOM], expected[PX_TOKEN_REASON_ROOM];

        px_token_encode(&token, text);
        for (int length = PX_TOKEN_CHARS - 1; length >= 2; length--) {
                text[length] = '\0';
                snprintf(expected, sizeof(expected), "the token was cut short: %d of 95 characters",
                         length);
                EXPECT_TEXT(reason_of(text), expected);
        }
        EXPECT_TEXT(reason_of(" \n"), "the token is empty");
}

TEST(a_foreign_word_is_refused_by_its_beginning)
{
        EXPECT_TEXT(reason_of("p"), "not a token: one begins with \"px\"");
        EXPECT_TEXT(reason_of("plexus://host"), "not a token: one begins with \"px\"");
        EXPECT_TEXT(reason_of("pxz_AAAA"), "not a token: wrong role letter at position 3");
        EXPECT_TEXT(reason_of("pxu-AAAA"), "not a token: position 4 is not \"_\"");
}

TEST(a_wrong_character_is_refused_with_its_position)
{
        struct px_token token = sample();
        char text[PX_TOKEN_ROOM], expected[PX_TOKEN_REASON_ROOM];

        for (int at = 4; at < PX_TOKEN_CHARS; at++) {
                px_token_encode(&token, text);
                text[at] = at % 2 == 0 ? '\n' : '+';
                if (at == PX_TOKEN_CHARS - 1)
                        text[at] = '=';
                snprintf(expected, sizeof(expected),
                         "the token has a wrong character at position %d", at + 1);
                EXPECT_TEXT(reason_of(text), expected);
        }
}

TEST(every_changed_character_is_noticed)
{
        struct px_token token = sample();
        char text[PX_TOKEN_ROOM];

        for (int at = 4; at < PX_TOKEN_CHARS; at++) {
                px_token_encode(&token, text);
                text[at] = text[at] == 'x' ? 'y' : 'x';
                EXPECT(reason_of(text)[0] != '\0');
        }
}

TEST(a_token_with_more_behind_it_is_refused)
{
        struct px_token token = sample();
        char text[PX_TOKEN_ROOM + 1];

        px_token_encode(&token, text);
        text[PX_TOKEN_CHARS] = 'A';
        text[PX_TOKEN_CHARS + 1] = '\0';
        EXPECT_TEXT(reason_of(text), "the token is too long: 96 characters instead of 95");
}
