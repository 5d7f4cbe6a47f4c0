/* SPDX-License-Identifier: Apache-2.0 */
/* journal_replay.c - reading the journal at a start: the chain from its first record to its last, and
 * whether its end is a normal one. Layer: L3 (broker/store). Format: journal_format.h.
 *
 * The end of the chain inside the last segment is normal unless some later record or seal says that
 * more had been flushed. In an earlier segment it is normal exactly when the next segment's header continues
 * from there. A last segment without a valid header was never begun, unless it holds records that
 * are newer than the chain: the header is flushed before any record is written. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "disk.h"
#include "journal.h"
#include "journal_window.h"
#include "px_schema.h"

struct replay {
        struct journal *journal;
        const struct journal_base *base;
        char *refusal;
        struct journal_window window; /* on the segment at hand */
        uint64_t end;          /* where the chain ended in it */
        uint64_t number;       /* of the segment at hand */
        bool chain_known;      /* false until the first header was read */
        bool applied_seen;     /* the record that the store applied last stands in the chain */
};

__attribute__((format(printf, 3, 4))) static int replay_refuse(struct replay *replay, int code,
                                                               const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(replay->refusal, JOURNAL_REFUSAL_BYTES, format, arguments);
        va_end(arguments);
        return code;
}

static int replay_load(struct replay *replay, uint64_t number)
{
        replay->number = number;
        return journal_window_open(&replay->window, replay->journal->dir_fd, number);
}

/* Is there a record or seal at or after `offset` that proves a loss: it knows of flushed records behind the
 * chain's end, or (header_lost) it is newer than the chain at all? */
static bool replay_finds_proof(struct replay *replay, uint64_t offset, bool header_lost,
                               uint64_t *ret_index)
{
        struct journal_window *window = &replay->window;
        uint64_t known = replay->journal->chain.index;
        struct journal_record record;

        while ((offset = journal_window_skip(window, offset)) < window->file_bytes) {
                if (!journal_window_record(window, offset, &record)) {
                        if (journal_get_seal(journal_window_at(window, offset, JOURNAL_SEAL_BYTES),
                                             ret_index) &&
                            *ret_index > known) {
                                ++*ret_index; /* the batch that would have come */
                                return true;
                        }
                        offset += JOURNAL_ALIGN;
                        continue;
                }
                if (record.flushed > known || (header_lost && record.index > known)) {
                        *ret_index = record.index;
                        return true;
                }
                offset += record.bytes;
        }
        return false;
}

static int replay_record(struct replay *replay, const struct journal_record *record)
{
        const struct journal_chain *applied = &replay->base->applied;

        if (record->index == applied->index) {
                replay->applied_seen = true;
                if (record->crc != applied->crc)
                        return replay_refuse(
                                replay, PX_E_DAMAGED,
                                "journal/%020" PRIu64 JOURNAL_SUFFIX
                                ": batch %" PRIu64 " is not the one that db/data.mdb applied; "
                                "journal and db come from different stores",
                                replay->number, record->index);
        }
        replay->journal->chain = (struct journal_chain){record->index, record->crc};
        return PX_OK;
}

static int replay_records(struct replay *replay)
{
        struct journal_chain *chain = &replay->journal->chain;
        struct journal_record record;
        uint64_t offset = JOURNAL_HEADER_BYTES;
        int result = 0;

        while (journal_window_record(&replay->window, offset, &record)) {
                if (record.previous_crc != chain->crc || record.index <= chain->index)
                        break;
                result = replay_record(replay, &record);
                if (result != 0)
                        break;
                offset += record.bytes;
        }
        replay->end = offset;
        return result != 0 ? result : replay->window.fault;
}

static int replay_header_lost(struct replay *replay, bool last)
{
        uint64_t index = 0;

        if (last && !replay_finds_proof(replay, 0, true, &index))
                return PX_OK;
        return replay_refuse(replay, PX_E_DAMAGED,
                             "journal/%020" PRIu64 JOURNAL_SUFFIX
                             ": the header at offset 0 is damaged; restore it from a backup",
                             replay->number);
}

/* The segment's header; *ret_begun = false when the segment was never begun. */
static int replay_header(struct replay *replay, bool last, bool *ret_begun)
{
        struct journal *journal = replay->journal;
        struct journal_header header;
        struct px_slice bytes = journal_window_at(&replay->window, 0, JOURNAL_HEADER_BYTES);
        enum journal_read got = journal_get_header(bytes, &header);

        *ret_begun = false;
        if (replay->window.fault < 0)
                return replay->window.fault;
        if (got == JOURNAL_NEWER)
                return replay_refuse(replay, PX_E_VERSION,
                                     "journal/%020" PRIu64 JOURNAL_SUFFIX
                                     " was written by a newer release of Plexus",
                                     replay->number);
        if (got != JOURNAL_GOOD || header.number != replay->number)
                return replay_header_lost(replay, last);
        if (header.file_bytes > replay->window.file_bytes)
                return replay_refuse(replay, PX_E_DAMAGED,
                                     "journal/%020" PRIu64 JOURNAL_SUFFIX
                                     ": cut short at offset %" PRIu64 ", it had %" PRIu64
                                     " bytes; restore it from a backup",
                                     replay->number, replay->window.file_bytes, header.file_bytes);
        if (!replay->chain_known) {
                journal->chain = header.previous;
                replay->applied_seen = header.previous.index == replay->base->applied.index;
                replay->chain_known = true;
        } else if (header.previous.index != journal->chain.index ||
                   header.previous.crc != journal->chain.crc) {
                return replay_refuse(replay, PX_E_DAMAGED,
                                     "journal/%020" PRIu64 JOURNAL_SUFFIX
                                     ": acknowledged data is damaged at offset %" PRIu64 ": batch %" PRIu64
                                     " to %" PRIu64 " are missing; restore it from a backup",
                                     replay->number - 1, replay->end, journal->chain.index + 1,
                                     header.previous.index);
        }
        journal->epoch = PX_MAX(journal->epoch, header.epoch);
        *ret_begun = true;
        return PX_OK;
}

