/* SPDX-License-Identifier: Apache-2.0 */
/* keep.c - the keeper of an attempt: start one, hear it, look after what it leaves when it dies.
 * Layer: L4 (node/link). Source: DESIGN 7. */
#include "link.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

#define DYING_AGAIN_MS 20
#define STARTS_MAX 3
#define QUIET_LOOKS 2

/* ---- start ---------------------------------------------------------------------------------- */

static void idle_drop(struct link *link, struct idle_keeper *keeper)
{
        if (keeper->ctl_fd >= 0)
                close(keeper->ctl_fd);
        keeper->ctl_fd = -1;
        px_list_remove(&keeper->link);
        px_list_append(&link->graves_idle, &keeper->link);
}

/* A waiting keeper, which may have left just now, or a new one. */
static int keeper_take(struct link *link, struct held *held, bool *ret_waited)
{
        struct idle_keeper *keeper;

        *ret_waited = !px_list_empty(&link->idle);
        if (!*ret_waited)
                return keeper_spawn(link->keeper, &held->pid, &held->ctl_fd);
        keeper = PX_CONTAINER_OF(link->idle.next, struct idle_keeper, link);
        held->ctl_fd = keeper->ctl_fd;
        held->pid = keeper->pid;
        keeper->ctl_fd = -1;
        idle_drop(link, keeper);
        return 0;
}

/* Where the keeper's jobs may send datagrams. Empty when the path is longer than a socket's may be. */
static void sock_path(const struct link *link, const struct held *held, char *ret_path,
                      size_t room)
{
        int length = snprintf(ret_path, room, "%s/" KEEP_SOCK_FORMAT, link->work_dir, (int)held->pid);

        if (length >= (int)sizeof(((struct sockaddr_un *)0)->sun_path))
                ret_path[0] = '\0';
}

static int start_hand_over(struct link *link, struct held *held, const struct job_group *group,
                           int lock_fd)
{
        const struct account *account = held->account;
        char name[SPOOL_NAME_BYTES];
        char work[1200];
        char sock[1200];
        struct keeper_start start = {.node = link->options->name,
                                     .uid = account->uid,
                                     .gid = account->gid,
                                     .switch_account = account->switches,
                                     .groups = (uint32_t *)(uintptr_t)account->groups,
                                     .groups_count = account->groups_count,
                                     .user = account->user,
                                     .home = account->home,
                                     .shell = account->shell,
                                     .work = work,
                                     .sock = sock,
                                     .kill_mode = group_mode_text(link->tree.mode),
                                     .group = group->kill,
                                     .group_memory = group->memory,
                                     .group_pids = group->pids,
                                     .new_privs = link->options->new_privs};

        memcpy(start.boot, link->boot, sizeof(start.boot));
        snprintf(work, sizeof(work), "%s/%s", link->work_dir, spool_name(held->key, name));
        sock_path(link, held, sock, sizeof(sock));
        return keeper_hand_over(held->ctl_fd, &start, held->dir_fd, lock_fd);
}

static int start_with_keeper(struct link *link, struct held *held, const struct job_group *group,
                             int lock_fd)
{
        bool waited;
        int fault;

        do {
                fault = keeper_take(link, held, &waited);
                if (fault == 0)
                        fault = start_hand_over(link, held, group, lock_fd);
                if (fault != 0 && held->ctl_fd >= 0) {
                        close(held->ctl_fd);
                        held->ctl_fd = -1;
                }
        } while (fault == -EPIPE && waited);
        return fault;
}

static int start_try(struct link *link, struct held *held)
{
        struct job_group group;
        int lock_fd = -1;
        int fault;

        if (!held_dir(link, held))
                return -ENOENT;
        fault = spool_lock(held->dir_fd, &lock_fd);
        if (fault == 0)
                fault = slot_take(link, held, &group);
        if (fault == 0)
                fault = start_with_keeper(link, held, &group, lock_fd);
        if (lock_fd >= 0)
                close(lock_fd);
        return fault;
}

void keep_start(struct link *link, struct held *held)
{
        char text[256];
        int fault;

        PX_ASSERT(held->account != NULL);
        if (!fetch_is_here(held)) {
                fetch_begin(link, held);
                return;
        }
        held->starts++;
        held->blob_here = false; /* the keeper takes it */
        fault = start_try(link, held);
        if (fault != 0) {
                snprintf(text, sizeof(text), "node %s can't start a keeper: %s",
                         link->options->name, strerror(-fault));
                note(NOTE_ERROR, &held->key, "%s", text);
                slot_give(link, held);
                link_follow(link, NODE_IN_REFUSED, held->key, PX_E_NODE_FAULT, text);
                return;
        }
        held->state = HELD_WATCHED;
        link_watch(link, held->ctl_fd, held);
}

