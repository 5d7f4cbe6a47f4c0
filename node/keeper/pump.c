/* SPDX-License-Identifier: Apache-2.0 */
/* pump.c - from the job's pipes into the spool: every byte at its offset, a cap, back-pressure.
 * Layer: L4 (node/keeper). Source: DESIGN 4 "Logs", 7.
 *
 * The head of both streams together is kept up to log_bytes. Behind it bytes are counted and the
 * last PX_LIMIT_LOG_TAIL_BYTES of the stream go round in a ring, written at their offsets when the
 * job is dead; what lies between is the dropped range, a hole in the file. */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define PUMP_BYTES 65536

static uint8_t pump_room[PUMP_BYTES];

void pump_open(struct pump *pump, int pipe_fd)
{
        *pump = (struct pump){.pipe_fd = pipe_fd, .file_fd = -1};
}

void pump_fini(struct pump *pump)
{
        keeper_close(&pump->pipe_fd);
        keeper_close(&pump->file_fd);
        px_free(pump->tail);
        pump->tail = NULL;
}

bool pump_blocked(const struct keeper *keeper)
{
        uint64_t waiting = 0;

        for (int stream = PX_STREAM_OUT; stream <= PX_STREAM_ERR; stream++) {
                const struct pump *pump = &keeper->pump[stream];

                waiting += pump->head - PX_MIN(pump->head, pump->stored);
        }
        return waiting >= keeper->spool_bytes;
}

/* Write all or as much as the disk takes; returns what was written. */
static size_t file_put(int fd, const uint8_t *bytes, size_t length, uint64_t offset)
{
        size_t written = 0;

        while (written < length) {
                ssize_t part = pwrite(fd, bytes + written, length - written,
                                      (off_t)(offset + written));

                if (part < 0 && errno == EINTR)
                        continue;
                if (part <= 0)
                        break;
                written += (size_t)part;
        }
        return written;
}

static void tail_put(struct pump *pump, const uint8_t *bytes, size_t length)
{
        if (pump->tail == NULL)
                pump->tail = px_alloc(PX_LIMIT_LOG_TAIL_BYTES);
        for (size_t done = 0; done < length;) {
                size_t at = (size_t)((pump->length + done) % PX_LIMIT_LOG_TAIL_BYTES);
                size_t part = PX_MIN(length - done, (size_t)PX_LIMIT_LOG_TAIL_BYTES - at);

                memcpy(pump->tail + at, bytes + done, part);
                done += part;
        }
}

static uint64_t head_room(const struct keeper *keeper)
{
        uint64_t used = keeper->pump[PX_STREAM_OUT].head + keeper->pump[PX_STREAM_ERR].head;

        return keeper->log_bytes - PX_MIN(keeper->log_bytes, used);
}

static void pump_take(struct keeper *keeper, int stream, const uint8_t *bytes, size_t length)
{
        struct pump *pump = &keeper->pump[stream];
        size_t head = 0;

        if (!pump->capped) {
                size_t fits = (size_t)PX_MIN((uint64_t)length, head_room(keeper));

                if (pump->file_fd < 0 && spool_stream_open(keeper->dir_fd, stream, true,
                                                           &pump->file_fd) != 0)
                        pump->file_fd = -1;
                if (pump->file_fd >= 0)
                        head = file_put(pump->file_fd, bytes, fits, pump->head);
                pump->head += head;
                pump->length += head;
                /* A full disk caps the stream as its limit does: stated, never silent. */
                pump->capped = head < length;
                keeper->say |= SAY_GREW;
        }
        if (head < length) {
                tail_put(pump, bytes + head, length - head);
                pump->length += length - head;
        }
}

bool pump_step(struct keeper *keeper, int stream)
{
        struct pump *pump = &keeper->pump[stream];
        ssize_t got = read(pump->pipe_fd, pump_room, sizeof(pump_room));

        if (got < 0)
                return errno == EAGAIN || errno == EINTR;
        if (got == 0)
                return false;
        pump_take(keeper, stream, pump_room, (size_t)got);
        if (!keeper->progress.stated)
                progress_bar(&keeper->progress, pump_room, (size_t)got);
        return true;
}

/* Write the ring at its offsets: its oldest byte is at max(head, length - ring). */
static void tail_finish(struct pump *pump)
{
        uint64_t offset = pump->head;

        if (pump->length - pump->head > PX_LIMIT_LOG_TAIL_BYTES)
                offset = pump->length - PX_LIMIT_LOG_TAIL_BYTES;
        while (offset < pump->length) {
                size_t at = (size_t)(offset % PX_LIMIT_LOG_TAIL_BYTES);
                size_t part = (size_t)PX_MIN(pump->length - offset,
                                             (uint64_t)(PX_LIMIT_LOG_TAIL_BYTES - at));

                if (pump->file_fd < 0 ||
                    file_put(pump->file_fd, pump->tail + at, part, offset) != part)
                        return; /* no room: then the tail is dropped too, and counted so */
                offset += part;
        }
        pump->tail_length = PX_MIN(pump->length - pump->head, (uint64_t)PX_LIMIT_LOG_TAIL_BYTES);
}

void pump_finish(struct keeper *keeper)
{
        for (int stream = PX_STREAM_OUT; stream <= PX_STREAM_ERR; stream++) {
                struct pump *pump = &keeper->pump[stream];
                uint64_t before;

                /* The pipe is non-blocking and its writers are dead: what is in it is all. */
                do {
                        before = pump->length;
                } while (pump->pipe_fd >= 0 && pump_step(keeper, stream) &&
                         pump->length != before);
                keeper_close(&pump->pipe_fd);
                if (pump->length > pump->head)
                        tail_finish(pump);
        }
}
