/* SPDX-License-Identifier: Apache-2.0 */
/* test_traces.c - the cluster's decisions, told as stories: what is committed when, to the
 * millisecond of virtual time. */
#include "sim.h"
#include "test.h"

static void sim_end(void *context)
{
        sim_free(context);
}

static struct sim *sim_start(uint32_t nodes, uint32_t workers)
{
        struct sim *sim = sim_new(&(struct sim_options){
                .seed = 7, .nodes = nodes, .workers = workers, .node_lease_ms = 5000});

        test_cleanup(sim_end, sim);
        sim_run_until_ms(sim, 1000);
        (void)sim_trace(sim);
        return sim;
}

#define EXPECT_TRACE(sim, expected) EXPECT_TEXT(sim_trace(sim), expected)

TEST(a_job_is_given_out_runs_and_ends)
{
        struct sim *sim = sim_start(1, 0);

        sim_submit(sim, &(struct sim_job){.run_ms = 200, .out_bytes = 100});
        sim_run_until_ms(sim, 3000);
        EXPECT_TRACE(sim, "[ 1000] j1 job.submitted\n"
                          "[ 1000] j1 job.assigned, attempt 1 on n1 (given to node n1)\n"
                          "[ 1000] j1 job.started, attempt 1 on n1 (running on n1)\n"
                          "[ 1200] j1 job.ok, attempt 1 on n1 (exit 0 on n1)\n");
}

TEST(a_job_of_a_silent_node_runs_again_elsewhere)
{
        struct sim *sim = sim_start(2, 0);

        sim_submit(sim, &(struct sim_job){.run_ms = 20000});
        sim_run_until_ms(sim, 1500);
        sim_cut(sim, 1);
        sim_run_until_ms(sim, 9000);
        EXPECT_TRACE(sim, "[ 1000] j1 job.submitted\n"
                          "[ 1000] j1 job.assigned, attempt 1 on n1 (given to node n1)\n"
                          "[ 1000] j1 job.started, attempt 1 on n1 (running on n1)\n"
                          "[ 6000] node.lost on n1 (silent for its lease)\n"
                          "[ 6000] j1 job.retrying, attempt 1 on n1 (node n1 became unreachable)\n"
                          "[ 6000] j1 job.assigned, attempt 2 on n2 (given to node n2)\n"
                          "[ 6000] j1 job.started, attempt 2 on n2 (running on n2)\n");
        EXPECT_INT(sim_processes(sim, 1), 1); /* nothing is killed for silence */
        EXPECT_INT(sim_processes(sim, 2), 1);
        sim_heal(sim, 1);
        sim_run_until_ms(sim, 30000);
        EXPECT_INT(sim_processes(sim, 1), 0); /* it learned that it was overtaken */
        EXPECT_TRACE(sim, "[10062] node.up on n1\n"
                          "[26000] j1 job.ok, attempt 2 on n2 (exit 0 on n2)\n");
}

TEST(a_job_that_may_run_once_waits_for_its_silent_node_and_gives_up_there)
{
        struct sim *sim = sim_start(2, 0);

        sim_submit(sim, &(struct sim_job){.run_ms = 60000,
                                          .on_lost = PX_ON_LOST_FAIL,
                                          .lost_after_ms = 10000});
        sim_run_until_ms(sim, 1500);
        sim_cut(sim, 1);
        sim_run_until_ms(sim, 40000);
        EXPECT_INT(sim_processes(sim, 1), 0);
        EXPECT_INT(sim_processes(sim, 2), 0);
        EXPECT_TRACE(sim, "[ 1000] j1 job.submitted\n"
                          "[ 1000] j1 job.assigned, attempt 1 on n1 (given to node n1)\n"
                          "[ 1000] j1 job.started, attempt 1 on n1 (running on n1)\n"
                          "[ 6000] node.lost on n1 (silent for its lease)\n"
                          "[ 6000] j1 job.unreachable, attempt 1 on n1 (node n1 is unreachable; "
                          "given up in 10.0 s)\n"
                          "[16000] j1 job.lost, attempt 1 on n1 (node n1 lost the attempt)\n");
}

TEST(a_broker_that_crashes_finds_its_jobs_running)
{
        struct sim *sim = sim_start(1, 0);

        sim_submit(sim, &(struct sim_job){.run_ms = 4000});
        sim_run_until_ms(sim, 2000);
        sim_crash_broker(sim, true);
        sim_run_until_ms(sim, 3000);
        sim_start_broker(sim);
        sim_run_until_ms(sim, 9000);
        EXPECT_TRACE(sim, "[ 1000] j1 job.submitted\n"
                          "[ 1000] j1 job.assigned, attempt 1 on n1 (given to node n1)\n"
                          "[ 1000] j1 job.started, attempt 1 on n1 (running on n1)\n"
                          "[ 3000] broker.started (epoch 2)\n"
                          "[ 4001] node.up on n1\n"
                          "[ 5000] j1 job.ok, attempt 1 on n1 (exit 0 on n1)\n");
}

