/* SPDX-License-Identifier: Apache-2.0 */
/* test_keeper.c - real processes through a keeper: output, ends, limits of time, errors of exec. */
#include "keeper_tool.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct rig rig_room;
static struct rig *const rig = &rig_room;

/* ---- output --------------------------------------------------------------------------------- */

TEST(output_is_kept_byte_for_byte_and_apart)
{
        rig_open(rig, NULL);
        rig_run(rig, "printf 'a\\000\\377b'; printf 'to err' >&2; printf end");
        EXPECT_INT(rig->result.outcome, PX_OUTCOME_OK);
        EXPECT_INT(rig->result.exit_code, 0);
        EXPECT_BYTES(rig_stream(rig, PX_STREAM_OUT), px_slice_of("a\0\377bend", 7));
        EXPECT_BYTES(rig_stream(rig, PX_STREAM_ERR), px_slice_text("to err"));
        EXPECT_U64(rig->result.use.out_bytes, 7);
        EXPECT_U64(rig->result.use.err_bytes, 6);
        EXPECT_U64(rig->result.use.out_dropped_bytes, 0);
        EXPECT(rig->result.use.memory_peak_bytes > 0);
}

TEST(a_hundred_megabytes_without_a_newline_arrive_whole)
{
        struct px_slice out;

        rig_open(rig, NULL);
        rig_script(rig, "head -c 104857600 /dev/zero | tr '\\000' x; printf end");
        rig->spool_bytes_max = 1u << 30;
        rig_start(rig);
        rig_until_ended(rig);
        out = rig_stream(rig, PX_STREAM_OUT);
        EXPECT_U64(out.length, 104857603);
        for (size_t i = 0; i < 104857600; i++)
                if (out.data[i] != 'x')
                        test_fail(__FILE__, __LINE__, "byte %zu is %d", i, out.data[i]);
        EXPECT(memcmp(out.data + 104857600, "end", 3) == 0);
}

TEST(output_of_processes_that_outlive_the_first_one_is_kept)
{
        rig_open(rig, NULL);
        rig_run(rig, "{ read line < /dev/null; echo late; } & echo early");
        EXPECT_INT(rig->result.outcome, PX_OUTCOME_OK);
        EXPECT_U64(rig->result.use.out_bytes, 11);
}

TEST(a_cap_keeps_the_head_and_the_tail_and_counts_the_rest)
{
        struct px_slice out;

        rig_open(rig, NULL);
        rig_script(rig, "i=0; while [ $i -lt 20000 ]; do printf '%09d\\n' $i; i=$((i+1)); done");
        rig->spec.log_bytes = 1005;
        rig_start(rig);
        rig_until_ended(rig);
        EXPECT_U64(rig->result.use.out_bytes, 200000);
        EXPECT_U64(rig->result.use.out_dropped_at, 1005);
        EXPECT_U64(rig->result.use.out_dropped_bytes, 200000 - 1005 - PX_LIMIT_LOG_TAIL_BYTES);
        EXPECT_U64(rig->out, 1005);
        out = rig_stream(rig, PX_STREAM_OUT);
        EXPECT_U64(out.length, 200000);
        EXPECT(memcmp(out.data + 1000, "00000", 5) == 0);
        EXPECT_INT(out.data[1005], 0);
        for (size_t line = 200000 - PX_LIMIT_LOG_TAIL_BYTES + 9; line + 10 <= 200000;
             line = line - line % 10 + 10) {
                char expected[32];

                line = line - line % 10;
                snprintf(expected, sizeof(expected), "%09zu\n", line / 10);
                EXPECT_BYTES(px_slice_of(out.data + line, 10), px_slice_text(expected));
        }
}

TEST(a_full_spool_blocks_the_job_until_its_bytes_are_stored)
{
        uint64_t stood;

        rig_open(rig, NULL);
        rig_script(rig, "head -c 3000000 /dev/zero");
        rig->spool_bytes_max = 1000000;
        rig_start(rig);
        rig_until_out(rig, 1000000);
        /* What the keeper read is bounded by the cap and one read; it goes no further. */
        while (rig_hear(rig, 200))
                continue;
        stood = rig->out;
        EXPECT(stood < 1000000 + 65536);
        EXPECT(!rig->ended);
        rig_send(rig, CTL_STORED, stood, 0);
        rig_until_out(rig, stood + 1000000);
        EXPECT(!rig->ended);
        rig_send(rig, CTL_STORED, 3000000, 0);
        rig_until_ended(rig);
        EXPECT_U64(rig->result.use.out_bytes, 3000000);
}

