/* SPDX-License-Identifier: Apache-2.0 */
/* lmdb_check.c - reading LMDB's file page by page. Layer: L3 (broker/store). See lmdb_check.h.
 * Source: the data format 1 of LMDB 0.9 on a 64-bit little-endian machine, as its documentation and
 * behaviour show it:
 *   page    u64 number · u16 pad · u16 flags · u16 lower · u16 upper · u16 offsets of nodes ...
 *           (overflow pages: u32 count in place of lower and upper)
 *   node    u16 low · u16 high · u16 flags · u16 key length · key · data
 *           leaf: data length = low + high << 16; branch: page = low + high << 16 + flags << 32
 *   tree    u32 pad · u16 flags · u16 depth · u64 branch pages, leaf pages, overflow pages, entries,
 *           root
 *   meta    (page 0 and 1, behind the page header) u32 magic · u32 version · u64 address · u64 map
 *           size · tree of free pages · main tree · u64 last page · u64 transaction
 * A free list is a u64 count and so many page numbers, falling. */
#include "lmdb_check.h"

#include <stdarg.h>
#include <stdio.h>

#include "px_schema.h"

#define META_MAGIC 0xbeefc0deu
#define META_VERSION 1
#define PAGE_HEADER 16
#define NODE_HEADER 8
#define TREE_BYTES 48
#define PAGE_BRANCH 0x01
#define PAGE_LEAF 0x02
#define PAGE_OVERFLOW 0x04
#define PAGE_META 0x08
#define NODE_BIG 0x01
#define NODE_TREE 0x02
#define TREE_INTEGER_KEYS 0x08
#define NO_PAGE UINT64_MAX
#define DEPTH_MAX 32

struct tree {
        uint64_t flags;
        uint64_t depth;
        uint64_t branches;
        uint64_t leaves;
        uint64_t overflows;
        uint64_t entries;
        uint64_t root;
};

struct meta {
        uint64_t page_bytes;
        uint64_t last_page;
        uint64_t transaction;
        struct tree free;
        struct tree main;
};

enum tree_kind {
        TREE_FREE,
        TREE_MAIN,
        TREE_ROWS,
};

struct check {
        struct px_slice bytes;
        struct lmdb_check_result *result;
        struct meta meta;
        uint8_t *used; /* a bit per page */
};

/* One walk through a tree. */
struct walk {
        struct check *check;
        enum tree_kind kind;
        struct tree seen; /* counted on the way */
};

struct node {
        struct px_slice key;
        uint64_t child; /* of a branch */
        unsigned flags;
        struct px_slice data; /* of a leaf */
};

/* LMDB stores numbers as the machine does. */
static uint16_t get_u16(const uint8_t *at)
{
        uint16_t value;

        memcpy(&value, at, sizeof(value));
        return value;
}

static uint32_t get_u32(const uint8_t *at)
{
        uint32_t value;

        memcpy(&value, at, sizeof(value));
        return value;
}

static uint64_t get_u64(const uint8_t *at)
{
        uint64_t value;

        memcpy(&value, at, sizeof(value));
        return value;
}

/* The first finding stays. Returns false, so that callers can return it. */
__attribute__((format(printf, 2, 3))) static bool found(struct check *check, const char *format,
                                                        ...)
{
        struct lmdb_check_result *result = check->result;
        va_list arguments;

        if (result->code != PX_OK)
                return false;
        result->code = PX_E_DAMAGED;
        va_start(arguments, format);
        vsnprintf(result->text, sizeof(result->text), format, arguments);
        va_end(arguments);
        return false;
}

static bool found_on_page(struct check *check, uint64_t page, const char *what)
{
        return found(check, "page %llu: %s", (unsigned long long)page, what);
}

/* ---- meta pages --------------------------------------------------------------------------------------- */

static struct tree tree_get(const uint8_t *at)
{
        return (struct tree){.flags = get_u16(at + 4),
                             .depth = get_u16(at + 6),
                             .branches = get_u64(at + 8),
                             .leaves = get_u64(at + 16),
                             .overflows = get_u64(at + 24),
                             .entries = get_u64(at + 32),
                             .root = get_u64(at + 40)};
}

