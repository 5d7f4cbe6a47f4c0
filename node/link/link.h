/* SPDX-License-Identifier: Apache-2.0 */
/* link.h - plexus-node: speaks with the broker, owns no job. Layer: L4 (node/link), private to this
 * folder and node/main.c. Source: DESIGN 1, 7.
 *
 *   link.c       one loop: sockets, keepers, timers in; node_step(); effects out
 *   effects.c    what the core wants done
 *   held.c       one attempt: its directory, its streams, its slot
 *   keep.c       its keeper: start, hear, and what it leaves when it dies
 *   fetch.c      a large standard input, before the keeper starts
 *   scan.c       what the spool holds when the link starts
 *   wires.c      ZeroMQ sockets and where they lead
 *   account.c    as whom a job runs
 *   machine.c    what this machine has
 *   offer.c      gpus, labels and named resources
 *   note.c       log lines
 *   notify.c     the same for a service manager
 *
 * It may be killed at any time: all that matters is in the spool, and keepers don't need it. */
#ifndef LINK_H
#define LINK_H

#include "group.h"
#include "launch.h"
#include "node.h"
#include "spool.h"

#include <sys/types.h>

#define LINK_NEVER INT64_MAX

/* What a node offers beyond cpus and memory (offer.c). Texts are the caller's. */
struct offer {
        bool gpus_given; /* else found through their device files */
        uint32_t gpus;
        struct px_label labels[PX_LIMIT_NODE_LABELS];
        size_t labels_count;
        struct px_resource resources[PX_LIMIT_RESOURCES];
        size_t resources_count;
};
uint32_t offer_gpus_found(void);
/* Add "K=V" or "NAME=N". False: malformed, there already, or too many. */
bool offer_add_label(struct offer *offer, const char *text);
bool offer_add_resource(struct offer *offer, const char *text);

struct link_options {
        const char *dir;
        const char *name;
        const char *url;
        const char *token_file;
        const char *keeper;
        const char *accounts; /* self or map; NULL = map when root */
        const char *cgroup;   /* NULL = find out */
        enum group_mode kill_mode; /* the best way to end jobs that may be used */
        uint32_t cpus_milli;  /* 0 = what the machine has */
        uint64_t memory_bytes;
        uint32_t slots;
        struct offer offer;
        bool new_privs;
        int ready_fd; /* -1 = none */
};

/* Run until told to leave. Returns an exit status of sysexits.h. */
int link_run(const struct link_options *options);

/* ---- note.c --------------------------------------------------------------------------------- */

