/* SPDX-License-Identifier: Apache-2.0 */
/* test_egress_blob.c - files on the socket `data`: up from clients, down to the node that runs the job. */
#include <sodium.h>

#include "egress_rig.h"
#include "px_codec.h"

#define BYTES 100000

static uint8_t content[BYTES];
static uint8_t hash[32];

static void make_content(void)
{
        for (size_t i = 0; i < sizeof(content); i++)
                content[i] = (uint8_t)(i * 7 >> 2);
        crypto_hash_sha256(hash, content, sizeof(content));
}

static void say_open(struct rig_peer *peer, uint64_t bytes)
{
        struct px_m_blob_open open = {.blob = px_slice_of(hash, sizeof(hash)), .bytes = bytes};
        struct px_buf frame = {0};

        px_m_blob_open_frame(&open, 5, 0, &frame);
        rig_send(peer, &frame, PX_SLICE_NONE);
        px_buf_fini(&frame);
}

static void say_data(struct rig_peer *peer, uint64_t offset, size_t length)
{
        struct px_m_blob_data data = {.blob = px_slice_of(hash, sizeof(hash)),
                                      .bytes = BYTES,
                                      .offset = offset,
                                      .data = px_slice_of(content + offset, length)};
        struct px_buf frame = {0};

        px_m_blob_data_frame(&data, 6, 0, &frame);
        rig_send(peer, &frame, PX_SLICE_NONE);
        px_buf_fini(&frame);
}

static struct px_m_blob_at answer(struct rig_peer *peer)
{
        struct rig_message *message = rig_expect(peer, PX_M_BLOB_AT);
        struct px_m_blob_at at = {0};

        EXPECT_INT(px_m_blob_at_decode(message->body, rig_arena(), &at), PX_WIRE_OK);
        return at;
}

static int refusal(struct rig_peer *peer, const char *words)
{
        struct rig_message *message = rig_expect(peer, PX_M_REFUSED);
        struct px_m_refused refused = {0};
        char text[1100];

        EXPECT_INT(px_m_refused_decode(message->body, rig_arena(), &refused), PX_WIRE_OK);
        px_slice_to_text(refused.text, text, sizeof(text));
        if (strstr(text, words) == NULL)
                test_fail(__FILE__, __LINE__, "\"%s\" lacks \"%s\"", text, words);
        return refused.code;
}

static void upload_all(struct rig_peer *peer)
{
        uint64_t offset;

        say_open(peer, BYTES);
        offset = answer(peer).offset;
        while (offset < BYTES) {
                say_data(peer, offset, PX_MIN(BYTES - (size_t)offset, (size_t)30000));
                offset = answer(peer).offset;
        }
}

TEST(an_upload_goes_on_where_the_broker_was_killed)
{
        struct rig_peer *user;
        struct px_m_blob_at at;

        make_content();
        rig_start();
        user = rig_connect(RIG_USER);
        say_open(user, BYTES);
        EXPECT_U64(answer(user).offset, 0);
        say_data(user, 0, 60000);
        EXPECT_U64(answer(user).offset, 60000);
        say_data(user, 0, 60000); /* a repeat */
        EXPECT_U64(answer(user).offset, 60000);
        rig_restart();
        user = rig_connect(RIG_USER);
        say_open(user, BYTES);
        at = answer(user);
        EXPECT_U64(at.offset, 60000);
        EXPECT(!at.complete);
        say_data(user, 60000, BYTES - 60000);
        at = answer(user);
        EXPECT(at.complete);
        /* What is here need not be sent again; what another has isn't here. */
        say_open(user, BYTES);
        EXPECT(answer(user).complete);
        user = rig_connect(RIG_OTHER);
        say_open(user, BYTES);
        EXPECT_U64(answer(user).offset, 0);
}

TEST(an_upload_above_the_limit_is_refused_by_name_before_its_first_byte)
{
        struct rig_peer *user;

        make_content();
        rig_start();
        user = rig_connect(RIG_USER);
        say_open(user, PX_LIMIT_STDIN_BYTES + 1);
        EXPECT_INT(refusal(user, "8388609 bytes; the limit is 8388608 (STDIN_BYTES)"), PX_E_LIMIT);
        say_open(user, 0);
        EXPECT_INT(refusal(user, ""), PX_E_INVALID);
        say_open(user, PX_LIMIT_STDIN_BYTES);
        EXPECT_U64(answer(user).offset, 0);
}

