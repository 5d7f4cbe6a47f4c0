/* SPDX-License-Identifier: Apache-2.0 */
/* test_shell_log.c - what the shell reads from the log: ended jobs that are old, specs of
 * assignments; and the record of inputs. On the log in memory. */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "assigns.h"
#include "px_schema.h"
#include "record.h"
#include "retention.h"
#include "test.h"

#define DAY_MS ((int64_t)24 * 3600 * 1000)
#define NOW_MS (100 * DAY_MS)

static struct px_log *log_now;
static uint64_t last_index;

static void close_log(void *context)
{
        px_log_close(context);
}

static void open_log(void)
{
        log_now = px_log_open_memory();
        last_index = 0;
        test_cleanup(close_log, log_now);
}

static void put_rows(struct px_buf *rows)
{
        px_log_submit(log_now, &(struct px_log_batch){.epoch = 1,
                                                      .index = ++last_index,
                                                      .rows = px_buf_slice(rows)});
        px_log_memory_flush(log_now, last_index);
        px_buf_fini(rows);
}

/* ---- retention ----------------------------------------------------------------------------------
 */

/* Ended jobs first .. first + count - 1, that ended so many days ago. */
static void put_done(uint64_t first, uint64_t count, int64_t days_ago)
{
        struct px_job_row row = {
                .state = PX_JOB_STATE_OK,
                .reason = PX_REASON_EXIT,
                .on_lost = PX_ON_LOST_RERUN,
                .ended_wall_ms = NOW_MS - days_ago * DAY_MS,
        };
        struct px_buf rows = {0};
        struct px_buf value = {0};

        px_job_row_encode(&row, &value);
        for (uint64_t i = 0; i < count; i++) {
                struct row_key key = row_key_u64(first + i);

                rows_put(&rows, PX_TABLE_DONE, &key, px_buf_slice(&value));
        }
        px_buf_fini(&value);
        put_rows(&rows);
}

/* Go on to the end of a scan; the jobs it gives up, as "first-last" when they are consecutive. */
static const char *scan(struct retention *retention, int64_t *now_ms)
{
        static char text[64];
        struct px_arena arena = {0};
        uint64_t first = 0;
        uint64_t last = 0;
        uint64_t count = 0;

        for (int pieces = 0; pieces < 100; pieces++) {
                struct px_buf frame = {0};
                struct px_m_retention command;
                struct px_wire_header header;
                struct px_slice body;
                bool gave = retention_piece(retention, log_now, *now_ms, NOW_MS, &frame);

                if (gave) {
                        EXPECT_INT(px_wire_get_header(px_buf_slice(&frame), &header, &body), 0);
                        EXPECT_INT(px_m_retention_decode(body, &arena, &command), 0);
                        EXPECT(command.jobs_count <= RETENTION_PIECE_JOBS);
                        first = first == 0 ? command.jobs[0].value : first;
                        last = command.jobs[command.jobs_count - 1].value;
                        count += command.jobs_count;
                }
                px_buf_fini(&frame);
                *now_ms = retention->due_ms;
                if (retention->cursor == 0)
                        break;
        }
        px_arena_fini(&arena);
        if (count == 0)
                return "none";
        snprintf(text, sizeof(text), "%" PRIu64 "-%" PRIu64 "%s", first, last,
                 count == last - first + 1 ? "" : " with gaps");
        return text;
}

TEST(jobs_that_ended_long_ago_are_given_up_and_others_are_not)
{
        struct retention retention;
        int64_t now_ms = RETENTION_EVERY_MS;

        open_log();
        put_done(1, 5, 31);
        put_done(6, 5, 29);
        retention_init(&retention, (uint64_t)(30 * DAY_MS), 1000, 0);
        EXPECT_TEXT(scan(&retention, &now_ms), "1-5");
}

static void put_key(uint32_t owner, uint64_t job, int64_t days_ago)
{
        struct px_key_row row = {.job = {job}, .wall_ms = NOW_MS - days_ago * DAY_MS};
        struct row_key key = row_key_u32(owner);
        struct px_buf rows = {0};
        struct px_buf value = {0};

        row_key_add_u64(&key, 0);
        row_key_add_u64(&key, job);
        px_key_row_encode(&row, &value);
        rows_put(&rows, PX_TABLE_KEY, &key, px_buf_slice(&value));
        px_buf_fini(&value);
        put_rows(&rows);
}

