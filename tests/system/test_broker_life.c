/* SPDX-License-Identifier: Apache-2.0 */
/* test_broker_life.c - the real broker: start, refusals at start, stop, restart, kill -9. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dealer.h"
#include "px_schema.h"
#include "test.h"

#define ANSWER_MS 10000

static const char *const listen_arguments[] = {
        "--listen",    "127.0.0.1", "--port-cmd",    "0", "--port-node", "0",
        "--port-data", "0",         "--port-events", "0", NULL,
};

/* ---- start and stop -----------------------------------------------------------------------------
 */

TEST(a_submit_is_answered_over_a_local_socket)
{
        static struct test_broker broker;
        static struct dealer dealer;
        int code;

        test_broker_start(&broker, test_temp_dir(), NULL);
        EXPECT_INT(broker.port_cmd, 0);
        dealer_open_local(&dealer, &broker, "cmd");
        EXPECT(dealer_greet(&dealer, (struct px_session_id){0}, ANSWER_MS));
        dealer_submit(&dealer, 1, 1, "/bin/true");
        EXPECT_U64(dealer_submitted(&dealer, 1, ANSWER_MS, &code), 1);
        EXPECT_INT(code, 0);
        EXPECT_INT(test_broker_stop(&broker), 0);
}

TEST(a_submit_is_answered_over_tcp_with_the_administrators_token)
{
        static struct test_broker broker;
        static struct dealer dealer;
        char token[128];
        int code;

        test_broker_start(&broker, test_temp_dir(), listen_arguments);
        EXPECT(broker.port_cmd > 0 && broker.port_node > 0 && broker.port_data > 0 &&
               broker.port_events > 0);
        dealer_admin_token(&broker, token);
        dealer_open_token(&dealer, broker.port_cmd, token);
        EXPECT(dealer_greet(&dealer, (struct px_session_id){0}, ANSWER_MS));
        dealer_submit(&dealer, 1, 100, "/bin/true");
        EXPECT_U64(dealer_submitted(&dealer, 1, ANSWER_MS, &code), 1);
        EXPECT_INT(test_broker_stop(&broker), 0);
}

TEST(what_was_answered_is_there_after_a_stop_and_a_start)
{
        static struct test_broker broker;
        static struct dealer dealer;
        const char *parent = test_temp_dir();
        unsigned long long epoch;
        int code;

        test_broker_start(&broker, parent, NULL);
        epoch = broker.epoch;
        dealer_open_local(&dealer, &broker, "cmd");
        EXPECT(dealer_greet(&dealer, (struct px_session_id){0}, ANSWER_MS));
        dealer_submit(&dealer, 1, 250, "/bin/true");
        EXPECT_U64(dealer_submitted(&dealer, 1, ANSWER_MS, &code), 1);
        EXPECT_INT(test_broker_stop(&broker), 0);
        test_broker_start(&broker, parent, NULL);
        EXPECT_U64(broker.jobs, 250);
        EXPECT(broker.epoch > epoch);
        EXPECT_INT(test_broker_stop(&broker), 0);
}

TEST(a_broker_that_is_stopped_says_goodbye_to_clients_and_nodes)
{
        static const char *const services[] = {"cmd", "node"};
        static struct test_broker broker;
        static struct dealer dealers[2];
        struct px_wire_header header;
        struct px_slice body;

        test_broker_start(&broker, test_temp_dir(), NULL);
        for (size_t i = 0; i < 2; i++)
                dealer_open_local(&dealers[i], &broker, services[i]);
        EXPECT(dealer_greet(&dealers[0], (struct px_session_id){0}, ANSWER_MS));
        /* A node's first word, in whatever order: it is told to greet. */
        px_m_node_ping_frame(&(struct px_m_node_ping){.session = 1}, 1, 0, &dealers[1].frame);
        dealer_send(&dealers[1], px_buf_slice(&dealers[1].frame));
        EXPECT(dealer_take(&dealers[1], ANSWER_MS, &header, &body));
        EXPECT_INT(header.type, PX_M_AGAIN);
        EXPECT_INT(test_broker_stop(&broker), 0);
        for (size_t i = 0; i < 2; i++) {
                EXPECT(dealer_take(&dealers[i], ANSWER_MS, &header, &body));
                EXPECT_INT(header.type, PX_M_BYE);
        }
}

