/* SPDX-License-Identifier: Apache-2.0 */
/* test_shell_keys.c - the table of keys and who the ZAP handler admits. */
#include "keys.h"
#include "px_schema.h"
#include "test.h"
#include "zap.h"

#define ACCOUNT 1000

static void free_keys(void *context)
{
        keys_free(context);
}

static struct keys_entry entry(uint32_t id, int role)
{
        struct keys_entry made = {.id = {id}, .role = role};

        memset(made.public_key, (int)id, sizeof(made.public_key));
        return made;
}

/* Principals 1 admin (also local), 2 user, 3 dead, 4 node, 5 enrol, 6 monitor. */
static struct keys *some_keys(void)
{
        const struct keys_entry entries[] = {
                entry(1, PX_ROLE_ADMIN), entry(2, PX_ROLE_USER),  entry(3, PX_ROLE_DEAD),
                entry(4, PX_ROLE_NODE),  entry(5, PX_ROLE_ENROL), entry(6, PX_ROLE_MONITOR),
        };
        struct keys *keys = keys_new();

        test_cleanup(free_keys, keys);
        keys_replace(keys, entries, PX_COUNT_OF(entries), (struct px_principal_id){1});
        return keys;
}

TEST(a_key_is_found_by_its_bytes_and_by_its_principal)
{
        struct keys *keys = some_keys();
        struct keys_entry found;
        uint8_t unknown[KEYS_PUBLIC_BYTES] = {9};

        EXPECT(keys_find_key(keys, entry(2, 0).public_key, &found));
        EXPECT_INT(found.id.value, 2);
        EXPECT(keys_find_id(keys, (struct px_principal_id){4}, &found));
        EXPECT_INT(found.role, PX_ROLE_NODE);
        EXPECT(!keys_find_key(keys, unknown, &found));
        EXPECT(!keys_find_id(keys, (struct px_principal_id){7}, &found));
}

TEST(a_replaced_table_forgets_what_it_had)
{
        struct keys *keys = some_keys();
        const struct keys_entry only = entry(8, PX_ROLE_USER);
        struct keys_entry found;

        keys_replace(keys, &only, 1, (struct px_principal_id){0});
        EXPECT(!keys_find_id(keys, (struct px_principal_id){1}, &found));
        EXPECT(!keys_find_local(keys, &found));
        EXPECT(keys_find_id(keys, (struct px_principal_id){8}, &found));
}

TEST(a_message_belongs_to_the_principal_named_in_decimal_and_to_nobody_else)
{
        struct keys *keys = some_keys();
        struct keys_entry found;
        static const char *const wrong[] = {"",   "0",  "7",   " 1",         "1 ",
                                            "+1", "-1", "0x1", "4294967297", "99999999999999999999",
                                            "1a"};

        EXPECT(keys_of_message(keys, "2", &found));
        EXPECT_INT(found.id.value, 2);
        EXPECT(!keys_of_message(keys, NULL, &found));
        for (size_t i = 0; i < PX_COUNT_OF(wrong); i++)
                EXPECT(!keys_of_message(keys, wrong[i], &found));
}

/* Who enters `domain` by CURVE with the key of this principal; 0 = nobody. */
static uint32_t by_curve(struct keys *keys, const char *domain, uint32_t principal)
{
        struct keys_entry key = entry(principal, 0);
        struct zap_request request = {
                .domain = px_slice_text(domain),
                .address = px_slice_text("127.0.0.1"),
                .mechanism = px_slice_text("CURVE"),
                .credentials = px_slice_of(key.public_key, KEYS_PUBLIC_BYTES),
        };
        struct keys_entry found;

        return zap_admit(keys, ACCOUNT, &request, &found) ? found.id.value : 0;
}

/* The same without a key. */
static uint32_t by_null(struct keys *keys, const char *domain, const char *address)
{
        struct zap_request request = {
                .domain = px_slice_text(domain),
                .address = px_slice_text(address),
                .mechanism = px_slice_text("NULL"),
        };
        struct keys_entry found;

        return zap_admit(keys, ACCOUNT, &request, &found) ? found.id.value : 0;
}

TEST(each_role_enters_where_it_has_business)
{
        /* per principal: on cmd, node, data, events */
        static const bool expected[7][4] = {
                {false, false, false, false}, {true, true, true, true},
                {true, true, true, false},    {true, false, false, false},
                {true, true, true, false},    {true, false, false, false},
                {true, true, true, true},
        };
        static const char *const domains[4] = {"cmd-tcp", "node-tcp", "data-tcp", "events-tcp"};
        struct keys *keys = some_keys();

        for (uint32_t principal = 1; principal <= 6; principal++) {
                for (size_t i = 0; i < PX_COUNT_OF(domains); i++)
                        EXPECT_INT(by_curve(keys, domains[i], principal),
                                   expected[principal][i] ? principal : 0);
        }
}

TEST(an_unknown_key_enters_nowhere)
{
        struct keys *keys = some_keys();

        EXPECT_INT(by_curve(keys, "cmd-tcp", 7), 0);
        EXPECT_INT(by_curve(keys, "data-tcp", 7), 0);
}

TEST(a_peer_without_key_enters_local_sockets_of_its_own_account_only)
{
        struct keys *keys = some_keys();

        EXPECT_INT(by_null(keys, "cmd-local", "localhost:1000:1000:77"), 1);
        EXPECT_INT(by_null(keys, "cmd-local", "a:1000:b:1000:1000:77"), 1);
        EXPECT_INT(by_null(keys, "cmd-local", "1000:1001:1000:77"), 0);
        EXPECT_INT(by_null(keys, "cmd-local", "1000:1000:77"), 0);
        EXPECT_INT(by_null(keys, "data-local", ":1000:5:77"), 1);
        EXPECT_INT(by_null(keys, "cmd-local", ":1001:1000:77"), 0);
        EXPECT_INT(by_null(keys, "cmd-local", ":10000:1000:77"), 0);
        EXPECT_INT(by_null(keys, "cmd-local", ""), 0);
        EXPECT_INT(by_null(keys, "cmd-tcp", ":1000:1000:77"), 0);
        EXPECT_INT(by_null(keys, "cmd-tcp", "127.0.0.1"), 0);
}

TEST(a_key_enters_no_local_socket_and_no_unknown_domain)
{
        struct keys *keys = some_keys();

        EXPECT_INT(by_curve(keys, "cmd-local", 1), 0);
        EXPECT_INT(by_curve(keys, "", 1), 0);
        EXPECT_INT(by_curve(keys, "cmd", 1), 0);
        EXPECT_INT(by_curve(keys, "other-tcp", 1), 0);
        EXPECT_INT(by_curve(keys, "cmd-tcp-and-a-tail-that-is-longer-than-any-domain", 1), 0);
}

TEST(an_empty_table_admits_nobody)
{
        struct keys *keys = keys_new();

        test_cleanup(free_keys, keys);
        EXPECT_INT(by_curve(keys, "cmd-tcp", 1), 0);
        EXPECT_INT(by_null(keys, "cmd-local", ":1000:1000:77"), 0);
}
