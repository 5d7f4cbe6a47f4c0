/* SPDX-License-Identifier: Apache-2.0 */
/* test_core_access.c - who may do what: every role, own, another's and no job; tokens. */
#include "core_driver.h"
#include "test.h"

static void say(struct client *client, struct px_slice frame)
{
        driver_say(client->driver, CORE_FROM_CLIENT, client->peer, client->principal, frame);
}

#define ASK(client, message, ...)                                                                   \
        do {                                                                                       \
                struct px_buf frame_ = {0};                                                        \
                struct px_m_##message m_ = {__VA_ARGS__};                                          \
                                                                                                   \
                m_.session = (client)->session;                                                    \
                m_.done_below = 1;                                                                 \
                px_m_##message##_frame(&m_,                                                        \
                                       ++(client)->number, 0, &frame_);                            \
                say(client, px_buf_slice(&frame_));                                                \
                px_buf_fini(&frame_);                                                              \
        } while (0)

TEST(anothers_job_is_no_job)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client ana = driver_client(driver, ANA);
        struct client bob = driver_client(driver, BOB);
        struct client helper = driver_client(driver, HELPER);
        struct client root = driver_client(driver, ROOT);
        uint64_t job = client_submit(&ana, driver_true(driver), NULL);
        struct px_end end;

        for (int change = PX_CHANGE_CANCEL; change <= PX_CHANGE_PRIORITY; change++) {
                struct change_args args = {.number = 1};

                EXPECT_INT(client_change(&bob, change, job, args), PX_E_ABSENT);
                EXPECT_INT(client_change(&bob, change, job + 1000, args), PX_E_ABSENT);
        }
        EXPECT(client_watch(&bob, job, &end));
        EXPECT_INT(end.code, PX_E_ABSENT);
        ASK(&bob, why, .job = {job});
        EXPECT_INT(driver_refused(driver, bob.peer), PX_E_ABSENT);
        EXPECT_INT(client_change(&helper, PX_CHANGE_PRIORITY, job, (struct change_args){0}), 0);
        EXPECT(!client_watch(&root, job, &end));
        EXPECT_INT(client_change(&root, PX_CHANGE_CANCEL, job, (struct change_args){0}), 0);
        /* Nor when it has ended. */
        EXPECT(client_watch(&bob, job, &end));
        EXPECT_INT(end.code, PX_E_ABSENT);
        EXPECT_INT(client_change(&bob, PX_CHANGE_PURGE, job, (struct change_args){0}),
                   PX_E_ABSENT);
        EXPECT(client_watch(&ana, job, &end));
        EXPECT_INT(end.code, 0);
}

TEST(roles_may_what_they_may)
{
        static const struct {
                uint32_t principal;
                int submit, change, watch, nodes, drain, tokens;
        } rows[] = {
                {ROOT, 0, PX_E_ABSENT, 0, 0, 0, 0},
                {ANA, 0, PX_E_ABSENT, 0, 0, PX_E_DENIED, PX_E_DENIED},
                {HELPER, 0, PX_E_ABSENT, 0, 0, PX_E_DENIED, PX_E_DENIED},
                {HAND, 0, PX_E_ABSENT, 0, 0, PX_E_DENIED, PX_E_DENIED},
                {WATCHER, PX_E_DENIED, PX_E_DENIED, 0, 0, PX_E_DENIED, PX_E_DENIED},
        };
        struct driver *driver = driver_start((struct driver_options){0});
        struct px_end end;
        int code;

        (void)driver_node(driver, KEY1, "n1");
        for (size_t i = 0; i < PX_COUNT_OF(rows); i++) {
                struct client client = driver_client(driver, rows[i].principal);

                (void)client_submit(&client, driver_true(driver), &code);
                EXPECT_INT(code, rows[i].submit);
                EXPECT_INT(client_change(&client, PX_CHANGE_CANCEL, 999, (struct change_args){0}),
                           rows[i].change);
                (void)client_watch(&client, 1, &end);
                EXPECT_INT(driver_refused(driver, client.peer), rows[i].watch);
                ASK(&client, nodes, .session = client.session);
                EXPECT_INT(driver_refused(driver, client.peer), rows[i].nodes);
                ASK(&client, status, .session = client.session);
                EXPECT_INT(driver_refused(driver, client.peer), rows[i].nodes);
                EXPECT_INT(client_node_change(&client, PX_NODE_CHANGE_DRAIN, "n1"),
                           rows[i].drain);
                ASK(&client, tokens, .session = client.session);
                EXPECT_INT(driver_refused(driver, client.peer), rows[i].tokens);
        }
}

