/* SPDX-License-Identifier: Apache-2.0 */
/* test_broker_guard.c - the real broker and peers that should not be let in, or not be heard. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "dealer.h"
#include "px_schema.h"
#include "px_token.h"
#include "strikes.h"
#include "test.h"

#define ANSWER_MS 10000
/* How long a stranger waits for an answer that must not come. Bounds the test, decides nothing
 * else. */
#define SILENCE_MS 1500

static const char *const listen_arguments[] = {
        "--listen",    "127.0.0.1", "--port-cmd",    "0", "--port-node", "0",
        "--port-data", "0",         "--port-events", "0", NULL,
};

static struct test_broker broker;
static struct dealer admin;

struct pair {
        uint8_t public_key[32];
        uint8_t secret[32];
};

static void make_pair(struct pair *pair)
{
        char public_text[41];
        char secret_text[41];

        EXPECT_INT(zmq_curve_keypair(public_text, secret_text), 0);
        EXPECT(zmq_z85_decode(pair->public_key, public_text) != NULL);
        EXPECT(zmq_z85_decode(pair->secret, secret_text) != NULL);
}

static void broker_public(uint8_t *ret_public)
{
        char reason[PX_TOKEN_REASON_ROOM];
        struct px_token token;
        char text[128];

        dealer_admin_token(&broker, text);
        EXPECT(px_token_decode(px_slice_text(text), &token, reason));
        memcpy(ret_public, token.broker_public, 32);
}

/* A broker on TCP and its administrator, greeted. */
static void set_up(void)
{
        test_broker_start(&broker, test_temp_dir(), listen_arguments);
        dealer_open_local(&admin, &broker, "cmd");
        EXPECT(dealer_greet(&admin, (struct px_session_id){0}, ANSWER_MS));
}

/* The administrator makes a principal with this key. */
static void make_principal(const char *name, int role, const struct pair *pair, uint64_t number)
{
        struct px_m_token_make make = {
                .session = admin.session,
                .done_below = 1,
                .name = px_slice_text(name),
                .role = role,
                .public_key = px_slice_of(pair->public_key, 32),
        };
        struct px_wire_header header;
        struct px_slice body;

        px_buf_reset(&admin.frame);
        px_m_token_make_frame(&make, number, 0, &admin.frame);
        dealer_send(&admin, px_buf_slice(&admin.frame));
        EXPECT(dealer_take(&admin, ANSWER_MS, &header, &body));
        EXPECT_INT(header.type, PX_M_TOKEN_MADE);
}

static void open_with(struct dealer *dealer, unsigned port, const struct pair *pair)
{
        uint8_t server[32];

        broker_public(server);
        dealer_open_keys(dealer, port, server, pair->secret);
}

static void send_ping(struct dealer *dealer)
{
        struct px_m_ping ping = {.session = dealer->session, .done_below = 1};

        px_buf_reset(&dealer->frame);
        px_m_ping_frame(&ping, 0, 0, &dealer->frame);
        dealer_send(dealer, px_buf_slice(&dealer->frame));
}

/* The next message is this one, or a refusal with `code`. */
static bool takes(struct dealer *dealer, int deadline_ms, uint16_t type, int code)
{
        struct px_m_refused refused;
        struct px_wire_header header;
        struct px_slice body;

        if (!dealer_take(dealer, deadline_ms, &header, &body) || header.type != type)
                return false;
        return type != PX_M_REFUSED ||
               (px_m_refused_decode(body, &dealer->arena, &refused) == PX_WIRE_OK &&
                refused.code == code);
}

static void expect_served(void)
{
        send_ping(&admin);
        EXPECT(takes(&admin, ANSWER_MS, PX_M_PONG, 0));
}

/* ---- who is not let in
 * ----------------------------------------------------------------------------- */

TEST(an_unknown_key_gets_no_word)
{
        static struct dealer stranger;
        struct pair pair;

        set_up();
        make_pair(&pair);
        open_with(&stranger, broker.port_cmd, &pair);
        EXPECT(!dealer_greet(&stranger, (struct px_session_id){0}, SILENCE_MS));
        expect_served();
}

TEST(a_peer_without_a_key_gets_no_word_over_tcp)
{
        static struct dealer plain[3];
        unsigned ports[3];
        char endpoint[64];

        set_up();
        ports[0] = broker.port_cmd;
        ports[1] = broker.port_node;
        ports[2] = broker.port_data;
        for (size_t i = 0; i < PX_COUNT_OF(ports); i++) {
                snprintf(endpoint, sizeof(endpoint), "tcp://127.0.0.1:%u", ports[i]);
                dealer_open_plain(&plain[i], endpoint);
                EXPECT(!dealer_greet(&plain[i], (struct px_session_id){0}, SILENCE_MS / 3));
        }
        expect_served();
}