/* ---- refusals at start
 * --------------------------------------------------------------------------- */

TEST(a_second_broker_on_a_directory_is_refused)
{
        static struct test_broker broker;
        static struct test_broker second;
        const char *parent = test_temp_dir();

        test_broker_start(&broker, parent, NULL);
        EXPECT_INT(test_broker_refusal(&second, parent, NULL), 73);
        EXPECT(test_broker_said(&second, "another broker"));
        EXPECT_INT(test_broker_stop(&broker), 0);
}

TEST(a_port_in_use_is_named)
{
        static struct test_broker broker;
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        socklen_t length = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char port[16];
        const char *arguments[] = {"--listen",      "127.0.0.1", "--port-cmd",  port,
                                   "--port-node",   "0",         "--port-data", "0",
                                   "--port-events", "0",         NULL};

        EXPECT_INT(bind(fd, (struct sockaddr *)&address, length), 0);
        EXPECT_INT(listen(fd, 1), 0);
        EXPECT_INT(getsockname(fd, (struct sockaddr *)&address, &length), 0);
        snprintf(port, sizeof(port), "%u", ntohs(address.sin_port));
        EXPECT_INT(test_broker_refusal(&broker, test_temp_dir(), arguments), 69);
        EXPECT(test_broker_said(&broker, port));
        close(fd);
}

TEST(directories_and_keys_that_others_may_touch_are_refused)
{
        static struct test_broker broker;
        const char *parent = test_temp_dir();
        char path[PROCESS_PATH_ROOM + 32];

        test_broker_start(&broker, parent, NULL);
        EXPECT_INT(test_broker_stop(&broker), 0);
        EXPECT_INT(chmod(broker.dir, 0755), 0);
        EXPECT_INT(test_broker_refusal(&broker, parent, NULL), 73);
        EXPECT(test_broker_said(&broker, "chmod 700"));
        EXPECT_INT(chmod(broker.dir, 0700), 0);
        snprintf(path, sizeof(path), "%s/keys/broker.secret", broker.dir);
        EXPECT_INT(chmod(path, 0644), 0);
        EXPECT_INT(test_broker_refusal(&broker, parent, NULL), 73);
        EXPECT(test_broker_said(&broker, "chmod 600"));
        EXPECT_INT(unlink(path), 0);
        EXPECT_INT(test_broker_refusal(&broker, parent, NULL), 73);
        EXPECT(test_broker_said(&broker, "put it back from the backup"));
}

TEST(a_path_too_long_for_local_sockets_is_refused_with_advice)
{
        static struct test_broker broker;
        const char *parent = test_temp_dir();
        char run[PROCESS_PATH_ROOM];
        const char *arguments[] = {"--run", run, NULL};

        snprintf(run, sizeof(run), "%s/%0100d", parent, 0);
        EXPECT_INT(test_broker_refusal(&broker, parent, arguments), 73);
        EXPECT(test_broker_said(&broker, "--run with a shorter directory helps"));
}

TEST(mistakes_on_the_command_line_end_with_64)
{
        static struct test_broker broker;
        const char *arguments[] = {"--no-such-option", NULL};

        EXPECT_INT(test_broker_refusal(&broker, test_temp_dir(), arguments), 64);
}

/* ---- faults
 * ------------------------------------------------------------------------------------------ */

TEST(a_failed_write_ends_the_broker_with_74_and_acknowledges_nothing)
{
        static struct test_broker broker;
        static struct dealer dealer;
        const char *parent = test_temp_dir();
        struct rlimit nothing = {0, RLIM_INFINITY};
        int code;

        test_broker_start(&broker, parent, NULL);
        dealer_open_local(&dealer, &broker, "cmd");
        EXPECT(dealer_greet(&dealer, (struct px_session_id){0}, ANSWER_MS));
        EXPECT_INT(prlimit(broker.process.pid, RLIMIT_FSIZE, &nothing, NULL), 0);
        dealer_submit(&dealer, 1, 10, "/bin/true");
        EXPECT_INT(process_wait(&broker.process, ANSWER_MS), 74);
        EXPECT_U64(dealer_submitted(&dealer, 1, 200, &code), 0);
        EXPECT_INT(code, 0);
        dealer_close(&dealer);
        test_broker_start(&broker, parent, NULL);
        EXPECT_U64(broker.jobs, 0);
        EXPECT_INT(test_broker_stop(&broker), 0);
}