static bool meta_get(struct check *check, uint64_t number, uint64_t offset, struct meta *ret_meta)
{
        const uint8_t *page = check->bytes.data + offset;
        const uint8_t *at = page + PAGE_HEADER;

        if (check->bytes.length < offset + PAGE_HEADER + 24 + 2 * TREE_BYTES + 16)
                return found_on_page(check, number, "the file ends before it");
        if (get_u64(page) != number || get_u16(page + 10) != PAGE_META ||
            get_u32(at) != META_MAGIC)
                return found_on_page(check, number, "it is no meta page of LMDB");
        if (get_u32(at + 4) != META_VERSION) {
                found_on_page(check, number, "it was written by another release of LMDB");
                check->result->code = PX_E_VERSION;
                return false;
        }
        ret_meta->page_bytes = get_u32(at + 24);
        ret_meta->free = tree_get(at + 24);
        ret_meta->main = tree_get(at + 24 + TREE_BYTES);
        ret_meta->last_page = get_u64(at + 24 + 2 * TREE_BYTES);
        ret_meta->transaction = get_u64(at + 32 + 2 * TREE_BYTES);
        if (ret_meta->free.flags != TREE_INTEGER_KEYS || ret_meta->main.flags != 0)
                return found_on_page(check, number, "flags that a store does not have");
        if (ret_meta->transaction != 0 && (ret_meta->transaction & 1) != number)
                return found_on_page(check, number, "the transaction of another meta page");
        return true;
}

/* Both meta pages; the newer one counts. They stand one transaction apart. */
static bool metas_check(struct check *check)
{
        struct meta first, second, *newer;
        uint64_t size;

        if (!meta_get(check, 0, 0, &first))
                return false;
        size = first.page_bytes;
        if (size < 512 || size > 65536 || (size & (size - 1)) != 0)
                return found_on_page(check, 0, "not a page size");
        if (!meta_get(check, 1, size, &second))
                return false;
        newer = first.transaction >= second.transaction ? &first : &second;
        if (second.page_bytes != size ||
            first.transaction + second.transaction + 1 < 2 * newer->transaction)
                return found_on_page(check, newer == &first ? 0 : 1,
                                     "it does not fit the other meta page");
        if (newer->last_page < 1 || newer->last_page >= UINT64_MAX / size)
                return found_on_page(check, newer == &first ? 0 : 1, "not a number of pages");
        check->meta = *newer;
        return true;
}

/* ---- pages ---------------------------------------------------------------------------------------------- */

static bool page_take(struct check *check, uint64_t page)
{
        if (page < 2 || page > check->meta.last_page)
                return found_on_page(check, page, "outside the store");
        if (check->used[page / 8] & (1u << page % 8))
                return found_on_page(check, page, "used in two places");
        check->used[page / 8] |= (uint8_t)(1u << page % 8);
        return true;
}

/* Take a page that must be in the file; its bytes. */
static const uint8_t *page_open(struct check *check, uint64_t page, uint64_t pages)
{
        uint64_t size = check->meta.page_bytes;
        const uint8_t *at;

        check->result->page = page;
        for (uint64_t i = 0; i < pages; i++)
                if (!page_take(check, page + i))
                        return NULL;
        if ((page + pages) * size > check->bytes.length) {
                found_on_page(check, page, "the file ends before it");
                return NULL;
        }
        at = check->bytes.data + page * size;
        if (get_u64(at) != page) {
                found_on_page(check, page, "it carries another number");
                return NULL;
        }
        return at;
}

static size_t page_nodes(const uint8_t *page)
{
        return (get_u16(page + 12) - PAGE_HEADER) / 2u;
}

static bool page_shape(struct check *check, uint64_t number, const uint8_t *page, bool leaf)
{
        unsigned lower = get_u16(page + 12), upper = get_u16(page + 14);

        if (get_u16(page + 10) != (leaf ? PAGE_LEAF : PAGE_BRANCH))
                return found_on_page(check, number, "not the kind of page that belongs here");
        if (lower < PAGE_HEADER + 2 || lower % 2 != 0 || lower > upper ||
            upper > check->meta.page_bytes)
                return found_on_page(check, number, "bounds of its free space");
        return true;
}

