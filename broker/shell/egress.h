/* SPDX-License-Identifier: Apache-2.0 */
/* egress.h - the thread that owns the sockets `data` and `events`: node logs in, log segments, queries,
 * streams out, publications. Layer: L4 (broker/shell). DESIGN 1, 4.
 *
 * The core thread posts what it learnt; nothing else is shared but the log's views (px_read.h) and the
 * table of keys. Postings are carried out in order; egress_post() never blocks. */
#ifndef PX_EGRESS_H
#define PX_EGRESS_H

#include "blobs.h"
#include "core.h"
#include "keys.h"
#include "px_base.h"
#include "px_read.h"

#define EGRESS_PROGRESS_MS 10000

struct egress; /* opaque; owned by the core thread */

struct egress_options {
        void *zmq_context;
        struct px_log *log;
        struct keys *keys;            /* principal of a message, role, name; thread-safe snapshots */
        struct blobs *blobs;          /* outlives the egress, which alone uploads, reads and sweeps */
        const char *logs_dir;         /* existing; segments live here */
        const char *const *data_endpoints;   /* to bind, NULL-terminated: ipc:// and tcp:// */
        const char *const *events_endpoints;
        /* Set CURVE server, ZAP domain, filters and limits before `endpoint` is bound. A socket takes
         * ipc or tcp endpoints, not both: one ROUTER (data) and one PUB (events) for each kind. */
        void (*secure)(void *context, void *socket, const char *endpoint);
        void *secure_context;
        uint64_t epoch;
        uint64_t log_keep_ms;         /* retention of segments; 0 = 7 days */
        uint64_t log_keep_bytes;      /* 0 = 16 GiB */
        uint64_t segment_bytes;       /* 0 = 64 MiB */
};

/* Bind, recover the segments, start the thread.
 * Faults: -errno (EADDRINUSE: *ret_text names the endpoint). */
int egress_start(const struct egress_options *options, struct egress **ret_egress, char *ret_text,
                 size_t text_room);
/* Ports that were bound (tcp), 0 when none. */
uint32_t egress_data_port(const struct egress *egress);
uint32_t egress_events_port(const struct egress *egress);

/* From the core's effects, after their batch was durable. Everything is copied. */
void egress_log_open(struct egress *egress, const struct core_log_open *open);
void egress_log_close(struct egress *egress, const struct core_log_close *close);
void egress_job_end(struct egress *egress, const struct core_job_end *end);
void egress_job_purged(struct egress *egress, struct px_job_id job);
/* Encoded events of a durable batch (format of core.h), for PUB and to wake event streams. */
void egress_events(struct egress *egress, uint64_t index, struct px_slice events, uint32_t count);
/* Take what should be stored of the progress of running attempts: a whole PROGRESS_KEEP frame for the
 * core, at most one of EGRESS_PROGRESS_MS old. false = nothing now. */
bool egress_progress(struct egress *egress, struct px_buf *ret_frame);
/* < 0 when the thread met a fault that forbids going on (log segments can't be written). */
int egress_fault(const struct egress *egress);
/* Answer what is due, sync the segments, stop the thread. NULL is accepted. */
void egress_stop(struct egress *egress);

#endif
