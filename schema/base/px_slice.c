/* SPDX-License-Identifier: Apache-2.0 */
/* px_slice.c - borrowed byte ranges and text checks. Layer: L0 (schema/base).
 * Source: UTF-8 as in RFC 3629 section 4 (no overlong forms, no surrogates, at most U+10FFFF). */
#include "px_base.h"

struct px_slice px_slice_of(const void *data, size_t length)
{
        PX_ASSERT(data != NULL || length == 0);
        return (struct px_slice){data, length};
}

struct px_slice px_slice_text(const char *text)
{
        PX_ASSERT(text != NULL);
        return px_slice_of(text, strlen(text));
}

bool px_slice_equal(struct px_slice a, struct px_slice b)
{
        if (a.length != b.length)
                return false;
        return a.length == 0 || memcmp(a.data, b.data, a.length) == 0;
}

int px_slice_compare(struct px_slice a, struct px_slice b)
{
        size_t common = PX_MIN(a.length, b.length);
        int order = common == 0 ? 0 : memcmp(a.data, b.data, common);

        if (order != 0)
                return order;
        return (a.length > b.length) - (a.length < b.length);
}

char *px_slice_to_text(struct px_slice slice, char *ret_text, size_t room)
{
        size_t length;

        PX_ASSERT(ret_text != NULL);
        PX_ASSERT(room > 0);
        length = PX_MIN(slice.length, room - 1);
        if (length > 0)
                memcpy(ret_text, slice.data, length);
        ret_text[length] = '\0';
        return ret_text;
}

/* Bytes of the UTF-8 sequence at `at`, or 0 if there is none within `room` bytes. */
static size_t utf8_sequence_bytes(const uint8_t *at, size_t room)
{
        uint8_t lead = at[0];
        uint8_t low = 0x80; /* bounds of the second byte, which carry the special cases */
        uint8_t high = 0xBF;
        size_t bytes;

        if (lead < 0x80)
                return 1;
        if (lead >= 0xC2 && lead <= 0xDF)
                bytes = 2;
        else if (lead >= 0xE0 && lead <= 0xEF)
                bytes = 3;
        else if (lead >= 0xF0 && lead <= 0xF4)
                bytes = 4;
        else
                return 0;
        if (bytes > room)
                return 0;
        if (lead == 0xE0)
                low = 0xA0; /* below: overlong */
        else if (lead == 0xED)
                high = 0x9F; /* above: surrogates */
        else if (lead == 0xF0)
                low = 0x90; /* below: overlong */
        else if (lead == 0xF4)
                high = 0x8F; /* above: beyond U+10FFFF */
        if (at[1] < low || at[1] > high)
                return 0;
        for (size_t i = 2; i < bytes; i++)
                if ((at[i] & 0xC0) != 0x80)
                        return 0;
        return bytes;
}

bool px_slice_is_text(struct px_slice slice)
{
        size_t offset = 0;

        while (offset < slice.length) {
                size_t bytes = utf8_sequence_bytes(slice.data + offset, slice.length - offset);

                if (bytes == 0 || slice.data[offset] == '\0')
                        return false;
                offset += bytes;
        }
        return true;
}
