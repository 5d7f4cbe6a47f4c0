/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - what a start brings into memory: key pair, core, first administrator, table of keys.
 * Layer: L4 (broker/shell). */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>
#include <zmq.h>

#include "px_codec.h"
#include "px_token.h"
#include "shell.h"

#define Z85_CHARS 40
#define CLUSTER_BYTES 16
#define LOCAL_PRINCIPAL ((struct px_principal_id){1})

static int path_in(const struct shell *shell, const char *name, char *ret_path, char *ret_text)
{
        if (snprintf(ret_path, PATH_MAX, "%s/%s", shell->options->dir, name) < PATH_MAX)
                return 0;
        snprintf(ret_text, PRIVATE_TEXT_ROOM, "%s/%s: the path is too long", shell->options->dir,
                 name);
        return -ENAMETOOLONG;
}

/* ---- the key pair ------------------------------------------------------------------------------
 */

/* The file holds the secret key as 40 characters of Z85 and a newline. */
static int make_identity(const char *path, char *ret_text)
{
        char public_text[Z85_CHARS + 1];
        char secret_text[Z85_CHARS + 2];
        int fault;

        PX_ASSERT(zmq_curve_keypair(public_text, secret_text) == 0);
        secret_text[Z85_CHARS] = '\n';
        fault = private_write(path, px_slice_of(secret_text, Z85_CHARS + 1), ret_text);
        sodium_memzero(secret_text, sizeof(secret_text));
        return fault;
}

static int take_identity(struct shell *shell, const char *path, struct px_slice bytes,
                         char *ret_text)
{
        char secret_text[Z85_CHARS + 1];
        char public_text[Z85_CHARS + 1];
        bool good = bytes.length == Z85_CHARS ||
                    (bytes.length == Z85_CHARS + 1 && bytes.data[Z85_CHARS] == '\n');

        px_slice_to_text(bytes, secret_text, sizeof(secret_text));
        good = good && zmq_z85_decode(shell->identity.secret_key, secret_text) != NULL &&
               zmq_curve_public(public_text, secret_text) == 0 &&
               zmq_z85_decode(shell->identity.public_key, public_text) != NULL;
        sodium_memzero(secret_text, sizeof(secret_text));
        if (good)
                return 0;
        snprintf(ret_text, PRIVATE_TEXT_ROOM, "%s: is not a CURVE secret key (40 Z85 characters)",
                 path);
        return -EINVAL;
}

int load_identity(struct shell *shell, char *ret_text)
{
        struct px_buf bytes = {0};
        char path[PATH_MAX];
        int fault = path_in(shell, "keys/broker.secret", path, ret_text);

        if (fault == 0)
                fault = private_read(path, Z85_CHARS + 1, &bytes, ret_text);
        if (fault == -ENOENT && shell->start.index > 0) {
                snprintf(ret_text, PRIVATE_TEXT_ROOM,
                         "%s: is missing, and every token was made for it; put it back from the "
                         "backup",
                         path);
        } else if (fault == -ENOENT) {
                fault = make_identity(path, ret_text);
                if (fault == 0)
                        fault = private_read(path, Z85_CHARS + 1, &bytes, ret_text);
        }
        sodium_mlock(&shell->identity, sizeof(shell->identity));
        if (fault == 0)
                fault = take_identity(shell, path, px_buf_slice(&bytes), ret_text);
        if (bytes.data != NULL)
                sodium_memzero(bytes.data, bytes.capacity);
        px_buf_fini(&bytes);
        return fault;
}

/* ---- the core
 * ------------------------------------------------------------------------------------ */

struct load {
        struct core *core;
        struct record *record;
        uint8_t table;
        uint64_t damaged;
};

static bool load_row(void *context, struct px_slice key, struct px_slice value)
{
        struct load *load = context;

        record_row(load->record, load->table, key, value);
        if (core_load_row(load->core, load->table, key, value) == PX_OK)
                return true;
        load->damaged++;
        fprintf(stderr, "plexus-broker: damaged record set aside: table %s, key ",
                px_table_name(load->table));
        for (size_t i = 0; i < key.length; i++)
                fprintf(stderr, "%02x", key.data[i]);
        fputc('\n', stderr);
        return true;
}

