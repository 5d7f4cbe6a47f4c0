/* SPDX-License-Identifier: Apache-2.0 */
/* test_node.c - plexus-node with its keepers: what a broker hears, and what survives what. */
#include "node_tool.h"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct peer peer_room;
static struct peer *const peer = &peer_room;

static size_t spool_count(const char *folder)
{
        char path[256];
        struct dirent *item;
        size_t count = 0;
        DIR *dir;

        snprintf(path, sizeof(path), "%s/n/spool/%s", peer->dir, folder);
        dir = opendir(path);
        EXPECT(dir != NULL);
        while ((item = readdir(dir)) != NULL)
                count += item->d_name[0] != '.';
        closedir(dir);
        return count;
}

static void gate_make(void)
{
        char path[256];

        snprintf(path, sizeof(path), "%s/gate", peer->dir);
        EXPECT_INT(mkfifo(path, 0600), 0);
}

/* The job that waits at the gate goes on. */
static void gate_open(void)
{
        char path[256];
        int fd;

        snprintf(path, sizeof(path), "%s/gate", peer->dir);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        EXPECT(fd >= 0);
        close(fd);
}

TEST(a_job_runs_and_its_log_is_stored_before_its_result)
{
        char line[128] = "";
        struct peer_job *job;

        peer_open(peer);
        EXPECT(read(peer->ready_fd, line, sizeof(line) - 1) > 0);
        EXPECT_TEXT(line, "READY node=n1 session=1\n");
        job = peer_assign(peer, "echo out; echo err >&2; echo '0.5 half' >&3; exit 3",
                          PX_ON_LOST_RERUN);
        PEER_UNTIL(peer, job->ended);
        EXPECT(job->logged);
        EXPECT(job->result.use.started_wall_ms > 0);
        EXPECT_INT(job->result.outcome, PX_OUTCOME_FAILED);
        EXPECT_INT(job->result.exit_code, 3);
        EXPECT_INT(job->result.progress_permille, 500);
        EXPECT_U64(job->result.log_pending_bytes, 0);
        EXPECT_BYTES(px_buf_slice(&job->log[PX_STREAM_OUT]), px_slice_text("out\n"));
        EXPECT_BYTES(px_buf_slice(&job->log[PX_STREAM_ERR]), px_slice_text("err\n"));
        PEER_UNTIL(peer, spool_count("a") == 0);
}

TEST(output_and_progress_arrive_while_the_job_runs)
{
        struct peer_job *job;

        peer_open(peer);
        gate_make();
        job = peer_assign(peer, "echo hello; echo '10% going' >&3; read x < gate",
                          PX_ON_LOST_RERUN);
        PEER_UNTIL(peer, job->log[PX_STREAM_OUT].length == 6);
        PEER_UNTIL(peer, job->progress.permille == 100);
        EXPECT(!job->ended);
        gate_open();
        PEER_UNTIL(peer, job->ended);
}

TEST(ten_megabytes_arrive_whole)
{
        struct peer_job *job;

        peer_open(peer);
        job = peer_assign(peer, "head -c 10000000 /dev/zero | tr '\\000' y", PX_ON_LOST_RERUN);
        PEER_UNTIL(peer, job->ended);
        EXPECT(job->logged);
        EXPECT_U64(job->log[PX_STREAM_OUT].length, 10000000);
        for (size_t i = 0; i < 10000000; i++)
                if (job->log[PX_STREAM_OUT].data[i] != 'y')
                        test_fail(__FILE__, __LINE__, "byte %zu", i);
}

TEST(a_capped_log_arrives_with_its_head_and_tail_and_nothing_between)
{
        struct peer_job *job;
        const uint8_t *out;

        peer_open(peer);
        peer->log_bytes = 1000;
        job = peer_assign(peer, "head -c 3000000 /dev/zero | tr '\\000' z; printf '%10s' end",
                          PX_ON_LOST_RERUN);
        PEER_UNTIL(peer, job->ended);
        EXPECT(job->logged);
        EXPECT_U64(job->log[PX_STREAM_OUT].length, 3000010);
        EXPECT(peer->received_bytes < 1000 + 2 * PX_LIMIT_LOG_TAIL_BYTES);
        out = job->log[PX_STREAM_OUT].data;
        EXPECT_INT(out[999], 'z');
        EXPECT_INT(out[1000], 0);
        EXPECT_INT(out[3000010 - PX_LIMIT_LOG_TAIL_BYTES - 1], 0);
        EXPECT_INT(out[3000010 - PX_LIMIT_LOG_TAIL_BYTES], 'z');
        EXPECT_BYTES(px_slice_of(out + 3000000, 10), px_slice_text("       end"));
}

