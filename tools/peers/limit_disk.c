/* SPDX-License-Identifier: Apache-2.0 */
/* limit_disk.c - append records of 300 bytes, flush, repeat: the floor under any durable design.
 * Layer: tools.
 *
 * usage: limit_disk DIR [SECONDS]   rows for a growing file, and for one whose blocks are written
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"

#define RECORD_BYTES 300
#define BATCH_MAX 1000
#define FILE_BYTES (64u << 20)
#define SAMPLES_MAX 1000000

static uint64_t samples_ns[SAMPLES_MAX];
static const char records[BATCH_MAX * RECORD_BYTES];

static void prepare(int fd)
{
        static const char zeros[1 << 20];

        for (size_t done = 0; done < FILE_BYTES; done += sizeof(zeros))
                if (write(fd, zeros, sizeof(zeros)) != (ssize_t)sizeof(zeros))
                        die("write");
        if (fsync(fd) != 0)
                die("fsync");
}

static void measure(const char *path, bool written, size_t batch, double seconds)
{
        int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
        size_t count = 0;
        uint64_t begun;
        off_t offset = 0;
        char variant[32];

        if (fd < 0)
                die("%s", path);
        if (written)
                prepare(fd);
        for (begun = now_ns(); since_s(begun) < seconds && count < SAMPLES_MAX; count++) {
                size_t bytes = batch * RECORD_BYTES;
                uint64_t from = now_ns();

                if (pwrite(fd, records, bytes, offset) != (ssize_t)bytes || fdatasync(fd) != 0)
                        die("write and flush");
                samples_ns[count] = now_ns() - from;
                offset += (off_t)bytes;
                if (written && offset + (off_t)bytes > (off_t)FILE_BYTES)
                        offset = 0;
        }
        snprintf(variant, sizeof(variant), "%s_batch%zu", written ? "overwrite" : "append", batch);
        row("G_flush", "limit", variant, "records", (double)(count * batch) / since_s(begun),
            "1/s");
        row_latency("G_flush", "limit", variant, "flush", samples_ns, count);
        close(fd);
        unlink(path);
}

int main(int argc, char **argv)
{
        static const size_t batches[] = {1, 100, BATCH_MAX};
        double seconds = argc > 2 ? atof(argv[2]) : 1;
        char path[4096];

        if (argc < 2)
                die("usage: limit_disk DIR [SECONDS]");
        snprintf(path, sizeof(path), "%s/flush.dat", argv[1]);
        for (int written = 0; written < 2; written++)
                for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++)
                        measure(path, written != 0, batches[i], seconds);
        return 0;
}
