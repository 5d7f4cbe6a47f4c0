/* SPDX-License-Identifier: Apache-2.0 */
/* player.c - see player.h. Layer: a program of tests.
 * usage: nemesis_player submit|work|events|audit --history FILE [--url URL] [--token-file FILE] ... */
#include "player.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CONNECT_TRIES 60
#define LINE_ROOM 4096

static int history_fd = -1;

void history_say(const char *format, ...)
{
        char line[LINE_ROOM];
        va_list arguments;
        int length;

        va_start(arguments, format);
        length = vsnprintf(line, sizeof(line) - 1, format, arguments);
        va_end(arguments);
        if (length < 0 || (size_t)length >= sizeof(line) - 1)
                abort();
        line[length++] = '\n';
        if (write(history_fd, line, (size_t)length) != length)
                abort();
}

void player_fail(const char *what, int code)
{
        fprintf(stderr, "player: %s: %s: %s\n", what, plexus_error_name(code), plexus_detail(NULL));
        exit(1);
}

int64_t player_now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint64_t player_index(const struct player *player, const char *key)
{
        size_t length = strlen(player->name);
        char *end;
        uint64_t index;

        if (strncmp(key, player->name, length) != 0 || key[length] != '-')
                return UINT64_MAX;
        index = strtoull(key + length + 1, &end, 10);
        return *end == '\0' ? index : UINT64_MAX;
}

static char *token_read(const char *path)
{
        static char token[256];
        FILE *file = path == NULL ? NULL : fopen(path, "re");

        if (file == NULL)
                return NULL;
        if (fgets(token, sizeof(token), file) == NULL)
                token[0] = '\0';
        fclose(file);
        token[strcspn(token, "\n")] = '\0';
        return token;
}

/* The broker may just be dead: a program of a user would try again, too. */
static void connect_until_greeted(struct player *player)
{
        struct plexus_options options = {.url = player->url,
                                         .token = token_read(player->token_file),
                                         .program = "nemesis",
                                         .timeout_ms = 10000};
        int code = PLEXUS_UNREACHABLE;

        for (int i = 0; i < CONNECT_TRIES && code != PLEXUS_OK; i++) {
                code = plexus_connect(&options, &player->px);
                if (code == PLEXUS_OK)
                        return;
                if (code != PLEXUS_UNREACHABLE && code != PLEXUS_TIMED_OUT)
                        break;
                plexus_close(player->px);
        }
        player_fail("connecting", code);
}

/* One --NAME VALUE pair; false: no such name. */
static bool take_option(struct player *player, const char *name, const char *value)
{
        const struct {
                const char *name;
                const char **text;
                uint64_t *number;
        } rows[] = {
                {"--url", &player->url, NULL},
                {"--token-file", &player->token_file, NULL},
                {"--name", &player->name, NULL},
                {"--history", &player->history, NULL},
                {"--dir", &player->dir, NULL},
                {"--program", &player->program, NULL},
                {"--seed", NULL, &player->seed},
                {"--count", NULL, &player->count},
                {"--seconds", NULL, &player->seconds},
                {"--slots", NULL, &player->slots},
                {"--commands-permille", NULL, &player->commands_permille},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                if (strcmp(rows[i].name, name) != 0)
                        continue;
                if (rows[i].text != NULL)
                        *rows[i].text = value;
                else
                        *rows[i].number = strtoull(value, NULL, 10);
                return true;
        }
        return false;
}

int main(int argc, char **argv)
{
        static const struct {
                const char *name;
                int (*play)(struct player *player);
        } parts[] = {
                {"submit", play_submit},
                {"work", play_work},
                {"events", play_events},
                {"audit", play_audit},
        };
        struct player player = {.name = "", .dir = ".", .slots = 8};

        for (int i = 2; i + 1 < argc; i += 2)
                if (!take_option(&player, argv[i], argv[i + 1]))
                        argc = 0;
        for (size_t i = 0; argc > 1 && player.history != NULL && i < sizeof(parts) / sizeof(parts[0]);
             i++) {
                int status;

                if (strcmp(parts[i].name, argv[1]) != 0)
                        continue;
                signal(SIGPIPE, SIG_IGN);
                history_fd = open(player.history, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
                if (history_fd < 0)
                        return 2;
                connect_until_greeted(&player);
                status = parts[i].play(&player);
                plexus_close(player.px);
                return status;
        }
        fprintf(stderr, "usage: nemesis_player submit|work|events|audit --history FILE ...\n");
        return 2;
}
