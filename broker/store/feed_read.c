/* SPDX-License-Identifier: Apache-2.0 */
/* feed_read.c - reading the event feed. Layer: L3 (broker/store). See feed.h.
 *
 * A reader takes a window of whole records under the lock and visits its events without it. Where to
 * begin in a file is found by a sparse list of marks, made when the file is first read. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "disk.h"
#include "feed.h"
#include "feed_inside.h"
#include "log_inside.h"
#include "px_schema.h"

#define WINDOW_BYTES (256u << 10)
#define MARK_BYTES (64u << 10)
#define MARKS_STEP 64

struct px_event_number feed_last(struct feed *feed)
{
        struct px_event_number last;

        feed_lock(feed);
        last = feed->last;
        feed_unlock(feed);
        return last;
}

/* ---- where to begin -------------------------------------------------------------------------------------- */

/* The last file that begins before the event after `after`. */
static size_t file_find(const struct feed *feed, struct px_event_number after)
{
        size_t at = feed->files_count - 1;

        while (at > 0 && feed_number_before(after, feed->files[at].previous))
                at--;
        return at;
}

void feed_mark_record(struct feed_file *file, uint64_t index, uint64_t offset)
{
        size_t count = file->marks_count;

        if (count > 0 && offset < file->marks[count - 1].offset + MARK_BYTES)
                return;
        if (count % MARKS_STEP == 0)
                file->marks = px_realloc(file->marks, (count + MARKS_STEP) * sizeof(*file->marks));
        file->marks[file->marks_count++] = (struct feed_mark){.index = index, .offset = offset};
}

/* Mark the records of a file that was not written by this process. What is no record ends the marks:
 * reading will meet and name it. */
static int file_mark(struct feed_file *file, int fd)
{
        uint8_t *window = px_alloc(WINDOW_BYTES);
        uint64_t offset = FEED_HEADER_BYTES;
        int result = 0;
        bool found = true;

        while (result == 0 && found && offset < file->bytes) {
                struct feed_record record;
                size_t length = 0, at = 0;

                result = disk_read_at(fd, window, WINDOW_BYTES, offset, &length);
                found = false;
                while (result == 0 &&
                       feed_peek_record(px_slice_of(window, length), at, &record)) {
                        feed_mark_record(file, record.index, offset + at);
                        at += record.bytes;
                        found = true;
                }
                offset += at;
        }
        px_free(window);
        return result;
}

static uint64_t file_offset(const struct feed_file *file, uint64_t index)
{
        size_t low = 0, high = file->marks_count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (file->marks[middle].index <= index)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low == 0 ? FEED_HEADER_BYTES : file->marks[low - 1].offset;
}

/* ---- windows --------------------------------------------------------------------------------------------------- */

/* One call of feed_read(). */
struct reading {
        struct feed *feed;
        struct px_event_number after; /* the last number seen */
        uint32_t left;
        bool (*visit)(void *context, struct px_event_number number, struct px_slice event);
        void *context;
        int fd;
        uint64_t number; /* of the file that is open; 0 = none */
        uint64_t offset; /* of the next record in it */
        struct px_buf window;
        bool ended; /* nothing newer, or the visitor has enough */
};

/* Open file `at` of the feed and go to the record that may hold the next event. Locked. */
static int reading_enter(struct reading *reading, size_t at)
{
        struct feed_file *file = &reading->feed->files[at];
        int result;

        if (reading->fd >= 0)
                close(reading->fd);
        reading->fd = -1;
        result = feed_open_file(reading->feed, file->number, 0, &reading->fd);
        if (result == 0 && file->marks_count == 0)
                result = file_mark(file, reading->fd);
        reading->number = file->number;
        reading->offset = file_offset(file, reading->after.index);
        return result;
}

/* Which file of the feed is open; files_count if it was dropped. Locked. */
static size_t reading_file(const struct reading *reading)
{
        size_t at = 0;

        while (at < reading->feed->files_count &&
               reading->feed->files[at].number != reading->number)
                at++;
        return at;
}

