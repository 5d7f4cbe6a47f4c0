/* SPDX-License-Identifier: Apache-2.0 */
/* submit.c - the client: submits with keys at an even pace, watches what was acknowledged, follows some
 * logs. Started again after kill -9 it reads its own history and goes on: what has no answer there is
 * submitted again with the same key. */
#include "player.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_MAX 16
#define SUBMIT_MS 20000
#define NUMBER_ROOM 24
#define ARGUMENTS 6

struct one {
        uint64_t job;
        bool called;
        bool ended;
        bool followed;
};

static struct one *all; /* by index */
static uint64_t not_ended;

/* ---- what is submitted: it follows from seed and index ------------------------------------------------------ */

static uint64_t mix(uint64_t value)
{
        value = (value ^ (value >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        value = (value ^ (value >> 27)) * UINT64_C(0x94D049BB133111EB);
        return value ^ (value >> 31);
}

static const char *kind_of(const struct player *player, uint64_t index)
{
        if (mix(player->seed * 31 + index) % 1000 >= player->commands_permille)
                return "task";
        return index % 7 == 0 ? "once" : "command";
}

struct made {
        char key[KEY_ROOM];
        char input[KEY_ROOM + 32];
        char path[PATH_ROOM];
        char lines[NUMBER_ROOM], pause_ms[NUMBER_ROOM];
        const char *argv[ARGUMENTS];
};

static void make(const struct player *player, uint64_t index, struct made *made,
                 struct plexus_job_spec *ret_spec)
{
        const char *kind = kind_of(player, index);
        uint64_t random = mix(player->seed * 37 + index);

        snprintf(made->key, sizeof(made->key), "%s-%" PRIu64, player->name, index);
        *ret_spec = (struct plexus_job_spec){.key = made->key, .name = made->key};
        if (strcmp(kind, "task") == 0) {
                snprintf(made->input, sizeof(made->input), "%s %" PRIx64, made->key, random);
                ret_spec->task_type = TASK_TYPE;
                ret_spec->input = made->input;
                ret_spec->input_bytes = strlen(made->input);
                return;
        }
        snprintf(made->path, sizeof(made->path), "%s/%s", player->dir, made->key);
        snprintf(made->lines, sizeof(made->lines), "%" PRIu64, 4 + random % 60);
        snprintf(made->pause_ms, sizeof(made->pause_ms), "%" PRIu64, random / 64 % 12);
        made->argv[0] = player->program;
        made->argv[1] = made->path;
        made->argv[2] = made->lines;
        made->argv[3] = made->pause_ms;
        made->argv[4] = NULL;
        ret_spec->argv = made->argv;
        ret_spec->cwd = "/";
        ret_spec->cpus = 0.1;
        ret_spec->grace_ms = 1000;
        if (strcmp(kind, "once") == 0) {
                ret_spec->on_lost_fail = true;
                ret_spec->lost_after_ms = 10000;
        }
}

/* ---- the history of an earlier life -------------------------------------------------------------------------- */

static void recall(const struct player *player)
{
        FILE *file = fopen(player->history, "re");
        char word[16], key[KEY_ROOM], rest[16], line[512];
        uint64_t job, index;

        while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
                if (sscanf(line, "%15s %79s %15s", word, key, rest) != 3)
                        continue;
                index = player_index(player, key);
                job = strtoull(rest, NULL, 10);
                if (index >= player->count)
                        continue;
                if (strcmp(word, "call") == 0)
                        all[index].called = true;
                else if (strcmp(word, "ack") == 0)
                        all[index].job = job;
                else if (strcmp(word, "end") == 0)
                        all[index].ended = true;
                else if (strcmp(word, "followed") == 0)
                        all[index].followed = true;
        }
        if (file != NULL)
                fclose(file);
}

/* ---- submitting ------------------------------------------------------------------------------------------------ */

static void acknowledged(const struct player *player, uint64_t index, uint64_t job)
{
        char key[KEY_ROOM];
        int code;

        snprintf(key, sizeof(key), "%s-%" PRIu64, player->name, index);
        if (!all[index].ended) {
                code = plexus_watch(player->px, &job, 1);
                if (code != PLEXUS_OK)
                        player_fail("watching", code);
                not_ended++;
        }
        if (!all[index].followed && strcmp(kind_of(player, index), "task") != 0)
                follow_add(job, key);
}

/* Submit these; what has no answer yet is tried again with the same key until it has one. */
static void submit(const struct player *player, const uint64_t *indexes, size_t count)
{
        static struct made made[BATCH_MAX];
        struct plexus_job_spec specs[BATCH_MAX] = {0};
        uint64_t jobs[BATCH_MAX] = {0};
        int errors[BATCH_MAX] = {0};
        uint64_t again[BATCH_MAX];
        size_t again_count = 0;

        for (size_t i = 0; i < count; i++) {
                make(player, indexes[i], &made[i], &specs[i]);
                if (!all[indexes[i]].called)
                        history_say("call %s %s %" PRId64, made[i].key,
                                    kind_of(player, indexes[i]), player_now_ms());
                all[indexes[i]].called = true;
        }
        (void)plexus_submit_many(player->px, specs, count, jobs, errors, SUBMIT_MS);
        for (size_t i = 0; i < count; i++) {
                if (jobs[i] != 0) {
                        history_say("ack %s %" PRIu64 " %" PRId64, made[i].key, jobs[i],
                                    player_now_ms());
                        all[indexes[i]].job = jobs[i];
                        acknowledged(player, indexes[i], jobs[i]);
                } else if (errors[i] == PLEXUS_TIMED_OUT || errors[i] == PLEXUS_UNREACHABLE ||
                           errors[i] == PLEXUS_BUSY || errors[i] == PLEXUS_EXPIRED) {
                        history_say("unknown %s %s", made[i].key, plexus_error_name(errors[i]));
                        again[again_count++] = indexes[i];
                } else {
                        history_say("refused %s %s", made[i].key, plexus_error_name(errors[i]));
                        all[indexes[i]].ended = true;
                }
        }
        if (again_count > 0)
                submit(player, again, again_count);
}

/* Take one end; false: none came in time. */
static bool take_end(const struct player *player, int64_t timeout_ms)
{
        struct plexus_end end;
        char hex[2 * 64 + 1] = "-";
        int code;

        if (not_ended == 0)
                return false;
        code = plexus_next_end(player->px, timeout_ms, &end);
        if (code == PLEXUS_TIMED_OUT || code == PLEXUS_UNREACHABLE)
                return false;
        if (end.job == 0)
                player_fail("taking an end", code);
        for (uint64_t i = 0; i < player->count; i++) {
                if (all[i].job != end.job || end.job == 0)
                        continue;
                for (size_t b = 0; b < end.result_bytes && b < 64; b++)
                        snprintf(hex + 2 * b, 3, "%02x", ((const uint8_t *)end.result)[b]);
                history_say("end %s-%" PRIu64 " %" PRIu64 " %s %u %s", player->name, i, end.job,
                            code == PLEXUS_OK ? plexus_state_name(end.state)
                                              : plexus_error_name(code),
                            end.attempt, hex);
                all[i].ended = true;
                not_ended--;
        }
        plexus_end_fini(&end);
        return true;
}

/* Those before `due` without an answer, at most BATCH_MAX from *next on. */
static size_t choose(uint64_t due, uint64_t *next, uint64_t *ret_indexes)
{
        size_t chosen = 0;

        for (; *next < due && chosen < BATCH_MAX; (*next)++)
                if (all[*next].job == 0 && !all[*next].ended)
                        ret_indexes[chosen++] = *next;
        return chosen;
}

int play_submit(struct player *player)
{
        int64_t begun_ms = player_now_ms();
        uint64_t indexes[BATCH_MAX];
        uint64_t next = 0, known = 0;

        all = calloc(player->count, sizeof(*all));
        if (all == NULL)
                return 2;
        recall(player);
        follow_begin(player);
        for (uint64_t i = 0; i < player->count; i++) {
                known += all[i].called;
                if (all[i].job != 0)
                        acknowledged(player, i, all[i].job);
        }
        while (next < player->count || not_ended > 0) {
                uint64_t passed_ms = (uint64_t)(player_now_ms() - begun_ms);
                uint64_t due = player->seconds == 0
                                       ? player->count
                                       : known + (player->count - known) * passed_ms /
                                                         (player->seconds * 1000);
                size_t count = choose(due < player->count ? due : player->count, &next, indexes);

                if (count > 0)
                        submit(player, indexes, count);
                while (take_end(player, count > 0 ? 1 : 20))
                        if (next < player->count)
                                break;
                if (not_ended == 0 && count == 0)
                        poll(NULL, 0, 5); /* the pace */
        }
        follow_end();
        return 0;
}
