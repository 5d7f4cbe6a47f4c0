/* SPDX-License-Identifier: Apache-2.0 */
/* job.c - the command of a run of the nemesis: writes lines to its output and to its errors, and each of
 * them first to a file of its own, so that what Plexus kept can be compared with what was written.
 * usage: nemesis_job BASE LINES PAUSE_MS
 * Files: BASE.runs (a line for each start), BASE.ATTEMPT.written.out and .err, BASE.ATTEMPT.done. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_ROOM 600
#define LINE_BYTES_MAX 700

static int file_open(const char *base, const char *attempt, const char *suffix)
{
        char path[PATH_ROOM];
        int fd;

        snprintf(path, sizeof(path), "%s%s%s%s", base, attempt[0] == '\0' ? "" : ".", attempt, suffix);
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd < 0)
                _exit(70);
        return fd;
}

static void write_all(int fd, const char *bytes, size_t length)
{
        while (length > 0) {
                ssize_t written = write(fd, bytes, length);

                if (written <= 0)
                        _exit(71);
                bytes += written;
                length -= (size_t)written;
        }
}

int main(int argc, char **argv)
{
        const char *attempt = getenv("PLEXUS_ATTEMPT");
        const char *base = argc == 4 ? argv[1] : NULL;
        char line[LINE_BYTES_MAX];
        int own[2], lines, pause_ms;

        if (base == NULL || attempt == NULL)
                return 2;
        lines = atoi(argv[2]);
        pause_ms = atoi(argv[3]);
        snprintf(line, sizeof(line), "%s\n", attempt);
        write_all(file_open(base, "", ".runs"), line, strlen(line));
        own[0] = file_open(base, attempt, ".written.out");
        own[1] = file_open(base, attempt, ".written.err");
        for (int i = 0; i < lines; i++) {
                int which = i % 5 == 4;
                size_t length = (size_t)snprintf(line, sizeof(line), "%s %s %d ", base, attempt, i);
                size_t bytes = length + (size_t)(i * 97 % 300);

                /* Bytes of every value, and not always a whole line. */
                for (size_t b = length; b < bytes; b++)
                        line[b] = (char)(b * 31 + (size_t)i);
                if (i % 3 != 0)
                        line[bytes - 1] = '\n';
                write_all(own[which], line, bytes);
                write_all(which ? STDERR_FILENO : STDOUT_FILENO, line, bytes);
                if (pause_ms > 0)
                        poll(NULL, 0, pause_ms);
        }
        close(file_open(base, attempt, ".done"));
        return 0;
}
