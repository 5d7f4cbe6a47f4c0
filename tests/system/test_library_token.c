/* SPDX-License-Identifier: Apache-2.0 */
/* test_library_token.c - libplexus over TCP: tokens made, revoked, exchanged, broken; which hop failed. */
#include "library_tool.h"

#include <stdio.h>

#include "px_token.h"

#define TOKEN_ROOM 160

static const char *const listen_arguments[] = {
        "--listen",    "127.0.0.1", "--port-cmd",    "0", "--port-node", "0",
        "--port-data", "0",         "--port-events", "0", NULL,
};

static struct test_broker broker;

TEST(a_token_that_was_made_lets_in_until_it_is_revoked)
{
        char admin_token[TOKEN_ROOM], user_token[TOKEN_ROOM];
        struct plexus_who who;
        struct plexus_status status;
        plexus *admin, *user, *again;

        test_broker_start(&broker, test_temp_dir(), listen_arguments);
        library_admin_token(&broker, admin_token);
        EXPECT_DONE(NULL, library_open_token(&broker, admin_token, &admin));
        EXPECT_DONE(admin, plexus_token_create(admin, "user", "ada", NULL, 0, 0, user_token,
                                               sizeof(user_token)));
        EXPECT_DONE(NULL, library_open_token(&broker, user_token, &user));
        EXPECT_DONE(user, plexus_whoami(user, &who));
        EXPECT_TEXT(who.principal, "ada");
        EXPECT_TEXT(who.role, "user");
        EXPECT_DONE(admin, plexus_token_revoke(admin, "ada"));
        EXPECT_INT(plexus_status(user, &status), PLEXUS_REVOKED);
        EXPECT_INT(library_open_token(&broker, user_token, &again), PLEXUS_REVOKED);
}

TEST(an_enrolment_token_is_exchanged_for_one_of_its_role)
{
        char admin_token[TOKEN_ROOM], enrol_token[TOKEN_ROOM], token[TOKEN_ROOM], detail[512];
        char url[64];
        struct plexus_who who;
        plexus *admin, *service;

        test_broker_start(&broker, test_temp_dir(), listen_arguments);
        snprintf(url, sizeof(url), "plexus://127.0.0.1:%u", broker.port_cmd);
        library_admin_token(&broker, admin_token);
        EXPECT_DONE(NULL, library_open_token(&broker, admin_token, &admin));
        EXPECT_DONE(admin, plexus_token_create(admin, "enrol", "lab", "service", 1, 60000,
                                               enrol_token, sizeof(enrol_token)));
        EXPECT_DONE(NULL, plexus_enrol(url, enrol_token, "lamp", LIBRARY_MS, token, sizeof(token),
                                       detail, sizeof(detail)));
        EXPECT_INT(token[2], 's');
        EXPECT_DONE(NULL, library_open_token(&broker, token, &service));
        EXPECT_DONE(service, plexus_whoami(service, &who));
        EXPECT_TEXT(who.principal, "lamp");
        EXPECT_TEXT(who.role, "service");
        EXPECT(plexus_enrol(url, enrol_token, "lamp2", LIBRARY_MS, token, sizeof(token), detail,
                            sizeof(detail)) > 0);
        EXPECT(detail[0] != '\0');
}

TEST(an_unknown_key_and_a_wrong_broker_are_refused_at_the_handshake)
{
        char text[TOKEN_ROOM], reason[PX_TOKEN_REASON_ROOM];
        struct px_token good, token;
        plexus *px;

        test_broker_start(&broker, test_temp_dir(), listen_arguments);
        library_admin_token(&broker, text);
        EXPECT(px_token_decode(px_slice_text(text), &good, reason));
        token = good;
        token.secret[5] ^= 1;
        px_token_encode(&token, text);
        EXPECT_REFUSED(NULL, library_open_token(&broker, text, &px), PLEXUS_UNREACHABLE,
                       "does not know the key of this token");
        token = good;
        token.broker_public[5] ^= 1;
        px_token_encode(&token, text);
        EXPECT_REFUSED(NULL, library_open_token(&broker, text, &px), PLEXUS_UNREACHABLE,
                       "the token is of another broker");
}

TEST(tokens_are_listed_without_their_secrets)
{
        char token[TOKEN_ROOM];
        struct plexus_token_info *tokens;
        size_t count, found = 0;
        plexus *px;

        test_broker_start(&broker, test_temp_dir(), NULL);
        px = library_open(&broker);
        EXPECT_DONE(px, plexus_token_create(px, "worker", "w1", NULL, 0, 0, token, sizeof(token)));
        EXPECT_INT(token[2], 'w');
        EXPECT_DONE(px, plexus_tokens(px, &tokens, &count));
        for (size_t i = 0; i < count; i++)
                found += strcmp(tokens[i].name, "w1") == 0 && strcmp(tokens[i].role, "worker") == 0;
        plexus_tokens_free(tokens);
        EXPECT_INT(found, 1);
}

TEST(a_worker_serves_over_tcp_and_outlives_the_broker)
{
        static struct library_worker serving;
        const char *dir = test_temp_dir();
        char token[TOKEN_ROOM], ports[4][8];
        const char *again[] = {"--listen",    "127.0.0.1", "--port-cmd",    ports[0],
                               "--port-node", ports[1],    "--port-data",   ports[2],
                               "--port-events", ports[3],  NULL};
        struct plexus_end end = {0};
        plexus *px;
        uint64_t job;

        test_broker_start(&broker, dir, listen_arguments);
        library_admin_token(&broker, token);
        EXPECT_DONE(NULL, library_open_token(&broker, token, &px));
        library_serve(&serving, px, 1);
        job = library_submit(px, "gate", "");
        EXPECT(library_wait(&serving.entered));
        snprintf(ports[0], sizeof(ports[0]), "%u", broker.port_cmd);
        snprintf(ports[1], sizeof(ports[1]), "%u", broker.port_node);
        snprintf(ports[2], sizeof(ports[2]), "%u", broker.port_data);
        snprintf(ports[3], sizeof(ports[3]), "%u", broker.port_events);
        test_broker_kill(&broker);
        test_broker_start(&broker, dir, again);
        sem_post(&serving.open);
        EXPECT_DONE(px, plexus_wait(px, job, LIBRARY_MS, &end));
        EXPECT_INT(end.state, PLEXUS_JOB_OK);
        EXPECT_INT(end.attempt, 1);
        plexus_end_fini(&end);
}
