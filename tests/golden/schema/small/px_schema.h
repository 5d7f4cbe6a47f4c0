/* SPDX-License-Identifier: Apache-2.0 */
/* px_schema.h - numbers and names: errors, limits, enums, events, tables.
 * Generated from the schema; not to be edited. Layer: L1. */

#ifndef PX_SCHEMA_H
#define PX_SCHEMA_H

#include "px_lookup.h"

#define PX_SCHEMA_VERSION 3
#define PX_PRODUCT_VERSION "7.8.9"

/* ---- refusals ---- */
#define PX_E_ABSENT 1 /* no such "thing" */
#define PX_E_BUSY 4 /* later */
#define PX_ERRORS_COUNT 2
extern const struct px_error_info px_errors[PX_ERRORS_COUNT];
const struct px_error_info *px_error_find(int code); /* NULL when unknown */

/* ---- limits ---- */
#define PX_LIMIT_MESSAGE_BYTES 4096 /* a frame */
#define PX_LIMIT_NAME_BYTES 16 /* a name */
#define PX_LIMIT_ITEMS 3 /* items */

/* ---- messages, events, tables ---- */
#define PX_M_SET 5
#define PX_M_IS 6
#define PX_EV_LAMP_ON 2
#define PX_TABLE_LAMP 1
#define PX_TABLE_OLD 2
#define PX_TABLE_PLAIN 4
#define PX_TABLE_COUNT 5 /* highest code + 1 */

extern const struct px_enum_info px_events;
extern const struct px_enum_info px_tables;
static inline const char *px_event_name(int code)
{
        return px_enum_name(&px_events, code);
}
static inline int px_event_from_name(struct px_slice name)
{
        return px_enum_from_name(&px_events, name);
}
static inline const char *px_table_name(int code)
{
        return px_enum_name(&px_tables, code);
}
static inline int px_table_from_name(struct px_slice name)
{
        return px_enum_from_name(&px_tables, name);
}
const char *px_table_db(int table);  /* database it lives in, "?" when unknown */
const char *px_table_key(int table); /* parts of its key in words, "?" when unknown */

/* Of a lamp. */
enum px_colour {
        PX_COLOUR_RED = 1,
        PX_COLOUR_GREEN = 3,
};
#define PX_COLOUR_COUNT 4 /* highest code + 1 */
extern const struct px_enum_info px_enum_colour;
static inline const char *px_colour_name(int code)
{
        return px_enum_name(&px_enum_colour, code);
}
static inline int px_colour_from_name(struct px_slice name)
{
        return px_enum_from_name(&px_enum_colour, name);
}

/* The only ways a lamp changes its colour. */
#define PX_LAMP_EDGES_COUNT 2
extern const struct px_edge px_lamp_edges[PX_LAMP_EDGES_COUNT];
bool px_lamp_edge(int from, int to);
const char *px_lamp_edge_text(int from, int to); /* NULL when there is no such edge */
bool px_lamp_first(int state); /* whether it may begin in this state */

#endif
