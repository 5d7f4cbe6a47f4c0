/* SPDX-License-Identifier: Apache-2.0 */
/* px_buf.c - the growing byte buffer. Layer: L0 (schema/base). */
#include "px_base.h"

#include <stdarg.h>
#include <stdio.h>

#define BUF_CAPACITY_MIN 64

void px_buf_fini(struct px_buf *buf)
{
        px_free(buf->data);
        *buf = (struct px_buf){0};
}

void px_buf_reset(struct px_buf *buf)
{
        buf->length = 0;
}

void px_buf_reserve(struct px_buf *buf, size_t room)
{
        size_t needed;
        size_t capacity;

        PX_ASSERT(buf->length <= buf->capacity);
        PX_ASSERT(room <= SIZE_MAX / 4 - buf->length);
        needed = buf->length + room;
        if (needed <= buf->capacity)
                return;
        capacity = PX_MAX(buf->capacity, (size_t)BUF_CAPACITY_MIN);
        while (capacity < needed)
                capacity *= 2;
        buf->data = px_realloc(buf->data, capacity);
        buf->capacity = capacity;
}

uint8_t *px_buf_grow(struct px_buf *buf, size_t by)
{
        uint8_t *at;

        px_buf_reserve(buf, PX_MAX(by, (size_t)1)); /* so that the result is never NULL */
        at = buf->data + buf->length;
        buf->length += by;
        return at;
}

void px_buf_append(struct px_buf *buf, const void *data, size_t length)
{
        PX_ASSERT(data != NULL || length == 0);
        if (length > 0)
                memcpy(px_buf_grow(buf, length), data, length);
}

void px_buf_append_slice(struct px_buf *buf, struct px_slice slice)
{
        px_buf_append(buf, slice.data, slice.length);
}

void px_buf_append_text(struct px_buf *buf, const char *text)
{
        px_buf_append(buf, text, strlen(text));
}

void px_buf_format(struct px_buf *buf, const char *format, ...)
{
        va_list arguments;
        va_list again;
        int length;

        va_start(arguments, format);
        va_copy(again, arguments);
        length = vsnprintf(NULL, 0, format, arguments);
        PX_ASSERT(length >= 0);
        px_buf_reserve(buf, (size_t)length + 1);
        vsnprintf((char *)buf->data + buf->length, (size_t)length + 1, format, again);
        buf->length += (size_t)length;
        va_end(again);
        va_end(arguments);
}

struct px_slice px_buf_slice(const struct px_buf *buf)
{
        return (struct px_slice){buf->data, buf->length};
}

struct px_buf px_buf_take(struct px_buf *buf)
{
        struct px_buf taken = *buf;

        *buf = (struct px_buf){0};
        return taken;
}