TEST(a_link_that_crashes_finds_its_attempts_in_the_spool)
{
        struct sim *sim = sim_start(1, 0);

        sim_submit(sim, &(struct sim_job){.run_ms = 1000});
        sim_submit(sim, &(struct sim_job){.run_ms = 5000});
        sim_run_until_ms(sim, 1500);
        sim_crash_link(sim, 1);
        sim_run_until_ms(sim, 3000);
        sim_start_link(sim, 1);
        sim_run_until_ms(sim, 9000);
        EXPECT_TRACE(sim, "[ 1000] j1 job.submitted\n"
                          "[ 1000] j1 job.assigned, attempt 1 on n1 (given to node n1)\n"
                          "[ 1000] j1 job.started, attempt 1 on n1 (running on n1)\n"
                          "[ 1000] j2 job.submitted\n"
                          "[ 1000] j2 job.assigned, attempt 1 on n1 (given to node n1)\n"
                          "[ 1000] j2 job.started, attempt 1 on n1 (running on n1)\n"
                          "[ 3000] j1 job.ok, attempt 1 on n1 (exit 0 on n1)\n"
                          "[ 6000] j2 job.ok, attempt 1 on n1 (exit 0 on n1)\n");
}

TEST(a_machine_that_restarts_has_lost_what_ran)
{
        struct sim *sim = sim_start(1, 0);

        sim_submit(sim, &(struct sim_job){.run_ms = 3000});
        sim_submit(sim, &(struct sim_job){.run_ms = 3000, .on_lost = PX_ON_LOST_FAIL});
        sim_run_until_ms(sim, 2000);
        sim_crash_machine(sim, 1);
        sim_run_until_ms(sim, 9000);
        EXPECT_TRACE(sim, "[ 1000] j1 job.submitted\n"
                          "[ 1000] j1 job.assigned, attempt 1 on n1 (given to node n1)\n"
                          "[ 1000] j1 job.started, attempt 1 on n1 (running on n1)\n"
                          "[ 1000] j2 job.submitted\n"
                          "[ 1000] j2 job.assigned, attempt 1 on n1 (given to node n1)\n"
                          "[ 1000] j2 job.started, attempt 1 on n1 (running on n1)\n"
                          "[ 2000] j1 job.retrying, attempt 1 on n1 (node n1 was restarted)\n"
                          "[ 2000] j2 job.lost, attempt 1 on n1 (node n1 was restarted)\n"
                          "[ 2000] j1 job.assigned, attempt 2 on n1 (given to node n1)\n"
                          "[ 2000] j1 job.started, attempt 2 on n1 (running on n1)\n"
                          "[ 5000] j1 job.ok, attempt 2 on n1 (exit 0 on n1)\n");
}

TEST(a_keeper_that_dies_costs_its_job_one_attempt)
{
        struct sim *sim = sim_start(1, 0);

        sim_submit(sim, &(struct sim_job){.run_ms = 2000});
        sim_run_until_ms(sim, 2000);
        sim_keeper_dies(sim, 1);
        sim_run_until_ms(sim, 9000);
        EXPECT_TRACE(sim, "[ 1000] j1 job.submitted\n"
                          "[ 1000] j1 job.assigned, attempt 1 on n1 (given to node n1)\n"
                          "[ 1000] j1 job.started, attempt 1 on n1 (running on n1)\n"
                          "[ 2000] j1 job.retrying, attempt 1 on n1 (its keeper died on n1)\n"
                          "[ 2000] j1 job.assigned, attempt 2 on n1 (given to node n1)\n"
                          "[ 2000] j1 job.started, attempt 2 on n1 (running on n1)\n"
                          "[ 4000] j1 job.ok, attempt 2 on n1 (exit 0 on n1)\n");
}

TEST(a_cancel_is_done_when_nothing_of_the_job_is_alive)
{
        struct sim *sim = sim_start(1, 0);
        uint64_t job = sim_submit(sim, &(struct sim_job){.run_ms = 60000});

        sim_run_until_ms(sim, 2000);
        sim_change(sim, PX_CHANGE_CANCEL, job);
        sim_run_until_ms(sim, 3000);
        EXPECT_INT(sim_processes(sim, 1), 0);
        EXPECT_TRACE(sim, "[ 1000] j1 job.submitted\n"
                          "[ 1000] j1 job.assigned, attempt 1 on n1 (given to node n1)\n"
                          "[ 1000] j1 job.started, attempt 1 on n1 (running on n1)\n"
                          "[ 2000] j1 job.cancelling, attempt 1 on n1 (being ended on n1)\n"
                          "[ 2000] j1 job.cancelled, attempt 1 on n1 (cancelled)\n");
}