int load_core(struct shell *shell)
{
        struct load load = {0};
        int64_t wall_ms = clock_wall_ms();
        struct core_options options = {
                .epoch = shell->start.epoch,
                .heartbeat_ms = shell->options->heartbeat_ms,
                .lease_ms = shell->options->lease_ms,
                .session_ms = (uint64_t)25 * 3600 * 1000,
                .assign_repeat_ms = 3000,
                .jobs_max = PX_LIMIT_JOBS,
                .broker_public =
                        px_slice_of(shell->identity.public_key, sizeof(shell->identity.public_key)),
        };

        if (shell->options->record != NULL) {
                int fault = record_open(shell->options->record, &options, &shell->record);

                if (fault != 0)
                        return fault;
        }
        shell->core = core_new(&options);
        load.core = shell->core;
        load.record = shell->record;
        for (size_t i = 0; i < core_load_tables_count; i++) {
                uint64_t damaged = 0;
                int result;

                load.table = core_load_tables[i];
                result = px_read_each(shell->log, load.table, PX_SLICE_NONE, load_row, &load,
                                      &damaged);
                if (result < 0)
                        return result;
                load.damaged += damaged;
        }
        record_loaded(shell->record, wall_ms);
        core_load_end(shell->core, wall_ms);
        core_clock_init(&shell->clock, core_now_ms(shell->core));
        shell->index = shell->start.index;
        if (load.damaged > 0)
                fprintf(stderr, "plexus-broker: %" PRIu64 " damaged records were set aside\n",
                        load.damaged);
        return px_log_fault(shell->log);
}

void load_keys(struct shell *shell)
{
        struct keys_entry *entries = NULL;
        struct core_principal principal;
        size_t capacity = 0;
        size_t count = 0;
        size_t cursor = 0;
        int64_t wall_ms = clock_wall_ms();

        while (core_principal_next(shell->core, &cursor, wall_ms, &principal)) {
                if (count == capacity) {
                        capacity = PX_MAX(capacity * 2, (size_t)64);
                        entries = px_realloc(entries, capacity * sizeof(*entries));
                }
                entries[count] = (struct keys_entry){.id = principal.id, .role = principal.role};
                px_slice_to_text(principal.name, entries[count].name, sizeof(entries->name));
                if (principal.public_key.length != KEYS_PUBLIC_BYTES)
                        continue;
                memcpy(entries[count].public_key, principal.public_key.data, KEYS_PUBLIC_BYTES);
                count++;
        }
        keys_replace(shell->keys, entries, count, LOCAL_PRINCIPAL);
        px_free(entries);
}

/* ---- the first batch ----------------------------------------------------------------------------
 */

/* The administrator bears the name of the account that the broker runs as. */
static void account_name(char *ret_name, size_t room)
{
        const struct passwd *entry = getpwuid(geteuid());

        if (entry != NULL && entry->pw_name[0] != '\0' && strlen(entry->pw_name) < room)
                snprintf(ret_name, room, "%s", entry->pw_name);
        else
                snprintf(ret_name, room, "uid-%u", geteuid());
}

/* Make the administrator's token and write it where only this account reads it. */
static int make_admin_token(struct shell *shell, uint8_t *ret_public_key, char *ret_text)
{
        struct px_token token = {.role_letter = px_token_letter(PX_ROLE_ADMIN)};
        char public_text[Z85_CHARS + 1];
        char secret_text[Z85_CHARS + 1];
        char line[PX_TOKEN_ROOM + 1];
        char path[PATH_MAX];
        int fault = path_in(shell, "keys/admin.token", path, ret_text);

        if (fault != 0)
                return fault;
        PX_ASSERT(zmq_curve_keypair(public_text, secret_text) == 0);
        PX_ASSERT(zmq_z85_decode(token.secret, secret_text) != NULL);
        PX_ASSERT(zmq_z85_decode(ret_public_key, public_text) != NULL);
        memcpy(token.broker_public, shell->identity.public_key, sizeof(token.broker_public));
        px_token_encode(&token, line);
        line[PX_TOKEN_CHARS] = '\n';
        fault = private_write(path, px_slice_of(line, PX_TOKEN_CHARS + 1), ret_text);
        px_token_wipe(&token);
        sodium_memzero(line, sizeof(line));
        sodium_memzero(secret_text, sizeof(secret_text));
        return fault;
}

int load_bootstrap(struct shell *shell, char *ret_text)
{
        uint8_t cluster[CLUSTER_BYTES];
        uint8_t public_key[KEYS_PUBLIC_BYTES];
        char name[PX_LIMIT_PRINCIPAL_BYTES + 1];
        struct px_slice names[1];
        struct px_slice public_keys[1];
        const uint32_t roles[1] = {PX_ROLE_ADMIN};
        struct px_buf frame = {0};
        int fault = make_admin_token(shell, public_key, ret_text);

        if (fault != 0)
                return fault;
        account_name(name, sizeof(name));
        clock_random(cluster, sizeof(cluster));
        names[0] = px_slice_text(name);
        public_keys[0] = px_slice_of(public_key, sizeof(public_key));
        px_m_bootstrap_frame(
                &(struct px_m_bootstrap){.cluster = px_slice_of(cluster, sizeof(cluster)),
                                         .names = names,
                                         .names_count = 1,
                                         .roles = roles,
                                         .roles_count = 1,
                                         .public_keys = public_keys,
                                         .public_keys_count = 1},
                0, 0, &frame);
        batch_add_own(shell->batch, 0, px_buf_slice(&frame));
        px_buf_fini(&frame);
        if (loop_flush(shell) == BROKER_EXIT_OK)
                return 0;
        snprintf(ret_text, PRIVATE_TEXT_ROOM, "the first record could not be stored");
        return -EIO;
}