TEST(a_peer_that_expects_another_broker_gets_no_word)
{
        static struct dealer misled;
        struct pair other;
        struct pair pair;

        set_up();
        make_pair(&other);
        make_pair(&pair);
        make_principal("ana", PX_ROLE_USER, &pair, 1);
        dealer_open_keys(&misled, broker.port_cmd, other.public_key, pair.secret);
        EXPECT(!dealer_greet(&misled, (struct px_session_id){0}, SILENCE_MS));
        expect_served();
}

TEST(a_new_token_is_let_in_at_once_and_told_when_it_is_revoked)
{
        static struct dealer user;
        static struct dealer again;
        struct px_m_token_revoke revoke = {.done_below = 1, .name = px_slice_text("ana")};
        struct pair pair;

        set_up();
        make_pair(&pair);
        make_principal("ana", PX_ROLE_USER, &pair, 1);
        open_with(&user, broker.port_cmd, &pair);
        EXPECT(dealer_greet(&user, (struct px_session_id){0}, ANSWER_MS));
        send_ping(&user);
        EXPECT(takes(&user, ANSWER_MS, PX_M_PONG, 0));

        revoke.session = admin.session;
        px_buf_reset(&admin.frame);
        px_m_token_revoke_frame(&revoke, 2, 0, &admin.frame);
        dealer_send(&admin, px_buf_slice(&admin.frame));
        EXPECT(takes(&admin, ANSWER_MS, PX_M_TOKEN_REVOKED, 0));

        send_ping(&user); /* on the connection it had */
        EXPECT(takes(&user, ANSWER_MS, PX_M_REFUSED, PX_E_REVOKED));
        open_with(&again, broker.port_cmd, &pair); /* and on a new one */
        EXPECT(!dealer_greet(&again, (struct px_session_id){0}, 1));
        EXPECT(takes(&again, ANSWER_MS, PX_M_REFUSED, PX_E_REVOKED));
}

TEST(a_revoked_key_enters_nowhere_but_where_it_is_told)
{
        static struct dealer user;
        struct px_m_token_revoke revoke = {.done_below = 1, .name = px_slice_text("ana")};
        struct px_wire_header header;
        struct px_slice body;
        struct pair pair;

        set_up();
        make_pair(&pair);
        make_principal("ana", PX_ROLE_USER, &pair, 1);
        revoke.session = admin.session;
        px_buf_reset(&admin.frame);
        px_m_token_revoke_frame(&revoke, 2, 0, &admin.frame);
        dealer_send(&admin, px_buf_slice(&admin.frame));
        EXPECT(takes(&admin, ANSWER_MS, PX_M_TOKEN_REVOKED, 0));
        open_with(&user, broker.port_data, &pair);
        send_ping(&user);
        EXPECT(!dealer_take(&user, SILENCE_MS, &header, &body));
}

/* Take a whole publication. false = none within deadline_ms. */
static bool hears(struct dealer *subscriber, int deadline_ms)
{
        zmq_pollitem_t item = {.socket = subscriber->socket, .events = ZMQ_POLLIN};
        int more = 1;
        size_t length = sizeof(more);

        if (zmq_poll(&item, 1, deadline_ms) != 1)
                return false;
        while (more) {
                EXPECT(zmq_recv(subscriber->socket, NULL, 0, 0) >= 0);
                EXPECT_INT(zmq_getsockopt(subscriber->socket, ZMQ_RCVMORE, &more, &length), 0);
        }
        return true;
}

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

TEST(a_revoked_subscriber_hears_nothing_after_a_second_and_the_others_go_on)
{
        static struct dealer eve;
        static struct dealer mia;
        struct px_m_token_revoke revoke = {.done_below = 1, .name = px_slice_text("eve")};
        struct pair eves, mias;
        uint8_t public_key[32];
        int64_t end_ms;

        set_up();
        make_pair(&eves);
        make_pair(&mias);
        make_principal("eve", PX_ROLE_MONITOR, &eves, 1);
        make_principal("mia", PX_ROLE_MONITOR, &mias, 2);
        broker_public(public_key);
        dealer_subscribe(&eve, broker.port_events, public_key, eves.secret);
        dealer_subscribe(&mia, broker.port_events, public_key, mias.secret);
        EXPECT(hears(&eve, ANSWER_MS)); /* there is a word each second */
        EXPECT(hears(&mia, ANSWER_MS));

        revoke.session = admin.session;
        px_buf_reset(&admin.frame);
        px_m_token_revoke_frame(&revoke, 3, 0, &admin.frame);
        dealer_send(&admin, px_buf_slice(&admin.frame));
        EXPECT(takes(&admin, ANSWER_MS, PX_M_TOKEN_REVOKED, 0));
        end_ms = now_ms() + 1000;
        while (now_ms() < end_ms)
                (void)hears(&eve, (int)PX_MAX(end_ms - now_ms(), (int64_t)0));
        while (hears(&mia, 0))
                continue;
        for (int i = 0; i < 2; i++)
                EXPECT(hears(&mia, ANSWER_MS));
        EXPECT(!hears(&eve, 0));
}

