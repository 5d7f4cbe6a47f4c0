/* SPDX-License-Identifier: Apache-2.0 */
/* batch.h - the commands that the next step will take, with the frames and facts they borrow from.
 * Layer: L4 (broker/shell). */
#ifndef PX_BATCH_H
#define PX_BATCH_H

#include <zmq.h>

#include "blobs.h"
#include "core.h"
#include "px_read.h"

/* A batch is stepped at this size even while a flush is under way. */
#define BATCH_COMMANDS_MAX 4096
#define BATCH_BYTES_MAX ((size_t)4 << 20)
/* The shell's own commands find room beyond the messages. */
#define BATCH_OWN_MAX 256

/* Big: on the heap. */
struct batch {
        struct core_command commands[BATCH_COMMANDS_MAX + BATCH_OWN_MAX];
        zmq_msg_t messages[BATCH_COMMANDS_MAX]; /* whose bytes the commands borrow */
        size_t commands_count;
        size_t messages_count;
        size_t bytes;
        struct px_arena arena; /* facts, bodies of own commands */
        struct px_log *log; /* while facts are read, as blobs */
        struct blobs *blobs;
        struct px_buf wants;
        struct px_buf value;
};

struct batch *batch_new(void);
void batch_free(struct batch *batch);
/* No room for a further message. */
bool batch_full(const struct batch *batch);
bool batch_own_full(const struct batch *batch);

/* Add a peer's message. Owns: *body is moved out and left empty. */
void batch_add_message(struct batch *batch, uint8_t origin, uint64_t peer,
                       struct px_principal_id principal, struct px_wire_header header,
                       zmq_msg_t *body);
/* Add a command of the shell itself. Owns: frame (header and body) is copied. */
void batch_add_own(struct batch *batch, uint64_t peer, struct px_slice frame);
/* Add a command in the name of a peer. Owns: frame is copied. */
void batch_add_for(struct batch *batch, uint8_t origin, uint64_t peer,
                   struct px_principal_id principal, struct px_slice frame);
/* Read the rows that the commands need (core_wants) and hang them on as facts; what they ask of the
 * store of files is answered like a row. */
void batch_prefetch(struct batch *batch, const struct core *core, struct px_log *log,
                    struct blobs *blobs);
void batch_reset(struct batch *batch);

#endif
