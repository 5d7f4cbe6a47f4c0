/* SPDX-License-Identifier: Apache-2.0 */
/* test_core_submit.c - what SUBMIT accepts and refuses; keys; batches. */
#include "core_driver.h"
#include "environment.h"
#include "test.h"

static int refused(struct client *client, struct px_submit_job wish)
{
        int code;

        EXPECT_U64(client_submit(client, wish, &code), 0);
        return code;
}

static struct px_submit_job with_spec(struct px_submit_job wish, const struct px_spec *spec,
                                      struct px_buf *buf)
{
        px_buf_reset(buf);
        px_spec_encode(spec, buf);
        wish.spec = px_buf_slice(buf);
        return wish;
}

TEST(a_submission_that_makes_no_sense_is_refused_with_its_reason)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish;

        wish = driver_true(driver);
        wish.priority = 1001;
        EXPECT_INT(refused(&ana, wish), PX_E_LIMIT);
        wish.priority = -1001;
        EXPECT_INT(refused(&ana, wish), PX_E_LIMIT);
        wish = driver_true(driver);
        wish.cpus_milli = 0;
        EXPECT_INT(refused(&ana, wish), PX_E_INVALID);
        wish = driver_true(driver);
        wish.kind = 0;
        EXPECT_INT(refused(&ana, wish), PX_E_INVALID);
        wish = driver_true(driver);
        wish.on_lost = 0;
        EXPECT_INT(refused(&ana, wish), PX_E_INVALID);
        wish = driver_true(driver);
        wish.task_type = px_slice_text("resize");
        EXPECT_INT(refused(&ana, wish), PX_E_INVALID);
        wish = driver_true(driver);
        wish.start_wall_ms = -1;
        EXPECT_INT(refused(&ana, wish), PX_E_INVALID);
        wish = driver_true(driver);
        wish.node = px_slice_text("no such name");
        EXPECT_INT(refused(&ana, wish), PX_E_INVALID);
        wish = driver_true(driver);
        wish.backoff_ms = UINT64_MAX;
        EXPECT_INT(refused(&ana, wish), PX_E_LIMIT);
        wish = driver_true(driver);
        wish.spec = px_slice_text("\xc1 not msgpack");
        EXPECT_INT(refused(&ana, wish), PX_E_PROTO);
        wish = driver_task(driver, "");
        EXPECT_INT(refused(&ana, wish), PX_E_INVALID);
        wish = driver_task(driver, "resize");
        wish.spec = driver_true(driver).spec;
        EXPECT_INT(refused(&ana, wish), PX_E_INVALID);
        wish = driver_true(driver);
        wish.spec = driver_task(driver, "resize").spec;
        EXPECT_INT(refused(&ana, wish), PX_E_INVALID);
        EXPECT_U64(core_jobs_count(driver_core(driver)), 0);
}

TEST(only_an_administrator_may_ask_for_the_root_account)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct client root = driver_client(driver, ROOT);
        struct px_slice argv[] = {px_slice_text("/bin/true")};
        struct px_spec spec = {.argv = argv, .argv_count = 1, .as_root = true};
        struct px_buf buf = {0};

        EXPECT_INT(refused(&ana, with_spec(driver_true(driver), &spec, &buf)), PX_E_DENIED);
        EXPECT_U64(client_submit(&root, with_spec(driver_true(driver), &spec, &buf), NULL), 1);
        px_buf_fini(&buf);
}

TEST(name_and_labels_share_one_row)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        char text[PX_LIMIT_LABEL_BYTES];
        struct px_label labels[PX_LIMIT_LABEL_ITEMS];

        memset(text, 'l', sizeof(text));
        for (size_t i = 0; i < PX_COUNT_OF(labels); i++)
                labels[i] = (struct px_label){px_slice_of(text, sizeof(text)),
                                              px_slice_of(text, sizeof(text))};
        wish.labels = labels;
        wish.labels_count = 7;
        EXPECT_U64(client_submit(&ana, wish, NULL), 1);
        wish.labels_count = PX_COUNT_OF(labels);
        EXPECT_INT(refused(&ana, wish), PX_E_LIMIT);
}

