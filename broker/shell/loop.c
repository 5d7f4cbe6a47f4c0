/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c - the core thread: receive, step, submit, release. Layer: L4 (broker/shell).
 *
 * Journal idle: a batch is stepped and submitted at once. A flush under way: messages gather until
 * it is over or the batch is full. No timer decides, so one request waits for one flush, and a
 * thousand share one. The sockets' own descriptors are polled: zmq_poll() asks every socket several
 * times. Source: DESIGN 4. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <zmq.h>

#include "px_codec.h"
#include "shell.h"

/* The table of keys is built anew this often, so that tokens end when they expire. */
#define KEYS_EVERY_MS 15000
#define FILES_EVERY_MS 200
#define FILES_ALARM_PERCENT 90
/* Room, silence and retention are looked at this often when nothing else happens. */
#define IDLE_MS 1000
/* So few commands are flushed by this thread: there is nothing to gather meanwhile that would pay for
 * waking another thread and being woken by it. */
#define ALONE_MAX 4

/* ---- stepping ----------------------------------------------------------------------------------
 */

static void remember(struct shell *shell, const struct core_command *command)
{
        shell->last[shell->last_count++ % SHELL_LAST_COMMANDS] = (struct shell_trace){
                .type = command->header.type,
                .origin = command->origin,
                .principal = command->principal.value,
                .peer = command->peer,
                .correlation = command->header.correlation,
        };
}

/* Give the log what changed. A batch that changed nothing keeps its number for the next one: its
 * effects wait for those before it, not for a flush of their own. */
static void submit(struct shell *shell, struct shell_output *stepped, bool alone)
{
        const struct core_output *output = &stepped->output;

        stepped->wait_index = shell->index;
        if (output->rows.length > 0 || output->events_count > 0) {
                int64_t began_ms = clock_steady_ms();

                stepped->wait_index = ++shell->index;
                px_log_submit(shell->log, &(struct px_log_batch){
                                                  .epoch = shell->start.epoch,
                                                  .index = shell->index,
                                                  .rows = px_buf_slice(&output->rows),
                                                  .events = px_buf_slice(&output->events),
                                                  .events_count = output->events_count,
                                                  .here = alone,
                                          });
                /* Nobody is heard during a flush: one in which the process, or the disk, stood still
                 * makes no node silent. */
                core_clock_overslept(&shell->clock, clock_steady_ms() - began_ms);
        }
        release_queue(shell, stepped);
}

void loop_step(struct shell *shell)
{
        struct shell_output *stepped = release_spare(shell);
        struct batch *batch = shell->batch;
        struct core_batch step = {
                .epoch = shell->start.epoch,
                .index = shell->index + 1,
                .core_ms = core_clock_ms(&shell->clock),
                .wall_ms = clock_wall_ms(),
                .seed = clock_random_u64(),
                .commands = batch->commands,
                .commands_count = batch->commands_count,
        };

        PX_ASSERT(batch->commands_count > 0);
        for (size_t i = 0; i < batch->commands_count; i++)
                remember(shell, &batch->commands[i]);
        batch_prefetch(batch, shell->core, shell->log, shell->blobs);
        record_batch(shell->record, &step);
        core_step(shell->core, &step, &stepped->output);
        record_output(shell->record, &stepped->output);
        submit(shell, stepped, batch->commands_count <= ALONE_MAX);
        batch_reset(batch);
}

/* ---- the shell's own commands -------------------------------------------------------------------
 */

static void add_gone_peers(struct shell *shell)
{
        size_t taken = 0;
        uint64_t silent;

        for (;;) {
                silent = peers_silent(shell->peers, clock_steady_ms(), SHELL_SILENCE_MS);
                if (silent == 0)
                        break;
                inbox_lose_peer(shell, silent);
        }
        while (taken < shell->gone.length && !batch_own_full(shell->batch)) {
                struct px_buf frame = {0};

                px_m_peer_gone_frame(&(struct px_m_peer_gone){0}, 0, 0, &frame);
                batch_add_own(shell->batch, px_get_be64(shell->gone.data + taken),
                              px_buf_slice(&frame));
                px_buf_fini(&frame);
                taken += sizeof(uint64_t);
        }
        if (taken == 0)
                return;
        shell->gone.length -= taken;
        memmove(shell->gone.data, shell->gone.data + taken, shell->gone.length);
}

