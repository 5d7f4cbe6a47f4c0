/* SPDX-License-Identifier: Apache-2.0 */
/* wants.c - which rows a command needs that RAM doesn't hold. Layer: L2 (broker/core).
 * Asked in rounds: what a fact of one round says may want more (an ended job's attempt; the
 * specification of one that is purged, and then its environment). */
#include "state.h"

struct wants {
        const struct core *core;
        const struct core_command *command;
        struct px_arena arena;
        struct px_buf *keys;
        size_t hint;
};

static const struct core_fact *wants_fact(struct wants *wants, uint8_t table,
                                          struct px_slice key)
{
        const struct core_command *command = wants->command;

        for (size_t i = 0; i < command->facts_count; i++) {
                size_t at = (wants->hint + i) % command->facts_count;
                const struct core_fact *fact = &command->facts[at];

                if (fact->table == table && px_slice_equal(fact->key, key)) {
                        wants->hint = at + 1;
                        return fact;
                }
        }
        return NULL;
}

/* The fact, if it is known to be there; asks for it if it is not known. */
static const struct core_fact *want(struct wants *wants, uint8_t table, const struct row_key *key)
{
        const struct core_fact *fact = wants_fact(wants, table, row_key_slice(key));

        if (fact == NULL)
                rows_put(wants->keys, table, key, PX_SLICE_NONE);
        return fact != NULL && fact->found ? fact : NULL;
}

static void want_submit(struct wants *wants)
{
        struct px_m_submit submit;
        struct px_slice last = PX_SLICE_NONE;
        struct px_slice environment;

        if (px_m_submit_decode(wants->command->body, &wants->arena, &submit) != PX_WIRE_OK)
                return;
        for (size_t i = 0; i < submit.jobs_count; i++) {
                uint32_t owner = wants->command->principal.value;
                struct row_key key;

                if (submit.jobs[i].key.length > 0) {
                        key = submit_key(owner, submit.jobs[i].key);
                        (void)want(wants, PX_TABLE_KEY, &key);
                }
                if (environment_cut(submit.jobs[i].spec, &environment) &&
                    !px_slice_equal(environment, last)) {
                        key = environment_key(owner, environment);
                        (void)want(wants, PX_TABLE_ENVIRONMENT, &key);
                        last = environment;
                }
                if (submit.jobs[i].blob.length > 0) {
                        key = submit_blob_key(owner, submit.jobs[i].blob);
                        (void)want(wants, PX_TABLE_BLOB, &key);
                }
        }
}

/* A dry run looks at no key. */
static void want_try(struct wants *wants)
{
        struct px_m_try try;
        struct row_key key;

        if (px_m_try_decode(wants->command->body, &wants->arena, &try) != PX_WIRE_OK ||
            try.job.blob.length == 0)
                return;
        key = submit_blob_key(wants->command->principal.value, try.job.blob);
        (void)want(wants, PX_TABLE_BLOB, &key);
}

/* false: not an ended job, as far as is known. */
static bool want_done(struct wants *wants, uint64_t id, struct px_job_row *ret_row)
{
        struct row_key key = row_key_u64(id);
        const struct core_fact *fact;

        if (job_find(wants->core, id) != NULL || id == 0 || px_id_job(id) >= wants->core->next_job)
                return false;
        fact = want(wants, PX_TABLE_DONE, &key);
        return fact != NULL &&
               px_job_row_decode(fact->value, &wants->arena, ret_row) == PX_WIRE_OK;
}

/* What a purge takes along: the environment that its specification names. */
static void want_purge(struct wants *wants, uint64_t id)
{
        const struct job *job = job_find(wants->core, id);
        struct row_key spec = row_key_u64(id);
        const struct core_fact *fact;
        struct px_job_row row = {0};
        struct row_key key;

        /* An active one may end earlier in the same step. */
        if (job != NULL)
                row.flags = job->flags;
        else if (!want_done(wants, id, &row))
                return;
        if ((row.flags & JOB_HAS_ENVIRONMENT) == 0)
                return;
        row_key_add_u16(&spec, 0);
        fact = want(wants, PX_TABLE_SPEC, &spec);
        if (fact != NULL && environment_named(fact->value, &key))
                (void)want(wants, PX_TABLE_ENVIRONMENT, &key);
}

