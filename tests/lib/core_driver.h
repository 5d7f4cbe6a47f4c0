/* SPDX-License-Identifier: Apache-2.0 */
/* core_driver.h - drives a broker core in tests: plays clients, nodes and the shell, keeps the rows,
 * prints what was decided.
 *
 * Every step is followed by core_check(), by the check that applying its write-set gives a store from
 * which an equal core loads, and by one line in the trace for each event:
 *      [  1000] job.retrying j1 a1 n1 (node n1 became unreachable)
 * Time stands still unless driver_run_ms() moves it. */
#ifndef CORE_DRIVER_H
#define CORE_DRIVER_H

#include "core.h"
#include "px_session.h"

/* Made by driver_start(), in this order. */
enum {
        ROOT = 1,  /* admin */
        ANA = 2,   /* user */
        BOB = 3,   /* user */
        KEY1 = 4,  /* node */
        KEY2 = 5,  /* node */
        WATCHER = 6, /* monitor */
        HELPER = 7,  /* service */
        HAND = 8,    /* worker */
};

struct driver;

struct driver_options {
        uint64_t lease_ms;   /* 1000 */
        uint64_t repeat_ms;  /* 300 */
        uint64_t session_ms; /* 100000 */
        uint64_t jobs_max;   /* 1000000 */
        bool unchecked;      /* no check after each step, no rows kept: for benchmarks */
        bool few_checks;     /* no check after each step: for many steps */
};

/* The current test's driver, freed with it. */
struct driver *driver_start(struct driver_options options);
void driver_free(struct driver *driver);
struct core *driver_core(struct driver *driver);
/* The broker dies after its last step and starts anew from the rows, `down_ms` later. */
void driver_restart(struct driver *driver, int64_t down_ms);
/* Let time pass, stepping whenever the core wants it. */
void driver_run_ms(struct driver *driver, int64_t ms);
int64_t driver_now_ms(const struct driver *driver);
int64_t driver_wall_ms(const struct driver *driver);

/* The trace since the start or the last driver_trace_reset(); a terminated text. */
const char *driver_trace(struct driver *driver);
void driver_trace_reset(struct driver *driver);

/* ---- commands ------------------------------------------------------------------------------------ */

/* Say a frame. Between driver_batch() and driver_go() commands gather into one step. */
void driver_say(struct driver *driver, uint8_t origin, uint64_t peer, uint32_t principal,
                struct px_slice frame);
void driver_batch(struct driver *driver);
void driver_go(struct driver *driver);
void driver_shell(struct driver *driver, struct px_slice frame);
void driver_peer_gone(struct driver *driver, uint64_t peer);
void driver_storage(struct driver *driver, bool full);

/* The last frame of this type sent to peer in the last step: its body, or NULL data. */
struct px_slice driver_mail(struct driver *driver, uint64_t peer, uint16_t type);
/* Frames of this type sent to peer in the last step. */
size_t driver_mail_count(struct driver *driver, uint64_t peer, uint16_t type);
struct px_arena *driver_arena(struct driver *driver); /* of the current test */
/* Code of the REFUSED that peer got in the last step, 0 = none. */
int driver_refused(struct driver *driver, uint64_t peer);
/* Effects of this kind in the last step. */
size_t driver_effects(struct driver *driver, int kind);
const struct core_effect *driver_effect(struct driver *driver, int kind); /* the last one, or NULL */

#define DRIVER_READ(driver, peer, TYPE, message, ret)                                              \
        (driver_mail(driver, peer, PX_M_##TYPE).data != NULL &&                                    \
         px_m_##message##_decode(driver_mail(driver, peer, PX_M_##TYPE), driver_arena(driver),     \
                                 ret) == PX_WIRE_OK)

/* ---- rows ---------------------------------------------------------------------------------------- */

size_t driver_rows_count(struct driver *driver, uint8_t table);
/* The index-th row of a table; false beyond the last. */
bool driver_row_at(struct driver *driver, uint8_t table, size_t index, struct px_slice *ret_key,
                   struct px_slice *ret_value);
/* A core of the same options that nothing was loaded into yet. Owns: core_free(). */
struct core *driver_core_empty(const struct driver *driver);
bool driver_row(struct driver *driver, uint8_t table, const struct row_key *key,
                struct px_slice *ret_value);
