/* SPDX-License-Identifier: Apache-2.0 */
/* fact.c - rows that RAM doesn't hold: those written earlier in this very step win over those the
 * shell read before it. Layer: L2 (broker/core). Source: DESIGN 2.3. */
#include "state.h"

/* Where a row of the output stands. Entries live in the output's arena. */
struct overlay_entry {
        struct overlay_entry *next; /* same hash */
        size_t offset;
};

static uint64_t overlay_hash(uint8_t table, struct px_slice key)
{
        return px_hash64(table, key.data, key.length);
}

static bool overlay_wants(uint8_t table)
{
        return table == PX_TABLE_DONE || table == PX_TABLE_KEY || table == PX_TABLE_NAME ||
               table == PX_TABLE_ATTEMPT || table == PX_TABLE_RESULT || table == PX_TABLE_BLOB ||
               table == PX_TABLE_SPEC || table == PX_TABLE_ENVIRONMENT;
}

static struct row row_at(const struct core *core, size_t offset)
{
        struct row row;
        bool found = rows_next(px_buf_slice(&core->output->rows), &offset, &row);

        PX_ASSERT(found);
        return row;
}

static struct overlay_entry *overlay_entry(struct core *core, uint8_t table, struct px_slice key)
{
        struct overlay_entry *entry =
                px_map_find(&core->overlay.rows, overlay_hash(table, key));

        for (; entry != NULL; entry = entry->next) {
                struct row row = row_at(core, entry->offset);

                if (row.table == table && px_slice_equal(row.key, key))
                        return entry;
        }
        return NULL;
}

static void overlay_add(struct core *core, const struct row *row, size_t offset)
{
        struct overlay_entry *entry = overlay_entry(core, row->table, row->key);
        uint64_t hash = overlay_hash(row->table, row->key);

        if (entry != NULL) {
                entry->offset = offset;
                return;
        }
        entry = px_arena_alloc(&core->output->arena, sizeof(*entry));
        entry->offset = offset;
        entry->next = px_map_find(&core->overlay.rows, hash);
        px_map_put(&core->overlay.rows, hash, entry);
}

/* Only commands that ask pay for the index, and each row is indexed once. */
static void overlay_catch_up(struct core *core)
{
        struct overlay *overlay = &core->overlay;
        struct px_slice rows = px_buf_slice(&core->output->rows);
        size_t offset = overlay->offset;
        struct row row;

        while (rows_next(rows, &overlay->offset, &row)) {
                if (overlay_wants(row.table))
                        overlay_add(core, &row, offset);
                offset = overlay->offset;
        }
        PX_ASSERT(overlay->offset == rows.length);
}

void overlay_reset(struct core *core)
{
        px_map_fini(&core->overlay.rows);
        core->overlay.offset = 0;
}

static bool fact_matches(const struct core_fact *fact, uint8_t table, struct px_slice key)
{
        return fact->table == table && px_slice_equal(fact->key, key);
}

/* Facts come in the order in which they are asked for, mostly. */
static const struct core_fact *fact_of_command(struct core *core, uint8_t table,
                                               struct px_slice key)
{
        const struct core_command *command = core->command;
        size_t count = command->facts_count;

        for (size_t i = 0; i < count; i++) {
                size_t at = (core->fact_hint + i) % count;

                if (fact_matches(&command->facts[at], table, key)) {
                        core->fact_hint = at + 1;
                        return &command->facts[at];
                }
        }
        return NULL;
}

bool fact_find(struct core *core, uint8_t table, const struct row_key *key,
               struct px_slice *ret_value)
{
        const struct overlay_entry *entry;
        const struct core_fact *fact;

        PX_ASSERT(overlay_wants(table));
        overlay_catch_up(core);
        entry = overlay_entry(core, table, row_key_slice(key));
        if (entry != NULL) {
                struct row row = row_at(core, entry->offset);

                if (row.operation == ROWS_DELETE)
                        return false;
                /* The write-set may move while it grows. */
                *ret_value = px_arena_copy(&core->output->arena, row.value);
                return true;
        }
        fact = fact_of_command(core, table, row_key_slice(key));
        if (fact == NULL || !fact->found)
                return false;
        *ret_value = fact->value;
        return true;
}
