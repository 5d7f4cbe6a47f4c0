/* SPDX-License-Identifier: Apache-2.0 */
/* test_core_query.c - NODES, STATUS, WHY; reasons in words; loading. */
#include "core_driver.h"
#include "reason.h"
#include "test.h"

#define ASK(client, message, m)                                                                    \
        do {                                                                                       \
                struct px_buf frame_ = {0};                                                        \
                                                                                                   \
                px_m_##message##_frame(m, ++(client)->number, 0, &frame_);                         \
                driver_say((client)->driver, CORE_FROM_CLIENT, (client)->peer,                     \
                           (client)->principal, px_buf_slice(&frame_));                            \
                px_buf_fini(&frame_);                                                              \
        } while (0)

static const char *why(struct client *client, uint64_t job, uint64_t *ret_position)
{
        struct px_m_why_is answer;
        const char *text = client_why(client, job, &answer);

        if (ret_position != NULL)
                *ret_position = answer.position;
        return text;
}

TEST(why_says_everything_that_keeps_a_job_waiting)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000});
        struct client ana = driver_client(driver, ANA);
        struct client root = driver_client(driver, ROOT);
        struct px_submit_job wish = driver_true(driver);
        struct player n1, n2;
        uint64_t job, behind, position;

        wish.cpus_milli = 4000;
        job = client_submit(&ana, wish, NULL);
        EXPECT_TEXT(why(&ana, job, NULL), "no node was ever connected\n");
        n1 = driver_node(driver, KEY1, "n1");
        EXPECT_TEXT(why(&ana, job, NULL), "it needs 4.000 cpus; most free are 2.000 on n1; "
                                          "1 of 1 nodes never have so much\n");
        n2 = driver_player(driver, KEY2, "n2");
        n2.cpus_milli = 8000;
        EXPECT_INT(client_node_change(&root, PX_NODE_CHANGE_DRAIN, "n1"), 0);
        EXPECT_INT(player_hello(&n2), 0);
        EXPECT_TEXT(why(&ana, job, NULL), "given to node n2\n");
        (void)client_submit(&ana, wish, NULL);
        wish.cpus_milli = 1500;
        job = client_submit(&ana, wish, NULL);
        behind = client_submit(&ana, wish, NULL);
        EXPECT_TEXT(why(&ana, behind, &position),
                    "it needs 1.500 cpus; most free are 0.000 on n2\n"
                    "1 of 2 nodes are draining\n"
                    "1 job with the same needs goes before it\n");
        EXPECT_U64(position, 1);
        driver_peer_gone(driver, n1.peer);
        wish.node = px_slice_text("n1");
        job = client_submit(&ana, wish, NULL);
        EXPECT_TEXT(why(&ana, job, NULL),
                    "it may only run on node n1, which is draining\n"
                    "1 of 2 nodes are not connected\n");
}

TEST(why_of_held_waiting_and_ended_jobs)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct px_submit_job wish = driver_true(driver);
        uint64_t held, timed, backoff, ended;

        wish.hold = true;
        held = client_submit(&ana, wish, NULL);
        wish.hold = false;
        wish.start_wall_ms = 1800000000000;
        timed = client_submit(&ana, wish, NULL);
        wish.start_wall_ms = 0;
        wish.retries = 2;
        wish.backoff_ms = 1;
        backoff = client_submit(&ana, wish, NULL);
        player_result(&n1, backoff, PX_OUTCOME_FAILED, 1);
        wish.retries = 0;
        ended = client_submit(&ana, wish, NULL);
        player_result(&n1, ended, PX_OUTCOME_TIMEOUT, -1);
        EXPECT_TEXT(why(&ana, held, NULL), "held until it is released\n");
        EXPECT_TEXT(why(&ana, timed, NULL), "starts at 2027-01-15 08:00:00 UTC\n");
        EXPECT_TEXT(why(&ana, backoff, NULL), "1 of 2 retries used; next attempt in 0.0 s\n");
        EXPECT_TEXT(why(&ana, ended, NULL), "ran past its time limit on n1\n");
}

