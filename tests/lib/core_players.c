/* SPDX-License-Identifier: Apache-2.0 */
/* core_players.c - clients and nodes as the driver plays them. */
#include "core_driver_inside.h"

#include "test.h"

#define SAY(player_, origin_, message, m, number)                                                  \
        do {                                                                                       \
                struct px_buf frame_ = {0};                                                        \
                                                                                                   \
                px_m_##message##_frame(m, number, 0, &frame_);                                     \
                driver_say((player_)->driver, origin_, (player_)->peer, (player_)->principal,      \
                           px_buf_slice(&frame_));                                                 \
                px_buf_fini(&frame_);                                                              \
        } while (0)

/* ---- clients -------------------------------------------------------------------------------------- */

void client_hello(struct client *client)
{
        struct px_m_client_hello hello = {.session = client->session};
        struct px_m_client_welcome welcome;

        client->peer = driver_next_peer(client->driver);
        SAY(client, CORE_FROM_CLIENT, client_hello, &hello, 0);
        EXPECT(DRIVER_READ(client->driver, client->peer, CLIENT_WELCOME, client_welcome,
                           &welcome));
        client->session = welcome.session;
}

struct client driver_client(struct driver *driver, uint32_t principal)
{
        struct client client = {.driver = driver, .principal = principal, .done_below = 1};

        client_hello(&client);
        return client;
}

struct px_submit_job driver_true(struct driver *driver)
{
        return (struct px_submit_job){
                .kind = PX_JOB_KIND_COMMAND,
                .cpus_milli = 1000,
                .on_lost = PX_ON_LOST_RERUN,
                .spec = driver_spec(driver, false),
        };
}

struct px_submit_job driver_task(struct driver *driver, const char *type)
{
        return (struct px_submit_job){
                .kind = PX_JOB_KIND_TASK,
                .task_type = px_slice_text(type),
                .on_lost = PX_ON_LOST_RERUN,
                .spec = driver_spec(driver, true),
        };
}

struct px_slice client_submit_frame(struct client *client, const struct px_submit_job *jobs,
                                    size_t count)
{
        static struct px_buf frame;
        struct px_m_submit submit = {.session = client->session,
                                     .done_below = client->done_below,
                                     .jobs = jobs,
                                     .jobs_count = count};

        px_buf_reset(&frame);
        px_m_submit_frame(&submit, ++client->number, 0, &frame);
        return px_buf_slice(&frame);
}

uint64_t client_submit(struct client *client, struct px_submit_job job, int *ret_code)
{
        struct px_m_submitted submitted;
        struct px_slice frame = client_submit_frame(client, &job, 1);

        driver_say(client->driver, CORE_FROM_CLIENT, client->peer, client->principal, frame);
        if (ret_code != NULL)
                *ret_code = driver_refused(client->driver, client->peer);
        if (!DRIVER_READ(client->driver, client->peer, SUBMITTED, submitted, &submitted)) {
                EXPECT(ret_code != NULL);
                return 0;
        }
        EXPECT_INT(submitted.runs_count, 1);
        if (ret_code != NULL)
                *ret_code = submitted.runs[0].code;
        else
                EXPECT_INT(submitted.runs[0].code, 0);
        client->done_below = client->number + 1;
        return submitted.runs[0].job.value;
}

int client_change(struct client *client, int change, uint64_t job, struct change_args args)
{
        struct px_job_id id = {job};
        struct px_m_change message = {
                .session = client->session,
                .done_below = client->done_below,
                .change = change,
                .jobs = &id,
                .jobs_count = 1,
                .text = px_slice_text(args.text == NULL ? "" : args.text),
                .number = args.number,
                .force = args.force,
        };
        struct px_m_changed changed;

        SAY(client, CORE_FROM_CLIENT, change, &message, ++client->number);
        if (!DRIVER_READ(client->driver, client->peer, CHANGED, changed, &changed))
                return driver_refused(client->driver, client->peer);
        EXPECT_INT(changed.items_count, 1);
        EXPECT_U64(changed.items[0].job.value, job);
        return changed.items[0].code;
}

