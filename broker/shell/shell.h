/* SPDX-License-Identifier: Apache-2.0 */
/* shell.h - the running broker: what the core thread owns, and how its files call each other.
 * Layer: L4 (broker/shell), private to this folder. The core thread is the main thread. */
#ifndef PX_SHELL_H
#define PX_SHELL_H

#include "assigns.h"
#include "batch.h"
#include "clock.h"
#include "core.h"
#include "egress.h"
#include "exit.h"
#include "keys.h"
#include "options.h"
#include "peers.h"
#include "private.h"
#include "px_log.h"
#include "record.h"
#include "retention.h"
#include "socket.h"
#include "strikes.h"
#include "zap.h"

/* The shell's sockets; the number is part of a peer's identity. Node sockets come first: heartbeats
 * and results are never behind a burst of submits. */
enum shell_socket {
        SHELL_NODE_LOCAL = 0,
        SHELL_NODE_TCP = 1,
        SHELL_CMD_LOCAL = 2,
        SHELL_CMD_TCP = 3,
        SHELL_SOCKETS = 4,
};

/* A peer that said nothing for so long is forgotten; its next word is answered AGAIN. */
#define SHELL_SILENCE_MS 60000
#define SHELL_LAST_COMMANDS 64

/* An output whose batch is not durable yet, or a spare one. */
struct shell_output {
        struct core_output output;
        uint64_t wait_index; /* released when this batch is durable */
        struct px_link link;
};

/* What a command was, for the words of a failed assertion. */
struct shell_trace {
        uint16_t type;
        uint8_t origin;
        uint32_t principal;
        uint64_t peer;
        uint64_t correlation;
};

struct shell {
        const struct broker_options *options;
        struct socket_identity identity;
        void *zmq_context;
        void *sockets[SHELL_SOCKETS]; /* NULL = not listening */
        uint32_t ports[SHELL_SOCKETS];
        int fds[SHELL_SOCKETS];     /* of sockets, for poll() */
        bool stale[SHELL_SOCKETS];  /* its descriptor may be silent though messages wait */
        bool filled[SHELL_SOCKETS]; /* messages wait, or may: the next round takes them */
        int signal_fd;
        int run_lock_fd;

        struct px_log *log;
        struct px_log_start start;
        struct core *core;
        struct core_clock clock;
        struct keys *keys;
        bool few_files_left; /* and said so */
        int64_t files_due_ms; /* open descriptors are counted then */
        int64_t keys_due_ms; /* steady time at which expiry is looked at */
        struct zap *zap;
        struct blobs *blobs;
        struct egress *egress;
        struct peers *peers;
        struct strikes strikes;

        struct batch *batch;     /* gathers */
        struct assigns *assigns; /* ASSIGN messages under construction */
        struct px_link waiting;  /* shell_output, oldest first */
        struct px_link spare;
        uint64_t index;     /* of the last batch handed to the log */
        struct px_buf gone; /* u64 handles of peers that the core must be told of */
        bool storage_full;  /* as last told to the core */
        struct retention retention;
        struct record *record; /* NULL = not recording */
        bool trace;            /* print each message */

        bool stopping;
        struct shell_trace last[SHELL_LAST_COMMANDS];
        uint64_t last_count;
};

/* ---- shell.c: start and stop
 * --------------------------------------------------------------------- */

/* Run a broker until SIGTERM or a fault. Returns its exit status; says why on standard error. */
int shell_run(const struct broker_options *options);

/* ---- load.c
 * ------------------------------------------------------------------------------------------ */

/* Make the core and fill it from the log's rows; what is damaged is set aside by name.
 * Faults: the log's. */
int load_core(struct shell *shell);
/* Read the broker's key pair, made at the first start. Faults: -errno, ret_text says why. */
int load_identity(struct shell *shell, char *ret_text);
/* The first batch of a new directory: cluster id, the first administrator and its token. Returns
 * when it is durable. Faults: -errno, ret_text says why. */
int load_bootstrap(struct shell *shell, char *ret_text);
/* Copy the core's principals into the table of keys. */
void load_keys(struct shell *shell);

/* ---- loop.c
 * ------------------------------------------------------------------------------------------- */

/* Serve until told to stop. Returns an exit status. */
int loop_run(struct shell *shell);
/* Step what was gathered and submit it to the log. */
void loop_step(struct shell *shell);
/* Step what is left, wait until all is durable and release it. Returns an exit status. */
int loop_flush(struct shell *shell);
/* Tell every peer that we stop, once all is durable. */
void loop_say_goodbye(struct shell *shell);

/* ---- inbox.c
 * ------------------------------------------------------------------------------------------- */

/* Take waiting messages of the sockets that are filled into the batch, within bounds of number and time. */
void inbox_drain(struct shell *shell);
/* Forget a peer and see to it that the core is told. */
void inbox_lose_peer(struct shell *shell, uint64_t handle);
/* Count a malformed message of this principal on this socket. */
void inbox_strike(struct shell *shell, struct px_principal_id principal, size_t socket);

/* ---- release.c
 * ------------------------------------------------------------------------------------------ */

/* An empty output to step into; taken back by release_queue(). */
struct shell_output *release_spare(struct shell *shell);
void release_queue(struct shell *shell, struct shell_output *output);
/* Carry out the effects of every output whose batch is durable. */
void release_durable(struct shell *shell, uint64_t durable);
void release_fini(struct shell *shell);
/* Send an ASSIGN message; the shape that assigns.h calls. context is the shell. */
void release_assign(void *context, uint64_t peer, struct px_slice frame);
/* Print a frame when PLEXUS_TRACE asks for it. */
void release_trace(const struct shell *shell, const char *direction, uint64_t peer,
                   struct px_slice frame);
/* Send a frame to a peer; one that doesn't take it is lost. */
void release_send(struct shell *shell, uint64_t peer, struct px_slice frame,
                  struct px_slice payload);

#endif
