/* SPDX-License-Identifier: Apache-2.0 */
/* test_broker_node.c - the real broker and a node played by hand: what is assigned, how it ends. */
#include <stdio.h>
#include <unistd.h>

#include "dealer.h"
#include "px_schema.h"
#include "test.h"

#define ANSWER_MS 10000
#define JOBS 300

static struct test_broker broker;
static struct dealer client;
static struct dealer node;
static uint64_t node_session;

/* Take messages until one of this type comes. */
static struct px_slice take_type(struct dealer *dealer, uint16_t type)
{
        struct px_wire_header header;
        struct px_slice body;

        do
                EXPECT(dealer_take(dealer, ANSWER_MS, &header, &body));
        while (header.type != type);
        return body;
}

static void open_client(void)
{
        dealer_open_local(&client, &broker, "cmd");
        EXPECT(dealer_greet(&client, client.session, ANSWER_MS));
}

/* A node with room for all jobs of a test. */
static void open_node(void)
{
        static const uint8_t boot[16] = {1};
        static const uint8_t spool[16] = {2};
        struct px_m_node_hello hello = {
                .name = px_slice_text("n1"),
                .kind = PX_NODE_KIND_NODE,
                .boot = px_slice_of(boot, sizeof(boot)),
                .spool = px_slice_of(spool, sizeof(spool)),
                .version = px_slice_text(PX_PRODUCT_VERSION),
                .cpus_milli = JOBS * 1000,
                .memory_bytes = (uint64_t)64 << 30,
                .accounts = px_slice_text("self"),
        };
        struct px_m_node_welcome welcome;

        dealer_open_local(&node, &broker, "node");
        px_m_node_hello_frame(&hello, 0, 0, &node.frame);
        dealer_send(&node, px_buf_slice(&node.frame));
        EXPECT_INT(px_m_node_welcome_decode(take_type(&node, PX_M_NODE_WELCOME), &node.arena,
                                            &welcome),
                   PX_WIRE_OK);
        node_session = welcome.session;
}

static void watch(uint64_t number, uint64_t job)
{
        struct px_job_id id = {job};
        struct px_m_watch request = {
                .session = client.session, .done_below = 1, .jobs = &id, .jobs_count = 1};

        px_buf_reset(&client.frame);
        px_m_watch_frame(&request, number, 0, &client.frame);
        dealer_send(&client, px_buf_slice(&client.frame));
}

/* Wait until END of `job` is pushed; its reason is copied. */
static int await_end(uint64_t job, char *ret_text, size_t room)
{
        struct px_m_end end;

        for (;;) {
                EXPECT_INT(px_m_end_decode(take_type(&client, PX_M_END), &client.arena, &end),
                           PX_WIRE_OK);
                for (size_t i = 0; i < end.items_count; i++) {
                        if (end.items[i].job.value != job)
                                continue;
                        px_slice_to_text(end.items[i].text, ret_text, room);
                        return end.items[i].state;
                }
        }
}

static void send_result(const struct px_assign *assigned)
{
        struct px_result result = {
                .job = assigned->job,
                .fence = assigned->fence,
                .outcome = PX_OUTCOME_OK,
                .reason = PX_REASON_EXIT,
                .progress_permille = -1,
        };
        struct px_m_result message = {.session = node_session, .items = &result, .items_count = 1};

        px_buf_reset(&node.frame);
        px_m_result_frame(&message, 0, 0, &node.frame);
        dealer_send(&node, px_buf_slice(&node.frame));
}

TEST(jobs_are_assigned_with_their_specs_many_a_message_and_end)
{
        char text[PX_LIMIT_REASON_BYTES + 1];
        struct px_m_assign assign;
        struct px_spec spec;
        size_t assigned = 0;
        size_t messages = 0;
        int code;

        test_broker_start(&broker, test_temp_dir(), NULL);
        open_client();
        dealer_submit(&client, 1, JOBS, "/bin/true");
        EXPECT_U64(dealer_submitted(&client, 1, ANSWER_MS, &code), 1);
        open_node();
        while (assigned < JOBS) {
                EXPECT_INT(px_m_assign_decode(take_type(&node, PX_M_ASSIGN), &node.arena, &assign),
                           PX_WIRE_OK);
                EXPECT_U64(assign.session, node_session);
                messages++;
                for (size_t i = 0; i < assign.items_count; i++, assigned++) {
                        EXPECT_INT(px_spec_decode(assign.items[i].spec, &node.arena, &spec),
                                   PX_WIRE_OK);
                        EXPECT_BYTES(spec.argv[0], px_slice_text("/bin/true"));
                }
        }
        EXPECT(messages <= 3);
        watch(2, assign.items[0].job.value);
        send_result(&assign.items[0]);
        EXPECT_INT(await_end(assign.items[0].job.value, text, sizeof(text)), PX_JOB_STATE_OK);
        EXPECT_INT(test_broker_stop(&broker), 0);
}

/* Flip one bit of every copy of `words` in the database. */
static size_t damage(const char *words)
{
        char path[PROCESS_PATH_ROOM + 32];
        struct px_buf bytes = {0};
        size_t length = strlen(words);
        size_t count = 0;
        FILE *file;

        snprintf(path, sizeof(path), "%s/db/data.mdb", broker.dir);
        EXPECT(test_read_file(path, &bytes));
        file = fopen(path, "r+b");
        EXPECT(file != NULL);
        for (size_t at = 0; at + length <= bytes.length; at++) {
                if (memcmp(bytes.data + at, words, length) != 0)
                        continue;
                fseek(file, (long)at, SEEK_SET);
                fputc(bytes.data[at] ^ 1, file);
                count++;
        }
        fclose(file);
        px_buf_fini(&bytes);
        return count;
}

TEST(a_job_whose_specification_is_damaged_ends_with_that_reason)
{
        char text[PX_LIMIT_REASON_BYTES + 1];
        const char *parent = test_temp_dir();
        int code;

        client.session.value = 0;
        test_broker_start(&broker, parent, NULL);
        open_client();
        dealer_submit(&client, 1, 1, "/bin/a-word-to-be-found");
        EXPECT_U64(dealer_submitted(&client, 1, ANSWER_MS, &code), 1);
        EXPECT_INT(test_broker_stop(&broker), 0);
        dealer_close(&client);
        EXPECT(damage("a-word-to-be-found") > 0);
        test_broker_start(&broker, parent, NULL);
        open_client();
        watch(2, 1);
        open_node();
        EXPECT_INT(await_end(1, text, sizeof(text)), PX_JOB_STATE_FAILED);
        EXPECT(strstr(text, "specification is damaged") != NULL);
        EXPECT_INT(test_broker_stop(&broker), 0);
}