TEST(a_long_specification_is_cut_into_rows)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        static uint8_t input[300000];
        struct px_slice argv[] = {px_slice_text("/bin/cat")};
        struct px_spec spec = {.argv = argv,
                               .argv_count = 1,
                               .has_stdin = true,
                               .input = px_slice_of(input, sizeof(input))};
        struct px_buf buf = {0}, joined = {0};
        struct px_submit_job wish = with_spec(driver_true(driver), &spec, &buf);
        uint64_t job = client_submit(&ana, wish, NULL);
        uint32_t chunks = driver_job(driver, job).spec_chunks;

        EXPECT_INT(chunks, driver_rows_count(driver, PX_TABLE_SPEC));
        for (uint32_t i = 0; i < chunks; i++) {
                struct row_key key = row_key_u64(job);
                struct px_slice value;

                row_key_add_u16(&key, (uint16_t)i);
                EXPECT(driver_row(driver, PX_TABLE_SPEC, &key, &value));
                px_buf_append_slice(&joined, value);
        }
        EXPECT_BYTES(px_buf_slice(&joined), wish.spec);
        px_buf_fini(&buf);
        px_buf_fini(&joined);
}

TEST(a_batch_is_answered_by_runs)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job jobs[6];
        struct px_m_submitted submitted;

        for (size_t i = 0; i < 6; i++)
                jobs[i] = driver_true(driver);
        jobs[2].priority = 5000;
        jobs[3].priority = 5000;
        jobs[4].cpus_milli = 0;
        driver_say(driver, CORE_FROM_CLIENT, ana.peer, ANA, client_submit_frame(&ana, jobs, 6));
        EXPECT(DRIVER_READ(driver, ana.peer, SUBMITTED, submitted, &submitted));
        EXPECT_INT(submitted.runs_count, 4);
        EXPECT_U64(submitted.runs[0].job.value, 1);
        EXPECT_INT(submitted.runs[0].count, 2);
        EXPECT_INT(submitted.runs[1].code, PX_E_LIMIT);
        EXPECT_INT(submitted.runs[1].count, 2);
        EXPECT_U64(submitted.runs[1].job.value, 0);
        EXPECT_INT(submitted.runs[2].code, PX_E_INVALID);
        EXPECT_U64(submitted.runs[3].job.value, 3);
}

TEST(a_key_gives_the_same_job_again_and_refuses_other_content)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct client bob = driver_client(driver, BOB);
        struct px_submit_job wish = driver_true(driver);
        uint64_t job;
        int code;

        wish.key = px_slice_text("nightly");
        job = client_submit(&ana, wish, NULL);
        EXPECT_U64(client_submit(&ana, wish, NULL), job);
        wish.priority = 7;
        EXPECT_U64(client_submit(&ana, wish, &code), 0);
        EXPECT_INT(code, PX_E_KEY_CONFLICT);
        EXPECT(client_submit(&bob, wish, NULL) != job); /* keys are per user */
        wish.priority = 0;
        player_result(&n1, job, PX_OUTCOME_OK, 0);
        EXPECT_U64(client_submit(&ana, wish, NULL), job); /* also when it has ended */
        EXPECT_INT(client_change(&ana, PX_CHANGE_PURGE, job, (struct change_args){0}), 0);
        EXPECT_U64(client_submit(&ana, wish, NULL), job); /* and when it is forgotten */
}

TEST(one_key_twice_in_one_batch_is_one_job)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct client again = driver_client(driver, ANA);
        struct px_submit_job jobs[3];
        struct px_m_submitted first, second;

        for (size_t i = 0; i < 3; i++) {
                jobs[i] = driver_true(driver);
                jobs[i].key = px_slice_text("once");
        }
        jobs[2].priority = 1;
        driver_batch(driver);
        driver_say(driver, CORE_FROM_CLIENT, ana.peer, ANA, client_submit_frame(&ana, jobs, 3));
        driver_say(driver, CORE_FROM_CLIENT, again.peer, ANA,
                   client_submit_frame(&again, jobs, 1));
        driver_go(driver);
        EXPECT(DRIVER_READ(driver, ana.peer, SUBMITTED, submitted, &first));
        EXPECT(DRIVER_READ(driver, again.peer, SUBMITTED, submitted, &second));
        EXPECT_INT(first.runs_count, 3);
        EXPECT_U64(first.runs[0].job.value, 1);
        EXPECT_U64(first.runs[1].job.value, 1);
        EXPECT_INT(first.runs[2].code, PX_E_KEY_CONFLICT);
        EXPECT_U64(second.runs[0].job.value, 1);
        EXPECT_U64(core_jobs_count(driver_core(driver)), 1);
}

