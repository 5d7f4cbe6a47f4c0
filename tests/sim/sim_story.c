/* SPDX-License-Identifier: Apache-2.0 */
/* sim_story.c - the simulator by hand, for tests that tell a story: see sim.h. */
#include "sim_inside.h"

/* ---- the trace of decisions -------------------------------------------------------------------
 */

void decision_trace(struct sim *sim, const struct px_event *event)
{
        char node[PX_LIMIT_NODE_NAME_BYTES + 1];
        char text[256];

        if (sim->options.random)
                return;
        px_slice_to_text(event->node, node, sizeof(node));
        px_slice_to_text(event->text, text, sizeof(text));
        px_buf_format(&sim->decisions, "[%5lld]", (long long)sim->now_ms);
        if (event->job.value != 0)
                px_buf_format(&sim->decisions, " j%llu", (unsigned long long)event->job.value);
        px_buf_format(&sim->decisions, " %s", px_event_name(event->kind));
        if (event->attempt != 0)
                px_buf_format(&sim->decisions, ", attempt %u", event->attempt);
        if (node[0] != '\0')
                px_buf_format(&sim->decisions, " on %s", node);
        if (text[0] != '\0')
                px_buf_format(&sim->decisions, " (%s)", text);
        px_buf_append_text(&sim->decisions, "\n");
}

const char *sim_trace(struct sim *sim)
{
        px_buf_append(&sim->decisions, "", 1);
        sim->decisions.length = 0; /* the text stays until the next event */
        return (const char *)sim->decisions.data;
}

/* ---- wishes -----------------------------------------------------------------------------------
 */

static struct host *host_of(struct sim *sim, uint32_t node)
{
        PX_ASSERT(node >= 1);
        PX_ASSERT(node <= sim->hosts_count);
        return &sim->hosts[node - 1];
}

uint64_t sim_submit(struct sim *sim, const struct sim_job *job)
{
        struct plan plan = {
                .run_ms = job->run_ms,
                .out_bytes = job->out_bytes,
                .outcome = (uint8_t)(job->outcome == 0 ? PX_OUTCOME_OK : job->outcome),
        };
        struct px_submit_job item = {
                .kind = job->task_type == NULL ? PX_JOB_KIND_COMMAND : PX_JOB_KIND_TASK,
                .task_type = px_slice_text(job->task_type == NULL ? "" : job->task_type),
                .cpus_milli = job->task_type == NULL ? 1000 : 0,
                .node = px_slice_text(job->node == NULL ? "" : job->node),
                .retries = job->retries,
                .backoff_ms = job->backoff_ms,
                .on_lost = job->on_lost == 0 ? PX_ON_LOST_RERUN : job->on_lost,
                .lost_after_ms = job->lost_after_ms,
                .hold = job->hold,
        };
        uint64_t tag = population_submit_one(sim, &sim->clients[0], &item, &plan);

        sim_run_until_ms(sim, sim->now_ms);
        SIM_CHECK(sim, oracle_tag(sim, tag)->acked, "a submission is not answered at once");
        return oracle_tag(sim, tag)->job;
}

void sim_change(struct sim *sim, int change, uint64_t job)
{
        population_change(sim, &sim->clients[0], change, job, 0, false);
        sim_run_until_ms(sim, sim->now_ms);
}

void sim_cut(struct sim *sim, uint32_t node)
{
        struct host *host = host_of(sim, node);

        for (int direction = 0; direction < 2; direction++) {
                host->ctl.cut_ms[direction] = SIM_NEVER;
                host->data.cut_ms[direction] = SIM_NEVER;
        }
}

void sim_heal(struct sim *sim, uint32_t node)
{
        struct host *host = host_of(sim, node);

        for (int direction = 0; direction < 2; direction++) {
                host->ctl.cut_ms[direction] = 0;
                host->data.cut_ms[direction] = 0;
        }
}

void sim_crash_broker(struct sim *sim, bool lose_unflushed)
{
        if (!lose_unflushed)
                px_log_memory_flush(sim->broker.log, sim->broker.index);
        broker_crash(sim);
}

void sim_start_broker(struct sim *sim)
{
        broker_start(sim);
}

void sim_crash_link(struct sim *sim, uint32_t node)
{
        host_link_crash(sim, host_of(sim, node));
}

void sim_start_link(struct sim *sim, uint32_t node)
{
        host_start_link(sim, host_of(sim, node));
}

void sim_crash_machine(struct sim *sim, uint32_t node)
{
        host_machine_crash(sim, host_of(sim, node), false);
        host_start_link(sim, host_of(sim, node));
}

void sim_keeper_dies(struct sim *sim, uint32_t node)
{
        spool_keeper_dies(sim, host_of(sim, node));
}

size_t sim_processes(const struct sim *sim, uint32_t node)
{
        return spool_alive(&sim->hosts[node - 1]);
}
