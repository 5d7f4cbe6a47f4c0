/* SPDX-License-Identifier: Apache-2.0 */
/* spool.c - the link's side of the spool: the directory, its lock, its identity, its attempts.
 * Layer: L4 (node/keeper). */
#include "spool.h"
#include "record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define FREE_MAX 64

struct spool {
        int dir_fd;
        int attempts_fd;
        int free_fd;
        int lock_fd;
        uint32_t free[FREE_MAX]; /* numbers of the directories in free/ */
        size_t free_count;
        uint32_t free_next; /* a number none of them has */
        uint8_t boot[SPOOL_ID_BYTES];
        struct spool_identity identity;
};

int spool_boot(uint8_t ret_boot[SPOOL_ID_BYTES])
{
        char text[64] = "";
        size_t digits = 0;
        int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
        ssize_t got;

        if (fd < 0)
                return -errno;
        got = read(fd, text, sizeof(text) - 1);
        close(fd);
        memset(ret_boot, 0, SPOOL_ID_BYTES);
        for (ssize_t i = 0; i < got && digits < 2 * SPOOL_ID_BYTES; i++) {
                static const char hex[] = "0123456789abcdef";
                const char *digit = text[i] == '\0' ? NULL : strchr(hex, text[i]);

                if (digit == NULL)
                        continue;
                ret_boot[digits / 2] = (uint8_t)((ret_boot[digits / 2] << 4) | (digit - hex));
                digits++;
        }
        return digits == 2 * SPOOL_ID_BYTES ? 0 : -EBADMSG;
}

/* ---- identity ------------------------------------------------------------------------------- */

static int identity_write(struct spool *spool)
{
        struct px_buf body = {0};
        const struct spool_identity *identity = &spool->identity;
        int result;

        px_write_array(&body, 3);
        px_write_bytes(&body, px_slice_of(identity->spool, SPOOL_ID_BYTES));
        px_write_bytes(&body, px_slice_of(identity->cluster,
                                          identity->has_cluster ? SPOOL_ID_BYTES : 0));
        px_write_u64(&body, identity->epoch);
        result = record_replace(spool->dir_fd, "identity", RECORD_IDENTITY, px_buf_slice(&body));
        px_buf_fini(&body);
        return result;
}

static int identity_read(struct spool *spool)
{
        struct px_arena arena = {0};
        struct px_reader reader;
        struct px_slice body = PX_SLICE_NONE;
        struct spool_identity identity = {0};
        int result = record_read(spool->dir_fd, "identity", RECORD_IDENTITY, &arena, &body);

        if (result == 0) {
                struct px_slice id;
                struct px_slice cluster;

                px_reader_init(&reader, body);
                px_read_array(&reader, 3);
                id = px_read_bytes(&reader, SPOOL_ID_BYTES);
                cluster = px_read_bytes(&reader, SPOOL_ID_BYTES);
                identity.epoch = px_read_u64(&reader, UINT64_MAX);
                if (reader.error != PX_WIRE_OK || id.length != SPOOL_ID_BYTES ||
                    (cluster.length != 0 && cluster.length != SPOOL_ID_BYTES)) {
                        result = -EBADMSG;
                } else {
                        memcpy(identity.spool, id.data, SPOOL_ID_BYTES);
                        identity.has_cluster = cluster.length != 0;
                        if (identity.has_cluster)
                                memcpy(identity.cluster, cluster.data, SPOOL_ID_BYTES);
                        spool->identity = identity;
                }
        }
        px_arena_fini(&arena);
        return result;
}

static int identity_open(struct spool *spool)
{
        int result = identity_read(spool);

        if (result != -ENOENT)
                return result;
        if (getrandom(spool->identity.spool, SPOOL_ID_BYTES, 0) != SPOOL_ID_BYTES)
                return -errno;
        return identity_write(spool);
}

int spool_remember(struct spool *spool, struct px_slice cluster, uint64_t epoch)
{
        PX_ASSERT(cluster.length == 0 || cluster.length == SPOOL_ID_BYTES);
        if (cluster.length != 0) {
                memcpy(spool->identity.cluster, cluster.data, SPOOL_ID_BYTES);
                spool->identity.has_cluster = true;
        }
        spool->identity.epoch = epoch;
        return identity_write(spool);
}

const struct spool_identity *spool_identity(const struct spool *spool)
{
        return &spool->identity;
}

/* ---- opening -------------------------------------------------------------------------------- */

static int directory_check(int dir_fd)
{
        struct stat status;

        if (fstat(dir_fd, &status) != 0)
                return -errno;
        if (status.st_uid != geteuid() || (status.st_mode & 077) != 0)
                return -EPERM;
        return 0;
}

