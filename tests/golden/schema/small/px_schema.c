/* SPDX-License-Identifier: Apache-2.0 */
/* px_schema.c - tables of errors, names and life cycles.
 * Generated from the schema; not to be edited. Layer: L1. */

#include "px_schema.h"

const struct px_error_info px_errors[PX_ERRORS_COUNT] = {
        {1, "ABSENT", "no such \"thing\"", 404, 3, false},
        {4, "BUSY", "later", 429, 6, true},
};

const struct px_error_info *px_error_find(int code)
{
        for (size_t i = 0; i < PX_ERRORS_COUNT; i++) {
                if (px_errors[i].code == code)
                        return &px_errors[i];
        }
        return NULL;
}

static const char *const px_events_names[] = {
        [2] = "lamp.on",
};
const struct px_enum_info px_events = {"event", px_events_names, PX_COUNT_OF(px_events_names)};

static const char *const px_tables_names[] = {
        [1] = "lamp",
        [2] = "old",
        [4] = "plain",
};
const struct px_enum_info px_tables = {"table", px_tables_names, PX_COUNT_OF(px_tables_names)};

const char *px_table_db(int table)
{
        switch (table) {
        case 1:
                return "lamp";
        case 2:
                return "old";
        case 4:
                return "lamp";
        default:
                return "?";
        }
}

const char *px_table_key(int table)
{
        switch (table) {
        case 1:
                return "lamp u64";
        case 2:
                return "lamp u64";
        case 4:
                return "text";
        default:
                return "?";
        }
}

static const char *const px_enum_colour_names[] = {
        [1] = "red",
        [3] = "green",
};
const struct px_enum_info px_enum_colour = {"colour", px_enum_colour_names, PX_COUNT_OF(px_enum_colour_names)};

const struct px_edge px_lamp_edges[PX_LAMP_EDGES_COUNT] = {
        {1, 3, "go"},
        {3, 1, "stop"},
};

bool px_lamp_edge(int from, int to)
{
        return px_edge_find(px_lamp_edges, PX_LAMP_EDGES_COUNT, from, to) != NULL;
}

const char *px_lamp_edge_text(int from, int to)
{
        const struct px_edge *edge = px_edge_find(px_lamp_edges, PX_LAMP_EDGES_COUNT, from, to);

        return edge == NULL ? NULL : edge->text;
}

bool px_lamp_first(int state)
{
        return state == 1;
}
