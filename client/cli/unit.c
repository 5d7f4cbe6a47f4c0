/* SPDX-License-Identifier: Apache-2.0 */
/* unit.c - see unit.h. Layer: L4 (client/cli). Source: DESIGN 7, RELIABILITY 2 and 5.
 * `plexus init` and `plexus join` write these texts; the build prints them once more for packagers. */
#include "unit.h"

#include <string.h>

/* A word of a command line: quoted, with the signs that systemd would expand doubled. */
static void print_word(FILE *out, const char *word)
{
        fputc('"', out);
        for (; *word != '\0'; word++) {
                if (*word == '"' || *word == '\\')
                        fputc('\\', out);
                if (*word == '%' || *word == '$')
                        fputc(*word, out);
                fputc(*word, out);
        }
        fputc('"', out);
}

static void print_option(FILE *out, const char *name, const char *value)
{
        fprintf(out, " %s ", name);
        print_word(out, value);
}

static void print_number(FILE *out, const char *name, unsigned value)
{
        fprintf(out, " %s %u", name, value);
}

/* Five starts within a minute, then it stays down and says so. */
static void print_head(FILE *out, const char *what)
{
        fprintf(out,
                "[Unit]\n"
                "Description=%s\n"
                "Documentation=man:plexus(1)\n"
                "Wants=network-online.target\n"
                "After=network-online.target\n"
                "StartLimitIntervalSec=60\n"
                "StartLimitBurst=5\n"
                "\n[Service]\n"
                "Type=notify\n"
                "NotifyAccess=main\n"
                "Restart=always\n"
                "RestartSec=200ms\n",
                what);
}

static bool stands_below(const char *dir, const char *top)
{
        size_t length = strlen(top);

        return strncmp(dir, top, length) == 0 && (dir[length] == '/' || dir[length] == '\0');
}

/* Where it may write: below /var/lib systemd makes the directory and gives it to the account. */
static void print_directory(FILE *out, const char *dir)
{
        static const char state[] = "/var/lib";
        bool home = stands_below(dir, "/home") || stands_below(dir, "/root");
        bool temporary = stands_below(dir, "/tmp") || stands_below(dir, "/var/tmp");

        if (stands_below(dir, state) && dir[sizeof state - 1] == '/') {
                fputs("StateDirectory=", out);
                print_word(out, dir + sizeof state);
                fputs("\nStateDirectoryMode=0700\n", out);
        } else {
                fputs("ReadWritePaths=", out);
                print_word(out, dir);
                fputc('\n', out);
        }
        fprintf(out, "ProtectHome=%s\nPrivateTmp=%s\n", home ? "no" : "yes", temporary ? "no" : "yes");
}

void unit_print_broker(FILE *out, const struct unit_broker *unit)
{
        print_head(out, "Plexus broker");
        fputs("ExecStart=", out);
        print_word(out, unit->program);
        print_option(out, "--dir", unit->dir);
        print_option(out, "--run", UNIT_RUN);
        print_option(out, "--listen", unit->listen);
        print_number(out, "--port-cmd", unit->port);
        print_number(out, "--port-node", unit->port + 1);
        print_number(out, "--port-data", unit->port + 2);
        print_number(out, "--port-events", unit->port + 3);
        fputs("\n# Wrong options and damaged data are not mended by starting again.\n"
              "RestartPreventExitStatus=64 65\n"
              "TimeoutStartSec=10min\n"
              "TimeoutStopSec=60\n"
              "User=" UNIT_ACCOUNT "\n"
              "Group=" UNIT_ACCOUNT "\n"
              "UMask=0077\n"
              "RuntimeDirectory=plexus\n"
              "RuntimeDirectoryMode=0700\n",
              out);
        print_directory(out, unit->dir);
        fputs("\n# The broker holds a limit of its own (--memory-max); this one is the kernel's.\n"
              "MemoryMax=5G\n"
              "LimitNOFILE=262144\n"
              "LimitCORE=0\n"
              "TasksMax=64\n"
              "\n"
              "NoNewPrivileges=yes\n"
              "CapabilityBoundingSet=\n"
              "AmbientCapabilities=\n"
              "ProtectSystem=strict\n"
              "PrivateDevices=yes\n"
              "ProtectClock=yes\n"
              "ProtectControlGroups=yes\n"
              "ProtectHostname=yes\n"
              "ProtectKernelLogs=yes\n"
              "ProtectKernelModules=yes\n"
              "ProtectKernelTunables=yes\n"
              "ProtectProc=invisible\n"
              "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n"
              "RestrictNamespaces=yes\n"
              "RestrictRealtime=yes\n"
              "RestrictSUIDSGID=yes\n"
              "RemoveIPC=yes\n"
              "LockPersonality=yes\n"
              "MemoryDenyWriteExecute=yes\n"
              "SystemCallArchitectures=native\n"
              "SystemCallFilter=@system-service\n"
              "SystemCallErrorNumber=EPERM\n"
              "\n[Install]\n"
              "WantedBy=multi-user.target\n",
              out);
}

void unit_print_node(FILE *out, const struct unit_node *unit)
{
        char token_file[1024];

        snprintf(token_file, sizeof token_file, "%s/node.token", unit->dir);
        print_head(out, "Plexus node");
        fputs("ExecStart=", out);
        print_word(out, unit->program);
        print_option(out, "--dir", unit->dir);
        print_option(out, "--name", unit->name);
        print_option(out, "--url", unit->url);
        print_option(out, "--token-file", token_file);
        if (unit->cpus != NULL)
                print_option(out, "--cpus", unit->cpus);
        fputs("\nRestartPreventExitStatus=64\n"
              "# Stopping or upgrading the node leaves its keepers and jobs alone: the next one finds them.\n"
              "KillMode=process\n"
              "Delegate=yes\n"
              "OOMPolicy=continue\n"
              "# Jobs live in this unit's control group, so limits and hardening here would be theirs: memory,\n"
              "# processes and privileges are set for each job by its keeper. No MemoryMax for that reason.\n"
              "TasksMax=infinity\n"
              "LimitNOFILE=65536\n"
              "TimeoutStartSec=60\n"
              "TimeoutStopSec=30\n"
              "\n[Install]\n"
              "WantedBy=multi-user.target\n",
              out);
}
