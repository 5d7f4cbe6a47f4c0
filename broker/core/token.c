/* SPDX-License-Identifier: Apache-2.0 */
/* token.c - making, revoking and enrolling principals. Layer: L2 (broker/core). Source: DESIGN 6. */
#include "state.h"

static bool name_is_number(struct px_slice name)
{
        for (size_t i = 0; i < name.length; i++)
                if (name.data[i] < '0' || name.data[i] > '9')
                        return false;
        return true;
}

/* What every new principal must satisfy. Returns 0 or a refusal and why. */
static int principal_refusal(const struct core *core, struct px_slice name,
                             struct px_slice public_key, const char **ret_why)
{
        if (!name_is_valid(name) || name_is_number(name)) {
                *ret_why = "a name has letters, digits, . _ - and is no number";
                return PX_E_INVALID;
        }
        if (public_key.length != CORE_PUBLIC_KEY_BYTES) {
                *ret_why = "a public key has 32 bytes";
                return PX_E_INVALID;
        }
        if (principal_named(core, name) != NULL) {
                *ret_why = "this name is taken; choose another, or revoke it first: plexus token "
                           "revoke NAME";
                return PX_E_CONFLICT;
        }
        if (principal_with_key(core, public_key) != NULL) {
                *ret_why = "this key is known already";
                return PX_E_CONFLICT;
        }
        if (core->principals.count >= PX_LIMIT_PRINCIPALS) {
                *ret_why = "too many principals";
                return PX_E_LIMIT;
        }
        return PX_OK;
}

/* ---- BOOTSTRAP ------------------------------------------------------------------------------------- */

static bool bootstrap_is_sound(const struct px_m_bootstrap *bootstrap)
{
        return bootstrap->cluster.length == CORE_ID_BYTES && bootstrap->names_count > 0 &&
               bootstrap->names_count == bootstrap->roles_count &&
               bootstrap->names_count == bootstrap->public_keys_count;
}

/* The shell says it once, in a new data directory; again it changes nothing. */
void token_bootstrap(struct core *core, const struct px_m_bootstrap *bootstrap)
{
        const char *why;

        PX_ASSERT(bootstrap_is_sound(bootstrap));
        if (core->has_cluster)
                return;
        memcpy(core->cluster, bootstrap->cluster.data, CORE_ID_BYTES);
        core->has_cluster = true;
        for (size_t i = 0; i < bootstrap->names_count; i++) {
                PX_ASSERT(principal_refusal(core, bootstrap->names[i], bootstrap->public_keys[i],
                                            &why) == PX_OK);
                principal_make(core, &(struct px_principal_row){
                                             .name = bootstrap->names[i],
                                             .role = (int)bootstrap->roles[i],
                                             .public_key = bootstrap->public_keys[i],
                                             .created_wall_ms = core->wall_ms,
                                     });
        }
}

/* ---- TOKEN_MAKE -------------------------------------------------------------------------------------- */

static int make_refusal(const struct core *core, const struct px_m_token_make *make,
                        const char **ret_why)
{
        if (make->role == 0 || make->role == PX_ROLE_DEAD) {
                *ret_why = "a token needs a role";
                return PX_E_INVALID;
        }
        if (make->role == PX_ROLE_ENROL &&
            (make->enrol_role == 0 || make->enrol_role == PX_ROLE_ENROL ||
             make->enrol_role == PX_ROLE_DEAD)) {
                *ret_why = "an enrolment token needs the role that it makes";
                return PX_E_INVALID;
        }
        if (make->lifetime_ms > (uint64_t)CORE_POLICY_MS_MAX * 100) {
                *ret_why = "a lifetime is at most 100 years; 0 = for ever";
                return PX_E_LIMIT;
        }
        return principal_refusal(core, make->name, make->public_key, ret_why);
}

static struct principal *make_apply(struct core *core, const struct px_m_token_make *make)
{
        bool enrol = make->role == PX_ROLE_ENROL;

        return principal_make(
                core,
                &(struct px_principal_row){
                        .name = make->name,
                        .role = make->role,
                        .public_key = make->public_key,
                        .created_wall_ms = core->wall_ms,
                        .expires_wall_ms = make->lifetime_ms == 0
                                                   ? 0
                                                   : core->wall_ms + (int64_t)make->lifetime_ms,
                        .uses_left = enrol ? PX_MAX(make->uses, 1u) : 0,
                        .enrol_role = enrol ? make->enrol_role : 0,
                        .parent = core->command->principal,
                });
}