static int window_read(struct reading *reading, uint64_t file_bytes)
{
        uint64_t left = file_bytes - reading->offset;
        struct feed_record record;
        size_t length = 0;
        int result;

        px_buf_reset(&reading->window);
        px_buf_reserve(&reading->window, PX_MIN(left, WINDOW_BYTES));
        result = disk_read_at(reading->fd, reading->window.data, PX_MIN(left, WINDOW_BYTES),
                              reading->offset, &length);
        reading->window.length = length;
        if (result < 0 || !feed_peek_record(px_buf_slice(&reading->window), 0, &record) ||
            record.bytes <= length || record.bytes > left)
                return result;
        px_buf_reserve(&reading->window, record.bytes - length); /* a record larger than a window */
        result = disk_read_at(reading->fd, reading->window.data, record.bytes, reading->offset,
                              &length);
        reading->window.length = length;
        return result;
}

/* Read the next window; go on to the next file at the end of one. Locked. */
static int reading_window(struct reading *reading)
{
        struct feed *feed = reading->feed;
        size_t at = reading_file(reading);
        int result;

        if (at == feed->files_count)
                return PX_E_SNAPSHOT;
        while (reading->offset >= feed->files[at].bytes) {
                if (at + 1 == feed->files_count) {
                        reading->ended = true;
                        return PX_OK;
                }
                if (feed_number_before(reading->after, feed->files[at + 1].previous)) {
                        feed_give_up(feed, at, reading->offset); /* its end is missing */
                        return PX_E_SNAPSHOT;
                }
                result = reading_enter(reading, ++at);
                if (result < 0)
                        return result;
        }
        return window_read(reading, feed->files[at].bytes);
}

static void record_visit(struct reading *reading, const struct feed_record *record)
{
        struct px_event_number number = {.index = record->index};
        struct px_slice event;
        size_t offset = 0;

        for (; log_event_next(record->events, &offset, &event); number.position++) {
                if (!feed_number_before(reading->after, number))
                        continue;
                if (reading->left == 0 || !reading->visit(reading->context, number, event)) {
                        reading->ended = true;
                        return;
                }
                reading->after = number;
                reading->left--;
        }
}

/* Visit the records of the window. PX_E_SNAPSHOT: it begins with something that is no record. */
static int window_visit(struct reading *reading)
{
        struct feed_record record;
        size_t at = 0;

        while (!reading->ended &&
               feed_get_record(px_buf_slice(&reading->window), at, &record)) {
                record_visit(reading, &record);
                at += record.bytes;
        }
        reading->offset += at;
        return at == 0 ? PX_E_SNAPSHOT : PX_OK;
}

static int reading_begin(struct reading *reading)
{
        struct feed *feed = reading->feed;

        if (reading->after.index == 0)
                reading->after = feed->floor;
        if (feed_number_before(reading->after, feed->floor))
                return PX_E_SNAPSHOT;
        reading->ended = !feed_number_before(reading->after, feed->last);
        if (reading->ended)
                return PX_OK;
        PX_ASSERT(feed->files_count > 0);
        return reading_enter(reading, file_find(feed, reading->after));
}

static int reading_step(struct reading *reading)
{
        int result;

        feed_lock(reading->feed);
        result = reading->number == 0 ? reading_begin(reading) : PX_OK;
        if (result == PX_OK && !reading->ended)
                result = reading_window(reading);
        feed_unlock(reading->feed);
        if (result != PX_OK || reading->ended)
                return result;
        result = window_visit(reading);
        if (result == PX_E_SNAPSHOT) {
                size_t at;

                feed_lock(reading->feed);
                at = reading_file(reading);
                if (at < reading->feed->files_count)
                        feed_give_up(reading->feed, at, reading->offset);
                feed_unlock(reading->feed);
        }
        return result;
}

int feed_read(struct feed *feed, struct px_event_number after, uint32_t count_max,
              bool (*visit)(void *context, struct px_event_number number, struct px_slice event),
              void *context)
{
        struct reading reading = {.feed = feed,
                                  .after = after,
                                  .left = count_max,
                                  .visit = visit,
                                  .context = context,
                                  .fd = -1};
        int result = PX_OK;

        while (result == PX_OK && !reading.ended && reading.left > 0)
                result = reading_step(&reading);
        if (reading.fd >= 0)
                close(reading.fd);
        px_buf_fini(&reading.window);
        return result;
}