TEST(a_node_key_is_no_client_and_a_user_key_no_node)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct px_m_client_hello hello = {0};
        struct px_m_nodes nodes = {0};
        struct px_buf frame = {0};
        struct player player = driver_player(driver, ANA, "n9");

        px_m_nodes_frame(&nodes, 1, 0, &frame);
        driver_say(driver, CORE_FROM_CLIENT, 50, KEY1, px_buf_slice(&frame));
        EXPECT_INT(driver_refused(driver, 50), PX_E_DENIED);
        px_buf_reset(&frame);
        px_m_client_hello_frame(&hello, 1, 0, &frame);
        driver_say(driver, CORE_FROM_CLIENT, 50, KEY1, px_buf_slice(&frame));
        EXPECT_INT(driver_refused(driver, 50), 0); /* it learns the ports so */
        driver_say(driver, CORE_FROM_CLIENT, 51, 77, px_buf_slice(&frame));
        EXPECT_INT(driver_refused(driver, 51), PX_E_DENIED);
        EXPECT_INT(player_hello(&player), PX_E_DENIED);
        px_buf_fini(&frame);
}

/* ---- tokens --------------------------------------------------------------------------------------------- */

static int make(struct client *client, const char *name, uint8_t key, int role, int enrol_role,
                uint64_t lifetime_ms)
{
        uint8_t bytes[32] = {0};

        memset(bytes, key, sizeof(bytes));
        ASK(client, token_make, .name = px_slice_text(name), .role = role,
            .public_key = px_slice_of(bytes, sizeof(bytes)), .uses = 1, .enrol_role = enrol_role,
            .lifetime_ms = lifetime_ms);
        return driver_refused(client->driver, client->peer);
}

static int revoke(struct client *client, const char *name)
{
        ASK(client, token_revoke, .name = px_slice_text(name));
        return driver_refused(client->driver, client->peer);
}

static uint32_t made(struct client *client)
{
        struct px_m_token_made message;

        EXPECT(DRIVER_READ(client->driver, client->peer, TOKEN_MADE, token_made, &message));
        return message.principal.value;
}

TEST(tokens_are_made_by_administrators_with_unused_names_and_keys)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client root = driver_client(driver, ROOT);
        struct client ana = driver_client(driver, ANA);

        EXPECT_INT(make(&ana, "eve", 100, PX_ROLE_ADMIN, 0, 0), PX_E_DENIED);
        EXPECT_INT(make(&root, "ana", 100, PX_ROLE_USER, 0, 0), PX_E_CONFLICT);
        EXPECT_INT(make(&root, "eve", 1, PX_ROLE_USER, 0, 0), PX_E_CONFLICT);
        EXPECT_INT(make(&root, "", 100, PX_ROLE_USER, 0, 0), PX_E_INVALID);
        EXPECT_INT(make(&root, "17", 100, PX_ROLE_USER, 0, 0), PX_E_INVALID);
        EXPECT_INT(make(&root, "a b", 100, PX_ROLE_USER, 0, 0), PX_E_INVALID);
        EXPECT_INT(make(&root, "eve", 100, PX_ROLE_DEAD, 0, 0), PX_E_INVALID);
        EXPECT_INT(make(&root, "eve", 100, PX_ROLE_ENROL, 0, 0), PX_E_INVALID);
        EXPECT_INT(driver_effects(driver, CORE_EFFECT_PRINCIPALS), 0);
        EXPECT_INT(make(&root, "eve", 100, PX_ROLE_USER, 0, 0), 0);
        EXPECT(driver_effects(driver, CORE_EFFECT_PRINCIPALS) > 0);
        EXPECT_INT(made(&root), 9);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_PRINCIPAL), 9);
}

TEST(a_revoked_token_is_told_so_with_its_next_word)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client root = driver_client(driver, ROOT);
        struct client ana = driver_client(driver, ANA);
        struct core_principal principal;
        size_t cursor = 0;
        int code;

        EXPECT_INT(revoke(&root, "ana"), 0);
        (void)client_submit(&ana, driver_true(driver), &code);
        EXPECT_INT(code, PX_E_REVOKED);
        EXPECT_INT(revoke(&root, "ana"), PX_E_ABSENT);
        EXPECT_INT(revoke(&root, "3"), 0); /* bob, by number */
        EXPECT_INT(revoke(&root, "root"), PX_E_CONFLICT); /* the last administrator */
        while (core_principal_next(driver_core(driver), &cursor, driver_wall_ms(driver),
                                   &principal))
                EXPECT_INT(principal.role == PX_ROLE_DEAD,
                           principal.id.value == ANA || principal.id.value == BOB);
        /* Its name is free again. */
        EXPECT_INT(make(&root, "ana", 100, PX_ROLE_USER, 0, 0), 0);
}

