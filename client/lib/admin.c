/* SPDX-License-Identifier: Apache-2.0 */
/* admin.c - nodes and tokens. Layer: L4 (client/lib). */
#include "lib_request.h"
#include "lib_view.h"

#include "px_token.h"

#include <stdio.h>
#include <string.h>

/* ---- nodes ---------------------------------------------------------------------------------------- */

/* Append a page; *ret_next as in NODE_LIST. */
static int take_nodes(struct px_slice body, struct plexus_node **nodes, size_t *count,
                      struct px_node_id *ret_next)
{
        struct px_m_node_list list;
        struct px_arena arena = {0};

        if (px_m_node_list_decode(body, &arena, &list) != PX_WIRE_OK) {
                px_arena_fini(&arena);
                return request_malformed("NODE_LIST");
        }
        *nodes = px_realloc(*nodes, (*count + list.nodes_count + 1) * sizeof(**nodes));
        for (size_t i = 0; i < list.nodes_count; i++)
                view_node(&list.nodes[i], &(*nodes)[(*count)++]);
        *ret_next = list.next;
        px_arena_fini(&arena);
        return PX_OK;
}

int plexus_nodes(struct plexus *px, struct plexus_node **ret_nodes, size_t *ret_count)
{
        struct px_m_nodes query = {0};
        struct plexus_node *nodes = NULL;
        size_t count = 0;
        int code;

        do {
                struct request request = {.expect = PX_M_NODE_LIST};
                struct px_buf frame = {0};

                px_m_nodes_frame(&query, 0, 0, &frame);
                code = request_call(px, &request, false, px_buf_slice(&frame), 0);
                if (code == PX_OK)
                        code = take_nodes(px_buf_slice(&request.body), &nodes, &count,
                                          &query.after);
                request_fini(&request);
                px_buf_fini(&frame);
        } while (code == PX_OK && query.after.value != 0);
        if (code == PX_OK) {
                *ret_nodes = nodes;
                *ret_count = count;
        } else {
                px_free(nodes);
        }
        return code;
}

void plexus_nodes_free(struct plexus_node *nodes)
{
        px_free(nodes);
}

/* enum px_node_change of a verb, 0 when unknown. */
static int change_of(const char *verb)
{
        static const struct {
                const char *verb;
                int change;
        } table[] = {
                {"drain", PX_NODE_CHANGE_DRAIN},       {"resume", PX_NODE_CHANGE_RESUME},
                {"stop", PX_NODE_CHANGE_STOP_DRAIN},   {"kill", PX_NODE_CHANGE_STOP_KILL},
                {"remove", PX_NODE_CHANGE_REMOVE},
        };

        for (size_t i = 0; i < PX_COUNT_OF(table); i++) {
                if (strcmp(table[i].verb, verb) == 0)
                        return table[i].change;
        }
        return 0;
}

/* A name that goes to the broker. */
static int check_name(const char *what, const char *name, size_t bytes_max)
{
        struct px_slice slice = px_slice_text(name);

        if (slice.length == 0)
                return detail_refuse(PX_E_INVALID, "%s is empty", what);
        if (slice.length > bytes_max)
                return detail_refuse(PX_E_LIMIT, "%s has %zu bytes; the limit is %zu", what,
                                     slice.length, bytes_max);
        if (!px_slice_is_text(slice))
                return detail_refuse(PX_E_INVALID, "%s is not UTF-8", what);
        return PX_OK;
}

int plexus_node_change(struct plexus *px, const char *name, const char *verb)
{
        struct request request = {.expect = PX_M_NODE_CHANGED};
        struct px_m_node_change change = {.change = change_of(verb), .node = px_slice_text(name)};
        struct px_buf frame = {0};
        int code = check_name("the node's name", name, PX_LIMIT_NODE_NAME_BYTES);

        if (code == PX_OK && change.change == 0)
                code = detail_refuse(PX_E_INVALID, "\"%s\" is not drain, resume, stop, kill or "
                                                   "remove", verb);
        if (code != PX_OK)
                return code;
        px_m_node_change_frame(&change, 0, 0, &frame);
        code = request_call(px, &request, true, px_buf_slice(&frame), 0);
        request_fini(&request);
        px_buf_fini(&frame);
        return code;
}

