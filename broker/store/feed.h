/* SPDX-License-Identifier: Apache-2.0 */
/* feed.h - the event feed: every committed event in append-only files, dropped whole by retention.
 * Layer: L3 (broker/store). Any thread. This file owns the format of feed/.
 *
 * Files feed/NUMBER.feed of at most about 64 MB, NUMBER rising by one. Integers are big endian.
 *   header, 64 bytes
 *   offset 0  8 bytes "PLXFEED1"
 *          8  u32  format version (1)
 *         12  u32  zero
 *         16  u64  number of the file, as in its name
 *         24  u64  index of the last event before this file   } {0, 0} = none
 *         32  u32  its position                               }
 *         36  u32  zero
 *         40  u64  events in all files before
 *         48  12 bytes zero
 *         60  u32  crc32c of bytes 0..59
 *   records, one for each batch that has events, each beginning at a multiple of 8
 *   offset 0  u32  magic "PXFE"
 *          4  u32  length of the body
 *          8  u64  index of the batch
 *         16  u32  number of events
 *         20  u32  crc of the record before; of the header for the first
 *         24  u32  zero
 *         28  u32  crc32c of bytes 0..27 and the body
 *         32  body: each event as u32 length and bytes; then zeros up to a multiple of 8
 *
 * The journal holds everything that is not flushed here, so a torn end is cut and written again.
 * What is damaged otherwise is named on standard error and no longer kept: a reader is told to
 * take a new snapshot, never given a hole. */
#ifndef PX_FEED_H
#define PX_FEED_H

#include <pthread.h>

#include "journal_format.h"
#include "px_base.h"
#include "px_read.h"

#define FEED_DIR "feed"
#define FEED_SUFFIX ".feed"
#define FEED_VERSION 1
#define FEED_HEADER_BYTES 64
#define FEED_RECORD_HEADER_BYTES 32
#define FEED_FILE_BYTES (64u << 20)
#define FEED_FILES_MAX 65536

struct feed_limits {
        uint64_t bytes;
        uint64_t events;
        uint64_t age_ms;
        uint64_t file_bytes; /* a new file is begun beyond; 0 = FEED_FILE_BYTES */
};

struct feed_mark {
        uint64_t index;
        uint64_t offset;
};

struct feed_file {
        uint64_t number;
        struct px_event_number previous; /* last event before it */
        uint64_t events_before;
        uint64_t bytes;         /* of sound records and header */
        struct feed_mark *marks; /* sparse index by batch; none until written or first read */
        size_t marks_count;
};

struct feed {
        pthread_mutex_t mutex;
        int dir_fd;
        int fd; /* of the last file; -1 = none yet */
        struct feed_limits limits;
        struct feed_file *files; /* oldest first */
        size_t files_count;
        struct px_event_number last;
        struct px_event_number floor; /* events up to here are not kept */
        uint64_t events;              /* in all files there ever were */
        uint32_t crc;                 /* of the last record */
        bool dirty;                   /* written, not flushed */
        bool begin_new;               /* the last file is damaged: append to another one */
        struct px_buf out;
};

/* Find the files, check the last one. dir_fd is borrowed. `known`: an event that was in the feed;
 * `kept_from`: the journal has every batch with an index above it. If the known event is missing and
 * the journal does not reach back, nothing older is kept. Faults: -errno. */
int feed_open(struct feed *feed, int dir_fd, const struct feed_limits *limits,
              struct px_event_number known, uint64_t kept_from);
void feed_close(struct feed *feed);

/* Append the events of journal records, in order; what is older than the last event is skipped.
 * The caller holds the lock. */
void feed_lock(struct feed *feed);
void feed_unlock(struct feed *feed);
int feed_take(struct feed *feed, struct px_slice records);
/* The same for one record at a start; feed_write_out() writes what was gathered. */
int feed_take_record(struct feed *feed, const struct journal_record *record);
int feed_write_out(struct feed *feed);

int feed_flush(struct feed *feed);  /* what was taken is durable */
int feed_retain(struct feed *feed); /* drop whole files beyond the limits */
struct px_event_number feed_last(struct feed *feed);
int feed_read(struct feed *feed, struct px_event_number after, uint32_t count_max,
              bool (*visit)(void *context, struct px_event_number number, struct px_slice event),
              void *context);

/* A record of a feed file; false when none that is sound stands there. */
struct feed_record {
        uint64_t index;
        uint32_t events_count;
        uint32_t previous_crc;
        uint32_t crc;
        struct px_slice events;
        size_t bytes;
};
bool feed_get_record(struct px_slice bytes, size_t offset, struct feed_record *ret_record);
bool feed_get_header(struct px_slice bytes, struct feed_file *ret_file, uint32_t *ret_crc);

#endif
