/* SPDX-License-Identifier: Apache-2.0 */
/* toml.c - see toml.h. Layer: L4 (client/cli). */
#include "toml.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char *skip_blanks(const char *at)
{
        return at + strspn(at, " \t\r");
}

static bool at_end(const char *at)
{
        at = skip_blanks(at);
        return *at == '\0' || *at == '\n' || *at == '#';
}

static size_t bare_length(const char *at)
{
        return strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
}

/* Each reader of a value returns what follows it, or NULL. */
static const char *read_string(const char *at, struct toml_entry *entry)
{
        char quote = *at++;
        size_t used = 0;

        entry->kind = TOML_STRING;
        while (*at != quote) {
                if (*at == '\\' && quote == '"') {
                        at++;
                        if (*at != '"' && *at != '\\')
                                return NULL;
                }
                if ((unsigned char)*at < ' ' || used + 1 == sizeof entry->value)
                        return NULL;
                entry->value[used++] = *at++;
        }
        entry->value[used] = '\0';
        return at + 1;
}

static const char *read_number(const char *at, struct toml_entry *entry)
{
        size_t used = 0;
        bool digits = false;

        entry->kind = TOML_NUMBER;
        for (; isdigit((unsigned char)*at) || strchr("+-._", *at) != NULL; at++) {
                if (*at == '\0')
                        break;
                digits = digits || isdigit((unsigned char)*at);
                if (*at == '_' || (*at == '+' && used == 0))
                        continue;
                if (used + 1 == sizeof entry->value)
                        return NULL;
                entry->value[used++] = *at;
        }
        entry->value[used] = '\0';
        return digits ? at : NULL;
}

static const char *read_value(const char *at, struct toml_entry *entry)
{
        bool yes = strncmp(at, "true", 4) == 0;

        if (*at == '"' || *at == '\'')
                return read_string(at, entry);
        if (yes || strncmp(at, "false", 5) == 0) {
                entry->kind = TOML_BOOL;
                snprintf(entry->value, sizeof entry->value, "%s", yes ? "true" : "false");
                return at + strlen(entry->value);
        }
        return read_number(at, entry);
}

static const char *keep(struct toml *toml, const struct toml_entry *entry)
{
        if (toml->count == TOML_ENTRIES_MAX)
                return "more than 128 values";
        toml->entries[toml->count++] = *entry;
        return NULL;
}

/* Elements up to the bracket; *at stands behind it then. */
static const char *read_array(struct toml *toml, struct toml_entry *entry, const char **at)
{
        const char *why = NULL;

        entry->listed = true;
        *at = skip_blanks(*at + 1);
        while (**at != ']' && why == NULL) {
                *at = read_value(*at, entry);
                if (*at == NULL)
                        return "an array holds strings, numbers, true or false, all in one line";
                why = keep(toml, entry);
                *at = skip_blanks(*at);
                if (**at == ',')
                        *at = skip_blanks(*at + 1);
                else if (**at != ']')
                        return "an array needs \",\" or \"]\" here";
        }
        *at += 1;
        return why;
}

static const char *read_table(const char *at, struct toml_entry *entry)
{
        size_t length = bare_length(at + 1);

        if (length == 0 || length >= sizeof entry->table || at[1 + length] != ']' || !at_end(at + 2 + length))
                return "a table is [NAME], alone in its line";
        snprintf(entry->table, sizeof entry->table, "%.*s", (int)length, at + 1);
        return NULL;
}

static bool stands_above(const struct toml *toml, const struct toml_entry *entry)
{
        for (size_t i = 0; i < toml->count; i++)
                if (strcmp(toml->entries[i].key, entry->key) == 0 &&
                    strcmp(toml->entries[i].table, entry->table) == 0)
                        return true;
        return false;
}

static const char *read_key(struct toml *toml, const char *at, struct toml_entry *entry)
{
        size_t length = bare_length(at);
        const char *why = NULL;

        if (length == 0 || length >= sizeof entry->key)
                return "neither [TABLE] nor KEY = VALUE";
        snprintf(entry->key, sizeof entry->key, "%.*s", (int)length, at);
        at = skip_blanks(at + length);
        if (*at != '=')
                return "neither [TABLE] nor KEY = VALUE";
        if (stands_above(toml, entry))
                return "this key stands above already";
        at = skip_blanks(at + 1);
        entry->listed = false;
        if (*at == '[') {
                why = read_array(toml, entry, &at);
        } else {
                at = read_value(at, entry);
                why = at == NULL ? "the value is no string, number, true, false or array in one line"
                                 : keep(toml, entry);
        }
        return why == NULL && !at_end(at) ? "more behind the value" : why;
}

bool toml_parse(const char *text, struct toml *ret_toml)
{
        struct toml_entry entry;

        memset(&entry, 0, sizeof entry);
        ret_toml->count = 0;
        ret_toml->line = 0;
        ret_toml->why = NULL;
        while (*text != '\0' && ret_toml->why == NULL) {
                const char *at = skip_blanks(text);

                entry.line = ++ret_toml->line;
                if (*at == '[')
                        ret_toml->why = read_table(at, &entry);
                else if (!at_end(at))
                        ret_toml->why = read_key(ret_toml, at, &entry);
                text += strcspn(text, "\n");
                text += *text == '\n';
        }
        return ret_toml->why == NULL;
}