/* ---- how it ends ---------------------------------------------------------------------------- */

TEST(an_exit_code_is_told)
{
        rig_open(rig, NULL);
        rig_run(rig, "exit 41");
        EXPECT_INT(rig->result.outcome, PX_OUTCOME_FAILED);
        EXPECT_INT(rig->result.reason, PX_REASON_EXIT);
        EXPECT_INT(rig->result.exit_code, 41);
        EXPECT_U64(rig->result.signal, 0);
}

TEST(a_signal_is_told)
{
        rig_open(rig, NULL);
        rig_run(rig, "kill -USR1 $$");
        EXPECT_INT(rig->result.outcome, PX_OUTCOME_FAILED);
        EXPECT_INT(rig->result.reason, PX_REASON_SIGNAL);
        EXPECT_INT(rig->result.exit_code, -1);
        EXPECT_U64(rig->result.signal, 10);
}

TEST(a_time_limit_ends_the_job)
{
        rig_open(rig, NULL);
        rig_script(rig, "echo begun; exec sleep 1000");
        rig->spec.time_limit_ms = 50;
        rig_start(rig);
        rig_until_ended(rig);
        EXPECT_INT(rig->result.outcome, PX_OUTCOME_TIMEOUT);
        EXPECT_INT(rig->result.reason, PX_REASON_TIME_LIMIT);
        EXPECT_U64(rig->result.signal, 15);
}

TEST(a_job_that_must_run_at_most_once_gives_up_when_the_broker_is_silent)
{
        rig_open(rig, NULL);
        rig_script(rig, "exec sleep 1000");
        rig->assign.on_lost = PX_ON_LOST_FAIL;
        rig->assign.lost_after_ms = 100;
        rig_start(rig);
        rig_until_ended(rig);
        EXPECT_INT(rig->result.outcome, PX_OUTCOME_GAVE_UP);
        EXPECT_INT(rig->result.reason, PX_REASON_GAVE_UP);
}

TEST(contact_with_the_broker_puts_off_giving_up)
{
        rig_open(rig, NULL);
        rig_script(rig, "exec sleep 1000");
        rig->assign.on_lost = PX_ON_LOST_FAIL;
        rig->assign.lost_after_ms = 1000;
        rig_start(rig);
        rig_until_started(rig);
        for (int i = 0; i < 15; i++) {
                rig_send(rig, CTL_CONTACT, 0, 0);
                EXPECT(!rig_hear(rig, 100));
        }
        rig_send(rig, CTL_KILL, 1, PX_KILL_WHY_CANCEL);
        rig_until_ended(rig);
        EXPECT_INT(rig->result.outcome, PX_OUTCOME_CANCELLED);
}

TEST(a_signal_reaches_the_job)
{
        rig_open(rig, NULL);
        rig_script(rig, "trap 'echo usr1; exit 3' USR1; echo ready; sleep 100 & wait");
        rig_start(rig);
        rig_until_out(rig, 6);
        rig_send(rig, CTL_SIGNAL, 10, 0);
        rig_until_ended(rig);
        EXPECT_INT(rig->result.exit_code, 3);
        rig_expect_out(rig, "ready\nusr1\n");
}

/* ---- what can't be started ------------------------------------------------------------------ */

TEST(a_program_that_is_not_there_is_named)
{
        const char *argv[] = {"no-such-program", NULL};

        rig_open(rig, NULL);
        rig_command(rig, argv);
        rig_start(rig);
        rig_until_ended(rig);
        EXPECT(!rig->started);
        EXPECT_INT(rig->result.outcome, PX_OUTCOME_FAILED);
        EXPECT_INT(rig->result.reason, PX_REASON_NO_PROGRAM);
        EXPECT_INT(rig->result.exit_code, 127);
        EXPECT_BYTES(rig->result.text,
                     px_slice_text("node testnode found no program no-such-program in "
                                   "PATH=/usr/local/bin:/usr/bin:/bin"));
}

