/* SPDX-License-Identifier: Apache-2.0 */
/* test_base_list.c - the linked list of schema/base. */
#include "test.h"

struct item {
        int number;
        struct px_link link;
};

static struct item *item_of(struct px_link *link)
{
        return PX_CONTAINER_OF(link, struct item, link);
}

/* The items' numbers as digits of one number, front first. */
static int list_digits(struct px_link *list)
{
        int digits = 0;

        PX_LIST_EACH(list, link)
        {
                digits = digits * 10 + item_of(link)->number;
        }
        return digits;
}

TEST(a_new_list_is_empty)
{
        struct px_link list;

        px_list_init(&list);
        EXPECT(px_list_empty(&list));
        EXPECT_INT(list_digits(&list), 0);
}

TEST(a_list_keeps_the_order_of_appends_and_prepends)
{
        struct px_link list;
        struct item items[3] = {{.number = 1}, {.number = 2}, {.number = 3}};

        px_list_init(&list);
        px_list_append(&list, &items[1].link);
        px_list_append(&list, &items[2].link);
        px_list_prepend(&list, &items[0].link);
        EXPECT(!px_list_empty(&list));
        EXPECT_INT(list_digits(&list), 123);
}

TEST(a_removed_item_is_unlinked_and_its_neighbours_meet)
{
        struct px_link list;
        struct item items[3] = {{.number = 1}, {.number = 2}, {.number = 3}};

        px_list_init(&list);
        for (size_t i = 0; i < 3; i++)
                px_list_append(&list, &items[i].link);
        px_list_remove(&items[1].link);
        EXPECT_INT(list_digits(&list), 13);
        EXPECT(items[1].link.next == NULL);
        EXPECT(!px_list_linked(&items[1].link));
        EXPECT(px_list_linked(&items[0].link));
        px_list_append(&list, &items[1].link);
        EXPECT_INT(list_digits(&list), 132);
}

TEST(an_item_cannot_enter_a_list_twice)
{
        struct px_link list;
        struct item item = {.number = 1};

        px_list_init(&list);
        px_list_append(&list, &item.link);
        EXPECT_ABORT(px_list_append(&list, &item.link));
}

TEST(an_unlinked_item_cannot_be_removed)
{
        struct item item = {.number = 1};

        EXPECT_ABORT(px_list_remove(&item.link));
}
