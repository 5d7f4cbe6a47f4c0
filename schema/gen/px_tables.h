/* SPDX-License-Identifier: Apache-2.0 */
/* px_tables.h - messages and stored rows described for those who look at them from outside:
 * tracing, dumping, tests. Layer: L1. The tables are generated; the functions are in px_print.c.
 *
 * Readable form: `SUBMIT #7 {session:1, jobs:[{kind:command, name:"x"}]}`. Fields that are zero or
 * empty are left out. Enums stand by name, a fence as epoch/attempt, bytes as their length and
 * their first 16 in hex, text in quotes with what is not printable as \xNN. */
#ifndef PX_TABLES_H
#define PX_TABLES_H

#include "px_layout.h"

#define PX_PRINT_BYTES_MAX 4096 /* of one printed frame or row; a longer one ends in "..." */

struct px_message_info {
        uint16_t type;      /* PX_M_* */
        const char *name;   /* as in the schema: "SUBMIT" */
        const char *from;   /* client, broker, node or shell */
        const char *socket; /* cmd, node, data, events, any or inside */
        const struct px_layout *layout;
};
extern const struct px_message_info px_messages[]; /* by type */
extern const size_t px_messages_count;

struct px_row_info {
        int table; /* PX_TABLE_* */
        const struct px_layout *layout;
};
extern const struct px_row_info px_rows[];
extern const size_t px_rows_count;

/* The message of a type; NULL when unknown. */
const struct px_message_info *px_message_find(uint16_t type);

/* What the rows of a table are; NULL when they are plain bytes. */
const struct px_layout *px_row_layout(int table);

/* Append one readable line (without a newline) for any bytes that came as a frame. Never fails:
 * what is malformed is printed as such. At most PX_PRINT_BYTES_MAX are appended. */
void px_message_print(struct px_buf *out, struct px_slice frame);

/* The same for the value of a stored row. */
void px_row_print(struct px_buf *out, int table, struct px_slice value);

/* The same for one decoded struct. */
void px_layout_print(struct px_buf *out, const struct px_layout *layout, const void *in);

#endif