enum note_level {
        NOTE_INFO,
        NOTE_WARN,
        NOTE_ERROR,
};
void note_name(const char *node);
/* One logfmt line on standard error; `key` may be NULL. */
void note(enum note_level level, const struct spool_key *key, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* ---- machine.c ------------------------------------------------------------------------------ */

uint32_t machine_cpus_milli(void);     /* affinity and control group quota */
uint64_t machine_memory_bytes(void);   /* of the machine or our control group */
uint32_t machine_load_milli(void);
uint64_t machine_memory_free_bytes(void);
int64_t machine_now_ms(void); /* of this boot, sleep included */
int64_t machine_wall_ms(void);

/* ---- account.c ------------------------------------------------------------------------------ */

struct account {
        char user[64];
        char home[256];
        char shell[128];
        uint32_t uid;
        uint32_t gid;
        bool switches;
        uint32_t groups[KEEPER_GROUPS_MAX];
        size_t groups_count;
};

/* As whom `assign` runs. Refuses: PX_E_NO_ACCOUNT; ret_text says why. */
int account_find(bool map, const struct px_assign *assign, bool as_root, struct account *ret_account,
                 char *ret_text, size_t room);

/* ---- wires.c -------------------------------------------------------------------------------- */

#define WIRES_HOSTS_MAX 8

struct wires {
        void *zmq;
        void *ctl;  /* NULL until it is known where to */
        void *data;
        void *cmd;  /* only while ports are asked for */
        bool local;
        char run_dir[256];
        char hosts[WIRES_HOSTS_MAX][128];
        uint32_t ports[WIRES_HOSTS_MAX]; /* cmd */
        size_t hosts_count;
        size_t host;
        uint8_t secret[32];
        uint8_t public_key[32];
        uint8_t broker_public[32];
        int64_t greet_ms; /* ask for the ports then; LINK_NEVER = known */
        unsigned greeted;
        int64_t opened_ms; /* when node and data socket were */
        struct px_session_id session; /* on cmd: named again, so that greetings don't pile up */
};

/* Read URL and token. Returns 0 or an exit status; ret_text says what is wrong. */
int wires_init(struct wires *wires, const char *url, const char *token_file, char *ret_text,
               size_t room);
void wires_fini(struct wires *wires);
/* Close node and data socket and begin anew, at the next host. */
void wires_renew(struct wires *wires, int64_t now_ms);
void wires_greet(struct wires *wires, int64_t now_ms); /* greet_ms has come */
/* A message on cmd. */
void wires_take_cmd(struct wires *wires, struct px_slice frame);
/* Send without waiting; false = it could not go now. */
bool wires_send(void *socket, struct px_slice frame);
/* A word couldn't go out on the node socket: if that lasts, the broker may have other ports now. */
void wires_unsent(struct wires *wires, int64_t now_ms);
/* Receive one whole message without waiting; the body frame is appended to the empty buffer.
 * False = none. Messages of too many parts come as an empty body. */
bool wires_receive(void *socket, struct px_buf *body);
void wires_trace(const char *way, struct px_slice frame);

/* ---- one attempt ---------------------------------------------------------------------------- */

/* What an event is about: the first member of whatever is watched. */
enum watched {
        WATCHED_SIGNAL = 1,
        WATCHED_HELD,
        WATCHED_IDLE,
};

enum held_state {
        HELD_ENTERED = 1, /* no keeper yet */
        HELD_WATCHED,     /* a keeper has it */
        HELD_FETCHING,    /* its standard input is on its way */
        HELD_DYING,       /* its keeper is gone: why, and what is left of it? */
        HELD_ENDED,
        HELD_FREED,       /* until the end of this turn of the loop */
};

struct held {
        enum watched watched;
        enum held_state state;
        struct held *next;   /* of the same job */
        struct px_link link; /* in link->held, or link->graves */
        struct spool_key key;
        int on_lost;
        uint64_t memory_bytes;
        struct account *account; /* from ENTER to START */
        struct fetch *fetch;     /* while its standard input is on its way */
        bool has_blob;           /* that is a stored file */
        bool blob_here;          /* and was fetched */
        uint8_t blob[32];
        uint64_t blob_bytes;
        pid_t pid; /* of its keeper; 0 = not our child */
        int ctl_fd;
        int dir_fd;
        int stream_fd[3];
        uint64_t length[3];
        uint64_t stored[3];
        uint64_t punched[3];
        int32_t slot; /* -1 = none */
        unsigned starts;
        unsigned quiet; /* looks that found nothing of it */
        bool kill_wanted; /* said to its keeper again once that is found */
        uint64_t kill_grace_ms;
        int kill_why;
};

/* A keeper that waits for its next job. */
struct idle_keeper {
        enum watched watched;
        struct px_link link; /* in link->idle, or link->graves_idle */
        pid_t pid;
        int ctl_fd;
};

/* What the core is to hear after the present effects. */
struct follow {
        enum node_input_kind kind;
        struct spool_key key;
        int code;
        char text[PX_LIMIT_REASON_BYTES + 1];
};

struct link {
        const struct link_options *options;
        struct spool *spool;
        struct group_tree tree;
        struct node *node;
        struct node_effects effects;
        struct wires wires;
        bool map_accounts;
        bool stepping;
        bool up;    /* the core had a session when we last looked */
        bool ready; /* and was told to --ready-fd */
        bool leaving;
        char work_dir[1024];
        char spool_dir[1024];
        char keeper[1024];
        uint8_t boot[SPOOL_ID_BYTES];
        int epoll_fd;
        int signal_fd;
        struct px_map by_job; /* struct held */
        struct px_link held;
        struct px_link graves;
        size_t dying_count;
        int64_t dying_ms; /* look again then */
        struct px_buf slots; /* a byte each: taken or not */
        struct px_link fetches;
        int64_t fetch_ms; /* look after them then */
        struct px_link idle; /* struct idle_keeper */
        struct px_link graves_idle;
        struct px_buf follows; /* struct follow */
        int64_t sampled_ms;
        struct px_buf body;
        struct px_buf frame;
};

/* ---- link.c --------------------------------------------------------------------------------- */

void link_step(struct link *link, const struct node_input *input);
/* Tell the core once the present effects are carried out. `text` is copied. */
void link_follow(struct link *link, enum node_input_kind kind, struct spool_key key, int code,
                 const char *text);
void link_watch(struct link *link, int fd, void *watched);

/* ---- effects.c ------------------------------------------------------------------------------ */

void effect_apply(struct link *link, const struct node_effect *effect);

/* ---- held.c --------------------------------------------------------------------------------- */

struct held *held_find(const struct link *link, struct spool_key key);
struct held *held_new(struct link *link, struct spool_key key);
void held_free(struct link *link, struct held *held); /* at the end of the turn */
void graves_empty(struct link *link);
bool held_dir(struct link *link, struct held *held); /* opens its directory; false = can't */
int held_stream(struct link *link, struct held *held, int stream, bool writable); /* -1 = none */
void held_trim(struct link *link, struct held *held, int stream, uint64_t offset);
void held_tell(struct held *held, int kind, uint64_t a, uint64_t b);
void held_ended(struct link *link, struct held *held, const struct px_result *result);
/* slots of control groups */
void slot_mark(struct link *link, const char *group, struct held *held);
void slot_give(struct link *link, struct held *held);
int slot_take(struct link *link, struct held *held, struct job_group *ret_group);

/* ---- keep.c --------------------------------------------------------------------------------- */

#define KEEP_SOCK_FORMAT "k%d.sock" /* in the work directory, by the keeper's process id */

/* Give it a keeper. The core hears STARTED later, or REFUSED. */
void keep_start(struct link *link, struct held *held);
void keep_hear(struct link *link, struct held *held);
void keep_kill(struct held *held, uint64_t grace_ms, int why);
/* Find the keeper that has it; false = it doesn't listen, or there is none. */
bool keep_connect(struct link *link, struct held *held);
/* Its keeper is gone. */
void keep_lost(struct link *link, struct held *held);
/* Look after all that keepers left behind. */
void keep_after(struct link *link);
void keep_idle_hear(struct link *link, struct idle_keeper *keeper);

/* ---- fetch.c -------------------------------------------------------------------------------- */

/* Whether all that its keeper needs is in its directory. */
bool fetch_is_here(const struct held *held);
/* Get it, then keep_start(). */
void fetch_begin(struct link *link, struct held *held);
/* A message on the data socket; true = it was about a file. */
bool fetch_take(struct link *link, struct px_slice frame);
/* It is to end: the core hears ENDED after the present effects. */
void fetch_kill(struct link *link, struct held *held);
void fetch_drop(struct held *held);
void fetch_after(struct link *link);

/* ---- scan.c --------------------------------------------------------------------------------- */

int scan_spool(struct link *link);

#endif
