/* SPDX-License-Identifier: Apache-2.0 */
/* tail.c - see tail.h. Layer: L4 (client/cli). A part of the end is read and its lines are counted; if
 * there are too few, a larger part. */
#include "tail.h"

#include <stdlib.h>
#include <string.h>

#define LINE_BYTES_GUESS 256
#define TAIL_BYTES_MIN 65536

struct line_start {
        int stream;
        uint64_t offset;
};

struct tail {
        struct line_start *starts; /* ring of the last ones */
        size_t room;
        size_t seen;      /* lines that began */
        bool inside[3];   /* the stream's last line has not ended */
        uint64_t end[3];  /* offset behind the last byte */
        bool cut;         /* there is output before what was read */
};

static void tail_add(struct tail *tail, const struct plexus_log_item *item)
{
        int stream = item->kind == PLEXUS_LOG_OUT ? 1 : 2;

        /* What comes first may be the rest of a line. */
        if (tail->end[stream] == 0 && item->offset > 0) {
                tail->cut = true;
                tail->inside[stream] = true;
        }
        for (size_t i = 0; i < item->length; i++) {
                if (!tail->inside[stream])
                        tail->starts[tail->seen++ % tail->room] =
                                (struct line_start){stream, item->offset + i};
                tail->inside[stream] = item->bytes[i] != '\n';
        }
        tail->end[stream] = item->offset + item->length;
}

static int tail_read(plexus *px, uint64_t job, const struct plexus_log_options *options, struct tail *tail)
{
        plexus_stream *stream;
        struct plexus_log_item item = {0};
        int error = plexus_logs(px, job, options, &stream);

        if (error != PLEXUS_OK)
                return error;
        while (item.kind != PLEXUS_LOG_END) {
                error = plexus_log_next(stream, -1, &item);
                if (error != PLEXUS_OK)
                        break;
                if (item.kind == PLEXUS_LOG_ATTEMPT) {
                        memset(tail->end, 0, sizeof tail->end);
                        memset(tail->inside, 0, sizeof tail->inside);
                        tail->seen = 0;
                        tail->cut = false;
                }
                if (item.kind == PLEXUS_LOG_OUT || item.kind == PLEXUS_LOG_ERR)
                        tail_add(tail, &item);
        }
        plexus_stream_close(stream);
        return error;
}

/* The first line to be printed of each stream; its end, if none is. */
static void tail_offsets(const struct tail *tail, size_t lines, struct plexus_log_options *options)
{
        size_t count = tail->seen < lines ? tail->seen : lines;
        uint64_t first[3] = {0, tail->end[1], tail->end[2]};

        for (size_t i = 0; i < count; i++) {
                const struct line_start *start = &tail->starts[(tail->seen - 1 - i) % tail->room];

                first[start->stream] = start->offset;
        }
        options->out_offset = first[1];
        options->err_offset = first[2];
}

int tail_find(plexus *px, uint64_t job, size_t lines, struct plexus_log_options *options)
{
        struct plexus_log_options part = *options;
        size_t room = lines > 0 ? lines : 1;
        struct tail tail = {.room = room};
        int error;

        tail.starts = calloc(room, sizeof *tail.starts);
        if (tail.starts == NULL)
                return PLEXUS_LIMIT;
        part.follow = false;
        part.tail_bytes = lines * LINE_BYTES_GUESS < TAIL_BYTES_MIN ? TAIL_BYTES_MIN : lines * LINE_BYTES_GUESS;
        for (;;) {
                error = tail_read(px, job, &part, &tail);
                if (error != PLEXUS_OK || tail.seen >= lines || !tail.cut)
                        break;
                part.tail_bytes *= 4;
                tail = (struct tail){.starts = tail.starts, .room = room};
        }
        if (error == PLEXUS_OK)
                tail_offsets(&tail, lines, options);
        free(tail.starts);
        return error;
}
