/* SPDX-License-Identifier: Apache-2.0 */
/* retention.c - walks the table of ended jobs in bounded pieces, each in a view of its own.
 * Layer: L4 (broker/shell). */
#include "retention.h"

#include "px_codec.h"

/* A piece under way. */
struct piece {
        struct px_job_id jobs[RETENTION_PIECE_JOBS];
        size_t jobs_count;
        size_t rows;
        bool ended; /* the table's end was reached */
};

void retention_init(struct retention *retention, uint64_t keep_ms, uint64_t keep_count,
                    int64_t now_ms)
{
        *retention = (struct retention){
                .keep_ms = keep_ms,
                .keep_count = keep_count,
                .due_ms = now_ms + RETENTION_EVERY_MS,
        };
}

static bool old_enough(const struct retention *retention, struct px_slice value, int64_t wall_ms)
{
        struct px_arena arena = {0};
        struct px_job_row row;
        bool old;

        old = px_job_row_decode(value, &arena, &row) == PX_WIRE_OK && row.ended_wall_ms > 0 &&
              wall_ms - row.ended_wall_ms >= (int64_t)retention->keep_ms;
        px_arena_fini(&arena);
        return old;
}

/* Job numbers grow with time, so the lowest ones stand for the oldest when there are too many. */
static void look_at(struct retention *retention, struct piece *piece, struct px_slice key,
                    struct px_slice value, int64_t wall_ms)
{
        struct px_job_id job;

        piece->rows++;
        if (key.length != sizeof(job.value))
                return;
        job.value = px_get_be64(key.data);
        retention->cursor = job.value;
        if (retention->excess == 0 && !old_enough(retention, value, wall_ms)) {
                retention->kept++;
                return;
        }
        if (retention->excess > 0)
                retention->excess--;
        piece->jobs[piece->jobs_count++] = job;
}

static void walk(struct retention *retention, struct px_view *view, struct piece *piece,
                 int64_t wall_ms)
{
        struct px_slice key;
        struct px_slice value;
        uint8_t from[8];
        int result;

        px_put_be64(from, retention->cursor + 1);
        result = px_view_seek(view, PX_TABLE_DONE, px_slice_of(from, sizeof(from)), false, &key,
                              &value);
        while (result == PX_OK) {
                look_at(retention, piece, key, value, wall_ms);
                if (piece->rows == RETENTION_PIECE_ROWS ||
                    piece->jobs_count == RETENTION_PIECE_JOBS)
                        return;
                result = px_view_next(view, &key, &value);
        }
        piece->ended = true;
}

static void end_scan(struct retention *retention)
{
        retention->excess = retention->kept > retention->keep_count
                                    ? retention->kept - retention->keep_count
                                    : 0;
        /* What is too many goes soon, in a second scan. */
        retention->due_ms += retention->excess > 0 ? RETENTION_AGAIN_MS : RETENTION_EVERY_MS;
        retention->cursor = 0;
        retention->kept = 0;
}

bool retention_piece(struct retention *retention, struct px_log *log, int64_t now_ms,
                     int64_t wall_ms, struct px_buf *ret_frame)
{
        struct piece piece = {0};
        struct px_view *view;
        struct px_m_retention command;

        if (now_ms < retention->due_ms)
                return false;
        retention->due_ms = now_ms + RETENTION_PIECE_MS;
        if (px_view_open(log, 0, 0, &view) != PX_OK)
                return false;
        walk(retention, view, &piece, wall_ms);
        px_view_close(view);
        if (piece.ended)
                end_scan(retention);
        if (piece.jobs_count == 0)
                return false;
        command = (struct px_m_retention){.jobs = piece.jobs, .jobs_count = piece.jobs_count};
        px_m_retention_frame(&command, 0, 0, ret_frame);
        return true;
}