TEST(a_script_without_an_interpreter_line_is_not_given_to_a_shell)
{
        char path[256];
        const char *argv[] = {path, NULL};
        int fd;

        rig_open(rig, NULL);
        snprintf(path, sizeof(path), "%s/script", rig->dir);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
        EXPECT(fd >= 0);
        EXPECT_INT(write(fd, "echo wrong\n", 11), 11);
        close(fd);
        rig_command(rig, argv);
        rig_start(rig);
        rig_until_ended(rig);
        EXPECT_INT(rig->result.reason, PX_REASON_NOT_RUNNABLE);
        EXPECT_INT(rig->result.exit_code, 126);
        EXPECT_U64(rig->result.use.out_bytes, 0);
}

TEST(a_missing_directory_names_the_flags_that_help)
{
        rig_open(rig, NULL);
        rig_script(rig, "true");
        rig->spec.cwd = px_slice_text("/no/such/place");
        rig_start(rig);
        rig_until_ended(rig);
        EXPECT_INT(rig->result.reason, PX_REASON_NO_DIRECTORY);
        EXPECT_INT(rig->result.exit_code, 125);
        EXPECT_BYTES(rig->result.text,
                     px_slice_text("node testnode can't enter /no/such/place: No such file or "
                                   "directory; --cwd names another directory, --scratch runs in "
                                   "a fresh one"));
}

/* ---- surroundings --------------------------------------------------------------------------- */

TEST(standard_input_is_what_was_captured_or_empty)
{
        rig_open(rig, NULL);
        rig_run(rig, "wc -c");
        rig_expect_out(rig, "0\n");
        rig->key.job.value++;
        rig_script(rig, "cat; readlink /proc/self/fd/0");
        rig->spec.has_stdin = true;
        rig->spec.input = px_slice_text("from the client\n");
        rig->ended = false;
        rig_start(rig);
        rig_until_ended(rig);
        EXPECT(px_slice_equal(px_slice_of(rig_stream(rig, PX_STREAM_OUT).data, 16),
                              px_slice_text("from the client\n")));
}

TEST(a_job_has_its_own_descriptors_and_no_others)
{
        rig_open(rig, NULL);
        rig_run(rig, "cd /proc/$$/fd; for f in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 "
                     "20 21 22 23 24; do [ -e $f ] || [ -L $f ] && echo $f; done; true");
        rig_expect_out(rig, "0\n1\n2\n3\n");
}

TEST(the_environment_is_the_jobs_and_the_nodes)
{
        struct px_variable env[] = {
                {.name = px_slice_text("COLOUR"), .value = px_slice_text("green")},
                {.name = px_slice_text("PLEXUS_JOB"), .value = px_slice_text("999")},
                {.name = px_slice_text("OMP_NUM_THREADS"), .value = px_slice_text("9")},
        };

        rig_open(rig, NULL);
        rig_script(rig, "echo $COLOUR $PLEXUS_JOB $PLEXUS_ATTEMPT $PLEXUS_FENCE $PLEXUS_NODE "
                        "$OMP_NUM_THREADS $PYTHONUNBUFFERED $USER $PLEXUS_PROGRESS_FD");
        rig->spec.env = env;
        rig->spec.env_count = PX_COUNT_OF(env);
        rig_start(rig);
        rig_until_ended(rig);
        rig_expect_out(rig, "green 7 1 3.1 testnode 9 1 tester 3\n");
}

TEST(a_scratch_directory_is_fresh_and_goes_with_the_job)
{
        struct stat status;
        char expected[512];

        rig_open(rig, NULL);
        rig_script(rig, "pwd; mkdir -p a/b/c; echo x > a/b/c/d; ln -s / a/root; chmod 0 a/b; ls");
        rig->spec.scratch = true;
        rig_start(rig);
        rig_until_ended(rig);
        snprintf(expected, sizeof(expected), "%s\na\n", rig->work);
        rig_expect_out(rig, expected);
        EXPECT(stat(rig->work, &status) != 0);
}

TEST(a_job_has_no_new_privileges_and_no_core_file)
{
        rig_open(rig, NULL);
        rig_run(rig, "grep NoNewPrivs /proc/self/status; ulimit -c");
        rig_expect_out(rig, "NoNewPrivs:\t1\n0\n");
}

/* ---- progress --------------------------------------------------------------------------------- */

