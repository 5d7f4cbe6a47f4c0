/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - the broker's command line. Layer: L4 (broker/shell). */
#ifndef PX_BROKER_OPTIONS_H
#define PX_BROKER_OPTIONS_H

#include <stdio.h>

#include "px_base.h"

struct broker_options {
        const char *dir;
        const char *run;    /* NULL = DIR/run */
        const char *listen; /* NULL = local sockets only */
        uint32_t port_cmd;  /* 0 = any free one */
        uint32_t port_node;
        uint32_t port_data;
        uint32_t port_events;
        uint64_t heartbeat_ms;
        uint64_t lease_ms;
        uint64_t keep_done_ms;
        uint64_t keep_done_count;
        uint64_t keep_log_ms;
        uint64_t keep_log_bytes;
        uint64_t keep_event_ms;
        uint64_t map_bytes;
        uint64_t memory_bytes; /* at most so much of its own; 0 = no limit */
        int64_t ready_fd;   /* -1 = none */
        const char *record; /* NULL = inputs are not kept */
        bool any_filesystem;
};

/* Read argv. Returns -1 to go on, else the exit status: --help and --version print to `out`,
 * mistakes are told on `errors`. */
int options_read(int argc, char **argv, FILE *out, FILE *errors,
                 struct broker_options *ret_options);

#endif
