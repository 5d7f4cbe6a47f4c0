/* SPDX-License-Identifier: Apache-2.0 */
/* fanout.c - one publisher, 1 to 64 subscribers, lines of 200 bytes as fast as they go. One process
 * receives for all of them and counts bytes. Layer: tools.
 *
 * usage: fanout redis|nats SUBSCRIBERS LINES    the publisher is here
 *        fanout plexus SUBSCRIBERS LINES        the publisher is a job that writes its output; the
 * mesh is the one that PLEXUS_URL names Rows: deliveries a second to the last one received, and how
 * many are missing in percent. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <plexus.h>

#include "bench.h"
#include "net.h"

#define SUBSCRIBERS_MAX 64
#define READ_ROOM (1u << 20)
#define FLUSH_EVERY 100 /* lines */
#define QUIET_ROUNDS 20 /* of 100 ms without a byte: nothing more comes */

static struct shared {
        atomic_int ready;
        atomic_ullong last_ns;
        atomic_ullong lines[SUBSCRIBERS_MAX];
} * shared;

/* ---- receiving ----------------------------------------------------------------------------------
 */

struct protocol {
        const char *name;
        int port;
        const char *hello;
        const char *welcome; /* of the same length as what the server answers */
        size_t frame_bytes;  /* of one line as it arrives */
};

static const struct protocol protocols[] = {
        {"redis", 21379, "*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nlogs\r\n",
         "*3\r\n$9\r\nsubscribe\r\n$4\r\nlogs\r\n:1\r\n",
         sizeof("*3\r\n$7\r\nmessage\r\n$4\r\nlogs\r\n$200\r\n\r\n") - 1 + PAYLOAD_BYTES},
        {"nats", 21222, "CONNECT {\"verbose\":false}\r\nSUB logs 1\r\nPING\r\n", NULL,
         sizeof("MSG logs 1 200\r\n\r\n") - 1 + PAYLOAD_BYTES},
};

static int subscribe(const struct protocol *protocol)
{
        struct net *net = net_open(protocol->port);

        net_put(net, protocol->hello, strlen(protocol->hello));
        net_flush(net);
        if (protocol->welcome != NULL)
                net_take(net, strlen(protocol->welcome));
        while (protocol->welcome == NULL && strncmp(net_line(net), "PONG", 4) != 0)
                ;
        return net_fd(net);
}

static _Noreturn void receive_tcp(const struct protocol *protocol, int subscribers)
{
        static char bytes[READ_ROOM];
        uint64_t received[SUBSCRIBERS_MAX] = {0};
        int fds[SUBSCRIBERS_MAX];
        int poll_fd = epoll_create1(EPOLL_CLOEXEC);

        for (int i = 0; i < subscribers; i++) {
                struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};

                fds[i] = subscribe(protocol);
                epoll_ctl(poll_fd, EPOLL_CTL_ADD, fds[i], &event);
        }
        atomic_store(&shared->ready, subscribers);
        for (;;) {
                struct epoll_event events[SUBSCRIBERS_MAX];
                int count = epoll_wait(poll_fd, events, SUBSCRIBERS_MAX, -1);

                for (int i = 0; i < count; i++) {
                        uint32_t at = events[i].data.u32;
                        ssize_t length = read(fds[at], bytes, sizeof(bytes));

                        if (length <= 0)
                                die("the server dropped a subscriber");
                        received[at] += (uint64_t)length;
                        atomic_store(&shared->lines[at], received[at] / protocol->frame_bytes);
                }
                atomic_store(&shared->last_ns, now_ns());
        }
}

static void must(plexus *px, int error, const char *what)
{
        if (error != PLEXUS_OK)
                die("plexus: %s: %s: %s", what, plexus_error_name(error), plexus_detail(px));
}

/* Each follower is a process with a connection of its own, as people have. */
static _Noreturn void follow(uint64_t job, int at)
{
        struct plexus_options options = {.program = "fanout", .timeout_ms = 60000};
        struct plexus_log_options follow = {.follow = true};
        struct plexus_log_item item;
        plexus_stream *stream;
        uint64_t received = 0;
        plexus *px = NULL;

        must(px, plexus_connect(&options, &px), "connect");
        must(px, plexus_logs(px, job, &follow, &stream), "logs");
        atomic_fetch_add(&shared->ready, 1);
        do {
                must(px, plexus_log_next(stream, 60000, &item), "output");
                if (item.kind != PLEXUS_LOG_OUT)
                        continue;
                received += item.length;
                atomic_store(&shared->lines[at], received / PAYLOAD_BYTES);
                atomic_store(&shared->last_ns, now_ns());
        } while (item.kind != PLEXUS_LOG_END);
        _exit(0);
}

/* ---- publishing
 * ----------------------------------------------------------------------------------- */