bool client_end(struct client *client, uint64_t job, struct px_end *ret_end)
{
        struct px_m_end end;

        if (!DRIVER_READ(client->driver, client->peer, END, end, &end))
                return false;
        for (size_t i = 0; i < end.items_count; i++) {
                if (end.items[i].job.value != job)
                        continue;
                *ret_end = end.items[i];
                return true;
        }
        return false;
}

bool client_watch(struct client *client, uint64_t job, struct px_end *ret_end)
{
        struct px_job_id id = {job};
        struct px_m_watch watch = {.session = client->session,
                                   .done_below = client->done_below,
                                   .jobs = &id,
                                   .jobs_count = 1};

        SAY(client, CORE_FROM_CLIENT, watch, &watch, ++client->number);
        return client_end(client, job, ret_end);
}

int client_node_change(struct client *client, int change, const char *node)
{
        struct px_m_node_change message = {.session = client->session,
                                           .done_below = client->done_below,
                                           .change = change,
                                           .node = px_slice_text(node)};

        SAY(client, CORE_FROM_CLIENT, node_change, &message, ++client->number);
        return driver_refused(client->driver, client->peer);
}

int client_limit(struct client *client, struct px_gate limit)
{
        struct px_m_gate_set message = {.session = client->session,
                                        .done_below = client->done_below,
                                        .gate = limit,
                                        .what = 127};

        if (message.gate.weight == 0)
                message.gate.weight = 1;
        SAY(client, CORE_FROM_CLIENT, gate_set, &message, ++client->number);
        return driver_refused(client->driver, client->peer);
}

const char *client_why(struct client *client, uint64_t job, struct px_m_why_is *ret_why)
{
        struct px_m_why message = {.session = client->session, .done_below = 1, .job = {job}};
        struct px_m_why_is answer;
        struct px_buf lines = {0};
        const char *text;

        SAY(client, CORE_FROM_CLIENT, why, &message, ++client->number);
        EXPECT(DRIVER_READ(client->driver, client->peer, WHY_IS, why_is, &answer));
        for (size_t i = 0; i < answer.lines_count; i++)
                px_buf_format(&lines, "%.*s\n", (int)answer.lines[i].length,
                              (const char *)answer.lines[i].data);
        if (ret_why != NULL)
                *ret_why = answer;
        text = px_arena_text(driver_arena(client->driver), px_buf_slice(&lines));
        px_buf_fini(&lines);
        return text;
}

/* ---- nodes ----------------------------------------------------------------------------------------- */

int player_hello(struct player *player)
{
        struct px_slice type = px_slice_text(player->type == NULL ? "" : player->type);
        struct px_m_node_hello hello = {
                .cluster = px_slice_text(player->keeps_cluster ? "a cluster of 16b" : ""),
                .name = px_slice_text(player->name),
                .kind = player->kind,
                .boot = px_slice_of(player->boot, sizeof(player->boot)),
                .spool = px_slice_of(player->spool, sizeof(player->spool)),
                .session = player->session,
                .version = px_slice_text("0.1.0"),
                .cpus_milli = player->cpus_milli,
                .memory_bytes = player->memory_bytes,
                .types = &type,
                .types_count = player->type == NULL ? 0 : 1,
                .slots = player->slots,
                .accounts = px_slice_text(player->accounts),
                .gpus = player->gpus,
                .labels = player->labels,
                .labels_count = player->labels_count,
                .resources = player->resources,
                .resources_count = player->resources_count,
                .inventory = player->inventory,
                .inventory_count = player->inventory_count,
        };
        struct px_m_node_welcome welcome;

        player->peer = driver_next_peer(player->driver);
        SAY(player, CORE_FROM_NODE, node_hello, &hello, 0);
        if (!DRIVER_READ(player->driver, player->peer, NODE_WELCOME, node_welcome, &welcome))
                return driver_refused(player->driver, player->peer);
        EXPECT(welcome.session > player->session);
        player->session = welcome.session;
        return 0;
}

struct player driver_player(struct driver *driver, uint32_t principal, const char *name)
{
        struct player player = {
                .driver = driver,
                .principal = principal,
                .name = name,
                .kind = PX_NODE_KIND_NODE,
                .cpus_milli = 2000,
                .accounts = "map",
        };

        memset(player.boot, name[strlen(name) - 1], sizeof(player.boot));
        memset(player.spool, name[strlen(name) - 1], sizeof(player.spool));
        return player;
}

