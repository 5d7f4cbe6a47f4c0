/* SPDX-License-Identifier: Apache-2.0 */
/* keeper_tool.c - a real keeper with a real spool in a directory of the test. */
#include "keeper_tool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RIG_DEADLINE_MS 30000

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void rig_tree_open(struct group_tree *tree, const char *mode)
{
        enum group_mode best = GROUP_CGROUP2;
        char name[64];

        snprintf(name, sizeof(name), "plexus.test-%d", (int)getpid());
        if (mode != NULL)
                EXPECT(group_mode_parse(mode, &best));
        group_tree_open(tree, best, NULL, name);
}

bool rig_has_mode(const char *mode)
{
        struct group_tree tree;

        rig_tree_open(&tree, mode);
        group_tree_remove(&tree);
        if (strcmp(group_mode_text(tree.mode), mode) == 0)
                return true;
        printf("no %s to be had here\n", mode);
        return false;
}

void rig_open(struct rig *rig, const char *mode)
{
        char path[256];

        memset(rig, 0, sizeof(*rig));
        rig->dir_fd = rig->ctl_fd = -1;
        rig->dir = test_temp_dir();
        snprintf(path, sizeof(path), "%s/spool", rig->dir);
        EXPECT_INT(spool_open(path, &rig->spool), 0);
        EXPECT_INT(spool_boot(rig->boot), 0);
        rig_tree_open(&rig->tree, mode);
        if (mode != NULL)
                EXPECT_TEXT(group_mode_text(rig->tree.mode), mode);
        rig->key = (struct spool_key){.job = {7}, .fence = {.epoch = 3, .attempt = 1}};
        test_cleanup(rig_close, rig);
}

void rig_close(void *context)
{
        struct rig *rig = context;

        if (rig->keeper > 0) {
                kill(rig->keeper, SIGKILL);
                waitpid(rig->keeper, NULL, 0);
                test_spare(rig->keeper);
        }
        if (rig->ctl_fd >= 0)
                close(rig->ctl_fd);
        if (rig->dir_fd >= 0)
                close(rig->dir_fd);
        group_tree_remove(&rig->tree);
        spool_close(rig->spool);
        px_arena_fini(&rig->arena);
        px_buf_fini(&rig->encoded);
}

void rig_command(struct rig *rig, const char *const *argv)
{
        size_t count = 0;

        while (argv[count] != NULL) {
                EXPECT(count < PX_COUNT_OF(rig->argv));
                rig->argv[count] = px_slice_text(argv[count]);
                count++;
        }
        rig->spec = (struct px_spec){.argv = rig->argv,
                                     .argv_count = count,
                                     .cwd = px_slice_text(rig->dir),
                                     .grace_ms = 10000};
        rig->assign = (struct px_assign){.job = rig->key.job,
                                         .fence = rig->key.fence,
                                         .kind = PX_JOB_KIND_COMMAND,
                                         .principal = px_slice_text("tester"),
                                         .cpus_milli = 1000,
                                         .on_lost = PX_ON_LOST_RERUN};
}

void rig_script(struct rig *rig, const char *script)
{
        const char *argv[] = {"/bin/sh", "-c", script, NULL};

        rig_command(rig, argv);
}

/* Less than nodes allow: a fork bomb of thousands is no test for a shared machine. */
static void rig_limit_pids(const struct rig *rig, const struct job_group *group)
{
        char path[GROUP_PATH_BYTES + 16];
        FILE *file;

        if (rig->pids_max == 0)
                return;
        snprintf(path, sizeof(path), "%s/pids.max",
                 rig->tree.pids_v2 ? group->kill : group->pids);
        file = fopen(path, "we");
        EXPECT(file != NULL && fprintf(file, "%u", rig->pids_max) > 0 && fclose(file) == 0);
}

static void rig_hand_over(struct rig *rig, int lock_fd)
{
        struct job_group group;
        struct keeper_start start = {.node = "testnode",
                                     .user = "tester",
                                     .home = "/",
                                     .shell = "/bin/sh",
                                     .kill_mode = group_mode_text(rig->tree.mode),
                                     .spool_bytes_max = rig->spool_bytes_max};

        EXPECT_INT(group_make(&rig->tree, rig->slot, rig->assign.memory_bytes, &group), 0);
        rig_limit_pids(rig, &group);
        memcpy(start.boot, rig->boot, sizeof(start.boot));
        snprintf(rig->work, sizeof(rig->work), "%s/work", rig->dir);
        snprintf(rig->sock, sizeof(rig->sock), "%s/sock", rig->dir);
        start.work = rig->work;
        start.sock = rig->sock;
        start.group = group.kill;
        start.group_memory = group.memory;
        start.group_pids = group.pids;
        EXPECT_INT(keeper_hand_over(rig->ctl_fd, &start, rig->dir_fd, lock_fd), 0);
}

