/* SPDX-License-Identifier: Apache-2.0 */
/* px_list.c - the doubly linked list with links inside the items. Layer: L0 (schema/base). */
#include "px_base.h"

void px_list_init(struct px_link *list)
{
        list->next = list;
        list->previous = list;
}

bool px_list_empty(const struct px_link *list)
{
        PX_ASSERT(list->next != NULL);
        return list->next == list;
}

static void link_between(struct px_link *previous, struct px_link *item, struct px_link *next)
{
        PX_ASSERT(!px_list_linked(item));
        PX_ASSERT(previous->next == next);
        PX_ASSERT(next->previous == previous);
        item->previous = previous;
        item->next = next;
        previous->next = item;
        next->previous = item;
}

void px_list_append(struct px_link *list, struct px_link *item)
{
        link_between(list->previous, item, list);
}

void px_list_prepend(struct px_link *list, struct px_link *item)
{
        link_between(list, item, list->next);
}

void px_list_remove(struct px_link *item)
{
        PX_ASSERT(px_list_linked(item));
        PX_ASSERT(item->next->previous == item);
        PX_ASSERT(item->previous->next == item);
        item->next->previous = item->previous;
        item->previous->next = item->next;
        *item = (struct px_link){NULL, NULL};
}

bool px_list_linked(const struct px_link *item)
{
        return item->next != NULL;
}
