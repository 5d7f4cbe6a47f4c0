/* SPDX-License-Identifier: Apache-2.0 */
/* sockets.c - the two sockets that a keeper binds: where a later link finds it, and where its jobs say
 * their progress. Layer: L4 (node/keeper).
 *
 * A name in a file system costs more than the rest of a short job's sockets: so `ctl` is bound when
 * the link is gone and not before, and the progress socket stays bound from job to job, changing its
 * owner with them. */
#include "keeper.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTEN_AGAIN_MS 1000

static int socket_bind(int type, const char *path)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd;

        if (strlen(path) >= sizeof(address.sun_path))
                return -1;
        fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -1;
        memcpy(address.sun_path, path, strlen(path) + 1);
        unlink(path);
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
                keeper_close(&fd);
        return fd;
}

/* The keeper works in the attempt's directory: so `ctl` is short enough to bind, however long the
 * path to it. */
void sockets_listen(struct keeper *keeper)
{
        int fd = socket_bind(SOCK_SEQPACKET, "ctl");

        if (fd >= 0 && listen(fd, 4) != 0)
                keeper_close(&fd);
        keeper->listen_fd = fd;
        keeper->listen_ms = fd >= 0 ? KEEPER_NEVER : keeper_now_ms() + LISTEN_AGAIN_MS;
}

/* What an earlier job said too late. */
static void progress_drain(int fd)
{
        char byte;

        while (recv(fd, &byte, 1, MSG_DONTWAIT) >= 0)
                continue;
}

void sockets_progress(struct keeper *keeper)
{
        const struct keeper_start *start = &keeper->start;
        struct progress_sock *sock = &keeper->sock;
        uint32_t owner = start->switch_account ? start->uid : geteuid();

        if (sock->fd >= 0 && strcmp(sock->path, start->sock) == 0 && sock->owner == owner) {
                progress_drain(sock->fd);
                return;
        }
        sockets_fini(keeper);
        if (start->sock[0] == '\0' || strlen(start->sock) >= sizeof(sock->path))
                return;
        sock->fd = socket_bind(SOCK_DGRAM, start->sock);
        if (sock->fd < 0)
                return;
        memcpy(sock->path, start->sock, strlen(start->sock) + 1);
        sock->owner = owner;
        if (start->switch_account && lchown(sock->path, start->uid, start->gid) != 0)
                sockets_fini(keeper);
}

void sockets_fini(struct keeper *keeper)
{
        /* Bound here, so a name in our own directory or one only we may write to. */
        if (keeper->sock.fd >= 0)
                unlink(keeper->sock.path);
        keeper_close(&keeper->sock.fd);
}
