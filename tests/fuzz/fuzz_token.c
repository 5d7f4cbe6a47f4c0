/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_token.c - any text as a token: a reason that shows none of it, or the token itself.
 * Input: offset 0  u8  1 = the keys of a token to write and read; else its text
 *               1 */
#include "fuzz.h"
#include "px_token.h"

static void check_token(struct px_slice text)
{
        char reason[PX_TOKEN_REASON_ROOM];
        char again[PX_TOKEN_ROOM];
        struct px_token token;

        if (!px_token_decode(text, &token, reason)) {
                PX_ASSERT(reason[0] != '\0' && memchr(reason, 0, sizeof(reason)) != NULL);
                return;
        }
        PX_ASSERT(reason[0] == '\0');
        PX_ASSERT(px_token_role(token.role_letter) != 0);
        px_token_encode(&token, again);
        PX_ASSERT(strlen(again) == PX_TOKEN_CHARS);
        PX_ASSERT(px_token_decode(px_slice_text(again), &token, reason));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
        struct px_token token;
        char text[PX_TOKEN_ROOM];

        if (length < 1)
                return 0;
        if (data[0] == 1 && length >= 1 + sizeof(token.secret) + sizeof(token.broker_public)) {
                token.role_letter = 'u';
                memcpy(token.secret, data + 1, sizeof(token.secret));
                memcpy(token.broker_public, data + 1 + sizeof(token.secret),
                       sizeof(token.broker_public));
                px_token_encode(&token, text);
                check_token(px_slice_text(text));
        } else {
                check_token(px_slice_of(data + 1, length - 1));
        }
        return 0;
}
