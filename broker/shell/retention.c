/* SPDX-License-Identifier: Apache-2.0 */
/* retention.c - walks the tables of ended jobs and of keys in bounded pieces, each in a view of its own.
 * Layer: L4 (broker/shell). */
#include "retention.h"

#include "core.h"
#include "px_codec.h"

/* A piece under way. */
struct piece {
        struct px_job_id jobs[RETENTION_PIECE_JOBS];
        size_t jobs_count;
        struct px_slice keys[RETENTION_PIECE_JOBS]; /* borrowed from the view */
        size_t keys_count;
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

static bool is_remembered(struct px_view *view, struct px_job_id job)
{
        struct row_key key = row_key_u64(job.value);
        struct px_slice value;

        return px_view_get(view, PX_TABLE_JOB, row_key_slice(&key), &value) != PX_E_ABSENT ||
               px_view_get(view, PX_TABLE_DONE, row_key_slice(&key), &value) != PX_E_ABSENT;
}

static bool key_is_over(struct px_view *view, struct px_slice value, int64_t wall_ms)
{
        struct px_arena arena = {0};
        struct px_key_row row;
        bool over = px_key_row_decode(value, &arena, &row) == PX_WIRE_OK &&
                    wall_ms - row.wall_ms >= CORE_KEY_KEEP_MS && !is_remembered(view, row.job);

        px_arena_fini(&arena);
        return over;
}

/* From behind the last key on. */
static void walk_keys(struct retention *retention, struct px_view *view, struct piece *piece,
                      int64_t wall_ms)
{
        struct row_key from = retention->key;
        struct px_slice key;
        struct px_slice value;
        int result;

        row_key_add_bytes(&from, px_slice_of("", 1)); /* the next key there can be */
        result = px_view_seek(view, PX_TABLE_KEY, row_key_slice(&from), false, &key, &value);
        while (result == PX_OK && key.length < sizeof(from.bytes)) {
                retention->key = (struct row_key){0};
                row_key_add_bytes(&retention->key, key);
                if (key_is_over(view, value, wall_ms))
                        piece->keys[piece->keys_count++] = key;
                if (++piece->rows == RETENTION_PIECE_ROWS ||
                    piece->keys_count == RETENTION_PIECE_JOBS)
                        return;
                result = px_view_next(view, &key, &value);
        }
        piece->ended = true;
}

static void end_scan(struct retention *retention)
{
        retention->on_keys = !retention->on_keys;
        if (retention->on_keys)
                return;
        retention->key = (struct row_key){0};
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
        bool any;

        if (now_ms < retention->due_ms)
                return false;
        retention->due_ms = now_ms + RETENTION_PIECE_MS;
        if (px_view_open(log, 0, 0, &view) != PX_OK)
                return false;
        if (retention->on_keys)
                walk_keys(retention, view, &piece, wall_ms);
        else
                walk(retention, view, &piece, wall_ms);
        command = (struct px_m_retention){.jobs = piece.jobs,
                                          .jobs_count = piece.jobs_count,
                                          .keys = piece.keys,
                                          .keys_count = piece.keys_count};
        any = piece.jobs_count + piece.keys_count > 0;
        if (any)
                px_m_retention_frame(&command, 0, 0, ret_frame);
        px_view_close(view);
        if (piece.ended)
                end_scan(retention);
        return any;
}
