/* SPDX-License-Identifier: Apache-2.0 */
/* spec.c - see spec.h. Layer: L4 (client/cli). Source: DESIGN 7, Environment and stdin. */
#include "spec.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "output.h"

#define INPUT_BYTES_MAX (8u << 20) /* STDIN_BYTES of the limits in protocol.md */

/* ---- environment ---------------------------------------------------------------------------------------- */

static const char *const captured[] = {"PATH",         "LANG",      "TZ",        "VIRTUAL_ENV",
                                       "CONDA_PREFIX", "PYTHONPATH"};

static bool is_captured(const char *name, size_t length)
{
        if (length > 3 && strncmp(name, "LC_", 3) == 0)
                return true;
        for (size_t i = 0; i < sizeof captured / sizeof captured[0]; i++)
                if (strlen(captured[i]) == length && strncmp(captured[i], name, length) == 0)
                        return true;
        return false;
}

/* Set `name` (copied, length bytes) to `value` (copied); a later one wins. */
static int env_set(struct spec_words *words, const char *name, size_t length, const char *value)
{
        for (size_t i = 0; i < words->env_count; i++) {
                if (strlen(words->env[i].key) == length && strncmp(words->env[i].key, name, length) == 0) {
                        free((char *)(uintptr_t)words->env[i].value);
                        words->env[i].value = strdup(value);
                        return words->env[i].value == NULL ? CLI_FAULT : 0;
                }
        }
        if (words->env_count == words->env_capacity) {
                size_t capacity = words->env_capacity == 0 ? 32 : words->env_capacity * 2;
                struct plexus_pair *env = reallocarray(words->env, capacity, sizeof *env);

                if (env == NULL)
                        return CLI_FAULT;
                words->env = env;
                words->env_capacity = capacity;
        }
        words->env[words->env_count++] = (struct plexus_pair){strndup(name, length), strdup(value)};
        return 0;
}

/* A token of ours must not travel in a job's environment. */
static bool is_ours(const char *name)
{
        return strncmp(name, "PLEXUS_", 7) == 0;
}

static int add_environment(const struct cli *cli, struct spec_words *words)
{
        bool all = cli_has(cli, "env-all");
        const char *given;
        size_t index = 0;
        int code = 0;

        for (char **at = environ; *at != NULL && code == 0; at++) {
                size_t length = strcspn(*at, "=");

                if ((*at)[length] == '=' && !is_ours(*at) && (all || is_captured(*at, length)))
                        code = env_set(words, *at, length, *at + length + 1);
        }
        while (code == 0 && (given = cli_next_value(cli, "env", &index)) != NULL) {
                size_t length = strcspn(given, "=");
                const char *value = given[length] == '=' ? given + length + 1 : getenv(given);

                if (length == 0)
                        return cli_fail(cli, CLI_USAGE, "--env %s has no name", given);
                if (value == NULL)
                        return cli_fail(cli, CLI_USAGE, "--env %s: it isn't set here; give %s=VALUE", given,
                                        given);
                code = env_set(words, given, length, value);
        }
        words->spec.env = words->env;
        words->spec.env_count = words->env_count;
        return code;
}

/* ---- input ------------------------------------------------------------------------------------------------- */

static int read_all(const struct cli *cli, int fd, const char *name, struct spec_words *words)
{
        size_t length = 0;
        ssize_t got;

        words->input = malloc(INPUT_BYTES_MAX + 1);
        if (words->input == NULL)
                return cli_fail(cli, CLI_FAULT, "out of memory");
        do {
                got = read(fd, words->input + length, INPUT_BYTES_MAX + 1 - length);
                if (got < 0 && errno != EINTR)
                        return cli_fail(cli, CLI_USAGE, "%s: %s", name, strerror(errno));
                length += got > 0 ? (size_t)got : 0;
        } while (got != 0 && length <= INPUT_BYTES_MAX);
        if (length > INPUT_BYTES_MAX)
                return cli_fail(cli, CLI_USAGE, "%s is larger than the %u bytes of standard input a job may "
                                                "carry; let the job read a file instead",
                                name, INPUT_BYTES_MAX);
        words->spec.input = words->input;
        words->spec.input_bytes = length;
        words->spec.has_input = true;
        return 0;
}

