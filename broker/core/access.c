/* SPDX-License-Identifier: Apache-2.0 */
/* access.c - who may do what: the one access function. Layer: L2 (broker/core).
 * Source: RELIABILITY 5. "Not yours" is answered as "no such job". */
#include "access.h"
#include "state.h"

bool access_sees_all(int role)
{
        return role == PX_ROLE_ADMIN || role == PX_ROLE_SERVICE || role == PX_ROLE_MONITOR;
}

static bool role_may(int role, enum verb verb)
{
        switch (verb) {
        case VERB_READ:
                return role == PX_ROLE_USER || role == PX_ROLE_WORKER || access_sees_all(role);
        case VERB_CHANGE:
        case VERB_SUBMIT:
                return role == PX_ROLE_USER || role == PX_ROLE_WORKER || role == PX_ROLE_SERVICE ||
                       role == PX_ROLE_ADMIN;
        case VERB_NODES:
        case VERB_TOKENS:
                return role == PX_ROLE_ADMIN;
        }
        PX_UNREACHABLE();
}

int access_check(const struct core *core, const struct principal *principal, enum verb verb,
                 uint32_t owner)
{
        int role = principal_role(principal, core->wall_ms);

        if (!role_may(role, verb))
                return PX_E_DENIED;
        if (owner == 0 || owner == principal->id || access_sees_all(role))
                return PX_OK;
        return PX_E_ABSENT;
}

int access_read(int role, struct px_principal_id principal, struct px_principal_id owner)
{
        if (!role_may(role, VERB_READ))
                return PX_E_DENIED;
        return owner.value == principal.value || access_sees_all(role) ? PX_OK : PX_E_ABSENT;
}

int access_upload(int role)
{
        return role_may(role, VERB_SUBMIT) ? PX_OK : PX_E_DENIED;
}
