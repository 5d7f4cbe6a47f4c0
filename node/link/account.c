/* SPDX-License-Identifier: Apache-2.0 */
/* account.c - as whom a job runs on this node. Layer: L4 (node/link). Source: DESIGN 7 "Accounts".
 *
 * self: as the link's own account, for the principal of that name and for administrators.
 * map:  the link is root; each job runs as the account its principal is named after, uid 1000 and
 *       above; root only for administrators who ask for it. */
#include "link.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#define ACCOUNT_UID_MIN 1000
#define ACCOUNT_UID_NOBODY 65534
#define ACCOUNT_KNOWN_MS 1000

static void account_fill(struct account *account, const struct passwd *entry)
{
        gid_t groups[KEEPER_GROUPS_MAX];
        int count = KEEPER_GROUPS_MAX;

        memset(account, 0, sizeof(*account));
        snprintf(account->user, sizeof(account->user), "%s", entry->pw_name);
        snprintf(account->home, sizeof(account->home), "%s", entry->pw_dir);
        snprintf(account->shell, sizeof(account->shell), "%s",
                 entry->pw_shell[0] == '\0' ? "/bin/sh" : entry->pw_shell);
        account->uid = entry->pw_uid;
        account->gid = entry->pw_gid;
        if (getgrouplist(entry->pw_name, entry->pw_gid, groups, &count) < 0)
                count = KEEPER_GROUPS_MAX; /* it filled what there was room for */
        for (int i = 0; i < count; i++)
                account->groups[account->groups_count++] = groups[i];
}

static int account_self(const struct px_assign *assign, struct account *account, char *ret_text,
                        size_t room)
{
        const struct passwd *entry = getpwuid(geteuid());
        char principal[PX_LIMIT_PRINCIPAL_BYTES + 1];

        if (entry == NULL) {
                memset(account, 0, sizeof(*account));
                snprintf(account->user, sizeof(account->user), "%u", (unsigned)geteuid());
                snprintf(account->home, sizeof(account->home), "/");
                snprintf(account->shell, sizeof(account->shell), "/bin/sh");
                account->uid = geteuid();
                account->gid = getegid();
        } else {
                account_fill(account, entry);
        }
        px_slice_to_text(assign->principal, principal, sizeof(principal));
        if (assign->principal_admin || strcmp(principal, account->user) == 0)
                return PX_OK;
        snprintf(ret_text, room,
                 "this node runs jobs of %s and of administrators, as %s; not those of %s",
                 account->user, account->user, principal);
        return PX_E_NO_ACCOUNT;
}

static int account_map(const struct px_assign *assign, bool as_root, struct account *account,
                       char *ret_text, size_t room)
{
        char principal[PX_LIMIT_PRINCIPAL_BYTES + 1];
        const struct passwd *entry;

        px_slice_to_text(assign->principal, principal, sizeof(principal));
        if (as_root && !assign->principal_admin) {
                snprintf(ret_text, room, "only administrators may run jobs as root");
                return PX_E_NO_ACCOUNT;
        }
        errno = 0;
        entry = as_root ? getpwuid(0) : getpwnam(principal);
        if (entry == NULL) {
                snprintf(ret_text, room, "this node has no account %s%s%s", principal,
                         errno == 0 ? "" : ": ", errno == 0 ? "" : strerror(errno));
                return PX_E_NO_ACCOUNT;
        }
        if (!as_root && (entry->pw_uid < ACCOUNT_UID_MIN || entry->pw_uid == ACCOUNT_UID_NOBODY)) {
                snprintf(ret_text, room,
                         "account %s has uid %u: jobs run as accounts from uid %d on%s", principal,
                         (unsigned)entry->pw_uid, ACCOUNT_UID_MIN,
                         assign->principal_admin ? "; --as root asks for root" : "");
                return PX_E_NO_ACCOUNT;
        }
        account_fill(account, entry);
        account->switches = true;
        return PX_OK;
}

/* Looking an account up reads several files; jobs come in runs of one account. */
static struct {
        char principal[PX_LIMIT_PRINCIPAL_BYTES + 1];
        bool admin;
        bool as_root;
        int64_t until_ms;
        struct account account;
} latest;

static bool latest_is(const struct px_assign *assign, bool as_root)
{
        return machine_now_ms() < latest.until_ms && latest.as_root == as_root &&
               latest.admin == assign->principal_admin &&
               px_slice_equal(px_slice_text(latest.principal), assign->principal);
}

static int account_look_up(bool map, const struct px_assign *assign, bool as_root,
                           struct account *ret_account, char *ret_text, size_t room)
{
        return map ? account_map(assign, as_root, ret_account, ret_text, room)
                   : account_self(assign, ret_account, ret_text, room);
}

int account_find(bool map, const struct px_assign *assign, bool as_root,
                 struct account *ret_account, char *ret_text, size_t room)
{
        int code;

        if (latest_is(assign, as_root)) {
                *ret_account = latest.account;
                return PX_OK;
        }
        code = account_look_up(map, assign, as_root, ret_account, ret_text, room);
        if (code == PX_OK) {
                px_slice_to_text(assign->principal, latest.principal, sizeof(latest.principal));
                latest.admin = assign->principal_admin;
                latest.as_root = as_root;
                latest.account = *ret_account;
                latest.until_ms = machine_now_ms() + ACCOUNT_KNOWN_MS;
        }
        return code;
}
