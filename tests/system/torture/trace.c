/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c - see trace.h. The recording is a list of events; the images are made afterwards by walking it
 * with a model of inodes: what lasts, and what is pending. */
#include "trace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FDS 1024
#define SECTOR 512
#define NAME_BYTES 64

enum event_kind {
        EVENT_WRITE,
        EVENT_WRITTEN,
        EVENT_RESIZE,
        EVENT_SYNC,
        EVENT_LINK,
        EVENT_UNLINK,
        EVENT_RENAME,
        EVENT_NOTE,
};

struct event {
        enum event_kind kind;
        struct trace_inode *inode; /* written, flushed, or the directory that changes */
        struct trace_inode *child; /* linked */
        uint64_t offset;           /* or size */
        bool grow_only;
        struct px_buf data;
        char name[NAME_BYTES];
        char to[NAME_BYTES];
        struct trace_notes notes;
};

struct entry {
        char name[NAME_BYTES];
        struct trace_inode *inode;
};

struct names {
        struct entry *entries;
        size_t count;
};

struct trace_inode {
        bool is_dir;
        struct names now;     /* of a directory, while recording */
        struct names lasting; /* of a directory */
        struct px_buf bytes;  /* of a file: lasting */
        size_t *pending;      /* events */
        size_t pending_count;
};

static struct {
        pthread_mutex_t mutex;
        bool on;
        char root[200];
        struct trace_inode *root_inode;
        struct trace_inode *fds[FDS];
        bool direct[FDS]; /* O_DSYNC */
        struct event *events;
        size_t count;
        size_t capacity;
        size_t at; /* of the walk */
        struct trace_notes notes;
} trace = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* ---- names --------------------------------------------------------------------------------------------- */

static struct trace_inode *names_find(const struct names *names, const char *name)
{
        for (size_t i = 0; i < names->count; i++)
                if (strcmp(names->entries[i].name, name) == 0)
                        return names->entries[i].inode;
        return NULL;
}

static void names_remove(struct names *names, const char *name)
{
        for (size_t i = 0; i < names->count; i++)
                if (strcmp(names->entries[i].name, name) == 0) {
                        names->entries[i] = names->entries[--names->count];
                        return;
                }
}

static void names_put(struct names *names, const char *name, struct trace_inode *inode)
{
        PX_ASSERT(strlen(name) < NAME_BYTES);
        names_remove(names, name);
        names->entries = px_realloc(names->entries, (names->count + 1) * sizeof(struct entry));
        snprintf(names->entries[names->count].name, NAME_BYTES, "%s", name);
        names->entries[names->count++].inode = inode;
}

static void names_change(struct names *names, const struct event *event)
{
        struct trace_inode *moved;

        switch (event->kind) {
        case EVENT_LINK:
                names_put(names, event->name, event->child);
                break;
        case EVENT_UNLINK:
                names_remove(names, event->name);
                break;
        case EVENT_RENAME:
                moved = names_find(names, event->name);
                PX_ASSERT(moved != NULL);
                names_remove(names, event->name);
                names_put(names, event->to, moved);
                break;
        default:
                PX_UNREACHABLE();
        }
}

static struct names names_copy(const struct names *names)
{
        struct names copy = {.count = names->count};

        if (copy.count > 0) {
                copy.entries = px_alloc(copy.count * sizeof(struct entry));
                memcpy(copy.entries, names->entries, copy.count * sizeof(struct entry));
        }
        return copy;
}

static struct trace_inode *inode_new(bool is_dir)
{
        struct trace_inode *inode = px_alloc(sizeof(*inode));

        inode->is_dir = is_dir;
        return inode;
}

/* What stands below `path` already lasts. */
static struct trace_inode *inode_load(const char *path)
{
        struct trace_inode *inode;
        struct stat status;
        struct dirent *entry;
        char below[400];
        DIR *dir;

