/* SPDX-License-Identifier: Apache-2.0 */
/* attempt.c - one attempt of the spool by its directory: entry, lock, start, end, streams.
 * Layer: L4 (node/keeper). */
#include "spool.h"
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIM_STEP_BYTES (256u * 1024) /* a hole isn't worth a call below this */
#define EXIT_SYNC_MS 1000

int spool_entry_read(int dir_fd, struct px_arena *arena, uint8_t ret_boot[SPOOL_ID_BYTES],
                     struct px_assign *ret_assign)
{
        struct px_reader reader;
        struct px_slice body = PX_SLICE_NONE;
        struct px_slice boot;
        struct px_slice encoded;
        int result = record_read(dir_fd, "entry", RECORD_ENTRY, arena, &body);

        if (result != 0)
                return result;
        px_reader_init(&reader, body);
        px_read_array(&reader, 2);
        boot = px_read_bytes(&reader, SPOOL_ID_BYTES);
        encoded = px_read_bytes(&reader, RECORD_BYTES_MAX);
        if (reader.error != PX_WIRE_OK || boot.length != SPOOL_ID_BYTES ||
            px_assign_decode(encoded, arena, ret_assign) != PX_WIRE_OK)
                return -EBADMSG;
        memcpy(ret_boot, boot.data, SPOOL_ID_BYTES);
        return 0;
}

/* ---- lock ----------------------------------------------------------------------------------- */

int spool_lock(int dir_fd, int *ret_lock_fd)
{
        int fd = openat(dir_fd, "entry", O_RDWR | O_CLOEXEC | O_NOFOLLOW);

        if (fd < 0)
                return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
                int result = -errno;

                close(fd);
                return result;
        }
        *ret_lock_fd = fd;
        return 0;
}

