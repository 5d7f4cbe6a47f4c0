/* SPDX-License-Identifier: Apache-2.0 */
/* px_map.c - hash map from uint64_t to pointer: open addressing, linear probing, marks in place
 * of deleted slots, rebuilt when three in four slots are used. Layer: L0 (schema/base). */
#include "px_base.h"

#define MAP_CAPACITY_MIN 16 /* a power of two, as every capacity */

/* value == NULL: never used since the last rebuild; value == MAP_DELETED: probe on. */
struct px_map_slot {
        uint64_t key;
        void *value;
};

static char deleted_mark;
#define MAP_DELETED ((void *)&deleted_mark)

static bool slot_filled(const struct px_map_slot *slot)
{
        return slot->value != NULL && slot->value != MAP_DELETED;
}

/* Keys are mostly counters: spread them over all bits, by a fixed function so that runs repeat. */
static size_t slot_of_key(const struct px_map *map, uint64_t key)
{
        key = (key ^ key >> 32) * 0xD6E8FEB86659FD93u;
        key = (key ^ key >> 32) * 0xD6E8FEB86659FD93u;
        return (size_t)(key ^ key >> 32) & (map->capacity - 1);
}

static struct px_map_slot *slot_find(const struct px_map *map, uint64_t key)
{
        size_t index;

        if (map->count == 0)
                return NULL;
        PX_ASSERT(map->used < map->capacity);
        index = slot_of_key(map, key);
        for (; map->slots[index].value != NULL; index = (index + 1) & (map->capacity - 1)) {
                struct px_map_slot *slot = &map->slots[index];

                if (slot->key == key && slot->value != MAP_DELETED)
                        return slot;
        }
        return NULL;
}

/* Fill the first free slot for a key that the map does not hold. */
static void slot_insert(struct px_map *map, uint64_t key, void *value)
{
        size_t index = slot_of_key(map, key);

        while (slot_filled(&map->slots[index]))
                index = (index + 1) & (map->capacity - 1);
        if (map->slots[index].value == NULL)
                map->used++;
        map->slots[index] = (struct px_map_slot){key, value};
        map->count++;
}

/* Into a capacity at most half full, which also drops the marks of deleted slots. */
static void map_rebuild(struct px_map *map)
{
        struct px_map rebuilt = {.capacity = MAP_CAPACITY_MIN};

        while (rebuilt.capacity < (map->count + 1) * 2)
                rebuilt.capacity *= 2;
        rebuilt.slots = px_alloc(rebuilt.capacity * sizeof(*rebuilt.slots));
        for (size_t i = 0; i < map->capacity; i++)
                if (slot_filled(&map->slots[i]))
                        slot_insert(&rebuilt, map->slots[i].key, map->slots[i].value);
        PX_ASSERT(rebuilt.count == map->count);
        px_free(map->slots);
        *map = rebuilt;
}

void px_map_fini(struct px_map *map)
{
        px_free(map->slots);
        *map = (struct px_map){0};
}

void *px_map_find(const struct px_map *map, uint64_t key)
{
        const struct px_map_slot *slot = slot_find(map, key);

        return slot == NULL ? NULL : slot->value;
}

void px_map_put(struct px_map *map, uint64_t key, void *value)
{
        struct px_map_slot *slot = slot_find(map, key);

        PX_ASSERT(value != NULL);
        if (slot != NULL) {
                slot->value = value;
                return;
        }
        if ((map->used + 1) * 4 > map->capacity * 3)
                map_rebuild(map);
        slot_insert(map, key, value);
        PX_ASSERT(map->count <= map->used);
}

void *px_map_take(struct px_map *map, uint64_t key)
{
        struct px_map_slot *slot = slot_find(map, key);
        void *value;

        if (slot == NULL)
                return NULL;
        value = slot->value;
        slot->value = MAP_DELETED;
        map->count--;
        return value;
}

bool px_map_next(const struct px_map *map, size_t *cursor, uint64_t *ret_key, void **ret_value)
{
        for (; *cursor < map->capacity; (*cursor)++) {
                const struct px_map_slot *slot = &map->slots[*cursor];

                if (!slot_filled(slot))
                        continue;
                *ret_key = slot->key;
                *ret_value = slot->value;
                (*cursor)++;
                return true;
        }
        return false;
}
