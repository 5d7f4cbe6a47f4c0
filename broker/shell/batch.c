/* SPDX-License-Identifier: Apache-2.0 */
/* batch.c - gathers commands; their frames stay with the batch until it is reset.
 * Layer: L4 (broker/shell). */
#include "batch.h"

#include "px_codec.h"

#define PREFETCH_ROUNDS_MAX 4 /* core_wants() promises three */

struct batch *batch_new(void)
{
        return px_alloc(sizeof(struct batch));
}

void batch_free(struct batch *batch)
{
        if (batch == NULL)
                return;
        batch_reset(batch);
        px_arena_fini(&batch->arena);
        px_buf_fini(&batch->wants);
        px_buf_fini(&batch->value);
        px_free(batch);
}

bool batch_full(const struct batch *batch)
{
        return batch->messages_count >= BATCH_COMMANDS_MAX || batch->bytes >= BATCH_BYTES_MAX;
}

bool batch_own_full(const struct batch *batch)
{
        return batch->commands_count - batch->messages_count >= BATCH_OWN_MAX;
}

void batch_add_message(struct batch *batch, uint8_t origin, uint64_t peer,
                       struct px_principal_id principal, struct px_wire_header header,
                       zmq_msg_t *body)
{
        zmq_msg_t *kept = &batch->messages[batch->messages_count];
        struct px_slice frame;

        PX_ASSERT(batch->messages_count < BATCH_COMMANDS_MAX);
        zmq_msg_init(kept);
        PX_ASSERT(zmq_msg_move(kept, body) == 0);
        batch->messages_count++;
        /* Short frames live inside the zmq_msg_t: take their address only now. */
        frame = px_slice_of(zmq_msg_data(kept), zmq_msg_size(kept));
        PX_ASSERT(frame.length >= PX_WIRE_HEADER_BYTES);
        batch->bytes += frame.length;
        batch->commands[batch->commands_count++] = (struct core_command){
                .origin = origin,
                .peer = peer,
                .principal = principal,
                .header = header,
                .body = px_slice_of(frame.data + PX_WIRE_HEADER_BYTES,
                                    frame.length - PX_WIRE_HEADER_BYTES),
        };
}

void batch_add_for(struct batch *batch, uint8_t origin, uint64_t peer,
                   struct px_principal_id principal, struct px_slice frame)
{
        struct px_slice kept = px_arena_copy(&batch->arena, frame);
        struct core_command command = {.origin = origin, .peer = peer, .principal = principal};

        PX_ASSERT(!batch_own_full(batch));
        PX_ASSERT(px_wire_get_header(kept, &command.header, &command.body) == PX_WIRE_OK);
        batch->commands[batch->commands_count++] = command;
}

void batch_add_own(struct batch *batch, uint64_t peer, struct px_slice frame)
{
        batch_add_for(batch, CORE_FROM_SHELL, peer, (struct px_principal_id){0}, frame);
}

static size_t count_rows(struct px_slice rows)
{
        size_t offset = 0;
        size_t count = 0;
        struct row row;

        while (rows_next(rows, &offset, &row))
                count++;
        PX_ASSERT(offset == rows.length);
        return count;
}

/* Whether a file is here: a fact of this moment, kept true for a while by asking. */
static bool read_blob(struct batch *batch, struct px_slice key)
{
        struct blob_name name;
        struct px_blob_row row;

        if (key.length != sizeof(uint32_t) + BLOB_HASH_BYTES)
                return false;
        name.owner = px_get_be32(key.data);
        memcpy(name.hash, key.data + sizeof(uint32_t), BLOB_HASH_BYTES);
        if (!blobs_find(batch->blobs, &name, &row.bytes))
                return false;
        px_blob_row_encode(&row, &batch->value);
        return true;
}

/* A damaged row is set aside by the log and counts as absent. */
static struct core_fact read_fact(struct batch *batch, const struct row *row)
{
        struct core_fact fact = {.table = row->table};

        px_buf_reset(&batch->value);
        fact.key = px_arena_copy(&batch->arena, row->key);
        fact.found = row->table == PX_TABLE_BLOB
                             ? read_blob(batch, row->key)
                             : px_read_get(batch->log, row->table, row->key, &batch->value) == PX_OK;
        if (fact.found)
                fact.value = px_arena_copy(&batch->arena, px_buf_slice(&batch->value));
        return fact;
}

/* One round: read what the command wants beside the facts it has. false: nothing more. */
static bool prefetch_round(struct batch *batch, const struct core *core,
                           struct core_command *command)
{
        struct core_fact *facts;
        struct px_slice wants;
        struct row row;
        size_t offset = 0;
        size_t count, known = command->facts_count;

        px_buf_reset(&batch->wants);
        core_wants(core, command, &batch->wants);
        wants = px_buf_slice(&batch->wants);
        count = count_rows(wants);
        if (count == 0)
                return false;
        facts = px_arena_alloc(&batch->arena, (known + count) * sizeof(*facts));
        if (known > 0)
                memcpy(facts, command->facts, known * sizeof(*facts));
        for (size_t i = known; rows_next(wants, &offset, &row); i++)
                facts[i] = read_fact(batch, &row);
        command->facts = facts;
        command->facts_count = known + count;
        return true;
}

/* What a row says may want further rows: at most PREFETCH_ROUNDS_MAX rounds. */
static void prefetch_one(struct batch *batch, const struct core *core,
                         struct core_command *command)
{
        for (int round = 0; round < PREFETCH_ROUNDS_MAX; round++) {
                if (!prefetch_round(batch, core, command))
                        return;
        }
}

void batch_prefetch(struct batch *batch, const struct core *core, struct px_log *log,
                    struct blobs *blobs)
{
        batch->log = log;
        batch->blobs = blobs;
        for (size_t i = 0; i < batch->commands_count; i++)
                prefetch_one(batch, core, &batch->commands[i]);
}

void batch_reset(struct batch *batch)
{
        for (size_t i = 0; i < batch->messages_count; i++)
                zmq_msg_close(&batch->messages[i]);
        batch->commands_count = 0;
        batch->messages_count = 0;
        batch->bytes = 0;
        px_arena_reset(&batch->arena);
}