static void add_storage(struct shell *shell)
{
        bool full = !px_log_room(shell->log);
        struct px_buf frame = {0};

        if (full == shell->storage_full || batch_own_full(shell->batch))
                return;
        fprintf(stderr, "plexus-broker: storage is %s\n",
                full ? "full: submits are refused, the rest goes on" : "no longer full");
        shell->storage_full = full;
        px_m_storage_frame(&(struct px_m_storage){.full = full}, 0, 0, &frame);
        batch_add_own(shell->batch, 0, px_buf_slice(&frame));
        px_buf_fini(&frame);
}

static void add_progress(struct shell *shell)
{
        struct px_buf frame = {0};

        if (!batch_own_full(shell->batch) && egress_progress(shell->egress, &frame))
                batch_add_own(shell->batch, 0, px_buf_slice(&frame));
        px_buf_fini(&frame);
}

static void add_retention(struct shell *shell)
{
        struct px_buf frame = {0};

        if (!batch_own_full(shell->batch) &&
            retention_piece(&shell->retention, shell->log, clock_steady_ms(), clock_wall_ms(),
                            &frame))
                batch_add_own(shell->batch, 0, px_buf_slice(&frame));
        px_buf_fini(&frame);
}

/* Descriptors are given out lowest first, so the next one tells how many are open. */
static void watch_files(struct shell *shell)
{
        struct rlimit limit;
        int next;
        int64_t now_ms = clock_steady_ms();
        bool few_left;
        rlim_t alarm;

        if (now_ms < shell->files_due_ms)
                return;
        shell->files_due_ms = now_ms + FILES_EVERY_MS;
        next = fcntl(shell->signal_fd, F_DUPFD_CLOEXEC, 0);
        if (next >= 0)
                close(next);
        if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
                return;
        alarm = limit.rlim_cur / 100 * FILES_ALARM_PERCENT +
                limit.rlim_cur % 100 * FILES_ALARM_PERCENT / 100;
        few_left = next < 0 || (rlim_t)next >= alarm;
        if (few_left && !shell->few_files_left)
                fprintf(stderr,
                        "plexus-broker: more than %d %% of the %llu file descriptors are in use; new "
                        "connections will wait\n",
                        FILES_ALARM_PERCENT, (unsigned long long)limit.rlim_cur);
        shell->few_files_left = few_left;
}

static void renew_keys(struct shell *shell)
{
        int64_t now_ms = clock_steady_ms();

        if (now_ms < shell->keys_due_ms)
                return;
        shell->keys_due_ms = now_ms + KEYS_EVERY_MS;
        malloc_trim(0); /* what a burst took and left free between things that stay */
        load_keys(shell);
}

/* A step without messages: when the core asked for one, and at the start, when leases begin anew.
 */
static void add_tick(struct shell *shell)
{
        struct px_buf frame = {0};
        bool begun = shell->last_count > 0;

        if (shell->batch->commands_count > 0 ||
            (begun && core_deadline_ms(shell->core) > core_clock_ms(&shell->clock)))
                return;
        px_m_tick_frame(&(struct px_m_tick){0}, 0, 0, &frame);
        batch_add_own(shell->batch, 0, px_buf_slice(&frame));
        px_buf_fini(&frame);
}

/* ---- waiting
 * -------------------------------------------------------------------------------------- */

static long wait_ms(const struct shell *shell, bool flushing)
{
        int64_t now_ms = clock_steady_ms();
        int64_t wait = PX_MIN((int64_t)IDLE_MS, shell->retention.due_ms - now_ms);
        int64_t deadline_ms = core_deadline_ms(shell->core);

        /* While a flush is under way nothing is stepped; its end wakes us. */
        if (!flushing && (shell->batch->commands_count > 0 || shell->gone.length > 0))
                return 0; /* what was released made work */
        if (!flushing && deadline_ms != INT64_MAX)
                wait = PX_MIN(wait, deadline_ms - core_clock_ms(&shell->clock));
        return (long)PX_MAX(wait, (int64_t)0);
}

