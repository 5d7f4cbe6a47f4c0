/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c - the thread that owns the sockets: step everything, poll, take what arrived.
 * Layer: L4 (client/lib). */
#include "lib_callback.h"
#include "lib.h"

#include "px_tables.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define LOOP_MESSAGES_MAX 256 /* of one socket before the others have their turn */
#define LOOP_POLL_MAX_MS 60000

static void trace(const struct plexus *px, const char *way, const struct link *link,
                  struct px_slice frame)
{
        struct px_buf line = {0};

        if (!px->trace)
                return;
        px_buf_format(&line, "%s %s ", way, link->name);
        px_message_print(&line, frame);
        fprintf(stderr, "%.*s\n", (int)line.length, (const char *)line.data);
        px_buf_fini(&line);
}

bool loop_send(struct plexus *px, struct link *link, struct px_slice body, struct px_slice payload)
{
        trace(px, ">", link, body);
        return link_send(link, body, payload);
}

/* ---- links ---------------------------------------------------------------------------------------- */

static void cmd_changed(struct plexus *px, enum link_change change, int64_t now_ms)
{
        if (change == LINK_WENT_UP)
                session_up(px, now_ms);
        else
                px->greeter.up = false;
}

static void data_changed(struct plexus *px, enum link_change change, int64_t now_ms)
{
        if (change == LINK_WENT_UP)
                query_up(px, now_ms);
}

static void node_changed(struct plexus *px, enum link_change change, int64_t now_ms)
{
        if (change == LINK_WENT_UP)
                worker_up(px, now_ms);
        else
                worker_down(px);
}

static void step_link(struct plexus *px, struct link *link, int64_t now_ms,
                      void (*changed)(struct plexus *, enum link_change, int64_t))
{
        enum link_change change = link_step(link, now_ms);

        if (change != LINK_SAME)
                changed(px, change, now_ms);
}

/* The other sockets stand beside the one that works: where cmd is connected now. */
static void open_others(struct plexus *px, int64_t now_ms)
{
        if (!px->greeter.up || px->cmd.state != LINK_UP)
                return;
        if (px->data_wanted && px->data.state == LINK_OFF)
                link_start_beside(&px->data, &px->cmd.current, px->welcome.data_port, now_ms);
        if (px->worker != NULL && px->node.state == LINK_OFF)
                link_start_beside(&px->node, &px->cmd.current, px->welcome.node_port, now_ms);
}

/* One that cannot connect is aimed again where cmd is: it may have moved to another address. */
static void aim_again(struct plexus *px, struct link *link)
{
        if (link->state == LINK_WAITING && link->rounds > 0 && link->rounds % 4 == 0 &&
            px->greeter.up)
                link_stop(link);
}

static void step_all(struct plexus *px, int64_t now_ms)
{
        if (px->node_close_due)
                link_stop(&px->node);
        px->node_close_due = false;
        step_link(px, &px->cmd, now_ms, cmd_changed);
        session_step(px, now_ms);
        open_others(px, now_ms);
        step_link(px, &px->data, now_ms, data_changed);
        step_link(px, &px->node, now_ms, node_changed);
        aim_again(px, &px->data);
        aim_again(px, &px->node);
        query_step(px, now_ms);
        stream_step(px, now_ms);
        worker_step(px, now_ms);
}

/* ---- receive ---------------------------------------------------------------------------------------- */

static bool receive(struct plexus *px, struct link *link, int64_t now_ms)
{
        struct px_slice body, payload;
        int count = 0;

        while (count < LOOP_MESSAGES_MAX && link_receive(link, &body, &payload)) {
                count++;
                trace(px, "<", link, body);
                if (link == &px->cmd)
                        session_receive(px, body, now_ms);
                else if (link == &px->data)
                        query_receive(px, body, payload, now_ms);
                else
                        worker_receive(px, body, now_ms);
        }
        return count > 0;
}

static bool receive_all(struct plexus *px, int64_t now_ms)
{
        bool any = receive(px, &px->cmd, now_ms);

        any |= receive(px, &px->data, now_ms);
        any |= receive(px, &px->node, now_ms);
        return any;
}

/* ---- poll --------------------------------------------------------------------------------------------- */

static int64_t next_deadline_ms(const struct plexus *px)
{
        int64_t deadline_ms = link_deadline_ms(&px->cmd);

        deadline_ms = PX_MIN(deadline_ms, link_deadline_ms(&px->data));
        deadline_ms = PX_MIN(deadline_ms, link_deadline_ms(&px->node));
        deadline_ms = PX_MIN(deadline_ms, session_deadline_ms(px));
        deadline_ms = PX_MIN(deadline_ms, query_deadline_ms(px));
        deadline_ms = PX_MIN(deadline_ms, stream_deadline_ms(px));
        return PX_MIN(deadline_ms, worker_deadline_ms(px));
}

/* Poll without the lock. */
static void poll_all(struct plexus *px)
{
        zmq_pollitem_t items[LIB_POLL_ITEMS];
        size_t count = 1;
        int64_t wait_ms = next_deadline_ms(px) - lib_now_ms();
        uint64_t drained;

        items[0] = (zmq_pollitem_t){.fd = px->wake_fd, .events = ZMQ_POLLIN};
        count += link_poll_items(&px->cmd, items + count);
        count += link_poll_items(&px->data, items + count);
        count += link_poll_items(&px->node, items + count);
        px->polls = true;
        pthread_mutex_unlock(&px->lock);
        wait_ms = PX_MAX(0, PX_MIN(wait_ms, LOOP_POLL_MAX_MS));
        zmq_poll(items, (int)count, (long)wait_ms);
        if ((items[0].revents & ZMQ_POLLIN) != 0 &&
            read(px->wake_fd, &drained, sizeof(drained)) < 0)
                PX_ASSERT(errno == EAGAIN || errno == EINTR);
        pthread_mutex_lock(&px->lock);
        px->polls = false;
}

static void run_callbacks(struct plexus *px)
{
        struct px_link list;

        if (px_list_empty(&px->callbacks))
                return;
        /* Move the whole list out: new ones may come while these run. */
        px_list_init(&list);
        while (!px_list_empty(&px->callbacks)) {
                struct px_link *first = px->callbacks.next;

                px_list_remove(first);
                px_list_append(&list, first);
        }
        pthread_mutex_unlock(&px->lock);
        callbacks_run(&list);
        pthread_mutex_lock(&px->lock);
}

void *loop_run(void *argument)
{
        struct plexus *px = argument;

        pthread_mutex_lock(&px->lock);
        while (!px->stopping) {
                int64_t now_ms = lib_now_ms();
                bool any = receive_all(px, now_ms);

                px->woken = false;
                step_all(px, now_ms);
                run_callbacks(px);
                if (!any && !px->woken && !px->stopping)
                        poll_all(px);
        }
        session_leave(px);
        pthread_mutex_unlock(&px->lock);
        return NULL;
}