/* ---- tokens ----------------------------------------------------------------------------------------- */

/* Make a key pair and, with it, a token for the broker whose public key is given. */
static void make_token(int role, const uint8_t *broker_public, struct px_token *ret_token,
                       uint8_t *ret_public)
{
        char public_text[SOCKET_Z85_ROOM], secret_text[SOCKET_Z85_ROOM];
        int fault = zmq_curve_keypair(public_text, secret_text);

        PX_ASSERT(fault == 0);
        ret_token->role_letter = px_token_letter(role);
        zmq_z85_decode(ret_token->secret, secret_text);
        zmq_z85_decode(ret_public, public_text);
        memcpy(ret_token->broker_public, broker_public, PX_TOKEN_KEY_BYTES);
        explicit_bzero(secret_text, sizeof(secret_text));
}

/* The broker's public key: from our own token, or as WELCOME said it. */
static int broker_key(struct plexus *px, uint8_t *ret_public)
{
        int code = lib_enter(px);

        if (code != PX_OK)
                return code;
        if (px->keys.server[0] != '\0')
                zmq_z85_decode(ret_public, px->keys.server);
        else if (px->welcome.has_broker_public)
                memcpy(ret_public, px->welcome.broker_public, PX_TOKEN_KEY_BYTES);
        else
                code = detail_refuse(PX_E_VERSION, "the broker did not say its public key; tokens "
                                                   "need it");
        lib_leave(px);
        return code;
}

static int check_token(const char *role_name, const char *name, const char *enrol_role, int *ret_role,
                       int *ret_enrol_role)
{
        *ret_role = px_role_from_name(px_slice_text(role_name));
        *ret_enrol_role = enrol_role != NULL ? px_role_from_name(px_slice_text(enrol_role)) : 0;
        if (px_token_letter(*ret_role) == 0)
                return detail_refuse(PX_E_INVALID, "\"%s\" is no role a token can have", role_name);
        if (*ret_role == PX_ROLE_ENROL &&
            (px_token_letter(*ret_enrol_role) == 0 || *ret_enrol_role == PX_ROLE_ENROL))
                return detail_refuse(PX_E_INVALID, "an enrolment token needs the role of the tokens "
                                                   "it is exchanged for");
        return check_name("the token's name", name, PX_LIMIT_PRINCIPAL_BYTES);
}

int plexus_token_create(struct plexus *px, const char *role, const char *name,
                        const char *enrol_role, uint32_t uses, uint64_t lifetime_ms,
                        char *ret_token, size_t room)
{
        struct request request = {.expect = PX_M_TOKEN_MADE};
        struct px_m_token_make make = {.name = px_slice_text(name), .lifetime_ms = lifetime_ms};
        struct px_token token;
        struct px_buf frame = {0};
        uint8_t broker_public[PX_TOKEN_KEY_BYTES], own_public[PX_TOKEN_KEY_BYTES];
        int code = check_token(role, name, enrol_role, &make.role, &make.enrol_role);

        PX_ASSERT(room >= PX_TOKEN_ROOM);
        if (code == PX_OK && uses > PX_LIMIT_TOKEN_USES)
                code = detail_refuse(PX_E_LIMIT, "%u uses; the limit is %d (TOKEN_USES)", uses,
                                     PX_LIMIT_TOKEN_USES);
        if (code == PX_OK)
                code = broker_key(px, broker_public);
        if (code != PX_OK)
                return code;
        make_token(make.role, broker_public, &token, own_public);
        make.public_key = px_slice_of(own_public, sizeof(own_public));
        make.uses = make.role == PX_ROLE_ENROL ? PX_MAX(uses, 1u) : 0;
        px_m_token_make_frame(&make, 0, 0, &frame);
        code = request_call(px, &request, true, px_buf_slice(&frame), 0);
        if (code == PX_OK)
                px_token_encode(&token, ret_token);
        px_token_wipe(&token);
        request_fini(&request);
        px_buf_fini(&frame);
        return code;
}

