/* SPDX-License-Identifier: Apache-2.0 */
/* px_token.c - write and read tokens. Layer: L1 (schema/session). Format: px_token.h. */
#include "px_token.h"

#include <stdio.h>

#define PREFIX_CHARS 4
#define RAW_BYTES 68
#define CRC_AT 64

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* By code of the schema's enum `role`; role dead (9) is given to keys, never written on a token. */
static const char letters[] = {0, 'u', 's', 'n', 'w', 'm', 'g', 'a', 'e'};

char px_token_letter(int role)
{
        return role > 0 && (size_t)role < sizeof(letters) ? letters[role] : 0;
}

int px_token_role(char letter)
{
        for (size_t role = 1; role < sizeof(letters); role++) {
                if (letters[role] == letter)
                        return (int)role;
        }
        return 0;
}

static void base64_encode(const uint8_t *raw, size_t length, char *ret_text)
{
        uint32_t bits = 0;
        unsigned count = 0;

        for (size_t i = 0; i < length; i++) {
                bits = bits << 8 | raw[i];
                count += 8;
                while (count >= 6) {
                        count -= 6;
                        *ret_text++ = alphabet[bits >> count & 63];
                }
        }
        if (count > 0)
                *ret_text++ = alphabet[bits << (6 - count) & 63];
        *ret_text = '\0';
}

static int base64_value(uint8_t character)
{
        const char *at = character != 0 ? strchr(alphabet, character) : NULL;

        return at != NULL ? (int)(at - alphabet) : -1;
}

/* Decodes RAW_BYTES; returns the index of the first wrong character, or SIZE_MAX. */
static size_t base64_decode(const uint8_t *text, size_t length, uint8_t *ret_raw)
{
        uint32_t bits = 0;
        unsigned count = 0;
        size_t written = 0;

        for (size_t i = 0; i < length; i++) {
                int value = base64_value(text[i]);

                if (value < 0)
                        return i;
                bits = bits << 6 | (uint32_t)value;
                count += 6;
                if (count >= 8) {
                        count -= 8;
                        PX_ASSERT(written < RAW_BYTES);
                        ret_raw[written++] = (uint8_t)(bits >> count);
                }
        }
        PX_ASSERT(written == RAW_BYTES);
        /* Bits left over must be zero, so that a token has one spelling. */
        return (bits & ((1U << count) - 1)) == 0 ? SIZE_MAX : length - 1;
}

void px_token_encode(const struct px_token *token, char *ret_text)
{
        uint8_t raw[RAW_BYTES];

        PX_ASSERT(px_token_role(token->role_letter) != 0);
        memcpy(raw, token->secret, PX_TOKEN_KEY_BYTES);
        memcpy(raw + PX_TOKEN_KEY_BYTES, token->broker_public, PX_TOKEN_KEY_BYTES);
        px_put_be32(raw + CRC_AT, px_crc32c(0, raw, CRC_AT));
        ret_text[0] = 'p';
        ret_text[1] = 'x';
        ret_text[2] = token->role_letter;
        ret_text[3] = '_';
        base64_encode(raw, sizeof(raw), ret_text + PREFIX_CHARS);
        PX_ASSERT(strlen(ret_text) == PX_TOKEN_CHARS);
        explicit_bzero(raw, sizeof(raw));
}

static bool is_space(uint8_t character)
{
        return character == ' ' || (character >= '\t' && character <= '\r');
}

static struct px_slice trim(struct px_slice text)
{
        while (text.length > 0 && is_space(text.data[0])) {
                text.data++;
                text.length--;
        }
        while (text.length > 0 && is_space(text.data[text.length - 1]))
                text.length--;
        return text;
}

/* What is wrong before the key bytes are looked at; false = nothing. */
static bool wrong_shape(struct px_slice text, char *ret_reason)
{
        static const size_t room = PX_TOKEN_REASON_ROOM;

        if (text.length == 0) {
                snprintf(ret_reason, room, "the token is empty");
        } else if (text.length < 2 || text.data[0] != 'p' || text.data[1] != 'x') {
                snprintf(ret_reason, room, "not a token: one begins with \"px\"");
        } else if (text.length > 2 && px_token_role((char)text.data[2]) == 0) {
                snprintf(ret_reason, room, "not a token: wrong role letter at position 3");
        } else if (text.length > 3 && text.data[3] != '_') {
                snprintf(ret_reason, room, "not a token: position 4 is not \"_\"");
        } else {
                return false;
        }
        return true;
}

static bool wrong_length(struct px_slice text, char *ret_reason)
{
        static const size_t room = PX_TOKEN_REASON_ROOM;

        if (text.length < PX_TOKEN_CHARS) {
                snprintf(ret_reason, room, "the token was cut short: %zu of %d characters",
                         text.length, PX_TOKEN_CHARS);
        } else if (text.length > PX_TOKEN_CHARS) {
                snprintf(ret_reason, room, "the token is too long: %zu characters instead of %d",
                         text.length, PX_TOKEN_CHARS);
        } else {
                return false;
        }
        return true;
}

/* First character that no token has at this place: a better hint than the length. */
static bool wrong_character(struct px_slice text, char *ret_reason)
{
        for (size_t i = PREFIX_CHARS; i < PX_MIN(text.length, (size_t)PX_TOKEN_CHARS); i++) {
                if (base64_value(text.data[i]) < 0) {
                        snprintf(ret_reason, PX_TOKEN_REASON_ROOM,
                                 "the token has a wrong character at position %zu", i + 1);
                        return true;
                }
        }
        return false;
}

bool px_token_decode(struct px_slice text, struct px_token *ret_token, char *ret_reason)
{
        uint8_t raw[RAW_BYTES];
        size_t wrong;

        text = trim(text);
        if (wrong_shape(text, ret_reason) || wrong_character(text, ret_reason) ||
            wrong_length(text, ret_reason))
                return false;
        wrong = base64_decode(text.data + PREFIX_CHARS, PX_TOKEN_CHARS - PREFIX_CHARS, raw);
        if (wrong != SIZE_MAX) {
                snprintf(ret_reason, PX_TOKEN_REASON_ROOM,
                         "the token has a wrong character at position %zu",
                         wrong + PREFIX_CHARS + 1);
                return false;
        }
        if (px_get_be32(raw + CRC_AT) != px_crc32c(0, raw, CRC_AT)) {
                snprintf(ret_reason, PX_TOKEN_REASON_ROOM,
                         "the token's checksum is wrong: some character was changed; copy it again");
                return false;
        }
        ret_token->role_letter = (char)text.data[2];
        memcpy(ret_token->secret, raw, PX_TOKEN_KEY_BYTES);
        memcpy(ret_token->broker_public, raw + PX_TOKEN_KEY_BYTES, PX_TOKEN_KEY_BYTES);
        explicit_bzero(raw, sizeof(raw));
        ret_reason[0] = '\0';
        return true;
}

void px_token_wipe(struct px_token *token)
{
        explicit_bzero(token, sizeof(*token));
}
