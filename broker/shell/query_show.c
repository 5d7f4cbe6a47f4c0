/* SPDX-License-Identifier: Apache-2.0 */
/* query_show.c - SHOW: one job in full; LOG_AT: a range of its output. Layer: L4 (broker/shell). */
#include "egress_inside.h"
#include "environment.h"

#define ATTEMPTS_BYTES (192u << 10) /* of the attempts in an answer */
#define ATTEMPTS_MAX 1024
#define PART_BYTES_MAX (256u << 10)

/* Append the chunks of a value that is stored in rows. false = one is missing or damaged. */
static bool join_chunks(struct px_view *view, uint8_t table, struct px_job_id job, uint32_t chunks,
                        struct px_buf *ret_value)
{
        for (uint32_t i = 0; i < chunks; i++) {
                struct row_key key = row_key_u64(job.value);
                struct px_slice value;

                row_key_add_u16(&key, (uint16_t)i);
                if (px_view_get(view, table, row_key_slice(&key), &value) != PX_OK)
                        return false;
                px_buf_append_slice(ret_value, value);
        }
        return true;
}

static struct px_attempt_view attempt_view_of(struct egress *egress,
                                              const struct px_attempt_row *row)
{
        return (struct px_attempt_view){
                .attempt = row->fence.attempt,
                .epoch = row->fence.epoch,
                .node = px_arena_copy(&egress->arena, row->node_name),
                .outcome = row->outcome,
                .reason = row->reason,
                .exit_code = row->exit_code,
                .signal = row->signal,
                .text = px_arena_copy(&egress->arena, row->text),
                .use = row->use,
                .log_pending_bytes = row->log_pending_bytes,
                .progress_permille = row->progress_permille,
                .progress_text = px_arena_copy(&egress->arena, row->progress_text),
        };
}

/* The newest attempts that fit, in rising order. */
static void join_attempts(struct egress *egress, struct px_view *view, uint32_t last,
                          struct px_m_job *answer)
{
        size_t count_max = PX_MIN(last, (uint32_t)ATTEMPTS_MAX);
        struct px_attempt_view *views = px_arena_alloc(&egress->arena,
                                                       (count_max + 1) * sizeof *views);
        size_t at = count_max;
        size_t bytes = 0;

        for (uint32_t number = last; number > 0 && at > 0 && bytes < ATTEMPTS_BYTES; number--) {
                struct row_key key = row_key_u64(answer->view.job.value);
                struct px_attempt_row row;
                struct px_slice value;

                row_key_add_u32(&key, number);
                if (px_view_get(view, PX_TABLE_ATTEMPT, row_key_slice(&key), &value) != PX_OK ||
                    px_attempt_row_decode(value, &egress->arena, &row) != PX_WIRE_OK)
                        continue;
                views[--at] = attempt_view_of(egress, &row);
                bytes += 200 + value.length;
        }
        answer->attempts = views + at;
        answer->attempts_count = count_max - at;
}

static void join_lengths(struct egress *egress, uint32_t attempt, struct px_m_job *answer)
{
        struct egress_attempt *found = attempt_find(egress, answer->view.job, attempt);
        struct segment_key key = {answer->view.job, attempt, PX_STREAM_OUT};

        if (attempt == 0)
                return;
        if (answer->attempts_count > 0 &&
            answer->attempts[answer->attempts_count - 1].attempt == attempt) {
                answer->out_bytes = answer->attempts[answer->attempts_count - 1].use.out_bytes;
                answer->err_bytes = answer->attempts[answer->attempts_count - 1].use.err_bytes;
        } else if (found != NULL) {
                answer->out_bytes = found->lanes[PX_STREAM_OUT].received;
                answer->err_bytes = found->lanes[PX_STREAM_ERR].received;
        } else {
                answer->out_bytes = segments_length(egress->segments, key);
                key.stream = PX_STREAM_ERR;
                answer->err_bytes = segments_length(egress->segments, key);
        }
}

/* Put the shared environment back into the stored form of a specification. */
static bool join_environment(struct px_view *view, struct px_buf *spec)
{
        struct px_buf stored = {0};
        struct px_buf environment = {0};
        struct row_key prefix;
        struct px_slice key, value;
        int result;

        if (!environment_named(px_buf_slice(spec), &prefix))
                return true;
        stored = px_buf_take(spec);
        result = px_view_seek(view, PX_TABLE_ENVIRONMENT_DATA, row_key_slice(&prefix), false, &key,
                              &value);
        while (result == PX_OK && key.length > prefix.length &&
               memcmp(key.data, prefix.bytes, prefix.length) == 0) {
                px_buf_append_slice(&environment, value);
                result = px_view_next(view, &key, &value);
        }
        result = environment.length > 0 && environment_join(px_buf_slice(&stored),
                                                            px_buf_slice(&environment), spec);
        px_buf_fini(&environment);
        px_buf_fini(&stored);
        return result;
}

/* Everything of the job into answer, spec and result; a monitor sees neither of these two. */
static int show(struct egress *egress, const struct egress_peer *peer, struct px_view *view,
                struct px_m_job *answer, struct px_buf *spec, struct px_buf *result)
{
        struct px_job_id spec_owner = {px_id_job(answer->view.job.value)}; /* a task has its array's */
        struct px_job_row row;
        int code = attempt_job_row(egress, view, answer->view.job, &row);

