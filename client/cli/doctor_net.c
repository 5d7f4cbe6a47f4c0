/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_net.c - the way to a broker over TCP, from here or from another machine.
 * Layer: L4 (client/cli). Source: INTERFACES 1a (`plexus doctor --from node3`). */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "doctor.h"
#include "tool.h"

#define PORT_DEFAULT "7539"

/* ---- one port -------------------------------------------------------------------------------------------- */

int doctor_connect(int family, const struct sockaddr *address, unsigned length)
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
        } else if (poll(&item, 1, DOCTOR_HOP_MS) <= 0) {
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

                if (poll(&item, 1, DOCTOR_HOP_MS) <= 0)
                        return false;
                one = read(fd, theirs + got, sizeof theirs - got);
                if (one <= 0)
                        return false;
                got += (size_t)one;
        }
        return theirs[0] == 0xFF && (theirs[9] & 1) != 0;
}

/* What a failed connection means for people. */
static const char *help_for(int error)
{
        if (error == ECONNREFUSED)
                return "is the broker running there, with --listen, and on this port?";
        if (error == ETIMEDOUT || error == EHOSTUNREACH || error == ENETUNREACH || error == EACCES)
                return "is the machine up? then a firewall or a missing route drops it: open ports 7539 to 7542";
        return "";
}

/* Try every address of the name until one takes a connection. */
static int check_addresses(const struct addrinfo *found, const char *port, const char *hop)
{
        char address[128] = "?";
        int error = 0;

        for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
                int fd = doctor_connect(at->ai_family, at->ai_addr, at->ai_addrlen);
                bool zmtp;

                (void)getnameinfo(at->ai_addr, at->ai_addrlen, address, sizeof address, NULL, 0,
                                  NI_NUMERICHOST);
                if (fd < 0) {
                        error = -fd;
                        continue;
                }
                zmtp = speaks_zmtp(fd);
                close(fd);
                doctor_good(hop, "%s port %s: open", address, port);
                if (!zmtp)
                        return doctor_bad(CLI_UNREACHABLE, "the port that `plexus init` printed", "greeting",
                                          "what listens on port %s is no broker", port);
                doctor_good("greeting", "it speaks ZeroMQ");
                return 0;
        }
        return doctor_bad(CLI_UNREACHABLE, help_for(error), hop, "%s port %s: %s", address, port,
                          strerror(error));
}

void doctor_address_read(const char *word, struct doctor_address *ret_address)
{
        bool brackets = *word == '[';
        const char *host = word + brackets;
        size_t length = strcspn(host, brackets ? "]" : ":,");
        const char *behind = host + length + (brackets && host[length] == ']');

        snprintf(ret_address->host, sizeof ret_address->host, "%.*s", (int)length, host);
        snprintf(ret_address->port, sizeof ret_address->port, "%s", PORT_DEFAULT);
        if (*behind == ':')
                snprintf(ret_address->port, sizeof ret_address->port, "%.*s",
                         (int)strcspn(behind + 1, ","), behind + 1);
}

int doctor_check_port(const struct doctor_address *address, const char *port, const char *hop)
{
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
        struct addrinfo *found;
        int error = getaddrinfo(address->host, port, &hints, &found);
        int code;

        if (error != 0)
                return doctor_bad(CLI_UNREACHABLE, "an address instead, or a line in /etc/hosts", "name",
                                  "%s: %s", address->host, gai_strerror(error));
        if (strcmp(hop, "tcp") == 0)
                doctor_good("name", "%s", address->host);
        code = check_addresses(found, port, hop);
        freeaddrinfo(found);
        return code;
}

int doctor_reach(const struct cli *cli, const char *url)
{
        const char *ports = cli_value(cli, "ports");
        struct doctor_address address;
        char port[16];
        int code;

        doctor_address_read(url + strlen("plexus://"), &address);
        code = doctor_check_port(&address, address.port, "tcp");
        while (code == 0 && ports != NULL && *ports != '\0') {
                size_t length = strcspn(ports, ",");

                snprintf(port, sizeof port, "%.*s", (int)length, ports);
                code = doctor_check_port(&address, port, "port");
                ports += length + (ports[length] == ',');
        }
        return code;
}

/* ---- from another machine --------------------------------------------------------------------------------- */

static int run_ssh(const char *const *words)
{
        int status = 0;
        pid_t pid;
        int error;

        fflush(NULL);
        error = posix_spawnp(&pid, words[0], NULL, NULL, (char *const *)(uintptr_t)words, environ);
        if (error != 0)
                return -error;
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int doctor_from(const char *node, const char *url, const struct plexus_who *who)
{
        char ports[64] = "";
        const char *words[20] = {"ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "--", node,
                                 "plexus", "doctor", "--reach", "--url", url};
        int status;

        if (!tool_remote_word(node) || !tool_remote_word(url))
                return doctor_bad(CLI_USAGE, "", "from", "\"%s\" or \"%s\" is no name for ssh", node, url);
        if (who != NULL && who->node_port != 0) {
                snprintf(ports, sizeof ports, "%u,%u", who->node_port, who->data_port);
                words[12] = "--ports";
                words[13] = ports;
        }
        printf("from %s:\n", node);
        status = run_ssh(words);
        if (status == 0) {
                doctor_good("from", "%s reaches the broker", node);
                return 0;
        }
        if (status < 0)
                return doctor_bad(CLI_FAULT, "apt install openssh-client", "ssh", "%s", strerror(-status));
        if (status == 127)
                return doctor_bad(CLI_UNREACHABLE, "install it there, then plexus join", "plexus",
                                  "it is not installed on %s", node);
        if (status == 255)
                return doctor_bad(CLI_UNREACHABLE, "ssh to it once by hand: name, key and host key must be good",
                                  "ssh", "%s does not let us in", node);
        return status;
}