static bool node_get(struct check *check, uint64_t number, const uint8_t *page, size_t index,
                     bool leaf, struct node *ret_node)
{
        size_t offset = get_u16(page + PAGE_HEADER + 2 * index);
        size_t size = check->meta.page_bytes;
        size_t key, data = 0;
        const uint8_t *at = page + offset;
        uint64_t value;

        if (offset < get_u16(page + 14) || offset + NODE_HEADER > size || offset % 2 != 0)
                return found_on_page(check, number, "the place of a row");
        value = get_u16(at) | (uint64_t)get_u16(at + 2) << 16;
        ret_node->flags = get_u16(at + 4);
        key = get_u16(at + 6);
        if (leaf)
                data = ret_node->flags & NODE_BIG ? sizeof(uint64_t) : (size_t)value;
        if (key > size || data > size || offset + NODE_HEADER + key + data > size)
                return found_on_page(check, number, "the length of a row");
        ret_node->key = px_slice_of(at + NODE_HEADER, key);
        ret_node->child = value | (uint64_t)ret_node->flags << 32;
        ret_node->data = px_slice_of(at + NODE_HEADER + key, (size_t)value);
        return true;
}

/* ---- what leaves hold --------------------------------------------------------------------------------------- */

static bool tree_walk(struct check *check, enum tree_kind kind, const struct tree *tree);

static bool leaf_row(struct walk *walk, uint64_t number, const struct node *node)
{
        struct check *check = walk->check;
        MDB_val key = {.mv_size = node->key.length, .mv_data = (void *)(uintptr_t)node->key.data};
        MDB_val value = {.mv_size = node->data.length,
                         .mv_data = (void *)(uintptr_t)node->data.data};
        struct px_slice unsealed;

        if (node->flags != 0 || key.mv_size > LMDB_KEY_BYTES_MAX)
                return found_on_page(check, number, "a row that no release of Plexus writes");
        check->result->rows++;
        if (lmdb_unseal(key, value, &unsealed) != PX_OK) {
                check->result->rows_damaged++;
                lmdb_report_damaged(node->key.data[0],
                                    px_slice_of(node->key.data + 1, node->key.length - 1));
        }
        return true;
}

static bool leaf_tree(struct walk *walk, uint64_t number, const struct node *node)
{
        struct tree tree;

        if (node->flags != NODE_TREE || node->data.length != TREE_BYTES)
                return found_on_page(walk->check, number, "no database stands here");
        tree = tree_get(node->data.data);
        if (tree.flags != 0)
                return found_on_page(walk->check, number, "a database with flags");
        return tree_walk(walk->check, TREE_ROWS, &tree);
}

static bool free_pages(struct check *check, uint64_t number, struct px_slice list)
{
        uint64_t count = list.length < 8 ? UINT64_MAX : get_u64(list.data);
        uint64_t before = UINT64_MAX;

        if (count > list.length / 8 - 1)
                return found_on_page(check, number, "the length of a list of free pages");
        for (uint64_t i = 1; i <= count; i++) {
                uint64_t page = get_u64(list.data + 8 * i);

                if (page >= before)
                        return found_on_page(check, number, "the order of free pages");
                if (!page_take(check, page))
                        return false;
                before = page;
        }
        return true;
}

/* A list of free pages, in its row or in overflow pages of its own. */
static bool leaf_free(struct walk *walk, uint64_t number, const struct node *node)
{
        struct check *check = walk->check;
        uint64_t size = check->meta.page_bytes, first, pages;
        const uint8_t *page;

        if (node->key.length != 8 || get_u64(node->key.data) > check->meta.transaction ||
            node->flags & ~(unsigned)NODE_BIG)
                return found_on_page(check, number, "the transaction of free pages");
        if (!(node->flags & NODE_BIG))
                return free_pages(check, number, node->data);
        first = get_u64(node->data.data);
        pages = (PAGE_HEADER + node->data.length + size - 1) / size;
        page = page_open(check, first, pages);
        if (page == NULL)
                return false;
        if (get_u16(page + 10) != PAGE_OVERFLOW || get_u32(page + 12) != pages)
                return found_on_page(check, first, "not an overflow page");
        walk->seen.overflows += pages;
        return free_pages(check, first, px_slice_of(page + PAGE_HEADER, node->data.length));
}

static bool leaf_node(struct walk *walk, uint64_t number, const struct node *node)
{
        walk->seen.entries++;
        if (node->key.length == 0)
                return found_on_page(walk->check, number, "a row without a key");
        switch (walk->kind) {
        case TREE_FREE:
                return leaf_free(walk, number, node);
        case TREE_MAIN:
                return leaf_tree(walk, number, node);
        case TREE_ROWS:
                return leaf_row(walk, number, node);
        }
        PX_UNREACHABLE();
}

