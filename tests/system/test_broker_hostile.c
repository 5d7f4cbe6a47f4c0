/* SPDX-License-Identifier: Apache-2.0 */
/* test_broker_hostile.c - peers with a key of their own that mean harm: malformed frames on every socket,
 * messages that only the broker may say, wrong roles, guessed numbers, floods. All of it goes to
 * Plexus's own readers; what Plexus did is counted. Source: RELIABILITY 2 (hostile frames), 5. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "dealer.h"
#include "fill.h"
#include "library_tool.h"
#include "px_schema.h"
#include "px_tables.h"
#include "strikes.h"

#define ANSWER_MS 10000
/* How long one waits for an answer that must not come. Bounds the test, decides nothing else. */
#define SILENCE_MS 700
#define TYPES_MAX 256
#define FIGURE_PINGS 300
#define P99_FLOOR_US 25000 /* a machine that does other things, too */
#define MEASURES 3
#define BURST 10           /* frames of each peer in a millisecond: 30,000 a second in all */

static struct test_broker broker;
static plexus *px;

static const char *const listen_arguments[] = {
        "--listen",    "127.0.0.1", "--port-cmd",    "0", "--port-node", "0",
        "--port-data", "0",         "--port-events", "0", NULL,
};

static void set_up(void)
{
        test_broker_start(&broker, test_temp_dir(), listen_arguments);
        px = library_open(&broker);
}

enum service { CMD, NODE, DATA, SERVICES };

static unsigned port_of(enum service service)
{
        return service == CMD ? broker.port_cmd : service == NODE ? broker.port_node : broker.port_data;
}

static void open_peer(struct dealer *dealer, enum service service, const char *role)
{
        static int number;
        char name[32], token[160];

        snprintf(name, sizeof(name), "%s%d", role, ++number);
        EXPECT_DONE(px, plexus_token_create(px, role, name, NULL, 0, 0, token, sizeof(token)));
        dealer_open_token(dealer, port_of(service), token);
}

/* A word that is answered whoever says it, if it is heard at all. */
static void send_ping(struct dealer *dealer, enum service service)
{
        struct px_m_ping ping = {.done_below = 1};
        struct px_m_node_ping node_ping = {0};

        px_buf_reset(&dealer->frame);
        if (service == NODE)
                px_m_node_ping_frame(&node_ping, 0, 0, &dealer->frame);
        else
                px_m_ping_frame(&ping, 0, 0, &dealer->frame);
        dealer_send(dealer, px_buf_slice(&dealer->frame));
}

static bool answers(struct dealer *dealer, int deadline_ms)
{
        struct px_wire_header header;
        struct px_slice body;

        return dealer_take(dealer, deadline_ms, &header, &body);
}

/* Take what has come; how many there were. */
static size_t take_all(struct dealer *dealer)
{
        size_t count = 0;

        while (answers(dealer, 0))
                count++;
        return count;
}

static void expect_serves_others(void)
{
        struct plexus_status status;

        EXPECT_DONE(px, plexus_status(px, &status));
        EXPECT_INT(kill(broker.process.pid, 0), 0);
}

/* ---- malformed frames ---------------------------------------------------------------------------------- */

static void expect_muted_after_ten(enum service service, const char *role)
{
        static struct dealer peer;

        open_peer(&peer, service, role);
        send_ping(&peer, service);
        EXPECT(answers(&peer, ANSWER_MS));
        for (int i = 0; i < STRIKES_MAX; i++)
                dealer_send(&peer, px_slice_text("nonsense of more than sixteen bytes"));
        while (answers(&peer, SILENCE_MS))
                continue; /* refusals of what came before the last */
        send_ping(&peer, service);
        EXPECT(!answers(&peer, SILENCE_MS));
        expect_serves_others();
        dealer_close(&peer);
}

TEST(ten_malformed_frames_silence_a_client_on_the_socket_of_commands)
{
        set_up();
        expect_muted_after_ten(CMD, "user");
        EXPECT(test_broker_said(&broker, "is not heard for 60 s"));
}

TEST(ten_malformed_frames_silence_a_node_on_the_socket_of_nodes)
{
        set_up();
        expect_muted_after_ten(NODE, "node");
        EXPECT(test_broker_said(&broker, "is not heard for 60 s"));
}

TEST(ten_malformed_frames_silence_a_client_on_the_socket_of_data)
{
        set_up();
        expect_muted_after_ten(DATA, "user");
        EXPECT(test_broker_said(&broker, "is not heard for 60 s"));
}

