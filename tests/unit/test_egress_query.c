/* SPDX-License-Identifier: Apache-2.0 */
/* test_egress_query.c - LIST, SHOW, LOG_AT: pages, filters, and who sees what. */
#include <poll.h>
#include <stdio.h>

#include "egress_rig.h"

static struct px_m_jobs list(struct rig_peer *client, const struct px_m_list *query)
{
        struct px_buf frame = {0};
        struct px_m_jobs jobs;

        px_m_list_frame(query, 5, 0, &frame);
        rig_send(client, &frame, PX_SLICE_NONE);
        px_buf_fini(&frame);
        EXPECT_INT(px_m_jobs_decode(rig_expect(client, PX_M_JOBS)->body, rig_arena(), &jobs),
                   PX_WIRE_OK);
        return jobs;
}

/* The ids of all pages. */
static const char *ids(struct rig_peer *client, struct px_m_list query)
{
        static char text[1000];
        size_t at = 0;
        struct px_m_jobs jobs;

        text[0] = '\0';
        do {
                jobs = list(client, &query);
                for (size_t i = 0; i < jobs.jobs_count; i++)
                        at += (size_t)snprintf(text + at, sizeof text - at, "%d ",
                                               (int)jobs.jobs[i].job.value);
                query.cursor = jobs.cursor;
        } while (jobs.cursor != 0);
        return text;
}

static void some_jobs(void)
{
        for (uint64_t job = 1; job <= 8; job++)
                rig_job(job, job % 3 == 0 ? RIG_OTHER : RIG_USER,
                        job <= 4 ? PX_JOB_STATE_OK : PX_JOB_STATE_QUEUED, 0);
}

static int refusal(struct rig_peer *client)
{
        struct px_m_refused refused;

        EXPECT_INT(px_m_refused_decode(rig_expect(client, PX_M_REFUSED)->body, rig_arena(),
                                       &refused),
                   PX_WIRE_OK);
        return refused.code;
}

TEST(pages_join_to_the_whole_list_in_either_order)
{
        struct rig_peer *admin;

        rig_start();
        admin = rig_connect(RIG_ADMIN);
        some_jobs();
        for (uint32_t count = 0; count < 10; count++) {
                struct px_m_list query = {.active = true, .done = true, .count = count};

                EXPECT_TEXT(ids(admin, query), "1 2 3 4 5 6 7 8 ");
                query.newest_first = true;
                EXPECT_TEXT(ids(admin, query), "8 7 6 5 4 3 2 1 ");
        }
        EXPECT_TEXT(ids(admin, (struct px_m_list){.active = true}), "5 6 7 8 ");
        EXPECT_TEXT(ids(admin, (struct px_m_list){.done = true}), "1 2 3 4 ");
}

TEST(a_user_lists_his_own_jobs_and_never_those_of_others)
{
        struct rig_peer *user;
        struct rig_peer *other;
        struct px_m_list all = {.active = true, .done = true, .count = 2};

        rig_start();
        user = rig_connect(RIG_USER);
        other = rig_connect(RIG_OTHER);
        some_jobs();
        EXPECT_TEXT(ids(user, all), "1 2 4 5 7 8 ");
        EXPECT_TEXT(ids(other, all), "3 6 ");
        all.newest_first = true;
        EXPECT_TEXT(ids(other, all), "6 3 ");
}