int plexus_token_revoke(struct plexus *px, const char *name_or_id)
{
        struct request request = {.expect = PX_M_TOKEN_REVOKED};
        struct px_m_token_revoke revoke = {.name = px_slice_text(name_or_id)};
        struct px_buf frame = {0};
        int code = check_name("the token's name", name_or_id, PX_LIMIT_PRINCIPAL_BYTES);

        if (code != PX_OK)
                return code;
        px_m_token_revoke_frame(&revoke, 0, 0, &frame);
        code = request_call(px, &request, true, px_buf_slice(&frame), 0);
        request_fini(&request);
        px_buf_fini(&frame);
        return code;
}

/* Append a page; *ret_next as in TOKEN_LIST. */
static int take_tokens(struct px_slice body, struct plexus_token_info **tokens, size_t *count,
                       struct px_principal_id *ret_next)
{
        struct px_m_token_list list;
        struct px_arena arena = {0};

        if (px_m_token_list_decode(body, &arena, &list) != PX_WIRE_OK) {
                px_arena_fini(&arena);
                return request_malformed("TOKEN_LIST");
        }
        *tokens = px_realloc(*tokens, (*count + list.principals_count + 1) * sizeof(**tokens));
        for (size_t i = 0; i < list.principals_count; i++)
                view_token(&list.principals[i], &(*tokens)[(*count)++]);
        *ret_next = list.next;
        px_arena_fini(&arena);
        return PX_OK;
}

int plexus_tokens(struct plexus *px, struct plexus_token_info **ret_tokens, size_t *ret_count)
{
        struct px_m_tokens query = {0};
        struct plexus_token_info *tokens = NULL;
        size_t count = 0;
        int code;

        do {
                struct request request = {.expect = PX_M_TOKEN_LIST};
                struct px_buf frame = {0};

                px_m_tokens_frame(&query, 0, 0, &frame);
                code = request_call(px, &request, false, px_buf_slice(&frame), 0);
                if (code == PX_OK)
                        code = take_tokens(px_buf_slice(&request.body), &tokens, &count,
                                           &query.after);
                request_fini(&request);
                px_buf_fini(&frame);
        } while (code == PX_OK && query.after.value != 0);
        if (code == PX_OK) {
                *ret_tokens = tokens;
                *ret_count = count;
        } else {
                px_free(tokens);
        }
        return code;
}

void plexus_tokens_free(struct plexus_token_info *tokens)
{
        px_free(tokens);
}

/* ---- enrolment ---------------------------------------------------------------------------------------- */

#define ENROL_REPEAT_MS 1000
#define ENROL_NUMBER 1

void enrol_step(struct plexus *px, int64_t now_ms)
{
        if (px->enrol_request == NULL || px->enrol_request->done || now_ms < px->enrol_due_ms) {
                px->enrol_due_ms = PX_MAX(px->enrol_due_ms, now_ms + 1);
                return;
        }
        loop_send(px, &px->cmd, px_buf_slice(&px->enrol_frame), PX_SLICE_NONE);
        px->enrol_due_ms = now_ms + ENROL_REPEAT_MS;
}

void enrol_receive(struct plexus *px, const struct px_wire_header *header, struct px_slice body,
                   struct px_arena *arena)
{
        struct px_m_refused refused;
        struct request *request = px->enrol_request;

