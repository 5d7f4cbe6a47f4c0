/* SPDX-License-Identifier: Apache-2.0 */
/* journal.h - the commit point: records appended to segments, flushed, replayed at a start.
 * Layer: L3 (broker/store). One thread at a time. Format: journal_format.h. */
#ifndef PX_JOURNAL_H
#define PX_JOURNAL_H

#include "journal_format.h"
#include "px_base.h"

#define JOURNAL_SEGMENTS_MAX 4096
#define JOURNAL_REFUSAL_BYTES 512

struct journal_segment {
        uint64_t number;
        struct journal_chain previous; /* the record before its first */
        uint64_t index_last; /* of its last record, or of the one before it */
        uint64_t bytes;
};

struct journal {
        int dir_fd; /* borrowed */
        uint64_t segment_bytes;
        bool scarce; /* the disk is full: new segments are as small as may be */
        uint64_t epoch;
        struct journal_chain chain; /* last record written */
        uint64_t flushed;           /* last index known to be flushed */
        struct journal_segment *segments; /* oldest first; the last one is being written */
        size_t segments_count;
        int fd;          /* of the last segment; -1 = none */
        uint64_t offset; /* where its next record goes */
        uint64_t filled; /* its blocks are written up to here, by records or zeros */
};

/* ---- at a start -------------------------------------------------------------------------------------- */

/* Where the store stands, which the chain is compared with. */
struct journal_base {
        struct journal_chain applied; /* index 0 = nothing was ever applied */
        bool started;                 /* the store has seen a journal: one without segments is lost */
};

/* Read the whole chain and judge its end; changes nothing. The journal is then ready for
 * journal_each() and journal_begin().
 * Refuses: PX_E_DAMAGED and PX_E_VERSION, with words in ret_refusal. Faults: -errno. */
int journal_open(struct journal *journal, int dir_fd, const struct journal_base *base,
                 char ret_refusal[JOURNAL_REFUSAL_BYTES]);

/* Visit the records of the chain with an index above `after`, oldest first. A result of visit that is
 * not 0 ends the walk and is returned. */
int journal_each(struct journal *journal, uint64_t after,
                 int (*visit)(void *context, const struct journal_record *record), void *context);

/* Flush what was found, then begin a new segment under a new epoch and flush that. */
int journal_begin(struct journal *journal, uint64_t epoch, uint64_t segment_bytes);

/* ---- afterwards ------------------------------------------------------------------------------------------ */

/* Have room for `bytes` of records: begin a new segment if need be. Segments that hold nothing above
 * `passed` may be reused for it. After -ENOSPC it may be called again. */
int journal_make_room(struct journal *journal, size_t bytes, uint64_t passed);
/* Seal, write and flush the records of one group (built by journal_put_record()), for which there is
 * room. On a fault nothing more may be written. */
int journal_write(struct journal *journal, struct px_buf *records);
/* Remove all segments but the last that hold nothing above `passed`. */
int journal_trim(struct journal *journal, uint64_t passed);
void journal_close(struct journal *journal);

#endif
