/* SPDX-License-Identifier: Apache-2.0 */
/* keeper.h - one attempt, watched by one process: the parts of plexus-keeper share this.
 * Layer: L4 (node/keeper). Source: DESIGN 7.
 *
 * main.c takes START and turns the loop; begin.c makes the job's process; child.c is what that
 * process does before it becomes the job; init.c stands between where there is a namespace; sockets.c binds names; pump.c moves output into the spool; progress.c reads
 * progress; finish.c ends the attempt and writes its exit record.
 *
 * Small on purpose (one per job, at most 1 MB): no message library, no buffer but the one of
 * pump.c, the specification is freed once the job runs. */
#ifndef KEEPER_H
#define KEEPER_H

#include "ctl.h"
#include "spool.h"

#include <sys/types.h>

#define KEEPER_LINGER_MS 1000    /* for processes that outlive the job's first one */
#define KEEPER_IDLE_MS 10000     /* a keeper without a job leaves */
#define KEEPER_PROGRESS_MS 250   /* between two reports */
#define KEEPER_START_WAIT_MS 10  /* a start is not said for so long if nothing else is to be */
#define KEEPER_SHUTDOWN_GRACE_MS 5000
#define KEEPER_PROGRESS_FD 3     /* in the job */
#define KEEPER_NEVER INT64_MAX

struct child_error;

/* What must be said to the link as soon as there is one that listens. */
enum keeper_say {
        SAY_HELLO = 1,
        SAY_STARTED = 2,
        SAY_GREW = 4,
        SAY_PROGRESS = 8,
        SAY_ENDED = 16,
};

enum keeper_phase {
        PHASE_IDLE = 0, /* waits for START */
        PHASE_RUNNING,
        PHASE_TERM,   /* SIGTERM was sent; KILL follows at kill_ms */
        PHASE_LINGER, /* the first process ended; others may finish until kill_ms */
        PHASE_KILL,   /* everything is being killed */
        PHASE_ENDED,  /* exit record written */
};

/* One stream of output. File offset == stream offset. */
struct pump {
        int pipe_fd;          /* -1 = closed */
        int file_fd;          /* -1 until the first byte */
        uint64_t length;      /* bytes the job wrote so far */
        uint64_t head;        /* bytes in the file; < length once capped */
        uint64_t stored;      /* the link said: stored below */
        bool capped;
        uint64_t tail_length; /* bytes of the ring that reached the file at the end */
        uint8_t *tail; /* ring of the last PX_LIMIT_LOG_TAIL_BYTES bytes behind head */
};

struct progress {
        int32_t permille; /* -1 = unknown */
        char text[PX_LIMIT_PROGRESS_BYTES + 1];
        bool any;
        bool stated;        /* by the job itself: bars are no longer looked at */
        bool changed;       /* not yet said */
        int64_t said_ms;
        char line[512];     /* of the pipe, until its newline */
        size_t line_length;
};

/* The datagram socket for progress. */
struct progress_sock {
        int fd; /* -1 = none */
        uint32_t owner;
        char path[108];
};

/* Why it ends, when not by itself: the first cause counts. */
struct verdict {
        bool given;
        int outcome;
        int reason;
        char text[PX_LIMIT_REASON_BYTES + 1];
        int32_t exit_code; /* -1 = as the process ended */
};

struct keeper {
        int ctl_fd;
        int listen_fd;
        int signal_fd;
        int timer_fd;
        int dir_fd;
        int lock_fd;
        int progress_fd;
        int init_fd; /* to the first process of the job's namespace; -1 = none */
        struct progress_sock sock; /* stays from job to job */
        enum keeper_phase phase;
        unsigned say;
        int64_t idle_ms;   /* leaves then */
        int64_t listen_ms; /* tries again to bind `ctl` */

        struct px_arena arena; /* start and its texts */
        struct keeper_start start;
        struct spool_key key;
        int on_lost;
        uint64_t memory_bytes;
        uint64_t log_bytes;
        uint64_t spool_bytes;
        uint64_t grace_ms;
        bool remove_work;
        bool group_killed; /* then it can't be used again */