/* ---- hear ----------------------------------------------------------------------------------- */

/* The keeper of an ended attempt waits for its next one. */
static void keeper_to_idle(struct link *link, struct held *held)
{
        struct idle_keeper *keeper;

        if (held->pid == 0 || held->ctl_fd < 0)
                return;
        keeper = px_alloc(sizeof(*keeper));
        keeper->watched = WATCHED_IDLE;
        keeper->pid = held->pid;
        keeper->ctl_fd = held->ctl_fd;
        link_watch(link, keeper->ctl_fd, keeper);
        px_list_prepend(&link->idle, &keeper->link);
        held->ctl_fd = -1;
        held->pid = 0;
}

static void hear_grew(struct link *link, struct held *held, int stream, uint64_t length)
{
        struct node_input input = {.kind = NODE_IN_GREW,
                                   .job = held->key.job,
                                   .fence = held->key.fence,
                                   .stream = stream,
                                   .length = length};

        if (length <= held->length[stream])
                return;
        held->length[stream] = length;
        link_step(link, &input);
}

static void hear_started(struct link *link, struct held *held, uint64_t wall_ms)
{
        struct node_input input = {.kind = NODE_IN_STARTED,
                                   .job = held->key.job,
                                   .fence = held->key.fence,
                                   .wall_ms = (int64_t)wall_ms};

        px_free(held->account);
        held->account = NULL;
        link_step(link, &input);
}

static void hear_progress(struct link *link, struct held *held, const struct ctl_message *message)
{
        struct node_input input = {.kind = NODE_IN_PROGRESS,
                                   .job = held->key.job,
                                   .fence = held->key.fence,
                                   .permille = (int32_t)(int64_t)message->number[0],
                                   .text = message->payload,
                                   .wall_ms = machine_wall_ms()};

        if (message->payload.length <= PX_LIMIT_PROGRESS_BYTES &&
            px_slice_is_text(message->payload))
                link_step(link, &input);
}

/* The keeper says what its exit record holds. */
static void hear_ended(struct link *link, struct held *held, struct px_slice encoded)
{
        struct px_arena arena = {0};
        struct px_result result;

        if (px_result_decode(encoded, &arena, &result) == PX_WIRE_OK &&
            result.job.value == held->key.job.value &&
            px_fence_equal(result.fence, held->key.fence)) {
                keeper_to_idle(link, held);
                held_ended(link, held, &result);
        } else {
                keep_lost(link, held);
        }
        px_arena_fini(&arena);
}

static void hear_message(struct link *link, struct held *held, const struct ctl_message *message)
{
        switch (message->kind) {
        case CTL_HELLO:
                if (message->number[0] != 0)
                        hear_started(link, held, message->number[0]);
                hear_grew(link, held, PX_STREAM_OUT, message->number[1]);
                hear_grew(link, held, PX_STREAM_ERR, message->number[2]);
                break;
        case CTL_STARTED:
                hear_started(link, held, message->number[0]);
                break;
        case CTL_GREW:
                hear_grew(link, held, PX_STREAM_OUT, message->number[0]);
                hear_grew(link, held, PX_STREAM_ERR, message->number[1]);
                break;
        case CTL_PROGRESS:
                hear_progress(link, held, message);
                break;
        case CTL_ENDED:
                hear_ended(link, held, message->payload);
                break;
        default: /* of a later release */
                break;
        }
        for (int i = 0; i < message->fds_count; i++)
                close(message->fds[i]);
}

void keep_hear(struct link *link, struct held *held)
{
        static uint8_t room[CTL_PAYLOAD_BYTES_MAX];
        struct ctl_message message;
        int fault = 0;

        while (held->state == HELD_WATCHED && held->ctl_fd >= 0) {
                fault = ctl_receive(held->ctl_fd, room, &message);
                if (fault == -EINTR)
                        continue;
                if (fault != 0)
                        break;
                hear_message(link, held, &message);
        }
        if (held->state == HELD_WATCHED && fault != 0 && fault != -EAGAIN)
                keep_lost(link, held);
}

/* An idle keeper says nothing: whatever comes, it leaves or isn't what we think. */
void keep_idle_hear(struct link *link, struct idle_keeper *keeper)
{
        if (keeper->ctl_fd >= 0)
                idle_drop(link, keeper);
}

/* ---- find it again ---------------------------------------------------------------------------- */

