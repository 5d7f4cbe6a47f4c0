/* SPDX-License-Identifier: Apache-2.0 */
/* feed_inside.h - shared by feed*.c only. Layer: L3 (broker/store). */
#ifndef PX_FEED_INSIDE_H
#define PX_FEED_INSIDE_H

#include "feed.h"

#define FEED_ALIGN 8
#define FEED_BODY_BYTES_MAX (1u << 30)

uint32_t feed_put_header(uint8_t ret_bytes[FEED_HEADER_BYTES], const struct feed_file *file);
/* Append a record; returns its crc. */
uint32_t feed_put_record(struct px_buf *out, uint64_t index, uint32_t events_count,
                         struct px_slice events, uint32_t previous_crc);
/* The header of a record, unchecked but for its magic; the body need not be there. */
bool feed_peek_record(struct px_slice bytes, size_t offset, struct feed_record *ret_record);

int feed_open_file(const struct feed *feed, uint64_t number, int flags, int *ret_fd);
bool feed_number_before(struct px_event_number a, struct px_event_number b);
/* Remember where a record stands, if the last mark is far enough behind. */
void feed_mark_record(struct feed_file *file, uint64_t index, uint64_t offset);
/* File `at` of the feed is damaged at `offset`: say so; keep nothing up to its end. Locked. */
void feed_give_up(struct feed *feed, size_t at, uint64_t offset);

#endif
