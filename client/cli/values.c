/* SPDX-License-Identifier: Apache-2.0 */
/* values.c - durations, sizes, counts, moments and signals as people type them. Layer: L4 (client/cli). */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"

#define DURATION_MS_MAX (UINT64_C(3650) * 24 * 3600 * 1000) /* ten years */

struct unit {
        const char *name;
        double factor;
};

static const struct unit duration_units[] = {
        {"ms", 1},   {"s", 1e3},    {"sec", 1e3},      {"m", 60e3},          {"min", 60e3},
        {"h", 36e5}, {"d", 24 * 36e5}, {"w", 7 * 24 * 36e5}, {NULL, 0},
};

static const struct unit byte_units[] = {
        {"", 1},
        {"B", 1},
        {"K", 1024.0},
        {"KiB", 1024.0},
        {"KB", 1000.0},
        {"M", 1024.0 * 1024},
        {"MiB", 1024.0 * 1024},
        {"MB", 1000.0 * 1000},
        {"G", 1024.0 * 1024 * 1024},
        {"GiB", 1024.0 * 1024 * 1024},
        {"GB", 1000.0 * 1000 * 1000},
        {"T", 1024.0 * 1024 * 1024 * 1024},
        {"TiB", 1024.0 * 1024 * 1024 * 1024},
        {NULL, 0},
};

static const struct unit *unit_find(const struct unit *units, const char *text, size_t length)
{
        for (; units->name != NULL; units++)
                if (strlen(units->name) == length && strncmp(units->name, text, length) == 0)
                        return units;
        return NULL;
}

/* Read a plain decimal number (digits, at most one point); no sign, exponent or infinity. */
static bool read_decimal(const char **text, double *ret_value)
{
        const char *at = *text;
        size_t digits = 0;
        size_t points = 0;

        for (; isdigit((unsigned char)*at) || *at == '.'; at++) {
                digits += *at != '.';
                points += *at == '.';
        }
        if (digits == 0 || points > 1)
                return false;
        *ret_value = strtod(*text, NULL);
        *text = at;
        return true;
}

bool cli_parse_duration(const char *text, uint64_t *ret_ms)
{
        double total = 0;

        if (*text == '\0')
                return false;
        while (*text != '\0') {
                const struct unit *unit;
                double number;
                size_t length = 0;

                if (!read_decimal(&text, &number))
                        return false;
                while (isalpha((unsigned char)text[length]))
                        length++;
                unit = length == 0 ? &duration_units[1] : unit_find(duration_units, text, length);
                if (unit == NULL)
                        return false;
                total += number * unit->factor;
                text += length;
        }
        if (total > (double)DURATION_MS_MAX)
                return false;
        *ret_ms = (uint64_t)llround(total);
        return true;
}

bool cli_parse_bytes(const char *text, uint64_t *ret_bytes)
{
        const struct unit *unit;
        double number;

        if (!read_decimal(&text, &number))
                return false;
        unit = unit_find(byte_units, text, strlen(text));
        if (unit == NULL || number * unit->factor > 1e18)
                return false;
        *ret_bytes = (uint64_t)(number * unit->factor);
        return true;
}

bool cli_parse_number(const char *text, int64_t min, int64_t max, int64_t *ret)
{
        char *end;
        long long value;

        if (*text == '\0' || isspace((unsigned char)*text))
                return false;
        errno = 0;
        value = strtoll(text, &end, 10);
        if (errno != 0 || *end != '\0' || value < min || value > max)
                return false;
        *ret = value;
        return true;
}

bool cli_parse_cpus(const char *text, double *ret_cpus)
{
        double number;

        if (!read_decimal(&text, &number))
                return false;
        if (strcmp(text, "m") == 0)
                number /= 1000;
        else if (*text != '\0')
                return false;
        if (number > 4000000)
                return false;
        *ret_cpus = number;
        return true;
}

static bool parse_rfc3339(const char *text, int64_t *ret_wall_ms)
{
        static const char *const forms[] = {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M",
                                            "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"};

        for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
                struct tm tm = {.tm_isdst = -1};
                const char *end = strptime(text, forms[i], &tm);
                time_t moment;

                if (end == NULL || *end != '\0')
                        continue;
                moment = i == 0 ? timegm(&tm) : mktime(&tm);
                *ret_wall_ms = (int64_t)moment * 1000;
                return true;
        }
        return false;
}

bool cli_parse_since(const char *text, int64_t now_ms, int64_t *ret_wall_ms)
{
        uint64_t ago_ms;

        if (cli_parse_duration(text, &ago_ms)) {
                *ret_wall_ms = now_ms - (int64_t)ago_ms;
                return true;
        }
        return parse_rfc3339(text, ret_wall_ms);
}

int cli_parse_signal(const char *text)
{
        int64_t number;

        if (cli_parse_number(text, 1, 64, &number))
                return (int)number;
        if (strncasecmp(text, "SIG", 3) == 0)
                text += 3;
        for (int signal = 1; signal < NSIG; signal++) {
                const char *name = sigabbrev_np(signal);

                if (name != NULL && strcasecmp(name, text) == 0)
                        return signal;
        }
        return 0;
}