static int directory_open(int at_fd, const char *path, int *ret_fd)
{
        int fd;

        if (mkdirat(at_fd, path, 0700) != 0 && errno != EEXIST)
                return -errno;
        fd = openat(at_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        return 0;
}

/* One link works in a spool. */
static int directory_lock(int dir_fd, int *ret_lock_fd)
{
        int fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0)
                return -errno;
        *ret_lock_fd = fd;
        return flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno;
}

static DIR *directory_list(int dir_fd)
{
        int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);

        if (dir == NULL && fd >= 0)
                close(fd);
        return dir;
}

static int free_list(struct spool *spool)
{
        DIR *dir = directory_list(spool->free_fd);
        struct dirent *item;

        if (dir == NULL)
                return -errno;
        while ((item = readdir(dir)) != NULL) {
                uint32_t number = (uint32_t)strtoul(item->d_name, NULL, 10);

                if (item->d_name[0] == '.')
                        continue;
                spool->free_next = PX_MAX(spool->free_next, number + 1);
                if (spool->free_count < FREE_MAX)
                        spool->free[spool->free_count++] = number;
        }
        closedir(dir);
        return 0;
}

static int spool_open_parts(struct spool *spool, const char *path)
{
        int damaged_fd;
        int result = directory_open(AT_FDCWD, path, &spool->dir_fd);

        if (result == 0)
                result = directory_check(spool->dir_fd);
        if (result == 0)
                result = directory_lock(spool->dir_fd, &spool->lock_fd);
        if (result == 0)
                result = directory_open(spool->dir_fd, "a", &spool->attempts_fd);
        if (result == 0)
                result = directory_open(spool->dir_fd, "free", &spool->free_fd);
        if (result == 0)
                result = free_list(spool);
        if (result == 0)
                result = directory_open(spool->dir_fd, "damaged", &damaged_fd);
        if (result != 0)
                return result;
        close(damaged_fd);
        result = spool_boot(spool->boot);
        return result != 0 ? result : identity_open(spool);
}

int spool_open(const char *path, struct spool **ret_spool)
{
        struct spool *spool = px_alloc(sizeof(*spool));
        int result;

        spool->dir_fd = spool->attempts_fd = spool->free_fd = spool->lock_fd = -1;
        result = spool_open_parts(spool, path);
        if (result != 0) {
                spool_close(spool);
                return result;
        }
        *ret_spool = spool;
        return 0;
}

void spool_close(struct spool *spool)
{
        if (spool == NULL)
                return;
        if (spool->attempts_fd >= 0)
                close(spool->attempts_fd);
        if (spool->free_fd >= 0)
                close(spool->free_fd);
        if (spool->lock_fd >= 0)
                close(spool->lock_fd);
        if (spool->dir_fd >= 0)
                close(spool->dir_fd);
        px_free(spool);
}

/* ---- attempts ------------------------------------------------------------------------------- */

char *spool_name(struct spool_key key, char ret_name[SPOOL_NAME_BYTES])
{
        snprintf(ret_name, SPOOL_NAME_BYTES, "%" PRIu64 ".%" PRIu32 ".%" PRIu64, key.job.value,
                 key.fence.attempt, key.fence.epoch);
        return ret_name;
}

bool spool_name_parse(const char *name, struct spool_key *ret_key)
{
        struct spool_key key = {0};
        char again[SPOOL_NAME_BYTES];

        if (sscanf(name, "%" SCNu64 ".%" SCNu32 ".%" SCNu64, &key.job.value, &key.fence.attempt,
                   &key.fence.epoch) != 3)
                return false;
        /* Only the one spelling that spool_name() gives: "07.1.1" isn't an attempt. */
        if (strcmp(spool_name(key, again), name) != 0)
                return false;
        *ret_key = key;
        return true;
}

static int entry_write(struct spool *spool, int dir_fd, const struct px_assign *assign)
{
        struct px_buf encoded = {0};
        struct px_buf body = {0};
        int result;

        px_assign_encode(assign, &encoded);
        px_write_array(&body, 2);
        px_write_bytes(&body, px_slice_of(spool->boot, SPOOL_ID_BYTES));
        px_write_bytes(&body, px_buf_slice(&encoded));
        result = record_overwrite(dir_fd, "entry", RECORD_ENTRY, px_buf_slice(&body), false);
        px_buf_fini(&body);
        px_buf_fini(&encoded);
        return result;
}

static char *free_name(uint32_t number, char ret_name[16])
{
        snprintf(ret_name, 16, "%" PRIu32, number);
        return ret_name;
}

