/* SPDX-License-Identifier: Apache-2.0 */
/* state_mark.c - see state_mark.h. Layer: L3 (broker/store). */
#include "state_mark.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"

#define MARK_NAME "clean"
#define MARK_MAGIC "PLXCLEAN"
#define MARK_BYTES 28
#define MARK_CRC_AT 24

#define BOOT_NAME "boot"
#define BOOT_MAGIC "PLXBOOT1"
#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_CHARS 36
#define BOOT_FILE_AT (8 + BOOT_ID_CHARS)
#define BOOT_CRC_AT (BOOT_FILE_AT + 16)
#define BOOT_BYTES (BOOT_CRC_AT + 4)

/* The mark as it should be in this boot; false when the system doesn't tell. */
static bool boot_bytes(int dir_fd, uint8_t *ret_bytes)
{
        int fd = disk_openat(AT_FDCWD, BOOT_ID_FILE, O_RDONLY, 0);
        size_t length = 0;
        struct stat status;

        if (fd < 0)
                return false;
        memcpy(ret_bytes, BOOT_MAGIC, 8);
        if (disk_read_at(fd, ret_bytes + 8, BOOT_ID_CHARS, 0, &length) < 0)
                length = 0;
        close(fd);
        if (length != BOOT_ID_CHARS || fstatat(dir_fd, LMDB_STORE_FILE, &status, 0) != 0)
                return false;
        px_put_be64(ret_bytes + BOOT_FILE_AT, status.st_dev);
        px_put_be64(ret_bytes + BOOT_FILE_AT + 8, status.st_ino);
        px_put_be32(ret_bytes + BOOT_CRC_AT, px_crc32c(0, ret_bytes, BOOT_CRC_AT));
        return true;
}

static bool boot_holds(int dir_fd)
{
        uint8_t expected[BOOT_BYTES];
        struct px_buf bytes = {0};
        bool holds = disk_read_file(dir_fd, BOOT_NAME, &bytes) == 0 &&
                     boot_bytes(dir_fd, expected) &&
                     px_slice_equal(px_buf_slice(&bytes), px_slice_of(expected, BOOT_BYTES));

        px_buf_fini(&bytes);
        return holds;
}

void state_mark_boot(int dir_fd)
{
        uint8_t bytes[BOOT_BYTES];

        if (!boot_holds(dir_fd) && boot_bytes(dir_fd, bytes))
                (void)disk_replace_file(dir_fd, BOOT_NAME, px_slice_of(bytes, sizeof(bytes)));
}

void state_mark_spoil(int dir_fd)
{
        (void)disk_remove(dir_fd, BOOT_NAME);
}

int state_mark_take(int dir_fd, struct state_mark *ret_mark)
{
        struct px_buf bytes = {0};
        int result = disk_read_file(dir_fd, MARK_NAME, &bytes);

        *ret_mark = (struct state_mark){.same_boot = boot_holds(dir_fd)};
        if (result == -ENOENT)
                return 0;
        if (result == 0 && bytes.length == MARK_BYTES && memcmp(bytes.data, MARK_MAGIC, 8) == 0 &&
            px_get_be32(bytes.data + MARK_CRC_AT) == px_crc32c(0, bytes.data, MARK_CRC_AT)) {
                ret_mark->clean = true;
                ret_mark->transaction = px_get_be64(bytes.data + 8);
                ret_mark->bytes = px_get_be64(bytes.data + 16);
        }
        px_buf_fini(&bytes);
        if (result == 0)
                result = disk_remove(dir_fd, MARK_NAME);
        if (result == 0)
                result = disk_sync_dir(dir_fd);
        return result;
}

void state_mark_put(int dir_fd, const struct lmdb_store *store)
{
        uint8_t bytes[MARK_BYTES];
        uint64_t size = 0;
        MDB_envinfo info;
        int fd;

        if (mdb_env_info(store->env, &info) != MDB_SUCCESS ||
            mdb_env_get_fd(store->env, &fd) != MDB_SUCCESS || disk_size(fd, &size) < 0)
                return;
        memcpy(bytes, MARK_MAGIC, 8);
        px_put_be64(bytes + 8, info.me_last_txnid);
        px_put_be64(bytes + 16, size);
        px_put_be32(bytes + MARK_CRC_AT, px_crc32c(0, bytes, MARK_CRC_AT));
        (void)disk_replace_file(dir_fd, MARK_NAME, px_slice_of(bytes, sizeof(bytes)));
}