void rig_start(struct rig *rig)
{
        int lock_fd;

        px_buf_reset(&rig->encoded);
        px_spec_encode(&rig->spec, &rig->encoded);
        rig->assign.spec = px_buf_slice(&rig->encoded);
        EXPECT_INT(spool_enter(rig->spool, &rig->assign, &rig->dir_fd), 0);
        EXPECT_INT(spool_lock(rig->dir_fd, &lock_fd), 0);
        if (rig->keeper == 0) {
                EXPECT_INT(keeper_spawn(KEEPER_PROGRAM, &rig->keeper, &rig->ctl_fd), 0);
                test_kill_at_end(rig->keeper);
        }
        rig_hand_over(rig, lock_fd);
        close(lock_fd);
}

static void rig_take(struct rig *rig, const struct ctl_message *message)
{
        switch (message->kind) {
        case CTL_HELLO:
                rig->started = message->number[0] != 0;
                rig->out = message->number[1];
                rig->err = message->number[2];
                break;
        case CTL_STARTED:
                rig->started = true;
                break;
        case CTL_GREW:
                rig->out = message->number[0];
                rig->err = message->number[1];
                break;
        case CTL_PROGRESS:
                rig->permille = (int32_t)message->number[0];
                px_slice_to_text(message->payload, rig->text, sizeof(rig->text));
                rig->progress_count++;
                break;
        case CTL_ENDED:
                rig->ended = true;
                EXPECT_INT(spool_exit_read(rig->dir_fd, rig->key, rig->boot, &rig->arena, &rig->result), 0);
                break;
        default:
                test_fail(__FILE__, __LINE__, "message of kind %d", message->kind);
        }
}

bool rig_hear(struct rig *rig, int wait_ms)
{
        uint8_t room[CTL_PAYLOAD_BYTES_MAX];
        struct pollfd polled = {.fd = rig->ctl_fd, .events = POLLIN};
        struct ctl_message message;
        int fault;

        if (poll(&polled, 1, wait_ms) <= 0)
                return false;
        fault = ctl_receive(rig->ctl_fd, room, &message);
        if (fault == -EAGAIN)
                return false;
        if (fault != 0)
                test_fail(__FILE__, __LINE__, "the keeper is gone: %s", strerror(-fault));
        rig_take(rig, &message);
        return true;
}

#define RIG_UNTIL(rig, condition)                                                                  \
        do {                                                                                       \
                int64_t until_ms = now_ms() + RIG_DEADLINE_MS;                                     \
                while (!(condition)) {                                                             \
                        if (now_ms() > until_ms)                                                   \
                                test_fail(__FILE__, __LINE__, "not in time: %s", #condition);      \
                        rig_hear(rig, 100);                                                        \
                }                                                                                  \
        } while (0)

void rig_until_ended(struct rig *rig)
{
        RIG_UNTIL(rig, rig->ended);
}

void rig_until_started(struct rig *rig)
{
        RIG_UNTIL(rig, rig->started);
}

void rig_until_out(struct rig *rig, uint64_t bytes)
{
        RIG_UNTIL(rig, rig->out >= bytes);
}

void rig_until_text(struct rig *rig, const char *text)
{
        RIG_UNTIL(rig, strcmp(rig->text, text) == 0);
}

void rig_run(struct rig *rig, const char *script)
{
        rig_script(rig, script);
        rig_start(rig);
        rig_until_ended(rig);
}

void rig_send(struct rig *rig, int kind, uint64_t a, uint64_t b)
{
        struct ctl_message message = {.kind = kind, .number = {a, b}};

        EXPECT_INT(ctl_send(rig->ctl_fd, &message), 0);
}

struct px_slice rig_stream(struct rig *rig, int stream)
{
        uint64_t length = spool_stream_length(rig->dir_fd, stream);
        uint8_t *bytes;
        int fd;

        if (length == 0)
                return PX_SLICE_NONE;
        bytes = px_arena_alloc(&rig->arena, (size_t)length);
        EXPECT_INT(spool_stream_open(rig->dir_fd, stream, false, &fd), 0);
        EXPECT_INT(pread(fd, bytes, (size_t)length, 0), (int64_t)length);
        close(fd);
        return px_slice_of(bytes, (size_t)length);
}

void rig_expect_out(struct rig *rig, const char *text)
{
        EXPECT_BYTES(rig_stream(rig, PX_STREAM_OUT), px_slice_text(text));
}

static bool command_line_has(const char *pid, const char *mark)
{
        char path[64];
        char line[4096] = "";
        ssize_t got;
        int fd;

        snprintf(path, sizeof(path), "/proc/%.20s/cmdline", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        got = read(fd, line, sizeof(line) - 1);
        close(fd);
        return got > 0 && memmem(line, (size_t)got, mark, strlen(mark)) != NULL;
}

bool mark_alive(const char *mark)
{
        struct dirent *item;
        bool alive = false;
        DIR *dir = opendir("/proc");

        EXPECT(dir != NULL);
        while (!alive && (item = readdir(dir)) != NULL)
                alive = atoi(item->d_name) > 0 && command_line_has(item->d_name, mark);
        closedir(dir);
        return alive;
}
