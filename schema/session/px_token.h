/* SPDX-License-Identifier: Apache-2.0 */
/* px_token.h - a token: the one word that lets a person, node or program in. Layer: L1
 * (schema/session). Source: DESIGN 6.
 *
 * Format, 95 characters that need no quoting in a shell:
 *   "px", a role letter, "_"     u user, s service, n node, w worker, m monitor, g gateway, a admin,
 *                                e enrol
 *   base64url without padding (RFC 4648 section 5) of 68 bytes:
 *     offset  0  32 bytes  CURVE secret key of the bearer
 *            32  32 bytes  CURVE public key of the broker
 *            64  u32       CRC-32C of the 64 bytes before, big endian */
#ifndef PX_TOKEN_H
#define PX_TOKEN_H

#include "px_base.h"

#define PX_TOKEN_KEY_BYTES 32
#define PX_TOKEN_CHARS 95
#define PX_TOKEN_ROOM (PX_TOKEN_CHARS + 1) /* with the terminator */
#define PX_TOKEN_REASON_ROOM 160

struct px_token {
        char role_letter;
        uint8_t secret[PX_TOKEN_KEY_BYTES];
        uint8_t broker_public[PX_TOKEN_KEY_BYTES];
};

/* Letter of a role (its code in the schema's enum `role`), 0 when that role has no tokens. */
char px_token_letter(int role);
/* Role of a letter, 0 when unknown. */
int px_token_role(char letter);

/* Write the token as text.
 * Shape: ret_text has PX_TOKEN_ROOM bytes; terminated. */
void px_token_encode(const struct px_token *token, char *ret_text);

/* Read a token as somebody pasted it; white space around it is ignored.
 * Shape:   ret_reason has PX_TOKEN_REASON_ROOM bytes; "" when it is a token.
 * Returns: false when it isn't; ret_reason says what is wrong and where (positions count from 1),
 *          never which characters stand there; ret_token is untouched. */
bool px_token_decode(struct px_slice text, struct px_token *ret_token, char *ret_reason);

/* Overwrite the keys in memory. */
void px_token_wipe(struct px_token *token);

#endif