        PX_ASSERT(stat(path, &status) == 0);
        inode = inode_new(S_ISDIR(status.st_mode));
        if (!inode->is_dir) {
                int fd = open(path, O_RDONLY | O_CLOEXEC);

                PX_ASSERT(fd >= 0);
                px_buf_grow(&inode->bytes, (size_t)status.st_size);
                PX_ASSERT(read(fd, inode->bytes.data, inode->bytes.length) == status.st_size);
                close(fd);
                return inode;
        }
        dir = opendir(path);
        PX_ASSERT(dir != NULL);
        while ((entry = readdir(dir)) != NULL) {
                if (entry->d_name[0] == '.')
                        continue;
                snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
                names_put(&inode->now, entry->d_name, inode_load(below));
        }
        closedir(dir);
        inode->lasting = names_copy(&inode->now);
        return inode;
}

/* ---- recording -------------------------------------------------------------------------------------------- */

void trace_begin(const char *root)
{
        struct trace_inode *inode = inode_load(root);

        pthread_mutex_lock(&trace.mutex);
        snprintf(trace.root, sizeof(trace.root), "%s", root);
        trace.root_inode = inode;
        trace.on = true;
        pthread_mutex_unlock(&trace.mutex);
}

void trace_stop(void)
{
        pthread_mutex_lock(&trace.mutex);
        trace.on = false;
        pthread_mutex_unlock(&trace.mutex);
}

bool trace_is_on(void)
{
        return trace.on;
}

static struct event *event_add(enum event_kind kind, struct trace_inode *inode)
{
        struct event *event;

        if (trace.count == trace.capacity) {
                trace.capacity = PX_MAX(1024, trace.capacity * 2);
                trace.events = px_realloc(trace.events, trace.capacity * sizeof(*trace.events));
        }
        event = &trace.events[trace.count++];
        memset(event, 0, sizeof(*event));
        event->kind = kind;
        event->inode = inode;
        return event;
}

/* The directory and last name of a path; NULL when it isn't below the root. */
static struct trace_inode *path_resolve(int dir_fd, const char *path, char ret_name[NAME_BYTES])
{
        struct trace_inode *at = NULL;
        size_t root = strlen(trace.root);

        if (path[0] == '/') {
                if (strncmp(path, trace.root, root) != 0 || (path[root] != '/' && path[root] != 0))
                        return NULL;
                at = trace.root_inode;
                path += root + (path[root] == '/');
        } else if (dir_fd >= 0 && dir_fd < FDS) {
                at = trace.fds[dir_fd];
        }
        while (at != NULL) {
                const char *slash = strchr(path, '/');
                size_t length = slash != NULL ? (size_t)(slash - path) : strlen(path);

                PX_ASSERT(length < NAME_BYTES);
                memcpy(ret_name, path, length);
                ret_name[length] = 0;
                if (slash == NULL)
                        return at;
                at = names_find(&at->now, ret_name);
                path = slash + 1;
        }
        return NULL;
}

static void link_new(struct trace_inode *dir, const char *name, struct trace_inode *child)
{
        struct event *event = event_add(EVENT_LINK, dir);

        event->child = child;
        snprintf(event->name, NAME_BYTES, "%s", name);
        names_change(&dir->now, event);
}

void trace_opened(int fd, int dir_fd, const char *path, int flags, bool existed)
{
        char name[NAME_BYTES];
        struct trace_inode *dir, *inode;

        pthread_mutex_lock(&trace.mutex);
        dir = trace.on ? path_resolve(dir_fd, path, name) : NULL;
        if (dir != NULL) {
                inode = name[0] == 0 || strcmp(name, ".") == 0 ? dir
                                                                : names_find(&dir->now, name);
                if (inode == NULL) {
                        PX_ASSERT(!existed);
                        inode = inode_new(false);
                        link_new(dir, name, inode);
                } else if (flags & O_TRUNC) {
                        event_add(EVENT_RESIZE, inode);
                }
                PX_ASSERT(fd < FDS);
                trace.fds[fd] = inode;
                trace.direct[fd] = (flags & O_DSYNC) != 0;
        }
        pthread_mutex_unlock(&trace.mutex);
}

void trace_closed(int fd)
{
        if (fd < 0 || fd >= FDS)
                return;
        pthread_mutex_lock(&trace.mutex);
        trace.fds[fd] = NULL;
        pthread_mutex_unlock(&trace.mutex);
}