bool spool_lock_held(int dir_fd)
{
        int fd = openat(dir_fd, "entry", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        bool held;

        if (fd < 0)
                return false;
        held = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
        close(fd);
        return held;
}

/* ---- start and end -------------------------------------------------------------------------- */

int spool_started_write(int dir_fd, struct spool_key key, const struct spool_started *started)
{
        struct px_buf body = {0};
        int result;

        px_write_array(&body, 6);
        px_write_u64(&body, key.job.value);
        px_write_u64(&body, key.fence.epoch);
        px_write_u64(&body, key.fence.attempt);
        px_write_i64(&body, started->wall_ms);
        px_write_text(&body, px_slice_text(started->kill_mode));
        px_write_text(&body, px_slice_text(started->group));
        result = record_overwrite(dir_fd, "started", RECORD_STARTED, px_buf_slice(&body), false);
        px_buf_fini(&body);
        return result;
}

static bool key_equal(struct spool_key a, struct spool_key b)
{
        return a.job.value == b.job.value && px_fence_equal(a.fence, b.fence);
}

int spool_started_read(int dir_fd, struct spool_key key, struct spool_started *ret_started)
{
        struct px_arena arena = {0};
        struct px_reader reader;
        struct px_slice body = PX_SLICE_NONE;
        int result = record_read(dir_fd, "started", RECORD_STARTED, &arena, &body);

        if (result == 0) {
                struct spool_started started = {0};
                struct spool_key own;
                struct px_slice mode;
                struct px_slice group;

                px_reader_init(&reader, body);
                px_read_array(&reader, 6);
                own.job.value = px_read_u64(&reader, UINT64_MAX);
                own.fence.epoch = px_read_u64(&reader, UINT64_MAX);
                own.fence.attempt = (uint32_t)px_read_u64(&reader, UINT32_MAX);
                started.wall_ms = px_read_i64(&reader, INT64_MIN, INT64_MAX);
                mode = px_read_text(&reader, sizeof(started.kill_mode) - 1);
                group = px_read_text(&reader, sizeof(started.group) - 1);
                px_slice_to_text(mode, started.kill_mode, sizeof(started.kill_mode));
                px_slice_to_text(group, started.group, sizeof(started.group));
                if (reader.error != PX_WIRE_OK)
                        result = -EBADMSG;
                else if (!key_equal(own, key))
                        result = -ENOENT; /* of the attempt that used the directory before */
                else
                        *ret_started = started;
        }
        px_arena_fini(&arena);
        return result;
}

static int stream_sync(int dir_fd, int stream)
{
        int fd = -1;
        int result = spool_stream_open(dir_fd, stream, false, &fd);

        if (result == -ENOENT)
                return 0;
        if (result != 0)
                return result;
        if (fdatasync(fd) != 0)
                result = -errno;
        close(fd);
        return result;
}

int spool_exit_write(int dir_fd, const uint8_t boot[SPOOL_ID_BYTES], bool sync,
                     const struct px_result *result)
{
        struct px_buf encoded = {0};
        struct px_buf body = {0};
        int fault = 0;

        if (sync)
                fault = stream_sync(dir_fd, PX_STREAM_OUT);
        if (sync && fault == 0)
                fault = stream_sync(dir_fd, PX_STREAM_ERR);
        px_result_encode(result, &encoded);
        px_write_array(&body, 3);
        px_write_bytes(&body, px_slice_of(boot, SPOOL_ID_BYTES));
        px_write_bool(&body, sync && fault == 0);
        px_write_bytes(&body, px_buf_slice(&encoded));
        fault = record_overwrite(dir_fd, "exit", RECORD_EXIT, px_buf_slice(&body),
                                 sync && fault == 0);
        px_buf_fini(&body);
        px_buf_fini(&encoded);
        return fault;
}

int spool_exit_read(int dir_fd, struct spool_key key, const uint8_t boot[SPOOL_ID_BYTES],
                    struct px_arena *arena, struct px_result *ret_result)
{
        struct px_reader reader;
        struct px_result own;
        struct px_slice body = PX_SLICE_NONE;
        struct px_slice written_boot;
        struct px_slice encoded;
        bool synced;
        int result = record_read(dir_fd, "exit", RECORD_EXIT, arena, &body);

        if (result != 0)
                return result;
        px_reader_init(&reader, body);
        px_read_array(&reader, 3);
        written_boot = px_read_bytes(&reader, SPOOL_ID_BYTES);
        synced = px_read_bool(&reader);
        encoded = px_read_bytes(&reader, RECORD_BYTES_MAX);
        if (reader.error != PX_WIRE_OK || written_boot.length != SPOOL_ID_BYTES)
                return -EBADMSG;
        if (!synced && memcmp(written_boot.data, boot, SPOOL_ID_BYTES) != 0)
                return -ENOENT;
        if (px_result_decode(encoded, arena, &own) != PX_WIRE_OK)
                return -EBADMSG;
        if (!key_equal((struct spool_key){.job = own.job, .fence = own.fence}, key))
                return -ENOENT; /* of the attempt that used the directory before */
        *ret_result = own;
        return 0;
}

bool spool_exit_worth_sync(int on_lost, int64_t ran_ms)
{
        return on_lost == PX_ON_LOST_FAIL || ran_ms >= EXIT_SYNC_MS;
}

/* ---- streams -------------------------------------------------------------------------------- */

static const char *stream_name(int stream)
{
        PX_ASSERT(stream == PX_STREAM_OUT || stream == PX_STREAM_ERR);
        return stream == PX_STREAM_OUT ? "out" : "err";
}

uint64_t spool_stream_length(int dir_fd, int stream)
{
        struct stat status;

        if (fstatat(dir_fd, stream_name(stream), &status, AT_SYMLINK_NOFOLLOW) != 0)
                return 0;
        return (uint64_t)status.st_size;
}

int spool_stream_open(int dir_fd, int stream, bool writable, int *ret_fd)
{
        int flags = writable ? O_RDWR | O_CREAT : O_RDONLY;
        int fd = openat(dir_fd, stream_name(stream), flags | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        return 0;
}

void spool_stream_trim(int stream_fd, uint64_t *done_below, uint64_t offset)
{
        uint64_t until = offset - offset % TRIM_STEP_BYTES;

        if (until <= *done_below)
                return;
        /* A file system without holes keeps the bytes until the attempt goes; no harm. */
        if (fallocate(stream_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)*done_below,
                      (off_t)(until - *done_below)) == 0)
                *done_below = until;
}
