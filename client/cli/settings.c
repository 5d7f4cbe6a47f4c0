/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c - see settings.h. Layer: L4 (client/cli). */
#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mesh.h"
#include "unit.h"

#define FILE_ROOM 65536

enum shape { ONE, SWITCH, MANY };

struct known {
        const char *table;
        const char *key;
        const char *option;
        enum shape shape;
};

static const struct known known[] = {
        {"broker", "dir", "--dir", ONE},
        {"broker", "run", "--run", ONE},
        {"broker", "listen", "--listen", ONE},
        {"broker", "port_cmd", "--port-cmd", ONE},
        {"broker", "port_node", "--port-node", ONE},
        {"broker", "port_data", "--port-data", ONE},
        {"broker", "port_events", "--port-events", ONE},
        {"broker", "heartbeat_ms", "--heartbeat-ms", ONE},
        {"broker", "lease_ms", "--lease-ms", ONE},
        {"broker", "keep_done_ms", "--keep-done-ms", ONE},
        {"broker", "keep_done_count", "--keep-done-count", ONE},
        {"broker", "keep_log_ms", "--keep-log-ms", ONE},
        {"broker", "keep_log_bytes", "--keep-log-bytes", ONE},
        {"broker", "keep_event_ms", "--keep-event-ms", ONE},
        {"broker", "map_bytes", "--map-bytes", ONE},
        {"broker", "memory_max", "--memory-max", ONE},
        {"broker", "any_filesystem", "--any-filesystem", SWITCH},
        {"node", "dir", "--dir", ONE},
        {"node", "name", "--name", ONE},
        {"node", "url", "--url", ONE},
        {"node", "token_file", "--token-file", ONE},
        {"node", "cpus", "--cpus", ONE},
        {"node", "memory", "--memory", ONE},
        {"node", "slots", "--slots", ONE},
        {"node", "gpus", "--gpus", ONE},
        {"node", "label", "--label", MANY},
        {"node", "resource", "--resource", MANY},
        {"node", "accounts", "--accounts", ONE},
        {"node", "cgroup", "--cgroup", ONE},
        {"node", "kill_mode", "--kill-mode", ONE},
        {"node", "new_privs", "--new-privs", SWITCH},
};
#define KNOWN_COUNT (sizeof known / sizeof known[0])

static const struct known *known_find(const char *table, const char *key)
{
        for (size_t i = 0; i < KNOWN_COUNT; i++)
                if (strcmp(known[i].table, table) == 0 && strcmp(known[i].key, key) == 0)
                        return &known[i];
        return NULL;
}

/* ---- what is kept ------------------------------------------------------------------------------------------- */

/* What an earlier source said of the key is void. */
static void forget(struct settings *settings, const struct known *row)
{
        size_t kept = 0;

        for (size_t i = 0; i < settings->count; i++)
                if (settings->values[i].table != row->table || settings->values[i].key != row->key)
                        settings->values[kept++] = settings->values[i];
        settings->count = kept;
}

static bool keep(struct settings *settings, const struct known *row, const char *value, size_t length,
                 const char *origin)
{
        struct setting_value *place = &settings->values[settings->count];

        if (settings->count == SETTINGS_MAX || length >= sizeof place->value)
                return false;
        place->table = row->table;
        place->key = row->key;
        snprintf(place->value, sizeof place->value, "%.*s", (int)length, value);
        snprintf(place->origin, sizeof place->origin, "%s", origin);
        settings->count++;
        return true;
}

/* ---- files -------------------------------------------------------------------------------------------------- */

