/* SPDX-License-Identifier: Apache-2.0 */
/* spec_read.c - see spec_read.h. Layer: L3 (broker/store). Format: environment.h. */
#include "spec_read.h"

#include "environment.h"
#include "px_schema.h"

static bool join_chunk(void *context, struct px_slice key, struct px_slice value)
{
        (void)key;
        px_buf_append_slice(context, value);
        return true;
}

/* Append all rows whose key begins so. */
static int join(struct px_log *log, uint8_t table, const struct row_key *prefix, struct px_buf *ret)
{
        uint64_t damaged = 0;
        size_t before = ret->length;
        int result = px_read_each(log, table, row_key_slice(prefix), join_chunk, ret, &damaged);

        if (result == PX_E_DAMAGED || damaged > 0)
                return PX_E_DAMAGED;
        return result != PX_OK || ret->length == before ? PX_E_ABSENT : PX_OK;
}

int spec_read(struct px_log *log, struct px_job_id job, struct px_buf *stored,
              struct px_buf *ret_spec)
{
        struct row_key prefix = row_key_u64(px_id_job(job.value)); /* a task has its array's */
        struct px_buf environment = {0};
        struct row_key key;
        int code;

        px_buf_reset(stored);
        code = join(log, PX_TABLE_SPEC, &prefix, stored);
        if (code != PX_OK)
                return code;
        if (!environment_named(px_buf_slice(stored), &key)) {
                px_buf_append_slice(ret_spec, px_buf_slice(stored));
                return PX_OK;
        }
        if (join(log, PX_TABLE_ENVIRONMENT_DATA, &key, &environment) != PX_OK ||
            !environment_join(px_buf_slice(stored), px_buf_slice(&environment), ret_spec))
                code = PX_E_DAMAGED;
        px_buf_fini(&environment);
        return code;
}
