/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - plexus-node: options. Layer: L4 (node). */
#include "link.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

static const char usage[] =
        "usage: plexus-node --dir DIR --name NAME --url URL [options]\n"
        "Runs jobs for a broker. It may be stopped and started at any time: running jobs go on.\n"
        "  --dir DIR           keeps its attempts here (made, 0700)\n"
        "  --name NAME         what it is called\n"
        "  --url URL           local:DIR or plexus://HOST[:PORT][,HOST2[:PORT]]\n"
        "  --token-file FILE   its token; else $PLEXUS_TOKEN\n"
        "  --cpus N            gives away so many processors (1.5 is allowed; default: all)\n"
        "  --memory BYTES      and so much memory (suffixes K M G T; default: all)\n"
        "  --slots N           at most so many jobs at once\n"
        "  --gpus N            gives away so many gpus (default: those of /dev/nvidia*)\n"
        "  --label K=V         a label that jobs may ask for; may be given more than once\n"
        "  --resource NAME=N   units of a named resource; may be given more than once\n"
        "  --accounts self|map as whom jobs run: as this account, or each as its user's (root's default)\n"
        "  --cgroup PATH|none  where control groups are made; default: found out\n"
        "  --kill-mode MODE    the best way to end jobs it may use: cgroup2 (default), cgroup1, pidns,\n"
        "                      subreaper; or $PLEXUS_KILL_MODE\n"
        "  --new-privs         lets jobs gain privileges (sudo, setuid programs)\n"
        "  --keeper PATH       the plexus-keeper to use\n"
        "  --ready-fd N        says READY there once it has a session\n"
        "  --help, --version\n";

enum option_code {
        OPTION_DIR = 256,
        OPTION_NAME,
        OPTION_URL,
        OPTION_TOKEN_FILE,
        OPTION_CPUS,
        OPTION_MEMORY,
        OPTION_SLOTS,
        OPTION_GPUS,
        OPTION_LABEL,
        OPTION_RESOURCE,
        OPTION_ACCOUNTS,
        OPTION_CGROUP,
        OPTION_KILL_MODE,
        OPTION_NEW_PRIVS,
        OPTION_KEEPER,
        OPTION_READY_FD,
        OPTION_HELP,
        OPTION_VERSION,
};

static const struct option long_options[] = {
        {"dir", required_argument, NULL, OPTION_DIR},
        {"name", required_argument, NULL, OPTION_NAME},
        {"url", required_argument, NULL, OPTION_URL},
        {"token-file", required_argument, NULL, OPTION_TOKEN_FILE},
        {"cpus", required_argument, NULL, OPTION_CPUS},
        {"memory", required_argument, NULL, OPTION_MEMORY},
        {"slots", required_argument, NULL, OPTION_SLOTS},
        {"gpus", required_argument, NULL, OPTION_GPUS},
        {"label", required_argument, NULL, OPTION_LABEL},
        {"resource", required_argument, NULL, OPTION_RESOURCE},
        {"accounts", required_argument, NULL, OPTION_ACCOUNTS},
        {"cgroup", required_argument, NULL, OPTION_CGROUP},
        {"kill-mode", required_argument, NULL, OPTION_KILL_MODE},
        {"new-privs", no_argument, NULL, OPTION_NEW_PRIVS},
        {"keeper", required_argument, NULL, OPTION_KEEPER},
        {"ready-fd", required_argument, NULL, OPTION_READY_FD},
        {"help", no_argument, NULL, OPTION_HELP},
        {"version", no_argument, NULL, OPTION_VERSION},
        {NULL, 0, NULL, 0},
};

static bool read_number(const char *text, uint64_t max, uint64_t *ret_value)
{
        char *end;

        errno = 0;
        *ret_value = strtoull(text, &end, 10);
        return errno == 0 && end != text && *end == '\0' && text[0] != '-' && *ret_value <= max;
}

static bool read_cpus(const char *text, uint32_t *ret_milli)
{
        char *end;
        double cpus = strtod(text, &end);

        if (end == text || *end != '\0' || !(cpus >= 0.001) || cpus > 100000)
                return false;
        *ret_milli = (uint32_t)(cpus * 1000 + 0.5);
        return true;
}