        pid_t pid; /* of the first process, or of its namespace's */
        bool reaped; /* the first process; status holds how it ended */
        int status;
        int64_t started_wall_ms;
        int64_t started_ms;
        int64_t limit_ms;   /* time limit */
        int64_t lost_ms;    /* on_lost=fail: gives up then */
        uint64_t lost_after_ms;
        int64_t kill_ms;    /* next rung of the ladder */
        uint64_t kills_before; /* for want of memory, in a group used again */

        struct pump pump[3]; /* by enum px_stream */
        struct progress progress;
        struct verdict verdict;
        uint64_t cpu_us;
        uint64_t rss_bytes;
        struct px_buf ended; /* the result, as ENDED carries it */
        struct child_error *told; /* memory that the child shares, however it is made */
};

int64_t keeper_now_ms(void);  /* CLOCK_BOOTTIME: goes on while the machine sleeps */
int64_t keeper_wall_ms(void);
void keeper_close(int *fd);   /* close and -1; accepts -1 */

/* sockets.c */
void sockets_listen(struct keeper *keeper); /* for a later link: ours is gone */
/* Have the attempt's progress socket; without one its fd is -1. */
void sockets_progress(struct keeper *keeper);
void sockets_fini(struct keeper *keeper);

/* begin.c: read the entry, make pipes, sockets and the process. On failure the verdict says why and
 * nothing runs. */
void keeper_begin(struct keeper *keeper);

/* child.c: never returns. Says what failed in `told`. */
enum child_stage {
        CHILD_SETUP = 1,
        CHILD_GROUP,
        CHILD_ACCOUNT,
        CHILD_DIRECTORY,
        CHILD_PROGRAM,
};
struct child_error {
        int stage; /* 0 = nothing */
        int error;
};
struct child_plan {
        char **argv;
        char **envp;
        const char *path; /* PATH to search */
        const char *cwd;
        int fds[4]; /* become 0 to 3 */
        struct child_error *told;
        uint32_t umask;
        bool attach_kill; /* write ourselves into the kill group (v1) */
        pid_t keeper_pid;
        const struct keeper_start *start;
};
_Noreturn void child_run(const struct child_plan *plan);

/* init.c */
/* Make a process namespace with the job in it; returns its first process. Faults: -errno; what went
 * wrong inside is told as a child tells it. */
pid_t init_start(struct keeper *keeper, struct child_plan *plan);
void init_read(struct keeper *keeper); /* how the job's process ended, when it is said */
void init_signal(struct keeper *keeper, int number); /* to the job's process and its group */

/* pump.c */
void pump_open(struct pump *pump, int pipe_fd);
/* Read once; false at the end of the stream. */
bool pump_step(struct keeper *keeper, int stream);
/* Everything that is in the pipes now; the job is dead. Then closes them. */
void pump_finish(struct keeper *keeper);
/* Whether the spool holds so much that is not stored that the job has to wait. */
bool pump_blocked(const struct keeper *keeper);
void pump_fini(struct pump *pump);

/* progress.c */
void progress_line(struct progress *progress, const char *line, size_t length);
void progress_bar(struct progress *progress, const uint8_t *bytes, size_t length);
bool progress_read_pipe(struct keeper *keeper); /* false at its end */
bool progress_read_sock(struct keeper *keeper); /* one datagram; false = none */

/* finish.c */
/* Begin to end the attempt: TERM, grace, KILL. The first cause given is the one that counts. */
void finish_begin(struct keeper *keeper, int outcome, int reason, const char *text,
                  int64_t grace_ms);
void finish_deadline(struct keeper *keeper, int64_t now_ms); /* a deadline may have passed */
int64_t finish_next_ms(const struct keeper *keeper);
void finish_reap(struct keeper *keeper); /* children changed */
/* Nothing is alive: write the exit record, close everything of the attempt. */
void finish_end(struct keeper *keeper);

#endif
