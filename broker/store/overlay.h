/* SPDX-License-Identifier: Apache-2.0 */
/* overlay.h - the newest value of each row that is submitted but not applied to LMDB yet.
 * Layer: L3 (broker/store). Core thread only. Values stay in the groups they came with. */
#ifndef PX_OVERLAY_H
#define PX_OVERLAY_H

#include "batch_group.h"
#include "rows.h"

struct overlay_entry;

struct overlay {
        struct overlay_entry **exact; /* buckets by (table, key) */
        struct px_link *families;     /* buckets by (table, first bytes of a longer key) */
        struct overlay_entry *free;   /* spare entries */
        struct px_link blocks;        /* what entries were cut from */
        size_t blocks_count;
        size_t count;
};

void overlay_init(struct overlay *overlay);
void overlay_fini(struct overlay *overlay);

/* Take in the rows of the record at `offset` of the group. */
void overlay_add(struct overlay *overlay, struct batch_group *group, size_t offset);
/* The group was applied, as all before it: forget what is still its own. */
void overlay_remove(struct overlay *overlay, struct batch_group *group);

/* The newest operation on a row; false when there is none. Borrowed until the group is freed. */
bool overlay_find(const struct overlay *overlay, uint8_t table, struct px_slice key,
                  struct row *ret_row);

/* Every row of a table whose key begins with `prefix`, in key order, appended to ret_rows as structs
 * of type row. A prefix shorter than eight bytes costs a walk over everything. */
void overlay_collect(const struct overlay *overlay, uint8_t table, struct px_slice prefix,
                     struct px_buf *ret_rows);

#endif