/* Submits one job a request under one session; whatever is not answered is sent again, with the
 * same number, to the next broker. */
struct ledger {
        struct px_session_id session;
        uint64_t job_of[4096]; /* by request number; 0 = not answered */
        uint64_t last_sent;
        uint64_t answered;
};

static void greet_again(struct ledger *ledger, struct dealer *dealer,
                        const struct test_broker *broker)
{
        dealer_open_local(dealer, broker, "cmd");
        EXPECT(dealer_greet(dealer, ledger->session, ANSWER_MS));
        if (ledger->session.value != 0)
                EXPECT_U64(dealer->session.value, ledger->session.value);
        ledger->session = dealer->session;
}

/* Requests are answered in any order; count what is new and check what is not. */
static void note_answer(struct ledger *ledger, struct dealer *dealer,
                        const struct px_wire_header *header, struct px_slice body)
{
        struct px_m_submitted submitted;
        uint64_t job;

        if (header->type != PX_M_SUBMITTED)
                return;
        EXPECT_INT(px_m_submitted_decode(body, &dealer->arena, &submitted), PX_WIRE_OK);
        EXPECT_U64(submitted.runs_count, 1);
        EXPECT_INT(submitted.runs[0].code, 0);
        job = submitted.runs[0].job.value;
        EXPECT(header->correlation >= 1 && header->correlation <= ledger->last_sent);
        if (ledger->job_of[header->correlation] == 0)
                ledger->answered++;
        else
                EXPECT_U64(job, ledger->job_of[header->correlation]);
        ledger->job_of[header->correlation] = job;
}

static void take_answers(struct ledger *ledger, struct dealer *dealer, uint64_t until_answered)
{
        struct px_wire_header header;
        struct px_slice body;

        while (ledger->answered < until_answered) {
                EXPECT(dealer_take(dealer, ANSWER_MS, &header, &body));
                note_answer(ledger, dealer, &header, body);
        }
}

static void expect_jobs_distinct(const struct ledger *ledger)
{
        static bool seen[8192];

        memset(seen, 0, sizeof(seen));
        for (uint64_t i = 1; i <= ledger->last_sent; i++) {
                EXPECT(ledger->job_of[i] > 0 && ledger->job_of[i] < PX_COUNT_OF(seen));
                EXPECT(!seen[ledger->job_of[i]]);
                seen[ledger->job_of[i]] = true;
        }
}

TEST(forty_kills_lose_no_acknowledged_job_and_run_no_request_twice)
{
        enum { CYCLES = 40, REQUESTS = 40 };
        static struct test_broker broker;
        static struct dealer dealer;
        static struct ledger ledger;
        const char *parent = test_temp_dir();
        unsigned seed = 7;

        test_deadline_s(240);
        memset(&ledger, 0, sizeof(ledger));
        for (int cycle = 0; cycle < CYCLES; cycle++) {
                uint64_t fresh_from = ledger.last_sent + 1;

                test_broker_start(&broker, parent, NULL);
                greet_again(&ledger, &dealer, &broker);
                for (uint64_t i = 1; i < fresh_from; i++) {
                        /* what is open, and now and then what is not */
                        if (ledger.job_of[i] == 0 || i + 8 >= fresh_from)
                                dealer_submit(&dealer, i, 1, "/bin/true");
                }
                take_answers(&ledger, &dealer, fresh_from - 1);
                for (int i = 0; i < REQUESTS; i++)
                        dealer_submit(&dealer, ++ledger.last_sent, 1, "/bin/true");
                /* Die after a number of answers that differs from cycle to cycle. */
                take_answers(&ledger, &dealer,
                             fresh_from - 1 + (uint64_t)rand_r(&seed) % (REQUESTS + 1));
                test_broker_kill(&broker);
                dealer_close(&dealer);
        }
        test_broker_start(&broker, parent, NULL);
        greet_again(&ledger, &dealer, &broker);
        for (uint64_t i = 1; i <= ledger.last_sent; i++) {
                if (ledger.job_of[i] == 0)
                        dealer_submit(&dealer, i, 1, "/bin/true");
        }
        take_answers(&ledger, &dealer, ledger.last_sent);
        expect_jobs_distinct(&ledger);
        EXPECT_INT(test_broker_stop(&broker), 0);
        test_broker_start(&broker, parent, NULL);
        EXPECT_U64(broker.jobs, ledger.last_sent);
        EXPECT_INT(test_broker_stop(&broker), 0);
        printf("figure: %d kills, %llu requests, %llu jobs\n", CYCLES,
               (unsigned long long)ledger.last_sent, broker.jobs);
}