TEST(many_parts_are_dropped_and_counted_on_every_socket)
{
        static const char *const roles[SERVICES] = {"user", "node", "user"};

        set_up();
        for (enum service service = CMD; service < SERVICES; service++) {
                static struct dealer peer;

                open_peer(&peer, service, roles[service]);
                send_ping(&peer, service);
                EXPECT(answers(&peer, ANSWER_MS));
                for (int i = 0; i < STRIKES_MAX; i++)
                        dealer_send_parts(&peer, px_buf_slice(&peer.frame), (size_t)(9 + 50 * i));
                send_ping(&peer, service);
                EXPECT(!answers(&peer, SILENCE_MS));
                dealer_close(&peer);
        }
        expect_serves_others();
}

/* ---- well-formed messages of the wrong sender ------------------------------------------------------------ */

/* Send a random valid message of this type; changed: with some bytes that are not. */
static void send_random(struct dealer *dealer, uint16_t type, struct px_rand *rand, bool changed)
{
        _Alignas(8) static uint8_t value[PX_LAYOUT_BYTES_MAX];
        const struct px_message_info *info = px_message_find(type);
        struct px_wire_header header = {.type = type, .count = 1,
                                        .correlation = px_rand_below(rand, 1000)};
        struct px_arena arena = {0};

        fill_layout(info->layout, rand, &arena, value);
        px_buf_reset(&dealer->frame);
        px_wire_put_header(&dealer->frame, header);
        px_layout_write(info->layout, value, &dealer->frame);
        for (int i = 0; changed && i < 3; i++) {
                size_t body = dealer->frame.length - PX_WIRE_HEADER_BYTES;

                dealer->frame.data[PX_WIRE_HEADER_BYTES + px_rand_below(rand, body)] =
                        (uint8_t)px_rand_below(rand, 256);
        }
        dealer_send(dealer, px_buf_slice(&dealer->frame));
        px_arena_fini(&arena);
}

/* What only the broker itself puts into its core: ticks, storage, the first key. */
TEST(a_peer_cannot_say_what_only_the_broker_says_to_itself)
{
        static const uint16_t types[] = {PX_M_TICK,      PX_M_PEER_GONE,     PX_M_STORAGE,
                                         PX_M_RETENTION, PX_M_PROGRESS_KEEP, PX_M_BOOTSTRAP};
        struct plexus_token_info *tokens;
        size_t before, after;
        struct px_rand rand;

        px_rand_init(&rand, 11);
        set_up();
        for (enum service service = CMD; service < SERVICES; service++) {
                static struct dealer peer;

                open_peer(&peer, service, service == NODE ? "node" : "user");
                EXPECT_DONE(px, plexus_tokens(px, &tokens, &before));
                plexus_tokens_free(tokens);
                for (size_t i = 0; i < PX_COUNT_OF(types); i++) {
                        struct px_wire_header header;
                        struct px_slice body;

                        send_random(&peer, types[i], &rand, false);
                        if (dealer_take(&peer, SILENCE_MS, &header, &body) &&
                            header.type != PX_M_REFUSED && header.type != PX_M_AGAIN)
                                test_fail(__FILE__, __LINE__, "type %d was answered by %d",
                                          types[i], header.type);
                }
                EXPECT_DONE(px, plexus_tokens(px, &tokens, &after));
                plexus_tokens_free(tokens);
                EXPECT_U64(after, before);
                dealer_close(&peer);
        }
        expect_serves_others();
}

static int code_of_answer(struct dealer *dealer)
{
        struct px_m_refused refused;
        struct px_wire_header header;
        struct px_slice body;

        if (!dealer_take(dealer, ANSWER_MS, &header, &body))
                return -1;
        if (header.type != PX_M_REFUSED)
                return 0;
        EXPECT_INT(px_m_refused_decode(body, &dealer->arena, &refused), PX_WIRE_OK);
        return refused.code;
}

