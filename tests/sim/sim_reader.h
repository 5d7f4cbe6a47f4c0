/* SPDX-License-Identifier: Apache-2.0 */
/* sim_reader.h - what libplexus makes of a stream of events (client/lib/events.c), without its thread:
 * what it gives its caller, when it asks again, and from where. */
#ifndef SIM_READER_H
#define SIM_READER_H

#include "px_codec.h"

struct reader; /* opaque */

typedef void reader_seen(void *context, uint64_t index, uint32_t position);

struct reader *reader_new(reader_seen *seen, void *context); /* Owns: free with reader_free() */
void reader_free(struct reader *reader);
/* Fill in from where the next opening goes on. */
void reader_open(const struct reader *reader, struct px_m_stream_open *open);
/* true: it found a gap and wants to open anew. */
bool reader_take(struct reader *reader, const struct px_m_stream_events *events);

#endif
