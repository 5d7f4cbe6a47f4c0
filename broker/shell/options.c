/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - one table makes parsing, defaults and help. Layer: L4 (broker/shell). */
#include "options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "exit.h"
#include "px_schema.h"

enum kind {
        KIND_TEXT,
        KIND_PORT,
        KIND_COUNT, /* uint64_t */
        KIND_FD,
        KIND_FLAG,
};

struct option_row {
        const char *name;
        const char *value; /* how help calls it; NULL = a flag */
        enum kind kind;
        size_t offset;
        uint64_t minimum;
        uint64_t fallback;
        const char *help;
};

#define AT(member) offsetof(struct broker_options, member)
#define DAYS_MS(days) ((uint64_t)(days)*24 * 3600 * 1000)

static const struct option_row rows[] = {
        {"dir", "DIR", KIND_TEXT, AT(dir), 0, 0, "keep everything here (made with mode 0700)"},
        {"run", "DIR", KIND_TEXT, AT(run), 0, 0, "local sockets stand here; default DIR/run"},
        {"listen", "HOST", KIND_TEXT, AT(listen), 0, 0,
         "address for TCP, * for all; without it only local sockets"},
        {"port-cmd", "N", KIND_PORT, AT(port_cmd), 0, 7539, "commands; 0 = a free port"},
        {"port-node", "N", KIND_PORT, AT(port_node), 0, 7540, "nodes"},
        {"port-data", "N", KIND_PORT, AT(port_data), 0, 7541, "logs and queries"},
        {"port-events", "N", KIND_PORT, AT(port_events), 0, 7542, "publications"},
        {"heartbeat-ms", "MS", KIND_COUNT, AT(heartbeat_ms), 100, 2000,
         "peers ping this often, at least four times a lease"},
        {"lease-ms", "MS", KIND_COUNT, AT(lease_ms), 500, 14000,
         "a node silent for so long is unreachable"},
        {"keep-done-ms", "MS", KIND_COUNT, AT(keep_done_ms), 1, DAYS_MS(30),
         "forget ended jobs after this time"},
        {"keep-done-count", "N", KIND_COUNT, AT(keep_done_count), 0, 1000000,
         "keep at most so many ended jobs"},
        {"keep-log-ms", "MS", KIND_COUNT, AT(keep_log_ms), 1, DAYS_MS(7),
         "keep output of jobs for this time"},
        {"keep-log-bytes", "N", KIND_COUNT, AT(keep_log_bytes), 1, (uint64_t)16 << 30,
         "keep at most so much output"},
        {"keep-event-ms", "MS", KIND_COUNT, AT(keep_event_ms), 1, DAYS_MS(7),
         "keep events for this time"},
        {"map-bytes", "N", KIND_COUNT, AT(map_bytes), 0, 0,
         "largest size of the database; 0 = 64 GiB"},
        {"memory-max", "BYTES", KIND_COUNT, AT(memory_bytes), 0, (uint64_t)4 << 30,
         "end when more memory than this is needed, to be started anew; 0 = no limit"},
        {"ready-fd", "FD", KIND_FD, AT(ready_fd), 0, 0, "write one READY line here when serving"},
        {"record", "DIR", KIND_TEXT, AT(record), 0, 0, "keep the inputs of every batch here"},
        {"any-filesystem", NULL, KIND_FLAG, AT(any_filesystem), 0, 0,
         "accept network and overlay directories"},
};

static void *member(struct broker_options *options, const struct option_row *row)
{
        return (char *)options + row->offset;
}

static void set_fallbacks(struct broker_options *options)
{
        *options = (struct broker_options){.ready_fd = -1};
        for (size_t i = 0; i < PX_COUNT_OF(rows); i++) {
                if (rows[i].kind == KIND_PORT)
                        *(uint32_t *)member(options, &rows[i]) = (uint32_t)rows[i].fallback;
                if (rows[i].kind == KIND_COUNT)
                        *(uint64_t *)member(options, &rows[i]) = rows[i].fallback;
        }
}