static int replay_segment(struct replay *replay, uint64_t number, bool last)
{
        struct journal *journal = replay->journal;
        struct journal_segment *segment;
        struct journal_chain previous;
        uint64_t index = 0;
        bool begun;
        int result = replay_load(replay, number);

        if (result == 0)
                result = replay_header(replay, last, &begun);
        if (result != 0)
                return result;
        previous = journal->chain;
        if (!begun)
                return PX_OK; /* the next segment takes its place */
        result = replay_records(replay);
        if (result != 0)
                return result;
        if (last && replay_finds_proof(replay, replay->end, false, &index))
                return replay_refuse(replay, PX_E_DAMAGED,
                                     "journal/%020" PRIu64 JOURNAL_SUFFIX
                                     ": acknowledged data is damaged at offset %" PRIu64 ": batch %" PRIu64
                                     " is missing before batch %" PRIu64
                                     "; restore it from a backup",
                                     number, replay->end, journal->chain.index + 1, index);
        segment = &journal->segments[journal->segments_count++];
        segment->number = number;
        segment->previous = previous;
        segment->index_last = journal->chain.index;
        segment->bytes = replay->window.file_bytes;
        return PX_OK;
}

/* The chain was read; does it reach what the store has applied? */
static int replay_check_end(struct replay *replay)
{
        const struct journal_base *base = replay->base;
        uint64_t index = replay->journal->chain.index;

        if (replay->journal->segments_count == 0 && !base->started)
                return PX_OK;
        if (replay->journal->segments_count == 0)
                return replay_refuse(replay, PX_E_DAMAGED,
                                     "journal/ holds no segment, though db/data.mdb has applied "
                                     "batch %" PRIu64 "; restore it from a backup",
                                     base->applied.index);
        if (base->applied.index > index)
                return replay_refuse(replay, PX_E_DAMAGED,
                                     "journal/%020" PRIu64 JOURNAL_SUFFIX
                                     ": acknowledged data is damaged at offset %" PRIu64 ": it ends with "
                                     "batch %" PRIu64 ", but db/data.mdb has applied batch %" PRIu64
                                     "; restore it from a backup",
                                     replay->number, replay->end, index, base->applied.index);
        if (!replay->applied_seen)
                return replay_refuse(replay, PX_E_DAMAGED,
                                     "journal/: it begins after batch %" PRIu64
                                     ", which db/data.mdb has applied last; restore it from a backup",
                                     base->applied.index);
        return PX_OK;
}

static int replay_all(struct replay *replay, const uint64_t *numbers, size_t count)
{
        struct journal *journal = replay->journal;
        int result = PX_OK;

        for (size_t i = 0; i < count && result == PX_OK; i++) {
                if (i > 0 && numbers[i] != numbers[i - 1] + 1)
                        return replay_refuse(replay, PX_E_DAMAGED,
                                             "journal/%020" PRIu64 JOURNAL_SUFFIX
                                             " is missing; restore it from a backup",
                                             numbers[i - 1] + 1);
                result = replay_segment(replay, numbers[i], i + 1 == count);
        }
        if (result == PX_OK)
                result = replay_check_end(replay);
        journal->flushed = journal->chain.index;
        return result;
}

int journal_open(struct journal *journal, int dir_fd, const struct journal_base *base,
                 char ret_refusal[JOURNAL_REFUSAL_BYTES])
{
        struct replay replay = {.journal = journal, .base = base, .refusal = ret_refusal};
        uint64_t *numbers = NULL;
        size_t count = 0;
        int result;

        journal_window_init(&replay.window);
        *journal = (struct journal){.dir_fd = dir_fd, .fd = -1};
        result = disk_list_numbered(dir_fd, JOURNAL_SUFFIX, JOURNAL_SEGMENTS_MAX, &numbers, &count);
        if (result < 0)
                return result;
        journal->segments = px_alloc((count + 1) * sizeof(*journal->segments));
        result = replay_all(&replay, numbers, count);
        journal_window_fini(&replay.window);
        px_free(numbers);
        if (result != PX_OK)
                journal_close(journal);
        return result;
}

/* The records of one segment that was judged good. */
static int each_in_segment(struct journal_window *window, const struct journal_segment *segment,
                           uint64_t after,
                           int (*visit)(void *context, const struct journal_record *record),
                           void *context)
{
        struct journal_chain chain = segment->previous;
        struct journal_record record;
        uint64_t offset = JOURNAL_HEADER_BYTES;
        int result = 0;

        while (result == 0 && chain.index < segment->index_last) {
                if (!journal_window_record(window, offset, &record) ||
                    record.previous_crc != chain.crc)
                        return -EIO; /* it was read a moment ago */
                if (record.index > after)
                        result = visit(context, &record);
                chain = (struct journal_chain){record.index, record.crc};
                offset += record.bytes;
        }
        return result;
}

int journal_each(struct journal *journal, uint64_t after,
                 int (*visit)(void *context, const struct journal_record *record), void *context)
{
        struct replay replay = {.journal = journal};
        int result = 0;

        journal_window_init(&replay.window);
        for (size_t i = 0; i < journal->segments_count && result == 0; i++) {
                const struct journal_segment *segment = &journal->segments[i];

                if (segment->index_last <= after)
                        continue;
                result = replay_load(&replay, segment->number);
                if (result == 0)
                        result = each_in_segment(&replay.window, segment, after, visit,
                                                 context);
        }
        journal_window_fini(&replay.window);
        return result;
}
