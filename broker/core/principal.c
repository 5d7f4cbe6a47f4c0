/* SPDX-License-Identifier: Apache-2.0 */
/* principal.c - whose keys there are. Layer: L2 (broker/core). Public keys only; a revoked principal
 * keeps its number (jobs name it) and gives its name free. Source: DESIGN 6; RELIABILITY 5. */
#include "state.h"

struct principal *principal_find(const struct core *core, uint32_t id)
{
        return px_map_find(&core->principals, id);
}

static uint64_t slice_hash(struct px_slice slice)
{
        return px_hash64(0, slice.data, slice.length);
}

struct principal *principal_named(const struct core *core, struct px_slice name)
{
        struct principal *principal = px_map_find(&core->principals_by_name, slice_hash(name));

        return principal != NULL && px_slice_equal(principal->name, name) ? principal : NULL;
}

struct principal *principal_with_key(const struct core *core, struct px_slice public_key)
{
        struct principal *principal =
                px_map_find(&core->principals_by_key, slice_hash(public_key));

        if (principal == NULL ||
            !px_slice_equal(px_slice_of(principal->public_key, CORE_PUBLIC_KEY_BYTES), public_key))
                return NULL;
        return principal;
}

int principal_role(const struct principal *principal, int64_t wall_ms)
{
        if (principal->revoked)
                return PX_ROLE_DEAD;
        if (principal->expires_wall_ms != 0 && principal->expires_wall_ms <= wall_ms)
                return PX_ROLE_DEAD;
        return principal->role;
}

struct px_slice principal_name(const struct core *core, uint32_t id)
{
        const struct principal *principal = principal_find(core, id);

        return principal == NULL ? PX_SLICE_NONE : principal->name;
}

void principal_row_of(const struct principal *principal, struct px_principal_row *ret_row)
{
        *ret_row = (struct px_principal_row){
                .name = principal->name,
                .role = principal->role,
                .public_key = px_slice_of(principal->public_key, CORE_PUBLIC_KEY_BYTES),
                .created_wall_ms = principal->created_wall_ms,
                .expires_wall_ms = principal->expires_wall_ms,
                .uses_left = principal->uses_left,
                .revoked = principal->revoked,
                .enrol_role = principal->enrol_role,
                .parent = {principal->parent},
        };
}

static bool name_char_is_valid(uint8_t c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
}

bool name_is_valid(struct px_slice name)
{
        if (name.length == 0 || name.length > PX_LIMIT_PRINCIPAL_BYTES)
                return false;
        for (size_t i = 0; i < name.length; i++)
                if (!name_char_is_valid(name.data[i]))
                        return false;
        return name.data[0] != '.' && name.data[0] != '-';
}

static struct principal *principal_add(struct core *core, uint32_t id,
                                       const struct px_principal_row *row)
{
        struct principal *principal = px_alloc(sizeof(*principal));

        PX_ASSERT(row->public_key.length == CORE_PUBLIC_KEY_BYTES);
        *principal = (struct principal){
                .id = id,
                .role = row->role,
                .name = slice_own(row->name),
                .created_wall_ms = row->created_wall_ms,
                .expires_wall_ms = row->expires_wall_ms,
                .uses_left = row->uses_left,
                .revoked = row->revoked,
                .enrol_role = row->enrol_role,
                .parent = row->parent.value,
        };
        memcpy(principal->public_key, row->public_key.data, CORE_PUBLIC_KEY_BYTES);
        px_list_append(&core->principal_list, &principal->link);
        px_map_put(&core->principals, id, principal);
        px_map_put(&core->principals_by_key, slice_hash(row->public_key), principal);
        if (!principal->revoked)
                px_map_put(&core->principals_by_name, slice_hash(principal->name), principal);
        share_init(&principal->share);
        principal->share.gate = gate_find(core, PX_GATE_KIND_USER, principal->name);
        return principal;
}

int principal_load(struct core *core, uint32_t id, const struct px_principal_row *row)
{
        if (id == 0 || row->role == 0 || row->public_key.length != CORE_PUBLIC_KEY_BYTES ||
            !name_is_valid(row->name) || principal_find(core, id) != NULL ||
            principal_with_key(core, row->public_key) != NULL ||
            (!row->revoked && principal_named(core, row->name) != NULL))
                return PX_E_DAMAGED;
        principal_add(core, id, row);
        return PX_OK;
}

struct principal *principal_make(struct core *core, const struct px_principal_row *row)
{
        struct principal *principal;

        PX_ASSERT(principal_named(core, row->name) == NULL);
        PX_ASSERT(principal_with_key(core, row->public_key) == NULL);
        principal = principal_add(core, core->next_principal++, row);
        principal_put(core, principal);
        principal_event(core, principal, PX_EV_TOKEN_MADE);
        return principal;
}

void principal_put(struct core *core, const struct principal *principal)
{
        struct row_key key = row_key_u32(principal->id);
        struct px_principal_row row;

        principal_row_of(principal, &row);
        px_buf_reset(&core->bytes);
        px_principal_row_encode(&row, &core->bytes);
        put_row(core, PX_TABLE_PRINCIPAL, &key, px_buf_slice(&core->bytes));
        put_effect(core, CORE_EFFECT_PRINCIPALS, 0);
}

void principal_unname(struct core *core, struct principal *principal)
{
        if (principal_named(core, principal->name) == principal)
                px_map_take(&core->principals_by_name, slice_hash(principal->name));
}

void principal_event(struct core *core, const struct principal *principal, int kind)
{
        struct px_event event = {
                .kind = (uint16_t)kind,
                .owner = {principal->id},
                .exit_code = -1,
                .text = output_text(core, "%s %.*s", px_role_name(principal->role),
                                    (int)principal->name.length,
                                    (const char *)principal->name.data),
        };

        put_event(core, &event);
}

void principals_fini(struct core *core)
{
        while (!px_list_empty(&core->principal_list)) {
                struct principal *principal =
                        PX_CONTAINER_OF(core->principal_list.next, struct principal, link);

                px_list_remove(&principal->link);
                share_fini(&principal->share);
                slice_drop(&principal->name);
                px_free(principal);
        }
        px_map_fini(&core->principals);
        px_map_fini(&core->principals_by_name);
        px_map_fini(&core->principals_by_key);
}

bool core_principal_next(const struct core *core, size_t *cursor, int64_t wall_ms,
                         struct core_principal *ret_principal)
{
        const struct principal *principal;
        uint64_t id;
        void *value;

        if (!px_map_next(&core->principals, cursor, &id, &value))
                return false;
        principal = value;
        *ret_principal = (struct core_principal){
                .id = {principal->id},
                .name = principal->name,
                .public_key = px_slice_of(principal->public_key, CORE_PUBLIC_KEY_BYTES),
                .role = principal_role(principal, wall_ms),
        };
        return true;
}