TEST(full_storage_refuses_submits_and_lets_cancels_through)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        uint64_t job = client_submit(&ana, driver_true(driver), NULL);
        struct px_m_refused answer;
        struct px_submit_job wish = driver_true(driver);
        int code;

        driver_storage(driver, true);
        EXPECT_U64(client_submit(&ana, wish, &code), 0);
        EXPECT_INT(code, PX_E_STORAGE_FULL);
        EXPECT(DRIVER_READ(driver, ana.peer, REFUSED, refused, &answer));
        EXPECT(answer.retry_after_ms > 0);
        EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, job, (struct change_args){0}), 0);
        EXPECT_INT(client_change(&ana, PX_CHANGE_RETRY, job, (struct change_args){0}),
                   PX_E_STORAGE_FULL);
        driver_storage(driver, false);
        EXPECT_U64(client_submit(&ana, wish, NULL), 2);
}

TEST(active_jobs_are_limited)
{
        struct driver *driver = driver_start((struct driver_options){.jobs_max = 2});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        uint64_t first = client_submit(&ana, driver_true(driver), NULL);

        (void)client_submit(&ana, driver_true(driver), NULL);
        EXPECT_INT(refused(&ana, driver_true(driver)), PX_E_LIMIT);
        player_result(&n1, first, PX_OUTCOME_FAILED, 1);
        EXPECT_U64(client_submit(&ana, driver_true(driver), NULL), 3);
        EXPECT_INT(client_change(&ana, PX_CHANGE_RETRY, first, (struct change_args){0}),
                   PX_E_LIMIT);
}

TEST(a_malformed_message_is_refused_and_changes_nothing)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        struct px_slice frame = client_submit_frame(&ana, &wish, 1);

        for (size_t length = PX_WIRE_HEADER_BYTES; length < frame.length; length++) {
                driver_say(driver, CORE_FROM_CLIENT, ana.peer, ANA,
                           px_slice_of(frame.data, length));
                EXPECT_INT(driver_refused(driver, ana.peer), PX_E_PROTO);
        }
        EXPECT_U64(core_jobs_count(driver_core(driver)), 0);
}

TEST(a_message_for_another_socket_is_refused)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client root = driver_client(driver, ROOT);
        struct px_buf frame = {0};
        struct px_m_storage storage = {.full = true};

        px_m_storage_frame(&storage, 1, 0, &frame);
        driver_say(driver, CORE_FROM_CLIENT, root.peer, ROOT, px_buf_slice(&frame));
        EXPECT_INT(driver_refused(driver, root.peer), PX_E_PROTO);
        driver_say(driver, CORE_FROM_NODE, n1.peer, KEY1, px_buf_slice(&frame));
        EXPECT_INT(driver_refused(driver, n1.peer), PX_E_PROTO);
        EXPECT_U64(client_submit(&root, driver_true(driver), NULL), 1);
        px_buf_fini(&frame);
}

/* ---- files --------------------------------------------------------------------------------------------------- */

static const uint8_t file_hash[32] = {1, 2, 3};

static struct px_submit_job with_blob(struct driver *driver, uint64_t bytes, struct px_buf *buf)
{
        struct px_slice argv[] = {px_slice_text("/bin/cat")};
        struct px_spec spec = {.argv = argv,
                               .argv_count = 1,
                               .has_stdin = true,
                               .blob = px_slice_of(file_hash, sizeof(file_hash)),
                               .blob_bytes = bytes};
        struct px_submit_job wish = with_spec(driver_true(driver), &spec, buf);

        wish.blob = spec.blob;
        return wish;
}

TEST(a_job_whose_file_is_not_here_is_refused)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct px_buf buf = {0};
        struct px_submit_job wish = with_blob(driver, 1000000, &buf);

        EXPECT_INT(refused(&ana, wish), PX_E_ABSENT);
        driver_blob(driver, BOB, file_hash, 1000000); /* another's */
        EXPECT_INT(refused(&ana, wish), PX_E_ABSENT);
        driver_blob(driver, ANA, file_hash, 999999);
        EXPECT_INT(refused(&ana, wish), PX_E_INVALID);
        driver_blob(driver, ANA, file_hash, 1000000);
        wish.blob = PX_SLICE_NONE;
        EXPECT_INT(refused(&ana, wish), PX_E_INVALID);
        px_buf_reset(&buf);
        EXPECT_INT(refused(&ana, with_blob(driver, PX_LIMIT_STDIN_BYTES + 1, &buf)), PX_E_LIMIT);
        px_buf_reset(&buf);
        wish = driver_task(driver, "resize");
        wish.blob = px_slice_of(file_hash, sizeof(file_hash));
        EXPECT_INT(refused(&ana, wish), PX_E_INVALID);
        EXPECT_U64(driver_rows_count(driver, PX_TABLE_BLOB_USE), 0);
        px_buf_fini(&buf);
}

