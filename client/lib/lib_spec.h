/* SPDX-License-Identifier: Apache-2.0 */
/* lib_spec.h - from the caller's plexus_job_spec to the bytes of one submit_job, every limit checked.
 * Layer: L4 (client/lib). */
#ifndef PX_LIB_SPEC_H
#define PX_LIB_SPEC_H

#include "plexus.h"
#include "px_base.h"
#include "px_codec.h"

#define SPEC_INPUT_BYTES 65536

/* What goes through the broker's store of files before the job is submitted. */
struct spec_blob {
        bool used;
        uint8_t hash[32]; /* SHA-256 */
};

/* Check and fill one submit_job; what it points to stands in the arena, `in` and `spec`. */
int spec_encode_job(const struct plexus_job_spec *in, struct px_arena *arena,
                    struct spec_blob *blob, struct px_buf *spec, struct px_submit_job *job);
/* What it needs beyond cpus and memory, and how long it may wait (need.c). */
int spec_add_needs(const struct plexus_job_spec *in, struct px_arena *arena,
                   struct px_submit_job *job);
/* Append one encoded submit_job; a standard input above SPEC_INPUT_BYTES is named in it, not held.
 * Refuses: PX_E_INVALID, PX_E_LIMIT; the detail names the limit and the value. Nothing is appended
 * then. */
int spec_encode(const struct plexus_job_spec *spec, struct px_buf *ret_job,
                struct spec_blob *ret_blob);

#endif