TEST(filters_choose_by_state_name_range_and_step)
{
        struct rig_peer *admin;
        struct px_m_list query = {.active = true, .done = true};

        rig_start();
        admin = rig_connect(RIG_ADMIN);
        some_jobs();
        rig_named_job(9, RIG_USER, PX_JOB_STATE_QUEUED, "train-model");
        query.filter.states = 1u << PX_JOB_STATE_OK;
        EXPECT_TEXT(ids(admin, query), "1 2 3 4 ");
        query.filter = (struct px_filter){.first = {3}, .last = {7}, .step = 2};
        EXPECT_TEXT(ids(admin, query), "3 5 7 ");
        query.filter = (struct px_filter){.name = px_slice_text("train-model")};
        EXPECT_TEXT(ids(admin, query), "9 ");
        query.filter = (struct px_filter){.name = px_slice_text("mod"), .name_part = true};
        EXPECT_TEXT(ids(admin, query), "9 ");
        query.filter = (struct px_filter){.name = px_slice_text("train")};
        EXPECT_TEXT(ids(admin, query), "");
        query.filter = (struct px_filter){.since_wall_ms = 7000};
        EXPECT_TEXT(ids(admin, query), "7 8 9 ");
}

TEST(me_is_whoever_asks_and_no_choice_is_both_active_and_ended)
{
        struct px_m_list mine = {.filter = {.owner = px_slice_text("me")}};
        struct rig_peer *admin;
        struct rig_peer *other;

        rig_start();
        admin = rig_connect(RIG_ADMIN);
        other = rig_connect(RIG_OTHER);
        some_jobs();
        rig_job(9, RIG_ADMIN, PX_JOB_STATE_OK, 0);
        EXPECT_TEXT(ids(other, mine), "3 6 ");
        EXPECT_TEXT(ids(admin, mine), "9 ");
        EXPECT_TEXT(ids(admin, (struct px_m_list){.newest_first = true}), "9 8 7 6 5 4 3 2 1 ");
        mine.filter.owner = px_slice_text("p3");
        EXPECT_TEXT(ids(other, mine), "3 6 ");
        mine.filter.owner = px_slice_text("p2");
        EXPECT_TEXT(ids(other, mine), "");
}

static void show(struct rig_peer *client, uint64_t job)
{
        struct px_m_show query = {.job = {job}};
        struct px_buf frame = {0};

        px_m_show_frame(&query, 6, 0, &frame);
        rig_send(client, &frame, PX_SLICE_NONE);
        px_buf_fini(&frame);
}

TEST(show_gives_a_job_with_its_attempts)
{
        struct rig_peer *user;
        struct px_m_job job;

        rig_start();
        user = rig_connect(RIG_USER);
        rig_job(1, RIG_USER, PX_JOB_STATE_OK, 2);
        rig_attempt(1, 1, PX_OUTCOME_FAILED, 10, 0);
        rig_attempt(1, 2, PX_OUTCOME_OK, 20, 0);
        show(user, 1);
        EXPECT_INT(px_m_job_decode(rig_expect(user, PX_M_JOB)->body, rig_arena(), &job),
                   PX_WIRE_OK);
        EXPECT_INT(job.attempts_count, 2);
        EXPECT_INT(job.attempts[0].outcome, PX_OUTCOME_FAILED);
        EXPECT_INT(job.attempts[1].attempt, 2);
        EXPECT_U64(job.out_bytes, 20);
        EXPECT_BYTES(job.view.node, px_slice_text("alpha"));
        EXPECT_BYTES(job.view.owner, px_slice_text("p2"));
}

static struct px_job_view shown(struct rig_peer *client, uint64_t number)
{
        struct px_m_job job;

        show(client, number);
        EXPECT_INT(px_m_job_decode(rig_expect(client, PX_M_JOB)->body, rig_arena(), &job),
                   PX_WIRE_OK);
        return job.view;
}

static const struct px_attempt_row failed = {.node_name = {(const uint8_t *)"alpha", 5},
                                             .outcome = PX_OUTCOME_FAILED,
                                             .reason = PX_REASON_EXIT,
                                             .exit_code = 3,
                                             .text = {(const uint8_t *)"its words", 9},
                                             .progress_permille = 600};