static void print_help(FILE *out)
{
        fprintf(out, "plexus-broker --dir DIR [options]: the broker of a Plexus mesh\n\n");
        for (size_t i = 0; i < PX_COUNT_OF(rows); i++) {
                const struct option_row *row = &rows[i];
                int width =
                        fprintf(out, "  --%s %s", row->name, row->value == NULL ? "" : row->value);

                fprintf(out, "%*s%s", PX_MAX(26 - width, 1), "", row->help);
                if ((row->kind == KIND_COUNT || row->kind == KIND_PORT) && row->fallback > 0)
                        fprintf(out, "; default %" PRIu64, row->fallback);
                fputc('\n', out);
        }
        fprintf(out,
                "  --help, --version\n\nexit: 0 stopped by SIGTERM, 64 usage, 65 damaged data, "
                "69 port in use,\n      73 directory or another broker, 74 read or write "
                "failed or an assertion did\n");
}

static bool read_number(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *ret_value)
{
        char *end;
        unsigned long long value;

        if (text[0] < '0' || text[0] > '9')
                return false;
        errno = 0;
        value = strtoull(text, &end, 10);
        if (errno != 0 || *end != '\0' || value < minimum || value > maximum)
                return false;
        *ret_value = value;
        return true;
}

static bool set_value(struct broker_options *options, const struct option_row *row,
                      const char *text)
{
        uint64_t value = 0;

        switch (row->kind) {
        case KIND_TEXT:
                *(const char **)member(options, row) = text;
                return text[0] != '\0';
        case KIND_PORT:
                if (!read_number(text, 0, UINT16_MAX, &value))
                        return false;
                *(uint32_t *)member(options, row) = (uint32_t)value;
                return true;
        case KIND_COUNT:
                if (!read_number(text, row->minimum, INT64_MAX, &value))
                        return false;
                *(uint64_t *)member(options, row) = value;
                return true;
        case KIND_FD:
                if (!read_number(text, 0, INT32_MAX, &value))
                        return false;
                *(int64_t *)member(options, row) = (int64_t)value;
                return true;
        case KIND_FLAG:
                *(bool *)member(options, row) = true;
                return true;
        }
        PX_UNREACHABLE();
}

static const struct option_row *find_row(const char *name)
{
        for (size_t i = 0; i < PX_COUNT_OF(rows); i++) {
                if (strcmp(rows[i].name, name) == 0)
                        return &rows[i];
        }
        return NULL;
}

static int usage(FILE *errors, const char *words, const char *what)
{
        fprintf(errors, "plexus-broker: %s%s; --help lists the options\n", words, what);
        return BROKER_EXIT_USAGE;
}

int options_read(int argc, char **argv, FILE *out, FILE *errors, struct broker_options *ret_options)
{
        set_fallbacks(ret_options);
        for (int i = 1; i < argc; i++) {
                const struct option_row *row;

                if (strcmp(argv[i], "--help") == 0) {
                        print_help(out);
                        return BROKER_EXIT_OK;
                }
                if (strcmp(argv[i], "--version") == 0) {
                        fprintf(out, "plexus-broker %s\n", PX_PRODUCT_VERSION);
                        return BROKER_EXIT_OK;
                }
                row = strncmp(argv[i], "--", 2) == 0 ? find_row(argv[i] + 2) : NULL;
                if (row == NULL)
                        return usage(errors, "no such option: ", argv[i]);
                if (row->value != NULL && i + 1 == argc)
                        return usage(errors, "a value is missing after ", argv[i]);
                if (!set_value(ret_options, row, row->value == NULL ? "" : argv[i + 1]))
                        return usage(errors, "not a valid value for ", argv[i]);
                i += row->value != NULL;
        }
        if (ret_options->dir == NULL)
                return usage(errors, "--dir is missing", "");
        /* One lost ping must not cost a node its lease. */
        ret_options->heartbeat_ms = PX_MIN(ret_options->heartbeat_ms, ret_options->lease_ms / 4);
        return -1;
}