/* RELIABILITY 4.2: seven days, and as long as the job's record. */
TEST(old_keys_whose_jobs_are_forgotten_are_given_up_and_others_are_not)
{
        struct retention retention;
        int64_t now_ms = RETENTION_EVERY_MS;
        struct px_arena arena = {0};
        struct px_m_retention command = {0};
        struct px_wire_header header;
        struct px_slice body;
        struct px_buf frame = {0};

        open_log();
        put_done(1, 2, 20);
        put_key(3, 1, 20); /* its job is remembered */
        put_key(3, 7, 20);
        put_key(4, 8, 6); /* young */
        put_key(4, 9, 7);
        retention_init(&retention, (uint64_t)(30 * DAY_MS), 1000, 0);
        EXPECT(!retention_piece(&retention, log_now, now_ms, NOW_MS, &frame));
        EXPECT(retention_piece(&retention, log_now, retention.due_ms, NOW_MS, &frame));
        EXPECT_INT(px_wire_get_header(px_buf_slice(&frame), &header, &body), 0);
        EXPECT_INT(px_m_retention_decode(body, &arena, &command), 0);
        EXPECT_INT(command.jobs_count, 0);
        EXPECT_INT(command.keys_count, 2);
        EXPECT_U64(px_get_be64(command.keys[0].data + 12), 7);
        EXPECT_U64(px_get_be64(command.keys[1].data + 12), 9);
        EXPECT_U64(retention.cursor, 0); /* the scan is over */
        px_arena_fini(&arena);
        px_buf_fini(&frame);
}

TEST(nothing_is_looked_at_before_its_time)
{
        struct retention retention;
        struct px_buf frame = {0};

        open_log();
        put_done(1, 5, 31);
        retention_init(&retention, (uint64_t)(30 * DAY_MS), 1000, 0);
        EXPECT(!retention_piece(&retention, log_now, RETENTION_EVERY_MS - 1, NOW_MS, &frame));
        EXPECT_U64(retention.cursor, 0);
}

TEST(a_long_table_is_walked_in_bounded_pieces)
{
        struct retention retention;
        int64_t now_ms = RETENTION_EVERY_MS;

        open_log();
        put_done(1, 3000, 1);
        put_done(3001, 700, 40);
        retention_init(&retention, (uint64_t)(30 * DAY_MS), 10000, 0);
        EXPECT_TEXT(scan(&retention, &now_ms), "3001-3700");
        EXPECT(now_ms > RETENTION_EVERY_MS + 5 * RETENTION_PIECE_MS);
}

TEST(the_oldest_jobs_above_the_count_go_in_the_next_scan)
{
        struct retention retention;
        int64_t now_ms = RETENTION_EVERY_MS;

        open_log();
        put_done(11, 120, 1);
        retention_init(&retention, (uint64_t)(30 * DAY_MS), 100, 0);
        EXPECT_TEXT(scan(&retention, &now_ms), "none");
        EXPECT_TEXT(scan(&retention, &now_ms), "11-30");
}

/* ---- assignments
 * ------------------------------------------------------------------------------------ */

static struct px_buf sent[8];
static uint64_t sent_to[8];
static size_t sent_count;

static void keep_sent(void *context, uint64_t peer, struct px_slice frame)
{
        (void)context;
        EXPECT(sent_count < PX_COUNT_OF(sent));
        sent_to[sent_count] = peer;
        px_buf_reset(&sent[sent_count]);
        px_buf_append_slice(&sent[sent_count++], frame);
}

static void free_assigns(void *context)
{
        assigns_free(context);
        for (size_t i = 0; i < PX_COUNT_OF(sent); i++)
                px_buf_fini(&sent[i]);
}

static struct assigns *some_assigns(void)
{
        struct assigns *assigns = assigns_new(keep_sent, NULL);

        sent_count = 0;
        test_cleanup(free_assigns, assigns);
        return assigns;
}