struct player driver_node(struct driver *driver, uint32_t principal, const char *name)
{
        struct player player = driver_player(driver, principal, name);

        EXPECT_INT(player_hello(&player), 0);
        return player;
}

struct player driver_worker(struct driver *driver, uint32_t principal, const char *name,
                            const char *type)
{
        struct player player = driver_player(driver, principal, name);

        player.kind = PX_NODE_KIND_WORKER;
        player.slots = 1;
        player.type = type;
        player.boot[0] = (uint8_t)driver_next_peer(driver);
        EXPECT_INT(player_hello(&player), 0);
        return player;
}

void player_ping(struct player *player)
{
        struct px_m_node_ping ping = {.session = player->session};

        SAY(player, CORE_FROM_NODE, node_ping, &ping, 0);
}

void player_bye(struct player *player, bool gone)
{
        struct px_m_node_bye bye = {.session = player->session, .gone = gone};

        SAY(player, CORE_FROM_NODE, node_bye, &bye, 0);
}

void player_accept(struct player *player, uint64_t job, int code)
{
        struct px_accept item = {.job = {job},
                                 .fence = driver_fence(player->driver, job),
                                 .code = (uint16_t)code};
        struct px_m_accept accept = {.session = player->session, .items = &item, .items_count = 1};

        SAY(player, CORE_FROM_NODE, accept, &accept, 0);
}

void player_started(struct player *player, uint64_t job)
{
        struct px_started item = {.job = {job},
                                  .fence = driver_fence(player->driver, job),
                                  .wall_ms = driver_wall_ms(player->driver)};
        struct px_m_started started = {
                .session = player->session, .items = &item, .items_count = 1};

        SAY(player, CORE_FROM_NODE, started, &started, 0);
}

void player_runs(struct player *player, uint64_t job)
{
        player_accept(player, job, 0);
        player_started(player, job);
}

void player_result_of(struct player *player, const struct px_result *result)
{
        struct px_m_result message = {
                .session = player->session, .items = result, .items_count = 1};

        SAY(player, CORE_FROM_NODE, result, &message, 0);
}

void player_result(struct player *player, uint64_t job, int outcome, int32_t exit_code)
{
        struct px_result result = {
                .job = {job},
                .fence = driver_fence(player->driver, job),
                .outcome = outcome,
                .exit_code = exit_code,
                .progress_permille = -1,
        };

        player_result_of(player, &result);
}

void player_holds(struct player *player, uint64_t job, struct px_fence fence, int state)
{
        EXPECT(player->inventory_count < PX_COUNT_OF(player->inventory));
        player->inventory[player->inventory_count++] = (struct px_inventory_item){
                .job = {job}, .fence = fence, .state = state, .cpus_milli = 1000};
}

/* ---- what a node was told ------------------------------------------------------------------------------ */

size_t player_assigned(const struct player *player, uint64_t job)
{
        struct driver *driver = player->driver;
        size_t count = 0;

        for (size_t i = 0; i < driver_effects_count(driver); i++) {
                const struct core_effect *effect = driver_effect_at(driver, i);

                count += effect->kind == CORE_EFFECT_ASSIGN && effect->peer == player->peer &&
                         effect->assign.item.job.value == job &&
                         effect->assign.node_session == player->session;
        }
        return count;
}

size_t player_killed(const struct player *player, uint64_t job, struct px_kill *ret_kill)
{
        struct px_m_kill kill;
        size_t count = 0;

        if (!DRIVER_READ(player->driver, player->peer, KILL, kill, &kill))
                return 0;
        for (size_t i = 0; i < kill.items_count; i++) {
                if (kill.items[i].job.value != job)
                        continue;
                if (ret_kill != NULL)
                        *ret_kill = kill.items[i];
                count++;
        }
        return count;
}

size_t player_confirmed(const struct player *player, uint64_t job)
{
        struct px_m_result_ok ok;
        size_t count = 0;

        if (!DRIVER_READ(player->driver, player->peer, RESULT_OK, result_ok, &ok))
                return 0;
        for (size_t i = 0; i < ok.items_count; i++)
                count += ok.items[i].job.value == job;
        return count;
}