static int unknown(const struct cli *cli, const char *path, const struct toml_entry *entry)
{
        struct cli_nearest nearest = {NULL, 3};
        bool table = strcmp(entry->table, "broker") == 0 || strcmp(entry->table, "node") == 0;
        const char *word = table ? entry->key : entry->table;

        if (!table && *word == '\0')
                return cli_fail(cli, CLI_USAGE, "%s line %u: %s stands in no table; known: [broker], [node]", path,
                                entry->line, entry->key);
        for (size_t i = 0; i < KNOWN_COUNT; i++)
                if (!table)
                        cli_nearest_try(&nearest, word, known[i].table);
                else if (strcmp(known[i].table, entry->table) == 0)
                        cli_nearest_try(&nearest, word, known[i].key);
        return cli_fail(cli, CLI_USAGE, "%s line %u: unknown %s %s%s%s%s", path, entry->line,
                        table ? "key" : "table", word, nearest.name != NULL ? "; did you mean " : "",
                        nearest.name != NULL ? nearest.name : "", nearest.name != NULL ? "?" : "");
}

static int take_entry(const struct cli *cli, struct settings *settings, const char *path,
                      const struct toml_entry *entry, bool first)
{
        const struct known *row = known_find(entry->table, entry->key);
        char origin[768];

        if (row == NULL)
                return unknown(cli, path, entry);
        if ((row->shape == SWITCH) != (entry->kind == TOML_BOOL))
                return cli_fail(cli, CLI_USAGE, "%s line %u: %s %s", path, entry->line, entry->key,
                                row->shape == SWITCH ? "is true or false" : "is a string or a number");
        if (entry->listed && row->shape != MANY)
                return cli_fail(cli, CLI_USAGE, "%s line %u: %s has one value", path, entry->line, entry->key);
        if (first)
                forget(settings, row);
        snprintf(origin, sizeof origin, "%s:%u", path, entry->line);
        if (!keep(settings, row, entry->value, strlen(entry->value), origin))
                return cli_fail(cli, CLI_USAGE, "%s line %u: too many settings", path, entry->line);
        return 0;
}

static int read_text(const struct cli *cli, const char *path, char *ret_text)
{
        FILE *file = fopen(path, "re");
        size_t length;

        ret_text[0] = '\0';
        if (file == NULL)
                return errno == ENOENT ? 0 : cli_fail(cli, CLI_USAGE, "%s: %s", path, strerror(errno));
        length = fread(ret_text, 1, FILE_ROOM, file);
        fclose(file);
        if (length == FILE_ROOM)
                return cli_fail(cli, CLI_USAGE, "%s is larger than %d bytes", path, FILE_ROOM - 1);
        ret_text[length] = '\0';
        return strlen(ret_text) == length ? 0 : cli_fail(cli, CLI_USAGE, "%s holds a zero byte", path);
}

static int read_file(const struct cli *cli, struct settings *settings, const char *path)
{
        struct toml *toml = malloc(sizeof *toml);
        char *text = malloc(FILE_ROOM);
        int code = toml == NULL || text == NULL ? cli_fail(cli, CLI_FAULT, "out of memory")
                                                : read_text(cli, path, text);

        if (code == 0 && !toml_parse(text, toml))
                code = cli_fail(cli, CLI_USAGE, "%s line %u: %s", path, toml->line, toml->why);
        for (size_t i = 0; code == 0 && i < toml->count; i++)
                code = take_entry(cli, settings, path, &toml->entries[i],
                                  i == 0 || toml->entries[i].line != toml->entries[i - 1].line);
        free(text);
        free(toml);
        return code;
}

static bool find_folder(char *ret_dir, size_t room)
{
        const char *own = getenv("PLEXUS_CONFIG");
        const char *config = getenv("XDG_CONFIG_HOME");
        const char *home = getenv("HOME");
        const struct passwd *account = getpwuid(geteuid());

        if (own != NULL && *own != '\0')
                return (size_t)snprintf(ret_dir, room, "%s", own) < room;
        if (geteuid() == 0 || (account != NULL && strcmp(account->pw_name, UNIT_ACCOUNT) == 0))
                return (size_t)snprintf(ret_dir, room, "/etc/plexus") < room;
        if (config != NULL && *config == '/')
                return (size_t)snprintf(ret_dir, room, "%s/plexus", config) < room;
        return home != NULL && *home == '/' && (size_t)snprintf(ret_dir, room, "%s/.config/plexus", home) < room;
}

