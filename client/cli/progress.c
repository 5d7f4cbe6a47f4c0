/* SPDX-License-Identifier: Apache-2.0 */
/* progress.c - `plexus progress`: called inside a job, says how far it is. Layer: L4 (client/cli).
 * The line goes to the descriptor PLEXUS_PROGRESS_FD where that is open, else as a datagram to the Unix
 * socket PLEXUS_SOCK, since programs between the job and us may have closed the descriptor. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "verbs.h"

#define LINE_ROOM 320

/* 0.4, 1, 40%, 3/10 or "-" for unknown, as the node reads it. */
static bool take_fraction(const char *text, char *ret_word, size_t room)
{
        size_t length = strlen(text);
        double value = -1;
        double of = 1;
        char *end = NULL;

        if (strcmp(text, "-") == 0)
                return snprintf(ret_word, room, "-") > 0;
        if (length == 0 || strspn(text, "0123456789./%") != length)
                return false;
        value = strtod(text, &end);
        if (end == text)
                return false;
        if (strcmp(end, "%") == 0) {
                of = 100;
        } else if (*end == '/') {
                of = strtod(end + 1, &end);
                if (*end != '\0' || of <= 0)
                        return false;
        } else if (*end != '\0') {
                return false;
        }
        if (value < 0 || value > of)
                return false;
        return snprintf(ret_word, room, "%.6f", value / of) > 0;
}

/* The descriptor, if it is one that takes our line: a pipe. */
static bool write_descriptor(const char *line, size_t length)
{
        const char *text = getenv("PLEXUS_PROGRESS_FD");
        struct stat status;
        int64_t fd;

        if (text == NULL || !cli_parse_number(text, 0, 1 << 20, &fd))
                return false;
        if (fstat((int)fd, &status) != 0 || !S_ISFIFO(status.st_mode))
                return false;
        return write((int)fd, line, length) == (ssize_t)length;
}

static int send_datagram(const char *line, size_t length)
{
        const char *path = getenv("PLEXUS_SOCK");
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        ssize_t sent;
        int fd;

        if (path == NULL || strlen(path) >= sizeof address.sun_path)
                return -ENOENT;
        strcpy(address.sun_path, path);
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        sent = sendto(fd, line, length, MSG_DONTWAIT, (const struct sockaddr *)&address, sizeof address);
        close(fd);
        /* A full socket: newer progress follows. */
        return sent >= 0 || errno == EAGAIN ? 0 : -errno;
}

int verb_progress(struct cli *cli)
{
        const char *text = cli->arguments_count > 1 ? cli->arguments[1] : "";
        char word[32];
        char line[LINE_ROOM];
        size_t length;
        int result;

        if (!take_fraction(cli->arguments[0], word, sizeof word))
                return cli_fail(cli, CLI_USAGE, "\"%s\" is no progress: 0 to 1, 0%% to 100%%, 3/10, or -",
                                cli->arguments[0]);
        if (strchr(text, '\n') != NULL || strlen(text) > 256)
                return cli_fail(cli, CLI_USAGE, "the text is one line of at most 256 bytes");
        if (getenv("PLEXUS_PROGRESS_FD") == NULL && getenv("PLEXUS_SOCK") == NULL)
                return cli_fail(cli, CLI_USAGE, "this is no job of Plexus: neither PLEXUS_PROGRESS_FD nor "
                                                "PLEXUS_SOCK is set");
        length = (size_t)snprintf(line, sizeof line, "%s%s%s\n", word, *text != '\0' ? " " : "", text);
        if (write_descriptor(line, length))
                return CLI_DONE;
        result = send_datagram(line, length);
        if (result != 0)
                return cli_fail(cli, CLI_FAULT, "its node does not listen: %s", strerror(-result));
        return CLI_DONE;
}