/* What END says of an ended job. */
static void want_end(struct wants *wants, uint64_t id)
{
        struct row_key key = row_key_u64(id);
        struct px_job_row row;

        if (!want_done(wants, id, &row))
                return;
        row_key_add_u32(&key, row.fence.attempt);
        if (row.fence.attempt != 0)
                (void)want(wants, PX_TABLE_ATTEMPT, &key);
        if (row.result_chunks * (uint64_t)ROWS_VALUE_BYTES_MAX > PX_LIMIT_RESULT_PUSH_BYTES)
                return;
        for (uint32_t i = 0; i < row.result_chunks; i++) {
                struct row_key chunk = row_key_u64(id);

                row_key_add_u16(&chunk, (uint16_t)i);
                (void)want(wants, PX_TABLE_RESULT, &chunk);
        }
}

static void want_watch(struct wants *wants)
{
        struct px_m_watch watch;

        if (px_m_watch_decode(wants->command->body, &wants->arena, &watch) != PX_WIRE_OK)
                return;
        for (size_t i = 0; i < watch.jobs_count; i++)
                want_end(wants, watch.jobs[i].value);
}

static void want_why(struct wants *wants)
{
        struct px_m_why why;

        if (px_m_why_decode(wants->command->body, &wants->arena, &why) == PX_WIRE_OK)
                want_end(wants, why.job.value);
}

static void want_change(struct wants *wants)
{
        struct px_m_change change;

        if (px_m_change_decode(wants->command->body, &wants->arena, &change) != PX_WIRE_OK)
                return;
        for (size_t i = 0; i < change.jobs_count; i++) {
                struct row_key key = row_key_u64(change.jobs[i].value);
                struct px_job_row row;

                if (change.change == PX_CHANGE_PURGE)
                        want_purge(wants, change.jobs[i].value);
                else
                        (void)want_done(wants, change.jobs[i].value, &row);
                if (change.change == PX_CHANGE_RETRY && px_id_is_task(change.jobs[i].value))
                        (void)want_done(wants, px_id_job(change.jobs[i].value), &row);
                if (change.change == PX_CHANGE_RENAME)
                        (void)want(wants, PX_TABLE_NAME, &key);
        }
}

/* The row of a key, and whether the job that it names is remembered. */
static void want_key_and_job(struct wants *wants, struct px_slice bytes)
{
        const struct core_fact *fact;
        struct row_key key = {0};
        struct px_key_row row;
        struct px_job_row job;

        if (bytes.length != sizeof(uint32_t) + CORE_KEY_HASH_BYTES)
                return;
        row_key_add_bytes(&key, bytes);
        fact = want(wants, PX_TABLE_KEY, &key);
        if (fact != NULL && px_key_row_decode(fact->value, &wants->arena, &row) == PX_WIRE_OK)
                (void)want_done(wants, row.job.value, &job);
}

static void want_retention(struct wants *wants)
{
        struct px_m_retention retention;

        if (px_m_retention_decode(wants->command->body, &wants->arena, &retention) != PX_WIRE_OK)
                return;
        for (size_t i = 0; i < retention.jobs_count; i++)
                want_purge(wants, retention.jobs[i].value);
        for (size_t i = 0; i < retention.keys_count; i++)
                want_key_and_job(wants, retention.keys[i]);
}

static bool wants_anything(const struct core_command *command)
{
        switch (command->header.type) {
        case PX_M_SUBMIT:
        case PX_M_TRY:
        case PX_M_WATCH:
        case PX_M_WHY:
        case PX_M_CHANGE:
                return command->origin == CORE_FROM_CLIENT;
        case PX_M_RETENTION:
                return command->origin == CORE_FROM_SHELL;
        default:
                return false;
        }
}

void core_wants(const struct core *core, const struct core_command *command, struct px_buf *keys)
{
        struct wants wants = {.core = core, .command = command, .keys = keys};

        if (!wants_anything(command))
                return;
        switch (command->header.type) {
        case PX_M_SUBMIT:
                want_submit(&wants);
                break;
        case PX_M_TRY:
                want_try(&wants);
                break;
        case PX_M_WATCH:
                want_watch(&wants);
                break;
        case PX_M_WHY:
                want_why(&wants);
                break;
        case PX_M_CHANGE:
                want_change(&wants);
                break;
        default:
                want_retention(&wants);
                break;
        }
        px_arena_fini(&wants.arena);
}
