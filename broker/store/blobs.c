/* SPDX-License-Identifier: Apache-2.0 */
/* blobs.c - see blobs.h. Layer: L3 (broker/store). */
#include "blobs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "disk.h"
#include "px_schema.h"

#define KEEP_MS_DEFAULT (60 * 60 * 1000)
#define NAME_BYTES 112 /* OWNER/HASH.part */
#define HASH_TEXT_BYTES (2 * BLOB_HASH_BYTES)
#define UPLOADS_OPEN_MAX 32
#define SPARE_BYTES ((uint64_t)128 << 20) /* left free beyond an upload: the database goes first */
#define READ_BYTES 65536

/* An upload that goes on: its file, and the hash of what is in it. */
struct upload {
        struct px_link link; /* in blobs->uploads, used last first */
        struct blob_name name;
        int fd;
        uint64_t offset;
        crypto_hash_sha256_state hash;
};

struct blobs {
        pthread_mutex_t lock; /* between a look of blobs_find() and a removal */
        int dir_fd;
        uint64_t keep_ms;
        struct px_link uploads;
        size_t uploads_count;
        struct px_map marked; /* mark_of() of what the last sweep found unused */
};

/* ---- names -------------------------------------------------------------------------------------- */

static void path_of(const struct blob_name *name, const char *suffix, char ret_path[NAME_BYTES])
{
        char text[HASH_TEXT_BYTES + 1];

        sodium_bin2hex(text, sizeof(text), name->hash, sizeof(name->hash));
        snprintf(ret_path, NAME_BYTES, "%" PRIu32 "/%s%s", name->owner, text, suffix);
}

static bool name_equal(const struct blob_name *a, const struct blob_name *b)
{
        return a->owner == b->owner && memcmp(a->hash, b->hash, sizeof(a->hash)) == 0;
}

/* ---- open --------------------------------------------------------------------------------------- */

int blobs_open(const char *dir, uint64_t keep_ms, struct blobs **ret_blobs)
{
        struct blobs *blobs = px_alloc(sizeof(*blobs));
        int fault = 0;

        PX_ASSERT(sodium_init() >= 0);
        PX_ASSERT(pthread_mutex_init(&blobs->lock, NULL) == 0);
        px_list_init(&blobs->uploads);
        blobs->keep_ms = keep_ms == 0 ? KEEP_MS_DEFAULT : keep_ms;
        if (mkdir(dir, 0700) != 0 && errno != EEXIST)
                fault = -errno;
        blobs->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fault == 0 && blobs->dir_fd < 0)
                fault = -errno;
        if (fault == 0)
                *ret_blobs = blobs;
        else
                blobs_close(blobs);
        return fault;
}

static void upload_close(struct blobs *blobs, struct upload *upload)
{
        px_list_remove(&upload->link);
        blobs->uploads_count--;
        close(upload->fd);
        px_free(upload);
}

void blobs_close(struct blobs *blobs)
{
        if (blobs == NULL)
                return;
        while (!px_list_empty(&blobs->uploads))
                upload_close(blobs, PX_CONTAINER_OF(blobs->uploads.next, struct upload, link));
        if (blobs->dir_fd >= 0)
                close(blobs->dir_fd);
        px_map_fini(&blobs->marked);
        pthread_mutex_destroy(&blobs->lock);
        px_free(blobs);
}

/* ---- find and read ------------------------------------------------------------------------------ */

bool blobs_find(struct blobs *blobs, const struct blob_name *name, uint64_t *ret_bytes)
{
        char path[NAME_BYTES];
        struct stat file;
        bool found;

        path_of(name, "", path);
        pthread_mutex_lock(&blobs->lock);
        found = utimensat(blobs->dir_fd, path, NULL, AT_SYMLINK_NOFOLLOW) == 0 &&
                fstatat(blobs->dir_fd, path, &file, AT_SYMLINK_NOFOLLOW) == 0 &&
                S_ISREG(file.st_mode);
        pthread_mutex_unlock(&blobs->lock);
        if (found)
                *ret_bytes = (uint64_t)file.st_size;
        return found;
}