TEST(status_counts_jobs_and_nodes)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct px_m_status message = {.session = ana.session, .done_below = 1};
        struct px_submit_job wish = driver_true(driver);
        struct px_m_status_is status;
        uint64_t first;

        first = client_submit(&ana, wish, NULL);
        (void)client_submit(&ana, wish, NULL);
        (void)client_submit(&ana, wish, NULL);
        wish.hold = true;
        (void)client_submit(&ana, wish, NULL);
        player_runs(&n1, first);
        driver_run_ms(driver, 500);
        message.done_below = ana.done_below;
        ASK(&ana, status, &message);
        EXPECT(DRIVER_READ(driver, ana.peer, STATUS_IS, status_is, &status));
        EXPECT_U64(status.running, 1);
        EXPECT_U64(status.assigned, 1);
        EXPECT_U64(status.queued, 1);
        EXPECT_U64(status.blocked, 1);
        EXPECT_U64(status.uptime_ms, 500);
        EXPECT_INT(status.nodes_up, 1);
        EXPECT_U64(status.cpus_milli, 2000);
        EXPECT_U64(status.cpus_used_milli, 2000);
        driver_run_ms(driver, 500);
        ASK(&ana, status, &message);
        EXPECT(DRIVER_READ(driver, ana.peer, STATUS_IS, status_is, &status));
        EXPECT_INT(status.nodes_unreachable, 1);
        EXPECT_U64(status.queued, 3);
}

TEST(nodes_are_shown_with_what_they_hold)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct player w = driver_worker(driver, ANA, "w", "resize");
        struct client ana = driver_client(driver, ANA);
        struct px_m_nodes message = {.session = ana.session, .done_below = 1};
        struct px_m_node_list list;

        (void)client_submit(&ana, driver_true(driver), NULL);
        message.done_below = ana.done_below;
        ASK(&ana, nodes, &message);
        EXPECT(DRIVER_READ(driver, ana.peer, NODE_LIST, node_list, &list));
        EXPECT_INT(list.nodes_count, 2);
        EXPECT_BYTES(list.nodes[0].name, px_slice_text("n1"));
        EXPECT_INT(list.nodes[0].state, PX_NODE_STATE_UP);
        EXPECT_INT(list.nodes[0].jobs, 1);
        EXPECT_INT(list.nodes[0].cpus_used_milli, 1000);
        EXPECT_BYTES(list.nodes[0].principal, px_slice_text("n1"));
        EXPECT_INT(list.nodes[1].kind, PX_NODE_KIND_WORKER);
        EXPECT_BYTES(list.nodes[1].types[0], px_slice_text("resize"));
        player_bye(&n1, false);
        (void)w;
        ASK(&ana, nodes, &message);
        EXPECT(DRIVER_READ(driver, ana.peer, NODE_LIST, node_list, &list));
        EXPECT_INT(list.nodes[0].state, PX_NODE_STATE_STOPPED);
}

TEST(nodes_come_in_pages)
{
        static const char *const names[] = {"w", "w-2", "w-3", "w-4", "w-5"};
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct px_m_nodes message = {.session = ana.session, .done_below = 1};
        struct px_m_node_list list;
        size_t seen = 0;

        for (size_t i = 0; i < PX_COUNT_OF(names); i++)
                (void)driver_worker(driver, ANA, "w", "resize");
        for (uint32_t count = 0; count <= 6; count++) {
                message.count = count;
                seen = 0;
                do {
                        ASK(&ana, nodes, &message);
                        EXPECT(DRIVER_READ(driver, ana.peer, NODE_LIST, node_list, &list));
                        EXPECT(count == 0 || list.nodes_count <= count);
                        for (size_t i = 0; i < list.nodes_count; i++)
                                EXPECT_BYTES(list.nodes[i].name, px_slice_text(names[seen++]));
                        message.after = list.next;
                } while (list.next.value != 0);
                EXPECT_INT(seen, PX_COUNT_OF(names));
        }
}

