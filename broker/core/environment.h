/* SPDX-License-Identifier: Apache-2.0 */
/* environment.h - equal environments of one principal's jobs are stored once. Layer: L2 (broker/core); the
 * shell joins what is stored when a node or client is told. Source: DESIGN 4 (Rows).
 *
 * The stored form of a specification (rows of `spec`) is its encoding, or, when its environment is
 * shared:
 *      u8 0 (no encoding begins so) · u32 owner, big endian · 16 bytes hash of the environment ·
 *      the encoding without its field env
 * (owner, hash) is the key of the environment's row, and with a chunk number of the rows that hold its
 * bytes. The row counts the jobs, active and ended, that name it; the last one takes it along. */
#ifndef PX_ENVIRONMENT_H
#define PX_ENVIRONMENT_H

#include "rows.h"

#define ENVIRONMENT_HASH_BYTES 16
#define ENVIRONMENT_KEY_BYTES (4 + ENVIRONMENT_HASH_BYTES)
#define ENVIRONMENT_HEAD_BYTES (1 + ENVIRONMENT_KEY_BYTES)
#define ENVIRONMENT_BYTES_MIN 128 /* smaller ones aren't worth a row */

/* The encoded field env within an encoded specification. false: malformed, or too small to share. */
bool environment_cut(struct px_slice spec, struct px_slice *ret_environment);
struct row_key environment_key(uint32_t owner, struct px_slice environment);
/* Append the stored form. */
void environment_store(const struct row_key *key, struct px_slice spec,
                       struct px_slice environment, struct px_buf *ret_stored);
/* The key that a stored form (or its first row) names; false: it shares nothing. */
bool environment_named(struct px_slice stored, struct row_key *ret_key);
/* Append the specification's encoding: the stored form with its environment put back.
 * false: it isn't a stored form that shares one. */
bool environment_join(struct px_slice stored, struct px_slice environment, struct px_buf *ret_spec);

#endif