static struct trace_inode *inode_of(int fd)
{
        return trace.on && fd >= 0 && fd < FDS ? trace.fds[fd] : NULL;
}

void trace_write(int fd, const struct iovec *parts, int count, off_t offset)
{
        struct trace_inode *inode;

        pthread_mutex_lock(&trace.mutex);
        inode = inode_of(fd);
        if (inode != NULL) {
                struct event *event = event_add(EVENT_WRITE, inode);

                event->offset = (uint64_t)offset;
                for (int i = 0; i < count; i++)
                        px_buf_append(&event->data, parts[i].iov_base, parts[i].iov_len);
        }
        pthread_mutex_unlock(&trace.mutex);
}

void trace_written(int fd)
{
        struct trace_inode *inode;

        pthread_mutex_lock(&trace.mutex);
        inode = inode_of(fd);
        if (inode != NULL && trace.direct[fd])
                event_add(EVENT_WRITTEN, inode);
        pthread_mutex_unlock(&trace.mutex);
}

void trace_resize(int fd, off_t bytes, bool grow_only)
{
        struct trace_inode *inode;

        pthread_mutex_lock(&trace.mutex);
        inode = inode_of(fd);
        if (inode != NULL) {
                struct event *event = event_add(EVENT_RESIZE, inode);

                event->offset = (uint64_t)bytes;
                event->grow_only = grow_only;
        }
        pthread_mutex_unlock(&trace.mutex);
}

void trace_sync(int fd)
{
        struct trace_inode *inode;

        pthread_mutex_lock(&trace.mutex);
        inode = inode_of(fd);
        if (inode != NULL)
                event_add(EVENT_SYNC, inode);
        pthread_mutex_unlock(&trace.mutex);
}

void trace_make_dir(int dir_fd, const char *path)
{
        char name[NAME_BYTES];
        struct trace_inode *dir;

        pthread_mutex_lock(&trace.mutex);
        dir = trace.on ? path_resolve(dir_fd, path, name) : NULL;
        if (dir != NULL)
                link_new(dir, name, inode_new(true));
        pthread_mutex_unlock(&trace.mutex);
}

static void change_names(enum event_kind kind, int dir_fd, const char *from, const char *to)
{
        char name[NAME_BYTES];
        struct trace_inode *dir;

        pthread_mutex_lock(&trace.mutex);
        dir = trace.on ? path_resolve(dir_fd, from, name) : NULL;
        if (dir != NULL) {
                struct event *event = event_add(kind, dir);

                snprintf(event->name, NAME_BYTES, "%s", name);
                snprintf(event->to, NAME_BYTES, "%s", to);
                names_change(&dir->now, event);
        }
        pthread_mutex_unlock(&trace.mutex);
}

void trace_rename(int dir_fd, const char *from, const char *to)
{
        change_names(EVENT_RENAME, dir_fd, from, to);
}

void trace_unlink(int dir_fd, const char *path)
{
        change_names(EVENT_UNLINK, dir_fd, path, "");
}

void trace_note(uint64_t acknowledged, uint64_t submitted, uint64_t epoch)
{
        pthread_mutex_lock(&trace.mutex);
        event_add(EVENT_NOTE, NULL)->notes =
                (struct trace_notes){acknowledged, submitted, epoch};
        pthread_mutex_unlock(&trace.mutex);
}

/* ---- walking ------------------------------------------------------------------------------------------------ */

static void bytes_resize(struct px_buf *bytes, uint64_t size, bool grow_only)
{
        if (size > bytes->length) {
                size_t by = size - bytes->length;

                memset(px_buf_grow(bytes, by), 0, by);
        } else if (!grow_only) {
                bytes->length = size;
        }
}