TEST(a_program_that_is_not_there_is_told)
{
        struct peer_job *job;

        peer_open(peer);
        job = peer_assign(peer, "exec /no/such/program", PX_ON_LOST_RERUN);
        PEER_UNTIL(peer, job->ended);
        EXPECT_INT(job->result.exit_code, 127);
}

TEST(a_cancelled_job_is_gone_when_its_result_says_so)
{
        struct peer_job *job;

        peer_open(peer);
        job = peer_assign(peer, "trap '' TERM; echo ready; while :; do sleep 100; done",
                          PX_ON_LOST_RERUN);
        PEER_UNTIL(peer, job->log[PX_STREAM_OUT].length == 6);
        peer_kill(peer, job, PX_KILL_WHY_CANCEL, 50);
        PEER_UNTIL(peer, job->ended);
        EXPECT_INT(job->result.outcome, PX_OUTCOME_CANCELLED);
        EXPECT_U64(job->result.signal, SIGKILL);
}

TEST(a_killed_link_loses_nothing_of_a_running_job)
{
        struct peer_job *job;

        peer_open(peer);
        gate_make();
        job = peer_assign(peer, "echo before; read x < gate; echo after; exit 7",
                          PX_ON_LOST_RERUN);
        PEER_UNTIL(peer, job->log[PX_STREAM_OUT].length == 7);
        peer_kill_node(peer, SIGKILL);
        peer_start_node(peer);
        EXPECT_U64(peer->hello.inventory_count, 1);
        EXPECT_INT(peer->hello.inventory[0].state, PX_ATTEMPT_STATE_RUNNING);
        gate_open();
        PEER_UNTIL(peer, job->ended);
        EXPECT_INT(job->result.exit_code, 7);
        EXPECT_BYTES(px_buf_slice(&job->log[PX_STREAM_OUT]), px_slice_text("before\nafter\n"));
}

TEST(a_job_that_ends_while_there_is_no_link_is_reported_by_the_next)
{
        struct peer_job *job;

        peer_open(peer);
        gate_make();
        job = peer_assign(peer, "read x < gate; echo alone; exit 8", PX_ON_LOST_RERUN);
        PEER_UNTIL(peer, job->started);
        peer_kill_node(peer, SIGKILL);
        gate_open();
        peer_start_node(peer);
        PEER_UNTIL(peer, job->ended);
        EXPECT_INT(job->result.exit_code, 8);
        EXPECT_BYTES(px_buf_slice(&job->log[PX_STREAM_OUT]), px_slice_text("alone\n"));
}

TEST(a_result_is_repeated_to_a_new_link_until_it_was_acknowledged)
{
        struct peer_job *job;

        peer_open(peer);
        peer->keep_results = true;
        job = peer_assign(peer, "exit 9", PX_ON_LOST_RERUN);
        PEER_UNTIL(peer, job->ended);
        peer_kill_node(peer, SIGKILL);
        job->ended = false;
        peer_start_node(peer);
        EXPECT_INT(peer->hello.inventory[0].state, PX_ATTEMPT_STATE_ENDED);
        PEER_UNTIL(peer, job->ended);
        EXPECT_INT(job->result.exit_code, 9);
        peer_say_results_ok(peer);
        PEER_UNTIL(peer, spool_count("a") == 0);
}

TEST(sigterm_says_goodbye_and_leaves_the_job_running)
{
        struct peer_job *job;

        peer_open(peer);
        gate_make();
        job = peer_assign(peer, "read x < gate; exit 10", PX_ON_LOST_RERUN);
        PEER_UNTIL(peer, job->started);
        kill(peer->pid, SIGTERM);
        PEER_UNTIL(peer, peer->bye);
        peer_kill_node(peer, 0);
        peer_start_node(peer);
        EXPECT_U64(peer->hello.inventory_count, 1);
        gate_open();
        PEER_UNTIL(peer, job->ended);
        EXPECT_INT(job->result.exit_code, 10);
}