/* A spec of so many bytes in chunks, each byte the job's number. */
static void put_spec(uint64_t job, size_t bytes)
{
        struct px_buf rows = {0};
        uint8_t chunk[ROWS_VALUE_BYTES_MAX];

        memset(chunk, (int)job, sizeof(chunk));
        for (size_t i = 0; i * sizeof(chunk) < bytes; i++) {
                struct row_key key = row_key_u64(job);

                row_key_add_u16(&key, (uint16_t)i);
                rows_put(&rows, PX_TABLE_SPEC, &key,
                         px_slice_of(chunk, PX_MIN(sizeof(chunk), bytes - i * sizeof(chunk))));
        }
        put_rows(&rows);
}

static int add(struct assigns *assigns, uint64_t peer, uint64_t job)
{
        struct px_assign item = {
                .job = {job},
                .fence = {1, 1},
                .kind = PX_JOB_KIND_COMMAND,
                .on_lost = PX_ON_LOST_RERUN,
                .principal = px_slice_text("ana"),
        };

        return assigns_add(assigns, log_now, peer, 1, &item);
}

/* The jobs of a message that was sent, separated by blanks; each spec is checked. */
static const char *jobs_of(size_t message)
{
        static char text[256];
        struct px_arena arena = {0};
        struct px_m_assign assign;
        struct px_wire_header header;
        struct px_slice body;
        int length = 0;

        EXPECT_INT(px_wire_get_header(px_buf_slice(&sent[message]), &header, &body), 0);
        EXPECT_INT(px_m_assign_decode(body, &arena, &assign), 0);
        for (size_t i = 0; i < assign.items_count; i++) {
                uint64_t job = assign.items[i].job.value;
                struct px_slice spec = assign.items[i].spec;

                EXPECT_INT(spec.data[0], job);
                EXPECT_INT(spec.data[spec.length - 1], job);
                length += snprintf(text + length, sizeof(text) - (size_t)length, "%s%" PRIu64,
                                   i == 0 ? "" : " ", job);
        }
        px_arena_fini(&arena);
        return text;
}

TEST(assignments_of_a_peer_share_a_message_and_those_of_two_do_not)
{
        struct assigns *assigns = some_assigns();

        open_log();
        for (uint64_t job = 1; job <= 4; job++)
                put_spec(job, 100);
        EXPECT_INT(add(assigns, 7, 1), PX_OK);
        EXPECT_INT(add(assigns, 8, 2), PX_OK);
        EXPECT_INT(add(assigns, 7, 3), PX_OK);
        EXPECT_U64(sent_count, 0);
        assigns_flush_peer(assigns, 8);
        EXPECT_U64(sent_count, 1);
        EXPECT_U64(sent_to[0], 8);
        EXPECT_TEXT(jobs_of(0), "2");
        assigns_flush(assigns);
        EXPECT_U64(sent_count, 2);
        EXPECT_TEXT(jobs_of(1), "1 3");
}

TEST(a_message_of_assignments_stays_within_a_mebibyte)
{
        struct assigns *assigns = some_assigns();

        open_log();
        for (uint64_t job = 1; job <= 4; job++)
                put_spec(job, 400000);
        for (uint64_t job = 1; job <= 4; job++)
                EXPECT_INT(add(assigns, 7, job), PX_OK);
        assigns_flush(assigns);
        EXPECT_U64(sent_count, 2);
        EXPECT_TEXT(jobs_of(0), "1 2");
        EXPECT_TEXT(jobs_of(1), "3 4");
        EXPECT(sent[0].length <= ASSIGNS_BYTES_MAX);
}

TEST(a_job_without_specification_is_left_out)
{
        struct assigns *assigns = some_assigns();

        open_log();
        put_spec(1, 100);
        EXPECT_INT(add(assigns, 7, 2), PX_E_ABSENT);
        EXPECT_INT(add(assigns, 7, 1), PX_OK);
        assigns_flush(assigns);
        EXPECT_TEXT(jobs_of(0), "1");
}

/* ---- the record of inputs
 * ------------------------------------------------------------------------------ */

static const struct core_options recorded_options = {.epoch = 9,
                                                     .heartbeat_ms = 1,
                                                     .lease_ms = 2,
                                                     .session_ms = 3,
                                                     .assign_repeat_ms = 4,
                                                     .jobs_max = 5,
                                                     .prefetch_tasks = 6};