void token_make(struct core *core, const struct px_m_token_make *make)
{
        struct session *session = session_begin(core, make->session, make->done_below, true);
        struct px_m_token_made made;
        const char *why;
        int code;

        if (session == NULL)
                return;
        if (access_check(core, core->principal, VERB_TOKENS, 0) != 0) {
                refuse(core, PX_E_DENIED, "only an administrator makes tokens");
                return;
        }
        code = make_refusal(core, make, &why);
        if (code != 0) {
                refuse(core, code, "%s", why);
                return;
        }
        made = (struct px_m_token_made){.principal = {make_apply(core, make)->id},
                                        .name = make->name};
        FRAME(core, token_made, &made, core->command->header.correlation);
        session_answer(core, session);
}

/* ---- TOKEN_REVOKE -------------------------------------------------------------------------------------- */

static struct principal *principal_by_text(const struct core *core, struct px_slice text)
{
        uint64_t id = 0;

        if (text.length == 0 || text.length > 9 || !name_is_number(text))
                return principal_named(core, text);
        for (size_t i = 0; i < text.length; i++)
                id = id * 10 + (text.data[i] - '0');
        return principal_find(core, (uint32_t)id);
}

static bool is_last_admin(const struct core *core, const struct principal *principal)
{
        PX_LIST_EACH(&core->principal_list, at)
        {
                const struct principal *other = PX_CONTAINER_OF(at, struct principal, link);

                if (other != principal &&
                    principal_role(other, core->wall_ms) == PX_ROLE_ADMIN)
                        return false;
        }
        return principal->role == PX_ROLE_ADMIN;
}

void token_revoke(struct core *core, const struct px_m_token_revoke *revoke)
{
        struct session *session = session_begin(core, revoke->session, revoke->done_below, true);
        struct px_m_token_revoked revoked = {.count = 1};
        struct principal *principal;

        if (session == NULL)
                return;
        if (access_check(core, core->principal, VERB_TOKENS, 0) != 0) {
                refuse(core, PX_E_DENIED, "only an administrator revokes tokens");
                return;
        }
        principal = principal_by_text(core, revoke->name);
        if (principal == NULL || principal->revoked) {
                refuse(core, PX_E_ABSENT, "no token of this name or number is in use");
                return;
        }
        if (is_last_admin(core, principal)) {
                refuse(core, PX_E_CONFLICT, "this is the last administrator; make another first");
                return;
        }
        principal->revoked = true;
        principal_unname(core, principal);
        principal_put(core, principal);
        principal_event(core, principal, PX_EV_TOKEN_REVOKED);
        FRAME(core, token_revoked, &revoked, core->command->header.correlation);
        session_answer(core, session);
}

/* ---- ENROL ------------------------------------------------------------------------------------------------ */

static void say_enrolled(struct core *core, const struct principal *principal)
{
        struct px_m_enrolled enrolled = {
                .principal = {principal->id},
                .name = principal->name,
                .role = principal->role,
                .node_port = core->options.node_port,
                .data_port = core->options.data_port,
        };

        FRAME(core, enrolled, &enrolled, core->command->header.correlation);
        put_frame(core, core->command->peer);
}

/* The answer to an ENROL got lost: the same token made the same name with the same key. */
static bool enrol_is_repeat(const struct core *core, const struct px_m_enrol *enrol)
{
        const struct principal *made = principal_with_key(core, enrol->public_key);

        return made != NULL && made->parent == core->principal->id && !made->revoked &&
               px_slice_equal(made->name, enrol->name);
}

void token_enrol(struct core *core, const struct px_m_enrol *enrol)
{
        struct principal *token = core->principal;
        const char *why;
        int code;

        if (token->role != PX_ROLE_ENROL) {
                refuse(core, PX_E_DENIED, "only an enrolment token enrols");
                return;
        }
        if (enrol_is_repeat(core, enrol)) {
                say_enrolled(core, principal_with_key(core, enrol->public_key));
                return;
        }
        if (token->uses_left == 0) {
                refuse(core, PX_E_DENIED, "this enrolment token has no uses left");
                return;
        }
        code = principal_refusal(core, enrol->name, enrol->public_key, &why);
        if (code != 0) {
                refuse(core, code, "%s", why);
                return;
        }
        token->uses_left--;
        principal_put(core, token);
        principal_event(core, token, PX_EV_TOKEN_USED);
        say_enrolled(core, principal_make(core, &(struct px_principal_row){
                                                        .name = enrol->name,
                                                        .role = token->enrol_role,
                                                        .public_key = enrol->public_key,
                                                        .created_wall_ms = core->wall_ms,
                                                        .parent = {token->id},
                                                }));
}
