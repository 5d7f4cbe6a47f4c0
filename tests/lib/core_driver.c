/* SPDX-License-Identifier: Apache-2.0 */
/* core_driver.c - drives a broker core in tests. What it does stands in core_driver.h. */
#include "core_driver_inside.h"

#include "test.h"

#define WALL_START_MS 1700000000000

struct kept_row {
        uint8_t table;
        struct px_buf key;
        struct px_buf value;
};

struct said {
        uint8_t origin;
        uint64_t peer;
        uint32_t principal;
        struct px_buf frame;
        struct px_buf wants;
        struct px_buf values; /* of the facts */
        struct core_fact *facts;
        size_t facts_count;
};

struct driver {
        struct driver_options options;
        struct core *core;
        struct core_output output;
        uint64_t epoch;
        uint64_t index;
        int64_t core_ms;
        int64_t wall_ms;
        uint64_t next_peer;
        struct kept_row *rows; /* sorted by table and key */
        size_t rows_count;
        size_t rows_capacity;
        struct said *said;
        size_t said_count;
        size_t said_capacity;
        bool gathering;
        struct px_buf trace;
        struct px_arena arena;
        struct px_buf frame;
        struct px_buf spec;
        struct px_buf task_spec;
};

/* ---- rows ---------------------------------------------------------------------------------------- */

static int row_compare(const struct kept_row *row, uint8_t table, struct px_slice key)
{
        if (row->table != table)
                return row->table < table ? -1 : 1;
        return px_slice_compare(px_buf_slice(&row->key), key);
}

