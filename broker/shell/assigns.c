/* SPDX-License-Identifier: Apache-2.0 */
/* assigns.c - one open message per peer, a few of them at a time. Layer: L4 (broker/shell). */
#include "assigns.h"

#include "px_schema.h"
#include "spec_read.h"

/* What an item takes beyond its texts and spec, generously. */
#define ITEM_BYTES 128

struct open_message {
        uint64_t peer;
        uint64_t node_session;
        struct px_assign *items;
        size_t items_count;
        size_t items_capacity;
        size_t bytes;
        struct px_arena arena; /* the items' slices */
        struct px_link link;
};

struct assigns {
        assigns_send *send;
        void *context;
        struct px_map by_peer; /* -> struct open_message */
        struct px_link open;   /* in the order of their first item */
        struct px_buf stored;
        struct px_buf spec;
        struct px_buf frame;
};

struct assigns *assigns_new(assigns_send *send, void *context)
{
        struct assigns *assigns = px_alloc(sizeof(*assigns));

        assigns->send = send;
        assigns->context = context;
        px_list_init(&assigns->open);
        return assigns;
}

static void message_free(struct assigns *assigns, struct open_message *message)
{
        PX_ASSERT(px_map_take(&assigns->by_peer, message->peer) == message);
        px_list_remove(&message->link);
        px_arena_fini(&message->arena);
        px_free(message->items);
        px_free(message);
}

void assigns_free(struct assigns *assigns)
{
        if (assigns == NULL)
                return;
        while (!px_list_empty(&assigns->open))
                message_free(assigns,
                             PX_CONTAINER_OF(assigns->open.next, struct open_message, link));
        px_map_fini(&assigns->by_peer);
        px_buf_fini(&assigns->stored);
        px_buf_fini(&assigns->spec);
        px_buf_fini(&assigns->frame);
        px_free(assigns);
}

static void message_send(struct assigns *assigns, struct open_message *message)
{
        struct px_m_assign assign = {
                .session = message->node_session,
                .items = message->items,
                .items_count = message->items_count,
        };

        PX_ASSERT(message->items_count > 0);
        px_buf_reset(&assigns->frame);
        px_m_assign_frame(&assign, 0, 0, &assigns->frame);
        assigns->send(assigns->context, message->peer, px_buf_slice(&assigns->frame));
        message_free(assigns, message);
}

void assigns_flush_peer(struct assigns *assigns, uint64_t peer)
{
        struct open_message *message = px_map_find(&assigns->by_peer, peer);

        if (message != NULL)
                message_send(assigns, message);
}

void assigns_flush(struct assigns *assigns)
{
        while (!px_list_empty(&assigns->open))
                message_send(assigns,
                             PX_CONTAINER_OF(assigns->open.next, struct open_message, link));
}

static struct open_message *message_new(struct assigns *assigns, uint64_t peer,
                                        uint64_t node_session)
{
        struct open_message *message = px_alloc(sizeof(*message));

        message->peer = peer;
        message->node_session = node_session;
        px_map_put(&assigns->by_peer, peer, message);
        px_list_append(&assigns->open, &message->link);
        return message;
}

/* The peer's open message if `bytes` more fit, else a fresh one. */
static struct open_message *message_with_room(struct assigns *assigns, uint64_t peer,
                                              uint64_t node_session, size_t bytes)
{
        struct open_message *message = px_map_find(&assigns->by_peer, peer);

        if (message != NULL &&
            (message->node_session != node_session || message->bytes + bytes > ASSIGNS_BYTES_MAX ||
             message->items_count == PX_LIMIT_BATCH_ITEMS)) {
                message_send(assigns, message);
                message = NULL;
        }
        return message != NULL ? message : message_new(assigns, peer, node_session);
}

static const struct px_resource *copy_resources(struct px_arena *arena,
                                                const struct px_assign *item)
{
        struct px_resource *copy =
                px_arena_alloc(arena, (item->resources_count + 1) * sizeof(*copy));

        for (size_t i = 0; i < item->resources_count; i++)
                copy[i] = (struct px_resource){px_arena_copy(arena, item->resources[i].name),
                                               item->resources[i].amount};
        return copy;
}

int assigns_add(struct assigns *assigns, struct px_log *log, uint64_t peer, uint64_t node_session,
                const struct px_assign *item)
{
        struct open_message *message;
        struct px_assign *kept;
        size_t bytes;
        int result;

        px_buf_reset(&assigns->spec);
        result = spec_read(log, item->job, &assigns->stored, &assigns->spec);
        if (result != PX_OK)
                return result;
        bytes = assigns->spec.length + item->task_type.length + item->principal.length +
                item->name.length + ITEM_BYTES +
                item->resources_count * (PX_LIMIT_RESOURCE_BYTES + 16);
        message = message_with_room(assigns, peer, node_session, bytes);
        if (message->items_count == message->items_capacity) {
                message->items_capacity = PX_MAX(message->items_capacity * 2, (size_t)16);
                message->items = px_realloc(message->items,
                                            message->items_capacity * sizeof(*message->items));
        }
        kept = &message->items[message->items_count++];
        *kept = *item;
        kept->task_type = px_arena_copy(&message->arena, item->task_type);
        kept->principal = px_arena_copy(&message->arena, item->principal);
        kept->name = px_arena_copy(&message->arena, item->name);
        kept->resources = copy_resources(&message->arena, item);
        kept->spec = px_arena_copy(&message->arena, px_buf_slice(&assigns->spec));
        message->bytes += bytes;
        return PX_OK;
}
