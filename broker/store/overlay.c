/* SPDX-License-Identifier: Apache-2.0 */
/* overlay.c - see overlay.h. Layer: L3 (broker/store).
 *
 * Each entry hangs in a hash table of fixed size by its whole key; one whose key is longer than eight
 * bytes also hangs in a second one by the first eight (a job, a session), so that the chunks of one
 * thing are found together. With at most 64 MB behind there are a few hundred thousand entries, so
 * chains of the first kind stay short; those of the second kind may be long, but only
 * overlay_collect() walks them. A group lists the entries it made or took over, so that forgetting it
 * looks up nothing; groups are forgotten in the order they came. */
#include "overlay.h"

#include <stdlib.h>

#include "journal_format.h"
#include "log_inside.h"

#define BUCKETS 65536u
#define FAMILY_BYTES 8
#define BLOCK_ENTRIES 1024
#define BLOCKS_SPARE 16 /* kept when the overlay is empty */

struct overlay_entry {
        struct overlay_entry *next;   /* in its bucket, or of the spare ones */
        struct overlay_entry **place; /* what points to it there */
        struct px_link family;        /* in its family bucket; {0} while the key is a short one */
        const struct batch_group *group;
        uint32_t offset; /* of the row in the group's records */
        uint32_t hash;   /* bits that the bucket doesn't tell */
};

struct overlay_block {
        struct px_link link;
        struct overlay_entry entries[BLOCK_ENTRIES];
};

void overlay_init(struct overlay *overlay)
{
        *overlay = (struct overlay){0};
        overlay->exact = px_alloc(BUCKETS * sizeof(struct overlay_entry *));
        overlay->families = px_alloc(BUCKETS * sizeof(*overlay->families));
        px_list_init(&overlay->blocks);
}

static void blocks_free(struct overlay *overlay)
{
        while (!px_list_empty(&overlay->blocks)) {
                struct overlay_block *block =
                        PX_CONTAINER_OF(overlay->blocks.next, struct overlay_block, link);

                px_list_remove(&block->link);
                px_free(block);
        }
        overlay->blocks_count = 0;
        overlay->free = NULL;
}

void overlay_fini(struct overlay *overlay)
{
        blocks_free(overlay);
        px_free(overlay->exact);
        px_free(overlay->families);
}

static struct overlay_entry *entry_new(struct overlay *overlay)
{
        struct overlay_entry *entry;

        if (overlay->free == NULL) {
                struct overlay_block *block = px_alloc(sizeof(*block));

                px_list_append(&overlay->blocks, &block->link);
                overlay->blocks_count++;
                for (size_t i = BLOCK_ENTRIES; i > 0; i--) {
                        block->entries[i - 1].next = overlay->free;
                        overlay->free = &block->entries[i - 1];
                }
        }
        entry = overlay->free;
        overlay->free = entry->next;
        return entry;
}

/* An entry's row; sound, since it was walked when it was added. */
static struct row entry_row(const struct overlay_entry *entry)
{
        size_t offset = entry->offset;
        struct row row;

        PX_ASSERT(rows_next(px_buf_slice(&entry->group->records), &offset, &row));
        return row;
}

static struct px_link *family_bucket(const struct overlay *overlay, uint8_t table,
                                     struct px_slice key)
{
        struct px_slice family = px_slice_of(key.data, PX_MIN(key.length, FAMILY_BYTES));
        struct px_link *bucket =
                &overlay->families[px_hash64(table, family.data, family.length) % BUCKETS];

        if (bucket->next == NULL)
                px_list_init(bucket);
        return bucket;
}

/* Where the entry of this key hangs, or the end of its chain. */
static struct overlay_entry **entry_place(const struct overlay *overlay, uint64_t hash,
                                          uint8_t table, struct px_slice key)
{
        struct overlay_entry **at = &overlay->exact[hash % BUCKETS];

        for (; *at != NULL; at = &(*at)->next) {
                struct row row;

                if ((*at)->hash != (uint32_t)(hash >> 32))
                        continue;
                row = entry_row(*at);
                if (row.table == table && px_slice_equal(row.key, key))
                        break;
        }
        return at;
}

static struct overlay_entry *entry_make(struct overlay *overlay, struct overlay_entry **place,
                                        uint64_t hash, const struct row *row)
{
        struct overlay_entry *entry = entry_new(overlay);

        *place = entry;
        *entry = (struct overlay_entry){.place = place, .hash = (uint32_t)(hash >> 32)};
        if (row->key.length > FAMILY_BYTES)
                px_list_prepend(family_bucket(overlay, row->table, row->key), &entry->family);
        overlay->count++;
        return entry;
}