/* A record of one of each kind. */
static void write_record(const char *dir)
{
        struct core_fact fact = {.table = PX_TABLE_DONE,
                                 .key = px_slice_text("k"),
                                 .found = true,
                                 .value = px_slice_text("value")};
        struct core_command command = {.origin = CORE_FROM_CLIENT,
                                       .peer = 11,
                                       .principal = {12},
                                       .header = {.type = 13, .count = 1, .correlation = 14},
                                       .body = px_slice_text("body"),
                                       .facts = &fact,
                                       .facts_count = 1};
        struct core_batch batch = {.epoch = 9,
                                   .index = 15,
                                   .core_ms = 16,
                                   .wall_ms = -17,
                                   .seed = 18,
                                   .commands = &command,
                                   .commands_count = 1};
        struct core_output output = {.effects_count = 3};
        struct record *record = NULL;

        px_buf_append_text(&output.rows, "rows");
        px_buf_append_text(&output.events, "events");
        EXPECT_INT(record_open(dir, &recorded_options, &record), 0);
        record_row(record, PX_TABLE_JOB, px_slice_text("key"), px_slice_text("row"));
        record_loaded(record, 19);
        record_ports(record, 20, 21, 22);
        record_batch(record, &batch);
        record_output(record, &output);
        record_close(record);
        px_buf_fini(&output.rows);
        px_buf_fini(&output.events);
}

static struct px_buf record_bytes;
static struct px_arena record_arena;

static void free_record(void *context)
{
        (void)context;
        px_buf_fini(&record_bytes);
        px_arena_fini(&record_arena);
}

static struct px_slice read_record(void)
{
        const char *dir = test_temp_dir();
        char path[PATH_MAX];

        test_cleanup(free_record, NULL);
        write_record(dir);
        snprintf(path, sizeof(path), "%s/inputs-9", dir);
        EXPECT(test_read_file(path, &record_bytes));
        return px_buf_slice(&record_bytes);
}

TEST(what_is_recorded_is_read_back)
{
        struct px_slice file = read_record();
        struct record_entry entry;
        size_t offset = 0;

        EXPECT(record_next(file, &offset, &record_arena, &entry));
        EXPECT(memcmp(&entry.options, &recorded_options, sizeof(recorded_options)) == 0);
        EXPECT(record_next(file, &offset, &record_arena, &entry));
        EXPECT_INT(entry.table, PX_TABLE_JOB);
        EXPECT_BYTES(entry.key, px_slice_text("key"));
        EXPECT_BYTES(entry.value, px_slice_text("row"));
        EXPECT(record_next(file, &offset, &record_arena, &entry));
        EXPECT_INT(entry.wall_ms, 19);
        EXPECT(record_next(file, &offset, &record_arena, &entry));
        EXPECT_U64(entry.ports[2], 22);
        EXPECT(record_next(file, &offset, &record_arena, &entry));
        EXPECT_INT(entry.batch.wall_ms, -17);
        EXPECT_U64(entry.batch.commands[0].header.correlation, 14);
        EXPECT_BYTES(entry.batch.commands[0].body, px_slice_text("body"));
        EXPECT_BYTES(entry.batch.commands[0].facts[0].value, px_slice_text("value"));
        EXPECT(record_next(file, &offset, &record_arena, &entry));
        EXPECT_BYTES(entry.rows, px_slice_text("rows"));
        EXPECT_BYTES(entry.events, px_slice_text("events"));
        EXPECT_U64(entry.effects_count, 3);
        EXPECT(!record_next(file, &offset, &record_arena, &entry));
        EXPECT_U64(offset, file.length);
}

TEST(a_record_cut_or_changed_anywhere_ends_there)
{
        struct px_slice file = read_record();

        for (size_t cut = 0; cut < file.length; cut++) {
                uint8_t *copy = px_alloc(file.length);
                struct record_entry entry;
                size_t offset = 0;
                size_t count = 0;

                memcpy(copy, file.data, file.length);
                while (record_next(px_slice_of(copy, cut), &offset, &record_arena, &entry))
                        count++;
                EXPECT(count < 6);
                copy[cut] ^= 0x40;
                offset = 0;
                count = 0;
                while (record_next(px_slice_of(copy, file.length), &offset, &record_arena, &entry))
                        count++;
                EXPECT(count < 6);
                px_free(copy);
        }
}
