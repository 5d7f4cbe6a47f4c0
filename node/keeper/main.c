/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - plexus-keeper: the process beside one job. Layer: L4 (node/keeper).
 *
 * Started by plexus-node with one end of a socket pair (ctl.h) as descriptor 3. It waits for START,
 * watches that attempt to its end, and waits for the next one; it leaves when it has been idle for
 * KEEPER_IDLE_MS, or when it has no job and no link. */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define CTL_FD 3

/* ---- small things --------------------------------------------------------------------------- */

static int64_t clock_ms(clockid_t clock)
{
        struct timespec now;

        clock_gettime(clock, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t keeper_now_ms(void)
{
        return clock_ms(CLOCK_BOOTTIME);
}

int64_t keeper_wall_ms(void)
{
        return clock_ms(CLOCK_REALTIME);
}

void keeper_close(int *fd)
{
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

static bool keeper_works(const struct keeper *keeper)
{
        return keeper->phase != PHASE_IDLE && keeper->phase != PHASE_ENDED;
}

/* ---- one attempt after the other -------------------------------------------------------------- */

static void keeper_reset(struct keeper *keeper)
{
        struct keeper fresh = {.ctl_fd = keeper->ctl_fd,
                               .signal_fd = keeper->signal_fd,
                               .timer_fd = keeper->timer_fd,
                               .told = keeper->told,
                               .listen_fd = -1,
                               .dir_fd = -1,
                               .lock_fd = -1,
                               .progress_fd = -1,
                               .init_fd = -1,
                               .sock = keeper->sock,
                               .listen_ms = KEEPER_NEVER,
                               .idle_ms = keeper_now_ms() + KEEPER_IDLE_MS};

        fresh.progress.permille = -1;
        for (int stream = 0; stream < 3; stream++)
                fresh.pump[stream].pipe_fd = fresh.pump[stream].file_fd = -1;
        *keeper = fresh;
}

/* The attempt has ended and nobody needs to be told any more. */
static void keeper_forget(struct keeper *keeper)
{
        for (int stream = 0; stream < 3; stream++)
                pump_fini(&keeper->pump[stream]);
        keeper_close(&keeper->progress_fd);
        keeper_close(&keeper->init_fd);
        keeper_close(&keeper->dir_fd);
        keeper_close(&keeper->lock_fd);
        px_arena_fini(&keeper->arena);
        px_buf_fini(&keeper->ended);
        if (chdir("/") != 0)
                _exit(71);
        keeper_reset(keeper);
}

static void take_start(struct keeper *keeper, const struct ctl_message *message)
{
        if (keeper->phase != PHASE_IDLE || message->fds_count != 2 ||
            keeper_start_decode(message->payload, &keeper->arena, &keeper->start) != 0) {
                for (int i = 0; i < message->fds_count; i++)
                        close(message->fds[i]);
                return;
        }
        keeper->dir_fd = message->fds[0];
        keeper->lock_fd = message->fds[1];
        keeper->spool_bytes = keeper->start.spool_bytes_max == 0 ? PX_LIMIT_SPOOL_BYTES
                                                                 : keeper->start.spool_bytes_max;
        keeper_begin(keeper);
}

static void take_kill(struct keeper *keeper, const struct ctl_message *message)
{
        int64_t grace_ms = (int64_t)PX_MIN(message->number[0], (uint64_t)INT32_MAX);

        if (grace_ms == 0)
                grace_ms = (int64_t)keeper->grace_ms;
        finish_begin(keeper, PX_OUTCOME_CANCELLED, PX_REASON_CANCELLED,
                     message->number[1] == PX_KILL_WHY_FENCED
                             ? "ended: a newer attempt holds this job"
                             : "",
                     grace_ms);
}

static void take_contact(struct keeper *keeper, uint64_t ago_ms)
{
        int64_t heard_ms = keeper_now_ms() - (int64_t)PX_MIN(ago_ms, (uint64_t)INT64_MAX / 2);

        if (keeper->lost_ms != KEEPER_NEVER)
                keeper->lost_ms = PX_MAX(keeper->lost_ms,
                                         heard_ms + (int64_t)(keeper->lost_after_ms / 10 * 8));
}

/* The first process leads its group; both are gone once it was reaped. */
static void take_signal(struct keeper *keeper, uint64_t number)
{
        if (keeper->pid <= 0 || keeper->reaped || number >= NSIG)
                return;
        if (keeper->init_fd >= 0)
                init_signal(keeper, (int)number);
        else
                kill(-keeper->pid, (int)number);
}

static void take_message(struct keeper *keeper, const struct ctl_message *message)
{
        switch (message->kind) {
        case CTL_START:
                take_start(keeper, message);
                return;
        case CTL_KILL:
                take_kill(keeper, message);
                break;
        case CTL_SIGNAL:
                take_signal(keeper, message->number[0]);
                break;
        case CTL_STORED:
                for (int stream = PX_STREAM_OUT; stream <= PX_STREAM_ERR; stream++)
                        keeper->pump[stream].stored = PX_MAX(keeper->pump[stream].stored,
                                                             message->number[stream - 1]);
                break;
        case CTL_CONTACT:
                take_contact(keeper, message->number[0]);
                break;
        default: /* of a later release */
                break;
        }
        for (int i = 0; i < message->fds_count; i++)
                close(message->fds[i]);
}

static void ctl_read(struct keeper *keeper)
{
        static uint8_t room[CTL_PAYLOAD_BYTES_MAX];
        struct ctl_message message;
        int fault;

        while (keeper->ctl_fd >= 0 &&
               (fault = ctl_receive(keeper->ctl_fd, room, &message)) != -EAGAIN) {
                if (fault == 0)
                        take_message(keeper, &message);
                else if (fault != -EINTR)
                        keeper_close(&keeper->ctl_fd);
        }
}

/* A link that came later: it counts from now on, and is told all. */
static void ctl_accept(struct keeper *keeper)
{
        int fd = accept4(keeper->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0)
                return;
        keeper_close(&keeper->ctl_fd);
        keeper->ctl_fd = fd;
        keeper->say |= SAY_HELLO;
        /* HELLO holds what these would say. */
        keeper->say &= ~(unsigned)(SAY_STARTED | SAY_GREW | SAY_PROGRESS);
}

/* ---- saying ----------------------------------------------------------------------------------- */

static struct ctl_message say_message(struct keeper *keeper, unsigned what)
{
        struct ctl_message message = {0};
        bool started = keeper->pid > 0 && !(keeper->verdict.given && keeper->verdict.exit_code >= 0);
        uint64_t out = keeper->pump[PX_STREAM_OUT].head;
        uint64_t err = keeper->pump[PX_STREAM_ERR].head;

        switch (what) {
        case SAY_HELLO:
                message.kind = CTL_HELLO;
                message.number[0] = started ? (uint64_t)keeper->started_wall_ms : 0;
                message.number[1] = out;
                message.number[2] = err;
                message.number[3] = keeper->progress.any;
                break;
        case SAY_STARTED:
                message.kind = CTL_STARTED;
                message.number[0] = (uint64_t)keeper->started_wall_ms;
                break;
        case SAY_GREW:
                message.kind = CTL_GREW;
                message.number[0] = out;
                message.number[1] = err;
                break;
        case SAY_PROGRESS:
                message.kind = CTL_PROGRESS;
                message.number[0] = (uint64_t)(int64_t)keeper->progress.permille;
                message.payload = px_slice_text(keeper->progress.text);
                break;
        default:
                message.kind = CTL_ENDED;
                message.payload = px_buf_slice(&keeper->ended);
                PX_ASSERT(message.payload.length <= CTL_PAYLOAD_BYTES_MAX);
                break;
        }
        if (what == SAY_HELLO && keeper->progress.any)
                keeper->say |= SAY_PROGRESS;
        return message;
}

/* A start alone waits a moment: a short job's end says it too, and the link wakes once for both. */
static bool say_waits(const struct keeper *keeper)
{
        return keeper->say == 0 || (keeper->say == SAY_STARTED && keeper->phase == PHASE_RUNNING &&
                                    keeper_now_ms() < keeper->started_ms + KEEPER_START_WAIT_MS);
}

/* Say what is due, in this order, as far as the socket takes it. */
static void say_all(struct keeper *keeper)
{
        static const unsigned order[] = {SAY_HELLO, SAY_STARTED, SAY_GREW, SAY_PROGRESS,
                                         SAY_ENDED};

        if (say_waits(keeper))
                return;
        if ((keeper->say & SAY_ENDED) != 0)
                keeper->say &= ~(unsigned)SAY_STARTED;
        for (size_t i = 0; i < PX_COUNT_OF(order) && keeper->ctl_fd >= 0; i++) {
                struct ctl_message message;
                int fault;

                if ((keeper->say & order[i]) == 0)
                        continue;
                message = say_message(keeper, order[i]);
                fault = ctl_send(keeper->ctl_fd, &message);
                if (fault == -EAGAIN || fault == -EINTR)
                        return;
                if (fault != 0) {
                        keeper_close(&keeper->ctl_fd);
                        return;
                }
                keeper->say &= ~order[i];
        }
}

static void progress_due(struct keeper *keeper, int64_t now_ms)
{
        struct progress *progress = &keeper->progress;

        if (!progress->changed || keeper->phase == PHASE_IDLE ||
            now_ms - progress->said_ms < KEEPER_PROGRESS_MS)
                return;
        progress->changed = false;
        progress->said_ms = now_ms;
        keeper->say |= SAY_PROGRESS;
}

/* ---- the loop ----------------------------------------------------------------------------------- */

static int64_t next_ms(const struct keeper *keeper)
{
        int64_t next = finish_next_ms(keeper);

        if (keeper->phase == PHASE_IDLE)
                next = keeper->idle_ms;
        else if (keeper->progress.changed)
                next = PX_MIN(next, keeper->progress.said_ms + KEEPER_PROGRESS_MS);
        if (say_waits(keeper) && keeper->say != 0)
                next = PX_MIN(next, keeper->started_ms + KEEPER_START_WAIT_MS);
        return PX_MIN(next, keeper->listen_ms);
}

static void timer_arm(const struct keeper *keeper)
{
        static int64_t armed_ms = KEEPER_NEVER;
        int64_t next = next_ms(keeper);
        struct itimerspec when = {0};

        if (next == armed_ms)
                return;
        armed_ms = next;
        if (next != KEEPER_NEVER) {
                next = PX_MAX(next, (int64_t)1);
                when.it_value.tv_sec = next / 1000;
                when.it_value.tv_nsec = next % 1000 * 1000000;
        }
        timerfd_settime(keeper->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void signals_read(struct keeper *keeper)
{
        struct signalfd_siginfo info;

        while (read(keeper->signal_fd, &info, sizeof(info)) == sizeof(info))
                if (info.ssi_signo == SIGTERM)
                        finish_begin(keeper, PX_OUTCOME_GONE, PX_REASON_NODE_RESTARTED,
                                     "the machine was being shut down",
                                     PX_MIN((int64_t)keeper->grace_ms,
                                            (int64_t)KEEPER_SHUTDOWN_GRACE_MS));
        finish_reap(keeper);
}

enum { AT_CTL, AT_LISTEN, AT_SIGNAL, AT_TIMER, AT_OUT, AT_ERR, AT_PROGRESS, AT_SOCK, AT_INIT, AT_COUNT };

static void keeper_wait(struct keeper *keeper, struct pollfd polled[AT_COUNT])
{
        bool blocked = pump_blocked(keeper);
        bool talk = !say_waits(keeper);
        int fds[AT_COUNT] = {keeper->ctl_fd,
                      keeper->listen_fd,
                      keeper->signal_fd,
                      keeper->timer_fd,
                      blocked ? -1 : keeper->pump[PX_STREAM_OUT].pipe_fd,
                      blocked ? -1 : keeper->pump[PX_STREAM_ERR].pipe_fd,
                      keeper->progress_fd,
                      keeper_works(keeper) ? keeper->sock.fd : -1,
                      keeper->init_fd};

        for (int i = 0; i < AT_COUNT; i++)
                polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
        if (talk)
                polled[AT_CTL].events |= POLLOUT;
        timer_arm(keeper);
        if (poll(polled, AT_COUNT, -1) < 0 && errno != EINTR)
                _exit(71);
}

static void keeper_turn(struct keeper *keeper)
{
        struct pollfd polled[AT_COUNT];
        uint64_t expired;

        keeper_wait(keeper, polled);
        if (polled[AT_TIMER].revents != 0 &&
            read(keeper->timer_fd, &expired, sizeof(expired)) == sizeof(expired))
                finish_deadline(keeper, keeper_now_ms());
        /* Streams before the end: what they hold is read while there is room. */
        for (int i = 0; i < 2; i++)
                if (polled[AT_OUT + i].revents != 0 &&
                    keeper->pump[PX_STREAM_OUT + i].pipe_fd >= 0 &&
                    !pump_step(keeper, PX_STREAM_OUT + i))
                        keeper_close(&keeper->pump[PX_STREAM_OUT + i].pipe_fd);
        if (polled[AT_PROGRESS].revents != 0 && keeper->progress_fd >= 0 &&
            !progress_read_pipe(keeper))
                keeper_close(&keeper->progress_fd);
        if (polled[AT_SOCK].revents != 0 && keeper->sock.fd >= 0)
                progress_read_sock(keeper);
        if (polled[AT_INIT].revents != 0)
                finish_reap(keeper);
        if (polled[AT_SIGNAL].revents != 0)
                signals_read(keeper);
        if (polled[AT_LISTEN].revents != 0 && keeper->listen_fd >= 0)
                ctl_accept(keeper);
        if (polled[AT_CTL].revents != 0)
                ctl_read(keeper);
        progress_due(keeper, keeper_now_ms());
        say_all(keeper);
        /* Whoever starts the next link finds us by this name. */
        if (keeper_works(keeper) && keeper->ctl_fd < 0 && keeper->listen_fd < 0 &&
            (keeper->listen_ms == KEEPER_NEVER || keeper_now_ms() >= keeper->listen_ms))
                sockets_listen(keeper);
        if (keeper->phase == PHASE_ENDED && (keeper->say == 0 || keeper->ctl_fd < 0))
                keeper_forget(keeper);
}

static bool keeper_leaves(const struct keeper *keeper)
{
        return keeper->phase == PHASE_IDLE &&
               (keeper->ctl_fd < 0 || keeper_now_ms() >= keeper->idle_ms);
}

/* What a terminal or a broken pipe sends is blocked, not ignored, and nothing has a handler: so the
 * job's process finds all signals as it should when it opens its mask. */
static int signals_open(void)
{
        static const int blocked[] = {SIGCHLD, SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGPIPE};
        struct sigaction normal = {.sa_handler = SIG_DFL};
        sigset_t signals;

        for (int number = 1; number < NSIG; number++)
                sigaction(number, &normal, NULL);
        sigemptyset(&signals);
        for (size_t i = 0; i < PX_COUNT_OF(blocked); i++)
                sigaddset(&signals, blocked[i]);
        sigprocmask(SIG_SETMASK, &signals, NULL);
        sigemptyset(&signals);
        sigaddset(&signals, SIGCHLD);
        sigaddset(&signals, SIGTERM);
        return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool keeper_open(struct keeper *keeper)
{
        keeper->ctl_fd = CTL_FD;
        keeper->sock.fd = -1;
        keeper->signal_fd = signals_open();
        keeper->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
        keeper->told = mmap(NULL, sizeof(*keeper->told), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (keeper->told == MAP_FAILED)
                return false;
        keeper_reset(keeper);
        return keeper->signal_fd >= 0 && keeper->timer_fd >= 0 &&
               fcntl(CTL_FD, F_SETFD, FD_CLOEXEC) == 0 &&
               prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 && chdir("/") == 0;
}

int main(int argc, char **argv)
{
        static struct keeper keeper;
        int type = 0;
        socklen_t length = sizeof(type);

        (void)argv;
        if (argc != 1 || getsockopt(CTL_FD, SOL_SOCKET, SO_TYPE, &type, &length) != 0 ||
            type != SOCK_SEQPACKET) {
                fprintf(stderr, "plexus-keeper is started by plexus-node, for one job each\n");
                return 64;
        }
        if (!keeper_open(&keeper)) {
                fprintf(stderr, "plexus-keeper: %s\n", strerror(errno));
                return 71;
        }
        while (!keeper_leaves(&keeper))
                keeper_turn(&keeper);
        sockets_fini(&keeper);
        return 0;
}