TEST(a_role_is_refused_what_is_not_its_own)
{
        static struct dealer peer;
        struct px_m_token_make make = {.done_below = 1, .name = px_slice_text("eve"),
                                       .role = PX_ROLE_ADMIN};
        struct px_m_token_revoke revoke = {.done_below = 1};

        set_up();
        open_peer(&peer, CMD, "user");
        EXPECT(dealer_greet(&peer, (struct px_session_id){0}, ANSWER_MS));
        make.session = revoke.session = peer.session;
        make.public_key = px_slice_of((const uint8_t *)"0123456789abcdef0123456789abcdef", 32);
        px_buf_reset(&peer.frame);
        px_m_token_make_frame(&make, 1, 0, &peer.frame);
        dealer_send(&peer, px_buf_slice(&peer.frame));
        EXPECT_INT(code_of_answer(&peer), PX_E_DENIED);
        px_buf_reset(&peer.frame);
        px_m_token_revoke_frame(&revoke, 2, 0, &peer.frame);
        dealer_send(&peer, px_buf_slice(&peer.frame));
        EXPECT_INT(code_of_answer(&peer), PX_E_DENIED);
        dealer_close(&peer);
        open_peer(&peer, CMD, "monitor");
        EXPECT(dealer_greet(&peer, (struct px_session_id){0}, ANSWER_MS));
        dealer_submit(&peer, 1, 1, "/bin/true");
        EXPECT_INT(code_of_answer(&peer), PX_E_DENIED);
        expect_serves_others();
}

/* Every message there is, right and changed, from as many users as it takes: each is muted on the way. */
TEST(random_messages_of_every_type_harm_nobody)
{
        enum { PEERS = 24, FRAMES = 60 };
        static const char *const roles[] = {"user", "node", "worker", "monitor", "service"};
        static uint16_t types[TYPES_MAX];
        size_t types_count = 0, sent = 0, answered = 0;
        struct px_rand rand;

        px_rand_init(&rand, 5);
        for (uint16_t type = 0; type < TYPES_MAX; type++)
                if (px_message_find(type) != NULL)
                        types[types_count++] = type;
        set_up();
        for (size_t i = 0; i < PEERS; i++) {
                static struct dealer peer;

                open_peer(&peer, (enum service)(i % SERVICES), roles[i % PX_COUNT_OF(roles)]);
                for (size_t frame = 0; frame < FRAMES; frame++) {
                        send_random(&peer, types[(i * FRAMES + frame) % types_count], &rand,
                                    frame % 2 == 1);
                        sent++;
                }
                answered += answers(&peer, ANSWER_MS);
                answered += take_all(&peer);
                expect_serves_others();
                dealer_close(&peer);
        }
        printf("figure: %zu random messages of %zu types, %zu answers\n", sent, types_count, answered);
        EXPECT_INT(test_broker_stop(&broker), 0);
}

/* ---- guessed numbers ---------------------------------------------------------------------------------------- */

/* What another user's job and no job at all say to this user: the same. */
static void expect_same(plexus *other, uint64_t job, uint64_t nobodys)
{
        struct plexus_change_answer theirs = {0}, none = {0};
        struct plexus_shown shown;
        struct plexus_end end;
        plexus_stream *stream;
        struct plexus_log_item item;
        char **lines;

        EXPECT_INT(plexus_show(other, nobodys, &shown), PLEXUS_ABSENT);
        EXPECT_INT(plexus_show(other, job, &shown), PLEXUS_ABSENT);
        EXPECT_INT(plexus_why(other, nobodys, &lines, NULL), PLEXUS_ABSENT);
        EXPECT_INT(plexus_why(other, job, &lines, NULL), PLEXUS_ABSENT);
        EXPECT_INT(plexus_wait(other, nobodys, ANSWER_MS, &end), PLEXUS_ABSENT);
        EXPECT_INT(plexus_wait(other, job, ANSWER_MS, &end), PLEXUS_ABSENT);
        EXPECT_INT(plexus_cancel(other, &nobodys, 1, "mine now", true, &none), PLEXUS_ABSENT);
        EXPECT_INT(plexus_cancel(other, &job, 1, "mine now", true, &theirs), PLEXUS_ABSENT);
        EXPECT_TEXT(theirs.text, none.text);
        EXPECT_INT(theirs.state, none.state);
        EXPECT_INT(plexus_retry(other, &job, 1, true, NULL), PLEXUS_ABSENT);
        EXPECT_INT(plexus_hold(other, &job, 1, NULL), PLEXUS_ABSENT);
        EXPECT_INT(plexus_purge(other, &job, 1, NULL), PLEXUS_ABSENT);
        EXPECT_INT(plexus_rename(other, job, "mine"), PLEXUS_ABSENT);
        EXPECT_INT(plexus_signal(other, &job, 1, 9, NULL), PLEXUS_ABSENT);
        EXPECT_INT(plexus_logs(other, job, NULL, &stream), PLEXUS_OK);
        EXPECT_INT(plexus_log_next(stream, ANSWER_MS, &item), PLEXUS_ABSENT);
        plexus_stream_close(stream);
}