/* ---- trees ---------------------------------------------------------------------------------------------------- */

static int key_compare(const struct walk *walk, struct px_slice a, struct px_slice b)
{
        uint64_t left, right;

        if (walk->kind != TREE_FREE)
                return px_slice_compare(a, b);
        if (a.length != 8 || b.length != 8)
                return 0; /* equal: out of order */
        left = get_u64(a.data);
        right = get_u64(b.data);
        return left < right ? -1 : left > right;
}

/* The keys below a page lie from low (none: no bound) to below high. */
static bool page_walk(struct walk *walk, uint64_t number, uint64_t depth,
                      const struct px_slice *low, const struct px_slice *high)
{
        struct check *check = walk->check;
        bool leaf = depth == 1;
        const uint8_t *page = page_open(check, number, 1);
        struct node node, next;
        size_t nodes;

        if (page == NULL || !page_shape(check, number, page, leaf))
                return false;
        nodes = page_nodes(page);
        *(leaf ? &walk->seen.leaves : &walk->seen.branches) += 1;
        if (!node_get(check, number, page, 0, leaf, &node))
                return false;
        if (leaf && low != NULL && key_compare(walk, node.key, *low) < 0)
                return found_on_page(check, number, "a key before its place");
        for (size_t i = 0; i < nodes; i++) {
                const struct px_slice *from = i == 0 ? low : &node.key;
                const struct px_slice *to = i + 1 < nodes ? &next.key : high;

                if (i + 1 < nodes && !node_get(check, number, page, i + 1, leaf, &next))
                        return false;
                if (to != NULL && (leaf || from != NULL) &&
                    key_compare(walk, leaf ? node.key : *from, *to) >= 0)
                        return found_on_page(check, number, "keys out of order");
                if (!(leaf ? leaf_node(walk, number, &node)
                           : page_walk(walk, node.child, depth - 1, from, to)))
                        return false;
                node = next;
        }
        return true;
}

static bool tree_walk(struct check *check, enum tree_kind kind, const struct tree *tree)
{
        struct walk walk = {.check = check, .kind = kind};

        if (tree->root != NO_PAGE) {
                if (tree->depth < 1 || tree->depth > DEPTH_MAX)
                        return found_on_page(check, tree->root, "the depth of its tree");
                if (!page_walk(&walk, tree->root, tree->depth, NULL, NULL))
                        return false;
        }
        if (walk.seen.branches != tree->branches || walk.seen.leaves != tree->leaves ||
            walk.seen.overflows != tree->overflows || walk.seen.entries != tree->entries)
                return found(check, "a tree has %llu rows on %llu pages, not %llu on %llu",
                             (unsigned long long)walk.seen.entries,
                             (unsigned long long)(walk.seen.leaves + walk.seen.branches),
                             (unsigned long long)tree->entries,
                             (unsigned long long)(tree->leaves + tree->branches));
        return true;
}

/* ---- all of it -------------------------------------------------------------------------------------------------- */

static bool is_whole(const struct check *check, const struct state_mark *mark)
{
        if (check->bytes.length <= LMDB_CHECK_WHOLE_BYTES)
                return false;
        return mark->same_boot || (mark->clean && mark->bytes == check->bytes.length &&
                                   mark->transaction == check->meta.transaction);
}

void lmdb_check_bytes(struct px_slice bytes, const struct state_mark *mark,
                      struct lmdb_check_result *result)
{
        struct check check = {.bytes = bytes, .result = result};
        uint64_t pages;

        if (!metas_check(&check))
                return;
        pages = check.meta.last_page + 1;
        /* Pages at the end may be free and never written, but not more than a transaction's worth. */
        if (pages > bytes.length / check.meta.page_bytes + 131072) {
                found(&check, "the file ends at %zu, it had %llu pages", bytes.length,
                      (unsigned long long)pages);
                return;
        }
        if (is_whole(&check, mark))
                return;
        check.used = px_alloc(pages / 8 + 1);
        if (tree_walk(&check, TREE_MAIN, &check.meta.main))
                tree_walk(&check, TREE_FREE, &check.meta.free);
        px_free(check.used);
}
