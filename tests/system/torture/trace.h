/* SPDX-License-Identifier: Apache-2.0 */
/* trace.h - a recording of everything a program writes below one directory, and images of what a power
 * cut would have left of it at any point.
 *
 * The model of the disk: a write lasts when its file was flushed after it; until then each of its
 * 512-byte sectors may last or not. The size of a file likewise. Making, renaming and removing a
 * name lasts when its directory was flushed; until then a prefix of the directory's changes lasts. */
#ifndef TRACE_H
#define TRACE_H

#include <sys/types.h>
#include <sys/uio.h>

#include "px_base.h"

struct trace_inode;

/* Begin to record below `root`, which holds what `trace_begin` finds there, all of it lasting. */
void trace_begin(const char *root);
void trace_stop(void);
bool trace_is_on(void);

/* Called by the wrapped functions. A write is noted before it is done, a flush after. */
void trace_opened(int fd, int dir_fd, const char *path, int flags, bool existed);
void trace_closed(int fd);
void trace_write(int fd, const struct iovec *parts, int count, off_t offset);
void trace_written(int fd); /* lasting at once when the file is open with O_DSYNC */
void trace_resize(int fd, off_t bytes, bool grow_only);
void trace_sync(int fd);
void trace_make_dir(int dir_fd, const char *path);
void trace_rename(int dir_fd, const char *from, const char *to);
void trace_unlink(int dir_fd, const char *path);

/* A note of the program's own: up to `acknowledged` was promised, up to `submitted` handed over. */
void trace_note(uint64_t acknowledged, uint64_t submitted, uint64_t epoch);

/* ---- afterwards --------------------------------------------------------------------------------------- */

struct trace_notes {
        uint64_t acknowledged;
        uint64_t submitted;
        uint64_t epoch;
};

enum trace_cut {
        TRACE_NONE,   /* of what was not flushed, nothing lasts */
        TRACE_ALL,    /* all of it */
        TRACE_SUBSET, /* whole writes, chosen at random */
        TRACE_TORN,   /* sectors, chosen at random */
        TRACE_CUTS,
};

size_t trace_length(void);
/* Go on to the state after `events` recorded events; never back. */
void trace_advance(size_t events);
/* Write the image of a cut here into the directory `into` (made; must not exist). */
void trace_image(const char *into, enum trace_cut cut, struct px_rand *rand,
                 struct trace_notes *ret_notes);

#endif