/* ---- keepers that die ----------------------------------------------------------------------- */

/* The parent of the job's process, whose id the job told. */
static pid_t keeper_of(const struct peer_job *job)
{
        char text[32];

        px_slice_to_text(px_buf_slice(&job->log[PX_STREAM_OUT]), text, sizeof(text));
        EXPECT(atoi(text) > 1);
        return (pid_t)atoi(text);
}

TEST(a_dead_keeper_costs_its_job_the_attempt_and_nothing_survives)
{
        struct peer_job *job;
        char text[64];
        pid_t child;
        char *end;

        peer_open(peer);
        job = peer_assign(peer,
                          "setsid sleep 1000 & child=$!; echo $PPID $child; trap '' TERM; wait; "
                          "sleep 1000",
                          PX_ON_LOST_RERUN);
        PEER_UNTIL(peer, job->log[PX_STREAM_OUT].length > 0);
        px_slice_to_text(px_buf_slice(&job->log[PX_STREAM_OUT]), text, sizeof(text));
        strtol(text, &end, 10);
        child = (pid_t)strtol(end, NULL, 10);
        EXPECT_INT(kill(child, 0), 0);
        kill(keeper_of(job), SIGKILL);
        PEER_UNTIL(peer, job->ended);
        EXPECT_INT(job->result.outcome, PX_OUTCOME_KEEPER_DIED);
        EXPECT_INT(job->result.reason, PX_REASON_KEEPER_DIED);
        PEER_UNTIL(peer, kill(child, 0) != 0);
}

static void kill_mode_free(void *context)
{
        (void)context;
        EXPECT_INT(unsetenv("PLEXUS_KILL_MODE"), 0);
}

static void kill_mode_set(const char *mode)
{
        EXPECT_INT(setenv("PLEXUS_KILL_MODE", mode, 1), 0);
        test_cleanup(kill_mode_free, NULL);
}

TEST(a_node_says_when_nothing_but_the_subreaper_is_left_to_end_jobs)
{
        kill_mode_set("subreaper");
        peer_open(peer);
        EXPECT_BYTES(peer->hello.kill_mode,
                     px_slice_text("subreaper alone: no control group, no process namespace here"));
}

TEST(a_killed_link_loses_nothing_of_a_job_in_a_process_namespace)
{
        struct peer_job *job;

        kill_mode_set("pidns");
        peer_open(peer);
        if (!px_slice_equal(peer->hello.kill_mode, px_slice_text("pidns"))) {
                printf("no process namespaces here\n");
                return;
        }
        job = peer_assign(peer, "echo up; exec sleep 1000", PX_ON_LOST_RERUN);
        PEER_UNTIL(peer, job->log[PX_STREAM_OUT].length > 0);
        peer_kill_node(peer, SIGKILL);
        peer_start_node(peer);
        EXPECT_INT(peer->hello.inventory[0].state, PX_ATTEMPT_STATE_RUNNING);
        peer_kill(peer, job, PX_KILL_WHY_CANCEL, 1);
        PEER_UNTIL(peer, job->ended);
        EXPECT_INT(job->result.outcome, PX_OUTCOME_CANCELLED);
}

TEST(a_kill_waits_for_a_keeper_that_the_new_link_has_not_found_yet)
{
        struct peer_job *job;
        struct peer_job *other;
        pid_t keeper;

        peer_open(peer);
        job = peer_assign(peer, "echo $PPID; exec sleep 1000", PX_ON_LOST_RERUN);
        PEER_UNTIL(peer, job->log[PX_STREAM_OUT].length > 0);
        keeper = keeper_of(job);
        kill(keeper, SIGSTOP); /* so it doesn't listen */
        peer_kill_node(peer, SIGKILL);
        peer_start_node(peer);
        peer_kill(peer, job, PX_KILL_WHY_CANCEL, 1);
        other = peer_assign(peer, "true", PX_ON_LOST_RERUN);
        PEER_UNTIL(peer, other->ended);
        EXPECT(!job->ended);
        kill(keeper, SIGCONT);
        PEER_UNTIL(peer, job->ended);
        EXPECT_INT(job->result.outcome, PX_OUTCOME_CANCELLED);
}