/* A socket that was used since it was found empty says by itself what waits. true: something does. */
static bool look_at_sockets(struct shell *shell)
{
        bool any = false;

        for (size_t i = 0; i < SHELL_SOCKETS; i++) {
                if (shell->sockets[i] != NULL && shell->stale[i] && !shell->filled[i]) {
                        shell->filled[i] = socket_has_input(shell->sockets[i]);
                        shell->stale[i] = shell->filled[i];
                }
                any = any || shell->filled[i];
        }
        return any;
}

static void wait_for_work(struct shell *shell, bool flushing)
{
        struct pollfd items[SHELL_SOCKETS + 2];
        size_t which[SHELL_SOCKETS];
        bool reading = !px_log_behind(shell->log) && !batch_full(shell->batch);
        long wait = reading && look_at_sockets(shell) ? 0 : wait_ms(shell, flushing);
        int64_t began_ms = clock_steady_ms();
        nfds_t count = 0, sockets;

        for (size_t i = 0; reading && i < SHELL_SOCKETS; i++) {
                if (shell->sockets[i] == NULL)
                        continue;
                which[count] = i;
                items[count++] = (struct pollfd){.fd = shell->fds[i], .events = POLLIN};
        }
        sockets = count;
        items[count++] = (struct pollfd){.fd = px_log_fd(shell->log), .events = POLLIN};
        items[count++] = (struct pollfd){.fd = shell->signal_fd, .events = POLLIN};
        if (poll(items, count, (int)wait) < 0) {
                PX_ASSERT(errno == EINTR);
                sockets = 0;
        }
        for (nfds_t i = 0; i < sockets; i++)
                shell->filled[which[i]] = shell->filled[which[i]] || items[i].revents != 0;
        core_clock_overslept(&shell->clock, clock_steady_ms() - began_ms - wait);
}

static void read_signals(struct shell *shell)
{
        struct signalfd_siginfo info;

        while (read(shell->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
                if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
                        shell->stopping = true;
        }
}

/* After a fault nothing more is acknowledged. */
static bool faulty(const struct shell *shell)
{
        int fault = px_log_fault(shell->log);
        const char *where = "the journal or the database";

        if (fault == 0 && shell->egress != NULL) {
                fault = egress_fault(shell->egress);
                where = "the log segments";
        }
        if (fault != 0)
                fprintf(stderr,
                        "plexus-broker: writing %s failed: %s; nothing more is acknowledged\n",
                        where, strerror(-fault));
        return fault != 0;
}

int loop_run(struct shell *shell)
{
        uint64_t durable = px_log_durable(shell->log);

        while (!shell->stopping) {
                wait_for_work(shell, durable < shell->index);
                read_signals(shell);
                if (!px_log_behind(shell->log))
                        inbox_drain(shell);
                durable = px_log_durable(shell->log);
                if (faulty(shell))
                        return BROKER_EXIT_IO;
                release_durable(shell, durable);
                add_gone_peers(shell);
                renew_keys(shell);
                watch_files(shell);
                add_storage(shell);
                add_progress(shell);
                add_retention(shell);
                if (durable < shell->index && !batch_full(shell->batch))
                        continue;
                add_tick(shell);
                if (shell->batch->commands_count > 0)
                        loop_step(shell);
                durable = px_log_durable(shell->log);
                release_durable(shell, durable); /* what needs no flush leaves at once */
        }
        return BROKER_EXIT_OK;
}

void loop_say_goodbye(struct shell *shell)
{
        struct px_m_bye bye = {.epoch = shell->start.epoch};
        struct px_buf frame = {0};
        uint64_t peer;

        px_m_bye_frame(&bye, 0, 0, &frame);
        while ((peer = peers_silent(shell->peers, clock_steady_ms(), 0)) != 0) {
                release_send(shell, peer, px_buf_slice(&frame), PX_SLICE_NONE);
                peers_drop(shell->peers, peer);
        }
        px_buf_fini(&frame);
}

int loop_flush(struct shell *shell)
{
        if (shell->batch->commands_count > 0)
                loop_step(shell);
        for (;;) {
                struct pollfd item = {.fd = px_log_fd(shell->log), .events = POLLIN};
                uint64_t durable = px_log_durable(shell->log);

                if (faulty(shell))
                        return BROKER_EXIT_IO;
                release_durable(shell, durable);
                if (durable >= shell->index)
                        return BROKER_EXIT_OK;
                if (poll(&item, 1, IDLE_MS) < 0)
                        PX_ASSERT(errno == EINTR);
        }
}
