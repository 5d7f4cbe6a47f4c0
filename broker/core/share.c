/* SPDX-License-Identifier: Apache-2.0 */
/* share.c - environments that several jobs name: counted with the jobs that come and go. Layer: L2
 * (broker/core). Format: environment.h. Nothing of it is in RAM: the rows come as facts. */
#include "state.h"

static void put_count(struct core *core, const struct row_key *key,
                      const struct px_environment_row *row)
{
        px_buf_reset(&core->bytes);
        px_environment_row_encode(row, &core->bytes);
        put_row(core, PX_TABLE_ENVIRONMENT, key, px_buf_slice(&core->bytes));
}

void share_flush(struct core *core, struct sharing *sharing)
{
        if (sharing->open)
                put_count(core, &sharing->key, &sharing->row);
        sharing->open = false;
}

static bool find_count(struct core *core, const struct row_key *key,
                       struct px_environment_row *ret_row)
{
        struct px_slice value;

        return fact_find(core, PX_TABLE_ENVIRONMENT, key, &value) &&
               px_environment_row_decode(value, &core->item, ret_row) == PX_WIRE_OK;
}

static void put_bytes(struct core *core, struct sharing *sharing)
{
        struct px_slice bytes = sharing->bytes;

        sharing->row = (struct px_environment_row){0};
        for (size_t at = 0; at < bytes.length; at += ROWS_VALUE_BYTES_MAX) {
                struct row_key key = sharing->key;

                row_key_add_u16(&key, (uint16_t)sharing->row.chunks++);
                put_row(core, PX_TABLE_ENVIRONMENT_DATA, &key,
                        px_slice_of(bytes.data + at,
                                    PX_MIN(bytes.length - at, (size_t)ROWS_VALUE_BYTES_MAX)));
        }
}

/* Jobs of one message mostly name the same one: it is counted once, when another comes. */
void share_add(struct core *core, struct sharing *sharing, struct px_slice environment)
{
        if (!sharing->open || !px_slice_equal(sharing->bytes, environment)) {
                share_flush(core, sharing);
                sharing->open = true;
                sharing->bytes = environment;
                sharing->key = environment_key(core->principal->id, environment);
                if (!find_count(core, &sharing->key, &sharing->row))
                        put_bytes(core, sharing);
        }
        sharing->row.jobs++;
}

void share_release(struct core *core, uint64_t job)
{
        struct row_key spec = row_key_u64(job);
        struct px_environment_row row;
        struct px_slice value;
        struct row_key key;

        row_key_add_u16(&spec, 0);
        if (!fact_find(core, PX_TABLE_SPEC, &spec, &value) || !environment_named(value, &key) ||
            !find_count(core, &key, &row) || row.jobs == 0)
                return; /* set aside as damaged */
        row.jobs--;
        if (row.jobs > 0) {
                put_count(core, &key, &row);
                return;
        }
        delete_row(core, PX_TABLE_ENVIRONMENT, &key);
        for (uint32_t i = 0; i < row.chunks && i <= UINT16_MAX; i++) {
                struct row_key chunk = key;

                row_key_add_u16(&chunk, (uint16_t)i);
                delete_row(core, PX_TABLE_ENVIRONMENT_DATA, &chunk);
        }
}