/* Index of the first row that is not before (table, key). */
static size_t row_index(const struct driver *driver, uint8_t table, struct px_slice key)
{
        size_t low = 0;
        size_t high = driver->rows_count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (row_compare(&driver->rows[middle], table, key) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static struct kept_row *row_find(struct driver *driver, uint8_t table, struct px_slice key)
{
        size_t index = row_index(driver, table, key);

        if (index < driver->rows_count && row_compare(&driver->rows[index], table, key) == 0)
                return &driver->rows[index];
        return NULL;
}

static void row_put(struct driver *driver, const struct row *row)
{
        struct kept_row *kept = row_find(driver, row->table, row->key);
        size_t index = row_index(driver, row->table, row->key);

        if (kept == NULL) {
                if (driver->rows_count == driver->rows_capacity) {
                        driver->rows_capacity = PX_MAX(driver->rows_capacity * 2, (size_t)256);
                        driver->rows = px_realloc(driver->rows,
                                                  driver->rows_capacity * sizeof(*kept));
                }
                memmove(&driver->rows[index + 1], &driver->rows[index],
                        (driver->rows_count - index) * sizeof(*kept));
                driver->rows_count++;
                kept = &driver->rows[index];
                *kept = (struct kept_row){.table = row->table};
                px_buf_append_slice(&kept->key, row->key);
        }
        px_buf_reset(&kept->value);
        px_buf_append_slice(&kept->value, row->value);
}

static void row_delete(struct driver *driver, const struct row *row)
{
        struct kept_row *kept = row_find(driver, row->table, row->key);
        size_t index;

        if (kept == NULL)
                return;
        index = (size_t)(kept - driver->rows);
        px_buf_fini(&kept->key);
        px_buf_fini(&kept->value);
        driver->rows_count--;
        memmove(kept, kept + 1, (driver->rows_count - index) * sizeof(*kept));
}

static void rows_apply(struct driver *driver)
{
        struct px_slice rows = px_buf_slice(&driver->output.rows);
        size_t offset = 0;
        struct row row;

        while (rows_next(rows, &offset, &row)) {
                if (row.operation == ROWS_PUT)
                        row_put(driver, &row);
                else
                        row_delete(driver, &row);
        }
        PX_ASSERT(offset == rows.length);
}

void driver_blob(struct driver *driver, uint32_t owner, const uint8_t hash[32], uint64_t bytes)
{
        struct px_blob_row row = {.bytes = bytes};
        struct row_key key = row_key_u32(owner);
        struct px_buf value = {0};

        row_key_add_bytes(&key, px_slice_of(hash, 32));
        px_blob_row_encode(&row, &value);
        row_put(driver, &(struct row){.operation = ROWS_PUT,
                                      .table = PX_TABLE_BLOB,
                                      .key = row_key_slice(&key),
                                      .value = px_buf_slice(&value)});
        px_buf_fini(&value);
}

size_t driver_rows_count(struct driver *driver, uint8_t table)
{
        size_t count = 0;

        for (size_t i = 0; i < driver->rows_count; i++)
                count += driver->rows[i].table == table;
        return count;
}

bool driver_row(struct driver *driver, uint8_t table, const struct row_key *key,
                struct px_slice *ret_value)
{
        struct kept_row *row = row_find(driver, table, row_key_slice(key));

        if (row != NULL)
                *ret_value = px_buf_slice(&row->value);
        return row != NULL;
}

static bool job_row_find(struct driver *driver, uint64_t job, struct px_job_row *ret_row)
{
        struct row_key key = row_key_u64(job);
        struct px_slice value;

        if (!driver_row(driver, PX_TABLE_JOB, &key, &value) &&
            !driver_row(driver, PX_TABLE_DONE, &key, &value))
                return false;
        return px_job_row_decode(value, &driver->arena, ret_row) == PX_WIRE_OK;
}

struct px_job_row driver_job(struct driver *driver, uint64_t job)
{
        struct px_job_row row = {0};

        EXPECT(job_row_find(driver, job, &row));
        return row;
}

const char *driver_state(struct driver *driver, uint64_t job)
{
        struct px_job_row row;

        return job_row_find(driver, job, &row) ? px_job_state_name(row.state) : "absent";
}

const char *driver_reason(struct driver *driver, uint64_t job)
{
        return px_reason_name(driver_job(driver, job).reason);
}

struct px_fence driver_fence(struct driver *driver, uint64_t job)
{
        return driver_job(driver, job).fence;
}

/* ---- start, load ------------------------------------------------------------------------------------ */

bool driver_row_at(struct driver *driver, uint8_t table, size_t index, struct px_slice *ret_key,
                   struct px_slice *ret_value)
{
        size_t at = row_index(driver, table, PX_SLICE_NONE) + index;

        if (at >= driver->rows_count || driver->rows[at].table != table)
                return false;
        *ret_key = px_buf_slice(&driver->rows[at].key);
        *ret_value = px_buf_slice(&driver->rows[at].value);
        return true;
}

struct core *driver_core_empty(const struct driver *driver)
{
        return core_new(&(struct core_options){
                .epoch = driver->epoch,
                .heartbeat_ms = driver->options.lease_ms / 4 + 1,
                .lease_ms = driver->options.lease_ms,
                .session_ms = driver->options.session_ms,
                .assign_repeat_ms = driver->options.repeat_ms,
                .jobs_max = driver->options.jobs_max,
        });
}

static struct core *core_of_rows(struct driver *driver, int64_t wall_ms)
{
        struct core *core = driver_core_empty(driver);

        for (size_t t = 0; t < core_load_tables_count; t++) {
                uint8_t table = core_load_tables[t];
                size_t i = row_index(driver, table, PX_SLICE_NONE);

                for (; i < driver->rows_count && driver->rows[i].table == table; i++)
                        EXPECT_INT(core_load_row(core, table, px_buf_slice(&driver->rows[i].key),
                                                 px_buf_slice(&driver->rows[i].value)),
                                   0);
        }
        core_load_end(core, wall_ms);
        return core;
}

static void check_reload(struct driver *driver)
{
        struct core *loaded = core_of_rows(driver, driver->wall_ms);

        core_check(loaded);
        if (core_digest(loaded) != core_digest(driver->core))
                test_fail(__FILE__, __LINE__, "the rows load into another state after batch %llu",
                          (unsigned long long)driver->index);
        core_free(loaded);
}

static void clean(void *context)
{
        driver_free(context);
}

static void bootstrap(struct driver *driver)
{
        static const char *const names[] = {"root", "ana", "bob", "n1", "n2",
                                            "watcher", "helper", "hand"};
        static const uint32_t roles[] = {PX_ROLE_ADMIN, PX_ROLE_USER,    PX_ROLE_USER,
                                         PX_ROLE_NODE,  PX_ROLE_NODE,    PX_ROLE_MONITOR,
                                         PX_ROLE_SERVICE, PX_ROLE_WORKER};
        uint8_t keys[PX_COUNT_OF(names)][32];
        struct px_slice name_slices[PX_COUNT_OF(names)];
        struct px_slice key_slices[PX_COUNT_OF(names)];
        struct px_m_bootstrap message = {
                .cluster = px_slice_text("a cluster of 16b"),
                .names = name_slices,
                .names_count = PX_COUNT_OF(names),
                .roles = roles,
                .roles_count = PX_COUNT_OF(names),
                .public_keys = key_slices,
                .public_keys_count = PX_COUNT_OF(names),
        };

        for (size_t i = 0; i < PX_COUNT_OF(names); i++) {
                memset(keys[i], (int)i + 1, sizeof(keys[i]));
                name_slices[i] = px_slice_text(names[i]);
                key_slices[i] = px_slice_of(keys[i], sizeof(keys[i]));
        }
        px_buf_reset(&driver->frame);
        px_m_bootstrap_frame(&message, 0, 0, &driver->frame);
        driver_shell(driver, px_buf_slice(&driver->frame));
        driver_trace_reset(driver);
}

struct driver *driver_start(struct driver_options options)
{
        struct driver *driver = px_alloc(sizeof(*driver));

        driver->options = options;
        if (options.lease_ms == 0)
                driver->options.lease_ms = 1000;
        if (options.repeat_ms == 0)
                driver->options.repeat_ms = 300;
        if (options.session_ms == 0)
                driver->options.session_ms = 100000;
        if (options.jobs_max == 0)
                driver->options.jobs_max = 1000000;
        driver->epoch = 1;
        driver->next_peer = 1;
        driver->wall_ms = WALL_START_MS;
        driver->core = driver_core_empty(driver);
        core_load_end(driver->core, driver->wall_ms);
        test_cleanup(clean, driver);
        bootstrap(driver);
        return driver;
}

static void said_free(struct driver *driver)
{
        for (size_t i = 0; i < driver->said_count; i++) {
                px_buf_fini(&driver->said[i].frame);
                px_buf_fini(&driver->said[i].wants);
                px_buf_fini(&driver->said[i].values);
                px_free(driver->said[i].facts);
        }
        driver->said_count = 0;
}

void driver_free(struct driver *driver)
{
        said_free(driver);
        px_free(driver->said);
        core_free(driver->core);
        core_output_fini(&driver->output);
        for (size_t i = 0; i < driver->rows_count; i++) {
                px_buf_fini(&driver->rows[i].key);
                px_buf_fini(&driver->rows[i].value);
        }
        px_free(driver->rows);
        px_buf_fini(&driver->trace);
        px_buf_fini(&driver->frame);
        px_buf_fini(&driver->spec);
        px_buf_fini(&driver->task_spec);
        px_arena_fini(&driver->arena);
        px_free(driver);
}

struct core *driver_core(struct driver *driver)
{
        return driver->core;
}

/* ---- steps -------------------------------------------------------------------------------------------- */

static void trace_event(struct driver *driver, const struct px_event *event)
{
        struct px_buf *trace = &driver->trace;

        px_buf_format(trace, "[%6lld] %s", (long long)driver->core_ms, px_event_name(event->kind));
        if (event->job.value != 0)
                px_buf_format(trace, " j%llu", (unsigned long long)event->job.value);
        if (event->attempt != 0)
                px_buf_format(trace, " a%u", event->attempt);
        if (event->node.length > 0)
                px_buf_format(trace, " %.*s", (int)event->node.length,
                              (const char *)event->node.data);
        if (event->text.length > 0)
                px_buf_format(trace, " (%.*s)", (int)event->text.length,
                              (const char *)event->text.data);
        px_buf_append_text(trace, "\n");
}

static void trace_events(struct driver *driver)
{
        const uint8_t *at = driver->output.events.data;
        size_t left = driver->output.events.length;

        for (uint32_t i = 0; i < driver->output.events_count; i++) {
                size_t length;
                struct px_event event;

                PX_ASSERT(left >= 4);
                length = px_get_be32(at);
                PX_ASSERT(left - 4 >= length);
                PX_ASSERT(px_event_decode(px_slice_of(at + 4, length), &driver->arena, &event) ==
                          PX_WIRE_OK);
                PX_ASSERT(event.position == i && event.index == driver->index);
                trace_event(driver, &event);
                at += 4 + length;
                left -= 4 + length;
        }
        PX_ASSERT(left == 0);
}

/* Facts as the shell gives them: asked for until nothing more is wanted. */
static bool said_fact_round(struct driver *driver, struct said *said, struct core_command *command)
{
        size_t before = said->wants.length;
        size_t offset = before;
        struct row row;

        core_wants(driver->core, command, &said->wants);
        if (said->wants.length == before)
                return false;
        while (rows_next(px_buf_slice(&said->wants), &offset, &row)) {
                said->facts = px_realloc(said->facts,
                                         (said->facts_count + 1) * sizeof(*said->facts));
                said->facts[said->facts_count++] = (struct core_fact){.table = row.table};
        }
        /* The buffer moved while it grew. */
        offset = 0;
        for (size_t i = 0; rows_next(px_buf_slice(&said->wants), &offset, &row); i++) {
                struct kept_row *kept = row_find(driver, row.table, row.key);

                said->facts[i].key = row.key;
                said->facts[i].found = kept != NULL;
                if (kept != NULL)
                        said->facts[i].value = px_buf_slice(&kept->value);
        }
        command->facts = said->facts;
        command->facts_count = said->facts_count;
        return true;
}

static void said_command(struct driver *driver, struct said *said, struct core_command *ret)
{
        *ret = (struct core_command){
                .origin = said->origin,
                .peer = said->peer,
                .principal = {said->principal},
        };
        EXPECT_INT(px_wire_get_header(px_buf_slice(&said->frame), &ret->header, &ret->body),
                   PX_WIRE_OK);
        for (int rounds = 0; said_fact_round(driver, said, ret); rounds++)
                PX_ASSERT(rounds < 3);
}

static void step(struct driver *driver)
{
        struct core_command *commands =
                px_alloc((driver->said_count + 1) * sizeof(*commands));

        for (size_t i = 0; i < driver->said_count; i++)
                said_command(driver, &driver->said[i], &commands[i]);
        driver->index++;
        core_step(driver->core,
                  &(struct core_batch){
                          .epoch = driver->epoch,
                          .index = driver->index,
                          .core_ms = driver->core_ms,
                          .wall_ms = driver->wall_ms,
                          .seed = driver->index,
                          .commands = commands,
                          .commands_count = driver->said_count,
                  },
                  &driver->output);
        px_free(commands);
        said_free(driver);
        if (driver->options.unchecked)
                return;
        rows_apply(driver);
        trace_events(driver);
        if (driver->options.few_checks)
                return;
        core_check(driver->core);
        check_reload(driver);
}

void driver_restart(struct driver *driver, int64_t down_ms)
{
        core_free(driver->core);
        driver->epoch++;
        driver->wall_ms += down_ms;
        driver->core = core_of_rows(driver, driver->wall_ms);
        core_check(driver->core);
        driver->core_ms = core_now_ms(driver->core);
        px_buf_format(&driver->trace, "[%6lld] broker starts\n", (long long)driver->core_ms);
        step(driver);
}

void driver_run_ms(struct driver *driver, int64_t ms)
{
        int64_t end_ms = driver->core_ms + ms;

        while (core_deadline_ms(driver->core) <= end_ms) {
                int64_t next_ms = PX_MAX(core_deadline_ms(driver->core), driver->core_ms);

                driver->wall_ms += next_ms - driver->core_ms;
                driver->core_ms = next_ms;
                step(driver);
        }
        driver->wall_ms += end_ms - driver->core_ms;
        driver->core_ms = end_ms;
}

int64_t driver_now_ms(const struct driver *driver)
{
        return driver->core_ms;
}

int64_t driver_wall_ms(const struct driver *driver)
{
        return driver->wall_ms;
}

const char *driver_trace(struct driver *driver)
{
        px_buf_append(&driver->trace, "", 1);
        driver->trace.length--;
        return (const char *)driver->trace.data;
}

void driver_trace_reset(struct driver *driver)
{
        px_buf_reset(&driver->trace);
}

/* ---- commands --------------------------------------------------------------------------------------------- */

void driver_batch(struct driver *driver)
{
        driver->gathering = true;
}

void driver_go(struct driver *driver)
{
        driver->gathering = false;
        step(driver);
}

void driver_say(struct driver *driver, uint8_t origin, uint64_t peer, uint32_t principal,
                struct px_slice frame)
{
        struct said *said;

        if (driver->said_count == driver->said_capacity) {
                driver->said_capacity = PX_MAX(driver->said_capacity * 2, (size_t)16);
                driver->said = px_realloc(driver->said, driver->said_capacity * sizeof(*said));
        }
        said = &driver->said[driver->said_count++];
        *said = (struct said){.origin = origin, .peer = peer, .principal = principal};
        px_buf_append_slice(&said->frame, frame);
        if (!driver->gathering)
                step(driver);
}

void driver_shell(struct driver *driver, struct px_slice frame)
{
        driver_say(driver, CORE_FROM_SHELL, 0, 0, frame);
}

void driver_peer_gone(struct driver *driver, uint64_t peer)
{
        struct px_m_peer_gone gone = {0};

        px_buf_reset(&driver->frame);
        px_m_peer_gone_frame(&gone, 0, 0, &driver->frame);
        driver_say(driver, CORE_FROM_SHELL, peer, 0, px_buf_slice(&driver->frame));
}

void driver_storage(struct driver *driver, bool full)
{
        struct px_m_storage storage = {.full = full};

        px_buf_reset(&driver->frame);
        px_m_storage_frame(&storage, 0, 0, &driver->frame);
        driver_shell(driver, px_buf_slice(&driver->frame));
}

struct px_slice driver_mail(struct driver *driver, uint64_t peer, uint16_t type)
{
        for (size_t i = driver->output.effects_count; i > 0; i--) {
                const struct core_effect *effect = &driver->output.effects[i - 1];
                struct px_wire_header header;
                struct px_slice body;

                if (effect->kind != CORE_EFFECT_SEND || effect->peer != peer)
                        continue;
                EXPECT_INT(px_wire_get_header(effect->send.frame, &header, &body), PX_WIRE_OK);
                if (header.type == type)
                        return body;
        }
        return PX_SLICE_NONE;
}

size_t driver_mail_count(struct driver *driver, uint64_t peer, uint16_t type)
{
        size_t count = 0;

        for (size_t i = 0; i < driver->output.effects_count; i++) {
                const struct core_effect *effect = &driver->output.effects[i];
                struct px_wire_header header;
                struct px_slice body;

                if (effect->kind != CORE_EFFECT_SEND || effect->peer != peer)
                        continue;
                EXPECT_INT(px_wire_get_header(effect->send.frame, &header, &body), PX_WIRE_OK);
                count += header.type == type;
        }
        return count;
}

struct px_arena *driver_arena(struct driver *driver)
{
        return &driver->arena;
}

int driver_refused(struct driver *driver, uint64_t peer)
{
        struct px_m_refused refused;

        return DRIVER_READ(driver, peer, REFUSED, refused, &refused) ? refused.code : 0;
}

size_t driver_effects(struct driver *driver, int kind)
{
        size_t count = 0;

        for (size_t i = 0; i < driver->output.effects_count; i++)
                count += driver->output.effects[i].kind == kind;
        return count;
}

const struct core_effect *driver_effect(struct driver *driver, int kind)
{
        for (size_t i = driver->output.effects_count; i > 0; i--)
                if (driver->output.effects[i - 1].kind == kind)
                        return &driver->output.effects[i - 1];
        return NULL;
}

uint64_t driver_next_peer(struct driver *driver)
{
        return driver->next_peer++;
}

struct px_slice driver_spec(struct driver *driver, bool task)
{
        struct px_slice argv[] = {px_slice_text("/bin/true")};
        struct px_spec spec = {.argv = argv, .argv_count = task ? 0 : 1};
        struct px_buf *buf = task ? &driver->task_spec : &driver->spec;

        if (buf->length == 0)
                px_spec_encode(&spec, buf);
        return px_buf_slice(buf);
}

size_t driver_effects_count(const struct driver *driver)
{
        return driver->output.effects_count;
}

const struct core_effect *driver_effect_at(const struct driver *driver, size_t index)
{
        return &driver->output.effects[index];
}
