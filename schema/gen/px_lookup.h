/* SPDX-License-Identifier: Apache-2.0 */
/* px_lookup.h - the shapes of the generated tables of names, errors and life cycles, and how they
 * are searched. Layer: L1. Included by the generated px_schema.h, which has the tables. */
#ifndef PX_LOOKUP_H
#define PX_LOOKUP_H

#include "px_base.h"

/* The names of codes 1 to count - 1; NULL at a code that has none. */
struct px_enum_info {
        const char *name;
        const char *const *names;
        int count;
};

/* Name of a code, "?" when it has none. */
const char *px_enum_name(const struct px_enum_info *info, int code);
/* Code of a name, 0 when unknown. */
int px_enum_from_name(const struct px_enum_info *info, struct px_slice name);
/* Whether `code` has a name. */
bool px_enum_known(const struct px_enum_info *info, int code);

/* What the schema says of a refusal (PX_E_*). */
struct px_error_info {
        int code;
        const char *name;
        const char *text; /* public sentence */
        int http;         /* HTTP status */
        int exit;         /* exit code of the command line */
        bool retry;       /* the same request may succeed later */
};

/* One allowed change of a state. */
struct px_edge {
        uint8_t from;
        uint8_t to;
        const char *text; /* when it happens */
};

/* The edge from `from` to `to`, NULL when there is none. */
const struct px_edge *px_edge_find(const struct px_edge *edges, size_t count, int from, int to);

#endif