static void overlay_add_row(struct overlay *overlay, struct batch_group *group, size_t offset,
                            const struct row *row)
{
        uint64_t hash = px_hash64(row->table, row->key.data, row->key.length);
        struct overlay_entry **place = entry_place(overlay, hash, row->table, row->key);
        struct overlay_entry *entry = *place;

        PX_ASSERT(offset <= UINT32_MAX);
        if (entry == NULL)
                entry = entry_make(overlay, place, hash, row);
        entry->offset = (uint32_t)offset;
        if (entry->group == group)
                return;
        entry->group = group;
        px_buf_append(&group->entries, &entry, sizeof(struct overlay_entry *));
}

void overlay_add(struct overlay *overlay, struct batch_group *group, size_t offset)
{
        struct px_slice records = px_buf_slice(&group->records);
        size_t bytes;
        size_t at = offset + JOURNAL_RECORD_HEADER_BYTES;
        size_t end = at + journal_own_rows(records, offset, &bytes).length;
        struct row row;

        while (at < end) {
                size_t begin = at;

                PX_ASSERT(rows_next(px_slice_of(records.data, end), &at, &row));
                overlay_add_row(overlay, group, begin, &row);
        }
}

static void entry_drop(struct overlay *overlay, struct overlay_entry *entry)
{
        PX_ASSERT(*entry->place == entry);
        PX_ASSERT(overlay->count > 0);
        *entry->place = entry->next;
        if (entry->next != NULL)
                entry->next->place = entry->place;
        if (entry->family.next != NULL)
                px_list_remove(&entry->family);
        entry->next = overlay->free;
        overlay->free = entry;
        overlay->count--;
}

void overlay_remove(struct overlay *overlay, struct batch_group *group)
{
        for (size_t at = 0; at < group->entries.length; at += sizeof(struct overlay_entry *)) {
                struct overlay_entry *entry;

                memcpy(&entry, group->entries.data + at, sizeof(struct overlay_entry *));
                if (entry->group == group) /* else a newer group has the row */
                        entry_drop(overlay, entry);
        }
        px_buf_fini(&group->entries);
        if (overlay->count == 0 && overlay->blocks_count > BLOCKS_SPARE)
                blocks_free(overlay);
}

bool overlay_find(const struct overlay *overlay, uint8_t table, struct px_slice key,
                  struct row *ret_row)
{
        uint64_t hash = px_hash64(table, key.data, key.length);
        const struct overlay_entry *entry = *entry_place(overlay, hash, table, key);

        if (entry == NULL)
                return false;
        *ret_row = entry_row(entry);
        return true;
}

static void collect_if(const struct overlay_entry *entry, uint8_t table, struct px_slice prefix,
                       struct px_buf *rows)
{
        struct row row = entry_row(entry);

        if (row.table == table && log_key_has_prefix(row.key, prefix))
                px_buf_append(rows, &row, sizeof(row));
}

static int row_order(const void *a, const void *b)
{
        const struct row *left = a, *right = b;

        return px_slice_compare(left->key, right->key);
}

static void collect_everywhere(const struct overlay *overlay, uint8_t table,
                               struct px_slice prefix, struct px_buf *rows)
{
        for (size_t i = 0; i < BUCKETS; i++)
                for (const struct overlay_entry *entry = overlay->exact[i]; entry != NULL;
                     entry = entry->next)
                        collect_if(entry, table, prefix, rows);
}

void overlay_collect(const struct overlay *overlay, uint8_t table, struct px_slice prefix,
                     struct px_buf *ret_rows)
{
        struct row row;
        size_t count;

        PX_ASSERT(ret_rows->length == 0);
        if (overlay->count == 0)
                return;
        if (prefix.length < FAMILY_BYTES) {
                collect_everywhere(overlay, table, prefix, ret_rows);
        } else {
                if (prefix.length == FAMILY_BYTES && overlay_find(overlay, table, prefix, &row))
                        px_buf_append(ret_rows, &row, sizeof(row));
                PX_LIST_EACH(family_bucket(overlay, table, prefix), link)
                        collect_if(PX_CONTAINER_OF(link, struct overlay_entry, family), table,
                                   prefix, ret_rows);
        }
        count = ret_rows->length / sizeof(struct row);
        if (count > 1)
                qsort(ret_rows->data, count, sizeof(struct row), row_order);
}