static void publish(const struct protocol *protocol, int lines)
{
        struct net *net = net_open(protocol->port);
        bool redis = strcmp(protocol->name, "redis") == 0;
        char line[PAYLOAD_BYTES], ignored[65536];

        memset(line, 'x', sizeof(line));
        if (!redis)
                net_print(net, "CONNECT {\"verbose\":false}\r\n");
        for (int i = 0; i < lines; i++) {
                if (redis)
                        net_print(net, "*3\r\n$7\r\nPUBLISH\r\n$4\r\nlogs\r\n$%d\r\n",
                                  PAYLOAD_BYTES);
                else
                        net_print(net, "PUB logs %d\r\n", PAYLOAD_BYTES);
                net_put(net, line, sizeof(line));
                net_put(net, "\r\n", 2);
                if (i % FLUSH_EVERY != FLUSH_EVERY - 1)
                        continue;
                net_flush(net);
                while (recv(net_fd(net), ignored, sizeof(ignored), MSG_DONTWAIT) > 0)
                        ; /* redis answers each */
        }
        net_flush(net);
}

/* The job waits for a file, so that every follower is there before its first line. */
static uint64_t submit_writer(int lines, const char *gate)
{
        struct plexus_options options = {.program = "fanout", .timeout_ms = 60000};
        char script[1024];
        const char *argv[] = {"/bin/sh", "-c", script, NULL};
        struct plexus_job_spec spec = {.argv = argv, .cwd = "/"};
        plexus *px = NULL;
        uint64_t job;

        snprintf(script, sizeof(script),
                 "while [ ! -e %s ]; do sleep 0.01; done; yes \"$(printf '%%0199d' 0)\" | head -n "
                 "%d",
                 gate, lines);
        must(px, plexus_connect(&options, &px), "connect");
        must(px, plexus_submit(px, &spec, &job), "submit");
        plexus_close(px);
        return job;
}

static uint64_t total(int subscribers)
{
        uint64_t lines = 0;

        for (int i = 0; i < subscribers; i++)
                lines += atomic_load(&shared->lines[i]);
        return lines;
}

static void wait_until_quiet(int subscribers, uint64_t wanted)
{
        uint64_t before = 0;

        for (int quiet = 0; quiet < QUIET_ROUNDS && total(subscribers) < wanted;) {
                sleep_us(100000);
                quiet = total(subscribers) == before ? quiet + 1 : 0;
                before = total(subscribers);
        }
}

static void report(const char *name, int subscribers, uint64_t wanted, uint64_t begun_ns)
{
        double seconds = (double)(atomic_load(&shared->last_ns) - begun_ns) / 1e9;
        uint64_t lines = total(subscribers);
        char variant[32];

        snprintf(variant, sizeof(variant), "followers%d", subscribers);
        row("F_fanout", name, variant, "delivered", (double)lines / seconds, "lines/s");
        row("F_fanout", name, variant, "missing", 100 * (1 - (double)lines / (double)wanted), "%");
}

static void wait_ready(int subscribers)
{
        while (atomic_load(&shared->ready) < subscribers)
                sleep_us(1000);
        sleep_us(300000);
}

static void run_peer(const struct protocol *protocol, int subscribers, int lines)
{
        uint64_t wanted = (uint64_t)subscribers * (uint64_t)lines;
        pid_t pid = child_new();
        uint64_t begun;

        if (pid == 0)
                receive_tcp(protocol, subscribers);
        wait_ready(subscribers);
        begun = now_ns();
        publish(protocol, lines);
        wait_until_quiet(subscribers, wanted);
        report(protocol->name, subscribers, wanted, begun);
        child_end(pid);
}

static void run_plexus(int subscribers, int lines)
{
        uint64_t wanted = (uint64_t)subscribers * (uint64_t)lines;
        char gate[] = "/tmp/plexus-fanout-XXXXXX";
        pid_t pids[SUBSCRIBERS_MAX];
        uint64_t job, begun;
        FILE *file;

        close(mkstemp(gate));
        unlink(gate);
        job = submit_writer(lines, gate);
        for (int i = 0; i < subscribers; i++) {
                pids[i] = child_new();
                if (pids[i] == 0)
                        follow(job, i);
        }
        wait_ready(subscribers);
        begun = now_ns();
        file = fopen(gate, "w");
        if (file == NULL)
                die("%s", gate);
        fclose(file);
        wait_until_quiet(subscribers, wanted);
        report("plexus", subscribers, wanted, begun);
        for (int i = 0; i < subscribers; i++)
                child_end(pids[i]);
        unlink(gate);
}

int main(int argc, char **argv)
{
        int subscribers = argc > 3 ? atoi(argv[2]) : 0;

        if (subscribers < 1 || subscribers > SUBSCRIBERS_MAX)
                die("usage: fanout redis|nats|plexus SUBSCRIBERS LINES");
        shared = shared_new(sizeof(*shared));
        if (strcmp(argv[1], "plexus") == 0)
                run_plexus(subscribers, atoi(argv[3]));
        for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
                if (strcmp(argv[1], protocols[i].name) == 0)
                        run_peer(&protocols[i], subscribers, atoi(argv[3]));
        return 0;
}
