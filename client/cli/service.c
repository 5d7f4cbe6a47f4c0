/* SPDX-License-Identifier: Apache-2.0 */
/* service.c - see service.h. Layer: L4 (client/cli). Source: INTERFACES 1a; sd_booted(3). */
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#define UNIT_FOLDER "/etc/systemd/system"
#define OUTPUT_ROOM 2048

/* ---- other programs ---------------------------------------------------------------------------------- */

static int spawn_into(const char *const *words, int write_fd, pid_t *ret_pid)
{
        posix_spawn_file_actions_t actions;
        int error;

        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, write_fd, 1);
        posix_spawn_file_actions_adddup2(&actions, write_fd, 2);
        error = posix_spawnp(ret_pid, words[0], &actions, NULL, (char *const *)(uintptr_t)words, environ);
        posix_spawn_file_actions_destroy(&actions);
        return error;
}

/* Run a program to its end. Returns its exit status, 127 when it can't be started; what it said is in
 * ret_output, cut to fit, without the last newline. */
static int run_tool(const char *const *words, char *ret_output, size_t room)
{
        size_t length = 0;
        int status = 0;
        pid_t pid;
        int ends[2];
        int error;

        ret_output[0] = '\0';
        if (pipe2(ends, O_CLOEXEC) != 0)
                return 127;
        error = spawn_into(words, ends[1], &pid);
        close(ends[1]);
        while (error == 0) {
                char rest[512];
                bool full = length + 1 >= room;
                ssize_t got = read(ends[0], full ? rest : ret_output + length,
                                   full ? sizeof rest : room - 1 - length);

                if (got == 0 || (got < 0 && errno != EINTR))
                        break;
                if (got > 0 && !full)
                        length += (size_t)got;
        }
        close(ends[0]);
        ret_output[length] = '\0';
        if (length > 0 && ret_output[length - 1] == '\n')
                ret_output[length - 1] = '\0';
        if (error != 0) {
                snprintf(ret_output, room, "%s", strerror(error));
                return 127;
        }
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return 127;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int must_run(const struct cli *cli, const char *const *words, const char *help)
{
        char output[OUTPUT_ROOM];
        int status = run_tool(words, output, sizeof output);

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

        if (run_tool(words, ret_text, room) != 0)
                ret_text[0] = '\0';
}
