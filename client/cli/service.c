/* SPDX-License-Identifier: Apache-2.0 */
/* service.c - see service.h. Layer: L4 (client/cli). Source: INTERFACES 1a; sd_booted(3). */
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"
#include "unit.h"

#define UNIT_FOLDER "/etc/systemd/system"
#define OUTPUT_ROOM 2048

static int must_run(const struct cli *cli, const char *const *words, const char *help)
{
        char output[OUTPUT_ROOM];
        int status = tool_run(words, NULL, output, sizeof output);

        if (status == 0)
                return 0;
        return cli_fail(cli, CLI_FAULT, "%s %s failed (%d)%s%s%s%s", words[0], words[1], status,
                        *output != '\0' ? ": " : "", output, *help != '\0' ? "; see " : "", help);
}

/* ---- services ------------------------------------------------------------------------------------------ */

bool service_possible(const struct cli *cli, const char **ret_why)
{
        struct stat about;

        *ret_why = NULL;
        if (cli_has(cli, "no-service"))
                *ret_why = "--no-service";
        else if (lstat("/run/systemd/system", &about) != 0 || !S_ISDIR(about.st_mode))
                *ret_why = "no systemd runs here";
        else if (geteuid() != 0)
                *ret_why = "only root installs services";
        return *ret_why == NULL;
}

int service_account(const struct cli *cli, uid_t *ret_uid, gid_t *ret_gid)
{
        static const char *const words[] = {"systemd-sysusers", "--inline",
                                            "u " UNIT_ACCOUNT " - \"Plexus broker\" /var/lib/plexus", NULL};
        const struct passwd *account = getpwnam(UNIT_ACCOUNT);
        int code = account == NULL ? must_run(cli, words, "") : 0;

        if (code != 0)
                return code;
        if (account == NULL)
                account = getpwnam(UNIT_ACCOUNT);
        if (account == NULL || account->pw_uid == 0)
                return cli_fail(cli, CLI_FAULT, "the account \"" UNIT_ACCOUNT "\" %s",
                                account == NULL ? "could not be made" : "is root");
        *ret_uid = account->pw_uid;
        *ret_gid = account->pw_gid;
        return 0;
}

static int write_unit(const struct cli *cli, const char *name, void (*print)(FILE *out, const void *unit),
                      const void *unit)
{
        char path[256];
        char temporary[260];
        FILE *file;
        bool written;
        int fd;

        snprintf(path, sizeof path, UNIT_FOLDER "/%s.service", name);
        snprintf(temporary, sizeof temporary, "%s.new", path);
        fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
        file = fd < 0 ? NULL : fdopen(fd, "w");
        if (file == NULL)
                return cli_fail(cli, CLI_FAULT, "%s: %s", temporary, strerror(errno));
        print(file, unit);
        written = fchmod(fd, 0644) == 0 && fflush(file) == 0 && fsync(fd) == 0;
        written = fclose(file) == 0 && written;
        if (!written || rename(temporary, path) != 0)
                return cli_fail(cli, CLI_FAULT, "%s: %s", path, strerror(errno));
        if (!cli->quiet)
                printf("wrote    %s\n", path);
        return 0;
}

int service_install(const struct cli *cli, const char *name, void (*print)(FILE *out, const void *unit),
                    const void *unit)
{
        const char *const reload[] = {"systemctl", "daemon-reload", NULL};
        const char *const enable[] = {"systemctl", "enable", name, NULL};
        const char *const restart[] = {"systemctl", "restart", name, NULL};
        char help[128];
        int code = write_unit(cli, name, print, unit);

        snprintf(help, sizeof help, "journalctl -u %s", name);
        if (code == 0)
                code = must_run(cli, reload, "");
        if (code == 0)
                code = must_run(cli, enable, "");
        return code == 0 ? must_run(cli, restart, help) : code;
}

void service_status(const char *name, char *ret_text, size_t room)
{
        const char *const words[] = {"systemctl", "show", "--value", "-p", "StatusText", name, NULL};

        if (tool_run(words, NULL, ret_text, room) != 0)
                ret_text[0] = '\0';
}