TEST(what_an_attempt_said_is_told_while_the_job_stands_where_it_left_it)
{
        struct px_attempt_row attempt = failed;
        struct px_job_row row = rig_job_row(1, RIG_USER, PX_JOB_STATE_QUEUED, 1);
        struct rig_peer *user;
        struct px_job_view view;

        rig_start();
        user = rig_connect(RIG_USER);
        attempt.fence = rig_fence(1);
        row.reason = PX_REASON_EXIT; /* requeued for its next attempt */
        rig_store(1, &row, &attempt);
        view = shown(user, 1);
        EXPECT_BYTES(view.text, px_slice_text("exit 3 on alpha: its words"));
        EXPECT_INT(view.exit_code, -1);
        EXPECT_INT(view.progress_permille, -1);
        row.state = PX_JOB_STATE_FAILED;
        row.exit_code = 3;
        rig_store(1, &row, NULL);
        view = shown(user, 1);
        EXPECT_BYTES(view.text, px_slice_text("exit 3 on alpha: its words"));
        EXPECT_INT(view.progress_permille, 600);
        row.state = PX_JOB_STATE_CANCELLED; /* while it waited */
        row.reason = PX_REASON_CANCELLED;
        row.exit_code = -1;
        rig_store(1, &row, NULL);
        EXPECT_BYTES(shown(user, 1).text, px_slice_text("cancelled"));
}

static void say_progress(struct rig_peer *node, uint64_t job, int32_t permille, const char *text)
{
        struct px_progress item = {.job = {job},
                                   .fence = rig_fence(1),
                                   .permille = permille,
                                   .text = px_slice_text(text)};
        struct px_m_progress message = {.items = &item, .items_count = 1};
        struct px_buf frame = {0};

        px_m_progress_frame(&message, 0, 0, &frame);
        rig_send(node, &frame, PX_SLICE_NONE);
        px_buf_fini(&frame);
        rig_expect_silence(node);
}

/* What the core is given to store; the first is given at once. */
static struct px_m_progress_keep kept(struct px_buf *frame)
{
        struct px_m_progress_keep keep = {0};
        struct px_wire_header header;
        struct px_slice body;

        for (int i = 0; i < 1000 && !egress_progress(rig_egress(), frame); i++)
                poll(NULL, 0, 10);
        EXPECT_INT(px_wire_get_header(px_buf_slice(frame), &header, &body), PX_WIRE_OK);
        EXPECT_INT(header.type, PX_M_PROGRESS_KEEP);
        EXPECT_INT(px_m_progress_keep_decode(body, rig_arena(), &keep), PX_WIRE_OK);
        return keep;
}

/* DESIGN 7: stored every 10 s. */
TEST(progress_is_shown_after_a_restart_as_it_was_stored)
{
        struct px_job_row row;
        struct px_m_progress_keep keep;
        struct px_buf frame = {0};
        struct rig_peer *node;

        rig_start();
        rig_open(1, RIG_USER, 1);
        node = rig_connect(RIG_NODE);
        say_progress(node, 1, 500, "half");
        keep = kept(&frame);
        EXPECT_INT(keep.items_count, 1);
        EXPECT_INT(keep.items[0].permille, 500);
        EXPECT(px_fence_equal(keep.items[0].fence, rig_fence(1)));
        say_progress(node, 1, 600, "more");
        EXPECT(!egress_progress(rig_egress(), &frame)); /* not before ten seconds have passed */
        row = rig_job_row(1, RIG_USER, PX_JOB_STATE_RUNNING, 1);
        row.flags = JOB_HAS_PROGRESS;
        rig_store(1, &row, NULL);
        rig_keep_progress(&keep);
        EXPECT_INT(shown(rig_connect(RIG_USER), 1).progress_permille, 600);
        rig_restart();
        EXPECT_INT(shown(rig_connect(RIG_USER), 1).progress_permille, 500);
        EXPECT_BYTES(shown(rig_connect(RIG_USER), 1).progress_text, px_slice_text("half"));
        row = rig_job_row(1, RIG_USER, PX_JOB_STATE_RUNNING, 2); /* of the attempt before */
        row.flags = JOB_HAS_PROGRESS;
        rig_store(1, &row, NULL);
        EXPECT_INT(shown(rig_connect(RIG_USER), 1).progress_permille, -1);
        px_buf_fini(&frame);
}

