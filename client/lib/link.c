/* SPDX-License-Identifier: Apache-2.0 */
/* link.c - rounds over hosts and addresses, ZeroMQ's handshake, messages. Layer: L4 (client/lib). */
#include "lib_link.h"

#include "lib_link_probe.h"

#include <errno.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

#define LINK_RESOLVE_MS 15000
#define LINK_PROBE_MS 3000
#define LINK_GREET_MS 5000
#define LINK_BACKOFF_FIRST_MS 50
#define LINK_BACKOFF_MAX_MS 3500
#define LINK_BACKOFF_LOCAL_MAX_MS 500

void link_init(struct link *link, const char *name, void *context, const struct socket_keys *keys,
               int wake_fd, uint64_t seed)
{
        *link = (struct link){.name = name, .context = context, .keys = keys, .wake_fd = wake_fd,
                              .probe_fd = -1, .backoff_ms = LINK_BACKOFF_FIRST_MS};
        px_rand_init(&link->rand, seed);
}

static void drop_messages(struct link *link)
{
        if (!link->has_messages)
                return;
        zmq_msg_close(&link->body);
        zmq_msg_close(&link->payload);
        link->has_messages = false;
}

/* Let go of whatever the state holds. */
static void drop_attempt(struct link *link)
{
        drop_messages(link);
        resolve_abandon(link->resolve);
        link->resolve = NULL;
        if (link->probe_fd >= 0)
                close(link->probe_fd);
        link->probe_fd = -1;
        socket_close(link->socket, link->monitor);
        link->socket = NULL;
        link->monitor = NULL;
}

void link_stop(struct link *link)
{
        drop_attempt(link);
        link->state = LINK_OFF;
}

void link_fini(struct link *link)
{
        link_stop(link);
}

static void begin_round(struct link *link)
{
        link->host = 0;
        link->answer.count = 0;
        link->address = 0;
        link->round[0] = '\0';
        link->passing = false;
        link->absent = false;
        link->state = LINK_WAITING;
}

void link_start(struct link *link, const struct url *url, int64_t now_ms)
{
        link_stop(link);
        link->url = url;
        begin_round(link);
        link->deadline_ms = now_ms;
}

void link_start_beside(struct link *link, const struct link_address *address, uint32_t port,
                       int64_t now_ms)
{
        link_stop(link);
        link->url = NULL;
        link_probe_beside(address, link->name, port, &link->fixed);
        begin_round(link);
        link->deadline_ms = now_ms;
}

static void note_failure(struct link *link, const char *why)
{
        size_t used = strlen(link->round);

        snprintf(link->round + used, sizeof(link->round) - used, "%s%s", used > 0 ? "; " : "", why);
}

static void end_round(struct link *link, int64_t now_ms)
{
        bool local = link->current.socket.ss_family == AF_UNIX;
        uint64_t backoff_max_ms = local ? LINK_BACKOFF_LOCAL_MAX_MS : LINK_BACKOFF_MAX_MS;
        uint64_t wait_ms = link->backoff_ms;

        memcpy(link->trouble, link->round, sizeof(link->trouble));
        link->rounds++;
        wait_ms -= px_rand_below(&link->rand, wait_ms / 2 + 1);
        link->backoff_ms = PX_MIN(link->backoff_ms * 2, backoff_max_ms);
        link->state = LINK_WAITING;
        link->deadline_ms = now_ms + (int64_t)wait_ms;
}

static void try_address(struct link *link, int64_t now_ms);

static void try_host(struct link *link, int64_t now_ms)
{
        const struct url_host *host;

        link->address = 0;
        link->answer.count = 0;
        if (link->url == NULL || link->url->local) {
                if (link->host > 0) {
                        end_round(link, now_ms);
                        return;
                }
                if (link->url != NULL)
                        link_probe_local(link->url->dir, link->name, &link->fixed);
                link->answer.addresses[0] = link->fixed.socket;
                link->answer.lengths[0] = link->fixed.length;
                link->answer.count = 1;
                try_address(link, now_ms);
                return;
        }
        if (link->host == link->url->hosts_count) {
                end_round(link, now_ms);
                return;
        }
        host = &link->url->hosts[link->host];
        link->resolve = resolve_start(host->name, host->port, link->wake_fd);
        link->state = LINK_RESOLVING;
        link->deadline_ms = now_ms + LINK_RESOLVE_MS;
}

/* Why the address tried now does not work; go to the next one, or host, or round. */
static void next_address(struct link *link, const char *why, int64_t now_ms)
{
        drop_attempt(link);
        note_failure(link, why);
        link->address++;
        try_address(link, now_ms);
}

static void next_host(struct link *link, const char *why, int64_t now_ms)
{
        drop_attempt(link);
        if (why[0] != '\0')
                note_failure(link, why);
        link->host++;
        try_host(link, now_ms);
}