int blobs_read(struct blobs *blobs, const struct blob_name *name, uint64_t offset, size_t room,
               struct px_buf *ret_data, uint64_t *ret_bytes)
{
        char path[NAME_BYTES];
        uint64_t bytes = 0;
        size_t before = ret_data->length;
        size_t got = 0;
        int fault;
        int fd;

        path_of(name, "", path);
        fd = openat(blobs->dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT ? PX_E_ABSENT : -errno;
        fault = disk_size(fd, &bytes);
        if (fault == 0)
                fault = disk_read_at(fd, px_buf_grow(ret_data, room), room, offset, &got);
        close(fd);
        ret_data->length = before + got;
        if (fault == 0)
                *ret_bytes = bytes;
        return fault;
}

/* ---- uploads ------------------------------------------------------------------------------------ */

/* The hash of what was received before a restart. */
static int upload_rehash(struct upload *upload)
{
        uint8_t *chunk = px_alloc(READ_BYTES);
        size_t got = 0;
        int fault;

        upload->offset = 0;
        crypto_hash_sha256_init(&upload->hash);
        do {
                fault = disk_read_at(upload->fd, chunk, READ_BYTES, upload->offset, &got);
                if (fault != 0)
                        break;
                crypto_hash_sha256_update(&upload->hash, chunk, got);
                upload->offset += got;
        } while (got == READ_BYTES);
        px_free(chunk);
        return fault;
}

static bool has_suffix(const char *text, const char *suffix)
{
        size_t length = strlen(text);
        size_t end = strlen(suffix);

        return length > end && strcmp(text + length - end, suffix) == 0;
}

static DIR *dir_open(int parent_fd, const char *name)
{
        int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);

        if (dir == NULL && fd >= 0)
                close(fd);
        return dir;
}

static size_t parts_count(const struct blobs *blobs, uint32_t owner)
{
        char name[16];
        struct dirent *item;
        size_t count = 0;
        DIR *dir;

        snprintf(name, sizeof(name), "%" PRIu32, owner);
        dir = dir_open(blobs->dir_fd, name);
        while (dir != NULL && (item = readdir(dir)) != NULL)
                count += has_suffix(item->d_name, ".part");
        if (dir != NULL)
                closedir(dir);
        return count;
}

/* Room for the whole, before the first byte. */
static int check_room(const struct blobs *blobs, const struct blob_name *name, uint64_t bytes)
{
        struct statvfs disk;

        if (fstatvfs(blobs->dir_fd, &disk) != 0)
                return -errno;
        if ((uint64_t)disk.f_bavail * disk.f_frsize < bytes + SPARE_BYTES)
                return PX_E_STORAGE_FULL;
        return parts_count(blobs, name->owner) < PX_LIMIT_BLOB_PARTS ? PX_OK : PX_E_BUSY;
}

static int owner_dir(struct blobs *blobs, uint32_t owner)
{
        char name[16];
        int fd = -1;
        int fault;

        snprintf(name, sizeof(name), "%" PRIu32, owner);
        fault = disk_open_dir(blobs->dir_fd, name, &fd);
        if (fault == 0)
                close(fd);
        return fault;
}