TEST(a_token_expires)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client root = driver_client(driver, ROOT);
        struct client eve;
        int code;

        EXPECT_INT(make(&root, "eve", 100, PX_ROLE_USER, 0, 5000), 0);
        eve = driver_client(driver, made(&root));
        driver_run_ms(driver, 4999);
        (void)client_submit(&eve, driver_true(driver), &code);
        EXPECT_INT(code, 0);
        driver_run_ms(driver, 1);
        (void)client_submit(&eve, driver_true(driver), &code);
        EXPECT_INT(code, PX_E_REVOKED);
}

static int enrol(struct driver *driver, uint32_t principal, const char *name, uint8_t key)
{
        uint8_t bytes[32] = {0};
        struct px_m_enrol message = {.public_key = px_slice_of(bytes, sizeof(bytes)),
                                     .name = px_slice_text(name)};
        struct px_buf frame = {0};

        memset(bytes, key, sizeof(bytes));
        px_m_enrol_frame(&message, 1, 0, &frame);
        driver_say(driver, CORE_FROM_CLIENT, 900, principal, px_buf_slice(&frame));
        px_buf_fini(&frame);
        return driver_refused(driver, 900);
}

TEST(an_enrolment_token_makes_as_many_keys_as_it_has_uses)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client root = driver_client(driver, ROOT);
        struct px_m_enrolled enrolled;
        uint32_t guest;
        struct client stranger;

        EXPECT_INT(make(&root, "join", 100, PX_ROLE_ENROL, PX_ROLE_NODE, 0), 0);
        guest = made(&root);
        EXPECT_INT(enrol(driver, ANA, "n5", 101), PX_E_DENIED);
        EXPECT_INT(enrol(driver, guest, "ana", 101), PX_E_CONFLICT);
        EXPECT_INT(enrol(driver, guest, "n5", 101), 0);
        EXPECT(DRIVER_READ(driver, 900, ENROLLED, enrolled, &enrolled));
        EXPECT_INT(enrolled.role, PX_ROLE_NODE);
        /* Its answer got lost: the same again. */
        EXPECT_INT(enrol(driver, guest, "n5", 101), 0);
        EXPECT_INT(enrol(driver, guest, "n6", 102), PX_E_DENIED); /* used up */
        (void)driver_node(driver, enrolled.principal.value, "n5");
        stranger = (struct client){.driver = driver, .principal = guest, .peer = 901};
        ASK(&stranger, ping, .session = {1});
        EXPECT_INT(driver_refused(driver, 901), PX_E_DENIED);
}

TEST(token_requests_run_once)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client root = driver_client(driver, ROOT);

        EXPECT_INT(make(&root, "eve", 100, PX_ROLE_USER, 0, 0), 0);
        root.number--;
        EXPECT_INT(make(&root, "eve", 100, PX_ROLE_USER, 0, 0), 0);
        EXPECT_INT(made(&root), 9);
        EXPECT_INT(driver_rows_count(driver, PX_TABLE_PRINCIPAL), 9);
}

TEST(the_list_of_tokens_shows_no_key)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client root = driver_client(driver, ROOT);
        struct px_m_token_list list;

        ASK(&root, tokens, .session = root.session);
        EXPECT(DRIVER_READ(driver, root.peer, TOKEN_LIST, token_list, &list));
        EXPECT_INT(list.principals_count, 8);
        EXPECT_BYTES(list.principals[1].name, px_slice_text("ana"));
        EXPECT_INT(list.principals[1].role, PX_ROLE_USER);
        EXPECT_INT(list.next.value, 0);
}

TEST(tokens_come_in_pages)
{
        struct driver *driver = driver_start((struct driver_options){0});
        struct client root = driver_client(driver, ROOT);
        struct px_m_token_list list = {0};
        uint32_t last = 0;
        size_t count = 0;

        do {
                ASK(&root, tokens, .session = root.session, .after = list.next, .count = 3);
                EXPECT(DRIVER_READ(driver, root.peer, TOKEN_LIST, token_list, &list));
                EXPECT(list.principals_count <= 3);
                for (size_t i = 0; i < list.principals_count; i++, count++) {
                        EXPECT(list.principals[i].principal.value > last);
                        last = list.principals[i].principal.value;
                }
        } while (list.next.value != 0);
        EXPECT_INT(count, 8);
}