void keep_kill(struct held *held, uint64_t grace_ms, int why)
{
        held->kill_wanted = true;
        held->kill_grace_ms = grace_ms;
        held->kill_why = why;
        held_tell(held, CTL_KILL, grace_ms, (uint64_t)why);
}

bool keep_connect(struct link *link, struct held *held)
{
        if (keeper_connect(held->dir_fd, &held->ctl_fd) != 0)
                return false;
        held->state = HELD_WATCHED;
        link_watch(link, held->ctl_fd, held);
        /* What it couldn't be told meanwhile. */
        held_tell(held, CTL_STORED, held->stored[PX_STREAM_OUT], held->stored[PX_STREAM_ERR]);
        if (held->kill_wanted)
                held_tell(held, CTL_KILL, held->kill_grace_ms, (uint64_t)held->kill_why);
        return true;
}

/* ---- what a dead keeper leaves -------------------------------------------------------------- */

void keep_lost(struct link *link, struct held *held)
{
        if (held->state == HELD_DYING)
                return;
        if (held->ctl_fd >= 0)
                close(held->ctl_fd);
        held->ctl_fd = -1;
        held->pid = 0;
        held->state = HELD_DYING;
        held->quiet = 0;
        link->dying_count++;
        link->dying_ms = machine_now_ms();
}

static void dying_end(struct link *link, struct held *held, const struct spool_started *started)
{
        struct px_result result = {
                .job = held->key.job,
                .fence = held->key.fence,
                .outcome = PX_OUTCOME_KEEPER_DIED,
                .reason = PX_REASON_KEEPER_DIED,
                .exit_code = -1,
                .progress_permille = -1,
                .text = px_slice_text("the process that watched the job died; what was left of the "
                                      "job was ended"),
        };
        int fault;

        result.use.started_wall_ms = started->wall_ms;
        result.use.ended_wall_ms = machine_wall_ms();
        result.use.out_bytes = spool_stream_length(held->dir_fd, PX_STREAM_OUT);
        result.use.err_bytes = spool_stream_length(held->dir_fd, PX_STREAM_ERR);
        fault = spool_exit_write(held->dir_fd, link->boot,
                                 spool_exit_worth_sync(held->on_lost, INT64_MAX), &result);
        note(NOTE_WARN, &held->key, "keeper died; nothing of the job is left");
        if (fault != 0)
                note(NOTE_ERROR, &held->key, "its end can't be written: %s", strerror(-fault));
        held_ended(link, held, &result);
}

/* True when a look found nothing of it alive, and the one before too. */
static bool dying_gone(struct held *held, const struct spool_started *started)
{
        char job[32];
        char fence[64];

        if (started->group[0] != '\0') {
                if (!group_kill(started->kill_mode, started->group))
                        return false;
                group_discard(started->group);
                return true;
        }
        px_id_text(held->key.job.value, job);
        snprintf(fence, sizeof(fence), "%" PRIu64 ".%" PRIu32, held->key.fence.epoch,
                 held->key.fence.attempt);
        held->quiet = group_kill_by_environment(job, fence) == 0 ? held->quiet + 1 : 0;
        return held->quiet >= QUIET_LOOKS;
}

static void dying_look(struct link *link, struct held *held)
{
        struct px_arena arena = {0};
        struct spool_started started = {0};
        struct px_result result;

        if (!held_dir(link, held))
                return;
        if (spool_lock_held(held->dir_fd)) {
                /* Its keeper lives: it will listen when it sees that its link is gone. */
                if (keep_connect(link, held))
                        link->dying_count--;
        } else if (spool_exit_read(held->dir_fd, held->key, link->boot, &arena, &result) == 0) {
                held_ended(link, held, &result);
        } else if (spool_started_read(held->dir_fd, held->key, &started) == -ENOENT &&
                   held->account != NULL && held->starts < STARTS_MAX) {
                /* It never began: a keeper that was leaving just then. */
                link->dying_count--;
                slot_give(link, held);
                held->state = HELD_ENTERED;
                keep_start(link, held);
        } else if (dying_gone(held, &started)) {
                dying_end(link, held, &started);
        }
        px_arena_fini(&arena);
}

void keep_after(struct link *link)
{
        struct px_link *at = link->held.next;

        while (at != &link->held && link->dying_count > 0) {
                struct held *held = PX_CONTAINER_OF(at, struct held, link);

                at = at->next;
                if (held->state == HELD_DYING)
                        dying_look(link, held);
        }
        link->dying_ms = link->dying_count == 0 ? LINK_NEVER : machine_now_ms() + DYING_AGAIN_MS;
}
