/* SPDX-License-Identifier: Apache-2.0 */
/* core_load.c - the state from its rows, by one scan at start. Layer: L2 (broker/core).
 * A row that cannot be is refused and changes nothing; the rest loads without it. */
#include "state.h"

const uint8_t core_load_tables[] = {PX_TABLE_META, PX_TABLE_PRINCIPAL, PX_TABLE_GATE, PX_TABLE_NODE,
                                    PX_TABLE_SHAPE,   PX_TABLE_SESSION,   PX_TABLE_ANSWER,
                                    PX_TABLE_JOB};
const size_t core_load_tables_count = PX_COUNT_OF(core_load_tables);

static int load_core(struct core *core, struct px_slice key, struct px_slice value)
{
        struct px_core_row row;

        if (!px_slice_equal(key, px_slice_text("core")))
                return PX_OK; /* the store keeps rows of its own there */
        if (px_core_row_decode(value, &core->scratch, &row) != PX_WIRE_OK || core->has_stored)
                return PX_E_DAMAGED;
        if (row.next_job == 0 || row.next_principal == 0 || row.next_node == 0 ||
            row.next_shape == 0 ||
            (row.cluster.length != 0 && row.cluster.length != CORE_ID_BYTES))
                return PX_E_DAMAGED;
        core->next_job = row.next_job;
        core->next_principal = row.next_principal;
        core->next_node = row.next_node;
        core->next_shape = row.next_shape;
        core->core_ms = row.core_ms;
        core->wall_ms = row.wall_ms;
        core->has_cluster = row.cluster.length != 0;
        if (core->has_cluster)
                memcpy(core->cluster, row.cluster.data, CORE_ID_BYTES);
        core->stored = row;
        core->stored.cluster = px_slice_of(core->cluster, row.cluster.length);
        core->has_stored = true;
        return PX_OK;
}

static int load_principal(struct core *core, struct px_slice key, struct px_slice value)
{
        struct px_principal_row row;

        if (key.length != 4 || px_principal_row_decode(value, &core->scratch, &row) != PX_WIRE_OK)
                return PX_E_DAMAGED;
        if (px_get_be32(key.data) >= core->next_principal)
                return PX_E_DAMAGED;
        return principal_load(core, px_get_be32(key.data), &row);
}

static int load_gate(struct core *core, struct px_slice key, struct px_slice value)
{
        struct px_gate_row row;

        if (key.length != 4 || px_gate_row_decode(value, &core->scratch, &row) != PX_WIRE_OK)
                return PX_E_DAMAGED;
        return gate_load(core, px_get_be32(key.data), &row);
}

static int load_node(struct core *core, struct px_slice key, struct px_slice value)
{
        struct px_node_row row;
        uint32_t id;

        if (key.length != 4 || px_node_row_decode(value, &core->scratch, &row) != PX_WIRE_OK)
                return PX_E_DAMAGED;
        id = px_get_be32(key.data);
        if (id == 0 || id >= core->next_node || row.kind == 0 || !name_is_valid(row.name) ||
            row.boot.length != CORE_ID_BYTES || row.spool.length != CORE_ID_BYTES ||
            node_find(core, id) != NULL || node_named(core, row.name) != NULL ||
            principal_find(core, row.principal.value) == NULL)
                return PX_E_DAMAGED;
        node_new(core, id, &row);
        return PX_OK;
}

static int load_shape(struct core *core, struct px_slice key, struct px_slice value)
{
        struct px_shape_row row;

        if (key.length != 4 || px_shape_row_decode(value, &core->scratch, &row) != PX_WIRE_OK ||
            px_get_be32(key.data) >= core->next_shape)
                return PX_E_DAMAGED;
        return shape_load(core, px_get_be32(key.data), &row) ? PX_OK : PX_E_DAMAGED;
}