TEST(progress_lines_are_heard_and_the_last_one_is_in_the_result)
{
        rig_open(rig, NULL);
        rig_script(rig, "echo '0.25 a quarter' >&3; read x < gate; echo '3/4 three' >&3; "
                        "echo '100% all done' >&3");
        EXPECT_INT(mkfifo(strcat(strcpy(rig->text, rig->dir), "/gate"), 0600), 0);
        rig_start(rig);
        rig_until_text(rig, "a quarter");
        EXPECT_INT(rig->permille, 250);
        EXPECT_INT(close(open(strcat(strcpy(rig->work, rig->dir), "/gate"), O_WRONLY)), 0);
        rig_until_ended(rig);
        EXPECT_INT(rig->result.progress_permille, 1000);
        EXPECT_BYTES(rig->result.progress_text, px_slice_text("all done"));
}

TEST(progress_datagrams_are_heard)
{
        rig_open(rig, NULL);
        rig_script(rig, "exec python3 -c 'import os, socket\n"
                        "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
                        "s.sendto(b\"42.5% by socket\", os.environ[\"PLEXUS_SOCK\"])'");
        rig_start(rig);
        rig_until_ended(rig);
        EXPECT_INT(rig->result.progress_permille, 425);
        EXPECT_BYTES(rig->result.progress_text, px_slice_text("by socket"));
}

TEST(what_an_earlier_job_said_too_late_is_not_the_next_ones_progress)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        rig_open(rig, NULL);
        rig_run(rig, "true");
        /* Its socket stays, for the keeper's next job. */
        snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", rig->sock);
        EXPECT_INT(sendto(fd, "50% late", 8, 0, (struct sockaddr *)&address, sizeof(address)), 8);
        close(fd);
        close(rig->dir_fd);
        rig->key.job.value++;
        rig->ended = false;
        rig_run(rig, "true");
        EXPECT_INT(rig->result.progress_permille, -1);
}

TEST(a_bar_drawn_with_carriage_returns_is_progress)
{
        rig_open(rig, NULL);
        rig_run(rig, "printf '\\r 10%%|#    | 1/10' >&2; printf '\\r 30%%|###  | 3/10' >&2");
        EXPECT_INT(rig->result.progress_permille, 300);
        EXPECT_BYTES(rig->result.progress_text, px_slice_text("30%|###  | 3/10"));
}

TEST(a_percentage_in_plain_output_is_not_progress)
{
        rig_open(rig, NULL);
        rig_run(rig, "echo 'cpu 50% busy'; printf 'windows 10%%\\r\\n'");
        EXPECT_INT(rig->result.progress_permille, -1);
}

/* ---- small enough --------------------------------------------------------------------------- */

static long anon_kib(pid_t pid)
{
        char path[64];
        char line[256];
        long kib = -1;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        file = fopen(path, "re");
        EXPECT(file != NULL);
        while (fgets(line, sizeof(line), file) != NULL)
                if (sscanf(line, "RssAnon: %ld", &kib) == 1)
                        break;
        fclose(file);
        return kib;
}

TEST(a_keeper_takes_less_than_a_megabyte)
{
        struct px_buf input = {0};

        rig_open(rig, NULL);
        memset(px_buf_grow(&input, 400000), 'x', 400000);
        rig_script(rig, "head -c 2000000 /dev/zero; echo go >&2; exec sleep 1000");
        rig->spec.has_stdin = true;
        rig->spec.input = px_buf_slice(&input);
        rig->spec.log_bytes = 1000;
        rig_start(rig);
        px_buf_fini(&input);
        while (rig->err < 3 && !rig->ended && rig->out < 1000)
                rig_hear(rig, 100);
        EXPECT(anon_kib(rig->keeper) > 0);
#if !defined(__SANITIZE_ADDRESS__) /* its shadow memory is the sanitizer's */
        EXPECT(anon_kib(rig->keeper) <= 1024);
#endif
        printf("keeper RssAnon %ld KiB\n", anon_kib(rig->keeper));
        rig_send(rig, CTL_KILL, 1, PX_KILL_WHY_CANCEL);
        rig_until_ended(rig);
}

TEST(a_keeper_takes_one_job_after_the_other)
{
        rig_open(rig, NULL);
        for (int i = 0; i < 20; i++) {
                char expected[32];
                char script[64];

                snprintf(script, sizeof(script), "echo job %d", i);
                snprintf(expected, sizeof(expected), "job %d\n", i);
                rig->key.job.value++;
                rig->ended = false;
                rig_run(rig, script);
                rig_expect_out(rig, expected);
                EXPECT_INT(spool_remove(rig->spool, rig->key), 0);
                close(rig->dir_fd);
                rig->dir_fd = -1;
        }
}