/* ---- who is not heard
 * ---------------------------------------------------------------------------------- */

/* A greeted user of its own, so that its strikes are its own. */
static void open_user(struct dealer *user)
{
        struct pair pair;

        make_pair(&pair);
        make_principal("ana", PX_ROLE_USER, &pair, 1);
        open_with(user, broker.port_cmd, &pair);
        EXPECT(dealer_greet(user, (struct px_session_id){0}, ANSWER_MS));
}

TEST(ten_malformed_frames_silence_their_sender_and_nobody_else)
{
        static struct dealer user;
        struct px_wire_header header;
        struct px_slice body;

        set_up();
        open_user(&user);
        for (int i = 0; i < STRIKES_MAX - 1; i++)
                dealer_send(&user, px_slice_text("nonsense of more than sixteen bytes"));
        send_ping(&user);
        EXPECT(takes(&user, ANSWER_MS, PX_M_PONG, 0));
        dealer_send(&user, px_slice_text("short"));
        send_ping(&user);
        EXPECT(!dealer_take(&user, SILENCE_MS, &header, &body));
        EXPECT(test_broker_said(&broker, "is not heard for 60 s"));
        expect_served();
}

TEST(a_malformed_body_is_refused_and_ten_of_them_silence_their_sender)
{
        static struct dealer user;
        struct px_wire_header header = {.type = PX_M_SUBMIT, .count = 1, .correlation = 1};
        struct px_slice body;

        set_up();
        open_user(&user);
        for (int i = 0; i < STRIKES_MAX; i++) {
                px_buf_reset(&user.frame);
                header = (struct px_wire_header){.type = PX_M_SUBMIT, .count = 1, .correlation = 1};
                px_wire_put_header(&user.frame, header);
                px_buf_append_text(&user.frame, "\xc1\xc1\xc1");
                dealer_send(&user, px_buf_slice(&user.frame));
                EXPECT(takes(&user, ANSWER_MS, PX_M_REFUSED, PX_E_PROTO));
        }
        send_ping(&user);
        EXPECT(!dealer_take(&user, SILENCE_MS, &header, &body));
        expect_served();
}

TEST(messages_of_many_parts_are_dropped_and_counted)
{
        static struct dealer user;
        struct px_wire_header header;
        struct px_slice body;

        set_up();
        open_user(&user);
        send_ping(&user);
        EXPECT(takes(&user, ANSWER_MS, PX_M_PONG, 0));
        for (int i = 0; i < STRIKES_MAX; i++)
                dealer_send_parts(&user, px_buf_slice(&user.frame), (size_t)(3 + 100 * i));
        send_ping(&user);
        EXPECT(!dealer_take(&user, SILENCE_MS, &header, &body));
        EXPECT(test_broker_said(&broker, "is not heard for 60 s"));
        expect_served();
}

TEST(another_wire_version_is_refused_by_name)
{
        static struct dealer user;

        set_up();
        open_user(&user);
        px_buf_reset(&user.frame);
        px_m_ping_frame(&(struct px_m_ping){.session = user.session}, 0, 0, &user.frame);
        user.frame.data[1] = PX_WIRE_VERSION + 1;
        dealer_send(&user, px_buf_slice(&user.frame));
        EXPECT(takes(&user, ANSWER_MS, PX_M_REFUSED, PX_E_VERSION));
}

static bool is_served(void *context)
{
        send_ping(context);
        return takes(context, 100, PX_M_PONG, 0);
}

TEST(a_frame_above_the_limit_ends_the_connection_and_one_at_the_limit_is_read)
{
        static struct dealer user;
        struct px_buf large = {0};
        struct px_wire_header header = {.type = PX_M_PING, .count = 1};

        set_up();
        open_user(&user);
        px_wire_put_header(&large, header);
        memset(px_buf_grow(&large, PX_LIMIT_MESSAGE_BYTES - 1024 - large.length), 0xc1,
               PX_LIMIT_MESSAGE_BYTES - 1024 - PX_WIRE_HEADER_BYTES);
        dealer_send(&user, px_buf_slice(&large));
        EXPECT(takes(&user, ANSWER_MS, PX_M_REFUSED, PX_E_PROTO));
        memset(px_buf_grow(&large, 2048), 0xc1, 2048);
        dealer_send(&user, px_buf_slice(&large));
        px_buf_fini(&large);
        /* The library reconnects by itself, but what it had handed to the old connection is lost.
         */
        EXPECT(test_wait_until(ANSWER_MS, is_served, &user));
        expect_served();
}