TEST(a_stop_under_load_answers_all_that_it_stored)
{
        enum { REQUESTS = 900 };
        static struct test_broker broker;
        static struct dealer dealer;
        static struct ledger ledger;
        const char *parent = test_temp_dir();
        struct px_wire_header header;
        struct px_slice body;

        memset(&ledger, 0, sizeof(ledger));
        test_broker_start(&broker, parent, NULL);
        greet_again(&ledger, &dealer, &broker);
        for (int i = 0; i < REQUESTS; i++)
                dealer_submit(&dealer, ++ledger.last_sent, 1, "/bin/true");
        take_answers(&ledger, &dealer, 1);
        EXPECT_INT(test_broker_stop(&broker), 0);
        while (dealer_take(&dealer, 500, &header, &body))
                note_answer(&ledger, &dealer, &header, body);
        dealer_close(&dealer);
        test_broker_start(&broker, parent, NULL);
        EXPECT_U64(broker.jobs, ledger.answered);
        EXPECT_INT(test_broker_stop(&broker), 0);
}

/* How fast is printed here and judged by tools/bench smoke: under sanitizers and load it says nothing. */
TEST(a_broker_with_100000_queued_jobs_serves_again_after_a_kill)
{
        enum { MESSAGES = 100, JOBS_EACH = 1000 };
        static struct test_broker broker;
        static struct dealer dealer;
        const char *parent = test_temp_dir();
        int code;

        test_deadline_s(180);
        test_broker_start(&broker, parent, NULL);
        dealer_open_local(&dealer, &broker, "cmd");
        EXPECT(dealer_greet(&dealer, (struct px_session_id){0}, ANSWER_MS));
        for (uint64_t i = 1; i <= MESSAGES; i++) {
                dealer_submit(&dealer, i, JOBS_EACH, "/bin/true");
                EXPECT(dealer_submitted(&dealer, i, ANSWER_MS, &code) > 0);
        }
        test_broker_kill(&broker);
        dealer_close(&dealer);
        test_broker_start(&broker, parent, NULL);
        EXPECT_U64(broker.jobs, MESSAGES * JOBS_EACH);
        printf("figure: kill -9, start with %llu queued jobs: serving after %llu ms\n", broker.jobs,
               broker.start_ms);
        test_broker_kill(&broker);
        test_broker_start(&broker, parent, NULL);
        printf("figure: the same with an applied journal: %llu ms\n", broker.start_ms);
        EXPECT_U64(broker.jobs, MESSAGES * JOBS_EACH);
        EXPECT_INT(test_broker_stop(&broker), 0);
}

/* ---- record and replay
 * ------------------------------------------------------------------------------------ */

TEST(a_recorded_run_repeats_byte_for_byte)
{
        static struct test_broker broker;
        static struct dealer dealer;
        static struct process replay;
        const char *parent = test_temp_dir();
        char file[PROCESS_PATH_ROOM + 32];
        const char *arguments[] = {"--record", parent, NULL};
        const char *replay_arguments[] = {file, NULL};
        int code;

        test_broker_start(&broker, parent, arguments);
        dealer_open_local(&dealer, &broker, "cmd");
        EXPECT(dealer_greet(&dealer, (struct px_session_id){0}, ANSWER_MS));
        for (uint64_t i = 1; i <= 20; i++) {
                dealer_submit(&dealer, i, (size_t)i, "/bin/true");
                EXPECT(dealer_submitted(&dealer, i, ANSWER_MS, &code) > 0);
        }
        EXPECT_INT(test_broker_stop(&broker), 0);
        snprintf(file, sizeof(file), "%s/inputs-%llu", parent, broker.epoch);
        process_start(&replay, "tools/replay", replay_arguments, false, broker.error_path);
        EXPECT_INT(process_wait(&replay, ANSWER_MS), 0);
}
