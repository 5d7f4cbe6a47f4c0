/* SPDX-License-Identifier: Apache-2.0 */
/* test_keeper_kill.c - nothing of a job survives its end, in every way of killing there is. */
#include "keeper_tool.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static struct rig rig_room;
static struct rig *const rig = &rig_room;

/* Twenty grandchildren that leave their session and ignore SIGTERM; each says so with one byte. */
#define HOSTILE                                                                                    \
        "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do "                         \
        "setsid sh -c 'trap \"\" TERM HUP INT; printf x; while :; do sleep 100; done' %s & "       \
        "done; wait"

static void hostile_start(const char *mode, char mark[64])
{
        static char script[512];

        rig_open(rig, mode);
        snprintf(mark, 64, "mark-%d-%s", (int)getpid(), mode == NULL ? "any" : mode);
        snprintf(script, sizeof(script), HOSTILE, mark);
        rig_script(rig, script);
        rig_start(rig);
        rig_until_out(rig, 20);
        EXPECT(mark_alive(mark));
}

static void hostile_cancel(const char *mode)
{
        char mark[64];

        hostile_start(mode, mark);
        rig_send(rig, CTL_KILL, 50, PX_KILL_WHY_CANCEL);
        rig_until_ended(rig);
        EXPECT(!mark_alive(mark));
        EXPECT_INT(rig->result.outcome, PX_OUTCOME_CANCELLED);
        EXPECT(rig->tree.kill[0] == '\0' || group_empty(rig->tree.kill));
}

TEST(a_hostile_tree_is_gone_after_cancel_with_cgroup2)
{
        if (rig_has_mode("cgroup2"))
                hostile_cancel("cgroup2");
}

TEST(a_hostile_tree_is_gone_after_cancel_with_cgroup1)
{
        if (rig_has_mode("cgroup1"))
                hostile_cancel("cgroup1");
}

TEST(a_hostile_tree_is_gone_after_cancel_with_a_process_namespace)
{
        if (rig_has_mode("pidns"))
                hostile_cancel("pidns");
}

TEST(a_hostile_tree_is_gone_after_cancel_with_the_subreaper_alone)
{
        hostile_cancel("subreaper");
}

TEST(a_slot_can_be_used_again_after_its_job_was_killed)
{
        rig_open(rig, NULL);
        for (int i = 0; i < 3; i++) {
                rig->key.job.value++;
                rig->ended = rig->started = false;
                rig_script(rig, "trap '' TERM; echo up; while :; do sleep 100; done");
                rig_start(rig);
                rig_until_started(rig);
                rig_send(rig, CTL_KILL, 1, PX_KILL_WHY_CANCEL);
                rig_until_ended(rig);
                EXPECT_INT(rig->result.outcome, PX_OUTCOME_CANCELLED);
                close(rig->dir_fd);
                rig->dir_fd = -1;
                rig->key.job.value++;
                rig->ended = false;
                rig_run(rig, "exit 3");
                EXPECT_INT(rig->result.outcome, PX_OUTCOME_FAILED);
                EXPECT_INT(rig->result.exit_code, 3);
                close(rig->dir_fd);
                rig->dir_fd = -1;
        }
}

TEST(what_outlives_the_first_process_is_ended)
{
        char mark[64];
        char script[256];

        rig_open(rig, NULL);
        snprintf(mark, sizeof(mark), "mark-%d-left", (int)getpid());
        snprintf(script, sizeof(script),
                 "setsid sh -c 'trap \"\" TERM; printf x; while :; do sleep 100; done' %s & "
                 "read x < /dev/null; exit 5",
                 mark);
        rig_run(rig, script);
        EXPECT_INT(rig->result.exit_code, 5);
        EXPECT_INT(rig->result.reason, PX_REASON_EXIT);
        EXPECT(!mark_alive(mark));
}

TEST(a_job_that_heeds_sigterm_has_its_grace)
{
        rig_open(rig, NULL);
        rig_script(rig, "trap 'echo bye; exit 9' TERM; echo ready; sleep 100 & wait");
        rig_start(rig);
        rig_until_out(rig, 6);
        rig_send(rig, CTL_KILL, 0, PX_KILL_WHY_CANCEL);
        rig_until_ended(rig);
        rig_expect_out(rig, "ready\nbye\n");
        EXPECT_INT(rig->result.outcome, PX_OUTCOME_CANCELLED);
        EXPECT_INT(rig->result.exit_code, 9);
}

/* ---- the keeper itself dies ----------------------------------------------------------------- */

static bool keeper_dead(void *context)
{
        (void)context;
        return !spool_lock_held(rig->dir_fd);
}

static bool tree_dead(void *context)
{
        struct spool_started started;

        EXPECT_INT(spool_started_read(rig->dir_fd, rig->key, &started), 0);
        if (started.group[0] == '\0')
                return group_kill_by_environment("7", "3.1") == 0 && !mark_alive(context);
        return group_kill(started.kill_mode, started.group) && !mark_alive(context);
}

static bool mark_dead(void *context)
{
        return !mark_alive(context);
}

static void keeper_dies(const char *mode)
{
        char mark[64];

        hostile_start(mode, mark);
        EXPECT(spool_lock_held(rig->dir_fd));
        kill(rig->keeper, SIGKILL);
        EXPECT(test_wait_until(10000, keeper_dead, NULL));
        EXPECT_INT(spool_exit_read(rig->dir_fd, rig->key, rig->boot, &rig->arena, &rig->result), -ENOENT);
        EXPECT(test_wait_until(10000, tree_dead, mark));
}

