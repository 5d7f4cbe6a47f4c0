/* SPDX-License-Identifier: Apache-2.0 */
/* doctor.c - `plexus doctor`: every hop from here to a running job, in order, until one fails.
 * Layer: L4 (client/cli). */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "connect.h"
#include "output.h"
#include "verbs.h"

#define HOP_MS 3000
#define PORT_DEFAULT "7539"

/* One line a hop: "ok    tcp         127.0.0.1 port 7539". */
static void good(const char *hop, const char *text)
{
        printf("ok      %-10s %s\n", hop, text);
}

static int bad(int code, const char *hop, const char *text, const char *help)
{
        printf("FAILED  %-10s %s\n%s%s%s", hop, text, *help != '\0' ? "        try        " : "", help,
               *help != '\0' ? "\n" : "");
        return code;
}

/* ---- connecting -------------------------------------------------------------------------------------------- */

/* Connect within HOP_MS. Returns the descriptor or -errno. */
static int connect_within(int family, const struct sockaddr *address, socklen_t length)
{
        int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct pollfd item = {.fd = fd, .events = POLLOUT};
        int error = 0;
        socklen_t size = sizeof error;

        if (fd < 0)
                return -errno;
        if (connect(fd, address, length) == 0)
                return fd;
        if (errno != EINPROGRESS) {
                error = errno;
        } else if (poll(&item, 1, HOP_MS) <= 0) {
                error = ETIMEDOUT;
        } else {
                (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
        }
        if (error == 0)
                return fd;
        close(fd);
        return -error;
}

/* A ZeroMQ peer greets at once: ten bytes, 0xFF first, the low bit of the last set (ZMTP 3.0). */
static bool speaks_zmtp(int fd)
{
        static const unsigned char ours[10] = {0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F};
        unsigned char theirs[10];
        size_t got = 0;

        (void)!write(fd, ours, sizeof ours);
        while (got < sizeof theirs) {
                struct pollfd item = {.fd = fd, .events = POLLIN};
                ssize_t one;

                if (poll(&item, 1, HOP_MS) <= 0)
                        return false;
                one = read(fd, theirs + got, sizeof theirs - got);
                if (one <= 0)
                        return false;
                got += (size_t)one;
        }
        return theirs[0] == 0xFF && (theirs[9] & 1) != 0;
}

/* ---- hops ------------------------------------------------------------------------------------------------------ */

static int check_socket_dir(const char *dir)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        struct stat status;
        char text[700];
        int fd;

        if (lstat(dir, &status) != 0) {
                snprintf(text, sizeof text, "%.500s: %s", dir, strerror(errno));
                return bad(CLI_UNREACHABLE, "directory", text, "plexus up");
        }
        if (status.st_uid != geteuid() || (status.st_mode & 077) != 0) {
                snprintf(text, sizeof text, "%.500s is not yours alone", dir);
                return bad(CLI_UNREACHABLE, "directory", text, "chmod 700, as its owner");
        }
        good("directory", dir);
        if ((size_t)snprintf(address.sun_path, sizeof address.sun_path, "%s/cmd", dir) >=
            sizeof address.sun_path)
                return bad(CLI_UNREACHABLE, "socket", "the path is too long for a socket", "");
        fd = connect_within(AF_UNIX, (const struct sockaddr *)&address, sizeof address);
        if (fd < 0) {
                snprintf(text, sizeof text, "%s: %s", address.sun_path, strerror(-fd));
                return bad(CLI_UNREACHABLE, "socket", text, "plexus up: the broker does not run");
        }
        close(fd);
        good("socket", address.sun_path);
        return 0;
}

/* Try every address of the name until one takes a connection. */
static int check_addresses(const struct addrinfo *found, const char *port)
{
        char text[256] = "";

        for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
                char address[128] = "?";
                int fd = connect_within(at->ai_family, at->ai_addr, at->ai_addrlen);
                bool zmtp;

                (void)getnameinfo(at->ai_addr, at->ai_addrlen, address, sizeof address, NULL, 0,
                                  NI_NUMERICHOST);
                snprintf(text, sizeof text, "%s port %s: %s", address, port, fd < 0 ? strerror(-fd) : "open");
                if (fd < 0)
                        continue;
                zmtp = speaks_zmtp(fd);
                close(fd);
                good("tcp", text);
                if (!zmtp)
                        return bad(CLI_UNREACHABLE, "greeting", "what listens there is no broker",
                                   "the port that `plexus init` printed");
                good("greeting", "it speaks ZeroMQ");
                return 0;
        }
        return bad(CLI_UNREACHABLE, "tcp", text, "is the broker started with --listen, the port open in the firewall?");
}