/* A file of the store of files is here from now on, for the facts of submits. */
void driver_blob(struct driver *driver, uint32_t owner, const uint8_t hash[32], uint64_t bytes);
struct px_job_row driver_job(struct driver *driver, uint64_t job); /* of job or done; must exist */
const char *driver_state(struct driver *driver, uint64_t job);     /* "absent" when it is nowhere */
const char *driver_reason(struct driver *driver, uint64_t job);

/* ---- clients --------------------------------------------------------------------------------------- */

struct client {
        struct driver *driver;
        uint64_t peer;
        uint32_t principal;
        struct px_session_id session;
        uint64_t number; /* of the last request */
        uint64_t done_below;
};

struct client driver_client(struct driver *driver, uint32_t principal);
void client_hello(struct client *client); /* again, on a new peer */
/* A command job that runs `true` with 1 cpu. */
struct px_submit_job driver_true(struct driver *driver);
struct px_submit_job driver_task(struct driver *driver, const char *type);
/* Returns the id, 0 when refused (then *ret_code, which may be NULL). */
uint64_t client_submit(struct client *client, struct px_submit_job job, int *ret_code);
/* The frame of a SUBMIT under the client's next number. Borrowed until the next call. */
struct px_slice client_submit_frame(struct client *client, const struct px_submit_job *jobs,
                                    size_t count);
struct change_args {
        const char *text;
        int64_t number;
        bool force;
};
/* Returns the code; PX_E_... of a whole refusal too. */
int client_change(struct client *client, int change, uint64_t job, struct change_args args);
/* END for the job within the answer to WATCH; false: none yet. */
bool client_watch(struct client *client, uint64_t job, struct px_end *ret_end);
/* END pushed in the last step. */
bool client_end(struct client *client, uint64_t job, struct px_end *ret_end);
int client_node_change(struct client *client, int change, const char *node);
/* GATE_SET of all fields; returns 0 or the code of the refusal. */
int client_limit(struct client *client, struct px_gate limit);
/* All lines of WHY, each ended by a newline. */
const char *client_why(struct client *client, uint64_t job, struct px_m_why_is *ret_why);

/* ---- nodes ---------------------------------------------------------------------------------------------- */

struct player {
        struct driver *driver;
        uint64_t peer;
        uint32_t principal;
        const char *name;
        int kind;
        uint8_t boot[16];
        uint8_t spool[16];
        uint64_t session;
        uint32_t cpus_milli;
        uint64_t memory_bytes;
        uint32_t slots;
        const char *type; /* of a worker */
        const char *accounts;
        uint32_t gpus;
        struct px_label labels[4];
        size_t labels_count;
        struct px_resource resources[4];
        size_t resources_count;
        bool keeps_cluster; /* says the cluster id in HELLO */
        struct px_inventory_item inventory[64];
        size_t inventory_count;
};

/* A node of 2 cpus that said HELLO. */
struct player driver_node(struct driver *driver, uint32_t principal, const char *name);
struct player driver_player(struct driver *driver, uint32_t principal, const char *name);
struct player driver_worker(struct driver *driver, uint32_t principal, const char *name,
                            const char *type);
/* On a new peer, with its inventory. Returns 0 or the code of the refusal. */
int player_hello(struct player *player);
void player_ping(struct player *player);
void player_bye(struct player *player, bool gone);
void player_accept(struct player *player, uint64_t job, int code); /* current fence of the job */
void player_started(struct player *player, uint64_t job);
void player_result(struct player *player, uint64_t job, int outcome, int32_t exit_code);
void player_result_of(struct player *player, const struct px_result *result);
/* Accept and start. */
void player_runs(struct player *player, uint64_t job);
void player_holds(struct player *player, uint64_t job, struct px_fence fence, int state);
/* Jobs in ASSIGN effects to it in the last step. */
size_t player_assigned(const struct player *player, uint64_t job);
/* KILLs for the job in the last step; *ret_kill (may be NULL) is the last. */
size_t player_killed(const struct player *player, uint64_t job, struct px_kill *ret_kill);
size_t player_confirmed(const struct player *player, uint64_t job);
struct px_fence driver_fence(struct driver *driver, uint64_t job);

#endif