TEST(a_dead_keeper_shows_and_its_tree_can_be_ended_by_its_group)
{
        keeper_dies(NULL);
}

TEST(a_dead_keeper_shows_and_its_tree_can_be_found_by_its_environment)
{
        keeper_dies("subreaper");
}

TEST(a_dead_keeper_takes_the_namespace_of_its_job_along)
{
        char mark[64];

        if (!rig_has_mode("pidns"))
                return;
        hostile_start("pidns", mark);
        kill(rig->keeper, SIGKILL);
        EXPECT(test_wait_until(10000, keeper_dead, NULL));
        EXPECT(test_wait_until(10000, mark_dead, mark));
}

static bool keeper_listens(void *context)
{
        (void)context;
        return keeper_connect(rig->dir_fd, &rig->ctl_fd) == 0;
}

TEST(a_later_link_finds_the_keeper_and_is_told_all)
{
        rig_open(rig, NULL);
        rig_script(rig, "echo '0.5 half' >&3; trap 'exit 4' USR1; echo hello; sleep 100 & wait");
        rig_start(rig);
        rig_until_text(rig, "half");
        rig_until_out(rig, 6);
        close(rig->ctl_fd);
        rig->out = 0;
        rig->started = false;
        rig->text[0] = '\0';
        EXPECT(test_wait_until(10000, keeper_listens, NULL));
        rig_until_text(rig, "half");
        EXPECT(rig->started);
        EXPECT_U64(rig->out, 6);
        rig_send(rig, CTL_SIGNAL, 10, 0);
        rig_until_ended(rig);
        EXPECT_INT(rig->result.exit_code, 4);
}

TEST(a_job_ends_on_record_without_a_link)
{
        rig_open(rig, NULL);
        rig_script(rig, "echo alone; exit 6");
        rig_start(rig);
        close(rig->ctl_fd);
        rig->ctl_fd = -1;
        EXPECT(test_wait_until(10000, keeper_dead, NULL));
        EXPECT_INT(spool_exit_read(rig->dir_fd, rig->key, rig->boot, &rig->arena, &rig->result), 0);
        EXPECT_INT(rig->result.exit_code, 6);
        rig_expect_out(rig, "alone\n");
        /* No job and no link: the keeper leaves. */
        EXPECT_INT(waitpid(rig->keeper, NULL, 0), rig->keeper);
        test_spare(rig->keeper);
        rig->keeper = 0;
}

TEST(an_exit_record_that_a_power_cut_may_have_torn_from_its_output_is_not_trusted)
{
        uint8_t other_boot[SPOOL_ID_BYTES] = {1};

        rig_open(rig, NULL);
        rig_run(rig, "true");
        EXPECT_INT(spool_exit_read(rig->dir_fd, rig->key, other_boot, &rig->arena, &rig->result), -ENOENT);
        rig->key.job.value++;
        rig->ended = false;
        rig_script(rig, "true");
        rig->assign.on_lost = PX_ON_LOST_FAIL;
        rig_start(rig);
        rig_until_ended(rig);
        EXPECT_INT(spool_exit_read(rig->dir_fd, rig->key, other_boot, &rig->arena, &rig->result), 0);
}

TEST(a_fork_bomb_is_held_by_its_limit_and_ended_whole)
{
        char mark[64];
        char script[256];

        rig_open(rig, NULL);
        if (!rig->tree.pids_v2 && rig->tree.pids[0] == '\0') {
                printf("no pids controller here\n");
                return;
        }
        rig->pids_max = 64;
        snprintf(mark, sizeof(mark), "mark-%d-bomb", (int)getpid());
        snprintf(script, sizeof(script), "b() { while :; do b & done; }; b; : %s", mark);
        rig_script(rig, script);
        rig_start(rig);
        while (rig->err == 0 && !rig->ended) /* a shell that can't fork says so */
                rig_hear(rig, 100);
        rig_send(rig, CTL_KILL, 50, PX_KILL_WHY_CANCEL);
        rig_until_ended(rig);
        EXPECT(!mark_alive(mark));
}

TEST(an_orphan_of_an_orphan_that_holds_the_output_open_is_ended_with_its_job)
{
        char mark[64];
        char script[256];

        rig_open(rig, NULL);
        snprintf(mark, sizeof(mark), "mark-%d-orphan", (int)getpid());
        snprintf(script, sizeof(script),
                 "(setsid sh -c '(trap \"\" TERM HUP; echo held; exec sh -c \"sleep 1000; : %s\") &' &) ; "
                 "read x < /dev/null; exit 4",
                 mark);
        rig_run(rig, script);
        rig_expect_out(rig, "held\n");
        EXPECT_INT(rig->result.exit_code, 4);
        EXPECT(!mark_alive(mark));
}

TEST(a_memory_limit_is_enforced_and_named_where_there_is_one)
{
        rig_open(rig, NULL);
        if (!rig->tree.memory_v2 && rig->tree.memory[0] == '\0') {
                printf("no memory controller here\n");
                return;
        }
        rig_script(rig, "exec python3 -c 'x = bytearray(300 << 20)'");
        rig->assign.memory_bytes = 64 << 20;
        rig_start(rig);
        rig_until_ended(rig);
        EXPECT_INT(rig->result.outcome, PX_OUTCOME_FAILED);
        EXPECT_INT(rig->result.reason, PX_REASON_MEMORY);
        EXPECT_INT(rig->result.use.memory_how, 1);
}
