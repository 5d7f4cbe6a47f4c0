/* SPDX-License-Identifier: Apache-2.0 */
/* progress.c - how far a job is, by its own word or by a bar it draws. Layer: L4 (node/keeper).
 *
 * A job writes lines into the descriptor $PLEXUS_PROGRESS_FD, or sends them as datagrams to the Unix
 * socket $PLEXUS_SOCK:
 *      0.42 epoch 4        a part of one: a number from 0 to 1 that has a decimal point
 *      42% epoch 4         percent, decimals allowed
 *      3/10 files          so many of so many
 *      - loading           text alone, how far is unknown
 * The text may be missing. Other lines are taken as text alone. Once a job has spoken so, its bars
 * are no longer looked at.
 *
 * A bar is output in which a carriage return begins or ends an update that holds a percentage
 * (tqdm, wget, pip, rsync, curl): the last such update of what was read counts. */
#include "keeper.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BAR_BYTES 512

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* Digits with at most one point, of at most 15 characters. Returns how many. */
static size_t number_read(const char *at, size_t length, double *ret_value, bool *ret_point)
{
        char digits[16];
        size_t used = 0;
        bool point = false;

        while (used < length && used < sizeof(digits) - 1 &&
               (is_digit(at[used]) || (at[used] == '.' && !point))) {
                point = point || at[used] == '.';
                digits[used] = at[used];
                used++;
        }
        if (used == 0 || (used == 1 && point))
                return 0;
        digits[used] = '\0';
        *ret_value = strtod(digits, NULL);
        *ret_point = point;
        return used;
}

static int32_t permille_of(double part)
{
        return part < 0 ? 0 : part > 1 ? 1000 : (int32_t)(part * 1000.0 + 0.5);
}

/* Returns how many bytes the measure at the beginning takes, 0 when there is none. */
static size_t measure_read(const char *line, size_t length, int32_t *ret_permille)
{
        double value;
        double whole;
        bool point;
        bool ignored;
        size_t used = number_read(line, length, &value, &point);
        size_t more;

        if (length > 0 && line[0] == '-' && (length == 1 || line[1] == ' ')) {
                *ret_permille = -1;
                return 1;
        }
        if (used == 0)
                return 0;
        if (used < length && line[used] == '%' && value <= 100) {
                *ret_permille = permille_of(value / 100);
                return used + 1;
        }
        if (used < length && line[used] == '/') {
                more = number_read(line + used + 1, length - used - 1, &whole, &ignored);
                if (more == 0 || whole <= 0 || value > whole)
                        return 0;
                *ret_permille = permille_of(value / whole);
                return used + 1 + more;
        }
        /* "0" and "1" alone are none and all; "1 file" is text. */
        if (value > 1 || (!point && used != length))
                return 0;
        *ret_permille = permille_of(value);
        return used;
}

/* Keep printable UTF-8: control characters become spaces, what is no UTF-8 a question mark. */
static void text_set(struct progress *progress, const char *text, size_t length)
{
        size_t kept = 0;

        while (length > 0 && (text[0] == ' ' || text[0] == '\t')) {
                text++;
                length--;
        }
        while (length > 0 && (unsigned char)text[length - 1] <= ' ')
                length--;
        for (size_t at = 0; at < length;) {
                unsigned char first = (unsigned char)text[at];
                size_t bytes = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
                bool whole = at + bytes <= length &&
                             px_slice_is_text(px_slice_of(text + at, bytes));

                bytes = whole ? bytes : 1;
                if (kept + bytes > PX_LIMIT_PROGRESS_BYTES)
                        break;
                if (!whole)
                        progress->text[kept] = first == 0 ? ' ' : '?';
                else if (first < ' ' || first == 0x7f)
                        progress->text[kept] = ' ';
                else
                        memcpy(progress->text + kept, text + at, bytes);
                kept += bytes;
                at += bytes;
        }
        progress->text[kept] = '\0';
}

void progress_line(struct progress *progress, const char *line, size_t length)
{
        int32_t permille = -1;
        size_t used = measure_read(line, length, &permille);

        /* "0.42epoch" is no measure: it ends at a space or with the line. */
        if (used > 0 && used < length && line[used] != ' ' && line[used] != '\t') {
                used = 0;
                permille = -1;
        }
        progress->permille = permille;
        text_set(progress, line + used, length - used);
        progress->any = progress->changed = progress->stated = true;
}

/* A percentage in an update: digits, perhaps decimals, and the sign. */
static bool bar_percent(const char *bar, size_t length, int32_t *ret_permille)
{
        const char *sign = memchr(bar, '%', length);

        while (sign != NULL) {
                const char *begin = sign;
                double value;
                bool point;

                while (begin > bar && (is_digit(begin[-1]) || begin[-1] == '.'))
                        begin--;
                if (begin < sign && begin[0] != '.' &&
                    number_read(begin, (size_t)(sign - begin), &value, &point) ==
                            (size_t)(sign - begin) &&
                    value <= 100) {
                        *ret_permille = permille_of(value / 100);
                        return true;
                }
                sign = memchr(sign + 1, '%', length - (size_t)(sign + 1 - bar));
        }
        return false;
}

void progress_bar(struct progress *progress, const uint8_t *bytes, size_t length)
{
        const char *text = (const char *)bytes;
        const char *last = memrchr(text, '\r', length);
        const char *begin;
        const char *end;
        int32_t permille;

        if (last == NULL || (last + 1 < text + length && last[1] == '\n'))
                return;
        begin = last + 1;
        end = memchr(begin, '\n', length - (size_t)(begin - text));
        end = end == NULL ? text + length : end;
        if (begin == end || !bar_percent(begin, PX_MIN((size_t)(end - begin), (size_t)BAR_BYTES),
                                         &permille)) {
                /* The return ends the update: what stands before it. */
                end = last;
                begin = end;
                while (begin > text && begin[-1] != '\r' && begin[-1] != '\n' &&
                       end - begin < BAR_BYTES)
                        begin--;
                if (!bar_percent(begin, (size_t)(end - begin), &permille))
                        return;
        }
        progress->permille = permille;
        text_set(progress, begin, PX_MIN((size_t)(end - begin), (size_t)BAR_BYTES));
        progress->any = progress->changed = true;
}

static void progress_bytes(struct progress *progress, const char *bytes, size_t length)
{
        for (size_t at = 0; at < length; at++) {
                if (bytes[at] == '\n') {
                        if (progress->line_length > 0)
                                progress_line(progress, progress->line, progress->line_length);
                        progress->line_length = 0;
                } else if (progress->line_length < sizeof(progress->line)) {
                        progress->line[progress->line_length++] = bytes[at];
                }
        }
}

bool progress_read_pipe(struct keeper *keeper)
{
        char bytes[4096];
        ssize_t got = read(keeper->progress_fd, bytes, sizeof(bytes));

        if (got < 0)
                return errno == EAGAIN || errno == EINTR;
        if (got > 0)
                progress_bytes(&keeper->progress, bytes, (size_t)got);
        return got > 0;
}

bool progress_read_sock(struct keeper *keeper)
{
        char bytes[1024];
        ssize_t got = recv(keeper->sock.fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        const char *end;

        if (got < 0)
                return false;
        end = memchr(bytes, '\n', (size_t)got);
        if (got > 0)
                progress_line(&keeper->progress, bytes,
                              end == NULL ? (size_t)got : (size_t)(end - bytes));
        return true;
}