TEST(who_may_not_submit_may_not_upload)
{
        struct rig_peer *peer;

        make_content();
        rig_start();
        peer = rig_connect(RIG_MONITOR);
        say_open(peer, BYTES);
        EXPECT_INT(refusal(peer, "not allowed"), PX_E_DENIED);
        peer = rig_connect(RIG_NODE);
        say_open(peer, BYTES);
        EXPECT_INT(refusal(peer, "not allowed"), PX_E_DENIED);
}

static void say_get(struct rig_peer *node, uint64_t job, struct px_fence fence, uint64_t offset,
                    uint64_t credit_bytes)
{
        struct px_m_blob_get get = {
                .job = {job}, .fence = fence, .offset = offset, .credit_bytes = credit_bytes};
        struct px_buf frame = {0};

        px_m_blob_get_frame(&get, 0, 0, &frame);
        rig_send(node, &frame, PX_SLICE_NONE);
        px_buf_fini(&frame);
}

static struct px_m_blob_part part(struct rig_peer *node)
{
        struct rig_message *message = rig_expect(node, PX_M_BLOB_PART);
        struct px_m_blob_part part = {0};

        EXPECT_INT(px_m_blob_part_decode(message->body, rig_arena(), &part), PX_WIRE_OK);
        return part;
}

TEST(a_node_gets_as_many_bytes_as_it_asks_for)
{
        struct rig_peer *node;
        struct px_m_blob_part got;

        make_content();
        rig_start();
        upload_all(rig_connect(RIG_USER));
        rig_use_blob(px_slice_of(hash, sizeof(hash)));
        rig_open(1, RIG_USER, 1);
        node = rig_connect(RIG_NODE);
        say_get(node, 1, rig_fence(1), 0, 70000);
        got = part(node);
        EXPECT_U64(got.data.length, PX_LIMIT_BLOB_CHUNK_BYTES);
        got = part(node);
        EXPECT_U64(got.offset, PX_LIMIT_BLOB_CHUNK_BYTES);
        EXPECT_U64(got.data.length, 70000 - PX_LIMIT_BLOB_CHUNK_BYTES);
        EXPECT(memcmp(got.data.data, content + got.offset, got.data.length) == 0);
        rig_expect_silence(node);
        say_get(node, 1, rig_fence(1), 70000, 1000000);
        EXPECT_U64(part(node).data.length, BYTES - 70000);
        rig_expect_silence(node);
}

TEST(only_the_node_that_runs_the_attempt_gets_its_file)
{
        struct rig_peer *node;

        make_content();
        rig_start();
        upload_all(rig_connect(RIG_USER));
        rig_use_blob(px_slice_of(hash, sizeof(hash)));
        rig_open(1, RIG_USER, 1);
        node = rig_connect(RIG_OTHER_NODE);
        say_get(node, 1, rig_fence(1), 0, 1000);
        EXPECT_INT(part(node).code, PX_E_ABSENT);
        node = rig_connect(RIG_USER);
        say_get(node, 1, rig_fence(1), 0, 1000);
        EXPECT_INT(part(node).code, PX_E_ABSENT);
        node = rig_connect(RIG_NODE);
        say_get(node, 1, rig_fence(2), 0, 1000);
        EXPECT_INT(part(node).code, PX_E_ABSENT);
        say_get(node, 2, rig_fence(1), 0, 1000);
        EXPECT_INT(part(node).code, PX_E_ABSENT);
        /* The row says that it uses a file which isn't here: named, never served. */
        hash[0] ^= 1;
        rig_use_blob(px_slice_of(hash, sizeof(hash)));
        rig_open(3, RIG_USER, 1);
        say_get(node, 3, rig_fence(1), 0, 1000);
        EXPECT_INT(part(node).code, PX_E_ABSENT);
}
