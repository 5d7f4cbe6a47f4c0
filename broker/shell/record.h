/* SPDX-License-Identifier: Apache-2.0 */
/* record.h - the inputs of every batch in a file, so that a run can be repeated and compared.
 * Layer: L4 (broker/shell); the reading half is for tools/replay and tests.
 *
 * File DIR/inputs-EPOCH, integers big endian: the 8 bytes "PXINPUT1", then entries:
 *   u8 kind · u32 payload length · payload · u32 crc32c of all three
 * Payloads, in the order in which they appear:
 *   1 options  u64 epoch, heartbeat_ms, lease_ms, session_ms, assign_repeat_ms, jobs_max,
 *              prefetch_tasks
 *   2 row      u8 table · u16 key length · key · value       a row given to core_load_row()
 *   3 loaded   i64 wall_ms                                   core_load_end()
 *   4 ports    u64 node, data, events                        core_set_ports()
 *   5 batch    u64 epoch, index · i64 core_ms, wall_ms · u64 seed · u32 commands; each:
 *              u8 origin · u64 peer · u32 principal · u16 type, flags, count · u64 correlation ·
 *              u32 body length · body · u32 facts; each: u8 table · u16 key length · key ·
 *              u8 found · u32 value length · value
 *   6 output   u32 rows length · rows · u32 events length · events · u32 effects
 * A file that ends in the middle of an entry ends there: the broker was killed. */
#ifndef PX_RECORD_H
#define PX_RECORD_H

#include "core.h"

enum record_kind {
        RECORD_OPTIONS = 1,
        RECORD_ROW = 2,
        RECORD_LOADED = 3,
        RECORD_PORTS = 4,
        RECORD_BATCH = 5,
        RECORD_OUTPUT = 6,
};

/* ---- writing: each call accepts NULL and then does nothing
 * ------------------------------------------ */

struct record; /* opaque; owned by the core thread */

/* Faults: -errno; the file exists already or can't be made. */
int record_open(const char *dir, const struct core_options *options, struct record **ret_record);
void record_close(struct record *record);
void record_row(struct record *record, uint8_t table, struct px_slice key, struct px_slice value);
void record_loaded(struct record *record, int64_t wall_ms);
void record_ports(struct record *record, uint32_t node, uint32_t data, uint32_t events);
/* With the facts in place, before the step; after it. */
void record_batch(struct record *record, const struct core_batch *batch);
void record_output(struct record *record, const struct core_output *output);

/* ---- reading
 * ------------------------------------------------------------------------------------------- */

struct record_entry {
        enum record_kind kind;
        struct core_options options;
        uint8_t table;
        struct px_slice key;
        struct px_slice value;
        int64_t wall_ms;
        uint32_t ports[3]; /* node, data, events */
        struct core_batch batch;
        struct px_slice rows;
        struct px_slice events;
        uint32_t effects_count;
};

/* Read the entry at *offset of a whole file's bytes (0 to begin). Commands and facts live in the
 * arena, bytes in the file. true while one was read; at the end *offset == file.length, or the
 * entry there is cut short or damaged. */
bool record_next(struct px_slice file, size_t *offset, struct px_arena *arena,
                 struct record_entry *ret_entry);

#endif
