/* SPDX-License-Identifier: Apache-2.0 */
/* px_lookup.c - searches in the generated tables of names and edges. Layer: L1. */
#include "px_lookup.h"

bool px_enum_known(const struct px_enum_info *info, int code)
{
        return code > 0 && code < info->count && info->names[code] != NULL;
}

const char *px_enum_name(const struct px_enum_info *info, int code)
{
        return px_enum_known(info, code) ? info->names[code] : "?";
}

int px_enum_from_name(const struct px_enum_info *info, struct px_slice name)
{
        for (int code = 1; code < info->count; code++) {
                if (info->names[code] != NULL &&
                    px_slice_equal(px_slice_text(info->names[code]), name))
                        return code;
        }
        return 0;
}

const struct px_edge *px_edge_find(const struct px_edge *edges, size_t count, int from, int to)
{
        for (size_t i = 0; i < count; i++) {
                if (edges[i].from == from && edges[i].to == to)
                        return &edges[i];
        }
        return NULL;
}