TEST(a_keeper_that_dies_while_there_is_no_link_is_found)
{
        struct peer_job *job;

        peer_open(peer);
        job = peer_assign(peer, "echo $PPID; sleep 1000", PX_ON_LOST_RERUN);
        PEER_UNTIL(peer, job->log[PX_STREAM_OUT].length > 0);
        peer_kill_node(peer, SIGKILL);
        kill(keeper_of(job), SIGKILL);
        peer_start_node(peer);
        PEER_UNTIL(peer, job->ended);
        EXPECT_INT(job->result.outcome, PX_OUTCOME_KEEPER_DIED);
}

/* ---- odd spools ----------------------------------------------------------------------------- */

TEST(a_second_node_on_the_same_directory_is_refused)
{
        char command[512];
        int status;

        peer_open(peer);
        snprintf(command, sizeof(command),
                 "%s --dir %s/n --name n2 --url local:%s 2> %s/second > /dev/null", NODE_PROGRAM,
                 peer->dir, peer->dir, peer->dir);
        status = system(command);
        EXPECT_INT(WEXITSTATUS(status), 73);
}

TEST(a_damaged_entry_is_set_aside_and_the_others_go_on)
{
        struct peer_job *job;
        char path[256];
        int fd;

        peer_open(peer);
        peer->keep_results = true;
        job = peer_assign(peer, "exit 1", PX_ON_LOST_RERUN);
        PEER_UNTIL(peer, job->ended);
        peer_kill_node(peer, SIGKILL);
        snprintf(path, sizeof(path), "%s/n/spool/a/77.1.5", peer->dir);
        EXPECT_INT(mkdir(path, 0700), 0);
        snprintf(path, sizeof(path), "%s/n/spool/a/77.1.5/entry", peer->dir);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        EXPECT_INT(write(fd, "PXNE\1 this is no entry, but long enough", 38), 38);
        close(fd);
        peer_start_node(peer);
        EXPECT_U64(peer->hello.inventory_count, 1);
        EXPECT_U64(spool_count("damaged"), 1);
        EXPECT_U64(spool_count("a"), 1);
}

TEST(an_attempt_that_never_ran_is_not_in_the_inventory_after_a_restart)
{
        struct peer_job *job;
        char command[512];

        peer_open(peer);
        peer->keep_results = true;
        job = peer_assign(peer, "exit 1", PX_ON_LOST_RERUN);
        PEER_UNTIL(peer, job->ended);
        peer_kill_node(peer, SIGKILL);
        /* As if the link had died between entry and start. */
        snprintf(command, sizeof(command), "cd %s/n/spool/a/1.1.5 && rm -f started exit",
                 peer->dir);
        EXPECT_INT(system(command), 0);
        peer_start_node(peer);
        EXPECT_U64(peer->hello.inventory_count, 0);
        PEER_UNTIL(peer, spool_count("a") == 0);
}

/* ---- accounts ------------------------------------------------------------------------------- */

TEST(a_node_of_one_account_refuses_the_jobs_of_others)
{
        struct peer_job *job;

        peer_open(peer);
        peer->principal = "somebody-else";
        job = peer_assign(peer, "true", PX_ON_LOST_RERUN);
        PEER_UNTIL(peer, job->accept_code != 0);
        EXPECT_INT(job->accept_code, PX_E_NO_ACCOUNT);
        EXPECT_U64(spool_count("a"), 0);
}

/* An account that jobs may run as, NULL when this machine has none or we aren't root. */
static const char *other_account(void)
{
        static char name[64];
        const struct passwd *entry;

        name[0] = '\0';
        setpwent();
        while (geteuid() == 0 && (entry = getpwent()) != NULL)
                if (entry->pw_uid >= 1000 && entry->pw_uid != 65534)
                        snprintf(name, sizeof(name), "%s", entry->pw_name);
        endpwent();
        return name[0] == '\0' ? NULL : name;
}

