/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_spool.c - any bytes as a record of the node's spool: read or refused, and what is read can be
 * written again.
 * Input: offset 0  u8  kind of record: E, S or X; with 0x80 its checksum is put right first
 *               1      the file */
#include "fuzz.h"
#include "record.h"
#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define HEADER_BYTES 16
#define REPAIR 0x80

static const struct spool_key key = {.job = {7}, .fence = {.epoch = 3, .attempt = 2}};
static const uint8_t boot[SPOOL_ID_BYTES] = {1};

static void put_right(uint8_t *bytes, size_t length, uint8_t kind)
{
        size_t body;

        if (length < HEADER_BYTES)
                return;
        body = px_get_be32(bytes + 8);
        if (body > length - HEADER_BYTES)
                body = length - HEADER_BYTES;
        px_put_be32(bytes + 8, (uint32_t)body);
        px_put_be32(bytes + 12, px_crc32c(px_crc32c(0, &kind, 1), bytes + HEADER_BYTES, body));
}

static char path[] = "/dev/shm/plexus-fuzz-XXXXXX";
static int path_fd = -1;

static void remove_all(void)
{
        static const char *const names[] = {"entry", "started", "exit"};

        for (size_t i = 0; i < PX_COUNT_OF(names); i++)
                (void)unlinkat(path_fd, names[i], 0);
        (void)rmdir(path);
}

static int directory(void)
{
        if (path_fd < 0) {
                PX_ASSERT(mkdtemp(path) != NULL);
                path_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                PX_ASSERT(path_fd >= 0);
                atexit(remove_all);
        }
        return path_fd;
}

static void put_file(const char *name, struct px_slice bytes)
{
        int fd = openat(directory(), name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        PX_ASSERT(fd >= 0);
        PX_ASSERT(write(fd, bytes.data, bytes.length) == (ssize_t)bytes.length);
        close(fd);
}

static void check_entry(void)
{
        struct px_arena arena = {0};
        uint8_t entry_boot[SPOOL_ID_BYTES];
        struct px_assign assign;
        int result = spool_entry_read(directory(), &arena, entry_boot, &assign);

        PX_ASSERT(result == 0 || result == -EBADMSG);
        px_arena_fini(&arena);
}

static void check_started(void)
{
        struct spool_started started;
        int result = spool_started_read(directory(), key, &started);

        PX_ASSERT(result == 0 || result == -EBADMSG || result == -ENOENT);
        if (result != 0)
                return;
        PX_ASSERT(memchr(started.group, 0, sizeof(started.group)) != NULL);
        PX_ASSERT(spool_started_write(directory(), key, &started) == 0);
        PX_ASSERT(spool_started_read(directory(), key, &started) == 0);
}

static void check_exit(void)
{
        struct px_arena arena = {0};
        struct px_result found;
        int result = spool_exit_read(directory(), key, boot, &arena, &found);

        PX_ASSERT(result == 0 || result == -EBADMSG || result == -ENOENT);
        if (result == 0) {
                PX_ASSERT(spool_exit_write(directory(), boot, false, &found) == 0);
                PX_ASSERT(spool_exit_read(directory(), key, boot, &arena, &found) == 0);
        }
        px_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
        struct px_buf copy = {0};
        uint8_t kind;

        if (length < 1)
                return 0;
        kind = data[0] & (uint8_t)~REPAIR;
        px_buf_append(&copy, data + 1, length - 1);
        if ((data[0] & REPAIR) != 0)
                put_right(copy.data, copy.length, kind);
        if (kind == RECORD_ENTRY) {
                put_file("entry", px_buf_slice(&copy));
                check_entry();
        } else if (kind == RECORD_STARTED) {
                put_file("started", px_buf_slice(&copy));
                check_started();
        } else if (kind == RECORD_EXIT) {
                put_file("exit", px_buf_slice(&copy));
                check_exit();
        }
        px_buf_fini(&copy);
        return 0;
}
