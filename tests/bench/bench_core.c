/* SPDX-License-Identifier: Apache-2.0 */
/* bench_core.c - what the broker's core alone costs: submits, full cycles, bytes per queued job.
 * usage: bench_core [jobs]
 * Prints medians of three runs, each on a fresh core; no journal, no sockets. */
#include "core.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RUNS 3
#define NODE_PEER 2
#define CLIENT_PEER 1
#define BATCH_COMMANDS 64

struct bench {
        struct core *core;
        struct core_output output;
        uint64_t index;
        struct px_session_id session;
        uint64_t node_session;
        uint64_t number;
        struct px_buf frames[BATCH_COMMANDS];
        struct px_fence *fences; /* by job */
        uint64_t *assigned;      /* jobs of the last step */
        size_t assigned_count;
        struct px_buf spec;
};

static double now_s(void)
{
        struct timespec time;

        clock_gettime(CLOCK_MONOTONIC, &time);
        return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void step(struct bench *bench, uint8_t origin, size_t count)
{
        struct core_command commands[BATCH_COMMANDS];
        struct px_buf wants = {0};

        for (size_t i = 0; i < count; i++) {
                commands[i] = (struct core_command){
                        .origin = origin,
                        .peer = origin == CORE_FROM_SHELL  ? 0
                                : origin == CORE_FROM_NODE ? NODE_PEER
                                                           : CLIENT_PEER,
                        .principal = {origin == CORE_FROM_SHELL ? 0 : 1},
                };
                PX_ASSERT(px_wire_get_header(px_buf_slice(&bench->frames[i]), &commands[i].header,
                                             &commands[i].body) == PX_WIRE_OK);
                core_wants(bench->core, &commands[i], &wants);
        }
        PX_ASSERT(wants.length == 0);
        bench->index++;
        core_step(bench->core,
                  &(struct core_batch){.epoch = 1,
                                       .index = bench->index,
                                       .wall_ms = 1700000000000,
                                       .seed = bench->index,
                                       .commands = commands,
                                       .commands_count = count},
                  &bench->output);
        bench->assigned_count = 0;
        for (size_t i = 0; i < bench->output.effects_count; i++) {
                const struct core_effect *effect = &bench->output.effects[i];

                if (effect->kind != CORE_EFFECT_ASSIGN)
                        continue;
                bench->fences[effect->assign.item.job.value] = effect->assign.item.fence;
                bench->assigned[bench->assigned_count++] = effect->assign.item.job.value;
        }
}

#define FRAME(bench, i, message, m, number)                                                        \
        (px_buf_reset(&(bench)->frames[i]),                                                        \
         px_m_##message##_frame(m, number, 0, &(bench)->frames[i]))

static struct px_slice sent(const struct bench *bench, uint16_t type)
{
        for (size_t i = 0; i < bench->output.effects_count; i++) {
                const struct core_effect *effect = &bench->output.effects[i];
                struct px_wire_header header;
                struct px_slice body;

                if (effect->kind != CORE_EFFECT_SEND)
                        continue;
                PX_ASSERT(px_wire_get_header(effect->send.frame, &header, &body) == PX_WIRE_OK);
                if (header.type == type)
                        return body;
        }
        PX_UNREACHABLE();
}

static void bench_open(struct bench *bench, size_t jobs)
{
        static const uint32_t roles[] = {PX_ROLE_ADMIN};
        struct px_slice name = px_slice_text("root");
        struct px_slice key = px_slice_text("0123456789abcdef0123456789abcdef");
        struct px_m_bootstrap bootstrap = {.cluster = px_slice_text("0123456789abcdef"),
                                           .names = &name,
                                           .names_count = 1,
                                           .roles = roles,
                                           .roles_count = 1,
                                           .public_keys = &key,
                                           .public_keys_count = 1};
        struct px_m_client_hello hello = {0};
        struct px_m_client_welcome welcome;
        struct px_arena arena = {0};
        struct px_slice argv[] = {px_slice_text("/usr/bin/python3"), px_slice_text("train.py"),
                                  px_slice_text("--lr"), px_slice_text("0.1")};
        struct px_variable env[] = {{px_slice_text("PATH"), px_slice_text("/usr/bin:/bin")},
                                    {px_slice_text("LANG"), px_slice_text("C.UTF-8")}};
        struct px_spec spec = {.argv = argv,
                               .argv_count = 4,
                               .env = env,
                               .env_count = 2,
                               .cwd = px_slice_text("/home/ana/work")};

        *bench = (struct bench){0};
        bench->fences = px_alloc((jobs + 2) * sizeof(*bench->fences));
        bench->assigned = px_alloc((jobs + 2) * sizeof(*bench->assigned));
        bench->core = core_new(&(struct core_options){.epoch = 1,
                                                      .heartbeat_ms = 2000,
                                                      .lease_ms = 14000,
                                                      .session_ms = 90000000,
                                                      .assign_repeat_ms = 3000,
                                                      .jobs_max = PX_LIMIT_JOBS});
        core_load_end(bench->core, 1700000000000);
        px_spec_encode(&spec, &bench->spec);
        FRAME(bench, 0, bootstrap, &bootstrap, 0);
        step(bench, CORE_FROM_SHELL, 1);
        FRAME(bench, 0, client_hello, &hello, 0);
        step(bench, CORE_FROM_CLIENT, 1);
        PX_ASSERT(px_m_client_welcome_decode(sent(bench, PX_M_CLIENT_WELCOME), &arena, &welcome) ==
                  PX_WIRE_OK);
        bench->session = welcome.session;
        px_arena_fini(&arena);
}

static void bench_node(struct bench *bench, uint32_t cpus)
{
        struct px_m_node_hello hello = {.name = px_slice_text("n1"),
                                        .kind = PX_NODE_KIND_NODE,
                                        .boot = px_slice_text("0123456789abcdef"),
                                        .spool = px_slice_text("0123456789abcdef"),
                                        .cpus_milli = cpus * 1000,
                                        .accounts = px_slice_text("map")};
        struct px_m_node_welcome welcome;
        struct px_arena arena = {0};

        FRAME(bench, 0, node_hello, &hello, 0);
        step(bench, CORE_FROM_NODE, 1);
        PX_ASSERT(px_m_node_welcome_decode(sent(bench, PX_M_NODE_WELCOME), &arena, &welcome) ==
                  PX_WIRE_OK);
        bench->node_session = welcome.session;
        px_arena_fini(&arena);
}

static void bench_close(struct bench *bench)
{
        core_free(bench->core);
        core_output_fini(&bench->output);
        for (size_t i = 0; i < BATCH_COMMANDS; i++)
                px_buf_fini(&bench->frames[i]);
        px_buf_fini(&bench->spec);
        px_free(bench->fences);
        px_free(bench->assigned);
}

/* Frames are made outside the measured time. */
static double submit(struct bench *bench, size_t jobs, size_t per_message)
{
        struct px_submit_job *items = px_alloc(per_message * sizeof(*items));
        double spent_s = 0;

        for (size_t i = 0; i < per_message; i++)
                items[i] = (struct px_submit_job){.kind = PX_JOB_KIND_COMMAND,
                                                  .cpus_milli = 1000,
                                                  .on_lost = PX_ON_LOST_RERUN,
                                                  .spec = px_buf_slice(&bench->spec)};
        for (size_t done = 0; done < jobs;) {
                size_t count = 0;
                double start_s;

                for (; count < BATCH_COMMANDS && done < jobs; count++, done += per_message) {
                        struct px_m_submit message = {.session = bench->session,
                                                      .done_below = bench->number + 1,
                                                      .jobs = items,
                                                      .jobs_count = per_message};

                        bench->number++;
                        FRAME(bench, count, submit, &message, bench->number);
                }
                start_s = now_s();
                step(bench, CORE_FROM_CLIENT, count);
                spent_s += now_s() - start_s;
        }
        px_free(items);
        return spent_s;
}

/* The node answers each step's assignments with ACCEPT, STARTED and RESULT in three messages. */
static double run_all(struct bench *bench, size_t jobs)
{
        struct px_accept *accepts = px_alloc(jobs * sizeof(*accepts));
        struct px_started *started = px_alloc(jobs * sizeof(*started));
        struct px_result *results = px_alloc(jobs * sizeof(*results));
        double spent_s = 0;

        while (bench->assigned_count > 0) {
                size_t count = PX_MIN(bench->assigned_count, (size_t)PX_LIMIT_BATCH_ITEMS);
                double start_s;

                for (size_t i = 0; i < count; i++) {
                        struct px_job_id job = {bench->assigned[i]};
                        struct px_fence fence = bench->fences[job.value];

                        accepts[i] = (struct px_accept){.job = job, .fence = fence};
                        started[i] = (struct px_started){.job = job, .fence = fence};
                        results[i] = (struct px_result){.job = job,
                                                        .fence = fence,
                                                        .outcome = PX_OUTCOME_OK,
                                                        .progress_permille = -1};
                }
                FRAME(bench, 0, accept,
                      &((struct px_m_accept){bench->node_session, accepts, count}), 0);
                FRAME(bench, 1, started,
                      &((struct px_m_started){bench->node_session, started, count}), 0);
                FRAME(bench, 2, result,
                      &((struct px_m_result){bench->node_session, results, count}), 0);
                start_s = now_s();
                step(bench, CORE_FROM_NODE, 3);
                spent_s += now_s() - start_s;
        }
        px_free(accepts);
        px_free(started);
        px_free(results);
        return spent_s;
}

static double bench_submits(size_t jobs, size_t per_message)
{
        struct bench bench;
        double spent_s;

        bench_open(&bench, jobs);
        spent_s = submit(&bench, jobs, per_message);
        PX_ASSERT(core_jobs_count(bench.core) == jobs);
        bench_close(&bench);
        return (double)jobs / spent_s;
}

static double bench_cycles(size_t jobs)
{
        struct bench bench;
        double spent_s;

        bench_open(&bench, jobs);
        spent_s = submit(&bench, jobs, 64);
        bench_node(&bench, 2000);
        spent_s += run_all(&bench, jobs);
        PX_ASSERT(core_jobs_count(bench.core) == 0);
        bench_close(&bench);
        return (double)jobs / spent_s;
}

static double median(double a, double b, double c)
{
        double low = a < b ? a : b;
        double high = a < b ? b : a;

        return c < low ? low : c > high ? high : c;
}

int main(int argc, char **argv)
{
        size_t jobs = (argc > 1 ? strtoul(argv[1], NULL, 10) : 256000) / 4096 * 4096;
        double submits[RUNS], singles[RUNS], cycles[RUNS];

        if (jobs == 0) {
                fprintf(stderr, "usage: bench_core [jobs], at least 4096\n");
                return 2;
        }
        for (int i = 0; i < RUNS; i++) {
                submits[i] = bench_submits(jobs, 64);
                singles[i] = bench_submits(jobs, 1);
                cycles[i] = bench_cycles(jobs);
        }
        printf("core submits, 64 in a message     %8.0f /s\n",
               median(submits[0], submits[1], submits[2]));
        printf("core submits, 1 in a message      %8.0f /s\n",
               median(singles[0], singles[1], singles[2]));
        printf("core cycles (submit to result)    %8.0f /s\n",
               median(cycles[0], cycles[1], cycles[2]));
        return 0;
}