TEST(a_file_is_kept_until_the_last_job_that_uses_it_is_purged)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct px_buf buf = {0};
        struct px_submit_job wish = with_blob(driver, 1000000, &buf);
        uint64_t first, second;

        driver_blob(driver, ANA, file_hash, 1000000);
        first = client_submit(&ana, wish, NULL);
        second = client_submit(&ana, wish, NULL);
        EXPECT_U64(driver_rows_count(driver, PX_TABLE_BLOB_USE), 2);
        EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, first, (struct change_args){0}), 0);
        EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, second, (struct change_args){0}), 0);
        EXPECT_INT(client_change(&ana, PX_CHANGE_PURGE, first, (struct change_args){0}), 0);
        EXPECT_U64(driver_rows_count(driver, PX_TABLE_BLOB_USE), 1);
        driver_restart(driver, 100);
        client_hello(&ana);
        EXPECT_INT(client_change(&ana, PX_CHANGE_RETRY, second, (struct change_args){0}), 0);
        EXPECT(px_slice_equal(driver_job(driver, second).blob, wish.blob));
        EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, second, (struct change_args){0}), 0);
        EXPECT_INT(client_change(&ana, PX_CHANGE_PURGE, second, (struct change_args){0}), 0);
        EXPECT_U64(driver_rows_count(driver, PX_TABLE_BLOB_USE), 0);
        px_buf_fini(&buf);
}

/* ---- shapes ------------------------------------------------------------------------------------------------ */

#define SHAPES_KEPT 1024 /* that no job needs */

TEST(a_shape_is_forgotten_when_no_active_job_needs_it)
{
        struct row_key first = row_key_u32(1);
        struct row_key last = row_key_u32(2 * SHAPES_KEPT);
        struct px_slice value;
        struct driver *driver = driver_start((struct driver_options){.few_checks = true});
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);

        for (uint32_t i = 0; i < 2 * SHAPES_KEPT; i++) {
                wish.cpus_milli = 1000 + i;
                EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, client_submit(&ana, wish, NULL),
                                         (struct change_args){0}),
                           0);
        }
        EXPECT_U64(driver_rows_count(driver, PX_TABLE_SHAPE), SHAPES_KEPT);
        core_check(driver_core(driver));
        /* The oldest went. */
        EXPECT(driver_row(driver, PX_TABLE_SHAPE, &last, &value));
        EXPECT(!driver_row(driver, PX_TABLE_SHAPE, &first, &value));
        driver_restart(driver, 100);
        EXPECT_U64(driver_rows_count(driver, PX_TABLE_SHAPE), SHAPES_KEPT);
}

TEST(an_ended_job_whose_shape_was_forgotten_runs_again_as_it_asked)
{
        struct driver *driver = driver_start((struct driver_options){.few_checks = true});
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        struct player n1;
        uint64_t job;

        wish.cpus_milli = 1500;
        wish.memory_bytes = 77;
        job = client_submit(&ana, wish, NULL);
        EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, job, (struct change_args){0}), 0);
        for (uint32_t i = 0; i <= SHAPES_KEPT; i++) {
                wish.cpus_milli = 2000 + i;
                EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, client_submit(&ana, wish, NULL),
                                         (struct change_args){0}),
                           0);
        }
        EXPECT_U64(driver_job(driver, job).shape, 0);
        EXPECT(driver_job(driver, job).request.length > 0);
        EXPECT_INT(client_change(&ana, PX_CHANGE_RETRY, job, (struct change_args){0}), 0);
        EXPECT(driver_job(driver, job).shape > SHAPES_KEPT);
        EXPECT_U64(driver_job(driver, job).request.length, 0);
        core_check(driver_core(driver));
        n1 = driver_node(driver, KEY1, "n1");
        EXPECT_U64(player_assigned(&n1, job), 1);
        EXPECT_U64(driver_effect(driver, CORE_EFFECT_ASSIGN)->assign.item.cpus_milli, 1500);
        EXPECT_U64(driver_effect(driver, CORE_EFFECT_ASSIGN)->assign.item.memory_bytes, 77);
}

TEST(a_shape_that_an_active_job_needs_stays)
{
        struct driver *driver = driver_start((struct driver_options){.few_checks = true});
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        uint64_t waits;

        wish.cpus_milli = 1500;
        waits = client_submit(&ana, wish, NULL);
        for (uint32_t i = 0; i <= SHAPES_KEPT; i++) {
                wish.cpus_milli = 2000 + i;
                EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, client_submit(&ana, wish, NULL),
                                         (struct change_args){0}),
                           0);
        }
        EXPECT_U64(driver_rows_count(driver, PX_TABLE_SHAPE), SHAPES_KEPT + 1);
        EXPECT_U64(driver_job(driver, waits).shape, 1);
        driver_restart(driver, 100);
        EXPECT_TEXT(driver_state(driver, waits), "queued");
        core_check(driver_core(driver));
}