static int read_files(const struct cli *cli, struct settings *settings)
{
        char dir[MESH_PATH_MAX];
        char path[MESH_PATH_MAX + 32];
        glob_t found;
        int code;

        if (!find_folder(dir, sizeof dir))
                return 0;
        snprintf(path, sizeof path, "%s/plexus.toml", dir);
        code = read_file(cli, settings, path);
        snprintf(path, sizeof path, "%s/conf.d/?*.toml", dir);
        if (code != 0 || glob(path, 0, NULL, &found) != 0)
                return code;
        for (size_t i = 0; code == 0 && i < found.gl_pathc; i++)
                code = read_file(cli, settings, found.gl_pathv[i]);
        globfree(&found);
        return code;
}

/* ---- the environment ---------------------------------------------------------------------------------------- */

static int read_variable(const struct cli *cli, struct settings *settings, const struct known *row)
{
        char name[96];
        const char *value;

        snprintf(name, sizeof name, "PLEXUS_%s_%s", row->table, row->key);
        for (char *at = name; *at != '\0'; at++)
                *at = (char)toupper((unsigned char)*at);
        value = getenv(name);
        if (value == NULL || *value == '\0')
                return 0;
        if (row->shape == SWITCH && strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
                return cli_fail(cli, CLI_USAGE, "%s is true or false, not %s", name, value);
        forget(settings, row);
        while (*value != '\0') {
                size_t length = row->shape == MANY ? strcspn(value, ",") : strlen(value);

                if (!keep(settings, row, value, length, name))
                        return cli_fail(cli, CLI_USAGE, "%s is too long", name);
                value += length + (value[length] == ',');
        }
        return 0;
}

int settings_load(const struct cli *cli, struct settings **ret_settings)
{
        struct settings *settings = calloc(1, sizeof *settings);
        int code = settings == NULL ? cli_fail(cli, CLI_FAULT, "out of memory") : read_files(cli, settings);

        for (size_t i = 0; code == 0 && i < KNOWN_COUNT; i++)
                code = read_variable(cli, settings, &known[i]);
        if (code == 0)
                *ret_settings = settings;
        else
                free(settings);
        return code;
}

void settings_add_unset(struct settings *settings)
{
        size_t count = settings->count;

        for (size_t i = 0; i < KNOWN_COUNT; i++) {
                bool set = false;

                for (size_t j = 0; j < count; j++)
                        set = set || (settings->values[j].table == known[i].table &&
                                      settings->values[j].key == known[i].key);
                if (!set)
                        (void)keep(settings, &known[i], "", 0, "");
        }
}

/* ---- words -------------------------------------------------------------------------------------------------- */

static bool is_given(const char *option, char *const *rest)
{
        size_t length = strlen(option);

        for (; *rest != NULL; rest++)
                if (strncmp(*rest, option, length) == 0 && ((*rest)[length] == '\0' || (*rest)[length] == '='))
                        return true;
        return false;
}

char **settings_words(struct settings *settings, const char *table, char *program, char *const *rest)
{
        size_t count = 0;
        size_t used = 0;
        char **words;

        while (rest[count] != NULL)
                count++;
        words = calloc(count + 2 * settings->count + 2, sizeof *words);
        if (words == NULL)
                return NULL;
        words[used++] = program;
        for (size_t i = 0; i < settings->count; i++) {
                struct setting_value *value = &settings->values[i];
                const struct known *row = known_find(value->table, value->key);

                if (strcmp(value->table, table) != 0 || is_given(row->option, rest) ||
                    (row->shape == SWITCH && strcmp(value->value, "true") != 0))
                        continue;
                words[used++] = (char *)(uintptr_t)row->option;
                if (row->shape != SWITCH)
                        words[used++] = value->value;
        }
        memcpy(words + used, rest, count * sizeof *words);
        return words;
}