static bool read_bytes(const char *text, uint64_t *ret_bytes)
{
        static const char suffixes[] = "KMGT";
        char *end;
        uint64_t value;
        unsigned shift = 0;

        errno = 0;
        value = strtoull(text, &end, 10);
        if (errno != 0 || end == text || text[0] == '-' || value == 0)
                return false;
        if (*end != '\0') {
                const char *suffix = strchr(suffixes, *end);

                if (suffix == NULL || end[1] != '\0')
                        return false;
                shift = 10 * (unsigned)(suffix - suffixes + 1);
        }
        if (value > UINT64_MAX >> shift)
                return false;
        *ret_bytes = value << shift;
        return true;
}

/* The name goes into paths, control groups and log lines. */
static bool name_fits(const char *name)
{
        static const char fits[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
        size_t length = strlen(name);

        return length > 0 && length <= PX_LIMIT_NODE_NAME_BYTES && strspn(name, fits) == length &&
               name[0] != '.' && name[0] != '-';
}

static bool take_option(struct link_options *options, int code, const char *value)
{
        uint64_t number = 0;

        switch (code) {
        case OPTION_DIR:
                options->dir = value;
                return true;
        case OPTION_NAME:
                options->name = value;
                return name_fits(value);
        case OPTION_URL:
                options->url = value;
                return true;
        case OPTION_TOKEN_FILE:
                options->token_file = value;
                return true;
        case OPTION_CPUS:
                return read_cpus(value, &options->cpus_milli);
        case OPTION_MEMORY:
                return read_bytes(value, &options->memory_bytes);
        case OPTION_SLOTS:
                if (!read_number(value, PX_LIMIT_INVENTORY_ITEMS, &number))
                        return false;
                options->slots = (uint32_t)number;
                return true;
        case OPTION_GPUS:
                if (!read_number(value, PX_LIMIT_GPUS, &number))
                        return false;
                options->offer.gpus_given = true;
                options->offer.gpus = (uint32_t)number;
                return true;
        case OPTION_LABEL:
                return offer_add_label(&options->offer, value);
        case OPTION_RESOURCE:
                return offer_add_resource(&options->offer, value);
        case OPTION_ACCOUNTS:
                options->accounts = value;
                return strcmp(value, "self") == 0 || strcmp(value, "map") == 0;
        case OPTION_CGROUP:
                options->cgroup = value;
                return true;
        case OPTION_KILL_MODE:
                return group_mode_parse(value, &options->kill_mode);
        case OPTION_NEW_PRIVS:
                options->new_privs = true;
                return true;
        case OPTION_KEEPER:
                options->keeper = value;
                return true;
        case OPTION_READY_FD:
                if (!read_number(value, 1023, &number))
                        return false;
                options->ready_fd = (int)number;
                return true;
        default:
                return false;
        }
}

int main(int argc, char **argv)
{
        struct link_options options = {.kill_mode = GROUP_CGROUP2, .ready_fd = -1};
        const char *kill_mode = getenv("PLEXUS_KILL_MODE");
        int index = 0;
        int code;

        if (kill_mode != NULL && !group_mode_parse(kill_mode, &options.kill_mode)) {
                fprintf(stderr, "plexus-node: PLEXUS_KILL_MODE isn't to be %s\n", kill_mode);
                return EX_USAGE;
        }
        while ((code = getopt_long(argc, argv, "", long_options, &index)) != -1) {
                if (code == OPTION_HELP) {
                        fputs(usage, stdout);
                        return 0;
                }
                if (code == OPTION_VERSION) {
                        printf("plexus-node %s\n", PX_PRODUCT_VERSION);
                        return 0;
                }
                if (code == '?')
                        return EX_USAGE;
                if (!take_option(&options, code, optarg)) {
                        fprintf(stderr, "plexus-node: --%s doesn't take %s\n",
                                long_options[index].name, optarg);
                        return EX_USAGE;
                }
        }
        if (optind != argc || options.dir == NULL || options.name == NULL || options.url == NULL) {
                fputs(usage, stderr);
                return EX_USAGE;
        }
        return link_run(&options);
}