TEST(a_cancel_waits_for_a_node_that_cannot_be_reached)
{
        struct sim *sim = sim_start(1, 0);
        uint64_t job = sim_submit(sim, &(struct sim_job){.run_ms = 60000});

        sim_run_until_ms(sim, 2000);
        sim_cut(sim, 1);
        sim_change(sim, PX_CHANGE_CANCEL, job);
        sim_run_until_ms(sim, 12000);
        EXPECT_INT(sim_processes(sim, 1), 1);
        sim_heal(sim, 1);
        sim_run_until_ms(sim, 30000);
        EXPECT_INT(sim_processes(sim, 1), 0);
        EXPECT_TRACE(sim, "[ 1000] j1 job.submitted\n"
                          "[ 1000] j1 job.assigned, attempt 1 on n1 (given to node n1)\n"
                          "[ 1000] j1 job.started, attempt 1 on n1 (running on n1)\n"
                          "[ 2000] j1 job.cancelling, attempt 1 on n1 (being ended on n1)\n"
                          "[ 6000] node.lost on n1 (silent for its lease)\n"
                          "[ 6000] j1 job.unreachable, attempt 1 on n1 (node n1 is unreachable; "
                          "given up in 3600.0 s)\n"
                          "[12010] node.up on n1\n"
                          "[12010] j1 job.adopted, attempt 1 on n1 (being ended on n1)\n"
                          "[12010] j1 job.cancelled, attempt 1 on n1 (cancelled)\n");
}

TEST(a_failed_job_is_repeated_as_often_as_it_may)
{
        struct sim *sim = sim_start(1, 0);

        sim_submit(sim,
                   &(struct sim_job){.run_ms = 100, .outcome = PX_OUTCOME_FAILED, .retries = 2});
        sim_run_until_ms(sim, 9000);
        EXPECT_TRACE(sim, "[ 1000] j1 job.submitted\n"
                          "[ 1000] j1 job.assigned, attempt 1 on n1 (given to node n1)\n"
                          "[ 1000] j1 job.started, attempt 1 on n1 (running on n1)\n"
                          "[ 1100] j1 job.retrying, attempt 1 on n1 (exit 2 on n1)\n"
                          "[ 1100] j1 job.assigned, attempt 2 on n1 (given to node n1)\n"
                          "[ 1100] j1 job.started, attempt 2 on n1 (running on n1)\n"
                          "[ 1200] j1 job.retrying, attempt 2 on n1 (exit 2 on n1)\n"
                          "[ 1200] j1 job.assigned, attempt 3 on n1 (given to node n1)\n"
                          "[ 1200] j1 job.started, attempt 3 on n1 (running on n1)\n"
                          "[ 1300] j1 job.failed, attempt 3 on n1 (exit 2 on n1)\n");
}

TEST(a_held_job_waits_for_its_release)
{
        struct sim *sim = sim_start(1, 0);
        uint64_t job = sim_submit(sim, &(struct sim_job){.run_ms = 100, .hold = true});

        sim_run_until_ms(sim, 2000);
        sim_change(sim, PX_CHANGE_RELEASE, job);
        sim_run_until_ms(sim, 3000);
        EXPECT_TRACE(sim, "[ 1000] j1 job.submitted (held until it is released)\n"
                          "[ 2000] j1 job.queued (waits for its turn)\n"
                          "[ 2000] j1 job.assigned, attempt 1 on n1 (given to node n1)\n"
                          "[ 2000] j1 job.started, attempt 1 on n1 (running on n1)\n"
                          "[ 2100] j1 job.ok, attempt 1 on n1 (exit 0 on n1)\n");
}

TEST(a_task_moves_from_a_worker_that_dies_to_another)
{
        struct sim *sim = sim_start(0, 2);

        sim_submit(sim, &(struct sim_job){.run_ms = 3000, .task_type = "resize"});
        sim_run_until_ms(sim, 2000);
        sim_crash_link(sim, 1);
        sim_run_until_ms(sim, 20000);
        EXPECT_TRACE(sim, "[ 1000] j1 job.submitted\n"
                          "[ 1000] j1 job.assigned, attempt 1 on w (given to node w)\n"
                          "[ 1000] j1 job.started, attempt 1 on w (running on w)\n"
                          "[ 6000] node.lost on w (silent for its lease)\n"
                          "[ 6000] j1 job.retrying, attempt 1 on w (node w became unreachable)\n"
                          "[ 6000] j1 job.assigned, attempt 2 on w-2 (given to node w-2)\n"
                          "[ 6000] j1 job.started, attempt 2 on w-2 (running on w-2)\n"
                          "[ 9000] j1 job.ok, attempt 2 on w-2 (exit 0 on w-2)\n");
}
