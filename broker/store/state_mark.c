/* SPDX-License-Identifier: Apache-2.0 */
/* state_mark.c - see state_mark.h. Layer: L3 (broker/store). */
#include "state_mark.h"

#include <errno.h>

#include "disk.h"

#define MARK_NAME "clean"
#define MARK_MAGIC "PLXCLEAN"
#define MARK_BYTES 28
#define MARK_CRC_AT 24

int state_mark_take(int dir_fd, struct state_mark *ret_mark)
{
        struct px_buf bytes = {0};
        int result = disk_read_file(dir_fd, MARK_NAME, &bytes);

        *ret_mark = (struct state_mark){0};
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
