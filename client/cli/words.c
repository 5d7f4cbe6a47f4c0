/* SPDX-License-Identifier: Apache-2.0 */
/* words.c - durations, sizes, times and states as people read them. Layer: L4 (client/cli). */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "output.h"

const char *output_reason_beyond(const char *state, const char *reason)
{
        static char text[516];
        size_t length = strlen(state);

        if (strncmp(reason, state, length) == 0 && strchr(" :", reason[length]) != NULL)
                return reason + length; /* the end counts as one of them */
        snprintf(text, sizeof text, "%s%.512s", *reason != '\0' ? ": " : "", reason);
        return text;
}

const char *output_duration(uint64_t ms, char *ret_text, size_t room)
{
        uint64_t s = ms / 1000;

        if (ms < 10000)
                snprintf(ret_text, room, "%" PRIu64 ".%" PRIu64 "s", s, ms % 1000 / 100);
        else if (s < 60)
                snprintf(ret_text, room, "%" PRIu64 "s", s);
        else if (s < 3600)
                snprintf(ret_text, room, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
        else if (s < 24 * 3600)
                snprintf(ret_text, room, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s % 3600 / 60);
        else
                snprintf(ret_text, room, "%" PRIu64 "d%02" PRIu64 "h", s / 86400, s % 86400 / 3600);
        return ret_text;
}

const char *output_bytes(uint64_t bytes, char *ret_text, size_t room)
{
        static const char units[] = "BKMGTPE";
        double value = (double)bytes;
        int unit = 0;

        for (; value >= 1024 && units[unit + 1] != '\0'; unit++)
                value /= 1024;
        snprintf(ret_text, room, unit == 0 || value >= 100 ? "%.0f%c" : "%.1f%c", value, units[unit]);
        return ret_text;
}

const char *output_time(int64_t wall_ms, char *ret_text, size_t room)
{
        time_t seconds = (time_t)(wall_ms / 1000);
        char date[32];
        struct tm tm;

        gmtime_r(&seconds, &tm);
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(ret_text, room, "%s.%03dZ", date, (int)(wall_ms % 1000));
        return ret_text;
}

int output_width(const char *text)
{
        int width = 0;

        for (; *text != '\0'; text++)
                width += ((unsigned char)*text & 0xC0) != 0x80;
        return width;
}

const char *output_state_colour(bool colour, int state)
{
        if (!colour)
                return "";
        switch (state) {
        case PLEXUS_JOB_OK:
                return "\033[32m";
        case PLEXUS_FAILED:
        case PLEXUS_TIMEOUT:
        case PLEXUS_LOST:
                return "\033[31m";
        case PLEXUS_RUNNING:
        case PLEXUS_ASSIGNED:
                return "\033[36m";
        case PLEXUS_CANCELLING:
        case PLEXUS_JOB_CANCELLED:
        case PLEXUS_SKIPPED:
                return "\033[33m";
        default:
                return "";
        }
}

void output_shell_word(FILE *out, const char *word)
{
        if (*word != '\0' && word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                               "0123456789_-./=:,@%+")] == '\0') {
                fputs(word, out);
                return;
        }
        fputc('\'', out);
        for (; *word != '\0'; word++)
                fputs(*word == '\'' ? "'\\''" : (char[2]){*word, '\0'}, out);
        fputc('\'', out);
}
