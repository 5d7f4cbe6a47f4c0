/* SPDX-License-Identifier: Apache-2.0 */
/* node_tool.h - a real plexus-node, and the broker's half of its talk played by the test over local
 * sockets: what the node says is looked at frame by frame, which a real broker can't show. */
#ifndef NODE_TOOL_H
#define NODE_TOOL_H

#include "px_codec.h"
#include "test.h"

#define PEER_JOBS 64

struct peer_job {
        struct px_job_id job;
        struct px_fence fence;
        int accept_code;
        bool started;
        bool ended;
        bool logged; /* all was stored before the result came */
        struct px_result result;
        struct px_buf log[3];
        struct px_progress progress;
        unsigned results; /* how often it was said */
};

struct peer {
        const char *dir;
        pid_t pid; /* the node */
        int ready_fd;
        void *zmq;
        void *ctl;
        void *data;
        struct px_buf ctl_id;
        struct px_buf data_id;
        uint64_t session;
        struct px_m_node_hello hello;
        unsigned hellos;
        bool bye;
        bool keep_results; /* don't answer RESULT */
        bool mute_log;     /* don't answer LOG_DATA */
        const char *accounts;  /* of the node; NULL = self */
        const char *principal; /* of the next job; NULL = an administrator */
        bool as_root;          /* it asks for root */
        bool scratch;          /* it runs in a fresh directory */
        uint64_t log_bytes;    /* its cap */
        uint64_t received_bytes;
        struct peer_job jobs[PEER_JOBS];
        size_t jobs_count;
        struct px_arena arena;
};

void peer_open(struct peer *peer);
void peer_open_accounts(struct peer *peer, const char *accounts);
void peer_start_node(struct peer *peer);
void peer_kill_node(struct peer *peer, int signal_number); /* and wait for its end */
struct peer_job *peer_assign(struct peer *peer, const char *script, int on_lost);
/* The same attempt once more, or another one of the job. */
void peer_assign_again(struct peer *peer, struct peer_job *job, const char *script);
void peer_kill(struct peer *peer, struct peer_job *job, int why, uint64_t grace_ms);
/* Take part in the talk until the condition holds. */
#define PEER_UNTIL(peer, condition)                                                                \
        do {                                                                                       \
                int64_t peer_until_ms = peer_now_ms() + 30000;                                     \
                while (!(condition)) {                                                             \
                        if (peer_now_ms() > peer_until_ms)                                         \
                                test_fail(__FILE__, __LINE__, "not in time: %s", #condition);      \
                        peer_talk(peer, 50);                                                       \
                }                                                                                  \
        } while (0)
int64_t peer_now_ms(void);
void peer_talk(struct peer *peer, int wait_ms);
void peer_say_results_ok(struct peer *peer);

#endif
