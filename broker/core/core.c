/* SPDX-License-Identifier: Apache-2.0 */
/* core.c - making a core and stepping it. Layer: L2 (broker/core).
 *
 * A step: commands in their order, then what became due (so that a ping that waited with the batch
 * still counts), then scheduling, then what is told to many at once, then the core's own row. */
#include "state.h"

#define SHAPES_KEPT 1024 /* that no job needs */

struct core *core_new(const struct core_options *options)
{
        struct core *core = px_alloc(sizeof(*core));

        PX_ASSERT(options->epoch > 0 && options->lease_ms > 0);
        PX_ASSERT(options->assign_repeat_ms > 0 && options->session_ms > 0);
        PX_ASSERT(options->jobs_max > 0 && options->jobs_max <= PX_LIMIT_JOBS);
        core->options = *options;
        if (options->key_keep_ms == 0)
                core->options.key_keep_ms = CORE_KEY_KEEP_MS;
        if (options->shapes_kept == 0)
                core->options.shapes_kept = SHAPES_KEPT;
        core->loading = true;
        core->next_job = 1;
        core->next_principal = 1;
        core->next_node = 1;
        core->next_shape = 1;
        job_table_init(&core->jobs);
        slab_init(&core->job_slab, sizeof(struct job));
        slab_init(&core->more_slab, sizeof(struct job_more));
        slab_init(&core->attempt_slab, sizeof(struct attempt));
        slab_init(&core->watch_slab, sizeof(struct watch));
        shapes_init(core);
        shares_init(core);
        gates_init(core);
        px_list_init(&core->nodes_grown);
        px_list_init(&core->arrays);
        timers_init(core);
        px_list_init(&core->node_list);
        px_list_init(&core->nodes_dirty);
        px_list_init(&core->principal_list);
        px_list_init(&core->session_list);
        px_list_init(&core->sessions_dirty);
        return core;
}

void core_free(struct core *core)
{
        if (core == NULL)
                return;
        while (!px_list_empty(&core->session_list))
                session_free(core, PX_CONTAINER_OF(core->session_list.next, struct session, link));
        nodes_fini(core);
        arrays_fini(core);
        lines_fini(core);
        shapes_fini(core);
        gates_fini(core);
        px_free(core->candidates);
        pools_fini(core);
        principals_fini(core);
        job_table_fini(&core->jobs);
        px_map_fini(&core->nodes);
        px_map_fini(&core->nodes_by_name);
        px_map_fini(&core->nodes_by_peer);
        px_map_fini(&core->sessions);
        px_map_fini(&core->sessions_by_peer);
        px_map_fini(&core->watches);
        px_map_fini(&core->overlay.rows);
        px_heap_fini(&core->timers);
        slab_fini(&core->job_slab);
        slab_fini(&core->more_slab);
        slab_fini(&core->attempt_slab);
        slab_fini(&core->watch_slab);
        px_arena_fini(&core->scratch);
        px_arena_fini(&core->item);
        px_buf_fini(&core->frame);
        px_buf_fini(&core->bytes);
        px_buf_fini(&core->words);
        px_free(core);
}

void core_set_ports(struct core *core, uint32_t node_port, uint32_t data_port,
                    uint32_t events_port)
{
        core->options.node_port = node_port;
        core->options.data_port = data_port;
        core->options.events_port = events_port;
}

/* ---- the core's own row ------------------------------------------------------------------------------ */

static struct px_core_row core_row(const struct core *core)
{
        return (struct px_core_row){
                .core_ms = core->core_ms,
                .wall_ms = core->wall_ms,
                .next_job = core->next_job,
                .next_principal = core->next_principal,
                .next_node = core->next_node,
                .next_shape = core->next_shape,
                .cluster = px_slice_of(core->cluster, core->has_cluster ? CORE_ID_BYTES : 0),
        };
}

/* With each batch that changes anything: after a restart time goes on from there. */
static void core_row_put(struct core *core)
{
        struct row_key key = row_key_text("core");

        if (core->output->rows.length == 0 && core->output->events_count == 0)
                return;
        core->stored = core_row(core);
        core->has_stored = true;
        px_buf_reset(&core->bytes);
        px_core_row_encode(&core->stored, &core->bytes);
        put_row(core, PX_TABLE_META, &key, px_buf_slice(&core->bytes));
}

/* ---- a step ------------------------------------------------------------------------------------------- */

static void begin(struct core *core)
{
        struct px_event event = {
                .kind = PX_EV_BROKER_STARTED,
                .exit_code = -1,
                .text = output_text(core, "epoch %llu",
                                    (unsigned long long)core->options.epoch),
        };
        struct job_cursor cursor = {0};
        struct job *job;

        core->begun = true;
        core->begun_ms = core->core_ms;
        put_event(core, &event);
        nodes_lease_anew(core);
        sessions_word_anew(core);
        arrays_recount(core);
        while ((job = job_table_next(&core->jobs, &cursor)) != NULL)
                job_arm_loaded(core, job);
}

void core_step(struct core *core, const struct core_batch *batch, struct core_output *output)
{
        PX_ASSERT(!core->loading);
        PX_ASSERT(batch->epoch == core->options.epoch);
        PX_ASSERT(batch->core_ms >= core->core_ms);
        PX_ASSERT(!core->begun || batch->index > core->index);
        core_output_reset(output);
        output->index = batch->index;
        core->output = output;
        core->index = batch->index;
        core->core_ms = batch->core_ms;
        core->wall_ms = batch->wall_ms;
        px_rand_init(&core->rand, batch->seed);
        if (!core->begun)
                begin(core);
        for (size_t i = 0; i < batch->commands_count; i++)
                command_take(core, &batch->commands[i]);
        core->command = NULL;
        timers_fire(core);
        schedule(core);
        nodes_flush(core);
        watch_flush(core);
        core_row_put(core);
        if (output->rows.length == 0 && output->events_count == 0)
                core->index = batch->index - 1; /* not used up */
        overlay_reset(core);
        core->output = NULL;
}

uint64_t core_jobs_count(const struct core *core)
{
        return core->jobs.count;
}

int64_t core_now_ms(const struct core *core)
{
        return core->core_ms;
}

uint64_t core_index(const struct core *core)
{
        return core->index;
}