static int add_input(const struct cli *cli, struct spec_words *words)
{
        const char *name = cli_value(cli, "stdin");
        int fd;
        int code;

        if (name == NULL)
                return 0;
        if (*name == '\0' || strcmp(name, "-") == 0)
                return read_all(cli, STDIN_FILENO, "standard input", words);
        fd = open(name, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return cli_fail(cli, CLI_USAGE, "--stdin %s: %s", name, strerror(errno));
        code = read_all(cli, fd, name, words);
        close(fd);
        return code;
}

/* ---- numbers ---------------------------------------------------------------------------------------------------- */

static int take_duration(const struct cli *cli, const char *option, uint64_t *ret_ms)
{
        const char *text = cli_value(cli, option);

        if (text == NULL || cli_parse_duration(text, ret_ms))
                return 0;
        return cli_fail(cli, CLI_USAGE, "--%s %s is not a duration (like 90s, 5m, 2h)", option, text);
}

static int take_bytes(const struct cli *cli, const char *option, uint64_t *ret_bytes)
{
        const char *text = cli_value(cli, option);

        if (text == NULL || cli_parse_bytes(text, ret_bytes))
                return 0;
        return cli_fail(cli, CLI_USAGE, "--%s %s is not a size (like 500M, 4G)", option, text);
}

static int take_number(const struct cli *cli, const char *option, int64_t min, int64_t max, int64_t *ret)
{
        const char *text = cli_value(cli, option);

        if (text == NULL || cli_parse_number(text, min, max, ret))
                return 0;
        return cli_fail(cli, CLI_USAGE, "--%s %s is not a whole number from %lld to %lld", option, text,
                        (long long)min, (long long)max);
}

static int take_cpus(const struct cli *cli, struct plexus_job_spec *spec)
{
        const char *text = cli_value(cli, "cpus");

        if (text == NULL)
                return 0;
        if (!cli_parse_cpus(text, &spec->cpus))
                return cli_fail(cli, CLI_USAGE, "--cpus %s is not a number of cpus (like 4 or 0.5)", text);
        if (spec->cpus == 0)
                spec->cpus = -1;
        return 0;
}

static int take_numbers(const struct cli *cli, struct plexus_job_spec *spec)
{
        int64_t priority = 0;
        int64_t retries = 0;
        int code = take_cpus(cli, spec);

        if (code == 0)
                code = take_bytes(cli, "mem", &spec->memory_bytes);
        if (code == 0)
                code = take_bytes(cli, "log-limit", &spec->log_bytes);
        if (code == 0)
                code = take_duration(cli, "time-limit", &spec->time_limit_ms);
        if (code == 0)
                code = take_duration(cli, "grace", &spec->grace_ms);
        if (code == 0)
                code = take_duration(cli, "backoff", &spec->backoff_ms);
        if (code == 0)
                code = take_duration(cli, "lost-after", &spec->lost_after_ms);
        if (code == 0)
                code = take_number(cli, "priority", -1000, 1000, &priority);
        if (code == 0)
                code = take_number(cli, "retries", 0, 1000, &retries);
        if (code == 0)
                code = spec_take_moment(cli, "start", &spec->start_wall_ms);
        spec->priority = (int32_t)priority;
        spec->retries = (uint32_t)retries;
        return code;
}

/* ---- words -------------------------------------------------------------------------------------------------------- */

static int add_labels(const struct cli *cli, struct spec_words *words)
{
        const char *given;
        size_t index = 0;

        while ((given = cli_next_value(cli, "label", &index)) != NULL) {
                size_t length = strcspn(given, "=");

                if (given[length] != '=' || length == 0)
                        return cli_fail(cli, CLI_USAGE, "--label %s is not KEY=VALUE", given);
                if (words->spec.labels_count == SPEC_LABELS_MAX)
                        return cli_fail(cli, CLI_USAGE, "more than %d labels", SPEC_LABELS_MAX);
                words->labels[words->spec.labels_count++] =
                        (struct plexus_pair){strndup(given, length), given + length + 1};
        }
        words->spec.labels = words->labels;
        return 0;
}

static int add_command(const struct cli *cli, struct spec_words *words)
{
        const char *base;

        words->spec.argv = (const char *const *)cli->rest;
        if (words->spec.argv[0] == NULL)
                return cli_fail(cli, CLI_USAGE, "no command; usage: plexus %s %s", cli->command->name,
                                cli->command->usage);
        base = strrchr(words->spec.argv[0], '/');
        words->name = strndup(base != NULL ? base + 1 : words->spec.argv[0], 120);
        words->spec.name = cli_has(cli, "name") ? cli_value(cli, "name") : words->name;
        return 0;
}

static int add_place(const struct cli *cli, struct spec_words *words)
{
        const char *cwd = cli_value(cli, "cwd");
        const char *on_lost = cli_value(cli, "on-lost");
        const char *as = cli_value(cli, "as");

        words->spec.scratch = cli_has(cli, "scratch");
        if (cwd != NULL && words->spec.scratch)
                return cli_fail(cli, CLI_USAGE, "--cwd and --scratch exclude each other");
        if (cwd != NULL && cwd[0] != '/')
                return cli_fail(cli, CLI_USAGE, "--cwd %s is not an absolute path", cwd);
        if (cwd == NULL && !words->spec.scratch) {
                cwd = getcwd(words->cwd, sizeof words->cwd);
                if (cwd == NULL)
                        return cli_fail(cli, CLI_USAGE, "this directory is gone; use --cwd or --scratch");
        }
        words->spec.cwd = cwd;
        words->spec.node = cli_value(cli, "node");
        if (on_lost != NULL && strcmp(on_lost, "rerun") != 0 && strcmp(on_lost, "fail") != 0)
                return cli_fail(cli, CLI_USAGE, "--on-lost %s is neither rerun nor fail", on_lost);
        words->spec.on_lost_fail = on_lost != NULL && strcmp(on_lost, "fail") == 0;
        if (as != NULL && strcmp(as, "root") != 0)
                return cli_fail(cli, CLI_USAGE, "--as %s: only root can be asked for", as);
        words->spec.as_root = as != NULL;
        words->spec.hold = cli_has(cli, "hold");
        words->spec.key = cli_value(cli, "idempotency-key");
        return 0;
}

/* FIRST-LAST[:STEP][%LIMIT] */
static bool parse_array(const char *text, struct plexus_array *ret_array)
{
        uint64_t first, last, step = 1, limit = 0;
        char *end;

        if (!isdigit((unsigned char)*text))
                return false;
        first = last = strtoull(text, &end, 10);
        if (*end == '-' && isdigit((unsigned char)end[1]))
                last = strtoull(end + 1, &end, 10);
        if (*end == ':' && isdigit((unsigned char)end[1]))
                step = strtoull(end + 1, &end, 10);
        if (*end == '%' && isdigit((unsigned char)end[1])) {
                limit = strtoull(end + 1, &end, 10);
                if (limit == 0)
                        return false;
        }
        if (*end != '\0' || last < first || step == 0 || last > UINT32_MAX || step > UINT32_MAX ||
            limit > UINT32_MAX)
                return false;
        *ret_array = (struct plexus_array){
                .count = (uint32_t)((last - first) / step + 1),
                .first = (uint32_t)first,
                .step = (uint32_t)step,
                .limit = (uint32_t)limit,
        };
        return true;
}

static int add_array(const struct cli *cli, struct spec_words *words)
{
        const char *range = cli_value(cli, "array");
        int64_t max_fails = 0;
        int code = take_number(cli, "max-fails", 1, UINT32_MAX, &max_fails);

        if (code != 0)
                return code;
        if (range == NULL && max_fails > 0)
                return cli_fail(cli, CLI_USAGE, "--max-fails goes with --array");
        if (range == NULL)
                return 0;
        if (!parse_array(range, &words->array))
                return cli_fail(cli, CLI_USAGE, "--array %s is not FIRST-LAST[:STEP][%%AT-ONCE], like 1-100%%20",
                                range);
        words->array.max_fails = (uint32_t)max_fails;
        words->spec.array = &words->array;
        return 0;
}

int spec_from_options(const struct cli *cli, struct spec_words *ret_words)
{
        int code;

        *ret_words = (struct spec_words){0};
        code = add_command(cli, ret_words);
        if (code == 0)
                code = take_numbers(cli, &ret_words->spec);
        if (code == 0)
                code = add_labels(cli, ret_words);
        if (code == 0)
                code = spec_add_needs(cli, ret_words);
        if (code == 0)
                code = add_array(cli, ret_words);
        if (code == 0)
                code = add_place(cli, ret_words);
        if (code == 0)
                code = add_environment(cli, ret_words);
        if (code == 0)
                code = add_input(cli, ret_words);
        if (code != 0)
                spec_fini(ret_words);
        return code;
}

void spec_fini(struct spec_words *words)
{
        for (size_t i = 0; i < words->env_count; i++) {
                free((char *)(uintptr_t)words->env[i].key);
                free((char *)(uintptr_t)words->env[i].value);
        }
        for (size_t i = 0; i < words->spec.labels_count; i++)
                free((char *)(uintptr_t)words->labels[i].key);
        spec_needs_fini(words);
        free(words->env);
        free(words->input);
        free(words->name);
        *words = (struct spec_words){0};
}

/* ---- printing --------------------------------------------------------------------------------------------------------- */

static void print_pairs(const char *key, const struct plexus_pair *pairs, size_t count)
{
        printf(",\n \"%s\": {", key);
        for (size_t i = 0; i < count; i++) {
                fputs(i > 0 ? ", " : "", stdout);
                output_json_text(stdout, pairs[i].key);
                fputs(": ", stdout);
                output_json_text(stdout, pairs[i].value);
        }
        putchar('}');
}

static void print_text(const char *key, const char *text)
{
        if (text == NULL)
                return;
        printf(",\n \"%s\": ", key);
        output_json_text(stdout, text);
}

static void print_needs(const struct plexus_job_spec *spec)
{
        printf(",\n \"gpus\": %g, \"max_wait_s\": %.3f, \"wait_for_node\": %s,\n \"resources\": {",
               spec->gpus, (double)spec->wait_ms / 1000, spec->wait_for_node ? "true" : "false");
        for (size_t i = 0; i < spec->resources_count; i++) {
                fputs(i > 0 ? ", " : "", stdout);
                output_json_text(stdout, spec->resources[i].name);
                printf(": %llu", (unsigned long long)spec->resources[i].amount);
        }
        fputs("},\n \"where\": [", stdout);
        for (size_t i = 0; i < spec->where_count; i++) {
                fputs(i > 0 ? ", " : "", stdout);
                output_json_text(stdout, spec->where[i]);
        }
        putchar(']');
}

void spec_print(const struct spec_words *words)
{
        const struct plexus_job_spec *spec = &words->spec;

        printf("{\"schema\": \"plexus.spec.v1\",\n \"argv\": [");
        for (size_t i = 0; spec->argv[i] != NULL; i++) {
                fputs(i > 0 ? ", " : "", stdout);
                output_json_text(stdout, spec->argv[i]);
        }
        putchar(']');
        print_text("name", spec->name);
        print_text("cwd", spec->cwd);
        print_text("node", spec->node);
        print_text("idempotency_key", spec->key);
        print_text("queue", spec->queue);
        print_text("module", spec->module);
        print_text("apart", spec->apart);
        print_text("warm", spec->warm);
        print_needs(spec);
        print_pairs("labels", spec->labels, spec->labels_count);
        print_pairs("env", spec->env, spec->env_count);
        printf(",\n \"cpus\": %g, \"memory_bytes\": %llu, \"priority\": %d, \"retries\": %u, "
               "\"on_lost\": \"%s\",\n"
               " \"time_limit_s\": %.3f, \"grace_s\": %.3f, \"stdin_bytes\": %zu, \"scratch\": %s, "
               "\"hold\": %s}\n",
               spec->cpus == 0 ? 1 : spec->cpus < 0 ? 0 : spec->cpus, (unsigned long long)spec->memory_bytes,
               spec->priority, spec->retries, spec->on_lost_fail ? "fail" : "rerun",
               (double)spec->time_limit_ms / 1000, spec->grace_ms == 0 ? 10.0 : (double)spec->grace_ms / 1000,
               spec->input_bytes, spec->scratch ? "true" : "false", spec->hold ? "true" : "false");
}

static void print_value(FILE *out, const char *value)
{
        fputc('=', out);
        output_shell_word(out, value);
}

void spec_print_command(FILE *out, const struct cli *cli, const char *key)
{
        fprintf(out, "plexus %s", cli->command->name);
        for (size_t i = 0; i < cli->given_count; i++) {
                fprintf(out, " --%s", cli->given[i].option->name);
                if (cli->given[i].option->value != NULL && *cli->given[i].value != '\0')
                        print_value(out, cli->given[i].value);
        }
        if (key != NULL && !cli_has(cli, "idempotency-key")) {
                fputs(" --idempotency-key", out);
                print_value(out, key);
        }
        fputs(" --", out);
        for (char *const *word = cli->rest; *word != NULL; word++) {
                fputc(' ', out);
                output_shell_word(out, *word);
        }
        fputc('\n', out);
}