TEST(an_empty_result_is_a_result)
{
        struct px_job_row row = rig_job_row(1, RIG_USER, PX_JOB_STATE_OK, 0);
        struct rig_message *message;
        struct rig_peer *user;

        rig_start();
        user = rig_connect(RIG_USER);
        row.flags = JOB_HAS_RESULT;
        rig_store(1, &row, NULL);
        EXPECT(shown(user, 1).has_result);
        show(user, 1);
        message = rig_expect(user, PX_M_JOB);
        EXPECT(message->header.flags & PX_WIRE_FLAG_PAYLOAD);
        EXPECT_INT(message->payload.length, 0);
}

TEST(a_job_of_another_is_shown_as_absent)
{
        struct rig_peer *other;
        struct rig_peer *monitor;
        struct rig_peer *node;

        rig_start();
        other = rig_connect(RIG_OTHER);
        monitor = rig_connect(RIG_MONITOR);
        node = rig_connect(RIG_NODE);
        rig_job(1, RIG_USER, PX_JOB_STATE_OK, 1);
        show(other, 1);
        EXPECT_INT(refusal(other), PX_E_ABSENT);
        show(other, 2);
        EXPECT_INT(refusal(other), PX_E_ABSENT);
        show(node, 1);
        EXPECT_INT(refusal(node), PX_E_DENIED);
        show(monitor, 1);
        rig_expect(monitor, PX_M_JOB);
}

static void log_at(struct rig_peer *client, uint64_t job, uint64_t offset, uint32_t bytes)
{
        struct px_m_log_at query = {
                .job = {job}, .log = PX_STREAM_OUT, .offset = offset, .bytes = bytes};
        struct px_buf frame = {0};

        px_m_log_at_frame(&query, 6, 0, &frame);
        rig_send(client, &frame, PX_SLICE_NONE);
        px_buf_fini(&frame);
}

TEST(a_range_of_output_is_read)
{
        struct rig_peer *user;
        struct rig_peer *other;
        struct rig_peer *node;
        struct rig_message *message;
        struct px_m_log_part part;

        rig_start();
        user = rig_connect(RIG_USER);
        other = rig_connect(RIG_OTHER);
        node = rig_connect(RIG_NODE);
        rig_open(1, RIG_USER, 1);
        rig_log(node, 1, 1, PX_STREAM_OUT, 0, "abcd", true);
        rig_stored(node, 4);
        rig_log(node, 1, 1, PX_STREAM_OUT, 4, "efgh", true);
        rig_stored(node, 8);
        log_at(user, 1, 2, 4);
        message = rig_expect(user, PX_M_LOG_PART);
        EXPECT_INT(px_m_log_part_decode(message->body, rig_arena(), &part), PX_WIRE_OK);
        EXPECT_BYTES(message->payload, px_slice_text("cdef"));
        EXPECT_U64(part.length, 8);
        EXPECT(!part.complete);
        log_at(other, 1, 0, 4);
        EXPECT_INT(refusal(other), PX_E_ABSENT);
}

TEST(malformed_questions_are_refused_and_then_muted)
{
        struct rig_peer *user;
        struct px_buf frame = {0};

        rig_start();
        user = rig_connect(RIG_USER);
        px_wire_put_header(&frame, (struct px_wire_header){.type = PX_M_LIST, .correlation = 3});
        px_buf_append_text(&frame, "\xc1");
        for (int i = 0; i < 10; i++) {
                rig_send(user, &frame, PX_SLICE_NONE);
                EXPECT_INT(refusal(user), PX_E_PROTO);
        }
        px_buf_fini(&frame);
}
