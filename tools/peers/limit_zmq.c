/* SPDX-License-Identifier: Apache-2.0 */
/* limit_zmq.c - what ZeroMQ alone can do here: messages of 300 bytes over ROUTER and DEALER,
 * nothing kept, nothing encoded. Layer: tools.
 *
 * usage: limit_zmq rtt ENDPOINT LABEL                  round trip of an echo
 *        limit_zmq latency ENDPOINT LABEL N            one job at a time through a router and a
 * worker limit_zmq cycle ENDPOINT LABEL N DEPTH HELD   a producer and 2 workers around a router */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zmq.h>

#include "bench.h"

#define BODY_BYTES 300
#define WARM_UP 500
#define ROUND_TRIPS 20000
#define WORKERS 2
#define QUEUE_MAX (1u << 20)
#define CONNECT_TRIES 5000

static char body[BODY_BYTES];
static char answer[BODY_BYTES + 1];

static void *open_socket(int type, const char *name, const char *endpoint)
{
        void *socket = zmq_socket(zmq_ctx_new(), type);
        int unlimited = 0;

        zmq_setsockopt(socket, ZMQ_SNDHWM, &unlimited, sizeof(unlimited));
        zmq_setsockopt(socket, ZMQ_RCVHWM, &unlimited, sizeof(unlimited));
        if (name != NULL)
                zmq_setsockopt(socket, ZMQ_IDENTITY, name, strlen(name));
        for (int i = 0; i < CONNECT_TRIES; i++) {
                if ((type == ZMQ_ROUTER ? zmq_bind(socket, endpoint)
                                        : zmq_connect(socket, endpoint)) == 0)
                        return socket;
                sleep_us(1000);
        }
        die("%s", endpoint);
}

static pid_t start_echo(const char *endpoint)
{
        pid_t pid = child_new();
        void *router;
        zmq_msg_t part;

        if (pid != 0)
                return pid;
        router = open_socket(ZMQ_ROUTER, NULL, endpoint);
        zmq_msg_init(&part);
        for (;;) {
                zmq_msg_recv(&part, router, 0);
                zmq_msg_send(&part, router, zmq_msg_more(&part) ? ZMQ_SNDMORE : 0);
        }
}

/* `count` exchanges, one at a time. */
static void measure_exchanges(void *dealer, const char *test, const char *label, const char *name,
                              size_t count)
{
        uint64_t *samples_ns = calloc(count, sizeof(*samples_ns));

        for (size_t i = 0; i < count + WARM_UP; i++) {
                uint64_t begun = now_ns();

                zmq_send(dealer, body, sizeof(body), 0);
                zmq_recv(dealer, answer, sizeof(answer), 0);
                if (i >= WARM_UP)
                        samples_ns[i - WARM_UP] = now_ns() - begun;
        }
        row_latency(test, "limit", label, name, samples_ns, count);
        free(samples_ns);
}

static void round_trips(const char *endpoint, const char *label)
{
        pid_t pid = start_echo(endpoint);

        measure_exchanges(open_socket(ZMQ_DEALER, NULL, endpoint), "G_zmq", label, "rtt",
                          ROUND_TRIPS);
        child_end(pid);
}

/* ---- a bare queue ------------------------------------------------------------------------------
 */

static zmq_msg_t queued[QUEUE_MAX];

struct router {
        void *socket;
        int credit[WORKERS];
        unsigned head, tail; /* in queued */
};

/* Peers name themselves: "p" the producer, "0" and "1" the workers. */
static void take_one(struct router *router, int held)
{
        zmq_msg_t id, message;
        char who;

        zmq_msg_init(&id);
        zmq_msg_init(&message);
        zmq_msg_recv(&id, router->socket, 0);
        zmq_msg_recv(&message, router->socket, 0);
        who = *(char *)zmq_msg_data(&id);
        zmq_msg_close(&id);
        if (who == 'p') {
                queued[router->tail++ % QUEUE_MAX] = message;
                return;
        }
        if (*(char *)zmq_msg_data(&message) == 'R') { /* ready */
                router->credit[who - '0'] += held;
                zmq_msg_close(&message);
                return;
        }
        router->credit[who - '0']++;
        zmq_send(router->socket, "p", 1, ZMQ_SNDMORE);
        zmq_msg_send(&message, router->socket, 0);
}

static pid_t start_router(const char *endpoint, int held)
{
        struct router router = {0};
        pid_t pid = child_new();

        if (pid != 0)
                return pid;
        router.socket = open_socket(ZMQ_ROUTER, NULL, endpoint);
        for (;;) {
                take_one(&router, held);
                while (router.head != router.tail &&
                       (router.credit[0] > 0 || router.credit[1] > 0)) {
                        int worker = router.credit[0] >= router.credit[1] ? 0 : 1;

                        router.credit[worker]--;
                        zmq_send(router.socket, worker == 0 ? "0" : "1", 1, ZMQ_SNDMORE);
                        zmq_msg_send(&queued[router.head++ % QUEUE_MAX], router.socket, 0);
                }
        }
}

static pid_t start_worker(const char *endpoint, const char *name)
{
        pid_t pid = child_new();
        void *dealer;

        if (pid != 0)
                return pid;
        dealer = open_socket(ZMQ_DEALER, name, endpoint);
        zmq_send(dealer, "R", 1, 0);
        for (;;) {
                zmq_recv(dealer, answer, sizeof(answer), 0);
                zmq_send(dealer, "done", 4, 0);
        }
}

static void measure_flow(void *dealer, const char *label, int count, int depth, int held)
{
        uint64_t begun = now_ns();
        int sent = 0, got = 0;
        char metric[48];

        while (got < count) {
                for (; sent < count && sent - got < depth; sent++)
                        zmq_send(dealer, body, sizeof(body), 0);
                zmq_recv(dealer, answer, sizeof(answer), 0);
                got++;
                while (zmq_recv(dealer, answer, sizeof(answer), ZMQ_DONTWAIT) >= 0)
                        got++;
        }
        snprintf(metric, sizeof(metric), "rate_held%d_workers%d", held, WORKERS);
        row("B_cycle", "limit", label, metric, count / since_s(begun), "jobs/s");
}

static void bare_queue(const char *endpoint, const char *label, int count, int depth, int held)
{
        pid_t pids[] = {start_router(endpoint, held), start_worker(endpoint, "0"),
                        start_worker(endpoint, "1")};
        void *dealer = open_socket(ZMQ_DEALER, "p", endpoint);

        sleep_us(300000); /* all are connected */
        if (depth == 1)
                measure_exchanges(dealer, "C_latency", label, "roundtrip", (size_t)count);
        else
                measure_flow(dealer, label, count, depth, held);
        for (size_t i = 0; i < sizeof(pids) / sizeof(pids[0]); i++)
                child_end(pids[i]);
}

int main(int argc, char **argv)
{
        memset(body, 'x', sizeof(body));
        if (argc >= 4 && strcmp(argv[1], "rtt") == 0)
                round_trips(argv[2], argv[3]);
        else if (argc >= 5 && strcmp(argv[1], "latency") == 0)
                bare_queue(argv[2], argv[3], atoi(argv[4]), 1, 1);
        else if (argc >= 7 && strcmp(argv[1], "cycle") == 0)
                bare_queue(argv[2], argv[3], atoi(argv[4]), atoi(argv[5]), atoi(argv[6]));
        else
                die("usage: see limit_zmq.c");
        fflush(stdout);
        _exit(0); /* sockets of a broken conversation would wait */
}
