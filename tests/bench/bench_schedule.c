/* SPDX-License-Identifier: Apache-2.0 */
/* bench_schedule.c - what deciding alone costs: which job goes where next, nothing written or said.
 * usage: bench_schedule [shapes [nodes [decisions]]] | bench_schedule fair
 *
 * A full mesh in its steady state: an attempt ends on some node, its room goes to the best job that
 * fits, and the job that ended stands in its line once more. Shapes ask for 0.5 to 8 cpus, one in four for memory, one in eight
 * for a gpu, one in eight for a label, one in sixteen for a resource. Prints tab-separated rows
 * "figure, value, unit", by processor time; every decision goes through claim_next() and claim_take(), as in a broker. */
#include "state.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define JOBS_OF_NODE 40 /* so that no line runs out */
#define USERS 2

struct bench {
        struct core *core;
        struct core_output output;
        struct px_rand rand;
        struct job **held; /* jobs on nodes */
        size_t held_count;
        size_t shapes;
};

static double now_s(void)
{
        struct timespec time;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
        return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void make_users(struct bench *bench)
{
        char name[16];
        uint8_t key[32] = {0};

        for (uint32_t i = 1; i <= USERS + 1; i++) {
                snprintf(name, sizeof(name), "u%u", i);
                key[0] = (uint8_t)i;
                principal_make(bench->core, &(struct px_principal_row){
                                                    .name = px_slice_text(name),
                                                    .role = i == 1 ? PX_ROLE_NODE : PX_ROLE_USER,
                                                    .public_key = px_slice_of(key, sizeof(key))});
        }
}

static void make_node(struct bench *bench, uint32_t id)
{
        static const struct px_label labels[] = {{{(const uint8_t *)"zone", 4},
                                                  {(const uint8_t *)"a", 1}}};
        static const struct px_resource resources[] = {{{(const uint8_t *)"disk", 4}, 4}};
        static const uint8_t zero[CORE_ID_BYTES];
        char name[16];
        struct node *node;

        snprintf(name, sizeof(name), "n%u", id);
        node = node_new(bench->core, id,
                        &(struct px_node_row){.name = px_slice_text(name),
                                              .kind = PX_NODE_KIND_NODE,
                                              .principal = {1},
                                              .boot = px_slice_of(zero, CORE_ID_BYTES),
                                              .spool = px_slice_of(zero, CORE_ID_BYTES)});
        node->cpus_milli = 16000;
        node->memory_bytes = 64ull << 30;
        node->gpus = id % 4 == 0 ? 4 : 0;
        node->labels = labels;
        node->labels_count = id % 2;
        node->resources = resources;
        node->resources_count = 1;
        node->resources_used = px_arena_alloc(&node->about, sizeof(uint64_t));
        node->connected = true;
        node->alive = true;
        node->described = true;
        seats_build(bench->core, node);
}

static uint32_t make_shape(struct bench *bench, uint32_t number)
{
        static const struct px_slice zone = {(const uint8_t *)"a", 1};
        static const struct px_constraint in_zone = {{(const uint8_t *)"zone", 4},
                                                     PX_CONSTRAINT_OP_EQUAL, &zone, 1};
        static const struct px_resource disk = {{(const uint8_t *)"disk", 4}, 1};
        static const uint32_t cpus_milli[] = {500, 1000, 1000, 2000, 4000, 8000};
        struct px_shape_row row = {
                .kind = PX_JOB_KIND_COMMAND,
                .cpus_milli = bench->shapes == USERS ? 1000
                                                     : cpus_milli[number % PX_COUNT_OF(cpus_milli)],
                .memory_bytes = number % 4 == 0 ? (1ull + number % 7) << 30 : number,
                .gpus_milli = bench->shapes > USERS && number % 8 == 1 ? 1000 : 0,
                .constraints = &in_zone,
                .constraints_count = number % 8 == 2,
                .resources = &disk,
                .resources_count = number % 16 == 3,
        };

        return shape_intern(bench->core, &row)->id;
}

/* A job that stands in its line, made without rows. */
static void stand(struct bench *bench, uint32_t shape, uint32_t owner)
{
        struct job *job = job_new(bench->core, bench->core->next_job++);

        job->owner = owner;
        job->shape = shape;
        job->state = PX_JOB_STATE_QUEUED;
        job->reason = PX_REASON_NONE;
        principal_find(bench->core, owner)->jobs_count++;
        shape_hold(bench->core, job);
        line_add(bench->core, job);
}

/* All that fits is given out; returns how many. */
static size_t decide(struct bench *bench)
{
        struct core *core = bench->core;
        struct claim claim;
        size_t count = 0;

        while (claim_next(core, &claim)) {
                struct job *job = claim.job;

                job->fence.attempt++;
                claim_take(core, &claim);
                job->state = PX_JOB_STATE_RUNNING;
                core->state_counts[PX_JOB_STATE_RUNNING]++;
                bench->held[bench->held_count++] = job;
                count++;
        }
        return count;
}

static void end_one(struct bench *bench)
{
        size_t at = px_rand_below(&bench->rand, bench->held_count);
        struct job *job = bench->held[at];

        bench->held[at] = bench->held[--bench->held_count];
        bench->core->state_counts[PX_JOB_STATE_RUNNING]--;
        attempt_free(bench->core, job->attempt);
        job->state = PX_JOB_STATE_QUEUED;
        line_add(bench->core, job);
}

static void bench_open(struct bench *bench, uint32_t shapes, uint32_t nodes)
{
        *bench = (struct bench){.shapes = shapes};
        px_rand_init(&bench->rand, 7);
        bench->held = px_alloc(((size_t)nodes * 64 + 64) * sizeof(*bench->held));
        bench->core = core_new(&(struct core_options){.epoch = 1,
                                                      .lease_ms = 14000,
                                                      .session_ms = 90000000,
                                                      .assign_repeat_ms = 3000,
                                                      .jobs_max = PX_LIMIT_JOBS});
        core_load_end(bench->core, 1700000000000);
        bench->core->output = &bench->output;
        make_users(bench);
        for (uint32_t i = 1; i <= nodes; i++)
                make_node(bench, i);
        for (uint32_t i = 0; i < shapes; i++) {
                uint32_t shape = make_shape(bench, i);

                for (uint32_t j = 0; j < 4 + JOBS_OF_NODE * nodes / shapes; j++)
                        stand(bench, shape, 2 + i % USERS);
        }
}

static void bench_run(uint32_t shapes, uint32_t nodes, size_t wanted)
{
        struct bench bench;
        size_t decisions = 0;
        size_t ends = 0;
        double began, took;

        bench_open(&bench, shapes, nodes);
        began = now_s();
        decisions = decide(&bench);
        took = now_s() - began;
        printf("%u shapes, %u nodes: fill\t%.0f\tdecisions/s\n", shapes, nodes,
               (double)decisions / took);
        decisions = 0;
        began = now_s();
        while (decisions < wanted) {
                end_one(&bench);
                ends++;
                bench.core->core_ms += ends % 100 == 0;
                decisions += decide(&bench);
        }
        took = now_s() - began;
        printf("%u shapes, %u nodes: steady\t%.0f\tdecisions/s\n", shapes, nodes,
               (double)decisions / took);
        check_schedule(bench.core);
        core_output_fini(&bench.output);
        _Exit(fflush(stdout) != 0); /* jobs on nodes have no rows: nothing to take apart */
}

/* Two users with weights 1 and 3 and endless work of equal kind: who gets how much of 10,000 jobs. */
static void bench_fair(void)
{
        struct bench bench;
        size_t given[USERS] = {0};
        size_t decisions = 0;

        bench_open(&bench, 2, 16);
        for (uint32_t i = 0; i < USERS; i++)
                gate_new(bench.core, &(struct px_gate){
                                             .kind = PX_GATE_KIND_USER,
                                             .name = px_slice_text(i == 0 ? "u2" : "u3"),
                                             .weight = i == 0 ? 1 : 3});
        decide(&bench);
        while (decisions < 10000) {
                size_t before = bench.held_count - 1;

                bench.core->core_ms += 1 + (int64_t)px_rand_below(&bench.rand, 20);
                end_one(&bench);
                for (decisions += decide(&bench); before < bench.held_count; before++)
                        given[bench.held[before]->owner - 2]++;
        }
        for (uint32_t i = 0; i < USERS; i++)
                printf("user of weight %d\t%.2f\t%% of %zu jobs\n", i == 0 ? 1 : 3,
                       100.0 * (double)given[i] / (double)(given[0] + given[1]),
                       given[0] + given[1]);
        check_schedule(bench.core);
        core_output_fini(&bench.output);
        _Exit(fflush(stdout) != 0);
}

int main(int argc, char **argv)
{
        uint32_t shapes = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 100;
        uint32_t nodes = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1000;
        size_t decisions = argc > 3 ? strtoull(argv[3], NULL, 10) : 1000000;

        if (argc == 2 && strcmp(argv[1], "fair") == 0)
                bench_fair();
        PX_ASSERT(shapes > 0 && nodes > 0 && nodes <= PX_LIMIT_NODES);
        bench_run(shapes, nodes, decisions);
        return 0;
}