static int part_open(struct blobs *blobs, const struct blob_name *name, uint64_t bytes, int *ret_fd)
{
        char path[NAME_BYTES];
        int code;

        path_of(name, ".part", path);
        *ret_fd = openat(blobs->dir_fd, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (*ret_fd >= 0)
                return PX_OK;
        if (errno != ENOENT)
                return -errno;
        code = owner_dir(blobs, name->owner);
        if (code == PX_OK)
                code = check_room(blobs, name, bytes);
        if (code == PX_OK)
                code = disk_open_file(blobs->dir_fd, path, O_CREAT | O_EXCL | O_NOFOLLOW, ret_fd);
        return code;
}

static struct upload *upload_find(const struct blobs *blobs, const struct blob_name *name)
{
        PX_LIST_EACH(&blobs->uploads, link)
        {
                struct upload *upload = PX_CONTAINER_OF(link, struct upload, link);

                if (name_equal(&upload->name, name))
                        return upload;
        }
        return NULL;
}

static int upload_get(struct blobs *blobs, const struct blob_name *name, uint64_t bytes,
                      struct upload **ret_upload)
{
        struct upload *upload = upload_find(blobs, name);
        int code = PX_OK;
        int fd = -1;

        if (upload == NULL) {
                code = part_open(blobs, name, bytes, &fd);
                if (code != PX_OK)
                        return code;
                upload = px_alloc(sizeof(*upload));
                upload->name = *name;
                upload->fd = fd;
                px_list_prepend(&blobs->uploads, &upload->link);
                blobs->uploads_count++;
                code = upload_rehash(upload);
        } else {
                px_list_remove(&upload->link);
                px_list_prepend(&blobs->uploads, &upload->link);
        }
        if (code != PX_OK) {
                upload_close(blobs, upload);
                return code;
        }
        if (blobs->uploads_count > UPLOADS_OPEN_MAX)
                upload_close(blobs, PX_CONTAINER_OF(blobs->uploads.previous, struct upload, link));
        *ret_upload = upload;
        return PX_OK;
}

static int upload_discard(struct blobs *blobs, struct upload *upload, int code)
{
        char path[NAME_BYTES];

        path_of(&upload->name, ".part", path);
        unlinkat(blobs->dir_fd, path, 0);
        upload_close(blobs, upload);
        return code;
}

/* Whole: checked, flushed, named. `upload` is closed. */
static int upload_complete(struct blobs *blobs, struct upload *upload)
{
        uint8_t hash[BLOB_HASH_BYTES];
        char part[NAME_BYTES], path[NAME_BYTES], owner[16];
        int fd = -1;
        int fault;

        crypto_hash_sha256_final(&upload->hash, hash);
        if (memcmp(hash, upload->name.hash, sizeof(hash)) != 0)
                return upload_discard(blobs, upload, PX_E_INVALID);
        path_of(&upload->name, ".part", part);
        path_of(&upload->name, "", path);
        snprintf(owner, sizeof(owner), "%" PRIu32, upload->name.owner);
        fault = disk_flush(upload->fd);
        if (fault == 0 && renameat(blobs->dir_fd, part, blobs->dir_fd, path) != 0)
                fault = -errno;
        if (fault == 0)
                fault = disk_open_dir(blobs->dir_fd, owner, &fd);
        if (fault == 0)
                fault = disk_sync_dir(fd);
        if (fd >= 0)
                close(fd);
        upload_close(blobs, upload);
        return fault;
}

int blobs_begin(struct blobs *blobs, const struct blob_name *name, uint64_t bytes,
                uint64_t *ret_offset, bool *ret_complete)
{
        return blobs_add(blobs, name, bytes, 0, PX_SLICE_NONE, ret_offset, ret_complete);
}

int blobs_add(struct blobs *blobs, const struct blob_name *name, uint64_t bytes, uint64_t offset,
              struct px_slice data, uint64_t *ret_offset, bool *ret_complete)
{
        struct upload *upload;
        uint64_t found;
        int code;

        *ret_complete = false;
        if (offset > bytes || data.length > bytes - offset)
                return PX_E_LIMIT;
        if (blobs_find(blobs, name, &found)) {
                *ret_offset = found;
                *ret_complete = true;
                return PX_OK;
        }
        code = upload_get(blobs, name, bytes, &upload);
        if (code != PX_OK)
                return code;
        if (upload->offset > bytes)
                return upload_discard(blobs, upload, PX_E_INVALID);
        if (offset == upload->offset && data.length > 0) {
                code = disk_write_at(upload->fd, data.data, data.length, offset);
                if (code == -ENOSPC || code == -EDQUOT)
                        return upload_discard(blobs, upload, PX_E_STORAGE_FULL);
                if (code != 0)
                        return code;
                crypto_hash_sha256_update(&upload->hash, data.data, data.length);
                upload->offset += data.length;
        }
        *ret_offset = upload->offset;
        if (upload->offset < bytes)
                return PX_OK;
        *ret_complete = true;
        return upload_complete(blobs, upload);
}

/* ---- sweep -------------------------------------------------------------------------------------- */

static bool name_parse(uint32_t owner, const char *text, struct blob_name *ret_name)
{
        size_t length = strlen(text);
        size_t bytes = 0;

        if (length != HASH_TEXT_BYTES && !(length > HASH_TEXT_BYTES &&
                                           strcmp(text + HASH_TEXT_BYTES, ".part") == 0))
                return false;
        ret_name->owner = owner;
        return sodium_hex2bin(ret_name->hash, sizeof(ret_name->hash), text, HASH_TEXT_BYTES, NULL,
                              &bytes, NULL) == 0 &&
               bytes == sizeof(ret_name->hash);
}

/* A number for the file as it was touched last. */
static uint64_t mark_of(int dir_fd, const char *path, uint64_t keep_ms)
{
        struct timespec now;
        struct stat file;
        int64_t age_ms;

        if (fstatat(dir_fd, path, &file, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(file.st_mode))
                return 0;
        clock_gettime(CLOCK_REALTIME, &now);
        age_ms = (now.tv_sec - file.st_mtim.tv_sec) * 1000 +
                 (now.tv_nsec - file.st_mtim.tv_nsec) / 1000000;
        if (age_ms >= 0 && (uint64_t)age_ms < keep_ms)
                return 0;
        return px_hash64((uint64_t)file.st_mtim.tv_sec ^ (uint64_t)file.st_mtim.tv_nsec << 32, path,
                         strlen(path)) |
               1;
}

struct sweep {
        struct blobs *blobs;
        bool (*used)(void *context, const struct blob_name *name);
        void *context;
        struct px_map marked;
        size_t removed;
};

static void sweep_file(struct sweep *sweep, uint32_t owner, const char *file)
{
        struct blobs *blobs = sweep->blobs;
        bool part = has_suffix(file, ".part");
        struct blob_name name;
        char path[NAME_BYTES];
        uint64_t mark;

        if (!name_parse(owner, file, &name))
                return;
        path_of(&name, part ? ".part" : "", path);
        mark = mark_of(blobs->dir_fd, path, blobs->keep_ms);
        if (mark == 0 || (part && upload_find(blobs, &name) != NULL) ||
            (!part && sweep->used(sweep->context, &name)))
                return;
        if (px_map_find(&blobs->marked, mark) == NULL) {
                px_map_put(&sweep->marked, mark, blobs);
                return;
        }
        pthread_mutex_lock(&blobs->lock);
        if (mark_of(blobs->dir_fd, path, blobs->keep_ms) == mark)
                sweep->removed += unlinkat(blobs->dir_fd, path, 0) == 0;
        pthread_mutex_unlock(&blobs->lock);
}

static void sweep_owner(struct sweep *sweep, const char *name)
{
        char *end;
        unsigned long owner = strtoul(name, &end, 10);
        struct dirent *item;
        DIR *dir;

        if (*end != '\0' || end == name || owner > UINT32_MAX)
                return;
        dir = dir_open(sweep->blobs->dir_fd, name);
        while (dir != NULL && (item = readdir(dir)) != NULL)
                sweep_file(sweep, (uint32_t)owner, item->d_name);
        if (dir != NULL)
                closedir(dir);
}

/* Uploads that nobody goes on with are closed, so that a later look may remove them. */
static void sweep_uploads(struct blobs *blobs)
{
        struct px_link *link = blobs->uploads.next;

        while (link != &blobs->uploads) {
                struct upload *upload = PX_CONTAINER_OF(link, struct upload, link);
                char path[NAME_BYTES];

                link = link->next;
                path_of(&upload->name, ".part", path);
                if (mark_of(blobs->dir_fd, path, blobs->keep_ms) != 0)
                        upload_close(blobs, upload);
        }
}

size_t blobs_sweep(struct blobs *blobs, bool (*used)(void *context, const struct blob_name *name),
                   void *context)
{
        struct sweep sweep = {.blobs = blobs, .used = used, .context = context};
        struct dirent *item;
        DIR *dir = dir_open(blobs->dir_fd, ".");

        sweep_uploads(blobs);
        while (dir != NULL && (item = readdir(dir)) != NULL)
                sweep_owner(&sweep, item->d_name);
        if (dir != NULL)
                closedir(dir);
        px_map_fini(&blobs->marked);
        blobs->marked = sweep.marked;
        return sweep.removed;
}
