/* SPDX-License-Identifier: Apache-2.0 */
/* px_base.h - what every other file may use: assertions, results, bytes, containers, hashes.
 * Layer: L0 (schema/base). Pure: no clock, socket, file, thread or environment; memory only
 * through px_alloc(), whose exhaustion ends the process before anything is acknowledged. */
#ifndef PX_BASE_H
#define PX_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ---- results ------------------------------------------------------------------------------
 * One int carries three kinds: 0 = done; > 0 = refusal, a PX_E_* code of the schema that the
 * caller handles; < 0 = fault, -errno, from stores and shells only. A bug is PX_ASSERT. */
#define PX_OK 0

/* ---- assertions: on in every build -------------------------------------------------------- */

/* Called once by px_assert_failed() before the process aborts, to print state that helps:
 * the core's digest and its last commands. NULL = none. Set at start, never changed after. */
extern void (*px_assert_hook)(void);

_Noreturn void px_assert_failed(const char *expression, const char *file, int line);

#define PX_ASSERT(expression)                                                                    \
        ((expression) ? (void)0 : px_assert_failed(#expression, __FILE__, __LINE__))
#define PX_UNREACHABLE() px_assert_failed("unreachable", __FILE__, __LINE__)

#define PX_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define PX_MIN(a, b) ((a) < (b) ? (a) : (b))
#define PX_MAX(a, b) ((a) > (b) ? (a) : (b))
/* The struct that holds `member` at `pointer`. */
#define PX_CONTAINER_OF(pointer, type, member)                                                   \
        ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* ---- memory --------------------------------------------------------------------------------
 * px_alloc never returns NULL: on exhaustion it prints one line and exits 71 (EX_OSERR). Nothing
 * unacknowledged is promised, so leaving is safe; limits keep it from happening in practice. */
void *px_alloc(size_t bytes); /* zeroed; bytes > 0 */
void *px_realloc(void *pointer, size_t bytes);
void px_free(void *pointer); /* accepts NULL */
char *px_strdup(const char *text);

/* ---- byte ranges --------------------------------------------------------------------------- */

/* A borrowed range of bytes; not terminated. data may be NULL only when length is 0. */
struct px_slice {
        const uint8_t *data;
        size_t length;
};

#define PX_SLICE_NONE ((struct px_slice){NULL, 0})
struct px_slice px_slice_of(const void *data, size_t length);
struct px_slice px_slice_text(const char *text); /* without the terminator */
bool px_slice_equal(struct px_slice a, struct px_slice b);
int px_slice_compare(struct px_slice a, struct px_slice b); /* memcmp order, shorter first */
/* Copy as a terminated string into `room` bytes, cut at room - 1; returns ret_text. */
char *px_slice_to_text(struct px_slice slice, char *ret_text, size_t room);
bool px_slice_is_text(struct px_slice slice); /* UTF-8 (RFC 3629) without NUL */

/* A growing byte buffer that owns its memory. {0} is empty and valid. */
struct px_buf {
        uint8_t *data;
        size_t length;
        size_t capacity;
};

void px_buf_fini(struct px_buf *buf);
void px_buf_reset(struct px_buf *buf);                /* length = 0, memory kept */
uint8_t *px_buf_grow(struct px_buf *buf, size_t by);  /* room for `by` more, length moved; returns it */
void px_buf_reserve(struct px_buf *buf, size_t room); /* capacity for `room` more, length kept */
void px_buf_append(struct px_buf *buf, const void *data, size_t length);
void px_buf_append_slice(struct px_buf *buf, struct px_slice slice);
void px_buf_append_text(struct px_buf *buf, const char *text);
/* printf onto the end; no terminator is counted. */
void px_buf_format(struct px_buf *buf, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
struct px_slice px_buf_slice(const struct px_buf *buf);
struct px_buf px_buf_take(struct px_buf *buf); /* moves ownership out, leaves {0} */

/* ---- arena: many small pieces freed at once ---------------------------------------------------
 * {0} is empty and valid. Pieces are zeroed, aligned to 8 bytes and stay where they are. */
struct px_arena {
        struct px_arena_block *blocks;
        size_t used; /* bytes given out since the last reset */
};
void px_arena_fini(struct px_arena *arena);
void px_arena_reset(struct px_arena *arena); /* frees every piece; keeps one block */
void *px_arena_alloc(struct px_arena *arena, size_t bytes);
struct px_slice px_arena_copy(struct px_arena *arena, struct px_slice slice);
char *px_arena_text(struct px_arena *arena, struct px_slice slice); /* terminated copy */

/* ---- big-endian integers (keys sort as numbers do) ----------------------------------------- */
void px_put_be16(uint8_t *at, uint16_t value);
void px_put_be32(uint8_t *at, uint32_t value);
void px_put_be64(uint8_t *at, uint64_t value);
uint16_t px_get_be16(const uint8_t *at);
uint32_t px_get_be32(const uint8_t *at);
uint64_t px_get_be64(const uint8_t *at);

/* ---- hashes ---------------------------------------------------------------------------------- */
/* CRC-32C (Castagnoli), continued from `crc` (0 to begin). Source: RFC 3720 appendix B.4. */
uint32_t px_crc32c(uint32_t crc, const void *data, size_t length);
/* 64-bit hash for tables in memory and content comparison; not for hostile collisions unless
 * `seed` is secret. Stable across releases and machines: stored hashes may use seed 0. */
uint64_t px_hash64(uint64_t seed, const void *data, size_t length);

/* ---- seeded random numbers (simulation, jitter); never for keys ------------------------------ */
struct px_rand {
        uint64_t state[4];
};
void px_rand_init(struct px_rand *rand, uint64_t seed);
uint64_t px_rand_u64(struct px_rand *rand);
uint64_t px_rand_below(struct px_rand *rand, uint64_t bound); /* 0 .. bound - 1; bound > 0 */
bool px_rand_chance(struct px_rand *rand, uint32_t permille);

/* ---- doubly linked list, links inside the items ----------------------------------------------- */
struct px_link {
        struct px_link *next;
        struct px_link *previous;
};
/* A list is a link whose neighbours are its items; px_list_init makes it empty. */
void px_list_init(struct px_link *list);
bool px_list_empty(const struct px_link *list);
void px_list_append(struct px_link *list, struct px_link *item); /* item is in no list */
void px_list_prepend(struct px_link *list, struct px_link *item);
void px_list_remove(struct px_link *item); /* leaves item->next == NULL */
bool px_list_linked(const struct px_link *item);
#define PX_LIST_EACH(list, cursor)                                                               \
        for (struct px_link *cursor = (list)->next; cursor != (list); cursor = cursor->next)

/* ---- hash map from uint64_t to pointer (NULL is no value) ---------------------------------------
 * Open addressing; the order of px_map_next is a function of the calls made, so runs repeat. */
struct px_map {
        struct px_map_slot *slots;
        size_t count;
        size_t capacity;
        size_t used; /* filled or deleted slots */
};
void px_map_fini(struct px_map *map); /* values are the caller's */
void *px_map_find(const struct px_map *map, uint64_t key);
void px_map_put(struct px_map *map, uint64_t key, void *value); /* replaces; value != NULL */
void *px_map_take(struct px_map *map, uint64_t key);            /* removes and returns, or NULL */
/* Walk: *cursor = 0 to begin; returns false at the end. No put or take of other keys meanwhile. */
bool px_map_next(const struct px_map *map, size_t *cursor, uint64_t *ret_key, void **ret_value);

/* ---- binary heap of pointers, position kept in the item ------------------------------------------ */
struct px_heap_item {
        size_t position; /* 1-based; 0 = in no heap */
};
struct px_heap {
        struct px_heap_item **items;
        size_t count;
        size_t capacity;
        /* true when a leaves before b; a total order, so that runs repeat */
        bool (*before)(const struct px_heap_item *a, const struct px_heap_item *b);
};
void px_heap_init(struct px_heap *heap,
                  bool (*before)(const struct px_heap_item *a, const struct px_heap_item *b));
void px_heap_fini(struct px_heap *heap);
void px_heap_push(struct px_heap *heap, struct px_heap_item *item);
struct px_heap_item *px_heap_first(const struct px_heap *heap); /* NULL when empty */
void px_heap_remove(struct px_heap *heap, struct px_heap_item *item);
void px_heap_update(struct px_heap *heap, struct px_heap_item *item); /* its order changed */

/* ---- ids: one-field structs, so that they cannot be mixed up ---------------------------------------- */
/* Job 1042 is 1042; its task 7, written 1042.7, has a number of its own that names both, behind all jobs:
 * bit 63, 40 bits of the job, 23 bits of the task. */
struct px_job_id {
        uint64_t value; /* 1, 2, 3, ...; 0 = none */
};
#define PX_TASK_BIT (UINT64_C(1) << 63)
#define PX_TASK_NUMBER_BITS 23
#define PX_TASK_NUMBER_MAX ((UINT32_C(1) << PX_TASK_NUMBER_BITS) - 1)
#define PX_JOB_NUMBER_MAX ((UINT64_C(1) << 40) - 1)
uint64_t px_task_id(uint64_t job, uint32_t task);
bool px_id_is_task(uint64_t id);
uint64_t px_id_job(uint64_t id);  /* of a task: its array; else the job itself */
uint32_t px_id_task(uint64_t id); /* the number of a task */
#define PX_ID_TEXT_BYTES 32
const char *px_id_text(uint64_t id, char *text); /* 1042, 1042.7; returns text */
struct px_node_id {
        uint32_t value; /* 0 = none */
};
struct px_principal_id {
        uint32_t value; /* 0 = none; 1 = the first administrator */
};
struct px_session_id {
        uint64_t value; /* (broker epoch << 28) + counter; 0 = none */
};

/* A fencing token: (epoch of the broker that gave it out, attempt number of the job). Ordered by
 * attempt, then epoch. It rides on everything said about an attempt; a stale one changes nothing. */
struct px_fence {
        uint64_t epoch;
        uint32_t attempt; /* 1, 2, 3, ...; 0 = none */
};
bool px_fence_equal(struct px_fence a, struct px_fence b);
bool px_fence_older(struct px_fence a, struct px_fence b);

#endif