TEST(a_guessed_job_of_another_user_is_no_job)
{
        struct plexus_job_spec spec = {.argv = (const char *const[]){"/bin/true", NULL}};
        struct plexus_list list;
        plexus *users[2];
        uint64_t job;

        set_up();
        for (int i = 0; i < 2; i++) {
                char token[160];

                EXPECT_DONE(px, plexus_token_create(px, "user", i == 0 ? "ana" : "eve", NULL, 0, 0,
                                                    token, sizeof(token)));
                EXPECT_INT(library_open_token(&broker, token, &users[i]), PLEXUS_OK);
        }
        EXPECT_DONE(users[0], plexus_submit(users[0], &spec, &job));
        expect_same(users[1], job, job + 1000);
        EXPECT_DONE(users[1], plexus_jobs(users[1], NULL, 0, 100, &list));
        EXPECT_INT(list.count, 0);
        plexus_list_fini(&list);
        EXPECT_DONE(users[0], plexus_jobs(users[0], NULL, 0, 100, &list));
        EXPECT_INT(list.count, 1);
        EXPECT_INT(list.jobs[0].state, PLEXUS_QUEUED);
        plexus_list_fini(&list);
}

/* ---- floods --------------------------------------------------------------------------------------------------- */

static int64_t now_us(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int compare(const void *a, const void *b)
{
        int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

        return left < right ? -1 : left > right;
}

/* 99th of a hundred answers, for somebody who asks one thing after the other. */
static int64_t p99_once_us(struct dealer *dealer)
{
        static int64_t took[FIGURE_PINGS];

        for (size_t i = 0; i < FIGURE_PINGS; i++) {
                int64_t begin = now_us();

                send_ping(dealer, CMD);
                EXPECT(answers(dealer, ANSWER_MS));
                took[i] = now_us() - begin;
        }
        qsort(took, FIGURE_PINGS, sizeof(took[0]), compare);
        return took[FIGURE_PINGS * 99 / 100];
}

/* The best of some, so that a busy machine isn't taken for a busy broker. */
static int64_t p99_us(struct dealer *dealer)
{
        int64_t best_us = INT64_MAX;

        for (int i = 0; i < MEASURES; i++)
                best_us = PX_MIN(best_us, p99_once_us(dealer));
        return best_us;
}

struct flood {
        struct dealer peers[3];
        pthread_t thread;
        atomic_bool stop;
        size_t sent;
};

static void *flood_run(void *context)
{
        struct flood *flood = context;

        while (!atomic_load(&flood->stop)) {
                for (size_t i = 0; i < BURST * PX_COUNT_OF(flood->peers); i++) {
                        struct dealer *peer = &flood->peers[i % PX_COUNT_OF(flood->peers)];

                        /* Not EXPECT: that is for the thread of the test. */
                        flood->sent += zmq_send(peer->socket, peer->frame.data,
                                                peer->frame.length, ZMQ_DONTWAIT) >= 0;
                }
                poll(NULL, 0, 1);
        }
        return NULL;
}

static void flood_end(void *context)
{
        struct flood *flood = context;

        if (!atomic_exchange(&flood->stop, true))
                pthread_join(flood->thread, NULL);
}

/* RELIABILITY 2: others' p99 at most three times that of a quiet broker. */
TEST(a_flood_of_nonsense_slows_others_at_most_threefold)
{
        static struct flood flood;
        static struct dealer client;
        int64_t quiet_us, flooded_us;
        int bound = 1000;

        set_up();
        dealer_open_local(&client, &broker, "cmd");
        EXPECT(dealer_greet(&client, (struct px_session_id){0}, ANSWER_MS));
        quiet_us = p99_us(&client);
        for (enum service service = CMD; service < SERVICES; service++) {
                struct dealer *peer = &flood.peers[service];

                open_peer(peer, service, service == NODE ? "node" : "user");
                zmq_setsockopt(peer->socket, ZMQ_SNDHWM, &bound, sizeof(bound));
                px_buf_append_text(&peer->frame, "nonsense of more than sixteen bytes");
        }
        EXPECT_INT(pthread_create(&flood.thread, NULL, flood_run, &flood), 0);
        test_cleanup(flood_end, &flood);
        flooded_us = p99_us(&client);
        flood_end(&flood);
        printf("figure: p99 of a question %lld us, in a flood of %zu frames %lld us\n",
               (long long)quiet_us, flood.sent,
               (long long)flooded_us);
        EXPECT(flood.sent > 1000);
        EXPECT(flooded_us <= PX_MAX(3 * quiet_us, (int64_t)P99_FLOOR_US));
        EXPECT(test_broker_said(&broker, "is not heard for 60 s"));
}
