/* SPDX-License-Identifier: Apache-2.0 */
/* record_read.c - reads the file of inputs. Layer: L4 (broker/shell). */
#include "record.h"

#include "record_format.h"

/* A cursor with a sticky error. */
struct cursor {
        const uint8_t *at;
        size_t left;
        bool bad;
};

static const uint8_t *take(struct cursor *cursor, size_t length)
{
        const uint8_t *at = cursor->at;

        if (cursor->bad || cursor->left < length) {
                cursor->bad = true;
                return NULL;
        }
        cursor->at += length;
        cursor->left -= length;
        return at;
}

static uint8_t take_u8(struct cursor *cursor)
{
        const uint8_t *at = take(cursor, 1);

        return at == NULL ? 0 : *at;
}

static uint16_t take_u16(struct cursor *cursor)
{
        const uint8_t *at = take(cursor, 2);

        return at == NULL ? 0 : px_get_be16(at);
}

static uint32_t take_u32(struct cursor *cursor)
{
        const uint8_t *at = take(cursor, 4);

        return at == NULL ? 0 : px_get_be32(at);
}

static uint64_t take_u64(struct cursor *cursor)
{
        const uint8_t *at = take(cursor, 8);

        return at == NULL ? 0 : px_get_be64(at);
}

static struct px_slice take_slice(struct cursor *cursor, size_t length)
{
        const uint8_t *at = take(cursor, length);

        return at == NULL ? PX_SLICE_NONE : px_slice_of(at, length);
}

/* ---- payloads -------------------------------------------------------------------------------- */

static void read_options(struct cursor *cursor, struct core_options *options)
{
        options->epoch = take_u64(cursor);
        options->heartbeat_ms = take_u64(cursor);
        options->lease_ms = take_u64(cursor);
        options->session_ms = take_u64(cursor);
        options->assign_repeat_ms = take_u64(cursor);
        options->jobs_max = take_u64(cursor);
        options->prefetch_tasks = (uint32_t)take_u64(cursor);
}

/* Each item of a list takes at least a byte, so a count above the bytes left is a lie. */
static void *take_list(struct cursor *cursor, struct px_arena *arena, size_t count,
                       size_t item_bytes)
{
        if (count > cursor->left)
                cursor->bad = true;
        return cursor->bad || count == 0 ? NULL : px_arena_alloc(arena, count * item_bytes);
}

static void read_facts(struct cursor *cursor, struct px_arena *arena, struct core_command *command)
{
        size_t count = take_u32(cursor);
        struct core_fact *facts = take_list(cursor, arena, count, sizeof(*facts));

        for (size_t i = 0; i < count && !cursor->bad; i++) {
                facts[i].table = take_u8(cursor);
                facts[i].key = take_slice(cursor, take_u16(cursor));
                facts[i].found = take_u8(cursor) != 0;
                facts[i].value = take_slice(cursor, take_u32(cursor));
        }
        command->facts = facts;
        command->facts_count = count;
}

static void read_command(struct cursor *cursor, struct px_arena *arena,
                         struct core_command *command)
{
        command->origin = take_u8(cursor);
        command->peer = take_u64(cursor);
        command->principal.value = take_u32(cursor);
        command->header.type = take_u16(cursor);
        command->header.flags = take_u16(cursor);
        command->header.count = take_u16(cursor);
        command->header.correlation = take_u64(cursor);
        command->body = take_slice(cursor, take_u32(cursor));
        read_facts(cursor, arena, command);
}

static void read_batch(struct cursor *cursor, struct px_arena *arena, struct core_batch *batch)
{
        struct core_command *commands;
        size_t count;

        batch->epoch = take_u64(cursor);
        batch->index = take_u64(cursor);
        batch->core_ms = (int64_t)take_u64(cursor);
        batch->wall_ms = (int64_t)take_u64(cursor);
        batch->seed = take_u64(cursor);
        count = take_u32(cursor);
        commands = take_list(cursor, arena, count, sizeof(*commands));
        for (size_t i = 0; i < count && !cursor->bad; i++)
                read_command(cursor, arena, &commands[i]);
        batch->commands = commands;
        batch->commands_count = count;
}

static void read_payload(struct cursor *cursor, struct px_arena *arena, struct record_entry *entry)
{
        switch (entry->kind) {
        case RECORD_OPTIONS:
                read_options(cursor, &entry->options);
                return;
        case RECORD_ROW:
                entry->table = take_u8(cursor);
                entry->key = take_slice(cursor, take_u16(cursor));
                entry->value = take_slice(cursor, cursor->left);
                return;
        case RECORD_LOADED:
                entry->wall_ms = (int64_t)take_u64(cursor);
                return;
        case RECORD_PORTS:
                for (size_t i = 0; i < PX_COUNT_OF(entry->ports); i++)
                        entry->ports[i] = (uint32_t)take_u64(cursor);
                return;
        case RECORD_BATCH:
                read_batch(cursor, arena, &entry->batch);
                return;
        case RECORD_OUTPUT:
                entry->rows = take_slice(cursor, take_u32(cursor));
                entry->events = take_slice(cursor, take_u32(cursor));
                entry->effects_count = take_u32(cursor);
                return;
        }
        cursor->bad = true; /* a kind that this release doesn't know */
}

bool record_next(struct px_slice file, size_t *offset, struct px_arena *arena,
                 struct record_entry *ret_entry)
{
        struct record_entry entry = {0};
        struct cursor payload = {0};
        struct cursor whole;
        const uint8_t *start;

        if (*offset == 0) {
                if (file.length < RECORD_MAGIC_BYTES ||
                    memcmp(file.data, RECORD_MAGIC, RECORD_MAGIC_BYTES) != 0)
                        return false;
                *offset = RECORD_MAGIC_BYTES;
        }
        PX_ASSERT(*offset <= file.length);
        start = file.data + *offset;
        whole = (struct cursor){.at = start, .left = file.length - *offset};
        entry.kind = take_u8(&whole);
        payload.left = take_u32(&whole);
        payload.at = take(&whole, payload.left);
        if (whole.bad || px_crc32c(0, start, (size_t)(whole.at - start)) != take_u32(&whole) ||
            whole.bad)
                return false;
        read_payload(&payload, arena, &entry);
        if (payload.bad || payload.left != 0)
                return false;
        *offset = (size_t)(whole.at - file.data);
        *ret_entry = entry;
        return true;
}