/* Connect and say nothing. */
static int connect_silently(unsigned port)
{
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)port),
                                      .sin_addr = {htonl(INADDR_LOOPBACK)}};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        EXPECT(fd >= 0);
        EXPECT_INT(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        return fd;
}

/* Wait until the other end closes; what it says before is not looked at. */
static bool is_closed_within(int fd, int deadline_ms)
{
        struct pollfd item = {.fd = fd, .events = POLLIN};
        char bytes[256];

        while (poll(&item, 1, deadline_ms) > 0) {
                if (read(fd, bytes, sizeof(bytes)) <= 0)
                        return true;
        }
        return false;
}

TEST(silent_connections_are_closed_even_when_descriptors_run_out)
{
        enum { CONNECTIONS = 150 };
        static struct dealer late;
        int fds[CONNECTIONS];
        struct rlimit few = {100, 100};

        set_up();
        expect_served();
        EXPECT(!test_broker_said(&broker, "file descriptors are in use"));
        EXPECT_INT(prlimit(broker.process.pid, RLIMIT_NOFILE, &few, NULL), 0);
        for (size_t i = 0; i < CONNECTIONS; i++)
                fds[i] = connect_silently(broker.port_cmd);
        for (int i = 0; i < 10000 && !test_broker_said(&broker, "more than 90 % of the 100"); i++)
                expect_served();
        EXPECT(test_broker_said(&broker, "more than 90 % of the 100 file descriptors are in use"));
        for (size_t i = 0; i < CONNECTIONS; i++) {
                EXPECT(is_closed_within(fds[i], ANSWER_MS));
                close(fds[i]);
        }
        dealer_open_local(&late, &broker, "cmd");
        EXPECT(dealer_greet(&late, (struct px_session_id){0}, ANSWER_MS));
        expect_served();
}

/* Resident memory of the broker that is its own. */
static long rss_anon_kb(void)
{
        char path[64];
        struct px_buf status = {0};
        const char *line;
        long value = 0;

        snprintf(path, sizeof(path), "/proc/%d/status", (int)broker.process.pid);
        EXPECT(test_read_file(path, &status));
        px_buf_append(&status, "", 1);
        line = strstr((const char *)status.data, "RssAnon:");
        EXPECT(line != NULL && sscanf(line, "RssAnon: %ld", &value) == 1);
        px_buf_fini(&status);
        return value;
}

TEST(a_peer_that_asks_and_never_reads_costs_bounded_memory_and_nobody_elses_time)
{
        enum { QUESTIONS = 300000, MEMORY_KB = 16384 };
        static struct dealer deaf;
        long before_kb;

        set_up();
        dealer_open_slow(&deaf, &broker, "cmd", 10);
        EXPECT(dealer_greet(&deaf, (struct px_session_id){0}, ANSWER_MS));
        expect_served();
        before_kb = rss_anon_kb();
        for (int i = 0; i < QUESTIONS; i++)
                send_ping(&deaf);
        for (int i = 0; i < 100; i++)
                expect_served();
        EXPECT(rss_anon_kb() - before_kb < MEMORY_KB);
        printf("figure: %d questions whose answers nobody reads: %ld KiB more\n", QUESTIONS,
               rss_anon_kb() - before_kb);
}

TEST(a_peer_that_did_not_greet_is_told_to)
{
        static struct dealer client;

        set_up();
        dealer_open_local(&client, &broker, "cmd");
        send_ping(&client);
        EXPECT(takes(&client, ANSWER_MS, PX_M_AGAIN, 0));
        EXPECT(dealer_greet(&client, (struct px_session_id){0}, ANSWER_MS));
        send_ping(&client);
        EXPECT(takes(&client, ANSWER_MS, PX_M_PONG, 0));
}

TEST(a_restarted_broker_tells_its_peers_to_greet_again)
{
        const char *parent = test_temp_dir();

        test_broker_start(&broker, parent, NULL);
        dealer_open_local(&admin, &broker, "cmd");
        EXPECT(dealer_greet(&admin, (struct px_session_id){0}, ANSWER_MS));
        test_broker_kill(&broker);
        test_broker_start(&broker, parent, NULL);
        send_ping(&admin);
        EXPECT(takes(&admin, ANSWER_MS, PX_M_AGAIN, 0));
        EXPECT(dealer_greet(&admin, admin.session, ANSWER_MS));
}