/* ---- environments ---------------------------------------------------------------------------------------------- */

static struct px_submit_job with_environment(struct driver *driver, size_t bytes, struct px_buf *buf)
{
        static char value[6000];
        struct px_slice argv[] = {px_slice_text("/bin/env"), px_slice_text("-0")};
        struct px_variable env[] = {{px_slice_text("A"), px_slice_text("b")},
                                    {px_slice_text("PATH"), px_slice_of(value, bytes)}};
        struct px_spec spec = {
                .argv = argv, .argv_count = 2, .env = env, .env_count = 2, .umask = 77};

        memset(value, 'p', sizeof(value));
        return with_spec(driver_true(driver), &spec, buf);
}

/* The specification as a node would get it. */
static bool stored_spec_is(struct driver *driver, uint64_t job, struct px_slice spec)
{
        struct px_buf stored = {0}, environment = {0}, joined = {0};
        struct px_slice value;
        struct row_key prefix;
        bool same;

        for (uint16_t i = 0; i < driver_job(driver, job).spec_chunks; i++) {
                struct row_key key = row_key_u64(job);

                row_key_add_u16(&key, i);
                EXPECT(driver_row(driver, PX_TABLE_SPEC, &key, &value));
                px_buf_append_slice(&stored, value);
        }
        EXPECT(environment_named(px_buf_slice(&stored), &prefix));
        for (uint16_t i = 0;; i++) {
                struct row_key key = prefix;

                row_key_add_u16(&key, i);
                if (!driver_row(driver, PX_TABLE_ENVIRONMENT_DATA, &key, &value))
                        break;
                px_buf_append_slice(&environment, value);
        }
        EXPECT(environment_join(px_buf_slice(&stored), px_buf_slice(&environment), &joined));
        same = px_slice_equal(px_buf_slice(&joined), spec);
        px_buf_fini(&stored);
        px_buf_fini(&environment);
        px_buf_fini(&joined);
        return same;
}

/* DESIGN 4: equal environments are stored once. */
TEST(equal_environments_of_one_owner_are_stored_once_until_the_last_job_goes)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct client bob = driver_client(driver, BOB);
        struct px_buf buf = {0}, other = {0}, small = {0};
        struct px_submit_job wish = with_environment(driver, 4096, &buf);
        struct px_submit_job another = with_environment(driver, 5000, &other);
        struct px_submit_job jobs[] = {wish, wish, another, wish};
        uint64_t job = client_submit(&ana, wish, NULL);
        size_t chunks = driver_rows_count(driver, PX_TABLE_ENVIRONMENT_DATA);

        EXPECT_U64(driver_rows_count(driver, PX_TABLE_ENVIRONMENT), 1);
        EXPECT_INT(chunks, 3);
        EXPECT_INT(driver_job(driver, job).spec_chunks, 1);
        EXPECT(stored_spec_is(driver, job, wish.spec));
        driver_say(driver, CORE_FROM_CLIENT, ana.peer, ANA, client_submit_frame(&ana, jobs, 4));
        EXPECT_U64(driver_rows_count(driver, PX_TABLE_ENVIRONMENT), 2);
        EXPECT(stored_spec_is(driver, job + 3, another.spec));
        EXPECT(stored_spec_is(driver, job + 4, wish.spec));
        EXPECT(client_submit(&bob, wish, NULL) > 0); /* has one of his own */
        EXPECT_U64(driver_rows_count(driver, PX_TABLE_ENVIRONMENT), 3);
        EXPECT(client_submit(&ana, with_environment(driver, 10, &small), NULL) > 0); /* too small */
        EXPECT_U64(driver_rows_count(driver, PX_TABLE_ENVIRONMENT), 3);
        driver_restart(driver, 100);
        client_hello(&ana);
        for (uint64_t id = job; id <= job + 4; id++) {
                EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, id, (struct change_args){0}), 0);
                EXPECT_U64(driver_rows_count(driver, PX_TABLE_ENVIRONMENT), id <= job + 3 ? 3 : 2);
                EXPECT_INT(client_change(&ana, PX_CHANGE_PURGE, id, (struct change_args){0}), 0);
        }
        EXPECT_U64(driver_rows_count(driver, PX_TABLE_ENVIRONMENT), 1); /* bob's */
        EXPECT_U64(driver_rows_count(driver, PX_TABLE_ENVIRONMENT_DATA), chunks);
        px_buf_fini(&buf);
        px_buf_fini(&other);
        px_buf_fini(&small);
}