/* Apply a write: whole, or each sector by chance. */
static void bytes_write(struct px_buf *bytes, const struct event *event, struct px_rand *torn)
{
        size_t done = 0;

        while (done < event->data.length) {
                uint64_t at = event->offset + done;
                size_t part = PX_MIN(event->data.length - done, SECTOR - at % SECTOR);

                if (torn == NULL || px_rand_chance(torn, 500)) {
                        bytes_resize(bytes, at + part, true);
                        memcpy(bytes->data + at, event->data.data + done, part);
                }
                done += part;
        }
}

static void file_change(struct px_buf *bytes, const struct event *event, struct px_rand *torn)
{
        if (event->kind == EVENT_WRITE)
                bytes_write(bytes, event, torn);
        else
                bytes_resize(bytes, event->offset, event->grow_only);
}

static void inode_pend(struct trace_inode *inode, size_t event)
{
        if (inode->pending_count % 64 == 0)
                inode->pending = px_realloc(inode->pending,
                                            (inode->pending_count + 64) * sizeof(size_t));
        inode->pending[inode->pending_count++] = event;
}

static void inode_settle(struct trace_inode *inode)
{
        for (size_t i = 0; i < inode->pending_count; i++) {
                const struct event *event = &trace.events[inode->pending[i]];

                if (inode->is_dir)
                        names_change(&inode->lasting, event);
                else
                        file_change(&inode->bytes, event, NULL);
        }
        inode->pending_count = 0;
}

size_t trace_length(void)
{
        return trace.count;
}

void trace_advance(size_t events)
{
        PX_ASSERT(events >= trace.at && events <= trace.count);
        for (; trace.at < events; trace.at++) {
                const struct event *event = &trace.events[trace.at];

                if (event->kind == EVENT_NOTE) {
                        trace.notes = event->notes;
                } else if (event->kind == EVENT_SYNC) {
                        inode_settle(event->inode);
                } else if (event->kind == EVENT_WRITTEN) {
                        /* the write just before it, through the same descriptor, lasts */
                        size_t last = event->inode->pending[--event->inode->pending_count];

                        PX_ASSERT(trace.events[last].kind == EVENT_WRITE);
                        file_change(&event->inode->bytes, &trace.events[last], NULL);
                } else {
                        inode_pend(event->inode, trace.at);
                }
        }
}

/* ---- images --------------------------------------------------------------------------------------------------- */

static void image_file(const struct trace_inode *inode, const char *path, enum trace_cut cut,
                       struct px_rand *rand)
{
        struct px_buf bytes = {0};
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        PX_ASSERT(fd >= 0);
        px_buf_append_slice(&bytes, px_buf_slice(&inode->bytes));
        for (size_t i = 0; i < inode->pending_count && cut != TRACE_NONE; i++)
                if (cut == TRACE_ALL || px_rand_chance(rand, 500))
                        file_change(&bytes, &trace.events[inode->pending[i]],
                                    cut == TRACE_TORN ? rand : NULL);
        PX_ASSERT(bytes.length == 0 || write(fd, bytes.data, bytes.length) == (ssize_t)bytes.length);
        close(fd);
        px_buf_fini(&bytes);
}

static void image_inode(const struct trace_inode *inode, const char *path, enum trace_cut cut,
                        struct px_rand *rand)
{
        struct names names;
        size_t prefix = inode->pending_count;

        if (!inode->is_dir) {
                image_file(inode, path, cut, rand);
                return;
        }
        if (cut == TRACE_NONE)
                prefix = 0;
        else if (cut != TRACE_ALL)
                prefix = (size_t)px_rand_below(rand, inode->pending_count + 1);
        names = names_copy(&inode->lasting);
        for (size_t i = 0; i < prefix; i++)
                names_change(&names, &trace.events[inode->pending[i]]);
        PX_ASSERT(mkdir(path, 0700) == 0);
        for (size_t i = 0; i < names.count; i++) {
                char below[400];

                snprintf(below, sizeof(below), "%s/%s", path, names.entries[i].name);
                image_inode(names.entries[i].inode, below, cut, rand);
        }
        px_free(names.entries);
}

void trace_image(const char *into, enum trace_cut cut, struct px_rand *rand,
                 struct trace_notes *ret_notes)
{
        image_inode(trace.root_inode, into, cut, rand);
        *ret_notes = trace.notes;
}