TEST(after_a_restart_a_node_reconnects_with_what_it_said_last)
{
        struct driver *driver = driver_start((struct driver_options){.lease_ms = 1000});
        struct client ana;
        struct px_m_nodes message = {.done_below = 1};
        struct px_m_status ask = {.done_below = 1};
        struct px_m_status_is status;
        struct px_m_node_list list;

        (void)driver_node(driver, KEY1, "n1");
        driver_restart(driver, 100);
        ana = driver_client(driver, ANA);
        message.session = ask.session = ana.session;
        ASK(&ana, nodes, &message);
        EXPECT(DRIVER_READ(driver, ana.peer, NODE_LIST, node_list, &list));
        EXPECT_INT(list.nodes[0].state, PX_NODE_STATE_RECONNECTING);
        EXPECT_INT(list.nodes[0].cpus_milli, 2000);
        EXPECT(list.nodes[0].version.length > 0);
        ASK(&ana, status, &ask);
        EXPECT(DRIVER_READ(driver, ana.peer, STATUS_IS, status_is, &status));
        EXPECT_INT(status.nodes_up, 0);
        EXPECT_INT(status.nodes_reconnecting, 1);
        EXPECT_U64(status.cpus_milli, 0); /* nothing can run there now */
        (void)driver_node(driver, KEY1, "n1");
        ASK(&ana, nodes, &message);
        EXPECT(DRIVER_READ(driver, ana.peer, NODE_LIST, node_list, &list));
        EXPECT_INT(list.nodes[0].state, PX_NODE_STATE_UP);
        driver_restart(driver, 100);
        driver_run_ms(driver, 1001);
        ana = driver_client(driver, ANA);
        message.session = ana.session;
        ASK(&ana, nodes, &message);
        EXPECT(DRIVER_READ(driver, ana.peer, NODE_LIST, node_list, &list));
        EXPECT_INT(list.nodes[0].state, PX_NODE_STATE_UNREACHABLE);
}

/* ---- words ------------------------------------------------------------------------------------------------ */

static const char *words(struct reason_facts facts)
{
        static char text[PX_LIMIT_REASON_BYTES + 1];
        struct px_buf buf = {0};

        reason_words(&facts, &buf);
        px_slice_to_text(px_buf_slice(&buf), text, sizeof(text));
        px_buf_fini(&buf);
        return text;
}

TEST(every_reason_has_words_or_needs_none)
{
        for (int reason = PX_REASON_NONE; reason <= PX_REASON_PINNED_NODE; reason++) {
                const char *text = words((struct reason_facts){.state = PX_JOB_STATE_FAILED,
                                                               .reason = reason,
                                                               .exit_code = 1,
                                                               .node = px_slice_text("n1")});

                EXPECT((text[0] == '\0') == (reason == PX_REASON_NONE));
        }
}

TEST(an_attempt_speaks_for_its_job_only_where_the_job_stands_as_it_left_it)
{
        const struct px_attempt_row attempt = {.reason = PX_REASON_EXIT,
                                               .node_name = px_slice_text("n1"),
                                               .exit_code = 3,
                                               .text = px_slice_text("no input")};
        struct reason_facts ended = {.reason = PX_REASON_EXIT, .exit_code = -1};
        struct reason_facts cancelled = {.reason = PX_REASON_CANCELLED, .exit_code = -1};
        struct reason_facts waits = {.reason = PX_REASON_BACKOFF, .failures = 1, .retries = 2,
                                     .wait_ms = -1};

        reason_facts_join(&ended, &attempt);
        EXPECT_TEXT(words(ended), "exit 3 on n1: no input");
        reason_facts_join(&cancelled, &attempt);
        EXPECT_TEXT(words(cancelled), "cancelled");
        reason_facts_join(&waits, &attempt);
        EXPECT_TEXT(words(waits), "1 of 2 retries used: no input");
}

TEST(words_are_cut_between_characters)
{
        struct px_buf detail = {0};
        const char *text;

        for (int i = 0; i < 300; i++)
                px_buf_append_text(&detail, "\xc3\xa4"); /* two bytes */
        text = words((struct reason_facts){.state = PX_JOB_STATE_FAILED,
                                           .reason = PX_REASON_EXIT,
                                           .exit_code = 1,
                                           .detail = px_buf_slice(&detail)});
        EXPECT(px_slice_is_text(px_slice_text(text)));
        EXPECT(strlen(text) > PX_LIMIT_REASON_BYTES - 2);
        px_buf_fini(&detail);
}

