/* SPDX-License-Identifier: Apache-2.0 */
/* ctl.c - packets between link and keeper. Layer: L4 (node/keeper). */
#include "ctl.h"
#include "px_wire.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

struct ctl_head {
        uint8_t kind;
        uint8_t version;
        uint16_t zero;
        uint32_t length;
        uint64_t number[4];
};

union ctl_control {
        char room[CMSG_SPACE(CTL_FDS_MAX * sizeof(int))];
        struct cmsghdr align;
};

int ctl_send(int socket_fd, const struct ctl_message *message)
{
        struct ctl_head head = {.kind = (uint8_t)message->kind, .version = CTL_VERSION};
        struct iovec parts[2] = {
                {.iov_base = &head, .iov_len = sizeof(head)},
                {.iov_base = (void *)(uintptr_t)message->payload.data,
                 .iov_len = message->payload.length},
        };
        union ctl_control control;
        struct msghdr packet = {.msg_iov = parts, .msg_iovlen = 2};

        PX_ASSERT(message->payload.length <= CTL_PAYLOAD_BYTES_MAX);
        PX_ASSERT(message->fds_count >= 0 && message->fds_count <= CTL_FDS_MAX);
        head.length = (uint32_t)message->payload.length;
        memcpy(head.number, message->number, sizeof(head.number));
        if (message->fds_count > 0) {
                size_t bytes = (size_t)message->fds_count * sizeof(int);
                struct cmsghdr *rights;

                memset(&control, 0, sizeof(control));
                packet.msg_control = control.room;
                packet.msg_controllen = CMSG_SPACE(bytes);
                rights = CMSG_FIRSTHDR(&packet);
                rights->cmsg_level = SOL_SOCKET;
                rights->cmsg_type = SCM_RIGHTS;
                rights->cmsg_len = CMSG_LEN(bytes);
                memcpy(CMSG_DATA(rights), message->fds, bytes);
        }
        if (sendmsg(socket_fd, &packet, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
                return 0;
        return errno == ECONNRESET ? -EPIPE : -errno;
}

static void ctl_take_fds(struct msghdr *packet, struct ctl_message *message)
{
        for (struct cmsghdr *part = CMSG_FIRSTHDR(packet); part != NULL;
             part = CMSG_NXTHDR(packet, part)) {
                size_t bytes;

                if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
                        continue;
                bytes = part->cmsg_len - CMSG_LEN(0);
                PX_ASSERT(bytes <= sizeof(message->fds));
                memcpy(message->fds, CMSG_DATA(part), bytes);
                message->fds_count = (int)(bytes / sizeof(int));
        }
}

int ctl_receive(int socket_fd, uint8_t room[CTL_PAYLOAD_BYTES_MAX],
                struct ctl_message *ret_message)
{
        struct ctl_head head;
        struct iovec parts[2] = {
                {.iov_base = &head, .iov_len = sizeof(head)},
                {.iov_base = room, .iov_len = CTL_PAYLOAD_BYTES_MAX},
        };
        union ctl_control control;
        struct msghdr packet = {.msg_iov = parts,
                                .msg_iovlen = 2,
                                .msg_control = control.room,
                                .msg_controllen = sizeof(control.room)};
        struct ctl_message message = {0};
        ssize_t got = recvmsg(socket_fd, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

        if (got < 0)
                return errno == ECONNRESET ? -EPIPE : -errno;
        if (got == 0)
                return -EPIPE;
        ctl_take_fds(&packet, &message);
        if ((size_t)got < sizeof(head) || head.version != CTL_VERSION ||
            (size_t)got != sizeof(head) + head.length || (packet.msg_flags & MSG_TRUNC) != 0) {
                for (int i = 0; i < message.fds_count; i++)
                        close(message.fds[i]);
                return -EBADMSG;
        }
        message.kind = head.kind;
        memcpy(message.number, head.number, sizeof(message.number));
        message.payload = px_slice_of(room, head.length);
        *ret_message = message;
        return 0;
}

/* ---- START ---------------------------------------------------------------------------------- */

#define START_FIELDS 17
#define START_TEXT_BYTES_MAX 4096

void keeper_start_encode(const struct keeper_start *start, struct px_buf *out)
{
        PX_ASSERT(start->groups_count <= KEEPER_GROUPS_MAX);
        px_write_array(out, START_FIELDS);
        px_write_text(out, px_slice_text(start->node));
        px_write_bytes(out, px_slice_of(start->boot, sizeof(start->boot)));
        px_write_u64(out, start->uid);
        px_write_u64(out, start->gid);
        px_write_bool(out, start->switch_account);
        px_write_array(out, (uint32_t)start->groups_count);
        for (size_t i = 0; i < start->groups_count; i++)
                px_write_u64(out, start->groups[i]);
        px_write_text(out, px_slice_text(start->user));
        px_write_text(out, px_slice_text(start->home));
        px_write_text(out, px_slice_text(start->shell));
        px_write_text(out, px_slice_text(start->work));
        px_write_text(out, px_slice_text(start->sock));
        px_write_text(out, px_slice_text(start->kill_mode));
        px_write_text(out, px_slice_text(start->group));
        px_write_text(out, px_slice_text(start->group_memory));
        px_write_text(out, px_slice_text(start->group_pids));
        px_write_bool(out, start->new_privs);
        px_write_u64(out, start->spool_bytes_max);
}

static const char *start_text(struct px_reader *reader, struct px_arena *arena)
{
        return px_arena_text(arena, px_read_text(reader, START_TEXT_BYTES_MAX));
}

static void start_groups(struct px_reader *reader, struct px_arena *arena,
                         struct keeper_start *start)
{
        uint32_t count = px_read_array(reader, KEEPER_GROUPS_MAX);

        if (count == 0)
                return;
        start->groups = px_arena_alloc(arena, count * sizeof(*start->groups));
        for (uint32_t i = 0; i < count; i++)
                start->groups[i] = (uint32_t)px_read_u64(reader, UINT32_MAX);
        start->groups_count = count;
}

int keeper_start_decode(struct px_slice encoded, struct px_arena *arena,
                        struct keeper_start *ret_start)
{
        struct px_reader reader;
        struct keeper_start start = {0};
        struct px_slice boot;

        px_reader_init(&reader, encoded);
        px_read_array(&reader, START_FIELDS);
        start.node = start_text(&reader, arena);
        boot = px_read_bytes(&reader, sizeof(start.boot));
        start.uid = (uint32_t)px_read_u64(&reader, UINT32_MAX);
        start.gid = (uint32_t)px_read_u64(&reader, UINT32_MAX);
        start.switch_account = px_read_bool(&reader);
        start_groups(&reader, arena, &start);
        start.user = start_text(&reader, arena);
        start.home = start_text(&reader, arena);
        start.shell = start_text(&reader, arena);
        start.work = start_text(&reader, arena);
        start.sock = start_text(&reader, arena);
        start.kill_mode = start_text(&reader, arena);
        start.group = start_text(&reader, arena);
        start.group_memory = start_text(&reader, arena);
        start.group_pids = start_text(&reader, arena);
        start.new_privs = px_read_bool(&reader);
        start.spool_bytes_max = px_read_u64(&reader, UINT64_MAX);
        if (reader.error != PX_WIRE_OK || boot.length != sizeof(start.boot))
                return -EBADMSG;
        memcpy(start.boot, boot.data, sizeof(start.boot));
        *ret_start = start;
        return 0;
}
