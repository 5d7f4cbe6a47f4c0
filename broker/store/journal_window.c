/* SPDX-License-Identifier: Apache-2.0 */
/* journal_window.c - see journal_window.h. Layer: L3 (broker/store). */
#include "journal_window.h"

#include <unistd.h>

#include "disk.h"

#define WINDOW_BYTES (512u << 10)

void journal_window_init(struct journal_window *window)
{
        *window = (struct journal_window){.fd = -1};
}

void journal_window_fini(struct journal_window *window)
{
        if (window->fd >= 0)
                close(window->fd);
        px_buf_fini(&window->bytes);
        window->fd = -1;
}

int journal_window_open(struct journal_window *window, int dir_fd, uint64_t number)
{
        char name[DISK_NAME_BYTES];
        int result;

        if (window->fd >= 0)
                close(window->fd);
        window->fd = -1;
        window->begin = 0;
        px_buf_reset(&window->bytes);
        result = disk_open_file(dir_fd, disk_numbered_name(name, number, JOURNAL_SUFFIX), 0,
                                &window->fd);
        if (result == 0)
                result = disk_size(window->fd, &window->file_bytes);
        return result;
}

struct px_slice journal_window_at(struct journal_window *window, uint64_t offset, size_t wanted)
{
        uint64_t left = offset < window->file_bytes ? window->file_bytes - offset : 0;
        size_t room, length = 0;

        wanted = (size_t)PX_MIN(wanted, left);
        if (wanted == 0)
                return PX_SLICE_NONE;
        if (offset < window->begin || offset - window->begin > window->bytes.length ||
            window->bytes.length - (offset - window->begin) < wanted) {
                room = (size_t)PX_MIN(left, PX_MAX(wanted, WINDOW_BYTES));
                px_buf_reset(&window->bytes);
                px_buf_reserve(&window->bytes, room);
                if (window->fault == 0)
                        window->fault = disk_read_at(window->fd, window->bytes.data, room, offset,
                                                     &length);
                window->bytes.length = window->fault == 0 ? length : 0;
                window->begin = offset;
        }
        return px_slice_of(window->bytes.data + (offset - window->begin),
                           window->bytes.length - (size_t)(offset - window->begin));
}

bool journal_window_record(struct journal_window *window, uint64_t offset,
                           struct journal_record *ret_record)
{
        struct px_slice bytes = journal_window_at(window, offset, JOURNAL_RECORD_HEADER_BYTES);
        size_t whole = journal_peek_bytes(bytes);

        if (whole == 0 || whole > window->file_bytes - offset)
                return false;
        bytes = journal_window_at(window, offset, whole);
        return journal_get_record(bytes, 0, ret_record) == JOURNAL_GOOD;
}

uint64_t journal_window_skip(struct journal_window *window, uint64_t offset)
{
        for (;;) {
                struct px_slice bytes = journal_window_at(window, offset, JOURNAL_ALIGN);
                size_t at = 0;
                uint64_t word = 0;

                if (bytes.length < JOURNAL_ALIGN)
                        return window->file_bytes;
                for (; at + JOURNAL_ALIGN <= bytes.length && word == 0; at += JOURNAL_ALIGN)
                        memcpy(&word, bytes.data + at, sizeof(word));
                if (word != 0)
                        return offset + at - JOURNAL_ALIGN;
                offset += at;
        }
}