static void greet(struct link *link, int64_t now_ms)
{
        char endpoint[400];

        link_probe_endpoint(&link->current, endpoint, sizeof(endpoint));
        link->socket = socket_open(link->context, link->keys, &link->monitor);
        if (link->socket == NULL || zmq_connect(link->socket, endpoint) != 0) {
                next_address(link, "this process has too many sockets", now_ms);
                return;
        }
        link->state = LINK_GREETING;
        link->deadline_ms = now_ms + LINK_GREET_MS;
}

static void probe_failed(struct link *link, int fault, int64_t now_ms)
{
        char why[512];

        link_probe_words(&link->current, fault, why, sizeof(why));
        link->passing |= fault == ETIMEDOUT;
        link->absent |= fault == ENOENT;
        next_address(link, why, now_ms);
}

static void try_address(struct link *link, int64_t now_ms)
{
        int fault;

        if (link->address == link->answer.count) {
                next_host(link, "", now_ms);
                return;
        }
        link->current.socket = link->answer.addresses[link->address];
        link->current.length = link->answer.lengths[link->address];
        link_probe_name(&link->current, link->url != NULL && !link->url->local
                                                ? link->url->hosts[link->host].name
                                                : NULL);
        fault = link_probe_start(&link->current, &link->probe_fd);
        if (fault == 0) {
                close(link->probe_fd);
                link->probe_fd = -1;
                greet(link, now_ms);
        } else if (fault == EINPROGRESS) {
                link->state = LINK_PROBING;
                link->deadline_ms = now_ms + LINK_PROBE_MS;
        } else {
                probe_failed(link, fault, now_ms);
        }
}

static void step_resolving(struct link *link, int64_t now_ms)
{
        const char *name = link->url->hosts[link->host].name;
        char why[512];

        if (link->resolve != NULL && resolve_take(link->resolve, &link->answer)) {
                link->resolve = NULL;
                if (link->answer.count > 0) {
                        try_address(link, now_ms);
                        return;
                }
                snprintf(why, sizeof(why), "the name %s was not found (%s)", name, link->answer.why);
                next_host(link, why, now_ms);
        } else if (link->resolve == NULL || now_ms >= link->deadline_ms) {
                snprintf(why, sizeof(why), "the name %s was not found (no answer of the resolver)",
                         name);
                link->passing = true;
                next_host(link, why, now_ms);
        }
}

static void step_probing(struct link *link, int64_t now_ms)
{
        int fault = link_probe_result(link->probe_fd);

        if (fault == EINPROGRESS && now_ms < link->deadline_ms)
                return;
        if (fault == 0) {
                close(link->probe_fd);
                link->probe_fd = -1;
                greet(link, now_ms);
                return;
        }
        probe_failed(link, fault == EINPROGRESS ? ETIMEDOUT : fault, now_ms);
}

/* The next event of the monitor, 0 when there is none. */
static int take_event(struct link *link)
{
        zmq_msg_t part;
        uint16_t event = 0;
        int more = 1;

        for (int i = 0; more; i++) {
                zmq_msg_init(&part);
                if (zmq_msg_recv(&part, link->monitor, ZMQ_DONTWAIT) < 0) {
                        zmq_msg_close(&part);
                        return 0;
                }
                if (i == 0 && zmq_msg_size(&part) >= sizeof(event))
                        memcpy(&event, zmq_msg_data(&part), sizeof(event));
                more = zmq_msg_more(&part);
                zmq_msg_close(&part);
        }
        return event;
}

static void greeting_failed(struct link *link, const char *how, int64_t now_ms)
{
        char why[640];

        snprintf(why, sizeof(why), "%s %s", link->current.words, how);
        next_address(link, why, now_ms);
}

static enum link_change step_greeting(struct link *link, int64_t now_ms)
{
        int event = take_event(link);

        if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
                link->state = LINK_UP;
                link->deadline_ms = INT64_MAX;
                return LINK_WENT_UP;
        }
        if (event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
                greeting_failed(link, "speaks another protocol: is it a Plexus broker?", now_ms);
        else if (event != 0 && link->keys == NULL)
                greeting_failed(link, "closed the connection during the handshake: it runs as "
                                      "another user, or is stopping", now_ms);
        else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
                greeting_failed(link, "does not know the key of this token: it was not made there, or its "
                                      "record is gone", now_ms);
        else if (event != 0)
                greeting_failed(link, "ended the handshake: the token is of another broker, which has "
                                      "another key", now_ms);
        else if (now_ms >= link->deadline_ms)
                greeting_failed(link, "accepts connections but does not shake hands: is it a "
                                      "Plexus broker, and the right port?", now_ms);
        return LINK_SAME;
}

