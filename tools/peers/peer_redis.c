/* SPDX-License-Identifier: Apache-2.0 */
/* peer_redis.c - Redis as a queue. Variant "list": RPUSH, BLMOVE to a list of jobs under way, LREM
 * (the reliable pattern); "stream": XADD, XREADGROUP, XACK and XDEL. Replies: RPUSH to a list on
 * which the client waits with BLPOP. Layer: tools. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net.h"
#include "queue.h"

#define PORT 21379
#define WHOLE (size_t)0 /* an argument's length: all of the text */

struct redis {
        struct net *net;
        bool stream;
        bool reply;
        int owed; /* answers to finishes that were not read yet */
        int jobs; /* that these finish */
        char name[32];
};

static void put_argument(struct net *net, const char *bytes, size_t length)
{
        if (length == WHOLE)
                length = strlen(bytes);
        net_print(net, "$%zu\r\n", length);
        net_put(net, bytes, length);
        net_put(net, "\r\n", 2);
}

/* `count` words. */
static void command(struct net *net, int count, ...)
{
        va_list words;

        va_start(words, count);
        net_print(net, "*%d\r\n", count);
        for (int i = 0; i < count; i++)
                put_argument(net, va_arg(words, const char *), WHOLE);
        va_end(words);
}

/* Words, and last a payload. */
static void command_with(struct net *net, const char *payload, size_t length, int count, ...)
{
        va_list words;

        va_start(words, count);
        net_print(net, "*%d\r\n", count + 1);
        for (int i = 0; i < count; i++)
                put_argument(net, va_arg(words, const char *), WHOLE);
        va_end(words);
        put_argument(net, payload, length);
}

/* Each string of an answer, with its place in it. */
typedef void on_string(void *context, int at, const char *bytes, size_t length);

/* Read one answer whole. */
static void take_answer(struct net *net, on_string *visit, void *context, int *at)
{
        char *line = net_line(net);
        long count = atol(line + 1);

        if (*line == '-')
                die("redis: %s", line);
        if (*line == '$' && count >= 0) {
                char *bytes = net_take(net, (size_t)count + 2);

                if (visit != NULL)
                        visit(context, *at, bytes, (size_t)count);
                ++*at;
        }
        for (long i = 0; *line == '*' && i < count; i++)
                take_answer(net, visit, context, at);
}

static void skip_answer(struct net *net)
{
        int at = 0;

        take_answer(net, NULL, NULL, &at);
}

static void *redis_open(char role, const char *variant, bool reply)
{
        struct redis *peer = calloc(1, sizeof(*peer));

        peer->net = net_open(PORT);
        peer->stream = strcmp(variant, "stream") == 0;
        peer->reply = reply;
        snprintf(peer->name, sizeof(peer->name), "%c%d", role, getpid());
        for (;; sleep_us(1000)) { /* after a start it answers LOADING until its file is read */
                char *line;

                if (peer->stream)
                        command(peer->net, 6, "XGROUP", "CREATE", "jobs", "g", "0", "MKSTREAM");
                else
                        command(peer->net, 2, "LLEN", "jobs");
                net_flush(peer->net);
                line = net_line(peer->net);
                if (strncmp(line, "-LOADING", 8) != 0)
                        return peer;
        }
}

static void redis_put(void *connection, const char *job, size_t length)
{
        struct redis *peer = connection;

        if (peer->stream)
                command_with(peer->net, job, length, 4, "XADD", "jobs", "*", "j");
        else
                command_with(peer->net, job, length, 2, "RPUSH", "jobs");
}

static int redis_ack(void *connection)
{
        struct redis *peer = connection;

        if (!net_has_more(peer->net))
                net_flush(peer->net);
        skip_answer(peer->net);
        return 1;
}

/* ---- working ----------------------------------------------------------------------------------
 */

struct fetched {
        struct redis *peer;
        on_job *job;
        int count;
        char id[64];
};

static void finish(struct fetched *fetched, const char *payload, size_t length)
{
        struct redis *peer = fetched->peer;

        fetched->job(payload, length);
        fetched->count++;
        if (peer->stream) {
                command(peer->net, 4, "XACK", "jobs", "g", fetched->id);
                command(peer->net, 3, "XDEL", "jobs", fetched->id);
                peer->owed += 2;
        } else {
                command_with(peer->net, payload, length, 3, "LREM", "busy", "1");
                peer->owed++;
        }
        if (peer->reply) {
                command(peer->net, 3, "RPUSH", "done", "ok");
                peer->owed++;
        }
}

/* The stream's name; then for each entry its id, "j" and the payload. */
static void take_entry(void *context, int at, const char *bytes, size_t length)
{
        struct fetched *fetched = context;

        if (at % 3 == 1)
                snprintf(fetched->id, sizeof(fetched->id), "%.*s", (int)length, bytes);
        else if (at > 0 && at % 3 == 0)
                finish(fetched, bytes, length);
}

static void take_element(void *context, int at, const char *bytes, size_t length)
{
        (void)at;
        finish(context, bytes, length);
}

static void redis_work(void *connection, int count, on_job *job)
{
        struct redis *peer = connection;
        struct fetched fetched = {.peer = peer, .job = job};
        char number[16];
        int at = 0;

        snprintf(number, sizeof(number), "%d", count);
        if (peer->stream)
                command(peer->net, 11, "XREADGROUP", "GROUP", "g", peer->name, "COUNT", number,
                        "BLOCK", "1000", "STREAMS", "jobs", ">");
        else
                command(peer->net, 6, "BLMOVE", "jobs", "busy", "LEFT", "RIGHT", "1");
        for (int i = 1; !peer->stream && i < count; i++)
                command(peer->net, 5, "LMOVE", "jobs", "busy", "LEFT", "RIGHT");
        net_flush(peer->net);
        for (; peer->owed > 0; peer->owed--)
                skip_answer(peer->net);
        finished(peer->jobs);
        if (peer->stream)
                take_answer(peer->net, take_entry, &fetched, &at);
        for (int i = 0; !peer->stream && i < count; i++)
                take_answer(peer->net, take_element, &fetched, &at);
        peer->jobs = fetched.count; /* finished once their answers are read, in the next call */
}

static void redis_call(void *connection, const char *job, size_t length)
{
        struct redis *peer = connection;

        redis_put(peer, job, length);
        command(peer->net, 3, "BLPOP", "done", "0");
        net_flush(peer->net);
        skip_answer(peer->net);
        skip_answer(peer->net);
}

const struct queue_peer queue_peer = {
        .name = "redis",
        .open = redis_open,
        .put = redis_put,
        .ack = redis_ack,
        .work = redis_work,
        .call = redis_call,
};
