/* SPDX-License-Identifier: Apache-2.0 */
/* test_keeper_namespace.c - a job in a process namespace of its own is told of as any other; control
 * groups that pass their controllers on (RELIABILITY 5, "Node sandbox"). */
#include "keeper_tool.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct rig rig_room;
static struct rig *const rig = &rig_room;

static bool opened(void)
{
        if (!rig_has_mode("pidns"))
                return false;
        rig_open(rig, "pidns");
        return true;
}

TEST(a_job_in_a_namespace_sees_itself_and_its_output_and_code_are_told)
{
        if (!opened())
                return;
        rig_run(rig, "echo $$; echo oops >&2; exit 3");
        rig_expect_out(rig, "2\n");
        EXPECT_BYTES(rig_stream(rig, PX_STREAM_ERR), px_slice_text("oops\n"));
        EXPECT_INT(rig->result.outcome, PX_OUTCOME_FAILED);
        EXPECT_INT(rig->result.exit_code, 3);
        EXPECT(rig->result.use.memory_peak_bytes > 0);
}

TEST(a_job_in_a_namespace_is_signalled_and_its_signal_is_told)
{
        if (!opened())
                return;
        rig_script(rig, "trap 'echo usr1; kill -9 $$' USR1; echo up; sleep 100 & wait");
        rig_start(rig);
        rig_until_out(rig, 3);
        rig_send(rig, CTL_SIGNAL, SIGUSR1, 0);
        rig_until_ended(rig);
        rig_expect_out(rig, "up\nusr1\n");
        EXPECT_INT(rig->result.signal, SIGKILL);
        EXPECT_INT(rig->result.reason, PX_REASON_SIGNAL);
}

TEST(a_job_in_a_namespace_has_its_grace)
{
        if (!opened())
                return;
        rig_script(rig, "trap 'echo bye; exit 9' TERM; echo ready; sleep 100 & wait");
        rig_start(rig);
        rig_until_out(rig, 6);
        rig_send(rig, CTL_KILL, 0, PX_KILL_WHY_CANCEL);
        rig_until_ended(rig);
        rig_expect_out(rig, "ready\nbye\n");
        EXPECT_INT(rig->result.outcome, PX_OUTCOME_CANCELLED);
        EXPECT_INT(rig->result.exit_code, 9);
}

TEST(what_outlives_the_first_process_of_a_namespace_is_ended)
{
        char mark[64];
        char script[256];

        if (!opened())
                return;
        snprintf(mark, sizeof(mark), "mark-%d-inside", (int)getpid());
        snprintf(script, sizeof(script),
                 "setsid sh -c 'trap \"\" TERM; printf x; while :; do sleep 100; done' %s & "
                 "read x < /dev/null; exit 5",
                 mark);
        rig_run(rig, script);
        EXPECT_INT(rig->result.exit_code, 5);
        EXPECT_INT(rig->result.reason, PX_REASON_EXIT);
        EXPECT(!mark_alive(mark));
}

TEST(a_program_that_is_not_there_is_named_from_a_namespace_too)
{
        const char *argv[] = {"no-such-program", NULL};

        if (!opened())
                return;
        rig_command(rig, argv);
        rig_start(rig);
        rig_until_ended(rig);
        EXPECT_INT(rig->result.reason, PX_REASON_NO_PROGRAM);
        EXPECT_INT(rig->result.exit_code, 127);
}

/* ---- controllers of v2 ---------------------------------------------------------------------- */

static struct {
        char directory[GROUP_PATH_BYTES];
        char own[GROUP_PATH_BYTES];
        char controller[64];
        bool passed; /* our own group passes it on for us only */
        pid_t pid;
        int fd;
} given;

static bool text_read(const char *directory, const char *name, char *ret_text, size_t room)
{
        char path[GROUP_PATH_BYTES + 64];
        FILE *file;
        size_t got;

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        file = fopen(path, "re");
        if (file == NULL)
                return false;
        got = fread(ret_text, 1, room - 1, file);
        ret_text[got] = '\0';
        fclose(file);
        return true;
}

static void text_write(const char *directory, const char *name, const char *text)
{
        char path[GROUP_PATH_BYTES + 64];
        FILE *file;

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        file = fopen(path, "we");
        EXPECT(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void given_clean(void *context)
{
        char text[80];

        (void)context;
        if (given.pid > 0) {
                kill(given.pid, SIGKILL);
                waitpid(given.pid, NULL, 0);
                test_spare(given.pid);
        }
        group_discard(given.directory);
        snprintf(text, sizeof(text), "-%s", given.controller);
        if (given.passed)
                text_write(given.own, "cgroup.subtree_control", text);
}

/* Any controller will do: the hybrid hosts of our tests have but one in v2, and it isn't memory. A root
 * group may pass it on though processes live in it; another would have had to make room. */
static bool controller_open(void)
{
        char text[256] = "";

        if (!group_own_directory(NULL, given.own) || strlen(given.own) > 200 ||
            !text_read(given.own, "cgroup.controllers", text, sizeof(text)) ||
            sscanf(text, "%63s", given.controller) != 1)
                return false;
        if (text_read(given.own, "cgroup.subtree_control", text, sizeof(text)) &&
            strstr(text, given.controller) != NULL)
                return true;
        given.passed = !text_read(given.own, "cgroup.events", text, sizeof(text)) &&
                       group_pass_on(given.own, given.controller);
        return given.passed;
}

/* A group with a controller and a process in it, as a service manager hands it out. */
static bool given_open(const char *program)
{
        char text[32];

        given.pid = 0;
        if (!controller_open()) {
                printf("no controller of cgroup v2 here that may be passed on\n");
                return false;
        }
        test_cleanup(given_clean, NULL);
        snprintf(given.directory, sizeof(given.directory), "%.200s/plexus.given-%d", given.own,
                 (int)getpid());
        EXPECT_INT(mkdir(given.directory, 0755), 0);
        EXPECT_INT(keeper_spawn(program, &given.pid, &given.fd), 0);
        test_kill_at_end(given.pid);
        snprintf(text, sizeof(text), "%d", (int)given.pid);
        text_write(given.directory, "cgroup.procs", text);
        return true;
}

TEST(processes_of_ours_make_room_for_controllers)
{
        char text[256];

        if (!given_open(KEEPER_PROGRAM))
                return;
        EXPECT(group_pass_on(given.directory, given.controller));
        EXPECT(text_read(given.directory, "cgroup.subtree_control", text, sizeof(text)) &&
               strstr(text, given.controller) != NULL);
        EXPECT(text_read(given.directory, "cgroup.procs", text, sizeof(text)) && text[0] == '\0');
        EXPECT(text_read(given.directory, "plexus.parts/cgroup.procs", text, sizeof(text)) &&
               atoi(text) == (int)given.pid);
}

TEST(processes_of_others_stay_where_they_are)
{
        char text[256];

        if (!given_open("/usr/bin/yes"))
                return;
        EXPECT(!group_pass_on(given.directory, given.controller));
        EXPECT(text_read(given.directory, "cgroup.procs", text, sizeof(text)) && atoi(text) == (int)given.pid);
}