/* A directory in free/, used before or new. */
static int free_take(struct spool *spool, uint32_t *ret_number, int *ret_fd)
{
        bool used = spool->free_count > 0;
        char name[16];

        *ret_number = used ? spool->free[--spool->free_count] : spool->free_next++;
        free_name(*ret_number, name);
        if (used) {
                *ret_fd = openat(spool->free_fd, name,
                                 O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                if (*ret_fd >= 0)
                        return 0;
        }
        return directory_open(spool->free_fd, name, ret_fd);
}

int spool_enter(struct spool *spool, const struct px_assign *assign, int *ret_dir_fd)
{
        struct spool_key key = {.job = assign->job, .fence = assign->fence};
        char name[SPOOL_NAME_BYTES];
        char from[16];
        uint32_t number;
        int dir_fd = -1;
        int result = free_take(spool, &number, &dir_fd);

        if (result != 0)
                return result;
        result = entry_write(spool, dir_fd, assign);
        if (result == 0 && renameat(spool->free_fd, free_name(number, from), spool->attempts_fd,
                                    spool_name(key, name)) != 0)
                result = -errno;
        if (result == 0) {
                *ret_dir_fd = dir_fd;
                return 0;
        }
        close(dir_fd);
        if (spool->free_count < FREE_MAX)
                spool->free[spool->free_count++] = number;
        /* A directory that holds an entry can't be renamed over. */
        if (result == -EEXIST || result == -ENOTEMPTY)
                result = spool_attempt_open(spool, key, ret_dir_fd);
        return result;
}

/* Attempt directories hold files only; whatever else stands there is left and reported. */
static int directory_empty(int dir_fd)
{
        DIR *dir = directory_list(dir_fd);
        struct dirent *item;
        int result = 0;

        if (dir == NULL)
                return -errno;
        while ((item = readdir(dir)) != NULL) {
                if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0)
                        continue;
                if (unlinkat(dir_fd, item->d_name, 0) != 0 && errno != ENOENT)
                        result = -errno;
        }
        closedir(dir);
        return result;
}

/* Give the space of a stream back, keep its file. False = it can't be used again. */
static bool stream_clear(int dir_fd, int stream)
{
        int fd;
        bool cleared;

        if (spool_stream_length(dir_fd, stream) == 0)
                return true;
        if (spool_stream_open(dir_fd, stream, true, &fd) != 0)
                return false;
        cleared = ftruncate(fd, 0) == 0;
        close(fd);
        return cleared;
}

/* Move it to free/ for another attempt. A keeper that is just going may still hold the lock. */
static bool attempt_recycle(struct spool *spool, int dir_fd, const char *name)
{
        char to[16];

        if (spool->free_count == FREE_MAX || spool_lock_held(dir_fd) ||
            (unlinkat(dir_fd, SPOOL_INPUT, 0) != 0 && errno != ENOENT) ||
            !stream_clear(dir_fd, PX_STREAM_OUT) || !stream_clear(dir_fd, PX_STREAM_ERR))
                return false;
        free_name(spool->free_next, to);
        if (renameat(spool->attempts_fd, name, spool->free_fd, to) != 0)
                return false;
        spool->free[spool->free_count++] = spool->free_next++;
        return true;
}

int spool_remove(struct spool *spool, struct spool_key key)
{
        char name[SPOOL_NAME_BYTES];
        int dir_fd;
        int result = spool_attempt_open(spool, key, &dir_fd);

        if (result == -ENOENT)
                return 0;
        if (result != 0)
                return result;
        spool_name(key, name);
        if (!attempt_recycle(spool, dir_fd, name)) {
                /* The entry goes first: what is left of a removal cut short isn't an attempt. */
                unlinkat(dir_fd, "entry", 0);
                result = directory_empty(dir_fd);
                if (result == 0 && unlinkat(spool->attempts_fd, name, AT_REMOVEDIR) != 0)
                        result = -errno;
        }
        close(dir_fd);
        return result;
}

int spool_attempt_open(struct spool *spool, struct spool_key key, int *ret_dir_fd)
{
        char name[SPOOL_NAME_BYTES];
        int fd = openat(spool->attempts_fd, spool_name(key, name),
                        O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

        if (fd < 0)
                return -errno;
        *ret_dir_fd = fd;
        return 0;
}

int spool_set_aside(struct spool *spool, struct spool_key key)
{
        char name[SPOOL_NAME_BYTES];
        char aside[SPOOL_NAME_BYTES + 16];

        spool_name(key, name);
        /* A second one of the same name gets a number behind it. */
        for (int number = 0; number < 1000; number++) {
                if (number == 0)
                        snprintf(aside, sizeof(aside), "damaged/%s", name);
                else
                        snprintf(aside, sizeof(aside), "damaged/%s-%d", name, number);
                if (renameat2(spool->attempts_fd, name, spool->dir_fd, aside, RENAME_NOREPLACE) ==
                    0)
                        return 0;
                if (errno != EEXIST)
                        return -errno;
        }
        return -EEXIST;
}

int spool_scan(struct spool *spool, void (*found)(void *context, struct spool_key key),
               void *context)
{
        DIR *dir = directory_list(spool->attempts_fd);
        struct dirent *item;
        struct spool_key key;

        if (dir == NULL)
                return -errno;
        while ((item = readdir(dir)) != NULL)
                if (spool_name_parse(item->d_name, &key))
                        found(context, key);
        closedir(dir);
        return 0;
}