TEST(a_node_of_root_runs_a_job_as_its_users_account_that_can_read_nothing_of_the_node)
{
        const char *account = other_account();
        struct peer_job *job;
        char expected[256];

        if (account == NULL) {
                printf("needs root and an account with uid >= 1000\n");
                return;
        }
        peer_open_accounts(peer, "map");
        peer->principal = account;
        peer->scratch = true;
        job = peer_assign(peer,
                          "id -un; echo $USER; touch mine && echo made; "
                          "ls ../../spool 2> /dev/null || echo no; ls .. 2> /dev/null || echo no; "
                          "[ -w $PLEXUS_SOCK ] && echo sock; grep -c '^Groups:.*\\<0\\>' "
                          "/proc/self/status",
                          PX_ON_LOST_RERUN);
        PEER_UNTIL(peer, job->ended);
        snprintf(expected, sizeof(expected), "%s\n%s\nmade\nno\nno\nsock\n0\n", account, account);
        EXPECT_BYTES(px_buf_slice(&job->log[PX_STREAM_OUT]), px_slice_text(expected));
}

TEST(a_node_of_root_runs_nothing_as_root_unless_an_administrator_asks)
{
        struct peer_job *job;

        if (geteuid() != 0) {
                printf("needs root\n");
                return;
        }
        peer_open_accounts(peer, "map");
        peer->principal = "root";
        job = peer_assign(peer, "true", PX_ON_LOST_RERUN);
        PEER_UNTIL(peer, job->accept_code == PX_E_NO_ACCOUNT);
        peer->as_root = true;
        job = peer_assign(peer, "true", PX_ON_LOST_RERUN);
        PEER_UNTIL(peer, job->accept_code == PX_E_NO_ACCOUNT);
        peer->principal = "no-such-account-here";
        peer->as_root = false;
        job = peer_assign(peer, "true", PX_ON_LOST_RERUN);
        PEER_UNTIL(peer, job->accept_code == PX_E_NO_ACCOUNT);
        peer->principal = NULL;
        peer->as_root = true;
        job = peer_assign(peer, "id -u", PX_ON_LOST_RERUN);
        PEER_UNTIL(peer, job->ended);
        EXPECT_BYTES(px_buf_slice(&job->log[PX_STREAM_OUT]), px_slice_text("0\n"));
}

/* ---- small and quick enough ----------------------------------------------------------------- */

TEST(a_link_takes_less_than_twenty_megabytes)
{
        struct peer_job *job;
        char path[64];
        struct px_buf text = {0};
        const char *at;

        peer_open(peer);
        job = peer_assign(peer, "head -c 5000000 /dev/zero", PX_ON_LOST_RERUN);
        PEER_UNTIL(peer, job->ended);
        snprintf(path, sizeof(path), "/proc/%d/status", (int)peer->pid);
        EXPECT(test_read_file(path, &text));
        *px_buf_grow(&text, 1) = '\0';
        at = strstr((char *)text.data, "RssAnon:");
        EXPECT(at != NULL);
        printf("link RssAnon %ld KiB\n", strtol(at + 8, NULL, 10));
#if !defined(__SANITIZE_ADDRESS__)
        EXPECT(strtol(at + 8, NULL, 10) <= 20 * 1024);
#endif
        px_buf_fini(&text);
}

TEST(fifty_jobs_at_once_all_end)
{
        peer_open(peer);
        for (int i = 0; i < 50; i++)
                peer_assign(peer, "echo $PLEXUS_JOB", PX_ON_LOST_RERUN);
        for (size_t i = 0; i < 50; i++) {
                char expected[32];

                PEER_UNTIL(peer, peer->jobs[i].ended);
                EXPECT_INT(peer->jobs[i].result.outcome, PX_OUTCOME_OK);
                snprintf(expected, sizeof(expected), "%zu\n", i + 1);
                EXPECT_BYTES(px_buf_slice(&peer->jobs[i].log[PX_STREAM_OUT]),
                             px_slice_text(expected));
        }
        PEER_UNTIL(peer, spool_count("a") == 0);
}