static int load_session(struct core *core, struct px_slice key, struct px_slice value)
{
        struct px_session_row row;

        if (key.length != 8 || px_session_row_decode(value, &core->scratch, &row) != PX_WIRE_OK)
                return PX_E_DAMAGED;
        return session_load(core, px_get_be64(key.data), &row);
}

static int load_answer(struct core *core, struct px_slice key, struct px_slice value)
{
        struct px_answer_row row;

        if (key.length != 18 || px_answer_row_decode(value, &core->scratch, &row) != PX_WIRE_OK)
                return PX_E_DAMAGED;
        return session_load_answer(core, key, &row);
}

static void job_attach(struct core *core, struct job *job, const struct px_job_row *row)
{
        struct attempt *attempt = attempt_new(core, node_find(core, job->node), job, job->id,
                                              row->fence);

        attempt->begun_ms = core->core_ms;
        room_take(attempt);
        gates_enter(core, shape_find(core, job->shape), &principal_find(core, job->owner)->share);
        principal_find(core, job->owner)->share.running++;
        /* ASSIGN and KILL are said again when the node has said HELLO. */
        attempt->assigning = job->state == PX_JOB_STATE_ASSIGNED;
        attempt->killing = job->state == PX_JOB_STATE_CANCELLING;
}

static int load_job(struct core *core, struct px_slice key, struct px_slice value)
{
        struct px_job_row row;
        struct job decoded, *job;
        uint64_t id;

        if (key.length != 8 || px_job_row_decode(value, &core->scratch, &row) != PX_WIRE_OK)
                return PX_E_DAMAGED;
        id = px_get_be64(key.data);
        if (id == 0 || px_id_job(id) >= core->next_job || job_find(core, id) != NULL ||
            job_ended(row.state))
                return PX_E_DAMAGED;
        if (job_on_node(row.state) &&
            (node_find(core, row.node.value) == NULL || row.fence.attempt == 0))
                return PX_E_DAMAGED;
        if (px_id_is_task(id) && !array_takes(core, id))
                return PX_E_DAMAGED;
        if (shape_find(core, row.shape) == NULL || !job_of_row(core, id, &row, &decoded))
                return PX_E_DAMAGED;
        job = job_new(core, id);
        *job = decoded;
        if (job_is_array(job))
                job->more->array->head = job;
        if (px_id_is_task(id))
                array_adopt(core, job);
        shape_hold(core, job);
        core->state_counts[job->state]++;
        principal_find(core, job->owner)->jobs_count++;
        if (job_on_node(job->state))
                job_attach(core, job, &row);
        else if (job_in_line(job))
                line_add(core, job);
        return PX_OK;
}

int core_load_row(struct core *core, uint8_t table, struct px_slice key, struct px_slice value)
{
        PX_ASSERT(core->loading);
        px_arena_reset(&core->scratch);
        switch (table) {
        case PX_TABLE_META:
                return load_core(core, key, value);
        case PX_TABLE_PRINCIPAL:
                return load_principal(core, key, value);
        case PX_TABLE_GATE:
                return load_gate(core, key, value);
        case PX_TABLE_NODE:
                return load_node(core, key, value);
        case PX_TABLE_SHAPE:
                return load_shape(core, key, value);
        case PX_TABLE_SESSION:
                return load_session(core, key, value);
        case PX_TABLE_ANSWER:
                return load_answer(core, key, value);
        case PX_TABLE_JOB:
                return load_job(core, key, value);
        default:
                PX_UNREACHABLE();
        }
}

#define DOWN_MS_MAX (30LL * 24 * 3600 * 1000)

void core_load_end(struct core *core, int64_t wall_ms)
{
        int64_t passed_ms = core->has_stored ? wall_ms - core->stored.wall_ms : 0;

        PX_ASSERT(core->loading);
        core->core_ms += PX_MAX((int64_t)0, PX_MIN(passed_ms, (int64_t)DOWN_MS_MAX));
        core->wall_ms = wall_ms;
        core->loading = false;
        session_loads_end(core);
}