        if (code != PX_OK)
                return code;
        code = access_read(peer->role, peer->principal, row.owner);
        if (code != PX_OK)
                return code;
        answer->view = query_job_view(egress, view, answer->view.job, &row);
        join_attempts(egress, view, row.fence.attempt, answer);
        join_lengths(egress, row.fence.attempt, answer);
        if (peer->role == PX_ROLE_MONITOR)
                return PX_OK;
        if (!join_chunks(view, PX_TABLE_SPEC, spec_owner, row.spec_chunks, spec) ||
            !join_environment(view, spec) ||
            !join_chunks(view, PX_TABLE_RESULT, answer->view.job, row.result_chunks, result))
                return PX_E_DAMAGED;
        answer->spec = px_buf_slice(spec);
        return PX_OK;
}

void query_show(struct egress *egress, struct egress_peer *peer, uint64_t correlation,
                const struct px_m_show *query)
{
        struct px_m_job answer = {.view = {.job = query->job}};
        struct px_buf spec = {0};
        struct px_buf result = {0};
        struct px_view *view;
        bool has_result;
        int code = attempt_view(egress, &view);

        if (code == PX_OK) {
                code = show(egress, peer, view, &answer, &spec, &result);
                px_view_close(view);
        }
        if (code == PX_OK) {
                has_result = answer.view.has_result && peer->role != PX_ROLE_MONITOR;
                px_buf_reset(&egress->frame);
                px_m_job_frame(&answer, correlation, has_result ? PX_WIRE_FLAG_PAYLOAD : 0,
                               &egress->frame);
                px_buf_reserve(&result, 1); /* an empty result is a payload too */
                (void)peer_send(egress, peer, px_buf_slice(&egress->frame),
                                has_result ? px_buf_slice(&result) : PX_SLICE_NONE);
        } else {
                peer_refuse(egress, peer, correlation, code < 0 ? PX_E_BUSY : code, NULL);
        }
        px_buf_fini(&spec);
        px_buf_fini(&result);
}

/* ---- output ----------------------------------------------------------------------------------------- */

/* Bytes from the first stored one at or after part->offset, without a gap. */
static void read_part(struct egress *egress, const struct egress_attempt *attempt, size_t bytes,
                      struct px_m_log_part *part, struct px_buf *ret_bytes)
{
        struct segment_key key = {part->job, part->attempt, part->log};
        const struct egress_lane *lane = &attempt->lanes[part->log];
        uint64_t at = part->offset;

        while (ret_bytes->length < bytes && at < lane->received) {
                struct segment_run run;
                size_t room = PX_MIN(bytes - ret_bytes->length, (size_t)PX_LIMIT_LOG_CHUNK_BYTES);
                int result = segments_read(egress->segments, key, at, egress->chunk, room, &run);

                if (result == PX_E_DAMAGED && ret_bytes->length == 0) {
                        at = run.offset + run.length;
                        continue;
                }
                if (result != PX_OK || (run.offset != at && ret_bytes->length > 0))
                        break;
                if (ret_bytes->length == 0)
                        part->offset = run.offset;
                px_buf_append(ret_bytes, egress->chunk, run.length);
                at = run.offset + run.length;
        }
        if (ret_bytes->length == 0)
                part->offset = PX_MAX(part->offset, lane->received);
}

/* The attempt asked for, if the peer may see its job. */
static int find_attempt(struct egress *egress, const struct egress_peer *peer,
                        const struct px_m_log_at *query, struct egress_attempt **ret_attempt)
{
        struct px_job_row row;
        struct px_view *view;
        int code = attempt_view(egress, &view);

        if (code != PX_OK)
                return code;
        code = attempt_job_row(egress, view, query->job, &row);
        px_view_close(view);
        if (code == PX_OK)
                code = access_read(peer->role, peer->principal, row.owner);
        if (code == PX_OK)
                code = attempt_get(egress, query->job,
                                   query->attempt == 0 ? row.fence.attempt : query->attempt,
                                   ret_attempt);
        return code;
}

void query_log_at(struct egress *egress, struct egress_peer *peer, uint64_t correlation,
                  const struct px_m_log_at *query)
{
        struct px_m_log_part part = {.job = query->job, .log = query->log, .offset = query->offset};
        struct egress_attempt *attempt;
        struct px_buf bytes = {0};
        int code = find_attempt(egress, peer, query, &attempt);

        if (code != PX_OK) {
                peer_refuse(egress, peer, correlation, code < 0 ? PX_E_BUSY : code, NULL);
                return;
        }
        part.attempt = attempt->fence.attempt;
        read_part(egress, attempt, PX_MIN(query->bytes, PART_BYTES_MAX), &part, &bytes);
        part.length = attempt->lanes[query->log].received;
        part.complete = !attempt->open && attempt_pending_bytes(attempt) == 0;
        px_buf_reset(&egress->frame);
        px_m_log_part_frame(&part, correlation, bytes.length > 0 ? PX_WIRE_FLAG_PAYLOAD : 0,
                            &egress->frame);
        (void)peer_send(egress, peer, px_buf_slice(&egress->frame), px_buf_slice(&bytes));
        px_buf_fini(&bytes);
        attempt_settle(egress, attempt);
}