TEST(dates_are_right)
{
        static const struct {
                int64_t wall_ms;
                const char *text;
        } cases[] = {
                {0, "starts at 1970-01-01 00:00:00 UTC"},
                {951782400000, "starts at 2000-02-29 00:00:00 UTC"},
                {4107542399000, "starts at 2100-02-28 23:59:59 UTC"},
                {4107542400000, "starts at 2100-03-01 00:00:00 UTC"},
        };

        for (size_t i = 0; i < PX_COUNT_OF(cases); i++)
                EXPECT_TEXT(words((struct reason_facts){.state = PX_JOB_STATE_BLOCKED,
                                                        .reason = PX_REASON_START_TIME,
                                                        .start_wall_ms = cases[i].wall_ms}),
                            cases[i].text);
}

/* ---- loading ------------------------------------------------------------------------------------------------ */

static int load(uint8_t table, struct row_key key, struct px_slice value)
{
        struct core *core = core_new(&(struct core_options){.epoch = 2,
                                                            .lease_ms = 1000,
                                                            .session_ms = 1000,
                                                            .assign_repeat_ms = 100,
                                                            .jobs_max = 10});
        uint64_t before = core_digest(core);
        int code = core_load_row(core, table, row_key_slice(&key), value);

        if (code != 0)
                EXPECT_U64(core_digest(core), before);
        core_free(core);
        return code;
}

TEST(rows_that_cannot_be_are_set_aside)
{
        struct px_job_row job = {.state = PX_JOB_STATE_QUEUED,
                                 .reason = PX_REASON_NONE,
                                 .owner = {1},
                                 .shape = 1,
                                 .on_lost = PX_ON_LOST_RERUN};
        struct px_buf buf = {0};
        struct row_key longer = row_key_u64(1);

        px_job_row_encode(&job, &buf);
        row_key_add_u16(&longer, 1);
        EXPECT_INT(load(PX_TABLE_JOB, row_key_u64(1), px_slice_text("garbage")), PX_E_DAMAGED);
        EXPECT_INT(load(PX_TABLE_JOB, longer, px_buf_slice(&buf)), PX_E_DAMAGED);
        /* Owner and shape are not there. */
        EXPECT_INT(load(PX_TABLE_JOB, row_key_u64(1), px_buf_slice(&buf)), PX_E_DAMAGED);
        EXPECT_INT(load(PX_TABLE_PRINCIPAL, row_key_u32(1), PX_SLICE_NONE), PX_E_DAMAGED);
        EXPECT_INT(load(PX_TABLE_NODE, row_key_u32(1), PX_SLICE_NONE), PX_E_DAMAGED);
        EXPECT_INT(load(PX_TABLE_SHAPE, row_key_u32(1), PX_SLICE_NONE), PX_E_DAMAGED);
        EXPECT_INT(load(PX_TABLE_SESSION, row_key_u64(1), PX_SLICE_NONE), PX_E_DAMAGED);
        EXPECT_INT(load(PX_TABLE_ANSWER, row_key_u64(1), PX_SLICE_NONE), PX_E_DAMAGED);
        EXPECT_INT(load(PX_TABLE_META, row_key_text("core"), PX_SLICE_NONE), PX_E_DAMAGED);
        EXPECT_INT(load(PX_TABLE_META, row_key_text("of the store"), PX_SLICE_NONE), 0);
        px_buf_fini(&buf);
}

TEST(time_goes_on_over_a_restart_by_at_most_thirty_days)
{
        struct driver *driver = driver_start((struct driver_options){0});

        driver_run_ms(driver, 5000);
        (void)driver_node(driver, KEY1, "n1"); /* a batch that is stored */
        EXPECT_INT(driver_now_ms(driver), 5000);
        driver_restart(driver, 2000);
        EXPECT_INT(driver_now_ms(driver), 7000);
        driver_restart(driver, -100000000); /* the wall clock was set back */
        EXPECT_INT(driver_now_ms(driver), 7000);
        driver_restart(driver, 365LL * 24 * 3600 * 1000);
        EXPECT_INT(driver_now_ms(driver), 7000 + 30LL * 24 * 3600 * 1000);
}
