/* SPDX-License-Identifier: Apache-2.0 */
/* digest.c - a hash of the persistent part: the sum over its rows of a hash of (table, key, value),
 * so that the order in RAM doesn't matter. Layer: L2 (broker/core). */
#include "state.h"

struct digest {
        uint64_t sum;
        struct px_buf row;
};

/* The value was encoded behind the key in digest->row. */
static void digest_add(struct digest *digest, uint8_t table)
{
        digest->sum += px_hash64(table, digest->row.data, digest->row.length);
        px_buf_reset(&digest->row);
}

static void digest_key(struct digest *digest, uint64_t key)
{
        PX_ASSERT(digest->row.length == 0);
        px_put_be64(px_buf_grow(&digest->row, 8), key);
}

static void digest_jobs(const struct core *core, struct digest *digest)
{
        struct px_job_row row;
        struct job_cursor cursor = {0};
        const struct job *job;

        while ((job = job_table_next(&core->jobs, &cursor)) != NULL) {
                digest_key(digest, job->id);
                job_row_of(job, &row);
                px_job_row_encode(&row, &digest->row);
                digest_add(digest, PX_TABLE_JOB);
        }
}

static void digest_shapes(const struct core *core, struct digest *digest)
{
        size_t cursor = 0;
        uint64_t id;
        void *shape;

        while (px_map_next(&core->shapes, &cursor, &id, &shape)) {
                digest_key(digest, id);
                px_buf_append_slice(&digest->row, ((const struct shape *)shape)->bytes);
                digest_add(digest, PX_TABLE_SHAPE);
        }
}

static void digest_gates(const struct core *core, struct digest *digest)
{
        PX_LIST_EACH(&core->gate_list, at)
        {
                const struct gate *gate = PX_CONTAINER_OF(at, struct gate, link);
                struct px_gate_row row = {.gate = gate->set};

                digest_key(digest, gate->id);
                px_gate_row_encode(&row, &digest->row);
                digest_add(digest, PX_TABLE_GATE);
        }
}

static void digest_nodes(const struct core *core, struct digest *digest)
{
        struct px_node_row row;

        PX_LIST_EACH(&core->node_list, at)
        {
                const struct node *node = PX_CONTAINER_OF(at, struct node, link);

                digest_key(digest, node->id);
                node_row_of(node, &row);
                px_node_row_encode(&row, &digest->row);
                digest_add(digest, PX_TABLE_NODE);
        }
}

static void digest_principals(const struct core *core, struct digest *digest)
{
        struct px_principal_row row;

        PX_LIST_EACH(&core->principal_list, at)
        {
                const struct principal *principal = PX_CONTAINER_OF(at, struct principal, link);

                digest_key(digest, principal->id);
                principal_row_of(principal, &row);
                px_principal_row_encode(&row, &digest->row);
                digest_add(digest, PX_TABLE_PRINCIPAL);
        }
}

static void digest_answers(const struct session *session, struct digest *digest)
{
        size_t cursor = 0;
        uint64_t number;
        void *answer;

        while (px_map_next(&session->answers.kept, &cursor, &number, &answer)) {
                struct px_slice frame = PX_SLICE_NONE;
                uint16_t type = 0;

                PX_ASSERT(px_answers_find(&session->answers, number, PX_LIMIT_SESSION_WINDOW,
                                          &type, &frame) == PX_ANSWERS_KNOWN);
                digest_key(digest, session->id);
                px_put_be64(px_buf_grow(&digest->row, 8), number);
                px_buf_append_slice(&digest->row, frame);
                digest_add(digest, PX_TABLE_ANSWER);
        }
}

static void digest_sessions(const struct core *core, struct digest *digest)
{
        struct px_session_row row;

        PX_LIST_EACH(&core->session_list, at)
        {
                const struct session *session = PX_CONTAINER_OF(at, struct session, link);

                if (!session->stored)
                        continue;
                digest_key(digest, session->id);
                session_row_of(session, &row);
                px_session_row_encode(&row, &digest->row);
                digest_add(digest, PX_TABLE_SESSION);
                digest_answers(session, digest);
        }
}

uint64_t core_digest(const struct core *core)
{
        struct digest digest = {0};

        if (core->has_stored) {
                px_core_row_encode(&core->stored, &digest.row);
                digest_add(&digest, PX_TABLE_META);
        }
        digest_jobs(core, &digest);
        digest_shapes(core, &digest);
        digest_gates(core, &digest);
        digest_nodes(core, &digest);
        digest_principals(core, &digest);
        digest_sessions(core, &digest);
        px_buf_fini(&digest.row);
        return digest.sum;
}