        if (request == NULL || request->done)
                return;
        if (header->type == PX_M_ENROLLED) {
                request_finish(px, request, PX_OK, PX_SLICE_NONE, body, PX_SLICE_NONE);
        } else if (header->type == PX_M_REFUSED &&
                   px_m_refused_decode(body, arena, &refused) == PX_WIRE_OK && refused.code != 0) {
                request_finish(px, request, refused.code, refused.text, PX_SLICE_NONE,
                               PX_SLICE_NONE);
        }
}

static int wait_enrolled(struct plexus *px, struct request *request, int64_t timeout_ms)
{
        int64_t deadline_ms = lib_deadline_ms(px, timeout_ms);
        int code = PX_OK;

        while (!request->done && code == PX_OK) {
                if (lib_wait(px, request->changed, deadline_ms) || request->done)
                        continue;
                if (px->cmd.state == LINK_UP)
                        code = detail_refuse(PX_E_TIMED_OUT, "%s did not answer the enrolment",
                                             px->cmd.current.words);
                else
                        code = lib_refuse_late(px, timeout_ms);
        }
        if (code == PX_OK && request->code != PX_OK)
                code = detail_refuse(request->code, "%s", request->text);
        return code;
}

/* Send ENROL with a new key until it is answered. */
static int enrol(struct plexus *px, const char *name, int64_t timeout_ms, struct px_token *token,
                 const uint8_t *own_public)
{
        struct request request = {.expect = PX_M_ENROLLED};
        struct px_m_enrol message = {.public_key = px_slice_of(own_public, PX_TOKEN_KEY_BYTES),
                                     .name = px_slice_text(name)};
        struct px_m_enrolled answer;
        struct px_arena arena = {0};
        pthread_cond_t changed;
        int code;

        lib_condition_init(&changed);
        pthread_mutex_lock(&px->lock);
        px_m_enrol_frame(&message, ENROL_NUMBER, 0, &px->enrol_frame);
        request.changed = &changed;
        px->enrol_request = &request;
        px->enrol_due_ms = 0;
        lib_wake(px);
        code = wait_enrolled(px, &request, timeout_ms);
        px->enrol_request = NULL;
        pthread_mutex_unlock(&px->lock);
        pthread_cond_destroy(&changed);
        if (code == PX_OK && (px_m_enrolled_decode(px_buf_slice(&request.body), &arena, &answer) !=
                                      PX_WIRE_OK ||
                              px_token_letter(answer.role) == 0))
                code = request_malformed("ENROLLED");
        if (code == PX_OK)
                token->role_letter = px_token_letter(answer.role);
        px_arena_fini(&arena);
        request_fini(&request);
        return code;
}

int plexus_enrol(const char *url, const char *enrol_token, const char *name, int64_t timeout_ms,
                 char *ret_token, size_t room, char *ret_detail, size_t detail_room)
{
        struct plexus_options options = {.url = url, .token = enrol_token, .timeout_ms = timeout_ms};
        struct px_token token = {0};
        uint8_t broker_public[PX_TOKEN_KEY_BYTES], own_public[PX_TOKEN_KEY_BYTES];
        struct plexus *px = NULL;
        int code = check_name("the name", name, PX_LIMIT_PRINCIPAL_BYTES);

        PX_ASSERT(room >= PX_TOKEN_ROOM);
        if (code == PX_OK)
                code = connect_start(&options, true, &px);
        if (code == PX_OK && px->keys.server[0] == '\0')
                code = detail_refuse(PX_E_INVALID, "enrolment needs a plexus:// URL and the token");
        if (code == PX_OK) {
                zmq_z85_decode(broker_public, px->keys.server);
                make_token(PX_ROLE_ENROL, broker_public, &token, own_public);
                code = enrol(px, name, timeout_ms, &token, own_public);
        }
        if (code == PX_OK)
                px_token_encode(&token, ret_token);
        if (ret_detail != NULL && detail_room > 0)
                snprintf(ret_detail, detail_room, "%s", code == PX_OK ? "" : detail_text());
        px_token_wipe(&token);
        plexus_close(px);
        return code;
}
