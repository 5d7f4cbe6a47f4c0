/* SPDX-License-Identifier: Apache-2.0 */
/* keys.c - the table of keys behind a lock: built aside, swapped in whole, found by copy.
 * Layer: L4 (broker/shell). */
#include "keys.h"

#include <pthread.h>

#include "access.h"

/* Never changed once it is in place. Entries whose key hashes are equal are chained by index. */
struct snapshot {
        struct keys_entry *entries;
        size_t *next_of_hash; /* index + 1 of the next entry with this hash; 0 = none */
        size_t count;
        struct px_map by_id;   /* principal number -> entry */
        struct px_map by_hash; /* hash of the key -> first entry */
        struct px_principal_id local;
};

struct keys {
        pthread_rwlock_t lock; /* guards the pointer and the count */
        struct snapshot *now;
        uint64_t cuts;
};

static uint64_t hash_of(const uint8_t *public_key)
{
        /* Keys are checked or made by us and compared in full: no secret seed is needed. */
        return px_hash64(0, public_key, KEYS_PUBLIC_BYTES);
}

static struct snapshot *snapshot_new(const struct keys_entry *entries, size_t count,
                                     struct px_principal_id local)
{
        struct snapshot *table = px_alloc(sizeof(*table));

        table->count = count;
        table->local = local;
        if (count == 0)
                return table;
        table->entries = px_alloc(count * sizeof(*entries));
        table->next_of_hash = px_alloc(count * sizeof(*table->next_of_hash));
        memcpy(table->entries, entries, count * sizeof(*entries));
        for (size_t i = 0; i < count; i++) {
                struct keys_entry *entry = &table->entries[i];
                struct keys_entry *first;
                uint64_t hash = hash_of(entry->public_key);

                PX_ASSERT(entry->id.value != 0);
                px_map_put(&table->by_id, entry->id.value, entry);
                first = px_map_find(&table->by_hash, hash);
                if (first != NULL)
                        table->next_of_hash[i] = (size_t)(first - table->entries) + 1;
                px_map_put(&table->by_hash, hash, entry);
        }
        return table;
}

static void snapshot_free(struct snapshot *table)
{
        px_map_fini(&table->by_id);
        px_map_fini(&table->by_hash);
        px_free(table->entries);
        px_free(table->next_of_hash);
        px_free(table);
}

struct keys *keys_new(void)
{
        struct keys *keys = px_alloc(sizeof(*keys));

        PX_ASSERT(pthread_rwlock_init(&keys->lock, NULL) == 0);
        keys->now = snapshot_new(NULL, 0, (struct px_principal_id){0});
        return keys;
}

void keys_free(struct keys *keys)
{
        if (keys == NULL)
                return;
        snapshot_free(keys->now);
        pthread_rwlock_destroy(&keys->lock);
        px_free(keys);
}

/* Does somebody who saw everything see less, or is another key needed for it? */
static bool cuts_off(const struct snapshot *old, const struct snapshot *fresh)
{
        for (size_t i = 0; i < old->count; i++) {
                const struct keys_entry *was = &old->entries[i];
                const struct keys_entry *is = px_map_find(&fresh->by_id, was->id.value);

                if (access_sees_all(was->role) &&
                    (is == NULL || !access_sees_all(is->role) ||
                     memcmp(is->public_key, was->public_key, KEYS_PUBLIC_BYTES) != 0))
                        return true;
        }
        return false;
}

void keys_replace(struct keys *keys, const struct keys_entry *entries, size_t count,
                  struct px_principal_id local)
{
        struct snapshot *fresh = snapshot_new(entries, count, local);
        struct snapshot *old;

        PX_ASSERT(pthread_rwlock_wrlock(&keys->lock) == 0);
        old = keys->now;
        keys->now = fresh;
        if (cuts_off(old, fresh))
                keys->cuts++;
        PX_ASSERT(pthread_rwlock_unlock(&keys->lock) == 0);
        snapshot_free(old);
}

uint64_t keys_cuts(struct keys *keys)
{
        uint64_t cuts;

        PX_ASSERT(pthread_rwlock_rdlock(&keys->lock) == 0);
        cuts = keys->cuts;
        PX_ASSERT(pthread_rwlock_unlock(&keys->lock) == 0);
        return cuts;
}

/* Copy `entry` out if it is one. */
static bool give(const struct keys_entry *entry, struct keys_entry *ret_entry)
{
        if (entry != NULL)
                *ret_entry = *entry;
        return entry != NULL;
}

static const struct keys_entry *find_key(const struct snapshot *table, const uint8_t *public_key)
{
        const struct keys_entry *entry = px_map_find(&table->by_hash, hash_of(public_key));

        while (entry != NULL && memcmp(entry->public_key, public_key, KEYS_PUBLIC_BYTES) != 0) {
                size_t next = table->next_of_hash[entry - table->entries];
                entry = next == 0 ? NULL : &table->entries[next - 1];
        }
        return entry;
}

bool keys_find_key(struct keys *keys, const uint8_t *public_key, struct keys_entry *ret_entry)
{
        bool found;

        PX_ASSERT(pthread_rwlock_rdlock(&keys->lock) == 0);
        found = give(find_key(keys->now, public_key), ret_entry);
        PX_ASSERT(pthread_rwlock_unlock(&keys->lock) == 0);
        return found;
}

bool keys_find_id(struct keys *keys, struct px_principal_id id, struct keys_entry *ret_entry)
{
        bool found;

        PX_ASSERT(pthread_rwlock_rdlock(&keys->lock) == 0);
        found = give(px_map_find(&keys->now->by_id, id.value), ret_entry);
        PX_ASSERT(pthread_rwlock_unlock(&keys->lock) == 0);
        return found;
}

bool keys_find_local(struct keys *keys, struct keys_entry *ret_entry)
{
        bool found;

        PX_ASSERT(pthread_rwlock_rdlock(&keys->lock) == 0);
        found = keys->now->local.value != 0 &&
                give(px_map_find(&keys->now->by_id, keys->now->local.value), ret_entry);
        PX_ASSERT(pthread_rwlock_unlock(&keys->lock) == 0);
        return found;
}

bool keys_of_message(struct keys *keys, const char *user_id, struct keys_entry *ret_entry)
{
        uint64_t value = 0;
        size_t digits = 0;

        if (user_id == NULL)
                return false;
        for (; user_id[digits] != '\0'; digits++) {
                if (user_id[digits] < '0' || user_id[digits] > '9' || digits == 10)
                        return false;
                value = value * 10 + (uint64_t)(user_id[digits] - '0');
        }
        if (digits == 0 || value == 0 || value > UINT32_MAX)
                return false;
        return keys_find_id(keys, (struct px_principal_id){(uint32_t)value}, ret_entry);
}