/* HOST[:PORT], [ADDRESS]:PORT; the first of a list. */
static int check_host(const char *word)
{
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
        struct addrinfo *found;
        bool brackets = *word == '[';
        const char *host_begin = word + brackets;
        size_t host_length = strcspn(host_begin, brackets ? "]" : ":,");
        const char *behind = host_begin + host_length + (brackets && host_begin[host_length] == ']');
        char host[256];
        char port[16] = PORT_DEFAULT;
        char text[512];
        int error;
        int code;

        snprintf(host, sizeof host, "%.*s", (int)host_length, host_begin);
        if (*behind == ':')
                snprintf(port, sizeof port, "%.*s", (int)strcspn(behind + 1, ","), behind + 1);
        error = getaddrinfo(host, port, &hints, &found);
        if (error != 0) {
                snprintf(text, sizeof text, "%s: %s", host, gai_strerror(error));
                return bad(CLI_UNREACHABLE, "name", text, "an address instead, or /etc/hosts");
        }
        good("name", host);
        code = check_addresses(found, port);
        freeaddrinfo(found);
        return code;
}

static int check_greeting(struct cli *cli, const struct plexus_options *options)
{
        struct plexus_options quick = *options;
        struct plexus_who who;
        char text[256];
        int error;

        if (quick.timeout_ms == 0)
                quick.timeout_ms = 2 * HOP_MS;
        error = plexus_connect(&quick, &cli->px);
        if (error == PLEXUS_OK)
                error = plexus_whoami(cli->px, &who);
        if (error != PLEXUS_OK)
                return bad(plexus_error_exit(error), "handshake", plexus_detail(cli->px),
                           "a new token from the administrator, if the broker does not know yours");
        snprintf(text, sizeof text, "broker %s, you are %s (%s)", who.broker_version, who.principal, who.role);
        good("handshake", text);
        return 0;
}

static int check_mesh(struct cli *cli)
{
        struct plexus_status status;
        char text[256];
        int error = plexus_status(cli->px, &status);

        if (error != PLEXUS_OK)
                return bad(plexus_error_exit(error), "answers", plexus_detail(cli->px), "");
        snprintf(text, sizeof text, "%u up, %u reconnecting, %u draining, %u lost; %g of %g cpus in use",
                 status.nodes_up, status.nodes_reconnecting, status.nodes_draining, status.nodes_unreachable,
                 status.cpus_used, status.cpus);
        if (status.nodes_up == 0)
                return bad(CLI_JOB_NOT_OK, "nodes", text, "plexus join on a machine that shall run jobs");
        good("nodes", text);
        if (status.storage_full)
                return bad(CLI_JOB_NOT_OK, "disk", "the broker's disk is full: submits are refused",
                           "room on the broker's disk, or plexus rm 'state=done'");
        good("disk", "the broker takes submits");
        return 0;
}

int verb_doctor(struct cli *cli)
{
        struct plexus_options options;
        char token[256];
        char url[512];
        int error;
        int code = connect_options(cli, token, sizeof token, &options);

        if (code != 0)
                return code;
        error = plexus_context_find(&options, url, sizeof url);
        if (error != PLEXUS_OK)
                return bad(plexus_error_exit(error), "context", plexus_detail(NULL), "plexus up");
        good("context", url);
        if (strncmp(url, "local:", 6) == 0)
                code = check_socket_dir(url + 6);
        else if (strncmp(url, "plexus://", 9) == 0)
                code = check_host(url + 9);
        else
                code = bad(CLI_USAGE, "url", url, "local:DIR or plexus://HOST[:PORT]");
        if (code == 0)
                code = check_greeting(cli, &options);
        explicit_bzero(token, sizeof token);
        return code != 0 ? code : check_mesh(cli);
}
