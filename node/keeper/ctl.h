/* SPDX-License-Identifier: Apache-2.0 */
/* ctl.h - what the link and a keeper say to each other. Layer: L4 (node/keeper).
 *
 * A SOCK_SEQPACKET Unix socket: a pair made by the link that starts the keeper, or a connection to
 * `ctl` in the attempt's directory by a link that came later (a keeper binds it when it notices that
 * its link is gone); the newest connection is the one that counts. Nothing is lost with a connection: state that matters is in the spool, and HELLO repeats
 * the rest. One packet is one message, in the machine's byte order (both ends are on one machine):
 *   offset 0  u8  kind   1  u8  version (1)   2  u16 zero   4  u32 length of the payload
 *          8  u64 number[4]                  40  payload
 * Numbers and payload by kind:
 *   START     payload = encoded struct keeper_start; two descriptors ride along: the attempt's
 *             directory and its taken lock
 *   KILL      grace_ms (0 = as specified), why (enum px_kill_why)
 *   SIGNAL    signal
 *   STORED    out, err: stored below these offsets
 *   CONTACT   ago_ms: so long ago the broker had heard us; on_lost=fail counts from then
 *   HELLO     started_wall_ms (0 = not yet), out length, err length; payload = last progress
 *             as PROGRESS, only when there was one: then the fourth number is 1
 *   STARTED   wall_ms; not said of a job that ended within KEEPER_START_WAIT_MS without a word
 *   GREW      out length, err length
 *   PROGRESS  permille as a signed number; payload = text
 *   ENDED     the exit record is written, nothing of the attempt is alive; payload = the result
 */
#ifndef CTL_H
#define CTL_H

#include "px_base.h"

#include <sys/types.h>

#define CTL_VERSION 1
#define CTL_PAYLOAD_BYTES_MAX 16384
#define CTL_FDS_MAX 2

enum ctl_kind {
        CTL_START = 1,
        CTL_KILL,
        CTL_SIGNAL,
        CTL_STORED,
        CTL_CONTACT,
        CTL_HELLO = 65,
        CTL_STARTED,
        CTL_GREW,
        CTL_PROGRESS,
        CTL_ENDED,
};

struct ctl_message {
        int kind;
        uint64_t number[4];
        struct px_slice payload;
        int fds[CTL_FDS_MAX];
        int fds_count;
};

/* Send without waiting. Faults: -EAGAIN the peer's queue is full; -EPIPE it is gone; -errno. */
int ctl_send(int socket_fd, const struct ctl_message *message);

/* Receive one message without waiting. `room` holds the payload of ret_message.
 * Owns: received descriptors (close-on-exec) are the caller's.
 * Faults: -EAGAIN none; -EPIPE the peer is gone; -EBADMSG not a message of ours; -errno. */
int ctl_receive(int socket_fd, uint8_t room[CTL_PAYLOAD_BYTES_MAX],
                struct ctl_message *ret_message);

/* What a keeper is told beside the attempt's entry. Texts are terminated when decoded. */
struct keeper_start {
        const char *node;
        uint8_t boot[16];
        uint32_t uid;
        uint32_t gid;
        bool switch_account; /* become uid, gid and groups: the keeper is root */
        uint32_t *groups;
        size_t groups_count;
        const char *user;
        const char *home;
        const char *shell;
        const char *work;       /* directory made for the job, or empty */
        const char *sock;       /* path of the progress socket, or empty */
        const char *kill_mode;  /* group_mode_text() */
        const char *group;      /* its cgroup by which it is killed, or empty */
        const char *group_memory; /* v1 memory cgroup, or empty; v2: the same as group when limited */
        const char *group_pids;   /* v1 pids cgroup, or empty */
        bool new_privs; /* leave no_new_privs off */
        uint64_t spool_bytes_max; /* not yet stored before the pipe blocks; 0 = PX_LIMIT_SPOOL_BYTES */
};
#define KEEPER_GROUPS_MAX 1024
void keeper_start_encode(const struct keeper_start *start, struct px_buf *out);
/* Owns: texts and groups live in the arena. Returns 0 or -EBADMSG. */
int keeper_start_decode(struct px_slice encoded, struct px_arena *arena,
                        struct keeper_start *ret_start);

#endif
