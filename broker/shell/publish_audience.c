/* SPDX-License-Identifier: Apache-2.0 */
/* publish_audience.c - who hears publications: everybody is cut off when one of them may no longer
 * listen. Layer: L4 (broker/shell). Source: RELIABILITY 5 (a revoked key's streams end within 1 s).
 *
 * The library can't drop one peer of a PUB socket, but taking an endpoint back drops them all. They
 * connect again by themselves and meet the ZAP handler, which refuses whoever was revoked; the others
 * see by the numbers what they missed and ask `data` for it. The endpoint is bound again after the
 * library closed the old listener: on a local path that closing removes the path. */
#include "egress_inside.h"

#include <stdio.h>

#define RETRY_MS 500

/* Have the closing of the listener told. false = no file descriptor is left for it. */
static bool watch_closing(struct egress *egress, size_t socket)
{
        struct publish_door *door = &egress->publish.doors[socket];
        char monitor[64];

        snprintf(monitor, sizeof monitor, "inproc://plexus.events.%p", egress->events[socket]);
        door->monitor = zmq_socket(egress->options.zmq_context, ZMQ_PAIR);
        if (door->monitor != NULL &&
            zmq_socket_monitor(egress->events[socket], monitor, ZMQ_EVENT_CLOSED) == 0 &&
            zmq_connect(door->monitor, monitor) == 0)
                return true;
        socket_close(door->monitor);
        door->monitor = NULL;
        return false;
}

static void shut(struct egress *egress, size_t socket)
{
        struct publish_door *door = &egress->publish.doors[socket];

        if (!watch_closing(egress, socket))
                door->retry_ms = egress->now_ms + RETRY_MS; /* time enough, if nothing tells */
        PX_ASSERT(zmq_unbind(egress->events[socket], door->endpoint) == 0);
        door->shut = true;
}

/* Is the old listener gone? */
static bool is_closed(struct egress *egress, size_t socket)
{
        struct publish_door *door = &egress->publish.doors[socket];
        uint8_t event[6];

        if (door->monitor == NULL)
                return true;
        if (zmq_recv(door->monitor, event, sizeof event, ZMQ_DONTWAIT) < 0)
                return false;
        PX_ASSERT(zmq_socket_monitor(egress->events[socket], NULL, 0) == 0);
        socket_close(door->monitor);
        door->monitor = NULL;
        return true;
}

static void open_again(struct egress *egress, size_t socket)
{
        struct publish_door *door = &egress->publish.doors[socket];
        char text[SOCKET_ENDPOINT_ROOM + 100];

        if (!is_closed(egress, socket) || egress->now_ms < door->retry_ms)
                return;
        if (socket_bind(egress->events[socket], door->endpoint, text, sizeof text) == 0) {
                door->shut = false;
                door->told = false;
                door->retry_ms = 0;
                return;
        }
        if (!door->told)
                fprintf(stderr, "publications are interrupted: %s\n", text);
        door->told = true;
        door->retry_ms = egress->now_ms + RETRY_MS;
}

void publish_audience(struct egress *egress)
{
        uint64_t cuts = keys_cuts(egress->options.keys);
        bool cut = cuts != egress->publish.cuts;

        egress->publish.cuts = cuts;
        for (size_t i = 0; i < EGRESS_SOCKETS_MAX && egress->events[i] != NULL; i++) {
                if (cut && !egress->publish.doors[i].shut)
                        shut(egress, i);
                if (egress->publish.doors[i].shut)
                        open_again(egress, i);
        }
}

bool publish_is_shut(const struct egress *egress)
{
        for (size_t i = 0; i < EGRESS_SOCKETS_MAX; i++)
                if (egress->publish.doors[i].shut)
                        return true;
        return false;
}

void publish_audience_init(struct egress *egress)
{
        int linger_ms = 0; /* whoever is cut off hears nothing more */

        egress->publish.cuts = keys_cuts(egress->options.keys);
        for (size_t i = 0; i < EGRESS_SOCKETS_MAX && egress->events[i] != NULL; i++) {
                size_t length = sizeof egress->publish.doors[i].endpoint;

                PX_ASSERT(zmq_getsockopt(egress->events[i], ZMQ_LAST_ENDPOINT,
                                         egress->publish.doors[i].endpoint, &length) == 0);
                PX_ASSERT(zmq_setsockopt(egress->events[i], ZMQ_LINGER, &linger_ms,
                                         sizeof linger_ms) == 0);
        }
}

void publish_audience_fini(struct egress *egress)
{
        for (size_t i = 0; i < EGRESS_SOCKETS_MAX; i++)
                socket_close(egress->publish.doors[i].monitor);
}