void link_renew(struct link *link, const char *why, int64_t now_ms)
{
        char words[640];

        PX_ASSERT(link->state != LINK_OFF);
        drop_attempt(link);
        snprintf(words, sizeof(words), "%s %s", link->current.words, why);
        begin_round(link);
        note_failure(link, words);
        end_round(link, now_ms);
}

static enum link_change step_up(struct link *link, int64_t now_ms)
{
        for (int event = take_event(link); event != 0; event = take_event(link)) {
                if (event != ZMQ_EVENT_DISCONNECTED && event != ZMQ_EVENT_CLOSED)
                        continue;
                link_renew(link, "closed the connection", now_ms);
                return LINK_WENT_DOWN;
        }
        return LINK_SAME;
}

/* One step; true when there may be more to do at once. */
static bool step_once(struct link *link, int64_t now_ms, enum link_change *ret_change)
{
        enum link_state before = link->state;

        *ret_change = LINK_SAME;
        switch (link->state) {
        case LINK_OFF:
                return false;
        case LINK_WAITING:
                if (now_ms < link->deadline_ms)
                        return false;
                begin_round(link);
                try_host(link, now_ms);
                return true;
        case LINK_RESOLVING:
                step_resolving(link, now_ms);
                return link->state != before;
        case LINK_PROBING:
                step_probing(link, now_ms);
                return link->state != before;
        case LINK_GREETING:
                *ret_change = step_greeting(link, now_ms);
                return false;
        case LINK_UP:
                *ret_change = step_up(link, now_ms);
                return false;
        default:
                PX_UNREACHABLE();
        }
}

enum link_change link_step(struct link *link, int64_t now_ms)
{
        enum link_change change;

        while (step_once(link, now_ms, &change))
                continue;
        if (change == LINK_WENT_UP) {
                link->backoff_ms = LINK_BACKOFF_FIRST_MS;
                link->rounds = 0;
                link->trouble[0] = '\0';
        }
        return change;
}

int64_t link_deadline_ms(const struct link *link)
{
        return link->state == LINK_OFF ? INT64_MAX : link->deadline_ms;
}

size_t link_poll_items(const struct link *link, zmq_pollitem_t *ret_items)
{
        size_t count = 0;

        if (link->probe_fd >= 0)
                ret_items[count++] = (zmq_pollitem_t){.fd = link->probe_fd, .events = ZMQ_POLLOUT};
        if (link->monitor != NULL)
                ret_items[count++] =
                        (zmq_pollitem_t){.socket = link->monitor, .events = ZMQ_POLLIN};
        if (link->socket != NULL && link->state == LINK_UP)
                ret_items[count++] = (zmq_pollitem_t){.socket = link->socket, .events = ZMQ_POLLIN};
        PX_ASSERT(count <= LINK_POLL_ITEMS);
        return count;
}

/* Parts behind the second are dropped with the message: nobody of ours sends them. */
static bool skip_rest(struct link *link)
{
        bool more = zmq_msg_more(&link->payload);

        while (more) {
                zmq_msg_t part;

                zmq_msg_init(&part);
                more = zmq_msg_recv(&part, link->socket, ZMQ_DONTWAIT) >= 0 && zmq_msg_more(&part);
                zmq_msg_close(&part);
                if (!more)
                        return true;
        }
        return false;
}

bool link_receive(struct link *link, struct px_slice *ret_body, struct px_slice *ret_payload)
{
        drop_messages(link);
        while (link->state == LINK_UP) {
                zmq_msg_init(&link->body);
                zmq_msg_init(&link->payload);
                link->has_messages = true;
                if (zmq_msg_recv(&link->body, link->socket, ZMQ_DONTWAIT) < 0)
                        return false;
                if (zmq_msg_more(&link->body) &&
                    zmq_msg_recv(&link->payload, link->socket, ZMQ_DONTWAIT) < 0)
                        return false;
                if (!skip_rest(link))
                        break;
                drop_messages(link);
        }
        if (link->state != LINK_UP)
                return false;
        *ret_body = px_slice_of(zmq_msg_data(&link->body), zmq_msg_size(&link->body));
        *ret_payload = px_slice_of(zmq_msg_data(&link->payload), zmq_msg_size(&link->payload));
        return true;
}

bool link_send(struct link *link, struct px_slice body, struct px_slice payload)
{
        bool more = payload.length > 0;

        if (link->state != LINK_UP)
                return false;
        if (zmq_send(link->socket, body.data, body.length,
                     ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) < 0)
                return false;
        return !more || zmq_send(link->socket, payload.data, payload.length, ZMQ_DONTWAIT) >= 0;
}

const char *link_trouble(const struct link *link)
{
        return link->trouble[0] != '\0' ? link->trouble : link->round;
}
